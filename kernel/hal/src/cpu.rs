//! This CPU: its number and its interrupts.

use abi::vdso::CpuNumber;

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

/// Where programs find the number of the CPU they run on: each CPU holds it ready, if it can.
pub fn number_source() -> CpuNumber {
    arch::cpu::number_source()
}

/// Stops this CPU for good.
pub fn halt_forever() -> ! {
    arch::cpu::halt_forever()
}
