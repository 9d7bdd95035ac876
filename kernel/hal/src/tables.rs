//! The kernel's own page tables: where their memory comes from, and changing them.
//!
//! Lock: rank `KernelMap`, around each change.

use logic::addr::{PhysAddr, VirtAddr};

use crate::arch;
use crate::frames;
use crate::memory::{direct, kernel_root};
use crate::paging::{Mapping, Protection, Table, TableMemory, Tables};
use crate::rank;
use crate::spin::Lock;

static KERNEL_TABLES: Lock<(), rank::KernelMap> = Lock::new(());

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
    /// Those through which the image's text, constants or symbols can be written: must be none.
    pub writable_constants: usize,
}

/// Looks at every mapping of the kernel half.
pub fn audit() -> Audit {
    let mut audit = Audit::default();
    let layout = arch::image_layout();
    with_kernel_tables(|tables| {
        let image = tables.lookup(VirtAddr::new(arch::image_start())).map_or(0, |found| found.frame.get());
        let is_constant = |mapping: &Mapping| {
            let (start, end) = (mapping.frame.get(), mapping.frame.get() + mapping.size.bytes());
            layout.constants().iter().any(|part| start < image + part.end && image + part.start < end)
        };
        tables.for_each_kernel_page(|mapping| {
            let protection = mapping.protection;
            audit.pages += 1;
            audit.executable += usize::from(protection.execute);
            audit.writable_and_executable += usize::from(protection.write && protection.execute);
            audit.user += usize::from(protection.user);
            audit.writable_constants += usize::from(protection.write && is_constant(&mapping));
        });
    });
    audit
}

/// Whether anything is mapped at a kernel address.
pub fn is_mapped(address: u64) -> bool {
    protection_at(address).is_some()
}

/// What is allowed at a kernel address; `None` where nothing is mapped.
pub fn protection_at(address: u64) -> Option<Protection> {
    let tables = Tables::new(kernel_root(), DirectTables);
    tables.lookup(VirtAddr::new(address)).map(|mapping| mapping.protection)
}
