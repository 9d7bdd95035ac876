//! timerfd(2): a timer that is read.
//!
//! It stands still between being due and being read: only then the times that it was due since are counted, and it is set
//! for the next, so a timer that nobody reads costs nothing. Those set to a time of day move when the clock is set. Locks:
//! rank `TimerFiles` (sleeping), around the list of those that go by the time of day; `TimerFile`, around one timer's state,
//! also taken by the timer interrupt.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;

use abi::file::{POLLIN, POLLRDNORM};
use abi::{Errno, Result};
use hal::rank;
use hal::spin::Lock;
use hal::time::now_ns;
use logic::interval::Setting;
use nucleus::clock::booted_at_ns;
use nucleus::sched::timer::{Alarm, AlarmRoom, AlarmTimer, reserve_alarm};
use nucleus::sched::{Mutex, WaitQueue};
use nucleus::vfs::file::Seeking;
use nucleus::vfs::{ByteSink, Events, File, OpenFile, Transfer};

/// What a timer's first time is counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Now.
    Now,
    /// The monotonic clock's zero.
    Boot,
    /// 1970.
    TimeOfDay,
}

/// Whether a timer tells that the clock was set (`TFD_TIMER_CANCEL_ON_SET`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnClockSet {
    /// It does not.
    Ignore,
    /// The next read fails.
    Tell,
}

/// A timer, as a file.
pub struct TimerFd {
    /// The clock it was made for: `CLOCK_`.
    clock: i32,
    me: Weak<TimerFd>,
    state: Lock<State, rank::TimerFile>,
    due: WaitQueue,
    _room: AlarmRoom,
}

struct State {
    /// On the monotonic clock.
    setting: Setting,
    alarm: Option<AlarmTimer>,
    /// Times it was due that nobody has read.
    ticks: u64,
    /// It was due, and its setting still says when: the times since then are to be counted.
    is_behind: bool,
    /// For one that goes by the time of day: when the monotonic clock was zero, as its setting assumes.
    zero_ns: Option<u64>,
    on_clock_set: OnClockSet,
    is_cancelled: bool,
}

/// Timers that look when the clock is set.
static BY_TIME_OF_DAY: Mutex<Vec<Weak<TimerFd>>, rank::TimerFiles> = Mutex::new(Vec::new());

/// A timer that is off.
///
/// # Errors
/// ENOMEM.
pub fn open(clock: i32) -> Result<Arc<TimerFd>> {
    let room = reserve_alarm()?;
    Ok(Arc::new_cyclic(|me| TimerFd {
        clock,
        me: me.clone(),
        state: Lock::new(State {
            setting: Setting::OFF,
            alarm: None,
            ticks: 0,
            is_behind: false,
            zero_ns: None,
            on_clock_set: OnClockSet::Ignore,
            is_cancelled: false,
        }),
        due: WaitQueue::new(),
        _room: room,
    }))
}

/// The timer behind an open file.
pub fn of(file: &OpenFile) -> Option<&TimerFd> {
    file.file().as_any().downcast_ref()
}

/// The clock was set.
pub fn clock_was_set() {
    let timers = BY_TIME_OF_DAY.lock();
    timers.iter().filter_map(Weak::upgrade).for_each(|timer| timer.move_with_clock());
}

impl State {
    /// Counts the times it was due since it was seen to be; when it is due next, if that is to be set.
    fn catch_up(&mut self, now_ns: u64) -> Option<u64> {
        if !core::mem::take(&mut self.is_behind) {
            return None;
        }
        // The first of them was counted when it came.
        self.ticks = self.ticks.saturating_add(self.setting.forward(now_ns).saturating_sub(1));
        self.setting.deadline_ns
    }

    fn left(&self, now_ns: u64) -> [u64; 2] {
        let left = self.setting.deadline_ns.map_or(0, |deadline| deadline.saturating_sub(now_ns).max(1));
        [left, self.setting.interval_ns]
    }

    /// A wish of the clock's: once told, all is forgotten.
    fn take_cancellation(&mut self) -> bool {
        let was = core::mem::take(&mut self.is_cancelled);
        if was {
            (self.ticks, self.is_behind) = (0, false);
        }
        was
    }
}

impl TimerFd {
    /// The clock it was made for.
    pub fn clock(&self) -> i32 {
        self.clock
    }

    /// timerfd_gettime(2): nanoseconds to the next time, 0 if it is off, and the interval.
    pub fn left(&self) -> [u64; 2] {
        let now = now_ns();
        let (next, left) = {
            let mut state = self.state.lock();
            (state.catch_up(now), state.left(now))
        };
        self.set_alarm(next);
        left
    }

