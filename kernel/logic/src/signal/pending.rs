//! Signals that were sent and not yet delivered.
//!
//! A bit for each signal and a queue of what is known about them, as Linux has it: a standard signal is
//! pending once, a real-time one as often as it was sent. A bit without an entry in the queue is a signal whose
//! details were lost for want of room. One deque in order of arrival serves all numbers: it is nearly always
//! empty, the wanted entry is nearly always its first, and a list for each number would cost every thread half
//! a kilobyte.

use alloc::collections::VecDeque;

use abi::signal::SI_USER;
use abi::{Errno, Result};

use super::{Signal, SignalInfo, SignalSet};

/// An empty queue gives its memory back if it has more entries than this: a storm should leave nothing behind.
const KEPT_ENTRIES: usize = 16;

/// Whether the owner of the process may have one more signal queued (RLIMIT_SIGPENDING).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Queueing {
    /// There is room left.
    Room,
    /// The limit is reached.
    Exhausted,
}

/// What became of a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Posted {
    /// It is in the queue and counts against the limit until it is taken or flushed.
    Queued,
    /// It is pending, without details and outside the queue.
    Marked,
    /// It was pending already.
    Merged,
}

/// Memory for a queue, to be allocated and freed outside a spin lock.
#[derive(Debug, Default)]
pub struct Room {
    entries: VecDeque<SignalInfo>,
}

impl Room {
    /// Room for `entries` signals.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn try_new(entries: usize) -> Result<Self> {
        let mut room = Self::default();
        room.entries.try_reserve_exact(entries).map_err(|_| Errno::ENOMEM)?;
        Ok(room)
    }
}

/// The pending signals of a process or of a thread.
#[derive(Debug, Default)]
pub struct Pending {
    set: SignalSet,
    queue: VecDeque<SignalInfo>,
}

impl Pending {
    /// Nothing pending; allocates nothing.
    pub const fn new() -> Self {
        Self { set: SignalSet::EMPTY, queue: VecDeque::new() }
    }

    /// Makes a signal pending. Allocates when there is [no room](Self::room): under a spin lock
    /// [`Self::adopt`] some first.
    ///
    /// Linux lets standard signals of the kernel and of kill(2) pass the limit; where there is no memory
    /// either, they lose their details.
    ///
    /// # Errors
    /// EAGAIN for a real-time signal that does not come from the kernel or kill(2), at the limit or without
    /// memory.
    pub fn post(&mut self, info: SignalInfo, queueing: Queueing) -> Result<Posted> {
        let signal = info.signal();
        if !signal.is_real_time() && self.contains(signal) {
            return Ok(Posted::Merged);
        }
        let passes_limit = !signal.is_real_time() && info.code() >= SI_USER;
        let may_queue = queueing == Queueing::Room || passes_limit;
        let posted = if signal == Signal::KILL {
            Posted::Marked // Nobody will ask for the details.
        } else if may_queue && self.queue.try_reserve(1).is_ok() {
            self.queue.push_back(info);
            Posted::Queued
        } else if signal.is_real_time() && !may_lose_details(&info) {
            return Err(Errno::EAGAIN);
        } else {
            Posted::Marked
        };
        self.set.insert(signal);
        Ok(posted)
    }

    /// Takes the next signal that `mask` does not block: those of faults first, then the lowest number, and
    /// of one number the oldest.
    pub fn take(&mut self, mask: SignalSet) -> Option<SignalInfo> {
        let deliverable = self.set.difference(mask);
        let faults = deliverable.intersection(SignalSet::SYNCHRONOUS);
        let signal = faults.lowest().or_else(|| deliverable.lowest())?;
        Some(self.take_one(signal))
    }

    /// Takes the oldest `signal`, which is pending.
    fn take_one(&mut self, signal: Signal) -> SignalInfo {
        let is_wanted = |info: &SignalInfo| info.signal() == signal;
        let Some(first) = self.queue.iter().position(is_wanted) else {
            self.set.remove(signal);
            return SignalInfo::forgotten(signal);
        };
        let info = self.queue.remove(first);
        if !self.queue.range(first..).any(is_wanted) {
            self.set.remove(signal);
        }
        self.release_empty();
        info.unwrap_or(SignalInfo::forgotten(signal))
    }

    /// Forgets all signals of `set`: those now ignored, or in [conflict](Self::conflicting) with a new one.
    pub fn flush(&mut self, set: SignalSet) {
        if self.set.intersects(set) {
            self.set = self.set.difference(set);
            self.queue.retain(|info| !set.contains(info.signal()));
            self.release_empty();
        }
    }

    fn release_empty(&mut self) {
        if self.queue.is_empty() && self.queue.capacity() > KEPT_ENTRIES {
            self.queue = VecDeque::new();
        }
    }

    /// The signals that sending `signal` undoes in all queues of the process, even if `signal` itself is
    /// blocked or ignored: a stop undoes CONT, CONT undoes stops.
    pub const fn conflicting(signal: Signal) -> SignalSet {
        if SignalSet::STOPPING.contains(signal) {
            SignalSet::of(&[Signal::CONT])
        } else if SignalSet::EMPTY.with(Signal::CONT).contains(signal) {
            SignalSet::STOPPING
        } else {
            SignalSet::EMPTY
        }
    }

    /// The pending signals.
    #[inline]
    pub const fn set(&self) -> SignalSet {
        self.set
    }

    /// Whether `signal` is pending.
    #[inline]
    pub const fn contains(&self, signal: Signal) -> bool {
        self.set.contains(signal)
    }

    /// Whether nothing is pending.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// How many signals are in the queue and count against RLIMIT_SIGPENDING.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// How many signals can be queued without allocating.
    pub fn room(&self) -> usize {
        self.queue.capacity() - self.queue.len()
    }

    /// Moves into `larger` without allocating. It holds the old room afterwards, to be dropped outside the
    /// lock; one that is no larger is left alone.
    pub fn adopt(&mut self, larger: &mut Room) {
        if larger.entries.capacity() > self.queue.capacity() {
            larger.entries.clear();
            larger.entries.extend(self.queue.drain(..));
            core::mem::swap(&mut self.queue, &mut larger.entries);
        }
    }
}

/// Whether a signal rather arrives without details than not at all: the kernel and kill(2) cannot be told to
/// try again.
const fn may_lose_details(info: &SignalInfo) -> bool {
    matches!(info.code(), SI_USER | abi::signal::SI_KERNEL)
}

#[cfg(test)]
mod tests;
