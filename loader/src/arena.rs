//! The memory that answers live in: filled from the front, addressed through the direct map.

use crate::bytes;

/// The answers do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArenaFull;

/// A stretch of memory that is filled and never emptied.
pub struct Arena<'memory> {
    memory: &'memory mut [u8],
    virtual_base: u64,
    used: usize,
}

impl<'memory> Arena<'memory> {
    /// An empty arena; the kernel will see `memory` at `virtual_base`, a multiple of 8.
    pub fn new(memory: &'memory mut [u8], virtual_base: u64) -> Self {
        Self { memory, virtual_base, used: 0 }
    }

    /// Stores bytes and returns the virtual address of their copy, a multiple of 8.
    ///
    /// # Errors
    /// The arena is full.
    pub fn put(&mut self, bytes: &[u8]) -> Result<u64, ArenaFull> {
        let start = self.used;
        let end = start.checked_add(bytes.len()).ok_or(ArenaFull)?;
        self.memory.get_mut(start..end).ok_or(ArenaFull)?.copy_from_slice(bytes);
        self.used = end.next_multiple_of(8);
        Ok(self.virtual_base + start as u64)
    }

    /// Stores 64-bit words.
    ///
    /// # Errors
    /// The arena is full.
    pub fn put_words(&mut self, words: &[u64]) -> Result<u64, ArenaFull> {
        let address = self.put(&[])?;
        for word in words {
            self.put(&word.to_le_bytes())?;
        }
        Ok(address)
    }

    /// Overwrites a word stored before, for pointers to what is stored later.
    ///
    /// # Errors
    /// `address` is outside the arena.
    pub fn replace_word(&mut self, address: u64, word: u64) -> Result<(), ArenaFull> {
        let offset = address.checked_sub(self.virtual_base).and_then(|offset| usize::try_from(offset).ok());
        offset.and_then(|offset| bytes::put_u64(self.memory, offset, word)).ok_or(ArenaFull)
    }

    /// Stores a string with a zero byte after it. A zero byte inside ends it early for the kernel.
    ///
    /// # Errors
    /// The arena is full.
    pub fn put_string(&mut self, text: &str) -> Result<u64, ArenaFull> {
        let address = self.put(text.as_bytes())?;
        let end = usize::try_from(address - self.virtual_base).map_err(|_| ArenaFull)? + text.len();
        *self.memory.get_mut(end).ok_or(ArenaFull)? = 0;
        self.used = (end + 1).next_multiple_of(8);
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_aligned_and_strings_end() {
        let mut memory = [0xee; 64];
        let mut arena = Arena::new(&mut memory, 0x1000);
        assert_eq!(arena.put_string("12345678"), Ok(0x1000));
        assert_eq!(arena.put_string(""), Ok(0x1010));
        assert_eq!(arena.put_words(&[1, 2]), Ok(0x1018));
        assert_eq!(arena.put(&[9]), Ok(0x1028));
        assert_eq!(memory[..9], *b"12345678\0");
        assert_eq!(memory[16], 0);
        assert_eq!(memory[24..32], 1_u64.to_le_bytes());
    }

    #[test]
    fn a_full_arena_says_so() {
        let mut memory = [0; 8];
        let mut arena = Arena::new(&mut memory, 0x1000);
        assert_eq!(arena.put_string("12345678"), Err(ArenaFull));
        let mut arena = Arena::new(&mut memory, 0x1000);
        assert_eq!(arena.put_words(&[1, 2]), Err(ArenaFull));
    }
}
