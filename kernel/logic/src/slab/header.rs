//! The record at the start of each slab: which of its objects are free.
//!
//! A bitmap instead of a list through the free objects: a double free is seen at once, and nothing of ours
//! lies where a program's stray write could reach it.

use super::size_class::{ClassIndex, HEADER_BYTES, Layout};
use crate::addr::FrameNo;

/// Marks memory as a slab's header ("slab" and two bytes no text has).
const MAGIC: u32 = 0xf51a_bf5c;

/// Ends a list of slabs.
pub(super) const NO_SLAB: u32 = u32::MAX;

/// An object's place in its slab.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub struct ObjectIndex(u16);

/// How full a slab is after an object came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Occupancy {
    /// It was full and has one free object now.
    NoLongerFull,
    /// It has objects of both sorts, as before.
    Partial,
    /// All its objects are free.
    Empty,
}

/// Why an object could not be given back. Nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SlabError {
    /// There is no slab header at the start of this memory.
    NotASlab,
    /// The slab belongs to another size class.
    WrongClass,
    /// The pointer is not the start of an object.
    NotAnObject,
    /// The object is free already.
    DoubleFree,
}

/// The record at the start of each slab. All fields are plain numbers: any memory may be looked at as a
/// header, and [`SlabHeader::check`] says whether it is one.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct SlabHeader {
    /// Bit n is set while object n is free.
    free: [u64; 4],
    pub(super) next: u32,
    pub(super) prev: u32,
    magic: u32,
    frame: FrameNo,
    free_count: u16,
    capacity: u16,
    class: u8,
    pub(super) list: List,
}

/// The list a slab is in; any other number means none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub(super) struct List(u8);

impl List {
    /// None: the slab is new or full.
    pub(super) const NONE: Self = Self(0);
    /// Some objects are free.
    pub(super) const PARTIAL: Self = Self(1);
    /// All objects are free.
    pub(super) const EMPTY: Self = Self(2);
}

const _: () = assert!(size_of::<SlabHeader>() <= HEADER_BYTES as usize);

impl SlabHeader {
    /// The header of a new slab that starts at `frame`; all objects are free.
    pub fn new(class: ClassIndex, frame: FrameNo) -> Self {
        let capacity = class.layout().capacity;
        let mut free = [0; 4];
        let mut left = u32::from(capacity);
        for word in &mut free {
            let bits = left.min(64);
            *word = u64::MAX.checked_shr(64 - bits).unwrap_or(0);
            left -= bits;
        }
        Self {
            free,
            next: NO_SLAB,
            prev: NO_SLAB,
            magic: MAGIC,
            frame,
            free_count: capacity,
            capacity,
            class: class.get(),
            list: List::NONE,
        }
    }

    /// Takes the free object with the lowest address; `None` when the slab is full.
    #[inline]
    pub fn take(&mut self) -> Option<ObjectIndex> {
        let (word, bits) = (0u16..).zip(&mut self.free).find(|(_, bits)| **bits != 0)?;
        let bit = (bits.trailing_zeros() & 63) as u16;
        *bits &= *bits - 1;
        self.free_count -= 1;
        Some(ObjectIndex(word * 64 + bit))
    }

    /// Gives an object back.
    ///
    /// # Errors
    /// `NotAnObject` past the last object, `DoubleFree`.
    #[inline]
    pub fn give(&mut self, object: ObjectIndex) -> Result<Occupancy, SlabError> {
        if object.0 >= self.capacity {
            return Err(SlabError::NotAnObject);
        }
        let Some(word) = self.free.get_mut(usize::from(object.0 / 64)) else {
            return Err(SlabError::NotAnObject);
        };
        let mask = 1 << (object.0 % 64);
        if *word & mask != 0 {
            return Err(SlabError::DoubleFree);
        }
        *word |= mask;
        self.free_count += 1;
        Ok(match self.free_count {
            count if count == self.capacity => Occupancy::Empty,
            1 => Occupancy::NoLongerFull,
            _ => Occupancy::Partial,
        })
    }

