//! Drivers of devices, a folder each. None names another; what they share is in nucleus.
//!
//! - [`uart`]: the serial port.

#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

pub mod uart;
