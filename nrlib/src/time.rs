//! Clocks, sleeping, and dates in UTC. Rules of time zones come with the C library.

use abi::time::{NANOS, Timespec};
use abi::{Errno, Result};

use crate::sys::{calls, numbers};

/// Seconds of a day.
pub const DAY: i64 = 86_400;

/// Nanoseconds since 1970; 0 where there is no clock.
pub fn now_ns() -> u64 {
    calls::clock_gettime(numbers::CLOCK_REALTIME).ok().and_then(Timespec::to_ns).unwrap_or(0)
}

/// Seconds since 1970.
pub fn now() -> i64 {
    i64::try_from(now_ns() / NANOS).unwrap_or(0)
}

/// Milliseconds of a clock that nobody sets.
pub fn monotonic_ms() -> u64 {
    let time = calls::clock_gettime(numbers::CLOCK_MONOTONIC).ok().and_then(Timespec::to_ns);
    time.unwrap_or(0) / 1_000_000
}

/// Sleeps so long, or until a noted signal comes: then EINTR.
///
/// # Errors
/// EINTR.
pub fn sleep_ms(milliseconds: u64) -> Result<()> {
    calls::nanosleep(Timespec::from_ns(milliseconds.saturating_mul(1_000_000))).map(drop)
}

/// Sleeps so long whatever comes.
pub fn sleep_through_ms(milliseconds: u64) {
    let end = monotonic_ms().saturating_add(milliseconds);
    loop {
        let left = end.saturating_sub(monotonic_ms());
        if left == 0 || sleep_ms(left).is_err_and(|error| error != Errno::EINTR) {
            return;
        }
    }
}

/// SIGALRM after so many seconds; 0 takes it back.
pub fn alarm(seconds: u32) {
    let _ = calls::alarm(seconds);
}

/// A date and time of day in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// Year.
    pub year: i64,
    /// Month, from 1.
    pub month: i64,
    /// Day of the month, from 1.
    pub day: i64,
    /// Hour.
    pub hour: i64,
    /// Minute.
    pub minute: i64,
    /// Second.
    pub second: i64,
    /// Day of the week; Sunday is 0.
    pub weekday: i64,
}

/// Short names of months.
pub const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// Short names of days.
pub const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

impl Date {
    /// The date so many seconds after the start of 1970, which may be negative.
    pub const fn from_unix(seconds: i64) -> Self {
        let (days, rest) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
        // Counted from 1 March 2000, a cycle of 400 years ends with the day that comes once in it.
        let days_since = days - 11_017;
        let (cycle, day) = (days_since.div_euclid(146_097), days_since.rem_euclid(146_097));
        let century = min(day / 36_524, 3);
        let day = day - century * 36_524;
        let four = day / 1461;
        let day = day - four * 1461;
        let year = min(day / 365, 3);
        let day = day - year * 365;
        let month_from_march = (5 * day + 2) / 153;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        let year = 2000 + cycle * 400 + century * 100 + four * 4 + year + if month <= 2 { 1 } else { 0 };
        Self {
            year,
            month,
            day: day - (153 * month_from_march + 2) / 5 + 1,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
            weekday: (days + 4).rem_euclid(7),
        }
    }

    /// `Sat`.
    pub fn weekday_name(self) -> &'static str {
        name(&DAYS, self.weekday)
    }

    /// `Nov`.
    pub fn month_name(self) -> &'static str {
        name(&MONTHS, self.month - 1)
    }
}

const fn min(a: i64, b: i64) -> i64 {
    if a < b { a } else { b }
}

fn name(names: &'static [&'static str], index: i64) -> &'static str {
    usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or("???")
}

/// `Sat Nov 21 13:05:09 2026`, as asctime(3).
impl core::fmt::Display for Date {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (day_name, month_name) = (self.weekday_name(), self.month_name());
        let Self { year, day, hour, minute, second, .. } = self;
        write!(f, "{day_name} {month_name} {day:2} {hour:02}:{minute:02}:{second:02} {year}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use std::{format, string::String, vec::Vec};

    /// date(1) of this host is the oracle.
    #[test]
    fn dates_are_those_of_the_hosts_date() {
        let mut seconds: Vec<i64> =
            Vec::from([0, -1, 951_782_400, 951_868_799, 4_107_542_399, 1_795_266_000]);
        seconds.extend((0..200).map(|index| index * 123_456_789 - 9_000_000_000));
        let input: String = seconds.iter().map(|second| format!("@{second}\n")).collect();
        let path = format!("{}/nrlib-dates-{}", std::env::temp_dir().display(), std::process::id());
        std::fs::write(&path, input).unwrap();
        let output = Command::new("date")
            .args(["-u", "+%a %b %e %H:%M:%S %Y", "-f", &path])
            .env("LC_ALL", "C")
            .output()
            .unwrap();
        std::fs::remove_file(&path).unwrap();
        let expected = String::from_utf8(output.stdout).unwrap();
        let found: Vec<String> =
            seconds.iter().map(|&second| format!("{}", Date::from_unix(second))).collect();
        assert_eq!(found, expected.lines().collect::<Vec<_>>());
    }

    #[test]
    fn sleeping_takes_its_time() {
        let start = monotonic_ms();
        sleep_through_ms(20);
        assert!(monotonic_ms() - start >= 20);
        assert!(now() > 1_700_000_000);
    }
}
