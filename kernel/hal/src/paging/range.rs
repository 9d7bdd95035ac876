//! Work on many pages at once: the walk goes table by table, not page by page from the root.

use core::ops::ControlFlow;
use core::sync::atomic::{AtomicU64, Ordering};

use logic::addr::{PAGE_SIZE, PhysAddr, VirtAddr};

use super::{
    ENTRIES, Entry, LARGE_PAGE_SIZE, MapError, Mapping, PageSize, Protection, TableMemory, Tables, codec,
    index,
};

/// A page found in a range.
pub struct Slot<'a> {
    /// Where it is.
    pub page: VirtAddr,
    /// What is mapped there.
    pub mapping: Mapping,
    entry: &'a AtomicU64,
}

impl Slot<'_> {
    /// Takes the page away; the caller flushes the TLB.
    pub fn clear(&self) {
        self.entry.store(0, Ordering::Release);
    }

    /// Changes what the page allows; the caller flushes the TLB.
    pub fn protect(&self, protection: Protection) {
        let entry = codec::encode_page(self.mapping.frame, protection, self.mapping.size);
        self.entry.store(entry, Ordering::Release);
    }
}

/// Where a walk to the last table of an address ends.
enum Leaf<'a> {
    /// At an entry of this level that is empty.
    Missing(u32),
    /// At a large page.
    Large(&'a AtomicU64, PhysAddr, Protection),
    /// At the last table.
    Table(PhysAddr),
}

/// Bytes that one entry of `level` covers.
const fn span(level: u32) -> u64 {
    PAGE_SIZE << (9 * level)
}

/// The first address after the entry of `level` that covers `address`.
const fn next(address: u64, level: u32) -> u64 {
    (address & !(span(level) - 1)).saturating_add(span(level))
}

