//! Simulated RAM: one allocation that lies across 4 GiB in physical addresses.
//!
//! So there are two zones, fallback between them is exercised, and an address cut to 32 bits hits nothing.

use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};

use logic::addr::PhysAddr;
use logic::memmap::{MapError, MemoryKind, MemoryMap};

use crate::memory;

const FOUR_GIB: u64 = 4 << 30;
const BLOCK: u64 = 4 << 20;
const START: u64 = FOUR_GIB - (24 << 20);
const END: u64 = FOUR_GIB + (40 << 20);

/// Zeroed memory of the host, for ever.
///
/// # Panics
/// If the host has none.
pub(super) fn reserve(len: u64, align: u64) -> *mut u8 {
    let layout = usize::try_from(len).ok().zip(usize::try_from(align).ok());
    let Some(layout) = layout.and_then(|(len, align)| Layout::from_size_align(len, align).ok()) else {
        panic!("the simulation asked for {len} bytes aligned to {align}")
    };
    assert!(layout.size() != 0, "an allocation of nothing");
    // SAFETY: the size was just found not to be zero.
    let start = unsafe { alloc_zeroed(layout) };
    if start.is_null() { handle_alloc_error(layout) } else { start }
}

/// Makes RAM and puts the direct map over it; returns the memory map that firmware would hand over.
///
/// # Errors
/// None that can happen: the map has room.
pub(super) fn init() -> Result<MemoryMap, MapError> {
    // As aligned as the largest block: then so is the direct map, here as on the machine.
    let start = reserve(END - START, BLOCK);
    memory::set_direct_base((start.expose_provenance() as u64).wrapping_sub(START));
    let mut map = MemoryMap::new();
    map.push(PhysAddr::new(START), PhysAddr::new(END), MemoryKind::Usable)?;
    Ok(map)
}
