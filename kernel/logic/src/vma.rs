//! The map of areas of a user address space: which range belongs to what, and where there is room.
//!
//! Areas are kept sorted, apart from each other, and merged with neighbours that continue them. The map decides; page
//! tables follow. `B` is what stands behind an area (nothing, a file): it says whether it continues another one.

use alloc::vec::Vec;
use core::ops::Range;

use abi::{Errno, Result};

use crate::addr::PAGE_SIZE;

/// What a program may do in an area, and how the area behaves: the bits of `PROT_` and of what `mmap` was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Loads.
    pub read: bool,
    /// Stores.
    pub write: bool,
    /// Instruction fetches.
    pub execute: bool,
}

impl Rights {
    /// Nothing.
    pub const NONE: Rights = Rights { read: false, write: false, execute: false };
    /// Loads and stores.
    pub const READ_WRITE: Rights = Rights { read: true, write: true, execute: false };
}

/// Who sees what is written to an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// This address space only.
    Private,
    /// Everybody who maps the same.
    Shared,
}

/// Whether an area grows towards lower addresses when something just below is touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// It has its size.
    Fixed,
    /// A stack.
    Down,
}

/// What stands behind an area.
pub trait Backing: Clone {
    /// Whether `next`, `distance` bytes further on, continues this.
    fn continues(&self, next: &Self, distance: u64) -> bool;
    /// The same, `distance` bytes further on.
    #[must_use]
    fn advanced(&self, distance: u64) -> Self;
}

/// A range of pages that behave alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area<B> {
    /// First address.
    pub start: u64,
    /// First address after it.
    pub end: u64,
    /// What the program may do now.
    pub rights: Rights,
    /// What mprotect(2) may allow at most.
    pub allowed: Rights,
    /// Who sees writes.
    pub sharing: Sharing,
    /// Whether it grows.
    pub growth: Growth,
    /// Whether it stays in memory (mlock(2)).
    pub is_locked: bool,
    /// What the child of fork(2) gets (madvise(2)).
    pub at_fork: AtFork,
    /// What stands behind it, at `start`.
    pub backing: B,
}

/// What the child of fork(2) gets of an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtFork {
    /// The same.
    Copied,
    /// The same range, empty (`MADV_WIPEONFORK`).
    Wiped,
    /// Nothing (`MADV_DONTFORK`).
    Absent,
}

impl<B: Backing> Area<B> {
    /// Bytes.
    pub fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Never: no map holds an empty area.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// What stands behind it at `address`.
    pub fn backing_at(&self, address: u64) -> B {
        self.backing.advanced(address - self.start)
    }

    /// The part of it that lies in `range`.
    fn part(&self, range: &Range<u64>) -> Self {
        let start = self.start.max(range.start);
        Area { start, end: self.end.min(range.end), backing: self.backing_at(start), ..self.clone() }
    }

    fn is_continued_by(&self, next: &Self) -> bool {
        self.end == next.start
            && self.rights == next.rights
            && self.allowed == next.allowed
            && self.sharing == next.sharing
            && self.growth == next.growth
            && self.is_locked == next.is_locked
            && self.at_fork == next.at_fork
            && self.backing.continues(&next.backing, self.len())
    }
}

/// All areas of an address space.
#[derive(Clone, Debug)]
pub struct AreaMap<B> {
    areas: Vec<Area<B>>,
    total: u64,
    limit: usize,
}

/// Linux's vm.max_map_count.
pub const MAX_AREAS: usize = 65530;

impl<B: Backing> Default for AreaMap<B> {
    fn default() -> Self {
        Self::new()
    }
}

impl<B: Backing> AreaMap<B> {
    /// No area.
    pub const fn new() -> Self {
        AreaMap { areas: Vec::new(), total: 0, limit: MAX_AREAS }
    }

