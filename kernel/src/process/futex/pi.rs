//! Futexes whose word names its owner: FUTEX_LOCK_PI and its kin (futex(2), "Priority-inheritance futexes").
//!
//! The kernel knows a lock only while somebody waits for it: each of them stands in the bucket with a claim, which says
//! who owns the lock. Unlocking hands it to the claim of the highest real-time priority, of those to the oldest. The
//! owner's priority is not raised to that of those who wait.
//!
//! An owner that ends leaves its locks to heirs. What it owned is not listed anywhere; it is told that somebody waits for
//! it (`Owning::has_heirs`), and then looks through all buckets. An heir writes the word itself, since only it is sure to
//! map it; until then it owns its own claim.
//!
//! The tree of processes cannot be asked under a bucket's lock: owners are looked up before, and the word is read again.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::process::{FUTEX_BITSET_MATCH_ANY, FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS};
use abi::{Errno, Result};
use hal::usermem;
use nucleus::sched::{self, Wait, block_until_any};

use super::super::pid::Pid;
use super::super::task::{Cx, Task};
use super::super::tree;
use super::{Key, Scope, Sleeper, TABLE, bucket, key};

/// Somebody's wish for a lock.
pub(super) struct Claim {
    task: Arc<Task>,
    /// Who has the lock; the task itself if it is to take it over from an owner that ended.
    owner: Arc<Task>,
}

/// Whether a task may still be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    Alive = 0,
    /// It is leaving its locks to others.
    Leaving = 1,
    Gone = 2,
}

/// What trying to lock came to.
enum Step {
    Got,
    /// A claim is registered; it has been heard when this is set.
    Registered(Arc<AtomicBool>),
    /// The word or its owner changed meanwhile.
    Again,
}

/// What to do about a lock that somebody has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IfTaken {
    Wait,
    Fail,
}

/// Pause before a word is looked at again that changed, or whose owner is leaving.
const PAUSE_NS: u64 = 50_000;

/// FUTEX_LOCK_PI and FUTEX_LOCK_PI2.
///
/// # Errors
/// EDEADLK, ESRCH if the owner is gone, EINVAL if the word and the kernel disagree, ETIMEDOUT, EFAULT, ENOMEM;
/// ERESTARTNOINTR.
pub(crate) fn lock(cx: &Cx, address: u64, scope: Scope, wait: Wait) -> Result<()> {
    let key = key(&cx.memory, address, scope)?;
    let Some(is_heard) = attempt(cx, key, address, IfTaken::Wait)? else { return Ok(()) };
    let heard = || if is_heard.load(Ordering::Acquire) { Ok(()) } else { Err(Errno::EAGAIN) };
    let outcome =
        if is_deadlock(&cx.task) { Err(Errno::EDEADLK) } else { block_until_any(wait, |_| {}, heard) };
    let outcome = settle(cx, key, address, &is_heard, outcome);
    cx.task.owning.waits_for.store(0, Ordering::SeqCst);
    outcome.map_err(|error| if error == Errno::ERESTARTSYS { Errno::ERESTARTNOINTR } else { error })
}

/// FUTEX_TRYLOCK_PI.
///
/// # Errors
/// EAGAIN if it is taken; else as [`lock`].
pub(crate) fn try_lock(cx: &Cx, address: u64, scope: Scope) -> Result<()> {
    let key = key(&cx.memory, address, scope)?;
    attempt(cx, key, address, IfTaken::Fail).map(|_| ())
}

/// Locks, or registers a claim.
fn attempt(cx: &Cx, key: Key, address: u64, if_taken: IfTaken) -> Result<Option<Arc<AtomicBool>>> {
    loop {
        match step(cx, key, address, if_taken)? {
            Step::Got => return Ok(None),
            Step::Registered(is_heard) => return Ok(Some(is_heard)),
            Step::Again => {
                if cx.task.thread().is_some_and(|thread| thread.is_interrupted()) {
                    return Err(Errno::ERESTARTNOINTR);
                }
                // Not just giving way: an owner that is leaving may be of a lower class.
                sched::sleep_ns(PAUSE_NS)?;
            }
        }
    }
}

