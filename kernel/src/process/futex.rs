//! futex(2): sleeping on a word of user memory.
//!
//! Sleepers stand in buckets by key (rank `Futex`, a sleeping lock: the word is read under it and may have to be brought
//! in). A sleeper is taken out by whoever wakes it. Keys are the address space and address, or for shared memory the
//! frame. Locks that name their owner are in [`pi`].

pub(crate) mod pi;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use abi::process::{FUTEX_BITSET_MATCH_ANY, FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS};
use abi::{Errno, Result};
use hal::{rank, usermem};
use nucleus::mm::Memory;
use nucleus::sched::{self, Mutex, Thread, Wait, block_until_any};

use super::task::Cx;
use pi::Claim;

/// Who may use the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// This address space (FUTEX_PRIVATE_FLAG).
    Private,
    /// Whoever maps it.
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    /// The address space; 0 for shared memory.
    space: usize,
    address: u64,
}

struct Sleeper {
    key: Key,
    bits: u32,
    thread: Arc<Thread>,
    is_woken: Arc<AtomicBool>,
    /// It waits for a lock with an owner; nobody but that owner wakes it.
    claim: Option<Claim>,
}

const BUCKETS: usize = 64;
static TABLE: [Mutex<Vec<Sleeper>, rank::Futex>; BUCKETS] = [const { Mutex::new(Vec::new()) }; BUCKETS];
/// Sleepers that were moved to another bucket, ever: one that times out looks for itself again if this changed.
static MOVES: AtomicU64 = AtomicU64::new(0);

fn key(memory: &Arc<Memory>, address: u64, scope: Scope) -> Result<Key> {
    if !address.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    if address >= hal::user::USER_TOP {
        return Err(Errno::EFAULT);
    }
    let shared = match scope {
        Scope::Private => None,
        Scope::Any => memory.shared_identity(address)?,
    };
    Ok(match shared {
        Some(frame) => Key { space: 0, address: frame },
        None => Key { space: Arc::as_ptr(memory).addr(), address },
    })
}

fn bucket(key: Key) -> usize {
    let mixed = (key.address >> 2 ^ key.space as u64 >> 6).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> 58).unwrap_or(0)
}

/// Sleeps while the word is `expected`, for a wake-up with one of `bits`.
///
/// # Errors
/// EAGAIN if it is not, ETIMEDOUT, ERESTARTSYS, EFAULT, EINVAL.
pub(crate) fn wait(
    memory: &Arc<Memory>,
    address: u64,
    scope: Scope,
    expected: u32,
    bits: u32,
    wait: Wait,
) -> Result<()> {
    if bits == 0 {
        return Err(Errno::EINVAL);
    }
    let key = key(memory, address, scope)?;
    let is_woken = Arc::new(AtomicBool::new(false));
    {
        let mut sleepers = TABLE[bucket(key)].lock();
        if usermem::read::<u32>(address)? != expected {
            return Err(Errno::EAGAIN);
        }
        sleepers.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        sleepers.push(Sleeper {
            key,
            bits,
            thread: sched::current(),
            is_woken: is_woken.clone(),
            claim: None,
        });
    }
    let outcome = block_until_any(
        wait,
        |_| {},
        || if is_woken.load(Ordering::Acquire) { Ok(()) } else { Err(Errno::EAGAIN) },
    );
    // Whoever wakes takes the sleeper out; who gives up does so himself, unless the wake-up came in between.
    if outcome.is_err() && !withdraw(key, &is_woken) {
        return Ok(());
    }
    outcome
}

/// Takes a sleeper out; false if it was woken meanwhile.
fn withdraw(key: Key, is_woken: &Arc<AtomicBool>) -> bool {
    let mut place = bucket(key);
    for _ in 0..=BUCKETS {
        let mut sleepers = TABLE[place].lock();
        if let Some(at) = sleepers.iter().position(|sleeper| Arc::ptr_eq(&sleeper.is_woken, is_woken)) {
            let gone = sleepers.swap_remove(at);
            drop(sleepers);
            drop(gone);
            return true;
        }
        drop(sleepers);
        if is_woken.load(Ordering::Acquire) || MOVES.load(Ordering::Acquire) == 0 {
            return false;
        }
        // It was moved (FUTEX_REQUEUE): look everywhere, once around.
        place = (place + 1) % BUCKETS;
    }
    false
}

