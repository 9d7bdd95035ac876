//! Which file systems there are, and mounting them.

use alloc::sync::Arc;

use abi::{Errno, Result};
use fs::tmpfs::Tmpfs;
use nucleus::vfs::{FileSystem, Place, mount as table};

/// `MS_` flags that do something else than mount something new.
const MS_REMOUNT: u32 = 32;
const MS_BIND: u32 = 4096;
const MS_MOVE: u32 = 8192;
/// Propagation: nothing propagates.
const MS_PROPAGATION: u32 = 1 << 17 | 1 << 18 | 1 << 19 | 1 << 20;
/// What a mount keeps of its flags.
const KEPT: u32 = 0x0020_0c1f;

/// The root file system, before anything else is mounted.
pub(crate) fn mount_root() -> Result<Place> {
    table::mount(Tmpfs::new(b"")?, None, b"rootfs", 0)
}

/// mount(2) on `target`.
pub(crate) fn mount(target: Place, source: &[u8], kind: &[u8], flags: u32, data: &[u8]) -> Result<()> {
    if flags & MS_PROPAGATION != 0 {
        return Ok(());
    }
    if flags & MS_REMOUNT != 0 {
        target.mount.set_flags(flags & KEPT);
        return Ok(());
    }
    if flags & (MS_BIND | MS_MOVE) != 0 {
        return Err(Errno::EINVAL);
    }
    let file_system: Arc<dyn FileSystem> = match kind {
        b"tmpfs" | b"ramfs" => Tmpfs::new(data)?,
        b"devtmpfs" => fs::devfs::shared()?,
        b"mqueue" => fs::mqueue::shared(),
        b"proc" => crate::procfs::file_system(),
        _ => return Err(Errno::ENODEV),
    };
    table::mount(file_system, Some(target), source, flags & KEPT).map(|_| ())
}
