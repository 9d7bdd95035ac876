//! CPU time: its clocks, and what happens when one reaches a moment: timers, RLIMIT_CPU.
//!
//! Nothing counts along. A thread gets a budget from the scheduler (`nucleus::sched::set_budget`) that ends no later than
//! the next moment of interest can come; when it is used up, [`look`] adds up what the process has had, does what is due,
//! and sets the next budget. Without such moments there are no budgets, and nothing costs anything.
//!
//! Lock: rank `TaskState` around a process's list, never together with a timer's own. [`look`] runs in timer interrupts.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::{Errno, Result};
use hal::rank;
use hal::spin::Lock;
use logic::cpu_time::{LEAST_NS, Verdict, judge, next_verdict_ns, share_ns};
use logic::signal::{Signal, SignalInfo};
use nucleus::sched;

use super::limits::{Resource, UNLIMITED};
use super::signals;
use super::task::{Process, Task};
use super::timers::Timer;

const NEVER: u64 = u64::MAX;

/// CPU time that was used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    /// In user mode.
    pub(crate) user_ns: u64,
    /// In all.
    pub(crate) all_ns: u64,
}

/// Which part of CPU time a clock shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// All of it.
    All,
    /// That in user mode.
    User,
}

impl Spent {
    fn of(&self, share: Share) -> u64 {
        match share {
            Share::All => self.all_ns,
            Share::User => self.user_ns,
        }
    }
}

/// The clock of a process or a task; it outlives them and stops.
#[derive(Clone)]
pub(crate) struct CpuClock {
    process: Weak<Process>,
    task: Option<Weak<Task>>,
    share: Share,
}

impl CpuClock {
    /// A process's.
    pub(crate) fn of_process(process: &Arc<Process>, share: Share) -> Self {
        CpuClock { process: Arc::downgrade(process), task: None, share }
    }

    /// A task's.
    pub(crate) fn of_task(task: &Arc<Task>, share: Share) -> Self {
        CpuClock { process: Arc::downgrade(&task.process), task: Some(Arc::downgrade(task)), share }
    }

    /// What it shows.
    ///
    /// # Errors
    /// ESRCH if whose it is is gone.
    pub(crate) fn now(&self) -> Result<u64> {
        let spent = match &self.task {
            Some(task) => task.upgrade().ok_or(Errno::ESRCH)?.spent(),
            None => self.process.upgrade().ok_or(Errno::ESRCH)?.spent(),
        };
        Ok(spent.of(self.share))
    }

    /// Whether it is the clock of this task, and of no other.
    pub(crate) fn is_of(&self, task: &Arc<Task>) -> bool {
        self.task.as_ref().is_some_and(|mine| core::ptr::eq(mine.as_ptr(), Arc::as_ptr(task)))
    }

