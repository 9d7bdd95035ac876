//! Disks in memory: `/dev/ram0` and so on.
//!
//! A disk is made when its node is first opened, and has pages only where something was written; what was discarded gives
//! its pages back. Lock: rank `Device`, around the pages of one disk.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::file::{device_number, device_parts};
use abi::{Errno, Result};
use hal::frames::SharedFrame;
use hal::rank;
use hal::spin::Lock;
use hashbrown::HashMap;
use logic::addr::PAGE_LEN;

use super::DiskFile;
use crate::block::{
    self, BlockDevice, Command, DeviceInfo, Disk, Failure, Family, Operation, Outcome, SECTOR, Segment,
};
use crate::vfs::device::{self, Device, Registered};
use crate::vfs::{File, FileKind};

const MAJOR: u32 = 1;
/// Nodes, as on Linux.
const NODES: u32 = 16;
const DEPTH: usize = 16;
const SECTORS_PER_PAGE: u64 = PAGE_LEN as u64 / SECTOR;
const SECTOR_LEN: usize = 512;

/// Sectors of each: 16 MiB unless the command line says otherwise.
static SECTORS: AtomicU64 = AtomicU64::new(16 << 11);
static DISKS: Lock<Vec<Arc<Disk>>, rank::Table> = Lock::new(Vec::new());

/// A disk in memory.
struct RamDisk {
    sectors: u64,
    pages: Lock<HashMap<u64, SharedFrame>, rank::Device>,
}

/// Makes the nodes known. `kib` is the size of each disk (`ramdisk_size=`).
///
/// # Errors
/// ENOMEM.
pub fn register(kib: Option<u64>) -> Result<()> {
    if let Some(kib) = kib {
        SECTORS.store(kib.saturating_mul(2).min(i64::MAX as u64 / SECTOR), Ordering::Relaxed);
    }
    (0..NODES).try_for_each(|index| {
        let name: &'static str = Box::leak(alloc::format!("ram{index}").into_boxed_str());
        let (kind, number) = (FileKind::BlockDevice, device_number(MAJOR, index));
        device::register(Registered { kind, number, name, permissions: 0o660, device: Arc::new(Opener) })
    })
}

struct Opener;

impl Device for Opener {
    fn open(&self, number: u64, flags: u32) -> Result<Arc<dyn File>> {
        let (_, index) = device_parts(number);
        Ok(Arc::new(DiskFile::new(&find_or_make(index)?, flags)?))
    }
}

fn find(index: u32) -> Option<Arc<Disk>> {
    DISKS.lock().iter().find(|disk| disk.index() == index).cloned()
}

fn find_or_make(index: u32) -> Result<Arc<Disk>> {
    if let Some(found) = find(index) {
        return Ok(found);
    }
    let sectors = SECTORS.load(Ordering::Relaxed);
    let new = Arc::new(RamDisk { sectors, pages: Lock::new(HashMap::new()) });
    match block::register_at(Family::Ram, index, new) {
        Ok(disk) => {
            let mut disks = DISKS.lock();
            disks.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            disks.push(disk.clone());
            Ok(disk)
        }
        // Somebody else made it just now, or is about to.
        Err(Errno::EEXIST) => find(index).ok_or(Errno::EAGAIN),
        Err(error) => Err(error),
    }
}

impl BlockDevice for RamDisk {
    fn info(&self) -> DeviceInfo {
        DeviceInfo {
            sectors: self.sectors,
            logical_block: 512,
            physical_block: 4096,
            is_read_only: false,
            has_volatile_cache: false,
            has_durable_writes: false,
            discard_sectors: u64::from(u32::MAX),
            zero_sectors: u64::from(u32::MAX),
            max_sectors: 2048,
            max_segments: 256,
            depth: DEPTH,
            is_rotational: false,
        }
    }

    fn submit(&self, command: Command) {
        let outcome = self.carry_out(&command);
        command.finish(outcome);
    }

    fn reset(&self) -> Result<()> {
        // Nothing is ever under way.
        Ok(())
    }
}

impl RamDisk {
    fn carry_out(&self, command: &Command) -> Outcome {
        match command.operation() {
            Operation::Flush => Ok(()),
            Operation::Discard(_) | Operation::WriteZeroes(_) => {
                self.clear(command.sector(), command.sectors());
                Ok(())
            }
            operation => {
                let mut sector = command.sector();
                for segment in command.segments() {
                    self.transfer(operation, sector, segment)?;
                    sector += u64::from(segment.len()) / SECTOR;
                }
                Ok(())
            }
        }
    }

    /// Copies sector by sector: either end may lie in two pages of the other.
    fn transfer(&self, operation: Operation, first: u64, segment: &Segment) -> Outcome {
        let mut pages = self.pages.lock();
        let mut bytes = [0; SECTOR_LEN];
        for (sector, at) in (first..).zip((0..segment.len() as usize).step_by(SECTOR_LEN)) {
            let (page, offset) = place_of(sector);
            let in_segment = segment.offset() as usize + at;
            if operation == Operation::Read {
                match pages.get(&page) {
                    Some(page) => page.read(offset, &mut bytes),
                    None => bytes.fill(0),
                }
                segment.frame().write(in_segment, &bytes);
                continue;
            }
            segment.frame().read(in_segment, &mut bytes);
            if let Some(page) = pages.get(&page) {
                page.write(offset, &bytes);
                continue;
            }
            pages.try_reserve(1).map_err(|_| Failure::NoSpace)?;
            let fresh = SharedFrame::new_zeroed().ok_or(Failure::NoSpace)?;
            fresh.write(offset, &bytes);
            pages.insert(page, fresh);
        }
        Ok(())
    }

    /// Makes sectors read as zeros; whole pages go.
    fn clear(&self, first: u64, count: u64) {
        let end = first + count;
        let mut pages = self.pages.lock();
        pages.retain(|&page, frame| {
            let start = page * SECTORS_PER_PAGE;
            let (from, to) =
                (first.clamp(start, start + SECTORS_PER_PAGE), end.clamp(start, start + SECTORS_PER_PAGE));
            let bytes_of = |sector: u64| usize::try_from(sector - start).unwrap_or(0) * SECTOR_LEN;
            if from < to {
                frame.clear(bytes_of(from), bytes_of(to));
            }
            to - from < SECTORS_PER_PAGE
        });
    }
}

/// The page of a sector, and where in it.
fn place_of(sector: u64) -> (u64, usize) {
    let inside = usize::try_from(sector % SECTORS_PER_PAGE).unwrap_or(0);
    (sector / SECTORS_PER_PAGE, inside * SECTOR_LEN)
}
