//! Disks and partitions, by name and number.
//!
//! A driver registers what it found; the disk gets the name and number that Linux would give it, its partition table is
//! read, and its partitions become disks of their own with the same queue. Lock: rank `Table`, around the list; the slow
//! part of registering is done without it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use abi::file::device_number;
use abi::{Errno, Result};
use hal::boot::Text;
use hal::frames::SharedFrame;
use hal::rank;
use hal::spin::Lock;
use logic::addr::PAGE_LEN;
use logic::partition::{self, PartUuid, Partition};

use super::device::{BlockDevice, DeviceInfo};
use super::queue::Queue;
use super::request::{self, Operation, Request, Segment};
use super::statistics::Statistics;
use super::ticket::Ticket;
use super::{SECTOR, watch};

/// What sort of disk, which decides its name and number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// `vda`, `vdb` …
    Virtio,
    /// `sda`, `sdb` …: AHCI and IDE, as with Linux's libata.
    Scsi,
    /// `loop0`, `loop1` …
    Loop,
    /// `ram0`, `ram1` …
    Ram,
}

impl Family {
    const fn major(self) -> u32 {
        match self {
            // Linux hands this one out at run time, downwards from 254; it is the first to ask.
            Family::Virtio => 254,
            Family::Scsi => 8,
            Family::Loop => 7,
            Family::Ram => 1,
        }
    }

    /// Numbers for each disk: itself and its partitions.
    pub const fn minors(self) -> u32 {
        match self {
            Family::Virtio | Family::Scsi => 16,
            Family::Loop | Family::Ram => 1,
        }
    }

    fn name(self, index: u32) -> Text<32> {
        let mut name = alloc::string::String::new();
        match self {
            Family::Loop => name = alloc::format!("loop{index}"),
            Family::Ram => name = alloc::format!("ram{index}"),
            Family::Virtio | Family::Scsi => {
                name.push_str(if self == Family::Virtio { "vd" } else { "sd" });
                partition::push_letters(index, &mut name);
            }
        }
        Text::from_bytes(name.as_bytes())
    }
}

/// A disk or a partition.
pub struct Disk {
    name: Text<32>,
    number: u64,
    family: Family,
    index: u32,
    /// Of the whole disk.
    start: u64,
    sectors: AtomicU64,
    partition: Option<Partition>,
    queue: Arc<Queue>,
    statistics: Arc<Statistics>,
    is_read_only: AtomicBool,
    /// What `BLKRASET` said; nothing here reads ahead by it.
    read_ahead: AtomicU64,
    openers: AtomicUsize,
}

static DISKS: Lock<Vec<Arc<Disk>>, rank::Table> = Lock::new(Vec::new());

/// Makes a device a disk, reads its partition table, and says so in the log. May wait.
///
/// # Errors
/// ENOMEM; ENOSPC if there are too many.
pub fn register(family: Family, device: Arc<dyn BlockDevice>, model: &str) -> Result<Arc<Disk>> {
    let disk = add(family, 0..MAX_DISKS, device)?;
    describe(&disk, model);
    if family.minors() > 1 {
        // A disk whose table cannot be read is a disk all the same, and the queue has said what is wrong.
        let _ = disk.read_partitions();
    }
    Ok(disk)
}

/// Makes a device the disk of its family with a number: for those that programs make.
///
/// # Errors
/// EEXIST if there is one; ENOMEM.
pub fn register_at(family: Family, index: u32, device: Arc<dyn BlockDevice>) -> Result<Arc<Disk>> {
    match add(family, index..index.saturating_add(1), device) {
        Err(Errno::ENOSPC) => Err(Errno::EEXIST),
        other => other,
    }
}

