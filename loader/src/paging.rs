//! Four-level x86-64 page tables, written into a slice that will be physical memory.
//!
//! Intel SDM volume 3A, section 5.5 (4-level paging) and 13.12 (PAT). The slice is a pool of tables: the first
//! is the root, the others are taken as needed.

use crate::bytes;
use crate::memory_map::PAGE_SIZE;

/// Size of a large page.
pub const LARGE_PAGE_SIZE: u64 = 2 << 20;

const TABLE_SIZE: usize = 4096;
const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const WRITE_THROUGH: u64 = 1 << 3;
const LARGE: u64 = 1 << 7;
/// In an entry for a 4 KiB page; the same bit means LARGE one level up.
const PAT: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// What may be done with mapped memory. There is no "writable and executable", on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Constants.
    ReadOnly,
    /// Code.
    ReadExecute,
    /// Data.
    ReadWrite,
}

impl Access {
    const fn flags(self) -> u64 {
        match self {
            Self::ReadOnly => PRESENT | NO_EXECUTE,
            Self::ReadExecute => PRESENT,
            Self::ReadWrite => PRESENT | WRITABLE | NO_EXECUTE,
        }
    }
}

/// How the CPU caches mapped memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    /// Normal memory: write-back, PAT entry 0.
    WriteBack,
    /// Framebuffers: write-combining, which the protocol wants in PAT entry 5.
    WriteCombining,
}

/// A stretch of addresses to map.
#[derive(Clone, Copy, Debug)]
pub struct Mapping {
    /// First virtual address, on a page boundary.
    pub virtual_base: u64,
    /// First physical address, on a page boundary.
    pub physical_base: u64,
    /// Length in bytes, whole pages.
    pub length: u64,
    /// What may be done there.
    pub access: Access,
    /// How it is cached.
    pub caching: Caching,
}

/// The pool of tables is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfTables;

/// Page tables under construction.
pub struct PageTables<'pool> {
    pool: &'pool mut [u8],
    pool_base: u64,
    used: usize,
}

/// The most bytes of tables that `mapping` can need, so that a pool of the sum of these is enough.
pub const fn pool_bytes_for(mapping: &Mapping) -> u64 {
    let per_gigabyte = mapping.length / (1 << 30) + 2;
    let per_large_page = match mapping.caching {
        // Small pages only at the two ragged ends, unless the two addresses cannot share large pages.
        Caching::WriteBack if (mapping.virtual_base ^ mapping.physical_base) & (LARGE_PAGE_SIZE - 1) == 0 => {
            2
        }
        _ => mapping.length / LARGE_PAGE_SIZE + 2,
    };
    let per_root_entry = mapping.length / (1 << 39) + 2;
    (per_gigabyte + per_large_page + per_root_entry) * PAGE_SIZE
}

impl<'pool> PageTables<'pool> {
    /// Empty tables in `pool`, zeroed memory that stands at the physical address `pool_base`.
    pub fn new(pool: &'pool mut [u8], pool_base: u64) -> Self {
        Self { pool, pool_base, used: TABLE_SIZE }
    }

    /// Physical address of the root table, for CR3.
    pub const fn root(&self) -> u64 {
        self.pool_base
    }

    /// Maps a stretch, in large pages where both addresses allow it.
    ///
    /// # Errors
    /// The pool is used up.
    pub fn map(&mut self, mapping: &Mapping) -> Result<(), OutOfTables> {
        let mut offset = 0;
        while offset < mapping.length {
            let virtual_address = mapping.virtual_base.wrapping_add(offset);
            let physical_address = mapping.physical_base + offset;
            let aligned = (virtual_address | physical_address) & (LARGE_PAGE_SIZE - 1) == 0;
            let fits = mapping.length - offset >= LARGE_PAGE_SIZE;
            if aligned && fits && mapping.caching == Caching::WriteBack {
                let entry = physical_address | mapping.access.flags() | LARGE;
                self.set(virtual_address, 1, entry)?;
                offset += LARGE_PAGE_SIZE;
            } else {
                let caching = match mapping.caching {
                    Caching::WriteBack => 0,
                    Caching::WriteCombining => PAT | WRITE_THROUGH, // index 5, and PCD, its bit 1, is clear
                };
                self.set(virtual_address, 0, physical_address | mapping.access.flags() | caching)?;
                offset += PAGE_SIZE;
            }
        }
        Ok(())
    }

