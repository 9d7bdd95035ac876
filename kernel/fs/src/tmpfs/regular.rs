//! The bytes of a regular file.
//!
//! Who writes or cuts holds `Writing` all the time, so writes do not mix and the size changes in one place; the pages
//! are under `Inode`, for a moment each time. Seals are memfd_create(2)'s.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::{Errno, Result};
use hal::frames::{self, Frame, SharedFrame};
use hal::rank;
use logic::addr::{PAGE_LEN, PAGE_SIZE, to_usize};
use logic::sparse::Sparse;
use nucleus::sched::Mutex;
use nucleus::vfs::storage::{Allocation, Wanted};
use nucleus::vfs::{ByteSink, ByteSource, File};

use super::Sealing;
use super::node::Node;
use super::space::Space;
use crate::shown::Shown;

/// The largest file.
const MAX_SIZE: u64 = i64::MAX as u64;
/// Units of `st_blocks` in a page.
const SECTORS_OF_PAGE: u64 = PAGE_SIZE / 512;
/// Pages that are taken out under one acquisition.
const BATCH: usize = 8;

/// Seals, for fcntl(2).
pub mod seals {
    /// No more seals.
    pub const SEAL: u32 = 1;
    /// It gets no smaller.
    pub const SHRINK: u32 = 2;
    /// It gets no larger.
    pub const GROW: u32 = 4;
    /// It is not written.
    pub const WRITE: u32 = 8;
    /// It is not written but through mappings that exist.
    pub const FUTURE_WRITE: u32 = 0x10;
    /// It never gets, or loses, the right to be executed.
    pub const EXEC: u32 = 0x20;
    pub(super) const ALL: u32 = SEAL | SHRINK | GROW | WRITE | FUTURE_WRITE | EXEC;

    use super::{Errno, File, Node, Result};

    /// The seals of `file` (`F_GET_SEALS`).
    ///
    /// # Errors
    /// EINVAL if it takes none.
    pub fn get(file: &dyn File) -> Result<u32> {
        regular(file).map(super::Regular::seals)
    }

    /// Adds seals (`F_ADD_SEALS`).
    ///
    /// # Errors
    /// EINVAL if it takes none or there are no such seals, EPERM if it is sealed against them.
    pub fn add(file: &dyn File, more: u32) -> Result<()> {
        regular(file)?.add_seals(more)
    }

    fn regular(file: &dyn File) -> Result<&super::Regular> {
        let node = file.as_any().downcast_ref::<Node>();
        node.and_then(Node::regular).filter(|regular| regular.label.is_some()).ok_or(Errno::EINVAL)
    }
}

/// The bytes of a regular file.
pub(super) struct Regular {
    writing: Mutex<(), rank::Writing>,
    pages: Mutex<Sparse<SharedFrame>, rank::Inode>,
    seals: AtomicU32,
    /// What `/proc/PID/maps` calls it if it has no name.
    pub(super) label: Option<Box<[u8]>>,
}

/// A regular file: its bytes, and what goes with them.
#[derive(Clone, Copy)]
pub(super) struct Contents<'a> {
    pub(super) regular: &'a Regular,
    pub(super) shown: &'a Shown,
    pub(super) space: &'a Space,
}

impl Regular {
    pub(super) fn named() -> Self {
        Regular {
            writing: Mutex::new(()),
            pages: Mutex::new(Sparse::new()),
            seals: AtomicU32::new(0),
            label: None,
        }
    }

    pub(super) fn nameless(label: Box<[u8]>, sealing: Sealing) -> Self {
        let first = if sealing == Sealing::Allowed { 0 } else { seals::SEAL };
        Regular { seals: AtomicU32::new(first), label: Some(label), ..Self::named() }
    }

    /// How many pages it has, when nobody else has it any more.
    pub(super) fn count_pages(&mut self) -> usize {
        self.pages.get_mut().len()
    }

    fn seals(&self) -> u32 {
        self.seals.load(Ordering::Relaxed)
    }

