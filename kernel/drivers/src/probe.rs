//! Which drivers there are, and letting each try what it matches.

use alloc::vec::Vec;

use abi::{Errno, Result};
use hal::pci::{self, Function};
use logic::addr::PhysAddr;
use logic::pci::PciId;
use nucleus::{bound, info, warning};

use crate::virtio::Place;
use crate::{ahci, ide, virtio};

/// A driver of functions on the PCI bus.
struct Driver {
    name: &'static str,
    /// Linux's name for it, for `/sys`.
    shown: &'static str,
    matches: fn(&PciId) -> bool,
    probe: fn(Function) -> Result<()>,
}

/// All of them; the first that matches has the function.
const DRIVERS: &[Driver] = &[
    Driver {
        name: "virtio-disk",
        shown: "virtio-pci",
        matches: virtio::disk::matches,
        probe: virtio::disk::probe,
    },
    Driver { name: "ide", shown: "ata_piix", matches: ide::matches, probe: ide::probe },
    Driver { name: "ahci", shown: "ahci", matches: ahci::matches, probe: ahci::probe },
];

/// Looks for devices and starts their drivers. `places` are those that the command line names. What does not work is a
/// sentence in the log.
pub fn start<'a>(places: impl Iterator<Item = &'a str>) {
    for text in places {
        let Some(place) = virtio::parse_place(text) else {
            warning!("virtio_mmio.device={text}: expected SIZE@ADDRESS:INTERRUPT; ignored");
            continue;
        };
        try_place(&place);
    }
    match pci::find() {
        Ok(0) => hal::boot::virtio_places().for_each(|found| {
            let start = PhysAddr::new(u64::from(found.address));
            try_place(&Place { start, len: u64::from(found.len), interrupt: found.interrupt });
        }),
        Ok(count) => info!("PCI: {count} functions"),
        Err(error) => warning!("PCI: {error}; going on without"),
    }
    for (address, id) in (0..).map_while(pci::function) {
        let Some(driver) = DRIVERS.iter().find(|driver| (driver.matches)(&id)) else { continue };
        let started = pci::claim(address).and_then(driver.probe);
        match started {
            // Without memory for it, only `/sys` does not show it.
            Ok(()) => drop(bound::note(address, driver.shown)),
            Err(error) => {
                warning!("{} at {address} does not start: {error}; going on without it", driver.name);
            }
        }
    }
}

fn try_place(place: &Place) {
    match virtio::disk::probe_place(place) {
        // Named twice, by the firmware and by the command line.
        Ok(()) | Err(Errno::EBUSY) => {}
        Err(error) => warning!("the virtio device at {:?} does not start: {error}", place.start),
    }
}

/// The functions there are, for who lists them.
pub fn functions() -> Vec<(logic::pci::Address, PciId)> {
    (0..).map_while(pci::function).collect()
}
