//! From memory to the disk: what is written in which order.
//!
//! A commit takes everything that changed and sorts it into levels with a flush after each (docs/ext2.md and ADR 0011 say why this
//! order and no other):
//!
//! 0. data of files (the caller's), blocks nothing on the disk leads to yet, bitmaps with what was taken;
//! 1. inodes and blocks of numbers, but inodes that lost a name as they were;
//! 2. directories; those that lost a name which a file has elsewhere in further levels;
//! 3. inodes that lost a name as they are, shared attributes, bitmaps without what was freed.
//!
//! The shell carries it out without holding the file system's lock; operations go on meanwhile and belong to the next commit.

use abi::time::Timespec;
use abi::{Errno, Result};
use alloc::vec::Vec;
use hashbrown::HashMap;

use crate::bytes::{clear_bits, get, low32, put, put16, put32};
use crate::store::{Kind, Reach, Slot};
use crate::superblock::field;
use crate::types::{Access, BlockNo, Blocks, Carried, Commit, Ino, Purpose, Write};
use crate::volume::{Closing, Ext2, Flight, SuperFirst};

/// The level of new blocks and what was taken.
const FIRST: usize = 0;
/// The level of inodes.
const INODES: usize = 1;
/// The first level of directories.
const DIRECTORIES: usize = 2;

/// Bytes that replace others in the early version of a block.
struct Early {
    at: usize,
    bytes: Vec<u8>,
}

impl<B: Blocks> Ext2<B> {
    /// Takes what changed, to be written. `None` if there is nothing. Until [`end_commit`](Self::end_commit) no other commit begins.
    ///
    /// # Errors
    /// EBUSY while another commit is under way; ENOMEM, EIO, EUCLEAN: nothing was taken.
    pub fn begin_commit(&mut self, purpose: Purpose, now: Timespec) -> Result<Option<Commit>> {
        if self.flight.is_some() {
            return Err(Errno::EBUSY);
        }
        if self.access == Access::ReadOnly {
            return Ok(None);
        }
        if purpose == Purpose::Close {
            self.release_all(now);
        }
        let is_idle = self.store.dirty() == 0 && self.waiting_blocks[0] == 0 && self.waiting_inodes[0] == 0;
        if is_idle && purpose == Purpose::Durability {
            return Ok(None);
        }
        self.store_counts(now)?;
        let commit = self.collect(purpose)?;
        let flight = Flight { epoch: core::mem::take(&mut self.epoch), super_first: self.super_first };
        self.flight = Some(flight);
        self.super_first = SuperFirst::No;
        self.closing = if purpose == Purpose::Close { Closing::Yes } else { Closing::No };
        self.waiting_blocks = [0, self.waiting_blocks[0]];
        self.waiting_inodes = [0, self.waiting_inodes[0]];
        self.store.mark_in_flight();
        Ok(Some(commit))
    }

    /// Ends the commit under way. After a failure everything of it waits for the next one.
    pub fn end_commit(&mut self, carried: Carried) {
        let Some(flight) = self.flight.take() else { return };
        match carried {
            Ok(()) => {
                self.store.arrive();
                self.waiting_blocks[1] = 0;
                self.waiting_inodes[1] = 0;
                if self.closing == Closing::Yes {
                    self.access = Access::ReadOnly;
                }
            }
            Err(_) => {
                self.store.retry();
                self.epoch.merge(flight.epoch);
                for waiting in [&mut self.waiting_blocks, &mut self.waiting_inodes] {
                    *waiting = [waiting[0] + waiting[1], 0];
                }
                if flight.super_first == SuperFirst::Yes {
                    self.super_first = SuperFirst::Yes;
                }
            }
        }
        self.closing = Closing::No;
    }

    /// Files that nobody can reach any more go with the file system's end. One that cannot be freed is left to e2fsck.
    fn release_all(&mut self, now: Timespec) {
        for ino in core::mem::take(&mut self.orphans) {
            let _ = self.attempt(|this| this.remove_file(ino, now));
            self.epoch.data.remove(&ino);
        }
    }

    /// Brings the superblock's counts up to date.
    fn store_counts(&mut self, now: Timespec) -> Result<()> {
        let (block, start) = self.geometry.super_place();
        let mut counts = [0; 8];
        put32(&mut counts, 0, self.free_blocks);
        put32(&mut counts, 4, self.free_inodes);
        self.store.begin();
        if get::<8>(self.store.read(block, Kind::Super)?, start + field::FREE_BLOCKS) != counts {
            let written = low32(now.seconds.cast_unsigned()).to_le_bytes();
            self.store.write(block, Kind::Super, start + field::FREE_BLOCKS, &counts)?;
            self.store.write(block, Kind::Super, start + field::WRITTEN_AT, &written)?;
        }
        self.store.accept();
        Ok(())
    }

