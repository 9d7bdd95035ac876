//! The kernel's own address space: where things are, and the direct map.
//!
//! | area | what | base |
//! |---|---|---|
//! | direct map | all RAM, never executable | random, from `0xffff_8880_0000_0000` |
//! | mappings | stacks, device registers | random, from `0xffff_c900_0000_0000` |
//! | image | text, constants, data | random slide above `0xffff_ffff_8000_0000` |
//!
//! The top-level entries of all three exist from boot on, so every address space shares them by copying its root.
//! Changes below go through `tables::with_kernel_tables`.

use core::sync::atomic::{AtomicU64, Ordering};

use logic::addr::{PAGE_SIZE, PhysAddr, VirtAddr, to_usize};

const DIRECT_LOWEST: u64 = 0xffff_8880_0000_0000;
/// The direct map moves in steps of 1 GiB over 32 TiB; another 32 TiB of RAM fit behind the last step.
const DIRECT_STEPS: u64 = 1 << 15;
const DIRECT_STEP: u64 = 1 << 30;
const MAPPINGS_LOWEST: u64 = 0xffff_c900_0000_0000;
/// The mappings area moves in steps of 2 MiB over 256 GiB and is 256 GiB long: one top-level entry, or two.
const MAPPINGS_STEPS: u64 = 1 << 17;
const MAPPINGS_STEP: u64 = 2 << 20;
/// Length of the mappings area.
pub(crate) const MAPPINGS_LEN: u64 = 256 << 30;

static DIRECT_BASE: AtomicU64 = AtomicU64::new(DIRECT_LOWEST);
static MAPPINGS_BASE: AtomicU64 = AtomicU64::new(MAPPINGS_LOWEST);
static KERNEL_ROOT: AtomicU64 = AtomicU64::new(0);

/// Chooses where the areas lie. `entropy` 0 gives the lowest places (`nokaslr`).
pub(crate) fn set_layout(entropy: u64) {
    DIRECT_BASE.store(DIRECT_LOWEST + entropy % DIRECT_STEPS * DIRECT_STEP, Ordering::Relaxed);
    MAPPINGS_BASE
        .store(MAPPINGS_LOWEST + (entropy >> 32) % MAPPINGS_STEPS * MAPPINGS_STEP, Ordering::Relaxed);
}

/// Says where physical address 0 would be: the simulated machine's RAM is where the host put it.
#[cfg(not(target_os = "none"))]
pub(crate) fn set_direct_base(base: u64) {
    DIRECT_BASE.store(base, Ordering::Relaxed);
}

pub(crate) fn set_kernel_root(root: PhysAddr) {
    KERNEL_ROOT.store(root.get(), Ordering::Relaxed);
}

/// The root table that maps the kernel and nothing else.
pub(crate) fn kernel_root() -> PhysAddr {
    PhysAddr::new(KERNEL_ROOT.load(Ordering::Relaxed))
}

/// Where physical address 0 is in the direct map.
pub(crate) fn direct_base() -> u64 {
    DIRECT_BASE.load(Ordering::Relaxed)
}

/// Where the mappings area starts.
pub(crate) fn mappings_base() -> u64 {
    MAPPINGS_BASE.load(Ordering::Relaxed)
}

/// An address in every top-level slot that the kernel areas besides the image need.
pub(crate) fn kernel_areas() -> impl Iterator<Item = VirtAddr> {
    const TOP_SLOT: u64 = 512 << 30;
    [0, MAPPINGS_LEN - PAGE_SIZE]
        .into_iter()
        .map(|offset| VirtAddr::new((mappings_base() + offset) & !(TOP_SLOT - 1)))
}

/// The direct map's address of `address`.
pub(crate) fn direct(address: PhysAddr) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(to_usize(direct_base() + address.get()))
}

/// The physical address behind a pointer into the direct map.
pub(crate) fn physical(pointer: *const u8) -> PhysAddr {
    PhysAddr::new((pointer.expose_provenance() as u64).wrapping_sub(direct_base()))
}
