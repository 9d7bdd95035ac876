//! Frames with several owners: pages of files, and pages that fork(2) left to parent and child.
//!
//! One counter for each frame of RAM, in an array that boot makes. Page tables own one count for each entry, the page
//! cache one for each page. The page of zeros is pinned: it is mapped wherever somebody read memory he never wrote, and
//! counting that would be one cache line for the whole machine.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use abi::{Errno, Result};
use logic::addr::{FrameNo, PAGE_LEN, PAGE_SIZE, PhysAddr, to_usize};
use logic::memmap::MemoryMap;

use super::{Frame, METADATA_BYTES};
use crate::arch;
use crate::memory;
use crate::spin::Once;

static COUNTS: Once<&'static [AtomicU32]> = Once::new();
static ZERO: Once<SharedFrame> = Once::new();
/// Frames that have at least one owner here: what user memory and the page cache use.
static IN_USE: AtomicUsize = AtomicUsize::new(0);

/// A count from here on is never changed again: the frame stays for ever. Nobody gets there by counting in earnest: two
/// thousand million entries of page tables are 16 GiB.
const PINNED: u32 = 1 << 31;

/// A share of a frame; the last one frees it. Its bytes may change at any time: other owners, and programs that map it,
/// write them.
#[derive(Debug, PartialEq, Eq)]
pub struct SharedFrame(FrameNo);

/// Makes the counters for all frames of `map`. Before the map goes to the zones.
pub(super) fn init(map: &mut MemoryMap) -> Result<()> {
    let end = map.usable().map(|region| region.end.get()).max().unwrap_or(0);
    let count = to_usize(end.div_ceil(PAGE_SIZE));
    let bytes = count * size_of::<AtomicU32>();
    let start =
        map.take(bytes as u64, PAGE_SIZE, PhysAddr::new(!(PAGE_SIZE - 1))).map_err(|_| Errno::ENOMEM)?;
    METADATA_BYTES.fetch_add(bytes, Ordering::Relaxed);
    let first = memory::direct(start);
    // SAFETY: the map just gave us this range, and the direct map covers all RAM.
    unsafe { first.write_bytes(0, bytes) };
    // SAFETY: as above; zero is a valid count, nobody else refers to the range, and it stays for ever.
    let counts = unsafe { core::slice::from_raw_parts(first.cast(), count) };
    COUNTS.call_once(|| counts);
    Ok(())
}

/// Frames with owners here.
pub fn shared_in_use() -> usize {
    IN_USE.load(Ordering::Relaxed)
}

fn count_of(number: FrameNo) -> &'static AtomicU32 {
    match COUNTS.get().and_then(|counts| counts.get(number.get() as usize)) {
        Some(count) => count,
        None => panic!("frame {number:?} lies beyond all RAM"),
    }
}

/// The counters of frames in a row.
pub(super) fn counts(start: FrameNo, len: u32) -> &'static [AtomicU32] {
    let first = start.get() as usize;
    match COUNTS.get().and_then(|counts| counts.get(first..first + len as usize)) {
        Some(counts) => counts,
        None => panic!("frame {start:?} lies beyond all RAM"),
    }
}

impl Frame {
    /// Makes it a frame that can have further owners.
    pub fn share(self) -> SharedFrame {
        let number = self.0;
        core::mem::forget(self);
        count_of(number).store(1, Ordering::Relaxed);
        IN_USE.fetch_add(1, Ordering::Relaxed);
        SharedFrame(number)
    }

    /// A frame with the same bytes as `other` has now. For programs: see [`super::is_low`].
    pub fn copy_of(other: &SharedFrame) -> Option<Frame> {
        if super::is_low() {
            return None;
        }
        let mut copy = super::allocate()?;
        other.read(0, copy.bytes_mut());
        Some(copy)
    }
}

impl SharedFrame {
    /// A fresh frame of zeros. For programs and files: see [`super::is_low`].
    pub fn new_zeroed() -> Option<Self> {
        if super::is_low() {
            return None;
        }
        Some(super::allocate_zeroed()?.share())
    }

    /// The frame that is always zero. Never map it writable.
    ///
    /// # Errors
    /// ENOMEM, at its first use only.
    pub fn zero() -> Result<Self> {
        if ZERO.get().is_none() {
            let frame = Self::new_zeroed().ok_or(Errno::ENOMEM)?;
            // If two CPUs come here at once, the other's frame is freed again.
            ZERO.call_once(|| {
                count_of(frame.0).store(PINNED, Ordering::Relaxed);
                frame
            });
        }
        ZERO.get().cloned().ok_or(Errno::ENOMEM)
    }

