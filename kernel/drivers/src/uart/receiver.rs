//! Received bytes between the interrupt and the thread that takes them.

use super::chip::{ABSENT, BREAK, Chip, DATA_READY, ON_RECEPTION, OVERRUN, Register};

/// More than anybody types, and than the chip receives in 80 ms at full speed.
const CAPACITY: usize = 1024;
/// Bytes after which an interrupt ends, should the chip never run dry.
const PATIENCE: usize = 2 * CAPACITY;

/// A ring of bytes.
#[derive(Debug)]
pub(super) struct Receiver {
    bytes: [u8; CAPACITY],
    first: usize,
    len: usize,
    /// The ring is full: bytes stay in the chip, whose interrupt is off.
    is_paused: bool,
    /// How often the chip lost bytes.
    overruns: u64,
}

impl Receiver {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; CAPACITY], first: 0, len: 0, is_paused: false, overruns: 0 }
    }

    /// Moves what the chip has into the ring; returns how many bytes. The interrupt is an edge, so the chip must be
    /// empty afterwards or its interrupt off.
    pub(super) fn collect(&mut self, chip: &impl Chip) -> usize {
        let before = self.len;
        for _ in 0..PATIENCE {
            let status = chip.read(Register::LineStatus);
            if status == ABSENT || status & DATA_READY == 0 {
                break;
            }
            if self.len == CAPACITY {
                self.is_paused = true;
                chip.write(Register::InterruptEnable, 0);
                break;
            }
            let byte = chip.read(Register::Receiver);
            self.overruns += u64::from(status & OVERRUN != 0);
            // A break reads as a zero that nobody sent.
            if status & BREAK == 0 {
                self.push(byte);
            }
        }
        self.len - before
    }

    /// Takes bytes out; when that makes room again, lets the chip go on.
    pub(super) fn take(&mut self, chip: &impl Chip, out: &mut [u8]) -> usize {
        let count = out.len().min(self.len);
        for place in out.iter_mut().take(count) {
            *place = self.bytes[self.first];
            self.first = (self.first + 1) % CAPACITY;
        }
        self.len -= count;
        if self.is_paused && self.len <= CAPACITY / 2 {
            self.is_paused = false;
            self.collect(chip);
            if !self.is_paused {
                // If a byte came just now, this makes a new edge.
                chip.write(Register::InterruptEnable, ON_RECEPTION);
            }
        }
        count
    }

    pub(super) const fn overruns(&self) -> u64 {
        self.overruns
    }

    fn push(&mut self, byte: u8) {
        self.bytes[(self.first + self.len) % CAPACITY] = byte;
        self.len += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;

    use super::*;

    /// A chip that received these bytes, each with its status.
    #[derive(Default)]
    struct Fake {
        received: RefCell<VecDeque<(u8, u8)>>,
        enabled: Cell<u8>,
    }

    impl Fake {
        fn receive(&self, bytes: &[u8]) {
            self.received.borrow_mut().extend(bytes.iter().map(|&byte| (byte, 0)));
        }
    }

    impl Chip for Fake {
        fn read(&self, register: Register) -> u8 {
            let mut received = self.received.borrow_mut();
            match register {
                Register::LineStatus => received.front().map_or(0, |(_, status)| status | DATA_READY),
                Register::Receiver => received.pop_front().map_or(0, |(byte, _)| byte),
                other => panic!("{other:?} is not to be read"),
            }
        }

        fn write(&self, register: Register, value: u8) {
            assert_eq!(register, Register::InterruptEnable);
            self.enabled.set(value);
        }
    }

    fn take(receiver: &mut Receiver, chip: &Fake, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let count = receiver.take(chip, &mut bytes);
        bytes.truncate(count);
        bytes
    }

    #[test]
    fn bytes_come_out_in_order() {
        let (chip, mut receiver) = (Fake::default(), Receiver::new());
        for round in 0..700_u16 {
            let [low, high] = round.to_le_bytes();
            chip.receive(&[low, high, 3]);
            assert_eq!(receiver.collect(&chip), 3);
            assert_eq!(take(&mut receiver, &chip, 2), [low, high]);
            assert_eq!(take(&mut receiver, &chip, 9), [3]);
        }
        assert_eq!(receiver.collect(&chip), 0);
    }

    #[test]
    fn a_full_ring_leaves_bytes_in_the_chip() {
        let (chip, mut receiver) = (Fake::default(), Receiver::new());
        chip.enabled.set(ON_RECEPTION);
        let all: Vec<u8> = (0..=u8::MAX).cycle().take(CAPACITY + 600).collect();
        chip.receive(&all);
        assert_eq!(receiver.collect(&chip), CAPACITY);
        assert_eq!((chip.enabled.get(), chip.received.borrow().len()), (0, 600));
        assert_eq!(take(&mut receiver, &chip, 100), all[..100]);
        assert_eq!(chip.enabled.get(), 0, "there is little room yet");
        let mut rest = take(&mut receiver, &chip, 500);
        assert_eq!(chip.enabled.get(), ON_RECEPTION);
        rest.extend(take(&mut receiver, &chip, 2000));
        assert_eq!(rest, all[100..]);
    }

    #[test]
    fn breaks_are_no_bytes_and_overruns_are_counted() {
        let (chip, mut receiver) = (Fake::default(), Receiver::new());
        chip.received.borrow_mut().extend([(b'a', OVERRUN), (0, BREAK), (b'b', 0)]);
        assert_eq!(receiver.collect(&chip), 2);
        assert_eq!((take(&mut receiver, &chip, 9), receiver.overruns()), (b"ab".to_vec(), 1));
    }

    #[test]
    fn an_empty_bus_gives_nothing() {
        struct Nothing;
        impl Chip for Nothing {
            fn read(&self, _: Register) -> u8 {
                ABSENT
            }
            fn write(&self, _: Register, _: u8) {}
        }
        assert_eq!(Receiver::new().collect(&Nothing), 0);
    }
}
