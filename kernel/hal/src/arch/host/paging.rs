//! Page-table roots of simulated CPUs, and how often they forgot translations.

use core::sync::atomic::{AtomicU64, Ordering};

use logic::addr::{PhysAddr, VirtAddr};

pub(crate) use super::entry::{LEVELS, decode, encode_page, encode_table, is_user};
use super::seat;
use crate::cpu::MAX_CPUS;

static ROOTS: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
static PAGE_FLUSHES: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
static WHOLE_FLUSHES: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// The root table in use; zero before any was loaded.
pub(super) fn current_root() -> PhysAddr {
    PhysAddr::new(ROOTS[seat::number()].load(Ordering::Relaxed))
}

/// Switches to another root table.
///
/// # Safety
/// `root` must stay allocated while in use: user copies walk it.
pub(crate) unsafe fn load_root(root: PhysAddr) {
    ROOTS[seat::number()].store(root.get(), Ordering::Relaxed);
}

/// Forgets one page.
pub(crate) fn flush_page(_page: VirtAddr) {
    PAGE_FLUSHES[seat::number()].fetch_add(1, Ordering::Relaxed);
}

/// Forgets everything.
pub(crate) fn flush_all() {
    WHOLE_FLUSHES[seat::number()].fetch_add(1, Ordering::Relaxed);
}

/// Pages that CPU `number` forgot one by one, and how often it forgot all.
pub(super) fn flushes(number: usize) -> (u64, u64) {
    (PAGE_FLUSHES[number].load(Ordering::Relaxed), WHOLE_FLUSHES[number].load(Ordering::Relaxed))
}
