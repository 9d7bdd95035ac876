//! Page-table entries of x86-64: what each bit means.
//!
//! No instruction of the CPU is used here, so the host backend shares this file and its tests are tests of it.
//! Spec: Intel SDM volume 3, table 4-15 to 4-20.

use logic::addr::{PhysAddr, VirtAddr};

use super::USER_TOP;
use crate::paging::{Caching, Entry, PageSize, Protection};

/// Levels of the tree.
pub(crate) const LEVELS: u32 = 4;

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const WRITE_THROUGH: u64 = 1 << 3;
const CACHE_DISABLE: u64 = 1 << 4;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const LARGE: u64 = 1 << 7;
const GLOBAL: u64 = 1 << 8;
/// Ours: a page that is there but that nobody may touch (PROT_NONE). Only where PRESENT is clear, so the CPU ignores it.
const HIDDEN: u64 = 1 << 10;
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
    let mut entry = frame.get() | if protection.read { PRESENT } else { HIDDEN };
    if protection.write {
        entry |= WRITABLE;
    }
    if !protection.execute {
        entry |= NO_EXECUTE;
    }
    entry |= if protection.user { USER } else { GLOBAL | ACCESSED | DIRTY };
    // Which of the page attribute table's entries holds: cpu.rs makes entry 1 write-combining.
    entry |= match protection.caching {
        Caching::WriteBack => 0,
        Caching::WriteCombining => WRITE_THROUGH,
        Caching::Uncached => WRITE_THROUGH | CACHE_DISABLE,
    };
    if size == PageSize::Large {
        entry |= LARGE;
    }
    entry
}

pub(crate) fn decode(entry: u64, level: u32) -> Entry {
    if entry & (PRESENT | HIDDEN) == 0 {
        return Entry::Empty;
    }
    if level > 0 && entry & LARGE == 0 {
        return Entry::Table(PhysAddr::new(entry & ADDRESS));
    }
    let caching = match (entry & CACHE_DISABLE != 0, entry & WRITE_THROUGH != 0) {
        (true, _) => Caching::Uncached,
        (false, true) => Caching::WriteCombining,
        (false, false) => Caching::WriteBack,
    };
    let protection = Protection {
        read: entry & PRESENT != 0,
        write: entry & WRITABLE != 0,
        execute: entry & NO_EXECUTE == 0,
        user: entry & USER != 0,
        caching,
    };
    Entry::Page(PhysAddr::new(entry & ADDRESS), protection)
}
