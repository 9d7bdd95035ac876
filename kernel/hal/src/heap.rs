//! The kernel heap: Rust's global allocator.
//!
//! Small objects come from slabs ([`logic::slab`]) through a pair of magazines for each CPU and size, which take no
//! lock; a slab class has a spin lock (rank `Heap`). Larger ones, to half a block, come from `buddy_system_allocator`,
//! fed with blocks of frames; the largest are blocks of frames themselves. Failure is a null pointer, and the callers
//! use `try_` functions. Debug builds fill free objects of slabs and look for writes to them when they are handed out;
//! a double free is found by the slab's bitmap in any build, once the object has left the magazines.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use logic::addr::{FrameNo, PAGE_SIZE};
use logic::buddy::Order;
use logic::slab::{
    CLASS_COUNT, ClassIndex, Freed, Headers, LARGEST_OBJECT, MagazinePair, NeedSlab, Object, SlabClass,
    SlabHeader, class_for,
};
use logic::zones::ZoneKind;

use crate::frames::{self, Block};
use crate::memory;
use crate::percpu;
use crate::rank;
use crate::spin::Lock;

/// The allocator the binary names with `#[global_allocator]`.
pub struct Heap;

static CLASSES: [Lock<SlabClass, rank::Heap>; CLASS_COUNT] = classes();
static LARGE: Lock<buddy_system_allocator::Heap<24>, rank::Heap> =
    Lock::new(buddy_system_allocator::Heap::empty());
static LARGE_FED: AtomicUsize = AtomicUsize::new(0);
static WHOLE_FRAMES: AtomicUsize = AtomicUsize::new(0);

const fn classes() -> [Lock<SlabClass, rank::Heap>; CLASS_COUNT] {
    let mut built = [const { Lock::new(SlabClass::new(FIRST_CLASS)) }; CLASS_COUNT];
    let mut number = 0;
    while let Some(class) = ClassIndex::new(number) {
        built[class.slot()] = Lock::new(SlabClass::new(class));
        number += 1;
    }
    built
}

const FIRST_CLASS: ClassIndex = match ClassIndex::new(0) {
    Some(class) => class,
    None => panic!("there is a first class"),
};

/// Above this, objects are blocks of frames; up to it they share blocks of `LARGE_FEED`.
const LARGE_LIMIT: usize = 128 << 10;
/// Order of the blocks the large end grows by: 256 KiB, or smaller ones when memory is short.
const LARGE_FEED: u8 = 6;

// SAFETY: memory comes from slabs, the buddy heap or frames, each of which hands a range out once until it is given
// back; sizes and alignments are those of the layout or larger.
unsafe impl GlobalAlloc for Heap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match class_for(layout.size(), layout.align()) {
            Some(class) => allocate_small(class),
            None if layout.size().max(layout.align()) <= LARGE_LIMIT => allocate_large(layout),
            None => allocate_frames(layout),
        }
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        match class_for(layout.size(), layout.align()) {
            Some(class) => free_small(class, pointer),
            None if layout.size().max(layout.align()) <= LARGE_LIMIT => free_large(pointer, layout),
            None => free_frames(pointer, layout),
        }
    }
}

/// What free memory of slabs and of the large end is filled with; whole blocks have the frames' pattern.
const POISON: u8 = 0x6b;

fn poison(pointer: *mut u8, len: usize) {
    if cfg!(debug_assertions) {
        // SAFETY: callers free these bytes, or have just got them and not handed them out: nobody else uses them.
        unsafe { pointer.write_bytes(POISON, len) };
    }
}

/// Whether all of a free object of a slab still is as `poison` left it.
fn check_poison(address: usize, class: ClassIndex) {
    if cfg!(debug_assertions) {
        let words: *const [u8; 8] = core::ptr::with_exposed_provenance(address);
        // SAFETY: the object is free and the caller's, aligned, and its size is a multiple of 8.
        let words = unsafe { core::slice::from_raw_parts(words, class.layout().object_size as usize / 8) };
        assert!(
            words.iter().all(|word| *word == [POISON; 8]),
            "heap object {address:#x} was written to after it was freed"
        );
    }
}

