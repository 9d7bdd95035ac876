//! What is asked of a disk.
//!
//! A request is a box that whoever has it owns: the submitter, a queue, a driver; when it is finished or dropped, its
//! ticket hears of it. Merged requests are a chain of boxes. A few boxes are kept in reserve, so that a page can be
//! written out when there is no memory to do it with; who finds none waits for one to come back, which needs no memory.
//! Lock: rank `BlockQueue`, around the reserve.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::{Errno, Result};
use hal::frames::SharedFrame;
use hal::rank;
use hal::spin::Lock;
use logic::addr::PAGE_LEN;
use logic::elevator::{Class, Item};

use super::SECTOR;
use super::queue::Queue;
use super::statistics::Statistics;
use super::ticket::Ticket;
use crate::sched::{Wait, WaitQueue};

const PAGE_BYTES: u32 = 4096;
const _: () = assert!(PAGE_BYTES as usize == PAGE_LEN);

/// What a write promises when it is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// The disk has it, perhaps in its cache: a flush makes it last.
    Cached,
    /// It lasts (FUA).
    Durable,
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// From the disk into memory.
    Read,
    /// From memory to the disk.
    Write(Durability),
    /// All writes that were done before it began last when it is done.
    Flush,
    /// This many sectors are not needed any more.
    Discard(u64),
    /// This many sectors are to be zero.
    WriteZeroes(u64),
}

/// A piece of memory: part of a page, in whole sectors.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segment {
    frame: SharedFrame,
    offset: u32,
    len: u32,
}

impl Segment {
    /// `len` bytes from `offset` on.
    ///
    /// # Errors
    /// EINVAL unless they are whole sectors, at least one, in the page.
    pub fn new(frame: SharedFrame, offset: usize, len: usize) -> Result<Self> {
        let is_whole = |value: usize| (value as u64).is_multiple_of(SECTOR);
        let end = offset.checked_add(len).ok_or(Errno::EINVAL)?;
        if len == 0 || end > PAGE_LEN || !is_whole(offset) || !is_whole(len) {
            return Err(Errno::EINVAL);
        }
        let narrow = |value: usize| u32::try_from(value).map_err(|_| Errno::EINVAL);
        Ok(Segment { offset: narrow(offset)?, len: narrow(len)?, frame })
    }

    /// A whole page.
    pub fn page(frame: SharedFrame) -> Self {
        Segment { frame, offset: 0, len: PAGE_BYTES }
    }

    /// The page.
    pub fn frame(&self) -> &SharedFrame {
        &self.frame
    }

    /// Where in it.
    pub fn offset(&self) -> u32 {
        self.offset
    }

    /// How many bytes.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Never.
    pub fn is_empty(&self) -> bool {
        false
    }
}

/// Something asked of a disk. Made by [`Request::new`], given to [`super::Disk::submit`].
pub struct Request {
    pub(super) operation: Operation,
    /// On the whole device, once it is in a queue.
    pub(super) sector: u64,
    pub(super) segments: Vec<Segment>,
    ticket: Option<Arc<Ticket>>,
    pub(super) next: Option<Box<Request>>,
    /// What this request alone is about to count for, besides the whole device.
    pub(super) partition: Option<Arc<Statistics>>,
    /// The queue that gave it to a driver.
    pub(super) queue: Option<Arc<Queue>>,
    pub(super) slot: usize,
    pub(super) submitted_ns: u64,
    pub(super) attempts: u8,
    /// It was merged before and failed: tried by itself now.
    pub(super) is_alone: bool,
    /// A flush follows, since the device knows no durable writes.
    pub(super) wants_flush: bool,
    is_reserved: bool,
}

/// Boxes kept for when there is no memory.
const RESERVE: usize = 16;
/// Segments that each of them has room for.
pub const RESERVED_SEGMENTS: usize = 32;

/// A chain of them, and whether it was ever filled.
static KEPT: Lock<(Option<Box<Request>>, bool), rank::BlockQueue> = Lock::new((None, false));
static RETURNED: WaitQueue = WaitQueue::new();

/// Fills the reserve. Called when the first disk is registered.
///
/// # Errors
/// ENOMEM.
pub(super) fn fill_reserve() -> Result<()> {
    if core::mem::replace(&mut KEPT.lock().1, true) {
        return Ok(());
    }
    for _ in 0..RESERVE {
        let mut segments = Vec::new();
        if segments.try_reserve_exact(RESERVED_SEGMENTS).is_err() {
            KEPT.lock().1 = false;
            return Err(Errno::ENOMEM);
        }
        let mut request = Box::new(Request::empty(segments));
        request.is_reserved = true;
        keep(request);
    }
    Ok(())
}

fn keep(mut request: Box<Request>) {
    let mut kept = KEPT.lock();
    request.next = kept.0.take();
    kept.0 = Some(request);
}

/// One from the reserve.
fn take_kept() -> Option<Box<Request>> {
    let mut kept = KEPT.lock();
    let mut request = kept.0.take()?;
    kept.0 = request.next.take();
    Some(request)
}

impl Request {
    const fn empty(segments: Vec<Segment>) -> Self {
        Request {
            operation: Operation::Flush,
            sector: 0,
            segments,
            ticket: None,
            next: None,
            partition: None,
            queue: None,
            slot: 0,
            submitted_ns: 0,
            attempts: 0,
            is_alone: false,
            wants_flush: false,
            is_reserved: false,
        }
    }

