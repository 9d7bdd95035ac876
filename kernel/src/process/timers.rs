//! Timers of a process: setitimer(2), alarm(2), timer_create(2).
//!
//! A timer is an owner of alarms of the scheduler's timer queues, or stands in the list of a CPU-time clock; when it is
//! due it sends its signal from the timer interrupt. One of timer_create(2) then waits until the signal is taken: how
//! often it would have been due meanwhile is its overrun, and only then it is set anew. Lock: rank `TaskState`, around
//! one timer's state; signals are sent without it.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use abi::{Errno, Result};
use hal::rank;
use hal::spin::Lock;
use hal::time;
use logic::signal::{Signal, SignalInfo};
use nucleus::sched::timer::{Alarm, AlarmRoom, AlarmTimer, reserve_alarm};
use nucleus::sched::{self, Thread};

pub(crate) use logic::interval::Setting;

use super::cpu_time::{CpuClock, Share};
use super::signals;
use super::task::{Process, Task, WeakProcess};

/// What a timer does when it is due.
#[derive(Clone)]
pub(crate) enum Notify {
    /// Nothing.
    Nothing,
    /// Signals the process, as setitimer(2) does.
    Alarm(Signal),
    /// Signals the process, with the timer's number and value.
    Process { signal: Signal, value: u64 },
    /// Signals one task.
    Thread { signal: Signal, value: u64, task: Weak<Task> },
    /// Wakes a thread that sleeps on a clock of CPU time.
    Wake(Arc<Thread>),
}

/// What a timer goes by.
#[derive(Clone)]
pub(crate) enum Base {
    /// The monotonic clock.
    Monotonic,
    /// A clock of CPU time.
    Cpu(CpuClock),
}

struct State {
    setting: Setting,
    alarm: Option<AlarmTimer>,
    /// Its signal was sent and has not been taken.
    is_waiting: bool,
    /// Times it was due between the last signal and its taking.
    overrun: u32,
}

/// A timer.
pub(crate) struct Timer {
    id: u32,
    /// The clock it was made for.
    pub(crate) clock: i32,
    base: Base,
    process: WeakProcess,
    notify: Notify,
    state: Lock<State, rank::TaskState>,
    _room: AlarmRoom,
}

impl Timer {
    /// A timer that is off.
    ///
    /// # Errors
    /// ENOMEM; ESRCH if the clock's owner is gone.
    pub(crate) fn new(
        id: u32,
        clock: i32,
        base: Base,
        process: &Arc<Process>,
        notify: Notify,
    ) -> Result<Arc<Self>> {
        let state = State { setting: Setting::OFF, alarm: None, is_waiting: false, overrun: 0 };
        let timer = Arc::new(Timer {
            id,
            clock,
            base,
            process: Arc::downgrade(process),
            notify,
            state: Lock::new(state),
            _room: reserve_alarm()?,
        });
        if let Base::Cpu(clock) = &timer.base {
            clock.add(&timer)?;
        }
        Ok(timer)
    }

    /// What its clock shows: that of CPU time it was made for, else the monotonic one.
    ///
    /// # Errors
    /// ESRCH if the clock's owner is gone.
    pub(crate) fn now(&self) -> Result<u64> {
        match &self.base {
            Base::Monotonic => Ok(time::now_ns()),
            Base::Cpu(clock) => clock.now(),
        }
    }

    /// Sets it; what it was set to.
    ///
    /// # Errors
    /// EAGAIN if there are more timers than fit.
    pub(crate) fn set(self: &Arc<Self>, setting: Setting) -> Result<Setting> {
        let (old, old_alarm) = {
            let mut state = self.state.lock();
            (state.is_waiting, state.overrun) = (false, 0);
            (core::mem::replace(&mut state.setting, setting), state.alarm.take())
        };
        drop(old_alarm);
        // From here on it may be due at any moment.
        if let Err(error) = self.start(setting.deadline_ns) {
            self.state.lock().setting = Setting::OFF;
            return Err(error);
        }
        if let Base::Cpu(clock) = &self.base {
            // Nobody may be running who would notice that it is due already.
            match clock.now() {
                Ok(now) if setting.is_due(now) => {
                    clock.set(self, None);
                    self.expire(now);
                }
                _ => {}
            }
            clock.watch();
        }
        Ok(old)
    }

