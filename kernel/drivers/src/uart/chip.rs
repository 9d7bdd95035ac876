//! The chip's registers.

use abi::Result;
use hal::port::{self, Port};

/// Ports of the chip.
pub(super) const PORTS: u16 = 8;

/// Registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Register {
    /// Read: the oldest byte received. Written: a byte to send. With the latch on, the divisor's low byte.
    Data = 0,
    /// Which interrupts are on. With the latch on, the divisor's high byte.
    InterruptEnable = 1,
    /// Read: what interrupts. Written: the FIFOs.
    FifoControl = 2,
    /// Bits of a byte, parity, break, and the divisor's latch.
    LineControl = 3,
    /// The modem's lines, and the gate of the interrupt.
    ModemControl = 4,
    /// What there is to do.
    LineStatus = 5,
    /// The modem's lines to us.
    ModemStatus = 6,
    /// Keeps what it is told.
    Scratch = 7,
}

/// Interrupt enable: a byte was received.
pub(super) const ON_RECEPTION: u8 = 1;
/// Interrupt enable: the transmitter is empty.
pub(super) const ON_EMPTY: u8 = 1 << 1;
/// Interrupt enable: a line of the modem changed.
pub(super) const ON_MODEM: u8 = 1 << 3;
/// Interrupt identification: nothing interrupts.
pub(super) const NOTHING: u8 = 1;
/// FIFO control: on, an interrupt when eight bytes are in, or one for four bytes' time.
const FIFO_OF_EIGHT: u8 = 0x81;
/// Bytes that the transmitter's FIFO takes when it is empty.
pub(super) const FIFO: usize = 16;
/// Line control: the divisor's latch is on.
const LATCH: u8 = 1 << 7;
/// Line control: the line is held down.
const BREAK_ON: u8 = 1 << 6;
/// Modem control: data terminal ready.
pub(super) const DTR: u8 = 1;
/// Modem control: request to send.
pub(super) const RTS: u8 = 1 << 1;
/// Modem control: OUT2, which PCs use as the interrupt's gate.
const OUT2: u8 = 1 << 3;
/// Modem control: what programs may set.
const SETTABLE: u8 = 0x17;
/// Modem status: clear to send.
pub(super) const CTS: u8 = 1 << 4;
/// Line status: a byte is there.
pub(super) const DATA_READY: u8 = 1;
/// Line status: bytes were lost.
pub(super) const OVERRUN: u8 = 1 << 1;
/// Line status: wrong parity, or no stop bit.
pub(super) const DAMAGED: u8 = 3 << 2;
/// Line status: the byte is a break.
pub(super) const BREAK: u8 = 1 << 4;
/// Line status: the transmitter's FIFO is empty.
pub(super) const EMPTY: u8 = 1 << 5;
/// Line status: the last bit is sent, too.
pub(super) const IDLE: u8 = 1 << 6;
/// Bits a second with divisor 1.
const FASTEST: u32 = 115_200;
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

/// Turns the FIFOs on and the interrupt's gate. What the FIFOs hold stays.
pub(super) fn prepare(chip: &impl Chip) {
    chip.write(Register::FifoControl, FIFO_OF_EIGHT);
    chip.write(Register::ModemControl, DTR | RTS | OUT2);
}

/// Sets speed and form of what is sent, and the modem's lines: `speed` 0 hangs up.
pub(super) fn set_form(chip: &impl Chip, form: u8, speed: u32) {
    let divisor = (FASTEST / speed.clamp(2, FASTEST)).clamp(1, 0xffff);
    let [low, high, ..] = divisor.to_le_bytes();
    chip.write(Register::LineControl, form | LATCH);
    chip.write(Register::Data, low);
    chip.write(Register::InterruptEnable, high);
    chip.write(Register::LineControl, form);
}

/// Holds the line down.
pub(super) fn begin_break(chip: &impl Chip) {
    chip.write(Register::LineControl, chip.read(Register::LineControl) | BREAK_ON);
}

/// Lets it go.
pub(super) fn end_break(chip: &impl Chip) {
    chip.write(Register::LineControl, chip.read(Register::LineControl) & !BREAK_ON);
}

/// Sets and clears lines to the modem, of those that programs may set.
pub(super) fn change_modem(chip: &impl Chip, set: u8, clear: u8) {
    let old = chip.read(Register::ModemControl);
    chip.write(Register::ModemControl, old & !(clear & SETTABLE) | set & SETTABLE);
}