#[inline]
fn allocate_small(class: ClassIndex) -> *mut u8 {
    let address = percpu::with_magazines(|magazines| {
        let pair = &mut magazines[class.slot()];
        pair.pop().or_else(|| refill(class, pair))
    });
    if let Some(address) = address {
        check_poison(address, class);
    }
    address.map_or(core::ptr::null_mut(), core::ptr::with_exposed_provenance_mut)
}

/// Fills half a magazine from the slabs; returns one more object.
#[cold]
fn refill(class: ClassIndex, pair: &mut MagazinePair) -> Option<usize> {
    const BATCH: usize = 16;
    let mut slabs = CLASSES[class.slot()].lock();
    let first = take_object(&mut slabs, class)?;
    let magazine = pair.refill();
    for _ in 1..BATCH {
        let Some(address) = take_object(&mut slabs, class) else { break };
        if magazine.push(address).is_err() {
            let _ = slabs.free(&mut DirectHeaders, object_at(class, address));
            break;
        }
    }
    Some(first)
}

fn take_object(slabs: &mut SlabClass, class: ClassIndex) -> Option<usize> {
    let object = match slabs.alloc(&mut DirectHeaders) {
        Ok(object) => object,
        Err(NeedSlab) => {
            add_slab(slabs, class)?;
            slabs.alloc(&mut DirectHeaders).ok()?
        }
    };
    Some(memory::direct(object.slab.start()).expose_provenance() + object.offset as usize)
}

fn add_slab(slabs: &mut SlabClass, class: ClassIndex) -> Option<()> {
    let block = frames::allocate_block(class.layout().order, ZoneKind::Normal)?;
    let header: *mut SlabHeader = memory::direct(block.address()).cast();
    poison(header.cast(), block.len());
    let start = block.into_raw();
    // SAFETY: the block is ours alone; a header fits its first bytes and is aligned with the frame.
    unsafe { header.write(SlabHeader::new(class, start)) };
    match slabs.add_slab(&mut DirectHeaders, start) {
        Ok(()) => Some(()),
        Err(error) => panic!("a new slab is damaged: {error:?}"),
    }
}

fn free_small(class: ClassIndex, pointer: *mut u8) {
    poison(pointer, class.layout().object_size as usize);
    let address = pointer.expose_provenance();
    percpu::with_magazines(|magazines| {
        let pair = &mut magazines[class.slot()];
        let Err(address) = pair.push(address) else { return };
        let mut slabs = CLASSES[class.slot()].lock();
        for &old in pair.spill() {
            give_object(&mut slabs, class, old);
        }
        if let Err(address) = pair.push(address) {
            give_object(&mut slabs, class, address);
        }
    });
}

fn give_object(slabs: &mut SlabClass, class: ClassIndex, address: usize) {
    match slabs.free(&mut DirectHeaders, object_at(class, address)) {
        Ok(Freed::Kept) => {}
        Ok(Freed::ReturnSlab(start)) => drop(Block::from_raw(start, class.layout().order)),
        Err(error) => panic!("freeing heap object {address:#x}: {error:?}"),
    }
}

/// Which slab, and where in it. Blocks are aligned to their size.
fn object_at(class: ClassIndex, address: usize) -> Object {
    let physical = memory::physical(core::ptr::with_exposed_provenance(address)).get();
    let slab_bytes = u64::from(class.layout().slab_bytes());
    let start = physical & !(slab_bytes - 1);
    match (FrameNo::from_page_number(start / PAGE_SIZE), u32::try_from(physical - start)) {
        (Some(slab), Ok(offset)) => Object { slab, offset },
        _ => panic!("freeing heap object {address:#x}, which is no heap memory"),
    }
}

/// Slab headers through the direct map.
struct DirectHeaders;

impl Headers for DirectHeaders {
    fn header(&mut self, frame: FrameNo) -> &mut SlabHeader {
        // SAFETY: called under the class's lock, with frames of its own slabs, or of a freed object's supposed slab:
        // that is some frame of RAM, any bytes make a `SlabHeader`, and `check` refuses what is none.
        unsafe { &mut *memory::direct(frame.start()).cast() }
    }
}

