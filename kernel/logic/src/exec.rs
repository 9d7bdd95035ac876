//! What execve(2) needs besides the plan in [`crate::elf`]: scripts, argument strings, the first stack.
//!
//! The kernel reads the file's first [`abi::limits::BINPRM_BUF_SIZE`] bytes, follows [`shebang`] to the
//! program that is really run, collects both [`StringList`]s under one [`Budget`], and writes the pieces of
//! the [`InitialStack`] into the new address space.

mod script;
mod stack;
mod strings;

pub use script::{Interpreter, shebang};
pub use stack::{Contents, InitialStack};
pub use strings::{Budget, StringList};
