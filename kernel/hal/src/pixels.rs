//! The memory of a display: written whole pixels at a time, combined into bursts by the CPU.
//!
//! A driver claims it once, as registers are claimed ([`crate::mmio`]): neither RAM nor anybody else's device. Every access
//! is checked against the length that was claimed, whatever the device said of its size.

use abi::{Errno, Result};
use logic::addr::{PhysAddr, to_usize};

use crate::mmio;
use crate::paging::Protection;

/// Memory of a display.
#[derive(Debug)]
pub struct Pixels {
    /// Where it is mapped, for good; a multiple of four.
    base: usize,
    /// Whole pixels in it.
    count: usize,
}

/// Claims and maps `len` bytes of a display's memory, for good.
///
/// # Errors
/// EINVAL if it does not start at a multiple of four; what `mmio::claim` says.
pub fn claim(start: PhysAddr, len: u64) -> Result<Pixels> {
    if !start.get().is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    let base = mmio::claim_as(start, len, Protection::DISPLAY)?;
    Ok(Pixels { base: to_usize(base), count: to_usize(len / 4) })
}

impl Pixels {
    /// Pixels there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Writes pixels from number `first` on; what lies behind the end is not written.
    pub fn write(&self, first: usize, pixels: &[u32]) {
        let room = self.count.saturating_sub(first);
        for (place, &pixel) in pixels.iter().take(room).enumerate() {
            let address = self.base + (first + place) * 4;
            // SAFETY: `first + place < count` by `take`, and `claim` mapped that much, where no RAM is and which nobody else
            // has; aligned, because base is. No reference to this memory exists anywhere.
            unsafe { core::ptr::with_exposed_provenance_mut::<u32>(address).write_volatile(pixel) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation;

    #[test]
    fn memory_and_odd_places_are_no_display() {
        let machine = simulation::machine();
        let cpu = simulation::occupy(0);
        assert_eq!(claim(PhysAddr::new(4 << 30), 4096).err(), Some(Errno::EPERM), "RAM");
        assert_eq!(claim(PhysAddr::new(0xd000_0002), 4096).err(), Some(Errno::EINVAL));
        let pixels = claim(PhysAddr::new(0xd000_0000), 4098).unwrap();
        assert_eq!(pixels.len(), 1024);
        assert_eq!(claim(PhysAddr::new(0xd000_0800), 4).err(), Some(Errno::EBUSY));
        // Nothing is there that could be written.
        pixels.write(1024, &[1; 8]);
        pixels.write(usize::MAX, &[1; 8]);
        drop((machine, cpu));
    }
}
