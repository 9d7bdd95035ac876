//! Job control: whose terminal it is, and who is in front.
//!
//! Session and group are atomics that stand alone. Lock: `Table`, around the list of sessions that lost their terminal.

use core::sync::atomic::{AtomicU32, Ordering};

use abi::{Errno, Result};
use alloc::sync::Arc;
use alloc::vec::Vec;
use hal::rank;
use hal::spin::Lock;
use logic::signal::{Signal, SignalInfo};

use crate::process::{Pid, Task, signals, tree};

/// A terminal's session and foreground group.
pub(crate) struct Job {
    session: AtomicU32,
    foreground: AtomicU32,
}

/// What a background process does that has to ask.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Read,
    Write,
}

impl Job {
    pub(super) const fn new() -> Self {
        Job { session: AtomicU32::new(0), foreground: AtomicU32::new(0) }
    }

    pub(super) fn session(&self) -> Pid {
        Pid(self.session.load(Ordering::Relaxed))
    }

    pub(super) fn foreground(&self) -> Pid {
        Pid(self.foreground.load(Ordering::Relaxed))
    }

    pub(super) fn set_foreground(&self, group: Pid) {
        self.foreground.store(group.0, Ordering::Relaxed);
    }

    /// Makes it the terminal of a session, if it is nobody's; says whether it is now.
    pub(super) fn take(&self, session: Pid, group: Pid) -> bool {
        let taken = self.session.compare_exchange(0, session.0, Ordering::AcqRel, Ordering::Relaxed);
        if taken.is_ok() {
            self.set_foreground(group);
        }
        taken.is_ok() || self.session() == session
    }

    /// Gives it up if it is the session's; the group that was in front.
    pub(super) fn release(&self, session: Pid) -> Option<Pid> {
        self.session.compare_exchange(session.0, 0, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        Some(Pid(self.foreground.swap(0, Ordering::Relaxed)))
    }

    /// Whether `task` may use its controlling terminal now; if it is in the background, its group is stopped.
    ///
    /// # Errors
    /// ERESTARTSYS once the signal is sent; EIO if nobody could continue the group, or it ignores the signal.
    pub(super) fn check(&self, task: &Task, what: Use) -> Result<()> {
        let (session, group) = session_and_group(task.process.pid);
        let foreground = self.foreground();
        if session != self.session() || session == Pid::NONE || foreground == Pid::NONE || group == foreground
        {
            return Ok(());
        }
        let signal = if what == Use::Read { Signal::TTIN } else { Signal::TTOU };
        let actions = task.state.lock().actions.clone();
        let is_ignored = actions.lock().get(signal).handler == abi::signal::SIG_IGN;
        if is_ignored || task.blocked().contains(signal) {
            return if what == Use::Read { Err(Errno::EIO) } else { Ok(()) };
        }
        if tree::with(|tree| tree.is_orphaned(group, None)) {
            return Err(Errno::EIO);
        }
        signal_group(group, SignalInfo::kernel(signal));
        Err(Errno::ERESTARTSYS)
    }
}

/// Session and group of a process.
pub(super) fn session_and_group(pid: Pid) -> (Pid, Pid) {
    tree::with(|tree| tree.node(pid).map_or((Pid::NONE, Pid::NONE), |node| (node.session, node.group)))
}

/// Sends a signal to a group.
pub(crate) fn signal_group(group: Pid, info: SignalInfo) {
    if group == Pid::NONE {
        return;
    }
    for process in tree::processes(|node| node.group == group) {
        // Ignored or not: it was sent.
        let _ = signals::send(&process, info);
    }
}

/// Sessions whose terminal was hung up, and who was in front then: they are told when the leader ends.
static LEFT: Lock<Vec<(Pid, Pid)>, rank::Table> = Lock::new(Vec::new());

/// Notes such a session.
pub(super) fn note_left(session: Pid, foreground: Pid) {
    let mut left = LEFT.lock();
    // Without memory for the note they are not told.
    if session != Pid::NONE && foreground != Pid::NONE && left.try_reserve(1).is_ok() {
        left.push((session, foreground));
    }
}

/// Takes the note.
pub(super) fn take_left(session: Pid) -> Option<Pid> {
    let mut left = LEFT.lock();
    let place = left.iter().position(|(known, _)| *known == session)?;
    Some(left.swap_remove(place).1)
}

/// Tells a group that its terminal is gone: SIGHUP, and SIGCONT so that it hears of it.
pub(super) fn hang_up_group(group: Pid) {
    signal_group(group, SignalInfo::kernel(Signal::HUP));
    signal_group(group, SignalInfo::kernel(Signal::CONT));
}

/// Tells the leader of a session that its terminal is gone: SIGHUP, and SIGCONT so that it hears of it.
pub(super) fn signal_leader(session: Pid) {
    if session == Pid::NONE {
        return;
    }
    if let Ok(leader) = tree::process(session) {
        let _ = signals::send(&leader, SignalInfo::kernel(Signal::HUP));
        let _ = signals::send(&leader, SignalInfo::kernel(Signal::CONT));
    }
}

/// The task that runs, for files that must know who uses them.
pub(super) fn caller() -> Option<Arc<Task>> {
    crate::process::current()
}
