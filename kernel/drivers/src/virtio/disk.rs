//! The virtio disk.
//!
//! One queue. Slot `n` of it is command `n`: header and status lie in memory made at probe time, data in the frames that the
//! command owns. Lock: rank `Device`, around the queue and the commands under way; commands are finished without it.
//! Spec: VIRTIO 1.2, section 5.2.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::{Errno, Result};
use hal::dma::{BusAddress, Dma, Reach};
use hal::pci::Function;
use hal::rank;
use hal::spin::Lock;
use logic::pci::{Address, PciId};
use nucleus::block::{
    self, BlockDevice, Command, DeviceInfo, Durability, Failure, Family, Operation, Outcome,
};
use nucleus::irq::IrqHandler;

use super::mmio::{MemoryMapped, Place};
use super::pci::Pci;
use super::queue::{Manner, Piece, Queue, Writer};
use super::transport::{self, FEATURE_EVENT_INDEX, FEATURE_INDIRECT, FEATURE_VERSION_1, Transport};

const VENDOR: u16 = 0x1af4;
/// Before version 1, and since; the older number is used by devices that know both.
const DEVICES: [u16; 2] = [0x1001, 0x1042];
const KIND_DISK: u32 = 2;

const FEATURE_SEGMENT_LIMIT: u64 = 1 << 2;
const FEATURE_READ_ONLY: u64 = 1 << 5;
const FEATURE_BLOCK_SIZE: u64 = 1 << 6;
const FEATURE_FLUSH: u64 = 1 << 9;
const FEATURE_TOPOLOGY: u64 = 1 << 10;
const FEATURE_DISCARD: u64 = 1 << 13;
const FEATURE_ZEROES: u64 = 1 << 14;
const WANTED: u64 = FEATURE_SEGMENT_LIMIT
    | FEATURE_READ_ONLY
    | FEATURE_BLOCK_SIZE
    | FEATURE_FLUSH
    | FEATURE_TOPOLOGY
    | FEATURE_DISCARD
    | FEATURE_ZEROES
    | FEATURE_INDIRECT
    | FEATURE_EVENT_INDEX
    | FEATURE_VERSION_1;

/// Commands at once: enough to keep a device busy, and 64 KiB of tables.
const DEPTH: u16 = 64;
/// Descriptors of a command in a table of its own: header, status, and 62 pages.
const TABLE: usize = 64;
/// The same where they are part of the ring.
const SHORT_TABLE: usize = 16;

const SECTOR: u64 = 512;
const TYPE_READ: u32 = 0;
const TYPE_WRITE: u32 = 1;
const TYPE_FLUSH: u32 = 4;
const TYPE_DISCARD: u32 = 11;
const TYPE_ZEROES: u32 = 13;
const STATUS_OK: u8 = 0;
const STATUS_UNSUPPORTED: u8 = 2;
/// What no device answers.
const STATUS_NONE: u8 = 0xff;

/// Bytes for each command: header (16), range of a discard (16), status.
const SMALL: usize = 64;
const HEADER_LEN: u32 = 16;
const RANGE_AT: usize = 16;
const RANGE_LEN: u32 = 16;
const STATUS_AT: usize = 32;

struct State {
    queue: Queue,
    small: Dma,
    commands: Vec<Option<Command>>,
    /// The device did not stop: whatever it was given stays given.
    is_lost: bool,
}

/// A disk.
struct VirtioDisk {
    // The transport goes first: it stops the device before the memory it knows of is freed.
    transport: Box<dyn Transport>,
    state: Lock<State, rank::Device>,
    info: DeviceInfo,
    features: u64,
}

/// Whether it is one.
pub fn matches(id: &PciId) -> bool {
    id.vendor == VENDOR && (id.device == DEVICES[1] || id.device == DEVICES[0] && id.subsystem.1 == 2)
}

/// Starts a disk on the PCI bus.
///
/// # Errors
/// ENODEV if it is too old; what claiming says; EIO if it does not follow; ENOMEM.
pub fn probe(function: Function) -> Result<()> {
    start(Box::new(Pci::new(function)?), "virtio disk")
}

