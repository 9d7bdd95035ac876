//! Address spaces as the CPU sees them: a root table, the kernel's half shared, the user's half owned.
//!
//! A context keeps the space it runs in alive and the CPU loads it with the context (`context::switch`), so a space is
//! freed only when no CPU uses it. Each entry owns a share of its frame; a large page owns one of each of its frames,
//! so that it can be split at any time. Frames and tables that are taken out are freed only after every CPU that uses
//! the space has forgotten them: they are collected in a [`Batch`], and no lock is held while the CPUs are asked.
//! Lock: rank `PageTables`, around each change.

use core::ops::{ControlFlow, Range};
use core::sync::atomic::{AtomicU64, Ordering, fence};

use abi::{Errno, Result};
use logic::addr::{PAGE_SIZE, PhysAddr, VirtAddr};

use crate::arch;
use crate::cpu;
use crate::frames::{self, Frame, LargeFrame, SharedFrame};
use crate::memory;
use crate::paging::{LARGE_PAGE_SIZE, Mapping, PageSize, Protection, Slot, Tables};
use crate::rank;
use crate::spin::Lock;
use crate::tables::DirectTables;
use crate::tlb;

/// Page tables of a program. Pages belong to it and are freed with it.
pub struct AddressSpace {
    root: PhysAddr,
    tables: Lock<Tables<DirectTables>, rank::PageTables>,
    /// CPUs whose running context uses the space, a bit each.
    cpus: AtomicU64,
    /// Pages of 4 KiB in the user half.
    resident: AtomicU64,
}

/// What is mapped at an address.
pub struct Page {
    /// A share of the frame.
    pub frame: SharedFrame,
    /// What the program may do.
    pub protection: Protection,
    /// How large a page it is in.
    pub size: PageSize,
}

/// How fork(2) hands pages to the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copying {
    /// Both write the same page.
    Shared,
    /// Whoever writes first gets a copy.
    OnWrite,
}

