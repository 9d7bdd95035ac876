//! What a disk does next: requests in the order of their sectors, adjacent ones as one.
//!
//! Reads go before writes, since somebody waits for them, but never more than twice in a row while writes wait; among each
//! the next sector upwards is taken, starting again at the bottom (C-LOOK), unless the oldest has waited too long: Linux's
//! `mq-deadline` with its numbers. The order among requests that overlap is nobody's promise, as on Linux: who needs one
//! waits. Nothing allocates after [`Elevator::try_with_capacity`].

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

/// How long a read may be passed by others.
pub const READ_PATIENCE_NS: u64 = 500_000_000;
/// The same of a write.
pub const WRITE_PATIENCE_NS: u64 = 5_000_000_000;
/// Rounds of reads while writes wait.
const ROUNDS_OF_READS: u32 = 2;
/// Requests in one round.
const ROUND: u32 = 16;

/// What kind of work a request is. Only requests of one kind become one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// From the disk.
    Read,
    /// To the disk.
    Write,
    /// To the disk, past its cache.
    DurableWrite,
    /// What the disk has in its cache; goes first, and all that wait become one.
    Flush,
    /// Anything else; goes before reads and writes and stays alone.
    Other,
}

/// The most that one request may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Sectors.
    pub sectors: u64,
    /// Pieces of memory.
    pub segments: usize,
}

/// What an elevator carries.
pub trait Item: Sized {
    /// What it is.
    fn class(&self) -> Class;
    /// Its first sector.
    fn start(&self) -> u64;
    /// Sectors.
    fn sectors(&self) -> u64;
    /// Pieces of memory.
    fn segments(&self) -> usize;
    /// Takes in a request that begins where this one ends.
    fn absorb(&mut self, later: Self);
}

#[derive(Debug)]
struct Entry<T> {
    item: T,
    since_ns: u64,
}

/// Requests that wait.
#[derive(Debug)]
pub struct Elevator<T> {
    /// By sector.
    reads: Vec<Entry<T>>,
    /// By sector.
    writes: Vec<Entry<T>>,
    /// By age.
    others: Vec<T>,
    /// The sector after the last request.
    head: u64,
    /// Requests of the present round.
    in_round: u32,
    /// Rounds of reads since the last write.
    rounds_of_reads: u32,
    is_writing: bool,
}

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Inserted {
    /// It waits by itself.
    Alone,
    /// It is part of another now.
    Merged,
}

impl<T: Item> Elevator<T> {
    /// An empty one, with room for `count` requests.
    ///
    /// # Errors
    /// Without memory.
    pub fn try_with_capacity(count: usize) -> Result<Self, TryReserveError> {
        let (mut reads, mut writes, mut others) = (Vec::new(), Vec::new(), Vec::new());
        reads.try_reserve_exact(count)?;
        writes.try_reserve_exact(count)?;
        others.try_reserve_exact(count)?;
        Ok(Elevator { reads, writes, others, head: 0, in_round: 0, rounds_of_reads: 0, is_writing: false })
    }

