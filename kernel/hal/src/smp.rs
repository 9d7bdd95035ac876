//! The CPUs: which run, and how the others are started.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::arch;
use crate::cpu::MAX_CPUS;

static ONLINE: AtomicU64 = AtomicU64::new(1);

/// CPUs that run, a bit each.
pub fn online_mask() -> u64 {
    ONLINE.load(Ordering::Acquire)
}

/// How many CPUs run.
pub fn online() -> usize {
    online_mask().count_ones() as usize
}

/// How many CPUs the machine has, as far as this kernel can use them.
pub fn present() -> usize {
    arch::smp::present().min(MAX_CPUS)
}

/// Starts CPU `number`, which then runs `entry` on a stack of its own.
///
/// # Errors
/// ENOMEM; EIO if the CPU does not answer; EINVAL if there is none of that number.
pub fn start(number: usize, entry: fn() -> !) -> abi::Result<()> {
    arch::smp::start(number, entry)
}

/// Notes that the running CPU is up: interrupts from others reach it from here on.
pub fn set_online() {
    ONLINE.fetch_or(1 << crate::cpu::id(), Ordering::AcqRel);
}

/// Stops all other CPUs for good: for panics.
pub fn stop_others() {
    arch::smp::stop_others();
}

/// Makes CPU `number` take an interrupt, which its `reschedule` handler notes.
pub fn ping(number: usize) {
    arch::smp::send_reschedule(number);
}

/// Makes CPU `number` report where it is, even if its interrupts are off.
pub fn send_nmi(number: usize) {
    arch::smp::send_nmi(number);
}
