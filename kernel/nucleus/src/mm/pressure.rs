//! Memory is short: who can give some back.
//!
//! The page cache lies above; it says here, once, how it is asked.

use hal::spin::Once;

/// Gives up about so many frames; says how many.
pub type Relief = fn(usize) -> usize;

static RELIEF: Once<Relief> = Once::new();

/// Frames asked for at a time.
const AT_ONCE: usize = 64;
/// Attempts: what one frees, another CPU may take.
const ATTEMPTS: usize = 4;

/// Sets who gives memory back. Once.
pub fn set(relief: Relief) {
    RELIEF.call_once(|| relief);
}

/// Whether somebody gave something back.
pub fn relieve() -> bool {
    RELIEF.get().is_some_and(|relief| relief(AT_ONCE) > 0)
}

/// What `allocate` gives, after others have made room if need be.
pub fn retry<T>(allocate: impl Fn() -> Option<T>) -> Option<T> {
    for _ in 0..ATTEMPTS {
        if let Some(got) = allocate() {
            return Some(got);
        }
        if !relieve() {
            return None;
        }
    }
    allocate()
}
