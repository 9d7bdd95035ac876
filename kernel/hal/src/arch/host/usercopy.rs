//! User memory, as the running CPU's page tables show it.
//!
//! Each page is looked up as the CPU would, and a page that is missing or forbids the access goes to the fault handler
//! first, as on the machine. Callers (hal::usermem) checked that the range lies in the user half.

use core::ops::Range;
use core::sync::atomic::{AtomicU32, Ordering};

use logic::addr::{PAGE_SIZE, PhysAddr, VirtAddr};

use super::paging;
use crate::memory;
use crate::paging::Tables;
use crate::tables::DirectTables;
use crate::trap::{self, Registers};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// Copies from user memory; says how many bytes it could not.
pub(crate) fn copy_in(to: &mut [u8], from: u64) -> usize {
    for_each_piece(from, to.len(), Access::Read, |user, piece| {
        let to = &mut to[piece];
        // SAFETY: `user` is that many bytes of a mapped frame of simulated RAM, which kernel buffers are not part of.
        unsafe { user.copy_to_nonoverlapping(to.as_mut_ptr(), to.len()) };
    })
}

/// Copies to user memory; says how many bytes it could not.
pub(crate) fn copy_out(to: u64, from: &[u8]) -> usize {
    for_each_piece(to, from.len(), Access::Write, |user, piece| {
        let from = &from[piece];
        // SAFETY: as in `copy_in`.
        unsafe { user.copy_from_nonoverlapping(from.as_ptr(), from.len()) };
    })
}

/// Copies from user memory to a page; says how many bytes it could not.
///
/// # Safety
/// `to` must be `len` bytes of a frame that is owned.
pub(crate) unsafe fn copy_in_raw(to: *mut u8, from: u64, len: usize) -> usize {
    for_each_piece(from, len, Access::Read, |user, piece| {
        // SAFETY: two frames of simulated RAM, or the same one with both ranges inside it.
        unsafe { user.copy_to(to.wrapping_add(piece.start), piece.len()) };
    })
}

/// Copies from a page to user memory; says how many bytes it could not.
///
/// # Safety
/// As `copy_in_raw`.
pub(crate) unsafe fn copy_out_raw(to: u64, from: *const u8, len: usize) -> usize {
    for_each_piece(to, len, Access::Write, |user, piece| {
        // SAFETY: as in `copy_in_raw`.
        unsafe { user.copy_from(from.wrapping_add(piece.start), piece.len()) };
    })
}

/// Copies between kernel memory.
///
/// # Safety
/// Both ranges must be owned or shared memory that stays for the call.
pub(crate) unsafe fn copy_shared(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: the caller's promise.
    unsafe { to.copy_from(from, len) };
}

/// Clears user memory; says how many bytes it could not.
pub(crate) fn zero(to: u64, len: usize) -> usize {
    // SAFETY: as in `copy_in`.
    for_each_piece(to, len, Access::Write, |user, piece| unsafe { user.write_bytes(0, piece.len()) })
}

/// Atomic compare and exchange of a user word; `None` for a fault, else what was found.
pub(crate) fn compare_exchange(address: u64, expected: u32, new: u32) -> Option<u32> {
    let word: *mut u32 = resolve(address, Access::Write)?.cast();
    // SAFETY: a mapped frame of simulated RAM, and the word is aligned, so it lies in one page.
    let word = unsafe { AtomicU32::from_ptr(word) };
    let found = word.compare_exchange(expected, new, Ordering::SeqCst, Ordering::SeqCst);
    Some(found.unwrap_or_else(|other| other))
}

/// Calls `work` with each run of bytes that lies in one page, until one faults; says how many bytes are left.
fn for_each_piece(
    address: u64,
    len: usize,
    access: Access,
    mut work: impl FnMut(*mut u8, Range<usize>),
) -> usize {
    let mut done = 0;
    while done < len {
        let at = address + done as u64;
        let Some(user) = resolve(at, access) else { break };
        let in_page = usize::try_from(PAGE_SIZE - at % PAGE_SIZE).map_or(len, |left| left.min(len - done));
        work(user, done..done + in_page);
        done += in_page;
    }
    len - done
}

/// Where the byte at user address `address` is in the host's memory.
fn resolve(address: u64, access: Access) -> Option<*mut u8> {
    const ERROR_PRESENT: u64 = 1;
    const ERROR_WRITE: u64 = 1 << 1;
    const RFLAGS_IF: u64 = 1 << 9;
    let wants_write = access == Access::Write;
    loop {
        let root = paging::current_root();
        let found = (root != PhysAddr::ZERO)
            .then(|| Tables::new(root, DirectTables).lookup(VirtAddr::new(address)))
            .flatten();
        if let Some(mapping) = found
            && mapping.protection.is_user()
            && mapping.protection.is_readable()
            && (mapping.protection.is_writable() || !wants_write)
        {
            let offset = address % mapping.size.bytes();
            return Some(memory::direct(PhysAddr::new(mapping.frame.get() + offset)));
        }
        let error =
            if found.is_some() { ERROR_PRESENT } else { 0 } | if wants_write { ERROR_WRITE } else { 0 };
        let registers = Registers { error, rflags: RFLAGS_IF, ..Registers::default() };
        if !trap::resolve_user_fault(&registers, address) {
            return None;
        }
    }
}
