//! Programs: what belongs to one, and how it ended.
//!
//! The first slice: one program, one thread. Lock: rank `Task`.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use hal::boot::Text;
use hal::rank;
use hal::spin::Lock;
use nucleus::sched::WaitQueue;

/// A signal's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signal(u8);

impl Signal {
    pub(crate) const ILL: Signal = Signal(4);
    pub(crate) const TRAP: Signal = Signal(5);
    pub(crate) const BUS: Signal = Signal(7);
    pub(crate) const FPE: Signal = Signal(8);
    pub(crate) const SEGV: Signal = Signal(11);

    /// What Linux sends for an exception of user code (arch/x86/kernel/traps.c's table).
    pub(crate) fn of_exception(vector: u8) -> Signal {
        match vector {
            0 | 16 | 19 => Signal::FPE,
            1 | 3 => Signal::TRAP,
            6 => Signal::ILL,
            11 | 12 | 17 => Signal::BUS,
            _ => Signal::SEGV,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Signal::ILL => "SIGILL",
            Signal::TRAP => "SIGTRAP",
            Signal::BUS => "SIGBUS",
            Signal::FPE => "SIGFPE",
            Signal::SEGV => "SIGSEGV",
            Signal(number) => return write!(f, "signal {number}"),
        };
        f.write_str(name)
    }
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// exit_group(2) with this code.
    Exited(u8),
    /// By a signal.
    Killed(Signal),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Exited(code) => write!(f, "exited with code {code}"),
            Ending::Killed(signal) => write!(f, "was killed by {signal}"),
        }
    }
}

/// A program and what its threads share.
pub(crate) struct Process {
    name: Text<64>,
    pid: usize,
    ending: Lock<Option<Ending>, rank::Task>,
    /// Whether `ending` is set: looked at after each trap, so without the lock.
    is_ending: AtomicBool,
    ended: WaitQueue,
}

/// The first program is number 1.
static NEXT_PID: AtomicUsize = AtomicUsize::new(1);

impl Process {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.name.as_str()
    }

    /// A program that runs nothing yet.
    pub(crate) fn new(name: &str) -> Self {
        Process {
            name: Text::from_bytes(name.as_bytes()),
            pid: NEXT_PID.fetch_add(1, Ordering::Relaxed),
            ending: Lock::new(None),
            is_ending: AtomicBool::new(false),
            ended: WaitQueue::new(),
        }
    }

    /// Where those wait who want to know when it has ended and its memory is free.
    pub(crate) fn ended(&self) -> &WaitQueue {
        &self.ended
    }

    /// Ends the program; the first reason counts.
    pub(crate) fn end(&self, ending: Ending) {
        self.ending.lock().get_or_insert(ending);
        self.is_ending.store(true, Ordering::Release);
    }

    /// Its number.
    pub(crate) fn pid(&self) -> usize {
        self.pid
    }

    /// How it ended, if it did.
    #[inline]
    pub(crate) fn ending(&self) -> Option<Ending> {
        if self.is_ending.load(Ordering::Acquire) { *self.ending.lock() } else { None }
    }
}
