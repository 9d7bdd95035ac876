//! Device registers in memory: mapped uncached, read and written whole.
//!
//! A driver claims a range once, as a [`Window`], and gets registers inside it. RAM, the CPUs' interrupt controllers and
//! whatever hal or another driver has cannot be claimed. Lock: rank `Table`, around the list of claims.

use core::marker::PhantomData;

use abi::{Errno, Result};
use logic::addr::{PhysAddr, to_usize};
use logic::memmap::MemoryMap;

use crate::paging::Protection;
use crate::rank;
use crate::spin::{Lock, Once};
use crate::vmap;

const MAX_CLAIMS: usize = 128;
/// Where interrupt messages go: whoever writes there interrupts with whatever vector he likes.
const INTERRUPT_MESSAGES: Range = Range { start: 0xfee0_0000, end: 0xfef0_0000 };

/// Bytes of physical memory; `end` is the first byte after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Range {
    start: u64,
    end: u64,
}

impl Range {
    const fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

static CLAIMS: Lock<[Option<Range>; MAX_CLAIMS], rank::Table> = Lock::new([None; MAX_CLAIMS]);
static RAM: Once<MemoryMap> = Once::new();

/// Says what is RAM; before anything is claimed.
pub(crate) fn set_ram(map: &MemoryMap) {
    RAM.call_once(|| map.clone());
}

fn note(range: Range) -> Result<()> {
    *CLAIMS.lock().iter_mut().find(|claim| claim.is_none()).ok_or(Errno::ENOSPC)? = Some(range);
    Ok(())
}

/// Maps `len` bytes of device registers for good, for hal itself; returns their virtual address.
///
/// # Errors
/// ENOMEM; ENOSPC.
#[cfg_attr(not(target_os = "none"), allow(dead_code, reason = "the simulated machine has no devices"))]
pub(crate) fn map(start: PhysAddr, len: u64) -> Result<u64> {
    let end = start.get().checked_add(len).ok_or(Errno::EINVAL)?;
    note(Range { start: start.get(), end })?;
    vmap::map_physical(start, len, Protection::DEVICE).map(|base| base.expose_provenance() as u64)
}

/// Maps registers that only hal may have, inside what a driver may have claimed otherwise.
///
/// # Errors
/// EPERM if RAM is there; ENOMEM.
pub(crate) fn map_table(start: PhysAddr, len: u64) -> Result<u64> {
    let end = start.get().checked_add(len).ok_or(Errno::EINVAL)?;
    let range = Range { start: start.get(), end };
    if is_memory(range)? {
        return Err(Errno::EPERM);
    }
    vmap::map_physical(start, len, Protection::DEVICE).map(|base| base.expose_provenance() as u64)
}

/// Whether RAM or an interrupt controller is there. Where RAM is not known nothing can be said to be none.
fn is_memory(range: Range) -> Result<bool> {
    let ram = RAM.get().ok_or(Errno::EPERM)?;
    let mut regions = ram.ram().map(|region| Range { start: region.start.get(), end: region.end.get() });
    Ok(regions.any(|region| range.overlaps(region)) || range.overlaps(INTERRUPT_MESSAGES))
}

/// Registers of one device.
#[derive(Debug)]
pub struct Window {
    base: u64,
    len: u64,
    /// What hal keeps for itself in the middle: offsets from and to.
    hidden: (u64, u64),
}

/// Claims and maps `len` bytes of registers from `start` on, for good.
///
/// # Errors
/// EINVAL if there is no such range; EPERM if RAM or an interrupt controller is there; EBUSY if somebody has a part of it;
/// ENOMEM; ENOSPC if there were too many claims.
pub fn claim(start: PhysAddr, len: u64) -> Result<Window> {
    claim_with_hole(start, len, (0, 0))
}

/// The same, but for the offsets from and to `hidden`.
pub(crate) fn claim_with_hole(start: PhysAddr, len: u64, hidden: (u64, u64)) -> Result<Window> {
    let base = claim_as(start, len, Protection::DEVICE)?;
    Ok(Window { base, len, hidden })
}

/// Claims and maps a range; returns its virtual address.
///
/// # Errors
/// As `claim`.
pub(crate) fn claim_as(start: PhysAddr, len: u64, protection: Protection) -> Result<u64> {
    let end = start.get().checked_add(len).filter(|_| len > 0).ok_or(Errno::EINVAL)?;
    let range = Range { start: start.get(), end };
    if is_memory(range)? {
        return Err(Errno::EPERM);
    }
    {
        let mut claims = CLAIMS.lock();
        if claims.iter().flatten().any(|&other| range.overlaps(other)) {
            return Err(Errno::EBUSY);
        }
        *claims.iter_mut().find(|claim| claim.is_none()).ok_or(Errno::ENOSPC)? = Some(range);
    }
    vmap::map_physical(start, len, protection).map(|base| base.expose_provenance() as u64)
}

impl Window {
    /// Bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Never.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The register `offset` bytes into the window.
    ///
    /// # Errors
    /// EINVAL if it does not lie in it, or not at a multiple of its size; EPERM if hal keeps it.
    pub fn register<T: Register>(&self, offset: u64) -> Result<Mmio<T>> {
        let size = size_of::<T>() as u64;
        let end = offset.checked_add(size).ok_or(Errno::EINVAL)?;
        if end > self.len || !(self.base + offset).is_multiple_of(size) {
            return Err(Errno::EINVAL);
        }
        if offset < self.hidden.1 && end > self.hidden.0 {
            return Err(Errno::EPERM);
        }
        Ok(Mmio::at(self.base, offset))
    }
}

/// Types that registers have.
pub trait Register: Copy + sealed::Sealed {}

mod sealed {
    pub trait Sealed {}
}

macro_rules! registers {
    ($($type:ty)*) => {
        $(
            impl sealed::Sealed for $type {}
            impl Register for $type {}
        )*
    };
}

registers! { u8 u16 u32 u64 }

/// One register.
#[derive(Clone, Copy, Debug)]
pub struct Mmio<T> {
    address: usize,
    width: PhantomData<T>,
}

impl<T: Register> Mmio<T> {
    /// The register `offset` bytes into an area that `map` returned.
    #[inline(always)]
    pub(crate) fn at(base: u64, offset: u64) -> Self {
        Mmio { address: to_usize(base + offset), width: PhantomData }
    }

