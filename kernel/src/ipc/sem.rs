//! Sets of semaphores: semget(2), semop(2), semctl(2). The rules are in [`logic::sysv::semaphores`].
//!
//! Lock: rank `IpcObject`, around one set; who waits stands in its queue and tries again at every change.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use abi::{Errno, Result};
use hal::rank;
use logic::addr::to_usize;
use logic::cred::Cred;
use logic::proc_text::{Text, ipc as text};
use logic::sysv::semaphores::{Attempt, MOST, NO_WAIT, Operation, Set, UNDO, WaitsFor};
use nucleus::sched::{Mutex, Wait, WaitQueue};

use super::{Entry, Table, now};
use crate::process::Pid;

/// A set with what is told of it.
pub(crate) struct Semaphores {
    state: Mutex<State, rank::IpcObject>,
    changed: WaitQueue,
}

struct State {
    set: Set,
    /// Who waits: a number of its own, for which semaphore, for what.
    waiting: Vec<(u64, u16, WaitsFor)>,
    next_waiter: u64,
    last_operation: u64,
    last_change: u64,
    is_removed: bool,
}

/// All sets.
pub(crate) static SETS: Table<Semaphores> = Table::new();
/// Semaphores of all sets.
static TOTAL: AtomicUsize = AtomicUsize::new(0);
/// Operations that some process wishes to be undone have been done: its end is looked at.
static UNDOERS: AtomicUsize = AtomicUsize::new(0);

/// `/proc/sys/kernel/sem`: semaphores of a set, of all sets, operations of a call, sets.
pub(crate) static LIMITS: [AtomicU64; 4] =
    [AtomicU64::new(32_000), AtomicU64::new(1_024_000_000), AtomicU64::new(500), AtomicU64::new(32_000)];

/// One of [`LIMITS`].
pub(crate) fn limit(which: usize) -> usize {
    LIMITS.get(which).map_or(0, |limit| to_usize(limit.load(Ordering::Relaxed)))
}

/// semget(2).
pub(crate) fn get(key: i32, count: usize, flags: u32, cred: &Cred) -> Result<i32> {
    if count > limit(0) {
        return Err(Errno::EINVAL);
    }
    let check = |set: &Semaphores| {
        if count > set.state.lock().set.len() { Err(Errno::EINVAL) } else { Ok(()) }
    };
    SETS.get(key, flags, cred, limit(3), check, || {
        if count == 0 {
            return Err(Errno::EINVAL);
        }
        if TOTAL.load(Ordering::Relaxed) + count > limit(1) {
            return Err(Errno::ENOSPC);
        }
        let state = State {
            set: Set::new(count)?,
            waiting: Vec::new(),
            next_waiter: 1,
            last_operation: 0,
            last_change: now(),
            is_removed: false,
        };
        TOTAL.fetch_add(count, Ordering::Relaxed);
        Ok(Semaphores { state: Mutex::new(state), changed: WaitQueue::new() })
    })
}

impl Drop for Semaphores {
    fn drop(&mut self) {
        TOTAL.fetch_sub(self.state.lock().set.len(), Ordering::Relaxed);
    }
}

/// A set, for those who look at it or change it.
pub(crate) fn find(number: i32, cred: &Cred, wanted: u32) -> Result<Entry<Semaphores>> {
    SETS.find(number, cred, wanted)
}

/// A set by its place.
pub(crate) fn at(place: i32) -> Result<(i32, Entry<Semaphores>)> {
    SETS.at(place)
}

/// Appends the lines of `/proc/sysvipc/sem`.
pub(super) fn list(cred: &Cred, to: &mut Text) -> Result<()> {
    to.raw(text::SEM_HEAD);
    for (number, Entry { perm, object }) in SETS.all()? {
        if perm.check(cred, 0o444).is_ok() {
            let told = object.told();
            let shown = text::Object { perm, number, flags: 0 };
            text::sem(to, &shown, told.count, [told.last_operation, told.last_change]);
        }
    }
    Ok(())
}

/// `IPC_RMID`: those who wait get EIDRM.
pub(crate) fn remove(number: i32, cred: &Cred) -> Result<()> {
    let entry = SETS.remove(number, cred)?;
    entry.object.state.lock().is_removed = true;
    entry.object.changed.wake_all();
    Ok(())
}

/// `IPC_SET`.
pub(crate) fn set_owner(number: i32, cred: &Cred, words: [u64; 3]) -> Result<()> {
    SETS.set(number, cred, words, |set| {
        set.state.lock().last_change = now();
        Ok(())
    })
}

/// The highest place in use, sets, semaphores.
pub(crate) fn extent() -> (usize, usize, usize) {
    let (highest, sets) = SETS.extent();
    (highest, sets, TOTAL.load(Ordering::Relaxed))
}

