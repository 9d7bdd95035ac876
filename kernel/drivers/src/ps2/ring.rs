//! Bytes between the interrupt and the thread that takes them.

/// More than anybody types before a thread runs.
const CAPACITY: usize = 256;

/// A ring that drops what has no room.
#[derive(Debug)]
pub(super) struct Ring {
    bytes: [u8; CAPACITY],
    first: usize,
    len: usize,
}

impl Ring {
    pub(super) const fn new() -> Self {
        Ring { bytes: [0; CAPACITY], first: 0, len: 0 }
    }

    pub(super) fn push(&mut self, byte: u8) {
        if self.len < CAPACITY {
            self.bytes[(self.first + self.len) % CAPACITY] = byte;
            self.len += 1;
        }
    }

    pub(super) fn take(&mut self, out: &mut [u8]) -> usize {
        let count = out.len().min(self.len);
        for place in out.iter_mut().take(count) {
            *place = self.bytes[self.first];
            self.first = (self.first + 1) % CAPACITY;
        }
        self.len -= count;
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_order_and_the_last_are_dropped() {
        let mut ring = Ring::new();
        let mut out = [0; 200];
        for round in 0..10_u8 {
            (0..150).for_each(|byte| ring.push(byte ^ round));
            assert_eq!(ring.take(&mut out), 150);
            assert!(out.iter().zip(0..150).all(|(&found, byte)| found == byte ^ round));
        }
        (0..300).for_each(|_| ring.push(1));
        assert_eq!((ring.take(&mut out), ring.take(&mut out)), (200, 56));
    }
}
