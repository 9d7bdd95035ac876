//! The texts of `/proc`, byte for byte as Linux 6.1 writes them (proc(5), fs/proc): programs take them apart by column.
//!
//! Who calls brings numbers; nothing is looked up here. Modules, lowest first:
//! - [`text`]: where the bytes go.
//! - [`process`]: a process: `stat`, `status`, `statm`, `limits`, `io`.
//! - [`memory`]: its memory: `maps`, `smaps`.
//! - [`system`]: the system: `meminfo`, `stat`, `uptime`, `loadavg`, `mounts` and others.
//! - [`ipc`]: System V IPC.

pub mod text;
pub mod process;
pub mod memory;
pub mod system;
pub mod ipc;

pub use text::Text;

/// Ticks of `USER_HZ`: the unit of times in `/proc`, 100 a second.
pub const fn ticks(ns: u64) -> u64 {
    ns / 10_000_000
}

#[cfg(test)]
mod tests;
