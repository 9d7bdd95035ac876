//! The ring against a device that is played by the test.

use std::collections::VecDeque;
use std::vec::Vec;

use hal::simulation::{self, Machine, Occupied};
use proptest::prelude::*;

use super::*;

/// The device's side of a ring, written from the specification and not from the driver's side.
struct Device {
    seen: u16,
    done: u16,
}

impl Device {
    /// The next request: the first descriptor, and each piece's length and whether the device writes it.
    fn take(&mut self, queue: &Queue) -> Option<(u16, Vec<(u32, bool)>)> {
        let size = usize::from(queue.size);
        if self.seen == queue.ring.read::<u16>(queue.available + 2) {
            return None;
        }
        let head: u16 = queue.ring.read(queue.available + 4 + 2 * (usize::from(self.seen) % size));
        self.seen = self.seen.wrapping_add(1);
        let mut pieces = Vec::new();
        let read = |table: &Dma, index: usize| {
            let at = index * 16;
            (table.read::<u32>(at + 8), table.read::<u16>(at + 12), table.read::<u16>(at + 14))
        };
        let (len, flags, _) = read(&queue.ring, usize::from(head));
        if flags & FLAG_INDIRECT != 0 {
            let tables = queue.tables.as_ref().unwrap();
            let start = queue.ring.read::<u64>(usize::from(head) * 16) - tables.address(0).get();
            let base = usize::try_from(start).unwrap() / 16;
            for index in 0..len as usize / 16 {
                let (len, flags, next) = read(tables, base + index);
                let is_last = index + 1 == queue_len(len, index, &flags, queue, base);
                assert_eq!(flags & FLAG_NEXT == 0, is_last);
                assert!(is_last || usize::from(next) == index + 1);
                pieces.push((len, flags & FLAG_DEVICE_WRITES != 0));
            }
        } else {
            let mut at = usize::from(head);
            loop {
                let (len, flags, next) = read(&queue.ring, at);
                pieces.push((len, flags & FLAG_DEVICE_WRITES != 0));
                if flags & FLAG_NEXT == 0 {
                    break;
                }
                at = usize::from(next);
            }
        }
        Some((head, pieces))
    }

    fn finish(&mut self, queue: &Queue, head: u32) {
        let place = queue.used + 4 + 8 * (usize::from(self.done) % usize::from(queue.size));
        queue.ring.write(place, head);
        self.done = self.done.wrapping_add(1);
        queue.ring.write(queue.used + 2, self.done);
    }
}

/// How many descriptors the table at `base` has: up to the first without a successor.
fn queue_len(_len: u32, index: usize, flags: &u16, queue: &Queue, base: usize) -> usize {
    if flags & FLAG_NEXT == 0 {
        return index + 1;
    }
    let tables = queue.tables.as_ref().unwrap();
    (index..).find(|next| tables.read::<u16>((base + next) * 16 + 12) & FLAG_NEXT == 0).unwrap() + 1
}

fn machine() -> (Machine, Occupied) {
    let machine = simulation::machine();
    (machine, simulation::occupy(0))
}

fn queue(size: u16, per_slot: usize, is_indirect: bool) -> (Queue, Device) {
    let manner = Manner { is_indirect, has_event_index: false };
    (Queue::new(size, per_slot, manner).unwrap(), Device { seen: 0, done: 0 })
}

fn pieces(memory: &Dma, lens: &[u32]) -> Vec<Piece> {
    let mut pieces: Vec<_> =
        lens.iter().map(|&len| Piece { address: memory.address(0), len, writer: Writer::Driver }).collect();
    if let Some(last) = pieces.last_mut() {
        last.writer = Writer::Device;
    }
    pieces
}

