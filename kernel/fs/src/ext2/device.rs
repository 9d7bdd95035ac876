//! Blocks from the disk and to it.

use alloc::sync::Arc;

use abi::{Errno, Result};
use ext2::{Blocks, Write};
use hal::frames::{self, Frame, SharedFrame};
use nucleus::block::{Disk, Durability, Operation, Request, SECTOR, Segment, Ticket};

/// Writes under way at once for a commit.
const AT_ONCE: usize = 64;

/// A disk as the crate `ext2` reads it.
pub(super) struct Device(pub(super) Arc<Disk>);

impl Blocks for Device {
    fn read(&self, offset: u64, into: &mut [u8]) -> Result<()> {
        self.0.read_sync(offset / SECTOR, into)
    }

    fn length(&self) -> u64 {
        self.0.sectors() * SECTOR
    }
}

/// Writes blocks of metadata in any order, and waits for them.
pub(super) fn write_blocks(disk: &Disk, block_size: u32, writes: &[Write]) -> Result<()> {
    let ticket = Ticket::new();
    let mut outcome = Ok(());
    for some in writes.chunks(AT_ONCE) {
        for write in some {
            outcome = outcome.and(begin_write(disk, block_size, write, &ticket));
        }
        outcome = outcome.and(ticket.wait_done());
    }
    outcome
}

fn begin_write(disk: &Disk, block_size: u32, write: &Write, ticket: &Arc<Ticket>) -> Result<()> {
    let frame = loop {
        // The reserve may be used: what is written here makes room.
        if let Some(frame) = frames::allocate() {
            break Frame::share(frame);
        }
        if ticket.poll().is_some() && !nucleus::mm::pressure::relieve() {
            return Err(Errno::ENOMEM);
        }
        let _ = ticket.wait_done();
    };
    frame.write(0, &write.bytes);
    let sector = u64::from(write.block.0) * (u64::from(block_size) / SECTOR);
    let mut request = Request::new(Operation::Write(Durability::Cached), sector, 1, ticket)?;
    request.push(Segment::new(frame, 0, write.bytes.len())?)?;
    disk.submit(request);
    Ok(())
}

/// Reads or writes pieces of pages that lie one behind the other on the disk.
pub(super) fn transfer(
    disk: &Disk,
    operation: Operation,
    sector: u64,
    pieces: impl ExactSizeIterator<Item = (SharedFrame, usize, usize)>,
    ticket: &Arc<Ticket>,
) -> Result<()> {
    let mut pieces = pieces.peekable();
    let mut at = sector;
    while pieces.peek().is_some() {
        let count = pieces.len().min(nucleus::block::request::RESERVED_SEGMENTS);
        let mut request = Request::new(operation, at, count, ticket)?;
        for (frame, offset, len) in pieces.by_ref().take(count) {
            request.push(Segment::new(frame, offset, len)?)?;
            at += len as u64 / SECTOR;
        }
        disk.submit(request);
    }
    Ok(())
}
