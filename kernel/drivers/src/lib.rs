//! Drivers of devices, a folder each. None names another; what they share is in nucleus.
//!
//! - [`rtc`]: the clock that runs while the machine is off.
//! - [`uart`]: the serial port.

#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

pub mod rtc;
pub mod uart;
