//! Numbers of objects: a place in a table, and how often places were used again above it, so that an old number does not
//! soon mean another object.

use alloc::vec::Vec;

use abi::{Errno, Result};

/// Places there can be (Linux's `IPCMNI`).
pub const PLACES: usize = 32_768;

/// Objects by number.
#[derive(Debug)]
pub struct Ids<T> {
    places: Vec<Option<(i32, T)>>,
    sequence: usize,
    last: Option<usize>,
}

impl<T> Default for Ids<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Ids<T> {
    /// None.
    pub const fn new() -> Self {
        Ids { places: Vec::new(), sequence: 0, last: None }
    }

    /// Gives a new object, which `make` makes of its number, the lowest free place.
    ///
    /// # Errors
    /// ENOSPC if there are `limit` objects, ENOMEM.
    pub fn insert(&mut self, limit: usize, make: impl FnOnce(i32) -> T) -> Result<i32> {
        let place = self.places.iter().position(Option::is_none).unwrap_or(self.places.len());
        if self.len() >= limit.min(PLACES) || place >= PLACES {
            return Err(Errno::ENOSPC);
        }
        if place == self.places.len() {
            self.places.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            self.places.push(None);
        }
        if self.last.is_some_and(|last| place <= last) {
            self.sequence = (self.sequence + 1) % (1 << 16);
        }
        self.last = Some(place);
        let number = i32::try_from(self.sequence * PLACES + place).map_err(|_| Errno::ENOSPC)?;
        let value = make(number);
        if let Some(slot) = self.places.get_mut(place) {
            *slot = Some((number, value));
        }
        Ok(number)
    }

    fn place(number: i32) -> Result<usize> {
        usize::try_from(number).map(|number| number % PLACES).map_err(|_| Errno::EINVAL)
    }

    /// The object with this number.
    ///
    /// # Errors
    /// EINVAL.
    pub fn get(&self, number: i32) -> Result<&T> {
        match self.places.get(Self::place(number)?) {
            Some(Some((own, value))) if *own == number => Ok(value),
            _ => Err(Errno::EINVAL),
        }
    }

    /// The same, to change it.
    ///
    /// # Errors
    /// EINVAL.
    pub fn get_mut(&mut self, number: i32) -> Result<&mut T> {
        match self.places.get_mut(Self::place(number)?) {
            Some(Some((own, value))) if *own == number => Ok(value),
            _ => Err(Errno::EINVAL),
        }
    }

    /// The number of the object in a place: for those who list all.
    ///
    /// # Errors
    /// EINVAL.
    pub fn number_at(&self, place: i32) -> Result<i32> {
        let place = usize::try_from(place).map_err(|_| Errno::EINVAL)?;
        self.places.get(place).and_then(Option::as_ref).map(|(number, _)| *number).ok_or(Errno::EINVAL)
    }

    /// Takes an object out.
    ///
    /// # Errors
    /// EINVAL.
    pub fn remove(&mut self, number: i32) -> Result<T> {
        self.get(number)?;
        let slot = self.places.get_mut(Self::place(number)?).and_then(Option::take);
        slot.map(|(_, value)| value).ok_or(Errno::EINVAL)
    }

    /// All of them by place.
    pub fn iter(&self) -> impl Iterator<Item = (i32, &T)> {
        self.places.iter().flatten().map(|(number, value)| (*number, value))
    }

    /// The highest place in use, 0 if none is.
    pub fn highest(&self) -> usize {
        self.places.iter().rposition(Option::is_some).unwrap_or(0)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.iter().flatten().count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_numbers_mean_nothing() {
        let mut ids = Ids::new();
        assert_eq!(ids.insert(10, |_| 'a'), Ok(0));
        assert_eq!(ids.insert(10, |_| 'b'), Ok(1));
        assert_eq!(ids.remove(0), Ok('a'));
        assert_eq!(ids.insert(10, |_| 'c'), Ok(32_768));
        assert_eq!((ids.get(0), ids.get(32_768), ids.get(1)), (Err(Errno::EINVAL), Ok(&'c'), Ok(&'b')));
        assert_eq!(ids.insert(10, |_| 'd'), Ok(32_768 + 2));
        assert_eq!((ids.number_at(2), ids.number_at(3), ids.highest()), (Ok(32_770), Err(Errno::EINVAL), 2));
        assert_eq!(ids.get(-1), Err(Errno::EINVAL));
        assert_eq!(ids.remove(77), Err(Errno::EINVAL));
        assert_eq!(ids.insert(3, |_| 'e'), Err(Errno::ENOSPC));
    }

    #[test]
    fn the_sequence_wraps_within_positive_numbers() {
        let mut ids = Ids::new();
        for _ in 0..70_000 {
            let number = ids.insert(1, |number| number).unwrap();
            assert!(number >= 0);
            assert_eq!(ids.remove(number), Ok(number));
        }
    }
}
