//! The allocator: lists of free pieces by size, each a power of two, cut from chunks; large things are mapped alone.
//!
//! Simple and correct; one lock, which spins, around all lists. The allocator with caches for threads comes with the
//! C library. A piece of `n` bytes is aligned to `n`, up to a page. No system call is made before the first allocation.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use super::calls;

const PAGE: usize = 4096;
/// The smallest piece is 16 bytes.
const SMALLEST_SHIFT: u32 = 4;
/// The largest is 16 KiB; beyond it memory is mapped.
const CLASSES: usize = 11;
const CHUNK: usize = 64 << 10;

/// A free piece holds the address of the next.
#[derive(Clone, Copy)]
struct Piece(*mut Piece);

struct Lists {
    free: [*mut Piece; CLASSES],
    /// What is left of the newest chunk.
    chunk: *mut u8,
    left: usize,
}

/// The heap of a program.
pub struct Heap {
    is_taken: AtomicBool,
    lists: UnsafeCell<Lists>,
}

// SAFETY: `lists` is touched by `with` alone, between taking `is_taken` and giving it back.
unsafe impl Sync for Heap {}

/// The heap that [`crate::program!`] installs.
#[cfg_attr(target_os = "none", global_allocator)]
pub static HEAP: Heap = Heap::new();

impl Heap {
    /// Empty.
    pub const fn new() -> Self {
        let lists = Lists { free: [ptr::null_mut(); CLASSES], chunk: ptr::null_mut(), left: 0 };
        Self { is_taken: AtomicBool::new(false), lists: UnsafeCell::new(lists) }
    }

    fn with<R>(&self, act: impl FnOnce(&mut Lists) -> R) -> R {
        while self.is_taken.swap(true, Ordering::Acquire) {
            core::hint::spin_loop();
        }
        // SAFETY: whoever has set `is_taken` is alone, until it is cleared below.
        let result = act(unsafe { &mut *self.lists.get() });
        self.is_taken.store(false, Ordering::Release);
        result
    }
}

impl Default for Heap {
    fn default() -> Self {
        Self::new()
    }
}

/// The class whose pieces hold `layout`; `None` for what is mapped alone.
fn class_of(layout: Layout) -> Option<usize> {
    let size = layout.size().max(layout.align()).max(1 << SMALLEST_SHIFT);
    let shift = size.checked_next_power_of_two()?.trailing_zeros();
    let class = usize::try_from(shift - SMALLEST_SHIFT).ok()?;
    (class < CLASSES).then_some(class)
}

const fn piece_bytes(class: usize) -> usize {
    1 << (class + SMALLEST_SHIFT as usize)
}

const fn whole_pages(bytes: usize) -> Option<usize> {
    bytes.checked_next_multiple_of(PAGE)
}

impl Lists {
    fn take(&mut self, class: usize) -> *mut u8 {
        let first = self.free[class];
        if first.is_null() {
            return self.cut(piece_bytes(class));
        }
        // SAFETY: only `put` adds to the lists, and it wrote the next address into the piece.
        self.free[class] = unsafe { (*first).0 };
        first.cast()
    }

    /// A piece from the chunk, or from a new one; what is left of the old one is too small and given up.
    fn cut(&mut self, bytes: usize) -> *mut u8 {
        let align = bytes.min(PAGE);
        let skipped = self.chunk.align_offset(align);
        if self.chunk.is_null() || skipped.saturating_add(bytes) > self.left {
            let Ok(chunk) = calls::map(CHUNK) else { return ptr::null_mut() };
            (self.chunk, self.left) = (chunk, CHUNK);
            return self.cut(bytes);
        }
        let piece = self.chunk.wrapping_add(skipped);
        self.chunk = piece.wrapping_add(bytes);
        self.left -= skipped + bytes;
        piece
    }

    /// # Safety
    /// `at` came from `take(class)`, and nobody uses it.
    unsafe fn put(&mut self, at: *mut u8, class: usize) {
        let piece: *mut Piece = at.cast();
        // SAFETY: a piece has at least 16 bytes, aligned to 16, and is the caller's.
        unsafe { piece.write(Piece(self.free[class])) };
        self.free[class] = piece;
    }
}

