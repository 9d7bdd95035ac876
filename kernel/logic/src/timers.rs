//! One-shot timers of one processor, ordered by deadline.
//!
//! The kernel arms the hardware for [`TimerQueue::next_deadline`] and takes what is due with
//! [`TimerQueue::pop_expired`], under the processor's timer lock. Equal deadlines fire in the order of
//! insertion. Nothing allocates except [`TimerQueue::try_reserve`]. A heap and not a timing wheel:
//! deadlines are exact, there are few timers a processor, and no tick turns the wheel.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use crate::heap::{Key, SlotHeap};

const NONE: u32 = u32::MAX;

/// Names one insertion; harmless once the timer has fired or was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerId {
    slot: u32,
    generation: u32,
}

/// There was no room: [`TimerQueue::try_reserve`] was not called for this timer. Holds the token.
#[derive(Debug, PartialEq, Eq)]
pub struct Full<T>(pub T);

#[derive(Debug)]
struct Record<T> {
    token: Option<T>,
    generation: u32,
    next_free: u32,
}

/// The pending timers of one processor; `T` says what to do when one fires.
#[derive(Debug)]
pub struct TimerQueue<T> {
    records: Vec<Record<T>>,
    free: u32,
    pending: SlotHeap,
    sequence: u64,
}

impl<T> Default for TimerQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> TimerQueue<T> {
    /// A queue without room for any timer.
    #[must_use]
    pub const fn new() -> Self {
        Self { records: Vec::new(), free: NONE, pending: SlotHeap::new(), sequence: 0 }
    }

    /// A queue with room for `timers` timers, to be [`Self::adopt`]ed or used as it is.
    ///
    /// # Errors
    /// Without memory.
    pub fn try_with_capacity(timers: usize) -> Result<Self, TryReserveError> {
        let mut queue = Self::new();
        queue.try_reserve(timers)?;
        Ok(queue)
    }

    /// Makes room for `timers` timers in all. Allocates; under a spin lock use [`Self::adopt`].
    ///
    /// # Errors
    /// Without memory; the timers stay as they were.
    pub fn try_reserve(&mut self, timers: usize) -> Result<(), TryReserveError> {
        self.pending.try_reserve(timers)?;
        let missing = timers.saturating_sub(self.records.len());
        self.records.try_reserve_exact(missing)?;
        for _ in 0..missing {
            let Ok(slot) = u32::try_from(self.records.len()) else { break };
            self.records.push(Record { token: None, generation: 0, next_free: self.free });
            self.free = slot;
        }
        Ok(())
    }

    /// Moves into the room of `larger`, an unused queue, without allocating. It holds the old room
    /// afterwards, to be dropped outside the lock; one that is no larger is left alone.
    pub fn adopt(&mut self, larger: &mut Self) {
        if larger.capacity() <= self.capacity() || !larger.is_empty() {
            return;
        }
        let moved = self.records.len();
        for (new, old) in larger.records.iter_mut().zip(&mut self.records) {
            core::mem::swap(new, old);
        }
        larger.free = self.free;
        for slot in moved..larger.records.len() {
            larger.records[slot].next_free = larger.free;
            larger.free = u32::try_from(slot).unwrap_or(NONE);
        }
        larger.pending.copy_from(&self.pending);
        larger.sequence = self.sequence;
        core::mem::swap(self, larger);
    }

