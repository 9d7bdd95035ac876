//! Lock ranks: the stack of locks a processor or a thread holds, and whether it may take another.
//!
//! Ranks are numbered outermost first, and a lock may only be taken if its rank is greater than that of
//! every lock held: then no two processors can wait for each other. Debug builds keep one [`RankStack`] a
//! processor for hal's spin locks and one a thread for nucleus' sleeping ones, and panic with the error's text.

use core::fmt;

/// How many locks may be held at a time; the deepest legal nesting is far from it.
pub const MAX_DEPTH: usize = 16;

/// A lock's place in the order, and what it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank {
    /// The place, outermost smallest.
    pub number: u8,
    /// The name, for the error.
    pub name: &'static str,
}

/// A broken rule about locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RankError {
    /// `wanted` is not inside `held`, the innermost lock held.
    OutOfOrder {
        /// The innermost lock held.
        held: Rank,
        /// The lock that was to be taken.
        wanted: Rank,
    },
    /// Sixteen locks are held, the last of them `held`.
    TooDeep {
        /// The innermost lock held.
        held: Rank,
        /// The lock that was to be taken.
        wanted: Rank,
    },
    /// A lock was released that is not held.
    NotHeld {
        /// The number of its rank.
        number: u8,
    },
}

impl fmt::Display for RankError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfOrder { held, wanted } if held.number == wanted.number => {
                write!(formatter, "lock {wanted} taken while holding {held} of the same rank")
            }
            Self::OutOfOrder { held, wanted } => {
                write!(formatter, "lock {wanted} must be taken before {held}, which is held")
            }
            Self::TooDeep { held, wanted } => {
                write!(formatter, "lock {wanted} taken with {MAX_DEPTH} locks held, the last {held}")
            }
            Self::NotHeld { number } => write!(formatter, "lock of rank {number} released but not held"),
        }
    }
}

impl fmt::Display for Rank {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (rank {})", self.name, self.number)
    }
}

/// The locks held, outermost first.
#[derive(Clone, Debug)]
pub struct RankStack {
    held: [Rank; MAX_DEPTH],
    depth: usize,
}

impl Default for RankStack {
    fn default() -> Self {
        Self::new()
    }
}

impl RankStack {
    /// No lock held.
    #[must_use]
    pub const fn new() -> Self {
        Self { held: [Rank { number: 0, name: "" }; MAX_DEPTH], depth: 0 }
    }

    /// Notes that a lock is about to be taken.
    ///
    /// # Errors
    /// If a lock of this or an inner rank is held; the stack is unchanged.
    pub fn acquire(&mut self, number: u8, name: &'static str) -> Result<(), RankError> {
        self.push(Rank { number, name }, |held| number > held)
    }

    /// As [`Self::acquire`], for the second of two locks of one rank that the caller orders by identity.
    ///
    /// # Errors
    /// If a lock of an inner rank is held; the stack is unchanged.
    pub fn acquire_pair(&mut self, number: u8, name: &'static str) -> Result<(), RankError> {
        self.push(Rank { number, name }, |held| number >= held)
    }

    /// Notes that the innermost lock of this rank was released; the order of releases is free.
    ///
    /// # Errors
    /// If there is none.
    pub fn release(&mut self, number: u8) -> Result<(), RankError> {
        let Some(index) = self.held().iter().rposition(|held| held.number == number) else {
            return Err(RankError::NotHeld { number });
        };
        self.held.copy_within(index + 1..self.depth, index);
        self.depth -= 1;
        Ok(())
    }

    /// The locks held, outermost first.
    #[must_use]
    pub fn held(&self) -> &[Rank] {
        self.held.get(..self.depth).unwrap_or_default()
    }

    fn push(&mut self, wanted: Rank, fits_after: impl FnOnce(u8) -> bool) -> Result<(), RankError> {
        if let Some(&held) = self.held().last() {
            if !fits_after(held.number) {
                return Err(RankError::OutOfOrder { held, wanted });
            }
            if self.depth == MAX_DEPTH {
                return Err(RankError::TooDeep { held, wanted });
            }
        }
        self.held[self.depth] = wanted;
        self.depth += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn inner_after_outer_only() {
        let mut stack = RankStack::new();
        stack.acquire(3, "Inode").unwrap();
        stack.acquire(5, "PageCache").unwrap();
        let error = stack.acquire(4, "Mount").unwrap_err();
        assert_eq!(
            error.to_string(),
            "lock Mount (rank 4) must be taken before PageCache (rank 5), which is held"
        );
        let error = stack.acquire(5, "PageCache").unwrap_err();
        assert_eq!(
            error.to_string(),
            "lock PageCache (rank 5) taken while holding PageCache (rank 5) of the same rank"
        );
        stack.acquire_pair(5, "PageCache").unwrap();
        assert!(stack.acquire_pair(4, "Mount").is_err());
        assert_eq!(stack.held().len(), 3);
    }

    #[test]
    fn releases_come_in_any_order() {
        let mut stack = RankStack::new();
        stack.acquire(1, "Outer").unwrap();
        stack.acquire(2, "Inner").unwrap();
        stack.release(1).unwrap();
        assert_eq!(stack.held(), [Rank { number: 2, name: "Inner" }]);
        stack.release(2).unwrap();
        assert_eq!(stack.release(2).unwrap_err().to_string(), "lock of rank 2 released but not held");
    }

    #[test]
    fn depth_is_limited() {
        let mut stack = RankStack::new();
        for number in 0..16 {
            stack.acquire(number, "Lock").unwrap();
        }
        assert!(matches!(stack.acquire(16, "Last"), Err(RankError::TooDeep { .. })));
    }

    proptest! {
        #[test]
        fn behaves_like_a_sorted_list(steps in prop::collection::vec((0..3u8, 0..20u8), 0..100)) {
            let mut stack = RankStack::new();
            let mut model: Vec<u8> = Vec::new();
            for (kind, number) in steps {
                let last = model.last().copied();
                match kind {
                    0 => {
                        let fits = model.len() < MAX_DEPTH && last.is_none_or(|last| number > last);
                        prop_assert_eq!(stack.acquire(number, "").is_ok(), fits);
                        model.extend(fits.then_some(number));
                    }
                    1 => {
                        let fits = model.len() < MAX_DEPTH && last.is_none_or(|last| number >= last);
                        prop_assert_eq!(stack.acquire_pair(number, "").is_ok(), fits);
                        model.extend(fits.then_some(number));
                    }
                    _ => {
                        let found = model.iter().rposition(|&held| held == number);
                        prop_assert_eq!(stack.release(number).is_ok(), found.is_some());
                        found.map(|index| model.remove(index));
                    }
                }
                let held: Vec<u8> = stack.held().iter().map(|rank| rank.number).collect();
                prop_assert_eq!(&held, &model);
            }
        }
    }
}
