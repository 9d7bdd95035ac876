//! The run queue of one processor: who runs next, for how long, and who may interrupt.
//!
//! Classes are strict: real time (FIFO, round robin) by priority, then fair and batch, then idle.
//! Fair threads are ordered by virtual deadline, as in EEVDF (Stoica, Abdel-Wahab 1995): a thread of
//! weight `w` that is to run for a slice has `deadline = vruntime + slice * 1024 / w`, and the earliest
//! deadline runs until its slice is used. Unlike EEVDF nobody is held back for being early: eligibility
//! needs an augmented tree, and bounds only how far a heavy thread may run ahead, by one slice.
//!
//! Arrivals are placed on a virtual clock that only moves forward, at the rate `1024 / total weight`,
//! and never get a deadline before it. That is the proof against starvation: a waiting thread's deadline
//! stands still, so once the clock has passed it only the finitely many earlier deadlines go first.
//!
//! The queue belongs to one processor's run-queue lock (rank `RunQueue`); every method is called under
//! it. Nothing here allocates except `try_reserve` and [`Room::try_new`]. A thread is in one of three
//! states: off the queues, queued ([`RunQueue::enqueue`]), running ([`RunQueue::pick`]).

mod balance;
mod lists;
mod policy;
mod pool;
mod queue;
mod room;
mod running;
mod state;
mod steal;

pub use balance::{Imbalance, balance};
pub use policy::{NICE_0_WEIGHT, Nice, Policy, Priority};
pub use queue::{Full, Picked, Preempt, Reason, RunQueue};
pub use room::Room;
pub use state::{FAIR_SLICE_NS, IDLE_SLICE_NS, Lag, ROUND_ROBIN_SLICE_NS, SchedState};
pub use steal::Departed;

#[cfg(test)]
mod tests;