fn step(cx: &Cx, key: Key, address: u64, if_taken: IfTaken) -> Result<Step> {
    let word = usermem::read::<u32>(address)?;
    let tid = word & FUTEX_TID_MASK;
    if tid == cx.task.tid().0 {
        return Err(Errno::EDEADLK);
    }
    let named = if tid == 0 { None } else { tree::task(Pid(tid)).ok() };
    let mut sleepers = TABLE[bucket(key)].lock();
    if usermem::read::<u32>(address)? != word {
        return Ok(Step::Again);
    }
    let known = match sleepers.iter().find(|sleeper| sleeper.key == key) {
        None => None,
        // Somebody waits for it as for an ordinary futex.
        Some(Sleeper { claim: None, .. }) => return Err(Errno::EINVAL),
        Some(Sleeper { claim: Some(claim), .. }) => {
            if tid != claim.owner.tid().0 && tid != 0 && !is_to_be_inherited(&sleepers, key) {
                return Err(Errno::EINVAL);
            }
            Some(claim.owner.clone())
        }
    };
    if known.is_none() && tid == 0 {
        let new = word & FUTEX_OWNER_DIED | cx.task.tid().0;
        let is_mine = usermem::compare_exchange(address, word, new)? == word;
        return Ok(if is_mine { Step::Got } else { Step::Again });
    }
    // Whoever unlocks must come to the kernel from now on.
    if usermem::compare_exchange(address, word, word | FUTEX_WAITERS)? != word {
        return Ok(Step::Again);
    }
    let owner = known.or(named).ok_or(Errno::ESRCH)?;
    if if_taken == IfTaken::Fail {
        return Err(Errno::EAGAIN);
    }
    sleepers.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    // In this order, and the other way round in `leave_all`: one of the two sees the other.
    owner.owning.has_heirs.store(true, Ordering::SeqCst);
    match owner.owning.stage() {
        Stage::Alive => {}
        Stage::Leaving => return Ok(Step::Again),
        Stage::Gone => return Err(Errno::ESRCH),
    }
    let is_heard = Arc::new(AtomicBool::new(false));
    cx.task.owning.waits_for.store(owner.tid().0, Ordering::SeqCst);
    sleepers.push(Sleeper {
        key,
        bits: FUTEX_BITSET_MATCH_ANY,
        thread: sched::current(),
        is_woken: is_heard.clone(),
        claim: Some(Claim { task: cx.task.clone(), owner }),
    });
    Ok(Step::Registered(is_heard))
}

/// Whether an heir is yet to write the word.
fn is_to_be_inherited(sleepers: &[Sleeper], key: Key) -> bool {
    let mut claims =
        sleepers.iter().filter(|sleeper| sleeper.key == key).filter_map(|sleeper| sleeper.claim.as_ref());
    claims.any(|claim| Arc::ptr_eq(&claim.owner, &claim.task))
}

/// Whether the task waits, over others that wait, for itself.
fn is_deadlock(task: &Arc<Task>) -> bool {
    /// Longer chains change while they are walked.
    const LONGEST: usize = 1024;
    let me = task.tid().0;
    let mut next = task.owning.waits_for.load(Ordering::SeqCst);
    for _ in 0..LONGEST {
        if next == me {
            return true;
        }
        let Ok(owner) = tree::task(Pid(next)) else { return false };
        next = owner.owning.waits_for.load(Ordering::SeqCst);
        if next == 0 {
            return false;
        }
    }
    false
}

/// The end of a wait: the lock was handed over, or is to be taken over from an owner that ended, or the claim is
/// withdrawn.
fn settle(cx: &Cx, key: Key, address: u64, is_heard: &Arc<AtomicBool>, outcome: Result<()>) -> Result<()> {
    let mut sleepers = TABLE[bucket(key)].lock();
    let Some(at) = sleepers.iter().position(|sleeper| Arc::ptr_eq(&sleeper.is_woken, is_heard)) else {
        return Ok(());
    };
    let mine = sleepers.remove(at);
    let is_heir = mine.claim.as_ref().is_some_and(|claim| Arc::ptr_eq(&claim.owner, &cx.task));
    if !is_heir {
        return outcome;
    }
    let others = if sleepers.iter().any(|sleeper| sleeper.key == key) { FUTEX_WAITERS } else { 0 };
    let taken = write_word(address, cx.task.tid().0 | FUTEX_OWNER_DIED | others);
    if taken.is_err() {
        name_heir(&mut sleepers, key);
    }
    taken
}

