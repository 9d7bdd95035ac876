//! Serial ports, 16550 with FIFOs: both directions by interrupt (National Semiconductor PC16550D data sheet).
//!
//! [`find`] finds the four of a PC. A thread of the tty takes what came with [`Uart::read`] and sleeps on
//! [`Uart::readable`]; what is [`Uart::put`] goes out after [`Uart::kick`], at once as far as the chip takes it, the rest
//! by interrupt; who waits for room sleeps on [`Uart::sent`]. When nobody reads, bytes stay in the chip, and an emulator
//! keeps them from being lost. The first port is also hal's console: the log waits for what is on its way and then
//! prints by itself ([`hal::console::Port`]).
//! Locks, both spin locks that the top half takes: `Device` around the receiver; `Console`, within it, around the
//! transmitter and the interrupt register. Queues are woken without.

mod chip;
mod receiver;
mod transmitter;

use alloc::boxed::Box;
use alloc::vec::Vec;

use abi::termios::{
    CMSPAR, CRTSCTS, CSIZE, CSTOPB, PARENB, PARODD, TIOCM_CAR, TIOCM_CTS, TIOCM_DSR, TIOCM_DTR, TIOCM_LOOP,
    TIOCM_OUT1, TIOCM_OUT2, TIOCM_RNG, TIOCM_RTS,
};
use abi::{Errno, Result};
use hal::spin::Lock;
use hal::{console, port, rank};
use nucleus::irq::{self, IrqHandler};
use nucleus::sched::WaitQueue;

use chip::{Chip, DTR, IDLE, NOTHING, ON_EMPTY, ON_MODEM, ON_RECEPTION, Ports, RTS, Register};
pub use receiver::Received;
use receiver::Receiver;
use transmitter::{CAPACITY, Transmitter};

/// First port and interrupt of COM1 to COM4.
const PLACES: [(u16, u8); 4] = [(0x3f8, 4), (0x2f8, 3), (0x3e8, 4), (0x2e8, 3)];
/// Bytes that go out at once with the lock held.
const AT_ONCE: usize = 128;
/// Looks at all ports of an interrupt before it is given a new edge.
const ROUNDS: usize = 8;

/// A serial port.
pub struct Uart {
    number: usize,
    ports: Ports,
    receiver: Lock<Receiver, rank::Device>,
    transmitter: Lock<Transmitter, rank::Console>,
    readable: WaitQueue,
    sent: WaitQueue,
}

/// The ports of one interrupt, which is an edge: all must be quiet at one moment for another to come.
struct Shared(Vec<&'static Uart>);

/// What a top half found.
#[derive(Clone, Copy, Default)]
struct Served {
    is_pending: bool,
    has_received: bool,
    has_room: bool,
}

/// Finds the serial ports and lets them interrupt CPU `cpu`. To be called once; hal has set the first one's speed.
///
/// # Errors
/// ENOMEM.
pub fn find(cpu: usize) -> Result<Vec<&'static Uart>> {
    let mut found: Vec<&'static Uart> = Vec::new();
    found.try_reserve_exact(PLACES.len()).map_err(|_| Errno::ENOMEM)?;
    for (number, (first, _)) in PLACES.into_iter().enumerate() {
        let Ok(ports) = port::claim(first, chip::PORTS).and_then(Ports::new) else { continue };
        if chip::is_present(&ports) {
            found.push(Box::leak(Box::new(Uart::new(number, ports))));
        }
    }
    for interrupt in [4, 3] {
        let is_its = |uart: &&'static Uart| PLACES.get(uart.number).is_some_and(|place| place.1 == interrupt);
        let uarts: Vec<&'static Uart> = found.iter().copied().filter(is_its).collect();
        if uarts.is_empty() {
            continue;
        }
        let shared: &'static Shared = Box::leak(Box::new(Shared(uarts)));
        if irq::connect_isa(interrupt, cpu, shared).is_err() {
            found.retain(|uart| !is_its(uart));
            continue;
        }
        shared.0.iter().for_each(|uart| uart.start());
        // What was typed until now may have made its interrupt before there was a handler.
        shared.interrupt();
    }
    if let Some(first) = found.iter().find(|uart| uart.number == 0) {
        console::set_port(*first);
    }
    Ok(found)
}

