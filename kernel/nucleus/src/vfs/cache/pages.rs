//! The pages of a file and their states.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use abi::{Errno, Result};
use hal::frames::{Frame, SharedFrame};
use hal::rank;
use logic::addr::{PAGE_LEN, PAGE_SIZE, to_usize};
use logic::read_ahead::{self, ReadAhead};
use logic::sparse::Sparse;

use super::Backing;
use super::counters::{CACHED, DIRTY};
use super::reclaim;
use crate::block::Ticket;
use crate::mm::pressure;
use crate::mm::source::Purpose;
use crate::sched::{Mutex, Wait, WaitQueue};

/// The pages of one file.
pub struct PageCache {
    pub(super) pages: Mutex<Pages, rank::PageCache>,
    /// Held by whoever writes back, or takes disk blocks away: no write is under way to a block that changes hands.
    pub(super) writing_back: Mutex<(), rank::WriteBack>,
    /// Writes to the disk that failed.
    pub(super) errors: AtomicU32,
    /// Somebody maps the file, or did.
    is_mapped: AtomicBool,
    /// Somebody may write it through a mapping without a fault.
    pub(super) is_mapped_writable: AtomicBool,
    /// Device and inode number, by which mappings are found.
    pub(super) identity: (u64, u64),
}

/// What the lock of a cache is around.
pub(super) struct Pages {
    pub(super) slots: Sparse<Slot>,
    pub(super) dirty: u64,
    /// All dirty pages are in this range.
    pub(super) hull: Range<u64>,
    /// When the first of them became dirty.
    pub(super) dirty_since_ns: u64,
    pub(super) ahead: ReadAhead,
    is_registered: bool,
}

/// A page.
pub(super) struct Slot {
    pub(super) frame: SharedFrame,
    pub(super) state: State,
    /// It was used since the last look of who wants memory.
    pub(super) is_used: bool,
    /// The sectors of 512 bytes, a bit each, that are known to have a place on the disk.
    placed: u8,
    /// How many are looking for a place for some of it right now.
    settling: u8,
}

pub(super) enum State {
    Clean,
    Dirty,
    Loading(Arc<Load>),
}

/// Pages being read together.
pub(super) struct Load {
    ticket: Arc<Ticket>,
    range: Range<u64>,
    /// The requests are on their way.
    is_begun: AtomicBool,
    begun: WaitQueue,
}

impl Load {
    fn new(range: Range<u64>) -> Arc<Self> {
        Arc::new(Load {
            ticket: Ticket::new(),
            range,
            is_begun: AtomicBool::new(false),
            begun: WaitQueue::new(),
        })
    }

    /// Whether it is over, without waiting.
    pub(super) fn poll(&self) -> Option<Result<()>> {
        if self.is_begun.load(Ordering::Acquire) { self.ticket.poll() } else { None }
    }

    fn begin(&self) {
        self.is_begun.store(true, Ordering::Release);
        self.begun.wake_all();
    }

    fn wait(&self) -> Result<()> {
        let is_begun = || if self.is_begun.load(Ordering::Acquire) { Ok(()) } else { Err(Errno::EAGAIN) };
        while self.begun.block_until(Wait::UNINTERRUPTIBLE, is_begun).is_err() {
            crate::sched::yield_now();
        }
        self.ticket.wait_done()
    }
}

/// What is at a place of the cache.
pub(super) enum Found {
    Page(SharedFrame),
    Loading(Arc<Load>),
    Nothing,
}

impl Pages {
    const fn new() -> Self {
        Pages {
            slots: Sparse::new(),
            dirty: 0,
            hull: 0..0,
            dirty_since_ns: 0,
            ahead: ReadAhead::new(),
            is_registered: false,
        }
    }

    pub(super) fn find(&mut self, index: u64) -> Found {
        match self.slots.get_mut(index) {
            None => Found::Nothing,
            Some(slot) => match &slot.state {
                State::Loading(load) => Found::Loading(load.clone()),
                State::Clean | State::Dirty => {
                    slot.is_used = true;
                    Found::Page(slot.frame.clone())
                }
            },
        }
    }

    /// Puts a page where none is.
    pub(super) fn add(&mut self, index: u64, frame: SharedFrame, state: State) -> Result<()> {
        let slot = Slot { frame, state, is_used: false, placed: 0, settling: 0 };
        self.slots.insert(index, slot).map_err(|_| Errno::ENOMEM)?;
        CACHED.add(1);
        Ok(())
    }

    pub(super) fn remove(&mut self, index: u64) {
        let Some(slot) = self.slots.remove(index) else { return };
        CACHED.add(-1);
        if matches!(slot.state, State::Dirty) {
            self.dirty -= 1;
            DIRTY.add(-1);
        }
    }

