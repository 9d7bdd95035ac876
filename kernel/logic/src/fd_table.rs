//! The descriptor table of a process: which number means which open file.
//!
//! The kernel locks the table, holds an `Arc` of an open file in it as `T`, and drops what is removed after
//! unlocking. A new number is always the lowest free one (POSIX, "File Descriptor Allocation"). As on Linux
//! one bit a number says that it is taken and one that exec closes it; the look-up is one index.

mod bits;
mod table;

pub use table::{FdTable, OnExec, Reservation};