impl Uart {
    fn new(number: usize, ports: Ports) -> Self {
        Uart {
            number,
            ports,
            receiver: Lock::new(Receiver::new()),
            transmitter: Lock::new(Transmitter::new()),
            readable: WaitQueue::new(),
            sent: WaitQueue::new(),
        }
    }

    fn start(&self) {
        chip::prepare(&self.ports);
        self.transmitter.lock().set_interrupts(&self.ports, ON_RECEPTION, 0);
    }

    /// COM1 is 0.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Whether the kernel's log comes out here.
    pub fn is_console(&self) -> bool {
        self.number == 0
    }

    /// Takes what was received, as far as it fits; `None` if nothing was.
    pub fn read(&self, out: &mut [u8]) -> Option<Received> {
        let mut receiver = self.receiver.lock();
        let received = receiver.take(&self.ports, out);
        self.pause_or_go_on(&receiver);
        received
    }

    /// Lets the chip interrupt for received bytes, if there is room for them.
    fn pause_or_go_on(&self, receiver: &Receiver) {
        let (on, off) = if receiver.is_paused() { (0, ON_RECEPTION) } else { (ON_RECEPTION, 0) };
        self.transmitter.lock().set_interrupts(&self.ports, on, off);
    }

    /// How often bytes were lost because nobody took them.
    pub fn overruns(&self) -> u64 {
        self.receiver.lock().overruns()
    }

    /// Who waits for bytes.
    pub const fn readable(&self) -> &WaitQueue {
        &self.readable
    }

    /// Who waits for room, or for the end of the output.
    pub const fn sent(&self) -> &WaitQueue {
        &self.sent
    }

    /// How many bytes can be put.
    pub fn room(&self) -> usize {
        self.transmitter.lock().room()
    }

    /// How many bytes are not sent yet.
    pub fn pending(&self) -> usize {
        CAPACITY - self.room()
    }

    /// Whether the last bit is sent.
    pub fn is_idle(&self) -> bool {
        let transmitter = self.transmitter.lock();
        transmitter.len() == 0 && self.ports.read(Register::LineStatus) & IDLE != 0
    }

    /// Takes bytes to send, for which there is room.
    pub fn put(&self, bytes: &[u8]) {
        self.transmitter.lock().put(bytes);
    }

    /// Sends a byte before all others.
    pub fn put_urgent(&self, byte: u8) {
        self.transmitter.lock().put_urgent(byte);
        self.kick();
    }

    /// Forgets what is not sent yet.
    pub fn discard(&self) {
        self.transmitter.lock().discard();
    }

    /// Begins to send.
    pub fn kick(&self) {
        let mut transmitter = self.transmitter.lock();
        self.pump(&mut transmitter);
        let is_empty = transmitter.len() == 0;
        drop(transmitter);
        if is_empty && !self.sent.is_empty() {
            self.sent.wake_all();
        }
    }

    fn pump(&self, transmitter: &mut Transmitter) {
        let has_more = transmitter.pump(&self.ports, AT_ONCE);
        let (on, off) = if has_more { (ON_EMPTY, 0) } else { (0, ON_EMPTY) };
        transmitter.set_interrupts(&self.ports, on, off);
    }

    /// Sets the speed in bits a second, and bits, parity, stop bits and flow control as `c_cflag` has them. Speed 0 lets
    /// the modem hang up.
    pub fn set_line(&self, cflag: u32, speed: u32) {
        let [bits, ..] = ((cflag & CSIZE) >> 4).to_le_bytes();
        let flag = |flag: u32, bit: u8| if cflag & flag != 0 { bit } else { 0 };
        let is_odd = cflag & PARODD != 0;
        let form = bits
            | flag(CSTOPB, 1 << 2)
            | flag(PARENB, 1 << 3)
            | if is_odd { 0 } else { flag(PARENB, 1 << 4) }
            | flag(CMSPAR, 1 << 5);
        // Both: with the latch on, the registers for bytes are others.
        let receiver = self.receiver.lock();
        let mut transmitter = self.transmitter.lock();
        if speed == 0 {
            chip::change_modem(&self.ports, 0, DTR | RTS);
        } else {
            // The latch covers the interrupt register.
            transmitter.set_interrupts(&self.ports, 0, u8::MAX);
            chip::set_form(&self.ports, form, speed);
            chip::change_modem(&self.ports, DTR | RTS, 0);
        }
        let (on, off) = if cflag & CRTSCTS != 0 { (ON_MODEM, 0) } else { (0, ON_MODEM) };
        transmitter.set_interrupts(&self.ports, on, off);
        transmitter.follow(self.ports.read(Register::ModemStatus));
        self.pump(&mut transmitter);
        drop(transmitter);
        self.pause_or_go_on(&receiver);
    }

