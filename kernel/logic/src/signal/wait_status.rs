//! How a child's change of state is reported: wait4(2), waitid(2), SIGCHLD.

use abi::signal::{CLD_CONTINUED, CLD_DUMPED, CLD_EXITED, CLD_KILLED, CLD_STOPPED};

use super::Signal;

/// Whether an end by a signal counts as a dumped core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CoreDump {
    /// No.
    None,
    /// Yes.
    Dumped,
}

/// What happened to a child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitStatus {
    /// It called exit(2).
    Exited(u8),
    /// A signal ended it.
    Signaled {
        /// Which.
        signal: Signal,
        /// Whether with a core dump.
        core: CoreDump,
    },
    /// A signal stopped it.
    Stopped(Signal),
    /// It went on after a stop.
    Continued,
}

impl WaitStatus {
    /// The status word of wait4(2).
    pub const fn encode(self) -> u32 {
        const CORE_FLAG: u32 = 0x80;
        match self {
            Self::Exited(code) => (code as u32) << 8,
            Self::Signaled { signal, core: CoreDump::None } => signal.number(),
            Self::Signaled { signal, core: CoreDump::Dumped } => signal.number() | CORE_FLAG,
            Self::Stopped(signal) => signal.number() << 8 | 0x7f,
            Self::Continued => 0xffff,
        }
    }

    /// The si_code of SIGCHLD and waitid(2).
    pub const fn code(self) -> i32 {
        match self {
            Self::Exited(_) => CLD_EXITED,
            Self::Signaled { core: CoreDump::None, .. } => CLD_KILLED,
            Self::Signaled { core: CoreDump::Dumped, .. } => CLD_DUMPED,
            Self::Stopped(_) => CLD_STOPPED,
            Self::Continued => CLD_CONTINUED,
        }
    }

    /// The si_status of SIGCHLD and waitid(2).
    pub const fn status(self) -> u32 {
        match self {
            Self::Exited(code) => code as u32,
            Self::Signaled { signal, .. } | Self::Stopped(signal) => signal.number(),
            Self::Continued => Signal::CONT.number(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_the_macros_of_wait_h_take_apart() {
        assert_eq!(WaitStatus::Exited(3).encode(), 0x300);
        assert_eq!(WaitStatus::Signaled { signal: Signal::KILL, core: CoreDump::None }.encode(), 9);
        assert_eq!(WaitStatus::Signaled { signal: Signal::SEGV, core: CoreDump::Dumped }.encode(), 0x8b);
        assert_eq!(WaitStatus::Stopped(Signal::TSTP).encode(), 0x147f);
        assert_eq!(WaitStatus::Continued.encode(), 0xffff);
    }

    #[test]
    fn codes_and_statuses_are_those_of_waitid() {
        let pairs = [WaitStatus::Exited(255), WaitStatus::Stopped(Signal::TTIN), WaitStatus::Continued]
            .map(|status| (status.code(), status.status()));
        assert_eq!(pairs, [(1, 255), (5, 21), (6, 18)]);
        assert_eq!(WaitStatus::Signaled { signal: Signal::ABRT, core: CoreDump::Dumped }.code(), 3);
    }
}
