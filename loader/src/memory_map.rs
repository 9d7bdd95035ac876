//! The firmware's memory map, as the Limine protocol wants it: sorted, merged, without overlaps.
//!
//! Firmware maps may be unsorted and may overlap, and what the loader itself put into memory lies inside
//! regions that the firmware reports as the loader's. Where regions overlap, the kind that is more dangerous
//! to treat as free memory wins. All memory is reserved in advance, because the final map exists only after
//! the firmware's allocator is gone.

use alloc::vec::Vec;

/// Page size; every region of memory starts and ends on a multiple of it.
pub const PAGE_SIZE: u64 = 4096;

/// What a region of physical memory is, in rising order of how wrong it is to use it as free memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Free memory.
    Usable,
    /// Free once the kernel is done with the loader's page tables, stack and answers.
    BootloaderReclaimable,
    /// Free once the kernel has read the ACPI tables in it.
    AcpiReclaimable,
    /// The firmware's, kept over sleep.
    AcpiNvs,
    /// The kernel, its file, and modules.
    ExecutableAndModules,
    /// Not to be touched.
    Reserved,
    /// Reported as broken.
    Bad,
    /// Pixels.
    Framebuffer,
}

impl Kind {
    /// The number PROTOCOL.md gives this kind.
    pub const fn number(self) -> u64 {
        match self {
            Self::Usable => 0,
            Self::Reserved => 1,
            Self::AcpiReclaimable => 2,
            Self::AcpiNvs => 3,
            Self::Bad => 4,
            Self::BootloaderReclaimable => 5,
            Self::ExecutableAndModules => 6,
            Self::Framebuffer => 7,
        }
    }

    /// Whether the protocol's direct map shows memory of this kind to a kernel of this base revision.
    pub const fn is_direct_mapped(self, base_revision: u64) -> bool {
        match self {
            Self::Usable | Self::BootloaderReclaimable | Self::ExecutableAndModules | Self::Framebuffer => {
                true
            }
            Self::AcpiReclaimable | Self::AcpiNvs => base_revision != 3,
            Self::Reserved | Self::Bad => base_revision == 0,
        }
    }
}

/// A stretch of physical memory of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First byte.
    pub base: u64,
    /// One past the last byte.
    pub end: u64,
    /// What it is.
    pub kind: Kind,
}

impl Region {
    /// The region of `length` bytes at `base`, grown to whole pages.
    pub const fn covering(base: u64, length: u64, kind: Kind) -> Self {
        let end = base.saturating_add(length).saturating_add(PAGE_SIZE - 1) & !(PAGE_SIZE - 1);
        Self { base: base & !(PAGE_SIZE - 1), end, kind }
    }

    /// Length in bytes.
    pub const fn length(&self) -> u64 {
        self.end - self.base
    }
}

/// More regions than were reserved for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapFull;

/// Collects regions and turns them into the final map without allocating.
pub struct MapBuilder {
    regions: Vec<Region>,
    cuts: Vec<u64>,
    map: Vec<Region>,
}

impl MapBuilder {
    /// A builder that can take `capacity` regions.
    pub fn with_capacity(capacity: usize) -> Self {
        // Between 2n cuts there are fewer than 2n stretches, so `map` cannot grow past that.
        Self {
            regions: Vec::with_capacity(capacity),
            cuts: Vec::with_capacity(2 * capacity),
            map: Vec::with_capacity(2 * capacity),
        }
    }

    /// The most entries that [`Self::build`] can return.
    pub fn most_entries(&self) -> usize {
        self.map.capacity()
    }

    /// Forgets the regions but not the reserved memory.
    pub fn clear(&mut self) {
        self.regions.clear();
    }

    /// Adds a region. Empty ones are left out.
    ///
    /// # Errors
    /// There is no room for one more.
    pub fn add(&mut self, region: Region) -> Result<(), MapFull> {
        if region.base >= region.end {
            return Ok(());
        }
        if self.regions.len() == self.regions.capacity() {
            return Err(MapFull);
        }
        self.regions.push(region);
        Ok(())
    }

