//! Open files: read, write, seek, duplicate.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::file::{O_CLOEXEC, O_NONBLOCK};
use abi::{Errno, Result};
use logic::cred::Capability;
use logic::fd_table::OnExec;
use logic::signal::{Sender, Signal, SignalInfo};
use nucleus::vfs::open::Positioning;
use nucleus::vfs::storage::Synced;
use nucleus::vfs::{Change, FileKind, Listing, OpenFile, Place};

use super::args::{Address, Hex, IoVecs, UserPtr, UserSink, UserSource};
use crate::process::limits::Resource;
use crate::process::{Cx, signals};

pub(super) fn on_exec(flags: u32) -> OnExec {
    if flags & O_CLOEXEC != 0 { OnExec::Close } else { OnExec::Keep }
}

/// read(2).
pub(super) fn read(cx: &mut Cx, fd: i32, to: Address, len: usize) -> Result<usize> {
    let file = cx.files.get(fd)?;
    check_range(to, len)?;
    file.read(&mut UserSink::new(to.0, len))
}

/// Linux looks at the range before it does anything, even if nothing is moved.
pub(super) fn check_range(at: Address, len: usize) -> Result<()> {
    let is_inside = at.0.checked_add(len as u64).is_some_and(|end| end <= hal::user::USER_TOP);
    if is_inside { Ok(()) } else { Err(Errno::EFAULT) }
}

/// write(2).
pub(super) fn write(cx: &mut Cx, fd: i32, from: Address, len: usize) -> Result<usize> {
    let file = cx.files.get(fd)?;
    check_range(from, len)?;
    let limit = prepare_write(cx, &file)?;
    raise(cx, file.write(&mut UserSource::new(from.0, len), limit))
}

/// What a write needs before: how large files may become (RLIMIT_FSIZE), and that a program that runs as its owner does
/// so no more once another one wrote it (Linux's file_remove_privs()).
pub(super) fn prepare_write(cx: &Cx, file: &OpenFile) -> Result<u64> {
    if let Some(place) = file.place() {
        drop_privileges(cx, place)?;
    }
    Ok(cx.process().limits.soft(Resource::FileSize))
}

/// Takes setuid and setgid away from a regular file that is about to be changed.
pub(super) fn drop_privileges(cx: &Cx, place: &Place) -> Result<()> {
    if cx.cred.has(Capability::Fsetid) {
        return Ok(());
    }
    match place.inode().attributes().without_privileges() {
        Some(permissions) => place.change(&Change { permissions: Some(permissions), ..Change::default() }),
        None => Ok(()),
    }
}

/// A write that fails may be a signal too: SIGPIPE, or SIGXFSZ if it was the process's limit and not the file system's.
pub(super) fn raise<T>(cx: &Cx, outcome: Result<T>) -> Result<T> {
    let signal = match outcome {
        Err(Errno::EPIPE) => Signal::PIPE,
        Err(Errno::EFBIG) if cx.process().limits.soft(Resource::FileSize) != u64::MAX => Signal::XFSZ,
        _ => return outcome,
    };
    let sender = Sender { pid: cx.process().pid.0, uid: cx.cred.user.real };
    let _ = signals::send_to_task(&cx.task, SignalInfo::user(signal, abi::signal::SI_USER, sender));
    outcome
}

fn position(offset: i64) -> Result<u64> {
    u64::try_from(offset).map_err(|_| Errno::EINVAL)
}

/// The same for `len` bytes, whose end must be a position too.
fn position_of(offset: i64, len: usize) -> Result<u64> {
    let end = i64::try_from(len).ok().and_then(|len| offset.checked_add(len));
    position(offset).and_then(|start| end.map(|_| start).ok_or(Errno::EINVAL))
}

/// pread64(2).
pub(super) fn pread(cx: &mut Cx, fd: i32, to: Address, len: usize, offset: i64) -> Result<usize> {
    position(offset)?;
    let file = cx.files.get(fd)?;
    check_range(to, len)?;
    let position = position_of(offset, len)?;
    file.read_at(position, &mut UserSink::new(to.0, len))
}

/// pwrite64(2).
pub(super) fn pwrite(cx: &mut Cx, fd: i32, from: Address, len: usize, offset: i64) -> Result<usize> {
    position(offset)?;
    let file = cx.files.get(fd)?;
    check_range(from, len)?;
    let position = position_of(offset, len)?;
    let limit = prepare_write(cx, &file)?;
    raise(cx, file.write_at(position, &mut UserSource::new(from.0, len), limit))
}

