//! From blocks of files to blocks of the disk, and new ones for holes.
//!
//! Twelve numbers in the inode lead to data, the next three to one, two and three levels of blocks of numbers. A 0 is a hole, and
//! so is everything that a missing block of numbers would lead to.

use abi::{Errno, Result};

use crate::bytes::{get32, put32};
use crate::error::Outcome;
use crate::inode::{DIRECT, Inode};
use crate::store::Kind;
use crate::types::{Allocated, BlockNo, BlockSource, Blocks, Ino, Reserve, Run};
use crate::volume::{Ext2, index};

/// Numbers that are written in one piece.
const CHUNK: usize = 64;

/// The way to a block of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// Which number of the inode.
    pub(crate) slot: usize,
    /// How many blocks of numbers are between.
    pub(crate) depth: usize,
    /// Which number in each of them.
    pub(crate) offsets: [u32; 3],
}

/// The way to a block, where a block of numbers has so many.
pub(crate) fn way(file_block: u32, pointers: u32) -> Result<Way> {
    if file_block < DIRECT {
        return Ok(Way { slot: index(file_block), depth: 0, offsets: [0; 3] });
    }
    let per = u64::from(pointers);
    let mut rest = u64::from(file_block - DIRECT);
    let mut span = per;
    for depth in 1..=3 {
        if rest < span {
            let mut offsets = [0; 3];
            for offset in offsets.iter_mut().take(depth) {
                span /= per;
                *offset = u32::try_from(rest / span).map_err(|_| Errno::EFBIG)?;
                rest %= span;
            }
            return Ok(Way { slot: index(DIRECT) + depth - 1, depth, offsets });
        }
        rest -= span;
        span *= per;
    }
    Err(Errno::EFBIG)
}

impl<B: Blocks> Ext2<B> {
    /// Where up to `most` blocks of a file are from `file_block` on: on the disk one after the other, or a hole.
    ///
    /// # Errors
    /// EFBIG for a block that no file has; EINVAL if the inode has no blocks; EUCLEAN, EIO, ENOMEM.
    pub fn map(&mut self, ino: Ino, file_block: u32, most: u32) -> Result<Run> {
        let inode = self.inode(ino)?;
        self.map_inode(&inode, file_block, most)
    }

    pub(crate) fn map_inode(&mut self, inode: &Inode, file_block: u32, most: u32) -> Result<Run> {
        if !inode.has_blocks(self.geometry.sectors()) {
            return Err(Errno::EINVAL);
        }
        let pointers = self.geometry.pointers();
        let way = way(file_block, pointers)?;
        if way.depth == 0 {
            let slots = inode.slots.get(way.slot..index(DIRECT)).unwrap_or_default();
            return self.checked_run(run_of(slots.iter().copied(), most));
        }
        let mut number = inode.slots.get(way.slot).copied().unwrap_or(0);
        for (level, &offset) in way.offsets.iter().take(way.depth).enumerate() {
            if number == 0 {
                return Ok(Run { start: None, length: missing(&way, level, pointers).min(most).max(1) });
            }
            let block = self.block(number)?;
            let bytes = self.store.read(block, Kind::Pointers)?;
            if level + 1 == way.depth {
                let run = run_of((offset..pointers).map(|at| get32(bytes, index(at) * 4)), most);
                return self.checked_run(run);
            }
            number = get32(bytes, index(offset) * 4);
        }
        Err(Errno::EUCLEAN)
    }

    fn checked_run(&self, run: Run) -> Result<Run> {
        if let Some(start) = run.start {
            let last = start.0.checked_add(run.length - 1).ok_or(Errno::EUCLEAN)?;
            self.block(start.0)?;
            self.block(last)?;
        }
        Ok(run)
    }

