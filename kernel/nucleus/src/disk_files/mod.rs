//! Disks as files: what opening `/dev/vda` opens.
//!
//! Reads, writes and mappings go through the disk's page cache ([`disks`]), which all who have it open share; `O_DIRECT`
//! goes past it (`direct`), but not while a program maps the disk: then it goes through it and on to the disk at once.
//! ioctl(2) is in `control`; files as disks are in [`loops`], memory as
//! disks in [`ram`]. Locks: rank `Writing`, around writes; rank `Table`, around the
//! list of numbers that have a node.

mod control;
mod direct;
pub mod loops;
pub mod ram;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::ops::Range;

use abi::file::O_DIRECT;
use abi::{Errno, Result};
use hal::frames::SharedFrame;
use hal::rank;
use hal::spin::{Lock, Once};
use logic::addr::PAGE_SIZE;

use crate::block::{self, Disk, Family, SECTOR};
use crate::mm::PageSource;
use crate::mm::source::Purpose;
use crate::sched::Wait;
use crate::vfs::bytes::Limited;
use crate::vfs::cache::disks::{self, DiskCache};
use crate::vfs::device::{self, Device, Registered};
use crate::vfs::storage::{Advice, Storage, Synced, Wanted};
use crate::vfs::{ByteSink, ByteSource, File, FileKind, Transfer, flusher};

pub use control::is_privileged;

static KNOWN: Lock<Vec<u64>, rank::Table> = Lock::new(Vec::new());
static ON_CHANGE: Once<fn()> = Once::new();

/// Says what is to happen when there are new disks or partitions: `/dev` gets their nodes. The first call counts.
pub fn set_on_change(react: fn()) {
    ON_CHANGE.call_once(|| react);
}

/// Makes all disks and partitions known as devices.
///
/// # Errors
/// ENOMEM.
pub fn publish() -> Result<()> {
    let shared: Arc<dyn Device> = Arc::new(Disks);
    for disk in block::all().iter().filter(|disk| disk.family() != Family::Loop) {
        let number = disk.number();
        {
            let mut known = KNOWN.lock();
            if known.contains(&number) {
                continue;
            }
            known.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            known.push(number);
        }
        // A name in use for good: the number keeps it, whichever disk has it.
        let name: &'static str = Box::leak(Box::from(disk.name()));
        let permissions = 0o660;
        let kind = FileKind::BlockDevice;
        device::register(Registered { kind, number, name, permissions, device: shared.clone() })?;
    }
    announce();
    Ok(())
}

/// Lets `/dev` be filled.
fn announce() {
    if let Some(react) = ON_CHANGE.get() {
        react();
    }
}

/// The disk behind an open file, if it is one.
pub fn disk_of(file: &dyn File) -> Option<&Arc<Disk>> {
    file.as_any().downcast_ref::<DiskFile>().map(|file| file.cache.disk())
}

/// Empties the caches of all disks. All are tried; the first error is returned.
///
/// # Errors
/// EIO.
pub fn flush_all() -> Result<()> {
    let mut result = Ok(());
    for disk in
        block::all().iter().filter(|disk| !disk.is_partition() && !disk.is_read_only() && disk.sectors() > 0)
    {
        result = result.and(disk.flush_sync());
    }
    result
}

struct Disks;

impl Device for Disks {
    fn open(&self, number: u64, flags: u32) -> Result<Arc<dyn File>> {
        let disk = block::by_number(number).ok_or(Errno::ENXIO)?;
        Ok(Arc::new(DiskFile::new(&disk, flags)?))
    }
}

/// An open disk or partition.
struct DiskFile {
    cache: Arc<DiskCache>,
    flags: u32,
}

impl Drop for DiskFile {
    fn drop(&mut self) {
        disks::close(&self.cache);
        loops::closed(self.cache.disk());
    }
}

/// Whether a transfer goes through the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Cached,
    /// Whole blocks, past it.
    Direct,
    /// They were to go past it; but programs map what is in it.
    Through,
}

impl DiskFile {
    fn new(disk: &Arc<Disk>, flags: u32) -> Result<Self> {
        Ok(DiskFile { cache: disks::open(disk)?, flags })
    }

    fn disk(&self) -> &Disk {
        self.cache.disk()
    }

    fn size(&self) -> u64 {
        self.disk().sectors() * SECTOR
    }

    /// # Errors
    /// EINVAL for a direct transfer of anything but whole blocks.
    fn way(&self, position: u64, len: usize) -> Result<Way> {
        if self.flags & O_DIRECT == 0 {
            return Ok(Way::Cached);
        }
        let is_whole = |value: u64| value.is_multiple_of(u64::from(self.disk().info().logical_block));
        if !(is_whole(position) && is_whole(len as u64)) {
            return Err(Errno::EINVAL);
        }
        Ok(if self.cache.pages().is_mapped() { Way::Through } else { Way::Direct })
    }

