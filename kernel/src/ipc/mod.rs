//! System V IPC: objects that processes find by key, as sysvipc(7) tells.
//!
//! Lock: rank `IpcTable`, around each table of numbers and permissions; objects have their own (`IpcObject`), taken after
//! it was given back, so that whoever waits holds neither. Modules:
//! - `sem`: sets of semaphores.
//! - `msg`: queues of messages.
//! - `shm`: memory.

pub(crate) mod sem;
pub(crate) mod msg;
pub(crate) mod shm;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::slice;
use core::sync::atomic::AtomicU64;

use abi::{Errno, Result};
use fs::procfs::{IpcLimit, IpcSort};
use hal::rank;
use logic::cred::Cred;
use logic::proc_text::Text;
use logic::sysv::ids::Ids;
use logic::sysv::perm::Perm;
use nucleus::sched::Mutex;

/// `IPC_PRIVATE`.
const PRIVATE: i32 = 0;
/// `IPC_CREAT`.
const CREATE: u32 = 0o1000;
/// `IPC_EXCL`.
const EXCLUSIVE: u32 = 0o2000;

/// Lets the end of a process undo what it wished.
pub(crate) fn init() {
    crate::process::exit::set_on_process_end(sem::process_ended);
}

/// What `/proc/sys/kernel` shows and sets.
pub(crate) fn limits(which: IpcLimit) -> &'static [AtomicU64] {
    match which {
        IpcLimit::Sem => &sem::LIMITS,
        IpcLimit::MsgMax => slice::from_ref(&msg::MESSAGE_MAX),
        IpcLimit::MsgMnb => slice::from_ref(&msg::QUEUE_MAX),
        IpcLimit::MsgMni => slice::from_ref(&msg::QUEUES_MAX),
        IpcLimit::ShmMax => slice::from_ref(&shm::SEGMENT_MAX),
        IpcLimit::ShmAll => slice::from_ref(&shm::PAGES_MAX),
        IpcLimit::ShmMni => slice::from_ref(&shm::SEGMENTS_MAX),
    }
}

/// Appends the lines of `/proc/sysvipc`: what the reader may read.
///
/// # Errors
/// ENOMEM.
pub(crate) fn list(which: IpcSort, cred: &Cred, to: &mut Text) -> Result<()> {
    match which {
        IpcSort::Sem => sem::list(cred, to),
        IpcSort::Msg => msg::list(cred, to),
        IpcSort::Shm => shm::list(cred, to),
    }
}

/// An object in its table.
pub(crate) struct Entry<T> {
    /// Whose it is.
    pub(crate) perm: Perm,
    /// The object.
    pub(crate) object: Arc<T>,
}

impl<T> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Entry { perm: self.perm, object: self.object.clone() }
    }
}

/// All objects of one sort.
pub(crate) struct Table<T>(Mutex<Ids<Entry<T>>, rank::IpcTable>);

impl<T> Table<T> {
    const fn new() -> Self {
        Table(Mutex::new(Ids::new()))
    }

    /// The object with a key, or a new one that `make` makes: shmget(2) and its kin.
    ///
    /// # Errors
    /// ENOENT, EEXIST, EACCES, ENOSPC, what `check` says of one that is there, what `make` says.
    fn get(
        &self,
        key: i32,
        flags: u32,
        cred: &Cred,
        limit: usize,
        check: impl FnOnce(&T) -> Result<()>,
        make: impl FnOnce() -> Result<T>,
    ) -> Result<i32> {
        let mut ids = self.0.lock();
        if key != PRIVATE
            && let Some((number, entry)) = ids.iter().find(|(_, entry)| entry.perm.key == key)
        {
            if flags & (CREATE | EXCLUSIVE) == CREATE | EXCLUSIVE {
                return Err(Errno::EEXIST);
            }
            check(&entry.object)?;
            entry.perm.check(cred, flags)?;
            return Ok(number);
        }
        if key != PRIVATE && flags & CREATE == 0 {
            return Err(Errno::ENOENT);
        }
        if ids.len() >= limit {
            return Err(Errno::ENOSPC);
        }
        let object = Arc::new(make()?);
        ids.insert(limit, |_| Entry { perm: Perm::new(key, flags, cred), object })
    }

    /// The object with a number, for what `wanted` says.
    ///
    /// # Errors
    /// EINVAL, EACCES.
    fn find(&self, number: i32, cred: &Cred, wanted: u32) -> Result<Entry<T>> {
        let entry = self.0.lock().get(number)?.clone();
        entry.perm.check(cred, wanted)?;
        Ok(entry)
    }

    /// The same by its place in the table, with its number (`SHM_STAT` and its kin).
    ///
    /// # Errors
    /// EINVAL.
    fn at(&self, place: i32) -> Result<(i32, Entry<T>)> {
        let ids = self.0.lock();
        let number = ids.number_at(place)?;
        Ok((number, ids.get(number)?.clone()))
    }

    /// Changes whose an object is (`IPC_SET`).
    ///
    /// # Errors
    /// EINVAL, EPERM, what `check` says.
    fn set(
        &self,
        number: i32,
        cred: &Cred,
        words: [u64; 3],
        check: impl FnOnce(&T) -> Result<()>,
    ) -> Result<()> {
        let mut ids = self.0.lock();
        let entry = ids.get_mut(number)?;
        entry.perm.check_owner(cred)?;
        check(&entry.object)?;
        entry.perm.set_from(words);
        Ok(())
    }

    /// Takes an object out (`IPC_RMID`).
    ///
    /// # Errors
    /// EINVAL, EPERM.
    fn remove(&self, number: i32, cred: &Cred) -> Result<Entry<T>> {
        let mut ids = self.0.lock();
        ids.get(number)?.perm.check_owner(cred)?;
        ids.remove(number)
    }

    /// All of them.
    ///
    /// # Errors
    /// ENOMEM.
    pub(crate) fn all(&self) -> Result<Vec<(i32, Entry<T>)>> {
        let ids = self.0.lock();
        let mut all = Vec::new();
        all.try_reserve_exact(ids.len()).map_err(|_| Errno::ENOMEM)?;
        all.extend(ids.iter().map(|(number, entry)| (number, entry.clone())));
        Ok(all)
    }

    /// The highest place in use, and how many objects there are.
    fn extent(&self) -> (usize, usize) {
        let ids = self.0.lock();
        (ids.highest(), ids.len())
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    nucleus::clock::realtime_ns() / abi::time::NANOS
}