    /// Says whether it was clean.
    pub(super) fn mark_dirty(&mut self, index: u64) -> bool {
        let Some(slot) = self.slots.get_mut(index) else { return false };
        if matches!(slot.state, State::Dirty) {
            return false;
        }
        slot.state = State::Dirty;
        slot.is_used = true;
        if self.dirty == 0 {
            self.hull = index..index + 1;
            self.dirty_since_ns = hal::time::now_ns();
        } else {
            self.hull = self.hull.start.min(index)..self.hull.end.max(index + 1);
        }
        self.dirty += 1;
        DIRTY.add(1);
        true
    }

    /// Nothing is known of a page's place any more.
    pub(super) fn forget_place(&mut self, index: u64) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.placed = 0;
        }
    }

    /// Whether somebody is looking for a place for a page.
    pub(super) fn is_settling(&self, index: u64) -> bool {
        self.slots.get(index).is_some_and(|slot| slot.settling != 0)
    }

    pub(super) fn mark_clean(&mut self, index: u64) {
        let Some(slot) = self.slots.get_mut(index).filter(|slot| matches!(slot.state, State::Dirty)) else {
            return;
        };
        slot.state = State::Clean;
        self.dirty -= 1;
        DIRTY.add(-1);
    }

    /// The reading of pages is over: those it brought are there, or gone again. What lies behind the end of the file,
    /// `size`, is zero, whatever the disk has there.
    pub(super) fn settle(&mut self, load: &Arc<Load>, outcome: Result<()>, size: u64) {
        for index in load.range.clone() {
            let is_its =
                |slot: &Slot| matches!(&slot.state, State::Loading(other) if Arc::ptr_eq(other, load));
            let Some(slot) = self.slots.get_mut(index).filter(|slot| is_its(slot)) else { continue };
            match outcome {
                Ok(()) => {
                    let end = size.saturating_sub(index * PAGE_SIZE);
                    if end < PAGE_SIZE {
                        slot.frame.clear(to_usize(end), PAGE_LEN);
                    }
                    slot.state = State::Clean;
                }
                Err(_) => self.remove(index),
            }
        }
    }
}

/// A frame for a page of a file, zero; pages that nobody used lately go first when memory is short.
pub(super) fn new_frame() -> Result<SharedFrame> {
    reclaim::keep_room();
    pressure::retry(SharedFrame::new_zeroed).ok_or(Errno::ENOMEM)
}

/// The same for a page that is overwritten whole.
pub(super) fn new_frame_to_fill() -> Result<SharedFrame> {
    reclaim::keep_room();
    let any = || if hal::frames::is_low() { None } else { hal::frames::allocate() };
    pressure::retry(any).map(Frame::share).ok_or(Errno::ENOMEM)
}

impl PageCache {
    /// Nothing cached of the file with this device and inode number.
    pub fn new(identity: (u64, u64)) -> Arc<Self> {
        Arc::new(PageCache {
            pages: Mutex::new(Pages::new()),
            writing_back: Mutex::new(()),
            errors: AtomicU32::new(0),
            is_mapped: AtomicBool::new(false),
            is_mapped_writable: AtomicBool::new(false),
            identity,
        })
    }

    /// Whether somebody maps the file, or did.
    pub fn is_mapped(&self) -> bool {
        self.is_mapped.load(Ordering::Relaxed)
    }

    /// Pages that are there.
    pub fn len(&self) -> usize {
        self.pages.lock().slots.len()
    }

    /// Whether nothing is cached.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether something is there that the disk does not have.
    pub fn is_dirty(&self) -> bool {
        self.pages.lock().dirty != 0
    }

    /// The page `index`, read if need be; `wanted` pages from there on will be asked for.
    ///
    /// # Errors
    /// ENXIO past the end; EIO, ENOMEM.
    pub(super) fn get(
        self: &Arc<Self>,
        backing: &dyn Backing,
        index: u64,
        wanted: u64,
    ) -> Result<SharedFrame> {
        // Another page of those that were read with it may be what failed: the second time it is read alone.
        let mut is_alone = false;
        loop {
            let found = self.pages.lock().find(index);
            let load = match found {
                Found::Page(frame) => return Ok(frame),
                Found::Loading(load) => Some(load),
                Found::Nothing if is_alone => self.begin_load(backing, index..index + 1)?,
                Found::Nothing => {
                    let range = self.pages.lock().ahead.missing(index, wanted);
                    self.begin_load(backing, range)?
                }
            };
            let Some(load) = load else { continue };
            match self.wait_for(backing, &load) {
                Err(error) if load.range == (index..index + 1) => return Err(error),
                Err(_) => is_alone = true,
                Ok(()) => {}
            }
        }
    }

