//! Interrupts between simulated CPUs: a bit each, which the target looks at when it takes interrupts.

use core::sync::atomic::{AtomicU32, Ordering};

use abi::{Errno, Result};

use super::seat;
use crate::cpu::MAX_CPUS;

/// Another CPU wants this one to look at its run queue.
pub(super) const RESCHEDULE: u32 = 1;
/// Another CPU changed kernel mappings.
pub(super) const SHOOTDOWN: u32 = 1 << 1;

/// Another CPU wants to know where this one is.
pub(super) const REPORT: u32 = 1 << 2;
/// The vector of a device stands above this; 0 if none wants anything. A second one replaces the first only if the
/// first was served, or their bits mix: tests raise one at a time.
pub(super) const DEVICE_SHIFT: u32 = 8;

static PENDING: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];

/// How many CPUs the machine has.
pub(crate) fn present() -> usize {
    MAX_CPUS
}

/// CPUs of this machine are threads that take their seats themselves.
///
/// # Errors
/// EIO, as for a CPU that does not answer.
pub(crate) fn start(_number: usize, _entry: fn() -> !) -> Result<()> {
    Err(Errno::EIO)
}

/// Asks CPU `number` to choose its thread again.
pub(crate) fn send_reschedule(number: usize) {
    post(number, RESCHEDULE);
}

/// Asks CPU `number` to flush translations.
pub(crate) fn send_shootdown(number: usize) {
    post(number, SHOOTDOWN);
    seat::stand_in(number, || serve_shootdown(number));
}

/// Panics end the test, not the machine.
pub(crate) fn stop_others() {}

/// Asks CPU `number` where it is. A thread cannot be stopped anywhere, so this waits for its next interrupt.
pub(crate) fn send_nmi(number: usize) {
    post(number, REPORT);
}

/// Lets a device interrupt CPU `number`.
pub(super) fn send_device(number: usize, vector: u8) {
    post(number, u32::from(vector) << DEVICE_SHIFT);
}

fn post(number: usize, interrupt: u32) {
    PENDING[number].fetch_or(interrupt, Ordering::Release);
}

/// Takes the interrupts that wait for CPU `number`.
pub(super) fn take_pending(number: usize) -> u32 {
    // Read first: this runs each time a lock is released.
    if PENDING[number].load(Ordering::Relaxed) == 0 { 0 } else { PENDING[number].swap(0, Ordering::Acquire) }
}

/// Serves a shootdown for CPU `number`, which is this thread for now.
pub(super) fn serve_shootdown(number: usize) {
    if PENDING[number].fetch_and(!SHOOTDOWN, Ordering::Acquire) & SHOOTDOWN != 0 {
        crate::cpu::without_interrupts(crate::tlb::on_request);
    }
}
