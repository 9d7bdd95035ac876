//! Advice and questions: madvise(2), mlock(2), mincore(2), what `/proc` shows, and reading another program's memory.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use abi::{Errno, Result};
use hal::frames::SharedFrame;
use hal::paging::PageSize;
use hal::user::{AccessKind, USER_TOP};
use logic::addr::{PAGE_SIZE, VirtAddr, align_up, to_usize};
use logic::vma::{Area, AtFork, Growth, Sharing};

use super::fault::{FaultError, protection_of};
use super::memory::Memory;
use super::source::{PageSource, Source};

/// What an area's pages are, in bytes, as `/proc/PID/smaps` shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Pages that are there.
    pub resident: u64,
    /// Those that nobody else has.
    pub private: u64,
    /// Those without a file behind them.
    pub anonymous: u64,
    /// Those in large pages.
    pub huge: u64,
}

/// A file, and a range of its bytes.
pub type FilePart = (Arc<dyn PageSource>, Range<u64>);

impl Memory {
    /// Forgets the pages of a range: private ones are zero, or as in the file, at the next touch.
    ///
    /// # Errors
    /// EINVAL for locked memory; ENOMEM where nothing is mapped, after the rest was done.
    pub fn discard(&self, range: Range<u64>) -> Result<()> {
        let areas = self.areas.lock();
        if areas.map.overlapping(range.clone()).any(|area| area.is_locked) {
            return Err(Errno::EINVAL);
        }
        for area in areas.map.overlapping(range.clone()) {
            let part = area.start.max(range.start)..area.end.min(range.end);
            let [start, end] = [part.start, part.end].map(VirtAddr::new);
            // Floor and ceiling next to the range: its tables stay, the area is still in use.
            self.space.unmap(start, end, start, start)?;
        }
        if areas.map.covers(range) { Ok(()) } else { Err(Errno::ENOMEM) }
    }

    /// Says what a child gets of a range.
    ///
    /// # Errors
    /// ENOMEM where nothing is mapped; EINVAL to wipe what is not private and anonymous.
    pub fn set_at_fork(&self, range: Range<u64>, at_fork: AtFork) -> Result<()> {
        let mut areas = self.areas.lock();
        if !areas.map.covers(range.clone()) {
            return Err(Errno::ENOMEM);
        }
        let may_be_wiped = |area: &Area<Source>| {
            area.sharing == Sharing::Private && matches!(area.backing, Source::Anonymous)
        };
        if at_fork == AtFork::Wiped && !areas.map.overlapping(range.clone()).all(may_be_wiped) {
            return Err(Errno::EINVAL);
        }
        areas.map.change(range, |area| area.at_fork = at_fork)
    }

    /// Takes away what is mapped of a file from `size` on: it was cut. Private copies go too, as on Linux.
    ///
    /// # Errors
    /// ENOMEM if a large page must be split and cannot.
    pub fn cut_file(&self, identity: (u64, u64), size: u64) -> Result<()> {
        let areas = self.areas.lock();
        for area in areas.map.iter() {
            let Source::File { file, offset } = &area.backing else { continue };
            let kept = align_up(size.saturating_sub(*offset), PAGE_SIZE).unwrap_or(u64::MAX);
            if kept < area.len() && file.identity() == identity {
                let [start, end] = [area.start + kept, area.end].map(VirtAddr::new);
                self.space.unmap(start, end, start, start)?;
            }
        }
        Ok(())
    }

    /// Forgets what is mapped shared of a range of a file: the next touch asks the file.
    ///
    /// # Errors
    /// ENOMEM if a large page must be split and cannot.
    pub fn forget_shared(&self, identity: (u64, u64), range: &Range<u64>) -> Result<()> {
        let areas = self.areas.lock();
        for area in areas.map.iter().filter(|area| area.sharing == Sharing::Shared) {
            let Source::File { file, offset } = &area.backing else { continue };
            let end =
                align_up(range.end, PAGE_SIZE).unwrap_or(u64::MAX).saturating_sub(*offset).min(area.len());
            let start = (range.start & !(PAGE_SIZE - 1)).saturating_sub(*offset);
            if start < end && file.identity() == identity {
                let [start, end] = [area.start + start, area.start + end].map(VirtAddr::new);
                self.space.unmap(start, end, start, start)?;
            }
        }
        Ok(())
    }