    /// timerfd_settime(2): what [`Self::left`] told before. A `value_ns` of 0 turns it off.
    ///
    /// # Errors
    /// ECANCELED if the clock was set since the last time; it is set all the same. EAGAIN, ENOMEM without room.
    pub fn set(
        &self,
        start: Start,
        value_ns: u64,
        interval_ns: u64,
        on_clock_set: OnClockSet,
    ) -> Result<[u64; 2]> {
        if start == Start::TimeOfDay {
            self.join_list()?;
        }
        let (now, zero) = (now_ns(), booted_at_ns());
        let deadline = match start {
            Start::Now => now.saturating_add(value_ns),
            Start::Boot => value_ns,
            Start::TimeOfDay => value_ns.saturating_sub(zero),
        };
        let (old, old_alarm, next, was_cancelled) = {
            let mut state = self.state.lock();
            state.catch_up(now);
            let old = state.left(now);
            let deadline_ns = (value_ns != 0).then_some(deadline);
            state.setting = Setting { deadline_ns, interval_ns };
            (state.ticks, state.is_behind) = (0, false);
            state.zero_ns = (start == Start::TimeOfDay).then_some(zero);
            state.on_clock_set = on_clock_set;
            let was_cancelled = state.take_cancellation() && deadline_ns.is_some();
            (old, state.alarm.take(), deadline_ns, was_cancelled)
        };
        drop(old_alarm);
        self.set_alarm(next);
        if was_cancelled { Err(Errno::ECANCELED) } else { Ok(old) }
    }

    fn join_list(&self) -> Result<()> {
        let mut list = BY_TIME_OF_DAY.lock();
        list.retain(|timer| timer.strong_count() != 0);
        if !list.iter().any(|timer| Weak::ptr_eq(timer, &self.me)) {
            list.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            list.push(self.me.clone());
        }
        Ok(())
    }

    /// Lets it be due at `next`, which its setting says too.
    fn set_alarm(&self, next: Option<u64>) {
        let (Some(next), Some(me)) = (next, self.me.upgrade()) else { return };
        // There is room: one alarm was reserved, and this is the only one.
        let alarm = AlarmTimer::start(next, me).ok();
        let old = {
            let mut state = self.state.lock();
            // It may have been due or set anew meanwhile, on another CPU.
            let is_current = state.setting.deadline_ns == Some(next) && !state.is_behind;
            if is_current { core::mem::replace(&mut state.alarm, alarm) } else { alarm }
        };
        drop(old);
    }

    fn move_with_clock(&self) {
        let zero = booted_at_ns();
        let (next, old) = {
            let mut state = self.state.lock();
            let Some(assumed) = state.zero_ns.filter(|&assumed| assumed != zero) else { return };
            state.zero_ns = Some(zero);
            if state.on_clock_set == OnClockSet::Tell {
                state.is_cancelled = true;
                state.ticks = state.ticks.saturating_add(1);
            }
            let deadline = state.setting.deadline_ns;
            // The same time of day, by the clock that never jumps.
            let moved = deadline.map(|deadline| deadline.saturating_add(assumed).saturating_sub(zero));
            state.setting.deadline_ns = moved;
            (moved.filter(|_| !state.is_behind), state.alarm.take())
        };
        drop(old);
        self.set_alarm(next);
        self.due.wake_all();
    }
}

impl Alarm for TimerFd {
    fn expired(self: Arc<Self>) {
        let old = {
            let mut state = self.state.lock();
            if state.is_behind || !state.setting.is_due(now_ns()) {
                return;
            }
            state.ticks = state.ticks.saturating_add(1);
            if state.setting.interval_ns == 0 {
                state.setting.deadline_ns = None;
            } else {
                state.is_behind = true;
            }
            state.alarm.take()
        };
        drop(old);
        self.due.wake_all();
    }
}

impl File for TimerFd {
    fn read(&self, transfer: &Transfer, to: &mut dyn ByteSink) -> Result<usize> {
        if to.room() < 8 {
            return Err(Errno::EINVAL);
        }
        let (ticks, next) = self.due.block_until(transfer.wait, || {
            let mut state = self.state.lock();
            if state.take_cancellation() {
                return Err(Errno::ECANCELED);
            }
            if state.ticks == 0 {
                return Err(Errno::EAGAIN);
            }
            let next = state.catch_up(now_ns());
            Ok((core::mem::take(&mut state.ticks), next))
        })?;
        self.set_alarm(next);
        to.put(&ticks.to_le_bytes())
    }

    fn ready(&self) -> Events {
        Events(if self.state.lock().ticks != 0 { POLLIN | POLLRDNORM } else { 0 })
    }

    fn for_each_queue(&self, visit: &mut dyn FnMut(&WaitQueue)) {
        visit(&self.due);
    }

    fn seeking(&self) -> Seeking {
        Seeking::Stream
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
