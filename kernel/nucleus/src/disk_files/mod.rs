//! Disks as files: what opening `/dev/vda` opens.
//!
//! Reads and writes go to the disk at once, by way of pages of their own ([`DiskFile::transfer`]): that is the place where
//! the page cache will stand. Whoever writes less than a block reads the block first, under a lock of the disk, since two of
//! them would undo each other's work. ioctl(2) is in `control`; files as disks are in [`loops`]. Locks: rank `Writing`,
//! around writes of parts of blocks; rank `Table`, around the list of numbers that have a node.

mod control;
pub mod loops;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::ops::Range;
use core::sync::atomic::Ordering;

use abi::file::{O_DIRECT, O_DSYNC, O_SYNC};
use abi::{Errno, Result};
use hal::frames::SharedFrame;
use hal::rank;
use hal::spin::{Lock, Once};
use logic::addr::PAGE_LEN;

use crate::block::{self, Disk, Durability, Family, Operation, Request, SECTOR, Segment, Ticket};
use crate::sched::Wait;
use crate::vfs::device::{self, Device, Registered};
use crate::vfs::storage::{Storage, Synced, Wanted};
use crate::vfs::{ByteSink, ByteSource, File, FileKind, Transfer};

pub use control::is_privileged;

/// Pages of one transfer: what a command of most devices holds.
const PAGES: usize = 32;

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
    file.as_any().downcast_ref::<DiskFile>().map(|file| &file.disk)
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
        Ok(Arc::new(DiskFile::new(disk, flags)))
    }
}

/// An open disk or partition.
struct DiskFile {
    disk: Arc<Disk>,
    flags: u32,
}

impl Drop for DiskFile {
    fn drop(&mut self) {
        self.disk.openers().fetch_sub(1, Ordering::Relaxed);
        loops::closed(&self.disk);
    }
}

/// Pages with the whole blocks around some bytes of a disk.
struct Bounce {
    frames: Vec<SharedFrame>,
    /// First byte on the disk, at a block's start.
    start: u64,
    /// Bytes, in whole blocks.
    len: usize,
}

impl Bounce {
    fn new(start: u64, len: usize) -> Result<Self> {
        let mut frames = Vec::new();
        let count = len.div_ceil(PAGE_LEN);
        frames.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
        for _ in 0..count {
            frames.push(SharedFrame::new_zeroed().ok_or(Errno::ENOMEM)?);
        }
        Ok(Bounce { frames, start, len })
    }
}

impl DiskFile {
    fn new(disk: Arc<Disk>, flags: u32) -> Self {
        disk.openers().fetch_add(1, Ordering::Relaxed);
        DiskFile { disk, flags }
    }

    fn size(&self) -> u64 {
        self.disk.sectors() * SECTOR
    }

    fn block(&self) -> u64 {
        u64::from(self.disk.info().logical_block)
    }

    /// Moves whole blocks between pages and disk, and waits. The page cache's place.
    fn transfer(&self, operation: Operation, bounce: &Bounce) -> Result<()> {
        let ticket = Ticket::new();
        let mut request = Request::new(operation, bounce.start / SECTOR, bounce.frames.len(), &ticket)?;
        let mut left = bounce.len;
        for frame in &bounce.frames {
            request.push(Segment::new(frame.clone(), 0, left.min(PAGE_LEN))?)?;
            left = left.saturating_sub(PAGE_LEN);
        }
        self.disk.submit(request);
        ticket.wait_done()
    }

    /// The whole blocks around as many of `len` bytes from `position` on as one transfer holds; how many those are, and
    /// how far into the blocks they begin.
    fn around(&self, position: u64, len: u64) -> Result<(Bounce, usize, usize)> {
        let block = self.block();
        let start = position - position % block;
        let end = position.saturating_add(len).min(start + (PAGES * PAGE_LEN) as u64);
        let whole = end.next_multiple_of(block).min(self.size()) - start;
        let narrow = |value: u64| usize::try_from(value).map_err(|_| Errno::EINVAL);
        Ok((Bounce::new(start, narrow(whole)?)?, narrow(end - position)?, narrow(position - start)?))
    }

    fn check_direct(&self, position: u64, len: usize) -> Result<()> {
        let is_whole = |value: u64| value.is_multiple_of(self.block());
        if self.flags & O_DIRECT != 0 && !(is_whole(position) && is_whole(len as u64)) {
            return Err(Errno::EINVAL);
        }
        Ok(())
    }

