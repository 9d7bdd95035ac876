//! Which file systems there are, and mounting them.

use alloc::sync::Arc;

use abi::{Errno, Result};
use fs::ext2::{Ext2, Writing};
use fs::tmpfs::Tmpfs;
use nucleus::block::{self, Disk};
use nucleus::vfs::{FileKind, FileSystem, Place, mount as table};

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
///
/// # Errors
/// Those of the manual page.
pub(crate) fn mount(target: Place, source: Source<'_>, kind: &[u8], flags: u32, data: &[u8]) -> Result<()> {
    if flags & MS_PROPAGATION != 0 {
        return Ok(());
    }
    if flags & MS_REMOUNT != 0 {
        return remount(&target, flags, data);
    }
    if flags & MS_BIND != 0 {
        return table::bind(&source.place()?, target).map(|_| ());
    }
    if flags & MS_MOVE != 0 {
        return table::move_to(&source.place()?, &target);
    }
    let file_system: Arc<dyn FileSystem> = match kind {
        b"" => return Err(Errno::EINVAL),
        b"ext2" => return mount_disk(target, &source, flags),
        b"tmpfs" | b"ramfs" => Tmpfs::new(data)?,
        b"devtmpfs" => fs::devfs::shared()?,
        b"devpts" => fs::devpts::Devpts::new(data)?,
        b"mqueue" => fs::mqueue::shared(),
        b"proc" => crate::procfs::file_system(),
        b"sysfs" => fs::sysfs::shared(),
        _ => return Err(Errno::ENODEV),
    };
    table::mount(file_system, Some(target), source.text, flags & KEPT).map(|_| ())
}

/// What is mounted: a text, and the way to what it may name.
pub(crate) struct Source<'a> {
    pub(crate) text: &'a [u8],
    pub(crate) resolve: &'a dyn Fn(&[u8]) -> Result<Place>,
}

impl Source<'_> {
    fn place(&self) -> Result<Place> {
        (self.resolve)(self.text)
    }

    fn disk(&self) -> Result<Arc<Disk>> {
        let attributes = self.place()?.inode().attributes();
        if attributes.kind != FileKind::BlockDevice {
            return Err(Errno::ENOTBLK);
        }
        block::by_number(attributes.device_number).ok_or(Errno::ENXIO)
    }
}

fn mount_disk(target: Place, source: &Source<'_>, flags: u32) -> Result<()> {
    let disk = source.disk()?;
    let is_read_only = flags & table::READ_ONLY != 0;
    let file_system = match table::on_device(disk.number()) {
        Some(known) => known,
        None => Ext2::open(disk, if is_read_only { Writing::Forbidden } else { Writing::Allowed })?,
    };
    table::mount(file_system, Some(target), source.text, flags & KEPT).map(|_| ())
}

fn remount(target: &Place, flags: u32, data: &[u8]) -> Result<()> {
    let is_read_only = flags & table::READ_ONLY != 0;
    let was_read_only = target.mount.flags() & table::READ_ONLY != 0;
    if flags & MS_BIND == 0 && is_read_only != was_read_only || !data.is_empty() {
        if is_read_only {
            if target.mount.has_writers() {
                return Err(Errno::EBUSY);
            }
            // Nobody begins to write while the file system closes.
            target.mount.set_flags(flags & KEPT);
        }
        let outcome = target.mount.file_system().remount(is_read_only, data);
        if outcome.is_err() {
            target.mount.set_flags(
                target.mount.flags() & !table::READ_ONLY | if was_read_only { table::READ_ONLY } else { 0 },
            );
            return outcome;
        }
    }
    target.mount.set_flags(flags & KEPT);
    Ok(())
}
