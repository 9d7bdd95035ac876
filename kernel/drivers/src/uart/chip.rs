//! The chip's registers.

use abi::Result;
use hal::port::{self, Port};

/// Ports of the chip.
pub(super) const PORTS: u16 = 8;

/// Registers, as the divisor latch is off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Register {
    /// The oldest byte received.
    Receiver = 0,
    /// Which interrupts are on.
    InterruptEnable = 1,
    /// Written: the FIFOs.
    FifoControl = 2,
    /// The modem's lines, and the gate of the interrupt.
    ModemControl = 4,
    /// What there is to do.
    LineStatus = 5,
    /// Keeps what it is told.
    Scratch = 7,
}

/// Interrupt enable: a byte was received.
pub(super) const ON_RECEPTION: u8 = 1;
/// FIFO control: on, an interrupt when eight bytes are in, or one for four bytes' time.
const FIFO_OF_EIGHT: u8 = 0x81;
/// Modem control: data terminal ready, request to send, and OUT2, which PCs use as the interrupt's gate.
const READY: u8 = 0x0b;
/// Line status: a byte is there.
pub(super) const DATA_READY: u8 = 1;
/// Line status: bytes were lost.
pub(super) const OVERRUN: u8 = 1 << 1;
/// Line status: the byte is a break.
pub(super) const BREAK: u8 = 1 << 4;
/// What an empty bus reads as.
pub(super) const ABSENT: u8 = u8::MAX;

/// A chip, or what a test takes for one.
pub(super) trait Chip {
    /// Reads a register.
    fn read(&self, register: Register) -> u8;

    /// Writes a register.
    fn write(&self, register: Register, value: u8);
}

/// The chip behind I/O ports.
#[derive(Debug)]
pub(super) struct Ports {
    registers: [Port<u8>; PORTS as usize],
}

impl Ports {
    pub(super) fn new(ports: port::Ports) -> Result<Self> {
        let first = ports.register(0)?;
        let mut registers = [first; PORTS as usize];
        for (offset, register) in (0..PORTS).zip(&mut registers) {
            *register = ports.register(offset)?;
        }
        Ok(Self { registers })
    }
}

impl Chip for Ports {
    fn read(&self, register: Register) -> u8 {
        self.registers[register as usize].read()
    }

    fn write(&self, register: Register, value: u8) {
        self.registers[register as usize].write(value);
    }
}

/// Whether the chip answers: its scratch register keeps what it is told.
pub(super) fn is_present(chip: &impl Chip) -> bool {
    [0x5a, 0xa5].into_iter().all(|value| {
        chip.write(Register::Scratch, value);
        chip.read(Register::Scratch) == value
    })
}

/// Lets the chip interrupt. What its FIFOs hold stays.
pub(super) fn enable(chip: &impl Chip) {
    chip.write(Register::FifoControl, FIFO_OF_EIGHT);
    chip.write(Register::ModemControl, READY);
    chip.write(Register::InterruptEnable, ON_RECEPTION);
}
