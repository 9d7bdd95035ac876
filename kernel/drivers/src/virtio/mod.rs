//! Virtio devices: two ways to reach them, one kind of queue, and disks.
//!
//! Modules, lowest first:
//! - `transport`: what a device's registers do, wherever they are.
//! - `pci`, `mmio`: where they are.
//! - `queue`: the ring that driver and device share.
//! - [`disk`]: the disk.
//!
//! Spec: Virtual I/O Device (VIRTIO) 1.2.

mod transport;
mod pci;
mod mmio;
mod queue;
pub mod disk;

pub use mmio::{Place, parse_place};