    fn add_seals(&self, more: u32) -> Result<()> {
        if more & !seals::ALL != 0 {
            return Err(Errno::EINVAL);
        }
        let _no_writers = self.writing.lock();
        if self.seals() & seals::SEAL != 0 {
            return Err(Errno::EPERM);
        }
        self.seals.fetch_or(more, Ordering::Relaxed);
        Ok(())
    }

    fn is_sealed(&self, against: u32) -> bool {
        self.seals() & against != 0
    }
}

/// The page and the place in it of a position.
fn split(position: u64) -> (u64, usize) {
    (position / PAGE_SIZE, to_usize(position % PAGE_SIZE))
}

impl Contents<'_> {
    fn size(&self) -> u64 {
        self.shown.size.load(Ordering::Acquire)
    }

    pub(super) fn read(&self, position: u64, to: &mut dyn ByteSink) -> Result<usize> {
        let mut done = 0;
        loop {
            let at = position.saturating_add(done as u64);
            let left = self.size().saturating_sub(at).min(to.room() as u64);
            if left == 0 {
                break;
            }
            match self.read_batch(at, to_usize(left), to) {
                Ok((count, true)) => done += count,
                Ok((count, false)) => {
                    done += count;
                    break;
                }
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        self.shown.touch_accessed();
        Ok(done)
    }

    /// Reads up to `left` bytes; says how many, and whether to go on.
    fn read_batch(&self, at: u64, left: usize, to: &mut dyn ByteSink) -> Result<(usize, bool)> {
        let (first, mut offset) = split(at);
        let count = (offset + left.min(BATCH * PAGE_LEN)).div_ceil(PAGE_LEN).min(BATCH);
        let mut batch = [const { None }; BATCH];
        {
            let pages = self.regular.pages.lock();
            for (slot, index) in batch.iter_mut().zip(first..).take(count) {
                *slot = pages.get(index).cloned();
            }
        }
        let mut done = 0;
        for page in batch.into_iter().take(count) {
            // Nothing was ever written to a hole.
            let page = page.map_or_else(SharedFrame::zero, Ok)?;
            let wanted = (PAGE_LEN - offset).min(left - done);
            match to.put_page(&page, offset, wanted) {
                Ok(count) if count == wanted => done += count,
                Ok(count) => return Ok((done + count, false)),
                Err(_) if done > 0 => return Ok((done, false)),
                Err(error) => return Err(error),
            }
            offset = 0;
        }
        Ok((done, true))
    }

    pub(super) fn write(&self, position: u64, from: &mut dyn ByteSource) -> Result<usize> {
        let _alone = self.regular.writing.lock();
        self.write_locked(position, from)
    }

    /// Writes at the end; says where that is then.
    pub(super) fn append(&self, from: &mut dyn ByteSource) -> Result<(u64, usize)> {
        let _alone = self.regular.writing.lock();
        let start = self.size();
        let count = self.write_locked(start, from)?;
        Ok((start + count as u64, count))
    }

    fn write_locked(&self, position: u64, from: &mut dyn ByteSource) -> Result<usize> {
        let mut done = 0;
        let mut outcome = Ok(());
        while from.left() > 0 {
            match self.write_page(position.saturating_add(done as u64), from) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        if done > 0 {
            self.shown.touch_modified();
            return Ok(done);
        }
        outcome.map(|()| 0)
    }

    /// Writes as much as one page holds. The caller holds `Writing`.
    fn write_page(&self, at: u64, from: &mut dyn ByteSource) -> Result<usize> {
        if at >= MAX_SIZE {
            return Err(Errno::EFBIG);
        }
        let (index, offset) = split(at);
        let wanted = (PAGE_LEN - offset).min(from.left()).min(to_usize(MAX_SIZE - at));
        let grows = at + wanted as u64 > self.size();
        if self.regular.is_sealed(seals::WRITE | seals::FUTURE_WRITE)
            || grows && self.regular.is_sealed(seals::GROW)
        {
            return Err(Errno::EPERM);
        }
        let page = self.regular.pages.lock().get(index).cloned();
        let count = match page {
            Some(page) => from.take_to_page(&page, offset, wanted)?,
            None => self.write_new_page(index, offset, wanted, from)?,
        };
        let end = at + count as u64;
        if end > self.size() {
            self.shown.size.store(end, Ordering::Release);
        }
        Ok(count)
    }

    /// Writes to a page that is filled before anybody sees it.
    fn write_new_page(
        &self,
        index: u64,
        offset: usize,
        wanted: usize,
        from: &mut dyn ByteSource,
    ) -> Result<usize> {
        let page = if wanted == PAGE_LEN { frames::allocate() } else { frames::allocate_zeroed() };
        let page = page.map(Frame::share).ok_or(Errno::ENOMEM)?;
        let count = from.take_to_page(&page, offset, wanted)?;
        if count == 0 {
            return Ok(0);
        }
        if wanted == PAGE_LEN {
            page.clear(count, PAGE_LEN);
        }
        let other = {
            let mut pages = self.regular.pages.lock();
            match pages.get(index).cloned() {
                None => {
                    self.add_page(&mut pages, index, page)?;
                    return Ok(count);
                }
                Some(other) => other,
            }
        };
        // Somebody mapped the hole meanwhile: what he sees is the file.
        let mut buffer = [0; 256];
        let mut done = 0;
        while done < count {
            let len = (count - done).min(buffer.len());
            page.read(offset + done, &mut buffer[..len]);
            other.write(offset + done, &buffer[..len]);
            done += len;
        }
        Ok(count)
    }

    fn add_page(&self, pages: &mut Sparse<SharedFrame>, index: u64, page: SharedFrame) -> Result<()> {
        self.space.take_page()?;
        if pages.insert(index, page).is_err() {
            self.space.give_pages(1);
            return Err(Errno::ENOMEM);
        }
        self.shown.sectors.store(pages.len() as u64 * SECTORS_OF_PAGE, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn resize(&self, size: u64) -> Result<()> {
        if size > MAX_SIZE {
            return Err(Errno::EFBIG);
        }
        let _alone = self.regular.writing.lock();
        let old = self.size();
        if size < old && self.regular.is_sealed(seals::SHRINK)
            || size > old && self.regular.is_sealed(seals::GROW)
        {
            return Err(Errno::EPERM);
        }
        self.shown.size.store(size, Ordering::Release);
        if size < old {
            self.cut(size);
        }
        Ok(())
    }

    /// fallocate(2).
    pub(super) fn allocate(&self, how: Allocation, range: Range<u64>) -> Result<()> {
        let _alone = self.regular.writing.lock();
        let grows = matches!(how, Allocation::Room | Allocation::Zeros) && range.end > self.size();
        let clears = matches!(how, Allocation::Hole | Allocation::Zeros | Allocation::ZerosWithin);
        if range.end > MAX_SIZE {
            return Err(Errno::EFBIG);
        }
        if grows && self.regular.is_sealed(seals::GROW)
            || clears && self.regular.is_sealed(seals::WRITE | seals::FUTURE_WRITE)
        {
            return Err(Errno::EPERM);
        }
        if clears {
            self.clear(range.clone());
        }
        if how != Allocation::Hole {
            self.fill(&range)?;
        }
        if grows {
            self.shown.size.store(range.end, Ordering::Release);
        }
        self.shown.touch_modified();
        Ok(())
    }

    /// Makes a range zero: whole pages go, of others the part is cleared.
    fn clear(&self, range: Range<u64>) {
        let mut at = range.start;
        while at < range.end {
            let (index, offset) = split(at);
            let end = ((index + 1) * PAGE_SIZE).min(range.end);
            let is_whole = end - at == PAGE_SIZE;
            let mut pages = self.regular.pages.lock();
            let Some((next, _)) = pages.next(index).filter(|&(next, _)| next * PAGE_SIZE < range.end) else {
                break;
            };
            if next != index {
                at = next * PAGE_SIZE;
                continue;
            }
            let gone = if is_whole { pages.remove(index) } else { None };
            let page = pages.get(index).cloned();
            self.shown.sectors.store(pages.len() as u64 * SECTORS_OF_PAGE, Ordering::Relaxed);
            drop(pages);
            if gone.is_some() {
                self.space.give_pages(1);
            }
            if let Some(page) = page {
                page.clear(offset, offset + to_usize(end - at));
            }
            at = end;
        }
    }

    /// Gives a range pages where it has none. After a failure, those it got go again, as on Linux.
    fn fill(&self, range: &Range<u64>) -> Result<()> {
        let first = range.start / PAGE_SIZE;
        let last = range.end.div_ceil(PAGE_SIZE);
        let mut made = Vec::new();
        let mut outcome = Ok(());
        for index in first..last {
            let mut pages = self.regular.pages.lock();
            if pages.get(index).is_some() {
                continue;
            }
            outcome = made.try_reserve(1).map_err(|_| Errno::ENOMEM).and_then(|()| {
                let page = SharedFrame::new_zeroed().ok_or(Errno::ENOSPC)?;
                self.add_page(&mut pages, index, page)
            });
            if outcome.is_err() {
                break;
            }
            made.push(index);
        }
        if outcome.is_err() {
            let mut pages = self.regular.pages.lock();
            let gone = made.iter().filter(|&&index| pages.remove(index).is_some()).count();
            self.shown.sectors.store(pages.len() as u64 * SECTORS_OF_PAGE, Ordering::Relaxed);
            drop(pages);
            self.space.give_pages(gone as u64);
        }
        outcome
    }

    /// The next data or hole at or after a position that lies in the file.
    pub(super) fn seek(&self, position: u64, wanted: Wanted) -> Result<u64> {
        let size = self.size();
        if position >= size {
            return Err(Errno::ENXIO);
        }
        let mut index = position / PAGE_SIZE;
        let pages = self.regular.pages.lock();
        match wanted {
            Wanted::Data => {
                let (found, _) = pages.next(index).ok_or(Errno::ENXIO)?;
                let at = (found * PAGE_SIZE).max(position);
                if at < size { Ok(at) } else { Err(Errno::ENXIO) }
            }
            Wanted::Hole => {
                while index * PAGE_SIZE < size && pages.get(index).is_some() {
                    index += 1;
                }
                Ok((index * PAGE_SIZE).clamp(position, size))
            }
        }
    }

    /// Drops what lies behind `size`.
    fn cut(&self, size: u64) {
        let (last, offset) = split(size);
        let mut pages = self.regular.pages.lock();
        let gone = pages.cut(size.div_ceil(PAGE_SIZE));
        let tail = pages.get(last).filter(|_| offset > 0).cloned();
        self.shown.sectors.store(pages.len() as u64 * SECTORS_OF_PAGE, Ordering::Relaxed);
        drop(pages);
        self.space.give_pages(gone as u64);
        if let Some(tail) = tail {
            tail.clear(offset, PAGE_LEN);
        }
    }

    /// The page `index`, for who maps it; a hole gets one.
    pub(super) fn page(&self, index: u64) -> Result<SharedFrame> {
        let mut pages = self.regular.pages.lock();
        // Under the lock: who cuts the file sets the size first.
        if index >= self.size().div_ceil(PAGE_SIZE) {
            return Err(Errno::ENXIO);
        }
        if let Some(page) = pages.get(index) {
            return Ok(page.clone());
        }
        let page = SharedFrame::new_zeroed().ok_or(Errno::ENOMEM)?;
        self.add_page(&mut pages, index, page.clone())?;
        Ok(page)
    }

    pub(super) fn cached_page(&self, index: u64) -> Option<SharedFrame> {
        let pages = self.regular.pages.try_lock()?;
        pages.get(index).filter(|_| index < self.size().div_ceil(PAGE_SIZE)).cloned()
    }
}
