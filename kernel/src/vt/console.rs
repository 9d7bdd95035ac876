//! One console: a screen behind a terminal.
//!
//! Its screen is made when somebody opens or shows it: most are never used. Lock: rank `Screen`, sleeping, around the
//! screen; nothing is called under it.

use core::sync::atomic::{AtomicU8, Ordering};

use abi::Result;
use abi::console::{K_UNICODE, KD_TEXT};
use alloc::boxed::Box;
use alloc::sync::Arc;
use hal::rank;
use hal::spin::Once;
use logic::screen::Screen;
use logic::screen::font;
use logic::tty::WindowSize;
use nucleus::sched::Mutex;

use super::{CONSOLES, control};
use crate::process::Cx;
use crate::tty::driver::{Change, Driver};
use crate::tty::terminal::Tty;

/// Lines kept above the screen.
const HISTORY: u16 = 300;

/// A console.
pub(super) struct Console {
    /// Its place among the consoles: 0 is `tty1`.
    pub(super) index: usize,
    screen: Mutex<Option<Box<Screen>>, rank::Screen>,
    pub(super) tty: Once<Arc<Tty>>,
    /// `KD_TEXT` or `KD_GRAPHICS`.
    pub(super) picture_mode: AtomicU8,
    /// `K_UNICODE` or another.
    pub(super) keyboard_mode: AtomicU8,
    /// How many files of it are open, as far as VT_GETSTATE tells: none or some.
    pub(super) opens: AtomicU8,
}

/// The window of a screen of that size.
pub(super) fn window((rows, columns): (u16, u16)) -> WindowSize {
    let pixels = |cells: u16, each: usize| cells.saturating_mul(u16::try_from(each).unwrap_or(0));
    WindowSize { rows, columns, x_pixels: pixels(columns, font::WIDTH), y_pixels: pixels(rows, font::HEIGHT) }
}

impl Console {
    pub(super) fn new(index: usize) -> Self {
        Console {
            index,
            screen: Mutex::new(None),
            tty: Once::new(),
            picture_mode: AtomicU8::new(KD_TEXT),
            keyboard_mode: AtomicU8::new(K_UNICODE),
            opens: AtomicU8::new(0),
        }
    }

    /// Makes its screen, if it has none.
    ///
    /// # Errors
    /// ENOMEM.
    pub(super) fn prepare(&self, (rows, columns): (u16, u16)) -> Result<()> {
        if self.screen.lock().is_some() {
            return Ok(());
        }
        // Whoever was faster has made the same.
        let new = Screen::try_new(rows, columns, HISTORY)?;
        let mut screen = self.screen.lock();
        if screen.is_none() {
            *screen = Some(Box::new(new));
        }
        Ok(())
    }

    /// Does something with its screen, if it has one.
    pub(super) fn with_screen<R>(&self, work: impl FnOnce(&mut Screen) -> R) -> Option<R> {
        self.screen.lock().as_deref_mut().map(work)
    }

    /// Whether cells are drawn: not while a program draws pictures.
    pub(super) fn is_text(&self) -> bool {
        self.picture_mode.load(Ordering::Acquire) == KD_TEXT
    }
}

/// The way from a terminal to its console.
pub(super) struct Port(pub(super) &'static Console);

impl Driver for Port {
    fn room(&self) -> usize {
        usize::MAX
    }

    fn put(&self, bytes: &[u8]) {
        self.0.with_screen(|screen| screen.feed(bytes));
    }

    fn kick(&self) {
        if let Some(consoles) = CONSOLES.get() {
            consoles.draw_soon();
        }
    }

    fn tell(&self, what: Change) {
        match what {
            Change::Opened => self.0.opens.store(1, Ordering::Release),
            Change::Closed => return self.0.opens.store(0, Ordering::Release),
            _ => return,
        }
        if let Some(consoles) = CONSOLES.get()
            && self.0.prepare(consoles.size).is_err()
        {
            super::report_missing_memory(self.0.index);
        }
    }

    fn control(&self, cx: &Cx, request: u32, argument: u64) -> Result<()> {
        control::control(self.0, cx, request, argument)
    }
}
