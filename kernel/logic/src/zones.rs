//! Zones: how RAM is divided among allocators, and in which order a request tries them.
//!
//! The division is by what devices can reach (ISA DMA below 16 MiB, 32-bit devices below 4 GiB) and by NUMA
//! node. Both functions run at boot; `hal` keeps the results and makes one [`crate::buddy::Zone`] of each
//! entry.

use crate::addr::{FrameNo, FrameRange, PAGE_SHIFT, PhysAddr};
use crate::memmap::MemoryMap;

/// A NUMA node, numbered densely from zero in the order the firmware names them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(transparent)]
pub struct NodeId(u8);

impl NodeId {
    /// The only node of a machine without NUMA.
    pub const ZERO: Self = Self(0);

    /// Wraps a number.
    pub const fn new(number: u8) -> Self {
        Self(number)
    }

    /// The node's number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// What can reach a zone, the pickiest device first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ZoneKind {
    /// Below 16 MiB: ISA DMA.
    Dma,
    /// Below 4 GiB: devices with 32-bit addresses.
    Dma32,
    /// All the rest.
    Normal,
}

impl ZoneKind {
    /// The kind of the zone this frame belongs to.
    pub const fn of(frame: FrameNo) -> Self {
        if frame.get() < Self::Dma.end().get() {
            return Self::Dma;
        }
        if frame.get() < Self::Dma32.end().get() { Self::Dma32 } else { Self::Normal }
    }

    /// The first frame past zones of this kind.
    pub const fn end(self) -> FrameNo {
        match self {
            Self::Dma => FrameNo::new((16 << 20) >> PAGE_SHIFT),
            Self::Dma32 => FrameNo::new(1 << (32 - PAGE_SHIFT)),
            Self::Normal => FrameNo::new(u32::MAX),
        }
    }

    /// Linux's name of the kind, as `/proc/buddyinfo` and `/proc/zoneinfo` print it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dma => "DMA",
            Self::Dma32 => "DMA32",
            Self::Normal => "Normal",
        }
    }
}

/// What tells zones apart. Two zones may share a key when a wide hole or another node lies between them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ZoneKey {
    /// The node the memory is attached to.
    pub node: NodeId,
    /// What can reach it.
    pub kind: ZoneKind,
}

/// Physical memory of one node, from SRAT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeRange {
    /// The node.
    pub node: NodeId,
    /// The first byte.
    pub start: PhysAddr,
    /// The first byte past the range.
    pub end: PhysAddr,
}

/// A zone to be made: its key and the frames it spans, holes included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlannedZone {
    /// Which zone.
    pub key: ZoneKey,
    /// From its first frame of RAM to its last.
    pub span: FrameRange,
}

/// The zones of a machine in ascending order of address.
#[derive(Clone, Debug)]
pub struct ZonePlan<const N: usize = 64> {
    zones: [PlannedZone; N],
    count: usize,
}

/// There are more zones than the plan has room for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooManyZones;

/// A hole this wide ends a zone: 256 MiB, whose records would cost 768 KiB.
const WIDE_HOLE_FRAMES: u32 = (256 << 20) >> PAGE_SHIFT;

/// Divides all RAM of the map, also what is only to be reclaimed later, into zones. Memory no node claims
/// goes to node 0, as on Linux; without NUMA `nodes` is empty.
///
/// # Errors
/// [`TooManyZones`].
pub fn zone_plan<const M: usize, const N: usize>(
    map: &MemoryMap<M>,
    nodes: &[NodeRange],
) -> Result<ZonePlan<N>, TooManyZones> {
    let mut plan = ZonePlan::new();
    for region in map.ram() {
        let mut rest = region.frames();
        while !rest.is_empty() {
            let (key, end) = leading_piece(rest, nodes);
            plan.append(key, FrameRange::new(rest.start, end))?;
            rest.start = end;
        }
    }
    Ok(plan)
}

