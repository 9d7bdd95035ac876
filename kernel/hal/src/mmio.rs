//! Device registers in memory: mapped uncached, read and written whole.

use core::marker::PhantomData;

use abi::Result;
use logic::addr::{PhysAddr, to_usize};

use crate::paging::Protection;
use crate::vmap;

/// Maps `len` bytes of device registers for good; returns their virtual address.
///
/// # Errors
/// ENOMEM.
#[cfg_attr(not(target_os = "none"), allow(dead_code, reason = "the simulated machine has no devices"))]
pub(crate) fn map(start: PhysAddr, len: u64) -> Result<u64> {
    vmap::map_physical(start, len, Protection::DEVICE).map(|base| base.expose_provenance() as u64)
}

/// Types that registers have.
pub trait Register: Copy {}
impl Register for u8 {}
impl Register for u16 {}
impl Register for u32 {}
impl Register for u64 {}

/// One register.
#[derive(Clone, Copy, Debug)]
pub struct Mmio<T> {
    address: usize,
    width: PhantomData<T>,
}

impl<T: Register> Mmio<T> {
    /// The register `offset` bytes into an area that `map` returned.
    #[inline(always)]
    #[cfg_attr(not(target_os = "none"), allow(dead_code, reason = "the simulated machine has no devices"))]
    pub(crate) fn at(base: u64, offset: u64) -> Self {
        Mmio { address: to_usize(base + offset), width: PhantomData }
    }

    /// Reads it.
    #[inline(always)]
    pub fn read(self) -> T {
        // SAFETY: registers are made only inside areas mapped by `map`, which stay mapped.
        unsafe { core::ptr::with_exposed_provenance::<T>(self.address).read_volatile() }
    }

    /// Writes it.
    #[inline(always)]
    pub fn write(self, value: T) {
        // SAFETY: as in `read`.
        unsafe { core::ptr::with_exposed_provenance_mut::<T>(self.address).write_volatile(value) }
    }
}
