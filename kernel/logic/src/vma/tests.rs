//! The map against a model: an array of pages, each with its owner.

use super::*;
use crate::addr::to_usize;
use proptest::prelude::*;
use std::vec::Vec;

/// A file, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source(u8, u64);

impl Backing for Source {
    fn continues(&self, next: &Self, distance: u64) -> bool {
        self.0 == next.0 && self.1 + distance == next.1
    }

    fn advanced(&self, distance: u64) -> Self {
        Source(self.0, self.1 + distance)
    }
}

fn area(range: Range<u64>, source: Source, rights: Rights) -> Area<Source> {
    Area {
        start: range.start * PAGE_SIZE,
        end: range.end * PAGE_SIZE,
        rights,
        allowed: rights,
        sharing: Sharing::Private,
        growth: Growth::Fixed,
        is_locked: false,
        at_fork: AtFork::Copied,
        backing: source,
    }
}

const PAGES: u64 = 32;

#[derive(Clone, Debug)]
enum Step {
    Insert { start: u64, len: u64, file: u8, offset: u64 },
    Remove { start: u64, len: u64 },
    Protect { start: u64, len: u64, write: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let range = || (0..PAGES, 1..8_u64);
    prop_oneof![
        (range(), 0..2_u8, 0..3_u64).prop_map(|((start, len), file, offset)| Step::Insert {
            start,
            len,
            file,
            offset: offset * PAGE_SIZE
        }),
        range().prop_map(|(start, len)| Step::Remove { start, len }),
        (range(), any::<bool>()).prop_map(|((start, len), write)| Step::Protect { start, len, write }),
    ]
}

type Model = Vec<Option<(u8, u64, bool)>>;

fn page_of(map: &AreaMap<Source>, page: u64) -> Option<(u8, u64, bool)> {
    let found = map.find(page * PAGE_SIZE)?;
    let Source(file, offset) = found.backing_at(page * PAGE_SIZE);
    Some((file, offset, found.rights.write))
}

fn apply(map: &mut AreaMap<Source>, model: &mut Model, step: &Step) {
    let range = |start: u64, len: u64| start..(start + len).min(PAGES);
    let bytes = |range: &Range<u64>| range.start * PAGE_SIZE..range.end * PAGE_SIZE;
    let slots = |range: &Range<u64>| to_usize(range.start)..to_usize(range.end);
    match *step {
        Step::Insert { start, len, file, offset } => {
            let range = range(start, len);
            let is_free = model[slots(&range)].iter().all(Option::is_none);
            let added = map.insert(area(range.clone(), Source(file, offset), Rights::READ_WRITE));
            assert_eq!(added.is_ok(), is_free);
            if is_free {
                for (page, slot) in (0..).zip(&mut model[slots(&range)]) {
                    *slot = Some((file, offset + page * PAGE_SIZE, true));
                }
            }
        }
        Step::Remove { start, len } => {
            let range = range(start, len);
            let mut pages = 0;
            map.remove(bytes(&range), |area| pages += area.len() / PAGE_SIZE).unwrap();
            let there = model[slots(&range)].iter().flatten().count();
            assert_eq!(pages, there as u64);
            model[slots(&range)].fill(None);
        }
        Step::Protect { start, len, write } => {
            let range = range(start, len);
            map.change(bytes(&range), |area| area.rights.write = write).unwrap();
            model[slots(&range)].iter_mut().flatten().for_each(|page| page.2 = write);
        }
    }
}

proptest! {
    #[test]
    fn the_map_is_the_model(steps in prop::collection::vec(step(), 0..60)) {
        let mut map = AreaMap::new();
        let mut model: Model = std::vec![None; to_usize(PAGES)];
        for step in &steps {
            apply(&mut map, &mut model, step);
            for page in 0..PAGES {
                prop_assert_eq!(page_of(&map, page), model[to_usize(page)], "page {} after {:?}", page, step);
            }
            let areas: Vec<_> = map.iter().collect();
            for pair in areas.windows(2) {
                prop_assert!(pair[0].end <= pair[1].start);
                prop_assert!(!pair[0].is_continued_by(pair[1]), "neighbours were not merged");
            }
            prop_assert_eq!(map.total() / PAGE_SIZE, model.iter().flatten().count() as u64);
        }
    }

    #[test]
    fn gaps_are_free_and_the_outermost(
        steps in prop::collection::vec(step(), 0..30),
        len in 1..6_u64,
        align in 0..3_u32,
    ) {
        let mut map = AreaMap::new();
        let mut model: Model = std::vec![None; to_usize(PAGES)];
        steps.iter().for_each(|step| apply(&mut map, &mut model, step));
        let is_place = |start: u64| {
            start.is_multiple_of(1 << align)
                && start + len <= PAGES
                && model[to_usize(start)..to_usize(start + len)].iter().all(Option::is_none)
        };
        let bounds = 0..PAGES * PAGE_SIZE;
        let highest = map.highest_gap(len * PAGE_SIZE, PAGE_SIZE << align, bounds.clone(), 0);
        prop_assert_eq!(highest.map(|at| at / PAGE_SIZE), (0..PAGES).rev().find(|&start| is_place(start)));
        let lowest = map.lowest_gap(len * PAGE_SIZE, PAGE_SIZE << align, bounds, 0);
        prop_assert_eq!(lowest.map(|at| at / PAGE_SIZE), (0..PAGES).find(|&start| is_place(start)));
    }
}

#[test]
fn a_stack_keeps_its_distance_and_grows() {
    let mut map = AreaMap::new();
    let mut stack = area(20..22, Source(0, 0), Rights::READ_WRITE);
    stack.growth = Growth::Down;
    map.insert(stack).unwrap();
    let bounds = 0..22 * PAGE_SIZE;
    assert_eq!(map.highest_gap(PAGE_SIZE, PAGE_SIZE, bounds, 4 * PAGE_SIZE), Some(15 * PAGE_SIZE));
    map.grow_down(19 * PAGE_SIZE, 18 * PAGE_SIZE);
    assert_eq!(map.find(18 * PAGE_SIZE).unwrap().len(), 4 * PAGE_SIZE);
    assert_eq!(map.total(), 4 * PAGE_SIZE);
    assert!(map.covers(18 * PAGE_SIZE..22 * PAGE_SIZE) && !map.covers(17 * PAGE_SIZE..19 * PAGE_SIZE));
    assert_eq!(map.surroundings(3 * PAGE_SIZE..4 * PAGE_SIZE), 0..18 * PAGE_SIZE);
}
