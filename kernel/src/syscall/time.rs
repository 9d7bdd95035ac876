//! Clocks, sleeping, timers.

use abi::time::{NANOS, Timespec, Timeval};
use abi::{Errno, Result};
use alloc::sync::Arc;
use hal::rank;
use hal::spin::Lock;
use hal::time::now_ns;
use logic::adjust::{Discipline, Timex};
use logic::cred::Capability;
use logic::signal::Signal;
use nucleus::clock;
use nucleus::sched::{self, Wait, block_until_any};

use super::args::{Hex, UserPtr};
use crate::process::cpu_time::{CpuClock, Share};
use crate::process::task::Restart;
use crate::process::timers::{Base, Interval, Notify, Setting, Timer};
use crate::process::{Cx, Pid, tree};

/// A clock of clock_gettime(2).
enum Clock {
    Realtime,
    Monotonic,
    Cpu(CpuClock),
}

fn clock(cx: &Cx, id: i32) -> Result<Clock> {
    Ok(match id {
        // Realtime, its coarse form, its alarm form, TAI.
        0 | 5 | 8 | 11 => Clock::Realtime,
        // Monotonic, raw, coarse, boot time and its alarm form.
        1 | 4 | 6 | 7 | 9 => Clock::Monotonic,
        2 => Clock::Cpu(CpuClock::of_process(cx.process(), Share::All)),
        3 => Clock::Cpu(CpuClock::of_task(&cx.task, Share::All)),
        id if id < 0 => cpu_clock(cx, id)?,
        _ => return Err(Errno::EINVAL),
    })
}

/// The clock of another process or thread: its number, inverted, above three bits that say which (clock_getcpuclockid(3)).
fn cpu_clock(cx: &Cx, id: i32) -> Result<Clock> {
    const THREAD: i32 = 4;
    let share = match id & 3 {
        // All time; as the scheduler counts it, which is the same here.
        0 | 2 => Share::All,
        1 => Share::User,
        _ => return Err(Errno::EINVAL),
    };
    let number = !(id >> 3);
    let is_thread = id & THREAD != 0;
    let pid = match Pid::from_arg(number) {
        Some(pid) => pid,
        None if is_thread => cx.task.tid(),
        None => cx.process().pid,
    };
    if is_thread {
        let task = tree::task(pid).map_err(|_| Errno::EINVAL)?;
        Ok(Clock::Cpu(CpuClock::of_task(&task, share)))
    } else {
        let process = tree::process(pid).map_err(|_| Errno::EINVAL)?;
        Ok(Clock::Cpu(CpuClock::of_process(&process, share)))
    }
}

impl Clock {
    fn now(&self) -> Result<u64> {
        Ok(match self {
            Clock::Realtime => clock::realtime_ns(),
            Clock::Monotonic => now_ns(),
            Clock::Cpu(clock) => clock.now().map_err(|_| Errno::EINVAL)?,
        })
    }
}

/// clock_gettime(2).
pub(super) fn clock_gettime(cx: &mut Cx, id: i32, to: UserPtr<Timespec>) -> Result<()> {
    to.write(&Timespec::from_ns(clock(cx, id)?.now()?))
}

/// clock_getres(2).
pub(super) fn clock_getres(cx: &mut Cx, id: i32, to: UserPtr<Timespec>) -> Result<()> {
    clock(cx, id)?;
    // The coarse clocks of Linux advance with its tick.
    let resolution = if matches!(id, 5 | 6) { 4_000_000 } else { 1 };
    to.write_optional(&Timespec::from_ns(resolution))
}

/// clock_settime(2).
pub(super) fn clock_settime(cx: &mut Cx, id: i32, from: UserPtr<Timespec>) -> Result<()> {
    if id != 0 {
        clock(cx, id)?;
        return Err(Errno::EINVAL);
    }
    let now = from.read()?.to_ns().ok_or(Errno::EINVAL)?;
    if !cx.cred.has(Capability::SysTime) {
        return Err(Errno::EPERM);
    }
    clock::set_realtime_ns(now);
    clock_was_set();
    Ok(())
}

static DISCIPLINE: Lock<Discipline, rank::Table> = Lock::new(Discipline::new());

/// adjtimex(2).
pub(super) fn adjtimex(cx: &mut Cx, request: UserPtr<Timex>) -> Result<u32> {
    let mut timex = request.read()?;
    let now = clock::realtime_ns();
    let outcome = DISCIPLINE.lock().adjust(&mut timex, cx.cred.has(Capability::SysTime), now)?;
    if outcome.step_ns != 0 {
        clock::set_realtime_ns(clock::realtime_ns().saturating_add_signed(outcome.step_ns));
        clock_was_set();
    }
    request.write(&timex)?;
    Ok(outcome.state)
}

