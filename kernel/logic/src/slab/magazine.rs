//! Per-CPU stacks of free objects, so that most allocations take no lock.
//!
//! Two magazines instead of one of double size: after either has been exchanged, at least a whole magazine of
//! allocations and of frees fits before the slabs are asked again, whatever the mix (Bonwick and Adams,
//! section 3.1). `hal` touches a pair with interrupts off.

/// Objects in a magazine.
pub const MAGAZINE_CAPACITY: usize = 32;

/// A stack of object addresses.
#[derive(Debug)]
pub struct Magazine {
    count: usize,
    objects: [usize; MAGAZINE_CAPACITY],
}

impl Default for Magazine {
    fn default() -> Self {
        Self::new()
    }
}

impl Magazine {
    /// An empty magazine.
    pub const fn new() -> Self {
        Self { count: 0, objects: [0; MAGAZINE_CAPACITY] }
    }

    /// Takes the object that was put in last.
    #[inline]
    pub fn pop(&mut self) -> Option<usize> {
        let last = self.count.checked_sub(1)?;
        let object = *self.objects.get(last)?;
        self.count = last;
        Some(object)
    }

    /// Puts an object in.
    ///
    /// # Errors
    /// Hands it back when the magazine is full.
    #[inline]
    pub fn push(&mut self, object: usize) -> Result<(), usize> {
        let Some(slot) = self.objects.get_mut(self.count) else {
            return Err(object);
        };
        *slot = object;
        self.count += 1;
        Ok(())
    }

    /// Whether no object fits any more.
    pub const fn is_full(&self) -> bool {
        self.count == MAGAZINE_CAPACITY
    }

    /// Whether no object is left.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Takes all objects out; they are in the slice until the next call.
    pub fn take_all(&mut self) -> &[usize] {
        let count = core::mem::take(&mut self.count);
        self.objects.get(..count).unwrap_or_default()
    }
}

/// A CPU's two magazines of one size class.
#[derive(Debug, Default)]
pub struct MagazinePair {
    loaded: Magazine,
    previous: Magazine,
}

impl MagazinePair {
    /// Two empty magazines.
    pub const fn new() -> Self {
        Self { loaded: Magazine::new(), previous: Magazine::new() }
    }

    /// Takes an object. `None` when both magazines are empty: fill [`MagazinePair::refill`] and pop again.
    #[inline]
    pub fn pop(&mut self) -> Option<usize> {
        if let Some(object) = self.loaded.pop() {
            return Some(object);
        }
        if self.previous.is_empty() {
            return None;
        }
        self.exchange();
        self.loaded.pop()
    }

    /// Puts an object in.
    ///
    /// # Errors
    /// Hands it back when both magazines are full: free what [`MagazinePair::spill`] returns and push again.
    #[inline]
    pub fn push(&mut self, object: usize) -> Result<(), usize> {
        if self.loaded.push(object).is_ok() {
            return Ok(());
        }
        if self.previous.is_full() {
            return Err(object);
        }
        self.exchange();
        self.loaded.push(object)
    }

    /// The magazine to push objects into after `pop` found nothing.
    pub const fn refill(&mut self) -> &mut Magazine {
        &mut self.loaded
    }

    /// Empties the magazine whose objects have waited longer and makes room in it. The objects are in the
    /// slice until the next call.
    pub fn spill(&mut self) -> &[usize] {
        self.exchange();
        self.loaded.take_all()
    }

    /// Takes everything out, one magazine after the other: for memory pressure and a CPU that goes offline.
    pub fn magazines(&mut self) -> [&mut Magazine; 2] {
        [&mut self.loaded, &mut self.previous]
    }

    #[cold]
    const fn exchange(&mut self) {
        core::mem::swap(&mut self.loaded, &mut self.previous);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn a_pair_takes_two_magazines_and_spills_the_older() {
        let mut pair = MagazinePair::new();
        for object in 0..64 {
            pair.push(object).unwrap();
        }
        assert_eq!(pair.push(64), Err(64));
        assert_eq!(pair.spill(), (0..32).collect::<Vec<_>>());
        assert_eq!(pair.push(64), Ok(()));
        assert_eq!((pair.pop(), pair.pop()), (Some(64), Some(63)));
    }

    #[test]
    fn after_an_exchange_a_whole_magazine_fits_both_ways() {
        let mut pair = MagazinePair::new();
        assert_eq!(pair.pop(), None);
        (0..32).for_each(|object| pair.refill().push(object).unwrap());
        for object in 0..32 {
            pair.push(100 + object).unwrap();
        }
        assert_eq!((0..64).map_while(|_| pair.pop()).count(), 64);
    }

    proptest! {
        #[test]
        fn no_object_is_lost_or_doubled(pushes in prop::collection::vec(any::<bool>(), 0..600)) {
            let mut pair = MagazinePair::new();
            let mut model = Vec::new();
            for (object, is_push) in pushes.into_iter().enumerate() {
                if is_push {
                    if pair.push(object).is_err() {
                        for spilled in pair.spill() {
                            let place = model.iter().position(|held| held == spilled).unwrap();
                            model.swap_remove(place);
                        }
                        pair.push(object).unwrap();
                    }
                    model.push(object);
                } else if let Some(popped) = pair.pop() {
                    let place = model.iter().position(|&held| held == popped).unwrap();
                    model.swap_remove(place);
                } else {
                    prop_assert!(model.is_empty());
                }
            }
            let left: usize = pair.magazines().map(|magazine| magazine.take_all().len()).iter().sum();
            prop_assert_eq!(left, model.len());
        }
    }
}
