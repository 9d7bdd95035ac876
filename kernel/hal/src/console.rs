//! The console: bytes out, nothing in. Serves the log, the panic screen, and terminals on the same serial line.
//!
//! One lock (rank `Console`) keeps lines of different CPUs apart, later that of the driver which sends by interrupt on the
//! same line; a panic breaks it open.

use core::fmt;

use crate::arch;
use crate::rank;
use crate::spin::{Lock, Once};

/// A driver that sends on the line which the console prints on.
pub trait Port: Sync {
    /// Sends what is on its way, then calls `print` and sends nothing meanwhile. Its lock has the rank `Console`.
    fn hold(&self, print: &mut dyn FnMut());
}

static PORT: Once<&'static dyn Port> = Once::new();
static OUTPUT: Lock<(), rank::Console> = Lock::new(());
/// Who else shows the last words.
static MIRROR: Once<fn(&[u8])> = Once::new();

/// Gives what is printed without the lock, the words of a panic, to `show` too. It takes no lock and does not allocate.
pub fn set_mirror(show: fn(&[u8])) {
    MIRROR.call_once(|| show);
}

/// Says that a driver sends on the console's line from now on.
pub fn set_port(port: &'static dyn Port) {
    PORT.call_once(|| port);
}

fn alone(mut print: impl FnMut()) {
    if let Some(port) = PORT.get() {
        port.hold(&mut print);
    } else {
        let _whole = OUTPUT.lock();
        print();
    }
}

/// Writes text, whole, before another CPU may write.
pub fn write(text: &[u8]) {
    alone(|| arch::console::put(text));
}

/// Writes a terminal's output, which gets no carriage returns but its own.
pub fn write_raw(bytes: &[u8]) {
    alone(|| arch::console::put_raw(bytes));
}

/// Writes formatted text as one piece.
pub fn print(arguments: fmt::Arguments<'_>) {
    // The writer below cannot fail, and a `Display` that does has nothing better to print.
    alone(|| {
        let _ = fmt::write(&mut Unlocked, arguments);
    });
}

/// Writes without the lock: for panics, when its holder may be the one that failed.
pub fn print_unlocked(arguments: fmt::Arguments<'_>) {
    // As in `print`.
    let _ = fmt::write(&mut Mirrored, arguments);
}

struct Mirrored;

impl fmt::Write for Mirrored {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        arch::console::put(text.as_bytes());
        if let Some(show) = MIRROR.get() {
            show(text.as_bytes());
        }
        Ok(())
    }
}

struct Unlocked;

impl fmt::Write for Unlocked {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        arch::console::put(text.as_bytes());
        Ok(())
    }
}
