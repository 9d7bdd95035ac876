//! The buddy allocator of one zone: blocks of 2^0 to 2^10 frames, split and merged by address.
//!
//! A [`Zone`] is a contiguous range of frames; its holes are absent frames that never merge and are never
//! given out. One record a frame, lent by `hal`, holds the tag and, for free blocks, the links of the free
//! lists, so nothing here touches the frames themselves. `hal` calls it under the zone's spin lock with
//! interrupts off:
//! `alloc` and `free` cost at most one step an order. Knuth, The Art of Computer Programming 1, section 2.5,
//! algorithms R and S, with doubly linked lists so that a buddy leaves its list in one step.
//!
//! Tags are kept so that one look decides about a `free`: the first frame of a block says free or allocated
//! and the order, all its other frames say "tail", and they keep saying so while blocks split and merge.

use crate::addr::{FrameNo, FrameRange};

/// How large a block is: 2^order frames.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub struct Order(u8);

impl Order {
    /// One frame.
    pub const ZERO: Self = Self(0);
    /// 2 MiB, one entry of a page directory.
    pub const HUGE_PAGE: Self = Self(9);
    /// The largest block: 4 MiB.
    pub const MAX: Self = Self(10);
    /// How many orders there are.
    pub const COUNT: usize = 11;

    /// The order of this number, `None` above [`Order::MAX`].
    pub const fn new(order: u8) -> Option<Self> {
        if order > Self::MAX.0 {
            return None;
        }
        Some(Self(order))
    }

    /// The smallest order that holds `frames`; `None` for none and for more than the largest block.
    pub const fn holding(frames: u64) -> Option<Self> {
        if frames == 0 || frames > Self::MAX.frames() as u64 {
            return None;
        }
        Self::new((frames.next_power_of_two().trailing_zeros() & 15) as u8)
    }

    /// The order's number.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Frames in a block of this order.
    pub const fn frames(self) -> u32 {
        1 << self.0
    }

    /// All orders, the smallest first.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> {
        (0..=Self::MAX.0).map(Self)
    }

    /// Place in the per-order arrays, which have 16 slots so that the mask needs no bounds check.
    const fn slot(self) -> usize {
        (self.0 & 15) as usize
    }

    const fn larger(self) -> Self {
        Self(self.0 + 1)
    }

    const fn smaller(self) -> Self {
        Self(self.0 - 1)
    }
}

/// What a frame is; zero is absent, so metadata made of zeroed memory describes a zone full of holes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[repr(transparent)]
struct Tag(u32);

impl Tag {
    const ABSENT: Self = Self(0);
    const TAIL: Self = Self(1);
    const FREE: u32 = 0x100;
    const ALLOCATED: u32 = 0x200;

    const fn free(order: Order) -> Self {
        Self(Self::FREE | order.0 as u32)
    }

    const fn allocated(order: Order) -> Self {
        Self(Self::ALLOCATED | order.0 as u32)
    }

    const fn is_free(self) -> bool {
        self.0 & Self::FREE != 0
    }

    const fn is_head(self) -> bool {
        self.0 & (Self::FREE | Self::ALLOCATED) != 0
    }

    const fn order(self) -> Order {
        Order((self.0 & 15) as u8)
    }
}

/// The allocator's record of one frame. Zeroed memory is a valid record of an absent frame.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct Frame {
    /// Neighbours in the free list, as indices into the zone; meaningful in the first frame of a free block.
    next: u32,
    prev: u32,
    tag: Tag,
}

impl Frame {
    /// A frame that does not exist (yet).
    pub const ABSENT: Self = Self { next: 0, prev: 0, tag: Tag::ABSENT };
}

/// Ends a free list.
const NONE: u32 = u32::MAX;

/// Why frames could not be given back. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FreeError {
    /// The frame lies outside the zone.
    NotOwned,
    /// The frame lies in a hole of the zone.
    Absent,
    /// The frame is free already.
    DoubleFree,
    /// The frame lies inside an allocated block and is not its first.
    NotBlockStart,
    /// The block was allocated with another order, this one.
    WrongOrder(Order),
}

