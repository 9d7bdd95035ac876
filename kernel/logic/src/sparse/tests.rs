//! Against a map of the standard library.

use alloc::collections::BTreeMap;
use std::vec::Vec;

use proptest::prelude::*;

use super::Sparse;

#[derive(Clone, Debug)]
enum Step {
    Insert(u64),
    Remove(u64),
    Cut(u64),
}

fn index() -> impl Strategy<Value = u64> {
    prop_oneof![0..10u64, 0..300u64, 4000..4200u64, any::<u64>(), Just(u64::MAX), Just(1 << 51)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => index().prop_map(Step::Insert),
        4 => index().prop_map(Step::Remove),
        1 => index().prop_map(Step::Cut),
    ]
}

proptest! {
    #[test]
    fn it_is_a_map(steps in prop::collection::vec(step(), 1..120), asked in prop::collection::vec(index(), 8)) {
        let mut sparse = Sparse::new();
        let mut map = BTreeMap::new();
        for (value, step) in steps.into_iter().enumerate() {
            match step {
                Step::Insert(index) => {
                    prop_assert_eq!(sparse.insert(index, value).unwrap(), map.insert(index, value));
                }
                Step::Remove(index) => prop_assert_eq!(sparse.remove(index), map.remove(&index)),
                Step::Cut(index) => prop_assert_eq!(sparse.cut(index), map.split_off(&index).len()),
            }
            prop_assert_eq!(sparse.len(), map.len());
            prop_assert_eq!(sparse.is_empty(), map.is_empty());
            for &index in &asked {
                prop_assert_eq!(sparse.get(index), map.get(&index));
                prop_assert_eq!(sparse.next(index), map.range(index..).next().map(|(&index, value)| (index, value)));
            }
        }
        let all: Vec<_> = sparse.iter().map(|(index, &value)| (index, value)).collect();
        prop_assert_eq!(all, map.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn one_thing_far_away_is_found_from_the_start() {
    let mut sparse = Sparse::new();
    sparse.insert(u64::MAX, 'x').unwrap();
    assert_eq!(sparse.next(0), Some((u64::MAX, &'x')));
    assert_eq!(sparse.get(0), None);
    assert_eq!(sparse.cut(u64::MAX), 1);
    assert!(sparse.is_empty());
}
