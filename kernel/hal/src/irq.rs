//! Device interrupts: which arrives where.
//!
//! A [`Vector`] is where one arrives; it is handed out once and never given back, since a device that was told to use it may
//! do so late. Messages (MSI, MSI-X) name a vector themselves ([`crate::pci::Function::enable_messages`]); lines come through
//! the IO-APIC.

use abi::Result;

use crate::arch;

/// A vector of a CPU, for one device.
#[derive(Debug)]
pub struct Vector {
    number: u8,
    /// What names the CPU to devices.
    target: u32,
}

impl Vector {
    /// What `Handlers::device` gets.
    pub fn number(&self) -> u8 {
        self.number
    }

    /// Address and value of the message that interrupts so: edge-triggered, to this CPU (Intel SDM volume 3, 11.11).
    pub(crate) fn message(&self) -> (u32, u32) {
        (0xfee0_0000 | self.target << 12, u32::from(self.number))
    }
}

/// A vector of CPU `cpu`.
///
/// # Errors
/// ENODEV if it is not up; ENOSPC if all are taken.
pub fn vector(cpu: usize) -> Result<Vector> {
    let (number, target) = arch::allocate_vector(cpu)?;
    Ok(Vector { number, target })
}

/// Lets interrupt `number` of the ISA bus arrive at CPU `cpu`; `Handlers::device` gets the vector that is returned.
///
/// # Errors
/// ENODEV if the machine has no such input or CPU, ENOSPC if all vectors are taken.
pub fn route_isa(number: u8, cpu: usize) -> Result<u8> {
    arch::route_isa(number, cpu, Line::Isa)
}

/// The same for a line of the PCI bus that the firmware wired to that number: devices share it and hold it until they are
/// served.
///
/// # Errors
/// As `route_isa`.
pub fn route_pci_line(number: u8, cpu: usize) -> Result<u8> {
    arch::route_isa(number, cpu, Line::Pci)
}

/// The same for an input of the IO-APICs by its number, which one device holds until it is served.
///
/// # Errors
/// As `route_isa`.
pub fn route_input(number: u32, cpu: usize) -> Result<u8> {
    arch::route_input(number, cpu)
}

/// How an input is used where the firmware does not say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Line {
    /// A change interrupts.
    Isa,
    /// As long as it is held, it interrupts.
    Pci,
}
