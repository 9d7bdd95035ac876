//! Which blocks and inodes are given out, and taking them back.
//!
//! A file's blocks follow one another: the goal is the block behind the last, and as many as asked for are taken from there. A
//! file's inode is in the group of its directory; directories of the root are spread over the groups, others stay near their
//! parent while it has room (after Orlov, as in Linux's fs/ext2/ialloc.c).
//!
//! What is freed is not given out again until the commit that frees it is on the disk, since until then the disk may still
//! lead to it. What was taken in the same epoch the disk does not know, and it is free at once.

use abi::{Errno, Result};

use crate::bitmap::{self, Bits};
use crate::bytes::test_bit;
use crate::error::{Failure, Outcome};
use crate::group::Group;
use crate::inode::{Inode, flags};
use crate::store::Kind;
use crate::types::{BlockNo, Blocks, Ino, Reserve};
use crate::volume::{Ext2, index};

/// The most blocks that are taken at once.
pub(crate) const MOST_AT_ONCE: u32 = 1024;
/// Bytes of a bitmap that one allocation may touch.
const TOUCHED: usize = 130;

/// Whether bits are to be set or cleared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Taken,
    Free,
}

impl<B: Blocks> Ext2<B> {
    /// Takes up to `count` consecutive blocks, at `goal` or the next place.
    pub(crate) fn take_blocks(
        &mut self,
        goal: BlockNo,
        count: u32,
        reserve: Reserve,
    ) -> Outcome<(BlockNo, u32)> {
        let kept_back = if reserve == Reserve::KeptBack { self.geometry.reserved_blocks } else { 0 };
        if self.free_blocks <= kept_back {
            return Err(Errno::ENOSPC.into());
        }
        let count = count.min(self.free_blocks - kept_back).clamp(1, MOST_AT_ONCE);
        let goal = if self.geometry.has_block(goal.0) { goal } else { BlockNo(self.geometry.first_block) };
        let (first_group, number) = self.geometry.group_of(goal);
        let groups = self.geometry.groups;
        // The goal's group is asked twice: from the goal on, and at the end from its start.
        for step in 0..=groups {
            let group = (first_group + step) % groups;
            let from = if step == 0 { number } else { 0 };
            if let Some((block, count)) = self.take_in_group(group, from, count)? {
                return Ok((block, count));
            }
        }
        if self.waiting_blocks.iter().any(|&waiting| waiting > 0) {
            return Err(Failure::CommitFirst);
        }
        Err(Errno::ENOSPC.into())
    }

    /// Takes one block and nothing near is too far.
    pub(crate) fn take_block(&mut self, goal: BlockNo, reserve: Reserve) -> Outcome<BlockNo> {
        Ok(self.take_blocks(goal, 1, reserve)?.0)
    }

    fn take_in_group(&mut self, number: u32, from: u32, count: u32) -> Result<Option<(BlockNo, u32)>> {
        let mut group = self.group(number)?;
        if group.free_blocks == 0 {
            return Ok(None);
        }
        let bitmap = self.block(group.block_bitmap)?;
        let end = self.geometry.group_length(number);
        let Some(bits) = bitmap::find(self.store.read(bitmap, Kind::Bitmap)?, from, end, count) else {
            return Ok(None);
        };
        let start = self.geometry.group_start(number) + bits.first;
        if (bits.first..bits.first + bits.count).any(|bit| self.is_system(number, &group, bit)) {
            return Err(Errno::EUCLEAN);
        }
        self.store.keep_base(bitmap)?;
        self.mark(bitmap, bits, Mark::Taken)?;
        group.free_blocks = group.free_blocks.saturating_sub(u16::try_from(bits.count).unwrap_or(u16::MAX));
        self.put_group(number, &group)?;
        self.free_blocks = self.free_blocks.saturating_sub(bits.count);
        Ok(Some((BlockNo(start), bits.count)))
    }

    /// Whether a block of a group is a bitmap, a part of the table of inodes, or a copy of superblock and descriptors.
    fn is_system(&self, number: u32, group: &Group, bit: u32) -> bool {
        let block = self.geometry.group_start(number) + bit;
        block == group.block_bitmap
            || block == group.inode_bitmap
            || block
                .checked_sub(group.inode_table)
                .is_some_and(|place| place < self.geometry.inode_table_blocks())
            || self.geometry.is_in_front(number, bit)
    }

