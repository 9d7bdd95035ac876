//! The programs that let somebody in. docs/userland.md tells how they work together.
//!
//! Modules, lowest first:
//! - [`say`]: messages, and ends.
//! - [`renewal`]: asking for a new password.
//! - [`entry`]: becoming a user and running a shell.
//! - [`getty`], [`login`], [`su`], [`passwd`]: one program each.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod say;
pub mod renewal;
pub mod entry;
pub mod getty;
pub mod login;
pub mod su;
pub mod passwd;
