//! Serial lines as terminals: `/dev/ttyS0`, and a console that only prints where there is none.
//!
//! No lock. A kernel thread a line takes what is received, so nothing of the discipline runs in an interrupt.

use alloc::boxed::Box;

use abi::file::device_number;
use abi::{Errno, Result};
use drivers::uart::Uart;
use hal::context::Kind;
use logic::runq::Policy;
use logic::tty::Termios;
use nucleus::sched::{self, Thread, Wait};

use super::driver::Driver;
use super::registry::CONSOLE;
use super::terminal::{Sort, Tty};
use super::{device, registry};

/// `/dev/ttyS0`.
const FIRST: u64 = device_number(4, 64);

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

/// Finds the serial lines and makes terminals of them.
///
/// # Errors
/// ENOMEM.
pub(super) fn start() -> Result<()> {
    let Ok(uart) = drivers::uart::start(0) else {
        nucleus::warning!("there is no serial port: the console only prints");
        let tty = Tty::new("console", CONSOLE, Sort::Line, Box::new(Printer), Termios::default())?;
        return registry::add(&tty);
    };
    let tty = Tty::new("ttyS0", FIRST, Sort::Line, Box::new(Printer), Termios::default())?;
    registry::add(&tty)?;
    device::add_node("ttyS0", FIRST, 0o660)?;
    let feeder = Thread::new("ttyS0", Kind::Kernel, Policy::default(), move || feed(&tty, uart))?;
    sched::start(&feeder);
    Ok(())
}

/// Takes what is received, for ever.
fn feed(tty: &Tty, uart: &'static Uart) {
    let mut bytes = [0; 256];
    loop {
        let received = uart.readable().block_until(Wait::UNINTERRUPTIBLE, || match uart.read(&mut bytes) {
            0 => Err(Errno::EAGAIN),
            count => Ok(count),
        });
        if let Ok(count) = received {
            tty.receive_all(bytes.get(..count).unwrap_or_default());
        }
    }
}
