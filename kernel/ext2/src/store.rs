//! Blocks of metadata in memory: those that changed until they are on the disk, others as long as there is room.
//!
//! Every change of bytes goes through [`Store::write`], which notes what was there, so that an operation that fails half-way
//! is undone completely (`begin`, `accept`, `roll_back`). A block of a bitmap has two companions: what it was when the epoch
//! began ([`Slot::base`]), which tells what was taken since, and what is to be freed when the epoch is on disk
//! ([`Slot::freed`]).

use abi::{Errno, Result};
use alloc::vec::Vec;
use hashbrown::HashMap;

use crate::bytes::{clear_bit, clear_bits, copy, set_bit, test_bit, to32, zeroes};
use crate::types::{BlockNo, Blocks};

/// What a block is, which decides when a commit writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The superblock.
    Super,
    /// Descriptors of groups.
    Descriptors,
    /// A bitmap of blocks or inodes.
    Bitmap,
    /// Inodes.
    Inodes,
    /// Numbers of blocks.
    Pointers,
    /// Names.
    Directory,
    /// Extended attributes.
    Attributes,
    /// The text of a long symbolic link.
    Target,
}

/// Whether the disk leads to a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// It may.
    Known,
    /// Nothing on the disk names it yet.
    Fresh,
    /// It is part of the commit under way, and nothing named it before.
    Arriving,
}

/// A block in memory.
pub(crate) struct Slot {
    pub(crate) block: BlockNo,
    pub(crate) kind: Kind,
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_dirty: bool,
    pub(crate) reach: Reach,
    /// Part of the commit under way: must stay, since the disk has an older one.
    pub(crate) in_flight: bool,
    was_used: bool,
    /// Of a bitmap: what it was before the first bit was taken in this epoch.
    pub(crate) base: Option<Vec<u8>>,
    /// Of a bitmap: bits to clear when this epoch is on disk.
    pub(crate) freed: Option<Vec<u8>>,
    /// Of a bitmap: bits to clear when the commit under way is on disk.
    pub(crate) leaving: Option<Vec<u8>>,
}

impl Slot {
    fn is_evictable(&self) -> bool {
        !self.is_dirty && !self.in_flight && self.freed.is_none() && self.leaving.is_none()
    }
}

/// How to undo one step.
enum Step {
    Bytes { block: BlockNo, at: usize, start: usize },
    Freed { block: BlockNo, bit: u32 },
    Created(BlockNo),
    Forgotten { slot: Slot, place: usize },
}

pub(crate) struct Store<B> {
    pub(crate) blocks: B,
    pub(crate) block_size: usize,
    slots: Vec<Option<Slot>>,
    places: HashMap<BlockNo, usize>,
    vacant: Vec<usize>,
    hand: usize,
    clean_limit: usize,
    dirty: usize,
    /// Blocks let go of by this operation, for which room is kept.
    forgotten: usize,
    steps: Vec<Step>,
    old_bytes: Vec<u8>,
}

impl<B: Blocks> Store<B> {
    pub(crate) fn new(blocks: B, block_size: usize, cache_bytes: usize) -> Self {
        Store {
            blocks,
            block_size,
            slots: Vec::new(),
            places: HashMap::new(),
            vacant: Vec::new(),
            hand: 0,
            clean_limit: (cache_bytes / block_size).max(8),
            dirty: 0,
            forgotten: 0,
            steps: Vec::new(),
            old_bytes: Vec::new(),
        }
    }

    /// The bytes of a block.
    pub(crate) fn read(&mut self, block: BlockNo, kind: Kind) -> Result<&[u8]> {
        let place = self.place(block, kind)?;
        match self.slots.get(place) {
            Some(Some(slot)) => Ok(&slot.bytes),
            _ => Err(Errno::EIO),
        }
    }

    /// The slot of a block, read from the disk if need be.
    pub(crate) fn slot(&mut self, block: BlockNo, kind: Kind) -> Result<&mut Slot> {
        let place = self.place(block, kind)?;
        self.slots.get_mut(place).and_then(Option::as_mut).ok_or(Errno::EIO)
    }

    /// The slot of a block that is in memory.
    pub(crate) fn present(&mut self, block: BlockNo) -> Option<&mut Slot> {
        let &place = self.places.get(&block)?;
        self.slots.get_mut(place)?.as_mut()
    }