/// Why frames could not be added. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddError {
    /// The range is not wholly inside the zone.
    OutsideZone,
    /// A frame of the range is in the zone already.
    AlreadyPresent,
}

/// A contiguous range of frames and its free blocks.
#[derive(Debug)]
pub struct Zone<'a> {
    frames: &'a mut [Frame],
    base: u32,
    free_frames: u32,
    present_frames: u32,
    /// Bit n is set when the free list of order n has a block.
    nonempty: u32,
    heads: [u32; 16],
    counts: [u32; 16],
}

impl<'a> Zone<'a> {
    /// A zone that starts at `base` and is as long as `frames`, all of them absent records. `None` when it
    /// would reach past the last frame number.
    pub fn new(base: FrameNo, frames: &'a mut [Frame]) -> Option<Self> {
        let len = u32::try_from(frames.len()).ok()?;
        base.checked_add(len)?;
        Some(Self {
            frames,
            base: base.get(),
            free_frames: 0,
            present_frames: 0,
            nonempty: 0,
            heads: [NONE; 16],
            counts: [0; 16],
        })
    }

    /// Takes a block of 2^`order` frames, aligned to its size in physical memory. The lists are last in,
    /// first out: the frame that was freed last is the one most likely still in the cache.
    #[inline]
    pub fn alloc(&mut self, order: Order) -> Option<FrameNo> {
        let fitting = self.nonempty >> order.0;
        if fitting == 0 {
            return None;
        }
        let mut found = Order(order.0 + (fitting.trailing_zeros() & 15) as u8);
        let index = self.heads[found.slot()];
        self.unlink(index, found);
        while found > order {
            found = found.smaller();
            self.link(index + found.frames(), found);
        }
        self.frames[index as usize].tag = Tag::allocated(order);
        self.free_frames -= order.frames();
        Some(FrameNo::new(self.base + index))
    }

    /// Gives a block back.
    ///
    /// # Errors
    /// See [`FreeError`]; nothing has changed then.
    #[inline]
    pub fn free(&mut self, frame: FrameNo, order: Order) -> Result<(), FreeError> {
        let index = self.allocated_block(frame, order)?;
        self.release(index, order);
        Ok(())
    }

    /// Turns an allocated block into single allocated frames that are freed one by one with order zero.
    ///
    /// # Errors
    /// As [`Zone::free`].
    pub fn split_allocated(&mut self, frame: FrameNo, order: Order) -> Result<(), FreeError> {
        let start = self.allocated_block(frame, order)? as usize;
        let block = self.frames.get_mut(start..start + order.frames() as usize).unwrap_or_default();
        block.iter_mut().for_each(|frame| frame.tag = Tag::allocated(Order::ZERO));
        Ok(())
    }

    /// Adds frames that were absent so far; they are free afterwards.
    ///
    /// # Errors
    /// `OutsideZone`, `AlreadyPresent`; nothing has changed then.
    pub fn add_range(&mut self, range: FrameRange) -> Result<(), AddError> {
        if range.is_empty() {
            return Ok(());
        }
        let start = range.start.get().checked_sub(self.base).ok_or(AddError::OutsideZone)?;
        let end = start.checked_add(range.len()).ok_or(AddError::OutsideZone)?;
        let records = self.frames.get_mut(start as usize..end as usize).ok_or(AddError::OutsideZone)?;
        if records.iter().any(|frame| frame.tag != Tag::ABSENT) {
            return Err(AddError::AlreadyPresent);
        }
        records.iter_mut().for_each(|frame| frame.tag = Tag::TAIL);
        self.present_frames += range.len();
        self.release_range(start, end);
        Ok(())
    }

    /// The frames the zone spans, holes included.
    pub fn span(&self) -> FrameRange {
        let len = u32::try_from(self.frames.len()).unwrap_or(0);
        FrameRange::new(FrameNo::new(self.base), FrameNo::new(self.base + len))
    }

    /// Free frames.
    pub const fn free_frames(&self) -> u32 {
        self.free_frames
    }

    /// Frames that were added, free or not.
    pub const fn present_frames(&self) -> u32 {
        self.present_frames
    }

