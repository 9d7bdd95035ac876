//! Touching user memory: the only instructions of the kernel that may fault.
//!
//! Between STAC and CLAC, where the CPU has SMAP; the fault handler sends a fault at one of these instructions to its
//! exit (`traps.rs`). Callers (hal::usermem) checked that the range lies in the user half.

use core::arch::asm;

use super::cpu::{Feature, has};

unsafe extern "C" {
    fn copy_user(to: *mut u8, from: *const u8, len: usize) -> usize;
    fn zero_user(to: *mut u8, len: usize) -> usize;
    fn compare_exchange_user(address: *mut u32, expected: u32, new: u32, found: *mut u32) -> u32;
}

/// User access allowed while alive.
struct Access;

impl Access {
    fn begin() -> Self {
        if has(Feature::Smap) {
            // SAFETY: the CPU has SMAP, so it has STAC; `drop` takes the permission back.
            unsafe { asm!("stac", options(nomem, nostack)) };
        }
        Access
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        if has(Feature::Smap) {
            // SAFETY: as in `begin`.
            unsafe { asm!("clac", options(nomem, nostack)) };
        }
    }
}

/// Copies from user memory; says how many bytes it could not.
pub(crate) fn copy_in(to: &mut [u8], from: u64) -> usize {
    let _access = Access::begin();
    // SAFETY: `to` is ours; faults at the user side end the copy.
    unsafe { copy_user(to.as_mut_ptr(), from as *const u8, to.len()) }
}

/// Copies to user memory; says how many bytes it could not.
pub(crate) fn copy_out(to: u64, from: &[u8]) -> usize {
    let _access = Access::begin();
    // SAFETY: `from` is ours; `to` was checked to lie in the user half, so no kernel memory is written.
    unsafe { copy_user(to as *mut u8, from.as_ptr(), from.len()) }
}

/// Copies from user memory to a page that others may use too; says how many bytes it could not.
///
/// # Safety
/// `to` must be `len` bytes of a frame that is owned.
pub(crate) unsafe fn copy_in_raw(to: *mut u8, from: u64, len: usize) -> usize {
    let _access = Access::begin();
    // SAFETY: the caller's promise; faults at the user side end the copy.
    unsafe { copy_user(to, from as *const u8, len) }
}

/// Copies from such a page to user memory; says how many bytes it could not.
///
/// # Safety
/// As `copy_in_raw`.
pub(crate) unsafe fn copy_out_raw(to: u64, from: *const u8, len: usize) -> usize {
    let _access = Access::begin();
    // SAFETY: the caller's promise; `to` was checked to lie in the user half.
    unsafe { copy_user(to as *mut u8, from, len) }
}

/// Copies between kernel memory of which others may use a part at the same time: in assembly, so that the compiler
/// takes nothing for granted.
///
/// # Safety
/// Both ranges must be owned or shared memory that stays for the call.
pub(crate) unsafe fn copy_shared(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: the caller's promise: nothing faults.
    unsafe { copy_user(to, from, len) };
}

/// Clears user memory; says how many bytes it could not.
pub(crate) fn zero(to: u64, len: usize) -> usize {
    let _access = Access::begin();
    // SAFETY: as in `copy_out`.
    unsafe { zero_user(to as *mut u8, len) }
}

/// Atomic compare and exchange of a user word; `None` for a fault, else what was found.
pub(crate) fn compare_exchange(address: u64, expected: u32, new: u32) -> Option<u32> {
    let mut found = 0;
    let _access = Access::begin();
    // SAFETY: the address was checked to lie in the user half, aligned; `found` is ours.
    let fault = unsafe { compare_exchange_user(address as *mut u32, expected, new, &raw mut found) };
    (fault == 0).then_some(found)
}