    /// Gives a regular file blocks from `file_block` on, up to `count`, where it has a hole; says where they are, or where the
    /// ones are that it has. The size does not change.
    ///
    /// # Errors
    /// ENOSPC, EFBIG, EINVAL if it is no regular file, EROFS, EUCLEAN, EIO, ENOMEM; `CommitFirst`.
    pub fn allocate(
        &mut self,
        ino: Ino,
        file_block: u32,
        count: u32,
        reserve: Reserve,
    ) -> Outcome<Allocated> {
        self.operate(|this| {
            let mut inode = this.inode(ino)?;
            if !inode.is_regular() {
                return Err(Errno::EINVAL.into());
            }
            let run = this.map_inode(&inode, file_block, count.max(1))?;
            if let Some(start) = run.start {
                return Ok(Allocated { start, length: run.length, source: BlockSource::Existing });
            }
            this.need_size((u64::from(file_block) + 1) * u64::from(this.geometry.block_size))?;
            let (start, length) =
                this.grow(ino, &mut inode, file_block, run.length.min(count.max(1)), reserve)?;
            this.put_inode(ino, &inode)?;
            this.epoch.note_data(ino)?;
            Ok(Allocated { start, length, source: BlockSource::New })
        })
    }

    /// Fills a hole of `hole` blocks at `file_block`, or the start of it. The caller stores the inode.
    pub(crate) fn grow(
        &mut self,
        ino: Ino,
        inode: &mut Inode,
        file_block: u32,
        hole: u32,
        reserve: Reserve,
    ) -> Outcome<(BlockNo, u32)> {
        let pointers = self.geometry.pointers();
        let way = way(file_block, pointers)?;
        let goal = self.goal(ino, inode, file_block)?;
        if way.depth == 0 {
            let count = hole.min(DIRECT.saturating_sub(file_block));
            let (start, count) = self.take_blocks(goal, count, reserve)?;
            for (number, slot) in (start.0..start.0 + count).zip(inode.slots.iter_mut().skip(way.slot)) {
                *slot = number;
            }
            self.count_blocks(inode, count)?;
            return Ok((start, count));
        }
        let (leaf, goal) = self.leaf(inode, &way, goal, reserve)?;
        let first = way.offsets.get(way.depth - 1).copied().unwrap_or(0);
        let (start, count) = self.take_blocks(goal, hole.min(pointers - first), reserve)?;
        self.write_numbers(leaf, first, start, count)?;
        self.count_blocks(inode, count)?;
        Ok((start, count))
    }

    /// The block of numbers that leads to the data, made with those above it if need be; and the goal behind them.
    fn leaf(
        &mut self,
        inode: &mut Inode,
        way: &Way,
        goal: BlockNo,
        reserve: Reserve,
    ) -> Outcome<(BlockNo, BlockNo)> {
        let mut goal = goal;
        let mut above = None;
        let mut number = inode.slots.get(way.slot).copied().unwrap_or(0);
        for &offset in way.offsets.iter().take(way.depth) {
            let block = if number == 0 {
                let block = self.take_block(goal, reserve)?;
                self.store.create_empty(block, Kind::Pointers)?;
                self.count_blocks(inode, 1)?;
                goal = BlockNo(block.0 + 1);
                match above {
                    Some((parent, at)) => self.write_numbers(parent, at, block, 1)?,
                    None => {
                        if let Some(slot) = inode.slots.get_mut(way.slot) {
                            *slot = block.0;
                        }
                    }
                }
                block
            } else {
                self.block(number)?
            };
            number = get32(self.store.read(block, Kind::Pointers)?, index(offset) * 4);
            above = Some((block, offset));
        }
        let (leaf, _) = above.ok_or(Errno::EUCLEAN)?;
        Ok((leaf, goal))
    }

    /// Stores consecutive numbers in a block of numbers.
    fn write_numbers(&mut self, block: BlockNo, first: u32, start: BlockNo, count: u32) -> Result<()> {
        let mut done = 0;
        while done < count {
            let mut bytes = [0; CHUNK * 4];
            let mut length = 0;
            for number in (start.0 + done..start.0 + count).take(CHUNK) {
                put32(&mut bytes, length * 4, number);
                length += 1;
            }
            let at = index(first + done) * 4;
            self.store.write(block, Kind::Pointers, at, bytes.get(..length * 4).unwrap_or_default())?;
            done += crate::bytes::to32(length);
        }
        Ok(())
    }

