//! From file to file without user memory: splice(2), tee(2), vmsplice(2), sendfile(2), copy_file_range(2).
//!
//! Bytes go through a buffer of the kernel's, a bounded piece at a time; between two pipes, from page to page.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::file::{O_ACCMODE, O_APPEND, O_NONBLOCK, O_RDONLY, O_WRONLY, SEEK_CUR};
use abi::{Errno, Result};
use fs::pipe::splice::{self as pipe, Taking};
use nucleus::sched::Wait;
use nucleus::vfs::bytes::{Buffer, Slice};
use nucleus::vfs::{ByteSink, ByteSource, FileKind, OpenFile};

use super::args::{Address, Hex, IoVecs, MAX_TRANSFER, UserPtr};
use super::file::raise;
use crate::process::Cx;
use crate::process::limits::Resource;

/// `SPLICE_F_NONBLOCK`.
const NON_BLOCKING: u32 = 2;
/// All flags there are; the others are hints.
const FLAGS: u32 = 0xf;
/// Bytes that are moved at once.
const PIECE: usize = 16 << 10;

/// A file as an end of a transfer.
struct Side {
    file: Arc<OpenFile>,
    /// Where in it, if that is not its own position.
    position: Option<u64>,
}

impl Side {
    /// From a descriptor and the offset that a program keeps for it.
    fn new(file: Arc<OpenFile>, offset: UserPtr<i64>) -> Result<Self> {
        let position = match offset.read_optional()? {
            Some(offset) => Some(u64::try_from(offset).map_err(|_| Errno::EINVAL)?),
            None => None,
        };
        Ok(Side { file, position })
    }

    fn is_pipe(&self) -> bool {
        pipe::is_pipe(&**self.file.file())
    }

    fn check_readable(&self) -> Result<()> {
        if self.file.flags() & O_ACCMODE == O_WRONLY { Err(Errno::EBADF) } else { Ok(()) }
    }

    fn check_writable(&self) -> Result<()> {
        if self.file.flags() & O_ACCMODE == O_RDONLY { Err(Errno::EBADF) } else { Ok(()) }
    }

    fn read(&self, done: usize, to: &mut [u8]) -> Result<usize> {
        let mut sink = Buffer::new(to);
        match self.position {
            Some(position) => self.file.read_at(position + done as u64, &mut sink),
            None => self.file.read(&mut sink),
        }
    }

    fn write(&self, done: usize, from: &[u8], limit: u64) -> Result<usize> {
        match self.position {
            Some(position) => self.file.write_at(position + done as u64, &mut Slice(from), limit),
            None => self.file.write(&mut Slice(from), limit),
        }
    }

    /// Gives back what was read last and not passed on.
    fn give_back(&self, bytes: &[u8]) {
        if self.is_pipe() {
            pipe::put_back(&**self.file.file(), bytes);
        } else if self.position.is_none() {
            // A stream has no place to go back to: Linux loses such bytes too.
            let _ = self.file.seek(-i64::try_from(bytes.len()).unwrap_or(0), SEEK_CUR);
        }
    }

    /// Tells the program where it goes on.
    fn report(&self, offset: UserPtr<i64>, done: usize) -> Result<()> {
        match self.position {
            Some(position) => offset.write(&(position + done as u64).cast_signed()),
            None => Ok(()),
        }
    }
}

fn buffer() -> Result<Vec<u8>> {
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(PIECE).map_err(|_| Errno::ENOMEM)?;
    buffer.resize(PIECE, 0);
    Ok(buffer)
}

