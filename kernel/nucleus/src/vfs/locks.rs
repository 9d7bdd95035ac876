//! Locks on files: fcntl(2)'s records, of a process or of an open file, and flock(2).
//!
//! A file's locks are made when the first is asked for, found by device and number, and kept by the open files they were
//! asked through. Locks: rank `LockTable`, around the list of all files with locks; `FileLocks`, around those of one file;
//! `LockWaiters`, inside it, around who waits for whom, so that two who find each other in the way are not both put to
//! sleep. Nothing else is locked or called under them, and who waits is woken after.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::{Errno, Result};
use hal::rank;
use hashbrown::HashMap;
use logic::locks::{Held, Kind, Locks, Range, Waiter, Waiters};

use super::inode::Attributes;
use crate::sched::mutex::Guard;
use crate::sched::{Mutex, Wait, WaitQueue};

/// Who has a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// All who share a table of descriptors, by its number: fcntl(2)'s `F_SETLK`.
    Table(u64),
    /// An open file, by its number: `F_OFD_SETLK`, flock(2).
    Open(u64),
}

/// Device and number.
type Key = (u64, u64);

/// The locks on one file.
pub struct FileLocks {
    key: Key,
    held: Mutex<Both, rank::FileLocks>,
    /// Who waits for one to go.
    released: WaitQueue,
}

struct Both {
    /// Of fcntl(2).
    records: Locks<Owner>,
    /// Of flock(2), which knows nothing of the others.
    whole: Locks<Owner>,
    /// Threads that wait: whoever gives something up looks further only if there are any.
    waiting: u32,
}

static TABLE: Mutex<Option<HashMap<Key, Weak<FileLocks>>>, rank::LockTable> = Mutex::new(None);
static WAITERS: Mutex<Waiters<Owner>, rank::LockWaiters> = Mutex::new(Waiters::new());
static NEXT_WAITER: AtomicU64 = AtomicU64::new(1);

impl FileLocks {
    /// Those on the file with these attributes.
    ///
    /// # Errors
    /// ENOLCK if there is no memory.
    pub fn of(file: &Attributes) -> Result<Arc<Self>> {
        let key = (file.device, file.number);
        let mut table = TABLE.lock();
        let table = table.get_or_insert_default();
        if let Some(known) = table.get(&key).and_then(Weak::upgrade) {
            return Ok(known);
        }
        table.try_reserve(1).map_err(|_| Errno::ENOLCK)?;
        let held = Mutex::new(Both { records: Locks::new(), whole: Locks::new(), waiting: 0 });
        let new = Arc::new(FileLocks { key, held, released: WaitQueue::new() });
        table.insert(key, Arc::downgrade(&new));
        Ok(new)
    }

    /// Those on the file with these attributes, if anybody ever asked for one that is still open.
    pub fn existing(file: &Attributes) -> Option<Arc<Self>> {
        TABLE.lock().as_ref()?.get(&(file.device, file.number))?.upgrade()
    }

    /// The lock that is in the way of `wanted` (`F_GETLK`).
    pub fn in_the_way(&self, wanted: &Held<Owner>) -> Option<Held<Owner>> {
        self.held.lock().records.conflict(wanted).copied()
    }

    /// Sets a record lock.
    ///
    /// # Errors
    /// EAGAIN if one is in the way and it must not wait; EDEADLK if who has it waits for the caller; ERESTARTSYS; ENOLCK.
    pub fn set(&self, wanted: Held<Owner>, wait: Wait) -> Result<()> {
        self.wait_for(&wanted, wait, |held| &mut held.records)
    }

    /// Gives up what an owner has of a range.
    ///
    /// # Errors
    /// ENOLCK.
    pub fn clear(&self, owner: Owner, range: Range) -> Result<()> {
        let mut held = self.held.lock();
        if held.records.clear(owner, range)? {
            self.let_others_try(held, owner);
        }
        Ok(())
    }

    /// flock(2). Going from one kind to the other gives the first up before it waits for the second, as on Linux.
    ///
    /// # Errors
    /// As `set`, but for EDEADLK: Linux looks for no circles here.
    pub fn lock_whole(&self, owner: Owner, kind: Kind, pid: u32, wait: Wait) -> Result<()> {
        let wanted = Held { owner, range: Range::WHOLE, kind, pid };
        {
            let mut held = self.held.lock();
            let own = held.whole.iter().find(|held| held.owner == owner).copied();
            if own.is_some_and(|own| own.kind == kind) {
                return Ok(());
            }
            if held.whole.forget(owner) {
                self.let_others_try(held, owner);
            }
        }
        self.wait_for(&wanted, wait, |held| &mut held.whole)
    }

