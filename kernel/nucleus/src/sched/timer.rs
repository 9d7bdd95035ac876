//! One-shot timers: a queue for each CPU, fired by its timer interrupt.
//!
//! A timer belongs to the CPU it was set on; it wakes a thread, or calls its owner (an [`Alarm`]). Lock: rank `Timers`,
//! never held across a wake-up or a call.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use abi::{Errno, Result};
use hal::percpu::PerCpu;
use hal::rank;
use hal::spin::{Lock, Once};
use hal::{cpu, time};
use logic::timers::{TimerId, TimerQueue};

use super::cpu::{current, park, timers_changed, unpark};
use super::thread::Thread;

/// What happens when a timer is due.
enum Due {
    Wake(Arc<Thread>),
    Call(Arc<dyn Alarm>),
}

/// An owner of timers: the closed upcall from here to POSIX timers and alarms of processes.
pub trait Alarm: Send + Sync {
    /// A timer of its is due. Runs in the timer interrupt: it may take spin locks and wake threads, and nothing else.
    fn expired(self: Arc<Self>);
}

struct Timers {
    queue: Lock<TimerQueue<Due>, rank::Timers>,
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
        Self::insert(deadline_ns, Due::Wake(current()))
    }

    fn insert(deadline_ns: u64, due: Due) -> Result<Self> {
        cpu::without_interrupts(|| {
            let number = cpu::id();
            let timers = TIMERS.get().ok_or(Errno::EAGAIN)?.here();
            let id = {
                let mut queue = timers.queue.lock();
                let id = queue.insert(deadline_ns, due).map_err(|_| Errno::EAGAIN)?;
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
        match due {
            Some((_, Due::Wake(thread))) => unpark(&thread),
            Some((_, Due::Call(owner))) => owner.expired(),
            None => return,
        }
    }
}

/// A timer that calls its owner once; taken back when dropped.
pub struct AlarmTimer(#[expect(dead_code, reason = "held to be dropped")] WakeTimer);

impl AlarmTimer {
    /// Calls `owner` at `deadline_ns`, at the next timer interrupt if that has passed.
    ///
    /// # Errors
    /// EAGAIN if the table is full; see [`reserve_alarm`].
    pub fn start(deadline_ns: u64, owner: Arc<dyn Alarm>) -> Result<Self> {
        WakeTimer::insert(deadline_ns, Due::Call(owner)).map(AlarmTimer)
    }
}

/// Room in the tables for one more alarm that may be set at any time; given back when dropped.
pub struct AlarmRoom(());

static ALARMS: AtomicUsize = AtomicUsize::new(0);

/// Makes room for one more alarm.
///
/// # Errors
/// ENOMEM.
pub fn reserve_alarm() -> Result<AlarmRoom> {
    ALARMS.fetch_add(1, Ordering::Relaxed);
    let room = AlarmRoom(());
    super::cpu::reserve_for_one_more()?;
    Ok(room)
}

/// Alarms that room was made for.
pub(super) fn alarms() -> usize {
    ALARMS.load(Ordering::Relaxed)
}

impl Drop for AlarmRoom {
    fn drop(&mut self) {
        ALARMS.fetch_sub(1, Ordering::Relaxed);
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