/// The zone of the first frame, and where the stretch of the range that belongs to it ends.
fn leading_piece(range: FrameRange, nodes: &[NodeRange]) -> (ZoneKey, FrameNo) {
    let first = u64::from(range.start.get());
    let kind = ZoneKind::of(range.start);
    let holder = nodes.iter().find(|n| n.start.page_number() <= first && first < n.end.page_number());
    // Any border ends the piece, not just the holder's: broken firmware makes nodes overlap.
    let borders = nodes.iter().flat_map(|node| [node.start.page_number(), node.end.page_number()]);
    let limit = u64::from(range.end.min(kind.end()).get());
    let end = borders.filter(|&border| border > first).fold(limit, u64::min);
    let node = holder.map_or(NodeId::ZERO, |holder| holder.node);
    (ZoneKey { node, kind }, FrameNo::from_page_number(end).unwrap_or(range.end))
}

impl<const N: usize> ZonePlan<N> {
    const fn new() -> Self {
        let key = ZoneKey { node: NodeId::ZERO, kind: ZoneKind::Normal };
        let span = FrameRange::new(FrameNo::new(0), FrameNo::new(0));
        Self { zones: [PlannedZone { key, span }; N], count: 0 }
    }

    /// The zones.
    pub fn zones(&self) -> &[PlannedZone] {
        self.zones.get(..self.count).unwrap_or_default()
    }

    /// Adds a stretch above all others, to the last zone where that has the same key and is near.
    fn append(&mut self, key: ZoneKey, span: FrameRange) -> Result<(), TooManyZones> {
        if let Some(last) = self.count.checked_sub(1).and_then(|last| self.zones.get_mut(last))
            && last.key == key
            && FrameRange::new(last.span.end, span.start).len() < WIDE_HOLE_FRAMES
        {
            last.span.end = span.end;
            return Ok(());
        }
        let slot = self.zones.get_mut(self.count).ok_or(TooManyZones)?;
        *slot = PlannedZone { key, span };
        self.count += 1;
        Ok(())
    }
}

/// The zones to try for one kind of request, as indices into the list it was made from, best first.
#[derive(Clone, Debug)]
pub struct Fallback<const N: usize = 64> {
    indices: [u8; N],
    count: usize,
}

impl<const N: usize> Fallback<N> {
    /// The order for requests that accept zones up to the kind `bound` and prefer memory of `preferred`.
    ///
    /// Node before kind, as Linux does since 4.14: a near DMA32 frame is better than a far normal one. Within
    /// a node the least picky kind comes first, so that memory for picky devices lasts. Other nodes follow in
    /// ascending order from the preferred one, round the end, which spreads them without a distance table.
    ///
    /// # Errors
    /// [`TooManyZones`] when more zones qualify than `N`, or `zones` is longer than 256.
    pub fn new(zones: &[ZoneKey], bound: ZoneKind, preferred: NodeId) -> Result<Self, TooManyZones> {
        let mut order = Self { indices: [0; N], count: 0 };
        for (index, _) in zones.iter().enumerate().filter(|(_, key)| key.kind <= bound) {
            let slot = order.indices.get_mut(order.count).ok_or(TooManyZones)?;
            *slot = u8::try_from(index).map_err(|_| TooManyZones)?;
            order.count += 1;
        }
        let rank = |&index: &u8| {
            let key = zones.get(usize::from(index));
            key.map(|key| (key.node.0.wrapping_sub(preferred.0), core::cmp::Reverse(key.kind), index))
        };
        order.indices.get_mut(..order.count).unwrap_or_default().sort_unstable_by_key(rank);
        Ok(order)
    }

