//! What `/proc/diskstats` shows of a disk or partition (Linux, Documentation/admin-guide/iostats.rst).

use core::sync::atomic::{AtomicU64, Ordering};

use super::request::Operation;

/// Requests of one kind.
#[derive(Debug, Default)]
pub struct Kind {
    /// Done.
    pub requests: AtomicU64,
    /// Merged into others.
    pub merged: AtomicU64,
    /// Sectors moved.
    pub sectors: AtomicU64,
    /// Nanoseconds they took together.
    pub time_ns: AtomicU64,
}

/// All counters.
#[derive(Debug, Default)]
pub struct Statistics {
    /// Reads.
    pub reads: Kind,
    /// Writes.
    pub writes: Kind,
    /// Discards.
    pub discards: Kind,
    /// Flushes.
    pub flushes: Kind,
    /// Requests that wait or are with the driver.
    pub under_way: AtomicU64,
    /// Nanoseconds with something under way.
    pub busy_ns: AtomicU64,
    /// Since when it is busy.
    busy_since: AtomicU64,
}

impl Statistics {
    /// The counters for a kind of request.
    pub fn of(&self, operation: Operation) -> &Kind {
        match operation {
            Operation::Read => &self.reads,
            Operation::Write(_) | Operation::WriteZeroes(_) => &self.writes,
            Operation::Flush => &self.flushes,
            Operation::Discard(_) => &self.discards,
        }
    }

    pub(super) fn began(&self, now_ns: u64) {
        if self.under_way.fetch_add(1, Ordering::Relaxed) == 0 {
            self.busy_since.store(now_ns, Ordering::Relaxed);
        }
    }

    pub(super) fn merged(&self, operation: Operation) {
        self.of(operation).merged.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ended(&self, operation: Operation, sectors: u64, since_ns: u64, now_ns: u64) {
        let kind = self.of(operation);
        kind.requests.fetch_add(1, Ordering::Relaxed);
        kind.sectors.fetch_add(sectors, Ordering::Relaxed);
        kind.time_ns.fetch_add(now_ns.saturating_sub(since_ns), Ordering::Relaxed);
        if self.under_way.fetch_sub(1, Ordering::Relaxed) == 1 {
            let busy = now_ns.saturating_sub(self.busy_since.load(Ordering::Relaxed));
            self.busy_ns.fetch_add(busy, Ordering::Relaxed);
        }
    }
}
