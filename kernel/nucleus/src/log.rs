//! The kernel log: levelled messages with time and CPU in a ring, copied to the console.
//!
//! Callable from anywhere but NMIs: one spin lock (rank `Log`) inside all others but the console's. Levels are
//! syslog's, as Linux prints them; `loglevel=` says what reaches the console. What may repeat goes through [`Limited`].

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU8, Ordering};

use hal::rank;
use hal::spin::Lock;
use hal::{console, cpu, time};
use logic::rate::{RateLimiter, Verdict};
use logic::ring::{Cursor, LogRing};

/// How much a message matters, from syslog(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// The system is unusable.
    Emergency = 0,
    /// Something failed that should not.
    Error = 3,
    /// Something is odd; the kernel goes on.
    Warning = 4,
    /// A condition worth knowing.
    Notice = 5,
    /// Normal operation.
    Info = 6,
    /// For developers.
    Debug = 7,
}

/// Longest message; more is cut.
const LINE: usize = 512;
const RING: usize = 64 << 10;

static LOG: Lock<LogRing<[u8; RING]>, rank::Log> = Lock::new(LogRing::new([0; RING]));
static CONSOLE_LEVEL: AtomicU8 = AtomicU8::new(Level::Debug as u8);

/// Messages less important than `level` stay in the ring (Linux's `loglevel=`: those below the number are printed).
pub fn set_console_level(level: u8) {
    CONSOLE_LEVEL.store(level, Ordering::Relaxed);
}

/// The level from which on messages stay in the ring.
pub fn console_level() -> u8 {
    CONSOLE_LEVEL.load(Ordering::Relaxed)
}

/// Writes a message. Use the macros.
pub fn write(level: Level, arguments: fmt::Arguments<'_>) {
    let now = time::now_ns();
    let mut line = Line { bytes: [0; LINE], len: 0 };
    // A full line refuses the rest: the message is cut.
    let _ = line.write_fmt(arguments);
    let text = line.as_str();
    let cpu = u8::try_from(cpu::id()).unwrap_or(u8::MAX);
    LOG.lock().push(now, level as u8, cpu, text);
    if (level as u8) < CONSOLE_LEVEL.load(Ordering::Relaxed) {
        print(now, text);
    }
}

fn print(time_ns: u64, text: &str) {
    let micros = time_ns / 1000;
    console::print(format_args!("[{:5}.{:06}] {text}\n", micros / 1_000_000, micros % 1_000_000));
}

/// Calls `visit` with each record from `cursor` on: sequence number, time, level, text.
pub fn read_from(sequence: u64, mut visit: impl FnMut(u64, u64, u8, &str)) {
    let mut cursor: Cursor = LOG.lock().seek(sequence);
    let mut buffer = [0; LINE];
    loop {
        let log = LOG.lock();
        let Some(record) = log.read(&mut cursor, &mut buffer) else { return };
        let (sequence, time_ns, level) = (record.sequence, record.time_ns, record.level);
        let text = record.text;
        drop(log);
        visit(sequence, time_ns, level, text);
    }
}

/// Calls `visit` with the first record from `sequence` on: sequence number, time, level, text. Says whether there is one.
pub fn read_one(sequence: u64, visit: impl FnOnce(u64, u64, u8, &str)) -> bool {
    let mut buffer = [0; LINE];
    let log = LOG.lock();
    let mut cursor: Cursor = log.seek(sequence);
    let Some(record) = log.read(&mut cursor, &mut buffer) else { return false };
    let (sequence, time_ns, level) = (record.sequence, record.time_ns, record.level);
    let text = record.text;
    drop(log);
    visit(sequence, time_ns, level, text);
    true
}

/// A message that may repeat: ten at once, then one each half second, and a count of those left out.
pub struct Limited(Lock<RateLimiter, rank::Log>);

impl Limited {
    /// A fresh limiter, for a `static`.
    pub const fn new() -> Self {
        const BURST: u32 = logic::rate::DEFAULT_BURST;
        Limited(Lock::new(RateLimiter::new(BURST, logic::rate::DEFAULT_INTERVAL_NS)))
    }

    /// Writes the message, or counts it.
    pub fn write(&self, level: Level, arguments: fmt::Arguments<'_>) {
        let verdict = self.0.lock().check(time::now_ns());
        match verdict {
            Verdict::Pass { suppressed: 0 } => write(level, arguments),
            Verdict::Pass { suppressed } => {
                write(level, format_args!("{suppressed} messages like the next were left out"));
                write(level, arguments);
            }
            Verdict::Suppress => {}
        }
    }
}

impl Default for Limited {
    fn default() -> Self {
        Self::new()
    }
}

struct Line {
    bytes: [u8; LINE],
    len: usize,
}

impl Line {
    fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.len]).unwrap_or("")
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LINE - self.len;
        let fits = text.len() <= room;
        let end = if fits { text.len() } else { text.floor_char_boundary(room) };
        self.bytes[self.len..self.len + end].copy_from_slice(&text.as_bytes()[..end]);
        self.len += end;
        if fits { Ok(()) } else { Err(fmt::Error) }
    }
}

/// Normal operation.
#[macro_export]
macro_rules! info {
    ($($argument:tt)*) => { $crate::log::write($crate::log::Level::Info, format_args!($($argument)*)) };
}

/// Something is odd.
#[macro_export]
macro_rules! warning {
    ($($argument:tt)*) => { $crate::log::write($crate::log::Level::Warning, format_args!($($argument)*)) };
}

/// Something failed.
#[macro_export]
macro_rules! error {
    ($($argument:tt)*) => { $crate::log::write($crate::log::Level::Error, format_args!($($argument)*)) };
}