#[test]
fn a_request_reaches_the_device_as_it_was_given() {
    let _machine = machine();
    let memory = Dma::new(16, Reach::Everything).unwrap();
    for is_indirect in [true, false] {
        let (mut queue, mut device) = queue(16, 4, is_indirect);
        assert_eq!(queue.slots(), if is_indirect { 16 } else { 4 });
        assert!(queue.push(3, pieces(&memory, &[16, 4096, 1]).into_iter()).unwrap());
        let (head, found) = device.take(&queue).unwrap();
        assert_eq!(found, [(16, false), (4096, false), (1, true)]);
        assert_eq!(queue.pop(), None);
        device.finish(&queue, u32::from(head));
        assert_eq!((queue.pop(), queue.pop()), (Some(3), None));
        assert_eq!(
            queue.push(0, pieces(&memory, &[1; 5]).into_iter()),
            Err(Errno::EINVAL),
            "too many pieces"
        );
        let beyond = queue.slots();
        assert_eq!(queue.push(beyond, pieces(&memory, &[1]).into_iter()), Err(Errno::EINVAL));
    }
}

#[test]
fn what_the_device_invents_is_skipped() {
    let _machine = machine();
    let (mut queue, mut device) = queue(16, 4, false);
    for invented in [1, 2, 16, 17, u32::MAX] {
        device.finish(&queue, invented);
    }
    device.finish(&queue, 8);
    assert_eq!((queue.pop(), queue.pop()), (Some(2), None));
}

#[test]
fn the_device_is_told_only_if_it_wants() {
    let _machine = machine();
    let memory = Dma::new(16, Reach::Everything).unwrap();
    let manner = Manner { is_indirect: true, has_event_index: true };
    let mut queue = Queue::new(8, 4, manner).unwrap();
    let event = queue.used + 4 + 8 * 8;
    let push = |queue: &mut Queue| queue.push(0, pieces(&memory, &[1]).into_iter()).unwrap();
    assert!(push(&mut queue), "it waits for number 0");
    assert!(!push(&mut queue), "it has not looked since");
    queue.ring.write(event, 2_u16);
    assert!(push(&mut queue));
    queue.ring.write(event, 100_u16);
    assert!(!push(&mut queue));
    // What was seen is where the next interrupt is wanted.
    let mut device = Device { seen: 0, done: 0 };
    device.finish(&queue, 0);
    assert_eq!((queue.pop(), queue.pop()), (Some(0), None));
    assert_eq!(queue.ring.read::<u16>(queue.available + 4 + 16), 1);
    let flags = Queue::new(8, 4, Manner { is_indirect: true, has_event_index: false }).unwrap();
    let mut flags = flags;
    flags.ring.write(flags.used, NO_NEWS);
    assert!(!push(&mut flags));
}

proptest! {
    /// Any order of giving and taking, around the ring and past 65,536: nothing is lost, doubled or mixed up.
    #[test]
    fn requests_come_back_once(steps in proptest::collection::vec((any::<bool>(), 0..8_usize, 1..5_usize), 1..400), start in any::<u16>(), is_indirect in any::<bool>()) {
        let _machine = machine();
        let memory = Dma::new(16, Reach::Everything).unwrap();
        let (mut queue, mut device) = queue(if is_indirect { 8 } else { 32 }, 4, is_indirect);
        (queue.next, queue.seen, device.seen, device.done) = (start, start, start, start);
        queue.ring.write(queue.available + 2, start);
        queue.ring.write(queue.used + 2, start);
        let mut under_way = [0_usize; 8];
        let mut taken = VecDeque::new();
        for (is_push, slot, count) in steps {
            if is_push && under_way[slot] == 0 {
                queue.push(slot, pieces(&memory, &[1, 2, 3, 4][..count]).into_iter()).unwrap();
                under_way[slot] = count;
                let (head, found) = device.take(&queue).unwrap();
                prop_assert_eq!(found.len(), count);
                taken.push_back(head);
            } else if let Some(head) = taken.remove(slot.min(taken.len().saturating_sub(1))) {
                device.finish(&queue, u32::from(head));
                let done = queue.pop().unwrap();
                prop_assert!(under_way[done] > 0);
                under_way[done] = 0;
            }
        }
        prop_assert_eq!(taken.len(), under_way.iter().filter(|&&count| count > 0).count());
    }
}
