//! Numbers of processes, threads, groups and sessions.

use core::fmt;

/// A number that names a process, a thread, a process group or a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Pid(pub(crate) u32);

impl Pid {
    /// The first program.
    pub(crate) const INIT: Pid = Pid(1);
    /// Nobody: the parent of the first program.
    pub(crate) const NONE: Pid = Pid(0);

    /// From a number a program gave; `None` for 0 and below.
    pub(crate) fn from_arg(number: i32) -> Option<Pid> {
        u32::try_from(number).ok().filter(|&number| number != 0).map(Pid)
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
