//! The per-CPU list of single frames in front of the buddy allocator.
//!
//! A stack: the frame freed last is handed out first, while it is still in this CPU's cache. `hal` owns one a
//! CPU and touches it with interrupts off and no lock; a zone's lock is taken once a batch. This module
//! decides how much moves; `hal` moves it.

use crate::addr::FrameNo;

/// Frames a cache holds at most.
pub const CAPACITY: usize = 64;

/// Frames to fetch from a zone when the cache is empty: few, for most bursts are short.
pub const REFILL_BATCH: usize = 16;

/// Frames to give back when the cache is full: half, so that neither direction follows at once.
pub const DRAIN_BATCH: usize = 32;

/// A stack of single frames.
#[derive(Debug)]
pub struct FrameCache {
    count: usize,
    frames: [FrameNo; CAPACITY],
}

impl Default for FrameCache {
    fn default() -> Self {
        Self::new()
    }
}

impl FrameCache {
    /// An empty cache.
    pub const fn new() -> Self {
        Self { count: 0, frames: [FrameNo::new(0); CAPACITY] }
    }

    /// Takes the frame that was put in last. `None` asks the caller to refill first.
    #[inline]
    pub fn pop(&mut self) -> Option<FrameNo> {
        let last = self.count.checked_sub(1)?;
        let frame = *self.frames.get(last)?;
        self.count = last;
        Some(frame)
    }

    /// Puts a frame in.
    ///
    /// # Errors
    /// Hands the frame back when the cache is full; the caller drains it first.
    #[inline]
    pub fn push(&mut self, frame: FrameNo) -> Result<(), FrameNo> {
        let Some(slot) = self.frames.get_mut(self.count) else {
            return Err(frame);
        };
        *slot = frame;
        self.count += 1;
        Ok(())
    }

    /// How many frames to push now, zero while there are any left.
    pub const fn refill_wanted(&self) -> usize {
        if self.count == 0 { REFILL_BATCH } else { 0 }
    }

    /// Takes the frames that have waited longest out: [`DRAIN_BATCH`] of them, or all when there are fewer.
    /// They are in the slice until the next call; give them to their zones.
    pub fn take_batch(&mut self) -> &[FrameNo] {
        self.take_oldest(DRAIN_BATCH)
    }

    /// Takes all frames out: for memory pressure and a CPU that goes offline.
    pub fn take_all(&mut self) -> &[FrameNo] {
        self.take_oldest(CAPACITY)
    }

    /// Frames in the cache.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether the cache holds no frame.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Rotates the oldest frames to the top, just past the shortened stack.
    fn take_oldest(&mut self, wanted: usize) -> &[FrameNo] {
        let taken = wanted.min(self.count);
        let Some(held) = self.frames.get_mut(..self.count) else {
            return &[];
        };
        held.rotate_left(taken);
        self.count -= taken;
        self.frames.get(self.count..self.count + taken).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn the_oldest_half_leaves_a_full_cache() {
        let mut cache = FrameCache::new();
        for number in 0..64 {
            cache.push(FrameNo::new(number)).unwrap();
        }
        assert_eq!(cache.push(FrameNo::new(64)), Err(FrameNo::new(64)));
        let batch: Vec<_> = cache.take_batch().iter().map(|frame| frame.get()).collect();
        assert_eq!(batch, (0..32).collect::<Vec<_>>());
        assert_eq!(cache.pop(), Some(FrameNo::new(63)));
        assert_eq!((cache.len(), cache.refill_wanted()), (31, 0));
    }

    #[test]
    fn an_empty_cache_asks_for_a_batch() {
        let mut cache = FrameCache::new();
        assert_eq!((cache.pop(), cache.refill_wanted()), (None, REFILL_BATCH));
        assert!(cache.take_all().is_empty());
    }

    proptest! {
        #[test]
        fn agrees_with_a_vector(steps in prop::collection::vec(0u8..100, 0..300)) {
            let (mut cache, mut model) = (FrameCache::new(), Vec::new());
            for (number, step) in (0u32..).zip(steps) {
                match step {
                    0..60 => match cache.push(FrameNo::new(number)) {
                        Ok(()) => model.push(FrameNo::new(number)),
                        Err(_) => prop_assert_eq!(model.len(), CAPACITY),
                    },
                    60..95 => prop_assert_eq!(cache.pop(), model.pop()),
                    95..98 => {
                        let oldest: Vec<_> = model.drain(..model.len().min(DRAIN_BATCH)).collect();
                        prop_assert_eq!(cache.take_batch(), oldest);
                    }
                    _ => prop_assert_eq!(cache.take_all(), core::mem::take(&mut model)),
                }
                prop_assert_eq!(cache.len(), model.len());
            }
        }
    }
}
