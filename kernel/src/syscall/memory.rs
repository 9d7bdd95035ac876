//! Memory: mmap(2) and its kin.

use core::ops::Range;
use core::sync::atomic::Ordering;

use abi::{Errno, Result};
use hal::user::USER_TOP;
use logic::addr::{PAGE_SIZE, align_up};
use logic::cred::Capability;
use logic::vma::{AtFork, Growth, Rights, Sharing};
use nucleus::mm::{MapRequest, Place, Remap, Source};

use super::args::{Address, Hex};
use crate::process::Cx;
use crate::process::limits::Resource;

const PROT_READ: u32 = 1;
const PROT_WRITE: u32 = 2;
const PROT_EXEC: u32 = 4;
const PROT_GROWSDOWN: u32 = 0x0100_0000;
const PROT_GROWSUP: u32 = 0x0200_0000;

const MAP_SHARED: u32 = 1;
const MAP_PRIVATE: u32 = 2;
const MAP_SHARED_VALIDATE: u32 = 3;
const MAP_FIXED: u32 = 0x10;
const MAP_ANONYMOUS: u32 = 0x20;
const MAP_GROWSDOWN: u32 = 0x100;
const MAP_LOCKED: u32 = 0x2000;
const MAP_POPULATE: u32 = 0x8000;
const MAP_NONBLOCK: u32 = 0x1_0000;
const MAP_FIXED_NOREPLACE: u32 = 0x10_0000;
/// What `MAP_SHARED_VALIDATE` knows: the flags above, and those that mean nothing here.
const MAP_KNOWN: u32 = 0x1f_fd7f;

const fn rights(protection: u32) -> Rights {
    Rights {
        read: protection & PROT_READ != 0,
        write: protection & PROT_WRITE != 0,
        execute: protection & PROT_EXEC != 0,
    }
}

const ALL: Rights = Rights { read: true, write: true, execute: true };

/// mmap(2).
pub(super) fn mmap(
    cx: &mut Cx,
    address: Address,
    len: u64,
    protection: Hex,
    flags: Hex,
    fd: i32,
    offset: u64,
) -> Result<u64> {
    let flags = flags.0;
    if !offset.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    let file = if flags & MAP_ANONYMOUS == 0 { Some(cx.files.get_open(fd)?) } else { None };
    if len == 0 {
        return Err(Errno::EINVAL);
    }
    let len = align_up(len, PAGE_SIZE).filter(|&len| len != 0 && len <= USER_TOP).ok_or(Errno::ENOMEM)?;
    if file.is_some() && offset.checked_add(len).is_none_or(|end| end > i64::MAX as u64) {
        return Err(Errno::EOVERFLOW);
    }
    let sharing = match flags & 0xf {
        MAP_SHARED => Sharing::Shared,
        MAP_PRIVATE => Sharing::Private,
        MAP_SHARED_VALIDATE if flags & !MAP_KNOWN != 0 => return Err(Errno::EOPNOTSUPP),
        MAP_SHARED_VALIDATE => Sharing::Shared,
        _ => return Err(Errno::EINVAL),
    };
    let rights = rights(protection.0);
    let (source, allowed) = match file {
        Some(file) => file_source(&file, rights, sharing, offset)?,
        None if sharing == Sharing::Shared => {
            (Source::File { file: crate::shm::shared_pages(len)?, offset: 0 }, ALL)
        }
        None => (Source::Anonymous, ALL),
    };
    let place = if flags & MAP_FIXED_NOREPLACE != 0 {
        Place::Free(address.0)
    } else if flags & MAP_FIXED != 0 {
        Place::Fixed(address.0)
    } else {
        Place::Hint(address.0)
    };
    let is_locked = flags & MAP_LOCKED != 0;
    if is_locked {
        check_lock(cx, len)?;
    }
    cx.memory.map(MapRequest {
        place,
        len,
        rights,
        allowed,
        sharing,
        growth: if flags & MAP_GROWSDOWN != 0 { Growth::Down } else { Growth::Fixed },
        source,
        is_populated: flags & (MAP_POPULATE | MAP_NONBLOCK) == MAP_POPULATE,
        is_locked,
    })
}

fn file_source(
    file: &nucleus::vfs::OpenFile,
    rights: Rights,
    sharing: Sharing,
    offset: u64,
) -> Result<(Source, Rights)> {
    let (may_read, may_write) = file.may_map();
    if !may_read || (sharing == Sharing::Shared && rights.write && !may_write) {
        return Err(Errno::EACCES);
    }
    if rights.execute && !file.may_execute() {
        return Err(Errno::EPERM);
    }
    let pages = file.mapped().ok_or(Errno::ENODEV)?;
    let seals = fs::tmpfs::seals::get(&**file.file()).unwrap_or(0);
    let is_sealed = seals & (fs::tmpfs::seals::WRITE | fs::tmpfs::seals::FUTURE_WRITE) != 0;
    if is_sealed && sharing == Sharing::Shared && rights.write {
        return Err(Errno::EPERM);
    }
    let allowed = Rights {
        read: true,
        write: (may_write && !is_sealed) || sharing == Sharing::Private,
        execute: file.may_execute(),
    };
    Ok((Source::File { file: pages, offset }, allowed))
}

