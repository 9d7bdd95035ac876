//! Page tables against a model: a map from page start to what is mapped, and the set of tables that must exist.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// Table memory that counts, refuses when told to, and panics on a table used after its release.
struct Counted {
    tables: RefCell<Vec<Option<&'static Table>>>,
    live: Cell<usize>,
    budget: Cell<usize>,
}

impl Counted {
    fn tree(budget: usize) -> Tables<Counted> {
        let memory =
            Counted { tables: RefCell::new(Vec::new()), live: Cell::new(0), budget: Cell::new(usize::MAX) };
        let mut memory = memory;
        let root = memory.allocate().expect("the budget is not used up");
        memory.budget.set(budget);
        Tables::new(root, memory)
    }

    fn index(address: PhysAddr) -> usize {
        usize::try_from(address.page_number()).unwrap() - 1
    }
}

impl TableMemory for Counted {
    fn allocate(&mut self) -> Option<PhysAddr> {
        self.budget.set(self.budget.get().checked_sub(1)?);
        let mut tables = self.tables.borrow_mut();
        tables.push(Some(Box::leak(Box::new([const { AtomicU64::new(0) }; ENTRIES]))));
        self.live.set(self.live.get() + 1);
        Some(PhysAddr::new(tables.len() as u64 * PAGE_SIZE))
    }

    fn release(&mut self, table: PhysAddr) {
        assert!(table.is_aligned(PAGE_SIZE));
        let released = self.tables.borrow_mut()[Self::index(table)].take();
        let released = released.expect("a table was released twice");
        assert!(
            released.iter().all(|entry| entry.load(Ordering::Relaxed) == 0),
            "a table was released in use"
        );
        self.live.set(self.live.get() - 1);
    }