    /// Lets `timer` be called when the clock reaches the moment that [`set`](Self::set) will name.
    ///
    /// # Errors
    /// ESRCH, ENOMEM.
    pub(crate) fn add(&self, timer: &Arc<Timer>) -> Result<()> {
        let process = self.process.upgrade().ok_or(Errno::ESRCH)?;
        let mut watched = process.cpu_timers.watched.lock();
        watched.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        watched.push(Watched { timer: timer.clone(), clock: self.clone(), deadline_ns: NEVER });
        process.cpu_timers.has_any.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Forgets `timer`.
    pub(crate) fn remove(&self, timer: &Arc<Timer>) {
        let Some(process) = self.process.upgrade() else { return };
        let removed = {
            let mut watched = process.cpu_timers.watched.lock();
            let place = watched.iter().position(|other| Arc::ptr_eq(&other.timer, timer));
            let removed = place.map(|place| watched.swap_remove(place));
            process.cpu_timers.has_any.store(!watched.is_empty(), Ordering::Relaxed);
            removed
        };
        drop(removed);
    }

    /// Says when `timer` is called next; [`watch`](Self::watch) lets it take effect.
    pub(crate) fn set(&self, timer: &Arc<Timer>, deadline_ns: Option<u64>) {
        let Some(process) = self.process.upgrade() else { return };
        let mut watched = process.cpu_timers.watched.lock();
        if let Some(entry) = watched.iter_mut().find(|other| Arc::ptr_eq(&other.timer, timer)) {
            entry.deadline_ns = deadline_ns.unwrap_or(NEVER);
        }
    }

    /// Gives all tasks whose running moves the clock new budgets.
    pub(crate) fn watch(&self) {
        if let Some(process) = self.process.upgrade() {
            watch(&process);
        }
    }
}

struct Watched {
    timer: Arc<Timer>,
    clock: CpuClock,
    deadline_ns: u64,
}

/// The timers on a process's clock and on those of its tasks, whosever they are.
pub(crate) struct CpuTimers {
    watched: Lock<Vec<Watched>, rank::TaskState>,
    /// There are some.
    has_any: AtomicBool,
}

impl CpuTimers {
    /// None.
    pub(crate) const fn new() -> Self {
        CpuTimers { watched: Lock::new(Vec::new()), has_any: AtomicBool::new(false) }
    }
}

fn is_watched(process: &Process) -> bool {
    process.cpu_timers.has_any.load(Ordering::Relaxed) || process.limits.soft(Resource::Cpu) != UNLIMITED
}

/// Gives all tasks of a process new budgets: its limit has changed, or a timer.
pub(crate) fn watch(process: &Arc<Process>) {
    let spent = process.spent();
    for task in process.tasks() {
        set_budget(&task, &spent);
    }
}

/// Gives a new task a budget if its process is watched.
pub(crate) fn watch_new(task: &Task) {
    if is_watched(&task.process) {
        set_budget(task, &task.process.spent());
    }
}

/// A task has used its budget up: does what is due and gives it the next.
pub(crate) fn look(task: &Task) {
    let spent = task.process.spent();
    enforce_limit(&task.process, &spent);
    let own = task.spent();
    while let Some((timer, now)) = take_due(task, &own, &spent) {
        timer.expire(now);
    }
    set_budget(task, &spent);
}

/// A timer that is due, on the process's clock or on the task's own, and what that clock shows.
fn take_due(task: &Task, own: &Spent, spent: &Spent) -> Option<(Arc<Timer>, u64)> {
    let mut watched = task.process.cpu_timers.watched.lock();
    watched.iter_mut().find_map(|entry| {
        let now = entry.reading(task, own, spent).filter(|&now| now >= entry.deadline_ns)?;
        entry.deadline_ns = NEVER;
        Some((entry.timer.clone(), now))
    })
}

impl Watched {
    /// What its clock shows; `None` if it is another task's.
    fn reading(&self, task: &Task, own: &Spent, spent: &Spent) -> Option<u64> {
        match &self.clock.task {
            None => Some(spent.of(self.clock.share)),
            Some(whose) if core::ptr::eq(whose.as_ptr(), task) => Some(own.of(self.clock.share)),
            Some(_) => None,
        }
    }
}

/// RLIMIT_CPU.
fn enforce_limit(process: &Arc<Process>, spent: &Spent) {
    let Ok(limit) = process.limits.get(Resource::Cpu as usize) else { return };
    match judge(spent.all_ns, limit.soft, limit.hard) {
        Verdict::Within => {}
        Verdict::Warn(soft) => {
            process.limits.set_soft(Resource::Cpu, soft);
            let _ = signals::send(process, SignalInfo::kernel(Signal::XCPU));
        }
        Verdict::Kill => {
            let _ = signals::send(process, SignalInfo::kernel(Signal::KILL));
        }
    }
}

/// Lets a task run until the next moment of interest may have come.
fn set_budget(task: &Task, spent: &Spent) {
    let Some(thread) = task.thread() else { return };
    let own = task.spent();
    let threads = task.process.shared.lock().tasks.len();
    let limit = task.process.limits.get(Resource::Cpu as usize);
    let verdict = limit.map_or(NEVER, |limit| next_verdict_ns(limit.soft, limit.hard));
    let mut left =
        if verdict == NEVER { NEVER } else { share_ns(verdict.saturating_sub(spent.all_ns), threads) };
    for entry in &*task.process.cpu_timers.watched.lock() {
        let Some(now) = entry.reading(task, &own, spent).filter(|_| entry.deadline_ns != NEVER) else {
            continue;
        };
        let until = entry.deadline_ns.saturating_sub(now);
        let own_share =
            if entry.clock.task.is_some() { until.max(LEAST_NS) } else { share_ns(until, threads) };
        left = left.min(own_share);
    }
    sched::set_budget(thread, if left == NEVER { NEVER } else { own.all_ns.saturating_add(left) });
}