    /// Whether this is the page of zeros.
    pub fn is_zero_page(&self) -> bool {
        ZERO.get() == Some(self)
    }

    /// Where it is.
    pub fn address(&self) -> PhysAddr {
        self.0.start()
    }

    /// Whether nobody else owns it. Stays true while nobody else can reach this owner.
    #[inline]
    pub fn is_unique(&self) -> bool {
        count_of(self.0).load(Ordering::Acquire) == 1
    }

    /// Copies bytes from `offset` on; what does not fit the page stays untouched.
    pub fn read(&self, offset: usize, to: &mut [u8]) {
        let len = to.len().min(PAGE_LEN.saturating_sub(offset));
        // SAFETY: within the frame, which this owner keeps; the copy is in assembly, which may race with writers: the
        // bytes are then some mixture, all of them initialised.
        unsafe { arch::usercopy::copy_shared(to.as_mut_ptr(), self.pointer().wrapping_add(offset), len) };
    }

    /// Puts bytes at `offset`; what does not fit the page is left out.
    pub fn write(&self, offset: usize, from: &[u8]) {
        let len = from.len().min(PAGE_LEN.saturating_sub(offset));
        // SAFETY: as in `read`.
        unsafe { arch::usercopy::copy_shared(self.pointer().wrapping_add(offset), from.as_ptr(), len) };
    }

    /// Clears the bytes from `offset` to `end`.
    pub fn clear(&self, offset: usize, end: usize) {
        const ZEROS: [u8; 64] = [0; 64];
        let mut at = offset;
        while at < end.min(PAGE_LEN) {
            let len = (end.min(PAGE_LEN) - at).min(ZEROS.len());
            self.write(at, &ZEROS[..len]);
            at += len;
        }
    }

    /// Its bytes in the direct map.
    pub(crate) fn pointer(&self) -> *mut u8 {
        memory::direct(self.address())
    }

    /// Gives this share to page tables.
    pub(crate) fn into_raw(self) -> PhysAddr {
        let address = self.address();
        core::mem::forget(self);
        address
    }

    /// Takes a share back from page tables.
    pub(crate) fn from_raw(address: PhysAddr) -> Self {
        match address.frame() {
            Some(number) => SharedFrame(number),
            None => panic!("page tables named a frame beyond all RAM"),
        }
    }

    /// One more share of what page tables own.
    #[inline]
    pub(crate) fn another(address: PhysAddr) -> Self {
        let frame = core::mem::ManuallyDrop::new(Self::from_raw(address));
        Self::clone(&frame)
    }
}

impl Clone for SharedFrame {
    #[inline]
    fn clone(&self) -> Self {
        let count = count_of(self.0);
        if count.load(Ordering::Relaxed) < PINNED {
            count.fetch_add(1, Ordering::Relaxed);
        }
        SharedFrame(self.0)
    }
}

impl Drop for SharedFrame {
    #[inline]
    fn drop(&mut self) {
        let count = count_of(self.0);
        // The only owner need not tell anybody that it goes.
        let now = count.load(Ordering::Acquire);
        if now >= PINNED {
            return;
        }
        if now == 1 || count.fetch_sub(1, Ordering::AcqRel) == 1 {
            count.store(0, Ordering::Relaxed);
            IN_USE.fetch_sub(1, Ordering::Relaxed);
            drop(Frame(self.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation;

    #[test]
    fn the_last_owner_frees_the_frame() {
        let machine = simulation::machine();
        let before = machine.free_frames();
        let first = SharedFrame::new_zeroed().unwrap();
        assert!(first.is_unique());
        let second = first.clone();
        assert!(!first.is_unique());
        second.write(4090, b"0123456789");
        let mut bytes = [0xff; 8];
        first.read(4088, &mut bytes);
        assert_eq!(&bytes, b"\0\x00012345");
        let copy = Frame::copy_of(&first).unwrap();
        assert_eq!(&copy.bytes()[4090..], b"012345");
        drop((first, copy));
        assert!(second.is_unique());
        second.clear(0, PAGE_LEN);
        second.read(4090, &mut bytes[..6]);
        assert_eq!(bytes[..6], [0; 6]);
        drop(second);
        assert_eq!(machine.free_frames(), before);
    }

    #[test]
    fn the_page_of_zeros_is_never_freed() {
        let machine = simulation::machine();
        let zero = SharedFrame::zero().unwrap();
        let before = machine.free_frames();
        assert!(zero.is_zero_page() && !zero.is_unique());
        for _ in 0..3 {
            drop(SharedFrame::zero().unwrap());
        }
        drop(zero);
        assert_eq!(machine.free_frames(), before);
        assert!(!SharedFrame::new_zeroed().unwrap().is_zero_page());
    }
}