    /// How many timers there is room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.records.len()
    }

    /// How many timers are pending.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether no timer is pending.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Adds a timer that is due at `deadline_ns`.
    ///
    /// # Errors
    /// Without room; the token comes back.
    pub fn insert(&mut self, deadline_ns: u64, token: T) -> Result<TimerId, Full<T>> {
        let slot = self.free;
        let Some(record) = self.records.get_mut(slot as usize) else { return Err(Full(token)) };
        self.free = record.next_free;
        record.token = Some(token);
        self.sequence += 1;
        self.pending.insert(slot, Key { major: deadline_ns, minor: self.sequence });
        Ok(TimerId { slot, generation: record.generation })
    }

    /// Takes a pending timer out. `None` if it fired or was cancelled before.
    pub fn cancel(&mut self, id: TimerId) -> Option<T> {
        let record = self.records.get(id.slot as usize)?;
        if record.token.is_none() || record.generation != id.generation {
            return None;
        }
        self.pending.remove(id.slot)?;
        self.release(id.slot)
    }

    /// When the next timer is due.
    #[inline]
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        self.pending.peek().map(|(key, _)| key.major)
    }

    /// Takes out the next timer that is due at `now_ns`.
    pub fn pop_expired(&mut self, now_ns: u64) -> Option<(TimerId, T)> {
        let (key, slot) = self.pending.peek()?;
        if key.major > now_ns {
            return None;
        }
        self.pending.pop()?;
        let generation = self.records.get(slot as usize)?.generation;
        Some((TimerId { slot, generation }, self.release(slot)?))
    }

    fn release(&mut self, slot: u32) -> Option<T> {
        let record = self.records.get_mut(slot as usize)?;
        record.generation = record.generation.wrapping_add(1);
        record.next_free = self.free;
        self.free = slot;
        record.token.take()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_deadlines_fire_in_order_of_insertion() {
        let mut timers = TimerQueue::try_with_capacity(100).unwrap();
        for token in 0..100 {
            timers.insert(5, token).unwrap();
        }
        assert_eq!(timers.pop_expired(4), None);
        for token in 0..100 {
            assert_eq!(timers.pop_expired(5).map(|(_, token)| token), Some(token));
        }
    }

    #[test]
    fn stale_ids_are_harmless() {
        let mut timers = TimerQueue::try_with_capacity(1).unwrap();
        let first = timers.insert(1, 'a').unwrap();
        assert_eq!(timers.insert(1, 'b'), Err(Full('b')));
        assert_eq!(timers.pop_expired(1), Some((first, 'a')));
        let second = timers.insert(2, 'b').unwrap();
        assert_eq!(timers.cancel(first), None);
        assert_eq!(timers.cancel(second), Some('b'));
        assert_eq!(timers.cancel(second), None);
        assert_eq!(timers.next_deadline(), None);
    }

    #[test]
    fn adopting_more_room_keeps_timers_and_ids() {
        let mut timers = TimerQueue::try_with_capacity(2).unwrap();
        let first = timers.insert(9, 'a').unwrap();
        timers.insert(9, 'b').unwrap();
        let mut larger = TimerQueue::try_with_capacity(4).unwrap();
        timers.adopt(&mut larger);
        assert_eq!((timers.capacity(), larger.capacity()), (4, 2));
        timers.insert(9, 'c').unwrap();
        timers.insert(8, 'd').unwrap();
        assert!(timers.insert(8, 'e').is_err());
        assert_eq!(timers.cancel(first), Some('a'));
        let order: std::string::String =
            core::iter::from_fn(|| timers.pop_expired(9)).map(|(_, token)| token).collect();
        assert_eq!(order, "dbc");
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64),
        Cancel(usize),
        Advance(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0..1000u64).prop_map(Step::Insert),
            1 => (0..100usize).prop_map(Step::Cancel),
            1 => (0..100u64).prop_map(Step::Advance),
        ]
    }

    proptest! {
        #[test]
        fn behaves_like_a_sorted_map(steps in prop::collection::vec(step(), 0..200)) {
            let mut timers = TimerQueue::try_with_capacity(32).unwrap();
            let mut model = BTreeMap::new();
            let mut ids = Vec::new();
            let mut now = 0;
            for step in steps {
                match step {
                    Step::Insert(delay) => match timers.insert(now + delay, ids.len()) {
                        Ok(id) => {
                            model.insert((now + delay, ids.len()), ());
                            ids.push((id, now + delay));
                        }
                        Err(Full(_)) => prop_assert_eq!(model.len(), 32),
                    },
                    Step::Cancel(token) => if let Some(&(id, deadline)) = ids.get(token) {
                        let expected = model.remove(&(deadline, token)).map(|()| token);
                        prop_assert_eq!(timers.cancel(id), expected);
                    },
                    Step::Advance(time) => {
                        now += time;
                        while let Some((id, token)) = timers.pop_expired(now) {
                            prop_assert_eq!(ids[token].0, id);
                            prop_assert_eq!(model.pop_first().map(|((_, token), ())| token), Some(token));
                        }
                    }
                }
                prop_assert_eq!(timers.len(), model.len());
                let next = model.keys().next().map(|key| key.0);
                prop_assert_eq!(timers.next_deadline(), next);
            }
        }
    }
}
