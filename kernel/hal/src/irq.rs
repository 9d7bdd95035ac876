//! Device interrupts: which arrives where.

use abi::Result;

use crate::arch;

/// Lets interrupt `number` of the ISA bus arrive at CPU `cpu`; `Handlers::device` gets the vector that is returned.
///
/// # Errors
/// ENODEV if the machine has no such input or CPU, ENOSPC if all vectors are taken.
pub fn route_isa(number: u8, cpu: usize) -> Result<u8> {
    arch::route_isa(number, cpu)
}
