//! Data of each CPU: hal's own record, and `PerCpu<T>` for everybody else.
//!
//! hal's caches are touched by their CPU alone, with interrupts off. A `PerCpu<T>` is a plain table of shared values,
//! each on its own cache line: `here()` may be somebody else's by the time it is used, which is why `T` must be `Sync`.

use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU64};

use logic::frame_cache::FrameCache;
use logic::slab::{CLASS_COUNT, MagazinePair};

use crate::arch;
use crate::cpu;

/// Heap objects that one CPU keeps ready, by size.
pub(crate) type Magazines = [MagazinePair; CLASS_COUNT];

/// hal's part of a CPU's record.
pub(crate) struct CpuData {
    /// Somebody wants this CPU to choose its thread again.
    pub(crate) reschedule: AtomicBool,
    /// Interrupts taken, for `/proc/stat` and the watchdog.
    pub(crate) interrupts: AtomicU64,
    /// Frames kept for this CPU.
    caches: UnsafeCell<FrameCache>,
    magazines: UnsafeCell<Magazines>,
    #[cfg(debug_assertions)]
    ranks: UnsafeCell<logic::ranks::RankStack>,
}

// SAFETY: the cells are only reached through the `with_` functions below: by their own CPU, with interrupts off.
unsafe impl Sync for CpuData {}

impl CpuData {
    pub(crate) const fn new() -> Self {
        CpuData {
            reschedule: AtomicBool::new(false),
            interrupts: AtomicU64::new(0),
            caches: UnsafeCell::new(FrameCache::new()),
            magazines: UnsafeCell::new([const { MagazinePair::new() }; CLASS_COUNT]),
            #[cfg(debug_assertions)]
            ranks: UnsafeCell::new(logic::ranks::RankStack::new()),
        }
    }
}

/// Runs `work` on this CPU's frame cache. `work` must not allocate or free frames through the cache itself.
#[inline]
pub(crate) fn with_frame_cache<R>(work: impl FnOnce(&mut FrameCache) -> R) -> R {
    cpu::without_interrupts(|| {
        let data = arch::cpu_data();
        // SAFETY: this CPU's own cache, interrupts off, and the callers in `frames` do not nest.
        work(unsafe { &mut *data.caches.get() })
    })
}

/// Runs `work` on this CPU's heap magazines. `work` must not use the heap.
#[inline]
pub(crate) fn with_magazines<R>(work: impl FnOnce(&mut Magazines) -> R) -> R {
    cpu::without_interrupts(|| {
        let data = arch::cpu_data();
        // SAFETY: as above; the callers are in `heap`.
        work(unsafe { &mut *data.magazines.get() })
    })
}

/// Runs `work` on the list of locks this CPU holds.
#[cfg(debug_assertions)]
pub(crate) fn with_ranks<R>(work: impl FnOnce(&mut logic::ranks::RankStack) -> R) -> R {
    cpu::without_interrupts(|| {
        let data = arch::cpu_data();
        // SAFETY: as above; the callers are in `lock_ranks` and the panic screen.
        work(unsafe { &mut *data.ranks.get() })
    })
}

/// One `T` for each CPU that could be, for its own CPU alone: small things that must exist before there is a heap.
pub(crate) struct Own<T>([UnsafeCell<T>; cpu::MAX_CPUS]);

// SAFETY: `with` gives each CPU its own element only, and with interrupts off.
unsafe impl<T: Send> Sync for Own<T> {}

impl<T> Own<T> {
    pub(crate) const fn new(items: [UnsafeCell<T>; cpu::MAX_CPUS]) -> Self {
        Own(items)
    }

    /// Runs `work` on this CPU's element. `work` must not come back to the same element.
    #[inline]
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        cpu::without_interrupts(|| {
            // SAFETY: this CPU's own element, interrupts off; callers do not nest.
            work(unsafe { &mut *self.0[cpu::id()].get() })
        })
    }

    /// The same for callers that turned interrupts off themselves: the way into user mode.
    #[inline]
    pub(crate) fn with_interrupts_off<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        debug_assert!(!cpu::irqs_enabled(), "an interrupt could come to the same element");
        // SAFETY: as in `with`.
        work(unsafe { &mut *self.0[cpu::id()].get() })
    }
}

#[repr(align(64))]
struct Line<T>(T);

/// One `T` for each CPU.
pub struct PerCpu<T> {
    items: Vec<Line<T>>,
}

impl<T: Sync> PerCpu<T> {
    /// Makes a value for each of `count` CPUs.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new(count: usize, mut make: impl FnMut(usize) -> abi::Result<T>) -> abi::Result<Self> {
        let mut items = Vec::new();
        items.try_reserve_exact(count).map_err(|_| abi::Errno::ENOMEM)?;
        for number in 0..count {
            items.push(Line(make(number)?));
        }
        Ok(PerCpu { items })
    }

    /// CPU `number`'s value.
    pub fn get(&self, number: usize) -> Option<&T> {
        self.items.get(number).map(|line| &line.0)
    }

    /// The running CPU's value.
    ///
    /// # Panics
    /// If made for fewer CPUs than run: a bug of the boot order.
    #[inline]
    pub fn here(&self) -> &T {
        &self.items[cpu::id()].0
    }

    /// All values, in order of CPU number.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter().map(|line| &line.0)
    }
}
