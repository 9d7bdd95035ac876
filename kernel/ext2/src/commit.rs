//! From memory to the disk: what is written in which order.
//!
//! A commit takes everything that changed and sorts it into levels with a flush after each (docs/ext2.md and ADR 0011 say why this
//! order and no other):
//!
//! 0. data of files (the caller's), blocks nothing on the disk leads to yet, bitmaps with what was taken, shelters;
//! 1. inodes that lost their last name, directories that grew, blocks of numbers;
//! 2. directories, and inodes that nothing depends on; those that must come after others in further levels;
//! 3. new inodes, those of a new directory's files one level later, and so on;
//! 4. inodes that lost one of several names, shared attributes;
//! 5. bitmaps without what was freed, a level earlier if there are no such inodes; shelters are taken down.
//!
//! The shell carries it out without holding the file system's lock; operations go on meanwhile and belong to the next commit.

use abi::time::Timespec;
use abi::{Errno, Result};
use alloc::vec::Vec;
use hashbrown::HashMap;

use crate::bytes::{clear_bits, get, low8, low16, low32, put, put16, put32, to32};
use crate::dirent::{self, RECORD_MAX, Record};
use crate::epoch::{Epoch, Levels, Moment};
use crate::store::{Kind, Reach, Slot};
use crate::superblock::field;
use crate::types::{Access, BlockNo, Blocks, Carried, Commit, Ino, Purpose, Write};
use crate::volume::{Closing, Ext2, Flight, SuperFirst, index};

/// The level of new blocks and what was taken.
const FIRST: usize = 0;
/// The level of inodes that directories depend on.
const INODES: usize = 1;
/// The first level of directories.
const DIRECTORIES: usize = 2;

/// Bytes that are shown until a level in place of those in memory.
struct Mask {
    at: usize,
    bytes: Vec<u8>,
    until: usize,
}