    /// What `virtual_address` is mapped to: the physical address and the entry's flags.
    pub fn translate(&self, virtual_address: u64) -> Option<(u64, u64)> {
        let mut table = 0;
        for level in (0..4).rev() {
            let entry = bytes::u64_at(self.pool, table + 8 * index(virtual_address, level))?;
            if entry & PRESENT == 0 {
                return None;
            }
            if level == 0 || (level == 1 && entry & LARGE != 0) {
                let mask = (1 << (12 + 9 * level)) - 1;
                return Some(((entry & ADDRESS & !mask) | (virtual_address & mask), entry & !ADDRESS));
            }
            table = usize::try_from((entry & ADDRESS) - self.pool_base).ok()?;
        }
        None
    }

    /// Writes the entry for `virtual_address` in its table of `level`, making the tables on the way.
    fn set(&mut self, virtual_address: u64, level: u32, entry: u64) -> Result<(), OutOfTables> {
        let mut table = 0;
        for upper in (level + 1..4).rev() {
            table = self.next_table(table + 8 * index(virtual_address, upper))?;
        }
        bytes::put_u64(self.pool, table + 8 * index(virtual_address, level), entry).ok_or(OutOfTables)
    }

    /// The pool offset of the table that the entry at `slot` points to; a new one if there is none yet.
    fn next_table(&mut self, slot: usize) -> Result<usize, OutOfTables> {
        let entry = bytes::u64_at(self.pool, slot).ok_or(OutOfTables)?;
        if entry & PRESENT != 0 {
            return usize::try_from((entry & ADDRESS) - self.pool_base).map_err(|_| OutOfTables);
        }
        let table = self.used;
        if table + TABLE_SIZE > self.pool.len() {
            return Err(OutOfTables);
        }
        self.used += TABLE_SIZE;
        // Permissions are the leaf's business: an upper entry allows all that a leaf may.
        let entry = (self.pool_base + table as u64) | PRESENT | WRITABLE;
        bytes::put_u64(self.pool, slot, entry).ok_or(OutOfTables)?;
        Ok(table)
    }
}

const fn index(virtual_address: u64, level: u32) -> usize {
    ((virtual_address >> (12 + 9 * level)) & 511) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    fn mapping(virtual_base: u64, physical_base: u64, length: u64) -> Mapping {
        let (access, caching) = (Access::ReadWrite, Caching::WriteBack);
        Mapping { virtual_base, physical_base, length, access, caching }
    }

    #[test]
    fn every_mapped_page_translates_and_its_neighbours_do_not() {
        let odd = mapping(0xffff_8000_001f_f000, 0x1f_f000, 3 * LARGE_PAGE_SIZE);
        let skewed =
            Mapping { access: Access::ReadExecute, ..mapping(0xffff_ffff_8000_0000, 0x5000, 0x40_0000) };
        let pool_bytes = pool_bytes_for(&odd) + pool_bytes_for(&skewed) + PAGE_SIZE;
        let mut pool = vec![0; usize::try_from(pool_bytes).unwrap()];
        let mut tables = PageTables::new(&mut pool, 0x10_0000);
        tables.map(&odd).unwrap();
        tables.map(&skewed).unwrap();
        for mapping in [odd, skewed] {
            for offset in (0..mapping.length).step_by(0x1000) {
                let (physical, _) = tables.translate(mapping.virtual_base + offset + 5).unwrap();
                assert_eq!(physical, mapping.physical_base + offset + 5);
            }
            assert_eq!(tables.translate(mapping.virtual_base.wrapping_sub(1)), None);
            assert_eq!(tables.translate(mapping.virtual_base + mapping.length), None);
        }
        let (_, flags) = tables.translate(0xffff_ffff_8000_0000).unwrap();
        assert_eq!(flags, PRESENT, "code is neither writable nor no-execute");
        let (_, flags) = tables.translate(0xffff_8000_0020_0000).unwrap();
        assert_eq!(flags, PRESENT | WRITABLE | NO_EXECUTE | LARGE);
    }

    #[test]
    fn a_framebuffer_is_write_combining_in_small_pages() {
        let pixels = Mapping { caching: Caching::WriteCombining, ..mapping(0x20_0000, 0x20_0000, 0x40_0000) };
        let mut pool = vec![0; usize::try_from(pool_bytes_for(&pixels) + PAGE_SIZE).unwrap()];
        let mut tables = PageTables::new(&mut pool, 0x1000);
        tables.map(&pixels).unwrap();
        let (_, flags) = tables.translate(0x30_0000).unwrap();
        assert_eq!(flags & (PAT | WRITE_THROUGH), PAT | WRITE_THROUGH);
    }

    #[test]
    fn a_pool_that_is_too_small_is_an_error() {
        let mut pool = [0; 2 * TABLE_SIZE];
        let mut tables = PageTables::new(&mut pool, 0x1000);
        assert_eq!(tables.map(&mapping(0, 0, PAGE_SIZE)), Err(OutOfTables));
    }
}