/// What is told of a set: how many, time of the last operation, of the last change.
pub(crate) struct Told {
    /// Semaphores.
    pub(crate) count: usize,
    /// semop(2), in seconds.
    pub(crate) last_operation: u64,
    /// semctl(2), in seconds.
    pub(crate) last_change: u64,
}

impl Semaphores {
    /// What is told of it.
    pub(crate) fn told(&self) -> Told {
        let state = self.state.lock();
        Told { count: state.set.len(), last_operation: state.last_operation, last_change: state.last_change }
    }

    /// semop(2) by a process, until all is done.
    ///
    /// # Errors
    /// EAGAIN, EIDRM, EINTR, EFBIG, ERANGE, ENOMEM, ETIMEDOUT.
    pub(crate) fn operate(&self, operations: &[Operation], pid: Pid, wait: Wait) -> Result<()> {
        let mut own = 0;
        let outcome = self.changed.block_until(wait, || {
            let mut state = self.state.lock();
            if state.is_removed {
                return Err(Errno::EIDRM);
            }
            match state.set.attempt(operations, pid.0)? {
                Attempt::Done => {
                    state.last_operation = now();
                    Ok(Ok(()))
                }
                Attempt::Blocked(place, why) => {
                    let operation = operations.get(place).ok_or(Errno::EINVAL)?;
                    if operation.flags & NO_WAIT != 0 {
                        // EAGAIN, but not "not yet": it must not wait.
                        return Ok(Err(Errno::EAGAIN));
                    }
                    state.note(&mut own, operation.index, why)?;
                    Err(Errno::EAGAIN)
                }
            }
        });
        if own != 0 {
            self.state.lock().waiting.retain(|(number, ..)| *number != own);
        }
        let outcome = outcome.and_then(|done| done);
        if outcome.is_ok() {
            if operations.iter().any(|operation| operation.flags & UNDO != 0) {
                UNDOERS.store(1, Ordering::Relaxed);
            }
            if operations.iter().any(|operation| operation.change != 0) {
                self.changed.wake_all();
            }
        }
        outcome
    }

    /// The value of one, and who worked on it last.
    pub(crate) fn value(&self, index: usize) -> Result<(u16, u32)> {
        let state = self.state.lock();
        let semaphore = state.set.get(index)?;
        Ok((semaphore.value, semaphore.pid))
    }

    /// How many wait for one.
    pub(crate) fn waiting(&self, index: usize, why: WaitsFor) -> Result<usize> {
        let state = self.state.lock();
        state.set.get(index)?;
        let is_it = |&&(_, own, own_why): &&(u64, u16, WaitsFor)| usize::from(own) == index && own_why == why;
        Ok(state.waiting.iter().filter(is_it).count())
    }

    /// All values.
    pub(crate) fn values(&self) -> Result<Vec<u16>> {
        let state = self.state.lock();
        let mut values = Vec::new();
        values.try_reserve_exact(state.set.len()).map_err(|_| Errno::ENOMEM)?;
        values.extend(state.set.iter().map(|semaphore| semaphore.value));
        Ok(values)
    }

    /// `SETVAL`, `SETALL`: values from `first` on.
    ///
    /// # Errors
    /// ERANGE, EINVAL, EIDRM.
    pub(crate) fn set_values(&self, first: usize, values: &[u16], pid: Pid) -> Result<()> {
        {
            let mut state = self.state.lock();
            if state.is_removed {
                return Err(Errno::EIDRM);
            }
            if values.iter().any(|&value| value > MOST) {
                return Err(Errno::ERANGE);
            }
            for (index, &value) in (first..).zip(values) {
                state.set.set(index, value, pid.0)?;
            }
            state.last_change = now();
        }
        self.changed.wake_all();
        Ok(())
    }
}

impl State {
    /// Notes that somebody waits, or now waits for something else.
    fn note(&mut self, own: &mut u64, index: u16, why: WaitsFor) -> Result<()> {
        if *own == 0 {
            self.waiting.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            *own = self.next_waiter;
            self.next_waiter += 1;
            self.waiting.push((*own, index, why));
        } else if let Some(known) = self.waiting.iter_mut().find(|(number, ..)| number == own) {
            *known = (*own, index, why);
        }
        Ok(())
    }
}

/// A process ends: what it wished to be undone is.
pub(crate) fn process_ended(pid: Pid) {
    if UNDOERS.load(Ordering::Relaxed) == 0 {
        return;
    }
    // Without memory for the list nothing is undone.
    for (_, entry) in SETS.all().unwrap_or_default() {
        undo(&entry.object, pid);
    }
}

fn undo(set: &Arc<Semaphores>, pid: Pid) {
    let changed = {
        let mut state = set.state.lock();
        let changed = state.set.has_adjustments() && state.set.undo(pid.0);
        if changed {
            state.last_operation = now();
        }
        changed
    };
    if changed {
        set.changed.wake_all();
    }
}
