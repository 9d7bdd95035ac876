//! Processes: their tree, their life, their signals.
//!
//! Modules, lowest first; each uses only those above it, but for the types of [`task`], which all share:
//! - [`pid`]: numbers of processes and tasks.
//! - [`files`]: what tasks share of files.
//! - [`limits`]: resource limits.
//! - [`cpu_time`]: clocks of CPU time and its limit.
//! - [`users`]: how many tasks each user has.
//! - [`timers`]: timers of a process.
//! - [`task`]: what a process and a task are.
//! - [`tree`]: who is whose child.
//! - [`signals`]: sending and taking signals.
//! - [`oom`]: ending a process for its memory.
//! - [`futex`]: sleeping on words of memory.
//! - [`pidfd`]: descriptors of processes.
//! - [`signalfd`]: descriptors of signals.
//! - [`exit`]: the end.
//! - [`wait`]: waiting for it.
//! - [`fork`]: new tasks.
//! - [`exec`]: new programs.
//! - [`init`]: the first process.

pub(crate) mod pid;
pub(crate) mod files;
pub(crate) mod limits;
pub(crate) mod cpu_time;
pub(crate) mod users;
pub(crate) mod timers;
pub(crate) mod task;
pub(crate) mod tree;
pub(crate) mod signals;
pub(crate) mod oom;
pub(crate) mod futex;
pub(crate) mod pidfd;
pub(crate) mod signalfd;
pub(crate) mod exit;
pub(crate) mod wait;
pub(crate) mod fork;
pub(crate) mod exec;
pub(crate) mod init;

/// The task that runs, if the thread that runs is one's. For `usermode`, `syscall` and the terminals only.
pub(crate) fn current() -> Option<alloc::sync::Arc<Task>> {
    nucleus::sched::current().owner()?.as_any().downcast().ok()
}

pub(crate) use pid::Pid;
pub(crate) use task::{Cx, Process, Task};
