//! Pure parts of the boot loader: everything whose result follows from bytes.
//!
//! No firmware calls, no hardware, no unsafe; `main.rs` brings memory and carries out. That is why all of it
//! runs under `cargo test -p loader`. The protocol is Limine's PROTOCOL.md, base revisions 0 to 4. Modules,
//! lowest first:
//! - [`bytes`]: little-endian numbers in byte slices.
//! - [`config`]: the file nacre.conf.
//! - [`memory_map`]: what the firmware says about memory, as the protocol wants it said.
//! - [`paging`]: page tables in a slice.
//! - [`elf`]: checks and loads the kernel.
//! - [`layout`]: what the kernel sees at which address.
//! - [`acpi`]: finds the I/O APICs.
//! - [`calendar`]: a date as seconds since 1970.
//! - [`protocol`]: finds the kernel's requests.
//! - [`arena`]: the memory that the answers live in.
//! - [`response`]: answers the requests.
//! - [`error`]: what can go wrong, in sentences.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod bytes;
pub mod config;
pub mod memory_map;
pub mod paging;
pub mod elf;
pub mod layout;
pub mod acpi;
pub mod calendar;
pub mod protocol;
pub mod arena;
pub mod response;
pub mod error;
