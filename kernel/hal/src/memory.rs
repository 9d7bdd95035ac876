//! The kernel's own address space: where things are, and the direct map.
//!
//! | area | what | base |
//! |---|---|---|
//! | direct map | all RAM, never executable | random, from `0xffff_8880_0000_0000` |
//! | mappings | stacks, device registers | random, from `0xffff_c900_0000_0000` |
//! | image | text, constants, data | random slide above `0xffff_ffff_8000_0000` |
//!
//! The top-level entries of all three exist from boot on, so every address space shares them by copying its root.
//! Changes below go through [`with_kernel_tables`] (rank `KernelMap`).

use core::sync::atomic::{AtomicU64, Ordering};

use logic::addr::{PAGE_SIZE, PhysAddr, VirtAddr};

use crate::frames;
use crate::paging::{Table, TableMemory, Tables};
use crate::rank;
use crate::spin::Lock;

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
static KERNEL_TABLES: Lock<(), rank::KernelMap> = Lock::new(());

/// Chooses where the areas lie. `entropy` 0 gives the lowest places (`nokaslr`).
pub(crate) fn set_layout(entropy: u64) {
    DIRECT_BASE.store(DIRECT_LOWEST + entropy % DIRECT_STEPS * DIRECT_STEP, Ordering::Relaxed);
    MAPPINGS_BASE.store(MAPPINGS_LOWEST + (entropy >> 32) % MAPPINGS_STEPS * MAPPINGS_STEP, Ordering::Relaxed);
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
    [0, MAPPINGS_LEN - PAGE_SIZE].into_iter().map(|offset| VirtAddr::new((mappings_base() + offset) & !(TOP_SLOT - 1)))
}

/// The direct map's address of `address`.
pub(crate) fn direct(address: PhysAddr) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut((direct_base() + address.get()) as usize)
}

/// The physical address behind a pointer into the direct map.
pub(crate) fn physical(pointer: *const u8) -> PhysAddr {
    PhysAddr::new((pointer.expose_provenance() as u64).wrapping_sub(direct_base()))
}

/// Tables in the direct map, from the frame allocator.
pub(crate) struct DirectTables;

impl TableMemory for DirectTables {
    fn allocate(&mut self) -> Option<PhysAddr> {
        frames::allocate_zeroed().map(|frame| frame.into_raw())
    }

    fn release(&mut self, table: PhysAddr) {
        drop(frames::Frame::from_raw(table));
    }

    fn table(&self, address: PhysAddr) -> &Table {
        // SAFETY: tables are whole frames in the direct map, owned by the tree this walk belongs to; entries are
        // atomics, so the CPU's walker and other threads may use them meanwhile.
        unsafe { &*direct(address).cast() }
    }
}

/// Runs `work` on the kernel's tables while boot is the only thread.
pub(crate) fn with_boot_tables<R>(work: impl FnOnce(&mut Tables<DirectTables>) -> R) -> R {
    work(&mut Tables::new(kernel_root(), DirectTables))
}

/// Runs `work` on the kernel's tables.
pub(crate) fn with_kernel_tables<R>(work: impl FnOnce(&mut Tables<DirectTables>) -> R) -> R {
    let _tables = KERNEL_TABLES.lock();
    work(&mut Tables::new(kernel_root(), DirectTables))
}

/// What the kernel half maps, page by page (large pages count once).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// All pages.
    pub pages: usize,
    /// Those that can be executed.
    pub executable: usize,
    /// Those that can be written and executed: must be none.
    pub writable_and_executable: usize,
    /// Those that programs can reach: must be none.
    pub user: usize,
}

/// Looks at every mapping of the kernel half.
pub fn audit() -> Audit {
    let mut audit = Audit::default();
    with_kernel_tables(|tables| {
        tables.for_each_kernel_page(|protection| {
            audit.pages += 1;
            audit.executable += usize::from(protection.execute);
            audit.writable_and_executable += usize::from(protection.write && protection.execute);
            audit.user += usize::from(protection.user);
        });
    });
    audit
}

/// Whether anything is mapped at a kernel address.
pub fn is_mapped(address: u64) -> bool {
    Tables::new(kernel_root(), DirectTables).lookup(VirtAddr::new(address)).is_some()
}
