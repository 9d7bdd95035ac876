//! Changing the map of areas: mmap(2), munmap(2), mprotect(2), mremap(2), brk(2).
//!
//! Checked first, carried out then: the map of areas changes, and the page tables follow while its lock is held.

use core::ops::Range;
use core::sync::atomic::Ordering;

use abi::{Errno, Result};
use hal::user::{AccessKind, USER_TOP};
use logic::addr::{PAGE_SIZE, VirtAddr, align_down};
use logic::vma::{self, Area, AtFork, Growth, Rights, Sharing};

use super::account;
use super::fault::protection_of;
use super::memory::{Areas, Memory, promises};
use super::source::Source;

/// Lowest address a program may map (vm.mmap_min_addr).
pub const LOWEST: u64 = 0x1_0000;
/// What stays free below a stack (`stack_guard_gap`: 256 pages).
pub const STACK_GAP: u64 = 256 * PAGE_SIZE;
/// Anonymous areas at least this long are placed so that large pages fit.
const LARGE: u64 = 2 << 20;

/// Where an area is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Here if it is free, else anywhere.
    Hint(u64),
    /// Here, whatever is there.
    Fixed(u64),
    /// Here, if nothing is there.
    Free(u64),
}

/// What mmap(2) asks for.
pub struct MapRequest {
    /// Where.
    pub place: Place,
    /// Bytes; rounded up to pages.
    pub len: u64,
    /// What the program may do.
    pub rights: Rights,
    /// What mprotect(2) may allow later.
    pub allowed: Rights,
    /// Who sees writes.
    pub sharing: Sharing,
    /// Whether it is a stack.
    pub growth: Growth,
    /// What stands behind it.
    pub source: Source,
    /// Whether its pages are wanted at once (`MAP_POPULATE`).
    pub is_populated: bool,
    /// Whether it is locked (`MAP_LOCKED`).
    pub is_locked: bool,
}

/// How mremap(2) may move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remap {
    /// Not at all.
    InPlace,
    /// If it must.
    MayMove,
    /// To this address.
    To(u64),
}

fn check_range(start: u64, len: u64) -> Result<Range<u64>> {
    let end = start.checked_add(len).filter(|&end| end <= USER_TOP).ok_or(Errno::ENOMEM)?;
    Ok(start..end)
}

impl Memory {
    /// mmap(2).
    ///
    /// # Errors
    /// EINVAL, ENOMEM, EEXIST, EPERM below the lowest address.
    pub fn map(&self, request: MapRequest) -> Result<u64> {
        if request.len == 0 {
            return Err(Errno::EINVAL);
        }
        let len = vma::whole_pages(request.len)?;
        if len > USER_TOP {
            return Err(Errno::ENOMEM);
        }
        let mut areas = self.areas.lock();
        let range = self.choose(&mut areas, &request, len)?;
        let is_locked = request.is_locked || areas.locks_new;
        let area = Area {
            start: range.start,
            end: range.end,
            rights: request.rights,
            allowed: request.allowed,
            sharing: request.sharing,
            growth: request.growth,
            is_locked,
            at_fork: AtFork::Copied,
            backing: request.source,
        };
        self.add(&mut areas, area)?;
        drop(areas);
        if request.is_populated || is_locked {
            // What cannot be had now may come later, or fault then.
            let _ = self.populate(range.clone());
        }
        Ok(range.start)
    }

