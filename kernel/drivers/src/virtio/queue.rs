//! The ring that driver and device share (a split virtqueue), cut into slots.
//!
//! A slot is a request: a table of descriptors of its own, behind one descriptor of the ring where the device follows such
//! tables, else a part of the ring's. So nothing is searched or allocated, and slot and descriptor find each other by
//! arithmetic. What the device writes is believed only as far as a mask and a check allow.
//! Spec: VIRTIO 1.2, section 2.7.

use abi::{Errno, Result};
use hal::dma::{self, BusAddress, Dma, Reach};
use logic::addr::PAGE_LEN;

use super::transport::QueuePlace;

const DESCRIPTOR: usize = 16;
const FLAG_NEXT: u16 = 1;
const FLAG_DEVICE_WRITES: u16 = 2;
const FLAG_INDIRECT: u16 = 4;
/// On one side's flags: the other need not tell.
const NO_NEWS: u16 = 1;

/// Who writes a piece of memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Writer {
    Driver,
    Device,
}

/// A piece of memory of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) address: BusAddress,
    pub(super) len: u32,
    pub(super) writer: Writer,
}

/// What the device and driver agreed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Manner {
    pub(super) is_indirect: bool,
    pub(super) has_event_index: bool,
}

/// The driver's side.
#[derive(Debug)]
pub(super) struct Queue {
    ring: Dma,
    tables: Option<Dma>,
    size: u16,
    /// Descriptors a slot has.
    per_slot: usize,
    manner: Manner,
    available: usize,
    used: usize,
    next: u16,
    seen: u16,
}

impl Queue {
    /// A queue of `size` descriptors (a power of two) with `per_slot` (a power of two) for each request.
    ///
    /// # Errors
    /// ENOMEM; EINVAL for other numbers.
    pub(super) fn new(size: u16, per_slot: usize, manner: Manner) -> Result<Self> {
        if !size.is_power_of_two() || !per_slot.is_power_of_two() {
            return Err(Errno::EINVAL);
        }
        let entries = usize::from(size);
        let available = entries * DESCRIPTOR;
        // As the old interface wants it: the used ring begins a page. Behind each ring stands an event index.
        let used = (available + 4 + 2 * entries + 2).next_multiple_of(PAGE_LEN);
        let ring = Dma::new(used + 4 + 8 * entries + 2, Reach::Everything)?;
        let tables = match manner.is_indirect {
            true => Some(Dma::new(entries * per_slot * DESCRIPTOR, Reach::Everything)?),
            false if per_slot > entries => return Err(Errno::EINVAL),
            false => None,
        };
        let mut queue = Queue { ring, tables, size, per_slot, manner, available, used, next: 0, seen: 0 };
        queue.clear();
        Ok(queue)
    }

    /// Requests it holds at once.
    pub(super) fn slots(&self) -> usize {
        let entries = usize::from(self.size);
        if self.manner.is_indirect { entries } else { entries / self.per_slot }
    }

    /// Where it is.
    pub(super) fn place(&self) -> QueuePlace {
        QueuePlace {
            size: self.size,
            descriptors: self.ring.address(0),
            available: self.ring.address(self.available),
            used: self.ring.address(self.used),
        }
    }

    /// Empties it. The device must have been reset.
    pub(super) fn clear(&mut self) {
        (self.next, self.seen) = (0, 0);
        for offset in [self.available, self.used] {
            self.ring.write::<u32>(offset, 0);
        }
        self.ring.write(self.available + 4 + 2 * usize::from(self.size), 0_u16);
    }

    /// Gives the device a request. Says whether it wants to be told.
    ///
    /// # Errors
    /// EINVAL if there is no such slot, or it has too few descriptors.
    pub(super) fn push(&mut self, slot: usize, pieces: impl Iterator<Item = Piece>) -> Result<bool> {
        if slot >= self.slots() {
            return Err(Errno::EINVAL);
        }
        let first = if self.manner.is_indirect { slot } else { slot * self.per_slot };
        let count = self.write_table(slot, pieces)?;
        if let Some(tables) = &self.tables {
            let address = tables.address(slot * self.per_slot * DESCRIPTOR);
            let len = u32::try_from(count * DESCRIPTOR).map_err(|_| Errno::EINVAL)?;
            write_descriptor(&self.ring, first, (address, len), FLAG_INDIRECT, 0);
        }
        let place = self.available + 4 + 2 * usize::from(self.next & (self.size - 1));
        self.ring.write(place, narrow(first));
        let before = self.next;
        self.next = self.next.wrapping_add(1);
        dma::order_writes();
        self.ring.write(self.available + 2, self.next);
        dma::order_all();
        Ok(self.wants_news(before))
    }

    fn write_table(&self, slot: usize, pieces: impl Iterator<Item = Piece>) -> Result<usize> {
        let base = slot * self.per_slot;
        let (table, link) = match &self.tables {
            Some(tables) => (tables, 0),
            None => (&self.ring, base),
        };
        let mut count = 0;
        let mut pieces = pieces.peekable();
        while let Some(piece) = pieces.next() {
            if count == self.per_slot {
                return Err(Errno::EINVAL);
            }
            let writer = if piece.writer == Writer::Device { FLAG_DEVICE_WRITES } else { 0 };
            let (next, flag) = match pieces.peek() {
                Some(_) => (narrow(link + count + 1), FLAG_NEXT),
                None => (0, 0),
            };
            write_descriptor(table, base + count, (piece.address, piece.len), writer | flag, next);
            count += 1;
        }
        Ok(count)
    }

    /// Whether the device wants to hear of what was added since `before`.
    fn wants_news(&self, before: u16) -> bool {
        if !self.manner.has_event_index {
            return self.ring.read::<u16>(self.used) & NO_NEWS == 0;
        }
        let event: u16 = self.ring.read(self.used + 4 + 8 * usize::from(self.size));
        self.next.wrapping_sub(event).wrapping_sub(1) < self.next.wrapping_sub(before)
    }

    /// The slot of a request that the device is done with; to be called until there is none. What is no slot is skipped.
    pub(super) fn pop(&mut self) -> Option<usize> {
        loop {
            while self.seen == self.ring.read::<u16>(self.used + 2) {
                // The next one is to interrupt; it may have come before the device could know.
                if !self.manner.has_event_index {
                    return None;
                }
                self.ring.write(self.available + 4 + 2 * usize::from(self.size), self.seen);
                dma::order_all();
                if self.seen == self.ring.read::<u16>(self.used + 2) {
                    return None;
                }
            }
            dma::order_reads();
            let place = self.used + 4 + 8 * usize::from(self.seen & (self.size - 1));
            let first = self.ring.read::<u32>(place) as usize;
            self.seen = self.seen.wrapping_add(1);
            let slot = match self.manner.is_indirect {
                true => first,
                false if first.is_multiple_of(self.per_slot) => first / self.per_slot,
                false => continue,
            };
            if slot < self.slots() {
                return Some(slot);
            }
        }
    }
}

fn write_descriptor(table: &Dma, index: usize, (address, len): (BusAddress, u32), flags: u16, next: u16) {
    let at = index * DESCRIPTOR;
    table.write(at, address.get());
    table.write(at + 8, u64::from(len) | u64::from(flags) << 32 | u64::from(next) << 48);
}

/// An index of a descriptor: below the queue's size, or in a table shorter than that.
fn narrow(index: usize) -> u16 {
    u16::try_from(index).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests;