    /// A request with room for `segments` pieces of memory. Up to [`RESERVED_SEGMENTS`] it cannot fail, but may wait.
    ///
    /// # Errors
    /// ENOMEM for more than that.
    pub fn new(
        operation: Operation,
        sector: u64,
        segments: usize,
        ticket: &Arc<Ticket>,
    ) -> Result<Box<Request>> {
        let mut list = Vec::new();
        let mut request = match list.try_reserve_exact(segments) {
            Ok(()) => Box::new(Request::empty(list)),
            Err(_) if segments <= RESERVED_SEGMENTS => Self::reserved()?,
            Err(_) => return Err(Errno::ENOMEM),
        };
        request.operation = operation;
        request.sector = sector;
        request.ticket = Some(ticket.clone());
        ticket.begin();
        Ok(request)
    }

    /// As `new` without memory.
    #[cfg(test)]
    pub(super) fn from_reserve(
        operation: Operation,
        sector: u64,
        ticket: &Arc<Ticket>,
    ) -> Result<Box<Request>> {
        let mut request = Self::reserved()?;
        (request.operation, request.sector, request.ticket) = (operation, sector, Some(ticket.clone()));
        ticket.begin();
        Ok(request)
    }

    /// One from the reserve, as soon as there is one.
    fn reserved() -> Result<Box<Request>> {
        loop {
            match RETURNED.block_until(Wait::UNINTERRUPTIBLE, || take_kept().ok_or(Errno::EAGAIN)) {
                Ok(request) => return Ok(request),
                Err(Errno::ENOMEM) => crate::sched::yield_now(),
                Err(error) => return Err(error),
            }
        }
    }

    /// Adds a piece of memory behind the others.
    ///
    /// # Errors
    /// ENOMEM if there is no room left.
    pub fn push(&mut self, segment: Segment) -> Result<()> {
        if self.segments.len() == self.segments.capacity() {
            return Err(Errno::ENOMEM);
        }
        self.segments.push(segment);
        Ok(())
    }

    /// What is to be done.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// Its own sectors, without those of merged ones.
    pub(super) fn own_sectors(&self) -> u64 {
        match self.operation {
            Operation::Flush => 0,
            Operation::Discard(count) | Operation::WriteZeroes(count) => count,
            _ => self.segments.iter().map(|segment| u64::from(segment.len)).sum::<u64>() / SECTOR,
        }
    }

    /// The requests of the chain, this one first.
    pub(super) fn chain(&self) -> impl Iterator<Item = &Request> {
        core::iter::successors(Some(self), |request| request.next.as_deref())
    }

    /// Cuts off what is beyond `sectors` and `segments`; the rest is a request of its own with the same ticket.
    pub(super) fn split(&mut self, sectors: u64, segments: usize) -> Result<Option<Box<Request>>> {
        let (Some(ticket), true) =
            (&self.ticket, self.own_sectors() > sectors || self.segments.len() > segments)
        else {
            return Ok(None);
        };
        if let Operation::Discard(count) | Operation::WriteZeroes(count) = &mut self.operation {
            let later = *count - sectors;
            *count = sectors;
            let operation = match self.operation {
                Operation::Discard(_) => Operation::Discard(later),
                _ => Operation::WriteZeroes(later),
            };
            return Self::new(operation, self.sector + sectors, 0, ticket).map(Some);
        }
        let (mut kept, mut kept_sectors) = (0, 0);
        for segment in self.segments.iter().take(segments) {
            let more = u64::from(segment.len) / SECTOR;
            if kept_sectors + more > sectors {
                break;
            }
            kept += 1;
            kept_sectors += more;
        }
        if kept == 0 {
            // A device that takes less than a page at once: no driver here is one.
            return Err(Errno::EINVAL);
        }
        let count = self.segments.len() - kept;
        let mut later = Self::new(self.operation, self.sector + kept_sectors, count, ticket)?;
        later.segments.extend(self.segments.drain(kept..));
        Ok(Some(later))
    }

    /// The end of this request alone. The ticket hears of it last: whoever waits may count on all else.
    pub(super) fn finish(mut self: Box<Self>, result: Result<()>) {
        self.segments.clear();
        self.partition = None;
        self.queue = None;
        let ticket = self.ticket.take();
        if self.is_reserved {
            let mut segments = core::mem::take(&mut self.segments);
            segments.clear();
            *self = Request::empty(segments);
            self.is_reserved = true;
            keep(self);
            RETURNED.wake_one();
        } else {
            drop(self);
        }
        if let Some(ticket) = ticket {
            ticket.finish(result);
        }
    }
}

impl Drop for Request {
    /// Whoever drops a request has failed it.
    fn drop(&mut self) {
        let mut next = self.next.take();
        // Not by recursion: a chain may be long.
        while let Some(mut request) = next {
            next = request.next.take();
        }
        if let Some(ticket) = self.ticket.take() {
            ticket.finish(Err(Errno::EIO));
        }
    }
}

impl Item for Box<Request> {
    fn class(&self) -> Class {
        match self.operation {
            _ if self.is_alone => Class::Other,
            Operation::Read => Class::Read,
            Operation::Write(Durability::Cached) if !self.wants_flush => Class::Write,
            Operation::Write(_) => Class::DurableWrite,
            Operation::Flush => Class::Flush,
            Operation::Discard(_) | Operation::WriteZeroes(_) => Class::Other,
        }
    }

    fn start(&self) -> u64 {
        self.sector
    }

    fn sectors(&self) -> u64 {
        self.chain().map(Request::own_sectors).sum()
    }

    fn segments(&self) -> usize {
        self.chain().map(|request| request.segments.len()).sum()
    }

    fn absorb(&mut self, later: Self) {
        let mut end = &mut self.next;
        while let Some(next) = end {
            end = &mut next.next;
        }
        *end = Some(later);
    }
}