    /// Sets or clears bits of a bitmap.
    fn mark(&mut self, bitmap: BlockNo, bits: Bits, mark: Mark) -> Result<()> {
        let first = index(bits.first / 8);
        let last = index((bits.first + bits.count - 1) / 8);
        let mut bytes = [0; TOUCHED];
        let bytes = bytes.get_mut(..=last - first).ok_or(Errno::EUCLEAN)?;
        let old = self.store.read(bitmap, Kind::Bitmap)?;
        bytes.copy_from_slice(old.get(first..=last).ok_or(Errno::EUCLEAN)?);
        for bit in bits.first..bits.first + bits.count {
            let mask = 1 << (bit % 8);
            if let Some(byte) = bytes.get_mut(index(bit / 8) - first) {
                *byte = if mark == Mark::Taken { *byte | mask } else { *byte & !mask };
            }
        }
        self.store.write(bitmap, Kind::Bitmap, first, bytes)
    }

    /// Gives a block back that `owner` had.
    pub(crate) fn free_block(&mut self, owner: Ino, block: BlockNo) -> Result<()> {
        if !self.geometry.has_block(block.0) {
            return Err(Errno::EUCLEAN);
        }
        let (number, bit) = self.geometry.group_of(block);
        let mut group = self.group(number)?;
        if self.is_system(number, &group, bit) {
            return Err(Errno::EUCLEAN);
        }
        let bitmap = self.block(group.block_bitmap)?;
        match self.clear_or_wait(bitmap, bit, owner)? {
            Freed::AtOnce => {}
            Freed::Later => self.waiting_blocks[0] += 1,
        }
        group.free_blocks = group.free_blocks.checked_add(1).ok_or(Errno::EUCLEAN)?;
        self.put_group(number, &group)?;
        self.free_blocks = self.free_blocks.checked_add(1).ok_or(Errno::EUCLEAN)?;
        self.store.forget(block)
    }

    /// Clears a bit that was set in this epoch, unless the disk may come to see it through an inode that is held as it was;
    /// else lets it wait.
    fn clear_or_wait(&mut self, bitmap: BlockNo, bit: u32, owner: Ino) -> Result<Freed> {
        let slot = self.store.slot(bitmap, Kind::Bitmap)?;
        let is_leaving = [&slot.freed, &slot.leaving].into_iter().flatten().any(|bits| test_bit(bits, bit));
        if !test_bit(&slot.bytes, bit) || is_leaving {
            return Err(Errno::EUCLEAN);
        }
        let is_new = slot.base.as_deref().is_some_and(|base| !test_bit(base, bit));
        if is_new && !self.epoch.is_held(owner) {
            self.mark(bitmap, Bits { first: bit, count: 1 }, Mark::Free)?;
            return Ok(Freed::AtOnce);
        }
        if !self.store.free_later(bitmap, bit)? {
            return Err(Errno::EUCLEAN);
        }
        Ok(Freed::Later)
    }

    /// Takes an inode for a file in `parent`.
    pub(crate) fn take_inode(&mut self, parent: Ino, above: &Inode, mode: u32) -> Outcome<Ino> {
        let near = (parent.0 - 1) / self.geometry.inodes_per_group;
        let is_directory = mode & abi::file::S_IFMT == abi::file::S_IFDIR;
        let group = if !is_directory {
            self.group_for_file(near, parent)?
        } else if parent == Ino::ROOT || above.flags & flags::TOPDIR != 0 {
            self.group_for_top_directory()?
        } else {
            self.group_for_directory(near)?
        };
        for step in 0..self.geometry.groups {
            if let Some(ino) = self.take_inode_in((group + step) % self.geometry.groups, is_directory)? {
                return Ok(ino);
            }
        }
        if self.waiting_inodes.iter().any(|&waiting| waiting > 0) {
            return Err(Failure::CommitFirst);
        }
        Err(Errno::ENOSPC.into())
    }

    fn take_inode_in(&mut self, number: u32, is_directory: bool) -> Result<Option<Ino>> {
        let mut group = self.group(number)?;
        if group.free_inodes == 0 {
            return Ok(None);
        }
        let bitmap = self.block(group.inode_bitmap)?;
        let from = if number == 0 { self.geometry.first_inode - 1 } else { 0 };
        let end = self.geometry.inodes_per_group;
        let Some(bit) = bitmap::first_free(self.store.read(bitmap, Kind::Bitmap)?, from, end) else {
            return Ok(None);
        };
        self.store.keep_base(bitmap)?;
        self.mark(bitmap, Bits { first: bit, count: 1 }, Mark::Taken)?;
        group.free_inodes -= 1;
        group.directories = group.directories.saturating_add(u16::from(is_directory));
        self.put_group(number, &group)?;
        self.free_inodes = self.free_inodes.saturating_sub(1);
        Ok(Some(Ino(number * self.geometry.inodes_per_group + bit + 1)))
    }