/// Copies up to `len` bytes; an error after the first piece is a short count. `room` says how much may be read next.
fn copy(
    from: &Side,
    to: &Side,
    len: usize,
    limit: u64,
    mut room: impl FnMut(usize) -> Result<usize>,
) -> Result<usize> {
    let mut buffer = buffer()?;
    let mut done = 0;
    while done < len {
        let step = || -> Result<(usize, usize)> {
            let part = (len - done).min(PIECE).min(room(done)?);
            let piece = buffer.get_mut(..part).unwrap_or_default();
            let read = from.read(done, piece)?;
            let piece = piece.get(..read).unwrap_or_default();
            if piece.is_empty() {
                return Ok((0, 0));
            }
            match to.write(done, piece, limit) {
                Ok(written) => {
                    if written < read {
                        from.give_back(piece.get(written..).unwrap_or_default());
                    }
                    Ok((read, written))
                }
                Err(error) => {
                    from.give_back(piece);
                    Err(error)
                }
            }
        };
        let mut step = step;
        match step() {
            Ok((read, written)) => {
                done += written;
                if written == 0 || written < read {
                    break;
                }
            }
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

fn limit(cx: &Cx) -> u64 {
    cx.process().limits.soft(Resource::FileSize)
}

fn wait_of(file: &OpenFile, flags: u32) -> Wait {
    let never = flags & NON_BLOCKING != 0 || file.flags() & O_NONBLOCK != 0;
    if never { Wait::NEVER } else { Wait::INTERRUPTIBLE }
}

/// splice(2).
pub(super) fn splice(
    cx: &mut Cx,
    from: i32,
    from_offset: UserPtr<i64>,
    to: i32,
    to_offset: UserPtr<i64>,
    len: usize,
    flags: Hex,
) -> Result<usize> {
    let flags = flags.0;
    if len == 0 {
        return Ok(0);
    }
    if flags & !FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    let len = len.min(MAX_TRANSFER);
    let (source, target) = (cx.files.get_open(from)?, cx.files.get_open(to)?);
    let is_pipe = |file: &OpenFile| pipe::is_pipe(&**file.file());
    if (is_pipe(&source) && !from_offset.is_null()) || (is_pipe(&target) && !to_offset.is_null()) {
        return Err(Errno::ESPIPE);
    }
    let from = Side::new(source, from_offset)?;
    let to = Side::new(target, to_offset)?;
    from.check_readable()?;
    to.check_writable()?;
    let done = match (from.is_pipe(), to.is_pipe()) {
        (true, true) => between_pipes(&from, &to, len, flags, Taking::Moves),
        (true, false) => {
            if to.file.flags() & O_APPEND != 0 {
                return Err(Errno::EINVAL);
            }
            let wait = wait_of(&from.file, flags);
            copy(&from, &to, len, limit(cx), |done| {
                // What is there now; only the first is waited for.
                let wait = if done == 0 { wait } else { Wait::NEVER };
                pipe::wait_for_bytes(&**from.file.file(), wait)
            })
        }
        (false, true) => {
            let wait = wait_of(&to.file, flags);
            copy(&from, &to, len, limit(cx), |done| {
                let wait = if done == 0 { wait } else { Wait::NEVER };
                pipe::wait_for_room(&**to.file.file(), wait)
            })
        }
        (false, false) => Err(Errno::EINVAL),
    };
    let done = raise(cx, done)?;
    from.report(from_offset, done)?;
    to.report(to_offset, done)?;
    Ok(done)
}

fn between_pipes(from: &Side, to: &Side, len: usize, flags: u32, taking: Taking) -> Result<usize> {
    let (source, target) = (&**from.file.file(), &**to.file.file());
    if pipe::is_same(source, target) {
        return Err(Errno::EINVAL);
    }
    let never = flags & NON_BLOCKING != 0 || (from.file.flags() | to.file.flags()) & O_NONBLOCK != 0;
    let wait = if never { Wait::NEVER } else { Wait::INTERRUPTIBLE };
    loop {
        if pipe::wait_for_bytes(source, wait)? == 0 {
            return Ok(0);
        }
        pipe::wait_for_room(target, wait)?;
        // Somebody else may have been faster.
        match pipe::copy(source, target, len, taking) {
            Err(Errno::EAGAIN) if !never => {}
            outcome => return outcome,
        }
    }
}

/// tee(2).
pub(super) fn tee(cx: &mut Cx, from: i32, to: i32, len: usize, flags: Hex) -> Result<usize> {
    if flags.0 & !FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    if len == 0 {
        return Ok(0);
    }
    let from = Side { file: cx.files.get_open(from)?, position: None };
    let to = Side { file: cx.files.get_open(to)?, position: None };
    from.check_readable()?;
    to.check_writable()?;
    if !from.is_pipe() || !to.is_pipe() {
        return Err(Errno::EINVAL);
    }
    raise(cx, between_pipes(&from, &to, len, flags.0, Taking::Copies))
}

/// vmsplice(2): pages are copied, not given away.
pub(super) fn vmsplice(cx: &mut Cx, fd: i32, pieces: Address, count: usize, flags: Hex) -> Result<usize> {
    if flags.0 & !FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    let file = cx.files.get_open(fd)?;
    let inner = &**file.file();
    if !pipe::is_pipe(inner) {
        return Err(Errno::EBADF);
    }
    let mut memory = IoVecs::read(pieces, count)?;
    if memory.room() == 0 {
        return Ok(0);
    }
    // Whether the pipe itself waits does not matter here.
    let wait = if flags.0 & NON_BLOCKING != 0 { Wait::NEVER } else { Wait::INTERRUPTIBLE };
    if file.flags() & O_ACCMODE == O_RDONLY {
        pipe::wait_for_bytes(inner, wait)?;
        return file.read(&mut memory);
    }
    let room = raise(cx, pipe::wait_for_room(inner, wait))?;
    if wait.may_block() {
        return raise(cx, file.write(&mut memory, u64::MAX));
    }
    // What fits now, and no waiting for more.
    let mut buffer = buffer()?;
    let part = buffer.get_mut(..room.min(PIECE)).unwrap_or_default();
    let count = memory.take(part)?;
    raise(cx, file.write(&mut Slice(part.get(..count).unwrap_or_default()), u64::MAX))
}

/// sendfile(2).
pub(super) fn sendfile(cx: &mut Cx, to: i32, from: i32, offset: UserPtr<i64>, len: usize) -> Result<usize> {
    let source = cx.files.get_open(from)?;
    let from = Side::new(source, offset)?;
    from.check_readable()?;
    if from.is_pipe() && !offset.is_null() {
        return Err(Errno::ESPIPE);
    }
    let to = Side { file: cx.files.get_open(to)?, position: None };
    to.check_writable()?;
    let kind = from.file.attributes().map(|attributes| attributes.kind);
    if from.is_pipe() || kind == Some(FileKind::Directory) || to.file.flags() & O_APPEND != 0 {
        return Err(Errno::EINVAL);
    }
    let done = raise(cx, copy(&from, &to, len.min(MAX_TRANSFER), limit(cx), |_| Ok(PIECE)))?;
    from.report(offset, done)?;
    Ok(done)
}

/// copy_file_range(2).
pub(super) fn copy_file_range(
    cx: &mut Cx,
    from: i32,
    from_offset: UserPtr<i64>,
    to: i32,
    to_offset: UserPtr<i64>,
    len: usize,
    flags: Hex,
) -> Result<usize> {
    let (source, target) = (cx.files.get_open(from)?, cx.files.get_open(to)?);
    let from = Side::new(source, from_offset)?;
    let to = Side::new(target, to_offset)?;
    if flags.0 != 0 {
        return Err(Errno::EINVAL);
    }
    for side in [&from, &to] {
        match side.file.attributes().map(|attributes| attributes.kind) {
            Some(FileKind::Directory) => return Err(Errno::EISDIR),
            Some(FileKind::Regular) if side.file.place().is_some() => {}
            _ => return Err(Errno::EINVAL),
        }
    }
    from.check_readable()?;
    to.check_writable()?;
    if to.file.flags() & O_APPEND != 0 {
        return Err(Errno::EBADF);
    }
    let start = |side: &Side| side.position.unwrap_or_else(|| side.file.position());
    let (first, second) = (start(&from), start(&to));
    let len = len.min(MAX_TRANSFER);
    let is_too_far = |start: u64| start.checked_add(len as u64).is_none_or(|end| end > i64::MAX as u64);
    if is_too_far(first) || is_too_far(second) {
        return Err(Errno::EOVERFLOW);
    }
    let identity = |side: &Side| side.file.attributes().map(|it| (it.device, it.number));
    let overlaps = first < second + len as u64 && second < first + len as u64;
    if len != 0 && overlaps && identity(&from) == identity(&to) {
        return Err(Errno::EINVAL);
    }
    let done = raise(cx, copy(&from, &to, len, limit(cx), |_| Ok(PIECE)))?;
    from.report(from_offset, done)?;
    to.report(to_offset, done)?;
    Ok(done)
}
