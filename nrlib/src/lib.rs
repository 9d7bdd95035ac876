//! nrlib: what programs of Nacre are built on. Linux system calls behind safe types, `no_std` with `alloc`.
//!
//! The numbers and structures are those of the crate `abi`, so whatever is built on nrlib runs on Linux as it does on Nacre.
//! A program calls [`program!`] with its function; start-up, heap and panic handler come with it. `unsafe` stays in
//! `sys`. Built for a host (`target_os` other than `none`) it has no start-up and no heap of its own: that is how
//! its tests run. docs/userland.md tells the rest. Modules, lowest first:
//! - [`sys`]: system calls, start-up, heap, signal handlers: the only `unsafe`.
//! - [`env`]: arguments, environment, auxiliary vector.
//! - [`file`](mod@file): descriptors, files, folders, names.
//! - [`io`]: buffered reading and writing, `print!`.
//! - [`time`]: clocks, sleeping, dates.
//! - [`signal`]: sets, masks, signals that are noted, signalfd.
//! - [`process`]: fork, exec, wait, sessions, who one is.
//! - [`terminal`]: termios, size, controlling terminals.
//! - [`system`]: mounts, names, reboot.
//! - [`options`]: options as getopt(3) reads them.
//! - [`users`]: passwd, group and shadow.
//! - `last_words`: the panic handler, where there is no other.

#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod sys;
pub mod env;
pub mod file;
pub mod io;
pub mod time;
pub mod signal;
pub mod process;
pub mod terminal;
pub mod system;
pub mod options;
pub mod users;
#[cfg(target_os = "none")]
mod last_words;

pub use abi::{Errno, Result};
