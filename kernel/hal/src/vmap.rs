//! Kernel mappings outside the direct map: stacks with guard pages, and device registers.
//!
//! The mappings area is cut in two: device registers from its start, never unmapped; stacks above, in slots of
//! [`SLOT_PAGES`] pages whose lower half stays unmapped, so that an overflow faults instead of overwriting a
//! neighbour. Freed stacks wait, mapped, for the next thread; only `trim` unmaps them and pays for the TLB shootdown.
//! Lock: rank `KernelMap`.

use abi::{Errno, Result};
use alloc::vec::Vec;
use logic::addr::{PAGE_SIZE, PhysAddr, VirtAddr, align_down, to_usize};

use crate::frames;
use crate::lock_ranks;
use crate::memory;
use crate::paging::{PageSize, Protection};
use crate::rank;
use crate::spin::Lock;
use crate::tables;
use crate::tlb;

/// Pages of a kernel stack. Unoptimised code keeps every intermediate value, and needs twice as much.
pub const STACK_PAGES: u64 = if cfg!(debug_assertions) { 8 } else { 4 };
/// Pages from one stack to the next; what is not stack is guard.
const SLOT_PAGES: u64 = 2 * STACK_PAGES;
const SLOT_SIZE: u64 = SLOT_PAGES * PAGE_SIZE;
const DEVICES_LEN: u64 = 16 << 30;
/// Free stacks kept mapped.
const KEPT: usize = 64;

struct Slots {
    /// Next slot never used.
    fresh: u64,
    /// Slots without a mapping.
    unmapped: Vec<u64>,
    /// Slots with a stack nobody uses.
    mapped: Vec<u64>,
    next_device: u64,
}

static SLOTS: Lock<Slots, rank::KernelMap> =
    Lock::new(Slots { fresh: 0, unmapped: Vec::new(), mapped: Vec::new(), next_device: 0 });

/// A kernel stack, returned when dropped.
#[derive(Debug)]
pub struct KernelStack {
    slot: u64,
}

fn bottom(slot: u64) -> u64 {
    memory::mappings_base() + DEVICES_LEN + (slot + 1) * SLOT_SIZE - STACK_PAGES * PAGE_SIZE
}

impl KernelStack {
    /// A mapped stack.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new() -> Result<Self> {
        let slot = {
            let mut slots = SLOTS.lock();
            if let Some(slot) = slots.mapped.pop() {
                return Ok(KernelStack { slot });
            }
            slots.unmapped.pop()
        };
        let slot = match slot {
            Some(slot) => slot,
            None => fresh_slot()?,
        };
        // From here on the slot returns itself, mapped or half mapped.
        let stack = KernelStack { slot };
        match map_stack(slot) {
            Ok(()) => Ok(stack),
            Err(error) => {
                core::mem::forget(stack);
                unmap_stack(slot);
                Err(error)
            }
        }
    }

    /// The end of the stack, where it starts.
    pub fn top(&self) -> VirtAddr {
        VirtAddr::new(bottom(self.slot) + STACK_PAGES * PAGE_SIZE)
    }
}

/// A slot never used. The list of unmapped slots has room for it when it comes back: a slot that was lost would take its
/// page tables along.
fn fresh_slot() -> Result<u64> {
    let limit = (memory::MAPPINGS_LEN - DEVICES_LEN) / SLOT_SIZE;
    loop {
        let wanted = {
            let mut slots = SLOTS.lock();
            if slots.fresh >= limit {
                return Err(Errno::ENOMEM);
            }
            if to_usize(slots.fresh) < slots.unmapped.capacity() {
                slots.fresh += 1;
                return Ok(slots.fresh - 1);
            }
            to_usize(slots.fresh + 1).next_power_of_two()
        };
        // Allocated and freed while no lock is held.
        let mut larger = Vec::new();
        larger.try_reserve_exact(wanted).map_err(|_| Errno::ENOMEM)?;
        let mut slots = SLOTS.lock();
        if larger.capacity() > slots.unmapped.capacity() {
            larger.append(&mut slots.unmapped);
            core::mem::swap(&mut slots.unmapped, &mut larger);
        }
        drop(slots);
    }
}

