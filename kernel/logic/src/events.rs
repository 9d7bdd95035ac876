//! The last 32 small events of a processor, for the report of a crash.

/// How many events are remembered.
pub const CAPACITY: usize = 32;

/// Something that happened; `K` says what kind of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<K> {
    /// When.
    pub time_ns: u64,
    /// What.
    pub kind: K,
    /// The details; their meaning depends on the kind.
    pub arguments: [u64; 2],
}

/// A ring of the latest events; recording one is a handful of stores.
#[derive(Clone, Debug)]
pub struct EventRing<K> {
    events: [Option<Event<K>>; CAPACITY],
    recorded: u64,
}

impl<K: Copy> Default for EventRing<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Copy> EventRing<K> {
    /// A ring without events.
    #[must_use]
    pub const fn new() -> Self {
        Self { events: [None; CAPACITY], recorded: 0 }
    }

    /// Remembers an event in place of the oldest.
    pub fn record(&mut self, time_ns: u64, kind: K, arguments: [u64; 2]) {
        self.events[slot_of(self.recorded)] = Some(Event { time_ns, kind, arguments });
        self.recorded = self.recorded.wrapping_add(1);
    }

    /// How many events were ever recorded.
    #[must_use]
    pub const fn recorded(&self) -> u64 {
        self.recorded
    }

    /// The events remembered, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Event<K>> {
        let (newer, older) = self.events.split_at(slot_of(self.recorded));
        older.iter().chain(newer).flatten()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the remainder is below 32")]
const fn slot_of(sequence: u64) -> usize {
    (sequence % CAPACITY as u64) as usize
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_last_events_come_back_in_order(count in 0..200u64) {
            let mut ring = EventRing::new();
            for number in 0..count {
                ring.record(number, 'e', [number, 0]);
            }
            let times: Vec<u64> = ring.iter().map(|event| event.time_ns).collect();
            let expected: Vec<u64> = (count.saturating_sub(CAPACITY as u64)..count).collect();
            prop_assert_eq!(times, expected);
            prop_assert_eq!(ring.recorded(), count);
        }
    }
}
