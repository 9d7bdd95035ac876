//! Reading and writing through the cache.
//!
//! Bytes are copied without the lock of the cache: the copy may fault, and the fault may need this very cache.

use alloc::sync::Arc;

use abi::{Errno, Result};
use hal::frames::SharedFrame;
use logic::addr::{PAGE_LEN, PAGE_SIZE, to_usize};

use super::Backing;
use super::pages::{self, Found, PageCache, State};
use crate::vfs::bytes::{ByteSink, ByteSource};

/// Pages that are taken out under one acquisition.
const BATCH: usize = 16;

/// Where written bytes go.
enum Target {
    /// A page of the file.
    There(SharedFrame),
    /// One that is not part of it yet.
    New(SharedFrame),
}

impl PageCache {
    /// Reads from `position` on, to the end of the file or of the sink.
    ///
    /// # Errors
    /// EFAULT, EIO, ENOMEM, if nothing was read.
    pub fn read(
        self: &Arc<Self>,
        backing: &dyn Backing,
        position: u64,
        to: &mut dyn ByteSink,
    ) -> Result<usize> {
        let mut done = 0;
        loop {
            let at = position.saturating_add(done as u64);
            let left = backing.size().saturating_sub(at).min(to.room() as u64);
            if left == 0 {
                return Ok(done);
            }
            match self.read_batch(backing, at, to_usize(left), to) {
                Ok((count, true)) => done += count,
                Ok((count, false)) => return Ok(done + count),
                // A file that was cut meanwhile ends here.
                Err(Errno::ENXIO) => return Ok(done),
                Err(_) if done > 0 => return Ok(done),
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads up to `left` bytes; says how many, and whether to go on.
    fn read_batch(
        self: &Arc<Self>,
        backing: &dyn Backing,
        at: u64,
        left: usize,
        to: &mut dyn ByteSink,
    ) -> Result<(usize, bool)> {
        let (first, mut offset) = (at / PAGE_SIZE, to_usize(at % PAGE_SIZE));
        let wanted = (offset + left).div_ceil(PAGE_LEN);
        let mut batch = [const { None }; BATCH];
        let mut count = 0;
        let ahead = {
            let mut pages = self.pages.lock();
            for (slot, index) in batch.iter_mut().zip(first..).take(wanted) {
                let Found::Page(frame) = pages.find(index) else { break };
                *slot = Some(frame);
                count += 1;
            }
            pages.ahead.present(first, first + count as u64)
        };
        if let Some(range) = ahead {
            // Only an attempt; what is wrong will show when the pages are wanted.
            let _ = self.begin_load(backing, range);
        }
        if count == 0 {
            batch[0] = Some(self.get(backing, first, wanted as u64)?);
        }
        let mut done = 0;
        for page in batch.iter().flatten() {
            let wanted = (PAGE_LEN - offset).min(left - done);
            match to.put_page(page, offset, wanted) {
                Ok(count) if count == wanted => done += count,
                Ok(count) => return Ok((done + count, false)),
                Err(_) if done > 0 => return Ok((done, false)),
                Err(error) => return Err(error),
            }
            offset = 0;
        }
        Ok((done, true))
    }

    /// Writes at `position`. The caller sees to it that nobody else writes or cuts the file meanwhile.
    ///
    /// # Errors
    /// ENOSPC and the like, EFAULT, EIO, ENOMEM, if nothing was written.
    pub fn write(
        self: &Arc<Self>,
        backing: &dyn Backing,
        position: u64,
        from: &mut dyn ByteSource,
    ) -> Result<usize> {
        if position > backing.size() {
            self.clear_end(backing)?;
        }
        let mut done = 0;
        while from.left() > 0 {
            match self.write_page(backing, position + done as u64, from) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// The file is about to grow: what a mapping, or who had the disk before, left behind its end must not show.
    ///
    /// # Errors
    /// EIO, ENOMEM.
    pub fn clear_end(self: &Arc<Self>, backing: &dyn Backing) -> Result<()> {
        let size = backing.size();
        let offset = to_usize(size % PAGE_SIZE);
        if offset != 0 {
            let index = size / PAGE_SIZE;
            self.get(backing, index, 1)?.clear(offset, PAGE_LEN);
            self.pages.lock().mark_dirty(index);
        }
        Ok(())
    }

    /// Writes as much as one page holds.
    fn write_page(
        self: &Arc<Self>,
        backing: &dyn Backing,
        at: u64,
        from: &mut dyn ByteSource,
    ) -> Result<usize> {
        let (index, offset) = (at / PAGE_SIZE, to_usize(at % PAGE_SIZE));
        // What is written over and what is added go one after the other.
        let inside = backing.size().checked_sub(at).filter(|&inside| inside > 0).unwrap_or(u64::MAX);
        let wanted = (PAGE_LEN - offset).min(from.left()).min(usize::try_from(inside).unwrap_or(usize::MAX));
        let end = at.checked_add(wanted as u64).ok_or(Errno::EFBIG)?;
        let count = match self.page_to_write(backing, index, offset, wanted)? {
            Target::There(page) if inside == u64::MAX => {
                // Behind the end of the file: the disk gets a place for no more than came.
                let count = from.take_to_page(&page, offset, wanted)?;
                if count > 0
                    && let Err(error) = self.make_dirty(backing, at..at + count as u64)
                {
                    page.clear(offset, offset + count);
                    return Err(error);
                }
                count
            }
            Target::There(page) => {
                self.make_dirty(backing, at..end)?;
                from.take_to_page(&page, offset, wanted)?
            }
            Target::New(page) => {
                let count = from.take_to_page(&page, offset, wanted)?;
                if count < wanted && end < backing.size() {
                    // What was to be replaced whole is not: the rest of the old bytes is needed after all.
                    return self.merge(backing, index, &page, offset, count);
                }
                if wanted == PAGE_LEN {
                    page.clear(count, PAGE_LEN);
                }
                if !self.insert_dirty(index, &page)? {
                    return self.merge(backing, index, &page, offset, count);
                }
                if let Err(error) = self.make_dirty(backing, at..at + count as u64) {
                    self.pages.lock().remove(index);
                    return Err(error);
                }
                count
            }
        };
        let end = at + count as u64;
        if end > backing.size() {
            backing.set_size(end);
        }
        Ok(count)
    }

    /// Makes a new page part of the file, if none is there.
    fn insert_dirty(self: &Arc<Self>, index: u64, page: &SharedFrame) -> Result<bool> {
        let mut pages = self.pages.lock();
        if !matches!(pages.find(index), Found::Nothing) {
            return Ok(false);
        }
        self.register(&mut pages);
        pages.add(index, page.clone(), State::Clean)?;
        pages.mark_dirty(index);
        Ok(true)
    }

    /// Puts bytes that were taken into a page of their own into the one the file has.
    fn merge(
        self: &Arc<Self>,
        backing: &dyn Backing,
        index: u64,
        page: &SharedFrame,
        offset: usize,
        count: usize,
    ) -> Result<usize> {
        let there = self.get(backing, index, 1)?;
        let start = index * PAGE_SIZE + offset as u64;
        let end = start + count as u64;
        if count != 0 {
            self.make_dirty(backing, start..end)?;
        }
        copy(page, &there, offset, count);
        if end > backing.size() {
            backing.set_size(end);
        }
        Ok(count)
    }

    /// The page to put bytes in: one that is there, or a new one if nothing of the old is to be kept.
    fn page_to_write(
        self: &Arc<Self>,
        backing: &dyn Backing,
        index: u64,
        offset: usize,
        wanted: usize,
    ) -> Result<Target> {
        let start = index * PAGE_SIZE;
        let size = backing.size();
        let keeps_nothing = offset == 0 && start + wanted as u64 >= size;
        if wanted < PAGE_LEN && start < size && !keeps_nothing {
            return self.get(backing, index, 1).map(Target::There);
        }
        loop {
            let found = self.pages.lock().find(index);
            match found {
                Found::Page(frame) => return Ok(Target::There(frame)),
                // Its end decides whether it is there.
                Found::Loading(_) => drop(self.get(backing, index, 1)?),
                Found::Nothing if wanted == PAGE_LEN => return pages::new_frame_to_fill().map(Target::New),
                Found::Nothing => return pages::new_frame().map(Target::New),
            }
        }
    }
}

/// Copies bytes from page to page.
fn copy(from: &SharedFrame, to: &SharedFrame, offset: usize, len: usize) {
    let mut buffer = [0; 256];
    let mut done = 0;
    while done < len {
        let part = &mut buffer[..(len - done).min(256)];
        from.read(offset + done, part);
        to.write(offset + done, part);
        done += part.len();
    }
}
