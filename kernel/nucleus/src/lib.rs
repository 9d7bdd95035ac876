//! Mechanisms everybody builds on; knows no process, no driver, no file system.
//!
//! Modules, lowest first; each uses only those above it:
//! - [`log`]: levelled messages in a ring, copied to the console.
//! - [`sched`]: threads, waiting, sleeping locks, timers.
//! - [`mm`]: user address spaces.
//! - [`irq`]: handlers of device interrupts.

#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod log;
pub mod sched;
pub mod mm;
pub mod irq;
