//! Walking kernel stacks by frame pointer.
//!
//! Each function pushes RBP and makes it point there: a chain of (caller's RBP, return address). The walk reads only
//! mapped kernel addresses, so a broken chain ends it instead of faulting.

use logic::addr::{VirtAddr, to_usize};

use crate::arch;
use crate::memory;
use crate::paging::Tables;
use crate::tables::DirectTables;

/// Longest backtrace printed.
const DEPTH: usize = 48;

/// Return addresses from the frame at `frame` outwards.
pub fn walk(mut frame: u64) -> impl Iterator<Item = u64> {
    let mut left = DEPTH;
    core::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        if frame == 0
            || !frame.is_multiple_of(8)
            || !is_readable(frame)
            || !is_readable(frame.checked_add(8)?)
        {
            return None;
        }
        let words: *const [u64; 2] = core::ptr::with_exposed_provenance(to_usize(frame));
        // SAFETY: both words were just found mapped in the kernel half, and are aligned.
        let [next, address] = unsafe { words.read_volatile() };
        // Stacks grow down, so callers' frames lie above; anything else is not a chain.
        frame = if next > frame { next } else { 0 };
        (address != 0).then_some(address)
    })
}

/// The running function's frame.
#[inline(always)]
pub fn here() -> u64 {
    arch::frame_pointer()
}

/// The words at `address` upwards, as far as they are mapped kernel memory.
pub fn words(address: u64) -> impl Iterator<Item = u64> {
    (address & !7..).step_by(8).take_while(|&at| is_readable(at)).map(|at| {
        let word: *const u64 = core::ptr::with_exposed_provenance(to_usize(at));
        // SAFETY: just found mapped in the kernel half, and aligned.
        unsafe { word.read_volatile() }
    })
}

fn is_readable(address: u64) -> bool {
    // A panic may come before there are tables of our own to look in.
    if address < arch::USER_TOP || memory::kernel_root() == logic::addr::PhysAddr::ZERO {
        return false;
    }
    Tables::new(memory::kernel_root(), DirectTables).lookup(VirtAddr::new(address)).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::{self, Frame};
    use crate::simulation;

    /// A stack of one frame of RAM; `words` are (offset, value).
    fn stack(words: &[(usize, u64)]) -> (Frame, u64) {
        let mut frame = frames::allocate_zeroed().unwrap();
        for &(offset, value) in words {
            frame.bytes_mut()[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
        }
        let base = memory::direct(frame.address()).expose_provenance() as u64;
        (frame, base)
    }

    fn walked(frame: u64) -> Vec<u64> {
        walk(frame).collect()
    }

    #[test]
    fn a_chain_is_followed_to_its_end() {
        let _machine = simulation::machine();
        let (mut frame, base) = stack(&[(8, 0x111), (72, 0x222), (136, 0x333)]);
        frame.bytes_mut()[0..8].copy_from_slice(&(base + 64).to_le_bytes());
        frame.bytes_mut()[64..72].copy_from_slice(&(base + 128).to_le_bytes());
        assert_eq!(walked(base), [0x111, 0x222, 0x333]);
        assert_eq!(walked(base + 64), [0x222, 0x333]);
    }

    #[test]
    fn a_broken_chain_ends_the_walk() {
        let _machine = simulation::machine();
        let unmapped = 0xffff_c900_0000_0000;
        // To itself, to below, to nowhere, to user memory, to an odd address, beyond the canonical half.
        for next in ["self", "below", "nowhere", "user", "odd", "hole"] {
            let (mut frame, base) = stack(&[(1032, 0x111)]);
            let next = match next {
                "self" => base + 1024,
                "below" => base,
                "nowhere" => unmapped,
                "user" => 0x40_0000,
                "odd" => base + 1025,
                _ => 0x9000_0000_0000_0000,
            };
            frame.bytes_mut()[1024..1032].copy_from_slice(&next.to_le_bytes());
            assert_eq!(walked(base + 1024), [0x111], "next frame at {next:#x}");
        }
        for start in [0, 8, unmapped, u64::MAX, u64::MAX - 7, 0x40_0000] {
            assert_eq!(walked(start), [], "from {start:#x}");
        }
    }

    #[test]
    fn the_walk_is_no_longer_than_its_limit() {
        let _machine = simulation::machine();
        let (mut frame, base) = stack(&[]);
        for place in (0..4096).step_by(16) {
            let next = base + place as u64 + 16;
            frame.bytes_mut()[place..place + 8].copy_from_slice(&next.to_le_bytes());
            frame.bytes_mut()[place + 8] = 1;
        }
        assert_eq!(walked(base).len(), DEPTH);
    }
}
