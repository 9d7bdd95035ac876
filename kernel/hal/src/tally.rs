//! Numbers that all CPUs count.

use core::sync::atomic::{AtomicI64, Ordering};

use crate::{cpu, smp};

#[repr(align(64))]
struct Line<T>(T);

/// A number that all CPUs count up and down without taking turns; each has a share of its own.
pub struct Tally([Line<AtomicI64>; cpu::MAX_CPUS]);

impl Tally {
    /// Zero.
    pub const fn new() -> Self {
        Tally([const { Line(AtomicI64::new(0)) }; cpu::MAX_CPUS])
    }

    /// Adds to this CPU's share.
    #[inline]
    pub fn add(&self, count: i64) {
        // Moved to another CPU meanwhile, it adds to a share that others use too: still right, and rare.
        self.0[cpu::id()].0.fetch_add(count, Ordering::Relaxed);
    }

    /// The number. While CPUs count, it may be one that never was.
    pub fn sum(&self) -> i64 {
        // Shares of CPUs that never ran are zero, and most machines have few.
        let count = smp::online().clamp(1, cpu::MAX_CPUS);
        self.0.iter().take(count).map(|share| share.0.load(Ordering::Relaxed)).sum()
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self::new()
    }
}