    fn table(&self, address: PhysAddr) -> &Table {
        self.tables.borrow()[Self::index(address)].expect("a table was used after its release")
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

const KERNEL_HALF: u64 = 0xffff_8000_0000_0000;
const PROTECTIONS: [Protection; 8] = [
    Protection::KERNEL_TEXT,
    Protection::KERNEL_RODATA,
    Protection::KERNEL_DATA,
    Protection::DEVICE,
    Protection::USER_READ,
    Protection::USER_WRITE,
    Protection::USER_EXECUTE,
    Protection::USER_WRITE_EXECUTE,
];

/// What a tree should hold.
#[derive(Default)]
struct Model {
    pages: BTreeMap<u64, Mapping>,
    /// By level that they are at: what their first address is.
    tables: [BTreeSet<u64>; 3],
}

impl Model {
    fn covering(&self, address: u64) -> Option<(u64, Mapping)> {
        let (&start, &mapping) = self.pages.range(..=address).next_back()?;
        (address - start < mapping.size.bytes()).then_some((start, mapping))
    }

    fn map(&mut self, page: u64, mapping: Mapping) -> Result<(), MapError> {
        let large = page & !(LARGE_PAGE_SIZE - 1);
        let is_occupied = match mapping.size {
            PageSize::Small => self.covering(page).is_some(),
            PageSize::Large => self.pages.contains_key(&page) || self.tables[0].contains(&large),
        };
        if is_occupied {
            return Err(MapError::Occupied);
        }
        for level in mapping.size.level()..3 {
            self.tables[level as usize].insert(page >> (21 + 9 * level) << (21 + 9 * level));
        }
        self.pages.insert(page, mapping);
        Ok(())
    }

    fn table_count(&self) -> usize {
        1 + self.tables.iter().map(BTreeSet::len).sum::<usize>()
    }

    fn clear_user_half(&mut self) -> Vec<Mapping> {
        let kernel = self.pages.split_off(&KERNEL_HALF);
        for tables in &mut self.tables {
            *tables = tables.split_off(&KERNEL_HALF);
        }
        core::mem::replace(&mut self.pages, kernel).into_values().collect()
    }
}

/// Few enough places that operations meet, in all four kinds of distance from each other.
fn random_page(random: &mut Random) -> u64 {
    let base = random.pick(&[0, 1 << 39, 0x3fff_8000_0000, 0xffff_8880_0000_0000, 0xffff_ffff_8000_0000]);
    base + random.below(2) * (1 << 30)
        + random.below(3) * LARGE_PAGE_SIZE
        + random.pick(&[0, 1, 2, 511]) * PAGE_SIZE
}

fn random_step(random: &mut Random, tables: &mut Tables<Counted>, model: &mut Model) {
    let page = random_page(random);
    let inside = VirtAddr::new(page + random.below(PAGE_SIZE));
    match random.below(10) {
        0..5 => {
            let size = if random.below(4) == 0 { PageSize::Large } else { PageSize::Small };
            let page = page & !(size.bytes() - 1);
            let frame = PhysAddr::new((1 + random.below(1 << 30)) * size.bytes() % (1 << 51));
            let protection = random.pick(&PROTECTIONS);
            let wanted = model.map(page, Mapping { frame, size, protection });
            assert_eq!(tables.map(VirtAddr::new(page), frame, size, protection), wanted, "mapping {page:#x}");
        }
        5..7 => {
            let wanted = model.covering(inside.get());
            assert_eq!(tables.unmap(inside), wanted.map(|(_, mapping)| mapping), "unmapping {inside:?}");
            if let Some((start, _)) = wanted {
                model.pages.remove(&start);
            }
        }
        7..9 => {
            let protection = random.pick(&PROTECTIONS);
            let wanted = model.covering(inside.get());
            assert_eq!(tables.protect(inside, protection), wanted.map(|(_, mapping)| mapping));
            if let Some((start, mapping)) = wanted {
                model.pages.insert(start, Mapping { protection, ..mapping });
            }
        }
        _ => {}
    }
    assert_eq!(tables.lookup(inside), model.covering(inside.get()).map(|(_, mapping)| mapping));
}

#[test]
fn random_operations_agree_with_the_model() {
    for seed in 1..=20 {
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ seed);
        let (mut tables, mut model) = (Counted::tree(usize::MAX), Model::default());
        for step in 0..3000 {
            random_step(&mut random, &mut tables, &mut model);
            assert_eq!(tables.memory.live.get(), model.table_count(), "tables, seed {seed}, step {step}");
            if random.below(500) == 0 {
                let mut cleared = Vec::new();
                tables.clear_user_half(|mapping| cleared.push(mapping));
                assert_eq!(cleared, model.clear_user_half(), "seed {seed}, step {step}");
                assert_eq!(tables.memory.live.get(), model.table_count());
            }
        }
        for (&start, &mapping) in &model.pages {
            assert_eq!(tables.lookup(VirtAddr::new(start + mapping.size.bytes() - 1)), Some(mapping));
        }
    }
}

#[test]
fn running_out_of_tables_leaves_the_tree_as_it_was() {
    let page = VirtAddr::new(0x1234_5000);
    let map = |tables: &mut Tables<Counted>| {
        tables.map(page, PhysAddr::new(0x7000), PageSize::Small, Protection::USER_READ)
    };
    for budget in 0..3 {
        let mut tables = Counted::tree(budget);
        assert_eq!(map(&mut tables), Err(MapError::NoMemory), "three tables are needed, {budget} there");
        assert_eq!(tables.lookup(page), None);
        assert_eq!(tables.unmap(page), None);
        tables.memory.budget.set(3 - budget);
        assert_eq!(map(&mut tables), Ok(()), "what the first try built is used");
        tables.clear_user_half(|_| {});
        assert_eq!(tables.memory.live.get(), 1, "only the root is left");
    }
    let mut tables = Counted::tree(2);
    assert_eq!(map(&mut tables), Err(MapError::NoMemory));
    tables.clear_user_half(|_| panic!("nothing was mapped"));
    assert_eq!(tables.memory.live.get(), 1, "tables of a failed map are released too");
}

#[test]
fn a_range_uses_large_pages_where_both_sides_are_aligned() {
    let start = 3 * LARGE_PAGE_SIZE - 2 * PAGE_SIZE;
    let len = 2 * LARGE_PAGE_SIZE + 5 * PAGE_SIZE;
    for shift in [0, PAGE_SIZE] {
        let mut tables = Counted::tree(usize::MAX);
        let frame = 7 * LARGE_PAGE_SIZE - 2 * PAGE_SIZE + shift;
        let result =
            tables.map_range(VirtAddr::new(start), PhysAddr::new(frame), len, Protection::KERNEL_DATA);
        assert_eq!(result, Ok(()));
        for offset in (0..len).step_by(4096) {
            let found = tables.lookup(VirtAddr::new(start + offset)).expect("the whole range is mapped");
            let is_large =
                shift == 0 && (2 * PAGE_SIZE..2 * LARGE_PAGE_SIZE + 2 * PAGE_SIZE).contains(&offset);
            assert_eq!(found.size, if is_large { PageSize::Large } else { PageSize::Small });
            let inside = (start + offset) % found.size.bytes();
            assert_eq!(found.frame.get() + inside, frame + offset);
        }
        assert_eq!(tables.lookup(VirtAddr::new(start - 1)), None);
        assert_eq!(tables.lookup(VirtAddr::new(start + len)), None);
    }
}

#[test]
fn a_range_stops_at_what_is_mapped_and_keeps_what_came_before() {
    let mut tables = Counted::tree(usize::MAX);
    let data = Protection::USER_WRITE;
    let third = VirtAddr::new(2 * PAGE_SIZE);
    assert_eq!(tables.map(third, PhysAddr::new(PAGE_SIZE), PageSize::Small, data), Ok(()));
    let result = tables.map_range(VirtAddr::ZERO, PhysAddr::new(1 << 20), 4 * PAGE_SIZE, data);
    assert_eq!(result, Err(MapError::Occupied));
    let frames =
        [0, 1, 2, 3].map(|page| tables.lookup(VirtAddr::new(page * PAGE_SIZE)).map(|m| m.frame.get()));
    assert_eq!(frames, [Some(1 << 20), Some((1 << 20) + PAGE_SIZE), Some(PAGE_SIZE), None]);
}

#[test]
fn the_kernel_half_is_shared_and_the_user_half_is_not() {
    let mut kernel = Counted::tree(usize::MAX);
    let area = VirtAddr::new(0xffff_c900_0000_0000);
    assert_eq!(kernel.populate_top(area), Ok(()));
    let user_page = VirtAddr::new(PAGE_SIZE);
    assert_eq!(kernel.map(user_page, PhysAddr::ZERO, PageSize::Small, Protection::USER_READ), Ok(()));

    let kernel_root = kernel.root();
    let mut memory = kernel.into_memory();
    let root = memory.allocate().unwrap();
    let mut program = Tables::new(root, memory);
    program.share_kernel_half(kernel_root);
    let mut kernel = Tables::new(kernel_root, program.into_memory());
    assert_eq!(kernel.map(area, PhysAddr::new(1 << 20), PageSize::Small, Protection::KERNEL_DATA), Ok(()));

    let mut program = Tables::new(root, kernel.into_memory());
    assert!(program.lookup(area).is_some(), "mapped later, below a top entry that was there");
    assert_eq!(program.lookup(user_page), None);
    let live = program.memory.live.get();
    program.clear_user_half(|_| panic!("the program maps nothing"));
    assert_eq!(program.memory.live.get(), live, "shared tables stay");
}

#[test]
fn entries_come_back_as_they_were_encoded() {
    let frame = PhysAddr::new(0x000f_ffff_ffe0_0000);
    for protection in PROTECTIONS {
        for size in [PageSize::Small, PageSize::Large] {
            let entry = codec::encode_page(frame, protection, size);
            assert_eq!(codec::decode(entry, size.level()), Entry::Page(frame, protection));
        }
    }
    for level in 1..codec::LEVELS {
        assert_eq!(codec::decode(codec::encode_table(frame, true), level), Entry::Table(frame));
        assert_eq!(codec::decode(0, level), Entry::Empty);
    }
}
