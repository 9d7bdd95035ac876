//! A 4-ary heap of numbered slots: find the least key, remove any slot, never allocate.
//!
//! The owner numbers its records (`slot`); the heap keeps keys and where each slot sits, so removing
//! one from the middle costs as much as popping. Four children a node, because a level then costs one
//! cache line and there are half as many levels. Keys must be unique (owners add a sequence number),
//! which makes the order total. Used by [`crate::runq`] and [`crate::timers`].

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

const CHILDREN: usize = 4;
const ABSENT: u32 = u32::MAX;

/// What a heap is ordered by: `major` first, then `minor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) major: u64,
    pub(crate) minor: u64,
}

impl Key {
    /// Whether this key is less. One wide comparison instead of two branches.
    pub(crate) const fn is_before(self, other: Self) -> bool {
        self.wide() < other.wide()
    }

    const fn wide(self) -> u128 {
        ((self.major as u128) << 64) | self.minor as u128
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: Key,
    slot: u32,
}

/// The heap; slots are the numbers below the reserved count.
#[derive(Debug, Default)]
pub(crate) struct SlotHeap {
    entries: Vec<Entry>,
    /// Index into `entries` by slot, or `ABSENT`.
    positions: Vec<u32>,
}

impl SlotHeap {
    pub(crate) const fn new() -> Self {
        Self { entries: Vec::new(), positions: Vec::new() }
    }

    /// Makes the slots `0..slots` usable; never fewer than before.
    pub(crate) fn try_reserve(&mut self, slots: usize) -> Result<(), TryReserveError> {
        self.entries.try_reserve_exact(slots.saturating_sub(self.entries.len()))?;
        let missing = slots.saturating_sub(self.positions.len());
        self.positions.try_reserve_exact(missing)?;
        self.positions.resize(self.positions.len() + missing, ABSENT);
        Ok(())
    }

    /// Copies everything of `smaller` (of no more slots) into this empty heap.
    pub(crate) fn copy_from(&mut self, smaller: &Self) {
        self.entries.clear();
        self.entries.extend_from_slice(&smaller.entries);
        let known = smaller.positions.len();
        self.positions[..known].copy_from_slice(&smaller.positions);
    }

    #[cfg(test)]
    const fn slots(&self) -> usize {
        self.positions.len()
    }

    pub(crate) const fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The least key and its slot.
    #[inline]
    pub(crate) fn peek(&self) -> Option<(Key, u32)> {
        self.entries.first().map(|entry| (entry.key, entry.slot))
    }

    /// The slots in heap order, so later ones tend to have larger keys.
    pub(crate) fn slots_from_back(&self) -> impl Iterator<Item = u32> {
        self.entries.iter().rev().map(|entry| entry.slot)
    }

    /// Puts an absent slot in.
    #[inline]
    pub(crate) fn insert(&mut self, slot: u32, key: Key) {
        let position = self.entries.len();
        let entry = Entry { key, slot };
        self.entries.push(entry);
        self.sift_up(position, entry);
    }

    /// Takes the least out.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<(Key, u32)> {
        let last = self.entries.pop()?;
        let least = self.entries.first().copied().unwrap_or(last);
        *self.positions.get_mut(least.slot as usize)? = ABSENT;
        if !self.entries.is_empty() {
            self.sift_down(0, last);
        }
        Some((least.key, least.slot))
    }

    /// Takes `slot` out if it is in.
    pub(crate) fn remove(&mut self, slot: u32) -> Option<Key> {
        let position = core::mem::replace(self.positions.get_mut(slot as usize)?, ABSENT) as usize;
        let removed = *self.entries.get(position)?;
        let last = self.entries.pop()?;
        if position == self.entries.len() {
            return Some(removed.key);
        }
        if last.key.is_before(removed.key) {
            self.sift_up(position, last);
        } else {
            self.sift_down(position, last);
        }
        Some(removed.key)
    }

    /// Puts `entry` at `position` or above it.
    #[inline]
    fn sift_up(&mut self, mut position: usize, entry: Entry) {
        while position > 0 {
            let parent = (position - 1) / CHILDREN;
            if !entry.key.is_before(self.entries[parent].key) {
                break;
            }
            self.place(position, self.entries[parent]);
            position = parent;
        }
        self.place(position, entry);
    }

    /// Puts `entry` at `position` or below it.
    fn sift_down(&mut self, mut position: usize, entry: Entry) {
        while let Some(child) = self.least_child(position) {
            if !self.entries[child].key.is_before(entry.key) {
                break;
            }
            self.place(position, self.entries[child]);
            position = child;
        }
        self.place(position, entry);
    }

    fn least_child(&self, position: usize) -> Option<usize> {
        let first = position * CHILDREN + 1;
        let end = (first + CHILDREN).min(self.entries.len());
        let mut children = first..end;
        let mut least = children.next()?;
        for child in children {
            if self.entries[child].key.is_before(self.entries[least].key) {
                least = child;
            }
        }
        Some(least)
    }

    #[expect(clippy::cast_possible_truncation, reason = "positions are below the number of u32 slots")]
    fn place(&mut self, position: usize, entry: Entry) {
        self.entries[position] = entry;
        self.positions[entry.slot as usize] = position as u32;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u32, u64),
        Remove(u32),
        Pop,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..40u32, 0..50u64).prop_map(|(slot, major)| Step::Insert(slot, major)),
            (0..40u32).prop_map(Step::Remove),
            Just(Step::Pop),
        ]
    }

    proptest! {
        #[test]
        fn behaves_like_a_sorted_map(steps in prop::collection::vec(step(), 0..200)) {
            let mut heap = SlotHeap::new();
            heap.try_reserve(40).unwrap();
            let mut model: BTreeMap<u128, u32> = BTreeMap::new();
            for (minor, step) in (0u64..).zip(steps) {
                match step {
                    Step::Insert(slot, major) if !model.values().any(|&known| known == slot) => {
                        heap.insert(slot, Key { major, minor });
                        model.insert(Key { major, minor }.wide(), slot);
                    }
                    Step::Insert(..) => {}
                    Step::Remove(slot) => {
                        let key = model.iter().find(|(_, known)| **known == slot).map(|(key, _)| *key);
                        key.map(|key| model.remove(&key));
                        prop_assert_eq!(heap.remove(slot).map(Key::wide), key);
                    }
                    Step::Pop => {
                        let expected = model.pop_first();
                        prop_assert_eq!(heap.pop().map(|(key, slot)| (key.wide(), slot)), expected);
                    }
                }
                prop_assert_eq!(heap.len(), model.len());
                let least = model.first_key_value().map(|(key, slot)| (*key, *slot));
                prop_assert_eq!(heap.peek().map(|(key, slot)| (key.wide(), slot)), least);
            }
        }
    }

    #[test]
    fn growing_keeps_the_contents() {
        let mut small = SlotHeap::new();
        small.try_reserve(2).unwrap();
        small.insert(1, Key { major: 5, minor: 0 });
        let mut large = SlotHeap::new();
        large.try_reserve(8).unwrap();
        large.copy_from(&small);
        large.insert(7, Key { major: 4, minor: 0 });
        assert_eq!(large.pop().map(|(_, slot)| slot), Some(7));
        assert_eq!(large.pop().map(|(_, slot)| slot), Some(1));
        assert_eq!((large.pop(), large.slots()), (None, 8));
    }
}
