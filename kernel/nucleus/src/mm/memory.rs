//! An address space: its areas and its page tables, how it is made, copied and given up.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::Result;
use hal::context;
use hal::rank;
use hal::space::{AddressSpace, Copying};
use hal::user::USER_TOP;
use logic::addr::VirtAddr;
use logic::vma::{Area, AreaMap, AtFork, Sharing};

use super::account;
use super::mappers;
use super::source::Source;
use crate::sched::Mutex;

/// Addresses that exec chose: where things are looked for, and what `/proc` shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Mappings are placed below.
    pub mmap_top: u64,
    /// Where the heap of brk(2) starts.
    pub heap_start: u64,
    /// The program's code.
    pub code: (u64, u64),
    /// The program's data.
    pub data: (u64, u64),
    /// The stack pointer the program started with.
    pub stack: u64,
    /// Its arguments.
    pub arguments: (u64, u64),
    /// Its environment.
    pub environment: (u64, u64),
    /// The auxiliary vector's neighbourhood: the stack pointer, and how long the vector is.
    pub auxiliary: (u64, u64),
    /// The vDSO, 0 if there is none.
    pub vdso: u64,
}

/// What the map of areas is protected with.
pub(super) struct Areas {
    pub(super) map: AreaMap<Source>,
    pub(super) layout: Layout,
    /// The end of the heap.
    pub(super) heap_end: u64,
    /// Promised pages, in bytes.
    pub(super) committed: u64,
    /// New areas are locked (`MCL_FUTURE`).
    pub(super) locks_new: bool,
}

/// Limits that concern memory (setrlimit(2)), in bytes.
pub struct Limits {
    /// `RLIMIT_AS`.
    pub total: AtomicU64,
    /// `RLIMIT_DATA`.
    pub data: AtomicU64,
    /// `RLIMIT_STACK`.
    pub stack: AtomicU64,
}

/// A program's memory.
pub struct Memory {
    pub(super) space: Arc<AddressSpace>,
    pub(super) areas: Mutex<Areas, rank::AddressSpace>,
    /// Its limits.
    pub limits: Limits,
    /// The most pages it had at once, for `VmHWM`.
    pub(super) peak: AtomicU64,
    /// Its number among all ([`mappers`]).
    number: u64,
}

/// Linux's default for stacks.
pub const DEFAULT_STACK_LIMIT: u64 = 8 << 20;

impl Memory {
    /// Nothing mapped.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new(layout: Layout) -> Result<Arc<Self>> {
        Self::bare(layout)?.known()
    }

    /// Lets it be found among all.
    fn known(self) -> Result<Arc<Self>> {
        let memory = Arc::new(self);
        mappers::add(memory.number, &memory)?;
        Ok(memory)
    }

    fn bare(layout: Layout) -> Result<Self> {
        let areas = Areas {
            map: AreaMap::new(),
            heap_end: layout.heap_start,
            layout,
            committed: 0,
            locks_new: false,
        };
        Ok(Memory {
            space: Arc::new(AddressSpace::new()?),
            areas: Mutex::new(areas),
            limits: Limits {
                total: AtomicU64::new(u64::MAX),
                data: AtomicU64::new(u64::MAX),
                stack: AtomicU64::new(DEFAULT_STACK_LIMIT),
            },
            peak: AtomicU64::new(0),
            number: mappers::number(),
        })
    }

    /// Where things are.
    pub fn layout(&self) -> Layout {
        self.areas.lock().layout
    }

    /// Changes what `layout` shows, and where the heap starts if it holds nothing yet: exec, once it knows.
    pub fn set_layout(&self, change: impl FnOnce(&mut Layout)) {
        let mut areas = self.areas.lock();
        let before = areas.layout.heap_start;
        change(&mut areas.layout);
        if areas.heap_end == before {
            areas.heap_end = areas.layout.heap_start;
        }
    }

    /// A copy for a child: pages are shared until somebody writes them.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn fork(&self) -> Result<Arc<Self>> {
        let areas = self.areas.lock();
        let mut child = Memory::bare(areas.layout)?;
        for (to, from) in [
            (&child.limits.total, &self.limits.total),
            (&child.limits.data, &self.limits.data),
            (&child.limits.stack, &self.limits.stack),
        ] {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        let outcome = self.copy_areas(&areas, &mut child);
        // Also after a failure: some pages may have lost the right to be written.
        self.space.flush(VirtAddr::ZERO, USER_TOP);
        outcome.and_then(|()| child.known())
    }

    fn copy_areas(&self, from: &Areas, child: &mut Memory) -> Result<()> {
        let areas = child.areas.get_mut();
        areas.heap_end = from.heap_end;
        for area in from.map.iter().filter(|area| area.at_fork != AtFork::Absent) {
            if promises(area) {
                account::commit(area.len())?;
                areas.committed += area.len();
            }
            // Locks are not inherited (mlock(2)).
            areas.map.insert(Area { is_locked: false, ..area.clone() })?;
            let copying = match area.sharing {
                Sharing::Shared => Copying::Shared,
                Sharing::Private => Copying::OnWrite,
            };
            if area.at_fork == AtFork::Copied {
                let (start, end) = (VirtAddr::new(area.start), VirtAddr::new(area.end));
                self.space.copy_to(&child.space, start, end, copying)?;
            }
        }
        Ok(())
    }

    /// Makes the running thread use this memory.
    pub fn enter(&self) {
        context::enter_space(Some(self.space.clone()));
    }

    /// Pages of 4 KiB that are there.
    pub fn resident_pages(&self) -> u64 {
        self.space.resident_pages()
    }

    /// Notes how many pages there are, if never were more.
    pub(super) fn note_peak(&self) {
        let now = self.space.resident_pages();
        if self.peak.load(Ordering::Relaxed) < now {
            self.peak.store(now, Ordering::Relaxed);
        }
    }

    /// The most pages that were there at once.
    pub fn peak_pages(&self) -> u64 {
        self.peak.load(Ordering::Relaxed).max(self.space.resident_pages())
    }
}

/// Whether an area counts as promised memory: what a program may write without a file behind it.
pub(super) fn promises(area: &Area<Source>) -> bool {
    area.sharing == Sharing::Private && area.rights.write
}

impl Drop for Memory {
    fn drop(&mut self) {
        mappers::remove(self.number);
        account::release(self.areas.get_mut().committed);
    }
}