    /// Whether this memory is a header of this class.
    ///
    /// # Errors
    /// `NotASlab`, `WrongClass`.
    #[inline]
    pub fn check(&self, class: ClassIndex) -> Result<(), SlabError> {
        if self.magic != MAGIC {
            return Err(SlabError::NotASlab);
        }
        if self.class != class.get() {
            return Err(SlabError::WrongClass);
        }
        Ok(())
    }

    /// Makes the memory no slab any more, so that a late free into it is seen.
    pub fn retire(&mut self) {
        self.magic = 0;
    }

    /// The slab's first frame.
    pub const fn frame(&self) -> FrameNo {
        self.frame
    }

    /// The slab's size class; `None` when this is no header.
    pub const fn class(&self) -> Option<ClassIndex> {
        ClassIndex::new(self.class)
    }

    /// Objects that are free.
    pub const fn free_count(&self) -> u16 {
        self.free_count
    }

    /// Objects in all.
    pub const fn capacity(&self) -> u16 {
        self.capacity
    }
}

impl ObjectIndex {
    /// The object that starts `offset` bytes into a slab of this layout.
    ///
    /// # Errors
    /// `NotAnObject` when none does.
    #[inline]
    pub fn from_offset(layout: &Layout, offset: u32) -> Result<Self, SlabError> {
        let from_first = offset.checked_sub(layout.first_object).ok_or(SlabError::NotAnObject)?;
        let (index, rest) = (from_first / layout.object_size, from_first % layout.object_size);
        match u16::try_from(index) {
            Ok(index) if rest == 0 && index < layout.capacity => Ok(Self(index)),
            _ => Err(SlabError::NotAnObject),
        }
    }

    /// Where the object starts in its slab.
    #[inline]
    pub const fn offset(self, layout: &Layout) -> u32 {
        layout.first_object + self.0 as u32 * layout.object_size
    }

    /// The object's number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_slab_gives_each_object_once() {
        for class in ClassIndex::all() {
            let mut header = SlabHeader::new(class, FrameNo::new(3));
            for index in 0..class.layout().capacity {
                assert_eq!(header.take(), Some(ObjectIndex(index)));
            }
            assert_eq!((header.take(), header.free_count()), (None, 0));
        }
    }

    #[test]
    fn wrong_objects_are_refused() {
        let class = ClassIndex::new(0).unwrap();
        let mut header = SlabHeader::new(class, FrameNo::new(3));
        let object = header.take().unwrap();
        assert_eq!(header.give(ObjectIndex(1)), Err(SlabError::DoubleFree));
        assert_eq!(header.give(ObjectIndex(248)), Err(SlabError::NotAnObject));
        assert_eq!(header.give(ObjectIndex(u16::MAX)), Err(SlabError::NotAnObject));
        assert_eq!(header.give(object), Ok(Occupancy::Empty));
        assert_eq!(header.check(ClassIndex::new(1).unwrap()), Err(SlabError::WrongClass));
        header.retire();
        assert_eq!(header.check(class), Err(SlabError::NotASlab));
    }

    #[test]
    fn occupancy_tells_the_border_cases() {
        let class = ClassIndex::new(12).unwrap();
        let mut header = SlabHeader::new(class, FrameNo::new(0));
        while header.take().is_some() {}
        let told: std::vec::Vec<_> = (0..7).map(|index| header.give(ObjectIndex(index)).unwrap()).collect();
        assert_eq!(told[0], Occupancy::NoLongerFull);
        assert_eq!(told[1..6], [Occupancy::Partial; 5]);
        assert_eq!(told[6], Occupancy::Empty);
    }

    proptest! {
        #[test]
        fn only_object_starts_are_objects(class in 0u8..13, offset in 0u32..20_000) {
            let layout = ClassIndex::new(class).unwrap().layout();
            match ObjectIndex::from_offset(layout, offset) {
                Ok(index) => prop_assert_eq!(index.offset(layout), offset),
                Err(_) => {
                    let mut all = (0..layout.capacity).map(ObjectIndex);
                    prop_assert!(all.all(|index| index.offset(layout) != offset));
                }
            }
        }
    }
}