impl<M: TableMemory> Tables<M> {
    fn leaf(&self, address: VirtAddr) -> Leaf<'_> {
        let mut table = self.root;
        for level in (1..codec::LEVELS).rev() {
            let entry = &self.memory.table(table)[index(address, level)];
            match codec::decode(entry.load(Ordering::Acquire), level) {
                Entry::Empty => return Leaf::Missing(level),
                Entry::Page(frame, protection) => return Leaf::Large(entry, frame, protection),
                Entry::Table(below) => table = below,
            }
        }
        Leaf::Table(table)
    }

    /// Calls `visit` with each page that overlaps the range, in order, until it breaks.
    pub fn for_each_page(
        &self,
        start: VirtAddr,
        end: VirtAddr,
        mut visit: impl FnMut(Slot<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut at = start.get();
        while at < end.get() {
            match self.leaf(VirtAddr::new(at)) {
                Leaf::Missing(level) => at = next(at, level),
                Leaf::Large(entry, frame, protection) => {
                    let page = VirtAddr::new(at & !(LARGE_PAGE_SIZE - 1));
                    visit(Slot {
                        page,
                        mapping: Mapping { frame, size: PageSize::Large, protection },
                        entry,
                    })?;
                    at = next(at, 1);
                }
                Leaf::Table(table) => {
                    let stop = next(at, 1).min(end.get());
                    let entries = self.memory.table(table).iter().skip(index(VirtAddr::new(at), 0));
                    for (entry, page) in entries.zip((at..stop).step_by(1 << 12)) {
                        if let Entry::Page(frame, protection) =
                            codec::decode(entry.load(Ordering::Relaxed), 0)
                        {
                            let mapping = Mapping { frame, size: PageSize::Small, protection };
                            visit(Slot { page: VirtAddr::new(page), mapping, entry })?;
                        }
                    }
                    at = stop;
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Maps the pages of a range in `other` too. `share` says, for each page, what it allows from now on, in both.
    ///
    /// # Errors
    /// As `map`. Pages copied before stay.
    pub fn copy_range(
        &self,
        other: &mut Self,
        start: VirtAddr,
        end: VirtAddr,
        mut share: impl FnMut(Mapping) -> Protection,
    ) -> Result<(), MapError> {
        let mut at = start.get();
        while at < end.get() {
            match self.leaf(VirtAddr::new(at)) {
                Leaf::Missing(level) => at = next(at, level),
                Leaf::Large(entry, frame, protection) => {
                    // The table first: once shared, the page must get there.
                    let to = other.descend_or_build(VirtAddr::new(at), 1)?;
                    let protection = share(Mapping { frame, size: PageSize::Large, protection });
                    let raw = codec::encode_page(frame, protection, PageSize::Large);
                    entry.store(raw, Ordering::Release);
                    other.memory.table(to)[index(VirtAddr::new(at), 1)].store(raw, Ordering::Release);
                    at = next(at, 1);
                }
                Leaf::Table(table) => {
                    let stop = next(at, 1).min(end.get());
                    let to = other.descend_or_build(VirtAddr::new(at), 0)?;
                    let (from, to) = (self.memory.table(table), other.memory.table(to));
                    for slot in (at..stop).step_by(1 << 12).map(|page| index(VirtAddr::new(page), 0)) {
                        let raw = from[slot].load(Ordering::Relaxed);
                        if let Entry::Page(frame, protection) = codec::decode(raw, 0) {
                            let shared = share(Mapping { frame, size: PageSize::Small, protection });
                            let raw = codec::encode_page(frame, shared, PageSize::Small);
                            if shared != protection {
                                from[slot].store(raw, Ordering::Release);
                            }
                            to[slot].store(raw, Ordering::Release);
                        }
                    }
                    at = stop;
                }
            }
        }
        Ok(())
    }

    /// Turns the large page that `address` lies in, and is not the start of, into small ones.
    ///
    /// # Errors
    /// `NoMemory`; nothing has changed then.
    pub fn split(&mut self, address: VirtAddr) -> Result<(), MapError> {
        if address.is_aligned(LARGE_PAGE_SIZE) {
            return Ok(());
        }
        let (frame, protection) = match self.leaf(address) {
            Leaf::Large(_, frame, protection) => (frame, protection),
            Leaf::Missing(_) | Leaf::Table(_) => return Ok(()),
        };
        let table = self.memory.allocate().ok_or(MapError::NoMemory)?;
        let frames = (frame.get()..).step_by(1 << 12).map(PhysAddr::new);
        for (entry, frame) in self.memory.table(table).iter().zip(frames) {
            entry.store(codec::encode_page(frame, protection, PageSize::Small), Ordering::Relaxed);
        }
        if let Leaf::Large(entry, ..) = self.leaf(address) {
            // Both forms mean the same while CPUs still use the old one (SDM 4.10.2.3 allows either).
            entry.store(codec::encode_table(table, codec::is_user(address)), Ordering::Release);
        }
        Ok(())
    }

    /// Takes tables out that the range has left empty: those whose whole span lies between `floor` and `ceiling`, where
    /// nothing else is mapped. `take` gets each and says whether it has room for another; the caller flushes the TLB
    /// before it frees them. Says whether there may be more.
    pub fn prune(
        &mut self,
        start: VirtAddr,
        end: VirtAddr,
        floor: VirtAddr,
        ceiling: VirtAddr,
        mut take: impl FnMut(PhysAddr) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let bounds =
            Bounds { start: start.get(), end: end.get(), floor: floor.get(), ceiling: ceiling.get() };
        self.prune_level(self.root, codec::LEVELS - 1, &bounds, &mut take)
    }

    fn prune_level(
        &self,
        table: PhysAddr,
        level: u32,
        bounds: &Bounds,
        take: &mut impl FnMut(PhysAddr) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut at = bounds.start & !(span(level) - 1);
        // The entries of this very table only: its caller goes on with the next one.
        let stop = bounds.end.min(next(bounds.start, level + 1));
        while at < stop {
            let entry = &self.memory.table(table)[index(VirtAddr::new(at), level)];
            if let Entry::Table(below) = codec::decode(entry.load(Ordering::Relaxed), level) {
                let part = Bounds { start: bounds.start.max(at), ..*bounds };
                if level > 1 {
                    self.prune_level(below, level - 1, &part, take)?;
                }
                if bounds.floor <= at && next(at, level) <= bounds.ceiling {
                    debug_assert!(self.is_empty(below), "a table was taken out that is in use");
                    entry.store(0, Ordering::Release);
                    take(below)?;
                }
            }
            at = next(at, level);
        }
        ControlFlow::Continue(())
    }

    fn is_empty(&self, table: PhysAddr) -> bool {
        self.memory.table(table).iter().take(ENTRIES).all(|entry| entry.load(Ordering::Relaxed) == 0)
    }
}

struct Bounds {
    start: u64,
    end: u64,
    floor: u64,
    ceiling: u64,
}
