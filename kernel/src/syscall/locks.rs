//! Locks on files: the commands of fcntl(2) that set them, flock(2).

use alloc::sync::Arc;

use abi::file::{O_ACCMODE, O_RDONLY, O_WRONLY, SEEK_CUR, SEEK_END, SEEK_SET};
use abi::{Errno, Result};
use logic::locks::{Held, Kind, Range};
use nucleus::sched::Wait;
use nucleus::vfs::OpenFile;
use nucleus::vfs::locks::Owner;

use super::args::UserPtr;
use crate::process::Cx;

/// `F_RDLCK`.
pub(super) const READ: i16 = 0;
/// `F_WRLCK`.
pub(super) const WRITE: i16 = 1;
/// `F_UNLCK`.
pub(super) const UNLOCK: i16 = 2;

/// Who is to have the lock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// The process: `F_SETLK`.
    ByProcess,
    /// The open file: `F_OFD_SETLK`.
    ByOpenFile,
}

/// Whether a lock is worth waiting for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// It is not.
    None,
    /// Until a signal comes.
    UntilSignal,
}

/// `struct flock`.
struct Flock {
    kind: i16,
    whence: i16,
    start: i64,
    len: i64,
    pid: i32,
}

impl Flock {
    fn read(address: u64) -> Result<Self> {
        let [head, start, len, tail] = UserPtr::<[u64; 4]>::at(address).read()?;
        let [a, b, c, d, ..] = head.to_le_bytes();
        let [e, f, g, h, ..] = tail.to_le_bytes();
        Ok(Flock {
            kind: i16::from_le_bytes([a, b]),
            whence: i16::from_le_bytes([c, d]),
            start: start.cast_signed(),
            len: len.cast_signed(),
            pid: i32::from_le_bytes([e, f, g, h]),
        })
    }

    /// The range that is meant in `file`.
    fn range(&self, file: &OpenFile) -> Result<Range> {
        let base = match i32::from(self.whence) {
            SEEK_SET => 0,
            SEEK_CUR => file.position(),
            SEEK_END => file.attributes().map_or(0, |attributes| attributes.size),
            _ => return Err(Errno::EINVAL),
        };
        Range::of(base, self.start, self.len)
    }

    fn lock_kind(&self) -> Result<Option<Kind>> {
        match self.kind {
            READ => Ok(Some(Kind::Shared)),
            WRITE => Ok(Some(Kind::Exclusive)),
            UNLOCK => Ok(None),
            _ => Err(Errno::EINVAL),
        }
    }
}

fn owner(cx: &Cx, file: &OpenFile, asked: Asked) -> Owner {
    match asked {
        Asked::ByProcess => cx.files.lock_owner(),
        Asked::ByOpenFile => file.attached().owner(),
    }
}

fn check_pid(asked: Asked, flock: &Flock) -> Result<()> {
    if asked == Asked::ByOpenFile && flock.pid != 0 { Err(Errno::EINVAL) } else { Ok(()) }
}

/// `F_GETLK`, `F_OFD_GETLK`: the lock that is in the way, or that there is none.
pub(super) fn test(cx: &Cx, file: &OpenFile, asked: Asked, address: u64) -> Result<u64> {
    let flock = Flock::read(address)?;
    let kind = match flock.lock_kind()? {
        Some(kind) => kind,
        // Whose locks there are at all; Linux 6.6 knows this for open files only.
        None if asked == Asked::ByOpenFile => Kind::Exclusive,
        None => return Err(Errno::EINVAL),
    };
    let range = flock.range(file)?;
    check_pid(asked, &flock)?;
    let wanted = Held { owner: owner(cx, file, asked), range, kind, pid: 0 };
    let attributes = file.attributes().ok_or(Errno::EINVAL)?;
    let found = file.attached().locks(&attributes)?.in_the_way(&wanted);
    let Some(found) = found else {
        UserPtr::<u16>::at(address).write(&UNLOCK.cast_unsigned())?;
        return Ok(0);
    };
    let kind = if found.kind == Kind::Exclusive { WRITE } else { READ };
    let pid = match found.owner {
        Owner::Table(_) => found.pid,
        Owner::Open(_) => u32::MAX,
    };
    // From the start of the file, whatever was asked.
    UserPtr::<[u64; 4]>::at(address).write(&[
        u64::from(kind.cast_unsigned()),
        found.range.first,
        found.range.len(),
        u64::from(pid),
    ])?;
    Ok(0)
}

/// `F_SETLK`, `F_SETLKW` and the same for open files.
pub(super) fn set(
    cx: &Cx,
    fd: i32,
    file: &Arc<OpenFile>,
    asked: Asked,
    patience: Patience,
    address: u64,
) -> Result<u64> {
    let flock = Flock::read(address)?;
    let range = flock.range(file)?;
    let kind = flock.lock_kind()?;
    let is_open_for = |other: u32| file.flags() & O_ACCMODE != other;
    match kind {
        Some(Kind::Shared) if !is_open_for(O_WRONLY) => return Err(Errno::EBADF),
        Some(Kind::Exclusive) if !is_open_for(O_RDONLY) => return Err(Errno::EBADF),
        _ => {}
    }
    check_pid(asked, &flock)?;
    let owner = owner(cx, file, asked);
    let attributes = file.attributes().ok_or(Errno::EINVAL)?;
    let locks = file.attached().locks(&attributes)?;
    let Some(kind) = kind else {
        locks.clear(owner, range)?;
        return Ok(0);
    };
    if asked == Asked::ByProcess {
        cx.files.note_closing_matters();
    }
    let wait = if patience == Patience::None { Wait::NEVER } else { Wait::INTERRUPTIBLE };
    locks.set(Held { owner, range, kind, pid: cx.process().pid.0 }, wait)?;
    // Another thread may have closed the descriptor meanwhile: then nobody would ever give the lock up.
    let is_still_open = cx.files.get(fd).is_ok_and(|now| Arc::ptr_eq(&now, file));
    if asked == Asked::ByProcess && !is_still_open {
        locks.clear(owner, range)?;
        return Err(Errno::EBADF);
    }
    Ok(0)
}

/// flock(2).
pub(super) fn flock(cx: &mut Cx, fd: i32, operation: i32) -> Result<()> {
    const SHARED: i32 = 1;
    const EXCLUSIVE: i32 = 2;
    const NO_WAIT: i32 = 4;
    const UNLOCK: i32 = 8;
    const MANDATORY: i32 = 32;
    if operation & MANDATORY != 0 {
        // Since Linux 5.17 nothing but a warning.
        return Ok(());
    }
    let kind = match operation & !NO_WAIT {
        SHARED => Some(Kind::Shared),
        EXCLUSIVE => Some(Kind::Exclusive),
        UNLOCK => None,
        _ => return Err(Errno::EINVAL),
    };
    let file = cx.files.get_open(fd)?;
    let attributes = file.attributes().ok_or(Errno::EINVAL)?;
    let locks = file.attached().locks(&attributes)?;
    let owner = file.attached().owner();
    match kind {
        None => {
            locks.unlock_whole(owner);
            Ok(())
        }
        Some(kind) => {
            let wait = if operation & NO_WAIT != 0 { Wait::NEVER } else { Wait::INTERRUPTIBLE };
            locks.lock_whole(owner, kind, cx.process().pid.0, wait)
        }
    }
}
