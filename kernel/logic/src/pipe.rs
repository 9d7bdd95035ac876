//! The bytes between the ends of a pipe: where the next ones go, and when it is too full or too empty.
//!
//! A ring of pages, each of them made when the first byte comes to it. The ring says which piece of which page is next;
//! the caller moves the bytes. What the ring decides follows pipe(7): a write of up to `PIPE_BUF` bytes is done at once
//! or not at all.

use alloc::collections::{TryReserveError, VecDeque};
use alloc::vec::Vec;

use abi::{Errno, Result};

use crate::addr::PAGE_LEN;

/// Bytes that are written at once or not at all.
pub const PIPE_BUF: usize = 4096;
/// What a pipe holds unless told otherwise.
pub const DEFAULT_CAPACITY: usize = 16 * PAGE_LEN;
/// The most anybody may ask for (`/proc/sys/fs/pipe-max-size`).
pub const MAX_CAPACITY: usize = 1 << 20;

/// Part of one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which page of the ring.
    pub page: usize,
    /// From where.
    pub offset: usize,
    /// How many bytes.
    pub len: usize,
}

/// The bytes in a pipe, in pages `P`.
#[derive(Debug)]
pub struct Ring<P> {
    pages: Vec<Option<P>>,
    /// Where the oldest byte is, below the capacity.
    start: usize,
    len: usize,
    /// What belongs together, oldest first; empty while there are no packets.
    runs: VecDeque<Run>,
    /// The last run is a packet that is still written.
    is_packet_open: bool,
    /// What was taken last ended within a run.
    is_cut: bool,
}

/// Bytes that belong together: a packet (`O_DIRECT`), or all between two packets.
#[derive(Clone, Copy, Debug)]
struct Run {
    len: usize,
    is_packet: bool,
}

/// What F_SETPIPE_SZ makes of a wish: a power of two, a page at least.
///
/// # Errors
/// EINVAL past 2 GiB.
pub fn round_capacity(wanted: usize) -> Result<usize> {
    if wanted > 1 << 31 { Err(Errno::EINVAL) } else { Ok(wanted.max(PAGE_LEN).next_power_of_two()) }
}

impl<P> Ring<P> {
    /// An empty ring for `capacity` bytes, a number of whole pages.
    ///
    /// # Errors
    /// If there is no memory for the list of pages.
    pub fn new(capacity: usize) -> core::result::Result<Self, TryReserveError> {
        let mut pages = Vec::new();
        let count = capacity.div_ceil(PAGE_LEN).max(1);
        pages.try_reserve_exact(count)?;
        pages.resize_with(count, || None);
        Ok(Ring { pages, start: 0, len: 0, runs: VecDeque::new(), is_packet_open: false, is_cut: false })
    }

    /// Bytes it can hold.
    pub const fn capacity(&self) -> usize {
        self.pages.len() * PAGE_LEN
    }

    /// Bytes in it.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether it is empty.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes it still takes.
    pub const fn room(&self) -> usize {
        self.capacity() - self.len
    }

    /// Whether any write of up to `PIPE_BUF` bytes is possible: what poll(2) calls writable.
    pub const fn has_room(&self) -> bool {
        self.room() >= PIPE_BUF
    }

    /// How many of `wanted` bytes can be written now.
    ///
    /// # Errors
    /// EAGAIN if none, or not all and they belong together.
    pub fn may_write(&self, wanted: usize) -> Result<usize> {
        let room = self.room();
        if room == 0 || (wanted <= PIPE_BUF && room < wanted) {
            Err(Errno::EAGAIN)
        } else {
            Ok(wanted.min(room))
        }
    }

    /// The next piece to write to, of up to `wanted` bytes.
    pub fn next_to_write(&self, wanted: usize) -> Piece {
        let end = (self.start + self.len) % self.capacity();
        Self::piece(end, wanted.min(self.room()))
    }

    /// The next piece to read from, of up to `wanted` bytes.
    pub fn next_to_read(&self, wanted: usize) -> Piece {
        Self::piece(self.start, wanted.min(self.len))
    }

    /// The piece to read after `skipped` bytes, of up to `wanted` bytes.
    pub fn next_to_read_after(&self, skipped: usize, wanted: usize) -> Piece {
        let skipped = skipped.min(self.len);
        Self::piece((self.start + skipped) % self.capacity(), wanted.min(self.len - skipped))
    }

