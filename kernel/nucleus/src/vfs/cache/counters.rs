//! How much there is of what, for `/proc/meminfo` and for the limits on dirty pages.

use hal::frames;
use hal::tally::Tally;

/// Pages in all caches.
pub(super) static CACHED: Tally = Tally::new();
/// Those that the disk does not have.
pub(super) static DIRTY: Tally = Tally::new();
/// Those on their way to the disk.
pub(super) static WRITING: Tally = Tally::new();

/// Pages, by what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// In all caches.
    pub cached: u64,
    /// To be written.
    pub dirty: u64,
    /// Being written.
    pub writing: u64,
}

/// How many there are now.
pub fn counts() -> Counts {
    let read = |tally: &Tally| tally.sum().max(0).unsigned_abs();
    Counts { cached: read(&CACHED), dirty: read(&DIRTY), writing: read(&WRITING) }
}

/// What dirty pages are measured by: all the memory that is free or could be.
fn available() -> u64 {
    frames::stats().free as u64 + counts().cached
}

/// Whether somebody should begin to write back: a tenth of the memory is dirty (Linux's `dirty_background_ratio`).
pub fn is_dirty_enough() -> bool {
    DIRTY.sum() > 0 && counts().dirty * 10 > available()
}

/// Whether who writes more must wait: a fifth is (Linux's `dirty_ratio`).
pub fn is_too_dirty() -> bool {
    DIRTY.sum() > 0 && counts().dirty * 5 > available()
}
