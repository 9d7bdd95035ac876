//! PCI Express configuration space in memory: the MCFG (PCI Firmware Specification 3.3, section 4.1.2).

use super::list::List;
use super::table::{AcpiError, Fields, Problem, Table};
use crate::addr::PhysAddr;

const FIXED_BYTES: usize = 44;
const RECORD_BYTES: usize = 16;

/// The configuration space of some buses: 1 MiB each, starting with bus zero's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PciWindow {
    /// Where the configuration space of bus zero is or would be.
    pub address: PhysAddr,
    /// The PCI segment group.
    pub segment: u16,
    /// The first bus.
    pub first_bus: u8,
    /// The last bus.
    pub last_bus: u8,
}

/// All windows.
#[derive(Clone, Debug)]
pub struct Mcfg {
    /// The windows.
    pub windows: List<PciWindow, 16>,
}

impl Mcfg {
    /// Decodes the table.
    ///
    /// # Errors
    /// `TooShort`, `BadRecord`, `TooMany`.
    pub fn parse(table: &Table<'_>) -> Result<Self, AcpiError> {
        table.require(FIXED_BYTES)?;
        let nothing = PciWindow { address: PhysAddr::ZERO, segment: 0, first_bus: 0, last_bus: 0 };
        let mut windows = List::new(nothing);
        let records = table.bytes().get(FIXED_BYTES..).unwrap_or_default();
        for record in records.chunks_exact(RECORD_BYTES) {
            let window = window(Fields(record)).ok_or(table.error(Problem::BadRecord))?;
            windows.push(window).map_err(|_| table.error(Problem::TooMany))?;
        }
        Ok(Self { windows })
    }
}

/// One window; `None` when its buses are in the wrong order or it goes past the end of memory.
fn window(record: Fields<'_>) -> Option<PciWindow> {
    let (first_bus, last_bus) = (record.byte(10)?, record.byte(11)?);
    let address = PhysAddr::new(record.long(0)?);
    address.checked_add((u64::from(last_bus) + 1) << 20)?;
    let window = PciWindow { address, segment: record.half(8)?, first_bus, last_bus };
    (first_bus <= last_bus).then_some(window)
}
