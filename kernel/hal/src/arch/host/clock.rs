//! Simulated time: it stands still but for CPUs that wait or spin, and tests that move it.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::vdso::Counter;

use super::seat;
use crate::cpu::MAX_CPUS;

const NEVER: u64 = u64::MAX;
/// What a turn of a spin loop takes.
const MOMENT_NS: u64 = 100;

static NOW: AtomicU64 = AtomicU64::new(0);
static DEADLINES: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(NEVER) }; MAX_CPUS];

/// Nanoseconds since boot.
pub(crate) fn now_ns() -> u64 {
    NOW.load(Ordering::Acquire)
}

/// A cycle takes a nanosecond here.
pub(crate) fn cycles() -> u64 {
    now_ns()
}

/// How long that many cycles are.
pub(crate) fn cycles_to_ns(cycles: u64) -> u64 {
    cycles
}

/// No program reads it.
pub(crate) fn counter() -> Option<Counter> {
    None
}

/// Lets this CPU's timer interrupt come at `deadline_ns`; `None` stops it.
pub(crate) fn arm(deadline_ns: Option<u64>) {
    DEADLINES[seat::number()].store(deadline_ns.unwrap_or(NEVER), Ordering::Relaxed);
}

/// What this clock is.
pub(crate) fn summary() -> impl fmt::Display {
    "simulated clock"
}

/// Moves time on.
pub(super) fn advance(duration_ns: u64) {
    NOW.fetch_add(duration_ns, Ordering::AcqRel);
}

pub(super) fn spend_moment() {
    advance(MOMENT_NS);
}

/// Moves time to this CPU's deadline, if it has one.
pub(super) fn skip_to_deadline() {
    let deadline = DEADLINES[seat::number()].load(Ordering::Relaxed);
    if deadline != NEVER {
        NOW.fetch_max(deadline, Ordering::AcqRel);
    }
}

/// Whether CPU `number`'s timer fires now; it is stopped then.
pub(super) fn take_expired(number: usize) -> bool {
    let deadline = DEADLINES[number].load(Ordering::Relaxed);
    let is_due = deadline != NEVER && deadline <= now_ns();
    if is_due {
        DEADLINES[number].store(NEVER, Ordering::Relaxed);
    }
    is_due
}
