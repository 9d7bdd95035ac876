//! What `/proc` asks of processes and the system.

use alloc::sync::Arc;

use abi::{Errno, Result};
use nucleus::vfs::FileSystem;

/// The file system.
pub(crate) fn file_system() -> Result<Arc<dyn FileSystem>> {
    Err(Errno::ENODEV)
}
