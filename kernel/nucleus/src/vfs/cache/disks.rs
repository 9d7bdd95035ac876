//! The pages of disks themselves: what is in memory of `/dev/vda` and the like.
//!
//! Each disk that somebody has open has one cache, which all who open it share; it stays while it is open, mapped or
//! dirty. The last to close it writes back, as Linux does, so that a file system that is mounted next finds it on the
//! disk. Mounted file systems keep their own pages and blocks: what they change shows here when the disk is opened anew,
//! and a partition and its disk have a cache each, as on Linux.
//!
//! Locks: rank `Table`, around the list of caches; rank `Writing`, one a disk, around writes and what goes past the cache.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::Ordering;

use abi::{Errno, Result};
use hal::frames::SharedFrame;
use hal::rank;
use hal::spin::Lock;
use logic::addr::{PAGE_LEN, PAGE_SIZE, to_usize};

use super::{Backing, Mapped, PageCache};
use crate::block::{Disk, Durability, Operation, RESERVED_SEGMENTS, Request, SECTOR, Segment, Ticket};
use crate::sched::Mutex;

/// All of a disk.
const ALL: Range<u64> = 0..u64::MAX;

static CACHES: Lock<Vec<Arc<DiskCache>>, rank::Table> = Lock::new(Vec::new());

/// A disk and its pages.
pub struct DiskCache {
    disk: Arc<Disk>,
    pages: Arc<PageCache>,
    writing: Mutex<(), rank::Writing>,
}

/// Opens the cache of a disk: one more has the disk open.
///
/// # Errors
/// ENOMEM.
pub fn open(disk: &Arc<Disk>) -> Result<Arc<DiskCache>> {
    // No inode of a file system has the number 0.
    let pages = PageCache::new((disk.number(), 0));
    let new = Arc::new(DiskCache { disk: disk.clone(), pages, writing: Mutex::new(()) });
    let (found, openers) = {
        let mut caches = CACHES.lock();
        let found = match caches.iter().find(|cache| Arc::ptr_eq(&cache.disk, disk)) {
            Some(found) => found.clone(),
            None => {
                caches.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                caches.push(new.clone());
                new
            }
        };
        (found, disk.openers().fetch_add(1, Ordering::Relaxed))
    };
    if openers == 0 {
        // Pages from before, which a mapping or a failed write left: the disk may have changed since.
        let _ = found.write_back(ALL);
        found.pages.drop_clean();
    }
    Ok(found)
}

/// One less has the disk open. The last one waits until what was written is on the disk.
pub fn close(cache: &Arc<DiskCache>) {
    let openers = cache.disk.openers();
    if openers.load(Ordering::Relaxed) == 1 {
        // Errors are for those who ask with fsync(2) before.
        let _ = cache.write_back(ALL);
    }
    if openers.fetch_sub(1, Ordering::Relaxed) == 1 {
        if cache.pages.is_dirty() {
            let _ = cache.write_back(ALL);
        }
        release(cache);
    }
}

/// Forgets a cache that is neither open, mapped nor dirty. The caller has it once.
fn release(cache: &Arc<DiskCache>) {
    if cache.pages.is_dirty() {
        return;
    }
    let gone = {
        let mut caches = CACHES.lock();
        // The list has it, and the caller; a mapping would be the third.
        let is_unused = cache.disk.openers().load(Ordering::Relaxed) == 0 && Arc::strong_count(cache) == 2;
        let place = caches.iter().position(|other| Arc::ptr_eq(other, cache));
        place.filter(|_| is_unused).map(|place| caches.swap_remove(place))
    };
    // A mapping may have changed something and gone just before.
    if let Some(gone) = gone.filter(|gone| gone.pages.is_dirty()) {
        let _ = gone.write_back(ALL);
    }
}

/// The cache of a disk that has one.
pub fn find(disk: &Disk) -> Option<Arc<DiskCache>> {
    CACHES.lock().iter().find(|cache| core::ptr::eq(&*cache.disk, disk)).cloned()
}