    /// Gives an inode back.
    pub(crate) fn free_inode(&mut self, ino: Ino, inode: &Inode) -> Result<()> {
        let number = (ino.0 - 1) / self.geometry.inodes_per_group;
        let bit = (ino.0 - 1) % self.geometry.inodes_per_group;
        let mut group = self.group(number)?;
        let bitmap = self.block(group.inode_bitmap)?;
        match self.clear_or_wait(bitmap, bit, ino)? {
            Freed::AtOnce => {}
            Freed::Later => self.waiting_inodes[0] += 1,
        }
        group.free_inodes = group.free_inodes.checked_add(1).ok_or(Errno::EUCLEAN)?;
        group.directories = group.directories.saturating_sub(u16::from(inode.is_directory()));
        self.put_group(number, &group)?;
        self.free_inodes = self.free_inodes.checked_add(1).ok_or(Errno::EUCLEAN)?;
        Ok(())
    }

    /// Whether an inode was taken in this epoch, so that the disk knows nothing of it.
    pub(crate) fn is_new(&mut self, ino: Ino) -> Result<bool> {
        let number = (ino.0 - 1) / self.geometry.inodes_per_group;
        let bit = (ino.0 - 1) % self.geometry.inodes_per_group;
        let bitmap = self.group(number)?.inode_bitmap;
        let bitmap = self.block(bitmap)?;
        let slot = self.store.slot(bitmap, Kind::Bitmap)?;
        Ok(slot.base.as_deref().is_some_and(|base| !test_bit(base, bit)))
    }

    /// Where the first block of a file is looked for: in the group of its inode, at a place of its own.
    pub(crate) fn first_goal(&self, ino: Ino) -> BlockNo {
        let group = (ino.0 - 1) / self.geometry.inodes_per_group;
        BlockNo(self.geometry.group_start(group.min(self.geometry.groups - 1)))
    }

    /// The directory's own group, else one by the directory's number, so that files of one directory stay together.
    fn group_for_file(&mut self, near: u32, parent: Ino) -> Result<u32> {
        let groups = self.geometry.groups;
        if self.has_room(near, 1, 1)? {
            return Ok(near);
        }
        let mut group = (near + parent.0) % groups;
        let mut step = 1;
        while step < groups {
            group = (group + step) % groups;
            if self.has_room(group, 1, 1)? {
                return Ok(group);
            }
            step *= 2;
        }
        Ok(near)
    }

    /// The group with the fewest directories among those with at least the usual room.
    fn group_for_top_directory(&mut self) -> Result<u32> {
        let (inodes, blocks) =
            (self.free_inodes / self.geometry.groups, self.free_blocks / self.geometry.groups);
        let mut best = None;
        for number in 0..self.geometry.groups {
            let group = self.group(number)?;
            let has_room =
                u32::from(group.free_inodes) >= inodes.max(1) && u32::from(group.free_blocks) >= blocks;
            if has_room && best.is_none_or(|(directories, _)| group.directories < directories) {
                best = Some((group.directories, number));
            }
        }
        Ok(best.map_or(0, |(_, number)| number))
    }

    /// The parent's group or the next that is not much fuller than usual.
    fn group_for_directory(&mut self, near: u32) -> Result<u32> {
        let geometry = &self.geometry;
        let groups = geometry.groups;
        let inodes = (self.free_inodes / groups).saturating_sub(geometry.inodes_per_group / 4).max(1);
        let blocks = (self.free_blocks / groups).saturating_sub(geometry.blocks_per_group / 4).max(1);
        for step in 0..groups {
            if self.has_room((near + step) % groups, inodes, blocks)? {
                return Ok((near + step) % groups);
            }
        }
        Ok(near)
    }

    fn has_room(&mut self, number: u32, inodes: u32, blocks: u32) -> Result<bool> {
        let group = self.group(number)?;
        Ok(u32::from(group.free_inodes) >= inodes && u32::from(group.free_blocks) >= blocks)
    }
}

/// When a block or inode can be given out again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Freed {
    AtOnce,
    Later,
}