/// clock_adjtime(2).
pub(super) fn clock_adjtime(cx: &mut Cx, id: i32, request: UserPtr<Timex>) -> Result<u32> {
    if id != 0 {
        clock(cx, id)?;
        return Err(Errno::EOPNOTSUPP);
    }
    adjtimex(cx, request)
}

/// gettimeofday(2).
pub(super) fn gettimeofday(_cx: &mut Cx, to: UserPtr<Timeval>, zone: UserPtr<[u32; 2]>) -> Result<()> {
    to.write_optional(&Timeval::from_ns(clock::realtime_ns()))?;
    zone.write_optional(&[0, 0])
}

/// Tells who goes by the time of day.
fn clock_was_set() {
    crate::vdso::update();
    fs::timerfd::clock_was_set();
}

/// settimeofday(2).
pub(super) fn settimeofday(cx: &mut Cx, from: UserPtr<Timeval>, zone: UserPtr<[u32; 2]>) -> Result<()> {
    let now = from.read_optional()?;
    zone.read_optional()?;
    if !cx.cred.has(Capability::SysTime) {
        return Err(Errno::EPERM);
    }
    if let Some(now) = now {
        clock::set_realtime_ns(now.to_ns().ok_or(Errno::EINVAL)?);
        clock_was_set();
    }
    Ok(())
}

/// time(2).
pub(super) fn time(_cx: &mut Cx, to: UserPtr<i64>) -> Result<u64> {
    let now = clock::realtime_ns() / NANOS;
    to.write_optional(&now.cast_signed())?;
    Ok(now)
}

/// nanosleep(2).
pub(super) fn nanosleep(cx: &mut Cx, request: UserPtr<Timespec>, remainder: UserPtr<Timespec>) -> Result<()> {
    let ns = request.read()?.to_ns().ok_or(Errno::EINVAL)?;
    sleep(cx, now_ns().saturating_add(ns), remainder.address())
}

/// clock_nanosleep(2).
pub(super) fn clock_nanosleep(
    cx: &mut Cx,
    id: i32,
    flags: Hex,
    request: UserPtr<Timespec>,
    remainder: UserPtr<Timespec>,
) -> Result<()> {
    const TIMER_ABSTIME: u32 = 1;
    let clock = match id {
        3..=6 => return Err(Errno::EOPNOTSUPP),
        id => clock(cx, id)?,
    };
    let ns = request.read()?.to_ns().ok_or(Errno::EINVAL)?;
    if let Clock::Cpu(clock) = clock {
        if clock.is_of(&cx.task) {
            // It stands still while its task sleeps.
            return Err(Errno::EINVAL);
        }
        if flags.0 & TIMER_ABSTIME == 0 {
            let deadline = clock.now()?.saturating_add(ns);
            return cpu_sleep(cx, id, deadline, remainder.address());
        }
        return match cpu_sleep_until(cx, &clock, ns) {
            Err(Errno::ERESTARTSYS) => Err(Errno::ERESTARTNOHAND),
            outcome => outcome,
        };
    }
    if flags.0 & TIMER_ABSTIME == 0 {
        return sleep(cx, now_ns().saturating_add(ns), remainder.address());
    }
    let deadline = now_ns().saturating_add(ns.saturating_sub(clock.now()?));
    match sleep_until(deadline) {
        Err(Errno::ERESTARTSYS) => Err(Errno::ERESTARTNOHAND),
        outcome => outcome,
    }
}

fn sleep_until(deadline_ns: u64) -> Result<()> {
    let wait = Wait::INTERRUPTIBLE.until(deadline_ns);
    match block_until_any::<()>(wait, |_| {}, || Err(Errno::EAGAIN)) {
        Err(Errno::ETIMEDOUT) => Ok(()),
        other => other,
    }
}

/// Sleeps; what is left is reported, and a signal without a handler lets it go on.
fn sleep(cx: &mut Cx, deadline_ns: u64, remainder: u64) -> Result<()> {
    match sleep_until(deadline_ns) {
        Err(Errno::ERESTARTSYS) => {
            let left = Timespec::from_ns(deadline_ns.saturating_sub(now_ns()));
            UserPtr::<Timespec>::at(remainder).write_optional(&left)?;
            cx.restart = Some(Restart::Sleep { deadline_ns, remainder });
            Err(Errno::ERESTART_RESTARTBLOCK)
        }
        outcome => outcome,
    }
}

