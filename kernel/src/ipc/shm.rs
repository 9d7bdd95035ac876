//! Memory found by key: shmget(2), shmat(2), shmdt(2), shmctl(2).
//!
//! A segment is a file in memory; an area of a program that maps it keeps it by way of [`Attachment`], so that a removed
//! segment goes with its last area. How often it is attached is not counted but looked up: areas come and go with fork,
//! exec and munmap. No lock of its own: what changes of a segment are atomics, because areas go under the lock of their
//! address space.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use abi::{Errno, Result};
use fs::tmpfs::{self, Sealing};
use hal::frames::SharedFrame;
use hal::rank;
use logic::addr::{PAGE_SIZE, align_up};
use logic::cred::Cred;
use logic::proc_text::{Text, ipc as text};
use logic::sysv::perm::Perm;
use nucleus::mm::source::Purpose;
use nucleus::mm::{Memory, PageSource};
use nucleus::sched::Mutex;
use nucleus::vfs::Change;

use super::{Entry, Table, now};
use crate::process::Pid;

/// A segment.
pub(crate) struct Segment {
    pages: Arc<dyn PageSource>,
    /// Bytes, as they were asked for.
    pub(crate) size: u64,
    maker: u32,
    last_pid: AtomicU32,
    attached_at: AtomicU64,
    detached_at: AtomicU64,
    changed_at: AtomicU64,
    /// `SHM_LOCKED`.
    is_locked: AtomicU32,
}

/// What an area of a program has of a segment.
struct Attachment(Arc<Segment>);

/// A segment that was removed while areas still have it.
struct Leaving {
    number: i32,
    perm: Perm,
    segment: Weak<Segment>,
}

/// All segments.
static SEGMENTS: Table<Segment> = Table::new();
/// Those removed while in use.
static LEAVING: Mutex<Vec<Leaving>, rank::IpcObject> = Mutex::new(Vec::new());

/// `/proc/sys/kernel/shmmax`: bytes of a segment.
pub(crate) static SEGMENT_MAX: AtomicU64 = AtomicU64::new(u64::MAX - (1 << 24));
/// `/proc/sys/kernel/shmall`: pages of all.
pub(crate) static PAGES_MAX: AtomicU64 = AtomicU64::new(u64::MAX - (1 << 24));
/// `/proc/sys/kernel/shmmni`: segments.
pub(crate) static SEGMENTS_MAX: AtomicU64 = AtomicU64::new(4096);

impl PageSource for Attachment {
    fn page(&self, index: u64, purpose: Purpose) -> Result<SharedFrame> {
        self.0.pages.page(index, purpose)
    }

    fn cached_page(&self, index: u64) -> Option<SharedFrame> {
        self.0.pages.cached_page(index)
    }

    fn identity(&self) -> (u64, u64) {
        self.0.pages.identity()
    }

    fn describe(&self, to: &mut Vec<u8>) {
        self.0.pages.describe(to);
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.0.detached_at.store(now(), Ordering::Relaxed);
    }
}

/// A segment as it is listed.
pub(crate) struct Listed {
    /// Its number.
    pub(crate) number: i32,
    /// Whose it is.
    pub(crate) perm: Perm,
    /// The segment.
    pub(crate) segment: Arc<Segment>,
    /// It goes with its last area.
    pub(crate) is_leaving: bool,
}

fn pages_of(size: u64) -> u64 {
    align_up(size, PAGE_SIZE).map_or(u64::MAX, |size| size / PAGE_SIZE)
}

/// All segments, those that are leaving too.
///
/// # Errors
/// ENOMEM.
pub(crate) fn all() -> Result<Vec<Listed>> {
    let mut listed = Vec::new();
    let entries = SEGMENTS.all()?;
    let mut leaving = LEAVING.lock();
    leaving.retain(|leaving| leaving.segment.strong_count() != 0);
    listed.try_reserve_exact(entries.len() + leaving.len()).map_err(|_| Errno::ENOMEM)?;
    listed.extend(entries.into_iter().map(|(number, entry)| Listed {
        number,
        perm: entry.perm,
        segment: entry.object,
        is_leaving: false,
    }));
    listed.extend(leaving.iter().filter_map(|leaving| {
        let segment = leaving.segment.upgrade()?;
        Some(Listed { number: leaving.number, perm: leaving.perm, segment, is_leaving: true })
    }));
    Ok(listed)
}

/// Appends the lines of `/proc/sysvipc/shm`.
pub(super) fn list(cred: &Cred, to: &mut Text) -> Result<()> {
    to.raw(text::SHM_HEAD);
    for Listed { number, perm, segment, is_leaving } in all()? {
        if perm.check(cred, 0o444).is_ok() {
            let shown = text::Object { perm, number, flags: segment.flags(is_leaving) };
            let resident = pages_of(segment.size).saturating_mul(PAGE_SIZE);
            let sizes = [segment.size, resident];
            text::shm(to, &shown, sizes, segment.attachments(), segment.pids(), segment.times());
        }
    }
    Ok(())
}

/// Pages of all segments.
pub(crate) fn total_pages() -> u64 {
    all().map_or(0, |all| all.iter().map(|listed| pages_of(listed.segment.size)).sum())
}

