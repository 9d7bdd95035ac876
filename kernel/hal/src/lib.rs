//! The hardware behind one contract: the only kernel crate that may contain `unsafe`.
//!
//! Everything above gets safe functions and owned types. Two backends stand behind `arch`: `x86_64` for the
//! machine and `host` so that code above runs under `cargo test`. Modules, lowest first; each uses only those
//! above it (and the backend, which implements the contract of `arch/mod.rs`, uses what it needs):

#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

pub mod rank;
pub mod cpu;
pub mod spin;
pub mod console;
pub mod boot;
mod memory;
pub mod paging;
pub mod frames;
pub mod heap;
pub mod vmap;
pub mod percpu;
pub mod mmio;
pub mod time;
pub mod tlb;
pub mod space;
pub mod context;
pub mod usermem;
pub mod user;
pub mod trap;
pub mod smp;
pub mod power;
pub mod symbols;
pub mod backtrace;
mod arch;

pub use memory::{Audit, audit as memory_audit, is_mapped};
