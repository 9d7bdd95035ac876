//! System V shared memory: shmget(2), shmat(2), shmdt(2), shmctl(2).

use core::sync::atomic::Ordering;

use abi::{Errno, Result};
use hal::user::USER_TOP;
use logic::addr::{PAGE_SIZE, align_down, align_up};
use logic::cred::Capability;
use logic::vma::{Growth, Rights, Sharing};
use nucleus::mm::{MapRequest, Place, Source};

use super::args::{Address, Hex, UserPtr};
use super::sem::{IPC_INFO, IPC_RMID, IPC_SET, IPC_STAT, READ, WRITE};
use crate::ipc::shm::{self, Listed};
use crate::process::Cx;
use crate::process::limits::Resource;

const SHM_LOCK: u32 = 11;
const SHM_UNLOCK: u32 = 12;
const SHM_STAT: u32 = 13;
const SHM_INFO: u32 = 14;
const SHM_STAT_ANY: u32 = 15;

const SHM_HUGETLB: u32 = 0o4000;
const SHM_RDONLY: u32 = 0o10000;
const SHM_RND: u32 = 0o20000;
const SHM_REMAP: u32 = 0o40000;
const SHM_EXEC: u32 = 0o100000;

/// shmget(2).
pub(super) fn shmget(cx: &mut Cx, key: i32, size: u64, flags: u32) -> Result<i32> {
    if flags & SHM_HUGETLB != 0 {
        // There are none (`/proc/sys/vm/nr_hugepages`).
        return Err(Errno::ENOMEM);
    }
    shm::get(key, size, flags, &cx.cred, cx.process().pid)
}

/// shmat(2).
pub(super) fn shmat(cx: &mut Cx, number: i32, address: Address, flags: Hex) -> Result<u64> {
    let flags = flags.0;
    if number < 0 {
        return Err(Errno::EINVAL);
    }
    let mut start = address.0;
    if start != 0 && !start.is_multiple_of(PAGE_SIZE) {
        if flags & SHM_RND == 0 {
            return Err(Errno::EINVAL);
        }
        start = align_down(start, PAGE_SIZE);
    }
    if start == 0 && flags & SHM_REMAP != 0 {
        return Err(Errno::EINVAL);
    }
    let is_read_only = flags & SHM_RDONLY != 0;
    let execute = flags & SHM_EXEC != 0;
    let wanted = if is_read_only { READ } else { READ | WRITE } | if execute { 0o111 } else { 0 };
    let listed = shm::find(number, &cx.cred, wanted)?;
    let len = align_up(listed.segment.size, PAGE_SIZE).ok_or(Errno::EINVAL)?;
    let rights = Rights { read: true, write: !is_read_only, execute };
    let place = match (start, flags & SHM_REMAP != 0) {
        (0, _) => Place::Hint(0),
        (start, true) => Place::Fixed(start),
        (start, false) => Place::Free(start),
    };
    if start != 0 && start.checked_add(len).is_none_or(|end| end > USER_TOP) {
        return Err(Errno::EINVAL);
    }
    let file = listed.segment.attach(cx.process().pid);
    let mapped = cx.memory.map(MapRequest {
        place,
        len,
        rights,
        allowed: Rights { execute: true, ..rights },
        sharing: Sharing::Shared,
        growth: Growth::Fixed,
        source: Source::File { file, offset: 0 },
        is_populated: false,
        is_locked: false,
    });
    mapped.map_err(|error| if error == Errno::EEXIST { Errno::EINVAL } else { error })
}

/// shmdt(2).
pub(super) fn shmdt(cx: &mut Cx, address: Address) -> Result<()> {
    if !address.0.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    let segment = shm::mapped_at(&cx.memory, address.0)?;
    let len = align_up(segment.size, PAGE_SIZE).ok_or(Errno::EINVAL)?;
    cx.memory.unmap_file(address.0, len, segment.identity())?;
    segment.detached(cx.process().pid);
    Ok(())
}

/// shmctl(2).
pub(super) fn shmctl(cx: &mut Cx, number: i32, command: u32, argument: Address) -> Result<u64> {
    let command = command & !0x100;
    if number < 0 {
        return Err(Errno::EINVAL);
    }
    match command {
        IPC_INFO => {
            let [most, all, count] = limits();
            let words = [most, 1, count, count, all, 0, 0, 0, 0];
            UserPtr::<[u64; 9]>::at(argument.0).write(&words)?;
            Ok(shm::extent().0 as u64)
        }
        SHM_INFO => {
            let (highest, count) = shm::extent();
            // How many of the pages are in memory is not told apart.
            let pages = shm::total_pages();
            UserPtr::<[u64; 6]>::at(argument.0).write(&[count as u64, pages, pages, 0, 0, 0])?;
            Ok(highest as u64)
        }
        IPC_STAT | SHM_STAT | SHM_STAT_ANY => stat(cx, number, command, argument),
        IPC_RMID => shm::remove(number, &cx.cred).map(|()| 0),
        IPC_SET => {
            let words = UserPtr::<[u64; 3]>::at(argument.0).read()?;
            shm::set_owner(number, &cx.cred, words).map(|()| 0)
        }
        SHM_LOCK | SHM_UNLOCK => lock(cx, number, command == SHM_LOCK),
        _ => Err(Errno::EINVAL),
    }
}

fn limits() -> [u64; 3] {
    [&shm::SEGMENT_MAX, &shm::PAGES_MAX, &shm::SEGMENTS_MAX].map(|limit| limit.load(Ordering::Relaxed))
}

fn lock(cx: &Cx, number: i32, locks: bool) -> Result<u64> {
    let listed = shm::find(number, &cx.cred, 0)?;
    if !cx.cred.has(Capability::IpcLock) {
        listed.perm.check_owner(&cx.cred)?;
        if locks && cx.process().limits.soft(Resource::LockedMemory) == 0 {
            return Err(Errno::EPERM);
        }
    }
    listed.segment.set_locked(locks);
    Ok(0)
}

fn stat(cx: &Cx, number: i32, command: u32, argument: Address) -> Result<u64> {
    let listed = if command == IPC_STAT { shm::find(number, &cx.cred, 0)? } else { shm::at(number)? };
    let Listed { number, perm, segment, is_leaving } = listed;
    if command != SHM_STAT_ANY {
        perm.check(&cx.cred, READ)?;
    }
    let [maker, last] = segment.pids();
    let mut words = [0; 14];
    words[..6].copy_from_slice(&perm.encode(number, segment.flags(is_leaving)));
    words[6] = segment.size;
    words[7..10].copy_from_slice(&segment.times());
    words[10] = u64::from(last) << 32 | u64::from(maker);
    words[11] = segment.attachments() as u64;
    UserPtr::<[u64; 14]>::at(argument.0).write(&words)?;
    Ok(if command == IPC_STAT { 0 } else { u64::from(number.unsigned_abs()) })
}
