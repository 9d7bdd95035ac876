//! Processes: fork, exec, wait, sessions and groups, who one is.

use core::ffi::CStr;

use abi::process::WNOHANG;
use abi::{Errno, Result};

use crate::sys::calls;

pub use crate::sys::successor::run_after_panic;

/// The number of a process.
pub type Pid = i32;

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn pid(number: usize) -> Pid {
    Pid::try_from(number).unwrap_or(-1)
}

/// Ends the process; files that are open are closed, nothing that is buffered is written.
pub fn exit(code: i32) -> ! {
    calls::exit_group(code)
}

/// This process.
pub fn id() -> Pid {
    calls::getpid().map_or(-1, pid)
}

/// Its parent.
pub fn parent() -> Pid {
    calls::getppid().map_or(0, pid)
}

/// Which of two processes this is after [`fork`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forked {
    /// The new one.
    Child,
    /// The one that asked, and its child's number.
    Parent(Pid),
}

/// Makes a copy of this process. Programs on nrlib have one thread, so the copy may do whatever the original may.
///
/// # Errors
/// Those of fork(2).
pub fn fork() -> Result<Forked> {
    calls::fork().map(|number| if number == 0 { Forked::Child } else { Forked::Parent(pid(number)) })
}

/// Runs another program in place of this one; comes back only if that fails.
pub fn execute(path: &CStr, arguments: &[&CStr], environment: &[&CStr]) -> Errno {
    match calls::execve(path, arguments, environment) {
        Err(error) => error,
    }
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It returned this code.
    Exited(u8),
    /// This signal killed it.
    Killed(u8),
}

impl Ending {
    fn decode(status: u32) -> Ending {
        let [signal, code, ..] = status.to_le_bytes();
        match signal & 0x7f {
            0 => Ending::Exited(code),
            signal => Ending::Killed(signal),
        }
    }

    /// As a shell tells it: 128 more than the signal.
    pub const fn code(self) -> u8 {
        match self {
            Ending::Exited(code) => code,
            Ending::Killed(signal) => 128 | signal,
        }
    }
}

/// Waits for the end of a child.
///
/// # Errors
/// ECHILD; EINTR when a noted signal came.
pub fn wait(child: Pid) -> Result<Ending> {
    calls::wait4(child, 0).map(|(_, status)| Ending::decode(status))
}

/// A child that has ended, whichever; `None` if none has.
///
/// # Errors
/// ECHILD if there are no children.
pub fn reap() -> Result<Option<(Pid, Ending)>> {
    let (number, status) = calls::wait4(-1, WNOHANG)?;
    Ok((number != 0).then(|| (pid(number), Ending::decode(status))))
}

/// Sends a signal: to a process, to a group if negative, to all but process 1 and oneself if -1.
///
/// # Errors
/// Those of kill(2).
pub fn kill(to: Pid, signal: u32) -> Result<()> {
    calls::kill(to, signal).map(drop)
}

/// Starts a session without a terminal.
///
/// # Errors
/// EPERM for the leader of a group.
pub fn start_session() -> Result<()> {
    calls::setsid().map(drop)
}

/// The session of a process, 0 being this one.
///
/// # Errors
/// Those of getsid(2).
pub fn session(of: Pid) -> Result<Pid> {
    calls::getsid(of).map(pid)
}

/// The real user.
pub fn user() -> u32 {
    calls::getuid().map_or(u32::MAX, small)
}

/// The user whose rights count.
pub fn effective_user() -> u32 {
    calls::geteuid().map_or(u32::MAX, small)
}

/// The real group.
pub fn group() -> u32 {
    calls::getgid().map_or(u32::MAX, small)
}

/// The group whose rights count.
pub fn effective_group() -> u32 {
    calls::getegid().map_or(u32::MAX, small)
}

/// The groups one is in besides.
///
/// # Errors
/// ENOMEM.
pub fn groups() -> Result<alloc::vec::Vec<u32>> {
    let count = calls::getgroups(&mut [])?;
    let mut groups = alloc::vec::Vec::new();
    groups.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
    groups.resize(count, 0);
    let count = calls::getgroups(&mut groups)?;
    groups.truncate(count);
    Ok(groups)
}

/// Becomes a user for good: groups, group, user, in this order, since the last step gives up the right to the others.
///
/// # Errors
/// EPERM. Whoever gets an error must not go on: he may be half of each.
pub fn become_user(user: u32, group: u32, groups: &[u32]) -> Result<()> {
    calls::setgroups(groups)?;
    calls::setgid(group)?;
    calls::setuid(user)?;
    Ok(())
}

/// Fills `to` with random bytes.
///
/// # Errors
/// Those of getrandom(2).
pub fn random(to: &mut [u8]) -> Result<()> {
    let mut done = 0;
    while let Some(rest) = to.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match calls::getrandom(rest) {
            Ok(count) => done += count,
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_decoded_as_wait_macros_do() {
        assert_eq!(Ending::decode(0x0300), Ending::Exited(3));
        assert_eq!(Ending::decode(9), Ending::Killed(9));
        assert_eq!(Ending::decode(0x86), Ending::Killed(6));
        assert_eq!(Ending::decode(11).code(), 139);
    }

    #[test]
    fn who_one_is_agrees_with_std() {
        assert_eq!(id().unsigned_abs(), std::process::id());
        let mut one = [0; 32];
        random(&mut one).unwrap();
        assert_ne!(one, [0; 32]);
    }
}
