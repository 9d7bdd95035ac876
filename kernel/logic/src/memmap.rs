//! The firmware's memory map, normalised: sorted, without overlaps, the most restrictive kind on top.
//!
//! Owns the map from the boot adapter's first entry until the frame allocator has taken over; `hal`'s boot
//! code is the only caller. Fixed capacity and no heap, for there is none yet. Entries keep the firmware's
//! exact bytes; rounding to pages happens on the way out, and always so that a page is usable only when every
//! byte of it is. Kinds follow ACPI 6.5, section 15 (table 15.4), plus two of our own: memory the boot loader
//! lets go of and memory we took.

use crate::addr::{FrameRange, PAGE_SIZE, PhysAddr, align_down, align_up};

/// What a stretch of physical memory is for, the most restrictive last: where two overlap, the later wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum MemoryKind {
    /// Free RAM.
    Usable,
    /// RAM that holds what the boot loader told us; free once that has been copied.
    LoaderReclaimable,
    /// RAM that holds the ACPI tables; free once nobody reads them any more.
    AcpiReclaimable,
    /// RAM carved out by [`MemoryMap::reserve`] or [`MemoryMap::take`]: the kernel, the initramfs.
    Taken,
    /// RAM the firmware keeps across sleep.
    AcpiNvs,
    /// Not ours: firmware, devices.
    Reserved,
    /// RAM known to be broken.
    Bad,
}

impl MemoryKind {
    /// Whether frames of this kind may end up in the frame allocator, now or later.
    pub const fn is_ram(self) -> bool {
        match self {
            Self::Usable | Self::LoaderReclaimable | Self::AcpiReclaimable | Self::Taken => true,
            Self::AcpiNvs | Self::Reserved | Self::Bad => false,
        }
    }
}

/// A stretch of physical memory from `start` up to and not including `end`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    /// The first byte.
    pub start: PhysAddr,
    /// The first byte past the region.
    pub end: PhysAddr,
    /// What it is for.
    pub kind: MemoryKind,
}

impl Region {
    /// Length in bytes.
    pub const fn len(&self) -> u64 {
        self.end.get().saturating_sub(self.start.get())
    }

    /// Whether the region holds no byte.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The whole frames inside; empty when there is none or all lie above what a frame number can name.
    pub fn frames(&self) -> FrameRange {
        let start = self.start.align_up(PAGE_SIZE).and_then(PhysAddr::frame);
        let last = self.end.get().checked_sub(PAGE_SIZE).map(PhysAddr::new).map(clip_to_frames);
        let end = last.and_then(PhysAddr::frame).and_then(|frame| frame.checked_add(1));
        match (start, end) {
            (Some(start), Some(end)) if start < end => FrameRange::new(start, end),
            _ => FrameRange::default(),
        }
    }

    /// The region without its partial pages.
    fn whole_pages(self) -> Option<Self> {
        let start = self.start.align_up(PAGE_SIZE)?;
        let end = self.end.align_down(PAGE_SIZE);
        (start < end).then_some(Self { start, end, kind: self.kind })
    }
}

/// The highest frame that can also be the exclusive end of a range is the last but one.
fn clip_to_frames(address: PhysAddr) -> PhysAddr {
    const LAST: u64 = (u32::MAX as u64 - 1) * PAGE_SIZE;
    PhysAddr::new(address.get().min(LAST))
}

/// Why the map could not be changed. The map is as it was before the call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MapError {
    /// The change needs more entries than the table has.
    TableFull,
    /// The range ends before it starts.
    EndsBeforeStart,
    /// No usable stretch is long enough.
    NoRoom,
}

/// A memory map of at most `N` regions.
#[derive(Clone, Debug)]
pub struct MemoryMap<const N: usize = 128> {
    regions: [Region; N],
    count: usize,
}

impl<const N: usize> Default for MemoryMap<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> MemoryMap<N> {
    /// A map without a region.
    pub const fn new() -> Self {
        let nothing = Region { start: PhysAddr::ZERO, end: PhysAddr::ZERO, kind: MemoryKind::Bad };
        Self { regions: [nothing; N], count: 0 }
    }

    /// Lays one entry of the firmware over the map. Empty entries, which firmware does produce, do nothing.
    ///
    /// # Errors
    /// `EndsBeforeStart`, `TableFull`.
    pub fn push(&mut self, start: PhysAddr, end: PhysAddr, kind: MemoryKind) -> Result<(), MapError> {
        if end < start {
            return Err(MapError::EndsBeforeStart);
        }
        if start < end {
            *self = self.overlaid(Region { start, end, kind })?;
        }
        Ok(())
    }

    /// Carves a range out of the usable memory; what the firmware reserved stays the firmware's.
    ///
    /// # Errors
    /// `EndsBeforeStart`, `TableFull`.
    pub fn reserve(&mut self, start: PhysAddr, end: PhysAddr) -> Result<(), MapError> {
        self.push(start, end, MemoryKind::Taken)
    }

    /// Makes all memory of a reclaimable kind usable.
    pub fn reclaim(&mut self, kind: MemoryKind) {
        self.rebuild(|region| {
            let kind = if region.kind == kind { MemoryKind::Usable } else { region.kind };
            Some(Region { kind, ..region })
        });
    }