/// Starts the disk at a place that the command line names; nothing there, or something else, is no error.
///
/// # Errors
/// As `probe`.
pub fn probe_place(place: &Place) -> Result<()> {
    let (device, kind) = MemoryMapped::new(place)?;
    if kind != KIND_DISK {
        return Ok(());
    }
    start(Box::new(device), "virtio disk")
}

fn start(transport: Box<dyn Transport>, model: &str) -> Result<()> {
    let features = transport::negotiate(&*transport, WANTED, 0)?;
    let manner = Manner {
        is_indirect: features & FEATURE_INDIRECT != 0,
        has_event_index: features & FEATURE_EVENT_INDEX != 0,
    };
    let limit = transport.queue_limit();
    if limit == 0 {
        return Err(Errno::ENODEV);
    }
    let (size, table) = match manner.is_indirect {
        true => (limit.min(DEPTH), TABLE),
        false => (limit.min(DEPTH * 4), SHORT_TABLE),
    };
    let size = if size.is_power_of_two() { size } else { size.next_power_of_two() / 2 };
    let queue = Queue::new(size, table, manner)?;
    let slots = queue.slots();
    let info = read_info(&*transport, features, slots, table);
    let mut commands = Vec::new();
    commands.try_reserve_exact(slots).map_err(|_| Errno::ENOMEM)?;
    commands.resize_with(slots, || None);
    let small = Dma::new(slots * SMALL, Reach::Everything)?;
    let state = Lock::new(State { queue, small, commands, is_lost: false });
    let disk = Arc::new(VirtioDisk { transport, state, info, features });
    // Interrupts need it for ever; a disk whose start fails here stays, silent.
    let handler: &'static Arc<VirtioDisk> = Box::leak(Box::new(disk.clone()));
    disk.transport.connect(&**handler)?;
    disk.transport.set_queue(&disk.state.lock().queue.place())?;
    transport::start(&*disk.transport);
    block::register(Family::Virtio, disk, model).map(|_| ())
}

fn read_info(transport: &dyn Transport, features: u64, depth: usize, table: usize) -> DeviceInfo {
    let has = |feature| features & feature != 0;
    let word = |offset, feature| if has(feature) { transport.config(offset) } else { 0 };
    let sectors = u64::from(transport.config(0)) | u64::from(transport.config(4)) << 32;
    let logical_block = match word(20, FEATURE_BLOCK_SIZE) {
        size @ 512..=4096 if size.is_power_of_two() => size,
        _ => 512,
    };
    let exponent = word(24, FEATURE_TOPOLOGY).to_le_bytes()[0];
    let max_segments = match word(12, FEATURE_SEGMENT_LIMIT) {
        0 => table - 2,
        limit => (table - 2).min(limit as usize),
    };
    DeviceInfo {
        sectors,
        logical_block,
        physical_block: logical_block << exponent.min(8),
        is_read_only: has(FEATURE_READ_ONLY),
        has_volatile_cache: has(FEATURE_FLUSH),
        has_durable_writes: false,
        discard_sectors: u64::from(word(36, FEATURE_DISCARD)),
        zero_sectors: u64::from(word(48, FEATURE_ZEROES)),
        max_sectors: max_segments as u64 * (4096 / SECTOR),
        max_segments,
        depth,
        // As Linux shows virtio disks.
        is_rotational: true,
    }
}

impl VirtioDisk {
    /// Takes one command back that the device is done with.
    fn take_done(&self) -> Option<(Command, Outcome)> {
        let mut state = self.state.lock();
        loop {
            let slot = state.queue.pop()?;
            let status = state.small.read::<u8>(slot * SMALL + STATUS_AT);
            let outcome = match status {
                STATUS_OK => Ok(()),
                STATUS_UNSUPPORTED => Err(Failure::Unsupported),
                _ => Err(Failure::Medium),
            };
            // A device that answers twice is not listened to.
            if let Some(command) = state.commands.get_mut(slot).and_then(Option::take) {
                return Some((command, outcome));
            }
        }
    }

