//! What stands behind an area: nothing, or pages that a file gives.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use abi::{Errno, Result};
use hal::frames::SharedFrame;
use logic::vma::Backing;

/// Why a page is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be looked at.
    Read,
    /// To be changed, for everybody who has the file.
    Write,
}

/// A file as memory sees it.
pub trait PageSource: Send + Sync {
    /// The page `index` of the file.
    ///
    /// # Errors
    /// ENXIO past the end, ENOMEM, EIO; EAGAIN if it must wait for others to be written first.
    fn page(&self, index: u64, purpose: Purpose) -> Result<SharedFrame>;

    /// `page` said EAGAIN, for it may not wait: waits until it is worth another try. Called without a lock.
    ///
    /// # Errors
    /// EIO.
    fn wait_for_page(&self) -> Result<()> {
        Err(Errno::EIO)
    }

    /// Brings a range of bytes that was written through mappings to where it lasts. Called without a lock.
    ///
    /// # Errors
    /// EIO.
    fn sync(&self, _range: Range<u64>) -> Result<()> {
        Ok(())
    }

    /// The same if it is in memory already; never waits.
    fn cached_page(&self, index: u64) -> Option<SharedFrame>;

    /// Device and inode number, for `/proc/PID/maps`.
    fn identity(&self) -> (u64, u64);

    /// Appends its name, as far as memory allows.
    fn describe(&self, to: &mut Vec<u8>);
}

/// What stands behind an area.
#[derive(Clone)]
pub enum Source {
    /// Memory that is zero until written.
    Anonymous,
    /// A file, from `offset` on.
    File {
        /// The file.
        file: Arc<dyn PageSource>,
        /// Where in it the area starts, in bytes.
        offset: u64,
    },
}

impl Backing for Source {
    fn continues(&self, next: &Self, distance: u64) -> bool {
        match (self, next) {
            (Source::Anonymous, Source::Anonymous) => true,
            (Source::File { file, offset }, Source::File { file: next_file, offset: next_offset }) => {
                Arc::ptr_eq(file, next_file) && offset.checked_add(distance) == Some(*next_offset)
            }
            _ => false,
        }
    }

    fn advanced(&self, distance: u64) -> Self {
        match self {
            Source::Anonymous => Source::Anonymous,
            Source::File { file, offset } => {
                Source::File { file: file.clone(), offset: offset.saturating_add(distance) }
            }
        }
    }
}
