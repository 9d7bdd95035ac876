//! What the kernel sees at which address when it starts: direct map, its own image, the way there.
//!
//! PROTOCOL.md, "Memory Layout at Entry". One thing is stricter than the protocol: nothing in the direct map is
//! executable.

use alloc::vec::Vec;

use crate::elf::Plan;
use crate::memory_map::{Kind, MapBuilder, MapFull, PAGE_SIZE, Region};
use crate::paging::{Access, Caching, Mapping};

/// Where the direct map starts. Fixed: the kernel moves it when it builds tables of its own.
pub const HHDM: u64 = 0xffff_8000_0000_0000;

const FOUR_GIB: u64 = 4 << 30;

/// Where things are in physical memory.
#[derive(Clone, Copy, Debug)]
pub struct Placement {
    /// The kernel's image.
    pub image: u64,
    /// The pages that switch to the new tables and so must be in both, at the same address.
    pub switch: Region,
}

/// Everything to map for a kernel of `base_revision`.
///
/// # Errors
/// The memory map is bigger than its own builder allows, which cannot be.
pub fn mappings(
    map: &[Region],
    base_revision: u64,
    plan: &Plan,
    placement: Placement,
) -> Result<Vec<Mapping>, MapFull> {
    let stretches = direct_map(map, base_revision)?;
    let mut mappings: Vec<Mapping> =
        stretches.iter().map(|stretch| direct(stretch, HHDM, stretch.base, stretch.end)).collect();
    if base_revision == 0 {
        mappings.extend(stretches.iter().flat_map(|stretch| identity(stretch, placement.switch)));
    }
    mappings.push(Mapping {
        access: Access::ReadExecute,
        ..direct(&placement.switch, 0, placement.switch.base, placement.switch.end)
    });
    mappings.extend(plan.segments.iter().map(|segment| Mapping {
        virtual_base: segment.address,
        physical_base: placement.image + (segment.address - plan.base()),
        length: segment.mapped_size(),
        access: segment.access,
        caching: Caching::WriteBack,
    }));
    Ok(mappings)
}

/// The stretches of physical memory in the direct map; neighbours are merged whatever they hold.
fn direct_map(map: &[Region], base_revision: u64) -> Result<Vec<Region>, MapFull> {
    let mut builder = MapBuilder::with_capacity(map.len() + 1);
    if base_revision < 3 {
        builder.add(Region { base: 0, end: FOUR_GIB, kind: Kind::Usable })?;
    }
    for region in map.iter().filter(|region| region.kind.is_direct_mapped(base_revision)) {
        let kind = if region.kind == Kind::Framebuffer { Kind::Framebuffer } else { Kind::Usable };
        builder.add(Region { kind, ..*region })?;
    }
    Ok(builder.build().to_vec())
}

fn direct(stretch: &Region, virtual_offset: u64, base: u64, end: u64) -> Mapping {
    let caching =
        if stretch.kind == Kind::Framebuffer { Caching::WriteCombining } else { Caching::WriteBack };
    Mapping {
        virtual_base: virtual_offset + base,
        physical_base: base,
        length: end.saturating_sub(base),
        access: Access::ReadWrite,
        caching,
    }
}

/// A stretch at its physical address, without the null page and without the pages of the switch, which have
/// a mapping of their own.
fn identity(stretch: &Region, switch: Region) -> [Mapping; 2] {
    let base = stretch.base.max(PAGE_SIZE);
    [
        direct(stretch, 0, base, stretch.end.min(switch.base)),
        direct(stretch, 0, base.max(switch.end), stretch.end),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::HIGHER_HALF;
    use crate::paging::{PageTables, pool_bytes_for};
    use std::vec;

    const SWITCH: Region = Region { base: 0x7000, end: 0x9000, kind: Kind::BootloaderReclaimable };

    fn memory() -> Vec<Region> {
        [
            (0x1000, 0x80_0000, Kind::Usable),
            (0x80_0000, 0x90_0000, Kind::BootloaderReclaimable),
            (0x90_0000, 0xa0_0000, Kind::AcpiReclaimable),
            (0xa0_0000, 0xb0_0000, Kind::Reserved),
            (0x8000_0000, 0x8030_0000, Kind::Framebuffer),
            (0x1_0000_0000, 0x1_4000_0000, Kind::Usable),
        ]
        .map(|(base, end, kind)| Region { base, end, kind })
        .to_vec()
    }

    /// Which of some telling physical addresses a kernel of `revision` finds at `offset`.
    fn visible(revision: u64, offset: u64) -> Vec<u64> {
        let plan = Plan { entry: HIGHER_HALF, segments: vec![] };
        let placement = Placement { image: 0, switch: SWITCH };
        let mappings = mappings(&memory(), revision, &plan, placement).unwrap();
        let pool_bytes = mappings.iter().map(pool_bytes_for).sum::<u64>() + PAGE_SIZE;
        let mut pool = vec![0; usize::try_from(pool_bytes).unwrap()];
        let mut tables = PageTables::new(&mut pool, 0x1000_0000);
        mappings.iter().for_each(|mapping| tables.map(mapping).unwrap());
        let telling = [0, 0x1000, 0x80_0000, 0x90_0000, 0xa0_0000, 0x4000_0000, 0x8000_0000, 0x1_2345_6000];
        telling
            .into_iter()
            .filter(|&address| {
                tables.translate(offset + address).is_some_and(|(physical, _)| physical == address)
            })
            .collect()
    }

    #[test]
    fn old_kernels_see_4_gib_and_new_ones_only_memory() {
        let everything =
            [0, 0x1000, 0x80_0000, 0x90_0000, 0xa0_0000, 0x4000_0000, 0x8000_0000, 0x1_2345_6000];
        for revision in 0..3 {
            assert_eq!(visible(revision, HHDM), everything);
        }
        assert_eq!(visible(3, HHDM), [0x1000, 0x80_0000, 0x8000_0000, 0x1_2345_6000]);
        assert_eq!(visible(4, HHDM), [0x1000, 0x80_0000, 0x90_0000, 0x8000_0000, 0x1_2345_6000]);
    }

    #[test]
    fn only_revision_0_has_memory_at_its_own_address() {
        assert_eq!(visible(0, 0)[0], 0x1000);
        assert_eq!(visible(1, 0), []);
    }
}
