//! Waiting for several files: poll(2), select(2).

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::file::{POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLPRI, POLLRDNORM, POLLWRNORM};
use abi::time::{Timespec, Timeval};
use abi::{Errno, Result};
use hal::time::now_ns;
use logic::signal::SignalSet;
use nucleus::sched::{Wait, block_until_any};
use nucleus::vfs::OpenFile;

use super::args::{Address, UserPtr};
use crate::process::Cx;
use crate::process::limits::Resource;
use crate::process::task::Restart;

/// One of the files.
struct Watched {
    file: Option<Arc<OpenFile>>,
    /// What is asked for, and what is always told.
    events: u16,
}

impl Watched {
    fn ready(&self) -> u16 {
        match &self.file {
            Some(file) => file.ready().0 & self.events,
            None => 0,
        }
    }
}

/// Waits until one is ready, or `deadline` (`None`: for ever).
fn wait(watched: &[Watched], deadline_ns: Option<u64>) -> Result<()> {
    let wait = match deadline_ns {
        None => Wait::INTERRUPTIBLE,
        Some(0) => Wait::NEVER,
        Some(deadline) => Wait::INTERRUPTIBLE.until(deadline),
    };
    let outcome = block_until_any(
        wait,
        |visit| {
            for file in watched.iter().filter_map(|watched| watched.file.as_ref()) {
                file.file().for_each_queue(visit);
            }
        },
        || if watched.iter().any(|watched| watched.ready() != 0) { Ok(()) } else { Err(Errno::EAGAIN) },
    );
    match outcome {
        Err(Errno::EAGAIN | Errno::ETIMEDOUT) => Ok(()),
        other => other,
    }
}

/// From a timeout in nanoseconds to a deadline; 0 stays 0: do not wait.
fn deadline(timeout_ns: u64) -> u64 {
    if timeout_ns == 0 { 0 } else { now_ns().saturating_add(timeout_ns) }
}

fn poll_until(cx: &Cx, fds: u64, count: u32, deadline_ns: Option<u64>) -> Result<u64> {
    if u64::from(count) > cx.process().limits.soft(Resource::Files) {
        return Err(Errno::EINVAL);
    }
    let entry = |index: u32| UserPtr::<[u8; 8]>::at(fds).offset(u64::from(index));
    let mut watched: Vec<Watched> = Vec::new();
    watched.try_reserve_exact(count as usize).map_err(|_| Errno::ENOMEM)?;
    let mut invalid = 0;
    for index in 0..count {
        let [a, b, c, d, low, high, ..] = entry(index).read()?;
        let fd = i32::from_le_bytes([a, b, c, d]);
        let file = if fd < 0 { None } else { cx.files.get_open(fd).ok() };
        let is_invalid = fd >= 0 && file.is_none();
        invalid += u64::from(is_invalid);
        let events = u16::from_le_bytes([low, high]) | POLLERR | POLLHUP;
        // What is not open is told at once; the mark is in the events, which no file reports.
        watched.push(Watched { file, events: if is_invalid { POLLNVAL } else { events & !POLLNVAL } });
    }
    let deadline_ns = if invalid != 0 { Some(0) } else { deadline_ns };
    wait(&watched, deadline_ns)?;
    let mut ready = 0;
    for (index, watched) in (0..count).zip(&watched) {
        let events = if watched.events == POLLNVAL { POLLNVAL } else { watched.ready() };
        ready += u64::from(events != 0);
        UserPtr::<u16>::at(entry(index).address() + 6).write(&events)?;
    }
    Ok(ready)
}

fn poll_with_restart(cx: &mut Cx, fds: u64, count: u32, deadline_ns: Option<u64>) -> Result<u64> {
    match poll_until(cx, fds, count, deadline_ns) {
        Err(Errno::ERESTARTSYS) => {
            cx.restart = Some(Restart::Poll { fds, count, deadline_ns: deadline_ns.unwrap_or(u64::MAX) });
            Err(Errno::ERESTART_RESTARTBLOCK)
        }
        other => other,
    }
}

/// poll(2).
pub(super) fn poll(cx: &mut Cx, fds: Address, count: u32, timeout_ms: i32) -> Result<u64> {
    let deadline_ns = u64::try_from(timeout_ms).ok().map(|ms| deadline(ms * 1_000_000));
    poll_with_restart(cx, fds.0, count, deadline_ns)
}

/// Goes on after a signal without a handler.
pub(super) fn go_on(cx: &mut Cx, fds: u64, count: u32, deadline_ns: u64) -> Result<u64> {
    poll_with_restart(cx, fds, count, (deadline_ns != u64::MAX).then_some(deadline_ns))
}

/// A mask for the time of a call: the old one comes back when it ends, after a handler if one runs.
pub(super) fn set_mask_for_call(cx: &mut Cx, mask: UserPtr<u64>, size: usize) -> Result<()> {
    if mask.is_null() {
        return Ok(());
    }
    if size != 8 {
        return Err(Errno::EINVAL);
    }
    let mask = SignalSet::from_bits(mask.read()?);
    cx.saved_mask = Some(cx.task.blocked());
    cx.set_blocked(mask);
    Ok(())
}

/// The end of such a call.
pub(super) fn finish_masked(cx: &mut Cx, outcome: Result<u64>) -> Result<u64> {
    match outcome {
        Err(Errno::ERESTARTSYS) => Err(Errno::ERESTARTNOHAND),
        other => {
            if let Some(mask) = cx.saved_mask.take() {
                cx.set_blocked(mask);
            }
            other
        }
    }
}

