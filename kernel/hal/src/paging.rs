//! Page tables: mapping, unmapping and looking up, over the arch's entry codec.
//!
//! Owns no tables: a [`Tables`] borrows memory through [`TableMemory`], so the same walk serves the boot code (which
//! has only an early window), the running kernel and host tests. Callers hold whatever lock protects the tables.
//! Spec: Intel SDM volume 3, section 4.5.

mod range;

use core::sync::atomic::{AtomicU64, Ordering};

use logic::addr::{PAGE_SIZE, PhysAddr, VirtAddr, to_usize};

use crate::arch::paging as codec;

pub use range::Slot;

/// Entries of one table.
pub const ENTRIES: usize = 512;
/// Bytes of a large page.
pub const LARGE_PAGE_SIZE: u64 = 2 << 20;

/// One page of entries. Atomic because the CPU's walker reads, and sets bits, at any time.
pub type Table = [AtomicU64; ENTRIES];

/// How caches treat a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    /// Ordinary memory.
    WriteBack,
    /// Device registers.
    Uncached,
    /// Memory of displays: writes are collected, and their order does not matter.
    WriteCombining,
}

/// What a mapping allows. The fields are hal's and no constant is a kernel page both writable and executable; a program
/// may ask for such pages (`USER_WRITE_EXECUTE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) execute: bool,
    pub(crate) user: bool,
    pub(crate) caching: Caching,
}

impl Protection {
    const READ: Self =
        Protection { read: true, write: false, execute: false, user: false, caching: Caching::WriteBack };
    /// Kernel code.
    pub const KERNEL_TEXT: Self = Protection { execute: true, ..Self::READ };
    /// Kernel constants.
    pub const KERNEL_RODATA: Self = Self::READ;
    /// Kernel data.
    pub const KERNEL_DATA: Self = Protection { write: true, ..Self::READ };
    /// Device registers.
    pub const DEVICE: Self = Protection { write: true, caching: Caching::Uncached, ..Self::READ };
    /// Memory of a display.
    pub const DISPLAY: Self = Protection { write: true, caching: Caching::WriteCombining, ..Self::READ };
    /// User memory that exists and that nobody may touch.
    pub const USER_NONE: Self = Protection { read: false, ..Self::USER_READ };
    /// User memory that can only be read.
    pub const USER_READ: Self = Protection { user: true, ..Self::READ };
    /// User memory that can be written.
    pub const USER_WRITE: Self = Protection { write: true, ..Self::USER_READ };
    /// User code.
    pub const USER_EXECUTE: Self = Protection { execute: true, ..Self::USER_READ };
    /// User memory that a program asked to be written and executed; its own decision, as on Linux.
    pub const USER_WRITE_EXECUTE: Self = Protection { execute: true, ..Self::USER_WRITE };

    /// Whether the page may be touched at all.
    pub const fn is_readable(self) -> bool {
        self.read
    }

    /// The same without the right to write.
    #[must_use]
    pub const fn without_write(self) -> Self {
        Protection { write: false, ..self }
    }

    /// The same with the right to write.
    #[must_use]
    pub const fn with_write(self) -> Self {
        Protection { write: true, ..self }
    }

    /// Whether writes are allowed.
    pub const fn is_writable(self) -> bool {
        self.write
    }

    /// Whether user code may use the mapping.
    pub const fn is_user(self) -> bool {
        self.user
    }
}

/// The two page sizes in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageSize {
    /// 4 KiB.
    Small,
    /// 2 MiB.
    Large,
}

impl PageSize {
    /// Bytes of such a page.
    pub const fn bytes(self) -> u64 {
        match self {
            PageSize::Small => PAGE_SIZE,
            PageSize::Large => LARGE_PAGE_SIZE,
        }
    }

    /// The table level that holds its entries; 0 is the last.
    const fn level(self) -> u32 {
        match self {
            PageSize::Small => 0,
            PageSize::Large => 1,
        }
    }
}

