//! Virtual consoles: six terminals on one display and one keyboard (docs/consoles.md).
//!
//! A [`console::Console`] is a `logic::screen` behind a terminal. What programs write changes cells only; one thread
//! ([`draw`]) turns what changed into pixels, at most sixty times a second, so that output never waits for the display.
//! The thread also shows the kernel log, and types the terminal's answers.
//! Locks: `Display` (sleeping), around the painter; `Screen` (sleeping), around the cells of one console, taken under
//! `Stream` and `Display`. Modules, lowest first:
//! - [`console`]: one console.
//! - [`last_words`]: a panic, over whatever is shown.
//! - [`framebuffer`]: the display as memory, `/dev/fb0`.
//! - [`draw`]: the thread that draws.
//! - [`control`]: requests (ioctl(2)).
//! - [`keyboard`]: from keys to the terminal that is shown.

mod console;
mod last_words;
mod framebuffer;
mod draw;
mod control;
mod keyboard;

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use abi::file::device_number;
use abi::termios::IUTF8;
use abi::{Errno, Result};
use alloc::boxed::Box;
use alloc::sync::Arc;
use drivers::display::{self, Found, TextMode};
use drivers::ps2;
use hal::boot::BootInfo;
use hal::rank;
use hal::spin::Once;
use logic::cmdline::{self, BootOptions};
use logic::screen::font;
use logic::screen::paint::Painter;
use logic::tty::Termios;
use nucleus::sched::{Mutex, WaitQueue};
use nucleus::warning;

use crate::input;
use crate::tty::terminal::Tty;
use crate::tty::{Sort, device, registry};
use console::Console;

/// Consoles that Alt and a function key reach.
const COUNT: usize = 6;
/// The picture asked for where the display can choose.
const PICTURE: (u16, u16) = (1024, 768);
/// Linux's major number of consoles; minor 0 is the one that is shown.
const MAJOR: u32 = 4;
const NAMES: [&str; COUNT] = ["tty1", "tty2", "tty3", "tty4", "tty5", "tty6"];

/// All consoles, and what shows them.
struct Consoles {
    display: Found,
    /// Lines and columns of each screen.
    size: (u16, u16),
    painter: Mutex<Painter, rank::Display>,
    all: [Console; COUNT],
    /// Which is shown.
    active: AtomicUsize,
    /// Something is to be drawn.
    is_dirty: AtomicBool,
    drawing: WaitQueue,
    /// Woken when another is shown.
    switched: WaitQueue,
}

static CONSOLES: Once<Consoles> = Once::new();

/// Finds a display, and makes terminals of it. A machine without one has none, and that is not an error.
///
/// # Errors
/// ENOMEM.
pub(crate) fn init(boot: &'static BootInfo) -> Result<()> {
    let Some(display) = display::find(boot.framebuffer, PICTURE) else { return Ok(()) };
    let size = match &display {
        Found::Pixels(picture) => {
            picture.fill(0);
            (cells(picture.height(), font::HEIGHT), cells(picture.width(), font::WIDTH))
        }
        Found::Text(_) => (TextMode::ROWS, TextMode::COLUMNS),
    };
    let painter = Mutex::new(Painter::try_new(size.0, size.1)?);
    let consoles = CONSOLES.call_once(|| Consoles {
        display,
        size,
        painter,
        all: core::array::from_fn(Console::new),
        active: AtomicUsize::new(0),
        is_dirty: AtomicBool::new(true),
        drawing: WaitQueue::new(),
        switched: WaitQueue::new(),
    });
    // What is typed and erased is UTF-8.
    let start = Termios::default();
    let termios = Termios { iflag: start.iflag | IUTF8, ..start };
    for console in &consoles.all {
        let number = device_number(MAJOR, u32::try_from(console.index + 1).map_err(|_| Errno::EINVAL)?);
        let name = NAMES.get(console.index).copied().ok_or(Errno::EINVAL)?;
        let tty = Tty::new(name, number, Sort::Line, Box::new(console::Port(console)), termios)?;
        tty.resize(console::window(size));
        registry::add(&tty)?;
        device::add_node(name, number, 0o620)?;
        console.tty.call_once(|| tty);
    }
    registry::add_alias("tty0", device_number(MAJOR, 0), shown)?;
    device::add_node("tty0", device_number(MAJOR, 0), 0o620)?;
    last_words::init();
    framebuffer::register(consoles)?;
    draw::start(consoles, log_destination(boot))?;
    start_devices(consoles, boot)
}

/// Keyboard and mouse. A machine may have none.
fn start_devices(consoles: &'static Consoles, boot: &'static BootInfo) -> Result<()> {
    let Ok(controller) = ps2::start(0) else {
        warning!("there is no PS/2 keyboard; the consoles only show");
        return Ok(());
    };
    input::register(&input::KEYBOARD_AND_MOUSE)?;
    let mut words = cmdline::words(boot.command_line.as_str());
    let layout = words.find(|word| word.is_named(keyboard::LAYOUT_WORD)).and_then(|word| word.value);
    keyboard::start(consoles, controller, layout)?;
    input::start_mouse(controller)
}

/// The longest side a screen has: rows that fit, at most a thousand.
fn cells(pixels: usize, each: usize) -> u16 {
    u16::try_from((pixels / each).clamp(2, 1000)).unwrap_or(2)
}

/// Whether the kernel log is shown: if `console=` names a console that is shown, or names nothing.
fn log_destination(boot: &BootInfo) -> draw::Log {
    let options = BootOptions::parse(boot.command_line.as_str());
    let is_console = |name: &str| name.strip_prefix("tty").is_some_and(|rest| rest.parse::<u8>().is_ok());
    let mut named = options.consoles().peekable();
    if named.peek().is_none() || named.any(|console| is_console(console.name)) {
        draw::Log::Shown
    } else {
        draw::Log::Elsewhere
    }
}

/// The terminal of the console that is shown: `/dev/tty0`.
fn shown() -> Result<Arc<Tty>> {
    CONSOLES.get().and_then(|consoles| consoles.shown().tty.get().cloned()).ok_or(Errno::ENXIO)
}

impl Consoles {
    fn shown(&self) -> &Console {
        let [first, ..] = &self.all;
        self.all.get(self.active.load(Ordering::Acquire)).unwrap_or(first)
    }

    /// Shows another console.
    fn activate(&self, index: usize) -> Result<()> {
        let console = self.all.get(index).ok_or(Errno::ENXIO)?;
        console.prepare(self.size)?;
        if self.active.swap(index, Ordering::AcqRel) != index {
            console.with_screen(|screen| screen.damage_all());
            self.draw_soon();
            self.switched.wake_all();
        }
        Ok(())
    }

    /// Lets the thread draw.
    fn draw_soon(&self) {
        if !self.is_dirty.swap(true, Ordering::AcqRel) {
            self.drawing.wake_all();
        }
    }
}

/// What happens to cells of a console that is not shown: nothing is drawn.
fn report_missing_memory(index: usize) {
    warning!("there is no memory for the screen of tty{}", index + 1);
}
