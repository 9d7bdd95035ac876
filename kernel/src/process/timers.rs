//! Timers of a process: setitimer(2), alarm(2), timer_create(2).
//!
//! A timer is an owner of alarms of the scheduler's timer queues; when it is due it sends its signal from the timer
//! interrupt and sets the next alarm. Lock: rank `TaskState`, around one timer's state; signals are sent without it.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use abi::{Errno, Result};
use hal::rank;
use hal::spin::Lock;
use hal::time;
use logic::signal::{Signal, SignalInfo};
use nucleus::sched::timer::{Alarm, AlarmRoom, AlarmTimer, reserve_alarm};

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
}

/// When a timer is due, in nanoseconds of the monotonic clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Next; `None` if it is off.
    pub(crate) deadline_ns: Option<u64>,
    /// From one time to the next; 0 for once.
    pub(crate) interval_ns: u64,
}

struct State {
    setting: Setting,
    alarm: Option<AlarmTimer>,
    /// Times it was due while its signal was still pending.
    overrun: u32,
}

/// A timer.
pub(crate) struct Timer {
    id: u32,
    /// The clock it was made for.
    pub(crate) clock: i32,
    process: WeakProcess,
    notify: Notify,
    state: Lock<State, rank::TaskState>,
    _room: AlarmRoom,
}

impl Timer {
    /// A timer that is off.
    ///
    /// # Errors
    /// ENOMEM.
    pub(crate) fn new(id: u32, clock: i32, process: &Arc<Process>, notify: Notify) -> Result<Arc<Self>> {
        Ok(Arc::new(Timer {
            id,
            clock,
            process: Arc::downgrade(process),
            notify,
            state: Lock::new(State { setting: Setting::default(), alarm: None, overrun: 0 }),
            _room: reserve_alarm()?,
        }))
    }

    /// Sets it; what it was set to.
    ///
    /// # Errors
    /// EAGAIN if there are more timers than fit.
    pub(crate) fn set(self: &Arc<Self>, setting: Setting) -> Result<Setting> {
        let alarm =
            setting.deadline_ns.map(|deadline| AlarmTimer::start(deadline, self.clone())).transpose()?;
        let (old, old_alarm) = {
            let mut state = self.state.lock();
            state.overrun = 0;
            (core::mem::replace(&mut state.setting, setting), core::mem::replace(&mut state.alarm, alarm))
        };
        drop(old_alarm);
        Ok(old)
    }

    /// What it is set to.
    pub(crate) fn setting(&self) -> Setting {
        self.state.lock().setting
    }

    /// How often it was due since its signal was taken, but for the first time.
    pub(crate) fn overrun(&self) -> u32 {
        self.state.lock().overrun
    }

    fn signal(&self, overrun: u32) {
        let Some(process) = self.process.upgrade() else { return };
        let _ = match &self.notify {
            Notify::Nothing => Ok(()),
            Notify::Alarm(signal) => signals::send(&process, SignalInfo::kernel(*signal)),
            Notify::Process { signal, value } => {
                signals::send(&process, SignalInfo::timer(*signal, self.id, overrun, *value))
            }
            Notify::Thread { signal, value, task } => task.upgrade().map_or(Err(Errno::ESRCH), |task| {
                signals::send_to_task(&task, SignalInfo::timer(*signal, self.id, overrun, *value))
            }),
        };
    }
}

impl Alarm for Timer {
    fn expired(self: Arc<Self>) {
        let now = time::now_ns();
        let (overrun, next, old) = {
            let mut state = self.state.lock();
            let Some(due) = state.setting.deadline_ns.filter(|&due| due <= now) else { return };
            let interval = state.setting.interval_ns;
            let missed = (now - due).checked_div(interval).unwrap_or(0);
            let next = (interval != 0).then(|| due.saturating_add(interval.saturating_mul(missed + 1)));
            state.setting.deadline_ns = next;
            state.overrun = u32::try_from(missed).unwrap_or(u32::MAX);
            (state.overrun, next, state.alarm.take())
        };
        drop(old);
        if let Some(next) = next
            && let Ok(alarm) = AlarmTimer::start(next, self.clone())
        {
            let mut state = self.state.lock();
            // Somebody may have set it anew meanwhile, on another CPU.
            if state.setting.deadline_ns == Some(next) {
                state.alarm = Some(alarm);
            } else {
                drop(state);
                drop(alarm);
            }
        }
        self.signal(overrun);
    }
}

/// All timers of a process.
pub(crate) struct Timers {
    list: Lock<Vec<Option<Arc<Timer>>>, rank::TaskState>,
    real: Lock<Option<Arc<Timer>>, rank::TaskState>,
}

impl Timers {
    /// None.
    pub(crate) const fn new() -> Self {
        Timers { list: Lock::new(Vec::new()), real: Lock::new(None) }
    }

    /// The one of alarm(2), made at its first use.
    pub(crate) fn real(&self, process: &Arc<Process>) -> Result<Arc<Timer>> {
        if let Some(timer) = self.real.lock().clone() {
            return Ok(timer);
        }
        let timer = Timer::new(0, 0, process, Notify::Alarm(Signal::ALRM))?;
        Ok(self.real.lock().get_or_insert(timer).clone())
    }

    /// The same, if it was ever used.
    pub(crate) fn real_if_any(&self) -> Option<Arc<Timer>> {
        self.real.lock().clone()
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
        removed.set(Setting::default())?;
        Ok(())
    }

    /// Stops the timers of timer_create(2), which exec forgets.
    pub(crate) fn forget_posix(&self) {
        let timers = core::mem::take(&mut *self.list.lock());
        for timer in timers.into_iter().flatten() {
            let _ = timer.set(Setting::default());
        }
    }

    /// Stops all: the process ends.
    pub(crate) fn stop_all(&self) {
        self.forget_posix();
        let real = self.real.lock().take();
        if let Some(timer) = real {
            let _ = timer.set(Setting::default());
        }
    }
}
