//! Copies between kernel and user memory.
//!
//! The one place where the kernel touches user addresses: the range is checked to lie in the user half, the access
//! runs in instructions whose faults are caught, and SMAP forbids every other. May sleep in a page fault, so no spin
//! lock is held across it; debug builds panic.

use alloc::vec::Vec;

use abi::{Errno, Result};
use logic::addr::{PAGE_LEN, PAGE_SIZE, to_usize};

use crate::arch;
use crate::frames::SharedFrame;
use crate::lock_ranks;

/// Plain data: any bit pattern is a value, and there is no padding that would leak kernel memory.
///
/// # Safety
/// Both must hold.
pub unsafe trait Plain: Copy {}

macro_rules! plain {
    ($($type:ty),*) => {$(
        // SAFETY: an integer has no padding and every pattern is a number.
        unsafe impl Plain for $type {}
    )*};
}

plain!(u8, i8, u16, i16, u32, i32, u64, i64, usize, isize);

// SAFETY: two words of 64 bits in C's layout: no padding, and every pattern is a number.
unsafe impl Plain for abi::time::Timespec {}
// SAFETY: as above.
unsafe impl Plain for abi::time::Timeval {}

// SAFETY: arrays have no padding between or behind their elements.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

fn check(address: u64, len: usize) -> Result<()> {
    debug_assert!(!lock_ranks::any_held(), "user memory was touched under a spin lock");
    let len = u64::try_from(len).map_err(|_| Errno::EFAULT)?;
    match address.checked_add(len) {
        Some(end) if end <= arch::USER_TOP => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}

/// Fills `to` from user memory.
///
/// # Errors
/// EFAULT if any byte cannot be read; `to` is then partly written.
pub fn read_bytes(to: &mut [u8], from: u64) -> Result<()> {
    check(from, to.len())?;
    if arch::usercopy::copy_in(to, from) == 0 { Ok(()) } else { Err(Errno::EFAULT) }
}

/// Copies `from` to user memory.
///
/// # Errors
/// EFAULT if any byte cannot be written; those before it are.
pub fn write_bytes(to: u64, from: &[u8]) -> Result<()> {
    check(to, from.len())?;
    if arch::usercopy::copy_out(to, from) == 0 { Ok(()) } else { Err(Errno::EFAULT) }
}

/// Copies from user memory to `page`; says how many bytes came before one that cannot be read.
///
/// # Errors
/// EFAULT if the range is not in the user half.
pub fn read_to_page(page: &SharedFrame, offset: usize, from: u64, len: usize) -> Result<usize> {
    check(from, len)?;
    let len = len.min(PAGE_LEN.saturating_sub(offset));
    // SAFETY: within the frame, of which `page` is an owner.
    let left = unsafe { arch::usercopy::copy_in_raw(page.pointer().wrapping_add(offset), from, len) };
    Ok(len - left)
}

/// Copies from `page` to user memory; says how many bytes came before one that cannot be written.
///
/// # Errors
/// EFAULT if the range is not in the user half.
pub fn write_from_page(to: u64, page: &SharedFrame, offset: usize, len: usize) -> Result<usize> {
    check(to, len)?;
    let len = len.min(PAGE_LEN.saturating_sub(offset));
    // SAFETY: as in `read_to_page`.
    let left = unsafe { arch::usercopy::copy_out_raw(to, page.pointer().wrapping_add(offset), len) };
    Ok(len - left)
}

/// Appends the bytes of a string in user memory to `to`, without its NUL.
///
/// # Errors
/// EFAULT if it cannot be read up to its end, ENAMETOOLONG if there is no NUL among the first `limit` bytes, ENOMEM.
pub fn read_string(to: &mut Vec<u8>, from: u64, limit: usize) -> Result<()> {
    const PIECE: usize = 256;
    let mut done = 0;
    while done < limit {
        let at = from.checked_add(done as u64).ok_or(Errno::EFAULT)?;
        // A piece never goes into the next page, which may be missing when the string ends before.
        let in_page = to_usize(PAGE_SIZE - at % PAGE_SIZE);
        let mut piece = [0; PIECE];
        let piece = &mut piece[..in_page.min(PIECE).min(limit - done)];
        read_bytes(piece, at)?;
        let end = piece.iter().position(|&byte| byte == 0);
        let text = &piece[..end.unwrap_or(piece.len())];
        to.try_reserve(text.len()).map_err(|_| Errno::ENOMEM)?;
        to.extend_from_slice(text);
        if end.is_some() {
            return Ok(());
        }
        done += piece.len();
    }
    Err(Errno::ENAMETOOLONG)
}

/// Clears user memory.
///
/// # Errors
/// EFAULT, as `write_bytes`.
pub fn zero_bytes(to: u64, len: usize) -> Result<()> {
    check(to, len)?;
    if arch::usercopy::zero(to, len) == 0 { Ok(()) } else { Err(Errno::EFAULT) }
}

/// Reads a value.
///
/// # Errors
/// EFAULT.
pub fn read<T: Plain>(from: u64) -> Result<T> {
    let mut value = core::mem::MaybeUninit::<T>::zeroed();
    // SAFETY: `value` is `size_of::<T>()` bytes, zeroed, so they are initialised.
    let bytes = unsafe { core::slice::from_raw_parts_mut(value.as_mut_ptr().cast::<u8>(), size_of::<T>()) };
    read_bytes(bytes, from)?;
    // SAFETY: `Plain`: any pattern is a value.
    Ok(unsafe { value.assume_init() })
}

/// Writes a value.
///
/// # Errors
/// EFAULT.
pub fn write<T: Plain>(to: u64, value: &T) -> Result<()> {
    // SAFETY: `Plain`: all bytes are initialised.
    let bytes = unsafe { core::slice::from_raw_parts((&raw const *value).cast::<u8>(), size_of::<T>()) };
    write_bytes(to, bytes)
}

/// Atomic compare and exchange of an aligned user word; returns what was found.
///
/// # Errors
/// EINVAL if it is not aligned, else EFAULT if it cannot be written: the order of futex(2).
pub fn compare_exchange(address: u64, expected: u32, new: u32) -> Result<u32> {
    if !address.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    check(address, 4)?;
    arch::usercopy::compare_exchange(address, expected, new).ok_or(Errno::EFAULT)
}

#[cfg(test)]
mod tests;
