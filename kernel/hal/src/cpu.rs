//! This CPU: its number, its interrupts, and (in debug builds) the locks it holds.

use crate::arch;
pub use crate::arch::cpu::{
    InterruptState, entropy, irq_off, irq_on, irq_restore, irqs_enabled, relax, wait_for_interrupt,
};

/// The most CPUs one kernel drives; more are left asleep, with a sentence in the log.
pub const MAX_CPUS: usize = 64;

/// Number of the running CPU, from 0. The caller may be moved to another CPU right after, unless interrupts are off.
pub fn id() -> usize {
    arch::cpu::id()
}

/// How many CPUs run.
pub fn count() -> usize {
    crate::smp::online()
}

/// Runs `work` with interrupts off.
pub fn without_interrupts<R>(work: impl FnOnce() -> R) -> R {
    let state = irq_off();
    let result = work();
    irq_restore(state);
    result
}

/// One line about the CPU: vendor, model, what protects the kernel.
pub fn summary() -> impl core::fmt::Display {
    arch::cpu::summary()
}

/// Stops this CPU for good.
pub fn halt_forever() -> ! {
    arch::cpu::halt_forever()
}

/// The locks this CPU holds, by rank. Release builds keep no list and check nothing.
pub mod lock_ranks {
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
}
