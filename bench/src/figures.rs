//! The lines a guest reports its figures in: `bench: NAME UNIT VALUE`, or `ROW NAME VALUE` for a value in ticks
//! with three decimals, or `FAIL NAME WHY`.
//!
//! Written by bench/guest/ and, when booted with `bench.switch`, by Nacre itself.

use std::time::Instant;

const PREFIX: &str = "bench: ";
const ROW: &str = "ROW ";
const FAILURE: &str = "FAIL ";
/// The unit of a figure for 1000 operations, or in thousandths.
pub(crate) const THOUSANDTHS: &str = "ticks/1000";
/// The line after which nothing more comes.
const END: &str = "end";

/// One line, and when it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) value: u64,
    pub(crate) arrived: Instant,
}

impl Figure {
    /// Reads a line of the guest's output, or `None` when it is something else. What the kernel was just writing
    /// may stand before the figure.
    pub(crate) fn parse(line: &str, arrived: Instant) -> Option<Self> {
        let line = line.trim_end();
        let Some((_, figure)) = line.rsplit_once(PREFIX) else {
            return Self::parse_row(line, arrived);
        };
        let mut words = figure.split(' ');
        let (name, unit, value) = (words.next()?, words.next()?, number(words.next()?)?);
        words.next().is_none().then(|| Self { name: name.into(), unit: unit.into(), value, arrived })
    }

    fn parse_row(line: &str, arrived: Instant) -> Option<Self> {
        let (_, row) = line.rsplit_once(ROW)?;
        let (name, value) = row.split_once(' ')?;
        let (whole, thousandths) = value.split_once('.')?;
        let value = number(whole)?.checked_mul(1000)?.checked_add(number(thousandths)?)?;
        (thousandths.len() == 3).then(|| Self { name: name.into(), unit: THOUSANDTHS.into(), value, arrived })
    }

    pub(crate) fn is_end(&self) -> bool {
        self.name == END
    }
}

/// The name of the row that failed, and why, when the line tells that.
pub(crate) fn failure(line: &str) -> Option<(String, String)> {
    let (_, rest) = line.trim_end().split_once(FAILURE)?;
    let (name, why) = rest.split_once(' ')?;
    Some((name.into(), why.into()))
}

fn number(word: &str) -> Option<u64> {
    match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_from_other_output() {
        let parse = |line| Figure::parse(line, Instant::now());
        let figure = parse("bench: null-call ticks/1000 328000\r").unwrap();
        assert_eq!((figure.name.as_str(), figure.unit.as_str()), ("null-call", "ticks/1000"));
        assert_eq!(figure.value, 328_000);
        assert_eq!(parse("bench: firmware ticks 0x0000000000000010").unwrap().value, 16);
        assert!(parse("bench: end done 0").unwrap().is_end());
        assert_eq!(parse("[ 1.0] tsc: Refined bench: boot ticks 7").unwrap().value, 7);
        let row = parse("ROW fork-exit 143189.020\r").unwrap();
        assert_eq!(
            (row.name.as_str(), row.unit.as_str(), row.value),
            ("fork-exit", THOUSANDTHS, 143_189_020)
        );
        for line in [
            "ROW",
            "ROW a",
            "ROW a 1",
            "ROW a 1.5",
            "ROW a b.000",
            "",
            "bench: ",
            "bench: a b",
            "bench: a b c",
            "bench: a b 1 2",
            "[ 1.0] bench: x",
        ] {
            assert!(parse(line).is_none(), "{line}");
        }
    }

    #[test]
    fn failures_carry_a_reason() {
        assert_eq!(
            failure("FAIL futex killed by signal 14\r"),
            Some(("futex".into(), "killed by signal 14".into()))
        );
        assert_eq!(failure("ROW futex 1.000"), None);
    }
}