/// readv(2).
pub(super) fn readv(cx: &mut Cx, fd: i32, pieces: Address, count: usize) -> Result<usize> {
    let file = cx.files.get(fd)?;
    file.read(&mut IoVecs::read(pieces, count)?)
}

/// writev(2).
pub(super) fn writev(cx: &mut Cx, fd: i32, pieces: Address, count: usize) -> Result<usize> {
    let file = cx.files.get(fd)?;
    let mut from = IoVecs::read(pieces, count)?;
    let limit = prepare_write(cx, &file)?;
    raise(cx, file.write(&mut from, limit))
}

/// preadv(2): the offset comes in two halves, of which x86-64 uses the first.
pub(super) fn preadv(cx: &mut Cx, fd: i32, pieces: Address, count: usize, offset: i64) -> Result<usize> {
    let position = position(offset)?;
    let file = cx.files.get(fd)?;
    file.read_at(position, &mut IoVecs::read(pieces, count)?)
}

/// pwritev(2).
pub(super) fn pwritev(cx: &mut Cx, fd: i32, pieces: Address, count: usize, offset: i64) -> Result<usize> {
    let position = position(offset)?;
    let file = cx.files.get(fd)?;
    let mut from = IoVecs::read(pieces, count)?;
    let limit = prepare_write(cx, &file)?;
    raise(cx, file.write_at(position, &mut from, limit))
}

/// `RWF_` flags of preadv2(2).
mod how {
    pub(super) const HIPRI: u32 = 1;
    pub(super) const DSYNC: u32 = 2;
    pub(super) const SYNC: u32 = 4;
    pub(super) const NOWAIT: u32 = 8;
    pub(super) const APPEND: u32 = 0x10;
    pub(super) const KNOWN: u32 = HIPRI | DSYNC | SYNC | NOWAIT | APPEND;
}

/// preadv2(2): an offset of -1 is the file's own position. RWF_NOWAIT is refused, as by Linux for files that cannot tell.
pub(super) fn preadv2(
    cx: &mut Cx,
    fd: i32,
    pieces: Address,
    count: usize,
    offset: i64,
    _high: u64,
    flags: Hex,
) -> Result<usize> {
    let file = cx.files.get(fd)?;
    let mut to = IoVecs::read(pieces, count)?;
    if flags.0 & !how::KNOWN != 0 || flags.0 & (how::NOWAIT | how::APPEND) != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    if offset == -1 { file.read(&mut to) } else { file.read_at(position(offset)?, &mut to) }
}

/// pwritev2(2).
pub(super) fn pwritev2(
    cx: &mut Cx,
    fd: i32,
    pieces: Address,
    count: usize,
    offset: i64,
    _high: u64,
    flags: Hex,
) -> Result<usize> {
    let file = cx.files.get(fd)?;
    let mut from = IoVecs::read(pieces, count)?;
    if flags.0 & !how::KNOWN != 0 || flags.0 & how::NOWAIT != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    let limit = prepare_write(cx, &file)?;
    let written = match (flags.0 & how::APPEND, offset) {
        (0, -1) => file.write(&mut from, limit),
        (0, offset) => file.write_at(position(offset)?, &mut from, limit),
        (_, offset) => {
            // At the end, and the position moves only if it was asked to be used.
            let moves = if offset == -1 { Positioning::Moves } else { Positioning::Stays };
            file.write_at_end(&mut from, limit, moves)
        }
    };
    let written = raise(cx, written)?;
    match flags.0 & (how::DSYNC | how::SYNC) {
        0 => {}
        how::DSYNC => file.sync(Synced::Data, 0..u64::MAX)?,
        _ => file.sync(Synced::Everything, 0..u64::MAX)?,
    }
    Ok(written)
}

/// lseek(2).
pub(super) fn lseek(cx: &mut Cx, fd: i32, offset: i64, from: i32) -> Result<u64> {
    cx.files.get(fd)?.seek(offset, from)
}

/// close(2).
pub(super) fn close(cx: &mut Cx, fd: i32) -> Result<()> {
    let fd = u32::try_from(fd).map_err(|_| Errno::EBADF)?;
    let closed = cx.files.with(|files| files.remove(fd))?;
    cx.files.closed(closed);
    Ok(())
}