fn allocate_large(layout: Layout) -> *mut u8 {
    if let Ok(found) = LARGE.lock().alloc(layout) {
        return found.as_ptr();
    }
    let needed = Order::holding((layout.size().max(layout.align()) as u64 * 2).div_ceil(PAGE_SIZE));
    let wanted = Order::new(LARGE_FEED).max(needed);
    let block = [wanted, needed]
        .into_iter()
        .flatten()
        .find_map(|order| frames::allocate_block(order, ZoneKind::Normal));
    let Some(block) = block else { return core::ptr::null_mut() };
    let len = block.len();
    let start = memory::direct(block.into_raw().start()).expose_provenance();
    LARGE_FED.fetch_add(len, Ordering::Relaxed);
    let mut large = LARGE.lock();
    // SAFETY: the block is ours and is never taken back.
    unsafe { large.add_to_heap(start, start + len) };
    large.alloc(layout).map_or(core::ptr::null_mut(), NonNull::as_ptr)
}

fn free_large(pointer: *mut u8, layout: Layout) {
    poison(pointer, layout.size());
    let Some(pointer) = NonNull::new(pointer) else { return };
    // SAFETY: `allocate_large` returned it for this layout.
    unsafe { LARGE.lock().dealloc(pointer, layout) };
}

fn order_of(layout: Layout) -> Option<Order> {
    Order::holding((layout.size().max(layout.align()) as u64).div_ceil(PAGE_SIZE))
}

fn allocate_frames(layout: Layout) -> *mut u8 {
    let Some(order) = order_of(layout) else { return core::ptr::null_mut() };
    let Some(block) = frames::allocate_block(order, ZoneKind::Normal) else { return core::ptr::null_mut() };
    WHOLE_FRAMES.fetch_add(block.len(), Ordering::Relaxed);
    memory::direct(block.into_raw().start())
}

fn free_frames(pointer: *mut u8, layout: Layout) {
    let Some(order) = order_of(layout) else { return };
    let Some(start) = memory::physical(pointer).frame() else { return };
    let block = Block::from_raw(start, order);
    WHOLE_FRAMES.fetch_sub(block.len(), Ordering::Relaxed);
    drop(block);
}

/// What the heap holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Slabs of all sizes.
    pub slabs: usize,
    /// Bytes of those slabs.
    pub slab_bytes: usize,
    /// Objects handed out of slabs, those waiting in magazines included.
    pub objects_out: usize,
    /// Bytes given to the large end; they stay there.
    pub large_bytes: usize,
    /// Bytes of the large end in use.
    pub large_used: usize,
    /// Bytes of objects that are whole blocks of frames.
    pub whole_bytes: usize,
}

/// What the heap holds now.
pub fn stats() -> Stats {
    let mut stats = Stats {
        large_bytes: LARGE_FED.load(Ordering::Relaxed),
        large_used: LARGE.lock().stats_alloc_actual(),
        whole_bytes: WHOLE_FRAMES.load(Ordering::Relaxed),
        ..Stats::default()
    };
    for class in &CLASSES {
        let slabs = class.lock();
        stats.slabs += slabs.slab_count() as usize;
        stats.slab_bytes += slabs.slab_count() as usize * slabs.layout().slab_bytes() as usize;
        stats.objects_out += usize::try_from(slabs.objects_out()).unwrap_or(usize::MAX);
    }
    stats
}

/// Empties this CPU's magazines and lets empty slabs go: for memory pressure, and before objects are counted.
pub(crate) fn drain_magazines() {
    percpu::with_magazines(|magazines| {
        for class in ClassIndex::all() {
            let mut slabs = CLASSES[class.slot()].lock();
            for magazine in magazines[class.slot()].magazines() {
                for &address in magazine.take_all() {
                    give_object(&mut slabs, class, address);
                }
            }
            while let Some(start) = slabs.shrink(&mut DirectHeaders) {
                drop(Block::from_raw(start, class.layout().order));
            }
        }
    });
}

const _: () = assert!(LARGEST_OBJECT < LARGE_LIMIT, "the large end starts above the slabs");

#[cfg(test)]
mod tests;