/// Adds a disk with the first free number of these.
fn add(family: Family, mut indices: Range<u32>, device: Arc<dyn BlockDevice>) -> Result<Arc<Disk>> {
    request::fill_reserve()?;
    watch::start()?;
    let queue = Queue::new(device)?;
    let is_taken = |disks: &[Arc<Disk>], index: u32| {
        disks.iter().any(|disk| disk.family == family && disk.index == index)
    };
    loop {
        let free = {
            let disks = DISKS.lock();
            indices.find(|&index| !is_taken(&disks, index))
        };
        let disk = Arc::new(Disk::new(family, free.ok_or(Errno::ENOSPC)?, queue.clone())?);
        queue.set_name(disk.name());
        let mut disks = DISKS.lock();
        disks.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        // Somebody may have taken the number meanwhile.
        if !is_taken(&disks, disk.index) {
            disks.push(disk.clone());
            return Ok(disk);
        }
    }
}

/// Disks of one family; Linux's numbers allow for so many with sixteen minors each.
const MAX_DISKS: u32 = 256;

fn describe(disk: &Disk, model: &str) {
    let info = disk.info();
    let mib = info.sectors / 2048;
    let access = if info.is_read_only { ", read-only" } else { "" };
    let cache = if info.has_volatile_cache { ", write-back cache" } else { "" };
    let block = info.logical_block;
    crate::info!("{}: {model}, {mib} MiB in blocks of {block} bytes{access}{cache}", disk.name());
}

/// Takes a disk and its partitions away; what is under way fails.
pub fn remove(disk: &Arc<Disk>) {
    DISKS.lock().retain(|other| !Arc::ptr_eq(&other.queue, &disk.queue));
    disk.queue.kill();
}

/// All disks and partitions, each disk before its partitions, in the order they were found.
pub fn all() -> Vec<Arc<Disk>> {
    let mut list = Vec::new();
    loop {
        let count = DISKS.lock().len();
        if list.try_reserve(count).is_err() {
            return list;
        }
        let disks = DISKS.lock();
        if disks.len() <= list.capacity() {
            list.extend(disks.iter().cloned());
            return list;
        }
    }
}

/// The disk with a device number.
pub fn by_number(number: u64) -> Option<Arc<Disk>> {
    DISKS.lock().iter().find(|disk| disk.number == number).cloned()
}

/// The disk that `root=` and the like name: `vda1`, `/dev/vda1`, `254:1`, `PARTUUID=…`. File systems' own names (`UUID=`,
/// `LABEL=`) are for who can read file systems.
pub fn find(name: &str) -> Option<Arc<Disk>> {
    if let Some(wanted) = name.strip_prefix("PARTUUID=") {
        let wanted = PartUuid::parse(wanted)?;
        let is_it = |disk: &&Arc<Disk>| disk.partition.as_ref().is_some_and(|found| found.uuid == wanted);
        return DISKS.lock().iter().find(is_it).cloned();
    }
    if let Some((major, minor)) = name.split_once(':') {
        return by_number(device_number(major.parse().ok()?, minor.parse().ok()?));
    }
    let name = name.strip_prefix("/dev/").unwrap_or(name);
    DISKS.lock().iter().find(|disk| disk.name() == name).cloned()
}

impl Disk {
    fn new(family: Family, index: u32, queue: Arc<Queue>) -> Result<Self> {
        let info = queue.info;
        let mut disk = Disk {
            name: Text::EMPTY,
            number: 0,
            family,
            index,
            start: 0,
            sectors: AtomicU64::new(info.sectors),
            partition: None,
            statistics: queue.statistics.clone(),
            queue,
            is_read_only: AtomicBool::new(info.is_read_only),
            read_ahead: AtomicU64::new(256),
            openers: AtomicUsize::new(0),
        };
        disk.set_index(index);
        Ok(disk)
    }

    fn set_index(&mut self, index: u32) {
        self.index = index;
        self.name = self.family.name(index);
        self.number = device_number(self.family.major(), index * self.family.minors());
    }

