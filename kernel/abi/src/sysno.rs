//! System call numbers of Linux on x86-64. A number joins this list when the kernel handles it.

/// write(2).
pub const WRITE: usize = 1;
/// getpid(2).
pub const GETPID: usize = 39;
/// exit(2).
pub const EXIT: usize = 60;
/// getppid(2).
pub const GETPPID: usize = 110;
/// exit_group(2).
pub const EXIT_GROUP: usize = 231;
