//! The Nacre kernel: the binary that wires the crates together.
//!
//! Modules, lowest first; each uses only those above it:
//! - [`panic`]: the last words.
//! - [`vdso`]: the kernel's code that programs run.
//! - [`system`]: name, load and end of the system.
//! - [`process`]: processes, their tree, signals, programs.
//! - [`tty`]: terminals and job control.
//! - [`input`]: events of keyboard and mouse as files.
//! - [`vt`]: virtual consoles: screens and keyboards as terminals.
//! - [`trace`]: printing system calls.
//! - [`shm`]: memory that several share.
//! - [`ipc`]: System V semaphores, messages and memory.
//! - [`procfs`]: what `/proc` asks.
//! - [`mounts`]: which file systems there are.
//! - [`disks`]: finding disks, and their nodes in `/dev`.
//! - [`syscall`]: the table of system calls.
//! - [`usermode`]: the loop between user code and the kernel.
//! - [`handlers`]: hal's upcalls.
//! - [`root`]: the root file system on a disk.
//! - [`first`]: from a booted kernel to the first program.
//! - [`bench`]: measurements the kernel makes of itself (`bench.switch`).
//! - [`ktest`]: in-kernel tests, in test builds.
//! - [`boot`]: what starts, in order.

#![no_std]
#![no_main]
#![deny(unsafe_code)]

extern crate alloc;

mod panic;
mod vdso;
mod system;
mod process;
mod tty;
mod input;
mod vt;
mod trace;
mod shm;
mod ipc;
mod io_signals;
mod procfs;
mod mounts;
mod disks;
mod root;
mod syscall;
mod usermode;
mod handlers;
mod first;
mod bench;
#[cfg(ktest)]
mod ktest;
mod boot;

#[global_allocator]
static HEAP: hal::heap::Heap = hal::heap::Heap;

hal::kernel_main!(boot::start);