    /// A partition of this disk.
    fn part(&self, partition: &Partition) -> Result<Arc<Self>> {
        let name = alloc::format!("{}{}", self.name(), partition.number);
        let mut part = Self::new(self.family, self.index, self.queue.clone())?;
        part.name = Text::from_bytes(name.as_bytes());
        part.number = self.number + u64::from(partition.number);
        part.start = partition.start;
        part.sectors = AtomicU64::new(partition.sectors);
        part.statistics = Arc::default();
        part.is_read_only = AtomicBool::new(self.is_read_only());
        part.partition = Some(partition.clone());
        Ok(Arc::new(part))
    }

    /// Reads the partition table, and makes its partitions known instead of those there were.
    ///
    /// # Errors
    /// EBUSY if one of those is open; EIO; ENOMEM.
    pub fn read_partitions(self: &Arc<Self>) -> Result<()> {
        if self.is_partition() || self.family.minors() == 1 {
            return Err(Errno::EINVAL);
        }
        let found = partition::read(self.sectors(), self.info().logical_block, &mut |sector, bytes| {
            self.read_sync(sector, bytes).is_ok()
        });
        let found = found.ok_or(Errno::EIO)?;
        let mut parts = Vec::new();
        parts.try_reserve_exact(found.len()).map_err(|_| Errno::ENOMEM)?;
        for partition in found.iter().filter(|partition| partition.number < self.family.minors()) {
            parts.push(self.part(partition)?);
        }
        let is_own = |other: &Arc<Disk>| other.is_partition() && Arc::ptr_eq(&other.queue, &self.queue);
        let old = {
            let mut disks = DISKS.lock();
            if disks.iter().any(|disk| is_own(disk) && disk.openers.load(Ordering::Relaxed) > 0) {
                return Err(Errno::EBUSY);
            }
            disks.try_reserve(parts.len()).map_err(|_| Errno::ENOMEM)?;
            let old: Vec<Arc<Disk>> = disks.extract_if(.., |disk| is_own(disk)).collect();
            let place =
                disks.iter().position(|disk| Arc::ptr_eq(disk, self)).map_or(disks.len(), |at| at + 1);
            for (number, part) in parts.iter().enumerate() {
                disks.insert(place + number, part.clone());
            }
            old
        };
        drop(old);
        for part in &parts {
            crate::info!("{}: {} MiB from sector {} on", part.name(), part.sectors() / 2048, part.start);
        }
        Ok(())
    }

    /// Its name in `/dev`.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Its device number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What sort of disk it is, or is on.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Its number among those of its family.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Its first sector on the whole disk.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Its size.
    pub fn sectors(&self) -> u64 {
        self.sectors.load(Ordering::Relaxed)
    }

    /// Its size, after the device's changed.
    pub fn set_sectors(&self, sectors: u64) {
        self.sectors.store(sectors, Ordering::Relaxed);
    }

    /// Its partition table's entry.
    pub fn partition(&self) -> Option<&Partition> {
        self.partition.as_ref()
    }

    /// Whether it is a part of a disk.
    pub fn is_partition(&self) -> bool {
        self.partition.is_some()
    }

    /// What the device is like.
    pub fn info(&self) -> &DeviceInfo {
        &self.queue.info
    }

    /// The device.
    pub fn device(&self) -> &Arc<dyn BlockDevice> {
        &self.queue.device
    }

    /// Its counters.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Whether it may not be written.
    pub fn is_read_only(&self) -> bool {
        self.is_read_only.load(Ordering::Relaxed) || self.info().is_read_only
    }

    /// Forbids or allows writing, as far as the device does (`BLKROSET`).
    pub fn set_read_only(&self, is_read_only: bool) {
        self.is_read_only.store(is_read_only, Ordering::Relaxed);
    }

    /// Sectors to read ahead.
    pub fn read_ahead(&self) -> u64 {
        self.read_ahead.load(Ordering::Relaxed)
    }

    /// Sets them.
    pub fn set_read_ahead(&self, sectors: u64) {
        self.read_ahead.store(sectors, Ordering::Relaxed);
    }

