//! User address spaces.
//!
//! What the first user program needs: pages that are there from the start, freed with the space. The map of areas,
//! demand paging and sharing come with processes and go behind the same type.

use alloc::sync::Arc;

use abi::{Errno, Result};
use hal::context;
use hal::frames;
use hal::paging::Protection;
use hal::space::AddressSpace;
use hal::user::USER_TOP;
use logic::addr::{PAGE_LEN, PAGE_SIZE, VirtAddr};

/// A program's memory.
pub struct Memory {
    space: Arc<AddressSpace>,
}

impl Memory {
    /// Nothing mapped.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new() -> Result<Self> {
        Ok(Memory { space: Arc::new(AddressSpace::new()?) })
    }

    /// Maps fresh pages from `start` to `end` (page bounds), filled by `fill(offset from start, page)`.
    ///
    /// # Errors
    /// EINVAL outside the user half, EEXIST where something is mapped, ENOMEM. Pages mapped before stay.
    pub fn map_filled(
        &mut self,
        start: VirtAddr,
        end: VirtAddr,
        protection: Protection,
        mut fill: impl FnMut(u64, &mut [u8; PAGE_LEN]),
    ) -> Result<()> {
        let is_inside = start.is_aligned(PAGE_SIZE) && end.is_aligned(PAGE_SIZE) && end.get() <= USER_TOP;
        if !is_inside || start > end || !protection.is_user() {
            return Err(Errno::EINVAL);
        }
        for page in (start.get()..end.get()).step_by(PAGE_LEN) {
            let mut frame = frames::allocate_zeroed().ok_or(Errno::ENOMEM)?;
            fill(page - start.get(), frame.bytes_mut());
            self.space.map(VirtAddr::new(page), frame, protection)?;
        }
        Ok(())
    }

    /// Makes the running thread use this memory.
    pub fn enter(&self) {
        context::enter_space(Some(self.space.clone()));
    }
}