/// What one entry means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Nothing.
    Empty,
    /// The next table.
    Table(PhysAddr),
    /// A page.
    Page(PhysAddr, Protection),
}

/// A page found by a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Where the page starts.
    pub frame: PhysAddr,
    /// How large it is.
    pub size: PageSize,
    /// What it allows.
    pub protection: Protection,
}

/// Why a page could not be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// No memory for a table.
    NoMemory,
    /// Something is mapped there.
    Occupied,
}

impl From<MapError> for abi::Errno {
    fn from(error: MapError) -> Self {
        match error {
            MapError::NoMemory => abi::Errno::ENOMEM,
            MapError::Occupied => abi::Errno::EEXIST,
        }
    }
}

/// Where tables live.
pub trait TableMemory {
    /// A zeroed table that nobody uses.
    fn allocate(&mut self) -> Option<PhysAddr>;
    /// Takes a table back.
    fn release(&mut self, table: PhysAddr);
    /// The table at `address`, which `allocate` returned.
    fn table(&self, address: PhysAddr) -> &Table;
}

/// A tree of page tables.
pub struct Tables<M> {
    root: PhysAddr,
    memory: M,
}

impl<M: TableMemory> Tables<M> {
    /// The tree below `root`.
    pub fn new(root: PhysAddr, memory: M) -> Self {
        Tables { root, memory }
    }

    /// The root table's address.
    pub fn root(&self) -> PhysAddr {
        self.root
    }

    /// Gives the memory source back.
    pub fn into_memory(self) -> M {
        self.memory
    }

    /// Maps one page.
    ///
    /// # Errors
    /// `Occupied` if any page is there already, or for a large page a table of small ones, even an empty one: the CPU
    /// may have cached it. `NoMemory` if a table is needed and cannot be had.
    pub fn map(
        &mut self,
        page: VirtAddr,
        frame: PhysAddr,
        size: PageSize,
        protection: Protection,
    ) -> Result<(), MapError> {
        let table = self.descend_or_build(page, size.level())?;
        let entry = &self.memory.table(table)[index(page, size.level())];
        if codec::decode(entry.load(Ordering::Relaxed), size.level()) != Entry::Empty {
            return Err(MapError::Occupied);
        }
        entry.store(codec::encode_page(frame, protection, size), Ordering::Release);
        Ok(())
    }

    /// Maps a range with the largest pages that fit. Pages mapped before an error stay.
    pub fn map_range(
        &mut self,
        start: VirtAddr,
        frame: PhysAddr,
        len: u64,
        protection: Protection,
    ) -> Result<(), MapError> {
        let mut done = 0;
        while done < len {
            let page = VirtAddr::new(start.get() + done);
            let frame = PhysAddr::new(frame.get() + done);
            let fits = len - done >= LARGE_PAGE_SIZE
                && page.is_aligned(LARGE_PAGE_SIZE)
                && frame.is_aligned(LARGE_PAGE_SIZE);
            let size = if fits { PageSize::Large } else { PageSize::Small };
            self.map(page, frame, size, protection)?;
            done += size.bytes();
        }
        Ok(())
    }

    /// Removes the page at `page`; the caller flushes the TLB. Tables stay for the next mapping.
    pub fn unmap(&mut self, page: VirtAddr) -> Option<Mapping> {
        let (table, level, mapping) = self.find(page)?;
        self.memory.table(table)[index(page, level)].store(0, Ordering::Release);
        Some(mapping)
    }

    /// Changes what the page at `page` allows; the caller flushes the TLB.
    pub fn protect(&mut self, page: VirtAddr, protection: Protection) -> Option<Mapping> {
        let (table, level, mapping) = self.find(page)?;
        let entry = codec::encode_page(mapping.frame, protection, mapping.size);
        self.memory.table(table)[index(page, level)].store(entry, Ordering::Release);
        Some(mapping)
    }

    /// What is mapped at `address`.
    pub fn lookup(&self, address: VirtAddr) -> Option<Mapping> {
        Some(self.find(address)?.2)
    }