impl AddressSpace {
    /// The kernel half, and nothing in the user half.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new() -> Result<Self> {
        let root = frames::allocate_zeroed().ok_or(Errno::ENOMEM)?.into_raw();
        let mut tables = Tables::new(root, DirectTables);
        tables.share_kernel_half(memory::kernel_root());
        Ok(AddressSpace {
            root,
            tables: Lock::new(tables),
            cpus: AtomicU64::new(0),
            resident: AtomicU64::new(0),
        })
    }

    /// Pages of 4 KiB that are there.
    pub fn resident_pages(&self) -> u64 {
        self.resident.load(Ordering::Relaxed)
    }

    /// Gives `frame` to the program at `page`.
    ///
    /// # Errors
    /// EINVAL outside the user half, inside a page, or for a kernel protection, EEXIST where something is mapped, ENOMEM.
    #[inline]
    pub fn map(&self, page: VirtAddr, frame: SharedFrame, protection: Protection) -> Result<()> {
        check(page, PAGE_SIZE, protection)?;
        self.tables.lock().map(page, frame.address(), PageSize::Small, protection)?;
        // The tables own it now; `drop` takes it back.
        frame.into_raw();
        self.resident.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Gives a large frame to the program at `page`.
    ///
    /// # Errors
    /// As `map`; EEXIST also where there is a table of small pages.
    pub fn map_large(&self, page: VirtAddr, frame: LargeFrame, protection: Protection) -> Result<()> {
        check(page, LARGE_PAGE_SIZE, protection)?;
        if !page.is_aligned(LARGE_PAGE_SIZE) {
            return Err(Errno::EINVAL);
        }
        self.tables.lock().map(page, frame.address(), PageSize::Large, protection)?;
        frame.into_raw();
        self.resident.fetch_add(LARGE_PAGE_SIZE / PAGE_SIZE, Ordering::Relaxed);
        Ok(())
    }

    /// Puts `frame` where another small page is, or a part of a large one.
    ///
    /// # Errors
    /// As `map`, and ENOENT where nothing is mapped.
    pub fn replace(&self, page: VirtAddr, frame: SharedFrame, protection: Protection) -> Result<()> {
        check(page, PAGE_SIZE, protection)?;
        let old = {
            let mut tables = self.tables.lock();
            // Both ends of the page, so that a large page at `page` itself is split too.
            tables.split(VirtAddr::new(page.get() + PAGE_SIZE))?;
            tables.split(page)?;
            let old = tables.unmap(page).ok_or(Errno::ENOENT)?;
            tables.map(page, frame.address(), PageSize::Small, protection)?;
            frame.into_raw();
            old
        };
        self.flush(page, PAGE_SIZE);
        drop(SharedFrame::from_raw(old.frame));
        Ok(())
    }

    /// Lets the program write a page it could only read, if its frame has no other owner or the program `may_share` it.
    /// Says whether it did. No other CPU is asked to forget: one that still has the old right faults once more and
    /// finds the new one.
    pub fn make_writable(&self, page: VirtAddr, sharing: Copying) -> bool {
        let mut tables = self.tables.lock();
        let Some(mapping) = tables.lookup(page) else { return false };
        let is_free = |frame| core::mem::ManuallyDrop::new(SharedFrame::from_raw(frame)).is_unique();
        let mut frames = (mapping.frame.get()..mapping.frame.get() + mapping.size.bytes()).step_by(1 << 12);
        if sharing == Copying::OnWrite && !frames.all(|frame| is_free(PhysAddr::new(frame))) {
            return false;
        }
        tables.protect(page, mapping.protection.with_write());
        drop(tables);
        // This CPU would fault again for nothing.
        arch::paging::flush_page(page);
        true
    }

    /// What is mapped at `address`.
    pub fn lookup(&self, address: VirtAddr) -> Option<Page> {
        let tables = self.tables.lock();
        let mapping = tables.lookup(address)?;
        mapping.protection.is_user().then(|| Page::at(mapping, address))
    }

    /// Calls `visit` with the start, size and protection of each page that overlaps a range, and whether only this
    /// entry owns its frame.
    pub fn for_each_page(
        &self,
        start: VirtAddr,
        end: VirtAddr,
        mut visit: impl FnMut(VirtAddr, &Mapping, &SharedFrame),
    ) {
        let tables = self.tables.lock();
        let _ = tables.for_each_page(start, end, |slot| {
            let frame = core::mem::ManuallyDrop::new(SharedFrame::from_raw(slot.mapping.frame));
            visit(slot.page, &slot.mapping, &frame);
            ControlFlow::Continue(())
        });
    }

    /// Changes what the pages of a range allow.
    ///
    /// # Errors
    /// ENOMEM if a large page must be split and there is no memory for it; nothing has changed then.
    pub fn protect(&self, start: VirtAddr, end: VirtAddr, protection: Protection) -> Result<()> {
        check(start, end.get().saturating_sub(start.get()), protection)?;
        let mut changed = false;
        {
            let mut tables = self.tables.lock();
            tables.split(start)?;
            tables.split(end)?;
            let _ = tables.for_each_page(start, end, |slot| {
                if slot.mapping.protection != protection {
                    changed = true;
                    slot.protect(protection);
                }
                ControlFlow::Continue(())
            });
        }
        if changed {
            self.flush(start, end.get() - start.get());
        }
        Ok(())
    }

    /// Takes the pages of a range away. Nothing else is mapped between `floor` and `ceiling`, so the tables that only
    /// served the range go too.
    ///
    /// # Errors
    /// ENOMEM as `protect`.
    pub fn unmap(&self, start: VirtAddr, end: VirtAddr, floor: VirtAddr, ceiling: VirtAddr) -> Result<()> {
        check(start, end.get().saturating_sub(start.get()), Protection::USER_NONE)?;
        {
            let mut tables = self.tables.lock();
            tables.split(start)?;
            tables.split(end)?;
        }
        let mut from = start;
        loop {
            let mut batch = Batch::new();
            let is_done = self.take_pages(&mut from, start..end, floor..ceiling, &mut batch);
            if !batch.is_empty() {
                self.flush(start, end.get() - start.get());
                self.resident.fetch_sub(batch.pages, Ordering::Relaxed);
            }
            drop(batch);
            if is_done {
                return Ok(());
            }
        }
    }

    /// One batch of `unmap`; says whether it was the last.
    fn take_pages(
        &self,
        from: &mut VirtAddr,
        range: Range<VirtAddr>,
        empty: Range<VirtAddr>,
        batch: &mut Batch,
    ) -> bool {
        let mut tables = self.tables.lock();
        let pages = tables.for_each_page(*from, range.end, |slot: Slot<'_>| {
            slot.clear();
            *from = VirtAddr::new(slot.page.get() + slot.mapping.size.bytes());
            batch.add(Removed::Page(slot.mapping))
        });
        pages.is_continue()
            && tables
                .prune(range.start, range.end, empty.start, empty.end, |table| {
                    batch.add(Removed::Table(table))
                })
                .is_continue()
    }

    /// Gives `child` the pages of a range.
    ///
    /// # Errors
    /// ENOMEM; pages shared before stay.
    pub fn copy_to(
        &self,
        child: &AddressSpace,
        start: VirtAddr,
        end: VirtAddr,
        copying: Copying,
    ) -> Result<()> {
        let mut pages = 0;
        let outcome = {
            let tables = self.tables.lock();
            // Nobody else knows the child yet: its lock is never contended, and the checker is told so by the pair.
            let mut other = child.tables.lock_second(&tables);
            tables.copy_range(&mut other, start, end, |mapping| {
                pages += mapping.size.bytes() / PAGE_SIZE;
                share_frames(mapping);
                match copying {
                    Copying::Shared => mapping.protection,
                    Copying::OnWrite => mapping.protection.without_write(),
                }
            })
        };
        child.resident.fetch_add(pages, Ordering::Relaxed);
        Ok(outcome?)
    }

    /// Moves the pages of a range to another place of the same length, where nothing is mapped.
    ///
    /// # Errors
    /// ENOMEM; pages moved before stay moved.
    pub fn move_pages(&self, start: VirtAddr, end: VirtAddr, to: VirtAddr) -> Result<()> {
        check(start, end.get().saturating_sub(start.get()), Protection::USER_NONE)?;
        check(to, end.get().saturating_sub(start.get()), Protection::USER_NONE)?;
        let outcome = {
            let mut tables = self.tables.lock();
            tables.split(start)?;
            tables.split(end)?;
            move_each(&mut tables, start, end, to)
        };
        self.flush(start, end.get() - start.get());
        outcome
    }

    /// Makes the CPUs that use the space forget a range.
    pub fn flush(&self, start: VirtAddr, len: u64) {
        // The entries were changed before the CPUs are looked at; a CPU that loads the space after that sees them.
        fence(Ordering::SeqCst);
        tlb::flush_user(self.cpus.load(Ordering::SeqCst), start, len.div_ceil(PAGE_SIZE));
    }

    /// The root table.
    pub(crate) fn root(&self) -> PhysAddr {
        self.root
    }

    /// This CPU starts to use the space.
    pub(crate) fn note_entered(&self) {
        self.cpus.fetch_or(1 << cpu::id(), Ordering::SeqCst);
    }

    /// This CPU has loaded another root.
    pub(crate) fn note_left(&self) {
        self.cpus.fetch_and(!(1 << cpu::id()), Ordering::SeqCst);
    }
}

