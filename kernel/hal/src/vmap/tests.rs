//! Kernel stacks on the simulated machine: apart, guarded, reused, and given back.

use super::*;
use crate::simulation;

fn bottom_of(stack: &KernelStack) -> u64 {
    stack.top().get() - STACK_PAGES * PAGE_SIZE
}

fn is_mapped(address: u64) -> bool {
    crate::is_mapped(address)
}

#[test]
fn stacks_are_apart_with_guards_between() {
    let _machine = simulation::machine();
    let stacks: Vec<_> = (0..20).map(|_| KernelStack::new().unwrap()).collect();
    let mut bottoms: Vec<_> = stacks.iter().map(bottom_of).collect();
    bottoms.sort_unstable();
    for pair in bottoms.windows(2) {
        assert!(pair[1] - pair[0] > STACK_PAGES * PAGE_SIZE, "room for a guard");
    }
    for &bottom in &bottoms {
        for page in 0..STACK_PAGES {
            assert!(is_mapped(bottom + page * PAGE_SIZE));
        }
        assert!(!is_mapped(bottom - 1), "an overflow faults");
        assert!(!is_mapped(bottom - (SLOT_PAGES - STACK_PAGES) * PAGE_SIZE), "as far as the guard goes");
    }
    drop(stacks);
    trim();
}

#[test]
fn a_returned_stack_is_the_next_one() {
    let _machine = simulation::machine();
    let stack = KernelStack::new().unwrap();
    let top = stack.top();
    let free = crate::frames::stats().free;
    drop(stack);
    let stack = KernelStack::new().unwrap();
    assert_eq!(stack.top(), top);
    assert_eq!(crate::frames::stats().free, free, "nothing was mapped anew");
    drop(stack);
    trim();
    assert!(!is_mapped(top.get() - 1));
}

#[test]
fn trimming_frees_every_frame_and_flushes_first() {
    let machine = simulation::machine();
    let make = || (0..100).map(|_| KernelStack::new().unwrap()).collect::<Vec<_>>();
    // The first time also makes tables, which stay.
    drop(make());
    trim();
    let before = machine.free_frames();
    let (pages, whole) = simulation::flushes(crate::cpu::id());
    drop(make());
    assert!(machine.free_frames() < before, "some are kept for the next threads");
    trim();
    assert_eq!(machine.free_frames(), before);
    let (pages_after, whole_after) = simulation::flushes(crate::cpu::id());
    assert!(pages_after - pages >= 100 * STACK_PAGES || whole_after > whole);
}

#[test]
fn a_stack_that_finds_half_its_memory_gives_that_back() {
    let machine = simulation::machine();
    drop((0..4).map(|_| KernelStack::new().unwrap()).collect::<Vec<_>>());
    trim();
    let before = machine.free_frames();
    let mut frames: Vec<_> = core::iter::from_fn(crate::frames::allocate).collect();
    frames.truncate(frames.len() - to_usize(STACK_PAGES) / 2);
    assert_eq!(KernelStack::new().map(|_| ()), Err(Errno::ENOMEM));
    drop(frames);
    assert_eq!(machine.free_frames(), before);
}

#[test]
fn device_registers_keep_their_offset_in_the_page() {
    let machine = simulation::machine();
    let frame = crate::frames::allocate_zeroed().unwrap();
    let start = PhysAddr::new(frame.address().get() + 0x804);
    let base = map_physical(start, PAGE_SIZE, Protection::DEVICE).unwrap();
    assert_eq!(base.addr() % 4096, 0x804);
    assert!(is_mapped(base.addr() as u64 + PAGE_SIZE - 1), "the second page too");
    assert!(!is_mapped(base.addr() as u64 + 2 * PAGE_SIZE));
    assert_eq!(map_physical(start, DEVICES_LEN, Protection::DEVICE), Err(Errno::ENOMEM));
    assert_eq!(map_physical(start, u64::MAX, Protection::DEVICE), Err(Errno::EINVAL));
    drop(machine);
}
