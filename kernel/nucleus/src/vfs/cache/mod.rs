//! The page cache: what is in memory of files on disks, for read(2), write(2), mmap(2) and exec alike.
//!
//! A [`PageCache`] belongs to one file and holds its pages by number, under one sleeping lock (rank `PageCache`) that is
//! never held while bytes are copied or a disk is waited for: a page is taken out as a further owner of its frame. Where
//! the bytes are on disk its file system knows, as [`Backing`]. A page is clean, dirty, or being read; who meets one that
//! is being read waits for it. Dirty pages are written back by age, by number and by fsync(2), one writer a file at a
//! time (rank `WriteBack`); clean ones go when memory is short. Modules, lowest first:
//! - [`counters`]: how much there is of what.
//! - [`pages`]: the pages of a file and their states.
//! - [`transfer`]: reading and writing through the cache.
//! - [`write_back`]: from the cache to the disk.
//! - [`reclaim`]: memory for others.
//! - [`disks`]: the pages of disks themselves.

pub mod counters;
pub mod pages;
mod transfer;
pub mod write_back;
pub mod reclaim;
pub mod disks;

use alloc::sync::Arc;
use core::ops::Range;

use abi::Result;
use hal::frames::SharedFrame;

use crate::block::Ticket;

pub use pages::PageCache;
pub use write_back::Mapped;

/// Where the bytes of a cached file are.
pub trait Backing: Send + Sync {
    /// Bytes of the file.
    fn size(&self) -> u64;

    /// The file is `size` bytes long now, because somebody wrote there.
    fn set_size(&self, size: u64);

    /// Begins to read pages from `first` on; the requests carry the ticket. Holes are cleared at once.
    ///
    /// # Errors
    /// EIO, ENOMEM; what was begun is waited for all the same.
    fn load(&self, first: u64, frames: &[SharedFrame], ticket: &Arc<Ticket>) -> Result<()>;

    /// Begins to write pages from `first` on. What has no place on the disk is left out.
    ///
    /// # Errors
    /// As `load`.
    fn store(&self, first: u64, frames: &[SharedFrame], ticket: &Arc<Ticket>) -> Result<()>;

    /// Sees to it that these bytes have a place on the disk; says which have, from the block of the first on.
    ///
    /// # Errors
    /// ENOSPC, EDQUOT, EROFS, EFBIG, EIO.
    fn reserve(&self, range: Range<u64>) -> Result<Range<u64>>;
}
