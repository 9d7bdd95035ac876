//! The map against a model of one kind per byte.

use super::*;
use proptest::prelude::*;
use std::vec::Vec;

const KINDS: [MemoryKind; 7] = [
    MemoryKind::Usable,
    MemoryKind::LoaderReclaimable,
    MemoryKind::AcpiReclaimable,
    MemoryKind::Taken,
    MemoryKind::AcpiNvs,
    MemoryKind::Reserved,
    MemoryKind::Bad,
];

fn at(address: u64) -> PhysAddr {
    PhysAddr::new(address)
}

fn spans<const N: usize>(map: &MemoryMap<N>) -> Vec<(u64, u64)> {
    map.usable().map(|region| (region.start.get(), region.end.get())).collect()
}

/// What QEMU's `-m 128` reports.
fn qemu() -> MemoryMap {
    let mut map = MemoryMap::new();
    map.push(at(0x10_0000), at(0x7fe_0000), MemoryKind::Usable).unwrap();
    map.push(at(0), at(0x9_fc00), MemoryKind::Usable).unwrap();
    map.push(at(0x9_fc00), at(0xa_0000), MemoryKind::Reserved).unwrap();
    map.push(at(0xf_0000), at(0x10_0000), MemoryKind::Reserved).unwrap();
    map.push(at(0x7fe_0000), at(0x800_0000), MemoryKind::Reserved).unwrap();
    map
}

#[test]
fn unsorted_entries_come_out_sorted_in_whole_pages() {
    assert_eq!(spans(&qemu()), [(0, 0x9_f000), (0x10_0000, 0x7fe_0000)]);
    assert_eq!(qemu().total_usable(), 0x9_f000 + 0x7ee_0000);
}

#[test]
fn the_more_restrictive_kind_wins_in_either_order() {
    for order in [[MemoryKind::Usable, MemoryKind::Reserved], [MemoryKind::Reserved, MemoryKind::Usable]] {
        let mut map = MemoryMap::<8>::new();
        for kind in order {
            let (start, end) = if kind == MemoryKind::Usable { (0, 0x4000) } else { (0x1800, 0x2800) };
            map.push(at(start), at(end), kind).unwrap();
        }
        assert_eq!(spans(&map), [(0, 0x1000), (0x3000, 0x4000)]);
    }
}

#[test]
fn usable_neighbours_that_meet_inside_a_page_keep_it() {
    let mut map = MemoryMap::<4>::new();
    map.push(at(0x1800), at(0x3000), MemoryKind::Usable).unwrap();
    map.push(at(0), at(0x1800), MemoryKind::Usable).unwrap();
    assert_eq!(spans(&map), [(0, 0x3000)]);
    assert_eq!(map.regions().len(), 1);
}

#[test]
fn a_full_table_is_an_error_and_changes_nothing() {
    let mut map = MemoryMap::<2>::new();
    map.push(at(0), at(0x3000), MemoryKind::Usable).unwrap();
    assert_eq!(map.reserve(at(0x1000), at(0x2000)), Err(MapError::TableFull));
    assert_eq!(spans(&map), [(0, 0x3000)]);
    assert_eq!(map.push(at(2), at(1), MemoryKind::Bad), Err(MapError::EndsBeforeStart));
    assert_eq!(map.push(at(2), at(2), MemoryKind::Bad), Ok(()));
}

#[test]
fn early_allocations_come_from_the_top_and_never_overlap() {
    let mut map = qemu();
    assert_eq!(map.take(0x1000, 0x20_0000, at(u64::MAX)), Ok(at(0x7e0_0000)));
    assert_eq!(map.take(1, 1, at(u64::MAX)), Ok(at(0x7fd_f000)));
    assert_eq!(map.take(0x1000, 1, at(0x10_0000)), Ok(at(0x9_e000)));
    assert_eq!(map.take(u64::MAX, 1, at(u64::MAX)), Err(MapError::NoRoom));
    assert_eq!(map.find_top_down(0x1000, 1 << 63, at(u64::MAX)), Some(at(0)));
}

#[test]
fn mem_cuts_ram_at_an_address() {
    let mut map = qemu();
    map.push(at(0x300_0000), at(0x500_0000), MemoryKind::LoaderReclaimable).unwrap();
    map.limit(0x400_0000).unwrap();
    assert_eq!(spans(&map), [(0, 0x9_f000), (0x10_0000, 0x300_0000)]);
    map.reclaim(MemoryKind::LoaderReclaimable);
    assert_eq!(spans(&map), [(0, 0x9_f000), (0x10_0000, 0x400_0000)]);
}

