//! Walking kernel stacks by frame pointer.
//!
//! Each function pushes RBP and makes it point there: a chain of (caller's RBP, return address). The walk reads only
//! mapped kernel addresses, so a broken chain ends it instead of faulting.

use logic::addr::VirtAddr;

use crate::arch;
use crate::memory::{self, DirectTables};
use crate::paging::Tables;

/// Longest backtrace printed.
const DEPTH: usize = 48;

/// Return addresses from the frame at `frame` outwards.
pub fn walk(mut frame: u64) -> impl Iterator<Item = u64> {
    let mut left = DEPTH;
    core::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        if frame == 0 || frame % 8 != 0 || !is_readable(frame) || !is_readable(frame.checked_add(8)?) {
            return None;
        }
        let words: *const [u64; 2] = core::ptr::with_exposed_provenance(frame as usize);
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
        let word: *const u64 = core::ptr::with_exposed_provenance(at as usize);
        // SAFETY: just found mapped in the kernel half, and aligned.
        unsafe { word.read_volatile() }
    })
}

fn is_readable(address: u64) -> bool {
    if address < arch::USER_TOP {
        return false;
    }
    Tables::new(memory::kernel_root(), DirectTables).lookup(VirtAddr::new(address)).is_some()
}
