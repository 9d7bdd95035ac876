//! The thread that draws: cells that changed, the kernel log, the terminal's answers, the bell.
//!
//! It looks at most sixty times a second, however much is written: what scrolled by in between costs nothing. Locks:
//! `Display` around the painter, and `Screen` under it for as long as the cells that changed are drawn.

use core::fmt::{self, Write};
use core::sync::atomic::Ordering;

use abi::{Errno, Result};
use drivers::display::{Found, TextMode};
use hal::context::Kind;
use hal::time::now_ns;
use logic::runq::Policy;
use logic::screen::paint::{self, Painter};
use logic::screen::{CursorLook, Screen};
use nucleus::log;
use nucleus::sched::{self, Thread, Wait, WaitQueue};

use super::console::Console;
use super::{Consoles, framebuffer};

/// Between two looks.
const FRAME_NS: u64 = 16_000_000;
/// How long a line of the kernel log waits to be seen: it cannot wake anybody, for it is written under any lock.
const LOG_NS: u64 = 200_000_000;

/// Where the kernel log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Log {
    Shown,
    Elsewhere,
}

/// Starts the thread.
///
/// # Errors
/// ENOMEM.
pub(super) fn start(consoles: &'static Consoles, log: Log) -> Result<()> {
    consoles.shown().prepare(consoles.size)?;
    let thread = Thread::new("display", Kind::Kernel, Policy::default(), move || run(consoles, log))?;
    sched::start(&thread);
    Ok(())
}

fn run(consoles: &'static Consoles, log: Log) {
    let mut next_record = 0;
    let pause = WaitQueue::new();
    loop {
        let wait = match log {
            _ if framebuffer::is_mapped() => Wait::UNINTERRUPTIBLE.until(now_ns() + FRAME_NS),
            Log::Shown => Wait::UNINTERRUPTIBLE.until(now_ns() + LOG_NS),
            Log::Elsewhere => Wait::UNINTERRUPTIBLE,
        };
        // Woken or not: the log may have grown.
        let _ = consoles.drawing.block_until(wait, || {
            if consoles.is_dirty.swap(false, Ordering::AcqRel) { Ok(()) } else { Err(Errno::EAGAIN) }
        });
        let console = consoles.shown();
        if log == Log::Shown {
            next_record = show_log(console, next_record);
        }
        if console.is_text() {
            draw(consoles, console);
        }
        if let Found::Pixels(display) = &consoles.display {
            framebuffer::copy(display);
        }
        consoles.all.iter().for_each(answer);
        let frame = Wait::UNINTERRUPTIBLE.until(now_ns() + FRAME_NS);
        let _: Result<()> = pause.block_until(frame, || Err(Errno::EAGAIN));
    }
}

/// Feeds records of the log from number `next` on to the screen; returns the number after the last.
fn show_log(console: &Console, mut next: u64) -> u64 {
    let level_limit = log::console_level();
    log::read_from(next, |sequence, time_ns, level, text| {
        next = sequence + 1;
        if level < level_limit {
            let micros = time_ns / 1000;
            console.with_screen(|screen| {
                // Feeding cannot fail.
                let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
                let _ = write!(Feeding(screen), "[{seconds:5}.{micros:06}] {text}\r\n");
            });
        }
    });
    next
}

/// Text into a screen.
struct Feeding<'a>(&'a mut Screen);

impl fmt::Write for Feeding<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.feed(text.as_bytes());
        Ok(())
    }
}

fn draw(consoles: &Consoles, console: &Console) {
    let mut painter = consoles.painter.lock();
    console.with_screen(|screen| match &consoles.display {
        Found::Pixels(display) => painter.paint(screen, &mut &*display),
        Found::Text(text) => draw_text(screen, text),
    });
}

fn draw_text(screen: &mut Screen, text: &TextMode) {
    for row in 0..screen.rows() {
        for column in screen.take_damage(row) {
            if let Some(cell) = screen.line(row).get(column) {
                text.draw(row, column, paint::text_cell(cell, screen));
            }
        }
    }
    let (row, column, look) = screen.cursor();
    text.set_cursor((look != CursorLook::Hidden).then_some((row, column)));
}

/// Types what the terminal answers.
fn answer(console: &Console) {
    let mut bytes = [0; 256];
    let count = console.with_screen(|screen| {
        screen.take_bells();
        screen.take_answers(&mut bytes)
    });
    if let (Some(tty), Some(count @ 1..)) = (console.tty.get(), count) {
        // Who does not read gets no answers.
        tty.receive(bytes.get(..count).unwrap_or_default());
    }
}

impl Consoles {
    /// Another program drew: everything is to be drawn again.
    pub(super) fn draw_all(&self) {
        let forget: fn(&mut Painter) = Painter::forget;
        forget(&mut self.painter.lock());
        self.shown().with_screen(Screen::damage_all);
        self.draw_soon();
    }
}
