//! Page-table entries of x86-64, and the registers that use them.
//!
//! Spec: Intel SDM volume 3, table 4-15 to 4-20.

use core::arch::asm;

use logic::addr::{PhysAddr, VirtAddr};
use x86_64::registers::control::{Cr3, Cr3Flags};
use x86_64::structures::paging::PhysFrame;

use crate::paging::{Caching, Entry, PageSize, Protection};

/// Levels of the tree.
pub(crate) const LEVELS: u32 = 4;
/// First address user programs cannot have (Linux's TASK_SIZE: one page below the canonical edge, because of
/// SYSRET's fault when it returns to the edge itself).
pub(crate) const USER_TOP: u64 = 0x7fff_ffff_f000;

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const WRITE_THROUGH: u64 = 1 << 3;
const CACHE_DISABLE: u64 = 1 << 4;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const LARGE: u64 = 1 << 7;
const GLOBAL: u64 = 1 << 8;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

pub(crate) fn is_user(address: VirtAddr) -> bool {
    address.get() < USER_TOP
}

pub(crate) fn encode_table(table: PhysAddr, user: bool) -> u64 {
    table.get() | PRESENT | WRITABLE | if user { USER } else { 0 }
}

pub(crate) fn encode_page(frame: PhysAddr, protection: Protection, size: PageSize) -> u64 {
    // Accessed and dirty from the start for the kernel's pages: saves the walker the write.
    let mut entry = frame.get() | PRESENT;
    if protection.write {
        entry |= WRITABLE;
    }
    if !protection.execute {
        entry |= NO_EXECUTE;
    }
    entry |= if protection.user { USER } else { GLOBAL | ACCESSED | DIRTY };
    if protection.caching == Caching::Uncached {
        entry |= WRITE_THROUGH | CACHE_DISABLE;
    }
    if size == PageSize::Large {
        entry |= LARGE;
    }
    entry
}

pub(crate) fn decode(entry: u64, level: u32) -> Entry {
    if entry & PRESENT == 0 {
        return Entry::Empty;
    }
    if level > 0 && entry & LARGE == 0 {
        return Entry::Table(PhysAddr::new(entry & ADDRESS));
    }
    let caching = if entry & CACHE_DISABLE != 0 { Caching::Uncached } else { Caching::WriteBack };
    let protection = Protection {
        write: entry & WRITABLE != 0,
        execute: entry & NO_EXECUTE == 0,
        user: entry & USER != 0,
        caching,
    };
    Entry::Page(PhysAddr::new(entry & ADDRESS), protection)
}

/// The root table in use.
pub(crate) fn current_root() -> PhysAddr {
    PhysAddr::new(Cr3::read().0.start_address().as_u64())
}

/// Switches to another root table. The kernel half of every root is the same, so kernel code goes on unharmed.
///
/// # Safety
/// `root` must map the running code, stack and data as they are mapped now, and stay allocated while in use.
pub(crate) unsafe fn load_root(root: PhysAddr) {
    let frame = PhysFrame::containing_address(x86_64::PhysAddr::new_truncate(root.get()));
    // SAFETY: the caller's promise.
    unsafe { Cr3::write(frame, Cr3Flags::empty()) }
}

/// Forgets one page, global or not.
pub(crate) fn flush_page(page: VirtAddr) {
    // SAFETY: INVLPG only drops a cached translation; the tables hold the truth.
    unsafe { asm!("invlpg [{}]", in(reg) page.get(), options(nostack, preserves_flags)) }
}

/// Forgets everything, global pages too: toggling CR4.PGE does both (SDM 4.10.4.1).
pub(crate) fn flush_all() {
    use x86_64::registers::control::{Cr4, Cr4Flags};
    let cr4 = Cr4::read();
    // SAFETY: the same register value but for PGE, which only governs caching of translations.
    unsafe { Cr4::write(cr4 - Cr4Flags::PAGE_GLOBAL) };
    // SAFETY: restores what was there.
    unsafe { Cr4::write(cr4) };
}
