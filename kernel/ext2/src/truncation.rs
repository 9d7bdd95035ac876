//! Taking blocks from files: truncation, holes, files that are gone; and looking for holes.

use abi::time::Timespec;
use abi::{Errno, Result};

use crate::bytes::{get32, to32};
use crate::error::Outcome;
use crate::inode::{DIRECT, Inode};
use crate::store::Kind;
use crate::types::{Blocks, Ino, Run, Seek};
use crate::volume::{Ext2, index};

/// What became of a block of numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Branch {
    /// It still leads somewhere.
    Kept,
    /// It led nowhere any more and was freed.
    Freed,
}

/// Blocks of a file, from the first to before the last.
#[derive(Clone, Copy)]
struct Range {
    from: u64,
    to: u64,
}

impl<B: Blocks> Ext2<B> {
    /// Changes the size of a regular file. What a smaller one loses is freed; the caller clears the rest of the last block. What a
    /// larger one gains is a hole.
    ///
    /// # Errors
    /// EINVAL if it is no regular file, EFBIG, EROFS, EUCLEAN, EIO, ENOMEM; `CommitFirst`.
    pub fn truncate(&mut self, ino: Ino, size: u64, now: Timespec) -> Outcome<()> {
        self.operate(|this| {
            let mut inode = this.inode(ino)?;
            if !inode.is_regular() {
                return Err(Errno::EINVAL.into());
            }
            if size > inode.size {
                this.need_size(size)?;
                this.epoch.note_data(ino)?;
            }
            // Even if it grows here: blocks may have been allocated behind a size that was not noted yet, and what is in
            // them was somebody else's.
            let from = size.div_ceil(u64::from(this.geometry.block_size));
            this.clear_range(ino, &mut inode, Range { from, to: u64::MAX })?;
            inode.size = size;
            Ok(this.touch(ino, &mut inode, now)?)
        })
    }

    /// Makes a hole of whole blocks of a regular file.
    ///
    /// # Errors
    /// As for [`truncate`](Self::truncate).
    pub fn punch(&mut self, ino: Ino, first: u32, count: u32, now: Timespec) -> Outcome<()> {
        self.operate(|this| {
            let mut inode = this.inode(ino)?;
            if !inode.is_regular() {
                return Err(Errno::EINVAL.into());
            }
            let from = u64::from(first);
            this.clear_range(ino, &mut inode, Range { from, to: from + u64::from(count) })?;
            Ok(this.touch(ino, &mut inode, now)?)
        })
    }

    /// Notes that a regular file was written up to byte `end`; the size grows to it. The data is demanded from the caller
    /// before the next commit's inodes.
    ///
    /// # Errors
    /// As for [`truncate`](Self::truncate).
    pub fn note_written(&mut self, ino: Ino, end: u64, now: Timespec) -> Outcome<()> {
        self.operate(|this| {
            let mut inode = this.inode(ino)?;
            if !inode.is_regular() {
                return Err(Errno::EINVAL.into());
            }
            inode.modified = now;
            inode.changed = now;
            if end <= inode.size {
                return Ok(this.put_times(ino, &inode)?);
            }
            this.need_size(end)?;
            inode.size = end;
            this.epoch.note_data(ino)?;
            Ok(this.put_inode(ino, &inode)?)
        })
    }

    /// Frees a file without names that nobody uses any more. Others are left alone.
    ///
    /// # Errors
    /// EROFS, EUCLEAN, EIO, ENOMEM; the file then remains until the file system is closed, or opened the next time.
    pub fn release(&mut self, ino: Ino, now: Timespec) -> Outcome<()> {
        if !self.orphans.contains(&ino) {
            return Ok(());
        }
        self.operate(|this| this.remove_file(ino, now))?;
        self.orphans.remove(&ino);
        self.epoch.data.remove(&ino);
        self.indexes.forget(ino);
        Ok(())
    }

    /// Gives back all that an inode has, and itself.
    pub(crate) fn remove_file(&mut self, ino: Ino, now: Timespec) -> Outcome<()> {
        let inode = self.empty_file(ino, now)?;
        Ok(self.free_inode(ino, &inode)?)
    }

    /// Gives back all that a file without names has.
    pub(crate) fn empty_file(&mut self, ino: Ino, now: Timespec) -> Outcome<Inode> {
        let mut inode = self.any_inode(ino)?;
        if inode.has_blocks(self.geometry.sectors()) {
            self.clear_range(ino, &mut inode, Range { from: 0, to: u64::MAX })?;
        }
        if inode.attributes_block != 0 {
            self.release_attributes(ino, &mut inode)?;
        }
        inode.slots = [0; crate::inode::SLOTS];
        inode.size = 0;
        inode.links = 0;
        inode.sectors = 0;
        inode.deleted = self.deletion_time(now);
        self.put_inode(ino, &inode)?;
        Ok(inode)
    }

