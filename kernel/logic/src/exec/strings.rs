//! The argument and environment strings of a new program.

use alloc::vec::Vec;

use abi::limits::{ARG_MAX, MAX_ARG_STRLEN};
use abi::{Errno, Result};

/// How much room arguments and environment may still take together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    left: usize,
}

impl Budget {
    /// No more than this, whatever the stack: three quarters of Linux's default stack of 8 MiB.
    const MOST: usize = 6 << 20;
    /// What each string costs besides its bytes: the pointer to it.
    const POINTER: usize = 8;

    /// The budget under RLIMIT_STACK: a quarter of it, within fixed limits.
    pub fn for_stack(limit: u64) -> Self {
        let quarter = usize::try_from(limit / 4).unwrap_or(usize::MAX);
        Self { left: quarter.clamp(ARG_MAX, Self::MOST) }
    }

    /// The bytes left.
    pub const fn left(&self) -> usize {
        self.left
    }

    /// Takes `bytes` out, for what is stored beside the lists: the file name with its NUL.
    ///
    /// # Errors
    /// E2BIG, and nothing is taken.
    pub fn charge(&mut self, bytes: usize) -> Result<()> {
        self.left = self.left.checked_sub(bytes).ok_or(Errno::E2BIG)?;
        Ok(())
    }
}

/// Strings one after the other, each with its NUL: as they will stand in the program's memory.
///
/// After an error the list may end in the middle of a string: the execve(2) has failed.
#[derive(Debug, Default)]
pub struct StringList {
    bytes: Vec<u8>,
    count: usize,
    /// Where the last string starts; what is before it is complete.
    unfinished: usize,
}

impl StringList {
    /// A list without strings; allocates nothing.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), count: 0, unfinished: 0 }
    }

    /// Adds a whole string, given without its NUL.
    ///
    /// # Errors
    /// E2BIG if it is too long or the budget is used up; ENOMEM; EINVAL if it contains a NUL.
    pub fn push(&mut self, string: &[u8], budget: &mut Budget) -> Result<()> {
        self.append(string, budget)?;
        self.terminate(budget)
    }

    /// Adds bytes to the string at the end, for strings that arrive in parts.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn append(&mut self, part: &[u8], budget: &mut Budget) -> Result<()> {
        if part.contains(&0) {
            return Err(Errno::EINVAL);
        }
        if self.bytes.len() - self.unfinished + part.len() >= MAX_ARG_STRLEN {
            return Err(Errno::E2BIG);
        }
        budget.charge(part.len())?;
        self.bytes.try_reserve(part.len()).map_err(|_| Errno::ENOMEM)?;
        self.bytes.extend_from_slice(part);
        Ok(())
    }

    /// Ends the string at the end.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn terminate(&mut self, budget: &mut Budget) -> Result<()> {
        budget.charge(1 + Budget::POINTER)?;
        self.bytes.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.bytes.push(0);
        self.count += 1;
        self.unfinished = self.bytes.len();
        Ok(())
    }

    /// Puts `strings` in the place of the first string, if there is one: what running a script does to
    /// argv\[0\]. The budget gets nothing back for what is removed, as on Linux.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn replace_first(&mut self, strings: &[&[u8]], budget: &mut Budget) -> Result<()> {
        let mut list = Self::new();
        for string in strings {
            list.push(string, budget)?;
        }
        let removed = self.iter().next().map_or(0, |first| first.len() + 1);
        let kept = self.bytes.get(removed..).unwrap_or_default();
        list.bytes.try_reserve_exact(kept.len()).map_err(|_| Errno::ENOMEM)?;
        list.bytes.extend_from_slice(kept);
        list.count += self.count.saturating_sub(1);
        list.unfinished = list.bytes.len();
        *self = list;
        Ok(())
    }

    /// How many strings there are.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// All strings with their NULs.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.unfinished).unwrap_or_default()
    }

    /// The strings without their NULs.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let with_nuls = self.bytes().split_inclusive(|&byte| byte == 0);
        with_nuls.filter_map(|string| string.strip_suffix(&[0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn the_budget_is_a_quarter_of_the_stack_within_limits() {
        assert_eq!(Budget::for_stack(8 << 20).left(), 2 << 20);
        assert_eq!(Budget::for_stack(0).left(), ARG_MAX);
        assert_eq!(Budget::for_stack(u64::MAX).left(), 6 << 20);
    }

    #[test]
    fn each_string_costs_its_bytes_and_a_pointer() {
        let mut budget = Budget::for_stack(0);
        let mut list = StringList::new();
        list.push(b"ls", &mut budget).unwrap();
        list.push(b"", &mut budget).unwrap();
        assert_eq!((list.bytes(), list.count()), (&b"ls\0\0"[..], 2));
        assert_eq!(budget.left(), ARG_MAX - 4 - 16);
        assert_eq!(list.iter().collect::<Vec<_>>(), [&b"ls"[..], b""]);
    }

    #[test]
    fn too_much_is_too_big() {
        let long = vec![b'x'; MAX_ARG_STRLEN];
        let mut budget = Budget::for_stack(u64::MAX);
        let mut list = StringList::new();
        assert_eq!(list.push(&long, &mut budget), Err(Errno::E2BIG));
        list.push(&long[1..], &mut budget).unwrap();
        list.append(&long[1..], &mut budget).unwrap();
        assert_eq!(list.append(b"x", &mut budget), Err(Errno::E2BIG));
        let mut budget = Budget::for_stack(0);
        let mut list = StringList::new();
        let count = (0..).find(|_| list.push(b"1234567", &mut budget).is_err()).unwrap();
        assert_eq!(count, ARG_MAX / 16);
    }

    #[test]
    fn a_script_replaces_the_first_argument() {
        let mut budget = Budget::for_stack(0);
        let mut list = StringList::new();
        for string in [&b"./x"[..], b"a", b"b"] {
            list.push(string, &mut budget).unwrap();
        }
        list.replace_first(&[b"/bin/sh", b"-e", b"./x"], &mut budget).unwrap();
        assert_eq!((list.bytes(), list.count()), (&b"/bin/sh\0-e\0./x\0a\0b\0"[..], 5));
        let mut none = StringList::new();
        none.replace_first(&[b"sh"], &mut budget).unwrap();
        assert_eq!((none.bytes(), none.count()), (&b"sh\0"[..], 1));
    }
}
