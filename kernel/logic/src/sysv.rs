//! System V IPC (sysvipc(7)) as far as it follows from its arguments: numbers, permissions, semaphores, messages.
//!
//! - [`ids`]: numbers of objects.
//! - [`perm`]: who may do what with one.
//! - [`semaphores`]: operations that happen all at once or not at all.
//! - [`messages`]: which message of a queue is next.

pub mod ids;
pub mod perm;
pub mod semaphores;
pub mod messages;