/// Calls `visit` with each cache, in the order of their numbers, without a lock.
fn for_each(mut visit: impl FnMut(&Arc<DiskCache>)) {
    let mut from = 0;
    loop {
        let next = {
            let caches = CACHES.lock();
            let later = caches.iter().filter(|cache| cache.disk.number() >= from);
            later.min_by_key(|cache| cache.disk.number()).cloned()
        };
        let Some(cache) = next else { return };
        visit(&cache);
        from = cache.disk.number().saturating_add(1);
    }
}

/// Brings to the disks what is older than a moment, or all.
///
/// # Errors
/// The first of any.
pub fn write_back_all(older_than_ns: Option<u64>) -> Result<()> {
    let mut outcome = Ok(());
    for_each(|cache| {
        if let Some(since) = cache.pages.dirty_since_ns()
            && older_than_ns.is_none_or(|limit| since <= limit)
        {
            outcome = outcome.and(cache.write_back(ALL));
        }
        release(cache);
    });
    outcome
}

/// Pages of all disks (`Buffers` in `/proc/meminfo`).
pub fn pages_in_use() -> u64 {
    let mut sum = 0;
    for_each(|cache| sum += cache.pages.len() as u64);
    sum
}

impl DiskCache {
    /// The disk.
    pub fn disk(&self) -> &Arc<Disk> {
        &self.disk
    }

    /// Its pages.
    pub fn pages(&self) -> &Arc<PageCache> {
        &self.pages
    }

    /// Held by who writes, and by who goes past the cache.
    pub fn writing(&self) -> &Mutex<(), rank::Writing> {
        &self.writing
    }

    /// Brings a range of bytes to the disk, perhaps into the disk's own cache.
    ///
    /// # Errors
    /// EIO, ENOMEM.
    pub fn write_back(&self, range: Range<u64>) -> Result<()> {
        self.pages.write_back(self, range, Mapped::Protected)
    }

    /// Lets `change` change a range of bytes on the disk itself; what the cache has of them is written before and
    /// forgotten after.
    ///
    /// # Errors
    /// EIO, ENOMEM; what `change` says.
    pub fn go_past<T>(&self, range: Range<u64>, change: impl FnOnce() -> Result<T>) -> Result<T> {
        let _alone = self.writing.lock();
        self.write_back(range.clone())?;
        let outcome = change();
        self.pages.forget(range);
        outcome
    }

    /// Moves pages between cache and disk; what is behind the disk's end is left out.
    fn transfer(
        &self,
        operation: Operation,
        first: u64,
        frames: &[SharedFrame],
        ticket: &Arc<Ticket>,
    ) -> Result<()> {
        let mut at = first * PAGE_SIZE;
        let mut left = self.size().saturating_sub(at);
        for some in frames.chunks(RESERVED_SEGMENTS) {
            if left == 0 {
                return Ok(());
            }
            let mut request = Request::new(operation, at / SECTOR, some.len(), ticket)?;
            for frame in some.iter().take(to_usize(left.div_ceil(PAGE_SIZE))) {
                let len = to_usize(left.min(PAGE_SIZE));
                request.push(Segment::new(frame.clone(), 0, len)?)?;
                at += len as u64;
                left -= len as u64;
            }
            self.disk.submit(request);
        }
        Ok(())
    }
}

impl Backing for DiskCache {
    fn size(&self) -> u64 {
        self.disk.sectors() * SECTOR
    }

    /// A disk has the size it has.
    fn set_size(&self, _size: u64) {}

    fn load(&self, first: u64, frames: &[SharedFrame], ticket: &Arc<Ticket>) -> Result<()> {
        // Frames come with anything in them; the disk may have shrunk since they were counted.
        let inside = self.size().saturating_sub(first * PAGE_SIZE).div_ceil(PAGE_SIZE);
        for frame in frames.iter().skip(to_usize(inside)) {
            frame.clear(0, PAGE_LEN);
        }
        self.transfer(Operation::Read, first, frames, ticket)
    }

    fn store(&self, first: u64, frames: &[SharedFrame], ticket: &Arc<Ticket>) -> Result<()> {
        self.transfer(Operation::Write(Durability::Cached), first, frames, ticket)
    }

    /// All of a disk has its place.
    fn reserve(&self, range: Range<u64>) -> Result<Range<u64>> {
        if self.disk.is_read_only() { Err(Errno::EROFS) } else { Ok(range) }
    }
}
