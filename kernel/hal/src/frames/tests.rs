//! Frames on the simulated machine: none is lost, none is handed out twice, misuse is found.

use std::sync::Mutex;

use super::*;
use crate::simulation::{self, Machine};

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

/// Fills a frame with words that name it.
fn mark(frame: &mut Frame) {
    let name = frame.address().get();
    for (index, word) in frame.bytes_mut().as_chunks_mut::<8>().0.iter_mut().enumerate() {
        *word = (name + index as u64).to_le_bytes();
    }
}

fn check_mark(frame: &Frame) {
    let name = frame.address().get();
    for (index, word) in frame.bytes().as_chunks::<8>().0.iter().enumerate() {
        assert_eq!(u64::from_le_bytes(*word), name + index as u64, "frame {name:#x} was written by others");
    }
}

fn take_all() -> Vec<Frame> {
    core::iter::from_fn(allocate).collect()
}

#[test]
fn eight_cpus_exchange_frames_and_none_is_lost() {
    let machine = simulation::machine();
    let before = machine.free_frames();
    let shared: Mutex<Vec<Frame>> = Mutex::new(Vec::new());
    machine.run(8, |number| {
        let mut random = Random(0x9e37_79b9 + number as u64);
        let (mut frames, mut blocks) = (Vec::new(), Vec::new());
        for _ in 0..2000 {
            match random.below(8) {
                0..4 => {
                    let mut frame = allocate().expect("64 MiB are enough");
                    mark(&mut frame);
                    frames.push(frame);
                }
                4 => blocks.extend(allocate_block(Order::new(3).unwrap(), ZoneKind::Normal)),
                5 => drop(blocks.pop()),
                6 => shared.lock().unwrap().append(&mut frames),
                _ => {
                    let others = core::mem::take(&mut *shared.lock().unwrap());
                    others.iter().for_each(check_mark);
                }
            }
        }
        frames.iter().for_each(check_mark);
    });
    drop(shared);
    assert_eq!(machine.free_frames(), before);
}

#[test]
fn exhaustion_is_an_answer_and_passes() {
    let machine = simulation::machine();
    let before = machine.free_frames();
    let frames = take_all();
    assert_eq!(frames.len(), before, "every free frame can be had one by one");
    assert_eq!(allocate(), None);
    assert_eq!(allocate_zeroed(), None);
    assert_eq!(allocate_block(Order::ZERO, ZoneKind::Normal), None);
    let mut addresses: Vec<_> = frames.iter().map(Frame::address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), before, "no frame was handed out twice");
    drop(frames);
    assert_eq!(machine.free_frames(), before);
    let largest = allocate_block(Order::MAX, ZoneKind::Normal).expect("free neighbours are one block again");
    assert!(largest.address().is_aligned(largest.len() as u64));
}

#[test]
fn a_bound_is_kept() {
    let _machine = simulation::machine();
    let low = allocate_block(Order::ZERO, ZoneKind::Dma32).expect("24 MiB lie below 4 GiB");
    assert!(low.address().get() < 4 << 30);
    assert_eq!(allocate_block(Order::ZERO, ZoneKind::Dma), None, "nothing lies below 16 MiB");
}

#[test]
fn zeroed_frames_are_zeroed() {
    let _machine = simulation::machine();
    for _ in 0..100 {
        let mut frame = allocate_zeroed().unwrap();
        assert!(frame.bytes().iter().all(|&byte| byte == 0));
        frame.bytes_mut().fill(0xff);
    }
}

fn drained() -> Machine {
    let machine = simulation::machine();
    machine.free_frames();
    machine
}

#[test]
#[should_panic(expected = "freeing frame")]
fn a_double_free_is_found() {
    let machine = drained();
    let frame = allocate().unwrap();
    drop(Frame::from_raw(frame.address()));
    drop(frame);
    machine.free_frames();
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "was written to after it was freed")]
fn a_write_to_a_freed_frame_is_found() {
    let _machine = drained();
    let frame = allocate().unwrap();
    let late = memory::direct(frame.address()).wrapping_add(2000);
    drop(frame);
    // SAFETY: simulated RAM, which no other test uses while this one has the machine.
    unsafe { late.write(1) };
    // The cache gives the last one freed first.
    drop(allocate());
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "was written to after it was freed")]
fn a_write_to_a_freed_block_is_found() {
    let _machine = drained();
    let order = Order::new(3).unwrap();
    let block = allocate_block(order, ZoneKind::Normal).unwrap();
    let late = memory::direct(block.address()).wrapping_add(5 * PAGE_LEN + 2000);
    drop(block);
    // SAFETY: as above.
    unsafe { late.write(1) };
    // The zone gives the last one freed first, or a larger one that it has become part of.
    let _all: Vec<_> = core::iter::from_fn(|| allocate_block(order, ZoneKind::Normal)).collect();
}

#[test]
fn a_block_that_was_written_in_part_is_no_write_after_free() {
    let machine = drained();
    // All frames hold the pattern of freed ones now.
    drop(take_all());
    machine.free_frames();
    let block = allocate_block(Order::new(4).unwrap(), ZoneKind::Normal).unwrap();
    let second_frame = memory::direct(block.address()).wrapping_add(4096);
    // SAFETY: inside the block, which is ours.
    unsafe { second_frame.wrapping_add(8).write_bytes(1, 4088) };
    drop(block);
    drop(take_all());
}