    /// Turns it off for good.
    pub(crate) fn end(self: &Arc<Self>) {
        let _ = self.set(Setting::OFF);
        if let Base::Cpu(clock) = &self.base {
            clock.remove(self);
        }
    }

    /// What it is set to: the next time, even while its signal waits to be taken.
    pub(crate) fn setting(&self) -> Setting {
        let mut setting = self.state.lock().setting;
        if let Ok(now) = self.now() {
            setting.forward(now);
        }
        setting
    }

    /// How often it was due between its last signal and the taking of that, but for the first time.
    pub(crate) fn overrun(&self) -> u32 {
        self.state.lock().overrun
    }

    /// Sends its signal if it is due at `now` of its clock. Callable from timer interrupts.
    pub(crate) fn expire(self: &Arc<Self>, now: u64) {
        let is_counted = matches!(self.notify, Notify::Process { .. } | Notify::Thread { .. });
        let old = {
            let mut state = self.state.lock();
            if state.is_waiting || !state.setting.is_due(now) {
                return;
            }
            state.is_waiting = is_counted;
            if !is_counted || state.setting.interval_ns == 0 {
                state.setting.forward(now);
            }
            state.alarm.take()
        };
        drop(old);
        if self.notify() && is_counted {
            return;
        }
        let next = {
            let mut state = self.state.lock();
            state.is_waiting = false;
            state.setting.forward(now);
            state.setting.deadline_ns
        };
        // There is room: that of the alarm that was.
        let _ = self.start(next);
    }

    /// Its signal is taken: tells how often it was due since then, and goes on.
    fn taken(self: &Arc<Self>) -> u32 {
        let now = self.now().unwrap_or(0);
        let (overrun, next) = {
            let mut state = self.state.lock();
            if !core::mem::take(&mut state.is_waiting) {
                return state.overrun;
            }
            // The first time is the signal itself.
            let more = state.setting.forward(now).saturating_sub(1);
            state.overrun = u32::try_from(more.min(i32::MAX as u64)).unwrap_or(0);
            (state.overrun, state.setting.deadline_ns)
        };
        let _ = self.start(next);
        if let Base::Cpu(clock) = &self.base {
            clock.watch();
        }
        overrun
    }

    /// Lets it be due at `next`, which its setting says too.
    fn start(self: &Arc<Self>, next: Option<u64>) -> Result<()> {
        if let Base::Cpu(clock) = &self.base {
            clock.set(self, next);
            return Ok(());
        }
        let Some(next) = next else { return Ok(()) };
        let alarm = AlarmTimer::start(next, self.clone())?;
        let old = {
            let mut state = self.state.lock();
            // Somebody may have set it anew meanwhile, on another CPU.
            if state.setting.deadline_ns == Some(next) { state.alarm.replace(alarm) } else { Some(alarm) }
        };
        drop(old);
        Ok(())
    }

    /// Does what it is for. Whether a signal now waits to be taken.
    fn notify(&self) -> bool {
        let info = |signal, value| SignalInfo::timer(signal, self.id, 0, value);
        match &self.notify {
            Notify::Nothing => false,
            Notify::Wake(thread) => {
                sched::cpu::unpark(thread);
                false
            }
            Notify::Thread { signal, value, task } => {
                task.upgrade().is_some_and(|task| signals::queue_to_task(&task, info(*signal, *value)))
            }
            Notify::Process { signal, value } => {
                self.process.upgrade().is_some_and(|process| signals::queue(&process, info(*signal, *value)))
            }
            Notify::Alarm(signal) => self
                .process
                .upgrade()
                .is_some_and(|process| signals::queue(&process, SignalInfo::kernel(*signal))),
        }
    }
}

impl Alarm for Timer {
    fn expired(self: Arc<Self>) {
        self.expire(time::now_ns());
    }
}

/// A signal of a timer of `process` is taken: the same with its overrun.
pub(crate) fn taken(process: &Process, info: SignalInfo) -> SignalInfo {
    let [which, value, ..] = info.fields();
    let [a, b, c, d, ..] = which.to_le_bytes();
    let id = u32::from_le_bytes([a, b, c, d]);
    match process.timers.get(id.cast_signed()) {
        Ok(timer) => SignalInfo::timer(info.signal(), id, timer.taken(), value),
        // Deleted meanwhile, or made up by a program.
        Err(_) => info,
    }
}

