//! 2 MiB of frames in a row, each with its own count, so that the page they make can be split at any time.

use core::sync::atomic::Ordering;

use logic::addr::{FrameNo, PhysAddr};
use logic::buddy::Order;
use logic::zones::ZoneKind;

use super::shared::{self, SharedFrame};
use super::{Frame, ZONES};
use crate::memory;

/// Frames of a large page.
const FRAMES: u32 = 512;

/// A share of each frame of a large page.
#[derive(Debug)]
pub struct LargeFrame(FrameNo);

impl LargeFrame {
    /// A fresh one, full of zeros.
    pub fn new_zeroed() -> Option<Self> {
        if super::is_low() {
            return None;
        }
        let zones = ZONES.get()?;
        let order = Order::holding(u64::from(FRAMES))?;
        let start = zones.allocate(order, ZoneKind::Normal)?;
        zones.split(start, order);
        for number in Self::numbers(start) {
            // Each becomes a frame of its own.
            let _ = core::mem::ManuallyDrop::new(Frame(number).share());
        }
        let large = LargeFrame(start);
        // SAFETY: 2 MiB of frames that nobody else knows yet; the direct map covers all RAM.
        unsafe { memory::direct(large.address()).write_bytes(0, (FRAMES as usize) << 12) };
        Some(large)
    }

    fn numbers(start: FrameNo) -> impl Iterator<Item = FrameNo> {
        (start.get()..start.get() + FRAMES).map(FrameNo::new)
    }

    /// Where it is.
    pub fn address(&self) -> PhysAddr {
        self.0.start()
    }

    /// Gives the shares to page tables.
    pub(crate) fn into_raw(self) -> PhysAddr {
        let address = self.address();
        core::mem::forget(self);
        address
    }

    /// Takes the shares back from page tables.
    pub(crate) fn from_raw(address: PhysAddr) -> Self {
        match address.frame() {
            Some(number) => LargeFrame(number),
            None => panic!("page tables named a frame beyond all RAM"),
        }
    }

    /// One more share of each frame of what page tables own.
    pub(crate) fn another(address: PhysAddr) -> Self {
        let large = Self::from_raw(address);
        for count in shared::counts(large.0, FRAMES) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        large
    }
}

impl Drop for LargeFrame {
    fn drop(&mut self) {
        for number in Self::numbers(self.0) {
            drop(SharedFrame::from_raw(number.start()));
        }
    }
}
