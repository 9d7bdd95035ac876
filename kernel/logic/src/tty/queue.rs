//! Input that was not read yet: a ring of bytes, some of which end a line.
//!
//! Positions count all bytes ever queued. Between `tail` and `complete` are whole lines, from there to `head`
//! is the line being typed. The end of the input (VEOF) is a zero byte that ends a line; in raw mode only
//! `tail` and `head` matter.

use alloc::vec::Vec;
use core::ops::Range;

use abi::{Errno, Result};

/// Bytes of the ring, and of the longest line with its newline.
pub(super) const CAPACITY: usize = 4096;
const WORD_BITS: usize = 64;
/// What stands in the ring for the end of the input.
const END_OF_INPUT: u8 = 0;

#[derive(Debug)]
pub(super) struct InputQueue {
    bytes: Vec<u8>,
    /// A bit for each place in the ring: whether the byte ends a line.
    ends: [u64; CAPACITY / WORD_BITS],
    tail: usize,
    complete: usize,
    head: usize,
}

impl InputQueue {
    pub(super) fn try_new() -> Result<Self> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(CAPACITY).map_err(|_| Errno::ENOMEM)?;
        bytes.resize(CAPACITY, 0);
        Ok(Self { bytes, ends: [0; CAPACITY / WORD_BITS], tail: 0, complete: 0, head: 0 })
    }

    pub(super) const fn len(&self) -> usize {
        self.head - self.tail
    }

    pub(super) const fn free(&self) -> usize {
        CAPACITY - self.len()
    }

    pub(super) const fn has_line(&self) -> bool {
        self.complete != self.tail
    }

    /// The positions of the line being typed.
    pub(super) const fn typed(&self) -> Range<usize> {
        self.complete..self.head
    }

    pub(super) fn byte_at(&self, position: usize) -> u8 {
        self.bytes.get(position % CAPACITY).copied().unwrap_or_default()
    }

    /// Adds a byte, if there is room.
    pub(super) fn push(&mut self, byte: u8) {
        if self.len() < CAPACITY
            && let Some(place) = self.bytes.get_mut(self.head % CAPACITY)
        {
            *place = byte;
            self.head += 1;
        }
    }

    /// Adds a byte that ends the line.
    pub(super) fn push_line_end(&mut self, byte: u8) {
        self.push(byte);
        self.end_line();
    }

    /// Adds the end of the input.
    pub(super) fn push_end_of_input(&mut self) {
        self.push_line_end(END_OF_INPUT);
    }

    /// Makes the last byte, whatever it is, the end of a line.
    fn end_line(&mut self) {
        self.complete = self.head;
        if let Some(last) = self.head.checked_sub(1) {
            let (word, bit) = end_bit(last);
            self.ends[word] |= bit;
        }
    }

    /// Forgets the end of the line being typed, from `position` on.
    pub(super) fn cut(&mut self, position: usize) {
        self.head = position.clamp(self.complete, self.head);
    }

    pub(super) fn clear(&mut self) {
        self.ends.fill(0);
        self.tail = self.head;
        self.complete = self.head;
    }

    /// For the change to line mode: all that is there becomes a line.
    pub(super) fn make_line(&mut self) {
        self.ends.fill(0);
        self.complete = self.tail;
        if self.len() != 0 {
            self.end_line();
        }
    }

    /// For the change to raw mode: lines are bytes like others, and so is the end of the input.
    pub(super) fn forget_lines(&mut self) {
        self.ends.fill(0);
        self.complete = self.tail;
    }

    /// Gives bytes of the first line, which there is, as far as there is `room`. When that ends just before the
    /// end of the input, takes that too, lest the next read look like the end of the file. `give` says how many
    /// it took of a piece.
    ///
    /// # Errors
    /// What `give` says of the first piece; nothing is taken then.
    pub(super) fn give_line(
        &mut self,
        room: usize,
        give: &mut dyn FnMut(&[u8]) -> Result<usize>,
    ) -> Result<usize> {
        let (end, last) = match self.first_end() {
            Some(end) if self.byte_at(end) == END_OF_INPUT => (end, Some(end)),
            Some(end) => (end + 1, None),
            None => (self.complete, None),
        };
        let given = self.give(self.tail..end.min(self.tail.saturating_add(room)), give)?;
        self.skip(given);
        if last == Some(self.tail) {
            self.skip(1);
        }
        Ok(given)
    }

    /// The same for bytes whatever they are.
    ///
    /// # Errors
    /// As there.
    pub(super) fn give_raw(
        &mut self,
        room: usize,
        give: &mut dyn FnMut(&[u8]) -> Result<usize>,
    ) -> Result<usize> {
        let given = self.give(self.tail..self.head.min(self.tail.saturating_add(room)), give)?;
        self.tail += given;
        self.complete = self.complete.max(self.tail);
        Ok(given)
    }

    /// Shows the bytes at these positions, in two pieces where the ring ends between them.
    fn give(&self, positions: Range<usize>, give: &mut dyn FnMut(&[u8]) -> Result<usize>) -> Result<usize> {
        let start = positions.start % CAPACITY;
        let first = positions.len().min(CAPACITY - start);
        let mut given = 0;
        for (start, len) in [(start, first), (0, positions.len() - first)] {
            let Some(piece) = self.bytes.get(start..start + len).filter(|piece| !piece.is_empty()) else {
                break;
            };
            match give(piece) {
                Ok(count) => given += count.min(len),
                Err(_) if given > 0 => break,
                Err(error) => return Err(error),
            }
            if given < first {
                break;
            }
        }
        Ok(given)
    }

    /// The position of the first byte that ends a line.
    fn first_end(&self) -> Option<usize> {
        let mut position = self.tail;
        while position < self.complete {
            let (word, bit) = end_bit(position);
            let ahead = self.ends[word] & !(bit - 1);
            if ahead != 0 {
                let found = position - position % WORD_BITS + ahead.trailing_zeros() as usize;
                return (found < self.complete).then_some(found);
            }
            position += WORD_BITS - position % WORD_BITS;
        }
        None
    }

    /// Passes over bytes of whole lines.
    fn skip(&mut self, count: usize) {
        if let Some(last) = (self.tail + count).checked_sub(1).filter(|_| count > 0) {
            // Only the last byte of a line is marked.
            let (word, bit) = end_bit(last);
            self.ends[word] &= !bit;
        }
        self.tail += count;
    }

    /// Adds bytes, as many as there is room for.
    pub(super) fn push_all(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.len() < CAPACITY {
            let start = self.head % CAPACITY;
            let count = bytes.len().min(CAPACITY - self.len()).min(CAPACITY - start);
            let (now, later) = bytes.split_at(count);
            let Some(place) = self.bytes.get_mut(start..start + count) else { return };
            place.copy_from_slice(now);
            self.head += count;
            bytes = later;
        }
    }

    /// The bytes of whole lines, without ends of the input.
    pub(super) fn line_bytes(&self) -> usize {
        let is_byte = |&position: &usize| {
            let (word, bit) = end_bit(position);
            self.ends[word] & bit == 0 || self.byte_at(position) != END_OF_INPUT
        };
        (self.tail..self.complete).filter(is_byte).count()
    }
}

/// The word and the bit that tell whether the byte at a position ends a line.
const fn end_bit(position: usize) -> (usize, u64) {
    let place = position % CAPACITY;
    (place / WORD_BITS, 1 << (place % WORD_BITS))
}
