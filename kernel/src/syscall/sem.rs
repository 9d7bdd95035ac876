//! System V semaphores: semget(2), semop(2), semctl(2).

use alloc::vec::Vec;

use abi::time::Timespec;
use abi::{Errno, Result};
use hal::time::now_ns;
use logic::sysv::semaphores::{MOST, Operation, WaitsFor};
use nucleus::sched::Wait;

use super::args::{Address, UserPtr, low_half};
use crate::ipc::sem;
use crate::process::Cx;

/// Commands of all three families.
pub(super) const IPC_RMID: u32 = 0;
pub(super) const IPC_SET: u32 = 1;
pub(super) const IPC_STAT: u32 = 2;
pub(super) const IPC_INFO: u32 = 3;

const GETPID: u32 = 11;
const GETVAL: u32 = 12;
const GETALL: u32 = 13;
const GETNCNT: u32 = 14;
const GETZCNT: u32 = 15;
const SETVAL: u32 = 16;
const SETALL: u32 = 17;
const SEM_STAT: u32 = 18;
const SEM_INFO: u32 = 19;
const SEM_STAT_ANY: u32 = 20;

/// `S_IRUGO`, `S_IWUGO`.
pub(super) const READ: u32 = 0o444;
pub(super) const WRITE: u32 = 0o222;

/// Two 32-bit fields that follow each other.
pub(super) fn pair(low: usize, high: usize) -> u64 {
    let half = |value: usize| u64::from(u32::try_from(value).unwrap_or(i32::MAX.unsigned_abs()));
    half(high) << 32 | half(low)
}

/// semget(2).
pub(super) fn semget(cx: &mut Cx, key: i32, count: i32, flags: u32) -> Result<i32> {
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?;
    sem::get(key, count, flags, &cx.cred)
}

/// semop(2).
pub(super) fn semop(cx: &mut Cx, number: i32, operations: Address, count: usize) -> Result<()> {
    operate(cx, number, operations, count, Wait::INTERRUPTIBLE)
}

/// semtimedop(2).
pub(super) fn semtimedop(
    cx: &mut Cx,
    number: i32,
    operations: Address,
    count: usize,
    timeout: UserPtr<Timespec>,
) -> Result<()> {
    let wait = match timeout.read_optional()? {
        None => Wait::INTERRUPTIBLE,
        Some(timeout) => {
            let ns = timeout.to_ns().ok_or(Errno::EINVAL)?;
            Wait::INTERRUPTIBLE.until(now_ns().saturating_add(ns))
        }
    };
    operate(cx, number, operations, count, wait)
}

fn operate(cx: &Cx, number: i32, operations: Address, count: usize, wait: Wait) -> Result<()> {
    if count < 1 || number < 0 {
        return Err(Errno::EINVAL);
    }
    if count > sem::limit(2) {
        return Err(Errno::E2BIG);
    }
    let mut list: Vec<Operation> = Vec::new();
    list.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
    for index in 0..count as u64 {
        let [low, high, c, d, e, f] = UserPtr::<[u8; 6]>::at(operations.0).offset(index).read()?;
        list.push(Operation {
            index: u16::from_le_bytes([low, high]),
            change: i16::from_le_bytes([c, d]),
            flags: u16::from_le_bytes([e, f]),
        });
    }
    let changes = list.iter().any(|operation| operation.change != 0);
    let set = sem::find(number, &cx.cred, 0)?;
    let most = usize::from(list.iter().map(|operation| operation.index).max().unwrap_or(0));
    if set.object.value(most).is_err() {
        return Err(Errno::EFBIG);
    }
    set.perm.check(&cx.cred, if changes { WRITE } else { READ })?;
    match set.object.operate(&list, cx.process().pid, wait) {
        Err(Errno::ETIMEDOUT) => Err(Errno::EAGAIN),
        // semop(2): never made again after a handler.
        Err(Errno::ERESTARTSYS) => Err(Errno::EINTR),
        outcome => outcome,
    }
}

