//! Signals: what is pending, what a program wants done about it, and how its end is reported.
//!
//! The kernel keeps one [`Actions`] a process, one [`Pending`] a process and one a thread, and a mask a
//! thread, all under its own locks; everything here follows Linux (signal(7), `kernel/signal.c`).
//! Modules, lowest first: `number`, `set`, `wait_status`, `info`, `action`, `pending`.

mod number;
mod set;
mod wait_status;
mod info;
mod action;
mod pending;

pub use action::{Action, Actions, Disposition, disposition};
pub use info::{CpuTimes, Sender, SignalInfo};
pub use number::Signal;
pub use pending::{Pending, Posted, Queueing, Room};
pub use set::{SignalSet, Signals};
pub use wait_status::{CoreDump, WaitStatus};