    /// Who has it open: one more, one less.
    pub fn openers(&self) -> &AtomicUsize {
        &self.openers
    }

    pub(super) fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// Begins a request; its ticket says when it is done. Waits only while too many are waiting already.
    pub fn submit(&self, request: Box<Request>) {
        self.submit_all(core::iter::once(request));
    }

    /// Begins several, those that are neighbours as one.
    pub fn submit_all(&self, requests: impl Iterator<Item = Box<Request>>) {
        self.queue.submit(requests.filter_map(|request| self.admit(request)));
    }

    /// Checks a request and moves it to its place on the whole disk.
    fn admit(&self, mut request: Box<Request>) -> Option<Box<Request>> {
        let sectors = request.own_sectors();
        let per_block = u64::from(self.info().logical_block) / SECTOR;
        let end = request.sector.checked_add(sectors);
        let is_flush = request.operation == Operation::Flush;
        let problem = if matches!(request.operation, Operation::Read) || is_flush {
            None
        } else {
            self.is_read_only().then_some(Errno::EROFS)
        };
        let is_outside = end.is_none_or(|end| end > self.sectors());
        let is_odd = !request.sector.is_multiple_of(per_block) || !sectors.is_multiple_of(per_block);
        let problem = match problem {
            Some(problem) => Some(problem),
            None if is_flush => None,
            None if is_outside => Some(Errno::EIO),
            None if is_odd || sectors == 0 => Some(Errno::EINVAL),
            None => None,
        };
        if let Some(problem) = problem {
            request.finish(Err(problem));
            return None;
        }
        request.sector += self.start;
        request.partition = self.is_partition().then(|| self.statistics.clone());
        Some(request)
    }

    /// Reads sectors into kernel memory and waits.
    ///
    /// # Errors
    /// EINVAL unless they are whole blocks; EIO; ENOMEM.
    pub fn read_sync(&self, sector: u64, to: &mut [u8]) -> Result<()> {
        let mut at = sector;
        for part in to.chunks_mut(PAGE_LEN) {
            let frame = self.transfer(Operation::Read, at, part.len(), None)?;
            frame.read(0, part);
            at += part.len() as u64 / SECTOR;
        }
        Ok(())
    }

    /// Writes sectors from kernel memory and waits.
    ///
    /// # Errors
    /// As `read_sync`; EROFS.
    pub fn write_sync(&self, sector: u64, from: &[u8]) -> Result<()> {
        let mut at = sector;
        for part in from.chunks(PAGE_LEN) {
            self.transfer(Operation::Write(request::Durability::Cached), at, part.len(), Some(part))?;
            at += part.len() as u64 / SECTOR;
        }
        Ok(())
    }

    fn transfer(
        &self,
        operation: Operation,
        sector: u64,
        len: usize,
        from: Option<&[u8]>,
    ) -> Result<SharedFrame> {
        // Not through `SharedFrame::new_zeroed`, which programs are refused first.
        let frame = hal::frames::allocate_zeroed().ok_or(Errno::ENOMEM)?.share();
        if let Some(from) = from {
            frame.write(0, from);
        }
        let segment = Segment::new(frame.clone(), 0, len)?;
        let ticket = Ticket::new();
        let mut request = Request::new(operation, sector, 1, &ticket)?;
        request.push(segment)?;
        self.submit(request);
        ticket.wait_done()?;
        Ok(frame)
    }

    /// Makes all writes that are done last.
    ///
    /// # Errors
    /// EIO.
    pub fn flush_sync(&self) -> Result<()> {
        self.without_memory(Operation::Flush, 0)
    }

    /// Discards, zeroes or flushes, and waits.
    ///
    /// # Errors
    /// EOPNOTSUPP if the device cannot; EIO; EROFS; EINVAL.
    pub fn without_memory(&self, operation: Operation, sector: u64) -> Result<()> {
        let ticket = Ticket::new();
        self.submit(Request::new(operation, sector, 0, &ticket)?);
        ticket.wait_done()
    }
}