    fn collect(&mut self, purpose: Purpose) -> Result<Commit> {
        let early = self.early_bytes()?;
        let depths = self.epoch.depths()?;
        let last = DIRECTORIES + depths.values().max().map_or(0, |deepest| deepest + 1).max(1);
        let mut levels: Vec<Vec<Write>> = Vec::new();
        levels.try_reserve_exact(last + 3).map_err(|_| Errno::ENOMEM)?;
        levels.resize_with(last + 1, Vec::new);
        for slot in self.store.all() {
            let early = early.get(&slot.block);
            if slot.is_dirty
                && let Some(level) = self.level(slot, &depths, last)
            {
                push(levels.get_mut(level), slot, Version::Early(early.map_or(&[], Vec::as_slice)))?;
            }
            if early.is_some() || slot.freed.is_some() {
                push(levels.get_mut(last), slot, Version::Last)?;
            }
        }
        let mut data = Vec::new();
        data.try_reserve_exact(self.epoch.data.len()).map_err(|_| Errno::ENOMEM)?;
        data.extend(self.epoch.data.iter().copied());
        data.sort_unstable();
        let mut number = 0;
        levels.retain(|level| {
            number += 1;
            // The first stays if there is data: its flush is the data's.
            !level.is_empty() || number == 1 && !data.is_empty()
        });
        if self.super_first == SuperFirst::Yes {
            levels.insert(0, self.super_level(State::Open)?);
        }
        if purpose == Purpose::Close {
            levels.push(self.super_level(State::Closed)?);
        }
        Ok(Commit { data, levels })
    }

    /// The level of a changed block. The superblock has one of its own if it goes first.
    fn level(&self, slot: &Slot, depths: &HashMap<BlockNo, usize>, last: usize) -> Option<usize> {
        if slot.reach == Reach::Fresh {
            return Some(FIRST);
        }
        Some(match slot.kind {
            Kind::Super if self.super_first == SuperFirst::Yes => return None,
            Kind::Super | Kind::Descriptors | Kind::Bitmap => FIRST,
            Kind::Inodes | Kind::Pointers | Kind::Target => INODES,
            Kind::Directory => DIRECTORIES + depths.get(&slot.block).copied().unwrap_or(0),
            Kind::Attributes => last,
        })
    }

    /// What blocks have in their early version that they do not have in the last one.
    fn early_bytes(&mut self) -> Result<HashMap<BlockNo, Vec<Early>>> {
        let mut early: HashMap<BlockNo, Vec<Early>> = HashMap::new();
        let mut add = |block, at, bytes: &[u8]| -> Result<()> {
            early.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            let list = early.entry(block).or_default();
            list.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            list.push(Early { at, bytes: crate::bytes::copy(bytes)? });
            Ok(())
        };
        let (held, patches) =
            (core::mem::take(&mut self.epoch.held), core::mem::take(&mut self.epoch.patches));
        let mut result = Ok(());
        for (&ino, bytes) in &held {
            result =
                result.and_then(|()| self.inode_place(ino)).and_then(|(block, at)| add(block, at, bytes));
        }
        for patch in &patches {
            result = result.and_then(|()| add(patch.block, patch.at, &patch.bytes));
        }
        self.epoch.held = held;
        self.epoch.patches = patches;
        result.map(|()| early)
    }

    /// A level that has only the superblock.
    fn super_level(&mut self, state: State) -> Result<Vec<Write>> {
        let (block, start) = self.geometry.super_place();
        let mut bytes = crate::bytes::copy(self.store.read(block, Kind::Super)?)?;
        if state == State::Closed {
            put16(&mut bytes, start + field::STATE, self.found_state);
        }
        let mut level = Vec::new();
        level.try_reserve_exact(1).map_err(|_| Errno::ENOMEM)?;
        level.push(Write { block, bytes });
        Ok(level)
    }

    /// Whether a file has data that the next commit demands first.
    pub fn has_new_data(&self, ino: Ino) -> bool {
        self.epoch.data.contains(&ino)
    }
}

/// What the superblock tells of itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closed,
}

/// Which bytes of a block are written.
#[derive(Clone, Copy)]
enum Version<'a> {
    /// Those in memory but for these.
    Early(&'a [Early]),
    /// Those in memory, without the bits that are freed.
    Last,
}

/// Adds a block to a level.
fn push(level: Option<&mut Vec<Write>>, slot: &Slot, version: Version<'_>) -> Result<()> {
    let Some(level) = level else { return Err(Errno::EIO) };
    let mut bytes = crate::bytes::copy(&slot.bytes)?;
    match (version, &slot.freed) {
        (Version::Early(early), _) => early.iter().for_each(|early| put(&mut bytes, early.at, &early.bytes)),
        (Version::Last, Some(freed)) => clear_bits(&mut bytes, freed),
        (Version::Last, None) => {}
    }
    level.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    level.push(Write { block: slot.block, bytes });
    Ok(())
}