/// shmget(2).
pub(crate) fn get(key: i32, size: u64, flags: u32, cred: &Cred, pid: Pid) -> Result<i32> {
    let limit = usize::try_from(SEGMENTS_MAX.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
    let in_use = total_pages();
    let check = |segment: &Segment| if segment.size < size { Err(Errno::EINVAL) } else { Ok(()) };
    SEGMENTS.get(key, flags, cred, limit, check, || {
        if size == 0 || size > SEGMENT_MAX.load(Ordering::Relaxed) {
            return Err(Errno::EINVAL);
        }
        if in_use.saturating_add(pages_of(size)) > PAGES_MAX.load(Ordering::Relaxed) {
            return Err(Errno::ENOSPC);
        }
        let label = alloc::format!("/SYSV{:08x} (deleted)", key.cast_unsigned());
        let (inode, file) = tmpfs::anonymous(label.as_bytes(), Sealing::Forbidden)?;
        let whole = align_up(size, PAGE_SIZE).ok_or(Errno::ENOMEM)?;
        inode.change(&Change { size: Some(whole), ..Change::default() }).map_err(|_| Errno::ENOMEM)?;
        Ok(Segment {
            pages: file.pages().ok_or(Errno::ENOMEM)?,
            size,
            maker: pid.0,
            last_pid: AtomicU32::new(0),
            attached_at: AtomicU64::new(0),
            detached_at: AtomicU64::new(0),
            changed_at: AtomicU64::new(now()),
            is_locked: AtomicU32::new(0),
        })
    })
}

/// A segment, for those who look at it or map it; one that is leaving can still be mapped by its number.
pub(crate) fn find(number: i32, cred: &Cred, wanted: u32) -> Result<Listed> {
    match SEGMENTS.find(number, cred, wanted) {
        Ok(Entry { perm, object }) => Ok(Listed { number, perm, segment: object, is_leaving: false }),
        Err(Errno::EINVAL) => {
            let found = all()?.into_iter().find(|listed| listed.number == number && listed.is_leaving);
            let found = found.ok_or(Errno::EINVAL)?;
            found.perm.check(cred, wanted)?;
            Ok(found)
        }
        Err(error) => Err(error),
    }
}

/// A segment by its place.
pub(crate) fn at(place: i32) -> Result<Listed> {
    let (number, entry) = SEGMENTS.at(place)?;
    Ok(Listed { number, perm: entry.perm, segment: entry.object, is_leaving: false })
}

/// `IPC_RMID`: it goes with its last area.
pub(crate) fn remove(number: i32, cred: &Cred) -> Result<()> {
    let entry = match SEGMENTS.remove(number, cred) {
        Err(Errno::EINVAL) => {
            // Once is enough.
            let listed = find(number, cred, 0)?;
            return listed.perm.check_owner(cred);
        }
        entry => entry?,
    };
    let mut leaving = LEAVING.lock();
    leaving.retain(|leaving| leaving.segment.strong_count() != 0);
    // Without memory it is only not listed.
    if leaving.try_reserve(1).is_ok() {
        // Nobody finds it by its key any more.
        let perm = Perm { key: 0, ..entry.perm };
        leaving.push(Leaving { number, perm, segment: Arc::downgrade(&entry.object) });
    }
    Ok(())
}

/// `IPC_SET`.
pub(crate) fn set_owner(number: i32, cred: &Cred, words: [u64; 3]) -> Result<()> {
    SEGMENTS.set(number, cred, words, |segment| {
        segment.changed_at.store(now(), Ordering::Relaxed);
        Ok(())
    })
}

/// The highest place in use, and how many segments there are.
pub(crate) fn extent() -> (usize, usize) {
    SEGMENTS.extent()
}

impl Segment {
    /// What an area that maps it has behind it.
    pub(crate) fn attach(self: &Arc<Self>, pid: Pid) -> Arc<dyn PageSource> {
        self.attached_at.store(now(), Ordering::Relaxed);
        self.last_pid.store(pid.0, Ordering::Relaxed);
        Arc::new(Attachment(self.clone()))
    }

    /// It was detached by a process.
    pub(crate) fn detached(&self, pid: Pid) {
        self.detached_at.store(now(), Ordering::Relaxed);
        self.last_pid.store(pid.0, Ordering::Relaxed);
    }

    /// By what areas are recognised.
    pub(crate) fn identity(&self) -> (u64, u64) {
        self.pages.identity()
    }

    /// How many areas there are of it.
    pub(crate) fn attachments(&self) -> usize {
        let identity = self.identity();
        let mut count = 0;
        nucleus::mm::mappers::for_each(|memory| count += memory.areas_of(identity));
        count
    }

    /// Times of attaching, detaching, change, in seconds.
    pub(crate) fn times(&self) -> [u64; 3] {
        [&self.attached_at, &self.detached_at, &self.changed_at].map(|time| time.load(Ordering::Relaxed))
    }

    /// Who made it, who worked on it last.
    pub(crate) fn pids(&self) -> [u32; 2] {
        [self.maker, self.last_pid.load(Ordering::Relaxed)]
    }

    /// `SHM_LOCK`: kept and told; nothing is ever swapped.
    pub(crate) fn set_locked(&self, is_locked: bool) {
        self.is_locked.store(u32::from(is_locked), Ordering::Relaxed);
    }

    /// The flags beside its permissions.
    pub(crate) fn flags(&self, is_leaving: bool) -> u32 {
        const DEST: u32 = 0o1000;
        const LOCKED: u32 = 0o2000;
        let locked = self.is_locked.load(Ordering::Relaxed) * LOCKED;
        if is_leaving { DEST | locked } else { locked }
    }
}

/// The segment whose first byte is mapped at `address`, or was.
///
/// # Errors
/// EINVAL if there is none, ENOMEM.
pub(crate) fn mapped_at(memory: &Memory, address: u64) -> Result<Arc<Segment>> {
    let all = all()?;
    let is_segment = |identity| all.iter().any(|listed| listed.segment.identity() == identity);
    let identity = memory.file_mapped_at(address, is_segment).ok_or(Errno::EINVAL)?;
    let found = all.into_iter().find(|listed| listed.segment.identity() == identity);
    found.map(|listed| listed.segment).ok_or(Errno::EINVAL)
}
