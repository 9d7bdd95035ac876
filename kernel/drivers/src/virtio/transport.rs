//! What every virtio device has: features, a status, queues, a configuration.

use abi::{Errno, Result};
use hal::dma::BusAddress;
use logic::pci::Address;
use nucleus::irq::IrqHandler;

/// Status bits.
const ACKNOWLEDGE: u8 = 1;
const DRIVER: u8 = 2;
const DRIVER_OK: u8 = 4;
const FEATURES_OK: u8 = 8;
const FAILED: u8 = 128;

/// Requests may be tables elsewhere.
pub(super) const FEATURE_INDIRECT: u64 = 1 << 28;
/// Each side says when it wants to hear of the other.
pub(super) const FEATURE_EVENT_INDEX: u64 = 1 << 29;
/// The device follows version 1 of the specification.
pub(super) const FEATURE_VERSION_1: u64 = 1 << 32;

/// Readings of the status that a reset may take; QEMU and others need one.
const RESET_PATIENCE: usize = 100_000;

/// Where the parts of a queue are.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueuePlace {
    pub(super) size: u16,
    pub(super) descriptors: BusAddress,
    pub(super) available: BusAddress,
    pub(super) used: BusAddress,
}

/// The registers of a device.
pub(super) trait Transport: Send + Sync {
    /// Its function of the PCI bus, if that is where it is.
    fn place(&self) -> Option<Address> {
        None
    }
    /// What the device offers.
    fn offered(&self) -> u64;
    /// Tells it what is accepted.
    fn accept(&self, features: u64);
    /// Its status.
    fn status(&self) -> u8;
    /// Changes its status.
    fn set_status(&self, status: u8);
    /// The size of queue 0 at most.
    fn queue_limit(&self) -> u16;
    /// Says where queue 0 is, and lets it run.
    ///
    /// # Errors
    /// EIO if the device does not take it.
    fn set_queue(&self, place: &QueuePlace) -> Result<()>;
    /// There is something new in queue 0.
    fn notify(&self);
    /// Takes the interrupt back, if it must be; says whether the queue may have something.
    fn acknowledge(&self) -> bool;
    /// Lets it interrupt `handler`.
    ///
    /// # Errors
    /// What connecting says.
    fn connect(&self, handler: &'static dyn IrqHandler) -> Result<()>;
    /// A word of the device's own configuration.
    fn config(&self, offset: u16) -> u32;
}

/// Brings a device to the point where queues can be set: it takes `wanted` of what it offers, all of `needed`.
///
/// # Errors
/// ENODEV if it does not offer what is needed, EIO if it does not follow.
pub(super) fn negotiate(transport: &dyn Transport, wanted: u64, needed: u64) -> Result<u64> {
    reset(transport)?;
    transport.set_status(ACKNOWLEDGE);
    transport.set_status(ACKNOWLEDGE | DRIVER);
    let accepted = transport.offered() & wanted;
    if accepted & needed != needed {
        transport.set_status(FAILED);
        return Err(Errno::ENODEV);
    }
    transport.accept(accepted);
    if accepted & FEATURE_VERSION_1 != 0 {
        transport.set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK);
        if transport.status() & FEATURES_OK == 0 {
            transport.set_status(FAILED);
            return Err(Errno::EIO);
        }
    }
    Ok(accepted)
}

/// Lets the device work.
pub(super) fn start(transport: &dyn Transport) {
    transport.set_status(transport.status() | DRIVER_OK);
}

/// Stops the device: when this returns well it touches no memory any more.
///
/// # Errors
/// EIO if it does not stop.
pub(super) fn reset(transport: &dyn Transport) -> Result<()> {
    transport.set_status(0);
    let is_reset = (0..RESET_PATIENCE).any(|_| transport.status() == 0);
    if is_reset { Ok(()) } else { Err(Errno::EIO) }
}
