//! Physical frames: who owns which, and where new ones come from.
//!
//! [`logic::buddy`] zones behind one spin lock each (rank `Frames`), a small cache of single frames for each CPU in
//! front. A frame is owned by a [`Frame`] or [`Block`] that frees it when dropped; memory reached through them is the
//! direct map. Debug builds fill freed frames and look for writes to them when they are handed out again.

mod large;
mod shared;

use core::sync::atomic::{AtomicUsize, Ordering};

use abi::{Errno, Result};
use logic::addr::{FrameNo, FrameRange, PAGE_LEN, PAGE_SIZE, PhysAddr};
use logic::buddy::{Frame as Record, Order, Zone};
use logic::frame_cache::REFILL_BATCH;
use logic::memmap::MemoryMap;
use logic::zones::{Fallback, NodeId, NodeRange, PlannedZone, ZoneKey, ZoneKind, zone_plan};

use crate::memory;
use crate::percpu;
use crate::rank;
use crate::spin::{Lock, Once};

pub use large::LargeFrame;
pub use shared::{SharedFrame, shared_in_use};

/// Zones one machine may have; more nodes than this have their memory left unused, with a sentence.
const MAX_ZONES: usize = 16;

struct Slot {
    key: ZoneKey,
    span: FrameRange,
    zone: Lock<Zone<'static>, rank::Frames>,
}

struct Zones {
    slots: [Option<Slot>; MAX_ZONES],
    /// Best first, for requests that any memory serves.
    any: Fallback<MAX_ZONES>,
    /// For devices that reach 4 GiB.
    dma32: Fallback<MAX_ZONES>,
    /// For devices that reach 16 MiB.
    dma: Fallback<MAX_ZONES>,
}

static ZONES: Once<Zones> = Once::new();
/// Frames of all zones, free or not.
static TOTAL: AtomicUsize = AtomicUsize::new(0);
/// Free frames but for those in the CPUs' caches.
static FREE_IN_ZONES: AtomicUsize = AtomicUsize::new(0);
static METADATA_BYTES: AtomicUsize = AtomicUsize::new(0);

/// One frame, freed when dropped.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame(FrameNo);

/// A naturally aligned block of frames, freed when dropped.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    start: FrameNo,
    order: Order,
}

/// What there is and what is left, in frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// All frames the allocator manages.
    pub total: usize,
    /// Free ones, those in this CPU's cache included.
    pub free: usize,
    /// Bytes of metadata.
    pub metadata_bytes: usize,
}

/// Takes over the memory map. Runs once, at boot.
///
/// # Errors
/// ENOMEM if there is no room for the metadata or there are too many zones.
pub fn init(map: &MemoryMap, nodes: &[NodeRange]) -> Result<()> {
    poison::choose_pattern();
    let mut map = map.clone();
    shared::init(&mut map)?;
    let plan = zone_plan::<_, MAX_ZONES>(&map, nodes).map_err(|_| Errno::ENOMEM)?;
    let mut records = [const { None }; MAX_ZONES];
    for (slot, planned) in records.iter_mut().zip(plan.zones()) {
        *slot = Some(take_records(&mut map, planned)?);
    }
    let mut zones = Zones::empty(plan.zones())?;
    for ((slot, planned), records) in zones.slots.iter_mut().zip(plan.zones()).zip(records) {
        let Some(records) = records else { break };
        let mut zone = Zone::new(planned.span.start, records).ok_or(Errno::EINVAL)?;
        add_usable(&mut zone, &map, planned.span);
        TOTAL.fetch_add(zone.present_frames() as usize, Ordering::Relaxed);
        FREE_IN_ZONES.fetch_add(zone.free_frames() as usize, Ordering::Relaxed);
        *slot = Some(Slot { key: planned.key, span: planned.span, zone: Lock::new(zone) });
    }
    ZONES.call_once(|| zones);
    Ok(())
}

/// Carves a zone's records out of the map, zeroed: all frames absent.
fn take_records(map: &mut MemoryMap, planned: &PlannedZone) -> Result<&'static mut [Record]> {
    let count = planned.span.len() as usize;
    let bytes = count * size_of::<Record>();
    // The top of memory, as far from DMA as can be.
    let start =
        map.take(bytes as u64, PAGE_SIZE, PhysAddr::new(!(PAGE_SIZE - 1))).map_err(|_| Errno::ENOMEM)?;
    METADATA_BYTES.fetch_add(bytes, Ordering::Relaxed);
    let first = memory::direct(start);
    // SAFETY: the map just gave us this range, and the direct map covers all RAM.
    unsafe { first.write_bytes(0, bytes) };
    // SAFETY: as above; zeroed records are valid (`Record::ABSENT`), nobody else refers to them, and they stay for
    // ever.
    Ok(unsafe { core::slice::from_raw_parts_mut(first.cast(), count) })
}

