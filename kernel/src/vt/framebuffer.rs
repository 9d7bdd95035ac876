//! `/dev/fb0`: the display as memory that programs write (Linux, Documentation/fb/api.rst).
//!
//! Programs get memory of their own, a file of tmpfs, which the display's thread copies to the display: a display's memory
//! is never mapped into a program. Lock: none here; the file's own.

use alloc::sync::Arc;
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use abi::console::{
    FBIOBLANK, FBIOGET_FSCREENINFO, FBIOGET_VSCREENINFO, FBIOPAN_DISPLAY, FBIOPUT_VSCREENINFO,
};
use abi::file::device_number;
use abi::{Errno, Result};
use drivers::display::{Display, Found};
use fs::tmpfs::{self, Sealing};
use hal::spin::Once;
use hal::usermem::{read, write_bytes};
use logic::addr::PAGE_LEN;
use nucleus::mm::PageSource;
use nucleus::vfs::device::{self, Device, Registered};
use nucleus::vfs::{ByteSink, ByteSource, Change, File, FileKind, Transfer};

use super::{CONSOLES, Consoles};

const MAJOR: u32 = 29;
const PIXEL: usize = 4;
/// Bytes of `struct fb_var_screeninfo` and `struct fb_fix_screeninfo`.
const VARIABLE: usize = 160;
const FIXED: usize = 80;
/// `FB_VISUAL_TRUECOLOR`.
const TRUE_COLOR: u32 = 2;

/// The memory, once somebody opened it.
static MEMORY: Once<Memory> = Once::new();

struct Memory {
    file: Arc<dyn File>,
    len: u64,
    /// Files that are open.
    opens: AtomicUsize,
    /// Something was written since it was copied.
    is_written: AtomicBool,
    /// Somebody mapped it, and may write at any time.
    is_mapped: AtomicBool,
}

/// Makes the device known, where there are pixels.
///
/// # Errors
/// ENOMEM.
pub(super) fn register(consoles: &Consoles) -> Result<()> {
    let Found::Pixels(_) = consoles.display else { return Ok(()) };
    let (kind, number) = (FileKind::CharDevice, device_number(MAJOR, 0));
    device::register(Registered { kind, number, name: "fb0", permissions: 0o660, device: Arc::new(Opener) })
}

fn display() -> Result<&'static Display> {
    match CONSOLES.get().map(|consoles| &consoles.display) {
        Some(Found::Pixels(display)) => Ok(display),
        _ => Err(Errno::ENODEV),
    }
}

struct Opener;

impl Device for Opener {
    fn open(&self, _number: u64, _flags: u32) -> Result<Arc<dyn File>> {
        let display = display()?;
        let memory = match MEMORY.get() {
            Some(memory) => memory,
            None => {
                let len = (display.width() * display.height() * PIXEL) as u64;
                let (inode, file) = tmpfs::anonymous(b"/dev/fb0", Sealing::Forbidden)?;
                inode.change(&Change { size: Some(len), ..Change::default() })?;
                MEMORY.call_once(|| Memory {
                    file,
                    len,
                    opens: AtomicUsize::new(0),
                    is_written: AtomicBool::new(false),
                    is_mapped: AtomicBool::new(false),
                })
            }
        };
        memory.opens.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(Framebuffer { memory }))
    }
}

/// An open file.
struct Framebuffer {
    memory: &'static Memory,
}

impl Drop for Framebuffer {
    fn drop(&mut self) {
        if self.memory.opens.fetch_sub(1, Ordering::AcqRel) == 1 {
            // A mapping that outlives its file is not shown any more.
            self.memory.is_mapped.store(false, Ordering::Release);
        }
    }
}

impl File for Framebuffer {
    fn read(&self, transfer: &Transfer, to: &mut dyn ByteSink) -> Result<usize> {
        self.memory.file.read(transfer, to)
    }

    fn write(&self, transfer: &Transfer, from: &mut dyn ByteSource) -> Result<usize> {
        let left = self.memory.len.saturating_sub(transfer.position);
        if left == 0 && from.left() != 0 {
            return Err(Errno::ENOSPC);
        }
        let mut part = Part { from, left: usize::try_from(left).unwrap_or(usize::MAX) };
        let count = self.memory.file.write(transfer, &mut part)?;
        self.memory.is_written.store(true, Ordering::Release);
        wake();
        Ok(count)
    }

