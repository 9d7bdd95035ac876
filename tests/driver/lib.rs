//! Boots Nacre in QEMU, talks to it over the serial line, and judges what it does.
//!
//! A test makes a [`machine::Machine`], starts it as a [`guest::Guest`], waits for text and types. A guest that
//! stays silent for too long has failed, and its report says where each CPU was. Modules, lowest first:
//! - [`output`]: what the guest has written so far.
//! - [`qmp`]: QEMU's control socket.
//! - [`machine`]: which image on which hardware, as QEMU's arguments.
//! - [`symbols`]: names for the kernel's addresses.
//! - [`hang`]: the report on a guest that hangs.
//! - [`guest`]: a running machine.
//! - [`ktest`]: results of the tests inside the kernel.
//! - [`runner`]: runs a list of tests and prints the verdict.
//! - [`jail`]: a small system on this host instead of a machine.

#![forbid(unsafe_code)]

pub mod output;
pub mod qmp;
pub mod machine;
pub mod symbols;
pub mod hang;
pub mod guest;
pub mod ktest;
pub mod runner;
pub mod jail;
