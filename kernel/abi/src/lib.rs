//! Linux x86-64 as numbers: what user programs and the kernel agree on.
//!
//! Uses nothing and does nothing; shared by the kernel, nrlib and the tests. Modules, lowest first:
//! - [`errno`]: error numbers and the `Result` every fallible function returns.
//! - [`sysno`]: system call numbers.
//! - `constants`: the form of the tables that follow.
//! - [`limits`]: limits on names and arguments.
//! - [`auxv`]: keys of the auxiliary vector.
//! - [`signal`]: numbers, flags and codes of signals.
//! - [`process`]: flags of clone, wait and futex.
//! - [`termios`]: flags and requests of terminals.
//! - [`console`]: requests to virtual consoles.
//! - [`input`]: events of keyboards and mice.
//! - [`file`]: open flags, modes, device numbers, poll events.
//! - [`time`]: times as structures.
//! - [`vdso`]: the page from which the vDSO tells time.

#![no_std]
#![forbid(unsafe_code)]

pub mod errno;
pub mod sysno;
mod constants;
pub mod limits;
pub mod auxv;
pub mod signal;
pub mod process;
pub mod termios;
pub mod console;
pub mod input;
pub mod file;
pub mod time;
pub mod vdso;

pub use errno::{Errno, Result};
