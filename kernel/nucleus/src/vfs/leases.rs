//! Leases (fcntl(2): `F_SETLEASE`): whoever holds one is told before another opens the file in a way that matters, and the
//! other waits until the lease is given up, lowered, or taken away after a while.
//!
//! One table (rank `Table`) for all files, which who opens a file looks at only while there are any leases. Holders are told
//! without it, by whoever knows processes ([`set_on_break`]).

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use abi::time::NANOS;
use abi::{Errno, Result};
use hal::rank;
use hal::spin::{Lock, Once};
use hal::time::now_ns;
use hashbrown::HashMap;

use super::busy;
use super::inode::Attributes;
use super::open::OpenFile;
use crate::sched::{Wait, WaitQueue};

type Key = (u64, u64);

/// What a lease is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Told before somebody opens the file to write it, or cuts it.
    Read,
    /// Told before somebody opens it at all.
    Write,
}

/// How somebody opens a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opens {
    /// Only to read.
    ToRead,
    /// To write it or to cut it.
    ToWrite,
}

struct Lease {
    holder: Weak<OpenFile>,
    /// The descriptor it was taken through, which the signal names.
    fd: i32,
    kind: Kind,
    breaking: Option<Breaking>,
}

/// The holder has been told.
#[derive(Clone, Copy)]
struct Breaking {
    /// What is to be left of it.
    to: Option<Kind>,
    /// When it is taken away.
    until_ns: u64,
}

static LEASES: Lock<Option<HashMap<Key, Vec<Lease>>>, rank::Table> = Lock::new(None);
/// How many there are.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// Something was given up.
static CHANGED: WaitQueue = WaitQueue::new();
static ON_BREAK: Once<fn(&OpenFile, i32)> = Once::new();

/// `/proc/sys/fs/lease-break-time`: how long a holder may take.
pub static BREAK_SECONDS: AtomicU32 = AtomicU32::new(45);

/// Sets who tells the holder of a lease, an open file and its descriptor. Once, at boot.
pub fn set_on_break(tell: fn(&OpenFile, i32)) {
    ON_BREAK.call_once(|| tell);
}

fn key_of(file: &Attributes) -> Key {
    (file.device, file.number)
}

impl Lease {
    fn is_of(&self, holder: &OpenFile) -> bool {
        core::ptr::eq(self.holder.as_ptr(), holder)
    }

    fn is_in_the_way(&self, opens: Opens) -> bool {
        self.kind == Kind::Write || opens == Opens::ToWrite
    }

    /// Begins to break it; whether the holder is to be told.
    fn is_to_be_told(&mut self, opens: Opens) -> bool {
        let to = if opens == Opens::ToRead { Some(Kind::Read) } else { None };
        let is_enough = self.breaking.is_some_and(|breaking| breaking.to.is_none() || breaking.to == to);
        if is_enough {
            return false;
        }
        let patience = u64::from(BREAK_SECONDS.load(Ordering::Relaxed)) * NANOS;
        self.breaking = Some(Breaking { to, until_ns: now_ns().saturating_add(patience) });
        true
    }
}

/// Works on the leases of a file; those that are over after it go.
fn with<R>(key: Key, work: impl FnOnce(&mut Vec<Lease>) -> Result<R>) -> Result<R> {
    let mut all = LEASES.lock();
    let all = all.get_or_insert_default();
    all.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    let leases = all.entry(key).or_default();
    let before = leases.len();
    let outcome = work(leases);
    let after = leases.len();
    if leases.is_empty() {
        all.remove(&key);
    }
    COUNT.fetch_add(after, Ordering::SeqCst);
    COUNT.fetch_sub(before, Ordering::SeqCst);
    outcome
}

/// What `holder` has, or will have when it has heard.
pub fn get(holder: &OpenFile) -> Option<Kind> {
    let key = key_of(&holder.attributes()?);
    let mine = with(key, |leases| Ok(leases.iter().find(|lease| lease.is_of(holder)).map(target)));
    mine.ok().flatten().flatten()
}

fn target(lease: &Lease) -> Option<Kind> {
    lease.breaking.map_or(Some(lease.kind), |breaking| breaking.to)
}

/// Gives up the lease of `holder`.
///
/// # Errors
/// EAGAIN if there is none.
pub fn give_up(holder: &OpenFile) -> Result<()> {
    let key = key_of(&holder.attributes().ok_or(Errno::EINVAL)?);
    with(key, |leases| {
        let place = leases.iter().position(|lease| lease.is_of(holder)).ok_or(Errno::EAGAIN)?;
        leases.swap_remove(place);
        Ok(())
    })?;
    CHANGED.wake_all();
    Ok(())
}

