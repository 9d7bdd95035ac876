//! Memory from the firmware, as slices.

use core::ptr::NonNull;
use core::slice;

use loader::error::LoadError;
use loader::memory_map::PAGE_SIZE;
use uefi::boot::{self, AllocateType, MemoryType};

/// Whole pages of loader data, zeroed when they are made and returned when they are dropped.
///
/// The firmware maps memory at its physical address, so the pointer is the physical address too.
pub(super) struct Pages {
    start: NonNull<u8>,
    count: usize,
    /// Bytes before the first aligned one.
    skipped: u64,
}

impl Pages {
    /// At least `length` bytes for `purpose`, which names them in the error.
    pub(super) fn allocate(purpose: &'static str, length: u64) -> Result<Self, LoadError> {
        Self::allocate_aligned(purpose, length, PAGE_SIZE)
    }

    /// The same, at a physical address that is a multiple of `alignment`, a power of two.
    pub(super) fn allocate_aligned(
        purpose: &'static str,
        length: u64,
        alignment: u64,
    ) -> Result<Self, LoadError> {
        let no_memory = || LoadError::NoMemory(purpose, length);
        let with_slack = length.max(1).checked_add(alignment - PAGE_SIZE).ok_or_else(no_memory)?;
        let count = usize::try_from(with_slack.div_ceil(PAGE_SIZE)).map_err(|_| no_memory())?;
        let start = boot::allocate_pages(AllocateType::AnyPages, MemoryType::LOADER_DATA, count)
            .map_err(|_| no_memory())?;
        // SAFETY: the firmware just gave these `count` pages to us alone.
        unsafe { start.write_bytes(0, count * 4096) };
        let address = start.as_ptr() as u64;
        Ok(Self { start, count, skipped: address.next_multiple_of(alignment) - address })
    }

    /// Physical address of the first byte.
    pub(super) fn address(&self) -> u64 {
        self.start.as_ptr() as u64 + self.skipped
    }

    /// Bytes from [`Self::address`] to the end, whole pages.
    pub(super) fn length(&self) -> u64 {
        self.count as u64 * PAGE_SIZE - self.skipped
    }

    /// The bytes from [`Self::address`] to the end.
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the pages are ours until `drop` (allocated in `allocate_aligned`, which also initialised
        // them), they are mapped at this address while the firmware's tables are in use, and the borrow of
        // `self` makes this the only reference.
        let all = unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.count * 4096) };
        let skipped = usize::try_from(self.skipped).unwrap_or(0);
        all.get_mut(skipped..).unwrap_or_default()
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the pages came from `allocate_pages` with this count, and no reference outlives `self`. Nothing
        // is dropped once boot services are gone, because the way from there does not return.
        let _ = unsafe { boot::free_pages(self.start, self.count) };
    }
}
