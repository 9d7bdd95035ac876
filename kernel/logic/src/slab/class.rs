//! The slabs of one size: where the next object comes from, and when a slab goes back.
//!
//! Partial slabs come first, the one that got an object back last in front; empty ones only when no partial
//! one is left, so that they have a chance to leave. Full slabs are in no list. One lock of `hal` guards it
//! all.

use super::header::{List, NO_SLAB, ObjectIndex, Occupancy, SlabError, SlabHeader};
use super::size_class::{ClassIndex, Layout};
use crate::addr::FrameNo;

/// Empty slabs kept for the next burst; more go back to the buddy allocator.
const MAX_EMPTY: u32 = 2;

/// Finds the header at the start of a slab. `hal` maps the frame number to memory.
pub trait Headers {
    /// The start of `frame` as a header. A wrong `free` makes this class ask for frames it was never given;
    /// any readable memory will do then.
    fn header(&mut self, frame: FrameNo) -> &mut SlabHeader;
}

/// Where an object lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Object {
    /// The first frame of its slab.
    pub slab: FrameNo,
    /// Bytes from the start of the slab.
    pub offset: u32,
}

/// No free object is left: give the class a slab and ask again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NeedSlab;

/// What became of the slab an object was given back to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Freed {
    /// The class keeps it.
    Kept,
    /// It is empty and not needed: the frames from here, of the class's order, belong to the caller again.
    ReturnSlab(FrameNo),
}

/// All slabs of one size class.
#[derive(Debug)]
pub struct SlabClass {
    class: ClassIndex,
    partial: u32,
    empty: u32,
    empty_count: u32,
    slab_count: u32,
    objects_out: u64,
}

impl SlabClass {
    /// A class without a slab.
    pub const fn new(class: ClassIndex) -> Self {
        Self { class, partial: NO_SLAB, empty: NO_SLAB, empty_count: 0, slab_count: 0, objects_out: 0 }
    }

    /// Takes an object.
    ///
    /// # Errors
    /// [`NeedSlab`] when all slabs are full.
    #[inline]
    pub fn alloc(&mut self, headers: &mut impl Headers) -> Result<Object, NeedSlab> {
        if self.partial == NO_SLAB {
            self.promote_empty(headers)?;
        }
        let slab = FrameNo::new(self.partial);
        let header = headers.header(slab);
        let index = header.take().ok_or(NeedSlab)?;
        if header.free_count() == 0 {
            self.unlink(headers, slab);
        }
        self.objects_out += 1;
        Ok(Object { slab, offset: index.offset(self.layout()) })
    }

    /// Gives an object back.
    ///
    /// # Errors
    /// See [`SlabError`]; nothing has changed then.
    #[inline]
    pub fn free(&mut self, headers: &mut impl Headers, object: Object) -> Result<Freed, SlabError> {
        let header = headers.header(object.slab);
        header.check(self.class)?;
        let index = ObjectIndex::from_offset(self.layout(), object.offset)?;
        let occupancy = header.give(index)?;
        self.objects_out -= 1;
        match occupancy {
            Occupancy::Partial => Ok(Freed::Kept),
            Occupancy::NoLongerFull => {
                self.link(headers, object.slab, List::PARTIAL);
                Ok(Freed::Kept)
            }
            Occupancy::Empty => Ok(self.retire_or_keep(headers, object.slab)),
        }
    }

    /// Adds a slab whose header the caller has just written with [`SlabHeader::new`].
    ///
    /// # Errors
    /// `NotASlab`, `WrongClass` when that header is not there.
    pub fn add_slab(&mut self, headers: &mut impl Headers, slab: FrameNo) -> Result<(), SlabError> {
        headers.header(slab).check(self.class)?;
        self.slab_count += 1;
        self.link(headers, slab, List::EMPTY);
        Ok(())
    }

    /// Takes an empty slab out for good: for memory pressure. Call until it returns `None`.
    pub fn shrink(&mut self, headers: &mut impl Headers) -> Option<FrameNo> {
        if self.empty == NO_SLAB {
            return None;
        }
        let slab = FrameNo::new(self.empty);
        self.unlink(headers, slab);
        self.let_go(headers, slab);
        Some(slab)
    }

