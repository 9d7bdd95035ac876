//! This CPU: its number and its interrupts.

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

/// What programs are told of the CPU in AT_HWCAP: EDX of CPUID leaf 1.
pub fn feature_word() -> u64 {
    arch::cpu::feature_word()
}

/// Stops this CPU for good.
pub fn halt_forever() -> ! {
    arch::cpu::halt_forever()
}