    /// Bytes of the disk from `position` on, `len` of them at most.
    fn inside(&self, position: u64, len: usize) -> u64 {
        self.size().saturating_sub(position).min(len as u64)
    }

    fn write_cached(&self, position: u64, from: &mut dyn ByteSource) -> Result<usize> {
        let _alone = self.cache.writing().lock();
        let count = self.cache.pages().write(&*self.cache, position, from);
        flusher::note();
        count
    }

    /// Makes what was written last.
    fn settle(&self, range: Range<u64>) -> Result<()> {
        let written = self.cache.write_back(range);
        if self.disk().is_read_only() { written } else { written.and(self.disk().flush_sync()) }
    }
}

impl Storage for DiskFile {
    fn sync(&self, _what: Synced, range: Range<u64>) -> Result<()> {
        self.settle(range)
    }

    fn write_errors(&self) -> u32 {
        self.cache.pages().error_count()
    }

    fn seek(&self, position: u64, wanted: Wanted) -> Result<u64> {
        Ok(if wanted == Wanted::Data { position } else { DiskFile::size(self) })
    }

    fn advise(&self, advice: Advice, range: Range<u64>) {
        match advice {
            Advice::WillNeed => {
                self.cache.pages().read_early(&*self.cache, range.start..range.end.min(DiskFile::size(self)));
            }
            Advice::DontNeed => {
                let _ = self.cache.write_back(range);
                self.cache.pages().drop_clean();
            }
        }
    }
}

impl File for DiskFile {
    fn read(&self, transfer: &Transfer, to: &mut dyn ByteSink) -> Result<usize> {
        let position = transfer.position;
        if self.way(position, to.room())? != Way::Direct {
            return self.cache.pages().read(&*self.cache, position, to);
        }
        let len = self.inside(position, to.room());
        // What others wrote through the cache is newer than the disk.
        self.cache.write_back(position..position + len)?;
        direct::read(self.disk(), position, len, to)
    }

    fn write(&self, transfer: &Transfer, from: &mut dyn ByteSource) -> Result<usize> {
        if self.disk().is_read_only() {
            return Err(Errno::EPERM);
        }
        let position = transfer.position;
        let way = self.way(position, from.left())?;
        if from.left() == 0 {
            return Ok(0);
        }
        let len = self.inside(position, from.left());
        if len == 0 {
            return Err(Errno::ENOSPC);
        }
        let range = position..position + len;
        if way == Way::Direct {
            let write = || direct::write(self.disk(), position, len, from);
            return self.cache.go_past(range, write);
        }
        let room = usize::try_from(len).map_err(|_| Errno::EINVAL)?;
        let count = self.write_cached(position, &mut Limited::new(from, room))?;
        if way == Way::Through {
            self.cache.write_back(range)?;
        }
        if position / PAGE_SIZE != (position + count as u64) / PAGE_SIZE {
            flusher::throttle();
        }
        Ok(count)
    }

    fn append(&self, wait: Wait, from: &mut dyn ByteSource) -> Result<(u64, usize)> {
        let end = DiskFile::size(self);
        let count = self.write(&Transfer { position: end, wait }, from)?;
        Ok((end, count))
    }

    fn storage(&self) -> Option<&dyn Storage> {
        Some(self)
    }

    fn control(&self, request: u32, argument: u64) -> Result<u64> {
        control::control(&self.cache, request, argument)
    }

    fn pages(self: Arc<Self>) -> Option<Arc<dyn PageSource>> {
        Some(Arc::new(DiskPages(self.cache.clone())))
    }

    fn size(&self) -> Option<u64> {
        Some(DiskFile::size(self))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A disk as memory has it. It outlives the open file: when a mapping goes, nobody may wait for a disk.
struct DiskPages(Arc<DiskCache>);

impl PageSource for DiskPages {
    fn page(&self, index: u64, purpose: Purpose) -> Result<SharedFrame> {
        let page = self.0.pages().map(&*self.0, index, purpose);
        if purpose == Purpose::Write {
            flusher::note();
        }
        page
    }

    fn sync(&self, range: Range<u64>) -> Result<()> {
        self.0.write_back(range)?;
        self.0.disk().flush_sync()
    }

    fn cached_page(&self, index: u64) -> Option<SharedFrame> {
        self.0.pages().cached(index)
    }

    fn identity(&self) -> (u64, u64) {
        (self.0.disk().number(), 0)
    }

    fn describe(&self, to: &mut Vec<u8>) {
        let name = self.0.disk().name().as_bytes();
        if to.try_reserve(name.len() + 5).is_ok() {
            to.extend_from_slice(b"/dev/");
            to.extend_from_slice(name);
        }
    }
}