    /// Finds the place, and frees it if it must.
    fn choose(&self, areas: &mut Areas, request: &MapRequest, len: u64) -> Result<Range<u64>> {
        let range = match request.place {
            Place::Hint(hint) => {
                let hint = align_down(hint, PAGE_SIZE);
                let wanted = check_range(hint, len).ok().filter(|range| range.start >= LOWEST);
                let free = wanted.filter(|range| areas.map.overlapping(range.clone()).next().is_none());
                match free {
                    Some(range) => range,
                    None => {
                        let start = self.find_room(areas, len, &request.source)?;
                        start..start + len
                    }
                }
            }
            Place::Fixed(start) | Place::Free(start) => {
                if !start.is_multiple_of(PAGE_SIZE) {
                    return Err(Errno::EINVAL);
                }
                let range = check_range(start, len)?;
                if range.start < LOWEST {
                    return Err(Errno::EPERM);
                }
                range
            }
        };
        let replaced: u64 = areas
            .map
            .overlapping(range.clone())
            .map(|area| area.end.min(range.end) - area.start.max(range.start))
            .sum();
        if matches!(request.place, Place::Free(_)) && replaced != 0 {
            return Err(Errno::EEXIST);
        }
        self.check_limits(areas, len - replaced, request.sharing, request.rights)?;
        if replaced != 0 {
            self.take_out(areas, range.clone())?;
        }
        Ok(range)
    }

    fn find_room(&self, areas: &Areas, len: u64, source: &Source) -> Result<u64> {
        let top = areas.layout.mmap_top;
        let find = |align| {
            let below = areas.map.highest_gap(len, align, LOWEST..top, STACK_GAP);
            below.or_else(|| areas.map.lowest_gap(len, align, top..USER_TOP, STACK_GAP))
        };
        let is_large = len >= LARGE && matches!(source, Source::Anonymous);
        is_large.then(|| find(LARGE)).flatten().or_else(|| find(PAGE_SIZE)).ok_or(Errno::ENOMEM)
    }

    fn check_limits(&self, areas: &Areas, more: u64, sharing: Sharing, rights: Rights) -> Result<()> {
        let is_too_much = |limit: u64, now: u64| now.saturating_add(more) > limit;
        if is_too_much(self.limits.total.load(Ordering::Relaxed), areas.map.total()) {
            return Err(Errno::ENOMEM);
        }
        let counts_as_data = sharing == Sharing::Private && rights.write;
        let limit = self.limits.data.load(Ordering::Relaxed);
        if counts_as_data && limit != u64::MAX && is_too_much(limit, areas.committed) {
            return Err(Errno::ENOMEM);
        }
        Ok(())
    }

    /// Adds an area where nothing is.
    fn add(&self, areas: &mut Areas, area: Area<Source>) -> Result<()> {
        let promised = if promises(&area) { area.len() } else { 0 };
        account::commit(promised)?;
        if let Err(error) = areas.map.insert(area) {
            account::release(promised);
            return Err(error);
        }
        areas.committed += promised;
        Ok(())
    }

    /// munmap(2).
    ///
    /// # Errors
    /// EINVAL, ENOMEM.
    pub fn unmap(&self, start: u64, len: u64) -> Result<()> {
        if !start.is_multiple_of(PAGE_SIZE) || len == 0 {
            return Err(Errno::EINVAL);
        }
        let len = vma::whole_pages(len).map_err(|_| Errno::EINVAL)?;
        let range = check_range(start, len).map_err(|_| Errno::EINVAL)?;
        self.take_out(&mut self.areas.lock(), range)
    }

    /// Takes areas and pages of a range away.
    fn take_out(&self, areas: &mut Areas, range: Range<u64>) -> Result<()> {
        self.note_peak();
        let mut released = 0;
        let mut any = false;
        areas.map.remove(range.clone(), |area| {
            any = true;
            if promises(&area) {
                released += area.len();
            }
        })?;
        if !any {
            return Ok(());
        }
        areas.committed = areas.committed.saturating_sub(released);
        account::release(released);
        let empty = areas.map.surroundings(range.clone());
        let [start, end, floor, ceiling] =
            [range.start, range.end, empty.start, empty.end].map(VirtAddr::new);
        self.space.unmap(start, end, floor, ceiling)
    }

