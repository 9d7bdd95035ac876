//! Kernel contexts on the host: real stack switches, no user mode.
//!
//! A kernel stack exists only in the simulated page tables, where nothing can run. Each gets a second one from the
//! host's memory, kept for whoever has that place next, and larger, since test code and its panics run on it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use logic::addr::{PAGE_SIZE, VirtAddr};

pub(crate) use super::stacks::switch;
use super::{ram, stacks};
use crate::trap::Registers;

const STACK_SIZE: u64 = 256 << 10;

/// Ends of the host's stacks, by the ends of the stacks they stand for.
static STACKS: Mutex<BTreeMap<u64, VirtAddr>> = Mutex::new(BTreeMap::new());

/// Lays out a new stack so that the first switch to it calls `entry(argument)`; returns its stack pointer.
///
/// # Safety
/// `top` must be the end of an unused stack.
pub(crate) unsafe fn prepare_stack(top: VirtAddr, entry: extern "C" fn(usize) -> !, argument: usize) -> u64 {
    let mut known = STACKS.lock().unwrap_or_else(PoisonError::into_inner);
    let real = *known.entry(top.get()).or_insert_with(|| {
        VirtAddr::new(ram::reserve(STACK_SIZE, PAGE_SIZE).expose_provenance() as u64 + STACK_SIZE)
    });
    // SAFETY: the caller's promise holds for the stack that stands for `top`, which nobody else uses; it is aligned
    // to a page and longer than one.
    unsafe { stacks::prepare_stack(real, entry, argument) }
}

/// Runs user code until it traps.
///
/// # Panics
/// Always.
pub(crate) fn enter_user(_registers: &mut Registers) {
    panic!("user mode does not run on the simulated machine")
}

/// Sets the user's FS and GS bases, which no code here uses.
pub(crate) fn load_bases(_fs: u64, _gs: u64) {}

/// Bytes that `save_fpu` may write.
pub(crate) fn fpu_size() -> usize {
    512
}

/// Saves nothing: the FPU is that of the test's own code, and calls preserve none of it.
///
/// # Safety
/// None is needed; the contract has it.
pub(crate) unsafe fn save_fpu(_area: *mut u8) {}

/// Loads nothing.
///
/// # Safety
/// As `save_fpu`.
pub(crate) unsafe fn restore_fpu(_area: *const u8) {}

/// Clears an FPU area.
pub(crate) fn fresh_fpu(area: &mut [u8]) {
    area.fill(0);
}

/// No XSAVE on the simulated machine.
pub(crate) fn fpu_features() -> u64 {
    0
}

/// Nothing loads it.
pub(crate) fn sanitise_fpu(_area: &mut [u8]) {}
