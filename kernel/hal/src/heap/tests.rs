//! The heap on the simulated machine. It is called directly: the tests' own allocator is the host's.

use std::sync::Mutex;

use super::*;
use crate::simulation;

/// An object of the heap with words that name it.
struct Piece {
    address: usize,
    layout: Layout,
}

impl Piece {
    fn new(size: usize, align: usize) -> Option<Self> {
        let layout = Layout::from_size_align(size, align).unwrap();
        // SAFETY: the layout is not of size zero in any test.
        let pointer = unsafe { Heap.alloc(layout) };
        if pointer.is_null() {
            return None;
        }
        assert!(pointer.addr().is_multiple_of(align), "{layout:?} is at {pointer:?}");
        let piece = Piece { address: pointer.expose_provenance(), layout };
        // SAFETY: the object was just allocated with this size.
        unsafe { pointer.write_bytes(piece.mark(), size) };
        Some(piece)
    }

    fn mark(&self) -> u8 {
        self.address
            .to_le_bytes()
            .iter()
            .fold(self.layout.size().to_le_bytes()[0], |a, b| a.wrapping_mul(31) ^ b)
    }

    fn pointer(&self) -> *mut u8 {
        core::ptr::with_exposed_provenance_mut(self.address)
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // SAFETY: the object is allocated until the end of this function, and was written whole.
        let bytes = unsafe { core::slice::from_raw_parts(self.pointer(), self.layout.size()) };
        if !std::thread::panicking() {
            assert!(
                bytes.iter().all(|&byte| byte == self.mark()),
                "{:#x} was written by others",
                self.address
            );
        }
        // SAFETY: allocated with this layout, and freed once.
        unsafe { Heap.dealloc(self.pointer(), self.layout) };
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn size(&mut self) -> usize {
        match self.below(40) {
            0 => 1 + self.below(400 << 10),
            1..6 => 1 + self.below(32 << 10),
            _ => 1 + self.below(2200),
        }
    }
}

/// What must be equal before and after: all but what the large end keeps, which is given back as frames.
fn balance(machine: &simulation::Machine) -> (usize, Stats) {
    let frames = machine.free_frames();
    let stats = stats();
    let kept = stats.large_bytes / 4096;
    (frames + kept, Stats { large_bytes: 0, ..stats })
}

#[test]
fn eight_cpus_exchange_objects_and_none_is_lost() {
    let machine = simulation::machine();
    let before = balance(&machine);
    let shared: Mutex<Vec<Piece>> = Mutex::new(Vec::new());
    machine.run(8, |number| {
        let mut random = Random(0x2545_f491 + number as u64);
        let mut pieces = Vec::new();
        for _ in 0..3000 {
            match random.below(12) {
                0..6 => pieces.extend(Piece::new(random.size(), 1 << random.below(7))),
                6..10 if !pieces.is_empty() => drop(pieces.swap_remove(random.below(pieces.len()))),
                10 => shared.lock().unwrap().append(&mut pieces),
                _ => drop(core::mem::take(&mut *shared.lock().unwrap())),
            }
        }
    });
    drop(shared);
    assert_eq!(balance(&machine), before);
}

#[test]
fn exhaustion_is_a_null_pointer_and_passes() {
    let machine = simulation::machine();
    let before = balance(&machine);
    let mut pieces = Vec::new();
    // Largest first, so that the large end, which keeps what it gets, gets little.
    for size in [4 << 20, 1 << 20, 256 << 10, 100 << 10, 8 << 10, 2048, 700, 64, 8] {
        pieces.extend(core::iter::from_fn(|| Piece::new(size, 8)));
    }
    assert!(pieces.len() > 16, "the machine has 64 MiB");
    assert!(crate::frames::allocate().is_none(), "the last objects took the last frames");
    pieces.truncate(pieces.len() / 2);
    pieces.extend(Piece::new(700, 8));
    drop(pieces);
    assert_eq!(balance(&machine), before);
    assert!(Piece::new(4 << 20, 8).is_some(), "free blocks are whole again");
}

#[test]
fn alignments_are_kept() {
    let _machine = simulation::machine();
    for align in (0..=22).map(|shift| 1 << shift) {
        for size in [1, 24, 100, 2048, 5000, 130 << 10] {
            assert!(Piece::new(size, align).is_some(), "size {size}, alignment {align}");
        }
    }
    assert!(Piece::new(8, 8 << 20).is_none(), "no block is that aligned");
    assert!(Piece::new(5 << 20, 8).is_none(), "no block is that large");
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "was written to after it was freed")]
fn a_write_to_a_freed_object_is_found() {
    let _machine = simulation::machine();
    let piece = Piece::new(48, 8).unwrap();
    let late = piece.pointer().wrapping_add(40);
    drop(piece);
    // SAFETY: simulated RAM, which no other test uses while this one has the machine.
    unsafe { late.write(1) };
    // The magazine gives the last one freed first.
    let _ = Piece::new(33, 8);
}

#[test]
#[should_panic(expected = "freeing heap object")]
fn a_double_free_is_found() {
    let machine = simulation::machine();
    machine.free_frames();
    let layout = Layout::from_size_align(48, 8).unwrap();
    // SAFETY: not of size zero.
    let pointer = unsafe { Heap.alloc(layout) };
    for _ in 0..2 {
        // SAFETY: the second time breaks the contract: what is freed is simulated RAM that nobody uses, and the test
        // is that the heap notices.
        unsafe { Heap.dealloc(pointer, layout) };
    }
    machine.free_frames();
}
