//! fcntl(2): what can be asked and told of a descriptor and of what is behind it. Record locks are in [`super::locks`].

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use abi::file::{O_ACCMODE, O_ASYNC, O_CLOEXEC, O_DIRECT, O_RDONLY};
use abi::{Errno, Result};
use fs::pipe::Framing;
use logic::cred::Capability;
use logic::fd_table::OnExec;
use nucleus::vfs::attached::{SignalOwner, Wishes};
use nucleus::vfs::leases::{self, Kind as Lease};
use nucleus::vfs::{FileKind, OpenFile};

use super::args::{UserPtr, low_half};
use super::locks::{self, Asked};
use crate::io_signals::{self, OWNER_PGRP, OWNER_PID, OWNER_TID, Turn};
use crate::process::{Cx, Pid, files, tree};

const F_DUPFD: u32 = 0;
const F_GETFD: u32 = 1;
const F_SETFD: u32 = 2;
const F_GETFL: u32 = 3;
const F_SETFL: u32 = 4;
const F_GETLK: u32 = 5;
const F_SETLK: u32 = 6;
const F_SETLKW: u32 = 7;
const F_SETOWN: u32 = 8;
const F_GETOWN: u32 = 9;
const F_SETSIG: u32 = 10;
const F_GETSIG: u32 = 11;
const F_SETOWN_EX: u32 = 15;
const F_GETOWN_EX: u32 = 16;
const F_GETOWNER_UIDS: u32 = 17;
const F_OFD_GETLK: u32 = 36;
const F_OFD_SETLK: u32 = 37;
const F_OFD_SETLKW: u32 = 38;
const F_SETLEASE: u32 = 1024;
const F_GETLEASE: u32 = 1025;
const F_NOTIFY: u32 = 1026;
const F_DUPFD_CLOEXEC: u32 = 1030;
const F_SETPIPE_SZ: u32 = 1031;
const F_GETPIPE_SZ: u32 = 1032;
const F_ADD_SEALS: u32 = 1033;
const F_GET_SEALS: u32 = 1034;
const F_GET_RW_HINT: u32 = 1035;
const F_SET_RW_HINT: u32 = 1036;

const FD_CLOEXEC: u64 = 1;

