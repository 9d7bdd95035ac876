//! Which driver has which function of the PCI bus: drivers report, `/sys` shows.
//!
//! What else `/sys` shows of devices is where it belongs: disks in [`block`](crate::block), nodes of `/dev` in
//! [`vfs::device`](crate::vfs::device), the functions themselves in `hal::pci`. Lock: rank `Table`, around the list.

use alloc::vec::Vec;

use abi::{Errno, Result};
use hal::rank;
use hal::spin::Lock;
use logic::pci::Address;

static BOUND: Lock<Vec<(Address, &'static str)>, rank::Table> = Lock::new(Vec::new());

/// A driver, by Linux's name for it, has a function for good.
///
/// # Errors
/// ENOMEM.
pub fn note(address: Address, driver: &'static str) -> Result<()> {
    let mut bound = BOUND.lock();
    bound.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    bound.push((address, driver));
    Ok(())
}

/// The driver that has a function.
pub fn driver_of(address: Address) -> Option<&'static str> {
    BOUND.lock().iter().find(|(other, _)| *other == address).map(|&(_, driver)| driver)
}
