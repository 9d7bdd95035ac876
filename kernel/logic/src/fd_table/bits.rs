//! A growing set of small numbers.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

/// A bit for each number.
#[derive(Debug, Default)]
pub(super) struct Bits {
    words: Vec<u64>,
}

/// The word and the bit in it.
const fn place(number: u32) -> (usize, u64) {
    ((number / u64::BITS) as usize, 1 << (number % u64::BITS))
}

impl Bits {
    /// The empty set without room; allocates nothing.
    pub(super) const fn new() -> Self {
        Self { words: Vec::new() }
    }

    /// Makes room for numbers up to this one.
    pub(super) fn try_include(&mut self, number: u32) -> Result<(), TryReserveError> {
        let missing = (place(number).0 + 1).saturating_sub(self.words.len());
        self.words.try_reserve(missing)?;
        self.words.extend(core::iter::repeat_n(0, missing));
        Ok(())
    }

    pub(super) fn contains(&self, number: u32) -> bool {
        let (at, bit) = place(number);
        self.words.get(at).is_some_and(|word| word & bit != 0)
    }

    /// Adds a number there is room for.
    pub(super) fn insert(&mut self, number: u32) {
        let (at, bit) = place(number);
        if let Some(word) = self.words.get_mut(at) {
            *word |= bit;
        }
    }

    pub(super) fn remove(&mut self, number: u32) {
        let (at, bit) = place(number);
        if let Some(word) = self.words.get_mut(at) {
            *word &= !bit;
        }
    }

    /// The first number from `from` on that is in the set.
    pub(super) fn next_member(&self, from: u32) -> Option<u32> {
        self.next_set_bit(from, 0)
    }

    /// The first number from `from` on that is not in the set; it may have no room yet.
    pub(super) fn next_absent(&self, from: u32) -> u32 {
        let past_end =
            u32::try_from(self.words.len()).map_or(u32::MAX, |words| words.saturating_mul(u64::BITS));
        self.next_set_bit(from, u64::MAX).unwrap_or(past_end.max(from))
    }

    /// The first bit that is set after all bits are flipped by `flip`.
    fn next_set_bit(&self, from: u32, flip: u64) -> Option<u32> {
        let (first, bit) = place(from);
        let mut wanted = !(bit - 1);
        for (at, word) in self.words.iter().enumerate().skip(first) {
            let found = (word ^ flip) & wanted;
            if found != 0 {
                return u32::try_from(at).ok()?.checked_mul(u64::BITS)?.checked_add(found.trailing_zeros());
            }
            wanted = u64::MAX;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn behaves_like_a_set(numbers in prop::collection::btree_set(0..300u32, 0..300), from in 0..400u32) {
            let mut bits = Bits::new();
            for &number in &numbers {
                bits.try_include(number).unwrap();
                bits.insert(number);
            }
            prop_assert_eq!(bits.next_member(from), numbers.range(from..).next().copied());
            let absent = (from..).find(|number| !numbers.contains(number));
            prop_assert_eq!(Some(bits.next_absent(from)), absent);
            let left: BTreeSet<u32> = numbers.into_iter().filter(|&number| number != from).collect();
            bits.remove(from);
            prop_assert!((0..400).all(|number| bits.contains(number) == left.contains(&number)));
        }
    }
}