/// Takes up to `count` matching sleepers out of a bucket and wakes them.
///
/// # Errors
/// EINVAL if one of them waits for a lock with an owner.
fn wake_in(sleepers: &mut Vec<Sleeper>, key: Key, count: u32, bits: u32) -> Result<u32> {
    let mut woken = 0;
    let mut at = 0;
    while at < sleepers.len() && woken < count {
        if sleepers[at].key == key && sleepers[at].claim.is_some() {
            return Err(Errno::EINVAL);
        }
        if sleepers[at].key == key && sleepers[at].bits & bits != 0 {
            let sleeper = sleepers.remove(at);
            sleeper.is_woken.store(true, Ordering::Release);
            sched::cpu::unpark(&sleeper.thread);
            woken += 1;
        } else {
            at += 1;
        }
    }
    Ok(woken)
}

/// Wakes up to `count` sleepers that wait for one of `bits`; says how many.
///
/// # Errors
/// EINVAL, EFAULT.
pub(crate) fn wake(memory: &Arc<Memory>, address: u64, scope: Scope, count: u32, bits: u32) -> Result<u32> {
    if bits == 0 {
        return Err(Errno::EINVAL);
    }
    let key = key(memory, address, scope)?;
    wake_in(&mut TABLE[bucket(key)].lock(), key, count, bits)
}

/// Locks the buckets of two keys, in order; the second is `None` if it is the same.
fn lock_two(
    first: Key,
    second: Key,
    work: impl FnOnce(&mut Vec<Sleeper>, Option<&mut Vec<Sleeper>>) -> Result<u32>,
) -> Result<u32> {
    let (one, other) = (bucket(first), bucket(second));
    if one == other {
        return work(&mut TABLE[one].lock(), None);
    }
    let (mut one, mut other) = Mutex::lock_both(&TABLE[one], &TABLE[other]);
    work(&mut one, Some(&mut other))
}

/// What FUTEX_REQUEUE asks for.
pub(crate) struct Requeue {
    /// How many are woken.
    pub(crate) wake: u32,
    /// How many of the rest are moved.
    pub(crate) move_on: u32,
    /// Only if the word is this.
    pub(crate) expected: Option<u32>,
}

/// Wakes some sleepers and lets others sleep on another word; says how many of both.
///
/// # Errors
/// EAGAIN if the word is not as expected, EINVAL, EFAULT.
pub(crate) fn requeue(
    memory: &Arc<Memory>,
    from: u64,
    to: u64,
    scope: Scope,
    request: &Requeue,
) -> Result<(u32, u32)> {
    let (from_key, to_key) = (key(memory, from, scope)?, key(memory, to, scope)?);
    let mut moved = 0;
    let woken = lock_two(from_key, to_key, |sleepers, mut other| {
        if let Some(expected) = request.expected
            && usermem::read::<u32>(from)? != expected
        {
            return Err(Errno::EAGAIN);
        }
        let woken = wake_in(sleepers, from_key, request.wake, FUTEX_BITSET_MATCH_ANY)?;
        let mut at = 0;
        while at < sleepers.len() && moved < request.move_on {
            if sleepers[at].key != from_key {
                at += 1;
                continue;
            }
            if sleepers[at].claim.is_some() {
                return Err(Errno::EINVAL);
            }
            moved += 1;
            match &mut other {
                None => {
                    sleepers[at].key = to_key;
                    at += 1;
                }
                Some(other) => {
                    other.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                    let mut sleeper = sleepers.remove(at);
                    sleeper.key = to_key;
                    MOVES.fetch_add(1, Ordering::Release);
                    other.push(sleeper);
                }
            }
        }
        Ok(woken)
    })?;
    Ok((woken, moved))
}

