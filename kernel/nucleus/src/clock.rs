//! Time of day: what the monotonic clock lacks to it.

use core::sync::atomic::{AtomicU64, Ordering};

use abi::time::Timespec;
use hal::time;

/// Nanoseconds from 1970 to boot.
static BOOTED_AT: AtomicU64 = AtomicU64::new(0);

/// Sets the time of day.
pub fn set_realtime_ns(now_ns: u64) {
    BOOTED_AT.store(now_ns.saturating_sub(time::now_ns()), Ordering::Relaxed);
}

/// Nanoseconds since 1970.
pub fn realtime_ns() -> u64 {
    BOOTED_AT.load(Ordering::Relaxed).saturating_add(time::now_ns())
}

/// The time of day when the monotonic clock was zero.
pub fn booted_at_ns() -> u64 {
    BOOTED_AT.load(Ordering::Relaxed)
}

/// The time of day.
pub fn realtime() -> Timespec {
    Timespec::from_ns(realtime_ns())
}
