//! What a driver is to the queue in front of it.

use alloc::boxed::Box;
use core::fmt;

use abi::{Errno, Result};

use super::SECTOR;
use super::queue;
use super::request::{Operation, Request, Segment};
use logic::elevator::Item;
use logic::pci::Address;

/// What a device is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeviceInfo {
    /// Its size, in sectors of 512 bytes.
    pub sectors: u64,
    /// Bytes it reads and writes at least: a power of two, 512 to 4096.
    pub logical_block: u32,
    /// Bytes it writes without reading first.
    pub physical_block: u32,
    /// Nothing can be written.
    pub is_read_only: bool,
    /// What is written may be in a cache that a power cut empties: flushes are needed.
    pub has_volatile_cache: bool,
    /// It knows durable writes.
    pub has_durable_writes: bool,
    /// It knows [`Operation::Discard`], of this many sectors at most; 0: not.
    pub discard_sectors: u64,
    /// It knows [`Operation::WriteZeroes`], of this many sectors at most; 0: not.
    pub zero_sectors: u64,
    /// Most sectors a command.
    pub max_sectors: u64,
    /// Most pieces of memory a command.
    pub max_segments: usize,
    /// Commands it takes at once.
    pub depth: usize,
    /// Whether it turns, for programs that ask.
    pub is_rotational: bool,
}

/// Why a command failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The device could not read or write these sectors.
    Medium,
    /// It did not get through, or the device was reset meanwhile: worth another try.
    Transport,
    /// The device does not know the operation.
    Unsupported,
    /// It is gone.
    Gone,
    /// There is no room behind it.
    NoSpace,
}

/// What became of a command.
pub type Outcome = core::result::Result<(), Failure>;

impl From<Failure> for Errno {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Medium | Failure::Transport | Failure::Gone => Errno::EIO,
            Failure::Unsupported => Errno::EOPNOTSUPP,
            Failure::NoSpace => Errno::ENOSPC,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failure::Medium => "the device reports an error",
            Failure::Transport => "the command got lost",
            Failure::Unsupported => "the device does not know how",
            Failure::Gone => "the device is gone",
            Failure::NoSpace => "there is no room behind the device",
        })
    }
}

/// A driver's end of a disk.
pub trait BlockDevice: Send + Sync {
    /// What it is like. May change its size only.
    fn info(&self) -> DeviceInfo;

    /// The function of the PCI bus that it is, or is behind.
    fn place(&self) -> Option<Address> {
        None
    }

    /// Begins a command; at most `depth` are under way. Called with interrupts off, from threads and interrupts: it must
    /// not sleep, and not finish a command under a lock.
    fn submit(&self, command: Command);

    /// Stops the device, finishes all its commands with [`Failure::Transport`], and makes it ready again. Called by a
    /// thread when a command took too long.
    ///
    /// # Errors
    /// EIO if it does not come back: nothing is submitted any more.
    fn reset(&self) -> Result<()>;

    /// Looks whether something was done whose interrupt got lost; says whether there was. Called by a thread before
    /// `reset`.
    fn poll(&self) -> bool {
        false
    }
}

/// What a driver has to do: neighbouring requests as one. It owns the memory that the device reads and writes, so the
/// driver keeps it until the device is done with it.
pub struct Command(pub(super) Option<Box<Request>>);

impl Command {
    fn request(&self) -> &Request {
        match &self.0 {
            Some(request) => request,
            None => unreachable!("taken out only at the end"),
        }
    }

    /// What is to be done.
    pub fn operation(&self) -> Operation {
        self.request().operation
    }

    /// The first sector.
    pub fn sector(&self) -> u64 {
        self.request().sector
    }

    /// Sectors.
    pub fn sectors(&self) -> u64 {
        self.0.as_ref().map_or(0, Item::sectors)
    }

    /// Bytes.
    pub fn bytes(&self) -> u64 {
        self.sectors() * SECTOR
    }

    /// The memory, piece by piece.
    pub fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.request().chain().flat_map(|request| &request.segments)
    }

    /// The end of it. From threads or interrupts, without a lock.
    pub fn finish(mut self, outcome: Outcome) {
        if let Some(request) = self.0.take() {
            queue::finished(request, outcome);
        }
    }
}

impl Drop for Command {
    /// A driver that loses a command has failed it.
    fn drop(&mut self) {
        if let Some(request) = self.0.take() {
            queue::finished(request, Err(Failure::Gone));
        }
    }
}
