//! Received bytes between the interrupt and the thread that takes them.

use logic::tty::Damage;

use super::chip::{ABSENT, BREAK, Chip, DAMAGED, DATA_READY, OVERRUN, Register};

/// More than anybody types, and than the chip receives in 80 ms at full speed.
const CAPACITY: usize = 1024;
/// Bytes after which an interrupt ends, should the chip never run dry.
const PATIENCE: usize = 2 * CAPACITY;

/// What is beside a byte in the ring.
const IS_BREAK: u16 = 1 << 8;
const IS_DAMAGED: u16 = 1 << 9;

/// What was received next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Received {
    /// So many bytes without a fault.
    Bytes(usize),
    /// A byte that came to harm, or a break, which is a zero that nobody sent.
    Damaged(u8, Damage),
}

/// A ring of bytes.
#[derive(Debug)]
pub(super) struct Receiver {
    bytes: [u16; CAPACITY],
    first: usize,
    len: usize,
    /// The ring is full: bytes stay in the chip, whose interrupt must be off.
    is_paused: bool,
    /// How often the chip lost bytes.
    overruns: u64,
}

impl Receiver {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; CAPACITY], first: 0, len: 0, is_paused: false, overruns: 0 }
    }

    /// Moves what the chip has into the ring; returns how many bytes. The interrupt is an edge, so the chip must be
    /// empty afterwards or its interrupt off: then [`Receiver::is_paused`].
    pub(super) fn collect(&mut self, chip: &impl Chip) -> usize {
        let before = self.len;
        for _ in 0..PATIENCE {
            let status = chip.read(Register::LineStatus);
            if status == ABSENT || status & DATA_READY == 0 {
                break;
            }
            if self.len == CAPACITY {
                self.is_paused = true;
                break;
            }
            let byte = u16::from(chip.read(Register::Data));
            self.overruns += u64::from(status & OVERRUN != 0);
            // A break also lacks its stop bit.
            let marks = if status & BREAK != 0 {
                IS_BREAK
            } else if status & DAMAGED != 0 {
                IS_DAMAGED
            } else {
                0
            };
            self.push(byte | marks);
        }
        self.len - before
    }

    /// Takes bytes out, up to one that is damaged; `None` if there is nothing. When that makes room again, takes more
    /// from the chip.
    pub(super) fn take(&mut self, chip: &impl Chip, out: &mut [u8]) -> Option<Received> {
        let mut count = 0;
        let mut damaged = None;
        while self.len > 0 && count < out.len() {
            let word = self.bytes.get(self.first).copied().unwrap_or_default();
            let [byte, marks] = word.to_le_bytes();
            if marks != 0 && count > 0 {
                break;
            }
            self.first = (self.first + 1) % CAPACITY;
            self.len -= 1;
            if marks != 0 {
                damaged = Some((byte, if word & IS_BREAK != 0 { Damage::Break } else { Damage::Parity }));
                break;
            }
            if let Some(place) = out.get_mut(count) {
                *place = byte;
            }
            count += 1;
        }
        if self.is_paused && self.len <= CAPACITY / 2 {
            self.is_paused = false;
            self.collect(chip);
        }
        match damaged {
            Some((byte, damage)) => Some(Received::Damaged(byte, damage)),
            None => (count > 0).then_some(Received::Bytes(count)),
        }
    }

    /// Whether the chip must not interrupt for received bytes.
    pub(super) const fn is_paused(&self) -> bool {
        self.is_paused
    }

    pub(super) const fn overruns(&self) -> u64 {
        self.overruns
    }

    fn push(&mut self, word: u16) {
        if let Some(place) = self.bytes.get_mut((self.first + self.len) % CAPACITY) {
            *place = word;
            self.len += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use super::*;

    /// A chip that received these bytes, each with its status.
    #[derive(Default)]
    struct Fake {
        received: RefCell<VecDeque<(u8, u8)>>,
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
                Register::Data => received.pop_front().map_or(0, |(byte, _)| byte),
                other => panic!("{other:?} is not to be read"),
            }
        }

        fn write(&self, register: Register, _value: u8) {
            panic!("{register:?} is not to be written");
        }
    }

    fn take(receiver: &mut Receiver, chip: &Fake, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        match receiver.take(chip, &mut bytes) {
            Some(Received::Bytes(count)) => bytes.truncate(count),
            None => bytes.clear(),
            Some(damaged) => panic!("{damaged:?}"),
        }
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
        let all: Vec<u8> = (0..=u8::MAX).cycle().take(CAPACITY + 600).collect();
        chip.receive(&all);
        assert_eq!(receiver.collect(&chip), CAPACITY);
        assert_eq!((receiver.is_paused(), chip.received.borrow().len()), (true, 600));
        assert_eq!(take(&mut receiver, &chip, 100), all[..100]);
        assert!(receiver.is_paused(), "there is little room yet");
        let mut rest = take(&mut receiver, &chip, 500);
        assert!(!receiver.is_paused());
        rest.extend(take(&mut receiver, &chip, 2000));
        assert_eq!(rest, all[100..]);
    }

    #[test]
    fn breaks_and_damage_stand_alone_and_overruns_are_counted() {
        let (chip, mut receiver) = (Fake::default(), Receiver::new());
        let marked = [(b'a', OVERRUN), (0, BREAK | DAMAGED), (b'b', 0), (b'c', DAMAGED)];
        chip.received.borrow_mut().extend(marked);
        assert_eq!(receiver.collect(&chip), 4);
        assert_eq!((take(&mut receiver, &chip, 9), receiver.overruns()), (b"a".to_vec(), 1));
        let mut bytes = [0; 9];
        assert_eq!(receiver.take(&chip, &mut bytes), Some(Received::Damaged(0, Damage::Break)));
        assert_eq!(take(&mut receiver, &chip, 9), b"b");
        assert_eq!(receiver.take(&chip, &mut bytes), Some(Received::Damaged(b'c', Damage::Parity)));
        assert_eq!(receiver.take(&chip, &mut bytes), None);
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
