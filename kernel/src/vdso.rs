//! The vDSO in programs: the image, and below it the page it reads, the same frames for all.
//!
//! Lock: rank `Table`, around the writer of the page.

use alloc::sync::Arc;
use alloc::vec::Vec;

use ::vdso::{Data, IMAGE, Writer};
use abi::{Errno, Result};
use hal::frames::SharedFrame;
use hal::rank;
use hal::spin::{Lock, Once};
use logic::addr::{PAGE_LEN, PAGE_SIZE, to_usize};
use logic::vma::{Growth, Rights, Sharing};
use nucleus::mm::source::Purpose;
use nucleus::mm::{MapRequest, Memory, PageSource, Place, Source};

/// Pages that the kernel gives to programs under a name.
struct Special {
    pages: Vec<SharedFrame>,
    name: &'static str,
}

impl PageSource for Special {
    fn page(&self, index: u64, _purpose: Purpose) -> Result<SharedFrame> {
        self.cached_page(index).ok_or(Errno::ENXIO)
    }

    fn cached_page(&self, index: u64) -> Option<SharedFrame> {
        self.pages.get(to_usize(index)).cloned()
    }

    fn identity(&self) -> (u64, u64) {
        (0, 0)
    }

    fn describe(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(self.name.as_bytes());
    }
}

struct Vdso {
    data: Arc<Special>,
    image: Arc<Special>,
}

static VDSO: Once<Vdso> = Once::new();
static WRITER: Lock<Writer, rank::Table> = Lock::new(Writer::new());

/// Makes the pages.
///
/// # Errors
/// ENOMEM.
pub(crate) fn init() -> Result<()> {
    let page = |bytes: &[u8]| {
        let frame = SharedFrame::new_zeroed().ok_or(Errno::ENOMEM)?;
        frame.write(0, bytes);
        Ok(frame)
    };
    let image = IMAGE.chunks(PAGE_LEN).map(page).collect::<Result<Vec<_>>>()?;
    let data = Special { pages: Vec::from([page(&[])?]), name: "[vvar]" };
    let image = Special { pages: image, name: "[vdso]" };
    VDSO.call_once(|| Vdso { data: Arc::new(data), image: Arc::new(image) });
    update();
    Ok(())
}

/// Tells programs the time anew: it was set.
pub(crate) fn update() {
    let Some(page) = VDSO.get().and_then(|vdso| vdso.data.pages.first()) else { return };
    let data = Data {
        counter: hal::time::counter(),
        booted_at_ns: nucleus::clock::booted_at_ns(),
        cpu_number: hal::cpu::number_source(),
    };
    WRITER.lock().publish(&data, |offset, bytes| page.write(offset, bytes));
}

/// Maps both into a new program; where the image is.
///
/// # Errors
/// ENOMEM.
pub(crate) fn map(memory: &Memory) -> Result<u64> {
    let Some(vdso) = VDSO.get() else { return Ok(0) };
    let read = Rights { read: true, ..Rights::NONE };
    let run = Rights { execute: true, ..read };
    let request = |place, len: usize, rights, pages: &Arc<Special>| MapRequest {
        place,
        len: len as u64,
        rights,
        allowed: rights,
        sharing: Sharing::Private,
        growth: Growth::Fixed,
        source: Source::File { file: pages.clone(), offset: 0 },
        is_populated: false,
        is_locked: false,
    };
    // Both at once, so that there is room for the image right behind the page.
    let start = memory.map(request(Place::Hint(0), PAGE_LEN + IMAGE.len(), read, &vdso.data))?;
    let image = start + PAGE_SIZE;
    memory.map(request(Place::Fixed(image), IMAGE.len(), run, &vdso.image))?;
    memory.set_layout(|layout| layout.vdso = image);
    Ok(image)
}