    /// The map: sorted by address, no overlaps, neighbours of one kind merged.
    pub fn build(&mut self) -> &[Region] {
        self.cuts.clear();
        self.cuts.extend(self.regions.iter().flat_map(|region| [region.base, region.end]));
        self.cuts.sort_unstable();
        self.cuts.dedup();
        self.map.clear();
        for pair in self.cuts.windows(2) {
            let [base, end] = [pair[0], pair[1]];
            // Quadratic, but firmware maps have a few hundred entries at most.
            let here = self.regions.iter().filter(|region| region.base <= base && end <= region.end);
            if let Some(kind) = here.map(|region| region.kind).max() {
                append(&mut self.map, Region { base, end, kind });
            }
        }
        &self.map
    }
}

fn append(map: &mut Vec<Region>, next: Region) {
    match map.last_mut() {
        Some(last) if last.end == next.base && last.kind == next.kind => last.end = next.end,
        _ => map.push(next),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(regions: &[(u64, u64, Kind)]) -> Vec<(u64, u64, Kind)> {
        let mut builder = MapBuilder::with_capacity(regions.len());
        for &(base, end, kind) in regions {
            builder.add(Region { base, end, kind }).unwrap();
        }
        builder.build().iter().map(|region| (region.base, region.end, region.kind)).collect()
    }

    #[test]
    fn neighbours_of_one_kind_merge_and_holes_stay() {
        use Kind::Usable;
        let map = build(&[
            (0x3000, 0x4000, Usable),
            (0x1000, 0x2000, Usable),
            (0x2000, 0x3000, Usable),
            (0x8000, 0x9000, Usable),
        ]);
        assert_eq!(map, [(0x1000, 0x4000, Usable), (0x8000, 0x9000, Usable)]);
    }

    #[test]
    fn the_kernel_is_cut_out_of_the_loaders_memory() {
        use Kind::{BootloaderReclaimable, ExecutableAndModules};
        let map = build(&[(0x1000, 0x9000, BootloaderReclaimable), (0x3000, 0x5000, ExecutableAndModules)]);
        assert_eq!(
            map,
            [
                (0x1000, 0x3000, BootloaderReclaimable),
                (0x3000, 0x5000, ExecutableAndModules),
                (0x5000, 0x9000, BootloaderReclaimable),
            ]
        );
    }

    #[test]
    fn where_firmware_contradicts_itself_memory_is_not_free() {
        use Kind::{Reserved, Usable};
        let map = build(&[(0x1000, 0x5000, Usable), (0x4000, 0x6000, Reserved)]);
        assert_eq!(map, [(0x1000, 0x4000, Usable), (0x4000, 0x6000, Reserved)]);
    }

    #[test]
    fn every_page_has_the_worst_kind_that_covers_it() {
        // A small generator with a fixed seed instead of a dependency: 200 random maps of 12 regions.
        let kinds = [Kind::Usable, Kind::BootloaderReclaimable, Kind::Reserved, Kind::Framebuffer];
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = |limit: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % limit
        };
        for _ in 0..200 {
            let regions: Vec<_> = (0..12)
                .map(|_| {
                    let base = random(40);
                    (base, base + random(10), kinds[usize::try_from(random(4)).unwrap()])
                })
                .collect();
            let map = build(&regions);
            assert!(map.windows(2).all(|pair| pair[0].1 <= pair[1].0));
            for page in 0..50 {
                let kind_in = |regions: &[(u64, u64, Kind)]| {
                    regions.iter().filter(|r| r.0 <= page && page < r.1).map(|r| r.2).max()
                };
                assert_eq!(kind_in(&map), kind_in(&regions), "page {page} of {regions:?}");
            }
        }
    }

    #[test]
    fn a_full_builder_says_so() {
        let mut builder = MapBuilder::with_capacity(1);
        let region = Region::covering(0x1001, 1, Kind::Usable);
        assert_eq!(region, Region { base: 0x1000, end: 0x2000, kind: Kind::Usable });
        while builder.add(region).is_ok() {}
        assert_eq!(builder.add(region), Err(MapFull));
    }
}
