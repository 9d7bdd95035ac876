//! Files by name: open, stat, make, remove, rename.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::file::{
    AT_EACCESS, AT_EMPTY_PATH, AT_FDCWD, AT_NO_AUTOMOUNT, AT_REMOVEDIR, AT_STATX_SYNC_TYPE,
    AT_SYMLINK_FOLLOW, AT_SYMLINK_NOFOLLOW, O_ACCMODE, O_CLOEXEC, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW,
    O_PATH, O_RDONLY, O_TMPFILE, O_TRUNC, O_WRONLY,
};
use abi::limits::PATH_MAX;
use abi::time::{Timespec, Timeval};
use abi::{Errno, Result};
use logic::cred::{Access, Capability, Cred, Ids};
use nucleus::sched::Wait;
use nucleus::vfs::change::Making;
use nucleus::vfs::inode::{Nameable, Removal, Renaming};
use nucleus::vfs::{Attributes, Change, FileKind, Last, Place, Walker, leases};

use super::args::{Address, Hex, UserPtr, UserString};
use super::file::on_exec;
use crate::process::Cx;
use crate::process::limits::Resource;

/// A walk from where `fd` says.
pub(super) fn walker<'a>(cx: &'a Cx, fd: i32, path: &[u8], cred: &'a Cred) -> Result<Walker<'a>> {
    // Before the descriptor is looked at, as on Linux.
    if path.is_empty() && fd != AT_FDCWD {
        return Err(Errno::ENOENT);
    }
    if fd == AT_FDCWD || path.first() == Some(&b'/') {
        return Ok(cx.fs.walker(cred));
    }
    let directory = cx.files.get(fd)?.directory()?;
    Ok(cx.fs.walker_from(cred, directory))
}

/// The file that `fd` and `path` name, where `flags` may say how (`AT_`).
pub(super) fn place_at(cx: &Cx, fd: i32, path: UserString, flags: u32, last: Last) -> Result<Place> {
    let path = path.read()?;
    if path.is_empty() && flags & AT_EMPTY_PATH != 0 {
        if fd == AT_FDCWD {
            return Ok(cx.fs.directory());
        }
        return cx.files.get(fd)?.place().cloned().ok_or(Errno::ENOENT);
    }
    walker(cx, fd, &path, &cx.cred)?.resolve(&path, last)
}

const fn last(flags: u32) -> Last {
    if flags & AT_SYMLINK_NOFOLLOW != 0 { Last::Keep } else { Last::Follow }
}