    /// mprotect(2).
    ///
    /// # Errors
    /// EINVAL, ENOMEM where nothing is mapped, EACCES for rights the file does not give.
    pub fn protect(&self, start: u64, len: u64, rights: Rights) -> Result<()> {
        if !start.is_multiple_of(PAGE_SIZE) {
            return Err(Errno::EINVAL);
        }
        let range = check_range(start, vma::whole_pages(len)?)?;
        if range.is_empty() {
            return Ok(());
        }
        let mut areas = self.areas.lock();
        // What comes before a hole is changed all the same.
        let end = areas.map.covered_until(range.start).min(range.end);
        let is_whole = end == range.end;
        let range = range.start..end;
        if range.is_empty() {
            return Err(Errno::ENOMEM);
        }
        let is_allowed = |allowed: Rights| {
            (allowed.read || !rights.read)
                && (allowed.write || !rights.write)
                && (allowed.execute || !rights.execute)
        };
        if !areas.map.overlapping(range.clone()).all(|area| is_allowed(area.allowed)) {
            return Err(Errno::EACCES);
        }
        let promised = |areas: &Areas| -> u64 {
            let parts = areas.map.overlapping(range.clone()).filter(|area| promises(area));
            parts.map(|area| area.end.min(range.end) - area.start.max(range.start)).sum()
        };
        let before = promised(&areas);
        areas.map.change(range.clone(), |area| area.rights = rights)?;
        let after = promised(&areas);
        if after > before {
            account::commit(after - before)?;
        } else {
            account::release(before - after);
        }
        areas.committed = areas.committed + after - before;
        // A write of a private page faults first: it may be shared with a parent or a file.
        let [start, end] = [range.start, range.end].map(VirtAddr::new);
        self.space.protect(start, end, protection_of(rights).without_write())?;
        if is_whole { Ok(()) } else { Err(Errno::ENOMEM) }
    }

    /// brk(2): the end of the heap afterwards, whether it moved or not.
    pub fn set_heap_end(&self, wanted: u64) -> u64 {
        let mut areas = self.areas.lock();
        let old = areas.heap_end;
        let first = areas.layout.heap_start;
        let (Some(old_pages), Some(new_pages)) =
            (logic::addr::align_up(old, PAGE_SIZE), logic::addr::align_up(wanted, PAGE_SIZE))
        else {
            return old;
        };
        if wanted < first || new_pages > USER_TOP {
            return old;
        }
        let moved = if new_pages < old_pages {
            self.take_out(&mut areas, new_pages..old_pages)
        } else if new_pages > old_pages {
            self.extend_heap(&mut areas, old_pages..new_pages)
        } else {
            Ok(())
        };
        if moved.is_ok() {
            areas.heap_end = wanted;
        }
        areas.heap_end
    }

    fn extend_heap(&self, areas: &mut Areas, range: Range<u64>) -> Result<()> {
        let first = areas.layout.heap_start;
        // The next area keeps its distance, a stack more of it.
        let is_free =
            areas.map.overlapping(range.start..range.end.saturating_add(PAGE_SIZE)).next().is_none();
        if !is_free {
            return Err(Errno::ENOMEM);
        }
        let limit = self.limits.data.load(Ordering::Relaxed);
        if range.end.saturating_sub(first) > limit {
            return Err(Errno::ENOMEM);
        }
        self.check_limits(areas, range.end - range.start, Sharing::Private, Rights::READ_WRITE)?;
        let is_locked = areas.locks_new;
        let all = Rights { execute: true, ..Rights::READ_WRITE };
        let area = Area {
            start: range.start,
            end: range.end,
            rights: Rights::READ_WRITE,
            allowed: all,
            sharing: Sharing::Private,
            growth: Growth::Fixed,
            is_locked,
            at_fork: AtFork::Copied,
            backing: Source::Anonymous,
        };
        self.add(areas, area)
    }

