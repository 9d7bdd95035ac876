//! The monotonic clock and the one-shot timer of each CPU.

use abi::vdso::Counter;

use crate::arch;

/// Nanoseconds since boot; never goes back.
#[inline]
pub fn now_ns() -> u64 {
    arch::clock::now_ns()
}

/// The cycle counter. [`cycles_to_ns`] is for spans of it; it does not start at zero.
#[inline(always)]
pub(crate) fn cycles() -> u64 {
    arch::clock::cycles()
}

/// How long `cycles` of the cycle counter are; 0 before the clock is known.
pub(crate) fn cycles_to_ns(cycles: u64) -> u64 {
    arch::clock::cycles_to_ns(cycles)
}

/// How `now_ns` comes from the cycle counter: what the vDSO needs to tell the same time. `None` if only the kernel can
/// tell it.
pub fn counter() -> Option<Counter> {
    arch::clock::counter()
}

/// Lets this CPU's timer interrupt come at `deadline_ns`, at once if that has passed; `None` stops it.
pub fn arm(deadline_ns: Option<u64>) {
    arch::clock::arm(deadline_ns);
}

/// One line: frequencies, and which clocks they were checked against.
pub fn summary() -> impl core::fmt::Display {
    arch::clock::summary()
}

/// Waits without sleeping: for hardware that needs a pause.
pub fn spin_ns(duration: u64) {
    let end = now_ns() + duration;
    while now_ns() < end {
        crate::cpu::relax();
    }
}
