//! The allocator against a set of allocated blocks, and its own structure against what the tags promise.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::vec::Vec;

fn order(number: u8) -> Order {
    Order::new(number).unwrap()
}

fn frame(number: u32) -> FrameNo {
    FrameNo::new(number)
}

fn range(start: u32, end: u32) -> FrameRange {
    FrameRange::new(frame(start), frame(end))
}

/// Every list, count, tag and bit agrees with every other, and no two free buddies stand side by side.
fn check(zone: &Zone<'_>) {
    let mut free = 0;
    for order in Order::all() {
        let (mut index, mut previous, mut count) = (zone.heads[order.slot()], NONE, 0);
        while index != NONE {
            let record = zone.frames[index as usize];
            assert_eq!((record.tag, record.prev), (Tag::free(order), previous));
            let number = zone.base + index;
            assert_eq!(number % order.frames(), 0);
            for tail in index + 1..index + order.frames() {
                assert_eq!(zone.frames[tail as usize].tag, Tag::TAIL);
            }
            let buddy = (number ^ order.frames()).wrapping_sub(zone.base);
            if order < Order::MAX
                && let Some(buddy) = zone.frames.get(buddy as usize)
            {
                assert_ne!(buddy.tag, Tag::free(order), "free buddies of order {order:?} at {number}");
            }
            (previous, index, count) = (index, record.next, count + 1);
        }
        assert_eq!(zone.free_blocks(order), count);
        assert_eq!(zone.nonempty & order.frames() != 0, count != 0);
        free += count * order.frames();
    }
    assert_eq!(zone.free_frames(), free);
}

#[test]
fn a_record_is_twelve_bytes_and_zero_is_absent() {
    assert_eq!(size_of::<Frame>(), 12);
    assert_eq!(Tag::default(), Tag::ABSENT);
}

#[test]
fn orders_hold_what_they_say() {
    assert_eq!(Order::new(11), None);
    assert_eq!(Order::holding(0), None);
    assert_eq!(Order::holding(1), Some(Order::ZERO));
    assert_eq!(Order::holding(513), Some(Order::MAX));
    assert_eq!(Order::holding(1025), None);
    assert_eq!(Order::holding(u64::MAX), None);
    assert_eq!(Order::all().count(), Order::COUNT);
}

#[test]
fn blocks_are_aligned_in_physical_memory_and_not_in_the_zone() {
    let mut records = std::vec![Frame::ABSENT; 3000];
    let mut zone = Zone::new(frame(7), &mut records).unwrap();
    zone.add_range(range(7, 3007)).unwrap();
    check(&zone);
    assert_eq!(zone.largest_order(), Some(Order::MAX));
    assert_eq!(zone.alloc(Order::MAX).unwrap().get() % 1024, 0);
    assert_eq!(zone.free_frames(), 3000 - 1024);
}

#[test]
fn every_wrong_free_is_named_and_changes_nothing() {
    let mut records = std::vec![Frame::ABSENT; 64];
    let mut zone = Zone::new(frame(64), &mut records).unwrap();
    zone.add_range(range(64, 96)).unwrap();
    let block = zone.alloc(order(2)).unwrap();
    let before = zone.free_frames();
    let inside = frame(block.get() + 1);
    assert_eq!(zone.free(block, order(3)), Err(FreeError::WrongOrder(order(2))));
    assert_eq!(zone.free(inside, Order::ZERO), Err(FreeError::NotBlockStart));
    assert_eq!(zone.free(frame(100), Order::ZERO), Err(FreeError::Absent));
    assert_eq!(zone.free(frame(63), Order::ZERO), Err(FreeError::NotOwned));
    assert_eq!(zone.free(frame(128), Order::ZERO), Err(FreeError::NotOwned));
    assert_eq!(zone.free_frames(), before);
    assert_eq!(zone.free(block, order(2)), Ok(()));
    assert_eq!(zone.free(block, order(2)), Err(FreeError::DoubleFree));
    assert_eq!(zone.free(inside, Order::ZERO), Err(FreeError::DoubleFree));
    check(&zone);
}

#[test]
fn a_split_block_is_freed_page_by_page_and_merges_again() {
    let mut records = std::vec![Frame::ABSENT; 1024];
    let mut zone = Zone::new(frame(1024), &mut records).unwrap();
    zone.add_range(range(1024, 2048)).unwrap();
    let block = zone.alloc(Order::HUGE_PAGE).unwrap();
    zone.split_allocated(block, Order::HUGE_PAGE).unwrap();
    for number in block.get()..block.get() + 512 {
        zone.free(frame(number), Order::ZERO).unwrap();
    }
    check(&zone);
    assert_eq!(zone.free_blocks(Order::MAX), 1);
}