    /// Gives up an open file's lock on the whole.
    pub fn unlock_whole(&self, owner: Owner) {
        let mut held = self.held.lock();
        if held.whole.forget(owner) {
            self.let_others_try(held, owner);
        }
    }

    /// Gives up everything an owner has.
    pub fn forget(&self, owner: Owner) {
        let mut held = self.held.lock();
        let Both { records, whole, .. } = &mut *held;
        if records.forget(owner) | whole.forget(owner) {
            self.let_others_try(held, owner);
        }
    }

    /// Wakes who waits, now that `owner` has less. They wait for it no more until they have looked again: else it could
    /// seem to wait in a circle with them.
    fn let_others_try(&self, held: Guard<'_, Both, rank::FileLocks>, owner: Owner) {
        if held.waiting == 0 {
            return;
        }
        WAITERS.lock().let_go(self.key, owner);
        drop(held);
        self.released.wake_all();
    }

    fn wait_for(
        &self,
        wanted: &Held<Owner>,
        wait: Wait,
        which: impl Fn(&mut Both) -> &mut Locks<Owner>,
    ) -> Result<()> {
        // Taken only by those who have to wait.
        let mut number = 0;
        let outcome = self.released.block_until(wait, || {
            let mut held = self.held.lock();
            let locks = which(&mut held);
            let Some(holder) = locks.conflict(wanted).map(|held| held.owner) else {
                locks.set(*wanted)?;
                // One that was exclusive and is shared now lets others in.
                self.let_others_try(held, wanted.owner);
                return Ok(());
            };
            if !wait.may_block() {
                return Err(Errno::EAGAIN);
            }
            let mut waiters = WAITERS.lock();
            let may_circle = matches!(wanted.owner, Owner::Table(_));
            if may_circle && waiters.closes_circle(wanted.owner, holder) {
                return Err(Errno::EDEADLK);
            }
            if number == 0 {
                number = NEXT_WAITER.fetch_add(1, Ordering::Relaxed);
                held.waiting += 1;
            }
            waiters.note(Waiter { number, file: self.key, wanted: *wanted, holder })?;
            Err(Errno::EAGAIN)
        });
        if number != 0 {
            self.held.lock().waiting -= 1;
            WAITERS.lock().forget(number);
        }
        outcome
    }
}

impl Drop for FileLocks {
    fn drop(&mut self) {
        if let Some(table) = TABLE.lock().as_mut()
            && table.get(&self.key).is_some_and(|known| known.strong_count() == 0)
        {
            table.remove(&self.key);
        }
    }
}

/// Which call set a lock, as `/proc/locks` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// fcntl(2).
    Record,
    /// flock(2).
    Whole,
}

/// A lock as `/proc/locks` shows it, with those that wait for it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Device and number of the file.
    pub file: Key,
    /// Which call set it.
    pub sort: Sort,
    /// The lock.
    pub held: Held<Owner>,
    /// Who waits for it to go.
    pub waiting: Vec<Held<Owner>>,
}

/// All locks there are.
///
/// # Errors
/// ENOMEM.
pub fn all() -> Result<Vec<Shown>> {
    let mut files = Vec::new();
    {
        let table = TABLE.lock();
        let known = table.iter().flatten();
        files.try_reserve(known.size_hint().1.unwrap_or(0)).map_err(|_| Errno::ENOMEM)?;
        files.extend(known.filter_map(|(_, locks)| locks.upgrade()));
    }
    let mut shown = Vec::new();
    for file in files {
        let held = file.held.lock();
        let waiters = WAITERS.lock();
        let records = held.records.iter().map(|held| (Sort::Record, held));
        for (sort, held) in records.chain(held.whole.iter().map(|held| (Sort::Whole, held))) {
            let waits = |waiter: &&Waiter<Owner>| waiter.file == file.key && waiter.wanted.conflicts(held);
            let mut waiting = Vec::new();
            for waiter in waiters.iter().filter(waits) {
                waiting.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                waiting.push(waiter.wanted);
            }
            shown.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            shown.push(Shown { file: file.key, sort, held: *held, waiting });
        }
    }
    shown.sort_by_key(|shown| shown.file);
    Ok(shown)
}