    /// Where a new block would be best: behind the one before it, or in the inode's group.
    fn goal(&mut self, ino: Ino, inode: &Inode, file_block: u32) -> Result<BlockNo> {
        if let Some(before) = file_block.checked_sub(1)
            && let Run { start: Some(block), .. } = self.map_inode(inode, before, 1)?
        {
            return Ok(BlockNo(block.0 + 1));
        }
        Ok(self.first_goal(ino))
    }

    /// Adds blocks to what an inode takes.
    pub(crate) fn count_blocks(&self, inode: &mut Inode, count: u32) -> Result<()> {
        let sectors = count.checked_mul(self.geometry.sectors()).ok_or(Errno::EFBIG)?;
        inode.sectors = inode.sectors.checked_add(sectors).ok_or(Errno::EFBIG)?;
        Ok(())
    }
}

/// The run that a row of numbers begins with.
fn run_of(mut numbers: impl Iterator<Item = u32>, most: u32) -> Run {
    let first = numbers.next().unwrap_or(0);
    let mut length = 1;
    while length < most {
        let wanted = if first == 0 { Some(0) } else { first.checked_add(length) };
        if wanted.is_none() || numbers.next() != wanted {
            break;
        }
        length += 1;
    }
    Run { start: (first != 0).then_some(BlockNo(first)), length }
}

/// How many blocks of the file a missing block of numbers at this level would still lead to.
fn missing(way: &Way, level: usize, pointers: u32) -> u32 {
    let mut count: u64 = 1;
    let mut passed: u64 = 0;
    for &offset in way.offsets.iter().take(way.depth).skip(level) {
        count *= u64::from(pointers);
        passed = passed * u64::from(pointers) + u64::from(offset);
    }
    u32::try_from(count - passed).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_begins_where_the_one_before_ends() {
        assert_eq!(way(11, 256), Ok(Way { slot: 11, depth: 0, offsets: [0; 3] }));
        assert_eq!(way(12, 256), Ok(Way { slot: 12, depth: 1, offsets: [0; 3] }));
        assert_eq!(way(267, 256), Ok(Way { slot: 12, depth: 1, offsets: [255, 0, 0] }));
        assert_eq!(way(268, 256), Ok(Way { slot: 13, depth: 2, offsets: [0; 3] }));
        assert_eq!(way(268 + 65_535, 256), Ok(Way { slot: 13, depth: 2, offsets: [255, 255, 0] }));
        assert_eq!(way(268 + 65_536, 256), Ok(Way { slot: 14, depth: 3, offsets: [0; 3] }));
        assert_eq!(way(u32::MAX, 256), Err(Errno::EFBIG));
        assert!(way(u32::MAX, 1024).is_err() || way(u32::MAX, 1024).is_ok_and(|way| way.depth == 3));
    }

    #[test]
    fn a_missing_block_of_numbers_is_a_hole_to_its_end() {
        let way = way(268 + 256 + 3, 256).unwrap();
        assert_eq!(missing(&way, 0, 256), 65_536 - 256 - 3);
        assert_eq!(missing(&way, 1, 256), 253);
    }

    #[test]
    fn runs_end_where_numbers_do_not_follow() {
        assert_eq!(run_of([5, 6, 7, 9].into_iter(), 9), Run { start: Some(BlockNo(5)), length: 3 });
        assert_eq!(run_of([5, 6, 7, 9].into_iter(), 2), Run { start: Some(BlockNo(5)), length: 2 });
        assert_eq!(run_of([0, 0, 1].into_iter(), 9), Run { start: None, length: 2 });
        assert_eq!(run_of([u32::MAX, 0].into_iter(), 9), Run { start: Some(BlockNo(u32::MAX)), length: 1 });
    }
}