/// close_range(2).
pub(super) fn close_range(cx: &mut Cx, first: u32, last: u32, flags: Hex) -> Result<()> {
    const UNSHARE: u32 = 2;
    const CLOEXEC: u32 = 4;
    if first > last || flags.0 & !(UNSHARE | CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    if flags.0 & UNSHARE != 0 {
        unshare_files(cx)?;
    }
    if flags.0 & CLOEXEC != 0 {
        cx.files.with(|files| files.set_range_on_exec(first..=last, OnExec::Close));
        return Ok(());
    }
    loop {
        // One by one, each dropped without the lock.
        let closed = cx.files.with(|files| {
            let next = files.next_open(first).filter(|&fd| fd <= last);
            next.map(|fd| files.remove(fd))
        });
        let Some(closed) = closed.transpose()? else { return Ok(()) };
        cx.files.closed(closed);
    }
}

/// Gives the task a table of its own.
pub(super) fn unshare_files(cx: &mut Cx) -> Result<()> {
    let files = Arc::new(cx.files.try_clone()?);
    let old = cx.task.state.lock().files.replace(files.clone());
    drop(old);
    cx.files = files;
    Ok(())
}

/// dup(2).
pub(super) fn dup(cx: &mut Cx, fd: i32) -> Result<u32> {
    let file = cx.files.get(fd)?;
    cx.files.insert(file, 0, OnExec::Keep, cx.process().limits.files())
}

/// dup2(2).
pub(super) fn dup2(cx: &mut Cx, old: i32, new: i32) -> Result<i32> {
    let file = cx.files.get(old)?;
    if old == new {
        return Ok(new);
    }
    replace(cx, file, new, OnExec::Keep)
}

/// dup3(2).
pub(super) fn dup3(cx: &mut Cx, old: i32, new: i32, flags: Hex) -> Result<i32> {
    if flags.0 & !O_CLOEXEC != 0 || old == new {
        return Err(Errno::EINVAL);
    }
    let file = cx.files.get(old)?;
    replace(cx, file, new, on_exec(flags.0))
}

fn replace(cx: &Cx, file: Arc<OpenFile>, new: i32, on_exec: OnExec) -> Result<i32> {
    let number = u32::try_from(new).map_err(|_| Errno::EBADF)?;
    let limit = cx.process().limits.files();
    let replaced = cx.files.with(|files| files.replace(number, file, on_exec, limit))?;
    if let Some(replaced) = replaced {
        cx.files.closed(replaced);
    }
    Ok(new)
}

/// ioctl(2).
pub(super) fn ioctl(cx: &mut Cx, fd: i32, request: Hex, argument: u64) -> Result<u64> {
    const FIOCLEX: u32 = 0x5451;
    const FIONCLEX: u32 = 0x5450;
    const FIONBIO: u32 = 0x5421;
    let file = cx.files.get_open(fd)?;
    let number = u32::try_from(fd).map_err(|_| Errno::EBADF)?;
    match request.0 {
        FIOCLEX | FIONCLEX => {
            let on_exec = if request.0 == FIOCLEX { OnExec::Close } else { OnExec::Keep };
            cx.files.with(|files| files.set_on_exec(number, on_exec))?;
            Ok(0)
        }
        FIONBIO => {
            let is_on = UserPtr::<i32>::at(argument).read()? != 0;
            let flags = file.flags() & !O_NONBLOCK;
            file.set_flags(if is_on { flags | O_NONBLOCK } else { flags });
            Ok(0)
        }
        abi::termios::FIONREAD if let Some(left) = file.bytes_left() => {
            UserPtr::<u32>::at(argument).write(&u32::try_from(left).unwrap_or(u32::MAX))?;
            Ok(0)
        }
        request => crate::tty::control(cx, &file, request, argument),
    }
}

/// vhangup(2).
pub(super) fn vhangup(cx: &mut Cx) -> Result<()> {
    if !cx.cred.has(Capability::SysTtyConfig) {
        return Err(Errno::EPERM);
    }
    crate::tty::hang_up_own();
    Ok(())
}

/// pipe2(2).
pub(super) fn pipe2(cx: &mut Cx, ends: UserPtr<[u32; 2]>, flags: Hex) -> Result<()> {
    use abi::file::{O_DIRECT, O_RDONLY, O_WRONLY};
    if flags.0 & !(O_CLOEXEC | O_NONBLOCK | O_DIRECT) != 0 {
        return Err(Errno::EINVAL);
    }
    let (reader, writer, attributes) = fs::pipe::pair()?;
    let kept = flags.0 & (O_NONBLOCK | O_DIRECT);
    if flags.0 & O_DIRECT != 0 {
        fs::pipe::set_framing(&*writer, fs::pipe::Framing::Packets);
    }
    let limit = cx.process().limits.files();
    let first = cx.files.reserve(on_exec(flags.0), limit)?;
    let second = cx.files.reserve(on_exec(flags.0), limit)?;
    ends.write(&[first.number(), second.number()])?;
    first.publish(OpenFile::nameless(reader, attributes, O_RDONLY | kept));
    second.publish(OpenFile::nameless(writer, attributes, O_WRONLY | kept));
    Ok(())
}

/// pipe(2).
pub(super) fn pipe(cx: &mut Cx, ends: UserPtr<[u32; 2]>) -> Result<()> {
    pipe2(cx, ends, Hex(0))
}

/// ftruncate(2).
pub(super) fn ftruncate(cx: &mut Cx, fd: i32, size: i64) -> Result<()> {
    let size = u64::try_from(size).map_err(|_| Errno::EINVAL)?;
    let file = cx.files.get_open(fd)?;
    if size > cx.process().limits.soft(Resource::FileSize) {
        return raise(cx, Err(Errno::EFBIG));
    }
    let before = file.attributes();
    if file.may_map().1
        && let Some(place) = file.place()
    {
        drop_privileges(cx, place)?;
    }
    file.truncate(size)?;
    if let Some(before) = before {
        crate::shm::cut(&before, size);
    }
    Ok(())
}

/// getdents64(2).
pub(super) fn getdents64(cx: &mut Cx, fd: i32, to: Address, len: u32) -> Result<usize> {
    let file = cx.files.get_open(fd)?;
    let mut names = Names { bytes: Vec::new(), room: len as usize, is_too_small: false };
    file.list(&mut names)?;
    if names.bytes.is_empty() && names.is_too_small {
        return Err(Errno::EINVAL);
    }
    hal::usermem::write_bytes(to.0, &names.bytes)?;
    Ok(names.bytes.len())
}

/// `struct linux_dirent64`s.
struct Names {
    bytes: Vec<u8>,
    room: usize,
    is_too_small: bool,
}

impl Listing for Names {
    fn add(&mut self, name: &[u8], number: u64, kind: FileKind, next: u64) -> bool {
        const HEADER: usize = 19;
        let len = (HEADER + name.len() + 1).next_multiple_of(8);
        if self.bytes.len() + len > self.room || self.bytes.try_reserve(len).is_err() {
            self.is_too_small = true;
            return false;
        }
        let end = self.bytes.len() + len;
        self.bytes.extend_from_slice(&number.to_le_bytes());
        self.bytes.extend_from_slice(&next.to_le_bytes());
        self.bytes.extend_from_slice(&u16::try_from(len).unwrap_or(u16::MAX).to_le_bytes());
        self.bytes.push(kind.directory_type());
        self.bytes.extend_from_slice(name);
        self.bytes.resize(end, 0);
        true
    }
}

/// getrandom(2).
pub(super) fn getrandom(_cx: &mut Cx, to: Address, len: usize, flags: Hex) -> Result<usize> {
    const GRND_RANDOM: u32 = 2;
    const GRND_INSECURE: u32 = 4;
    if flags.0 & !7 != 0 || flags.0 & (GRND_RANDOM | GRND_INSECURE) == GRND_RANDOM | GRND_INSECURE {
        return Err(Errno::EINVAL);
    }
    fs::devices::fill_random(&mut UserSink::new(to.0, len))
}

/// memfd_create(2).
pub(super) fn memfd_create(cx: &mut Cx, name: super::args::UserString, flags: Hex) -> Result<u32> {
    const MFD_CLOEXEC: u32 = 1;
    const MFD_ALLOW_SEALING: u32 = 2;
    const NAME_LIMIT: usize = 249;
    if flags.0 & !(MFD_CLOEXEC | MFD_ALLOW_SEALING) != 0 {
        return Err(Errno::EINVAL);
    }
    let name =
        name.read().map_err(|error| if error == Errno::ENAMETOOLONG { Errno::EINVAL } else { error })?;
    if name.len() > NAME_LIMIT {
        return Err(Errno::EINVAL);
    }
    let file = crate::shm::memory_file(&name, flags.0 & MFD_ALLOW_SEALING != 0)?;
    let on_exec = if flags.0 & MFD_CLOEXEC != 0 { OnExec::Close } else { OnExec::Keep };
    cx.files.insert(file, 0, on_exec, cx.process().limits.files())
}