    /// The indices, best first.
    pub fn indices(&self) -> &[u8] {
        self.indices.get(..self.count).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memmap::MemoryKind;
    use proptest::prelude::*;
    use std::vec::Vec;

    const GIB: u64 = 1 << 30;

    fn machine(regions: &[(u64, u64)]) -> MemoryMap {
        let mut map = MemoryMap::new();
        for &(start, end) in regions {
            map.push(PhysAddr::new(start), PhysAddr::new(end), MemoryKind::Usable).unwrap();
        }
        map
    }

    fn node(node: u8, start: u64, end: u64) -> NodeRange {
        NodeRange { node: NodeId::new(node), start: PhysAddr::new(start), end: PhysAddr::new(end) }
    }

    fn shape(map: &MemoryMap, nodes: &[NodeRange]) -> Vec<(u8, ZoneKind, u64, u64)> {
        let plan: ZonePlan = zone_plan(map, nodes).unwrap();
        let row = |zone: &PlannedZone| {
            let span = (zone.span.start.start().get(), zone.span.end.start().get());
            (zone.key.node.get(), zone.key.kind, span.0, span.1)
        };
        plan.zones().iter().map(row).collect()
    }

    #[test]
    fn a_small_machine_has_two_zones() {
        let map = machine(&[(0, 0x9_f000), (0x10_0000, 0x800_0000)]);
        let expected = [(0, ZoneKind::Dma, 0, 16 << 20), (0, ZoneKind::Dma32, 16 << 20, 0x800_0000)];
        assert_eq!(shape(&map, &[]), expected);
    }

    #[test]
    fn nodes_and_wide_holes_divide_memory() {
        let map = machine(&[(16 << 20, 3 * GIB), (4 * GIB, 8 * GIB), (1024 * GIB, 1025 * GIB)]);
        let nodes = [node(0, 0, 2 * GIB), node(1, 2 * GIB, 6 * GIB), node(0, 6 * GIB, 8 * GIB)];
        let expected = [
            (0, ZoneKind::Dma32, 16 << 20, 2 * GIB),
            (1, ZoneKind::Dma32, 2 * GIB, 3 * GIB),
            (1, ZoneKind::Normal, 4 * GIB, 6 * GIB),
            (0, ZoneKind::Normal, 6 * GIB, 8 * GIB),
            (0, ZoneKind::Normal, 1024 * GIB, 1025 * GIB),
        ];
        assert_eq!(shape(&map, &nodes), expected);
    }

    #[test]
    fn too_many_zones_are_an_error() {
        let map = machine(&[(0, 5 * GIB)]);
        assert_eq!(zone_plan::<128, 2>(&map, &[]).unwrap_err(), TooManyZones);
    }

    #[test]
    fn requests_stay_near_and_spare_picky_memory() {
        let key = |node, kind| ZoneKey { node: NodeId::new(node), kind };
        let zones = [
            key(0, ZoneKind::Dma),
            key(0, ZoneKind::Dma32),
            key(1, ZoneKind::Dma32),
            key(0, ZoneKind::Normal),
            key(1, ZoneKind::Normal),
        ];
        let order =
            |kind, node| Fallback::<8>::new(&zones, kind, NodeId::new(node)).unwrap().indices().to_vec();
        assert_eq!(order(ZoneKind::Normal, 0), [3, 1, 0, 4, 2]);
        assert_eq!(order(ZoneKind::Normal, 1), [4, 2, 3, 1, 0]);
        assert_eq!(order(ZoneKind::Dma32, 1), [2, 1, 0]);
        assert_eq!(order(ZoneKind::Dma, 7), [0]);
        assert!(Fallback::<4>::new(&zones, ZoneKind::Normal, NodeId::ZERO).is_err());
    }

    proptest! {
        #[test]
        fn every_frame_of_ram_is_in_one_zone_of_its_key(
            regions in prop::collection::vec((0u64..20_000, 1u64..3000), 1..8),
            nodes in prop::collection::vec((0u8..4, 0u64..20_000, 0u64..9000), 0..5),
        ) {
            const UNIT: u64 = 1 << 19;
            let regions: Vec<_> = regions.iter().map(|&(s, len)| (s * UNIT, (s + len) * UNIT)).collect();
            let nodes: Vec<_> = nodes.iter().map(|&(n, s, len)| node(n, s * UNIT, (s + len) * UNIT)).collect();
            let map = machine(&regions);
            let plan: ZonePlan<256> = zone_plan(&map, &nodes).unwrap();
            for pair in plan.zones().windows(2) {
                prop_assert!(pair[0].span.end <= pair[1].span.start);
            }
            for address in (0..23_000).map(|unit| PhysAddr::new(unit * UNIT)) {
                let frame = address.frame().unwrap();
                let is_ram = map.ram().any(|r| r.frames().contains(frame));
                let zone = plan.zones().iter().find(|zone| zone.span.contains(frame));
                prop_assert!(zone.is_some() || !is_ram);
                if is_ram {
                    let holder = nodes.iter().find(|n| n.start <= address && address < n.end);
                    let node = holder.map_or(NodeId::ZERO, |n| n.node);
                    prop_assert_eq!(zone.unwrap().key, ZoneKey { node, kind: ZoneKind::of(frame) });
                }
            }
        }
    }
}
