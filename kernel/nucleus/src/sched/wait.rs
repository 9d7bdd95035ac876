//! Wait queues, and the one place where everything that can sleep sleeps.
//!
//! [`WaitQueue::block_until`], and [`block_until_any`] for several queues, takes pure logic that says EAGAIN for "not yet"; it alone knows non-blocking files,
//! timeouts and interruption. A [`Listener`] is told of every wake-up without waiting. Lock: rank `WaitQueue`; threads are
//! taken out under it and woken after it, listeners are told after it, and nothing allocates under it.

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::{Errno, Result};
use hal::rank;
use hal::spin::Lock;
use hal::time;

use super::cpu::{current, park, unpark};
use super::thread::Thread;
use super::timer::WakeTimer;

/// Threads waiting for one thing.
pub struct WaitQueue {
    queued: Lock<Queued, rank::WaitQueue>,
    signals: AtomicU64,
}

struct Queued {
    waiters: VecDeque<Arc<Thread>>,
    /// A place never moves, so that none is passed over while they are told.
    listeners: Vec<Weak<dyn Listener>>,
}

/// Who wants to know of every wake-up of a queue, whether anybody waits or not.
pub trait Listener: Send + Sync {
    /// Called without the queue's lock, but perhaps from an interrupt and with other locks held: it notes that something
    /// came, and wakes.
    fn woken(&self);
}

/// How a caller wants to wait.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    blocking: Blocking,
    deadline_ns: Option<u64>,
    interruption: Interruption,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blocking {
    Allowed,
    Forbidden,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interruption {
    Ends,
    Ignored,
}

impl Wait {
    /// Until it happens, or a signal comes.
    pub const INTERRUPTIBLE: Wait =
        Wait { blocking: Blocking::Allowed, deadline_ns: None, interruption: Interruption::Ends };
    /// Until it happens, whatever else does: for short waits of the kernel itself.
    pub const UNINTERRUPTIBLE: Wait = Wait { interruption: Interruption::Ignored, ..Self::INTERRUPTIBLE };
    /// Not at all (`O_NONBLOCK`).
    pub const NEVER: Wait = Wait { blocking: Blocking::Forbidden, ..Self::INTERRUPTIBLE };

    /// Whether it may wait at all.
    pub fn may_block(&self) -> bool {
        self.blocking == Blocking::Allowed
    }

    /// The same, but no longer than until `deadline_ns`.
    pub const fn until(self, deadline_ns: u64) -> Wait {
        Wait { deadline_ns: Some(deadline_ns), ..self }
    }
}

impl WaitQueue {
    /// Nobody waits.
    pub const fn new() -> Self {
        let queued = Queued { waiters: VecDeque::new(), listeners: Vec::new() };
        WaitQueue { queued: Lock::new(queued), signals: AtomicU64::new(0) }
    }

    /// Tries, and while the answer is EAGAIN waits for a wake-up and tries again.
    ///
    /// # Errors
    /// What `attempt` says; EAGAIN if the caller must not wait; ETIMEDOUT after the deadline; ERESTARTSYS if
    /// interrupted; ENOMEM if there is no room to wait.
    pub fn block_until<R>(&self, wait: Wait, attempt: impl FnMut() -> Result<R>) -> Result<R> {
        block_until_any(wait, |visit| visit(self), attempt)
    }

    /// Wakes the thread that waits longest. Says whether there was one.
    pub fn wake_one(&self) -> bool {
        self.signals.fetch_add(1, Ordering::Release);
        let (first, has_listeners) = {
            let mut queued = self.queued.lock();
            (queued.waiters.pop_front(), !queued.listeners.is_empty())
        };
        if has_listeners {
            self.tell_listeners();
        }
        let Some(thread) = first else { return false };
        thread.count_wakeup();
        unpark(&thread);
        true
    }

    fn wake_first(&self) {
        let Some(thread) = self.queued.lock().waiters.pop_front() else { return };
        thread.count_wakeup();
        unpark(&thread);
    }

    /// Wakes all that wait now: those who look, find nothing and wait again meanwhile would keep this going for ever.
    pub fn wake_all(&self) {
        self.signals.fetch_add(1, Ordering::Release);
        let (count, has_listeners) = {
            let queued = self.queued.lock();
            (queued.waiters.len(), !queued.listeners.is_empty())
        };
        if has_listeners {
            self.tell_listeners();
        }
        for _ in 0..count {
            self.wake_first();
        }
    }

    #[cold]
    fn tell_listeners(&self) {
        let mut place = 0;
        loop {
            let Some(listener) = self.queued.lock().listeners.get(place).cloned() else { return };
            if let Some(listener) = listener.upgrade() {
                listener.woken();
            }
            place += 1;
        }
    }

    /// Tells `listener` of every wake-up from now on, as long as it exists.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn listen(&self, listener: Weak<dyn Listener>) -> Result<()> {
        loop {
            let mut queued = self.queued.lock();
            let listeners = &mut queued.listeners;
            if let Some(place) = listeners.iter_mut().find(|known| known.strong_count() == 0) {
                let gone = core::mem::replace(place, listener);
                drop(queued);
                drop(gone);
                return Ok(());
            }
            if listeners.len() < listeners.capacity() {
                listeners.push(listener);
                return Ok(());
            }
            let wanted = (listeners.len() * 2).max(1);
            drop(queued);
            let mut larger = Vec::new();
            larger.try_reserve_exact(wanted).map_err(|_| Errno::ENOMEM)?;
            let mut queued = self.queued.lock();
            if larger.capacity() > queued.listeners.len() {
                larger.append(&mut queued.listeners);
                core::mem::swap(&mut queued.listeners, &mut larger);
            }
            drop(queued);
            drop(larger);
        }
    }

    /// How often somebody was to be woken, whether anybody waited or not: what edge-triggered watchers compare.
    pub fn signals(&self) -> u64 {
        self.signals.load(Ordering::Acquire)
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.queued.lock().waiters.is_empty()
    }

    fn register(&self, me: &Arc<Thread>) -> Result<()> {
        loop {
            let mut queued = self.queued.lock();
            let waiters = &mut queued.waiters;
            if waiters.len() < waiters.capacity() {
                waiters.push_back(me.clone());
                return Ok(());
            }
            let wanted = (waiters.len() + 1).next_power_of_two().max(4);
            drop(queued);
            let mut larger = VecDeque::new();
            larger.try_reserve_exact(wanted).map_err(|_| Errno::ENOMEM)?;
            let mut queued = self.queued.lock();
            if larger.capacity() > queued.waiters.len() {
                larger.extend(queued.waiters.drain(..));
                core::mem::swap(&mut queued.waiters, &mut larger);
            }
            drop(queued);
            drop(larger);
        }
    }

    /// Takes a thread out; says whether it was still in.
    fn unregister(&self, me: &Arc<Thread>) -> bool {
        let found = {
            let waiters = &mut self.queued.lock().waiters;
            let place = waiters.iter().position(|waiter| Arc::ptr_eq(waiter, me));
            place.and_then(|place| waiters.remove(place))
        };
        found.is_some()
    }
}

