//! From the cache to the disk.
//!
//! Pages are marked clean first, then mappings lose the right to write them without a fault, then they are written: a
//! byte that changes later makes its page dirty again. An error is counted, and every open file tells it once, at
//! fsync(2), as on Linux; the page stays clean, for writing it over and over would fail over and over.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::Ordering;

use abi::{Errno, Result};
use hal::frames::SharedFrame;
use logic::addr::PAGE_SIZE;

use super::Backing;
use super::counters::WRITING;
use super::pages::{PageCache, State};
use crate::block::Ticket;
use crate::mm::mappers;

/// Pages taken to the disk at once.
const AT_ONCE: usize = 512;

/// What is to be done about pages that programs can write without a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapped {
    /// The next write faults, so that the page can be clean. Takes locks of address spaces.
    Protected,
    /// They stay dirty: only the disk needs what is in them now.
    KeptDirty,
}

/// Dirty pages that lie one behind the other.
struct Run {
    first: u64,
    frames: Vec<SharedFrame>,
}

impl PageCache {
    /// Writes the dirty pages among `range`, given in bytes, and waits until the disk has them, perhaps in its cache.
    ///
    /// # Errors
    /// EIO, ENOMEM. What could not be written for lack of memory is still dirty.
    pub fn write_back(
        self: &Arc<Self>,
        backing: &dyn Backing,
        range: Range<u64>,
        mapped: Mapped,
    ) -> Result<()> {
        let _alone = self.writing_back.lock();
        let mut next = range.start / PAGE_SIZE;
        let end = range.end.div_ceil(PAGE_SIZE);
        let mut outcome = Ok(());
        while next < end {
            let is_kept = mapped == Mapped::KeptDirty && self.is_mapped_writable.load(Ordering::Acquire);
            let was_mapped = !is_kept && self.is_mapped_writable.swap(false, Ordering::AcqRel);
            let runs = self.take_dirty(&mut next, end);
            if was_mapped {
                mappers::for_each(|memory| memory.write_protect_file(self.identity));
            }
            let runs = runs?;
            if runs.is_empty() {
                break;
            }
            outcome = outcome.and(self.write_runs(backing, &runs));
            self.mark_unsettled(&runs, is_kept);
        }
        outcome
    }

    /// Takes dirty pages from `next` on, and marks them clean.
    fn take_dirty(&self, next: &mut u64, end: u64) -> Result<Vec<Run>> {
        let mut runs: Vec<Run> = Vec::new();
        let mut pages = self.pages.lock();
        let end = end.min(pages.hull.end);
        let mut count = 0;
        *next = (*next).max(pages.hull.start);
        while count < AT_ONCE && *next < end && pages.dirty != 0 {
            let Some((index, slot)) = pages.slots.next(*next).filter(|&(index, _)| index < end) else {
                *next = end;
                break;
            };
            *next = index + 1;
            if !matches!(slot.state, State::Dirty) {
                continue;
            }
            let frame = slot.frame.clone();
            push(&mut runs, index, frame)?;
            pages.mark_clean(index);
            count += 1;
        }
        if pages.dirty == 0 {
            *next = u64::MAX;
        }
        Ok(runs)
    }

    fn write_runs(&self, backing: &dyn Backing, runs: &[Run]) -> Result<()> {
        let count: usize = runs.iter().map(|run| run.frames.len()).sum();
        WRITING.add(i64::try_from(count).unwrap_or(0));
        let ticket = Ticket::new();
        let mut begun = Ok(());
        for run in runs {
            let this = backing.store(run.first, &run.frames, &ticket);
            if this == Err(Errno::ENOMEM) {
                let mut pages = self.pages.lock();
                for index in (run.first..).take(run.frames.len()) {
                    pages.mark_dirty(index);
                }
            }
            begun = begun.and(this);
        }
        let done = ticket.wait_done();
        WRITING.add(-i64::try_from(count).unwrap_or(0));
        let outcome = begun.and(done);
        if outcome.is_err_and(|error| error != Errno::ENOMEM) {
            self.errors.fetch_add(1, Ordering::AcqRel);
        }
        outcome
    }

    /// Pages whose place on the disk is still looked for, and may not have been written, are dirty again; all are if
    /// `is_kept`.
    fn mark_unsettled(&self, runs: &[Run], is_kept: bool) {
        let mut pages = self.pages.lock();
        for index in runs.iter().flat_map(|run| (run.first..).take(run.frames.len())) {
            if is_kept || pages.is_settling(index) {
                pages.mark_dirty(index);
            }
        }
    }

    /// When the oldest dirty page became so.
    pub fn dirty_since_ns(&self) -> Option<u64> {
        let pages = self.pages.lock();
        (pages.dirty != 0).then_some(pages.dirty_since_ns)
    }
}

fn push(runs: &mut Vec<Run>, index: u64, frame: SharedFrame) -> Result<()> {
    if let Some(last) = runs.last_mut()
        && last.first + last.frames.len() as u64 == index
    {
        last.frames.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        last.frames.push(frame);
        return Ok(());
    }
    runs.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    let mut frames = Vec::new();
    frames.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    frames.push(frame);
    runs.push(Run { first: index, frames });
    Ok(())
}