    fn clear_range(&mut self, ino: Ino, inode: &mut Inode, range: Range) -> Result<()> {
        for slot in 0..DIRECT {
            let Some(number) = inode.slots.get_mut(index(slot)) else { continue };
            if *number != 0 && (range.from..range.to).contains(&u64::from(slot)) {
                let block = core::mem::take(number);
                let block = self.block(block)?;
                self.free_counted(ino, inode, block.0)?;
            }
        }
        let pointers = u64::from(self.geometry.pointers());
        let (mut base, mut span) = (u64::from(DIRECT), pointers);
        for depth in 1..=3 {
            let slot = index(DIRECT) + depth - 1;
            let number = inode.slots.get(slot).copied().unwrap_or(0);
            if number != 0
                && range.from < base + span
                && base < range.to
                && self.clear_branch(
                    ino,
                    inode,
                    number,
                    depth,
                    Range { from: base, to: base + span },
                    range,
                )? == Branch::Freed
                && let Some(slot) = inode.slots.get_mut(slot)
            {
                *slot = 0;
            }
            base += span;
            span *= pointers;
        }
        Ok(())
    }

    /// Frees what is in `range` of the blocks that a block of numbers leads to, and itself if nothing is left. `all` is what
    /// it can lead to.
    fn clear_branch(
        &mut self,
        ino: Ino,
        inode: &mut Inode,
        number: u32,
        depth: usize,
        all: Range,
        range: Range,
    ) -> Result<Branch> {
        let block = self.block(number)?;
        let numbers = crate::bytes::copy(self.store.read(block, Kind::Pointers)?)?;
        let is_whole = range.from <= all.from && all.to <= range.to;
        let span = (all.to - all.from) / u64::from(self.geometry.pointers());
        let mut is_empty = true;
        for at in 0..self.geometry.pointers() {
            let from = all.from + u64::from(at) * span;
            let child = get32(&numbers, index(at) * 4);
            if child == 0 {
                continue;
            }
            if from + span <= range.from || range.to <= from {
                is_empty = false;
                continue;
            }
            if depth == 1 {
                self.free_counted(ino, inode, child)?;
            } else if self.clear_branch(
                ino,
                inode,
                child,
                depth - 1,
                Range { from, to: from + span },
                range,
            )? == Branch::Kept
            {
                is_empty = false;
                continue;
            }
            if !is_whole {
                self.store.write(block, Kind::Pointers, index(at) * 4, &[0; 4])?;
            }
        }
        if !is_empty {
            return Ok(Branch::Kept);
        }
        self.free_counted(ino, inode, number)?;
        Ok(Branch::Freed)
    }

    fn free_counted(&mut self, ino: Ino, inode: &mut Inode, number: u32) -> Result<()> {
        let block = self.block(number)?;
        self.free_block(ino, block)?;
        inode.sectors = inode.sectors.saturating_sub(self.geometry.sectors());
        Ok(())
    }

    /// The next data or hole at or after a byte of a regular file.
    ///
    /// # Errors
    /// ENXIO if there is none before the end; EUCLEAN, EIO, ENOMEM.
    pub fn seek(&mut self, ino: Ino, offset: u64, what: Seek) -> Result<u64> {
        let inode = self.inode(ino)?;
        if offset >= inode.size {
            return Err(Errno::ENXIO);
        }
        let size = u64::from(self.geometry.block_size);
        let end = u32::try_from(inode.size.div_ceil(size)).map_err(|_| Errno::EFBIG)?;
        let mut block = u32::try_from(offset / size).map_err(|_| Errno::EFBIG)?;
        while block < end {
            let Run { start, length } = self.map_inode(&inode, block, end - block)?;
            if start.is_some() == (what == Seek::Data) {
                return Ok(offset.max(u64::from(block) * size));
            }
            block += length;
        }
        if what == Seek::Hole { Ok(inode.size) } else { Err(Errno::ENXIO) }
    }

    /// How many blocks of a directory its size says it has.
    pub(crate) fn directory_blocks(&self, inode: &Inode) -> u32 {
        to32(usize::try_from(inode.size / u64::from(self.geometry.block_size)).unwrap_or(usize::MAX))
    }
}
