//! Disks: what reads and writes sectors, and the queue in front of each.
//!
//! Who wants sectors makes a [`Request`] with a [`Ticket`], gives it to a [`Disk`] and goes on; the ticket says when it is
//! done. The disk's queue sorts and merges, and hands [`Command`]s to the driver, a [`BlockDevice`], which answers from its
//! interrupt. Times out, tries again, gives up: that is the queue's business, not the drivers'. Modules, lowest first:
//! - [`ticket`]: waiting for requests.
//! - [`request`]: what is asked of a disk.
//! - [`statistics`]: what `/proc/diskstats` shows.
//! - [`device`]: what a driver is.
//! - `queue`: from requests to commands.
//! - [`disk`]: disks and partitions, by name and number.
//! - `watch`: commands that take too long, and drivers that are still looking for their disks.
//!
//! Locks: rank `BlockQueue` around each queue, nothing is called under it; rank `Table` around the list of disks.

pub mod ticket;
pub mod request;
pub mod statistics;
pub mod device;
mod queue;
pub mod disk;
mod watch;

pub use device::{BlockDevice, Command, DeviceInfo, Failure, Outcome};
pub use disk::{Disk, Family, all, by_number, find, register, register_at, remove};
pub use request::{Durability, Operation, RESERVED_SEGMENTS, Request, Segment};
pub use ticket::Ticket;
pub use watch::{Probe, wait_for_probes};

/// Bytes of a sector, whatever the disk's own unit is.
pub const SECTOR: u64 = 512;

#[cfg(test)]
mod tests;