/// munmap(2).
pub(super) fn munmap(cx: &mut Cx, address: Address, len: u64) -> Result<()> {
    cx.memory.unmap(address.0, len)
}

/// mprotect(2).
pub(super) fn mprotect(cx: &mut Cx, address: Address, len: u64, protection: Hex) -> Result<()> {
    let known = PROT_READ | PROT_WRITE | PROT_EXEC | 8 | PROT_GROWSDOWN | PROT_GROWSUP;
    if protection.0 & !known != 0
        || protection.0 & (PROT_GROWSDOWN | PROT_GROWSUP) == PROT_GROWSDOWN | PROT_GROWSUP
    {
        return Err(Errno::EINVAL);
    }
    let is_stack_wanted = protection.0 & (PROT_GROWSDOWN | PROT_GROWSUP) != 0;
    if is_stack_wanted && !cx.memory.is_growing(address.0) {
        return Err(Errno::EINVAL);
    }
    cx.memory.protect(address.0, len, rights(protection.0))
}

/// mremap(2).
pub(super) fn mremap(
    cx: &mut Cx,
    old: Address,
    old_len: u64,
    new_len: u64,
    flags: Hex,
    new: Address,
) -> Result<u64> {
    const MAYMOVE: u32 = 1;
    const FIXED: u32 = 2;
    let how = match flags.0 {
        0 => Remap::InPlace,
        MAYMOVE => Remap::MayMove,
        0x3 => Remap::To(new.0),
        _ => return Err(Errno::EINVAL),
    };
    const _: () = assert!(MAYMOVE | FIXED == 3);
    cx.memory.remap(old.0, old_len, new_len, how)
}

/// brk(2): where the heap ends now.
pub(super) fn brk(cx: &mut Cx, end: Address) -> Result<u64> {
    Ok(cx.memory.set_heap_end(end.0))
}

/// A range of whole pages.
fn range(address: Address, len: u64, error: Errno) -> Result<Range<u64>> {
    let len = align_up(len, PAGE_SIZE).ok_or(Errno::EINVAL)?;
    if !address.0.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    let end = address.0.checked_add(len).filter(|&end| end <= USER_TOP).ok_or(error)?;
    Ok(address.0..end)
}

/// madvise(2).
pub(super) fn madvise(cx: &mut Cx, address: Address, len: u64, advice: u32) -> Result<()> {
    let range = range(address, len, Errno::EINVAL)?;
    if range.is_empty() {
        return Ok(());
    }
    match advice {
        // Normal, random, sequential, will need, and what concerns merging, dumps and large pages: hints.
        0..=3 | 12..=17 | 20 | 21 | 25 => {
            if cx.memory.is_mapped(range) {
                Ok(())
            } else {
                Err(Errno::ENOMEM)
            }
        }
        // MADV_DONTNEED, MADV_FREE.
        4 | 8 => cx.memory.discard(range),
        10 => cx.memory.set_at_fork(range, AtFork::Absent),
        11 => cx.memory.set_at_fork(range, AtFork::Copied),
        18 => cx.memory.set_at_fork(range, AtFork::Wiped),
        19 => cx.memory.set_at_fork(range, AtFork::Copied),
        // MADV_POPULATE_READ, MADV_POPULATE_WRITE.
        22 | 23 => cx.memory.populate(range),
        _ => Err(Errno::EINVAL),
    }
}

/// msync(2): memory and read(2) are always in step; to the disk it goes with MS_SYNC.
pub(super) fn msync(cx: &mut Cx, address: Address, len: u64, flags: Hex) -> Result<()> {
    const ASYNC: u32 = 1;
    const INVALIDATE: u32 = 2;
    const SYNC: u32 = 4;
    if flags.0 & !(ASYNC | INVALIDATE | SYNC) != 0 || flags.0 & (ASYNC | SYNC) == ASYNC | SYNC {
        return Err(Errno::EINVAL);
    }
    let range = range(address, len, Errno::ENOMEM)?;
    if range.is_empty() {
        return Ok(());
    }
    let is_mapped = cx.memory.is_mapped(range.clone());
    if flags.0 & INVALIDATE != 0 && cx.memory.has_locked(range.clone()) {
        return Err(Errno::EBUSY);
    }
    if flags.0 & SYNC != 0 {
        let mut outcome = Ok(());
        for (file, part) in cx.memory.shared_files(range)? {
            outcome = outcome.and(file.sync(part));
        }
        outcome?;
    }
    if is_mapped { Ok(()) } else { Err(Errno::ENOMEM) }
}