/// FUTEX_WAKE_OP: changes the second word as `operation` says, wakes sleepers of the first, and of the second if its old
/// value compares.
///
/// # Errors
/// EINVAL, EFAULT, ENOSYS for an unknown operation.
pub(crate) fn wake_op(
    memory: &Arc<Memory>,
    first: u64,
    second: u64,
    scope: Scope,
    counts: (u32, u32),
    operation: u32,
) -> Result<u32> {
    let (first_key, second_key) = (key(memory, first, scope)?, key(memory, second, scope)?);
    lock_two(first_key, second_key, |sleepers, other| {
        let old = change_word(second, operation)?;
        let mut woken = wake_in(sleepers, first_key, counts.0, FUTEX_BITSET_MATCH_ANY)?;
        if compares(old, operation)? {
            let sleepers = match other {
                Some(other) => other,
                None => sleepers,
            };
            woken += wake_in(sleepers, second_key, counts.1, FUTEX_BITSET_MATCH_ANY)?;
        }
        Ok(woken)
    })
}

/// A twelve-bit field of the operation, with its sign.
fn argument(operation: u32, shift: u32) -> u32 {
    ((operation << (20 - shift)).cast_signed() >> 20).cast_unsigned()
}

fn change_word(address: u64, operation: u32) -> Result<u32> {
    const SHIFTED: u32 = 8;
    let code = operation >> 28;
    let given = argument(operation, 12);
    let operand = if code & SHIFTED != 0 { 1_u32.checked_shl(given).unwrap_or(0) } else { given };
    let mut old = usermem::read::<u32>(address)?;
    loop {
        let new = match code & !SHIFTED {
            0 => operand,
            1 => old.wrapping_add(operand),
            2 => old | operand,
            3 => old & !operand,
            4 => old ^ operand,
            _ => return Err(Errno::ENOSYS),
        };
        let found = usermem::compare_exchange(address, old, new)?;
        if found == old {
            return Ok(old);
        }
        old = found;
    }
}

fn compares(old: u32, operation: u32) -> Result<bool> {
    let (old, with) = (old.cast_signed(), argument(operation, 0).cast_signed());
    Ok(match operation >> 24 & 0xf {
        0 => old == with,
        1 => old != with,
        2 => old < with,
        3 => old <= with,
        4 => old > with,
        5 => old >= with,
        _ => return Err(Errno::ENOSYS),
    })
}

/// The running task ends: tells the next owners of its futexes that it has left them.
pub(crate) fn leave_all(cx: &Cx) {
    pi::leave_all(cx, release_robust_list);
}

/// The program of the running task ends, and another follows.
pub(crate) fn leave_all_of_program(cx: &Cx) {
    leave_all(cx);
    cx.task.owning.set_stage(pi::Stage::Alive);
}

/// Whether a lock on the robust list names its owner: the lowest bit of its entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Owned,
}

impl Kind {
    fn of(entry: u64) -> Self {
        if entry & 1 == 0 { Kind::Plain } else { Kind::Owned }
    }
}

/// Walks the list of get_robust_list(2).
fn release_robust_list(cx: &Cx) {
    /// Longer lists are circles.
    const LIMIT: usize = 2048;
    if cx.robust_list == 0 {
        return;
    }
    // struct robust_list_head: the list, the distance from an entry to its word, an entry in doubt.
    let Ok([first, distance, pending]) = usermem::read::<[u64; 3]>(cx.robust_list) else { return };
    let release = |entry: u64| release_word(cx, (entry & !1).wrapping_add(distance), Kind::of(entry));
    let mut entry = first;
    for _ in 0..LIMIT {
        if entry & !1 == cx.robust_list {
            break;
        }
        let next = usermem::read::<u64>(entry & !1);
        if entry & !1 != pending & !1 && release(entry).is_err() {
            return;
        }
        let Ok(next) = next else { return };
        entry = next;
    }
    if pending & !1 != 0 {
        let _ = release(pending);
    }
}

fn release_word(cx: &Cx, address: u64, kind: Kind) -> Result<()> {
    let mut old = usermem::read::<u32>(address)?;
    loop {
        if old & FUTEX_TID_MASK != cx.task.tid().0 {
            return Ok(());
        }
        let new = old & FUTEX_WAITERS | FUTEX_OWNER_DIED;
        let found = usermem::compare_exchange(address, old, new)?;
        if found == old {
            break;
        }
        old = found;
    }
    // Who waits for an owner inherits.
    if old & FUTEX_WAITERS != 0 && kind == Kind::Plain {
        wake(&cx.memory, address, Scope::Any, 1, FUTEX_BITSET_MATCH_ANY)?;
    }
    Ok(())
}
