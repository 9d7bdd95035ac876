//! Address spaces as the CPU sees them: a root table, the kernel's half shared, the user's half owned.
//!
//! A context keeps the space it runs in alive and the CPU loads it with the context (`context::switch`), so a space is
//! freed only when no CPU uses it. Lock: rank `PageTables`, around each change.

use abi::{Errno, Result};
use logic::addr::{PAGE_SIZE, PhysAddr, VirtAddr};

use crate::arch;
use crate::frames::{self, Frame};
use crate::memory;
use crate::paging::{PageSize, Protection, Tables};
use crate::rank;
use crate::spin::Lock;
use crate::tables::DirectTables;

/// Page tables of a program. Pages belong to it and are freed with it.
pub struct AddressSpace {
    root: PhysAddr,
    tables: Lock<Tables<DirectTables>, rank::PageTables>,
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
        Ok(AddressSpace { root, tables: Lock::new(tables) })
    }

    /// Gives `frame` to the program at `page`.
    ///
    /// # Errors
    /// EINVAL outside the user half, inside a page, or for a kernel protection, EEXIST where something is mapped, ENOMEM.
    pub fn map(&self, page: VirtAddr, frame: Frame, protection: Protection) -> Result<()> {
        if page.get() >= arch::USER_TOP || !page.is_aligned(PAGE_SIZE) || !protection.is_user() {
            return Err(Errno::EINVAL);
        }
        self.tables.lock().map(page, frame.address(), PageSize::Small, protection)?;
        // The tables own it now; `drop` takes it back.
        frame.into_raw();
        Ok(())
    }

    /// The root table.
    pub(crate) fn root(&self) -> PhysAddr {
        self.root
    }
}

impl Drop for AddressSpace {
    fn drop(&mut self) {
        let mut tables = self.tables.lock();
        tables.clear_user_half(|mapping| drop(Frame::from_raw(mapping.frame)));
        drop(Frame::from_raw(self.root));
    }
}
