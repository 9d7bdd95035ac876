//! The only part of nrlib with `unsafe`. Everything offered to the rest of the crate is safe to call.
//!
//! Modules, lowest first:
//! - [`raw`]: the instruction.
//! - [`numbers`]: constants that `abi` does not have, because the kernel needs them in other forms.
//! - [`calls`]: the system calls with typed arguments.
//! - [`handler`]: signal handlers that take notes.
//! - [`heap`]: the allocator.
//! - [`start`]: from the first instruction to `main`, and what the kernel left on the stack.
//! - [`successor`]: what runs after a panic.

pub mod raw;
pub mod numbers;
pub mod calls;
pub mod handler;
pub mod heap;
pub mod start;
pub mod successor;
