//! The registers that use page tables: the root, and cached translations. Entries are in `entry`.
//!
//! Spec: Intel SDM volume 3, sections 4.5 and 4.10.

use core::arch::asm;

use logic::addr::{PhysAddr, VirtAddr};
use x86_64::registers::control::{Cr3, Cr3Flags};
use x86_64::structures::paging::PhysFrame;

pub(crate) use super::entry::{LEVELS, decode, encode_page, encode_table, is_user};

/// First address user programs cannot have (Linux's TASK_SIZE: one page below the canonical edge, because of
/// SYSRET's fault when it returns to the edge itself).
pub(crate) const USER_TOP: u64 = 0x7fff_ffff_f000;

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
