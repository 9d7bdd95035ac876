//! A password in memory: in one place, which is zeroed at the end.

use zeroize::Zeroize;

/// Longer ones are refused.
pub const MOST_BYTES: usize = 511;

/// A password. It is not shown, not copied, and gone when it is dropped.
pub struct Secret {
    bytes: [u8; MOST_BYTES + 1],
    len: usize,
}

impl Secret {
    /// Empty.
    pub const fn new() -> Self {
        Self { bytes: [0; MOST_BYTES + 1], len: 0 }
    }

    /// From a constant, for tests.
    pub fn of(text: &[u8]) -> Self {
        let mut secret = Self::new();
        for &byte in text {
            secret.push(byte);
        }
        secret
    }

    /// Adds a byte, unless there are too many: what is too long will not match.
    pub fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    /// Takes the last byte away.
    pub fn pop(&mut self) {
        self.len = self.len.saturating_sub(1);
        self.bytes[self.len] = 0;
    }

    /// Whether it is longer than passwords are.
    pub const fn is_too_long(&self) -> bool {
        self.len > MOST_BYTES
    }

    /// The bytes, to be looked at and not kept.
    pub fn reveal(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Whether both are the same; the time it takes tells nothing but whether the lengths are.
    pub fn is_same(&self, other: &Secret) -> bool {
        let differences =
            self.bytes.iter().zip(&other.bytes).fold(0, |differences, (one, two)| differences | (one ^ two));
        core::hint::black_box(differences) == 0 && self.len == other.len
    }
}

impl Default for Secret {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.bytes.zeroize();
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_compared_whole() {
        assert!(Secret::of(b"one").is_same(&Secret::of(b"one")));
        assert!(!Secret::of(b"one").is_same(&Secret::of(b"onE")));
        assert!(!Secret::of(b"one").is_same(&Secret::of(b"one\0")));
        assert!(Secret::of(&[b'x'; 600]).is_too_long());
        let mut secret = Secret::of(b"ab");
        secret.pop();
        assert_eq!(secret.reveal(), b"a");
    }
}
