//! Memory without a name that several can share: memfd_create(2), shared anonymous mappings.

use alloc::sync::Arc;

use abi::file::O_RDWR;
use abi::{Errno, Result};
use fs::tmpfs::{self, Sealing};
use nucleus::mm::PageSource;
use nucleus::vfs::{Change, OpenFile};

/// An open file that only memory holds.
pub(crate) fn memory_file(name: &[u8], may_seal: bool) -> Result<Arc<OpenFile>> {
    let mut label = alloc::vec::Vec::new();
    label.try_reserve(name.len() + 6).map_err(|_| Errno::ENOMEM)?;
    label.extend_from_slice(b"memfd:");
    label.extend_from_slice(name);
    let sealing = if may_seal { Sealing::Allowed } else { Sealing::Forbidden };
    let (inode, file) = tmpfs::anonymous(&label, sealing)?;
    Ok(OpenFile::in_memory(inode, file, &label, O_RDWR))
}

/// A file for O_TMPFILE.
pub(crate) fn unnamed_file(flags: u32) -> Result<Arc<OpenFile>> {
    let (inode, file) = tmpfs::anonymous(b"#unnamed", Sealing::Forbidden)?;
    Ok(OpenFile::in_memory(inode, file, b"/#unnamed (deleted)", flags))
}

/// The pages of a shared anonymous mapping.
pub(crate) fn shared_pages(len: u64) -> Result<Arc<dyn PageSource>> {
    let (inode, file) = tmpfs::anonymous(b"/dev/zero (deleted)", Sealing::Forbidden)?;
    inode.change(&Change { size: Some(len), ..Change::default() })?;
    file.pages().ok_or(Errno::ENOMEM)
}
