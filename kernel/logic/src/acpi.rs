//! The static tables of ACPI: what CPUs, interrupt controllers, timers, memory nodes and registers there are.
//!
//! Follows ACPI 6.5, chapter 5. The boot code of `hal` and the PCI driver call it, each once; results are
//! plain values of fixed size. Firmware is not trusted: lengths and checksums are verified, and a broken
//! table is an error that names it. There is no AML interpreter: all that Nacre needs from AML is one
//! package, see [`sleep`].
//!
//! In dependency order:
//! - [`list`]: a list of fixed capacity.
//! - [`table`]: reading and verifying any table.
//! - [`root`]: from the root pointer to the tables.
//! - [`madt`]: CPUs and interrupt controllers.
//! - [`fadt`]: fixed registers.
//! - [`hpet`]: the high precision event timer.
//! - [`srat`]: NUMA nodes.
//! - [`mcfg`]: PCI Express configuration space.
//! - [`sleep`]: how to power off.
//! - [`virtio`]: virtio devices in memory.

pub mod list;

pub mod table;

pub mod root;

pub mod madt;

pub mod fadt;

pub mod hpet;

pub mod srat;

pub mod mcfg;

pub mod sleep;
pub mod virtio;

#[cfg(test)]
mod tests;

pub use fadt::{Fadt, Register, Space};
pub use hpet::Hpet;
pub use list::List;
pub use madt::Madt;
pub use mcfg::{Mcfg, PciWindow};
pub use root::{Root, find_rsdp};
pub use sleep::s5_values;
pub use srat::Srat;
pub use table::{AcpiError, Memory, Problem, Signature, Table};
pub use virtio::{VirtioPlace, virtio_places};