fn write_word(address: u64, new: u32) -> Result<()> {
    let mut old = usermem::read::<u32>(address)?;
    loop {
        let found = usermem::compare_exchange(address, old, new)?;
        if found == old {
            return Ok(());
        }
        old = found;
    }
}

/// The sleeper that gets a lock next.
fn next_claim(sleepers: &[Sleeper], key: Key) -> Option<usize> {
    let mut best = None;
    let claims =
        sleepers.iter().enumerate().filter(|(_, sleeper)| sleeper.key == key && sleeper.claim.is_some());
    for (at, sleeper) in claims {
        let priority = sleeper.thread.policy().real_time_priority();
        if best.is_none_or(|(_, least)| priority > least) {
            best = Some((at, priority));
        }
    }
    best.map(|(at, _)| at)
}

/// All who wait for a lock wait for its new owner.
fn set_owner(sleepers: &mut [Sleeper], key: Key, owner: &Arc<Task>) {
    owner.owning.waits_for.store(0, Ordering::SeqCst);
    for claim in
        sleepers.iter_mut().filter(|sleeper| sleeper.key == key).filter_map(|sleeper| sleeper.claim.as_mut())
    {
        claim.owner = owner.clone();
        owner.owning.has_heirs.store(true, Ordering::SeqCst);
        if !Arc::ptr_eq(&claim.task, owner) {
            claim.task.owning.waits_for.store(owner.tid().0, Ordering::SeqCst);
        }
    }
}

/// FUTEX_UNLOCK_PI.
///
/// # Errors
/// EPERM if it is another's, EINVAL if somebody waits for it as for an ordinary futex, EFAULT.
pub(crate) fn unlock(cx: &Cx, address: u64, scope: Scope) -> Result<()> {
    loop {
        let word = usermem::read::<u32>(address)?;
        if word & FUTEX_TID_MASK != cx.task.tid().0 {
            return Err(Errno::EPERM);
        }
        let key = key(&cx.memory, address, scope)?;
        let mut sleepers = TABLE[bucket(key)].lock();
        let Some(next) = next_claim(&sleepers, key) else {
            if usermem::compare_exchange(address, word, 0)? == word {
                return Ok(());
            }
            continue;
        };
        let claim = sleepers[next].claim.as_ref().ok_or(Errno::EINVAL)?;
        if !Arc::ptr_eq(&claim.owner, &cx.task) {
            return Err(Errno::EINVAL);
        }
        let heir = claim.task.clone();
        if usermem::compare_exchange(address, word, heir.tid().0 | FUTEX_WAITERS)? != word {
            continue;
        }
        let heard = sleepers.remove(next);
        set_owner(&mut sleepers, key, &heir);
        heard.hear();
        return Ok(());
    }
}

impl Sleeper {
    fn hear(&self) {
        self.is_woken.store(true, Ordering::Release);
        sched::cpu::unpark(&self.thread);
    }
}

/// Chooses who takes a lock over whose owner has ended.
fn name_heir(sleepers: &mut [Sleeper], key: Key) {
    let Some(next) = next_claim(sleepers, key) else { return };
    let Some(heir) = sleepers[next].claim.as_ref().map(|claim| claim.task.clone()) else { return };
    set_owner(sleepers, key, &heir);
    sleepers[next].hear();
}

/// The running task ends, or its program: its locks go to those who wait for them. `release_robust` does so for those
/// that it listed itself.
pub(crate) fn leave_all(cx: &Cx, release_robust: impl FnOnce(&Cx)) {
    let owning = &cx.task.owning;
    owning.set_stage(Stage::Leaving);
    release_robust(cx);
    if owning.has_heirs.swap(false, Ordering::SeqCst) {
        for bucket in &TABLE {
            let mut sleepers = bucket.lock();
            let is_mine = |sleeper: &Sleeper| {
                sleeper.claim.as_ref().is_some_and(|claim| Arc::ptr_eq(&claim.owner, &cx.task))
            };
            while let Some(key) = sleepers.iter().find(|sleeper| is_mine(sleeper)).map(|sleeper| sleeper.key)
            {
                name_heir(&mut sleepers, key);
            }
        }
    }
    owning.set_stage(Stage::Gone);
}