    /// All slots.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().flatten()
    }

    /// Changes bytes of a block.
    pub(crate) fn write(&mut self, block: BlockNo, kind: Kind, at: usize, bytes: &[u8]) -> Result<()> {
        let place = self.place(block, kind)?;
        self.steps.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.old_bytes.try_reserve(bytes.len()).map_err(|_| Errno::ENOMEM)?;
        let slot = self.slots.get_mut(place).and_then(Option::as_mut).ok_or(Errno::EIO)?;
        let target =
            at.checked_add(bytes.len()).and_then(|end| slot.bytes.get_mut(at..end)).ok_or(Errno::EUCLEAN)?;
        if target == bytes {
            return Ok(());
        }
        self.steps.push(Step::Bytes { block, at, start: self.old_bytes.len() });
        self.old_bytes.extend_from_slice(target);
        target.copy_from_slice(bytes);
        slot.kind = kind;
        if !slot.is_dirty {
            slot.is_dirty = true;
            self.dirty += 1;
        }
        Ok(())
    }

    /// Marks a bit of a bitmap as free once this epoch is on disk. Says whether it was not marked before.
    pub(crate) fn free_later(&mut self, block: BlockNo, bit: u32) -> Result<bool> {
        self.steps.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let size = self.block_size;
        let slot = self.slot(block, Kind::Bitmap)?;
        if slot.freed.is_none() {
            slot.freed = Some(zeroes(size)?);
        }
        let is_new =
            slot.freed.as_deref_mut().is_some_and(|freed| !test_bit(freed, bit) && set_bit(freed, bit));
        if is_new {
            self.steps.push(Step::Freed { block, bit });
        }
        Ok(is_new)
    }

    /// Notes what a bitmap was, before the first bit of an epoch is taken in it.
    pub(crate) fn keep_base(&mut self, block: BlockNo) -> Result<()> {
        let slot = self.slot(block, Kind::Bitmap)?;
        if slot.base.is_none() {
            slot.base = Some(copy(&slot.bytes)?);
        }
        Ok(())
    }

    /// A block that was just allocated, with these bytes.
    pub(crate) fn create(&mut self, block: BlockNo, kind: Kind, bytes: Vec<u8>) -> Result<()> {
        self.forget(block)?;
        self.steps.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.insert(block, kind, bytes, Reach::Fresh)?;
        self.steps.push(Step::Created(block));
        Ok(())
    }

    /// A new block of zeroes.
    pub(crate) fn create_empty(&mut self, block: BlockNo, kind: Kind) -> Result<()> {
        self.create(block, kind, zeroes(self.block_size)?)
    }

    /// Lets go of a block that was freed: what it has is of no use to anybody.
    pub(crate) fn forget(&mut self, block: BlockNo) -> Result<()> {
        self.steps.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.places.try_reserve(self.forgotten + 1).map_err(|_| Errno::ENOMEM)?;
        if let Some((slot, place)) = self.take(block) {
            self.forgotten += 1;
            self.steps.push(Step::Forgotten { slot, place });
        }
        Ok(())
    }

    /// Blocks that wait for a commit.
    pub(crate) fn dirty(&self) -> usize {
        self.dirty
    }

    /// Takes note that a slot's changes are in the commit under way.
    pub(crate) fn mark_in_flight(&mut self) {
        for slot in self.slots.iter_mut().flatten() {
            if slot.is_dirty || slot.freed.is_some() {
                slot.in_flight = true;
                slot.is_dirty = false;
                if slot.reach == Reach::Fresh {
                    slot.reach = Reach::Arriving;
                }
                slot.base = None;
                slot.leaving = slot.freed.take();
            }
        }
        self.dirty = 0;
    }

    /// Takes note that the commit under way is on the disk: what was freed before it is free.
    pub(crate) fn arrive(&mut self) {
        for slot in self.slots.iter_mut().flatten().filter(|slot| slot.in_flight) {
            slot.in_flight = false;
            slot.reach = Reach::Known;
            if let Some(leaving) = slot.leaving.take() {
                clear_bits(&mut slot.bytes, &leaving);
                if let Some(base) = &mut slot.base {
                    clear_bits(base, &leaving);
                }
            }
        }
        self.shrink();
    }

    /// Takes note that the commit under way failed: everything of it waits again. What it was to write first stays so, and
    /// what was freed before it stays taken.
    pub(crate) fn retry(&mut self) {
        let mut again = 0;
        for slot in self.slots.iter_mut().flatten().filter(|slot| slot.in_flight) {
            slot.in_flight = false;
            if slot.reach == Reach::Arriving {
                slot.reach = Reach::Fresh;
            }
            again += usize::from(!slot.is_dirty);
            slot.is_dirty = true;
            if let Some(leaving) = slot.leaving.take() {
                match &mut slot.freed {
                    Some(freed) => freed.iter_mut().zip(&leaving).for_each(|(to, from)| *to |= from),
                    None => slot.freed = Some(leaving),
                }
            }
        }
        self.dirty += again;
    }

    /// Begins an operation.
    pub(crate) fn begin(&mut self) {
        self.accept();
    }

    /// Keeps what the operation did.
    pub(crate) fn accept(&mut self) {
        for step in self.steps.drain(..) {
            if let Step::Forgotten { place, .. } = step {
                self.vacant.push(place);
            }
        }
        self.forgotten = 0;
        self.old_bytes.clear();
    }

    /// Undoes all that the operation did.
    pub(crate) fn roll_back(&mut self) {
        while let Some(step) = self.steps.pop() {
            match step {
                Step::Bytes { block, at, start } => {
                    let Some(&place) = self.places.get(&block) else { continue };
                    let Some(Some(slot)) = self.slots.get_mut(place) else { continue };
                    if let Some(old) = self.old_bytes.get(start..) {
                        crate::bytes::put(&mut slot.bytes, at, old);
                    }
                    self.old_bytes.truncate(start);
                }
                Step::Freed { block, bit } => {
                    if let Some(freed) = self.present(block).and_then(|slot| slot.freed.as_deref_mut()) {
                        clear_bit(freed, bit);
                    }
                }
                Step::Created(block) => {
                    if let Some((_, place)) = self.take(block) {
                        self.vacant.push(place);
                    }
                }
                Step::Forgotten { slot, place } => self.put_back(slot, place),
            }
        }
        self.forgotten = 0;
        self.old_bytes.clear();
    }

    /// Bytes that blocks in memory take.
    pub(crate) fn memory(&self) -> usize {
        let companions = |slot: &Slot| [&slot.base, &slot.freed, &slot.leaving].into_iter().flatten().count();
        let blocks: usize = self.all().map(|slot| 1 + companions(slot)).sum();
        blocks * self.block_size
            + self.slots.capacity() * size_of::<Option<Slot>>()
            + self.places.capacity() * size_of::<(BlockNo, usize)>() * 9 / 8
            + self.vacant.capacity() * size_of::<usize>()
    }

    /// Lets go of unchanged blocks, all that there are. Returns how many bytes.
    pub(crate) fn drop_clean(&mut self) -> usize {
        let before = self.places.len();
        for place in 0..self.slots.len() {
            self.evict(place);
        }
        (before - self.places.len()) * self.block_size
    }

    fn place(&mut self, block: BlockNo, kind: Kind) -> Result<usize> {
        if let Some(&place) = self.places.get(&block) {
            if let Some(Some(slot)) = self.slots.get_mut(place) {
                slot.was_used = true;
            }
            return Ok(place);
        }
        let mut bytes = zeroes(self.block_size)?;
        self.blocks.read(u64::from(block.0) * u64::from(to32(self.block_size)), &mut bytes)?;
        self.insert(block, kind, bytes, Reach::Known)
    }

    fn insert(&mut self, block: BlockNo, kind: Kind, bytes: Vec<u8>, reach: Reach) -> Result<usize> {
        self.shrink();
        self.places.try_reserve(self.forgotten + 1).map_err(|_| Errno::ENOMEM)?;
        if self.vacant.is_empty() {
            self.slots.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            // So that giving a place back never needs memory.
            self.vacant.try_reserve(self.slots.len() + 1).map_err(|_| Errno::ENOMEM)?;
            self.vacant.push(self.slots.len());
            self.slots.push(None);
        }
        let Some(place) = self.vacant.pop() else { return Err(Errno::ENOMEM) };
        let is_dirty = reach == Reach::Fresh;
        let slot = Slot {
            block,
            kind,
            bytes,
            is_dirty,
            reach,
            in_flight: false,
            was_used: true,
            base: None,
            freed: None,
            leaving: None,
        };
        if let Some(vacancy) = self.slots.get_mut(place) {
            *vacancy = Some(slot);
        }
        self.places.insert(block, place);
        self.dirty += usize::from(is_dirty);
        Ok(place)
    }

    /// Takes a block out. Its place is the caller's to give back.
    fn take(&mut self, block: BlockNo) -> Option<(Slot, usize)> {
        let place = self.places.remove(&block)?;
        let slot = self.slots.get_mut(place)?.take()?;
        self.dirty -= usize::from(slot.is_dirty);
        Some((slot, place))
    }

    /// Undoes `take`; a block created since under the same number was undone before.
    fn put_back(&mut self, slot: Slot, place: usize) {
        self.dirty += usize::from(slot.is_dirty);
        self.places.insert(slot.block, place);
        if let Some(vacancy) = self.slots.get_mut(place) {
            *vacancy = Some(slot);
        }
    }

    /// Evicts unchanged blocks that were not used since the hand last passed, until there is room for one more.
    fn shrink(&mut self) {
        let mut steps = self.slots.len() * 2;
        while self.places.len() - self.dirty.min(self.places.len()) >= self.clean_limit && steps > 0 {
            steps -= 1;
            self.hand = if self.hand + 1 >= self.slots.len() { 0 } else { self.hand + 1 };
            let Some(Some(slot)) = self.slots.get_mut(self.hand) else { continue };
            if slot.was_used {
                slot.was_used = false;
            } else {
                self.evict(self.hand);
            }
        }
    }

    fn evict(&mut self, place: usize) {
        let Some(vacancy) = self.slots.get_mut(place) else { return };
        if let Some(slot) = vacancy.take_if(|slot| slot.is_evictable()) {
            self.places.remove(&slot.block);
            self.vacant.push(place);
        }
    }
}
