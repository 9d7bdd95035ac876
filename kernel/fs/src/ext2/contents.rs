//! The bytes of a regular file: where they are, writing, cutting, holes.

use alloc::sync::Arc;
use core::ops::Range;
use core::sync::atomic::Ordering;

use abi::{Errno, Result};
use ext2::{BlockSource, Pending, Seek};
use hal::frames::SharedFrame;
use logic::addr::{PAGE_LEN, PAGE_SIZE, to_usize};
use nucleus::block::{Durability, Operation, Ticket};
use nucleus::clock;
use nucleus::vfs::ByteSource;
use nucleus::vfs::cache::{Backing, Mapped};
use nucleus::vfs::storage::{Advice, Allocation, Storage, Synced, Wanted};

use super::device;
use super::node::Node;
use super::volume::State;

/// A node whose pages are asked for by a page fault, which must not wait for a commit.
pub(super) struct Faulting<'a>(pub(super) &'a Node);

impl Node {
    /// Writes to a file that the caller has locked.
    pub(super) fn write_locked(&self, position: u64, from: &mut dyn ByteSource) -> Result<usize> {
        if !self.is_regular() {
            return Err(Errno::EISDIR);
        }
        let count = self.cache.write(self, position, from)?;
        if count > 0 {
            self.shown.touch_modified();
            self.note_changed();
        }
        Ok(count)
    }

    /// Writes dirty pages of a range of bytes.
    pub(super) fn write_pages(&self, range: Range<u64>, mapped: Mapped) -> Result<()> {
        self.cache.write_back(self, range, mapped)
    }

    pub(super) fn resize(&self, size: u64) -> Result<()> {
        if size > self.volume.state.lock().largest_file() {
            return Err(Errno::EFBIG);
        }
        loop {
            let outcome = {
                let _alone = self.writing.lock();
                self.resize_locked(size)
            };
            match outcome {
                Err(Errno::EAGAIN) => self.volume.commit(ext2::Purpose::Durability)?,
                outcome => return outcome,
            }
        }
    }

    fn resize_locked(&self, size: u64) -> Result<()> {
        let old = self.size();
        if size > old {
            self.cache.clear_end(self)?;
        }
        let shorten = || {
            if size < old {
                let first = size.div_ceil(u64::from(self.volume.block_size));
                self.volume.thin_out(self.ino, u32::try_from(first).map_err(|_| Errno::EFBIG)?)?;
            }
            let truncated = self.volume.try_operate(|state| {
                // The state machine may know a smaller size than programs do.
                state.truncate(self.ino, size, clock::realtime())
            });
            if truncated.is_ok() {
                self.disk_size.store(size, Ordering::Relaxed);
                self.shown.size.store(size, Ordering::Release);
            }
            truncated
        };
        if size < old { self.cache.cut(self, size, shorten) } else { shorten() }
    }

    /// Blocks of a range of bytes: the first, and how many.
    fn blocks(&self, range: &Range<u64>) -> Result<(u32, u32)> {
        let size = u64::from(self.volume.block_size);
        let first = u32::try_from(range.start / size).map_err(|_| Errno::EFBIG)?;
        let end = u32::try_from(range.end.div_ceil(size)).map_err(|_| Errno::EFBIG)?;
        Ok((first, end - first))
    }

    fn reserve_with(
        &self,
        range: Range<u64>,
        operate: impl FnOnce(
            &mut dyn FnMut(&mut State) -> ext2::Outcome<ext2::Allocated>,
        ) -> Result<ext2::Allocated>,
    ) -> Result<Range<u64>> {
        let (first, count) = self.blocks(&range)?;
        let size = u64::from(self.volume.block_size);
        let start = u64::from(first) * size;
        let reserve = self.volume.reserve();
        let allocated = operate(&mut |state| {
            let allocated = state.allocate(self.ino, first, count, reserve)?;
            // In one go with the size: no commit finds blocks behind the end of a file.
            let end = range.end.min(start + u64::from(allocated.length) * size);
            if end > self.disk_size.load(Ordering::Relaxed) {
                state.note_written(self.ino, end, clock::realtime())?;
                self.disk_size.store(end, Ordering::Relaxed);
            }
            if allocated.source == BlockSource::New {
                self.shown.sectors.store(state.attributes(self.ino)?.blocks, Ordering::Relaxed);
            }
            Ok(allocated)
        })?;
        Ok(start..start + u64::from(allocated.length) * size)
    }

    /// Reads or writes pages, piece by piece as they lie on the disk; what lies nowhere goes to `hole`.
    fn transfer(
        &self,
        operation: Operation,
        first: u64,
        frames: &[SharedFrame],
        ticket: &Arc<Ticket>,
        mut hole: impl FnMut(&SharedFrame, usize, usize),
    ) -> Result<()> {
        let block = u64::from(self.volume.block_size);
        let start = first * PAGE_SIZE;
        let end = start + frames.len() as u64 * PAGE_SIZE;
        let mut at = start;
        while at < end {
            let (number, count) = self.blocks(&(at..end))?;
            let run = self.volume.state.lock().map(self.ino, number, count)?;
            let run_end = at + u64::from(run.length) * block;
            let pieces = pieces(frames, at - start, run_end.min(end) - start);
            match run.start {
                Some(found) => {
                    let sector = u64::from(found.0) * self.volume.sectors_of_block();
                    let pieces = pieces.collect::<alloc::vec::Vec<_>>().into_iter();
                    device::transfer(&self.volume.disk, operation, sector, pieces, ticket)?;
                }
                None => pieces.for_each(|(frame, offset, len)| hole(&frame, offset, len)),
            }
            at = run_end;
        }
        Ok(())
    }
}

