//! The early window: physical memory as bytes, before the direct map exists.
//!
//! `entry.s` maps the first 4 GiB at a fixed place, Limine offers its higher-half direct map. `relocate` replaces
//! either; nothing may keep what it read here by reference.

use core::sync::atomic::{AtomicU64, Ordering};

use logic::addr::{PhysAddr, to_usize};

/// Where `entry.s` maps physical address 0.
pub(crate) const ENTRY_BASE: u64 = 0xffff_8000_0000_0000;
/// How much it maps.
const ENTRY_LIMIT: u64 = 4 << 30;

static BASE: AtomicU64 = AtomicU64::new(ENTRY_BASE);

/// Says where physical address 0 is mapped.
pub(crate) fn set(base: u64) {
    BASE.store(base, Ordering::Relaxed);
}

/// The virtual address of `address`.
pub(crate) fn pointer(address: PhysAddr) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(to_usize(BASE.load(Ordering::Relaxed) + address.get()))
}

/// Physical memory as bytes; `None` when the window does not reach it.
pub(crate) fn bytes(start: PhysAddr, len: u64) -> Option<&'static [u8]> {
    let end = start.get().checked_add(len)?;
    if end > ENTRY_LIMIT || start.get() == 0 {
        return None;
    }
    // SAFETY: the window maps the first 4 GiB readable (entry.s; Limine maps at least its own structures, and only
    // addresses it handed out are asked for). Boot runs on one CPU and writes no loader memory while it reads.
    Some(unsafe { core::slice::from_raw_parts(pointer(start), usize::try_from(len).ok()?) })
}

/// A C string in physical memory, without its NUL, cut at `limit` bytes.
pub(crate) fn c_string(start: PhysAddr, limit: u64) -> Option<&'static [u8]> {
    let whole = bytes(start, limit.min(ENTRY_LIMIT.checked_sub(start.get())?))?;
    let end = whole.iter().position(|&byte| byte == 0).unwrap_or(whole.len());
    Some(&whole[..end])
}

/// A little-endian u32 in `bytes`.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(offset..offset.checked_add(4)?)?.try_into().ok()?))
}

/// A little-endian u64 in `bytes`.
pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(offset..offset.checked_add(8)?)?.try_into().ok()?))
}
