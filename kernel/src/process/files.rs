//! What tasks share of files: open files by number, and where paths start.
//!
//! Each is an `Arc` that clone(2) hands on or copies. Locks: ranks `FdTable` and `FsContext`, both sleeping.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use abi::{Errno, Result};
use hal::rank;
use logic::cred::Cred;
use logic::fd_table::{FdTable, OnExec, Reservation};
use nucleus::sched::Mutex;
use nucleus::vfs::locks::{FileLocks, Owner};
use nucleus::vfs::{OpenFile, Place, Walker};

/// Open files by number.
pub(crate) struct Files {
    table: Mutex<FdTable<Arc<OpenFile>>, rank::FdTable>,
    /// As an owner of locks on files.
    number: u64,
    /// It may have such locks, or have asked to be told of messages: then whatever is closed must be looked at.
    looks_at_closed: AtomicBool,
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

impl Files {
    /// Nothing open.
    pub(crate) fn new() -> Self {
        Self::of(FdTable::new())
    }

    fn of(table: FdTable<Arc<OpenFile>>) -> Self {
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        Files { table: Mutex::new(table), number, looks_at_closed: AtomicBool::new(false) }
    }

    /// The owner of the locks that fcntl(2) takes.
    pub(crate) fn lock_owner(&self) -> Owner {
        Owner::Table(self.number)
    }

    /// Its number.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// It is about to do something that closing a descriptor undoes.
    pub(crate) fn note_closing_matters(&self) {
        self.looks_at_closed.store(true, Ordering::Relaxed);
    }

    /// A descriptor of `file` was closed: all locks on it go, whichever descriptor they were taken through, and whoever
    /// asked to be told of its messages is not.
    pub(crate) fn closed(&self, file: Arc<OpenFile>) {
        if self.looks_at_closed.load(Ordering::Relaxed) {
            self.undo_for(&file);
        }
        drop(file);
    }

    #[cold]
    fn undo_for(&self, file: &OpenFile) {
        if let Some(queue) = fs::mqueue::of(&**file.file()) {
            queue.forget(self.number);
        }
        if let Some(attributes) = file.attributes()
            && let Some(locks) = FileLocks::existing(&attributes)
        {
            locks.forget(self.lock_owner());
        }
    }

    /// The open file `fd` stands for.
    pub(crate) fn get(&self, fd: i32) -> Result<Arc<OpenFile>> {
        let fd = u32::try_from(fd).map_err(|_| Errno::EBADF)?;
        self.table.lock().get(fd).cloned()
    }

    /// The same, if it is more than a name (O_PATH).
    pub(crate) fn get_open(&self, fd: i32) -> Result<Arc<OpenFile>> {
        self.get(fd).and_then(|file| if file.is_name_only() { Err(Errno::EBADF) } else { Ok(file) })
    }

    /// Works on the table. What falls out of it is returned and dropped by the caller, after the lock.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut FdTable<Arc<OpenFile>>) -> R) -> R {
        work(&mut self.table.lock())
    }

    /// Gives a file the lowest number from `from` on.
    pub(crate) fn insert(&self, file: Arc<OpenFile>, from: u32, on_exec: OnExec, limit: u32) -> Result<u32> {
        self.table.lock().insert(file, from, on_exec, limit)
    }

    /// Reserves a number that shows only when it is published.
    pub(crate) fn reserve(&self, on_exec: OnExec, limit: u32) -> Result<Reserved<'_>> {
        let reservation = self.table.lock().reserve(0, on_exec, limit)?;
        Ok(Reserved { files: self, reservation: Some(reservation) })
    }

    /// The same files in a table of its own.
    pub(crate) fn try_clone(&self) -> Result<Self> {
        Ok(Self::of(self.table.lock().try_clone()?))
    }

    /// Closes what is not for the next program.
    pub(crate) fn close_on_exec(&self) {
        loop {
            // One by one: each is dropped without the lock.
            let closed = self.table.lock().close_on_exec().next();
            let Some(closed) = closed else { return };
            self.closed(closed);
        }
    }
}

