//! Resource limits (getrlimit(2)), one table a process.

use core::sync::atomic::{AtomicU64, Ordering};

use abi::{Errno, Result};

/// A resource with a limit; numbers as in `asm-generic/resource.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Resource {
    Cpu = 0,
    FileSize = 1,
    Data = 2,
    Stack = 3,
    Processes = 6,
    Files = 7,
    LockedMemory = 8,
    AddressSpace = 9,
    PendingSignals = 11,
    MessageQueues = 12,
    Nice = 13,
    RealTimePriority = 14,
}

/// How many there are.
pub(crate) const RESOURCES: usize = 16;
/// No limit.
pub(crate) const UNLIMITED: u64 = u64::MAX;

/// A soft and a hard limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    /// What counts.
    pub(crate) soft: u64,
    /// What it may be raised to.
    pub(crate) hard: u64,
}

/// The limits of a process.
pub(crate) struct Limits([(AtomicU64, AtomicU64); RESOURCES]);

impl Limits {
    /// What Linux gives the first program (include/asm-generic/resource.h), with room for processes and signals by the
    /// size of memory.
    pub(crate) fn new(processes: u64) -> Self {
        let limits = Limits([const { (AtomicU64::new(UNLIMITED), AtomicU64::new(UNLIMITED)) }; RESOURCES]);
        let set = |number: usize, soft: u64, hard: u64| {
            let (to_soft, to_hard) = &limits.0[number];
            to_soft.store(soft, Ordering::Relaxed);
            to_hard.store(hard, Ordering::Relaxed);
        };
        set(3, 8 << 20, UNLIMITED);
        // No core files are written.
        set(4, 0, UNLIMITED);
        set(6, processes, processes);
        set(7, 1024, 4096);
        set(8, 8 << 20, 8 << 20);
        set(11, processes, processes);
        set(12, 819_200, 819_200);
        set(13, 0, 0);
        set(14, 0, 0);
        limits
    }

    /// The same limits for a child.
    pub(crate) fn copy(&self) -> Self {
        let copy = Limits([const { (AtomicU64::new(0), AtomicU64::new(0)) }; RESOURCES]);
        for ((to_soft, to_hard), (soft, hard)) in copy.0.iter().zip(&self.0) {
            to_soft.store(soft.load(Ordering::Relaxed), Ordering::Relaxed);
            to_hard.store(hard.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        copy
    }

    /// The limit that counts.
    pub(crate) fn soft(&self, resource: Resource) -> u64 {
        self.0[resource as usize].0.load(Ordering::Relaxed)
    }

    /// Limits by number.
    pub(crate) fn get(&self, number: usize) -> Result<Limit> {
        let (soft, hard) = self.0.get(number).ok_or(Errno::EINVAL)?;
        Ok(Limit { soft: soft.load(Ordering::Relaxed), hard: hard.load(Ordering::Relaxed) })
    }

    /// Sets limits by number; the caller has checked who may raise what.
    pub(crate) fn set(&self, number: usize, limit: Limit) -> Result<()> {
        let (soft, hard) = self.0.get(number).ok_or(Errno::EINVAL)?;
        soft.store(limit.soft, Ordering::Relaxed);
        hard.store(limit.hard, Ordering::Relaxed);
        Ok(())
    }

    /// Moves the limit that counts: that of CPU time, when it was reached.
    pub(crate) fn set_soft(&self, resource: Resource, soft: u64) {
        self.0[resource as usize].0.store(soft, Ordering::Relaxed);
    }

    /// How many files may be open.
    pub(crate) fn files(&self) -> u32 {
        u32::try_from(self.soft(Resource::Files)).unwrap_or(u32::MAX).min(1 << 20)
    }
}
