//! Tests of the descriptor table.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const LIMIT: u32 = 150;

fn table(count: u32) -> FdTable<u32> {
    let mut table = FdTable::new();
    for value in 0..count {
        assert_eq!(table.insert(value, 0, OnExec::Keep, LIMIT), Ok(value));
    }
    table
}

#[test]
fn the_lowest_free_number_is_taken() {
    let mut table = table(5);
    assert_eq!((table.remove(3), table.remove(1)), (Ok(3), Ok(1)));
    assert_eq!(table.remove(1), Err(Errno::EBADF));
    assert_eq!(table.insert(10, 2, OnExec::Keep, LIMIT), Ok(3));
    assert_eq!(table.insert(11, 0, OnExec::Keep, LIMIT), Ok(1));
    assert_eq!(table.insert(12, 0, OnExec::Keep, LIMIT), Ok(5));
    assert_eq!(table.insert(13, 100, OnExec::Keep, LIMIT), Ok(100));
    assert_eq!(table.len(), 7);
}

#[test]
fn the_limit_is_never_reached() {
    let mut table = table(3);
    assert_eq!(table.insert(9, 0, OnExec::Keep, 3), Err(Errno::EMFILE));
    assert_eq!(table.insert(9, 7, OnExec::Keep, 7), Err(Errno::EMFILE));
    assert_eq!(table.insert(9, u32::MAX, OnExec::Keep, u32::MAX), Err(Errno::EMFILE));
    assert_eq!(table.replace(3, 9, OnExec::Keep, 3), Err(Errno::EBADF));
    // What is above a lowered limit stays usable.
    assert_eq!(table.get(2), Ok(&2));
}

#[test]
fn a_reserved_number_is_neither_free_nor_open() {
    let mut table = table(1);
    let reserved = table.reserve(0, OnExec::Close, LIMIT).unwrap();
    assert_eq!(reserved.number(), 1);
    assert_eq!(table.get(1), Err(Errno::EBADF));
    assert_eq!(table.remove(1), Err(Errno::EBADF));
    assert_eq!(table.replace(1, 9, OnExec::Keep, LIMIT), Err(Errno::EBUSY));
    assert_eq!(table.insert(7, 0, OnExec::Keep, LIMIT), Ok(2));
    assert_eq!(table.close_on_exec().next(), None);
    assert_eq!(table.remove_range(1..=1).next(), None);
    assert_eq!(table.try_clone().unwrap().insert(8, 0, OnExec::Keep, LIMIT), Ok(1));
    assert_eq!(table.publish(reserved, 6), 1);
    assert_eq!((table.get(1), table.on_exec(1), table.len()), (Ok(&6), Ok(OnExec::Close), 3));
    let cancelled = table.reserve(0, OnExec::Keep, LIMIT).unwrap();
    table.cancel(cancelled);
    assert_eq!(table.insert(5, 0, OnExec::Keep, LIMIT), Ok(3));
}

#[test]
fn dup2_replaces_what_was_there_and_its_flag() {
    let mut table = table(2);
    table.set_on_exec(1, OnExec::Close).unwrap();
    assert_eq!(table.replace(1, 9, OnExec::Keep, LIMIT), Ok(Some(1)));
    assert_eq!((table.get(1), table.on_exec(1)), (Ok(&9), Ok(OnExec::Keep)));
    assert_eq!(table.replace(70, 8, OnExec::Close, LIMIT), Ok(None));
    assert_eq!(table.insert(7, 0, OnExec::Keep, LIMIT), Ok(2));
    assert_eq!(table.len(), 4);
}

#[test]
fn exec_closes_what_is_marked() {
    let mut table = table(100);
    table.set_range_on_exec(10..=12, OnExec::Close);
    table.set_range_on_exec(99..=u32::MAX, OnExec::Close);
    assert_eq!(table.close_on_exec().next(), Some(10));
    assert_eq!(table.close_on_exec().collect::<Vec<_>>(), [11, 12, 99]);
    assert_eq!(table.len(), 96);
    assert_eq!(table.on_exec(11), Err(Errno::EBADF));
}

#[test]
fn a_range_is_removed_in_order() {
    let mut table = table(100);
    table.remove(40).unwrap();
    assert_eq!(table.remove_range(39..=42).collect::<Vec<_>>(), [39, 41, 42]);
    assert_eq!(table.remove_range(0..=u32::MAX).count(), 96);
    assert!(table.is_empty() && table.next_open(0).is_none());
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u32),
    Replace(u32),
    Remove(u32),
    Mark(u32),
    Exec,
    Fork,
}

fn step() -> impl Strategy<Value = Step> {
    let fd = || prop_oneof![0..8u32, 0..LIMIT + 2];
    prop_oneof![
        8 => fd().prop_map(Step::Insert),
        2 => fd().prop_map(Step::Replace),
        4 => fd().prop_map(Step::Remove),
        2 => fd().prop_map(Step::Mark),
        1 => Just(Step::Exec),
        1 => Just(Step::Fork),
    ]
}

type Model = BTreeMap<u32, (usize, OnExec)>;

fn apply(table: &mut FdTable<usize>, model: &mut Model, step: &Step, value: usize) {
    let on_exec = if value.is_multiple_of(3) { OnExec::Close } else { OnExec::Keep };
    match *step {
        Step::Insert(from) => {
            let free = (from..LIMIT).find(|fd| !model.contains_key(fd)).ok_or(Errno::EMFILE);
            assert_eq!(table.insert(value, from, on_exec, LIMIT), free);
            model.extend(free.map(|fd| (fd, (value, on_exec))));
        }
        Step::Replace(fd) if fd >= LIMIT => {
            assert_eq!(table.replace(fd, value, on_exec, LIMIT), Err(Errno::EBADF));
        }
        Step::Replace(fd) => {
            let old = model.insert(fd, (value, on_exec)).map(|old| old.0);
            assert_eq!(table.replace(fd, value, on_exec, LIMIT), Ok(old));
        }
        Step::Remove(fd) => {
            let old = model.remove(&fd).map(|old| old.0);
            assert_eq!(table.remove(fd), old.ok_or(Errno::EBADF));
        }
        Step::Mark(fd) => {
            let known = model.get_mut(&fd).map(|entry| entry.1 = OnExec::Close);
            assert_eq!(table.set_on_exec(fd, OnExec::Close), known.ok_or(Errno::EBADF));
        }
        Step::Exec => {
            let closed = table.close_on_exec().collect::<Vec<_>>();
            let is_marked = |entry: &(usize, OnExec)| entry.1 == OnExec::Close;
            let expected = model.values().filter(|entry| is_marked(entry)).map(|entry| entry.0);
            assert_eq!(closed, expected.collect::<Vec<_>>());
            model.retain(|_, entry| !is_marked(entry));
        }
        Step::Fork => *table = table.try_clone().unwrap(),
    }
}

proptest! {
    #[test]
    fn behaves_like_a_map(steps in prop::collection::vec(step(), 0..300)) {
        let (mut table, mut model) = (FdTable::new(), Model::new());
        for (value, step) in steps.iter().enumerate() {
            apply(&mut table, &mut model, step, value);
            prop_assert_eq!(table.len(), model.len());
        }
        let all = table.iter().map(|(fd, &value)| (fd, (value, table.on_exec(fd).unwrap())));
        prop_assert_eq!(all.collect::<Model>(), model);
    }
}