/// mincore(2).
pub(super) fn mincore(cx: &mut Cx, address: Address, len: u64, to: Address) -> Result<()> {
    if !address.0.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    let range = range(address, len, Errno::ENOMEM)?;
    let mut at = range.start;
    // In pieces: what is told of each is written without the lock.
    while at < range.end {
        let end = (at + 256 * PAGE_SIZE).min(range.end);
        let mut pages = [0; 256];
        let mut count = 0;
        cx.memory.residency(at..end, |is_there| {
            if let Some(page) = pages.get_mut(count) {
                *page = u8::from(is_there);
            }
            count += 1;
        })?;
        hal::usermem::write_bytes(to.0 + (at - range.start) / PAGE_SIZE, &pages[..count.min(256)])?;
        at = end;
    }
    Ok(())
}

/// Whether so much more may be locked.
fn check_lock(cx: &Cx, more: u64) -> Result<()> {
    if cx.cred.has(Capability::IpcLock) {
        return Ok(());
    }
    match cx.process().limits.soft(Resource::LockedMemory) {
        0 => Err(Errno::EPERM),
        limit if cx.memory.locked_bytes().saturating_add(more) > limit => Err(Errno::ENOMEM),
        _ => Ok(()),
    }
}

/// The pages a range touches, wherever it starts.
fn touched(address: Address, len: u64) -> Result<Range<u64>> {
    let start = address.0 & !(PAGE_SIZE - 1);
    let end = address.0.checked_add(len).and_then(|end| align_up(end, PAGE_SIZE)).ok_or(Errno::EINVAL)?;
    if end > USER_TOP { Err(Errno::ENOMEM) } else { Ok(start..end) }
}

/// mlock(2).
pub(super) fn mlock(cx: &mut Cx, address: Address, len: u64) -> Result<()> {
    mlock2(cx, address, len, Hex(0))
}

/// mlock2(2).
pub(super) fn mlock2(cx: &mut Cx, address: Address, len: u64, flags: Hex) -> Result<()> {
    const ONFAULT: u32 = 1;
    if flags.0 & !ONFAULT != 0 {
        return Err(Errno::EINVAL);
    }
    let range = touched(address, len)?;
    check_lock(cx, range.end - range.start)?;
    if range.is_empty() {
        return Ok(());
    }
    cx.memory.set_locked(range.clone(), true)?;
    if flags.0 & ONFAULT == 0 { cx.memory.populate(range) } else { Ok(()) }
}

/// munlock(2).
pub(super) fn munlock(cx: &mut Cx, address: Address, len: u64) -> Result<()> {
    let range = touched(address, len)?;
    if range.is_empty() { Ok(()) } else { cx.memory.set_locked(range, false) }
}

/// mlockall(2).
pub(super) fn mlockall(cx: &mut Cx, flags: Hex) -> Result<()> {
    const CURRENT: u32 = 1;
    const FUTURE: u32 = 2;
    const ONFAULT: u32 = 4;
    if flags.0 == 0 || flags.0 == ONFAULT || flags.0 & !(CURRENT | FUTURE | ONFAULT) != 0 {
        return Err(Errno::EINVAL);
    }
    check_lock(cx, 0)?;
    if flags.0 & CURRENT != 0 {
        check_lock(cx, cx.memory.mapped_bytes().saturating_sub(cx.memory.locked_bytes()))?;
        cx.memory.set_all_locked(true)?;
    }
    cx.memory.set_new_locked(flags.0 & FUTURE != 0);
    Ok(())
}

/// munlockall(2).
pub(super) fn munlockall(cx: &mut Cx) -> Result<()> {
    cx.memory.set_new_locked(false);
    cx.memory.set_all_locked(false)
}

/// membarrier(2): a barrier on all CPUs is what a request to them is.
pub(super) fn membarrier(cx: &mut Cx, command: u32, flags: Hex) -> Result<u32> {
    const QUERY: u32 = 0;
    const GLOBAL: u32 = 1;
    const GLOBAL_EXPEDITED: u32 = 2;
    const REGISTER_GLOBAL_EXPEDITED: u32 = 4;
    const PRIVATE_EXPEDITED: u32 = 8;
    const REGISTER_PRIVATE_EXPEDITED: u32 = 16;
    /// Global, global expedited and private expedited with their registrations.
    const SUPPORTED: u32 = 0x1f;
    if flags.0 != 0 {
        return Err(Errno::EINVAL);
    }
    match command {
        QUERY => Ok(SUPPORTED),
        PRIVATE_EXPEDITED
            if cx.process().barriers.load(Ordering::Relaxed) & REGISTER_PRIVATE_EXPEDITED == 0 =>
        {
            Err(Errno::EPERM)
        }
        GLOBAL | GLOBAL_EXPEDITED | PRIVATE_EXPEDITED => {
            hal::tlb::barrier();
            Ok(0)
        }
        REGISTER_GLOBAL_EXPEDITED | REGISTER_PRIVATE_EXPEDITED => {
            cx.process().barriers.fetch_or(command, Ordering::Relaxed);
            Ok(0)
        }
        _ => Err(Errno::EINVAL),
    }
}
