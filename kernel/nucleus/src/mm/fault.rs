//! Pages on demand: what a page fault leads to.
//!
//! Fresh zeros, a page of the file, a copy of a page that is shared, a larger stack, or a signal. The map of areas is
//! locked meanwhile, so an area cannot go away under a fault.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use abi::{Errno, Result};
use hal::frames::{Frame, LargeFrame, SharedFrame};
use hal::paging::{LARGE_PAGE_SIZE, Protection};
use hal::space::Copying;
use hal::user::AccessKind;
use logic::addr::{PAGE_SIZE, VirtAddr, align_down};
use logic::vma::{Area, Growth, Rights, Sharing};

use super::map::STACK_GAP;
use super::memory::{Areas, Memory};
use super::pressure;
use super::source::{PageSource, Purpose, Source};

/// What a program gets for a fault that cannot be mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultError {
    /// Nothing is mapped there: SIGSEGV, `SEGV_MAPERR`.
    NotMapped,
    /// It is mapped and must not be used so: SIGSEGV, `SEGV_ACCERR`.
    Forbidden,
    /// The file ends before: SIGBUS, `BUS_ADRERR`.
    PastEnd,
    /// There is no memory left.
    NoMemory,
    /// The file has to do something else first, and cannot while the map is locked.
    Busy,
}

/// What came of an attempt.
enum Attempt {
    Done,
    /// This file is to be waited for.
    Busy(Arc<dyn PageSource>),
}

impl From<Errno> for FaultError {
    fn from(error: Errno) -> Self {
        match error {
            Errno::ENOMEM => FaultError::NoMemory,
            Errno::EAGAIN => FaultError::Busy,
            _ => FaultError::PastEnd,
        }
    }
}

/// Pages of a file that are mapped around one that was touched, if they are in memory anyway.
const AROUND: u64 = 16 * PAGE_SIZE;

/// What rights mean to the CPU.
pub(super) fn protection_of(rights: Rights) -> Protection {
    match (rights.read || rights.write || rights.execute, rights.write, rights.execute) {
        (false, ..) => Protection::USER_NONE,
        (true, false, false) => Protection::USER_READ,
        (true, true, false) => Protection::USER_WRITE,
        (true, false, true) => Protection::USER_EXECUTE,
        (true, true, true) => Protection::USER_WRITE_EXECUTE,
    }
}

fn may(rights: Rights, access: AccessKind) -> bool {
    match access {
        // The CPU cannot tell apart what may be run or written and what may be read.
        AccessKind::Read => rights.read || rights.write || rights.execute,
        AccessKind::Write => rights.write,
        AccessKind::Execute => rights.execute,
    }
}

impl Memory {
    /// Brings the page at `address` in, or says why the access cannot be.
    ///
    /// # Errors
    /// See [`FaultError`].
    pub fn fault(&self, address: u64, access: AccessKind) -> core::result::Result<(), FaultError> {
        loop {
            let busy = match self.try_fault(address, access)? {
                Attempt::Done => return Ok(()),
                Attempt::Busy(file) => file,
            };
            busy.wait_for_page()?;
        }
    }

    fn try_fault(&self, address: u64, access: AccessKind) -> core::result::Result<Attempt, FaultError> {
        let mut areas = self.areas.lock();
        if areas.map.find(address).is_none() {
            self.grow_stack(&mut areas, address)?;
        }
        let area = areas.map.find(address).ok_or(FaultError::NotMapped)?;
        if !may(area.rights, access) {
            return Err(FaultError::Forbidden);
        }
        match (self.bring_in(area, address, access), &area.backing) {
            (Err(FaultError::Busy), Source::File { file, .. }) => Ok(Attempt::Busy(file.clone())),
            (outcome, _) => outcome.map(|()| Attempt::Done),
        }
    }

