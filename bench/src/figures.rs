//! The lines a guest reports its figures in: `bench: NAME UNIT VALUE`.
//!
//! Written by bench/guest/ and, when booted with `bench.switch`, by Nacre itself.

use std::time::Instant;

const PREFIX: &str = "bench: ";
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
        let (_, figure) = line.trim_end().rsplit_once(PREFIX)?;
        let mut words = figure.split(' ');
        let (name, unit, value) = (words.next()?, words.next()?, number(words.next()?)?);
        words.next().is_none().then(|| Self { name: name.into(), unit: unit.into(), value, arrived })
    }

    pub(crate) fn is_end(&self) -> bool {
        self.name == END
    }
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
        for line in ["", "bench: ", "bench: a b", "bench: a b c", "bench: a b 1 2", "[ 1.0] bench: x"] {
            assert!(parse(line).is_none(), "{line}");
        }
    }
}