fn cpu_sleep_until(cx: &Cx, clock: &CpuClock, deadline_ns: u64) -> Result<()> {
    let notify = Notify::Wake(sched::current());
    let timer = Timer::new(0, 0, Base::Cpu(clock.clone()), cx.process(), notify)?;
    let outcome = timer.set(Setting { deadline_ns: Some(deadline_ns), interval_ns: 0 }).and_then(|_| {
        let is_reached = || if clock.now()? >= deadline_ns { Ok(()) } else { Err(Errno::EAGAIN) };
        block_until_any(Wait::INTERRUPTIBLE, |_| {}, is_reached)
    });
    timer.end();
    outcome
}

/// As [`sleep`], on a clock of CPU time.
fn cpu_sleep(cx: &mut Cx, id: i32, deadline_ns: u64, remainder: u64) -> Result<()> {
    let Clock::Cpu(clock) = clock(cx, id)? else { return Err(Errno::EINVAL) };
    match cpu_sleep_until(cx, &clock, deadline_ns) {
        Err(Errno::ERESTARTSYS) => {
            let left = Timespec::from_ns(deadline_ns.saturating_sub(clock.now()?));
            UserPtr::<Timespec>::at(remainder).write_optional(&left)?;
            cx.restart = Some(Restart::CpuSleep { clock: id, deadline_ns, remainder });
            Err(Errno::ERESTART_RESTARTBLOCK)
        }
        outcome => outcome,
    }
}

/// restart_syscall(2): goes on with what a signal without a handler interrupted.
pub(super) fn restart_syscall(cx: &mut Cx) -> Result<u64> {
    match cx.restart.take() {
        Some(Restart::Sleep { deadline_ns, remainder }) => sleep(cx, deadline_ns, remainder).map(|()| 0),
        Some(Restart::CpuSleep { clock, deadline_ns, remainder }) => {
            cpu_sleep(cx, clock, deadline_ns, remainder).map(|()| 0)
        }
        Some(Restart::Poll { fds, count, deadline_ns }) => super::poll::go_on(cx, fds, count, deadline_ns),
        Some(Restart::Futex { address, value, operation, deadline_ns, bitset }) => {
            super::futex::go_on(cx, address, value, operation, deadline_ns, bitset)
        }
        None => Err(Errno::EINTR),
    }
}

/// What a timer shows: the time that is left, and the interval.
fn shown(timer: &Timer, setting: Setting) -> [u64; 2] {
    // A clock whose owner is gone stands still.
    let now = timer.now().unwrap_or(u64::MAX);
    // One that is due and has not been seen to shows the least there is.
    let left = setting.deadline_ns.map_or(0, |deadline| deadline.saturating_sub(now).max(1));
    [left, setting.interval_ns]
}

/// alarm(2): the seconds that were left.
pub(super) fn alarm(cx: &mut Cx, seconds: u32) -> Result<u64> {
    let timer = cx.process().timers.interval(Interval::Real, cx.process())?;
    let deadline_ns = (seconds != 0).then(|| now_ns().saturating_add(u64::from(seconds) * NANOS));
    let [left, _] = shown(&timer, timer.set(Setting { deadline_ns, interval_ns: 0 })?);
    Ok(left.div_ceil(NANOS))
}

/// `struct itimerval`: interval, then value.
fn itimerval([left, interval]: [u64; 2]) -> [Timeval; 2] {
    // Nothing that runs shows as zero.
    let value = if left == 0 { left } else { left.max(1000) };
    [Timeval::from_ns(interval), Timeval::from_ns(value)]
}

/// getitimer(2).
pub(super) fn getitimer(cx: &mut Cx, which: u32, to: UserPtr<[Timeval; 2]>) -> Result<()> {
    let which = Interval::from_number(which).ok_or(Errno::EINVAL)?;
    let timer = cx.process().timers.interval_if_any(which);
    to.write(&itimerval(timer.map_or([0; 2], |timer| shown(&timer, timer.setting()))))
}