    /// How the slabs of this class are laid out.
    pub const fn layout(&self) -> &'static Layout {
        self.class.layout()
    }

    /// Slabs of this class, for `/proc/slabinfo`.
    pub const fn slab_count(&self) -> u32 {
        self.slab_count
    }

    /// Objects that are out, those in magazines included.
    pub const fn objects_out(&self) -> u64 {
        self.objects_out
    }

    /// Makes an empty slab the partial one.
    fn promote_empty(&mut self, headers: &mut impl Headers) -> Result<(), NeedSlab> {
        if self.empty == NO_SLAB {
            return Err(NeedSlab);
        }
        let slab = FrameNo::new(self.empty);
        self.unlink(headers, slab);
        self.link(headers, slab, List::PARTIAL);
        Ok(())
    }

    fn retire_or_keep(&mut self, headers: &mut impl Headers, slab: FrameNo) -> Freed {
        self.unlink(headers, slab);
        if self.empty_count < MAX_EMPTY {
            self.link(headers, slab, List::EMPTY);
            return Freed::Kept;
        }
        self.let_go(headers, slab);
        Freed::ReturnSlab(slab)
    }

    fn let_go(&mut self, headers: &mut impl Headers, slab: FrameNo) {
        headers.header(slab).retire();
        self.slab_count -= 1;
    }

    /// Puts a slab that is in no list at the front of one.
    fn link(&mut self, headers: &mut impl Headers, slab: FrameNo, list: List) {
        let head = match list {
            List::PARTIAL => &mut self.partial,
            List::EMPTY => {
                self.empty_count += 1;
                &mut self.empty
            }
            _ => return,
        };
        let next = core::mem::replace(head, slab.get());
        let header = headers.header(slab);
        (header.next, header.prev, header.list) = (next, NO_SLAB, list);
        if next != NO_SLAB {
            headers.header(FrameNo::new(next)).prev = slab.get();
        }
    }

    /// Takes a slab out of the list it is in, if any.
    fn unlink(&mut self, headers: &mut impl Headers, slab: FrameNo) {
        let header = headers.header(slab);
        let (next, prev) = (header.next, header.prev);
        let head = match core::mem::replace(&mut header.list, List::NONE) {
            List::PARTIAL => &mut self.partial,
            List::EMPTY => {
                self.empty_count -= 1;
                &mut self.empty
            }
            _ => return,
        };
        if prev == NO_SLAB {
            *head = next;
        } else {
            headers.header(FrameNo::new(prev)).next = next;
        }
        if next != NO_SLAB {
            headers.header(FrameNo::new(next)).prev = prev;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    struct Memory(BTreeMap<FrameNo, SlabHeader>);

    impl Headers for Memory {
        fn header(&mut self, frame: FrameNo) -> &mut SlabHeader {
            self.0.get_mut(&frame).unwrap()
        }
    }

    fn class(index: u8) -> ClassIndex {
        ClassIndex::new(index).unwrap()
    }

    fn add(class: &mut SlabClass, memory: &mut Memory, frame: u32) {
        let frame = FrameNo::new(frame);
        memory.0.insert(frame, SlabHeader::new(class.class, frame));
        class.add_slab(memory, frame).unwrap();
    }

    #[test]
    fn wrong_frees_are_named() {
        let (mut slabs, mut memory) = (SlabClass::new(class(12)), Memory(BTreeMap::new()));
        assert_eq!(slabs.alloc(&mut memory), Err(NeedSlab));
        add(&mut slabs, &mut memory, 8);
        let object = slabs.alloc(&mut memory).unwrap();
        let inside = Object { offset: object.offset + 8, ..object };
        let other = Object { offset: object.offset + 2048, ..object };
        assert_eq!(slabs.free(&mut memory, inside), Err(SlabError::NotAnObject));
        assert_eq!(slabs.free(&mut memory, other), Err(SlabError::DoubleFree));
        assert_eq!(SlabClass::new(class(3)).free(&mut memory, object), Err(SlabError::WrongClass));
        assert_eq!(slabs.free(&mut memory, object), Ok(Freed::Kept));
        assert_eq!(slabs.free(&mut memory, object), Err(SlabError::DoubleFree));
        assert_eq!(slabs.shrink(&mut memory), Some(FrameNo::new(8)));
        assert_eq!(slabs.free(&mut memory, object), Err(SlabError::NotASlab));
        assert_eq!((slabs.shrink(&mut memory), slabs.slab_count(), slabs.objects_out()), (None, 0, 0));
    }

    #[test]
    fn two_empty_slabs_stay_and_more_go_back() {
        let (mut slabs, mut memory) = (SlabClass::new(class(12)), Memory(BTreeMap::new()));
        let objects: std::vec::Vec<_> = (0..4 * 7)
            .map(|number| {
                if number % 7 == 0 {
                    add(&mut slabs, &mut memory, number * 4);
                }
                slabs.alloc(&mut memory).unwrap()
            })
            .collect();
        let freed = objects.into_iter().map(|object| slabs.free(&mut memory, object).unwrap());
        assert_eq!(freed.filter(|freed| *freed != Freed::Kept).count(), 2);
        assert_eq!(slabs.slab_count(), 2);
    }

    proptest! {
        #[test]
        fn agrees_with_a_set_of_objects(
            index in 0u8..13,
            steps in prop::collection::vec((0u8..3, any::<usize>()), 0..400),
        ) {
            let (mut slabs, mut memory) = (SlabClass::new(class(index)), Memory(BTreeMap::new()));
            let mut out = BTreeSet::new();
            let mut next_frame = 0;
            for (step, pick) in steps {
                if step > 0 || out.is_empty() {
                    if let Ok(object) = slabs.alloc(&mut memory) {
                        prop_assert!(out.insert((object.slab, object.offset)), "given out twice");
                        continue;
                    }
                    next_frame += 4;
                    add(&mut slabs, &mut memory, next_frame);
                    continue;
                }
                let &(slab, offset) = out.iter().nth(pick % out.len()).unwrap();
                out.remove(&(slab, offset));
                if let Freed::ReturnSlab(slab) = slabs.free(&mut memory, Object { slab, offset }).unwrap() {
                    prop_assert!(out.iter().all(|object| object.0 != slab));
                    memory.0.remove(&slab);
                }
                prop_assert_eq!(slabs.objects_out(), out.len() as u64);
            }
            let free: usize = memory.0.values().map(|header| usize::from(header.free_count())).sum();
            let capacity: usize = memory.0.values().map(|header| usize::from(header.capacity())).sum();
            prop_assert_eq!(capacity - free, out.len());
            for (slab, offset) in out {
                slabs.free(&mut memory, Object { slab, offset }).unwrap();
            }
            while slabs.shrink(&mut memory).is_some() {}
            prop_assert_eq!(slabs.slab_count(), 0);
        }
    }
}
