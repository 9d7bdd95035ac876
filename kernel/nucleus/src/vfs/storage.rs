//! What only files that are stored somewhere can do, beyond reading and writing.

use core::ops::Range;

use abi::{Errno, Result};

/// What is to be on the disk when a call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synced {
    /// The bytes, and what finds them (fdatasync(2)).
    Data,
    /// All there is to know of the file (fsync(2)).
    Everything,
}

/// What fallocate(2) does with a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocation {
    /// Room for it is kept, and the file grows to its end.
    Room,
    /// Room for it is kept; the file's size stays (`FALLOC_FL_KEEP_SIZE`).
    RoomBehind,
    /// It becomes a hole (`FALLOC_FL_PUNCH_HOLE`).
    Hole,
    /// It becomes zero, and the file grows to its end (`FALLOC_FL_ZERO_RANGE`).
    Zeros,
    /// It becomes zero; the file's size stays.
    ZerosWithin,
}

/// What lseek(2) looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Bytes that were written (`SEEK_DATA`).
    Data,
    /// A hole (`SEEK_HOLE`); the end of the file counts as one.
    Hole,
}

/// What a program says of its plans (posix_fadvise(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// It will need a range soon.
    WillNeed,
    /// It will not.
    DontNeed,
}

/// A file that is stored somewhere. The bodies are right for one that lives in memory.
pub trait Storage: Send + Sync {
    /// Brings what was written to where it lasts.
    ///
    /// # Errors
    /// EIO, ENOSPC.
    fn sync(&self, _what: Synced, _range: Range<u64>) -> Result<()> {
        Ok(())
    }

    /// How often bringing it there has failed: each open file tells of each time once.
    fn write_errors(&self) -> u32 {
        0
    }

    /// fallocate(2); the range is not empty.
    ///
    /// # Errors
    /// EOPNOTSUPP, ENOSPC, EFBIG, EIO.
    fn allocate(&self, _how: Allocation, _range: Range<u64>) -> Result<()> {
        Err(Errno::EOPNOTSUPP)
    }

    /// The next data or hole at or after a position.
    ///
    /// # Errors
    /// ENXIO if there is none, or the position lies behind the end.
    fn seek(&self, position: u64, wanted: Wanted) -> Result<u64>;

    /// Hears of plans.
    fn advise(&self, _advice: Advice, _range: Range<u64>) {}
}