fn move_each(tables: &mut Tables<DirectTables>, start: VirtAddr, end: VirtAddr, to: VirtAddr) -> Result<()> {
    let mut at = start;
    while at < end {
        let Some(mapping) = tables.lookup(at) else {
            at = VirtAddr::new(at.get() + PAGE_SIZE);
            continue;
        };
        let target = VirtAddr::new(to.get() + (at.get() - start.get()));
        let fits = mapping.size == PageSize::Small || target.is_aligned(LARGE_PAGE_SIZE);
        if !fits || tables.map(target, mapping.frame, mapping.size, mapping.protection).is_err() {
            if mapping.size == PageSize::Small {
                return Err(Errno::ENOMEM);
            }
            // Piece by piece.
            tables.split(VirtAddr::new(at.get() + PAGE_SIZE))?;
            continue;
        }
        tables.unmap(at);
        at = VirtAddr::new(at.get() + mapping.size.bytes());
    }
    Ok(())
}

fn check(start: VirtAddr, len: u64, protection: Protection) -> Result<()> {
    let is_inside = start.checked_add(len).is_some_and(|end| end.get() <= arch::USER_TOP);
    let is_whole = start.is_aligned(PAGE_SIZE) && len.is_multiple_of(PAGE_SIZE);
    if is_inside && is_whole && protection.is_user() { Ok(()) } else { Err(Errno::EINVAL) }
}

/// One more share of all frames of a page, for an entry.
fn share_frames(mapping: Mapping) {
    match mapping.size {
        PageSize::Small => SharedFrame::another(mapping.frame).into_raw(),
        PageSize::Large => LargeFrame::another(mapping.frame).into_raw(),
    };
}

/// Gives back what an entry owned.
fn drop_frames(mapping: Mapping) {
    match mapping.size {
        PageSize::Small => drop(SharedFrame::from_raw(mapping.frame)),
        PageSize::Large => drop(LargeFrame::from_raw(mapping.frame)),
    }
}

impl Page {
    fn at(mapping: Mapping, address: VirtAddr) -> Self {
        let offset = (address.get() % mapping.size.bytes()) & !(PAGE_SIZE - 1);
        let frame = SharedFrame::another(PhysAddr::new(mapping.frame.get() + offset));
        Page { frame, protection: mapping.protection, size: mapping.size }
    }
}

impl Drop for AddressSpace {
    fn drop(&mut self) {
        let mut tables = self.tables.lock();
        tables.clear_user_half(drop_frames);
        drop(Frame::from_raw(self.root));
    }
}

/// What was taken out of tables and is freed when no CPU can use it any more: when the batch is dropped.
struct Batch {
    removed: [Option<Removed>; Batch::ROOM],
    count: usize,
    /// Pages of 4 KiB among it.
    pages: u64,
}

enum Removed {
    Page(Mapping),
    Table(PhysAddr),
}

impl Batch {
    /// It lives on a kernel stack.
    const ROOM: usize = 64;

    fn new() -> Self {
        Batch { removed: [const { None }; Self::ROOM], count: 0, pages: 0 }
    }

    fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds one; breaks when there is no room for another.
    fn add(&mut self, removed: Removed) -> ControlFlow<()> {
        if let Removed::Page(mapping) = &removed {
            self.pages += mapping.size.bytes() / PAGE_SIZE;
        }
        // There is room: the one before said so.
        if let Some(slot) = self.removed.get_mut(self.count) {
            *slot = Some(removed);
        }
        self.count += 1;
        if self.count < Self::ROOM { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        for removed in self.removed.iter_mut().take(self.count).filter_map(Option::take) {
            match removed {
                Removed::Page(mapping) => drop_frames(mapping),
                Removed::Table(table) => drop(Frame::from_raw(table)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
