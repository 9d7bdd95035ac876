//! How often spin locks were waited for, and how long: counted by rank, shown in `/proc/lock_stat`.
//!
//! Only a CPU that finds a lock taken counts, so a free lock costs nothing more. Each number stands for itself.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::{arch, rank};

/// What waiting for the locks of one rank has cost since boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// Times a lock was found taken.
    pub count: u64,
    /// Looks at a lock that was still taken: a few instructions each.
    pub looks: u64,
    /// Nanoseconds, those included in which an emulator's host ran something else.
    pub ns: u64,
}

struct Counters {
    count: AtomicU64,
    looks: AtomicU64,
    ns: AtomicU64,
}

/// One for each level that a rank has.
static COUNTERS: [Counters; rank::LEVELS] =
    [const { Counters { count: AtomicU64::new(0), looks: AtomicU64::new(0), ns: AtomicU64::new(0) } };
        rank::LEVELS];

/// Looks until the lock that was found taken is free, and counts. Somebody else may take it again before the caller.
#[cold]
pub(crate) fn wait(level: u8, is_locked: &dyn Fn() -> bool) {
    let start = arch::clock::cycles();
    let mut looks = 0;
    while is_locked() {
        looks += 1;
        core::hint::spin_loop();
    }
    let waited = arch::clock::cycles_to_ns(arch::clock::cycles().wrapping_sub(start));
    let counters = &COUNTERS[usize::from(level)];
    counters.count.fetch_add(1, Ordering::Relaxed);
    counters.looks.fetch_add(looks, Ordering::Relaxed);
    counters.ns.fetch_add(waited, Ordering::Relaxed);
}

/// Calls `visit` with each rank that was ever waited for.
pub fn for_each(mut visit: impl FnMut(&'static str, Waits)) {
    for &(level, name) in rank::ALL {
        let counters = &COUNTERS[usize::from(level)];
        let waits = Waits {
            count: counters.count.load(Ordering::Relaxed),
            looks: counters.looks.load(Ordering::Relaxed),
            ns: counters.ns.load(Ordering::Relaxed),
        };
        if waits.count != 0 {
            visit(name, waits);
        }
    }
}
