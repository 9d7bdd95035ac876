//! The locks this CPU holds, by rank. Release builds keep no list and check nothing.

use core::sync::atomic::{AtomicBool, Ordering};

#[cfg(debug_assertions)]
use crate::percpu;

static IS_PANICKING: AtomicBool = AtomicBool::new(false);

/// Checks nothing from here on: the last words of a panic look at locks that may be held.
pub fn stop_checking() {
    IS_PANICKING.store(true, Ordering::Relaxed);
}

#[cfg(debug_assertions)]
fn is_checking() -> bool {
    !IS_PANICKING.load(Ordering::Relaxed)
}

/// Notes that a lock of this rank is about to be taken.
#[inline]
#[track_caller]
pub fn acquire(level: u8, name: &'static str) {
    #[cfg(debug_assertions)]
    if is_checking()
        && let Err(error) = percpu::with_ranks(|ranks| ranks.acquire(level, name))
    {
        panic!("lock order: {error}");
    }
    #[cfg(not(debug_assertions))]
    let _ = (level, name);
}

/// Notes that the second lock of a pair is about to be taken.
#[inline]
#[track_caller]
pub fn acquire_pair(level: u8, name: &'static str) {
    #[cfg(debug_assertions)]
    if is_checking()
        && let Err(error) = percpu::with_ranks(|ranks| ranks.acquire_pair(level, name))
    {
        panic!("lock order: {error}");
    }
    #[cfg(not(debug_assertions))]
    let _ = (level, name);
}

/// Notes that a lock of this rank was released.
#[inline]
pub fn release(level: u8) {
    #[cfg(debug_assertions)]
    if is_checking()
        && let Err(error) = percpu::with_ranks(|ranks| ranks.release(level))
    {
        panic!("lock order: {error}");
    }
    #[cfg(not(debug_assertions))]
    let _ = level;
}

/// Calls `visit` with level and name of each lock this CPU holds, outermost first; for panics.
pub fn for_each_held(visit: impl FnMut(u8, &'static str)) {
    #[cfg(debug_assertions)]
    {
        let mut visit = visit;
        percpu::with_ranks(|ranks| ranks.held().iter().for_each(|rank| visit(rank.number, rank.name)));
    }
    #[cfg(not(debug_assertions))]
    let _ = visit;
}

/// Whether this CPU holds any spin lock. Always false in release builds.
pub fn any_held() -> bool {
    #[cfg(debug_assertions)]
    return percpu::with_ranks(|ranks| !ranks.held().is_empty());
    #[cfg(not(debug_assertions))]
    false
}