fn map_stack(slot: u64) -> Result<()> {
    for page in 0..STACK_PAGES {
        let frame = frames::allocate_zeroed().ok_or(Errno::ENOMEM)?;
        let address = VirtAddr::new(bottom(slot) + page * PAGE_SIZE);
        tables::with_kernel_tables(|tables| {
            tables.map(address, frame.address(), PageSize::Small, Protection::KERNEL_DATA)
        })?;
        // The mapping owns it now; `unmap_stack` takes it back.
        frame.into_raw();
    }
    Ok(())
}

/// Unmaps what is mapped of a stack and frees it; the slot can be used again.
fn unmap_stack(slot: u64) {
    let mut removed = [None; to_usize(STACK_PAGES)];
    for (page, removed) in removed.iter_mut().enumerate() {
        let address = VirtAddr::new(bottom(slot) + page as u64 * PAGE_SIZE);
        *removed = tables::with_kernel_tables(|tables| tables.unmap(address));
    }
    // Only when no CPU can write through an old translation may the frames be used again.
    tlb::flush_kernel(VirtAddr::new(bottom(slot)), STACK_PAGES);
    for mapping in removed.into_iter().flatten() {
        drop(frames::Frame::from_raw(mapping.frame));
    }
    let mut slots = SLOTS.lock();
    if slots.unmapped.len() < slots.unmapped.capacity() {
        slots.unmapped.push(slot);
    }
    // There is room: `fresh_slot` made it.
}

impl Drop for KernelStack {
    fn drop(&mut self) {
        debug_assert!(
            !lock_ranks::any_held(),
            "a stack was freed under a spin lock; that may ask all CPUs to flush"
        );
        // Room is made while no lock is held, so that `push` below never allocates under it.
        let mut slots = SLOTS.lock();
        if slots.mapped.len() < slots.mapped.capacity() && slots.mapped.len() < KEPT {
            slots.mapped.push(self.slot);
            return;
        }
        drop(slots);
        unmap_stack(self.slot);
    }
}

/// Makes room in the free lists; boot calls it once the heap works.
///
/// # Errors
/// ENOMEM.
pub fn init() -> Result<()> {
    let (mut unmapped, mut mapped) = (Vec::new(), Vec::new());
    mapped.try_reserve_exact(KEPT).map_err(|_| Errno::ENOMEM)?;
    unmapped.try_reserve_exact(512).map_err(|_| Errno::ENOMEM)?;
    let mut slots = SLOTS.lock();
    slots.mapped = mapped;
    slots.unmapped = unmapped;
    Ok(())
}

/// Unmaps the stacks that wait for a thread: for memory pressure, and before frames are counted.
pub fn trim() {
    loop {
        let Some(slot) = SLOTS.lock().mapped.pop() else { return };
        unmap_stack(slot);
    }
}

/// Maps device registers, or firmware tables with `Protection::KERNEL_RODATA`, for good.
///
/// # Errors
/// ENOMEM.
#[cfg_attr(not(target_os = "none"), allow(dead_code, reason = "the simulated machine has no devices"))]
pub(crate) fn map_physical(start: PhysAddr, len: u64, protection: Protection) -> Result<*mut u8> {
    let first = align_down(start.get(), PAGE_SIZE);
    let offset = start.get() - first;
    let pages = len.checked_add(offset).ok_or(Errno::EINVAL)?.div_ceil(PAGE_SIZE);
    let base = {
        let mut slots = SLOTS.lock();
        if pages > (DEVICES_LEN / PAGE_SIZE).saturating_sub(slots.next_device) {
            return Err(Errno::ENOMEM);
        }
        let base = memory::mappings_base() + slots.next_device * PAGE_SIZE;
        slots.next_device += pages;
        base
    };
    for page in (0..pages).map(|page| page * PAGE_SIZE) {
        tables::with_kernel_tables(|tables| {
            tables.map(VirtAddr::new(base + page), PhysAddr::new(first + page), PageSize::Small, protection)
        })?;
    }
    Ok(core::ptr::with_exposed_provenance_mut(to_usize(base + offset)))
}

#[cfg(test)]
mod tests;
