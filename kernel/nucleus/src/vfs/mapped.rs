//! Files as memory has them.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use abi::Result;
use hal::frames::SharedFrame;

use super::busy::InMapping;
use super::inode::FileKind;
use super::mount::Place;
use crate::mm::PageSource;
use crate::mm::source::Purpose;

/// A file as memory has it: its pages, and the name `/proc/PID/maps` shows.
pub(super) struct Mapped {
    pub(super) pages: Arc<dyn PageSource>,
    pub(super) place: Option<Place>,
    _mapping: InMapping,
}

impl Mapped {
    /// # Errors
    /// ENOMEM.
    pub(super) fn new(pages: Arc<dyn PageSource>, place: Option<Place>) -> Result<Self> {
        let identity = identity(&pages, place.as_ref());
        Ok(Mapped { pages, place, _mapping: InMapping::new(identity)? })
    }
}

fn identity(pages: &Arc<dyn PageSource>, place: Option<&Place>) -> (u64, u64) {
    match place.map(|place| place.inode().attributes()) {
        // All nodes of a disk have its pages.
        Some(attributes) if attributes.kind != FileKind::BlockDevice => {
            (attributes.device, attributes.number)
        }
        Some(_) | None => pages.identity(),
    }
}

impl PageSource for Mapped {
    fn page(&self, index: u64, purpose: Purpose) -> Result<SharedFrame> {
        self.pages.page(index, purpose)
    }

    fn wait_for_page(&self) -> Result<()> {
        self.pages.wait_for_page()
    }

    fn sync(&self, range: Range<u64>) -> Result<()> {
        self.pages.sync(range)
    }

    fn cached_page(&self, index: u64) -> Option<SharedFrame> {
        self.pages.cached_page(index)
    }

    fn identity(&self) -> (u64, u64) {
        identity(&self.pages, self.place.as_ref())
    }

    fn describe(&self, to: &mut Vec<u8>) {
        let Some(place) = &self.place else { return self.pages.describe(to) };
        let mut at = place.clone();
        while let Some(above) = at.mount.at() {
            at = above;
        }
        // From the highest root there is: what is outside somebody's own is nobody else's secret here.
        let mut root = at;
        while let Some(parent) = root.entry.parent() {
            root.entry = parent;
        }
        place.path(&root, to);
        if place.entry.is_removed() {
            to.extend_from_slice(b" (deleted)");
        }
    }
}
