//! Waiting for several files: poll(2), select(2).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::Cell;

use abi::file::{POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLPRI, POLLRDNORM, POLLWRNORM};
use abi::time::{Timespec, Timeval};
use abi::{Errno, Result};
use hal::time::now_ns;
use hal::usermem;
use logic::signal::SignalSet;
use nucleus::sched::{Wait, block_until_any};
use nucleus::vfs::OpenFile;

use super::args::{Address, UserPtr};
use crate::process::Cx;
use crate::process::limits::Resource;
use crate::process::task::Restart;

/// Descriptors that are looked up under one acquisition of the table.
const BATCH: usize = 16;

/// One of the files.
struct Watched {
    fd: u32,
    /// None where the number is not open.
    file: Option<Arc<OpenFile>>,
    /// What is asked for, and what is always told.
    events: u16,
    /// What of it was so at the last look.
    found: Cell<u16>,
}

impl Watched {
    /// Looks; says whether there is something.
    fn look(&self) -> bool {
        let found = self.file.as_ref().map_or(0, |file| file.ready().0 & self.events);
        self.found.set(found);
        found != 0
    }
}

/// Adds the files of some numbers, each with its events. There is room.
fn look_up(cx: &Cx, wanted: impl Iterator<Item = (u32, u16)>, to: &mut Vec<Watched>) {
    cx.files.with(|table| {
        to.extend(wanted.map(|(fd, events)| {
            let file = table.get(fd).ok().filter(|file| !file.is_name_only()).cloned();
            Watched { fd, file, events, found: Cell::new(0) }
        }));
    });
}

/// Waits until one is ready, or `deadline` (`None`: for ever). What was found is noted with each.
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
        || {
            let is_any = watched.iter().fold(false, |is_any, watched| is_any | watched.look());
            if is_any { Ok(()) } else { Err(Errno::EAGAIN) }
        },
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
    let mut watched: Vec<Watched> = Vec::new();
    watched.try_reserve_exact(count as usize).map_err(|_| Errno::ENOMEM)?;
    let entry = |index: u32| UserPtr::<[u8; 8]>::at(fds).offset(u64::from(index)).address();
    let mut batch = [[0; 8]; BATCH];
    for first in (0..count).step_by(BATCH) {
        let batch = batch.get_mut(..BATCH.min((count - first) as usize)).unwrap_or_default();
        usermem::read_bytes(batch.as_flattened_mut(), entry(first))?;
        let wanted = batch.iter().map(|&[a, b, c, d, low, high, ..]| {
            let events = u16::from_le_bytes([low, high]) | POLLERR | POLLHUP;
            (u32::from_le_bytes([a, b, c, d]), events & !POLLNVAL)
        });
        look_up(cx, wanted, &mut watched);
    }
    let mut deadline_ns = deadline_ns;
    for watched in &mut watched {
        // What is not open is told at once; negative numbers are left out. The mark is in the events, which no file reports.
        if watched.file.is_none() && watched.fd <= i32::MAX as u32 {
            (watched.events, deadline_ns) = (POLLNVAL, Some(0));
        }
    }
    wait(&watched, deadline_ns)?;
    let mut ready = 0;
    for (index, watched) in (0..).zip(&watched) {
        let events = if watched.events == POLLNVAL { POLLNVAL } else { watched.found.get() };
        ready += u64::from(events != 0);
        UserPtr::<u16>::at(entry(index).wrapping_add(6)).write(&events)?;
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

/// Bits of a set, in words of 64.
struct FdSet {
    address: u64,
    words: Vec<[u8; 8]>,
}

impl FdSet {
    fn read(address: u64, count: usize) -> Result<Self> {
        let mut words = Vec::new();
        if address == 0 {
            return Ok(FdSet { address, words });
        }
        let len = count.div_ceil(64);
        words.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
        words.resize(len, [0; 8]);
        usermem::read_bytes(words.as_flattened_mut(), address)?;
        if let Some(last) = words.last_mut()
            && !count.is_multiple_of(64)
        {
            *last = (u64::from_le_bytes(*last) & ((1 << (count % 64)) - 1)).to_le_bytes();
        }
        Ok(FdSet { address, words })
    }

    fn word(&self, index: usize) -> u64 {
        self.words.get(index).map_or(0, |&word| u64::from_le_bytes(word))
    }

    /// Leaves those in it that are ready for some of `events`; how many. `watched` is in the order of numbers.
    fn keep(&mut self, watched: &[Watched], events: u16) -> u64 {
        let mut count = 0;
        let mut watched = watched.iter().peekable();
        for (index, word) in (0..).zip(&mut self.words) {
            let mut mask = 0_u64;
            while let Some(one) = watched.next_if(|one| one.fd / 64 == index) {
                mask |= u64::from(one.found.get() & events != 0) << (one.fd % 64);
            }
            let kept = u64::from_le_bytes(*word) & mask;
            count += u64::from(kept.count_ones());
            *word = kept.to_le_bytes();
        }
        count
    }

    fn write(&self) -> Result<()> {
        usermem::write_bytes(self.address, self.words.as_flattened())
    }
}

/// The files in any of three sets, in the order of numbers; `events` are what each set asks for.
fn asked(cx: &Cx, sets: &[FdSet; 3], events: [u16; 3]) -> Result<Vec<Watched>> {
    let mut watched = Vec::new();
    let len = sets.iter().map(|set| set.words.len()).max().unwrap_or(0);
    for (base, index) in (0..).step_by(64).zip(0..len) {
        let words = sets.each_ref().map(|set| set.word(index));
        let mut left = words.iter().fold(0, |all, word| all | word);
        watched.try_reserve(left.count_ones() as usize).map_err(|_| Errno::ENOMEM)?;
        let next = || {
            let bit = (left != 0).then(|| left.trailing_zeros())?;
            left &= left - 1;
            let wanted = words.iter().zip(events).filter(|(word, _)| *word >> bit & 1 != 0);
            Some((base + bit, wanted.fold(0, |all, (_, events)| all | events)))
        };
        look_up(cx, core::iter::from_fn(next), &mut watched);
    }
    if watched.iter().any(|watched| watched.file.is_none()) { Err(Errno::EBADF) } else { Ok(watched) }
}

fn select_until(cx: &Cx, count: i32, sets: [Address; 3], deadline_ns: Option<u64>) -> Result<u64> {
    const WANTED: [u16; 3] =
        [POLLIN | POLLRDNORM | POLLHUP | POLLERR, POLLOUT | POLLWRNORM | POLLERR, POLLPRI];
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?.min(1 << 20);
    let [reads, writes, exceptions] = sets;
    let mut sets =
        [FdSet::read(reads.0, count)?, FdSet::read(writes.0, count)?, FdSet::read(exceptions.0, count)?];
    let watched = asked(cx, &sets, WANTED)?;
    wait(&watched, deadline_ns)?;
    let ready = sets.iter_mut().zip(WANTED).map(|(set, events)| set.keep(&watched, events)).sum();
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
