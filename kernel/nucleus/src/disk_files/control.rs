//! ioctl(2) on disks (Linux, include/uapi/linux/fs.h and hdreg.h).

use core::ops::Range;

use abi::{Errno, Result};
use hal::usermem;
use logic::addr::PAGE_LEN;

use crate::block::{Disk, Durability, Family, Operation, SECTOR};
use crate::vfs::cache::disks::DiskCache;

const BLKROSET: u32 = 0x125d;
const BLKROGET: u32 = 0x125e;
const BLKRRPART: u32 = 0x125f;
const BLKGETSIZE: u32 = 0x1260;
const BLKFLSBUF: u32 = 0x1261;
const BLKRASET: u32 = 0x1262;
const BLKRAGET: u32 = 0x1263;
const BLKFRASET: u32 = 0x1264;
const BLKFRAGET: u32 = 0x1265;
const BLKSSZGET: u32 = 0x1268;
const BLKBSZGET: u32 = 0x8008_1270;
const BLKBSZSET: u32 = 0x4008_1271;
const BLKGETSIZE64: u32 = 0x8008_1272;
const BLKDISCARD: u32 = 0x1277;
const BLKIOMIN: u32 = 0x1278;
const BLKIOOPT: u32 = 0x1279;
const BLKALIGNOFF: u32 = 0x127a;
const BLKPBSZGET: u32 = 0x127b;
const BLKDISCARDZEROES: u32 = 0x127c;
const BLKROTATIONAL: u32 = 0x127e;
const BLKZEROOUT: u32 = 0x127f;
const HDIO_GETGEO: u32 = 0x301;

/// Whether a request needs CAP_SYS_ADMIN (EACCES without).
pub fn is_privileged(request: u32) -> bool {
    matches!(request, BLKROSET | BLKRRPART | BLKFLSBUF | BLKRASET | BLKFRASET | BLKBSZSET)
}

pub(super) fn control(cache: &DiskCache, request: u32, argument: u64) -> Result<u64> {
    let disk = cache.disk();
    let info = disk.info();
    let put32 = |value: u32| usermem::write(argument, &value);
    match request {
        BLKROSET => {
            let value: u32 = usermem::read(argument)?;
            // What was written while one might goes to the disk first.
            cache.write_back(0..u64::MAX)?;
            disk.set_read_only(value != 0);
            Ok(())
        }
        BLKROGET => put32(u32::from(disk.is_read_only())),
        BLKRRPART => {
            // The table is read from the disk itself.
            cache.write_back(0..u64::MAX)?;
            disk.read_partitions()?;
            super::publish()
        }
        BLKGETSIZE => usermem::write(argument, &disk.sectors()),
        BLKGETSIZE64 => usermem::write(argument, &(disk.sectors() * SECTOR)),
        BLKFLSBUF => {
            cache.write_back(0..u64::MAX)?;
            cache.pages().drop_clean();
            disk.flush_sync()
        }
        BLKRASET | BLKFRASET => {
            disk.set_read_ahead(argument);
            Ok(())
        }
        BLKRAGET | BLKFRAGET => usermem::write(argument, &disk.read_ahead()),
        BLKSSZGET => put32(info.logical_block),
        BLKBSZGET => put32(info.logical_block.max(4096)),
        BLKBSZSET => {
            let size: u32 = usermem::read(argument)?;
            let fits = size.is_power_of_two() && (info.logical_block..=4096).contains(&size);
            // The page cache's unit is a page, whatever is said here.
            if fits { Ok(()) } else { Err(Errno::EINVAL) }
        }
        BLKDISCARD => {
            let (start, sectors) = range(disk, argument)?;
            cache.go_past(bytes(start, sectors), || disk.without_memory(Operation::Discard(sectors), start))
        }
        BLKZEROOUT => {
            let (start, sectors) = range(disk, argument)?;
            cache.go_past(bytes(start, sectors), || write_zeroes(disk, start, sectors))
        }
        BLKIOMIN => put32(info.physical_block),
        BLKIOOPT | BLKALIGNOFF | BLKDISCARDZEROES => put32(0),
        BLKPBSZGET => put32(info.physical_block),
        BLKROTATIONAL => usermem::write(argument, &u16::from(info.is_rotational)),
        HDIO_GETGEO => geometry(disk, argument),
        _ => Err(Errno::ENOTTY),
    }
    .map(|()| 0)
}

/// Start and length in bytes, both whole blocks; gives sectors.
fn range(disk: &Disk, argument: u64) -> Result<(u64, u64)> {
    let start: u64 = usermem::read(argument)?;
    let len: u64 = usermem::read(argument.checked_add(8).ok_or(Errno::EFAULT)?)?;
    if disk.is_read_only() {
        return Err(Errno::EPERM);
    }
    let block = u64::from(disk.info().logical_block);
    let end = start.checked_add(len).ok_or(Errno::EINVAL)?;
    if !start.is_multiple_of(block) || !len.is_multiple_of(block) || end > disk.sectors() * SECTOR {
        return Err(Errno::EINVAL);
    }
    if len == 0 {
        return Err(Errno::EINVAL);
    }
    Ok((start / SECTOR, len / SECTOR))
}

fn bytes(start: u64, sectors: u64) -> Range<u64> {
    start * SECTOR..(start + sectors) * SECTOR
}

/// By the device if it knows how, else by writing zeros.
fn write_zeroes(disk: &Disk, start: u64, sectors: u64) -> Result<()> {
    match disk.without_memory(Operation::WriteZeroes(sectors), start) {
        Err(Errno::EOPNOTSUPP) => {}
        other => return other,
    }
    let zeros = hal::frames::SharedFrame::zero()?;
    let per_page = PAGE_LEN as u64 / SECTOR;
    let (mut at, end) = (start, start + sectors);
    while at < end {
        let ticket = crate::block::Ticket::new();
        let pages = (end - at).div_ceil(per_page).min(crate::block::RESERVED_SEGMENTS as u64);
        let write = Operation::Write(Durability::Cached);
        let mut request = crate::block::Request::new(write, at, crate::block::RESERVED_SEGMENTS, &ticket)?;
        for _ in 0..pages {
            let count = (end - at).min(per_page);
            let len = usize::try_from(count * SECTOR).map_err(|_| Errno::EINVAL)?;
            request.push(crate::block::Segment::new(zeros.clone(), 0, len)?)?;
            at += count;
        }
        disk.submit(request);
        ticket.wait_done()?;
    }
    Ok(())
}

/// `struct hd_geometry`: made up, as everywhere.
fn geometry(disk: &Disk, argument: u64) -> Result<()> {
    let (heads, sectors): (u8, u8) = if disk.family() == Family::Virtio { (64, 32) } else { (255, 63) };
    let cylinders = disk.sectors() / (u64::from(heads) * u64::from(sectors));
    let [low, high] = u16::try_from(cylinders).unwrap_or(u16::MAX).to_le_bytes();
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&[heads, sectors, low, high]);
    bytes[8..].copy_from_slice(&disk.start().to_le_bytes());
    usermem::write_bytes(argument, &bytes)
}
