//! Dates and seconds: between the clock of the machine, which counts in days of months, and time as programs know it.

/// A date and time of day of the Gregorian calendar, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// Year.
    pub year: u32,
    /// Month, from 1.
    pub month: u32,
    /// Day of the month, from 1.
    pub day: u32,
    /// Hour.
    pub hour: u32,
    /// Minute.
    pub minute: u32,
    /// Second.
    pub second: u32,
}

impl Date {
    /// Seconds since 1970; `None` for what is no date after it.
    pub fn to_unix(self) -> Option<u64> {
        let is_date = self.year >= 1970
            && (1..=12).contains(&self.month)
            && (1..=days_in(self.year, self.month)).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second < 61;
        if !is_date {
            return None;
        }
        // Years that start in March end with their leap day.
        let (year, month) = if self.month > 2 {
            (u64::from(self.year), u64::from(self.month) - 3)
        } else {
            (u64::from(self.year) - 1, u64::from(self.month) + 9)
        };
        let days_before_month = (153 * month + 2) / 5;
        let days =
            365 * year + year / 4 - year / 100 + year / 400 + days_before_month + u64::from(self.day) - 1;
        /// The same sum for 1 January 1970.
        const EPOCH: u64 = 719_468;
        let minutes = (days - EPOCH) * 24 * 60 + u64::from(self.hour) * 60 + u64::from(self.minute);
        Some(minutes * 60 + u64::from(self.second))
    }
}

const fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Of register B: numbers are binary, hours go to 24. Of the hour: it is after noon.
const BINARY: u8 = 4;
const HOURS_24: u8 = 2;
const AFTERNOON: u8 = 0x80;

/// The registers of a PC's clock (MC146818): binary or decimal digits, 24 or 12 hours, as register B says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockRegisters {
    /// Registers 0, 2, 4, 7, 8, 9: second, minute, hour, day, month, year.
    pub values: [u8; 6],
    /// The century, where there is a register for it.
    pub century: Option<u8>,
    /// Register B.
    pub mode: u8,
}

impl ClockRegisters {
    /// What they hold to show `date`, in the form that register B says; `mode` is that register.
    pub fn of(date: Date, mode: u8) -> Self {
        let raw = |number: u32| {
            let number = u8::try_from(number % 100).unwrap_or(0);
            if mode & BINARY != 0 { number } else { (number / 10) * 16 + number % 10 }
        };
        let hour = match date.hour {
            hour if mode & HOURS_24 != 0 => raw(hour),
            hour => raw((hour + 11) % 12 + 1) | if hour >= 12 { AFTERNOON } else { 0 },
        };
        ClockRegisters {
            values: [
                raw(date.second),
                raw(date.minute),
                hour,
                raw(date.day),
                raw(date.month),
                raw(date.year),
            ],
            century: Some(raw(date.year / 100)),
            mode,
        }
    }

    /// The date they show.
    pub fn date(&self) -> Date {
        let number =
            |raw: u8| u32::from(if self.mode & BINARY != 0 { raw } else { (raw >> 4) * 10 + (raw & 0xf) });
        let [second, minute, hour, day, month, year] = self.values;
        let hours = number(hour & !AFTERNOON);
        let hour = if self.mode & HOURS_24 != 0 {
            number(hour)
        } else {
            hours % 12 + if hour & AFTERNOON != 0 { 12 } else { 0 }
        };
        // No clock this runs on has seen the last century.
        let century = self.century.map(number).filter(|century| (20..100).contains(century)).unwrap_or(20);
        Date {
            year: century * 100 + number(year),
            month: number(month),
            day: number(day),
            hour,
            minute: number(minute),
            second: number(second),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_dates_are_known_seconds() {
        let date = |year, month, day, hour, minute, second| Date { year, month, day, hour, minute, second };
        assert_eq!(date(1970, 1, 1, 0, 0, 0).to_unix(), Some(0));
        assert_eq!(date(2000, 2, 29, 12, 0, 0).to_unix(), Some(951_825_600));
        assert_eq!(date(2026, 11, 21, 6, 21, 27).to_unix(), Some(1_795_242_087));
        assert_eq!(date(2026, 2, 29, 0, 0, 0).to_unix(), None);
        assert_eq!(date(1969, 12, 31, 0, 0, 0).to_unix(), None);
        assert_eq!(date(2026, 13, 1, 0, 0, 0).to_unix(), None);
    }

    #[test]
    fn registers_are_read_in_either_form() {
        let decimal = ClockRegisters { values: [0x59, 0x30, 0x83, 0x21, 0x11, 0x26], century: None, mode: 0 };
        let binary = ClockRegisters { values: [59, 30, 15, 21, 11, 26], century: Some(20), mode: 4 | 2 };
        let expected = Date { year: 2026, month: 11, day: 21, hour: 15, minute: 30, second: 59 };
        assert_eq!((decimal.date(), binary.date()), (expected, expected));
    }

    proptest! {
        #[test]
        fn what_is_set_is_shown(
            year in 2000..2100_u32, month in 1..=12_u32, day in 1..=28_u32, hour in 0..24_u32, minute in 0..60_u32, mode in 0..8_u8,
        ) {
            let date = Date { year, month, day, hour, minute, second: minute };
            prop_assert_eq!(ClockRegisters::of(date, mode).date(), date);
        }

        #[test]
        fn the_next_day_is_a_day_later(year in 1970..3000_u32, month in 1..=12_u32, day in 1..=31_u32) {
            let date = Date { year, month, day, hour: 0, minute: 0, second: 0 };
            let next = Date { day: day + 1, ..date };
            if let (Some(today), Some(tomorrow)) = (date.to_unix(), next.to_unix()) {
                prop_assert_eq!(tomorrow - today, 86400);
            }
        }
    }
}