    /// Makes sure that the top-level entry of `address` has a table, so that roots copied later share it.
    pub fn populate_top(&mut self, address: VirtAddr) -> Result<(), MapError> {
        self.descend_or_build(address, codec::LEVELS - 2).map(|_| ())
    }

    /// Copies the top-level entries of the kernel half from `other_root`.
    pub fn share_kernel_half(&mut self, other_root: PhysAddr) {
        let (ours, theirs) = (self.memory.table(self.root), self.memory.table(other_root));
        for (to, from) in ours.iter().zip(theirs).skip(ENTRIES / 2) {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Frees every table of the user half and hands each mapped page to `page`.
    pub fn clear_user_half(&mut self, mut page: impl FnMut(Mapping)) {
        self.clear_level(self.root, codec::LEVELS - 1, ENTRIES / 2, &mut page);
    }

    /// Calls `visit` for each page of the kernel half.
    pub fn for_each_kernel_page(&self, mut visit: impl FnMut(Mapping)) {
        self.visit_level(self.root, codec::LEVELS - 1, ENTRIES / 2, &mut visit);
    }

    fn visit_level(&self, table: PhysAddr, level: u32, first: usize, visit: &mut impl FnMut(Mapping)) {
        for entry in &self.memory.table(table)[first..] {
            match codec::decode(entry.load(Ordering::Relaxed), level) {
                Entry::Empty => {}
                Entry::Page(frame, protection) => {
                    let size = if level == 0 { PageSize::Small } else { PageSize::Large };
                    visit(Mapping { frame, size, protection });
                }
                Entry::Table(next) => self.visit_level(next, level - 1, 0, visit),
            }
        }
    }

    fn clear_level(&mut self, table: PhysAddr, level: u32, entries: usize, page: &mut impl FnMut(Mapping)) {
        for slot in 0..entries {
            let raw = self.memory.table(table)[slot].swap(0, Ordering::Relaxed);
            match codec::decode(raw, level) {
                Entry::Empty => {}
                Entry::Page(frame, protection) => {
                    let size = if level == 0 { PageSize::Small } else { PageSize::Large };
                    page(Mapping { frame, size, protection });
                }
                Entry::Table(next) => {
                    self.clear_level(next, level - 1, ENTRIES, page);
                    self.memory.release(next);
                }
            }
        }
    }

    /// Walks to the table of `level` that covers `page`, making tables on the way.
    fn descend_or_build(&mut self, page: VirtAddr, level: u32) -> Result<PhysAddr, MapError> {
        let mut table = self.root;
        for at in (level + 1..codec::LEVELS).rev() {
            let slot = index(page, at);
            table = match codec::decode(self.memory.table(table)[slot].load(Ordering::Acquire), at) {
                Entry::Table(next) => next,
                Entry::Page(..) => return Err(MapError::Occupied),
                Entry::Empty => {
                    let next = self.memory.allocate().ok_or(MapError::NoMemory)?;
                    let entry = codec::encode_table(next, codec::is_user(page));
                    self.memory.table(table)[slot].store(entry, Ordering::Release);
                    next
                }
            };
        }
        Ok(table)
    }

    fn find(&self, address: VirtAddr) -> Option<(PhysAddr, u32, Mapping)> {
        let mut table = self.root;
        for level in (0..codec::LEVELS).rev() {
            match codec::decode(
                self.memory.table(table)[index(address, level)].load(Ordering::Acquire),
                level,
            ) {
                Entry::Empty => return None,
                Entry::Table(next) => table = next,
                Entry::Page(frame, protection) => {
                    let size = if level == 0 { PageSize::Small } else { PageSize::Large };
                    return Some((table, level, Mapping { frame, size, protection }));
                }
            }
        }
        None
    }
}

fn index(address: VirtAddr, level: u32) -> usize {
    to_usize(address.get() >> (12 + 9 * level)) % ENTRIES
}

#[cfg(test)]
mod tests;