#[test]
fn ranges_join_across_calls_and_are_refused_twice() {
    let mut records = std::vec![Frame::ABSENT; 1024];
    let mut zone = Zone::new(frame(0), &mut records).unwrap();
    zone.add_range(range(0, 300)).unwrap();
    zone.add_range(range(300, 1024)).unwrap();
    assert_eq!(zone.free_blocks(Order::MAX), 1);
    assert_eq!(zone.add_range(range(1023, 1024)), Err(AddError::AlreadyPresent));
    assert_eq!(zone.add_range(range(1023, 1025)), Err(AddError::OutsideZone));
    assert_eq!(zone.add_range(range(5, 5)), Ok(()));
    assert_eq!(zone.present_frames(), 1024);
}

#[test]
fn a_zone_past_the_last_frame_number_is_refused() {
    let mut records = std::vec![Frame::ABSENT; 16];
    assert!(Zone::new(frame(u32::MAX - 8), &mut records).is_none());
    assert!(Zone::new(frame(u32::MAX - 16), &mut records).is_some());
}

#[derive(Clone, Debug)]
enum Step {
    Alloc(u8),
    FreeNth(usize),
    FreeAny(u32, u8),
    SplitNth(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u8..=10).prop_map(|o| Step::Alloc(o.min(10) / 2)),
        3 => any::<usize>().prop_map(Step::FreeNth),
        1 => (any::<u32>(), 0u8..=10).prop_map(|(f, o)| Step::FreeAny(f % 4000, o)),
        1 => any::<usize>().prop_map(Step::SplitNth),
        1 => (5u8..=10).prop_map(Step::Alloc),
    ];
    prop::collection::vec(step, 1..120)
}

/// The blocks that are out, by first frame.
type Model = BTreeMap<u32, Order>;

fn apply(zone: &mut Zone<'_>, model: &mut Model, step: &Step) {
    match *step {
        Step::Alloc(size) => {
            let size = order(size);
            let Some(block) = zone.alloc(size) else {
                return assert!(zone.largest_order() < Some(size));
            };
            let end = block.get() + size.frames();
            let clash = model.range(..end).next_back();
            assert!(clash.is_none_or(|(start, order)| start + order.frames() <= block.get()));
            model.insert(block.get(), size);
        }
        Step::FreeNth(nth) => {
            if let Some((&start, &size)) = model.iter().nth(nth % model.len().max(1)) {
                zone.free(frame(start), size).unwrap();
                model.remove(&start);
            }
        }
        Step::FreeAny(number, size) => {
            let is_right = model.get(&number) == Some(&order(size));
            assert_eq!(zone.free(frame(number), order(size)).is_ok(), is_right);
            if is_right {
                model.remove(&number);
            }
        }
        Step::SplitNth(nth) => {
            if let Some((&start, &size)) = model.iter().nth(nth % model.len().max(1)) {
                zone.split_allocated(frame(start), size).unwrap();
                model.extend((start..start + size.frames()).map(|number| (number, Order::ZERO)));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn agrees_with_a_set_of_blocks(steps in steps(), base in 0u32..1500, hole in 0u32..1400) {
        let mut records = std::vec![Frame::ABSENT; 2500];
        let mut zone = Zone::new(frame(base), &mut records).unwrap();
        zone.add_range(range(base, base + hole)).unwrap();
        zone.add_range(range(base + hole + 100, base + 2500)).unwrap();
        check(&zone);
        let mut model = Model::new();
        for step in &steps {
            apply(&mut zone, &mut model, step);
        }
        check(&zone);
        let out: u32 = model.values().map(|order| order.frames()).sum();
        prop_assert_eq!(zone.free_frames() + out, zone.present_frames());
        let fresh: Vec<_> = {
            let mut records = std::vec![Frame::ABSENT; 2500];
            let mut other = Zone::new(frame(base), &mut records).unwrap();
            other.add_range(range(base, base + hole)).unwrap();
            other.add_range(range(base + hole + 100, base + 2500)).unwrap();
            Order::all().map(|order| other.free_blocks(order)).collect()
        };
        for (start, size) in model {
            zone.free(frame(start), size).unwrap();
        }
        let merged: Vec<_> = Order::all().map(|order| zone.free_blocks(order)).collect();
        prop_assert_eq!(merged, fresh);
    }
}
