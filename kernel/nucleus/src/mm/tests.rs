//! Address spaces on the simulated machine: what a program reads there, and that nothing leaks.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::{Errno, Result};
use hal::frames::SharedFrame;
use hal::simulation;
use hal::user::AccessKind;
use logic::addr::PAGE_SIZE;
use logic::vma::{AtFork, Growth, Rights, Sharing};

use super::source::Purpose;
use super::*;

const TOP: u64 = 0x3000_0000_0000;
const AT: u64 = 0x1000_0000;

fn memory() -> Arc<Memory> {
    Memory::new(Layout { mmap_top: TOP, heap_start: 0x200_0000, ..Layout::default() }).unwrap()
}

fn request(place: Place, pages: u64) -> MapRequest {
    MapRequest {
        place,
        len: pages * PAGE_SIZE,
        rights: Rights::READ_WRITE,
        allowed: Rights { execute: true, ..Rights::READ_WRITE },
        sharing: Sharing::Private,
        growth: Growth::Fixed,
        source: Source::Anonymous,
        is_populated: false,
        is_locked: false,
    }
}

/// A file of three pages, each full of its number plus one.
struct Numbers(Vec<SharedFrame>);

impl Numbers {
    fn new() -> Arc<Self> {
        let page = |number: u8| {
            let frame = SharedFrame::new_zeroed().unwrap();
            frame.write(0, &[number + 1; 4096]);
            frame
        };
        Arc::new(Numbers((0..3).map(page).collect()))
    }
}

impl PageSource for Numbers {
    fn page(&self, index: u64, _purpose: Purpose) -> Result<SharedFrame> {
        self.cached_page(index).ok_or(Errno::ENXIO)
    }

    fn cached_page(&self, index: u64) -> Option<SharedFrame> {
        self.0.get(usize::try_from(index).ok()?).cloned()
    }

    fn identity(&self) -> (u64, u64) {
        (0, 1)
    }

    fn describe(&self, _to: &mut Vec<u8>) {}
}

fn byte(memory: &Memory, address: u64) -> Option<u8> {
    let mut byte = [0];
    (memory.read_remote(address, &mut byte) == 1).then_some(byte[0])
}

#[test]
fn memory_is_zero_until_written_and_given_back() {
    let machine = simulation::machine();
    drop(SharedFrame::zero().unwrap());
    let before = machine.free_frames();
    let memory = memory();
    assert_eq!(memory.map(request(Place::Fixed(AT), 4)), Ok(AT));
    assert_eq!(byte(&memory, AT + 5), Some(0));
    assert_eq!(memory.write_remote(AT + PAGE_SIZE - 1, b"ab"), 2);
    assert_eq!(byte(&memory, AT + PAGE_SIZE), Some(b'b'));
    assert_eq!(byte(&memory, AT + 4 * PAGE_SIZE), None);
    assert_eq!(memory.fault(AT + 4 * PAGE_SIZE, AccessKind::Read), Err(FaultError::NotMapped));
    memory.discard(AT..AT + 4 * PAGE_SIZE).unwrap();
    assert_eq!(byte(&memory, AT + PAGE_SIZE), Some(0));
    memory.unmap(AT, 4 * PAGE_SIZE).unwrap();
    assert_eq!(memory.resident_pages(), 0);
    drop(memory);
    assert_eq!(machine.free_frames(), before);
}

#[test]
fn large_areas_get_large_pages() {
    let machine = simulation::machine();
    let before = machine.free_frames();
    let memory = memory();
    let start = memory.map(request(Place::Hint(0), 1024)).unwrap();
    assert_eq!(start % (2 << 20), 0);
    memory.write_remote(start + 5 * PAGE_SIZE, b"x");
    assert_eq!(memory.resident_pages(), 512);
    let child = memory.fork().unwrap();
    child.write_remote(start + 5 * PAGE_SIZE, b"y");
    assert_eq!(byte(&memory, start + 5 * PAGE_SIZE), Some(b'x'));
    assert_eq!(byte(&child, start + 5 * PAGE_SIZE), Some(b'y'));
    drop((memory, child));
    assert_eq!(machine.free_frames(), before);
}

#[test]
fn rights_are_kept_and_faults_told_apart() {
    let _machine = simulation::machine();
    let memory = memory();
    memory.map(request(Place::Fixed(AT), 3)).unwrap();
    memory.write_remote(AT, b"a");
    assert_eq!(memory.protect(AT, PAGE_SIZE, Rights::NONE), Ok(()));
    assert_eq!(memory.fault(AT, AccessKind::Read), Err(FaultError::Forbidden));
    let read = Rights { write: false, ..Rights::READ_WRITE };
    assert_eq!(memory.protect(AT, PAGE_SIZE, read), Ok(()));
    assert_eq!(byte(&memory, AT), Some(b'a'));
    assert_eq!(memory.fault(AT, AccessKind::Write), Err(FaultError::Forbidden));
    assert_eq!(memory.protect(AT, 2 * PAGE_SIZE, Rights::READ_WRITE), Ok(()));
    assert_eq!(memory.write_remote(AT, b"b"), 1);
    assert_eq!(memory.protect(AT + 2 * PAGE_SIZE, 2 * PAGE_SIZE, read), Err(Errno::ENOMEM));
    assert_eq!(memory.protect(AT + 1, PAGE_SIZE, read), Err(Errno::EINVAL));
    let file = Source::File { file: Numbers::new(), offset: 0 };
    let shared = MapRequest {
        sharing: Sharing::Shared,
        rights: read,
        allowed: read,
        source: file,
        ..request(Place::Free(AT), 4)
    };
    assert_eq!(memory.map(shared), Err(Errno::EEXIST));
}