    /// Free blocks of exactly this order, as `/proc/buddyinfo` prints them.
    pub const fn free_blocks(&self, order: Order) -> u32 {
        self.counts[order.slot()]
    }

    /// The order of the largest free block.
    pub const fn largest_order(&self) -> Option<Order> {
        match self.nonempty.checked_ilog2() {
            Some(order) => Order::new((order & 15) as u8),
            None => None,
        }
    }

    /// The index of an allocated block that starts here and has this order.
    #[inline]
    fn allocated_block(&self, frame: FrameNo, order: Order) -> Result<u32, FreeError> {
        // A frame below the base wraps to an index no zone reaches, so one comparison checks both ends.
        let index = frame.get().wrapping_sub(self.base);
        match self.frames.get(index as usize) {
            Some(record) if record.tag == Tag::allocated(order) => Ok(index),
            _ => Err(self.explain(index)),
        }
    }

    /// Why the frame at `index` is not the start of the allocated block the caller meant.
    #[cold]
    fn explain(&self, index: u32) -> FreeError {
        let Some(record) = self.frames.get(index as usize) else {
            return FreeError::NotOwned;
        };
        match record.tag {
            Tag::ABSENT => FreeError::Absent,
            Tag::TAIL if self.lies_in_free_block(index) => FreeError::DoubleFree,
            Tag::TAIL => FreeError::NotBlockStart,
            tag if tag.is_free() => FreeError::DoubleFree,
            tag => FreeError::WrongOrder(tag.order()),
        }
    }

    /// Looks at the possible starts of the block a tail belongs to, the nearest first.
    fn lies_in_free_block(&self, index: u32) -> bool {
        let number = self.base + index;
        let starts = Order::all().filter_map(|order| {
            let start = (number & !(order.frames() - 1)).checked_sub(self.base)?;
            self.frames.get(start as usize)
        });
        starts.map(|record| record.tag).find(|tag| tag.is_head()).is_some_and(Tag::is_free)
    }

    /// Frees the frames from `start` to `end` as the largest aligned blocks that fit.
    fn release_range(&mut self, start: u32, end: u32) {
        let mut index = start;
        while index < end {
            let alignment = (self.base + index).trailing_zeros();
            let order = alignment.min((end - index).ilog2()).min(Order::MAX.0.into());
            let order = Order((order & 15) as u8);
            self.release(index, order);
            index += order.frames();
        }
    }

    /// Puts a block into the free lists, merged with its buddies as far as they are free.
    #[inline]
    fn release(&mut self, index: u32, order: Order) {
        let mut number = self.base + index;
        let mut merged = order;
        self.free_frames += order.frames();
        while merged < Order::MAX {
            let buddy = (number ^ merged.frames()).wrapping_sub(self.base);
            if self.frames.get(buddy as usize).is_none_or(|record| record.tag != Tag::free(merged)) {
                break;
            }
            self.unlink(buddy, merged);
            let upper = (number | merged.frames()) - self.base;
            self.frames[upper as usize].tag = Tag::TAIL;
            number &= !merged.frames();
            merged = merged.larger();
        }
        self.link(number - self.base, merged);
    }

    /// Puts a block at the front of its free list.
    #[inline]
    fn link(&mut self, index: u32, order: Order) {
        let head = self.heads[order.slot()];
        self.frames[index as usize] = Frame { next: head, prev: NONE, tag: Tag::free(order) };
        if head != NONE {
            self.frames[head as usize].prev = index;
        }
        self.heads[order.slot()] = index;
        self.counts[order.slot()] += 1;
        self.nonempty |= order.frames();
    }

    /// Takes a block out of its free list; its tag is the caller's to change.
    #[inline]
    fn unlink(&mut self, index: u32, order: Order) {
        let Frame { next, prev, .. } = self.frames[index as usize];
        if next != NONE {
            self.frames[next as usize].prev = prev;
        }
        if prev != NONE {
            self.frames[prev as usize].next = next;
        } else {
            self.heads[order.slot()] = next;
            if next == NONE {
                self.nonempty &= !order.frames();
            }
        }
        self.counts[order.slot()] -= 1;
    }
}

#[cfg(test)]
mod tests;