    /// Requests that wait.
    pub fn len(&self) -> usize {
        self.reads.len() + self.writes.len() + self.others.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a request, to another one if they fit together.
    ///
    /// # Errors
    /// The request, if there is no room.
    pub fn insert(&mut self, item: T, now_ns: u64, limits: &Limits) -> Result<Inserted, T> {
        let list = match item.class() {
            Class::Read => &mut self.reads,
            Class::Write | Class::DurableWrite => &mut self.writes,
            Class::Flush | Class::Other => return self.insert_other(item),
        };
        let place = list.partition_point(|entry| entry.item.start() <= item.start());
        // Behind the one before: that grows at its end, and may then touch the one after.
        if let Some(before) = place.checked_sub(1)
            && fit(&list[before].item, &item, limits)
        {
            list[before].item.absorb(item);
            if place < list.len() && fit(&list[before].item, &list[place].item, limits) {
                let after = list.remove(place);
                list[before].since_ns = list[before].since_ns.min(after.since_ns);
                list[before].item.absorb(after.item);
            }
            return Ok(Inserted::Merged);
        }
        if place < list.len() && fit(&item, &list[place].item, limits) {
            let entry = &mut list[place];
            let after = core::mem::replace(&mut entry.item, item);
            entry.item.absorb(after);
            return Ok(Inserted::Merged);
        }
        if list.len() == list.capacity() {
            return Err(item);
        }
        list.insert(place, Entry { item, since_ns: now_ns });
        Ok(Inserted::Alone)
    }

    fn insert_other(&mut self, item: T) -> Result<Inserted, T> {
        let twin = self.others.iter_mut().find(|_| item.class() == Class::Flush);
        if let Some(twin) = twin.filter(|twin| twin.class() == Class::Flush) {
            twin.absorb(item);
            return Ok(Inserted::Merged);
        }
        if self.others.len() == self.others.capacity() {
            return Err(item);
        }
        self.others.push(item);
        Ok(Inserted::Alone)
    }

    /// The request to do next.
    pub fn pop(&mut self, now_ns: u64) -> Option<T> {
        if !self.others.is_empty() {
            return Some(self.others.remove(0));
        }
        self.choose_direction(now_ns);
        let patience = if self.is_writing { WRITE_PATIENCE_NS } else { READ_PATIENCE_NS };
        let list = if self.is_writing { &mut self.writes } else { &mut self.reads };
        let oldest = list.iter().enumerate().min_by_key(|(_, entry)| entry.since_ns)?;
        let place = if now_ns.saturating_sub(oldest.1.since_ns) > patience {
            oldest.0
        } else {
            let upwards = list.partition_point(|entry| entry.item.start() < self.head);
            if upwards < list.len() { upwards } else { 0 }
        };
        let item = list.remove(place).item;
        self.head = item.start().saturating_add(item.sectors());
        self.in_round += 1;
        Some(item)
    }

    /// Whether reads or writes are next.
    fn choose_direction(&mut self, now_ns: u64) {
        let is_round_over = self.in_round >= ROUND
            || if self.is_writing { self.writes.is_empty() } else { self.reads.is_empty() };
        if !is_round_over {
            return;
        }
        self.in_round = 0;
        let late = |entry: &Entry<T>| now_ns.saturating_sub(entry.since_ns) > WRITE_PATIENCE_NS;
        let writes_are_due =
            self.rounds_of_reads >= ROUNDS_OF_READS || self.writes.iter().any(late) || self.reads.is_empty();
        self.is_writing = !self.writes.is_empty() && writes_are_due;
        self.rounds_of_reads = match self.is_writing || self.writes.is_empty() {
            true => 0,
            false => self.rounds_of_reads + 1,
        };
    }

    /// Takes any request out; for giving all of them up.
    pub fn take_any(&mut self) -> Option<T> {
        self.others
            .pop()
            .or_else(|| self.reads.pop().map(|entry| entry.item))
            .or_else(|| self.writes.pop().map(|entry| entry.item))
    }
}

/// Whether the two can be one request.
fn fit<T: Item>(first: &T, second: &T, limits: &Limits) -> bool {
    first.class() == second.class()
        && first.start().checked_add(first.sectors()) == Some(second.start())
        && first.sectors().saturating_add(second.sectors()) <= limits.sectors
        && first.segments().saturating_add(second.segments()) <= limits.segments
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    struct Work {
        class: Class,
        parts: Vec<(u64, u64, u32)>,
    }

    impl Item for Work {
        fn class(&self) -> Class {
            self.class
        }
        fn start(&self) -> u64 {
            self.parts[0].0
        }
        fn sectors(&self) -> u64 {
            self.parts.iter().map(|part| part.1).sum()
        }
        fn segments(&self) -> usize {
            self.parts.len()
        }
        fn absorb(&mut self, later: Self) {
            self.parts.extend(later.parts);
        }
    }

    const LIMITS: Limits = Limits { sectors: 64, segments: 4 };

    fn work(class: Class, start: u64, sectors: u64) -> Work {
        Work { class, parts: [(start, sectors, 0)].to_vec() }
    }

    fn elevator() -> Elevator<Work> {
        Elevator::try_with_capacity(64).unwrap()
    }

    fn starts(elevator: &mut Elevator<Work>) -> Vec<u64> {
        core::iter::from_fn(|| elevator.pop(0)).map(|work| work.start()).collect()
    }

    #[test]
    fn neighbours_become_one_from_both_sides() {
        let mut elevator = elevator();
        assert_eq!(elevator.insert(work(Class::Read, 8, 8), 0, &LIMITS), Ok(Inserted::Alone));
        assert_eq!(elevator.insert(work(Class::Read, 16, 8), 0, &LIMITS), Ok(Inserted::Merged));
        assert_eq!(elevator.insert(work(Class::Read, 0, 8), 0, &LIMITS), Ok(Inserted::Merged));
        let one = elevator.pop(0).unwrap();
        assert_eq!(one.parts, [(0, 8, 0), (8, 8, 0), (16, 8, 0)]);
        assert!(elevator.is_empty());
    }

    #[test]
    fn a_request_in_a_gap_joins_both_neighbours() {
        let mut elevator = elevator();
        for start in [0, 16, 8] {
            elevator.insert(work(Class::Write, start, 8), 0, &LIMITS).unwrap();
        }
        assert_eq!(elevator.pop(0).unwrap().sectors(), 24);
    }

    #[test]
    fn limits_and_kinds_keep_requests_apart() {
        let mut elevator = elevator();
        for (class, start, sectors) in [
            (Class::Write, 0, 60),
            (Class::Write, 60, 8),
            (Class::DurableWrite, 68, 8),
            (Class::Read, 76, 8),
            (Class::Read, 92, 8),
        ] {
            assert_eq!(elevator.insert(work(class, start, sectors), 0, &LIMITS), Ok(Inserted::Alone));
        }
        for start in 0..5 {
            elevator.insert(work(Class::Read, 200 + start, 1), 0, &LIMITS).unwrap();
        }
        assert_eq!(elevator.len(), 7, "the fifth of the small ones is one segment too many");
    }

    #[test]
    fn flushes_become_one_and_go_first() {
        let mut elevator = elevator();
        elevator.insert(work(Class::Read, 5, 1), 0, &LIMITS).unwrap();
        elevator.insert(work(Class::Flush, 0, 0), 0, &LIMITS).unwrap();
        assert_eq!(elevator.insert(work(Class::Flush, 0, 0), 0, &LIMITS), Ok(Inserted::Merged));
        let flush = elevator.pop(0).unwrap();
        assert_eq!((flush.class, flush.parts.len()), (Class::Flush, 2));
    }

    #[test]
    fn the_head_moves_upwards_and_starts_again() {
        let mut elevator = elevator();
        elevator.insert(work(Class::Read, 50, 1), 0, &LIMITS).unwrap();
        assert_eq!(elevator.pop(0).unwrap().start(), 50);
        for start in [10, 90, 30, 70] {
            elevator.insert(work(Class::Read, start, 1), 0, &LIMITS).unwrap();
        }
        assert_eq!(starts(&mut elevator), [70, 90, 10, 30]);
    }

    #[test]
    fn who_waited_too_long_is_next() {
        let mut elevator = elevator();
        elevator.insert(work(Class::Read, 90, 1), 0, &LIMITS).unwrap();
        elevator.insert(work(Class::Read, 10, 1), READ_PATIENCE_NS, &LIMITS).unwrap();
        assert_eq!(elevator.pop(READ_PATIENCE_NS + 1).unwrap().start(), 90);
    }

    #[test]
    fn writes_get_their_turn_among_reads() {
        let mut elevator = Elevator::try_with_capacity(200).unwrap();
        elevator.insert(work(Class::Write, 1000, 1), 0, &LIMITS).unwrap();
        for start in 0..100 {
            elevator.insert(work(Class::Read, start * 2, 1), 0, &LIMITS).unwrap();
        }
        let turn = starts(&mut elevator).iter().position(|&start| start == 1000).unwrap();
        assert!((16..=48).contains(&turn), "the write came as number {turn}");
    }

    #[test]
    fn a_full_one_gives_the_request_back() {
        let mut elevator = Elevator::try_with_capacity(1).unwrap();
        elevator.insert(work(Class::Read, 0, 1), 0, &LIMITS).unwrap();
        assert!(elevator.insert(work(Class::Read, 9, 1), 0, &LIMITS).is_err());
        assert!(elevator.insert(work(Class::Read, 1, 1), 0, &LIMITS).is_ok(), "a neighbour needs no room");
    }

    proptest! {
        /// Nothing is lost, doubled or taken apart, and what comes out keeps the limits and has no gaps.
        #[test]
        fn everything_comes_out_once(requests in proptest::collection::vec((0..4_u8, 0..64_u64, 1..9_u64), 1..60)) {
            let mut elevator = elevator();
            for (number, &(class, start, sectors)) in requests.iter().enumerate() {
                let class = [Class::Read, Class::Write, Class::DurableWrite, Class::Other][usize::from(class)];
                let number = u32::try_from(number).unwrap();
                let item = Work { class, parts: [(start, sectors, number)].to_vec() };
                elevator.insert(item, u64::from(number), &LIMITS).unwrap();
            }
            let mut seen = BTreeSet::new();
            while let Some(done) = elevator.pop(1000) {
                prop_assert!(done.sectors() <= LIMITS.sectors && done.segments() <= LIMITS.segments);
                for pair in done.parts.windows(2) {
                    prop_assert_eq!(pair[0].0 + pair[0].1, pair[1].0);
                }
                for part in &done.parts {
                    prop_assert!(seen.insert(part.2));
                }
            }
            prop_assert_eq!(seen.len(), requests.len());
        }
    }
}