/// As [`WaitQueue::block_until`], for a wake-up on any of several queues: `queues` calls what it is given with each, the
/// same ones every time.
///
/// # Errors
/// As there.
pub fn block_until_any<R>(
    wait: Wait,
    queues: impl Fn(&mut dyn FnMut(&WaitQueue)),
    mut attempt: impl FnMut() -> Result<R>,
) -> Result<R> {
    match attempt() {
        Err(Errno::EAGAIN) if wait.blocking == Blocking::Allowed => {}
        other => return other,
    }
    let _timer = wait.deadline_ns.map(WakeTimer::start).transpose()?;
    let me = current();
    loop {
        let seen = me.wakeups();
        let mut registered = Ok(());
        queues(&mut |queue| {
            if registered.is_ok() {
                registered = queue.register(&me);
            }
        });
        // Again, now that no wake-up can be missed.
        let outcome = registered.and_then(|()| match attempt() {
            Err(Errno::EAGAIN) => give_up(&wait, &me).map_or(Ok(None), Err),
            other => other.map(Some),
        });
        if matches!(outcome, Ok(None)) {
            // The attempt may have slept itself, for a mutex, and a wake-up meant for this wait ended that sleep: then
            // this thread stands in no queue any more, and looks again instead.
            if me.wakeups() == seen {
                park();
            }
            queues(&mut |queue| {
                queue.unregister(&me);
            });
            continue;
        }
        queues(&mut |queue| {
            if !queue.unregister(&me) {
                // Woken while not asleep, or never queued. If the attempt failed, or had succeeded before, a wake-up was
                // meant for somebody who will use it; if not, one thread looks in vain.
                queue.wake_one();
            }
        });
        match outcome {
            Ok(Some(result)) => return Ok(result),
            Ok(None) => {}
            Err(error) => return Err(error),
        }
    }
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}

fn give_up(wait: &Wait, me: &Thread) -> Option<Errno> {
    if wait.interruption == Interruption::Ends && me.is_interrupted() {
        return Some(Errno::ERESTARTSYS);
    }
    match wait.deadline_ns {
        Some(deadline) if time::now_ns() >= deadline => Some(Errno::ETIMEDOUT),
        _ => None,
    }
}
