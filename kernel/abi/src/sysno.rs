//! System call numbers of Linux on x86-64. A number joins this list when the kernel handles it.

/// write(2).
pub const WRITE: usize = 1;
/// exit(2).
pub const EXIT: usize = 60;
/// exit_group(2).
pub const EXIT_GROUP: usize = 231;
