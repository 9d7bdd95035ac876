//! Mounts: mount(2), umount2(2), statfs(2).

use alloc::vec::Vec;

use abi::file::AT_FDCWD;
use abi::{Errno, Result};
use logic::cred::Capability;
use nucleus::vfs::mount::Unmounting;
use nucleus::vfs::{FileKind, Last, OpenFile, Place};

use super::args::{Hex, UserPtr, UserString};
use super::path::place_at;
use crate::mounts::Source;
use crate::process::{Cx, tree};

/// mount(2) of the file systems there are.
pub(super) fn mount(
    cx: &mut Cx,
    source: UserString,
    target: UserString,
    kind: UserString,
    flags: u64,
    data: UserString,
) -> Result<()> {
    if !cx.cred.has(Capability::SysAdmin) {
        return Err(Errno::EPERM);
    }
    let optional = |text: UserString| if text.is_null() { Ok(Vec::new()) } else { text.read() };
    let (source, kind, data) = (optional(source)?, optional(kind)?, optional(data)?);
    let place = place_at(cx, AT_FDCWD, target, 0, Last::Follow)?;
    let walker = super::path::walker(cx, AT_FDCWD, &source, &cx.cred)?;
    let resolve = |path: &[u8]| walker.resolve(path, Last::Follow);
    let source = Source { text: &source, resolve: &resolve };
    crate::mounts::mount(place, source, &kind, super::args::low_half(flags), &data)
}

/// umount2(2).
pub(super) fn umount2(cx: &mut Cx, target: UserString, flags: Hex) -> Result<()> {
    const MNT_FORCE: u32 = 1;
    const MNT_DETACH: u32 = 2;
    const MNT_EXPIRE: u32 = 4;
    const UMOUNT_NOFOLLOW: u32 = 8;
    const KNOWN: u32 = 15;
    if flags.0 & !KNOWN != 0 {
        return Err(Errno::EINVAL);
    }
    if !cx.cred.has(Capability::SysAdmin) {
        return Err(Errno::EPERM);
    }
    let last = if flags.0 & UMOUNT_NOFOLLOW != 0 { Last::Keep } else { Last::Follow };
    let place = place_at(cx, AT_FDCWD, target, 0, last)?;
    let how = match flags.0 & (MNT_FORCE | MNT_DETACH | MNT_EXPIRE) {
        MNT_EXPIRE => Unmounting::IfUnused,
        flags if flags & MNT_EXPIRE != 0 => return Err(Errno::EINVAL),
        flags if flags & MNT_DETACH != 0 => Unmounting::Lazy,
        _ => Unmounting::Now,
    };
    nucleus::vfs::mount::unmount(&place, how)?;
    // There is one of these for all its mounts.
    if !matches!(place.mount.file_system().kind(), "devtmpfs" | "mqueue" | "proc" | "sysfs") {
        nucleus::vfs::watch::unmounted(place.inode().attributes().device);
    }
    Ok(())
}

/// pivot_root(2).
pub(super) fn pivot_root(cx: &mut Cx, new_root: UserString, put_old: UserString) -> Result<()> {
    if !cx.cred.has(Capability::SysAdmin) {
        return Err(Errno::EPERM);
    }
    let new_root = place_at(cx, AT_FDCWD, new_root, 0, Last::Follow)?;
    let put_old = place_at(cx, AT_FDCWD, put_old, 0, Last::Follow)?;
    let old_root = cx.fs.root();
    nucleus::vfs::mount::pivot(&old_root, &new_root, &put_old)?;
    // Whoever had the old root as root or working directory has the new one.
    for process in tree::processes(|_| true) {
        for task in process.tasks() {
            let fs = task.state.lock().fs.clone();
            if let Some(fs) = fs {
                fs.replace(&old_root, &new_root);
            }
        }
    }
    Ok(())
}

/// `struct statfs`.
fn statfs_words(place: &Place) -> [u64; 15] {
    let statistics = place.mount.file_system().statistics();
    let mut words = [0; 15];
    words[..7].copy_from_slice(&[
        statistics.magic,
        statistics.block_size,
        statistics.blocks,
        statistics.free_blocks,
        statistics.available_blocks,
        statistics.files,
        statistics.free_files,
    ]);
    words[7] = statistics.id;
    words[8] = 255;
    words[9] = statistics.block_size;
    // ST_VALID, and the flags of the mount.
    words[10] = 0x20 | u64::from(place.mount.flags() & 0xf);
    words
}

/// The same of files without a name: Linux's pipefs and anon_inodefs, which are not full of anything.
fn nameless_words(file: &OpenFile) -> [u64; 15] {
    const PIPEFS_MAGIC: u64 = 0x5049_5045;
    const ANON_INODE_FS_MAGIC: u64 = 0x0904_1934;
    let is_pipe = file.attributes().is_some_and(|attributes| attributes.kind == FileKind::Fifo);
    let mut words = [0; 15];
    words[0] = if is_pipe { PIPEFS_MAGIC } else { ANON_INODE_FS_MAGIC };
    words[1] = 4096;
    words[8] = 255;
    words[9] = 4096;
    words[10] = 0x20;
    words
}

/// statfs(2).
pub(super) fn statfs(cx: &mut Cx, path: UserString, to: UserPtr<[u64; 15]>) -> Result<()> {
    let place = place_at(cx, AT_FDCWD, path, 0, Last::Follow)?;
    to.write(&statfs_words(&place))
}

/// fstatfs(2).
pub(super) fn fstatfs(cx: &mut Cx, fd: i32, to: UserPtr<[u64; 15]>) -> Result<()> {
    let file = cx.files.get(fd)?;
    match file.place() {
        Some(place) => to.write(&statfs_words(place)),
        None => to.write(&nameless_words(&file)),
    }
}
