//! Bytes to send between the program and the chip, and which interrupts are on.

use super::chip::{ABSENT, CTS, Chip, EMPTY, FIFO, ON_MODEM, Register};

/// A third of a second at full speed; a program waits when more is on its way.
pub(super) const CAPACITY: usize = 4096;
/// Reads of the status after which a byte is given up: a stuck chip must not stop the kernel.
const PATIENCE: u32 = 100_000;

/// A ring of bytes, and the register that both directions share.
#[derive(Debug)]
pub(super) struct Transmitter {
    bytes: [u8; CAPACITY],
    first: usize,
    len: usize,
    /// What goes before all else, even while the other side wants nothing: a key of flow control.
    urgent: Option<u8>,
    /// The other side wants nothing now (CTS).
    is_held: bool,
    /// The console sent it all; who waits for room has to hear of it, in an interrupt.
    owes_wake: bool,
    /// What the interrupt register holds.
    interrupts: u8,
}

impl Transmitter {
    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; CAPACITY],
            first: 0,
            len: 0,
            urgent: None,
            is_held: false,
            owes_wake: false,
            interrupts: 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn room(&self) -> usize {
        CAPACITY - self.len
    }

    /// Takes as many bytes as there is room for.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        let count = bytes.len().min(self.room());
        let start = (self.first + self.len) % CAPACITY;
        let first = count.min(CAPACITY - start);
        let (now, rest) = bytes.get(..count).unwrap_or_default().split_at(first);
        if let Some(place) = self.bytes.get_mut(start..start + now.len()) {
            place.copy_from_slice(now);
        }
        if let Some(place) = self.bytes.get_mut(..rest.len()) {
            place.copy_from_slice(rest);
        }
        self.len += count;
    }

    /// The next byte goes before all others.
    pub(super) fn put_urgent(&mut self, byte: u8) {
        self.urgent = Some(byte);
    }

    pub(super) fn discard(&mut self) {
        self.len = 0;
    }

    /// Sends only while the modem's status says that the other side takes bytes, if its lines interrupt; else always.
    pub(super) fn follow(&mut self, modem_status: u8) {
        self.is_held = self.follows_modem() && modem_status & CTS == 0;
    }

    /// Whether it goes by the modem's lines.
    const fn follows_modem(&self) -> bool {
        self.interrupts & ON_MODEM != 0
    }

    fn has_work(&self) -> bool {
        self.urgent.is_some() || self.len > 0 && !self.is_held
    }

    /// Gives the chip what it takes at once, no more than `most` bytes; says whether something is left that an
    /// interrupt shall go on with.
    pub(super) fn pump(&mut self, chip: &impl Chip, most: usize) -> bool {
        let mut left = most;
        while left > 0 && self.has_work() {
            let status = chip.read(Register::LineStatus);
            if status == ABSENT || status & EMPTY == 0 {
                break;
            }
            for _ in 0..FIFO.min(left) {
                let Some(byte) = self.next() else { break };
                chip.write(Register::Data, byte);
            }
            left = left.saturating_sub(FIFO);
        }
        self.has_work()
    }

    /// Sends everything, waiting for the chip.
    pub(super) fn drain(&mut self, chip: &impl Chip) {
        self.owes_wake |= self.len > 0;
        self.is_held = false;
        let mut patience = PATIENCE;
        while self.pump(chip, CAPACITY) && patience > 0 {
            core::hint::spin_loop();
            patience -= 1;
        }
    }

    /// Whether there is room that nobody was told of.
    pub(super) const fn owes_wake(&self) -> bool {
        self.owes_wake
    }

    /// Whether there was; now they are told.
    pub(super) fn take_owed_wake(&mut self) -> bool {
        core::mem::take(&mut self.owes_wake)
    }

    fn next(&mut self) -> Option<u8> {
        if let Some(byte) = self.urgent.take() {
            return Some(byte);
        }
        if self.len == 0 || self.is_held {
            return None;
        }
        let byte = self.bytes.get(self.first).copied();
        self.first = (self.first + 1) % CAPACITY;
        self.len -= 1;
        byte
    }

    /// Turns interrupts on and off, where that changes anything.
    pub(super) fn set_interrupts(&mut self, chip: &impl Chip, on: u8, off: u8) {
        let wanted = self.interrupts & !off | on;
        if wanted != self.interrupts {
            self.interrupts = wanted;
            chip.write(Register::InterruptEnable, wanted);
        }
    }

    /// Lets what interrupts now do so again: the line is an edge.
    pub(super) fn renew_interrupts(&self, chip: &impl Chip) {
        chip.write(Register::InterruptEnable, 0);
        chip.write(Register::InterruptEnable, self.interrupts);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;
    use crate::uart::chip::ON_EMPTY;

    /// A chip that takes so many bytes before its FIFO is full.
    #[derive(Default)]
    struct Fake {
        sent: RefCell<Vec<u8>>,
        fifos: Cell<usize>,
        enabled: RefCell<Vec<u8>>,
    }

    impl Chip for Fake {
        fn read(&self, register: Register) -> u8 {
            assert_eq!(register, Register::LineStatus);
            let fifos = self.fifos.get();
            self.fifos.set(fifos.saturating_sub(1));
            if fifos > 0 { EMPTY } else { 0 }
        }

        fn write(&self, register: Register, value: u8) {
            match register {
                Register::Data => self.sent.borrow_mut().push(value),
                Register::InterruptEnable => self.enabled.borrow_mut().push(value),
                other => panic!("{other:?} is not to be written"),
            }
        }
    }

    #[test]
    fn all_bytes_go_out_in_order_as_the_chip_takes_them() {
        let (chip, mut transmitter) = (Fake::default(), Transmitter::new());
        let all: Vec<u8> = (0..=u8::MAX).cycle().take(3 * CAPACITY).collect();
        let mut put = 0;
        while chip.sent.borrow().len() < all.len() {
            let before = transmitter.len();
            transmitter.put(&all[put..]);
            put += transmitter.len() - before;
            chip.fifos.set(3);
            transmitter.pump(&chip, 999);
        }
        assert_eq!(*chip.sent.borrow(), all);
        chip.fifos.set(9);
        assert!(!transmitter.pump(&chip, 999));
    }

    #[test]
    fn a_held_line_sends_only_what_is_urgent() {
        let (chip, mut transmitter) = (Fake::default(), Transmitter::new());
        chip.fifos.set(100);
        transmitter.set_interrupts(&chip, ON_MODEM, 0);
        transmitter.follow(0);
        transmitter.put(b"text");
        assert!(!transmitter.pump(&chip, 99));
        transmitter.put_urgent(0x13);
        assert!(!transmitter.pump(&chip, 99));
        assert_eq!(*chip.sent.borrow(), [0x13]);
        transmitter.follow(CTS);
        assert!(transmitter.pump(&chip, 3));
        transmitter.pump(&chip, 99);
        assert_eq!(*chip.sent.borrow(), b"\x13text");
    }

    #[test]
    fn a_stuck_chip_is_given_up() {
        let (chip, mut transmitter) = (Fake::default(), Transmitter::new());
        transmitter.put(b"never");
        transmitter.drain(&chip);
        assert_eq!(transmitter.len(), 5);
        transmitter.discard();
        assert_eq!(transmitter.room(), CAPACITY);
    }

    #[test]
    fn the_register_is_written_when_it_changes() {
        let (chip, mut transmitter) = (Fake::default(), Transmitter::new());
        transmitter.set_interrupts(&chip, ON_EMPTY | 1, 0);
        transmitter.set_interrupts(&chip, 1, 0);
        transmitter.set_interrupts(&chip, 0, ON_EMPTY);
        transmitter.renew_interrupts(&chip);
        assert_eq!(*chip.enabled.borrow(), [3, 1, 0, 1]);
    }
}