/// A timer of setitimer(2), by what it goes by; numbers as there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Interval {
    Real = 0,
    /// Time in user mode.
    Virtual = 1,
    /// All CPU time.
    Profile = 2,
}

impl Interval {
    /// By number.
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        [Interval::Real, Interval::Virtual, Interval::Profile]
            .into_iter()
            .find(|&which| which as u32 == number)
    }

    fn base(self, process: &Arc<Process>) -> (Base, Signal) {
        match self {
            Interval::Real => (Base::Monotonic, Signal::ALRM),
            Interval::Virtual => (Base::Cpu(CpuClock::of_process(process, Share::User)), Signal::VTALRM),
            Interval::Profile => (Base::Cpu(CpuClock::of_process(process, Share::All)), Signal::PROF),
        }
    }
}

/// All timers of a process.
pub(crate) struct Timers {
    list: Lock<Vec<Option<Arc<Timer>>>, rank::TaskState>,
    intervals: Lock<[Option<Arc<Timer>>; 3], rank::TaskState>,
}

impl Timers {
    /// None.
    pub(crate) const fn new() -> Self {
        Timers { list: Lock::new(Vec::new()), intervals: Lock::new([const { None }; 3]) }
    }

    /// One of setitimer(2), made at its first use.
    pub(crate) fn interval(&self, which: Interval, process: &Arc<Process>) -> Result<Arc<Timer>> {
        if let Some(timer) = self.interval_if_any(which) {
            return Ok(timer);
        }
        let (base, signal) = which.base(process);
        let timer = Timer::new(0, 0, base, process, Notify::Alarm(signal))?;
        let kept = self.intervals.lock()[which as usize].get_or_insert(timer.clone()).clone();
        if !Arc::ptr_eq(&kept, &timer) {
            timer.end();
        }
        Ok(kept)
    }

    /// The same, if it was ever used.
    pub(crate) fn interval_if_any(&self, which: Interval) -> Option<Arc<Timer>> {
        self.intervals.lock()[which as usize].clone()
    }

    /// Makes a timer with the lowest free number; `make` gets it.
    pub(crate) fn add(&self, make: impl FnOnce(u32) -> Result<Arc<Timer>>) -> Result<u32> {
        let id = {
            let mut list = self.list.lock();
            match list.iter().position(Option::is_none) {
                Some(place) => place,
                None => {
                    list.try_reserve(1).map_err(|_| Errno::EAGAIN)?;
                    list.push(None);
                    list.len() - 1
                }
            }
        };
        let id = u32::try_from(id).map_err(|_| Errno::EAGAIN)?;
        let timer = make(id)?;
        if let Some(slot) = self.list.lock().get_mut(id as usize) {
            *slot = Some(timer);
        }
        Ok(id)
    }

    /// A timer by number.
    pub(crate) fn get(&self, id: i32) -> Result<Arc<Timer>> {
        let id = usize::try_from(id).map_err(|_| Errno::EINVAL)?;
        self.list.lock().get(id).cloned().flatten().ok_or(Errno::EINVAL)
    }

    /// Forgets a timer.
    pub(crate) fn remove(&self, id: i32) -> Result<()> {
        let id = usize::try_from(id).map_err(|_| Errno::EINVAL)?;
        let removed = self.list.lock().get_mut(id).and_then(Option::take).ok_or(Errno::EINVAL)?;
        removed.end();
        Ok(())
    }

    /// Stops the timers of timer_create(2), which exec forgets.
    pub(crate) fn forget_posix(&self) {
        let timers = core::mem::take(&mut *self.list.lock());
        for timer in timers.into_iter().flatten() {
            timer.end();
        }
    }

    /// Stops all: the process ends.
    pub(crate) fn stop_all(&self) {
        self.forget_posix();
        let intervals = core::mem::take(&mut *self.intervals.lock());
        for timer in intervals.into_iter().flatten() {
            timer.end();
        }
    }
}
