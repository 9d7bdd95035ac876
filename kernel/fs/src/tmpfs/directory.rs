//! The names of one directory, and the order in which they are listed.
//!
//! A name keeps the position it got when it was made, so a listing that goes on after changes gives each name that was
//! there all the time exactly once.

use alloc::boxed::Box;
use core::hash::BuildHasher;

use abi::{Errno, Result};
use hashbrown::{DefaultHashBuilder, HashTable};
use logic::sparse::Sparse;

use super::copied;

/// Positions of `.` and `..`; names follow.
const FIRST: u64 = 2;

/// Names of things `T`.
#[derive(Debug)]
pub(super) struct Directory<T> {
    records: Sparse<Record<T>>,
    /// Positions by hash of the name.
    positions: HashTable<u64>,
    hasher: DefaultHashBuilder,
    next: u64,
    /// The inode number of the directory above.
    pub(super) parent: u64,
    /// It is being removed, or has been: no name is added any more.
    pub(super) is_claimed: bool,
}

#[derive(Debug)]
struct Record<T> {
    name: Box<[u8]>,
    thing: T,
}

impl<T: Clone> Directory<T> {
    pub(super) fn new(parent: u64) -> Self {
        Directory {
            records: Sparse::new(),
            positions: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            next: FIRST,
            parent,
            is_claimed: false,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// The position behind all names.
    pub(super) fn end(&self) -> u64 {
        self.next
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    fn position(&self, name: &[u8]) -> Option<u64> {
        let is_it = |&position: &u64| self.records.get(position).is_some_and(|record| *record.name == *name);
        self.positions.find(self.hasher.hash_one(name), is_it).copied()
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<&T> {
        self.records.get(self.position(name)?).map(|record| &record.thing)
    }

    /// Adds a name.
    ///
    /// # Errors
    /// EEXIST, ENOMEM; ENOENT if the directory is being removed.
    pub(super) fn add(&mut self, name: &[u8], thing: T) -> Result<()> {
        if self.is_claimed {
            return Err(Errno::ENOENT);
        }
        if self.position(name).is_some() {
            return Err(Errno::EEXIST);
        }
        let Self { records, positions, hasher, next, .. } = self;
        let hash_of =
            |&position: &u64| records.get(position).map_or(0, |record| hasher.hash_one(&*record.name));
        positions.try_reserve(1, hash_of).map_err(|_| Errno::ENOMEM)?;
        let record = Record { name: copied(name)?, thing };
        records.insert(*next, record).map_err(|_| Errno::ENOMEM)?;
        // There is room: nothing is hashed again.
        positions.insert_unique(hasher.hash_one(name), *next, |_| 0);
        *next += 1;
        Ok(())
    }

    /// Lets `name`, which is there, stand for another thing; the old one comes back.
    pub(super) fn replace(&mut self, name: &[u8], thing: T) -> Option<T> {
        let position = self.position(name)?;
        let record = self.records.get_mut(position)?;
        Some(core::mem::replace(&mut record.thing, thing))
    }

    pub(super) fn remove(&mut self, name: &[u8]) -> Option<T> {
        let position = self.position(name)?;
        if let Ok(entry) = self.positions.find_entry(self.hasher.hash_one(name), |&other| other == position) {
            entry.remove();
        }
        self.records.remove(position).map(|record| record.thing)
    }

    /// Takes all names.
    pub(super) fn take(&mut self) -> Self {
        core::mem::replace(self, Self::new(self.parent))
    }

    /// Takes out any of the things.
    pub(super) fn pop(&mut self) -> Option<T> {
        self.positions.clear();
        let (position, _) = self.records.next(0)?;
        self.records.remove(position).map(|record| record.thing)
    }

    /// The name at `position` or the first after it: its position, itself and its thing.
    pub(super) fn next(&self, position: u64) -> Option<(u64, &[u8], &T)> {
        let (position, record) = self.records.next(position)?;
        Some((position, &record.name, &record.thing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names from `position` on, at most `count`, and where it stopped.
    fn list(directory: &Directory<u32>, mut position: u64, count: usize) -> (Vec<u32>, u64) {
        let mut things = Vec::new();
        while things.len() < count
            && let Some((at, _, thing)) = directory.next(position)
        {
            things.push(*thing);
            position = at + 1;
        }
        (things, position)
    }

    #[test]
    fn names_are_found_replaced_and_removed() {
        let mut directory = Directory::new(1);
        for number in 0..1000u32 {
            directory.add(number.to_string().as_bytes(), number).unwrap();
        }
        assert_eq!(directory.add(b"7", 1), Err(Errno::EEXIST));
        assert_eq!(directory.get(b"999"), Some(&999));
        assert_eq!(directory.get(b"1000"), None);
        assert_eq!(directory.replace(b"500", 5), Some(500));
        assert_eq!(directory.remove(b"500"), Some(5));
        assert_eq!(directory.remove(b"500"), None);
        assert_eq!(directory.len(), 999);
        while directory.pop().is_some() {}
        assert!(directory.is_empty());
    }

    #[test]
    fn a_listing_goes_on_where_it_was_whatever_changed() {
        let mut directory = Directory::new(1);
        for number in 0..20u32 {
            directory.add(number.to_string().as_bytes(), number).unwrap();
        }
        let (first, position) = list(&directory, 0, 10);
        assert_eq!(first, (0..10).collect::<Vec<_>>());
        for gone in [3, 9, 10, 15] {
            directory.remove(gone.to_string().as_bytes()).unwrap();
        }
        directory.add(b"3", 103).unwrap();
        let (rest, end) = list(&directory, position, 100);
        assert_eq!(rest, [11, 12, 13, 14, 16, 17, 18, 19, 103]);
        assert_eq!(list(&directory, end, 100).0, []);
    }

    #[test]
    fn a_claimed_directory_takes_no_names() {
        let mut directory = Directory::new(1);
        directory.is_claimed = true;
        assert_eq!(directory.add(b"name", 1u32), Err(Errno::ENOENT));
    }
}