    fn finish_done(&self) -> bool {
        let mut was_any = false;
        while let Some((command, outcome)) = self.take_done() {
            was_any = true;
            command.finish(outcome);
        }
        was_any
    }

    fn restart(&self) -> Result<()> {
        let features = transport::negotiate(&*self.transport, WANTED, 0)?;
        if features != self.features {
            return Err(Errno::EIO);
        }
        let place = {
            let mut state = self.state.lock();
            state.queue.clear();
            state.queue.place()
        };
        self.transport.set_queue(&place)?;
        transport::start(&*self.transport);
        Ok(())
    }
}

impl State {
    /// Gives the device a command; says whether it wants to be told.
    fn begin(&mut self, command: Command) -> core::result::Result<bool, Command> {
        let Some(slot) = self.commands.iter().position(Option::is_none).filter(|_| !self.is_lost) else {
            return Err(command);
        };
        let base = slot * SMALL;
        let (kind, data) = match command.operation() {
            Operation::Read => (TYPE_READ, Some(Writer::Device)),
            Operation::Write(Durability::Cached | Durability::Durable) => (TYPE_WRITE, Some(Writer::Driver)),
            Operation::Flush => (TYPE_FLUSH, None),
            Operation::Discard(_) => (TYPE_DISCARD, None),
            Operation::WriteZeroes(_) => (TYPE_ZEROES, None),
        };
        let is_range = matches!(kind, TYPE_DISCARD | TYPE_ZEROES);
        let sector = if is_range || kind == TYPE_FLUSH { 0 } else { command.sector() };
        self.small.write(base, u64::from(kind));
        self.small.write(base + 8, sector);
        self.small.write(base + STATUS_AT, STATUS_NONE);
        if is_range {
            self.small.write(base + RANGE_AT, command.sector());
            self.small.write(base + RANGE_AT + 8, command.sectors());
        }
        let own = |offset, len, writer| Piece { address: self.small.address(base + offset), len, writer };
        let header = own(0, HEADER_LEN, Writer::Driver);
        let range = is_range.then(|| own(RANGE_AT, RANGE_LEN, Writer::Driver));
        let status = own(STATUS_AT, 1, Writer::Device);
        let segments = data.into_iter().flat_map(|writer| {
            command.segments().map(move |segment| Piece {
                address: BusAddress::of(segment.frame(), segment.offset()),
                len: segment.len(),
                writer,
            })
        });
        let pieces = core::iter::once(header).chain(range).chain(segments).chain(core::iter::once(status));
        match self.queue.push(slot, pieces) {
            Ok(wants_news) => {
                // From here on the frames are the device's: the command keeps them until it is taken back.
                if let Some(place) = self.commands.get_mut(slot) {
                    *place = Some(command);
                }
                Ok(wants_news)
            }
            Err(_) => Err(command),
        }
    }
}

impl BlockDevice for VirtioDisk {
    fn info(&self) -> DeviceInfo {
        self.info
    }

    fn place(&self) -> Option<Address> {
        self.transport.place()
    }

    fn submit(&self, command: Command) {
        let begun = self.state.lock().begin(command);
        match begun {
            Ok(true) => self.transport.notify(),
            Ok(false) => {}
            Err(command) => command.finish(Err(Failure::Transport)),
        }
    }

    fn reset(&self) -> Result<()> {
        if transport::reset(&*self.transport).is_err() {
            // It may still write to the frames of what it was given: those are not given back.
            self.state.lock().is_lost = true;
            return Err(Errno::EIO);
        }
        let restarted = self.restart();
        let slots = self.state.lock().commands.len();
        for slot in 0..slots {
            let command = self.state.lock().commands.get_mut(slot).and_then(Option::take);
            if let Some(command) = command {
                command.finish(Err(Failure::Transport));
            }
        }
        restarted
    }

    fn poll(&self) -> bool {
        self.finish_done()
    }
}

impl IrqHandler for VirtioDisk {
    fn interrupt(&self) {
        if self.transport.acknowledge() {
            self.finish_done();
        }
    }
}