/// Takes a lease, or changes the one there is. `is_open_elsewhere` says whether somebody else has the file open.
///
/// # Errors
/// EAGAIN if that, or the lease of another, does not go with it; ENOMEM.
pub fn take(
    holder: &Arc<OpenFile>,
    fd: i32,
    kind: Kind,
    is_open_elsewhere: impl FnOnce() -> bool,
) -> Result<()> {
    let key = key_of(&holder.attributes().ok_or(Errno::EINVAL)?);
    // It stands before anybody is asked: whoever opens the file from now on finds it.
    let before = with(key, |leases| insert(leases, holder, fd, kind))?;
    let is_refused = match kind {
        Kind::Read => busy::is_written(key),
        Kind::Write => is_open_elsewhere(),
    };
    if is_refused {
        with(key, |leases| {
            let place = leases.iter().position(|lease| lease.is_of(holder));
            match (place.and_then(|place| leases.get_mut(place)), before) {
                (Some(lease), Some(before)) => lease.kind = before,
                _ => leases.retain(|lease| !lease.is_of(holder)),
            }
            Ok(())
        })?;
    }
    CHANGED.wake_all();
    if is_refused { Err(Errno::EAGAIN) } else { Ok(()) }
}

/// What the holder had.
fn insert(leases: &mut Vec<Lease>, holder: &Arc<OpenFile>, fd: i32, kind: Kind) -> Result<Option<Kind>> {
    let mut others = leases.iter().filter(|lease| !lease.is_of(holder));
    if others.any(|other| kind == Kind::Write || other.kind == Kind::Write || target(other).is_none()) {
        return Err(Errno::EAGAIN);
    }
    if let Some(mine) = leases.iter_mut().find(|lease| lease.is_of(holder)) {
        if kind == Kind::Read && mine.breaking.is_some_and(|breaking| breaking.to == Some(Kind::Read)) {
            mine.breaking = None;
        }
        return Ok(Some(core::mem::replace(&mut mine.kind, kind)));
    }
    leases.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    leases.push(Lease { holder: Arc::downgrade(holder), fd, kind, breaking: None });
    Ok(None)
}

/// Waits until no lease on the file is in the way of opening it.
///
/// # Errors
/// EAGAIN if it must not wait (the holder is told all the same); ERESTARTSYS; ENOMEM.
pub fn respect(file: &Attributes, opens: Opens, wait: Wait) -> Result<()> {
    if COUNT.load(Ordering::SeqCst) == 0 { Ok(()) } else { break_all(key_of(file), opens, wait) }
}

#[cold]
fn break_all(key: Key, opens: Opens, wait: Wait) -> Result<()> {
    loop {
        // Kept until the lock is let go: the last user of an open file gives its lease up.
        let mut told = Vec::new();
        let deadline = with(key, |leases| {
            told.try_reserve(leases.len()).map_err(|_| Errno::ENOMEM)?;
            for lease in leases.iter_mut().filter(|lease| lease.is_in_the_way(opens)) {
                if lease.is_to_be_told(opens) {
                    told.extend(lease.holder.upgrade().map(|holder| (holder, lease.fd)));
                }
            }
            let in_the_way = leases.iter().filter(|lease| lease.is_in_the_way(opens));
            Ok(in_the_way.filter_map(|lease| lease.breaking).map(|breaking| breaking.until_ns).min())
        })?;
        if let Some(tell) = ON_BREAK.get() {
            told.iter().for_each(|(holder, fd)| tell(holder, *fd));
        }
        drop(told);
        let Some(deadline) = deadline else { return Ok(()) };
        let is_free = || {
            let is_held = with(key, |leases| Ok(leases.iter().any(|lease| lease.is_in_the_way(opens))))?;
            if is_held { Err(Errno::EAGAIN) } else { Ok(()) }
        };
        match CHANGED.block_until(wait.until(deadline), is_free) {
            Err(Errno::ETIMEDOUT) => take_away(key)?,
            outcome => return outcome,
        }
    }
}

/// Ends what was to be given up by now.
fn take_away(key: Key) -> Result<()> {
    with(key, |leases| {
        let now = now_ns();
        leases.retain_mut(|lease| match lease.breaking.filter(|breaking| breaking.until_ns <= now) {
            Some(Breaking { to: Some(kind), .. }) => {
                (lease.kind, lease.breaking) = (kind, None);
                true
            }
            Some(Breaking { to: None, .. }) => false,
            None => true,
        });
        Ok(())
    })?;
    CHANGED.wake_all();
    Ok(())
}

/// The last user of an open file is gone, and its lease.
pub(super) fn closed(holder: &OpenFile) {
    if COUNT.load(Ordering::SeqCst) != 0 {
        // There was none, mostly.
        let _ = give_up(holder);
    }
}
