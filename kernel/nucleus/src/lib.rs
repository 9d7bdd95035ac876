//! Mechanisms everybody builds on; knows no process, no driver, no file system.
//!
//! Modules, lowest first; each uses only those above it:
//! - [`log`]: levelled messages in a ring, copied to the console.
//! - [`sched`]: threads, waiting, sleeping locks, timers.
//! - [`irq`]: handlers of device interrupts.
//! - [`bound`]: which driver has which device.
//! - [`block`]: disks, and what they are asked for.
//! - [`mm`]: user address spaces.
//! - [`clock`]: the time of day.
//! - [`vfs`]: names, mounts, open files.
//! - [`disk_files`]: disks as files.

#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod log;
pub mod sched;
pub mod irq;
pub mod bound;
pub mod block;
pub mod mm;
pub mod clock;
pub mod vfs;
pub mod disk_files;
