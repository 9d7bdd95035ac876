//! The list format of processor sets: `0-3,8,16-31:2/4`, as Linux's cpuset files write and read it.

use core::fmt;

use super::{CpuId, CpuSet, MAX_CPUS};

/// Why a text is no processor list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// Something other than numbers, `-`, `,`, `:` and `/` in their places.
    Malformed,
    /// A range that ends before it starts, or a group that uses more than its size.
    BadRange,
    /// A processor number past [`MAX_CPUS`].
    TooLarge,
}

impl fmt::Display for ParseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Malformed => "not a list of processor numbers and ranges",
            Self::BadRange => "a range ends before it starts",
            Self::TooLarge => "a processor number is too large",
        })
    }
}

impl core::str::FromStr for CpuSet {
    type Err = ParseError;

    /// Reads the list format. Empty text (or white space) is the empty set, as on Linux.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut set = Self::EMPTY;
        for part in text.trim().split([',', ' ', '\n']).map(str::trim).filter(|part| !part.is_empty()) {
            add_range(&mut set, part)?;
        }
        Ok(set)
    }
}

/// Adds `first[-last[:used/group]]`: of every `group` numbers the first `used`.
fn add_range(set: &mut CpuSet, part: &str) -> Result<(), ParseError> {
    let (range, pattern) = match part.split_once(':') {
        Some((range, pattern)) => (range, Some(pattern)),
        None => (part, None),
    };
    let (first, last) = match range.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None if pattern.is_some() => return Err(ParseError::Malformed),
        None => (number(range)?, number(range)?),
    };
    let (used, group) = match pattern.map(|pattern| pattern.split_once('/')) {
        Some(Some((used, group))) => (number(used)?, number(group)?),
        Some(None) => return Err(ParseError::Malformed),
        None => (1, 1),
    };
    if first > last || group == 0 || used > group {
        return Err(ParseError::BadRange);
    }
    if last >= MAX_CPUS {
        return Err(ParseError::TooLarge);
    }
    (first..=last)
        .filter(|cpu| (cpu - first) % group < used)
        .filter_map(CpuId::from_index)
        .for_each(|cpu| set.set(cpu));
    Ok(())
}

fn number(digits: &str) -> Result<usize, ParseError> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ParseError::Malformed);
    }
    digits.parse().map_err(|_| ParseError::TooLarge)
}

impl fmt::Display for CpuSet {
    /// Writes the list format: ascending, runs of two or more as a range, the empty set as nothing.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut members = self.iter().peekable();
        let mut separator = "";
        while let Some(first) = members.next() {
            let mut last = first;
            while let Some(next) = members.next_if(|next| next.index() == last.index() + 1) {
                last = next;
            }
            write!(formatter, "{separator}{first}")?;
            if last != first {
                write!(formatter, "-{last}")?;
            }
            separator = ",";
        }
        Ok(())
    }
}