/// Whether any process has such an open file.
pub(crate) fn any_open(is_meant: impl Fn(&Arc<OpenFile>) -> bool) -> bool {
    let processes = super::tree::processes(|_| true);
    let tasks = processes.iter().flat_map(|process| process.tasks());
    let mut tables = tasks.filter_map(|task| task.state.lock().files.clone());
    tables.any(|files| files.with(|table| table.iter().any(|(_, file)| is_meant(file))))
}

impl Drop for Files {
    fn drop(&mut self) {
        if !self.looks_at_closed.load(Ordering::Relaxed) {
            return;
        }
        loop {
            let closed = self.table.lock().remove_range(0..=u32::MAX).next();
            let Some(closed) = closed else { return };
            self.closed(closed);
        }
    }
}

/// A number without a file yet; given back when dropped.
pub(crate) struct Reserved<'a> {
    files: &'a Files,
    reservation: Option<Reservation>,
}

impl Reserved<'_> {
    /// The number.
    pub(crate) fn number(&self) -> u32 {
        self.reservation.as_ref().map_or(0, Reservation::number)
    }

    /// Makes it stand for `file`.
    pub(crate) fn publish(mut self, file: Arc<OpenFile>) -> u32 {
        match self.reservation.take() {
            Some(reservation) => self.files.table.lock().publish(reservation, file),
            None => 0,
        }
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        if let Some(reservation) = self.reservation.take() {
            self.files.table.lock().cancel(reservation);
        }
    }
}

/// Where paths start, and the mask of new files.
pub(crate) struct FsContext {
    places: Mutex<Places, rank::FsContext>,
    mask: AtomicU32,
}

#[derive(Clone)]
struct Places {
    root: Place,
    directory: Place,
}

impl FsContext {
    /// Both at `root`, and Linux's first mask.
    pub(crate) fn new(root: Place) -> Self {
        let places = Places { directory: root.clone(), root };
        FsContext { places: Mutex::new(places), mask: AtomicU32::new(0o022) }
    }

    /// A copy of its own.
    pub(crate) fn copy(&self) -> Self {
        let places = self.places.lock().clone();
        FsContext { places: Mutex::new(places), mask: AtomicU32::new(self.mask()) }
    }

    /// Bits that new files do not get.
    pub(crate) fn mask(&self) -> u32 {
        self.mask.load(Ordering::Relaxed)
    }

    /// Sets them; the old ones.
    pub(crate) fn set_mask(&self, mask: u32) -> u32 {
        self.mask.swap(mask & 0o777, Ordering::Relaxed)
    }

    /// The highest directory.
    pub(crate) fn root(&self) -> Place {
        self.places.lock().root.clone()
    }

    /// The working directory.
    pub(crate) fn directory(&self) -> Place {
        self.places.lock().directory.clone()
    }

    /// Changes the working directory.
    pub(crate) fn set_directory(&self, place: Place) {
        let old = core::mem::replace(&mut self.places.lock().directory, place);
        drop(old);
    }

    /// Changes the highest directory.
    pub(crate) fn set_root(&self, place: Place) {
        let old = core::mem::replace(&mut self.places.lock().root, place);
        drop(old);
    }

    /// Puts another place where `old` is root or working directory.
    pub(crate) fn replace(&self, old: &Place, new: &Place) {
        let mut places = self.places.lock();
        let mut gone = [None, None];
        let Places { root, directory } = &mut *places;
        for (place, gone) in [root, directory].into_iter().zip(&mut gone) {
            if place.is(old) {
                *gone = Some(core::mem::replace(place, new.clone()));
            }
        }
        drop(places);
        drop(gone);
    }

    /// Walks from the working directory.
    pub(crate) fn walker<'a>(&self, cred: &'a Cred) -> Walker<'a> {
        let Places { root, directory } = self.places.lock().clone();
        Walker { cred, root, start: directory }
    }

    /// Walks from `start`.
    pub(crate) fn walker_from<'a>(&self, cred: &'a Cred, start: Place) -> Walker<'a> {
        Walker { cred, root: self.root(), start }
    }
}