    /// Holds the line down.
    pub fn begin_break(&self) {
        let _alone = self.transmitter.lock();
        chip::begin_break(&self.ports);
    }

    /// Lets it go.
    pub fn end_break(&self) {
        let _alone = self.transmitter.lock();
        chip::end_break(&self.ports);
    }

    /// The modem's lines as `TIOCM_` bits.
    pub fn modem(&self) -> u32 {
        const OURS: [(u8, u32); 5] =
            [(1, TIOCM_DTR), (2, TIOCM_RTS), (4, TIOCM_OUT1), (8, TIOCM_OUT2), (16, TIOCM_LOOP)];
        const THEIRS: [(u8, u32); 4] =
            [(1 << 4, TIOCM_CTS), (1 << 5, TIOCM_DSR), (1 << 6, TIOCM_RNG), (1 << 7, TIOCM_CAR)];
        let _alone = self.transmitter.lock();
        let control = self.ports.read(Register::ModemControl);
        let status = self.ports.read(Register::ModemStatus);
        let sum = |register: u8, bits: &[(u8, u32)]| {
            bits.iter().filter(|(bit, _)| register & bit != 0).fold(0, |sum, (_, flag)| sum | flag)
        };
        sum(control, &OURS) | sum(status, &THEIRS)
    }

    /// Sets and clears some of them; OUT2 is the interrupt's gate and stays.
    pub fn set_modem(&self, set: u32, clear: u32) {
        const OURS: [(u32, u8); 4] = [(TIOCM_DTR, 1), (TIOCM_RTS, 2), (TIOCM_OUT1, 4), (TIOCM_LOOP, 16)];
        let bits = |flags: u32| {
            OURS.iter().filter(|(flag, _)| flags & flag != 0).fold(0, |bits, (_, bit)| bits | bit)
        };
        let _alone = self.transmitter.lock();
        chip::change_modem(&self.ports, bits(set), bits(clear));
    }

    /// The top half, once.
    fn serve(&self) -> Served {
        let is_pending = self.ports.read(Register::FifoControl) & NOTHING == 0;
        let mut receiver = self.receiver.lock();
        let has_received = receiver.collect(&self.ports) != 0;
        self.pause_or_go_on(&receiver);
        drop(receiver);
        let mut transmitter = self.transmitter.lock();
        let before = transmitter.len();
        // Reading also says that the change was seen.
        transmitter.follow(self.ports.read(Register::ModemStatus));
        self.pump(&mut transmitter);
        let has_sent = transmitter.take_owed_wake() || transmitter.len() < before;
        let has_room = has_sent && transmitter.len() <= CAPACITY / 2;
        Served { is_pending, has_received, has_room }
    }
}

impl IrqHandler for Shared {
    fn interrupt(&self) {
        for round in 0..=ROUNDS {
            let mut is_quiet = true;
            for uart in &self.0 {
                let served = uart.serve();
                is_quiet &= !served.is_pending;
                if served.has_received {
                    uart.readable.wake_all();
                }
                if served.has_room {
                    uart.sent.wake_all();
                }
                if round == ROUNDS {
                    uart.transmitter.lock().renew_interrupts(&uart.ports);
                }
            }
            if is_quiet {
                return;
            }
        }
    }
}

impl console::Port for Uart {
    fn hold(&self, print: &mut dyn FnMut()) {
        let mut transmitter = self.transmitter.lock();
        transmitter.drain(&self.ports);
        transmitter.set_interrupts(&self.ports, 0, ON_EMPTY);
        print();
        if transmitter.owes_wake() {
            transmitter.set_interrupts(&self.ports, ON_EMPTY, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_ports_has_none() {
        assert_eq!(find(0).map(|found| found.len()), Ok(0));
    }
}