    const fn piece(at: usize, wanted: usize) -> Piece {
        let offset = at % PAGE_LEN;
        let rest = PAGE_LEN - offset;
        Piece { page: at / PAGE_LEN, offset, len: if wanted < rest { wanted } else { rest } }
    }

    /// So many bytes were put where [`Self::next_to_write`] said.
    pub fn written(&mut self, count: usize) {
        let count = count.min(self.room());
        self.len += count;
        match self.runs.back_mut() {
            None => {}
            Some(last) if last.is_packet == self.is_packet_open => last.len += count,
            // There is room: a packet reserves it for what follows.
            Some(_) => self.runs.push_back(Run { len: count, is_packet: false }),
        }
    }

    /// Starts a packet of `len` bytes, if it fits and there are fewer packets than pages, as on Linux, where each takes
    /// one.
    ///
    /// # Errors
    /// EAGAIN, ENOMEM.
    pub fn start_packet(&mut self, len: usize) -> Result<()> {
        if self.room() < len || self.runs.len() >= self.pages.len() {
            return Err(Errno::EAGAIN);
        }
        self.runs.try_reserve(3).map_err(|_| Errno::ENOMEM)?;
        if self.runs.is_empty() && self.len > 0 {
            self.runs.push_back(Run { len: self.len, is_packet: false });
        }
        self.runs.push_back(Run { len: 0, is_packet: true });
        self.is_packet_open = true;
        Ok(())
    }

    /// The packet is complete.
    pub fn end_packet(&mut self) {
        self.is_packet_open = false;
        if self.runs.back().is_some_and(|last| last.len == 0) {
            self.runs.pop_back();
        }
    }

    /// How many bytes one read may take: up to the end of the first packet.
    pub fn readable(&self) -> usize {
        if self.runs.is_empty() {
            return self.len;
        }
        let mut sum = 0;
        for run in &self.runs {
            sum += run.len;
            if run.is_packet {
                break;
            }
        }
        sum
    }

    /// A read ended: what it left of a packet is dropped.
    pub fn end_read(&mut self) {
        if let Some(first) = self.runs.front().copied().filter(|first| first.is_packet && self.is_cut) {
            self.taken(first.len);
        }
    }

    /// So many bytes were taken from where [`Self::next_to_read`] said.
    pub fn taken(&mut self, count: usize) {
        let count = count.min(self.len);
        self.take_from_runs(count);
        self.len -= count;
        // An empty ring starts over, so that small messages stay in one warm page.
        self.start = if self.len == 0 { 0 } else { (self.start + count) % self.capacity() };
    }

    fn take_from_runs(&mut self, count: usize) {
        let mut left = count;
        self.is_cut = false;
        while left > 0
            && let Some(first) = self.runs.front_mut()
        {
            let part = left.min(first.len);
            first.len -= part;
            left -= part;
            self.is_cut = first.len > 0;
            if first.len == 0 {
                self.runs.pop_front();
            }
        }
    }

    /// Takes over which bytes of another ring, of which this is a copy, belong together.
    pub fn adopt_runs(&mut self, other: &mut Self) {
        self.runs = core::mem::take(&mut other.runs);
    }

    /// Puts bytes back that were taken last; says how many there was room for.
    pub fn put_back(&mut self, count: usize) -> usize {
        let count = count.min(self.room());
        self.start = (self.start + self.capacity() - count) % self.capacity();
        self.len += count;
        if let Some(first) = self.runs.front_mut() {
            first.len += count;
        }
        count
    }

    /// The page with this number.
    pub fn page(&self, number: usize) -> Option<&P> {
        self.pages.get(number)?.as_ref()
    }

    /// The page with this number, which `make` makes if there is none yet.
    ///
    /// # Errors
    /// ENOMEM if `make` makes none.
    pub fn page_or_make(&mut self, number: usize, make: impl FnOnce() -> Option<P>) -> Result<&P> {
        let slot = self.pages.get_mut(number).ok_or(Errno::ENOMEM)?;
        match slot {
            Some(page) => Ok(page),
            None => Ok(slot.insert(make().ok_or(Errno::ENOMEM)?)),
        }
    }