fn add_usable(zone: &mut Zone<'static>, map: &MemoryMap, span: FrameRange) {
    for region in map.usable() {
        let frames = region.frames();
        let part = FrameRange::new(frames.start.max(span.start), frames.end.min(span.end));
        if !part.is_empty() {
            // Regions of a normalised map do not overlap, and the part lies in the zone: this cannot fail.
            let _ = zone.add_range(part);
        }
    }
}

impl Zones {
    fn empty(planned: &[PlannedZone]) -> Result<Self> {
        let mut keys = [ZoneKey { node: NodeId::ZERO, kind: ZoneKind::Dma }; MAX_ZONES];
        for (key, zone) in keys.iter_mut().zip(planned) {
            *key = zone.key;
        }
        let keys = &keys[..planned.len()];
        let order = |bound| Fallback::new(keys, bound, NodeId::ZERO).map_err(|_| Errno::ENOMEM);
        Ok(Zones {
            slots: [const { None }; MAX_ZONES],
            any: order(ZoneKind::Normal)?,
            dma32: order(ZoneKind::Dma32)?,
            dma: order(ZoneKind::Dma)?,
        })
    }

    fn allocate(&self, order: Order, bound: ZoneKind) -> Option<FrameNo> {
        let tried = match bound {
            ZoneKind::Normal => &self.any,
            ZoneKind::Dma32 => &self.dma32,
            ZoneKind::Dma => &self.dma,
        };
        tried.indices().iter().find_map(|&index| {
            let slot = self.slots.get(usize::from(index))?.as_ref()?;
            let found = slot.zone.lock().alloc(order)?;
            FREE_IN_ZONES.fetch_sub(order.frames() as usize, Ordering::Relaxed);
            Some(found)
        })
    }

    /// Makes single frames of an allocated block.
    fn split(&self, start: FrameNo, order: Order) {
        let owner = self.slots.iter().flatten().find(|slot| slot.span.contains(start));
        if owner.and_then(|slot| slot.zone.lock().split_allocated(start, order).ok()).is_none() {
            panic!("splitting {start:?}, order {}, which is not allocated", order.get());
        }
    }

    fn free(&self, start: FrameNo, order: Order) {
        let owner = self.slots.iter().flatten().find(|slot| slot.span.contains(start));
        let freed = owner.map(|slot| slot.zone.lock().free(start, order));
        match freed {
            Some(Ok(())) => {
                FREE_IN_ZONES.fetch_add(order.frames() as usize, Ordering::Relaxed);
            }
            Some(Err(error)) => panic!("freeing frame {start:?}, order {}: {error:?}", order.get()),
            None => panic!("freeing frame {start:?}, which is no RAM"),
        }
    }
}

/// A frame with whatever was in it.
pub fn allocate() -> Option<Frame> {
    let number = percpu::with_frame_cache(|cache| {
        if let Some(number) = cache.pop() {
            return Some(number);
        }
        let zones = ZONES.get()?;
        for _ in 1..REFILL_BATCH {
            let Some(number) = zones.allocate(Order::ZERO, ZoneKind::Normal) else { break };
            if let Err(number) = cache.push(number) {
                zones.free(number, Order::ZERO);
                break;
            }
        }
        cache.pop().or_else(|| zones.allocate(Order::ZERO, ZoneKind::Normal))
    })?;
    let frame = Frame(number);
    poison::check(&frame);
    Some(frame)
}

/// A frame full of zeros.
pub fn allocate_zeroed() -> Option<Frame> {
    let mut frame = allocate()?;
    frame.bytes_mut().fill(0);
    Some(frame)
}

/// A block of `1 << order` frames below the end of `bound`.
pub fn allocate_block(order: Order, bound: ZoneKind) -> Option<Block> {
    let start = ZONES.get()?.allocate(order, bound)?;
    let block = Block { start, order };
    poison::check_block(&block);
    Some(block)
}

impl Frame {
    /// Where it is.
    pub fn address(&self) -> PhysAddr {
        self.0.start()
    }

    /// Its bytes.
    pub fn bytes_mut(&mut self) -> &mut [u8; PAGE_LEN] {
        // SAFETY: the frame is owned, so nobody else refers to it; the direct map covers all RAM.
        unsafe { &mut *memory::direct(self.address()).cast() }
    }

    /// Its bytes, to read.
    pub fn bytes(&self) -> &[u8; PAGE_LEN] {
        // SAFETY: as in `bytes_mut`.
        unsafe { &*memory::direct(self.address()).cast() }
    }

    /// Gives ownership to page tables.
    pub(crate) fn into_raw(self) -> PhysAddr {
        let address = self.address();
        core::mem::forget(self);
        address
    }

    /// Takes ownership back from page tables.
    pub(crate) fn from_raw(address: PhysAddr) -> Self {
        match address.frame() {
            Some(number) => Frame(number),
            None => panic!("page tables named a frame beyond all RAM"),
        }
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        poison::fill(self);
        percpu::with_frame_cache(|cache| {
            let Err(number) = cache.push(self.0) else { return };
            let Some(zones) = ZONES.get() else { return };
            for &old in cache.take_batch() {
                zones.free(old, Order::ZERO);
            }
            if let Err(number) = cache.push(number) {
                zones.free(number, Order::ZERO);
            }
        });
    }
}