    /// Writes what one transfer holds; says how much the source gave.
    fn write_piece(&self, position: u64, len: u64, from: &mut dyn ByteSource) -> Result<usize> {
        let (mut bounce, len, skip) = self.around(position, len)?;
        let taken = fill(&bounce, skip, len, from)?;
        let block = usize::try_from(self.block()).map_err(|_| Errno::EINVAL)?;
        bounce.len = (skip + taken).next_multiple_of(block).min(bounce.len);
        bounce.frames.truncate(bounce.len.div_ceil(PAGE_LEN));
        if taken == 0 {
            return Ok(0);
        }
        let write = Operation::Write(Durability::Cached);
        if skip == 0 && taken == bounce.len {
            self.transfer(write, &bounce)?;
            return Ok(taken);
        }
        // What is not written of the first and the last block stays as it is.
        let whole = Bounce::new(bounce.start, bounce.len)?;
        let _guard = self.disk.partial_writes().lock();
        self.transfer(Operation::Read, &whole)?;
        copy(&bounce, &whole, skip, taken);
        self.transfer(write, &whole)?;
        Ok(taken)
    }
}

/// Takes up to `len` bytes of a source to the place `skip` bytes into the pages; says how many there were.
fn fill(bounce: &Bounce, skip: usize, len: usize, from: &mut dyn ByteSource) -> Result<usize> {
    let mut taken = 0;
    while taken < len {
        let (offset, page) = ((skip + taken) % PAGE_LEN, (skip + taken) / PAGE_LEN);
        let frame = bounce.frames.get(page).ok_or(Errno::EIO)?;
        let wanted = (len - taken).min(PAGE_LEN - offset);
        match from.take_to_page(frame, offset, wanted) {
            Ok(count) => {
                taken += count;
                if count < wanted {
                    break;
                }
            }
            Err(error) if taken == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(taken)
}

/// Copies `len` bytes from `skip` on between pages that hold the same part of a disk.
fn copy(from: &Bounce, to: &Bounce, skip: usize, len: usize) {
    let mut buffer = [0; 512];
    let mut at = skip;
    let end = skip + len;
    for (page, (from, to)) in from.frames.iter().zip(&to.frames).enumerate() {
        while at < end && at / PAGE_LEN == page {
            let offset = at % PAGE_LEN;
            let count = (end - at).min(buffer.len()).min(PAGE_LEN - offset);
            from.read(offset, &mut buffer[..count]);
            to.write(offset, &buffer[..count]);
            at += count;
        }
    }
}

impl Storage for DiskFile {
    fn sync(&self, _what: Synced, _range: Range<u64>) -> Result<()> {
        if self.disk.is_read_only() { Ok(()) } else { self.disk.flush_sync() }
    }

    fn seek(&self, position: u64, wanted: Wanted) -> Result<u64> {
        Ok(if wanted == Wanted::Data { position } else { DiskFile::size(self) })
    }
}

impl File for DiskFile {
    fn read(&self, transfer: &Transfer, to: &mut dyn ByteSink) -> Result<usize> {
        self.check_direct(transfer.position, to.room())?;
        let mut done = 0;
        loop {
            let position = transfer.position.saturating_add(done as u64);
            let left = (to.room() as u64).min(self.size().saturating_sub(position));
            if left == 0 {
                return Ok(done);
            }
            let (bounce, len, skip) = self.around(position, left)?;
            let read = self.transfer(Operation::Read, &bounce).and_then(|()| {
                let mut given = 0;
                while given < len {
                    let (offset, page) = ((skip + given) % PAGE_LEN, (skip + given) / PAGE_LEN);
                    let frame = bounce.frames.get(page).ok_or(Errno::EIO)?;
                    let wanted = (len - given).min(PAGE_LEN - offset);
                    match to.put_page(frame, offset, wanted) {
                        Ok(count) if count == wanted => given += count,
                        Ok(count) => return Ok(given + count),
                        Err(_) if given > 0 => return Ok(given),
                        Err(error) => return Err(error),
                    }
                }
                Ok(given)
            });
            match read {
                Ok(count) => {
                    done += count;
                    if count < len {
                        return Ok(done);
                    }
                }
                Err(_) if done > 0 => return Ok(done),
                Err(error) => return Err(error),
            }
        }
    }

    fn write(&self, transfer: &Transfer, from: &mut dyn ByteSource) -> Result<usize> {
        if self.disk.is_read_only() {
            return Err(Errno::EPERM);
        }
        self.check_direct(transfer.position, from.left())?;
        if from.left() == 0 {
            return Ok(0);
        }
        let mut done = 0;
        loop {
            let position = transfer.position.saturating_add(done as u64);
            let wanted = from.left() as u64;
            let left = wanted.min(self.size().saturating_sub(position));
            if left == 0 {
                if done == 0 {
                    return Err(Errno::ENOSPC);
                }
                break;
            }
            match self.write_piece(position, left, from) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
            if from.left() == 0 {
                break;
            }
        }
        if self.flags & (O_SYNC | O_DSYNC) != 0 {
            self.disk.flush_sync()?;
        }
        Ok(done)
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
        control::control(&self.disk, request, argument)
    }

    fn size(&self) -> Option<u64> {
        Some(DiskFile::size(self))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
