//! A list of fixed capacity for results that exist before there is a heap.

use core::ops::Deref;

/// At most `N` values, used as a slice.
#[derive(Clone, Debug)]
pub struct List<T, const N: usize> {
    values: [T; N],
    count: usize,
}

impl<T: Copy, const N: usize> List<T, N> {
    /// An empty list; `filler` stands in the unused places.
    pub(super) const fn new(filler: T) -> Self {
        Self { values: [filler; N], count: 0 }
    }

    /// Adds a value at the end, or gives it back when the list is full.
    pub(super) fn push(&mut self, value: T) -> Result<(), T> {
        let Some(slot) = self.values.get_mut(self.count) else {
            return Err(value);
        };
        *slot = value;
        self.count += 1;
        Ok(())
    }
}

impl<T, const N: usize> Deref for List<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.values.get(..self.count).unwrap_or_default()
    }
}
