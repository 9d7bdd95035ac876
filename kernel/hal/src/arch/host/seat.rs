//! Which host thread is which CPU.
//!
//! A CPU's data may be touched by that CPU alone, so no two threads ever have one number at a time: a thread takes a
//! seat and keeps it until it ends. One that asks for no particular seat gets one of the upper numbers at first use;
//! the lower ones are for tests that say which CPU they are. A seat may be empty while its CPU counts as online:
//! interrupts sent to it are then served by the sender, since their effect is all that anybody waits for.

use core::cell::Cell;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::smp;
use crate::cpu::MAX_CPUS;

/// Seats below this are given only to those who ask for them by number.
pub(super) const NAMED_SEATS: usize = 16;
const NONE: usize = usize::MAX;

/// Which seats are taken.
static TAKEN: Mutex<[bool; MAX_CPUS]> = Mutex::new([false; MAX_CPUS]);
static LEFT: Condvar = Condvar::new();

struct Seat(Cell<usize>);

impl Drop for Seat {
    fn drop(&mut self) {
        // The thread ends, and its seat is one of those that nobody sends anything to.
        if self.0.get() != NONE {
            taken()[self.0.get()] = false;
            LEFT.notify_all();
        }
    }
}

thread_local! {
    static SEAT: Seat = const { Seat(Cell::new(NONE)) };
}

fn taken() -> MutexGuard<'static, [bool; MAX_CPUS]> {
    // A panic cannot leave the table half changed.
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Number of the CPU that the running thread is.
///
/// Never inlined: a context may go on in another host thread, and a caller that had this thread's variables at hand
/// would use those of the thread before.
#[inline(never)]
pub(super) fn number() -> usize {
    SEAT.with(|seat| {
        if seat.0.get() == NONE {
            seat.0.set(take_any());
        }
        seat.0.get()
    })
}

fn take_any() -> usize {
    let mut taken = taken();
    loop {
        if let Some(free) = (NAMED_SEATS..MAX_CPUS).find(|&number| !taken[number]) {
            taken[free] = true;
            return free;
        }
        taken = LEFT.wait(taken).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Makes the running thread CPU `number`, whatever it was before; waits while another thread is.
pub(super) fn take(number: usize) {
    give_up();
    let mut taken = taken();
    while taken[number] {
        taken = LEFT.wait(taken).unwrap_or_else(PoisonError::into_inner);
    }
    taken[number] = true;
    SEAT.with(|seat| seat.0.set(number));
}

/// Leaves the running thread's seat.
pub(super) fn give_up() {
    let mut taken = taken();
    let number = SEAT.with(|seat| seat.0.get());
    if number != NONE {
        // What was sent before the seat was empty; later senders find it empty.
        smp::serve_shootdown(number);
        taken[number] = false;
        SEAT.with(|seat| seat.0.set(NONE));
        LEFT.notify_all();
    }
}

/// Runs `work` as CPU `number` if no thread is that CPU, and none can become it meanwhile.
pub(super) fn stand_in(number: usize, work: impl FnOnce()) {
    let taken = taken();
    if !taken[number] {
        let me = SEAT.with(|seat| seat.0.replace(number));
        work();
        SEAT.with(|seat| seat.0.set(me));
    }
}
