//! The Nacre kernel: the binary that wires the crates together.
//!
//! Modules, lowest first; each uses only those above it:
//! - [`panic`]: the last words.
//! - [`process`]: programs: what their threads share, ending.
//! - [`syscall`]: the table of system calls.
//! - [`usermode`]: the loop between user code and the kernel.
//! - [`program`]: loading and starting one.
//! - [`handlers`]: hal's upcalls.
//! - [`initramfs`]: files the boot loader brought.
//! - [`bench`]: measurements the kernel makes of itself (`bench.switch`).
//! - [`ktest`]: in-kernel tests, in test builds.
//! - [`boot`]: what starts, in order.

#![no_std]
#![no_main]
#![deny(unsafe_code)]

extern crate alloc;

mod panic;
mod process;
mod syscall;
mod usermode;
mod program;
mod handlers;
mod initramfs;
mod bench;
#[cfg(ktest)]
mod ktest;
mod boot;

#[global_allocator]
static HEAP: hal::heap::Heap = hal::heap::Heap;

hal::kernel_main!(boot::start);