    /// All areas, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Area<B>> {
        self.areas.iter()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.areas.len()
    }

    /// Bytes in all areas.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Index of the first area that ends above `address`.
    fn lower_bound(&self, address: u64) -> usize {
        self.areas.partition_point(|area| area.end <= address)
    }

    /// The area `address` lies in.
    #[inline]
    pub fn find(&self, address: u64) -> Option<&Area<B>> {
        self.areas.get(self.lower_bound(address)).filter(|area| area.start <= address)
    }

    /// The first area that ends above `address`: the one it lies in, or the next.
    pub fn at_or_above(&self, address: u64) -> Option<&Area<B>> {
        self.areas.get(self.lower_bound(address))
    }

    /// The areas that overlap `range`.
    pub fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = &Area<B>> {
        self.areas[self.lower_bound(range.start)..].iter().take_while(move |area| area.start < range.end)
    }

    /// Whether every byte of `range` lies in an area.
    pub fn covers(&self, range: Range<u64>) -> bool {
        let mut at = range.start;
        for area in self.overlapping(range.clone()) {
            if area.start > at {
                return false;
            }
            at = area.end;
        }
        at >= range.end
    }

    /// The end of what is mapped without a hole from `start` on; `start` itself if it is not mapped.
    pub fn covered_until(&self, start: u64) -> u64 {
        let mut at = start;
        for area in &self.areas[self.lower_bound(start)..] {
            if area.start > at {
                break;
            }
            at = area.end;
        }
        at
    }

    /// The room around `range`, which holds no area: from the end of the area before to the start of the one after.
    pub fn surroundings(&self, range: Range<u64>) -> Range<u64> {
        let next = self.lower_bound(range.start);
        let before = next.checked_sub(1).and_then(|before| self.areas.get(before)).map_or(0, |area| area.end);
        let after = self.areas.get(next).map_or(u64::MAX, |area| area.start);
        before..after
    }

    /// Adds an area where there is none, and merges it with its neighbours.
    ///
    /// # Errors
    /// EEXIST if it overlaps another, ENOMEM.
    pub fn insert(&mut self, area: Area<B>) -> Result<()> {
        let at = self.lower_bound(area.start);
        if self.areas.get(at).is_some_and(|next| next.start < area.end) {
            return Err(Errno::EEXIST);
        }
        self.reserve(1)?;
        self.total += area.len();
        self.areas.insert(at, area);
        self.merge_around(at..at + 1);
        Ok(())
    }

    /// Takes everything in `range` out; `removed` gets each piece.
    ///
    /// # Errors
    /// ENOMEM if that makes one area more and there is no room; nothing has changed then.
    pub fn remove(&mut self, range: Range<u64>, mut removed: impl FnMut(Area<B>)) -> Result<()> {
        let indices = self.isolate(range)?;
        for area in self.areas.drain(indices) {
            self.total -= area.len();
            removed(area);
        }
        Ok(())
    }

    /// Changes every area in `range`, the parts of which become areas of their own where they must.
    ///
    /// # Errors
    /// ENOMEM as `remove`.
    pub fn change(&mut self, range: Range<u64>, mut change: impl FnMut(&mut Area<B>)) -> Result<()> {
        let indices = self.isolate(range)?;
        self.areas[indices.clone()].iter_mut().for_each(&mut change);
        self.merge_around(indices);
        Ok(())
    }

    /// Moves the start of the growing area at or above `address` down to `start`.
    pub fn grow_down(&mut self, address: u64, start: u64) {
        let at = self.lower_bound(address);
        let floor = at.checked_sub(1).and_then(|before| self.areas.get(before)).map_or(0, |area| area.end);
        if let Some(area) = self.areas.get_mut(at)
            && area.growth == Growth::Down
            && (floor..area.start).contains(&start)
        {
            self.total += area.start - start;
            area.start = start;
        }
    }

    /// The highest place for `len` bytes, aligned, between `low` and `high`, that keeps `guard` bytes from growing areas
    /// above.
    pub fn highest_gap(&self, len: u64, align: u64, bounds: Range<u64>, guard: u64) -> Option<u64> {
        let fits = |low: u64, high: u64| {
            let start = high.checked_sub(len)? & !(align - 1);
            (start >= low).then_some(start)
        };
        let mut high = bounds.end;
        for area in self.areas[..self.areas.partition_point(|area| area.start < bounds.end)].iter().rev() {
            if area.end < high
                && let Some(start) = fits(area.end.max(bounds.start), high)
            {
                return Some(start);
            }
            let kept = if area.growth == Growth::Down { guard } else { 0 };
            high = high.min(area.start.saturating_sub(kept));
            if high <= bounds.start {
                return None;
            }
        }
        fits(bounds.start, high)
    }

    /// The lowest place for `len` bytes, aligned, in `bounds`.
    pub fn lowest_gap(&self, len: u64, align: u64, bounds: Range<u64>, guard: u64) -> Option<u64> {
        let mut low = bounds.start;
        for area in &self.areas[self.lower_bound(bounds.start)..] {
            let start = low.checked_add(align - 1)? & !(align - 1);
            let kept = if area.growth == Growth::Down { guard } else { 0 };
            if start.checked_add(len)? <= area.start.saturating_sub(kept).min(bounds.end) {
                return Some(start);
            }
            low = low.max(area.end);
        }
        let start = low.checked_add(align - 1)? & !(align - 1);
        (start.checked_add(len)? <= bounds.end).then_some(start)
    }

    fn reserve(&mut self, more: usize) -> Result<()> {
        if self.areas.len() + more > self.limit {
            return Err(Errno::ENOMEM);
        }
        self.areas.try_reserve(more).map_err(|_| Errno::ENOMEM)
    }

    /// Splits areas at both ends of `range`; the indices of those inside.
    fn isolate(&mut self, range: Range<u64>) -> Result<Range<usize>> {
        let cuts = [range.start, range.end].map(|at| self.find(at).is_some_and(|area| area.start < at));
        let more = cuts.iter().filter(|&&cut| cut).count();
        if more != 0 {
            self.reserve(more)?;
        }
        self.split(range.start);
        self.split(range.end);
        let first = self.lower_bound(range.start);
        let last = first + self.areas[first..].partition_point(|area| area.start < range.end);
        Ok(first..last)
    }

    /// Makes `address` a border; there is room for one more area.
    fn split(&mut self, address: u64) {
        let at = self.lower_bound(address);
        let Some(area) = self.areas.get_mut(at).filter(|area| area.start < address) else { return };
        let upper = area.part(&(address..area.end));
        area.end = address;
        self.areas.insert(at + 1, upper);
    }

    /// Merges the areas of `indices` with each other and with their neighbours.
    fn merge_around(&mut self, indices: Range<usize>) {
        let mut at = indices.end.min(self.areas.len().saturating_sub(1));
        while at >= indices.start.max(1) {
            let is_continued =
                self.areas.get(at).is_some_and(|next| self.areas[at - 1].is_continued_by(next));
            if is_continued {
                self.areas[at - 1].end = self.areas[at].end;
                self.areas.remove(at);
            }
            at -= 1;
        }
    }
}

/// A length in whole pages.
///
/// # Errors
/// ENOMEM if there is no such length, as mmap(2) says.
pub fn whole_pages(len: u64) -> Result<u64> {
    crate::addr::align_up(len, PAGE_SIZE).ok_or(Errno::ENOMEM)
}

#[cfg(test)]
mod tests;