// SAFETY: pieces are disjoint parts of mapped memory, as large and as aligned as their class says, and are handed out
// again only after `dealloc`. What is mapped alone is aligned to a page; more is refused with null.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() > PAGE {
            return ptr::null_mut();
        }
        match class_of(layout) {
            Some(class) => self.with(|lists| lists.take(class)),
            None => whole_pages(layout.size()).and_then(|bytes| calls::map(bytes).ok()).unwrap_or_default(),
        }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        match class_of(layout) {
            // SAFETY: by GlobalAlloc's contract it came from `alloc` with this layout and is unused.
            Some(class) => self.with(|lists| unsafe { lists.put(at, class) }),
            None => {
                let bytes = whole_pages(layout.size()).unwrap_or(0);
                // SAFETY: as above; such pieces were mapped alone, in whole pages.
                unsafe { calls::unmap(at, bytes) };
            }
        }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let Ok(new_layout) = Layout::from_size_align(new_size, layout.align()) else {
            return ptr::null_mut();
        };
        match (class_of(layout), class_of(new_layout)) {
            (Some(old), Some(new)) if old == new => at,
            (None, None) => {
                let bytes = (whole_pages(layout.size()), whole_pages(new_size));
                let (Some(old), Some(new)) = bytes else { return ptr::null_mut() };
                // SAFETY: it was mapped alone, in whole pages, and the caller forgets the old address.
                unsafe { calls::remap(at, old, new) }.unwrap_or_default()
            }
            // SAFETY: the caller's contract is that of this function.
            _ => unsafe { self.move_to(at, layout, new_layout) },
        }
    }
}

impl Heap {
    /// # Safety
    /// As `realloc`.
    unsafe fn move_to(&self, at: *mut u8, layout: Layout, new_layout: Layout) -> *mut u8 {
        // SAFETY: the new layout is not of size 0: realloc's caller promised it.
        let new = unsafe { self.alloc(new_layout) };
        if !new.is_null() {
            // SAFETY: both hold at least the smaller size, and do not overlap, since both are handed out.
            unsafe { ptr::copy_nonoverlapping(at, new, layout.size().min(new_layout.size())) };
            // SAFETY: it is the caller's, who forgets it.
            unsafe { self.dealloc(at, layout) };
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Random allocations filled with a pattern of their own: no two overlap, and all keep their contents.
    #[test]
    fn pieces_are_aligned_disjoint_and_kept() {
        let heap = Heap::new();
        let mut held: Vec<(*mut u8, Layout, u8)> = Vec::new();
        let mut seed = 1_u64;
        let mut next = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from((seed >> 33) % below).unwrap()
        };
        for round in 0..4000 {
            let size = [1, 24, 300, 4096, 9000, 40_000][next(6)] + next(64);
            let layout = Layout::from_size_align(size, 1 << next(8)).unwrap();
            let mark = u8::try_from(round % 251).unwrap();
            // SAFETY: the size is not 0.
            let at = unsafe { heap.alloc(layout) };
            assert!(!at.is_null() && at.addr().is_multiple_of(layout.align()));
            // SAFETY: it has `size` bytes.
            unsafe { at.write_bytes(mark, size) };
            held.push((at, layout, mark));
            if held.len() > 100 {
                let (at, layout, mark) = held.swap_remove(next(100));
                let new_size = layout.size() * (1 + next(3)) / 2 + 1;
                // SAFETY: it is held with this layout.
                let at = unsafe { heap.realloc(at, layout, new_size) };
                let kept = layout.size().min(new_size);
                // SAFETY: it has at least `kept` bytes, all written.
                assert!(unsafe { core::slice::from_raw_parts(at, kept) }.iter().all(|&byte| byte == mark));
                let layout = Layout::from_size_align(new_size, layout.align()).unwrap();
                // SAFETY: it is held with this layout and forgotten.
                unsafe { heap.dealloc(at, layout) };
            }
        }
    }

    #[test]
    fn too_large_an_alignment_is_refused() {
        let heap = Heap::new();
        // SAFETY: the size is not 0.
        assert!(unsafe { heap.alloc(Layout::from_size_align(1, 8192).unwrap()) }.is_null());
    }
}