/// ppoll(2).
pub(super) fn ppoll(
    cx: &mut Cx,
    fds: Address,
    count: u32,
    timeout: UserPtr<Timespec>,
    mask: UserPtr<u64>,
    size: usize,
) -> Result<u64> {
    let deadline_ns = match timeout.read_optional()? {
        Some(timeout) => Some(deadline(timeout.to_ns().ok_or(Errno::EINVAL)?)),
        None => None,
    };
    set_mask_for_call(cx, mask, size)?;
    let outcome = poll_until(cx, fds.0, count, deadline_ns);
    report_left(timeout, deadline_ns);
    finish_masked(cx, outcome)
}

/// Linux tells what is left of the time, and does not mind if it cannot.
fn report_left(timeout: UserPtr<Timespec>, deadline_ns: Option<u64>) {
    if let Some(deadline) = deadline_ns {
        let _ = timeout.write_optional(&Timespec::from_ns(deadline.saturating_sub(now_ns())));
    }
}

/// Bits of a set, one word at a time.
struct FdSet {
    address: u64,
    words: Vec<u64>,
}

impl FdSet {
    fn read(address: u64, count: usize) -> Result<Self> {
        let mut words = Vec::new();
        let len = count.div_ceil(64);
        words.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
        for index in 0..len as u64 {
            words.push(if address == 0 { 0 } else { UserPtr::<u64>::at(address).offset(index).read()? });
        }
        if let Some(last) = words.last_mut()
            && !count.is_multiple_of(64)
        {
            *last &= (1 << (count % 64)) - 1;
        }
        Ok(FdSet { address, words })
    }

    fn has(&self, fd: usize) -> bool {
        self.words.get(fd / 64).is_some_and(|word| word >> (fd % 64) & 1 != 0)
    }

    fn set(&mut self, fd: usize, is_set: bool) -> u64 {
        if let Some(word) = self.words.get_mut(fd / 64) {
            let bit = 1 << (fd % 64);
            *word = if is_set { *word | bit } else { *word & !bit };
        }
        u64::from(is_set)
    }

    fn write(&self) -> Result<()> {
        if self.address == 0 {
            return Ok(());
        }
        for (index, word) in self.words.iter().enumerate() {
            UserPtr::<u64>::at(self.address).offset(index as u64).write(word)?;
        }
        Ok(())
    }
}

fn select_until(cx: &Cx, count: i32, sets: [Address; 3], deadline_ns: Option<u64>) -> Result<u64> {
    const WANTED: [u16; 3] =
        [POLLIN | POLLRDNORM | POLLHUP | POLLERR, POLLOUT | POLLWRNORM | POLLERR, POLLPRI];
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?.min(1 << 20);
    let [reads, writes, exceptions] = sets;
    let mut sets =
        [FdSet::read(reads.0, count)?, FdSet::read(writes.0, count)?, FdSet::read(exceptions.0, count)?];
    let mut watched: Vec<Watched> = Vec::new();
    let mut numbers: Vec<usize> = Vec::new();
    for fd in 0..count {
        let events =
            sets.iter().zip(WANTED).filter(|(set, _)| set.has(fd)).fold(0, |sum, (_, bits)| sum | bits);
        if events == 0 {
            continue;
        }
        let file = Some(cx.files.get_open(i32::try_from(fd).map_err(|_| Errno::EBADF)?)?);
        watched.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        numbers.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        watched.push(Watched { file, events });
        numbers.push(fd);
    }
    wait(&watched, deadline_ns)?;
    let mut ready = 0;
    for (&fd, watched) in numbers.iter().zip(&watched) {
        let events = watched.ready();
        for (set, bits) in sets.iter_mut().zip(WANTED) {
            let is_ready = set.has(fd) && events & bits != 0;
            ready += set.set(fd, is_ready);
        }
    }
    sets.iter().try_for_each(FdSet::write)?;
    Ok(ready)
}

/// select(2).
pub(super) fn select(
    cx: &mut Cx,
    count: i32,
    reads: Address,
    writes: Address,
    exceptions: Address,
    timeout: UserPtr<Timeval>,
) -> Result<u64> {
    let deadline_ns = match timeout.read_optional()? {
        Some(Timeval { seconds, microseconds }) => {
            // Linux takes more than a second's worth of microseconds.
            let whole = Timeval {
                seconds: seconds + microseconds / 1_000_000,
                microseconds: microseconds % 1_000_000,
            };
            Some(deadline(whole.to_ns().ok_or(Errno::EINVAL)?))
        }
        None => None,
    };
    let outcome = select_until(cx, count, [reads, writes, exceptions], deadline_ns);
    if let Some(deadline) = deadline_ns {
        let _ = timeout.write_optional(&Timeval::from_ns(deadline.saturating_sub(now_ns())));
    }
    outcome.map_err(|error| if error == Errno::ERESTARTSYS { Errno::ERESTARTNOHAND } else { error })
}

/// pselect6(2).
pub(super) fn pselect6(
    cx: &mut Cx,
    count: i32,
    reads: Address,
    writes: Address,
    exceptions: Address,
    timeout: UserPtr<Timespec>,
    mask: UserPtr<[u64; 2]>,
) -> Result<u64> {
    let deadline_ns = match timeout.read_optional()? {
        Some(timeout) => Some(deadline(timeout.to_ns().ok_or(Errno::EINVAL)?)),
        None => None,
    };
    if let Some([mask, size]) = mask.read_optional()? {
        set_mask_for_call(cx, UserPtr::at(mask), logic::addr::to_usize(size))?;
    }
    let outcome = select_until(cx, count, [reads, writes, exceptions], deadline_ns);
    report_left(timeout, deadline_ns);
    finish_masked(cx, outcome)
}
