//! Memory that devices read and write by themselves.
//!
//! [`Dma`] owns frames for what a driver and its device share (rings, tables, short answers): both see each other's writes,
//! so it is read and written by volatile words and never borrowed. Data lies in shared frames, which whoever asked for
//! it owns for as long as the device may touch them (`nucleus::block::Command`). What a device is told is a
//! [`BusAddress`], and those are made of one or the other: of memory that is owned, never of a number. A device writes
//! where it was told even after the driver forgot about it: drivers stop it before they free a [`Dma`], and
//! [`crate::pci::Function`] turns its access to memory off when it is dropped.

use core::sync::atomic::{Ordering, fence};

use abi::{Errno, Result};
use logic::addr::{PAGE_LEN, to_usize};
use logic::buddy::Order;
use logic::zones::ZoneKind;

use crate::frames::{self, Block, SharedFrame};
use crate::memory;
use crate::mmio::Register;

/// Where a device finds memory. Only what is owned has one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct BusAddress(u64);

impl BusAddress {
    /// A byte of a shared frame. Valid for the device as long as somebody owns a share.
    ///
    /// # Panics
    /// If the frame is shorter.
    pub fn of(frame: &SharedFrame, offset: u32) -> Self {
        assert!((offset as usize) < PAGE_LEN, "an address beyond a frame");
        BusAddress(frame.address().get() + u64::from(offset))
    }

    /// As registers and descriptors take it.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The same for devices that know 32 bits, if they reach it.
    pub fn low(self) -> Option<u32> {
        u32::try_from(self.0).ok()
    }
}

/// How far a device reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// All memory.
    Everything,
    /// The first 4 GiB.
    FourGib,
}

/// Memory shared with a device; freed when dropped.
#[derive(Debug)]
pub struct Dma {
    block: Block,
}

impl Dma {
    /// At least `len` bytes, zeroed, in a row, aligned to their length rounded up to a power of two (and to a page).
    ///
    /// # Errors
    /// ENOMEM; EINVAL if that is more than the allocator has in one block.
    pub fn new(len: usize, reach: Reach) -> Result<Self> {
        let pages = len.div_ceil(PAGE_LEN).max(1).next_power_of_two();
        let order = Order::all().find(|order| order.frames() as usize == pages).ok_or(Errno::EINVAL)?;
        let bound = match reach {
            Reach::Everything => ZoneKind::Normal,
            Reach::FourGib => ZoneKind::Dma32,
        };
        let dma = Dma { block: frames::allocate_block(order, bound).ok_or(Errno::ENOMEM)? };
        for offset in (0..dma.len()).step_by(8) {
            dma.write::<u64>(offset, 0);
        }
        Ok(dma)
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.block.len()
    }

    /// Never.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Where the device finds the byte at `offset`.
    ///
    /// # Panics
    /// If there is none.
    pub fn address(&self, offset: usize) -> BusAddress {
        assert!(offset < self.len(), "an address beyond a device's memory");
        BusAddress(self.block.address().get() + offset as u64)
    }

    fn pointer<T>(&self, offset: usize) -> *mut T {
        let size = size_of::<T>();
        let fits = offset.checked_add(size).is_some_and(|end| end <= self.len());
        assert!(fits && offset.is_multiple_of(size), "a word at {offset} of a device's memory");
        let address = self.block.address().get() + offset as u64;
        core::ptr::with_exposed_provenance_mut(to_usize(memory::direct_base() + address))
    }

    /// Reads a word.
    ///
    /// # Panics
    /// If it does not lie in this memory at a multiple of its size.
    #[inline]
    pub fn read<T: Register>(&self, offset: usize) -> T {
        // SAFETY: aligned and inside the block (`pointer`), which `self` owns; the direct map covers all RAM. Any bits are
        // a valid `T`, and a volatile read copes with the device's writes.
        unsafe { self.pointer::<T>(offset).read_volatile() }
    }

    /// Writes a word.
    ///
    /// # Panics
    /// As `read`.
    #[inline]
    pub fn write<T: Register>(&self, offset: usize, value: T) {
        // SAFETY: as in `read`; no reference into the block exists, so nobody's view changes behind his back.
        unsafe { self.pointer::<T>(offset).write_volatile(value) }
    }
}

/// What was written before is seen before what is written after. To be called between a descriptor and what makes it
/// known to the device.
#[inline]
pub fn order_writes() {
    fence(Ordering::Release);
}

/// What is read after is read after what was read before.
#[inline]
pub fn order_reads() {
    fence(Ordering::Acquire);
}

/// Writes before and reads after keep their order too: between telling the device and looking whether it wants to hear.
#[inline]
pub fn order_all() {
    fence(Ordering::SeqCst);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation;

    #[test]
    fn device_memory_is_zeroed_aligned_and_comes_back() {
        let machine = simulation::machine();
        let cpu = simulation::occupy(0);
        let before = machine.free_frames();
        let dma = Dma::new(3 * PAGE_LEN, Reach::FourGib).unwrap();
        assert_eq!(dma.len(), 4 * PAGE_LEN);
        assert!(
            dma.address(0).get().is_multiple_of(4 * 4096) && dma.address(4 * PAGE_LEN - 1).low().is_some()
        );
        assert_eq!(dma.read::<u64>(8192), 0);
        dma.write::<u16>(8194, 0xabcd);
        assert_eq!(dma.read::<u32>(8192), 0xabcd_0000);
        drop(dma);
        assert_eq!(machine.free_frames(), before);
        assert_eq!(Dma::new(usize::MAX / 4, Reach::Everything).err(), Some(Errno::EINVAL));
        drop((machine, cpu));
    }

    #[test]
    #[should_panic(expected = "a word at 4096")]
    fn a_word_beyond_the_end_is_refused() {
        let _machine = simulation::machine();
        let _cpu = simulation::occupy(0);
        Dma::new(1, Reach::Everything).unwrap().read::<u32>(4096);
    }
}
