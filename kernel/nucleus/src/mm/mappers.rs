//! All address spaces: for the few who must find everybody that maps a file.
//!
//! They are numbered in the order they were made. A child of fork(2) is added while its parent's map is locked: whoever
//! goes through all and locks each map finds it, or has done its work on the parent before the copy. Lock: rank `Table`,
//! around the list, for a moment.

use alloc::sync::{Arc, Weak};

use abi::{Errno, Result};
use hal::rank;
use hal::spin::Lock;
use logic::sparse::Sparse;

use super::memory::Memory;

struct Registry {
    memories: Sparse<Weak<Memory>>,
    next: u64,
}

static REGISTRY: Lock<Registry, rank::Table> = Lock::new(Registry { memories: Sparse::new(), next: 0 });

/// A number for a new address space.
pub(super) fn number() -> u64 {
    let mut registry = REGISTRY.lock();
    registry.next += 1;
    registry.next
}

/// Adds one under its number.
pub(super) fn add(number: u64, memory: &Arc<Memory>) -> Result<()> {
    let old = REGISTRY.lock().memories.insert(number, Arc::downgrade(memory)).map_err(|_| Errno::ENOMEM)?;
    debug_assert!(old.is_none(), "two address spaces have one number");
    Ok(())
}

/// Takes one out that is about to be gone.
pub(super) fn remove(number: u64) {
    let gone = REGISTRY.lock().memories.remove(number);
    drop(gone);
}

/// Calls `visit` with each address space, in the order they were made, without a lock.
pub fn for_each(mut visit: impl FnMut(&Memory)) {
    let mut from = 0;
    loop {
        let found = {
            let registry = REGISTRY.lock();
            let Some((number, memory)) = registry.memories.next(from) else { return };
            from = number + 1;
            memory.upgrade()
        };
        if let Some(memory) = found {
            visit(&memory);
        }
    }
}