#[test]
fn ram_includes_what_was_taken_and_what_comes_back() {
    let mut map = qemu();
    map.reserve(at(0x20_0000), at(0x30_0123)).unwrap();
    map.push(at(0x7fd_0000), at(0x7fe_0000), MemoryKind::AcpiReclaimable).unwrap();
    let ram: Vec<_> = map.ram().map(|region| (region.start.get(), region.end.get())).collect();
    assert_eq!(ram, [(0, 0x9_f000), (0x10_0000, 0x7fe_0000)]);
}

#[test]
fn frames_beyond_sixteen_tebibytes_are_left_out() {
    let region = |start, end| Region { start: at(start), end: at(end), kind: MemoryKind::Usable };
    assert_eq!(region(0x800, 0x3800).frames().len(), 2);
    assert!(region(0x800, 0x1800).frames().is_empty());
    assert!(region(16 << 40, 17 << 40).frames().is_empty());
    assert_eq!(region(15 << 40, u64::MAX).frames().len(), (1 << 28) - 1);
    assert!(region(0, 0x800).frames().is_empty());
}

fn entries() -> impl Strategy<Value = Vec<(usize, usize, usize)>> {
    prop::collection::vec((0usize..600, 0usize..200, 0usize..KINDS.len()), 0..20)
}

/// The model works in units of a quarter page.
const UNIT: u64 = PAGE_SIZE / 4;

fn model(entries: &[(usize, usize, usize)]) -> Vec<Option<MemoryKind>> {
    let mut units = std::vec![None; 800];
    for &(start, len, kind) in entries {
        for unit in &mut units[start..start + len] {
            *unit = (*unit).max(Some(KINDS[kind]));
        }
    }
    units
}

fn built(entries: &[(usize, usize, usize)]) -> MemoryMap {
    let mut map = MemoryMap::new();
    for &(start, len, kind) in entries {
        map.push(at(start as u64 * UNIT), at((start + len) as u64 * UNIT), KINDS[kind]).unwrap();
    }
    map
}

proptest! {
    #[test]
    fn agrees_with_a_map_of_units(entries in entries()) {
        let (map, units) = (built(&entries), model(&entries));
        for pair in map.regions().windows(2) {
            prop_assert!(pair[0].end <= pair[1].start);
            prop_assert!(pair[0].end < pair[1].start || pair[0].kind != pair[1].kind);
        }
        for (index, &unit) in units.iter().enumerate() {
            let address = at(index as u64 * UNIT);
            let found = map.regions().iter().find(|r| r.start <= address && address < r.end);
            prop_assert_eq!(found.map(|r| r.kind), unit);
        }
        let whole = units.chunks(4).filter(|page| page.iter().all(|&u| u == Some(MemoryKind::Usable)));
        prop_assert_eq!(map.total_usable(), whole.count() as u64 * PAGE_SIZE);
    }

    #[test]
    fn what_is_taken_was_usable_and_is_no_longer(entries in entries(), len in 0u64..0x6000, shift in 0u32..16) {
        let mut map = built(&entries);
        let before = map.clone();
        if let Ok(start) = map.take(len, 1 << shift, at(0x9_0000)) {
            let end = start.get() + len.max(1);
            prop_assert!(start.is_aligned(1 << shift) && end <= 0x9_0000);
            prop_assert!(before.usable().any(|r| r.start <= start && end <= r.end.get()));
            prop_assert!(map.usable().all(|r| end <= r.start.get() || r.end <= start));
            prop_assert_eq!(map.total_usable(), before.total_usable() - align_up(len.max(1), PAGE_SIZE).unwrap());
        }
    }

    #[test]
    fn no_input_panics(entries in prop::collection::vec((any::<u64>(), any::<u64>(), 0usize..7), 0..40), limit: u64) {
        let mut map = MemoryMap::<16>::new();
        for (start, end, kind) in entries {
            let _ = map.push(at(start), at(end), KINDS[kind]);
        }
        let _ = map.take(limit, 1 << (limit & 63), at(limit));
        let _ = (map.limit(limit), map.total_usable(), map.ram().count());
        map.usable().for_each(|r| { r.frames(); });
    }
}
