//! A date as seconds since 1970.

/// A date and time in the proleptic Gregorian calendar, UTC.
#[derive(Clone, Copy, Debug)]
pub struct DateTime {
    /// Year, such as 2026.
    pub year: u16,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, from 1.
    pub day: u8,
    /// Hour.
    pub hour: u8,
    /// Minute.
    pub minute: u8,
    /// Second.
    pub second: u8,
}

/// Seconds from 1970-01-01 00:00:00 UTC to `date`.
pub fn unix_seconds(date: DateTime) -> i64 {
    // Years that start in March put the leap day last; then the days before month m are (153 m + 2) / 5.
    let (year, month) = match date.month {
        0..=2 => (i64::from(date.year) - 1, i64::from(date.month) + 9),
        _ => (i64::from(date.year), i64::from(date.month) - 3),
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days = 365 * year + leap_days + (153 * month + 2) / 5 + i64::from(date.day) - 1 - DAYS_TO_1970;
    days * 86_400 + i64::from(date.hour) * 3_600 + i64::from(date.minute) * 60 + i64::from(date.second)
}

/// Days from the first of March of the year 0 to the first of January 1970.
const DAYS_TO_1970: i64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        // Expected values are from `date -u -d '…' +%s`.
        let at = |year, month, day, hour, minute, second| {
            unix_seconds(DateTime { year, month, day, hour, minute, second })
        };
        assert_eq!(at(1970, 1, 1, 0, 0, 0), 0);
        assert_eq!(at(2000, 2, 29, 12, 0, 0), 951_825_600);
        assert_eq!(at(2026, 11, 21, 3, 47, 24), 1_795_232_844);
        assert_eq!(at(2100, 3, 1, 0, 0, 0), 4_107_542_400);
    }
}
