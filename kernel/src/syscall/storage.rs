//! Bringing files to where they last, and room for them: fsync(2), fallocate(2) and their kin.

use alloc::sync::Arc;
use core::ops::Range;

use abi::{Errno, Result};
use nucleus::disk_files;
use nucleus::vfs::storage::{Advice, Allocation, Synced};
use nucleus::vfs::{FileKind, OpenFile, flusher};

use super::args::Hex;
use super::file::{prepare_write, raise};
use crate::process::Cx;
use crate::process::limits::Resource;

const ALL: Range<u64> = 0..u64::MAX;

/// fsync(2).
pub(super) fn fsync(cx: &mut Cx, fd: i32) -> Result<()> {
    cx.files.get_open(fd)?.sync(Synced::Everything, ALL)
}

/// fdatasync(2).
pub(super) fn fdatasync(cx: &mut Cx, fd: i32) -> Result<()> {
    cx.files.get_open(fd)?.sync(Synced::Data, ALL)
}

/// sync(2): errors are for those who ask about a file.
pub(super) fn sync(_cx: &mut Cx) -> Result<()> {
    let _ = flusher::sync_all(None);
    let _ = disk_files::flush_all();
    Ok(())
}

/// syncfs(2).
pub(super) fn syncfs(cx: &mut Cx, fd: i32) -> Result<()> {
    let file = cx.files.get_open(fd)?;
    match file.place() {
        Some(place) => place.mount.file_system().sync(None),
        None => Ok(()),
    }
}

/// A range of a file as two signed numbers give it.
fn range(offset: i64, len: i64) -> Result<Range<u64>> {
    let start = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
    let len = u64::try_from(len).map_err(|_| Errno::EINVAL)?;
    let end = start.checked_add(len).filter(|&end| end <= i64::MAX as u64).ok_or(Errno::EFBIG)?;
    Ok(start..end)
}

/// sync_file_range(2): writes, and always waits.
pub(super) fn sync_file_range(cx: &mut Cx, fd: i32, offset: i64, len: i64, flags: Hex) -> Result<()> {
    const KNOWN: u32 = 7;
    let file = cx.files.get_open(fd)?;
    if flags.0 & !KNOWN != 0 {
        return Err(Errno::EINVAL);
    }
    let mut range = range(offset, len).map_err(|_| Errno::EINVAL)?;
    if range.is_empty() {
        range.end = u64::MAX;
    }
    match file.attributes().map(|attributes| attributes.kind) {
        Some(FileKind::Regular | FileKind::Directory | FileKind::BlockDevice | FileKind::Symlink) => {}
        _ => return Err(Errno::ESPIPE),
    }
    if flags.0 == 0 { Ok(()) } else { file.sync(Synced::Data, range) }
}

/// fallocate(2).
pub(super) fn fallocate(cx: &mut Cx, fd: i32, mode: Hex, offset: i64, len: i64) -> Result<()> {
    const KEEP_SIZE: u32 = 1;
    const PUNCH_HOLE: u32 = 2;
    const ZERO_RANGE: u32 = 0x10;
    const KNOWN: u32 = 0x7f;
    let file = cx.files.get_open(fd)?;
    if offset < 0 || len <= 0 {
        return Err(Errno::EINVAL);
    }
    let how = match mode.0 {
        0 => Allocation::Room,
        KEEP_SIZE => Allocation::RoomBehind,
        mode if mode == PUNCH_HOLE | KEEP_SIZE => Allocation::Hole,
        ZERO_RANGE => Allocation::Zeros,
        mode if mode == ZERO_RANGE | KEEP_SIZE => Allocation::ZerosWithin,
        mode if mode & !KNOWN != 0 || mode & PUNCH_HOLE != 0 => return Err(Errno::EOPNOTSUPP),
        // To collapse, insert or unshare ranges takes blocks that several files can share or move.
        _ => return Err(Errno::EOPNOTSUPP),
    };
    if !file.may_map().1 {
        return Err(Errno::EBADF);
    }
    check_kind(&file)?;
    let range = range(offset, len)?;
    if how == Allocation::Room && range.end > cx.process().limits.soft(Resource::FileSize) {
        return raise(cx, Err(Errno::EFBIG));
    }
    let attributes = file.attributes();
    prepare_write(cx, &file)?;
    file.allocate(how, range.clone())?;
    if let Some(attributes) = attributes
        && !matches!(how, Allocation::Room | Allocation::RoomBehind)
    {
        crate::shm::replaced(&attributes, &range);
    }
    Ok(())
}

fn check_kind(file: &Arc<OpenFile>) -> Result<()> {
    match file.attributes().map(|attributes| attributes.kind) {
        Some(FileKind::Regular | FileKind::BlockDevice) => Ok(()),
        Some(FileKind::Directory) => Err(Errno::EISDIR),
        Some(FileKind::Fifo) => Err(Errno::ESPIPE),
        _ => Err(Errno::ENODEV),
    }
}

/// posix_fadvise(2).
pub(super) fn fadvise64(cx: &mut Cx, fd: i32, offset: i64, len: i64, advice: i32) -> Result<()> {
    const WILL_NEED: i32 = 3;
    const DONT_NEED: i32 = 4;
    let file = cx.files.get_open(fd)?;
    let start = offset.max(0).unsigned_abs();
    let len = u64::try_from(len).map_err(|_| Errno::EINVAL)?;
    let end = if len == 0 { u64::MAX } else { start.saturating_add(len) };
    match advice {
        WILL_NEED => file.advise(Advice::WillNeed, start..end),
        DONT_NEED => file.advise(Advice::DontNeed, start..end),
        // Normal, random, sequential, once: how it is read shows that by itself.
        0..=5 => file.advise(Advice::WillNeed, start..start),
        _ => Err(Errno::EINVAL),
    }
}

/// readahead(2).
pub(super) fn readahead(cx: &mut Cx, fd: i32, offset: i64, count: usize) -> Result<()> {
    let file = cx.files.get_open(fd)?;
    if !file.may_map().0 {
        return Err(Errno::EBADF);
    }
    match file.attributes().map(|attributes| attributes.kind) {
        Some(FileKind::Regular | FileKind::BlockDevice) => {}
        _ => return Err(Errno::EINVAL),
    }
    let start = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
    file.advise(Advice::WillNeed, start..start.saturating_add(count as u64))
}
