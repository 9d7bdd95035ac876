//! What login, su, passwd and their kin share.
//!
//! Modules, lowest first:
//! - [`secret`]: a password in memory.
//! - [`hash`]: the hashes of `/etc/shadow`.
//! - [`standing`]: whether an account may be used today, and whether a new password is good enough.
//! - [`database`]: the three files, and changing a password in them.
//! - [`records`]: utmp, wtmp and lastlog.
//! - [`issue`]: the text before the prompt.
//! - [`environment`]: the environment of a login.
//! - [`prompt`]: asking for names and passwords.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod secret;
pub mod hash;
pub mod standing;
pub mod database;
pub mod records;
pub mod issue;
pub mod environment;
pub mod prompt;
