//! Devices by number: what opening `/dev/null` opens.
//!
//! Lock: rank `Table`, around the list; nothing is called under it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::{Errno, Result};
use hal::rank;
use hal::spin::Lock;

use super::file::File;
use super::inode::FileKind;

/// A device that files can be made for.
pub trait Device: Send + Sync {
    /// Opens it.
    ///
    /// # Errors
    /// What the device says.
    fn open(&self, number: u64, flags: u32) -> Result<Arc<dyn File>>;
}

/// A device, as `/dev` shows it.
#[derive(Clone)]
pub struct Registered {
    /// Whether bytes or blocks.
    pub kind: FileKind,
    /// Its number.
    pub number: u64,
    /// Its name in `/dev`.
    pub name: &'static str,
    /// Its permissions there.
    pub permissions: u32,
    /// What opens it.
    pub device: Arc<dyn Device>,
}

static DEVICES: Lock<Vec<Registered>, rank::Table> = Lock::new(Vec::new());

/// Makes a device known.
///
/// # Errors
/// ENOMEM; EEXIST if the number is taken.
pub fn register(device: Registered) -> Result<()> {
    let mut devices = DEVICES.lock();
    if devices.iter().any(|other| other.kind == device.kind && other.number == device.number) {
        return Err(Errno::EEXIST);
    }
    devices.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    devices.push(device);
    Ok(())
}

/// Opens a device.
///
/// # Errors
/// ENXIO if there is none with that number, what the device says.
pub fn open(kind: FileKind, number: u64, flags: u32) -> Result<Arc<dyn File>> {
    let found = DEVICES.lock().iter().find(|device| device.kind == kind && device.number == number).cloned();
    found.ok_or(Errno::ENXIO)?.device.open(number, flags)
}

/// All devices, in the order they became known.
pub fn all() -> Vec<Registered> {
    DEVICES.lock().clone()
}
