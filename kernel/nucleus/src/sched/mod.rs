//! Threads, and everything that can make them wait.
//!
//! One run queue for each CPU ([`logic::runq`]); a thread is in one of them, running, or blocked. Lock order:
//! a thread's state (rank `ThreadState`) before a run queue (`RunQueue`); two run queues are never held together.
//! Interrupts are off from choosing a thread to running it. Modules, lowest first:
//! - [`thread`]: what a thread is.
//! - [`cpu`]: the scheduler of one CPU: switching, preemption, parking, idling.
//! - [`timer`]: one-shot timers.
//! - [`wait`]: wait queues and `block_until`, where everything that can sleep sleeps.
//! - [`mutex`]: the sleeping lock.

pub mod cpu;
pub mod mutex;
pub mod thread;
pub mod timer;
pub mod wait;

pub use cpu::{current, preempt, run_other, set_affinity, set_budget, set_policy, start, yield_now};
pub use mutex::{Guard, Mutex};
pub use thread::{Owner, Thread, ThreadId};
pub use timer::{sleep_ns, sleep_until};
pub use wait::{Listener, Wait, WaitQueue, block_until_any};

#[cfg(test)]
mod tests;
