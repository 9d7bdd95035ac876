//! Wait queues, and the one place where everything that can sleep sleeps.
//!
//! [`WaitQueue::block_until`], and [`block_until_any`] for several queues, takes pure logic that says EAGAIN for "not yet"; it alone knows non-blocking files,
//! timeouts and interruption. Lock: rank `WaitQueue`; threads are taken out under it and woken after it, and nothing
//! allocates under it.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
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
    waiters: Lock<VecDeque<Arc<Thread>>, rank::WaitQueue>,
    signals: AtomicU64,
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
        WaitQueue { waiters: Lock::new(VecDeque::new()), signals: AtomicU64::new(0) }
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
        self.wake_first()
    }

    fn wake_first(&self) -> bool {
        let Some(thread) = self.waiters.lock().pop_front() else { return false };
        thread.count_wakeup();
        unpark(&thread);
        true
    }

    /// Wakes all that wait now: those who look, find nothing and wait again meanwhile would keep this going for ever.
    pub fn wake_all(&self) {
        self.signals.fetch_add(1, Ordering::Release);
        let count = self.waiters.lock().len();
        for _ in 0..count {
            self.wake_first();
        }
    }

    /// How often somebody was to be woken, whether anybody waited or not: what edge-triggered watchers compare.
    pub fn signals(&self) -> u64 {
        self.signals.load(Ordering::Acquire)
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiters.lock().is_empty()
    }

    fn register(&self, me: &Arc<Thread>) -> Result<()> {
        loop {
            let mut waiters = self.waiters.lock();
            if waiters.len() < waiters.capacity() {
                waiters.push_back(me.clone());
                return Ok(());
            }
            let wanted = (waiters.len() + 1).next_power_of_two().max(4);
            drop(waiters);
            let mut larger = VecDeque::new();
            larger.try_reserve_exact(wanted).map_err(|_| Errno::ENOMEM)?;
            let mut waiters = self.waiters.lock();
            if larger.capacity() > waiters.len() {
                larger.extend(waiters.drain(..));
                core::mem::swap(&mut *waiters, &mut larger);
            }
            drop(waiters);
            drop(larger);
        }
    }

    /// Takes a thread out; says whether it was still in.
    fn unregister(&self, me: &Arc<Thread>) -> bool {
        let found = {
            let mut waiters = self.waiters.lock();
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
