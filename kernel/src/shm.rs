//! Memory without a name that several can share: memfd_create(2), shared anonymous mappings.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use abi::file::O_RDWR;
use abi::{Errno, Result};
use fs::tmpfs::{self, Sealing};
use nucleus::mm::{PageSource, mappers};
use nucleus::vfs::{Attributes, Change, OpenFile};

/// An open file that only memory holds.
pub(crate) fn memory_file(name: &[u8], may_seal: bool) -> Result<Arc<OpenFile>> {
    let mut label = Vec::new();
    label.try_reserve(name.len() + 6).map_err(|_| Errno::ENOMEM)?;
    label.extend_from_slice(b"memfd:");
    label.extend_from_slice(name);
    let sealing = if may_seal { Sealing::Allowed } else { Sealing::Forbidden };
    let (inode, file) = tmpfs::anonymous(&label, sealing)?;
    Ok(OpenFile::in_memory(inode, file, &label, O_RDWR))
}

/// The pages of a shared anonymous mapping.
pub(crate) fn shared_pages(len: u64) -> Result<Arc<dyn PageSource>> {
    let (inode, file) = tmpfs::anonymous(b"/dev/zero (deleted)", Sealing::Forbidden)?;
    inode.change(&Change { size: Some(len), ..Change::default() })?;
    file.pages().ok_or(Errno::ENOMEM)
}

/// A file was cut to `size`: nobody keeps what lay behind.
pub(crate) fn cut(attributes: &Attributes, size: u64) {
    let is_mapped = || nucleus::vfs::busy::is_mapped((attributes.device, attributes.number));
    if attributes.size <= size || !is_mapped() {
        return;
    }
    mappers::for_each(|memory| {
        // Without memory to split a large page the rest stays mapped; files are mapped in small ones.
        let _ = memory.cut_file((attributes.device, attributes.number), size);
    });
}

/// Pages of a file are others now: who maps it shared gets them.
pub(crate) fn replaced(attributes: &Attributes, range: &Range<u64>) {
    let identity = (attributes.device, attributes.number);
    if nucleus::vfs::busy::is_mapped(identity) {
        // As in `cut`.
        mappers::for_each(|memory| {
            let _ = memory.forget_shared(identity, range);
        });
    }
}

/// Adds seals (fcntl(2): F_ADD_SEALS).
///
/// # Errors
/// EBUSY to seal writes while the file is mapped for them, what the file says.
pub(crate) fn add_seals(file: &OpenFile, seals: u32) -> Result<()> {
    let identity = file.attributes().map(|attributes| (attributes.device, attributes.number));
    if seals & tmpfs::seals::WRITE != 0
        && let Some(identity) = identity
    {
        let mut is_written = false;
        mappers::for_each(|memory| is_written |= memory.writes_file(identity));
        if is_written {
            return Err(Errno::EBUSY);
        }
    }
    tmpfs::seals::add(&**file.file(), seals)
}
