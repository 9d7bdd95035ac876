//! User address spaces: areas, and the pages behind them on demand.
//!
//! A [`Memory`] is what a program's threads share: the map of areas (`logic::vma`) under a sleeping lock (rank
//! `AddressSpace`), and the page tables (`hal::space`). The map decides, the tables follow; a page is there when it was
//! touched, and shared until it is written. Files are known as [`PageSource`] only: the closed upcall from here to the
//! virtual file system. Modules, lowest first:
//! - [`source`]: what stands behind an area.
//! - [`pressure`]: who gives memory back.
//! - [`account`]: how much memory was promised.
//! - [`mappers`]: all address spaces. (It and `memory` know each other.)
//! - [`memory`]: an address space, its making and its copy.
//! - [`fault`]: pages on demand.
//! - [`map`]: mmap(2), munmap(2), mprotect(2), mremap(2), brk(2).
//! - `attach`: files mapped by their identity.
//! - [`advice`]: madvise(2), mlock(2), mincore(2), and looking in from outside.

pub mod source;
pub mod pressure;
pub mod account;
pub mod mappers;
pub mod memory;
pub mod fault;
pub mod map;
mod attach;
pub mod advice;

pub use advice::Usage;
pub use fault::FaultError;
pub use map::{MapRequest, Place, Remap};
pub use memory::{Layout, Memory};
pub use source::{PageSource, Source};

#[cfg(test)]
mod tests;
