//! What a file system may use, and does.
//!
//! No lock: each count stands for itself, and is checked against its limit as it grows.

use core::sync::atomic::{AtomicU64, Ordering};

use abi::{Errno, Result};
use logic::addr::PAGE_SIZE;
use nucleus::vfs::Statistics;

use crate::identity;

/// Pages of all files of all file systems here, for `/proc/meminfo`.
static PAGES_IN_USE: AtomicU64 = AtomicU64::new(0);

/// Pages that all files in memory take.
pub fn pages_in_use() -> u64 {
    PAGES_IN_USE.load(Ordering::Relaxed)
}

/// A count with a limit, which is none if it is 0.
#[derive(Debug)]
struct Count {
    used: AtomicU64,
    limit: AtomicU64,
}

/// What a file system may use, and does.
#[derive(Debug)]
pub(super) struct Space {
    /// The file system's device number.
    pub(super) device: u64,
    pages: Count,
    inodes: Count,
    next_number: AtomicU64,
}

impl Count {
    const fn new(limit: u64) -> Self {
        Count { used: AtomicU64::new(0), limit: AtomicU64::new(limit) }
    }

    fn take(&self) -> Result<()> {
        let limit = self.limit.load(Ordering::Relaxed);
        let before = self.used.fetch_add(1, Ordering::Relaxed);
        if limit != 0 && before >= limit {
            self.give(1);
            return Err(Errno::ENOSPC);
        }
        Ok(())
    }

    fn give(&self, count: u64) {
        self.used.fetch_sub(count, Ordering::Relaxed);
    }

    /// All there may be, and those that are left.
    fn total_and_free(&self) -> (u64, u64) {
        let limit = self.limit.load(Ordering::Relaxed);
        (limit, limit.saturating_sub(self.used.load(Ordering::Relaxed)))
    }
}

impl Space {
    pub(super) fn new(pages: u64, inodes: u64) -> Self {
        Space {
            device: identity::new_device(),
            pages: Count::new(pages),
            inodes: Count::new(inodes),
            next_number: AtomicU64::new(1),
        }
    }

    pub(super) fn new_number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    /// # Errors
    /// ENOSPC.
    pub(super) fn take_page(&self) -> Result<()> {
        self.pages.take()?;
        PAGES_IN_USE.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn give_pages(&self, count: u64) {
        self.pages.give(count);
        PAGES_IN_USE.fetch_sub(count, Ordering::Relaxed);
    }

    /// For a file, and for each further name it gets.
    ///
    /// # Errors
    /// ENOSPC.
    pub(super) fn take_inode(&self) -> Result<()> {
        self.inodes.take()
    }

    pub(super) fn give_inode(&self) {
        self.inodes.give(1);
    }

    /// # Errors
    /// EINVAL if more is used already.
    pub(super) fn set_limits(&self, pages: u64, inodes: u64) -> Result<()> {
        let is_below = |count: &Count, limit| limit != 0 && limit < count.used.load(Ordering::Relaxed);
        if is_below(&self.pages, pages) || is_below(&self.inodes, inodes) {
            return Err(Errno::EINVAL);
        }
        self.pages.limit.store(pages, Ordering::Relaxed);
        self.inodes.limit.store(inodes, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn statistics(&self, magic: u64) -> Statistics {
        let (blocks, free_blocks) = self.pages.total_and_free();
        let (files, free_files) = self.inodes.total_and_free();
        Statistics {
            magic,
            block_size: PAGE_SIZE,
            blocks,
            free_blocks,
            available_blocks: free_blocks,
            files,
            free_files,
            id: self.device,
        }
    }
}
