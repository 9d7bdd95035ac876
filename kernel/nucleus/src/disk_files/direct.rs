//! Reading and writing a disk past the page cache (`O_DIRECT`): whole blocks, by way of pages that only this transfer has.

use alloc::vec::Vec;

use abi::{Errno, Result};
use hal::frames::SharedFrame;
use logic::addr::{PAGE_LEN, to_usize};

use crate::block::{Disk, Durability, Operation, Request, SECTOR, Segment, Ticket};
use crate::vfs::{ByteSink, ByteSource};

/// Pages of one transfer: what a command of most devices holds.
const PAGES: usize = 32;

/// Some whole blocks of a disk in memory.
struct Bounce {
    frames: Vec<SharedFrame>,
    /// First byte on the disk.
    start: u64,
    len: usize,
}

impl Bounce {
    /// For as many of `len` bytes as one transfer holds.
    fn new(start: u64, len: u64) -> Result<Self> {
        let len = to_usize(len).min(PAGES * PAGE_LEN);
        let count = len.div_ceil(PAGE_LEN);
        let mut frames = Vec::new();
        frames.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
        for _ in 0..count {
            frames.push(SharedFrame::new_zeroed().ok_or(Errno::ENOMEM)?);
        }
        Ok(Bounce { frames, start, len })
    }

    /// Cuts it to `len` bytes.
    fn cut(&mut self, len: usize) {
        self.len = len;
        self.frames.truncate(len.div_ceil(PAGE_LEN));
    }

    /// Moves the bytes between pages and disk, and waits.
    fn transfer(&self, disk: &Disk, operation: Operation) -> Result<()> {
        let ticket = Ticket::new();
        let mut request = Request::new(operation, self.start / SECTOR, self.frames.len(), &ticket)?;
        for (frame, len) in self.pieces() {
            request.push(Segment::new(frame.clone(), 0, len)?)?;
        }
        disk.submit(request);
        ticket.wait_done()
    }

    /// The pages, and how many bytes each has.
    fn pieces(&self) -> impl Iterator<Item = (&SharedFrame, usize)> {
        let left = |page: usize| self.len.saturating_sub(page * PAGE_LEN).min(PAGE_LEN);
        self.frames.iter().enumerate().map(move |(page, frame)| (frame, left(page)))
    }
}

/// Reads up to `len` bytes, whole blocks on the disk, into a sink.
///
/// # Errors
/// EFAULT, EIO, ENOMEM, if nothing was read.
pub(super) fn read(disk: &Disk, position: u64, len: u64, to: &mut dyn ByteSink) -> Result<usize> {
    let mut done = 0;
    while (done as u64) < len {
        match read_piece(disk, position + done as u64, len - done as u64, to) {
            Ok((count, true)) => done += count,
            Ok((count, false)) => return Ok(done + count),
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Says how many bytes the sink took, and whether those were all it was given.
fn read_piece(disk: &Disk, position: u64, len: u64, to: &mut dyn ByteSink) -> Result<(usize, bool)> {
    let bounce = Bounce::new(position, len)?;
    bounce.transfer(disk, Operation::Read)?;
    let mut given = 0;
    for (frame, wanted) in bounce.pieces() {
        match to.put_page(frame, 0, wanted) {
            Ok(count) if count == wanted => given += count,
            Ok(count) => return Ok((given + count, false)),
            Err(_) if given > 0 => return Ok((given, false)),
            Err(error) => return Err(error),
        }
    }
    Ok((given, true))
}

/// Writes up to `len` bytes, whole blocks on the disk, from a source.
///
/// # Errors
/// EFAULT, EIO, ENOMEM, if nothing was written.
pub(super) fn write(disk: &Disk, position: u64, len: u64, from: &mut dyn ByteSource) -> Result<usize> {
    let mut done = 0;
    while (done as u64) < len {
        match write_piece(disk, position + done as u64, len - done as u64, from) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

fn write_piece(disk: &Disk, position: u64, len: u64, from: &mut dyn ByteSource) -> Result<usize> {
    let mut bounce = Bounce::new(position, len)?;
    let mut taken = 0;
    for (frame, wanted) in bounce.pieces() {
        match from.take_to_page(frame, 0, wanted) {
            Ok(count) => taken += count,
            Err(error) if taken == 0 => return Err(error),
            Err(_) => break,
        }
        if !taken.is_multiple_of(PAGE_LEN) {
            break;
        }
    }
    let block = usize::try_from(disk.info().logical_block).map_err(|_| Errno::EINVAL)?;
    // The rest of a block that could not be had is not made up.
    taken -= taken % block;
    if taken == 0 {
        return Err(Errno::EFAULT);
    }
    bounce.cut(taken);
    bounce.transfer(disk, Operation::Write(Durability::Cached))?;
    Ok(taken)
}
