//! One-shot timers: a queue for each CPU, fired by its timer interrupt.
//!
//! A timer belongs to the CPU it was set on and wakes a thread. Lock: rank `Timers`, never held across a wake-up.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::{Errno, Result};
use hal::percpu::PerCpu;
use hal::rank;
use hal::spin::{Lock, Once};
use hal::{cpu, time};
use logic::timers::{TimerId, TimerQueue};

use super::cpu::{current, park, timers_changed, unpark};
use super::thread::Thread;

struct Timers {
    queue: Lock<TimerQueue<Arc<Thread>>, rank::Timers>,
    /// The earliest deadline, for the scheduler to read without the lock.
    next: AtomicU64,
}

const NEVER: u64 = u64::MAX;
static TIMERS: Once<PerCpu<Timers>> = Once::new();

pub(super) fn init(count: usize) -> Result<()> {
    let timers = PerCpu::new(count, |_| {
        let queue = TimerQueue::try_with_capacity(64).map_err(|_| Errno::ENOMEM)?;
        Ok(Timers { queue: Lock::new(queue), next: AtomicU64::new(NEVER) })
    })?;
    TIMERS.call_once(|| timers);
    Ok(())
}

/// Makes room for one timer of each of `threads` threads on every CPU.
pub(super) fn reserve(threads: usize) -> Result<()> {
    for timers in TIMERS.get().into_iter().flat_map(PerCpu::iter) {
        let mut larger = TimerQueue::try_with_capacity(threads).map_err(|_| Errno::ENOMEM)?;
        timers.queue.lock().adopt(&mut larger);
    }
    Ok(())
}

/// When this CPU's next timer is due, or `u64::MAX`.
pub(super) fn next_deadline() -> u64 {
    TIMERS.get().map_or(NEVER, |timers| timers.here().next.load(Ordering::Relaxed))
}

/// A timer that wakes the thread that set it; taken back when dropped.
pub(super) struct WakeTimer {
    number: usize,
    id: TimerId,
}

impl WakeTimer {
    /// Wakes the running thread at `deadline_ns`.
    ///
    /// # Errors
    /// EAGAIN if the table is full: more timers than threads, which no caller here makes.
    pub(super) fn start(deadline_ns: u64) -> Result<Self> {
        let thread = current();
        cpu::without_interrupts(|| {
            let number = cpu::id();
            let timers = TIMERS.get().ok_or(Errno::EAGAIN)?.here();
            let id = {
                let mut queue = timers.queue.lock();
                let id = queue.insert(deadline_ns, thread).map_err(|_| Errno::EAGAIN)?;
                timers.next.store(queue.next_deadline().unwrap_or(NEVER), Ordering::Relaxed);
                id
            };
            timers_changed();
            Ok(WakeTimer { number, id })
        })
    }
}

impl Drop for WakeTimer {
    fn drop(&mut self) {
        let Some(timers) = TIMERS.get().and_then(|timers| timers.get(self.number)) else { return };
        let cancelled = {
            let mut queue = timers.queue.lock();
            let cancelled = queue.cancel(self.id);
            // The hardware may still be set for it: an interrupt that finds nothing to do is cheaper than setting it
            // anew, and another CPU's cannot be set from here.
            timers.next.store(queue.next_deadline().unwrap_or(NEVER), Ordering::Relaxed);
            cancelled
        };
        // The token is a thread, whose last reference must not be dropped under the lock.
        drop(cancelled);
    }
}

/// Wakes every thread of this CPU whose timer is due. Interrupts are off.
pub(super) fn fire_expired(now_ns: u64) {
    let Some(timers) = TIMERS.get().map(PerCpu::here) else { return };
    loop {
        let due = {
            let mut queue = timers.queue.lock();
            let due = queue.pop_expired(now_ns);
            timers.next.store(queue.next_deadline().unwrap_or(NEVER), Ordering::Relaxed);
            due
        };
        let Some((_, thread)) = due else { return };
        unpark(&thread);
    }
}

/// Sleeps until `deadline_ns`.
///
/// # Errors
/// EAGAIN, see `WakeTimer`.
pub fn sleep_until(deadline_ns: u64) -> Result<()> {
    let _timer = WakeTimer::start(deadline_ns)?;
    while time::now_ns() < deadline_ns {
        park();
    }
    Ok(())
}

/// Sleeps for `duration_ns`.
///
/// # Errors
/// As `sleep_until`.
pub fn sleep_ns(duration_ns: u64) -> Result<()> {
    sleep_until(time::now_ns().saturating_add(duration_ns))
}
