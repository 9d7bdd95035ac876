//! Marks that may be set from an interrupt, and found without looking at those that are not.
//!
//! A bit each, in words of 64 that never move: who sets one has a share of its word. Looking costs an instruction or two
//! for each word, so little for thousands of entries.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::{Errno, Result};

/// Bits of a word.
const BITS: usize = 64;

/// A row of marks.
pub(super) struct Marks {
    words: Vec<Arc<AtomicU64>>,
}

/// One of them.
pub(super) struct Mark {
    word: Arc<AtomicU64>,
    bit: u64,
}

impl Mark {
    pub(super) fn set(&self) {
        self.word.fetch_or(self.bit, Ordering::AcqRel);
    }

    pub(super) fn is_set(&self) -> bool {
        self.word.load(Ordering::Acquire) & self.bit != 0
    }
}

impl Marks {
    pub(super) const fn new() -> Self {
        Marks { words: Vec::new() }
    }

    /// The mark at a place; the row grows as far.
    ///
    /// # Errors
    /// ENOMEM.
    pub(super) fn mark(&mut self, place: usize) -> Result<Mark> {
        while self.words.len() <= place / BITS {
            self.words.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            self.words.push(Arc::new(AtomicU64::new(0)));
        }
        let word = self.words.get(place / BITS).ok_or(Errno::ENOMEM)?.clone();
        Ok(Mark { word, bit: 1 << (place % BITS) })
    }

    /// Finds the first mark in a range that is set, and takes it away.
    pub(super) fn take_first(&self, range: Range<usize>) -> Option<usize> {
        let end = range.end.min(self.words.len() * BITS);
        if range.start >= end {
            return None;
        }
        let first = range.start / BITS;
        let mut wanted = u64::MAX << (range.start % BITS);
        for (index, word) in (first..).zip(self.words.get(first..end.div_ceil(BITS))?) {
            let found = word.load(Ordering::Acquire) & wanted;
            if found != 0 {
                let bit = found.trailing_zeros() as usize;
                let place = index * BITS + bit;
                if place >= end {
                    return None;
                }
                word.fetch_and(!(1 << bit), Ordering::AcqRel);
                return Some(place);
            }
            wanted = u64::MAX;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_in_order_and_once() {
        let mut marks = Marks::new();
        for place in [0, 63, 64, 130, 511] {
            marks.mark(place).unwrap().set();
        }
        assert_eq!(marks.take_first(1..600), Some(63));
        assert_eq!(marks.take_first(1..64), None);
        assert_eq!(marks.take_first(64..130), Some(64));
        assert_eq!(marks.take_first(64..130), None);
        assert_eq!(marks.take_first(100..131), Some(130));
        assert_eq!(marks.take_first(0..512), Some(0));
        assert_eq!(marks.take_first(0..512), Some(511));
        assert_eq!(marks.take_first(0..10_000), None);
    }

    #[test]
    fn a_mark_is_set_until_it_is_taken() {
        let mut marks = Marks::new();
        let mark = marks.mark(70).unwrap();
        assert!(!mark.is_set());
        mark.set();
        mark.set();
        assert!(mark.is_set());
        assert_eq!(marks.take_first(0..128), Some(70));
        assert!(!mark.is_set());
    }
}