/// A name in `lost+found` for a file that has none for a moment: `#` and the number, as e2fsck names what it finds.
const SHELTER_NAME: usize = 11;

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
        self.keep_shelters(&commit);
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
        let order = self.epoch.levels()?;
        let masks = self.masks(&order)?;
        let shelter = self.shelter_block()?;
        let mut levels: Vec<Vec<Write>> = Vec::new();
        // Besides: what comes after the last inodes; the superblock has one or two.
        levels.try_reserve_exact(order.last + 4).map_err(|_| Errno::ENOMEM)?;
        levels.resize_with(order.last + 2, Vec::new);
        // Bits are cleared when no inode on the disk has the blocks any more, not even one that is shown until the last level.
        let is_shown_last = masks.values().flatten().any(|mask| mask.until == order.last);
        let freed_level = if is_shown_last { order.last + 1 } else { order.last };
        for slot in self.store.all() {
            let masks = masks.get(&slot.block).map_or(&[][..], Vec::as_slice);
            if slot.is_dirty || !masks.is_empty() {
                self.sort_in(&mut levels, slot, masks, &order)?;
            }
            if slot.freed.is_some() {
                push(&mut levels, freed_level, slot, Version::Freed)?;
            }
        }
        if let Some(shelter) = shelter {
            let finally = Write {
                block: shelter.block,
                bytes: crate::bytes::copy(self.store.read(shelter.block, Kind::Directory)?)?,
            };
            push_write(&mut levels, FIRST, shelter)?;
            push_write(&mut levels, order.last + 1, finally)?;
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

    /// Puts a changed block into its level, or into several if parts of it are shown later. The superblock has a level of its own
    /// if it goes first.
    fn sort_in(&self, levels: &mut [Vec<Write>], slot: &Slot, masks: &[Mask], order: &Levels) -> Result<()> {
        let level = match slot.kind {
            _ if slot.reach == Reach::Fresh => FIRST,
            Kind::Super if self.super_first == SuperFirst::Yes => return Ok(()),
            Kind::Super | Kind::Descriptors | Kind::Bitmap => FIRST,
            Kind::Inodes if self.epoch.early.contains(&slot.block) => INODES,
            Kind::Inodes if masks.is_empty() => DIRECTORIES,
            Kind::Inodes => masks.iter().map(|mask| mask.until).min().unwrap_or(order.last),
            Kind::Pointers | Kind::Target => INODES,
            Kind::Directory => order.of(Moment::Block(slot.block)),
            Kind::Attributes => order.last,
        };
        push(levels, level, slot, Version::Masked(masks, level))?;
        for (nth, mask) in masks.iter().enumerate() {
            let is_first = masks.iter().take(nth).all(|other| other.until != mask.until);
            if is_first && mask.until > level {
                push(levels, mask.until, slot, Version::Masked(masks, mask.until))?;
            }
        }
        Ok(())
    }

    /// What inodes show until later.
    fn masks(&mut self, order: &Levels) -> Result<HashMap<BlockNo, Vec<Mask>>> {
        let epoch = core::mem::take(&mut self.epoch);
        let masks = self.masks_of(&epoch, order);
        self.epoch = epoch;
        masks
    }

    fn masks_of(&mut self, epoch: &Epoch, order: &Levels) -> Result<HashMap<BlockNo, Vec<Mask>>> {
        let mut masks: HashMap<BlockNo, Vec<Mask>> = HashMap::new();
        let length = index(self.geometry.inode_size);
        let mut add = |(block, at): (BlockNo, usize), bytes: Vec<u8>, until: usize| -> Result<()> {
            masks.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            let list = masks.entry(block).or_default();
            list.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            list.push(Mask { at, bytes, until });
            Ok(())
        };
        for (&ino, held) in &epoch.held {
            add(self.inode_place(ino)?, crate::bytes::copy(&held.bytes)?, order.until(held.until))?;
        }
        for &ino in &epoch.new {
            add(self.inode_place(ino)?, crate::bytes::zeroes(length)?, order.of(Moment::New(ino)))?;
        }
        Ok(masks)
    }

    /// A block of `lost+found` with names for files that have none in between. Without such a directory, or room in it, they go
    /// without: e2fsck then wants to be asked about them.
    fn shelter_block(&mut self) -> Result<Option<Write>> {
        if self.epoch.shelters.is_empty() {
            return Ok(None);
        }
        let Ok(directory) = self.lookup(Ino::ROOT, b"lost+found") else { return Ok(None) };
        let Ok(inode) = self.directory(directory) else { return Ok(None) };
        let needed = dirent::needed(SHELTER_NAME) * self.epoch.shelters.len();
        for place in 0..self.directory_blocks(&inode) {
            let block = self.directory_block(&inode, place)?;
            let bytes = crate::bytes::copy(self.store.read(block, Kind::Directory)?)?;
            let is_dirty = self.store.present(block).is_none_or(|slot| slot.is_dirty);
            if let (false, Some(room)) = (is_dirty, dirent::find_room(&bytes, needed)?) {
                return Ok(Some(Write { block, bytes: self.with_shelters(bytes, room)? }));
            }
        }
        Ok(None)
    }

    /// A block with shelters must not be read again before they are taken down.
    fn keep_shelters(&mut self, commit: &Commit) {
        for write in commit.levels.iter().flatten() {
            if let Some(slot) = self.store.present(write.block) {
                slot.in_flight = true;
            }
        }
    }

    /// Names for all shelters at the end of one record.
    fn with_shelters(&mut self, mut bytes: Vec<u8>, room: Record) -> Result<Vec<u8>> {
        let kept = room.length - room.spare();
        if kept > 0 {
            put16(&mut bytes, room.at + 4, low16(to32(kept)));
        }
        let mut at = room.at + kept;
        for nth in 0..self.epoch.shelters.len() {
            let Some(&ino) = self.epoch.shelters.get(nth) else { break };
            let mode = self.any_inode(ino)?.mode;
            let kind = if self.geometry.has_file_types() { dirent::kind_of(mode) } else { 0 };
            let is_last = nth + 1 == self.epoch.shelters.len();
            let length = if is_last { room.end() - at } else { dirent::needed(SHELTER_NAME) };
            let mut record = [0; RECORD_MAX];
            let name = shelter_name(ino);
            let used = dirent::encode(&mut record, ino.0, length, &name, kind);
            put(&mut bytes, at, record.get(..used).unwrap_or_default());
            at += length;
        }
        Ok(bytes)
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

/// The number with zeroes in front, so that all names have one length.
fn shelter_name(ino: Ino) -> [u8; SHELTER_NAME] {
    let mut name = [b'#'; SHELTER_NAME];
    let mut rest = ino.0;
    for digit in name.iter_mut().skip(1).rev() {
        *digit = b'0' + low8(rest % 10);
        rest /= 10;
    }
    name
}

/// Which bytes of a block are written.
#[derive(Clone, Copy)]
enum Version<'a> {
    /// Those in memory but for what is shown only after this level.
    Masked(&'a [Mask], usize),
    /// Those in memory without the bits that are freed.
    Freed,
}

/// Adds a block to a level.
fn push(levels: &mut [Vec<Write>], level: usize, slot: &Slot, version: Version<'_>) -> Result<()> {
    let mut bytes = crate::bytes::copy(&slot.bytes)?;
    match (version, &slot.freed) {
        (Version::Masked(masks, level), _) => {
            masks
                .iter()
                .filter(|mask| mask.until > level)
                .for_each(|mask| put(&mut bytes, mask.at, &mask.bytes));
        }
        (Version::Freed, Some(freed)) => clear_bits(&mut bytes, freed),
        (Version::Freed, None) => {}
    }
    push_write(levels, level, Write { block: slot.block, bytes })
}

fn push_write(levels: &mut [Vec<Write>], level: usize, write: Write) -> Result<()> {
    let level = levels.get_mut(level).ok_or(Errno::EIO)?;
    level.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    level.push(write);
    Ok(())
}
