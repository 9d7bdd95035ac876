//! Crashes on purpose: `ktest.crash=KIND` shows each kind of last words.

use hal::spin::Lock;
use hal::{cpu, rank};

/// Crashes; returns if it does not know the kind.
pub(super) fn crash(kind: &str) {
    match kind {
        "panic" => panic!("on purpose"),
        "locks" => take_locks_backwards(),
        "stack" => {
            overflow(0);
        }
        "stuck" => hang_another_cpu(),
        _ => nucleus::warning!("ktest.crash={kind}: panic, locks, stack or stuck are known"),
    }
}

fn take_locks_backwards() {
    static INNER: Lock<(), rank::RunQueue> = Lock::new(());
    static OUTER: Lock<(), rank::Task> = Lock::new(());
    let _inner = INNER.lock();
    let _outer = OUTER.lock();
}

#[inline(never)]
#[expect(unconditional_recursion, reason = "that is the crash")]
fn overflow(depth: u64) -> u64 {
    // Not a tail call, and the frame cannot be shared.
    core::hint::black_box([depth; 64])[7] + overflow(depth + 1)
}

/// A CPU that spins with interrupts off; the watchdog must say where.
fn hang_another_cpu() {
    let mut crew = super::crew::Crew::new();
    let added = crew.add(logic::runq::Policy::default(), Some(1), || spin_for_ever());
    if added.is_ok() {
        let _ = crew.run();
    }
}

#[inline(never)]
fn spin_for_ever() -> ! {
    let _ = cpu::irq_off();
    loop {
        cpu::relax();
    }
}