    /// Reads it.
    #[inline(always)]
    pub fn read(self) -> T {
        // SAFETY: registers are made only inside areas mapped by `map` or `claim`, which stay mapped; `claim` sees to it
        // that no memory is there.
        unsafe { core::ptr::with_exposed_provenance::<T>(self.address).read_volatile() }
    }

    /// Writes it.
    #[inline(always)]
    pub fn write(self, value: T) {
        // SAFETY: as in `read`.
        unsafe { core::ptr::with_exposed_provenance_mut::<T>(self.address).write_volatile(value) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation;

    #[test]
    fn windows_overlap_neither_memory_nor_one_another() {
        let machine = simulation::machine();
        let cpu = simulation::occupy(0);
        let claim = |start, len| claim(PhysAddr::new(start), len);
        assert_eq!(claim(4 << 30, 4096).err(), Some(Errno::EPERM), "RAM");
        assert_eq!(claim(0xfee0_0000, 4).err(), Some(Errno::EPERM), "interrupt messages");
        assert_eq!(claim(0xe000_0000, 0).err(), Some(Errno::EINVAL));
        assert_eq!(claim(u64::MAX, 2).err(), Some(Errno::EINVAL));
        let window = claim(0xe000_0000, 0x1000).unwrap();
        assert_eq!(claim(0xe000_0ff0, 0x20).err(), Some(Errno::EBUSY));
        assert!(claim(0xe000_1000, 0x10).is_ok());
        assert!(window.register::<u32>(0xffc).is_ok());
        assert_eq!(window.register::<u64>(0xffc).err(), Some(Errno::EINVAL));
        assert_eq!(window.register::<u32>(2).err(), Some(Errno::EINVAL));
        let window = claim_with_hole(PhysAddr::new(0xe100_0000), 0x1000, (0x100, 0x200)).unwrap();
        assert_eq!(window.register::<u32>(0x1fc).err(), Some(Errno::EPERM));
        assert!(window.register::<u32>(0x200).is_ok() && window.register::<u32>(0xfc).is_ok());
        drop((machine, cpu));
    }
}