/// semctl(2).
pub(super) fn semctl(cx: &mut Cx, number: i32, index: i32, command: u32, argument: u64) -> Result<u64> {
    // IPC_64, which is the only form there is.
    let command = command & !0x100;
    if number < 0 {
        return Err(Errno::EINVAL);
    }
    match command {
        IPC_INFO | SEM_INFO => info(command, argument),
        IPC_STAT | SEM_STAT | SEM_STAT_ANY => stat(cx, number, command, argument),
        IPC_RMID => sem::remove(number, &cx.cred).map(|()| 0),
        IPC_SET => {
            let words = UserPtr::<[u64; 3]>::at(argument).read()?;
            sem::set_owner(number, &cx.cred, words).map(|()| 0)
        }
        GETALL | SETALL => all(cx, number, command, argument),
        GETPID | GETVAL | GETNCNT | GETZCNT | SETVAL => one(cx, number, index, command, argument),
        _ => Err(Errno::EINVAL),
    }
}

fn one(cx: &Cx, number: i32, index: i32, command: u32, argument: u64) -> Result<u64> {
    let value = low_half(argument).cast_signed();
    if command == SETVAL && !(0..=i32::from(MOST)).contains(&value) {
        return Err(Errno::ERANGE);
    }
    let set = sem::find(number, &cx.cred, 0)?;
    let wanted = if command == SETVAL { WRITE } else { READ };
    let index = usize::try_from(index).map_err(|_| Errno::EINVAL)?;
    if command != SETVAL {
        set.perm.check(&cx.cred, wanted)?;
    }
    let (now, pid) = set.object.value(index)?;
    match command {
        GETVAL => Ok(u64::from(now)),
        GETPID => Ok(u64::from(pid)),
        GETNCNT => Ok(set.object.waiting(index, WaitsFor::More)? as u64),
        GETZCNT => Ok(set.object.waiting(index, WaitsFor::Zero)? as u64),
        _ => {
            set.perm.check(&cx.cred, wanted)?;
            let value = u16::try_from(value).map_err(|_| Errno::ERANGE)?;
            set.object.set_values(index, &[value], cx.process().pid).map(|()| 0)
        }
    }
}

fn all(cx: &Cx, number: i32, command: u32, argument: u64) -> Result<u64> {
    let set = sem::find(number, &cx.cred, if command == SETALL { WRITE } else { READ })?;
    let mut values = set.object.values()?;
    let place = |index: usize| UserPtr::<u16>::at(argument).offset(index as u64);
    if command == GETALL {
        for (index, value) in values.iter().enumerate() {
            place(index).write(value)?;
        }
    } else {
        for (index, value) in values.iter_mut().enumerate() {
            *value = place(index).read()?;
        }
        set.object.set_values(0, &values, cx.process().pid)?;
    }
    Ok(0)
}

fn info(command: u32, argument: u64) -> Result<u64> {
    let (highest, sets, semaphores) = sem::extent();
    let mut words = [
        pair(sem::limit(1), sem::limit(3)),
        pair(sem::limit(1), sem::limit(1)),
        pair(sem::limit(0), sem::limit(2)),
        // SEMUME, SEMUSZ; SEMVMX, SEMAEM.
        pair(sem::limit(2), 20),
        pair(usize::from(MOST), usize::from(MOST)),
    ];
    if command == SEM_INFO {
        words[3] = pair(sem::limit(2), sets);
        words[4] = pair(usize::from(MOST), semaphores);
    }
    UserPtr::<[u64; 5]>::at(argument).write(&words)?;
    Ok(highest as u64)
}

fn stat(cx: &Cx, number: i32, command: u32, argument: u64) -> Result<u64> {
    let (number, entry) =
        if command == IPC_STAT { (number, sem::find(number, &cx.cred, 0)?) } else { sem::at(number)? };
    if command != SEM_STAT_ANY {
        entry.perm.check(&cx.cred, READ)?;
    }
    let told = entry.object.told();
    let mut words = [0; 13];
    words[..6].copy_from_slice(&entry.perm.encode(number, 0));
    (words[6], words[8], words[10]) = (told.last_operation, told.last_change, told.count as u64);
    UserPtr::<[u64; 13]>::at(argument).write(&words)?;
    Ok(if command == IPC_STAT { 0 } else { u64::from(number.unsigned_abs()) })
}
