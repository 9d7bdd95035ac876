//! The archive the boot loader brought: finding a file in it.

use hal::boot::BootInfo;
use logic::cpio;

/// The archive's bytes, if the loader brought one.
pub(crate) fn archive(info: &BootInfo) -> Option<&'static [u8]> {
    hal::boot::initramfs(info)
}

/// Why a file cannot be had.
pub(crate) enum Missing {
    /// The loader brought no archive.
    NoArchive,
    /// It is compressed, with this.
    Compressed(&'static str),
    /// It is damaged; the reason.
    Damaged(cpio::CpioError),
    /// It is fine and has no such file.
    NoFile,
}

/// The contents of the file at `path` (without a leading slash).
pub(crate) fn find(archive: Option<&'static [u8]>, path: &str) -> Result<&'static [u8], Missing> {
    let archive = archive.ok_or(Missing::NoArchive)?;
    if let Some(compression) = cpio::compression(archive) {
        return Err(Missing::Compressed(compression.name()));
    }
    for entry in cpio::entries(archive) {
        let entry = entry.map_err(Missing::Damaged)?;
        let name = entry.name.strip_prefix(b"./").unwrap_or(entry.name);
        if name.strip_prefix(b"/").unwrap_or(name) == path.as_bytes() {
            return Ok(entry.data);
        }
    }
    Err(Missing::NoFile)
}
