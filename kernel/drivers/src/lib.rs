//! Drivers of devices, a folder each. None names another; what they share is in nucleus.
//!
//! - [`rtc`]: the clock that runs while the machine is off.
//! - [`uart`]: the serial port.
//! - [`display`]: pictures and text.
//! - [`ps2`]: keyboard and mouse.
//! - [`power_button`]: the button that asks for the end.
//! - [`parallel`]: the port of printers.
//! - [`ahci`]: serial ATA disks.
//! - [`ide`]: parallel ATA disks.
//! - [`virtio`]: devices made for virtual machines.
//! - [`probe`]: the list of drivers, and finding what they drive.

#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod rtc;
pub mod uart;
pub mod display;
pub mod ps2;
pub mod power_button;
pub mod parallel;
pub mod ahci;
pub mod ide;
pub mod virtio;
pub mod probe;