/// setitimer(2).
pub(super) fn setitimer(
    cx: &mut Cx,
    which: u32,
    new: UserPtr<[Timeval; 2]>,
    old: UserPtr<[Timeval; 2]>,
) -> Result<()> {
    let which = Interval::from_number(which).ok_or(Errno::EINVAL)?;
    // A null pointer clears the timer, as it always did on Linux.
    let [interval, value] = new.read_optional()?.unwrap_or_default();
    let (interval, value) = (interval.to_ns().ok_or(Errno::EINVAL)?, value.to_ns().ok_or(Errno::EINVAL)?);
    let timer = cx.process().timers.interval(which, cx.process())?;
    let now = timer.now()?;
    let deadline_ns = (value != 0).then(|| now.saturating_add(value));
    let before = timer.set(Setting { deadline_ns, interval_ns: interval })?;
    old.write_optional(&itimerval(shown(&timer, before)))
}

/// timer_create(2).
pub(super) fn timer_create(cx: &mut Cx, id: i32, event: UserPtr<[u32; 16]>, to: UserPtr<u32>) -> Result<()> {
    use abi::signal::{SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD, SIGEV_THREAD_ID};
    let base = match clock(cx, id)? {
        Clock::Realtime | Clock::Monotonic if matches!(id, 4..=6) => return Err(Errno::EOPNOTSUPP),
        Clock::Realtime | Clock::Monotonic => Base::Monotonic,
        Clock::Cpu(clock) => Base::Cpu(clock),
    };
    let process = cx.process().clone();
    let event = event.read_optional()?;
    let notify = match event {
        None => None,
        Some([low, high, signal, notify, tid, ..]) => {
            let value = u64::from(low) | u64::from(high) << 32;
            let signal = || Signal::new(signal).ok_or(Errno::EINVAL);
            Some(match notify {
                SIGEV_NONE => Notify::Nothing,
                SIGEV_SIGNAL | SIGEV_THREAD => Notify::Process { signal: signal()?, value },
                SIGEV_THREAD_ID => {
                    let task = tree::task(Pid(tid)).map_err(|_| Errno::EINVAL)?;
                    if !Arc::ptr_eq(&task.process, &process) {
                        return Err(Errno::EINVAL);
                    }
                    Notify::Thread { signal: signal()?, value, task: Arc::downgrade(&task) }
                }
                _ => return Err(Errno::EINVAL),
            })
        }
    };
    let number = process.timers.add(|number| {
        let default = Notify::Process { signal: Signal::ALRM, value: u64::from(number) };
        Timer::new(number, id, base, &process, notify.unwrap_or(default))
    })?;
    if let Err(error) = to.write(&number) {
        process.timers.remove(number.cast_signed())?;
        return Err(error);
    }
    Ok(())
}

/// `struct itimerspec`: interval, then value.
fn itimerspec([left, interval]: [u64; 2]) -> [Timespec; 2] {
    [Timespec::from_ns(interval), Timespec::from_ns(left)]
}

/// timer_settime(2).
pub(super) fn timer_settime(
    cx: &mut Cx,
    id: i32,
    flags: Hex,
    new: UserPtr<[Timespec; 2]>,
    old: UserPtr<[Timespec; 2]>,
) -> Result<()> {
    const TIMER_ABSTIME: u32 = 1;
    if new.is_null() {
        return Err(Errno::EINVAL);
    }
    let [interval, value] = new.read()?;
    let (interval_ns, value) = (interval.to_ns().ok_or(Errno::EINVAL)?, value.to_ns().ok_or(Errno::EINVAL)?);
    let timer = cx.process().timers.get(id)?;
    let deadline_ns = match value {
        0 => None,
        value if flags.0 & TIMER_ABSTIME != 0 => {
            // The realtime clock's moment on the clock the timer goes by.
            Some(if matches!(timer.clock, 0 | 8 | 11) {
                value.saturating_sub(clock::booted_at_ns())
            } else {
                value
            })
        }
        value => Some(timer.now()?.saturating_add(value)),
    };
    let before = timer.set(Setting { deadline_ns, interval_ns })?;
    old.write_optional(&itimerspec(shown(&timer, before)))
}

/// timer_gettime(2).
pub(super) fn timer_gettime(cx: &mut Cx, id: i32, to: UserPtr<[Timespec; 2]>) -> Result<()> {
    let timer = cx.process().timers.get(id)?;
    to.write(&itimerspec(shown(&timer, timer.setting())))
}

/// timer_getoverrun(2).
pub(super) fn timer_getoverrun(cx: &mut Cx, id: i32) -> Result<u32> {
    Ok(cx.process().timers.get(id)?.overrun())
}

/// timer_delete(2).
pub(super) fn timer_delete(cx: &mut Cx, id: i32) -> Result<()> {
    cx.process().timers.remove(id)
}