    /// Lets the next write through a mapping of a file fault: its pages are about to be clean.
    pub fn write_protect_file(&self, identity: (u64, u64)) {
        let areas = self.areas.lock();
        for area in areas.map.iter().filter(|area| area.sharing == Sharing::Shared && area.rights.write) {
            let Source::File { file, .. } = &area.backing else { continue };
            if file.identity() == identity {
                let [start, end] = [area.start, area.end].map(VirtAddr::new);
                // Files are mapped in small pages: nothing has to be split.
                let _ = self.space.protect(start, end, protection_of(area.rights).without_write());
            }
        }
    }

    /// The files that are mapped shared in a range, and which of their bytes.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn shared_files(&self, range: Range<u64>) -> Result<Vec<FilePart>> {
        let areas = self.areas.lock();
        let mut files = Vec::new();
        for area in areas.map.overlapping(range.clone()) {
            if let (Source::File { file, offset }, Sharing::Shared) = (&area.backing, area.sharing) {
                let start = offset + (area.start.max(range.start) - area.start);
                let end = offset + (area.end.min(range.end) - area.start);
                files.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                files.push((file.clone(), start..end));
            }
        }
        Ok(files)
    }

    /// Forgets pages of files that can be had again: those that are not written here.
    pub fn forget_file_pages(&self) {
        // Whoever holds the lock may be the one that needs memory.
        let Some(areas) = self.areas.try_lock() else { return };
        for area in areas.map.iter().filter(|area| !area.is_locked && !area.rights.write) {
            if matches!(area.backing, Source::File { .. }) && !area.allowed.write {
                let [start, end] = [area.start, area.end].map(VirtAddr::new);
                // Small pages: nothing has to be split.
                let _ = self.space.unmap(start, end, start, start);
            }
        }
    }

    /// Whether a file is mapped so that writes reach it.
    pub fn writes_file(&self, identity: (u64, u64)) -> bool {
        let areas = self.areas.lock();
        areas.map.iter().any(|area| match &area.backing {
            Source::File { file, .. } => {
                area.sharing == Sharing::Shared && area.allowed.write && file.identity() == identity
            }
            Source::Anonymous => false,
        })
    }

    /// Whether an area that grows is mapped at `address`.
    pub fn is_growing(&self, address: u64) -> bool {
        self.areas.lock().map.find(address).is_some_and(|area| area.growth == Growth::Down)
    }

    /// Whether every byte of a range is mapped.
    pub fn is_mapped(&self, range: Range<u64>) -> bool {
        self.areas.lock().map.covers(range)
    }

    /// mlock(2) and munlock(2).
    ///
    /// # Errors
    /// ENOMEM where nothing is mapped.
    pub fn set_locked(&self, range: Range<u64>, is_locked: bool) -> Result<()> {
        let mut areas = self.areas.lock();
        if !areas.map.covers(range.clone()) {
            return Err(Errno::ENOMEM);
        }
        areas.map.change(range, |area| area.is_locked = is_locked)
    }

    /// mlockall(2) and munlockall(2) for the areas there are.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn set_all_locked(&self, is_locked: bool) -> Result<()> {
        self.areas.lock().map.change(0..USER_TOP, |area| area.is_locked = is_locked)
    }

    /// Whether areas made from now on are locked.
    pub fn set_new_locked(&self, is_locked: bool) {
        self.areas.lock().locks_new = is_locked;
    }

    /// Bytes that are locked.
    pub fn locked_bytes(&self) -> u64 {
        self.areas.lock().map.iter().filter(|area| area.is_locked).map(Area::len).sum()
    }

    /// Bytes in all areas.
    pub fn mapped_bytes(&self) -> u64 {
        self.areas.lock().map.total()
    }

    /// The end of the heap.
    pub fn heap_end(&self) -> u64 {
        self.areas.lock().heap_end
    }

    /// mincore(2): calls `page` for each page of a range with whether it is there.
    ///
    /// # Errors
    /// ENOMEM where nothing is mapped.
    pub fn residency(&self, range: Range<u64>, mut page: impl FnMut(bool)) -> Result<()> {
        let areas = self.areas.lock();
        if !areas.map.covers(range.clone()) {
            return Err(Errno::ENOMEM);
        }
        for at in range.step_by(to_usize(PAGE_SIZE)) {
            let is_mapped = self.space.lookup(VirtAddr::new(at)).is_some();
            let is_cached = || match areas.map.find(at).map(|area| area.backing_at(at)) {
                Some(Source::File { file, offset }) => file.cached_page(offset / PAGE_SIZE).is_some(),
                _ => false,
            };
            page(is_mapped || is_cached());
        }
        Ok(())
    }

    /// Calls `visit` with each area, in order.
    pub fn for_each_area(&self, mut visit: impl FnMut(&Area<Source>, &dyn Fn() -> Usage)) {
        let areas = self.areas.lock();
        for area in areas.map.iter() {
            visit(area, &|| self.usage(area));
        }
    }

    fn usage(&self, area: &Area<Source>) -> Usage {
        let mut usage = Usage::default();
        let [start, end] = [area.start, area.end].map(VirtAddr::new);
        self.space.for_each_page(start, end, |_, mapping, frame: &SharedFrame| {
            let bytes = mapping.size.bytes();
            usage.resident += bytes;
            if frame.is_unique() {
                usage.private += bytes;
                usage.anonymous += bytes;
            }
            if mapping.size == PageSize::Large {
                usage.huge += bytes;
            }
        });
        usage
    }

    /// Copies from this program's memory, whoever runs; says how many bytes could be read.
    pub fn read_remote(&self, from: u64, to: &mut [u8]) -> usize {
        let mut done = 0;
        while done < to.len() {
            let at = from.saturating_add(done as u64);
            let Ok(frame) = self.frame_at(at, AccessKind::Read) else { break };
            let offset = to_usize(at % PAGE_SIZE);
            let len = (to_usize(PAGE_SIZE) - offset).min(to.len() - done);
            frame.read(offset, &mut to[done..done + len]);
            done += len;
        }
        done
    }

    /// Copies to this program's memory, whoever runs; says how many bytes could be written. What it must not write
    /// stays: this is for a new program's stack.
    pub fn write_remote(&self, to: u64, from: &[u8]) -> usize {
        let mut done = 0;
        while done < from.len() {
            let at = to.saturating_add(done as u64);
            let Ok(frame) = self.frame_at(at, AccessKind::Write) else { break };
            let offset = to_usize(at % PAGE_SIZE);
            let len = (to_usize(PAGE_SIZE) - offset).min(from.len() - done);
            frame.write(offset, &from[done..done + len]);
            done += len;
        }
        done
    }

    /// The frame behind an address, brought in for `access`.
    ///
    /// # Errors
    /// As `fault`.
    pub fn frame_at(
        &self,
        address: u64,
        access: AccessKind,
    ) -> core::result::Result<SharedFrame, FaultError> {
        loop {
            if let Some(page) = self.space.lookup(VirtAddr::new(address))
                && page.protection.is_readable()
                && (page.protection.is_writable() || access != AccessKind::Write)
            {
                return Ok(page.frame);
            }
            self.fault(address, access)?;
        }
    }

    /// What names the word at `address` in all address spaces that share it: the frame's address for shared areas, none
    /// for private ones (futex(2)).
    ///
    /// # Errors
    /// EFAULT where nothing is mapped.
    pub fn shared_identity(&self, address: u64) -> Result<Option<u64>> {
        let sharing = self.areas.lock().map.find(address).ok_or(Errno::EFAULT)?.sharing;
        if sharing == Sharing::Private {
            return Ok(None);
        }
        let frame = self.frame_at(address, AccessKind::Read).map_err(|_| Errno::EFAULT)?;
        Ok(Some(frame.address().get() + address % PAGE_SIZE))
    }
}
