//! The hardware behind one contract: the only kernel crate that may contain `unsafe`.
//!
//! Everything above gets safe functions and owned types. Two backends stand behind `arch`: `x86_64` for the
//! machine and `host` so that code above runs under `cargo test`. Modules, lowest first; each uses only those
//! above it (and the backend, which implements the contract of `arch/mod.rs`, uses what it needs):
//! - [`rank`]: the order of locks.
//! - [`cpu`]: this CPU's number and interrupts.
//! - [`percpu`]: data of each CPU.
//! - [`lock_ranks`]: the locks this CPU holds.
//! - [`lock_stat`]: how long locks were waited for.
//! - [`spin`]: spin locks.
//! - [`console`]: early output.
//! - [`memory`]: the layout of the kernel half, and the direct map.
//! - [`boot`]: what the loader told, and the steps of starting up.
//! - [`paging`]: page tables over any memory.
//! - [`frames`]: physical frames.
//! - [`tables`]: the kernel's own page tables.
//! - [`heap`]: the global allocator.
//! - [`smp`]: the CPUs.
//! - [`tally`]: numbers that all CPUs count.
//! - [`tlb`]: requests that all CPUs serve.
//! - [`vmap`]: stacks with guards, device mappings.
//! - [`mmio`]: device registers.
//! - [`pixels`]: the memory of displays.
//! - [`port`]: device registers in I/O ports.
//! - [`irq`]: device interrupts.
//! - [`dma`]: memory that devices reach.
//! - [`pci`]: functions of the PCI bus.
//! - [`time`]: the clock and the timer.
//! - [`space`]: address spaces.
//! - [`context`]: kernel contexts and the switch between them.
//! - [`usermem`]: copies to and from user memory.
//! - [`trap`]: registers, and the upcalls out of hal.
//! - [`user`]: user mode.
//! - [`power`]: off, reset.
//! - [`symbols`]: names of addresses.
//! - [`backtrace`]: walking stacks.

#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

pub mod rank;
pub mod cpu;
pub mod percpu;
pub mod lock_ranks;
pub mod lock_stat;
pub mod spin;
pub mod console;
mod memory;
pub mod boot;
pub mod paging;
pub mod frames;
mod tables;
pub mod heap;
pub mod smp;
pub mod tally;
pub mod tlb;
pub mod vmap;
pub mod mmio;
pub mod pixels;
pub mod port;
pub mod irq;
pub mod dma;
pub mod pci;
pub mod time;
pub mod space;
pub mod context;
pub mod usermem;
pub mod trap;
pub mod user;
pub mod power;
pub mod symbols;
pub mod backtrace;
mod arch;

#[cfg(not(target_os = "none"))]
pub use arch::simulation;
pub use tables::{Audit, audit as memory_audit, is_mapped, protection_at};
