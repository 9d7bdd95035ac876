//! Times: seconds and parts of one.

use crate::constants::constants;

constants! { u32;
    RTC_RD_TIME = 0x8024_7009, "Reads the clock that runs while the machine is off.";
    RTC_SET_TIME = 0x4024_700a, "Sets it.";
}

/// `struct timespec`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(C)]
pub struct Timespec {
    /// Seconds.
    pub seconds: i64,
    /// Nanoseconds.
    pub nanoseconds: i64,
}

/// `struct timeval`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Timeval {
    /// Seconds.
    pub seconds: i64,
    /// Microseconds.
    pub microseconds: i64,
}

/// Nanoseconds of a second.
pub const NANOS: u64 = 1_000_000_000;

impl Timespec {
    /// So many nanoseconds.
    pub const fn from_ns(ns: u64) -> Self {
        Timespec { seconds: (ns / NANOS).cast_signed(), nanoseconds: (ns % NANOS).cast_signed() }
    }

    /// In nanoseconds, at most `u64::MAX`; `None` for what is no time: negative, or a second and more in the small part.
    pub fn to_ns(self) -> Option<u64> {
        let nanoseconds = u64::try_from(self.nanoseconds).ok().filter(|&ns| ns < NANOS)?;
        let seconds = u64::try_from(self.seconds).ok()?;
        Some(seconds.saturating_mul(NANOS).saturating_add(nanoseconds))
    }
}

impl Timeval {
    /// So many nanoseconds.
    pub const fn from_ns(ns: u64) -> Self {
        Timeval { seconds: (ns / NANOS).cast_signed(), microseconds: (ns % NANOS / 1000).cast_signed() }
    }

    /// As `Timespec::to_ns`.
    pub fn to_ns(self) -> Option<u64> {
        let nanoseconds = self.microseconds.checked_mul(1000)?;
        Timespec { seconds: self.seconds, nanoseconds }.to_ns()
    }
}
