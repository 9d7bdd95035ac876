//! How much memory was promised to programs: what `Committed_AS` shows, and Linux's heuristic against promises that
//! could never be kept (vm.overcommit_memory=0).

use core::sync::atomic::{AtomicU64, Ordering};

use abi::{Errno, Result};
use hal::frames;
use logic::addr::PAGE_SIZE;

static COMMITTED: AtomicU64 = AtomicU64::new(0);

/// Pages promised.
pub fn committed_pages() -> u64 {
    COMMITTED.load(Ordering::Relaxed)
}

/// Promises `bytes` more.
///
/// # Errors
/// ENOMEM if that alone is more than all RAM.
pub(super) fn commit(bytes: u64) -> Result<()> {
    let pages = bytes / PAGE_SIZE;
    if pages > frames::stats().total as u64 {
        return Err(Errno::ENOMEM);
    }
    COMMITTED.fetch_add(pages, Ordering::Relaxed);
    Ok(())
}

/// Takes a promise back.
pub(super) fn release(bytes: u64) {
    COMMITTED.fetch_sub(bytes / PAGE_SIZE, Ordering::Relaxed);
}
