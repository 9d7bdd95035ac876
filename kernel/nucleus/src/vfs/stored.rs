//! What open files do with where they are stored.

use core::ops::Range;
use core::sync::atomic::Ordering;

use abi::{Errno, Result};

use super::inode::FileKind;
use super::open::OpenFile;
use super::storage::{Advice, Allocation, Storage, Synced};

impl OpenFile {
    /// fsync(2), fdatasync(2), sync_file_range(2).
    ///
    /// # Errors
    /// EBADF, EINVAL for what is not stored, EIO once for each time that writing failed since the last call.
    pub fn sync(&self, what: Synced, range: Range<u64>) -> Result<()> {
        if self.is_name_only() {
            return Err(Errno::EBADF);
        }
        let Some(storage) = self.file.storage() else {
            return match self.attributes().map(|attributes| attributes.kind) {
                Some(FileKind::Regular | FileKind::Directory | FileKind::BlockDevice) => Ok(()),
                _ => Err(Errno::EINVAL),
            };
        };
        let outcome = storage.sync(what, range);
        let errors = storage.write_errors();
        let has_news = self.errors_told.swap(errors, Ordering::AcqRel) != errors;
        outcome.and(if has_news { Err(Errno::EIO) } else { Ok(()) })
    }

    /// fallocate(2).
    ///
    /// # Errors
    /// EBADF, EINVAL, EFBIG, EPERM, ESPIPE, ENODEV, EOPNOTSUPP, what the file says.
    pub fn allocate(&self, how: Allocation, range: Range<u64>) -> Result<()> {
        self.check_writable()?;
        let storage = self.stored()?;
        if let Some(place) = self.place() {
            place.check_writable_mount()?;
        }
        storage.allocate(how, range)
    }

    /// posix_fadvise(2), readahead(2): for files that are stored; others have nothing to plan.
    ///
    /// # Errors
    /// ESPIPE.
    pub fn advise(&self, advice: Advice, range: Range<u64>) -> Result<()> {
        if self.attributes().is_some_and(|attributes| attributes.kind == FileKind::Fifo) {
            return Err(Errno::ESPIPE);
        }
        if let Some(storage) = self.file.storage() {
            storage.advise(advice, range);
        }
        Ok(())
    }

    fn stored(&self) -> Result<&dyn Storage> {
        self.file.storage().ok_or_else(|| match self.attributes().map(|attributes| attributes.kind) {
            Some(FileKind::Fifo) => Errno::ESPIPE,
            _ => Errno::ENODEV,
        })
    }
}
