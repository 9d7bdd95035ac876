//! The high precision event timer (IA-PC HPET Specification 1.0a, section 3.2.4).

use super::fadt::{Space, generic_address};
use super::table::{AcpiError, Problem, Table};
use crate::addr::PhysAddr;

const FIXED_BYTES: usize = 56;

/// An HPET.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hpet {
    /// Its registers.
    pub address: PhysAddr,
    /// Whether its counter has 64 bits; they may still have to be read in halves.
    pub is_64_bit: bool,
    /// How many comparators it has.
    pub comparators: u8,
    /// The least number of ticks between two interrupts of a periodic timer.
    pub minimum_ticks: u16,
}

impl Hpet {
    /// Decodes the table.
    ///
    /// # Errors
    /// `TooShort`; `BadRecord` when the timer is not in memory.
    pub fn parse(table: &Table<'_>) -> Result<Self, AcpiError> {
        table.require(FIXED_BYTES)?;
        let fields = table.fields();
        let register = generic_address(fields, 40).filter(|register| register.space == Space::Memory);
        let register = register.ok_or(table.error(Problem::BadRecord))?;
        let [_revision, flags, ..] = fields.word(36).unwrap_or(0).to_le_bytes();
        Ok(Self {
            address: PhysAddr::new(register.address),
            is_64_bit: flags & 1 << 5 != 0,
            comparators: (flags & 0x1f) + 1,
            minimum_ticks: fields.half(53).unwrap_or(0),
        })
    }
}
