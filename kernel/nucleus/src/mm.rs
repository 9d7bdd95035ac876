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

#[cfg(test)]
mod tests {
    use hal::{context, simulation, usermem};

    use super::*;

    const START: u64 = 0x40_0000;

    #[test]
    fn a_program_sees_what_was_filled_in_and_gives_it_back() {
        let machine = simulation::machine();
        context::adopt();
        let before = machine.free_frames();
        let mut memory = Memory::new().unwrap();
        let (start, end) = (VirtAddr::new(START), VirtAddr::new(START + 3 * PAGE_SIZE));
        let fill = |offset: u64, page: &mut [u8; PAGE_LEN]| page[..8].copy_from_slice(&offset.to_le_bytes());
        assert_eq!(memory.map_filled(start, end, Protection::USER_READ, fill), Ok(()));
        memory.enter();
        for offset in (0..3).map(|page| page * PAGE_SIZE) {
            assert_eq!(usermem::read(START + offset), Ok(offset));
            assert_eq!(usermem::read(START + offset + 8), Ok(0_u64), "the rest is zero");
        }
        assert_eq!(usermem::write(START, &0_u8), Err(Errno::EFAULT));
        assert_eq!(usermem::read::<u8>(START + 3 * PAGE_SIZE), Err(Errno::EFAULT));
        drop(memory);
        context::enter_space(None);
        assert_eq!(machine.free_frames(), before);
    }

    #[test]
    fn ranges_that_no_program_can_have_are_refused() {
        let _machine = simulation::machine();
        let mut memory = Memory::new().unwrap();
        let mut map = |start: u64, end: u64, protection| {
            memory.map_filled(VirtAddr::new(start), VirtAddr::new(end), protection, |_, _| {})
        };
        let read = Protection::USER_READ;
        assert_eq!(map(START + 1, START + PAGE_SIZE, read), Err(Errno::EINVAL));
        assert_eq!(map(START, START + 1, read), Err(Errno::EINVAL));
        assert_eq!(map(START + PAGE_SIZE, START, read), Err(Errno::EINVAL));
        assert_eq!(map(START, START + PAGE_SIZE, Protection::KERNEL_DATA), Err(Errno::EINVAL));
        assert_eq!(map(USER_TOP, USER_TOP + PAGE_SIZE, read), Err(Errno::EINVAL));
        assert_eq!(map(START, START + PAGE_SIZE, read), Ok(()));
        assert_eq!(map(START, START + PAGE_SIZE, read), Err(Errno::EEXIST));
    }
}