    fn wait_for(&self, backing: &dyn Backing, load: &Arc<Load>) -> Result<()> {
        let outcome = load.wait();
        self.pages.lock().settle(load, outcome, backing.size());
        outcome
    }

    /// Begins to read those pages of a range that follow its start without a gap and are not there. None if another
    /// was faster.
    pub(super) fn begin_load(
        self: &Arc<Self>,
        backing: &dyn Backing,
        range: Range<u64>,
    ) -> Result<Option<Arc<Load>>> {
        let end = range.end.min(backing.size().div_ceil(PAGE_SIZE));
        if range.start >= end {
            return Err(Errno::ENXIO);
        }
        let mut frames = Vec::new();
        frames.try_reserve_exact(to_usize(end - range.start)).map_err(|_| Errno::ENOMEM)?;
        for _ in range.start..end {
            match new_frame_to_fill() {
                Ok(frame) => frames.push(frame),
                // What is asked for must be had; what is only expected need not.
                Err(error) if frames.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        let load = {
            let mut pages = self.pages.lock();
            let is_free = |&index: &u64| pages.slots.get(index).is_none();
            let count = (range.start..).take(frames.len()).take_while(is_free).count();
            frames.truncate(count);
            if count == 0 {
                return Ok(None);
            }
            self.register(&mut pages);
            let load = Load::new(range.start..range.start + count as u64);
            for (index, frame) in (range.start..).zip(&frames) {
                if let Err(error) = pages.add(index, frame.clone(), State::Loading(load.clone())) {
                    load.begin();
                    pages.settle(&load, Err(error), 0);
                    return Err(error);
                }
            }
            load
        };
        let begun = backing.load(range.start, &frames, &load.ticket);
        load.begin();
        if let Err(error) = begun {
            let _ = load.ticket.wait_done();
            self.pages.lock().settle(&load, Err(error), 0);
            return Err(error);
        }
        Ok(Some(load))
    }

    /// Lets [`reclaim`] know of this cache.
    pub(super) fn register(self: &Arc<Self>, pages: &mut Pages) {
        if !pages.is_registered {
            pages.is_registered = reclaim::register(Arc::downgrade(self));
        }
    }

    /// The page `index` for who maps the file.
    ///
    /// # Errors
    /// ENXIO past the end; EIO, ENOMEM; to write, ENOSPC and the like.
    pub fn map(self: &Arc<Self>, backing: &dyn Backing, index: u64, purpose: Purpose) -> Result<SharedFrame> {
        self.is_mapped.store(true, Ordering::Relaxed);
        loop {
            let frame = self.get(backing, index, 1)?;
            if purpose == Purpose::Read {
                return Ok(frame);
            }
            self.is_mapped_writable.store(true, Ordering::Release);
            if !matches!(self.pages.lock().find(index), Found::Page(now) if now == frame) {
                // It was cut off, or given up, meanwhile.
                continue;
            }
            let start = index * PAGE_SIZE;
            self.make_dirty(backing, start..(start + PAGE_SIZE).min(backing.size()).max(start + 1))?;
            return Ok(frame);
        }
    }

    /// Makes the page that has these bytes dirty, and sees to it that the disk has a place for them: in this order, so
    /// that nobody can ever find on the disk what was there before.
    ///
    /// # Errors
    /// ENOSPC and the like; the page is then as it was.
    pub(super) fn make_dirty(&self, backing: &dyn Backing, range: Range<u64>) -> Result<()> {
        let index = range.start / PAGE_SIZE;
        let wanted = sectors(index, &range);
        let was_clean = {
            let mut pages = self.pages.lock();
            let was_clean = pages.mark_dirty(index);
            let Some(slot) = pages.slots.get_mut(index) else { return Ok(()) };
            if slot.placed & wanted == wanted {
                return Ok(());
            }
            slot.settling = slot.settling.saturating_add(1);
            was_clean
        };
        let mut outcome = Ok(());
        let mut at = range.start;
        let mut placed = 0;
        while at < range.end && outcome.is_ok() {
            match backing.reserve(at..range.end) {
                Ok(found) => {
                    placed |= sectors(index, &found);
                    at = found.end.max(at + 1);
                }
                Err(error) => outcome = Err(error),
            }
        }
        let mut pages = self.pages.lock();
        if let Some(slot) = pages.slots.get_mut(index) {
            slot.settling = slot.settling.saturating_sub(1);
            slot.placed |= placed;
        }
        if outcome.is_err() && was_clean {
            pages.mark_clean(index);
        }
        outcome
    }

    /// The page `index` if it is there; never waits.
    pub fn cached(&self, index: u64) -> Option<SharedFrame> {
        let mut pages = self.pages.try_lock()?;
        self.is_mapped.store(true, Ordering::Relaxed);
        match pages.find(index) {
            Found::Page(frame) => Some(frame),
            Found::Loading(_) | Found::Nothing => None,
        }
    }

    /// Cuts the file to `size` bytes with `shorten`, and forgets what lay behind. The rest of the last page becomes zero,
    /// on the disk too.
    ///
    /// # Errors
    /// EIO and ENOMEM for the last page; what `shorten` says.
    pub fn cut(
        self: &Arc<Self>,
        backing: &dyn Backing,
        size: u64,
        shorten: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        // No block that is about to be freed is being written, or will be.
        let _still = self.writing_back.lock();
        let (last, offset) = (size / PAGE_SIZE, to_usize(size % PAGE_SIZE));
        let tail = if offset != 0 { Some(self.get(backing, last, 1)?) } else { None };
        shorten()?;
        let mut pages = self.pages.lock();
        while let Some((index, _)) = pages.slots.next(size.div_ceil(PAGE_SIZE)) {
            pages.remove(index);
        }
        if let Some(tail) = tail {
            tail.clear(offset, PAGE_LEN);
            pages.forget_place(last);
            pages.mark_dirty(last);
        }
        Ok(())
    }

    /// Makes a range of bytes zero: `punch` takes their whole blocks away, the rest is cleared, on the disk too.
    ///
    /// # Errors
    /// EIO and ENOMEM for the pages at the ends; what `punch` says.
    pub fn punch(
        self: &Arc<Self>,
        backing: &dyn Backing,
        range: Range<u64>,
        punch: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let _still = self.writing_back.lock();
        let whole = range.start.div_ceil(PAGE_SIZE)..range.end / PAGE_SIZE;
        let ends = [range.start / PAGE_SIZE, range.end / PAGE_SIZE];
        let mut at_ends = [None, None];
        for (place, index) in at_ends.iter_mut().zip(ends) {
            let is_cut = !whole.contains(&index) && (range.start.max(index * PAGE_SIZE)) < range.end;
            if is_cut {
                *place = Some((index, self.get(backing, index, 1)?));
            }
        }
        punch()?;
        let mut pages = self.pages.lock();
        while let Some((index, _)) = pages.slots.next(whole.start).filter(|(index, _)| *index < whole.end) {
            pages.remove(index);
        }
        for (index, frame) in at_ends.into_iter().flatten() {
            let page = index * PAGE_SIZE;
            let end = range.end.min(page + PAGE_SIZE) - page;
            frame.clear(to_usize(range.start.max(page) - page), to_usize(end));
            pages.forget_place(index);
            pages.mark_dirty(index);
        }
        Ok(())
    }

    /// Forgets the pages of a range of bytes, whatever is in them: what the disk has is what counts. Who maps one keeps
    /// it until it is mapped anew.
    pub fn forget(&self, range: Range<u64>) {
        let _still = self.writing_back.lock();
        let mut pages = self.pages.lock();
        let (mut next, end) = (range.start / PAGE_SIZE, range.end.div_ceil(PAGE_SIZE));
        while let Some((index, _)) = pages.slots.next(next).filter(|(index, _)| *index < end) {
            pages.remove(index);
            next = index + 1;
        }
    }

    /// Begins to read a range of bytes that somebody will need.
    pub fn read_early(self: &Arc<Self>, backing: &dyn Backing, range: Range<u64>) {
        let end = range.end.div_ceil(PAGE_SIZE);
        let mut at = range.start / PAGE_SIZE;
        while at < end {
            let next = end.min(at + read_ahead::LARGEST);
            // Only an attempt; what is wrong will show when the bytes are read.
            if self.begin_load(backing, at..next).is_err() {
                return;
            }
            at = next;
        }
    }

    /// A number of errors to compare with later.
    pub fn error_count(&self) -> u32 {
        self.errors.load(Ordering::Acquire)
    }
}

impl Drop for PageCache {
    fn drop(&mut self) {
        let pages = self.pages.get_mut();
        let (count, dirty) = (i64::try_from(pages.slots.len()), i64::try_from(pages.dirty));
        CACHED.add(-count.unwrap_or(0));
        DIRTY.add(-dirty.unwrap_or(0));
    }
}

/// The sectors of page `index` that lie wholly in a range of bytes, or that its ends cut, a bit each.
fn sectors(index: u64, range: &Range<u64>) -> u8 {
    let page = index * PAGE_SIZE;
    let start = range.start.max(page) - page;
    let end = range.end.min(page + PAGE_SIZE).saturating_sub(page);
    (start / 512..end.div_ceil(512))
        .fold(0, |bits, sector| bits | 1_u8.unbounded_shl(u32::try_from(sector).unwrap_or(8)))
}

/// A cache that somebody may give up meanwhile.
pub(super) type Known = Weak<PageCache>;
