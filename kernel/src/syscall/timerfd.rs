//! Timers and signals as files: timerfd_create(2), signalfd4(2).

use abi::file::{O_CLOEXEC, O_NONBLOCK, O_RDWR};
use abi::time::Timespec;
use abi::{Errno, Result};
use fs::timerfd::{self, OnClockSet, Start};
use logic::cred::Capability;
use logic::signal::SignalSet;
use nucleus::vfs::OpenFile;

use super::args::{Hex, UserPtr};
use super::file::on_exec;
use crate::process::signalfd::{self, SignalFd};
use crate::process::{Cx, pidfd};

const CLOCK_REALTIME: i32 = 0;
const CLOCK_MONOTONIC: i32 = 1;
const CLOCK_BOOTTIME: i32 = 7;
const CLOCK_REALTIME_ALARM: i32 = 8;
const CLOCK_BOOTTIME_ALARM: i32 = 9;

/// The alarm clocks would wake a sleeping machine.
fn check_alarm(cx: &Cx, clock: i32) -> Result<()> {
    let is_alarm = matches!(clock, CLOCK_REALTIME_ALARM | CLOCK_BOOTTIME_ALARM);
    if is_alarm && !cx.cred.has(Capability::WakeAlarm) { Err(Errno::EPERM) } else { Ok(()) }
}

/// timerfd_create(2).
pub(super) fn timerfd_create(cx: &mut Cx, clock: i32, flags: Hex) -> Result<u32> {
    let is_known = matches!(
        clock,
        CLOCK_REALTIME | CLOCK_MONOTONIC | CLOCK_BOOTTIME | CLOCK_REALTIME_ALARM | CLOCK_BOOTTIME_ALARM
    );
    if flags.0 & !(O_CLOEXEC | O_NONBLOCK) != 0 || !is_known {
        return Err(Errno::EINVAL);
    }
    check_alarm(cx, clock)?;
    let file = OpenFile::nameless(timerfd::open(clock)?, pidfd::attributes(), O_RDWR | flags.0 & O_NONBLOCK);
    cx.files.insert(file, 0, on_exec(flags.0), cx.process().limits.files())
}

/// `struct itimerspec`: interval, then value.
fn itimerspec([left, interval]: [u64; 2]) -> [Timespec; 2] {
    [Timespec::from_ns(interval), Timespec::from_ns(left)]
}

/// timerfd_settime(2).
pub(super) fn timerfd_settime(
    cx: &mut Cx,
    fd: i32,
    flags: Hex,
    new: UserPtr<[Timespec; 2]>,
    old: UserPtr<[Timespec; 2]>,
) -> Result<()> {
    const ABSOLUTE: u32 = 1;
    const CANCEL_ON_SET: u32 = 2;
    let [interval, value] = new.read()?;
    let (Some(interval), Some(value)) = (interval.to_ns(), value.to_ns()) else { return Err(Errno::EINVAL) };
    if flags.0 & !(ABSOLUTE | CANCEL_ON_SET) != 0 {
        return Err(Errno::EINVAL);
    }
    let file = cx.files.get_open(fd)?;
    let timer = timerfd::of(&file).ok_or(Errno::EINVAL)?;
    check_alarm(cx, timer.clock())?;
    let start = match timer.clock() {
        _ if flags.0 & ABSOLUTE == 0 => Start::Now,
        CLOCK_REALTIME | CLOCK_REALTIME_ALARM => Start::TimeOfDay,
        _ => Start::Boot,
    };
    let tells = flags.0 & CANCEL_ON_SET != 0 && start == Start::TimeOfDay;
    let on_clock_set = if tells { OnClockSet::Tell } else { OnClockSet::Ignore };
    let before = timer.set(start, value, interval, on_clock_set)?;
    old.write_optional(&itimerspec(before))
}

/// timerfd_gettime(2).
pub(super) fn timerfd_gettime(cx: &mut Cx, fd: i32, to: UserPtr<[Timespec; 2]>) -> Result<()> {
    let file = cx.files.get_open(fd)?;
    let timer = timerfd::of(&file).ok_or(Errno::EINVAL)?;
    to.write(&itimerspec(timer.left()))
}

/// signalfd4(2).
pub(super) fn signalfd4(cx: &mut Cx, fd: i32, mask: UserPtr<u64>, size: usize, flags: Hex) -> Result<i32> {
    if size != 8 {
        return Err(Errno::EINVAL);
    }
    let wanted = SignalSet::from_bits(mask.read()?);
    if flags.0 & !(O_CLOEXEC | O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    if fd == -1 {
        let flags_kept = O_RDWR | flags.0 & O_NONBLOCK;
        let file = OpenFile::nameless(SignalFd::new(wanted), pidfd::attributes(), flags_kept);
        let number = cx.files.insert(file, 0, on_exec(flags.0), cx.process().limits.files())?;
        return i32::try_from(number).map_err(|_| Errno::EMFILE);
    }
    let file = cx.files.get_open(fd)?;
    signalfd::of(&file).ok_or(Errno::EINVAL)?.set(wanted);
    Ok(fd)
}

/// signalfd(2).
pub(super) fn signalfd(cx: &mut Cx, fd: i32, mask: UserPtr<u64>, size: usize) -> Result<i32> {
    signalfd4(cx, fd, mask, size, Hex(0))
}