impl Block {
    /// Where it starts.
    pub fn address(&self) -> PhysAddr {
        self.start.start()
    }

    /// Bytes it holds.
    pub fn len(&self) -> usize {
        self.order.frames() as usize * PAGE_LEN
    }

    /// Never: a block holds at least a frame.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Gives ownership to the heap.
    pub(crate) fn into_raw(self) -> FrameNo {
        let start = self.start;
        core::mem::forget(self);
        start
    }

    /// Takes ownership back from the heap.
    pub(crate) fn from_raw(start: FrameNo, order: Order) -> Self {
        Block { start, order }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        poison::fill_block(self);
        if let Some(zones) = ZONES.get() {
            zones.free(self.start, self.order);
        }
    }
}

/// How many frames there are and how many are free. Exact when no CPU allocates and the others' caches are empty
/// (`tlb::drain_caches`): theirs are not looked into.
pub fn stats() -> Stats {
    let zones = ZONES.get().into_iter().flat_map(|zones| zones.slots.iter().flatten());
    let in_zones: usize = zones.map(|slot| slot.zone.lock().free_frames() as usize).sum();
    Stats {
        total: TOTAL.load(Ordering::Relaxed),
        free: in_zones + percpu::with_frame_cache(|cache| cache.len()),
        metadata_bytes: METADATA_BYTES.load(Ordering::Relaxed),
    }
}

/// Gives this CPU's cached frames back to their zones: for memory pressure, and before frames are counted.
pub(crate) fn drain_cache() {
    percpu::with_frame_cache(|cache| {
        let Some(zones) = ZONES.get() else { return };
        for &number in cache.take_all() {
            zones.free(number, Order::ZERO);
        }
    });
}

/// Whether so little is left that only the kernel itself, and what ends programs, may still have it. What programs ask for
/// is refused then, so that the small allocations that cannot fail do not.
pub fn is_low() -> bool {
    let total = TOTAL.load(Ordering::Relaxed);
    FREE_IN_ZONES.load(Ordering::Relaxed) < reserve_of(total)
}

/// Frames kept for the kernel: one in 64, at least half a megabyte, at most 16.
fn reserve_of(total: usize) -> usize {
    (total / 64).clamp(128, 4096)
}

/// Free blocks of each order in each zone, as `/proc/buddyinfo` shows them.
pub fn for_each_zone(mut visit: impl FnMut(ZoneKey, [u32; Order::COUNT])) {
    for slot in ZONES.get().into_iter().flat_map(|zones| zones.slots.iter().flatten()) {
        let mut counts = [0; Order::COUNT];
        {
            let zone = slot.zone.lock();
            for (count, order) in counts.iter_mut().zip(Order::all()) {
                *count = zone.free_blocks(order);
            }
        }
        visit(slot.key, counts);
    }
}

#[cfg(debug_assertions)]
mod poison {
    use core::mem::ManuallyDrop;
    use core::sync::atomic::{AtomicU64, Ordering};

    use super::{Block, Frame};

    /// Another one each boot, or what a boot before a reset left in RAM would look like a freed frame.
    static PATTERN: AtomicU64 = AtomicU64::new(0x5a5a_6b6b_5a5a_6b6b);

    pub(super) fn choose_pattern() {
        PATTERN.store(crate::cpu::entropy(), Ordering::Relaxed);
    }

    fn pattern() -> [u8; 8] {
        PATTERN.load(Ordering::Relaxed).to_le_bytes()
    }

    pub(super) fn fill(frame: &mut Frame) {
        frame.bytes_mut().as_chunks_mut::<8>().0.fill(pattern());
    }

    pub(super) fn fill_block(block: &mut Block) {
        frames_of(block).for_each(|mut frame| fill(&mut frame));
    }

    /// The frames of a block, which keeps them.
    fn frames_of(block: &Block) -> impl Iterator<Item = ManuallyDrop<Frame>> {
        let numbers = (block.start.get()..).take(block.order.frames() as usize);
        numbers.map(|number| ManuallyDrop::new(Frame(logic::addr::FrameNo::new(number))))
    }

    /// A frame that starts with the pattern was freed through `fill`, so all of it must still be the pattern.
    pub(super) fn check(frame: &Frame) {
        let words = frame.bytes().as_chunks::<8>().0;
        let pattern = pattern();
        if words[0] == pattern && words.iter().any(|word| *word != pattern) {
            panic!("frame {:?} was written to after it was freed", frame.address());
        }
    }

    pub(super) fn check_block(block: &Block) {
        frames_of(block).for_each(|frame| check(&frame));
    }
}

#[cfg(not(debug_assertions))]
mod poison {
    use super::{Block, Frame};

    pub(super) fn choose_pattern() {}
    pub(super) fn fill(_frame: &mut Frame) {}
    pub(super) fn fill_block(_block: &mut Block) {}
    pub(super) fn check(_frame: &Frame) {}
    pub(super) fn check_block(_block: &Block) {}
}

#[cfg(test)]
mod tests;
