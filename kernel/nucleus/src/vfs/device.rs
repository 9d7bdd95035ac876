//! Devices by number: what opening `/dev/null` opens.
//!
//! Lock: rank `Table`, around each list; nothing is called under it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::file::device_parts;
use abi::{Errno, Result};
use hal::rank;
use hal::spin::Lock;

use super::file::File;
use super::inode::{Attributes, FileKind};
use super::mount::Place;

/// A device that files can be made for.
pub trait Device: Send + Sync {
    /// Opens it.
    ///
    /// # Errors
    /// What the device says.
    fn open(&self, number: u64, flags: u32) -> Result<Arc<dyn File>>;

    /// The same by way of a name, where the number alone does not say what to open: each devpts counts from 0.
    ///
    /// # Errors
    /// As `open`.
    fn open_at(&self, _place: &Place, number: u64, flags: u32) -> Result<Arc<dyn File>> {
        self.open(number, flags)
    }
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

/// A device that has all numbers of a major number.
struct Major {
    number: u32,
    device: Arc<dyn Device>,
}

static MAJORS: Lock<Vec<Major>, rank::Table> = Lock::new(Vec::new());
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

/// Makes a device of bytes known by its major number; a device that is registered by its whole number goes first.
///
/// # Errors
/// ENOMEM.
pub fn register_major(number: u32, device: Arc<dyn Device>) -> Result<()> {
    let mut majors = MAJORS.lock();
    majors.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    majors.push(Major { number, device });
    Ok(())
}

/// Opens a device.
///
/// # Errors
/// ENXIO if there is none with that number, what the device says.
pub fn open(kind: FileKind, number: u64, flags: u32) -> Result<Arc<dyn File>> {
    find(kind, number)?.open(number, flags)
}

/// Opens the device that a place names.
///
/// # Errors
/// As `open`.
pub fn open_at(place: &Place, flags: u32) -> Result<Arc<dyn File>> {
    let Attributes { kind, device_number, .. } = place.inode().attributes();
    find(kind, device_number)?.open_at(place, device_number, flags)
}

fn find(kind: FileKind, number: u64) -> Result<Arc<dyn Device>> {
    let by_number = DEVICES
        .lock()
        .iter()
        .find(|device| device.kind == kind && device.number == number)
        .map(|found| found.device.clone());
    let by_major = || {
        let (major, _) = device_parts(number);
        let majors = MAJORS.lock();
        let found = majors.iter().find(|known| kind == FileKind::CharDevice && known.number == major);
        found.map(|known| known.device.clone())
    };
    by_number.or_else(by_major).ok_or(Errno::ENXIO)
}

/// All devices, in the order they became known.
pub fn all() -> Vec<Registered> {
    DEVICES.lock().clone()
}