/// fcntl(2).
pub(super) fn fcntl(cx: &mut Cx, fd: i32, command: u32, argument: u64) -> Result<u64> {
    let number = u32::try_from(fd).map_err(|_| Errno::EBADF)?;
    let file = cx.files.get(fd)?;
    let low = low_half(argument);
    match command {
        F_DUPFD | F_DUPFD_CLOEXEC => {
            let limit = cx.process().limits.files();
            let from = u32::try_from(low.cast_signed()).map_err(|_| Errno::EINVAL)?;
            if from >= limit {
                return Err(Errno::EINVAL);
            }
            let on_exec = if command == F_DUPFD { OnExec::Keep } else { OnExec::Close };
            cx.files.insert(file, from, on_exec, limit).map(u64::from)
        }
        F_GETFD => {
            let on_exec = cx.files.with(|files| files.on_exec(number))?;
            Ok(u64::from(on_exec == OnExec::Close))
        }
        F_SETFD => {
            let on_exec = if argument & FD_CLOEXEC != 0 { OnExec::Close } else { OnExec::Keep };
            cx.files.with(|files| files.set_on_exec(number, on_exec))?;
            Ok(0)
        }
        F_GETFL => Ok(u64::from(file.flags() & !O_CLOEXEC)),
        _ if file.is_name_only() => Err(Errno::EBADF),
        F_SETFL => {
            let framing = if low & O_DIRECT != 0 { Framing::Packets } else { Framing::Stream };
            fs::pipe::set_framing(&**file.file(), framing);
            set_flags(&file, number, low).map(|()| 0)
        }
        F_GETLK => locks::test(cx, &file, Asked::ByProcess, argument),
        F_SETLK => locks::set(cx, fd, &file, Asked::ByProcess, locks::Patience::None, argument),
        F_SETLKW => locks::set(cx, fd, &file, Asked::ByProcess, locks::Patience::UntilSignal, argument),
        F_OFD_GETLK => locks::test(cx, &file, Asked::ByOpenFile, argument),
        F_OFD_SETLK => locks::set(cx, fd, &file, Asked::ByOpenFile, locks::Patience::None, argument),
        F_OFD_SETLKW => locks::set(cx, fd, &file, Asked::ByOpenFile, locks::Patience::UntilSignal, argument),
        F_SETLEASE => set_lease(cx, fd, &file, low).map(|()| 0),
        F_GETLEASE => Ok(u64::from(lease_number(leases::get(&file)).unsigned_abs())),
        F_NOTIFY => {
            io_signals::watch_directory(cx, &file, number, argument)?;
            set_owner(cx, &file, SignalOwner { kind: OWNER_PID, number: cx.process().pid.0 }).map(|()| 0)
        }
        F_ADD_SEALS if file.flags() & O_ACCMODE == O_RDONLY => Err(Errno::EPERM),
        F_ADD_SEALS => crate::shm::add_seals(&file, low).map(|()| 0),
        F_GET_SEALS => fs::tmpfs::seals::get(&**file.file()).map(u64::from),
        F_SETOWN..=F_GETSIG | F_SETOWN_EX..=F_GETOWNER_UIDS => signals_for_io(cx, &file, command, argument),
        F_GETPIPE_SZ | F_SETPIPE_SZ => pipe_size(cx, &file, command, low),
        F_GET_RW_HINT | F_SET_RW_HINT => lifetime_hint(cx, &file, command, argument),
        _ => Err(Errno::EINVAL),
    }
}

fn pipe_size(cx: &Cx, file: &OpenFile, command: u32, wanted: u32) -> Result<u64> {
    if command == F_GETPIPE_SZ {
        return fs::pipe::capacity(&**file.file()).map(|size| size as u64).ok_or(Errno::EBADF);
    }
    let limit = if cx.cred.has(Capability::SysResource) { usize::MAX } else { fs::pipe::max_capacity() };
    fs::pipe::set_capacity(&**file.file(), wanted as usize, limit).map(|size| size as u64)
}

/// Sets the flags that can change, and begins or ends signals for I/O.
pub(super) fn set_flags(file: &Arc<OpenFile>, fd: u32, flags: u32) -> Result<()> {
    if (flags ^ file.flags()) & O_ASYNC != 0 {
        io_signals::turn(file, fd, if flags & O_ASYNC != 0 { Turn::On } else { Turn::Off })?;
    }
    file.set_flags(flags);
    Ok(())
}

/// A lease as record locks are numbered.
fn lease_number(lease: Option<Lease>) -> i16 {
    match lease {
        None => locks::UNLOCK,
        Some(Lease::Read) => locks::READ,
        Some(Lease::Write) => locks::WRITE,
    }
}

fn set_lease(cx: &Cx, fd: i32, file: &Arc<OpenFile>, kind: u32) -> Result<()> {
    let attributes = file.attributes().ok_or(Errno::EINVAL)?;
    let is_mine = cx.cred.user.file == attributes.user || cx.cred.has(Capability::Lease);
    let kind = match i16::try_from(kind) {
        Ok(locks::UNLOCK) => return leases::give_up(file),
        _ if !is_mine => return Err(Errno::EACCES),
        _ if attributes.kind != FileKind::Regular => return Err(Errno::EINVAL),
        Ok(locks::READ) => Lease::Read,
        Ok(locks::WRITE) => Lease::Write,
        _ => return Err(Errno::EINVAL),
    };
    let identity = (attributes.device, attributes.number);
    let is_other = |other: &Arc<OpenFile>| {
        let attributes = || other.attributes().map(|other| (other.device, other.number));
        !Arc::ptr_eq(other, file) && !other.is_name_only() && attributes() == Some(identity)
    };
    leases::take(file, fd, kind, || files::any_open(is_other))?;
    // Who has a lease hears of it, without having said whom to signal.
    if file.attached().wishes().signals().owner.number == 0 {
        set_owner(cx, file, SignalOwner { kind: OWNER_PID, number: cx.process().pid.0 })?;
    }
    Ok(())
}

