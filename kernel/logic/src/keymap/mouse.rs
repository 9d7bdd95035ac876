//! What a PS/2 mouse sends: three bytes for each movement.

/// The first byte always has this bit: what lacks it is the middle of a packet.
const FIRST: u8 = 1 << 3;
const X_NEGATIVE: u8 = 1 << 4;
const Y_NEGATIVE: u8 = 1 << 5;
const OVERFLOW: u8 = 0b11 << 6;

/// A movement.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Movement {
    /// To the right.
    pub x: i16,
    /// Up.
    pub y: i16,
    /// Bit 0 is the left button, 1 the right, 2 the middle one.
    pub buttons: u8,
}

/// Reads packets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Packets {
    bytes: [u8; 2],
    len: usize,
}

impl Packets {
    /// Nothing read yet.
    pub const fn new() -> Self {
        Packets { bytes: [0; 2], len: 0 }
    }

    /// Takes a byte; the third of a packet tells a movement.
    pub fn input(&mut self, byte: u8) -> Option<Movement> {
        if self.len == 0 && byte & FIRST == 0 {
            return None;
        }
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
            return None;
        }
        self.len = 0;
        let [first, x] = self.bytes;
        if first & OVERFLOW != 0 {
            return None;
        }
        let signed = |value: u8, sign: u8| i16::from(value) - if first & sign != 0 { 256 } else { 0 };
        Some(Movement { x: signed(x, X_NEGATIVE), y: signed(byte, Y_NEGATIVE), buttons: first & 7 })
    }
}

impl Movement {
    /// The packet that says it, as far as it fits.
    pub fn packet(self) -> [u8; 3] {
        let (x, y) = (self.x.clamp(-127, 127), self.y.clamp(-127, 127));
        let sign = |value: i16, bit: u8| if value < 0 { bit } else { 0 };
        let first = FIRST | self.buttons & 7 | sign(x, X_NEGATIVE) | sign(y, Y_NEGATIVE);
        [first, x.to_le_bytes()[0], y.to_le_bytes()[0]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn packets_say_what_they_were_made_of(x in -127..=127_i16, y in -127..=127_i16, buttons in 0..8_u8) {
            let (mut packets, movement) = (Packets::new(), Movement { x, y, buttons });
            // The middle of another packet is passed over.
            prop_assert_eq!(packets.input(0), None);
            let found: std::vec::Vec<_> = movement.packet().into_iter().filter_map(|byte| packets.input(byte)).collect();
            prop_assert_eq!(found, [movement]);
        }
    }
}
