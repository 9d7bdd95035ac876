use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::addr::to_usize;

const BYTES: usize = 24;

fn lock(owner: u8, first: u64, last: u64, kind: Kind) -> Held<u8> {
    Held { owner, range: Range { first, last }, kind, pid: u32::from(owner) }
}

#[test]
fn ranges_are_what_the_manual_page_says() {
    let range = |base, start, len| Range::of(base, start, len).map(|range| (range.first, range.last));
    assert_eq!(range(0, 0, 0), Ok((0, LAST)));
    assert_eq!(range(100, -10, 5), Ok((90, 94)));
    assert_eq!(range(0, 10, -10), Ok((0, 9)));
    assert_eq!(range(0, 10, -11), Err(Errno::EINVAL));
    assert_eq!(range(5, -6, 1), Err(Errno::EINVAL));
    assert_eq!(range(0, i64::MAX, 1), Ok((LAST, LAST)));
    assert_eq!(range(0, i64::MAX, 2), Err(Errno::EOVERFLOW));
    assert_eq!(range(1, i64::MAX, 0), Err(Errno::EOVERFLOW));
    assert_eq!(range(0, 0, i64::MIN), Err(Errno::EINVAL));
    assert_eq!((Range::WHOLE.len(), Range { first: 3, last: 3 }.len()), (0, 1));
}

#[test]
fn the_middle_of_a_lock_can_go() {
    let mut locks = Locks::new();
    locks.set(lock(1, 0, 99, Kind::Exclusive)).unwrap();
    locks.set(lock(1, 40, 59, Kind::Shared)).unwrap();
    assert!(locks.clear(1, Range { first: 45, last: 46 }).unwrap());
    let ranges: Vec<_> = locks.iter().map(|held| (held.range.first, held.range.last)).collect();
    assert_eq!(ranges, [(0, 39), (40, 44), (47, 59), (60, 99)]);
    assert!(!locks.clear(2, Range::WHOLE).unwrap());
    assert!(locks.forget(1) && locks.is_empty() && !locks.forget(1));
}

#[test]
fn a_circle_is_seen_however_long() {
    let mut waiters = Waiters::new();
    let waits = |number: u8| Waiter {
        number: number.into(),
        file: (0, 0),
        wanted: lock(number, 0, 0, Kind::Exclusive),
        holder: number + 1,
    };
    for number in 1..200 {
        assert!(!waiters.closes_circle(number, number + 1), "{number}");
        waiters.note(waits(number)).unwrap();
    }
    assert!(waiters.closes_circle(200, 1));
    assert!(!waiters.closes_circle(200, 201));
    waiters.forget(100);
    assert!(!waiters.closes_circle(200, 1));
    assert_eq!(waiters.iter().count(), 198);
    waiters.let_go((0, 1), 100);
    waiters.let_go((0, 0), 150);
    assert_eq!(waiters.iter().count(), 197);
}

#[test]
fn an_owner_may_wait_several_times() {
    let mut waiters = Waiters::new();
    for (number, holder) in [(1, 8), (2, 9)] {
        waiters.note(Waiter { number, file: (0, 0), wanted: lock(1, 0, 0, Kind::Shared), holder }).unwrap();
    }
    assert!(waiters.closes_circle(9, 1) && waiters.closes_circle(8, 1));
    // The same one again only moves it.
    waiters.note(Waiter { number: 2, file: (0, 0), wanted: lock(1, 0, 0, Kind::Shared), holder: 7 }).unwrap();
    assert!(!waiters.closes_circle(9, 1) && waiters.closes_circle(7, 1));
}

fn kinds() -> impl Strategy<Value = Option<Kind>> {
    prop_oneof![Just(None), Just(Some(Kind::Shared)), Just(Some(Kind::Exclusive))]
}

proptest! {
    /// Each owner's locks against an array with a cell for each byte.
    #[test]
    fn locks_are_what_an_array_of_bytes_says(
        steps in prop::collection::vec((0..3u8, 0..BYTES as u64, 0..BYTES as u64, kinds()), 1..80),
    ) {
        let mut locks = Locks::new();
        let mut model = [[None; BYTES]; 3];
        for (owner, one, other, kind) in steps {
            let range = Range { first: one.min(other), last: one.max(other) };
            let cells = to_usize(range.first)..=to_usize(range.last);
            let blocks = |kind: Kind, held: Option<Kind>| {
                held.is_some_and(|held| kind == Kind::Exclusive || held == Kind::Exclusive)
            };
            let is_blocked = kind.is_some_and(|kind| {
                (0..3).filter(|&at| at != usize::from(owner)).any(|at| {
                    model[at][cells.clone()].iter().any(|&held| blocks(kind, held))
                })
            });
            match kind {
                Some(kind) => {
                    let wanted = Held { owner, range, kind, pid: 1 };
                    prop_assert_eq!(locks.conflict(&wanted).is_some(), is_blocked);
                    if is_blocked {
                        continue;
                    }
                    locks.set(wanted).unwrap();
                }
                None => {
                    let had = model[usize::from(owner)][cells.clone()].iter().any(Option::is_some);
                    prop_assert_eq!(locks.clear(owner, range), Ok(had));
                }
            }
            model[usize::from(owner)][cells].fill(kind);
            let mut shown = [[None; BYTES]; 3];
            for held in locks.iter() {
                for at in held.range.first..=held.range.last {
                    let cell = &mut shown[usize::from(held.owner)][to_usize(at)];
                    prop_assert!(cell.is_none(), "two locks of one owner overlap");
                    *cell = Some(held.kind);
                }
            }
            prop_assert_eq!(&shown, &model);
            // Equal neighbours are one, and all are in order.
            let all: Vec<_> = locks.iter().copied().collect();
            prop_assert!(all.is_sorted_by_key(|held| held.range.first));
            for (index, held) in all.iter().enumerate() {
                let next = all[index + 1..].iter().find(|next| next.owner == held.owner);
                let is_one = next.is_some_and(|next| next.kind == held.kind && next.range.first == held.range.last + 1);
                prop_assert!(!is_one);
            }
        }
    }
}