    /// Brings all pages of a range in.
    ///
    /// # Errors
    /// ENOMEM where nothing is mapped, EFAULT where the file ends.
    pub fn populate(&self, range: Range<u64>) -> Result<()> {
        let mut at = range.start;
        while at < range.end {
            let areas = self.areas.lock();
            let area = areas.map.find(at).ok_or(Errno::ENOMEM)?;
            let access = match (area.rights, area.sharing) {
                (Rights { write: true, .. }, Sharing::Private) => AccessKind::Write,
                (Rights { read: false, write: false, execute: false }, _) => {
                    at = area.end;
                    continue;
                }
                _ => AccessKind::Read,
            };
            let size = match self.space.lookup(VirtAddr::new(at)) {
                Some(page) if page.protection.is_writable() || access != AccessKind::Write => {
                    page.size.bytes()
                }
                _ => {
                    self.bring_in(area, at, access).map_err(|_| Errno::ENOMEM)?;
                    PAGE_SIZE
                }
            };
            at = align_down(at, size) + size;
        }
        Ok(())
    }

    /// mremap(2): the new address.
    ///
    /// # Errors
    /// EINVAL, EFAULT where the old range is not one area, ENOMEM.
    pub fn remap(&self, old: u64, old_len: u64, new_len: u64, how: Remap) -> Result<u64> {
        if !old.is_multiple_of(PAGE_SIZE) || new_len == 0 {
            return Err(Errno::EINVAL);
        }
        let (old_len, new_len) = (vma::whole_pages(old_len)?, vma::whole_pages(new_len)?);
        if new_len > USER_TOP {
            return Err(Errno::EINVAL);
        }
        let old_range = check_range(old, old_len).map_err(|_| Errno::EFAULT)?;
        let mut areas = self.areas.lock();
        let area = areas.map.find(old).ok_or(Errno::EFAULT)?.clone();
        if old_len == 0 && area.sharing == Sharing::Private {
            return Err(Errno::EINVAL);
        }
        if old_range.end > area.end {
            return Err(Errno::EFAULT);
        }
        if let Remap::To(target) = how {
            let target = check_range(target, new_len).map_err(|_| Errno::EINVAL)?;
            let overlaps = target.start < old_range.end && old_range.start < target.end;
            if !target.start.is_multiple_of(PAGE_SIZE) || overlaps || target.start < LOWEST {
                return Err(Errno::EINVAL);
            }
            self.take_out(&mut areas, target.clone())?;
            return self.move_area(&mut areas, &area, old_range, target);
        }
        if new_len <= old_len {
            if new_len < old_len {
                self.take_out(&mut areas, old + new_len..old_range.end)?;
            }
            return Ok(old);
        }
        let more = old_range.end..check_range(old, new_len)?.end;
        self.check_limits(&areas, more.end - more.start, area.sharing, area.rights)?;
        let is_free = old_range.end == area.end && areas.map.overlapping(more.clone()).next().is_none();
        if is_free {
            let backing = area.backing_at(more.start);
            self.add(&mut areas, Area { start: more.start, end: more.end, backing, ..area })?;
            return Ok(old);
        }
        if how == Remap::InPlace {
            return Err(Errno::ENOMEM);
        }
        let start = self.find_room(&areas, new_len, &area.backing)?;
        self.move_area(&mut areas, &area, old_range, start..start + new_len)
    }

    /// Moves what is at `old` to `new`, where nothing is.
    fn move_area(
        &self,
        areas: &mut Areas,
        area: &Area<Source>,
        old: Range<u64>,
        new: Range<u64>,
    ) -> Result<u64> {
        let kept = (old.end - old.start).min(new.end - new.start);
        let moved =
            Area { start: new.start, end: new.end, backing: area.backing_at(old.start), ..area.clone() };
        self.add(areas, moved)?;
        if kept != 0 {
            let [from, to] = [old.start, old.start + kept].map(VirtAddr::new);
            self.space.move_pages(from, to, VirtAddr::new(new.start))?;
            self.take_out(areas, old)?;
        }
        Ok(new.start)
    }
}