/// openat(2).
pub(super) fn openat(cx: &mut Cx, fd: i32, path: UserString, flags: Hex, mode: u32) -> Result<u32> {
    let path = path.read()?;
    // A name only: all flags but these mean nothing.
    let flags = if flags.0 & O_PATH != 0 {
        flags.0 & (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    } else {
        flags.0
    };
    check_flags(flags)?;
    let reserved = cx.files.reserve(on_exec(flags), cx.process().limits.files())?;
    let walker = walker(cx, fd, &path, &cx.cred)?;
    let file = if flags & O_TMPFILE == O_TMPFILE {
        open_unnamed(cx, &walker, &path, flags, mode)?
    } else {
        open_named(cx, &walker, &path, flags, mode)?
    };
    crate::tty::opened(cx, &file, flags);
    Ok(reserved.publish(file))
}

fn open_named(
    cx: &Cx,
    walker: &Walker<'_>,
    path: &[u8],
    flags: u32,
    mode: u32,
) -> Result<Arc<nucleus::vfs::OpenFile>> {
    let keeps_link = flags & O_NOFOLLOW != 0 || flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL;
    let found = walker.find(path, if keeps_link { Last::Keep } else { Last::Follow })?;
    Walker::check_creation(&found, flags)?;
    match &found.place {
        Some(_) => {
            let place = found.existing()?;
            let before = (flags & O_TRUNC != 0).then(|| place.inode().attributes());
            let file = walker.open(place, flags, false)?;
            if let Some(before) = before.filter(|before| before.kind == FileKind::Regular) {
                crate::shm::cut(&before, 0);
            }
            Ok(file)
        }
        None => {
            let making = Making {
                kind: FileKind::Regular,
                permissions: mode & 0o7777 & !cx.fs.mask(),
                device_number: 0,
                target: b"",
            };
            let place = walker.make(found, &making)?;
            walker.open(place, flags, true)
        }
    }
}

/// O_TMPFILE: a file that no directory has.
fn open_unnamed(
    cx: &Cx,
    walker: &Walker<'_>,
    path: &[u8],
    flags: u32,
    mode: u32,
) -> Result<Arc<nucleus::vfs::OpenFile>> {
    let directory = walker.resolve(path, Last::Follow)?;
    let permissions = mode & 0o7777 & !cx.fs.mask();
    let making = Making { kind: FileKind::Regular, permissions, device_number: 0, target: b"" };
    let naming = if flags & O_EXCL != 0 { Nameable::Never } else { Nameable::Once };
    let place = walker.make_unnamed(&directory, &making, naming)?;
    walker.open(place, flags & !O_TMPFILE, true)
}

/// What flags cannot go together.
fn check_flags(flags: u32) -> Result<()> {
    const NO_NAME: u32 = O_TMPFILE & !O_DIRECTORY;
    let is_unnamed = flags & NO_NAME != 0;
    let is_misused = flags & O_DIRECTORY == 0 || flags & O_CREAT != 0 || flags & O_ACCMODE == O_RDONLY;
    if is_unnamed && is_misused || flags & (O_CREAT | O_DIRECTORY) == O_CREAT | O_DIRECTORY {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

/// open(2).
pub(super) fn open(cx: &mut Cx, path: UserString, flags: Hex, mode: u32) -> Result<u32> {
    openat(cx, AT_FDCWD, path, flags, mode)
}

/// creat(2).
pub(super) fn creat(cx: &mut Cx, path: UserString, mode: u32) -> Result<u32> {
    openat(cx, AT_FDCWD, path, Hex(O_CREAT | O_WRONLY | O_TRUNC), mode)
}

/// `struct stat` of x86-64.
fn stat_bytes(attributes: &Attributes) -> [u64; 18] {
    let time = |time: Timespec| [time.seconds.cast_unsigned(), time.nanoseconds.cast_unsigned()];
    let [accessed, accessed_ns] = time(attributes.accessed);
    let [modified, modified_ns] = time(attributes.modified);
    let [changed, changed_ns] = time(attributes.changed);
    [
        attributes.device,
        attributes.number,
        u64::from(attributes.links),
        u64::from(attributes.mode()) | u64::from(attributes.user) << 32,
        u64::from(attributes.group),
        attributes.device_number,
        attributes.size,
        u64::from(attributes.block_size),
        attributes.blocks,
        accessed,
        accessed_ns,
        modified,
        modified_ns,
        changed,
        changed_ns,
        0,
        0,
        0,
    ]
}

/// newfstatat(2).
pub(super) fn newfstatat(
    cx: &mut Cx,
    fd: i32,
    path: UserString,
    to: UserPtr<[u64; 18]>,
    flags: Hex,
) -> Result<()> {
    if flags.0 & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE) != 0 {
        return Err(Errno::EINVAL);
    }
    to.write(&stat_bytes(&attributes_at(cx, fd, path, flags.0)?))
}

fn attributes_at(cx: &Cx, fd: i32, path: UserString, flags: u32) -> Result<Attributes> {
    look_at(cx, fd, path, flags, |attributes, _| *attributes)
}

/// Looks at what stat(2) tells, and at the place it is about if it has one.
fn look_at<R>(
    cx: &Cx,
    fd: i32,
    path: UserString,
    flags: u32,
    look: impl FnOnce(&Attributes, Option<&Place>) -> R,
) -> Result<R> {
    if flags & AT_EMPTY_PATH != 0 && fd != AT_FDCWD {
        let text = if path.is_null() { Vec::new() } else { path.read()? };
        if text.is_empty() {
            let file = cx.files.get(fd)?;
            return Ok(look(&file.attributes().ok_or(Errno::EBADF)?, file.place()));
        }
    }
    let place = place_at(cx, fd, path, flags, last(flags))?;
    Ok(look(&place.inode().attributes(), Some(&place)))
}

/// stat(2).
pub(super) fn stat(cx: &mut Cx, path: UserString, to: UserPtr<[u64; 18]>) -> Result<()> {
    newfstatat(cx, AT_FDCWD, path, to, Hex(0))
}

/// lstat(2).
pub(super) fn lstat(cx: &mut Cx, path: UserString, to: UserPtr<[u64; 18]>) -> Result<()> {
    newfstatat(cx, AT_FDCWD, path, to, Hex(AT_SYMLINK_NOFOLLOW))
}

/// fstat(2).
pub(super) fn fstat(cx: &mut Cx, fd: i32, to: UserPtr<[u64; 18]>) -> Result<()> {
    let attributes = cx.files.get(fd)?.attributes().ok_or(Errno::EBADF)?;
    to.write(&stat_bytes(&attributes))
}

/// statx(2): everything that stat(2) tells.
pub(super) fn statx(
    cx: &mut Cx,
    fd: i32,
    path: UserString,
    flags: Hex,
    mask: Hex,
    to: UserPtr<[u64; 32]>,
) -> Result<()> {
    const STATX_RESERVED: u32 = 0x8000_0000;
    const STATX_BASIC_STATS: u64 = 0x7ff;
    const STATX_BTIME: u32 = 0x800;
    const STATX_ATTR_MOUNT_ROOT: u64 = 0x2000;
    let known = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE;
    if flags.0 & !known != 0
        || flags.0 & AT_STATX_SYNC_TYPE == AT_STATX_SYNC_TYPE
        || mask.0 & STATX_RESERVED != 0
    {
        return Err(Errno::EINVAL);
    }
    let (attributes, is_mount_root, created) = look_at(cx, fd, path, flags.0, |attributes, place| {
        let asked = place.filter(|_| mask.0 & STATX_BTIME != 0);
        let created = asked.and_then(|place| place.inode().created());
        (*attributes, place.is_some_and(Place::is_mount_root), created)
    })?;
    let device = |number| {
        let (major, minor) = abi::file::device_parts(number);
        u64::from(major) | u64::from(minor) << 32
    };
    let mut words = [0; 32];
    words[1] = if is_mount_root { STATX_ATTR_MOUNT_ROOT } else { 0 };
    words[7] = STATX_ATTR_MOUNT_ROOT;
    words[0] = STATX_BASIC_STATS | u64::from(attributes.block_size) << 32;
    words[2] = u64::from(attributes.links) | u64::from(attributes.user) << 32;
    words[3] = u64::from(attributes.group) | u64::from(attributes.mode()) << 32;
    words[4] = attributes.number;
    words[5] = attributes.size;
    words[6] = attributes.blocks;
    if created.is_some() {
        words[0] |= u64::from(STATX_BTIME);
    }
    let times = [attributes.accessed, created.unwrap_or_default(), attributes.changed, attributes.modified];
    for (at, time) in (8..).step_by(2).zip(times) {
        words[at] = time.seconds.cast_unsigned();
        words[at + 1] = time.nanoseconds.cast_unsigned();
    }
    words[16] = device(attributes.device_number);
    words[17] = device(attributes.device);
    to.write(&words)
}

/// access(2).
pub(super) fn access(cx: &mut Cx, path: UserString, mode: u32) -> Result<()> {
    faccessat2(cx, AT_FDCWD, path, mode, Hex(0))
}

/// faccessat(2).
pub(super) fn faccessat(cx: &mut Cx, fd: i32, path: UserString, mode: u32) -> Result<()> {
    faccessat2(cx, fd, path, mode, Hex(0))
}

/// faccessat2(2): with the real ids, unless it says otherwise.
pub(super) fn faccessat2(cx: &mut Cx, fd: i32, path: UserString, mode: u32, flags: Hex) -> Result<()> {
    const X_OK: u32 = 1;
    let wanted = Access::from_bits(mode).ok_or(Errno::EINVAL)?;
    if flags.0 & !(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let mut cred = Cred::clone(&cx.cred);
    if flags.0 & AT_EACCESS == 0 {
        cred.user = Ids { file: cred.user.real, ..cred.user };
        cred.group = Ids { file: cred.group.real, ..cred.group };
        cred.capabilities.effective = if cred.user.real == 0 { cred.capabilities.permitted } else { 0 };
    }
    let text = path.read()?;
    let place = if text.is_empty() && flags.0 & AT_EMPTY_PATH != 0 {
        place_at(cx, fd, path, flags.0, Last::Follow)?
    } else {
        walker(cx, fd, &text, &cred)?.resolve(&text, last(flags.0))?
    };
    place.check(&cred, wanted)?;
    let runs = mode & X_OK != 0 && place.inode().attributes().kind == FileKind::Regular;
    if runs && place.mount.flags() & nucleus::vfs::mount::NO_EXEC != 0 {
        return Err(Errno::EACCES);
    }
    Ok(())
}

fn make(cx: &Cx, fd: i32, path: UserString, making: &Making<'_>) -> Result<()> {
    let path = path.read()?;
    let walker = walker(cx, fd, &path, &cx.cred)?;
    let found = walker.find(&path, Last::Name)?;
    walker.make(found, making).map(|_| ())
}

/// mkdirat(2).
pub(super) fn mkdirat(cx: &mut Cx, fd: i32, path: UserString, mode: u32) -> Result<()> {
    let permissions = mode & 0o1777 & !cx.fs.mask();
    make(cx, fd, path, &Making { kind: FileKind::Directory, permissions, device_number: 0, target: b"" })
}

/// mkdir(2).
pub(super) fn mkdir(cx: &mut Cx, path: UserString, mode: u32) -> Result<()> {
    mkdirat(cx, AT_FDCWD, path, mode)
}

/// mknodat(2).
pub(super) fn mknodat(cx: &mut Cx, fd: i32, path: UserString, mode: u32, device: u64) -> Result<()> {
    let kind =
        if mode & abi::file::S_IFMT == 0 { Some(FileKind::Regular) } else { FileKind::from_mode(mode) };
    let kind = match kind.ok_or(Errno::EINVAL)? {
        FileKind::Directory => return Err(Errno::EPERM),
        FileKind::Symlink => return Err(Errno::EINVAL),
        kind @ (FileKind::CharDevice | FileKind::BlockDevice) if !cx.cred.has(Capability::Mknod) => {
            let _ = kind;
            return Err(Errno::EPERM);
        }
        kind => kind,
    };
    let permissions = mode & 0o7777 & !cx.fs.mask();
    let is_device = matches!(kind, FileKind::CharDevice | FileKind::BlockDevice);
    let device_number = if is_device { device } else { 0 };
    make(cx, fd, path, &Making { kind, permissions, device_number, target: b"" })
}

/// mknod(2).
pub(super) fn mknod(cx: &mut Cx, path: UserString, mode: u32, device: u64) -> Result<()> {
    mknodat(cx, AT_FDCWD, path, mode, device)
}

/// symlinkat(2).
pub(super) fn symlinkat(cx: &mut Cx, target: UserString, fd: i32, path: UserString) -> Result<()> {
    let target = target.read()?;
    if target.is_empty() {
        return Err(Errno::ENOENT);
    }
    make(
        cx,
        fd,
        path,
        &Making { kind: FileKind::Symlink, permissions: 0o777, device_number: 0, target: &target },
    )
}

/// symlink(2).
pub(super) fn symlink(cx: &mut Cx, target: UserString, path: UserString) -> Result<()> {
    symlinkat(cx, target, AT_FDCWD, path)
}

/// linkat(2).
pub(super) fn linkat(
    cx: &mut Cx,
    old_fd: i32,
    old: UserString,
    new_fd: i32,
    new: UserString,
    flags: Hex,
) -> Result<()> {
    if flags.0 & !(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let follow = if flags.0 & AT_SYMLINK_FOLLOW != 0 { Last::Follow } else { Last::Keep };
    let old = place_at(cx, old_fd, old, flags.0, follow)?;
    let new = new.read()?;
    let walker = walker(cx, new_fd, &new, &cx.cred)?;
    walker.link(&old, walker.find(&new, Last::Name)?)
}

/// link(2).
pub(super) fn link(cx: &mut Cx, old: UserString, new: UserString) -> Result<()> {
    linkat(cx, AT_FDCWD, old, AT_FDCWD, new, Hex(0))
}

/// unlinkat(2).
pub(super) fn unlinkat(cx: &mut Cx, fd: i32, path: UserString, flags: Hex) -> Result<()> {
    if flags.0 & !AT_REMOVEDIR != 0 {
        return Err(Errno::EINVAL);
    }
    let path = path.read()?;
    let walker = walker(cx, fd, &path, &cx.cred)?;
    let found = walker.find(&path, Last::Name)?;
    walker.remove(found, if flags.0 & AT_REMOVEDIR != 0 { Removal::Directory } else { Removal::File })
}

/// unlink(2).
pub(super) fn unlink(cx: &mut Cx, path: UserString) -> Result<()> {
    unlinkat(cx, AT_FDCWD, path, Hex(0))
}

/// rmdir(2).
pub(super) fn rmdir(cx: &mut Cx, path: UserString) -> Result<()> {
    unlinkat(cx, AT_FDCWD, path, Hex(AT_REMOVEDIR))
}

/// How often the paths of a rename are walked while others rename what they lead through.
const MOST_WALKS: usize = 64;

/// renameat2(2).
pub(super) fn renameat2(
    cx: &mut Cx,
    old_fd: i32,
    old: UserString,
    new_fd: i32,
    new: UserString,
    flags: Hex,
) -> Result<()> {
    let renaming = match flags.0 {
        0 => Renaming::Replace,
        1 => Renaming::NoReplace,
        2 => Renaming::Exchange,
        _ => return Err(Errno::EINVAL),
    };
    let (old, new) = (old.read()?, new.read()?);
    let from = walker(cx, old_fd, &old, &cx.cred)?;
    let to = walker(cx, new_fd, &new, &cx.cred)?;
    for _ in 0..MOST_WALKS {
        let (found_old, found_new) = (from.find(&old, Last::Name)?, to.find(&new, Last::Name)?);
        match from.rename(found_old, found_new, renaming) {
            Err(Errno::ESTALE) => {}
            outcome => return outcome,
        }
    }
    // What is never found as it was is in a directory that was removed.
    Err(Errno::ENOENT)
}

/// renameat(2).
pub(super) fn renameat(
    cx: &mut Cx,
    old_fd: i32,
    old: UserString,
    new_fd: i32,
    new: UserString,
) -> Result<()> {
    renameat2(cx, old_fd, old, new_fd, new, Hex(0))
}

/// rename(2).
pub(super) fn rename(cx: &mut Cx, old: UserString, new: UserString) -> Result<()> {
    renameat2(cx, AT_FDCWD, old, AT_FDCWD, new, Hex(0))
}

/// readlinkat(2).
pub(super) fn readlinkat(cx: &mut Cx, fd: i32, path: UserString, to: Address, len: i32) -> Result<usize> {
    let len = usize::try_from(len).ok().filter(|&len| len != 0).ok_or(Errno::EINVAL)?;
    let text = path.read()?;
    let place = if text.is_empty() {
        cx.files.get(fd)?.place().cloned().ok_or(Errno::ENOENT)?
    } else {
        walker(cx, fd, &text, &cx.cred)?.resolve(&text, Last::Keep)?
    };
    let target = match place.inode().read_link() {
        Err(Errno::EINVAL) if text.is_empty() => return Err(Errno::ENOENT),
        target => target?,
    };
    let count = target.len().min(len);
    hal::usermem::write_bytes(to.0, &target[..count])?;
    Ok(count)
}

/// readlink(2).
pub(super) fn readlink(cx: &mut Cx, path: UserString, to: Address, len: i32) -> Result<usize> {
    if path.read()?.is_empty() {
        return Err(Errno::ENOENT);
    }
    readlinkat(cx, AT_FDCWD, path, to, len)
}

fn change_mode(cx: &Cx, place: &Place, mode: u32) -> Result<()> {
    cx.fs.walker(&cx.cred).check_owner(place)?;
    let attributes = place.inode().attributes();
    // Setgid is not for those outside the group.
    let mode =
        if cx.fs.walker(&cx.cred).may_setgid(attributes.group) { mode & 0o7777 } else { mode & 0o5777 };
    place.change(&Change { permissions: Some(mode), ..Change::default() })
}

/// fchmodat(2).
pub(super) fn fchmodat(cx: &mut Cx, fd: i32, path: UserString, mode: u32) -> Result<()> {
    let place = place_at(cx, fd, path, 0, Last::Follow)?;
    change_mode(cx, &place, mode)
}

/// chmod(2).
pub(super) fn chmod(cx: &mut Cx, path: UserString, mode: u32) -> Result<()> {
    fchmodat(cx, AT_FDCWD, path, mode)
}

/// fchmod(2).
pub(super) fn fchmod(cx: &mut Cx, fd: i32, mode: u32) -> Result<()> {
    let file = cx.files.get_open(fd)?;
    match file.place() {
        Some(place) => change_mode(cx, place, mode),
        None => Ok(()),
    }
}

fn change_owner(cx: &Cx, place: &Place, user: u32, group: u32) -> Result<()> {
    place.check_writable_mount()?;
    let chosen = |id: u32| (id != u32::MAX).then_some(id);
    let change = cx.fs.walker(&cx.cred).new_owner(place, chosen(user), chosen(group))?;
    if !place.entry.is_directory() {
        place.drop_capabilities()?;
    }
    place.change(&change)
}

/// fchownat(2).
pub(super) fn fchownat(
    cx: &mut Cx,
    fd: i32,
    path: UserString,
    user: u32,
    group: u32,
    flags: Hex,
) -> Result<()> {
    if flags.0 & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let place = place_at(cx, fd, path, flags.0, last(flags.0))?;
    change_owner(cx, &place, user, group)
}

/// chown(2).
pub(super) fn chown(cx: &mut Cx, path: UserString, user: u32, group: u32) -> Result<()> {
    fchownat(cx, AT_FDCWD, path, user, group, Hex(0))
}

/// lchown(2).
pub(super) fn lchown(cx: &mut Cx, path: UserString, user: u32, group: u32) -> Result<()> {
    fchownat(cx, AT_FDCWD, path, user, group, Hex(AT_SYMLINK_NOFOLLOW))
}

/// fchown(2).
pub(super) fn fchown(cx: &mut Cx, fd: i32, user: u32, group: u32) -> Result<()> {
    let file = cx.files.get_open(fd)?;
    match file.place() {
        Some(place) => change_owner(cx, place, user, group),
        None => Ok(()),
    }
}

/// truncate(2).
pub(super) fn truncate(cx: &mut Cx, path: UserString, size: i64) -> Result<()> {
    let size = u64::try_from(size).map_err(|_| Errno::EINVAL)?;
    let place = place_at(cx, AT_FDCWD, path, 0, Last::Follow)?;
    match place.inode().attributes().kind {
        FileKind::Regular => {}
        FileKind::Directory => return Err(Errno::EISDIR),
        _ => return Err(Errno::EINVAL),
    }
    place.check(&cx.cred, Access::WRITE)?;
    if size > cx.process().limits.soft(Resource::FileSize) {
        return super::file::raise(cx, Err(Errno::EFBIG));
    }
    let before = place.inode().attributes();
    let _writing = nucleus::vfs::busy::InUse::writing(&before)?;
    leases::respect(&before, leases::Opens::ToWrite, Wait::INTERRUPTIBLE)?;
    super::file::drop_privileges(cx, &place)?;
    place.change(&Change { size: Some(size), ..Change::default() })?;
    crate::shm::cut(&before, size);
    Ok(())
}

/// What utimensat(2) is told: two times, or now.
fn change_times(cx: &Cx, place: &Place, times: Option<[Timespec; 2]>) -> Result<()> {
    const UTIME_NOW: i64 = 0x3fff_ffff;
    const UTIME_OMIT: i64 = 0x3fff_fffe;
    let now = nucleus::clock::realtime();
    let chosen = |time: Timespec| match time.nanoseconds {
        UTIME_NOW => Ok(Some(now)),
        UTIME_OMIT => Ok(None),
        0..1_000_000_000 => Ok(Some(time)),
        _ => Err(Errno::EINVAL),
    };
    let (accessed, modified) = match times {
        Some([accessed, modified]) => (chosen(accessed)?, chosen(modified)?),
        None => (Some(now), Some(now)),
    };
    if accessed.is_none() && modified.is_none() {
        return Ok(());
    }
    place.check_writable_mount()?;
    let is_now = times.is_none_or(|times| times.iter().all(|time| time.nanoseconds == UTIME_NOW));
    if !cx.cred.owns(place.inode().attributes().user) {
        if !is_now {
            return Err(Errno::EPERM);
        }
        place.check(&cx.cred, Access::WRITE)?;
    }
    place.change(&Change { accessed, modified, ..Change::default() })
}

/// utimensat(2).
pub(super) fn utimensat(
    cx: &mut Cx,
    fd: i32,
    path: UserString,
    times: UserPtr<[Timespec; 2]>,
    flags: Hex,
) -> Result<()> {
    if flags.0 & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let times = times.read_optional()?;
    if path.is_null() && fd != AT_FDCWD {
        if flags.0 != 0 {
            return Err(Errno::EINVAL);
        }
        let file = cx.files.get(fd)?;
        return match file.place() {
            Some(place) => change_times(cx, place, times),
            None => Ok(()),
        };
    }
    let place = place_at(cx, fd, path, flags.0, last(flags.0))?;
    change_times(cx, &place, times)
}

/// utimes(2).
pub(super) fn utimes(cx: &mut Cx, path: UserString, times: UserPtr<[Timeval; 2]>) -> Result<()> {
    let convert = |time: Timeval| -> Result<Timespec> {
        let nanoseconds = (0..1_000_000).contains(&time.microseconds).then_some(time.microseconds * 1000);
        Ok(Timespec { seconds: time.seconds, nanoseconds: nanoseconds.ok_or(Errno::EINVAL)? })
    };
    let times = match times.read_optional()? {
        Some([accessed, modified]) => Some([convert(accessed)?, convert(modified)?]),
        None => None,
    };
    let place = place_at(cx, AT_FDCWD, path, 0, Last::Follow)?;
    change_times(cx, &place, times)
}

/// chdir(2).
pub(super) fn chdir(cx: &mut Cx, path: UserString) -> Result<()> {
    let place = place_at(cx, AT_FDCWD, path, 0, Last::Follow)?;
    enter(cx, place)
}

fn enter(cx: &Cx, place: Place) -> Result<()> {
    if !place.entry.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    place.check(&cx.cred, Access::EXECUTE)?;
    cx.fs.set_directory(place);
    Ok(())
}

/// fchdir(2).
pub(super) fn fchdir(cx: &mut Cx, fd: i32) -> Result<()> {
    let place = cx.files.get(fd)?.directory()?;
    enter(cx, place)
}

/// chroot(2).
pub(super) fn chroot(cx: &mut Cx, path: UserString) -> Result<()> {
    let place = place_at(cx, AT_FDCWD, path, 0, Last::Follow)?;
    if !place.entry.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    place.check(&cx.cred, Access::EXECUTE)?;
    if !cx.cred.has(Capability::SysChroot) {
        return Err(Errno::EPERM);
    }
    cx.fs.set_root(place);
    Ok(())
}

/// getcwd(2): the length with its NUL.
pub(super) fn getcwd(cx: &mut Cx, to: Address, len: usize) -> Result<usize> {
    let mut path = Vec::new();
    let directory = cx.fs.directory();
    if directory.entry.is_removed() {
        return Err(Errno::ENOENT);
    }
    if !directory.path(&cx.fs.root(), &mut path) {
        path.splice(0..0, *b"(unreachable)");
    }
    path.push(0);
    if path.len() > PATH_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    if path.len() > len {
        return Err(Errno::ERANGE);
    }
    hal::usermem::write_bytes(to.0, &path)?;
    Ok(path.len())
}

/// umask(2).
pub(super) fn umask(cx: &mut Cx, mask: u32) -> Result<u32> {
    Ok(cx.fs.set_mask(mask))
}