    /// Drops all bytes and pages.
    pub fn clear(&mut self) {
        self.pages.iter_mut().for_each(|page| *page = None);
        (self.start, self.len) = (0, 0);
        self.runs.clear();
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::VecDeque;
    use std::boxed::Box;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    type Page = Box<[u8; PAGE_LEN]>;

    fn write(ring: &mut Ring<Page>, bytes: &[u8]) -> Result<usize> {
        let count = ring.may_write(bytes.len())?;
        let mut left = &bytes[..count];
        while !left.is_empty() {
            let piece = ring.next_to_write(left.len());
            ring.page_or_make(piece.page, || Some(Box::new([0; PAGE_LEN]))).unwrap();
            let page = ring.pages[piece.page].as_mut().unwrap();
            page[piece.offset..piece.offset + piece.len].copy_from_slice(&left[..piece.len]);
            ring.written(piece.len);
            left = &left[piece.len..];
        }
        Ok(count)
    }

    fn read(ring: &mut Ring<Page>, wanted: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < wanted && !ring.is_empty() {
            let piece = ring.next_to_read(wanted - bytes.len());
            let page = ring.page(piece.page).unwrap();
            bytes.extend_from_slice(&page[piece.offset..piece.offset + piece.len]);
            ring.taken(piece.len);
        }
        bytes
    }

    proptest! {
        #[test]
        fn bytes_come_out_as_they_went_in(steps in prop::collection::vec((any::<bool>(), 0..20_000usize), 1..60)) {
            let mut ring = Ring::new(4 * PAGE_LEN).unwrap();
            let mut model = VecDeque::new();
            let mut next = 0usize;
            for (writes, len) in steps {
                if writes {
                    let bytes: Vec<u8> = (next..).take(len).map(|at| (at % 251).to_le_bytes()[0]).collect();
                    let room = 4 * PAGE_LEN - model.len();
                    let done = write(&mut ring, &bytes);
                    let fits = room > 0 && (len > PIPE_BUF || len <= room);
                    prop_assert_eq!(done, if fits { Ok(len.min(room)) } else { Err(Errno::EAGAIN) });
                    model.extend(&bytes[..done.unwrap_or(0)]);
                    next += len;
                } else {
                    let expected: Vec<u8> = model.drain(..len.min(model.len())).collect();
                    prop_assert_eq!(read(&mut ring, len), expected);
                }
                prop_assert_eq!(ring.len(), model.len());
                prop_assert_eq!(ring.has_room(), 4 * PAGE_LEN - model.len() >= PIPE_BUF);
            }
        }
    }

    #[test]
    fn an_empty_ring_has_no_pages_and_starts_over() {
        let mut ring = Ring::new(DEFAULT_CAPACITY).unwrap();
        for _ in 0..10_000 {
            assert_eq!(write(&mut ring, &[7; 100]), Ok(100));
            assert_eq!(read(&mut ring, 100), [7; 100]);
        }
        assert_eq!(ring.pages.iter().flatten().count(), 1);
        ring.clear();
        assert_eq!(ring.pages.iter().flatten().count(), 0);
    }

    #[test]
    fn packets_keep_their_ends() {
        let mut ring: Ring<Page> = Ring::new(4 * PAGE_LEN).unwrap();
        let packet = |ring: &mut Ring<Page>, len: usize| {
            ring.start_packet(len)?;
            ring.written(len);
            ring.end_packet();
            Ok::<_, Errno>(())
        };
        ring.written(10);
        packet(&mut ring, 100).unwrap();
        packet(&mut ring, 7).unwrap();
        ring.written(5);
        ring.written(6);
        // Bytes before a packet and the packet are one read, bytes after it are another.
        assert_eq!(ring.readable(), 110);
        ring.taken(50);
        ring.end_read();
        assert_eq!((ring.len(), ring.readable()), (18, 7));
        ring.taken(7);
        ring.end_read();
        assert_eq!((ring.len(), ring.readable()), (11, 11));
        ring.taken(4);
        ring.end_read();
        assert_eq!(ring.len(), 7, "nothing else is cut off");
        ring.taken(7);
        for _ in 0..4 {
            packet(&mut ring, 1).unwrap();
        }
        assert_eq!(packet(&mut ring, 1), Err(Errno::EAGAIN), "each takes a page");
        assert_eq!(ring.put_back(0), 0);
    }

    #[test]
    fn capacities_are_powers_of_two() {
        assert_eq!(round_capacity(0), Ok(4096));
        assert_eq!(round_capacity(4097), Ok(8192));
        assert_eq!(round_capacity(1 << 31), Ok(1 << 31));
        assert_eq!(round_capacity((1 << 31) + 1), Err(Errno::EINVAL));
    }
}
