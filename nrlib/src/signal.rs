//! Signals: sets, the mask, signals that are noted, and a descriptor to read them from.

use abi::Result;
use abi::signal::SIG_SETMASK;

use crate::file::{Descriptor, File};
use crate::sys::{calls, numbers};

pub use crate::sys::handler::{Reaction, is_noted, react, take_noted};

/// A set of signals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Set(u64);

impl Set {
    /// None.
    pub const EMPTY: Set = Set(0);
    /// All; the kernel leaves out those that cannot be blocked.
    pub const ALL: Set = Set(u64::MAX);

    /// These.
    pub const fn of(signals: &[u32]) -> Set {
        let mut bits = 0;
        let mut index = 0;
        while index < signals.len() {
            bits |= 1 << (signals[index] - 1);
            index += 1;
        }
        Set(bits)
    }
}

/// Blocks exactly these, and returns what was blocked before.
///
/// # Errors
/// None that Linux knows.
pub fn block_only(set: Set) -> Result<Set> {
    calls::rt_sigprocmask(SIG_SETMASK, set.0).map(Set)
}

/// Waits until there is something to read, with only `mask` blocked meanwhile. A signal that is blocked otherwise and noted
/// ends it, whether it comes before or while it waits: nothing is lost in between.
///
/// # Errors
/// EINTR.
pub fn wait_readable(from: Descriptor, mask: Set) -> Result<()> {
    let mut asked = [calls::PollFd { fd: from.0, events: abi::file::POLLIN, found: 0 }];
    calls::ppoll(&mut asked, mask.0).map(drop)
}

/// Signals to read, one after the other. They must be blocked, or they do what they do.
pub struct Queue(File);

impl Queue {
    /// Of these signals. Reading never waits.
    ///
    /// # Errors
    /// Those of signalfd(2).
    pub fn new(set: Set) -> Result<Queue> {
        let number = calls::signalfd4(-1, set.0, numbers::SFD_CLOEXEC | numbers::SFD_NONBLOCK)?;
        Ok(Queue(File::from_number(number)))
    }

    /// The next, if there is one.
    pub fn next_signal(&self) -> Option<u32> {
        let mut info = [0; abi::signal::SIGINFO_SIZE];
        let count = self.0.read(&mut info).ok()?;
        (count == info.len()).then(|| u32::from_le_bytes([info[0], info[1], info[2], info[3]]))
    }

    /// To wait on.
    pub fn descriptor(&self) -> Descriptor {
        *self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process;
    use abi::signal::{SIGUSR1, SIGUSR2};

    #[test]
    fn a_noted_signal_is_taken_once() {
        react(SIGUSR1, Reaction::Note).unwrap();
        assert!(!take_noted(SIGUSR1));
        process::kill(process::id(), SIGUSR1).unwrap();
        // Another thread of the test runner may be the one that is interrupted.
        for _ in 0..1000 {
            if take_noted(SIGUSR1) {
                assert!(!take_noted(SIGUSR1));
                return;
            }
            crate::time::sleep_through_ms(1);
        }
        panic!("the signal did not come");
    }

    #[test]
    fn a_signal_before_the_wait_ends_it() {
        let (from, to) = crate::file::pipe().unwrap();
        react(SIGUSR2, Reaction::Note).unwrap();
        let before = block_only(Set::of(&[SIGUSR2])).unwrap();
        // To this thread: another one of the test runner has it not blocked.
        let thread = i32::try_from(calls::gettid().unwrap()).unwrap();
        calls::tgkill(process::id(), thread, SIGUSR2).unwrap();
        assert_eq!(wait_readable(*from, before), Err(abi::Errno::EINTR));
        assert!(take_noted(SIGUSR2));
        to.write_all(b"x").unwrap();
        assert_eq!(wait_readable(*from, before), Ok(()));
        block_only(before).unwrap();
    }

    #[test]
    fn no_handler_for_kill() {
        assert!(react(abi::signal::SIGKILL, Reaction::Ignore).is_err());
        assert_eq!(Set::of(&[1, SIGUSR2]), Set(1 | 1 << 11));
    }
}
