//! Serial lines as terminals: `/dev/ttyS0` to `ttyS3`, and a console that only prints where there is none.
//!
//! No lock but a few atomics that stand alone. A kernel thread a line takes what is received, so nothing of the
//! discipline runs in an interrupt. On the line that the kernel's log comes out of, a break and a key within five
//! seconds are for the kernel ([`sysrq`]).

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::file::device_number;
use abi::termios::{CLOCAL, CRTSCTS, HUPCL, IXOFF, TIOCM_DTR, TIOCM_RTS, VSTART, VSTOP};
use abi::{Errno, Result};
use drivers::uart::{Received, Uart};
use hal::context::Kind;
use hal::time::now_ns;
use logic::runq::Policy;
use logic::tty::{Damage, Termios};
use nucleus::sched::{self, Thread, Wait, WaitQueue};

use super::driver::{Change, Driver, Level, Wire};
use super::registry::CONSOLE;
use super::terminal::{Sort, Tty};
use super::{device, registry, sysrq};

/// `/dev/ttyS0`.
const FIRST: u64 = device_number(4, 64);
const NAMES: [&str; 4] = ["ttyS0", "ttyS1", "ttyS2", "ttyS3"];
/// What hal set the first one to, and every PC's port can.
const SPEED: u32 = 115_200;
const KEY_WITHIN_NS: u64 = 5_000_000_000;

/// The console of hal, which takes everything at once.
struct Printer;

impl Driver for Printer {
    fn room(&self) -> usize {
        usize::MAX
    }

    fn put(&self, bytes: &[u8]) {
        hal::console::write_raw(bytes);
    }
}

/// A port as a driver.
struct Serial {
    uart: &'static Uart,
    /// Of the settings: what flow control needs.
    iflag: AtomicU32,
    cflag: AtomicU32,
    /// VSTOP and VSTART, a byte each.
    keys: AtomicU32,
}

impl Serial {
    fn new(uart: &'static Uart, termios: &Termios) -> Self {
        let serial =
            Serial { uart, iflag: AtomicU32::new(0), cflag: AtomicU32::new(0), keys: AtomicU32::new(0) };
        serial.note(termios);
        serial
    }

    fn note(&self, termios: &Termios) {
        let key = |index: usize| u32::from(termios.cc.get(index).copied().unwrap_or_default());
        self.iflag.store(termios.iflag, Ordering::Relaxed);
        self.cflag.store(termios.cflag, Ordering::Relaxed);
        self.keys.store(key(VSTOP) | key(VSTART) << 8, Ordering::Relaxed);
    }

    /// Tells the other side to wait or to go on, by the ways that are set.
    fn ask(&self, change: Change) {
        let [stop, start, ..] = self.keys.load(Ordering::Relaxed).to_le_bytes();
        let is_full = change == Change::InputFull;
        if self.iflag.load(Ordering::Relaxed) & IXOFF != 0 {
            self.uart.put_urgent(if is_full { stop } else { start });
        }
        if self.cflag.load(Ordering::Relaxed) & CRTSCTS != 0 {
            let (set, clear) = if is_full { (0, TIOCM_RTS) } else { (TIOCM_RTS, 0) };
            self.uart.set_modem(set, clear);
        }
    }
}

impl Driver for Serial {
    fn room(&self) -> usize {
        self.uart.room()
    }

    fn put(&self, bytes: &[u8]) {
        self.uart.put(bytes);
    }

    fn discard(&self) {
        self.uart.discard();
    }

    fn kick(&self) {
        self.uart.kick();
    }

    fn pending(&self) -> usize {
        self.uart.pending()
    }

    fn is_drained(&self) -> bool {
        self.uart.is_idle()
    }

    fn sent(&self) -> Option<&WaitQueue> {
        Some(self.uart.sent())
    }

    fn set(&self, old: &Termios, new: &Termios) {
        self.note(new);
        if (old.cflag, old.ospeed) != (new.cflag, new.ospeed) {
            self.uart.set_line(new.cflag, new.ospeed);
        }
    }

    fn tell(&self, what: Change) {
        const READY: u32 = TIOCM_DTR | TIOCM_RTS;
        match what {
            Change::Opened => self.uart.set_modem(READY, 0),
            // The log goes on.
            Change::Closed if self.uart.is_console() => {}
            Change::Closed if self.cflag.load(Ordering::Relaxed) & HUPCL != 0 => {
                self.uart.set_modem(0, READY);
            }
            Change::InputFull | Change::InputRoom => self.ask(what),
            _ => {}
        }
    }

    fn wire(&self) -> Option<&dyn Wire> {
        Some(self)
    }
}

impl Wire for Serial {
    fn set_break(&self, level: Level) {
        match level {
            Level::Low => self.uart.begin_break(),
            Level::High => self.uart.end_break(),
        }
    }

    fn modem(&self) -> u32 {
        self.uart.modem()
    }

    fn set_modem(&self, set: u32, clear: u32) {
        self.uart.set_modem(set, clear);
    }
}

/// Finds the serial lines and makes terminals of them.
///
/// # Errors
/// ENOMEM.
pub(super) fn start() -> Result<()> {
    let uarts = drivers::uart::find(0)?;
    if !uarts.iter().any(|uart| uart.number() == 0) {
        nucleus::warning!("there is no serial port: the console only prints");
        let tty = Tty::new("console", CONSOLE, Sort::Line, Box::new(Printer), Termios::default())?;
        registry::add(&tty)?;
    }
    for uart in uarts {
        let Some(&name) = NAMES.get(uart.number()) else { continue };
        let speed = registry::asked_speed(name).unwrap_or(SPEED);
        let mut termios = Termios::default().with_speed(speed);
        termios.cflag |= CLOCAL;
        let number = FIRST + uart.number() as u64;
        let tty = Tty::new(name, number, Sort::Line, Box::new(Serial::new(uart, &termios)), termios)?;
        registry::add(&tty)?;
        device::add_node(name, number, 0o660)?;
        if !uart.is_console() || speed != SPEED {
            uart.set_line(termios.cflag, speed);
        }
        let feeder = Thread::new(name, Kind::Kernel, Policy::default(), move || feed(&tty, uart))?;
        sched::start(&feeder);
    }
    Ok(())
}

/// Takes what is received, for ever.
fn feed(tty: &Tty, uart: &'static Uart) {
    let mut bytes = [0; 512];
    let mut key_until_ns = None;
    loop {
        let received =
            uart.readable().block_until(Wait::UNINTERRUPTIBLE, || uart.read(&mut bytes).ok_or(Errno::EAGAIN));
        match received {
            Ok(Received::Bytes(count)) => {
                let mut taken = bytes.get(..count).unwrap_or_default();
                if let Some(until_ns) = key_until_ns.take()
                    && now_ns() < until_ns
                    && let Some((&key, rest)) = taken.split_first()
                {
                    sysrq::press(key);
                    taken = rest;
                }
                tty.receive_all(taken);
            }
            // A second break is one for programs.
            Ok(Received::Damaged(_, Damage::Break)) if uart.is_console() && key_until_ns.is_none() => {
                key_until_ns = Some(now_ns() + KEY_WITHIN_NS);
            }
            Ok(Received::Damaged(byte, damage)) => {
                key_until_ns = None;
                tty.receive_damaged(byte, damage);
            }
            Err(_) => {}
        }
    }
}