    /// The fault proper: `area` allows the access.
    pub(super) fn bring_in(
        &self,
        area: &Area<Source>,
        address: u64,
        access: AccessKind,
    ) -> core::result::Result<(), FaultError> {
        let page = VirtAddr::new(align_down(address, PAGE_SIZE));
        let protection = protection_of(area.rights);
        let mapped = match (&area.backing, access) {
            (Source::Anonymous, AccessKind::Write) => self.map_fresh(area, page, protection),
            (Source::Anonymous, _) => self.space.map(page, SharedFrame::zero()?, protection.without_write()),
            (Source::File { file, offset }, access) => {
                let at = FilePage {
                    file,
                    offset: *offset,
                    index: (offset + (page.get() - area.start)) / PAGE_SIZE,
                };
                self.map_file_page(area, page, &at, access, protection)
            }
        };
        match mapped {
            Ok(()) => Ok(()),
            Err(Errno::EEXIST) if access == AccessKind::Write => self.write_mapped(area, page, protection),
            // Another thread was faster, or this CPU remembered an older right.
            Err(Errno::EEXIST) => {
                self.space.flush(page, PAGE_SIZE);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Zeros, in a large page where one fits.
    fn map_fresh(&self, area: &Area<Source>, page: VirtAddr, protection: Protection) -> Result<()> {
        let large = page.align_down(LARGE_PAGE_SIZE);
        if large.get() >= area.start && large.get().saturating_add(LARGE_PAGE_SIZE) <= area.end {
            // If not: small pages are there already, or no 2 MiB are free in a row.
            let mapped = LargeFrame::new_zeroed().map(|frame| self.space.map_large(large, frame, protection));
            if mapped == Some(Ok(())) {
                return Ok(());
            }
        }
        self.space.map(page, pressure::retry(SharedFrame::new_zeroed).ok_or(Errno::ENOMEM)?, protection)
    }

    fn map_file_page(
        &self,
        area: &Area<Source>,
        page: VirtAddr,
        at: &FilePage<'_>,
        access: AccessKind,
        protection: Protection,
    ) -> Result<()> {
        match (area.sharing, access) {
            (Sharing::Shared, AccessKind::Write) => {
                let frame = at.file.page(at.index, Purpose::Write)?;
                self.space.map(page, frame, protection)
            }
            (Sharing::Private, AccessKind::Write) => {
                let original = at.file.page(at.index, Purpose::Read)?;
                let copy = pressure::retry(|| Frame::copy_of(&original)).ok_or(Errno::ENOMEM)?;
                self.space.map(page, copy.share(), protection)
            }
            _ => {
                let frame = at.file.page(at.index, Purpose::Read)?;
                self.space.map(page, frame, protection.without_write())?;
                self.map_around(area, page, at, protection.without_write());
                Ok(())
            }
        }
    }

    /// Maps neighbours that are in memory, so that they do not fault one by one.
    fn map_around(&self, area: &Area<Source>, page: VirtAddr, at: &FilePage<'_>, protection: Protection) {
        let window = align_down(page.get(), AROUND);
        let (start, end) = (window.max(area.start), (window + AROUND).min(area.end));
        for neighbour in (start..end).step_by(1 << 12).filter(|&neighbour| neighbour != page.get()) {
            let index = (at.offset + (neighbour - area.start)) / PAGE_SIZE;
            if let Some(frame) = at.file.cached_page(index) {
                // What is mapped already stays as it is.
                let _ = self.space.map(VirtAddr::new(neighbour), frame, protection);
            }
        }
    }

    /// A write to a page that is mapped, but not for writing.
    fn write_mapped(
        &self,
        area: &Area<Source>,
        page: VirtAddr,
        protection: Protection,
    ) -> core::result::Result<(), FaultError> {
        if area.sharing == Sharing::Shared {
            if let Source::File { file, offset } = &area.backing {
                file.page((offset + (page.get() - area.start)) / PAGE_SIZE, Purpose::Write)?;
            }
            self.space.make_writable(page, Copying::Shared);
            return Ok(());
        }
        if self.space.make_writable(page, Copying::OnWrite) {
            return Ok(());
        }
        let Some(old) = self.space.lookup(page) else { return Ok(()) };
        let copy = if old.frame.is_zero_page() {
            pressure::retry(SharedFrame::new_zeroed)
        } else {
            pressure::retry(|| Frame::copy_of(&old.frame)).map(Frame::share)
        };
        let copy = copy.ok_or(FaultError::NoMemory)?;
        Ok(self.space.replace(page, copy, protection)?)
    }

    /// Lets a stack grow down to `address`, if it lies below one and the gap to the next area stays.
    fn grow_stack(&self, areas: &mut Areas, address: u64) -> core::result::Result<(), FaultError> {
        let stack = areas
            .map
            .at_or_above(address)
            .filter(|area| area.growth == Growth::Down)
            .ok_or(FaultError::NotMapped)?;
        let start = align_down(address, PAGE_SIZE);
        let below = areas.map.surroundings(start..start + 1).start;
        let limit = self.limits.stack.load(Ordering::Relaxed);
        let grown = stack.start - start;
        let total = areas.map.total().saturating_add(grown);
        if stack.end - start > limit
            || (below != 0 && start - below < STACK_GAP)
            || total > self.limits.total.load(Ordering::Relaxed)
        {
            return Err(FaultError::NotMapped);
        }
        super::account::commit(grown)?;
        areas.committed += grown;
        areas.map.grow_down(address, start);
        Ok(())
    }
}

/// A page of a file.
struct FilePage<'a> {
    file: &'a Arc<dyn PageSource>,
    /// Where the area starts in the file, in bytes.
    offset: u64,
    index: u64,
}