/// Who gets signals for I/O, and which.
fn signals_for_io(cx: &Cx, file: &OpenFile, command: u32, argument: u64) -> Result<u64> {
    let signals = file.attached().known_wishes().map(Wishes::signals).unwrap_or_default();
    let owner = signals.owner;
    match command {
        F_SETOWN => {
            let wanted = low_half(argument).cast_signed();
            let kind = if wanted < 0 { OWNER_PGRP } else { OWNER_PID };
            if wanted == i32::MIN {
                return Err(Errno::EINVAL);
            }
            set_owner(cx, file, SignalOwner { kind, number: wanted.unsigned_abs() }).map(|()| 0)
        }
        F_GETOWN => {
            let number = owner.number.cast_signed();
            let shown = if owner.kind == OWNER_PGRP { -number } else { number };
            Ok(i64::from(shown).cast_unsigned())
        }
        F_SETSIG => {
            if argument > 64 {
                return Err(Errno::EINVAL);
            }
            file.attached().wishes().change_signals(|signals| signals.signal = low_half(argument));
            Ok(0)
        }
        F_GETSIG => Ok(u64::from(signals.signal)),
        F_SETOWN_EX => {
            let [kind, number] = UserPtr::<[u32; 2]>::at(argument).read()?;
            if kind > OWNER_PGRP {
                return Err(Errno::EINVAL);
            }
            set_owner(cx, file, SignalOwner { kind, number }).map(|()| 0)
        }
        F_GETOWN_EX => {
            UserPtr::<[u32; 2]>::at(argument).write(&[owner.kind, owner.number])?;
            Ok(0)
        }
        // F_GETOWNER_UIDS is for checkpoints.
        _ => Err(Errno::EINVAL),
    }
}

fn set_owner(cx: &Cx, file: &OpenFile, owner: SignalOwner) -> Result<()> {
    if owner.number != 0 {
        let pid = Pid(owner.number);
        let is_there = match owner.kind {
            OWNER_TID => tree::task(pid).is_ok(),
            OWNER_PID => tree::process(pid).is_ok() || tree::task(pid).is_ok(),
            _ => tree::with(|tree| tree.group(pid).next().is_some()),
        };
        if !is_there {
            return Err(Errno::ESRCH);
        }
    }
    let users = (cx.cred.user.real, cx.cred.user.effective);
    file.attached().wishes().change_signals(|signals| (signals.owner, signals.users) = (owner, users));
    Ok(())
}

/// How long what is written is expected to live; kept, and used by nobody.
fn lifetime_hint(cx: &Cx, file: &OpenFile, command: u32, argument: u64) -> Result<u64> {
    /// `RWH_WRITE_LIFE_EXTREME`.
    const LONGEST: u64 = 5;
    let pointer = UserPtr::<u64>::at(argument);
    match command {
        F_GET_RW_HINT => {
            let known = file.attached().known_wishes();
            let hint = known.map_or(0, |wishes| wishes.lifetime_hint.load(Ordering::Relaxed));
            pointer.write(&hint).map(|()| 0)
        }
        F_SET_RW_HINT => {
            let attributes = file.attributes().ok_or(Errno::EINVAL)?;
            if !cx.cred.owns(attributes.user) {
                return Err(Errno::EPERM);
            }
            let hint = pointer.read()?;
            if hint > LONGEST {
                return Err(Errno::EINVAL);
            }
            file.attached().wishes().lifetime_hint.store(hint, Ordering::Relaxed);
            Ok(0)
        }
        _ => Err(Errno::EINVAL),
    }
}
