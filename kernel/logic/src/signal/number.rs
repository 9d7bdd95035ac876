//! The number of a signal.

use core::fmt;
use core::num::NonZeroU8;

use abi::signal;

/// A signal: 1 to 64.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(NonZeroU8);

macro_rules! named {
    ($($name:ident = $number:ident;)*) => {
        impl Signal {
            $(#[doc = concat!("`", stringify!($number), "`.")] pub const $name: Self = Self::known(signal::$number);)*

            /// The name, such as `SIGHUP`; `None` for real-time signals.
            pub const fn name(self) -> Option<&'static str> {
                match self.number() {
                    $(signal::$number => Some(stringify!($number)),)*
                    _ => None,
                }
            }
        }
    };
}

named! {
    HUP = SIGHUP;
    INT = SIGINT;
    QUIT = SIGQUIT;
    ILL = SIGILL;
    TRAP = SIGTRAP;
    ABRT = SIGABRT;
    BUS = SIGBUS;
    FPE = SIGFPE;
    KILL = SIGKILL;
    USR1 = SIGUSR1;
    SEGV = SIGSEGV;
    USR2 = SIGUSR2;
    PIPE = SIGPIPE;
    ALRM = SIGALRM;
    TERM = SIGTERM;
    STKFLT = SIGSTKFLT;
    CHLD = SIGCHLD;
    CONT = SIGCONT;
    STOP = SIGSTOP;
    TSTP = SIGTSTP;
    TTIN = SIGTTIN;
    TTOU = SIGTTOU;
    URG = SIGURG;
    XCPU = SIGXCPU;
    XFSZ = SIGXFSZ;
    VTALRM = SIGVTALRM;
    PROF = SIGPROF;
    WINCH = SIGWINCH;
    IO = SIGIO;
    PWR = SIGPWR;
    SYS = SIGSYS;
}

impl Signal {
    /// How many there are.
    pub const COUNT: usize = 64;

    /// The first real-time signal.
    pub const RTMIN: Self = Self::known(signal::SIGRTMIN);

    /// The last real-time signal.
    pub const RTMAX: Self = Self::known(signal::SIGRTMAX);

    /// The signal of this number, if there is one. Zero is none: kill(2) takes it to mean "only check".
    pub const fn new(number: u32) -> Option<Self> {
        if number > signal::SIGRTMAX {
            return None;
        }
        // The comparison above leaves one byte.
        match NonZeroU8::new(number.to_le_bytes()[0]) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// For constants: a wrong number does not compile.
    const fn known(number: u32) -> Self {
        match Self::new(number) {
            Some(signal) => signal,
            None => panic!("no such signal"),
        }
    }

    /// The number, 1 to 64.
    #[inline]
    pub const fn number(self) -> u32 {
        self.0.get() as u32
    }

    /// The place in a table of all signals, 0 to 63.
    #[inline]
    pub(super) const fn index(self) -> usize {
        self.0.get() as usize - 1
    }

    /// Whether several of it queue up instead of merging.
    #[inline]
    pub const fn is_real_time(self) -> bool {
        self.number() >= signal::SIGRTMIN
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            // Not "SIGRTMIN+n": each libc counts from another minimum.
            None => write!(f, "SIGRT{}", self.number()),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::Signal;

    #[test]
    fn numbers_from_1_to_64_are_signals() {
        assert_eq!(Signal::new(0), None);
        assert_eq!(Signal::new(1), Some(Signal::HUP));
        assert_eq!(Signal::new(64), Some(Signal::RTMAX));
        assert_eq!(Signal::new(65), None);
        assert_eq!(Signal::new(256 + 9), None);
        assert!(!Signal::SYS.is_real_time() && Signal::RTMIN.is_real_time());
    }

    #[test]
    fn names_are_those_of_the_header() {
        assert_eq!(
            format!("{} {:?} {}", Signal::HUP, Signal::WINCH, Signal::RTMIN),
            "SIGHUP SIGWINCH SIGRT32"
        );
    }
}