    /// Linux's `mem=`: RAM at and above the address `mem_bytes` is not used. It is an address and not an
    /// amount, as on Linux. What the boot loader still needs up there becomes reserved instead of vanishing.
    ///
    /// # Errors
    /// `TableFull`.
    pub fn limit(&mut self, mem_bytes: u64) -> Result<(), MapError> {
        let limit = PhysAddr::new(mem_bytes);
        if let Some(across) = self.regions().iter().copied().find(|r| r.start < limit && limit < r.end)
            && across.kind == MemoryKind::LoaderReclaimable
        {
            self.push(limit, across.end, MemoryKind::Reserved)?;
        }
        self.rebuild(|region| match region.kind {
            MemoryKind::Usable => {
                let end = region.end.min(limit);
                (region.start < end).then_some(Region { end, ..region })
            }
            MemoryKind::LoaderReclaimable if region.start >= limit => {
                Some(Region { kind: MemoryKind::Reserved, ..region })
            }
            _ => Some(region),
        });
        Ok(())
    }

    /// All regions in ascending order with the firmware's exact bounds.
    pub fn regions(&self) -> &[Region] {
        self.regions.get(..self.count).unwrap_or_default()
    }

    /// The usable memory in ascending order, whole pages only.
    pub fn usable(&self) -> impl DoubleEndedIterator<Item = Region> + Clone + '_ {
        let usable = self.regions().iter().filter(|region| region.kind == MemoryKind::Usable);
        usable.filter_map(|region| region.whole_pages())
    }

    /// All RAM that is or may become usable in ascending order, whole pages only, neighbours joined.
    pub fn ram(&self) -> impl Iterator<Item = Region> + '_ {
        let mut rest = self.regions().iter().filter(|region| region.kind.is_ram()).peekable();
        core::iter::from_fn(move || {
            loop {
                let mut joined = Region { kind: MemoryKind::Usable, ..*rest.next()? };
                while let Some(next) = rest.next_if(|next| next.start == joined.end) {
                    joined.end = next.end;
                }
                if let Some(region) = joined.whole_pages() {
                    return Some(region);
                }
            }
        })
    }

    /// Usable bytes, counted in whole pages.
    pub fn total_usable(&self) -> u64 {
        self.usable().map(|region| region.len()).fold(0, u64::saturating_add)
    }

    /// The highest usable place for `len` bytes that ends at or below `limit`. Both `len` and `align` are
    /// raised to whole pages; `align` is a power of two.
    pub fn find_top_down(&self, len: u64, align: u64, limit: PhysAddr) -> Option<PhysAddr> {
        let len = align_up(len.max(1), PAGE_SIZE)?;
        let align = align.max(PAGE_SIZE);
        self.usable().rev().find_map(|region| {
            let end = region.end.min(limit).get();
            let start = PhysAddr::new(align_down(end.checked_sub(len)?, align));
            (start >= region.start).then_some(start)
        })
    }

    /// Finds a place like [`MemoryMap::find_top_down`] and carves it out.
    ///
    /// # Errors
    /// `NoRoom`, `TableFull`.
    pub fn take(&mut self, len: u64, align: u64, limit: PhysAddr) -> Result<PhysAddr, MapError> {
        let start = self.find_top_down(len, align, limit).ok_or(MapError::NoRoom)?;
        let end = start.checked_add(len.max(1)).and_then(|end| end.align_up(PAGE_SIZE));
        self.reserve(start, end.ok_or(MapError::NoRoom)?)?;
        Ok(start)
    }

    /// The map with `new` laid over it. Built beside the old one so that an error changes nothing.
    fn overlaid(&self, new: Region) -> Result<Self, MapError> {
        let mut out = Self::new();
        let mut cursor = new.start;
        for &old in self.regions() {
            let overlap_start = old.start.max(new.start);
            let overlap_end = old.end.min(new.end);
            if overlap_start >= overlap_end {
                if old.start >= new.end {
                    out.append(Region { start: cursor, ..new })?;
                    cursor = new.end;
                }
                out.append(old)?;
                continue;
            }
            out.append(Region { end: overlap_start, ..old })?;
            out.append(Region { start: cursor, end: overlap_start, ..new })?;
            out.append(Region { start: overlap_start, end: overlap_end, kind: old.kind.max(new.kind) })?;
            out.append(Region { start: overlap_end, ..old })?;
            cursor = overlap_end;
        }
        out.append(Region { start: cursor, ..new })?;
        Ok(out)
    }

    /// Adds a region above all others, joined to the last one where they touch and agree. Empty ones vanish.
    fn append(&mut self, region: Region) -> Result<(), MapError> {
        if region.is_empty() {
            return Ok(());
        }
        if let Some(last) = self.count.checked_sub(1).and_then(|last| self.regions.get_mut(last))
            && last.end == region.start
            && last.kind == region.kind
        {
            last.end = region.end;
            return Ok(());
        }
        let slot = self.regions.get_mut(self.count).ok_or(MapError::TableFull)?;
        *slot = region;
        self.count += 1;
        Ok(())
    }

    /// Passes every region through `change`, which may drop or alter it in place but not move it.
    fn rebuild(&mut self, change: impl Fn(Region) -> Option<Region>) {
        let old_count = self.count;
        self.count = 0;
        for index in 0..old_count {
            let Some(&region) = self.regions.get(index) else { return };
            if let Some(changed) = change(region) {
                // Cannot fill the table: never more regions come out than have been read.
                let _ = self.append(changed);
            }
        }
    }
}

#[cfg(test)]
mod tests;