/// The pieces of pages between two positions in them.
fn pieces(frames: &[SharedFrame], from: u64, to: u64) -> impl Iterator<Item = (SharedFrame, usize, usize)> {
    let first = to_usize(from / PAGE_SIZE);
    let last = to_usize(to.div_ceil(PAGE_SIZE)).min(frames.len());
    frames.iter().enumerate().take(last).skip(first).map(move |(place, frame)| {
        let page = place as u64 * PAGE_SIZE;
        let start = to_usize(from.max(page) - page);
        let end = to_usize(to.min(page + PAGE_SIZE) - page).min(PAGE_LEN);
        (frame.clone(), start, end - start)
    })
}

impl Backing for Node {
    fn size(&self) -> u64 {
        self.shown.size.load(Ordering::Acquire)
    }

    fn set_size(&self, size: u64) {
        self.shown.size.store(size, Ordering::Release);
    }

    fn load(&self, first: u64, frames: &[SharedFrame], ticket: &Arc<Ticket>) -> Result<()> {
        self.transfer(Operation::Read, first, frames, ticket, |frame, offset, len| {
            frame.clear(offset, offset + len);
        })
    }

    fn store(&self, first: u64, frames: &[SharedFrame], ticket: &Arc<Ticket>) -> Result<()> {
        self.transfer(Operation::Write(Durability::Cached), first, frames, ticket, |_, _, _| {})
    }

    fn reserve(&self, range: Range<u64>) -> Result<Range<u64>> {
        let found = self.reserve_with(range, |operation| self.volume.operate(operation))?;
        self.note_dirty();
        Ok(found)
    }
}

impl Backing for Faulting<'_> {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn set_size(&self, size: u64) {
        self.0.set_size(size);
    }

    fn load(&self, first: u64, frames: &[SharedFrame], ticket: &Arc<Ticket>) -> Result<()> {
        self.0.load(first, frames, ticket)
    }

    fn store(&self, first: u64, frames: &[SharedFrame], ticket: &Arc<Ticket>) -> Result<()> {
        self.0.store(first, frames, ticket)
    }

    fn reserve(&self, range: Range<u64>) -> Result<Range<u64>> {
        self.0.reserve_with(range, |operation| self.0.volume.try_operate(operation))
    }
}

impl Storage for Node {
    fn sync(&self, what: Synced, range: Range<u64>) -> Result<()> {
        self.sync_to_disk(range, if what == Synced::Data { Pending::All } else { Pending::Times })
    }

    fn write_errors(&self) -> u32 {
        self.cache.error_count()
    }

    fn allocate(&self, how: Allocation, range: Range<u64>) -> Result<()> {
        if !self.is_regular() {
            return Err(Errno::ENODEV);
        }
        match how {
            Allocation::Hole => self.punch(range),
            // ext2 has no blocks that are there but not written, so Linux's cannot do this either.
            Allocation::Room | Allocation::RoomBehind | Allocation::Zeros | Allocation::ZerosWithin => {
                Err(Errno::EOPNOTSUPP)
            }
        }
    }

    fn seek(&self, position: u64, wanted: Wanted) -> Result<u64> {
        // What was only written to memory is data too.
        self.write_back(0..u64::MAX)?;
        let what = if wanted == Wanted::Data { Seek::Data } else { Seek::Hole };
        self.volume.state.lock().seek(self.ino, position, what)
    }

    fn advise(&self, advice: Advice, range: Range<u64>) {
        match advice {
            Advice::WillNeed => self.cache.read_early(self, range),
            Advice::DontNeed => {
                let _ = self.write_pages(range, Mapped::Protected);
                self.cache.drop_clean();
            }
        }
    }
}

impl Node {
    /// Makes a hole: whole blocks are given back, the rest is cleared.
    fn punch(&self, range: Range<u64>) -> Result<()> {
        let block = u64::from(self.volume.block_size);
        let range = range.start..range.end.min(self.size());
        if range.is_empty() {
            return Ok(());
        }
        loop {
            let outcome = {
                let _alone = self.writing.lock();
                let whole = range.start.next_multiple_of(block)..range.end / block * block;
                self.cache.punch(self, range.clone(), || {
                    if whole.start >= whole.end {
                        return Ok(());
                    }
                    let (first, count) = self.blocks(&whole)?;
                    self.volume.try_operate(|state| state.punch(self.ino, first, count, clock::realtime()))
                })
            };
            match outcome {
                Err(Errno::EAGAIN) => self.volume.commit(ext2::Purpose::Durability)?,
                outcome => {
                    self.shown.touch_modified();
                    self.note_changed();
                    return outcome.and(self.refresh());
                }
            }
        }
    }
}