    fn control(&self, request: u32, argument: u64) -> Result<u64> {
        let display = display()?;
        match request {
            FBIOGET_VSCREENINFO => write_bytes(argument, &variable(display))?,
            FBIOGET_FSCREENINFO => write_bytes(argument, &fixed(display))?,
            // The one picture there is can be asked for.
            FBIOPUT_VSCREENINFO => {
                let wanted: [u32; VARIABLE / 4] = read(argument)?;
                let is_same = usize::try_from(wanted[0]) == Ok(display.width())
                    && usize::try_from(wanted[1]) == Ok(display.height())
                    && wanted[6] == 32;
                if !is_same {
                    return Err(Errno::EINVAL);
                }
                write_bytes(argument, &variable(display))?;
            }
            FBIOPAN_DISPLAY => {
                let wanted: [u32; VARIABLE / 4] = read(argument)?;
                if (wanted[4], wanted[5]) != (0, 0) {
                    return Err(Errno::EINVAL);
                }
            }
            FBIOBLANK => return Err(Errno::EINVAL),
            _ => return Err(Errno::ENOTTY),
        }
        Ok(0)
    }

    fn pages(self: Arc<Self>) -> Option<Arc<dyn PageSource>> {
        self.memory.is_mapped.store(true, Ordering::Release);
        wake();
        self.memory.file.clone().pages()
    }

    fn size(&self) -> Option<u64> {
        Some(self.memory.len)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The first bytes of a source.
struct Part<'a> {
    from: &'a mut dyn ByteSource,
    left: usize,
}

impl ByteSource for Part<'_> {
    fn left(&self) -> usize {
        self.from.left().min(self.left)
    }

    fn take(&mut self, into: &mut [u8]) -> Result<usize> {
        let most = into.len().min(self.left);
        let count = self.from.take(into.get_mut(..most).unwrap_or_default())?;
        self.left -= count;
        Ok(count)
    }
}

fn wake() {
    if let Some(consoles) = CONSOLES.get() {
        consoles.draw_soon();
    }
}

/// Whether the memory is to be looked at again soon, because programs write it unseen.
pub(super) fn is_mapped() -> bool {
    MEMORY.get().is_some_and(|memory| memory.is_mapped.load(Ordering::Acquire))
}

/// Copies what programs wrote to the display.
pub(super) fn copy(display: &Display) {
    let Some(memory) = MEMORY.get() else { return };
    if !memory.is_written.swap(false, Ordering::AcqRel) && !is_mapped() {
        return;
    }
    let Some(pages) = memory.file.clone().pages() else { return };
    let mut pixels = [0; PAGE_LEN / PIXEL];
    for index in 0..memory.len.div_ceil(PAGE_LEN as u64) {
        // What nobody touched is not there.
        let Some(page) = pages.cached_page(index) else { continue };
        let mut bytes = [0; 256];
        for (part, pixels) in pixels.chunks_mut(bytes.len() / PIXEL).enumerate() {
            page.read(part * bytes.len(), &mut bytes);
            for (pixel, bytes) in pixels.iter_mut().zip(bytes.chunks_exact(PIXEL)) {
                *pixel = bytes.try_into().map_or(0, u32::from_le_bytes);
            }
        }
        let first = usize::try_from(index).unwrap_or(0) * pixels.len();
        draw(display, first, &pixels);
    }
}

/// Draws pixels that follow one another across lines.
fn draw(display: &Display, mut first: usize, mut pixels: &[u32]) {
    while !pixels.is_empty() {
        let (x, y) = (first % display.width(), first / display.width());
        let (line, rest) = pixels.split_at(pixels.len().min(display.width() - x));
        display.draw(x, y, line);
        first += line.len();
        pixels = rest;
    }
}

/// `struct fb_var_screeninfo`: 32 bits a pixel, red in bits 16 to 23.
fn variable(display: &Display) -> [u8; VARIABLE] {
    let side = |pixels: usize| u32::try_from(pixels).unwrap_or(0);
    let (width, height) = (side(display.width()), side(display.height()));
    let mut bytes = [0; VARIABLE];
    let words = [
        width, height, width, height, 0, 0, 32, 0, // Sizes, depth.
        16, 8, 0, 8, 8, 0, 0, 8, 0, 0, 0, 0, // Red, green, blue, no transparency.
    ];
    put_words(&mut bytes, 0, &words);
    // Nobody knows how large the display is.
    put_words(&mut bytes, 88, &[u32::MAX, u32::MAX]);
    bytes
}

/// `struct fb_fix_screeninfo`.
fn fixed(display: &Display) -> [u8; FIXED] {
    let mut bytes = [0; FIXED];
    for (place, byte) in bytes.iter_mut().zip(display.name().bytes().take(15)) {
        *place = byte;
    }
    let line = u32::try_from(display.width() * PIXEL).unwrap_or(0);
    let len = u32::try_from(display.width() * display.height() * PIXEL).unwrap_or(0);
    put_words(&mut bytes, 24, &[len, 0, 0, TRUE_COLOR]);
    put_words(&mut bytes, 48, &[line]);
    bytes
}

fn put_words(bytes: &mut [u8], at: usize, words: &[u32]) {
    for (place, word) in bytes.get_mut(at..).unwrap_or_default().chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
}