#[test]
fn files_are_shared_or_copied() {
    let machine = simulation::machine();
    let file = Numbers::new();
    let before = machine.free_frames();
    let memory = memory();
    let source = |offset| Source::File { file: file.clone(), offset };
    let private = MapRequest { source: source(PAGE_SIZE), ..request(Place::Fixed(AT), 4) };
    memory.map(private).unwrap();
    let at = AT + (1 << 30);
    let shared = MapRequest { source: source(0), sharing: Sharing::Shared, ..request(Place::Fixed(at), 3) };
    memory.map(shared).unwrap();
    assert_eq!(byte(&memory, AT), Some(2));
    // The neighbour came with it.
    assert_eq!(memory.resident_pages(), 2);
    memory.write_remote(AT, b"p");
    assert_eq!(byte(&memory, at + PAGE_SIZE), Some(2));
    memory.write_remote(at + 2 * PAGE_SIZE, b"s");
    assert_eq!(byte(&memory, AT + PAGE_SIZE), Some(b's'));
    assert_eq!(memory.fault(AT + 2 * PAGE_SIZE, AccessKind::Read), Err(FaultError::PastEnd));
    let child = memory.fork().unwrap();
    memory.write_remote(at, b"t");
    assert_eq!((byte(&child, at), byte(&child, AT)), (Some(b't'), Some(b'p')));
    drop((memory, child));
    assert_eq!(machine.free_frames(), before);
}

#[test]
fn heaps_and_stacks_grow_up_to_their_limits() {
    let _machine = simulation::machine();
    let memory = memory();
    let first = memory.set_heap_end(0);
    assert_eq!(memory.set_heap_end(first + 10), first + 10);
    assert_eq!(memory.write_remote(first, b"heap"), 4);
    assert_eq!(memory.set_heap_end(first - 1), first + 10);
    assert_eq!(memory.set_heap_end(first), first);
    assert_eq!(byte(&memory, first), None);
    let stack = MapRequest { growth: Growth::Down, ..request(Place::Fixed(AT), 1) };
    memory.map(stack).unwrap();
    assert_eq!(memory.write_remote(AT - 5 * PAGE_SIZE, b"s"), 1);
    assert_eq!(memory.fault(AT - (9 << 20), AccessKind::Write), Err(FaultError::NotMapped));
    memory.map(request(Place::Fixed(AT - (4 << 20)), 1)).unwrap();
    assert_eq!(memory.write_remote(AT - (2 << 20), b"s"), 1);
    assert_eq!(memory.fault(AT - (4 << 20) + 2 * PAGE_SIZE, AccessKind::Write), Err(FaultError::NotMapped));
}

#[test]
fn areas_move_with_their_contents() {
    let machine = simulation::machine();
    let before = machine.free_frames();
    let memory = memory();
    memory.map(request(Place::Fixed(AT), 2)).unwrap();
    memory.write_remote(AT + PAGE_SIZE, b"m");
    assert_eq!(memory.remap(AT, 2 * PAGE_SIZE, 3 * PAGE_SIZE, Remap::InPlace), Ok(AT));
    memory.map(request(Place::Fixed(AT + 3 * PAGE_SIZE), 1)).unwrap();
    assert_eq!(memory.remap(AT, 3 * PAGE_SIZE, 5 * PAGE_SIZE, Remap::InPlace), Err(Errno::ENOMEM));
    let moved = memory.remap(AT, 3 * PAGE_SIZE, 5 * PAGE_SIZE, Remap::MayMove).unwrap();
    assert_eq!((byte(&memory, moved + PAGE_SIZE), byte(&memory, AT)), (Some(b'm'), None));
    assert_eq!(memory.remap(moved, 5 * PAGE_SIZE, PAGE_SIZE, Remap::To(AT)), Ok(AT));
    assert_eq!(memory.mapped_bytes(), 2 * PAGE_SIZE);
    memory.set_at_fork(AT..AT + PAGE_SIZE, AtFork::Absent).unwrap();
    assert!(!memory.fork().unwrap().is_mapped(AT..AT + PAGE_SIZE));
    drop(memory);
    assert_eq!(machine.free_frames(), before);
}
