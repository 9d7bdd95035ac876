//! Pipes as ends of splice(2) and tee(2): waiting for bytes or room without moving any, copying between two pipes.

use abi::{Errno, Result};
use nucleus::sched::Wait;
use nucleus::vfs::File;

use super::state::{Locked, State};
use super::{End, Pipe, fresh_page};

/// Which end of a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Where bytes come out.
    Out,
    /// Where they go in.
    In,
}

fn end(file: &dyn File, side: Side) -> Option<&End> {
    let end = file.as_any().downcast_ref::<End>()?;
    let fits = if side == Side::Out { end.direction.reads() } else { end.direction.writes() };
    fits.then_some(end)
}

/// Whether a file is a pipe, either end.
pub fn is_pipe(file: &dyn File) -> bool {
    file.as_any().is::<End>()
}

/// Whether two files are ends of one pipe.
pub fn is_same(one: &dyn File, other: &dyn File) -> bool {
    let pipe =
        |file: &dyn File| file.as_any().downcast_ref::<End>().map(|end| core::ptr::from_ref(&*end.pipe));
    pipe(one).is_some() && pipe(one) == pipe(other)
}

/// Waits until there is something to read; how many bytes, 0 if there will be none.
///
/// # Errors
/// EBADF if it is no end to read from; EAGAIN; ERESTARTSYS.
pub fn wait_for_bytes(file: &dyn File, wait: Wait) -> Result<usize> {
    let pipe = &end(file, Side::Out).ok_or(Errno::EBADF)?.pipe;
    pipe.readable.block_until(wait, || {
        let state = pipe.state.lock();
        match state.ring.readable() {
            0 if state.writers.open != 0 => Err(Errno::EAGAIN),
            len => Ok(len),
        }
    })
}

/// Waits until there is room; how many bytes of it.
///
/// # Errors
/// EBADF if it is no end to write to; EPIPE; EAGAIN; ERESTARTSYS.
pub fn wait_for_room(file: &dyn File, wait: Wait) -> Result<usize> {
    let pipe = &end(file, Side::In).ok_or(Errno::EBADF)?.pipe;
    pipe.writable.block_until(wait, || {
        let state = pipe.state.lock();
        if state.readers.open == 0 {
            return Err(Errno::EPIPE);
        }
        if state.ring.has_room() { Ok(state.ring.room()) } else { Err(Errno::EAGAIN) }
    })
}

/// Puts back what was just read and could not be passed on, as far as nobody has filled its place.
pub fn put_back(file: &dyn File, bytes: &[u8]) {
    let Some(end) = end(file, Side::Out) else { return };
    {
        let mut state = end.pipe.state.lock();
        let count = state.ring.put_back(bytes.len());
        let mut left = bytes.get(bytes.len() - count..).unwrap_or_default();
        let mut done = 0;
        while !left.is_empty() {
            let piece = state.ring.next_to_read_after(done, left.len());
            let (now, later) = left.split_at(piece.len.min(left.len()));
            if let Ok(page) = state.ring.page_or_make(piece.page, fresh_page) {
                page.write(piece.offset, now);
            }
            done += now.len();
            left = later;
        }
    }
    end.pipe.readable.wake_all();
}

/// Copies up to `len` bytes from one pipe to another without waiting, and takes them out of the first if `takes` says so.
///
/// # Errors
/// EAGAIN if there is nothing or no room, EPIPE, ENOMEM.
pub fn copy(from: &dyn File, to: &dyn File, len: usize, taking: Taking) -> Result<usize> {
    let source = &end(from, Side::Out).ok_or(Errno::EBADF)?.pipe;
    let target = &end(to, Side::In).ok_or(Errno::EBADF)?.pipe;
    let done = copy_locked(source, target, len, taking)?;
    if done > 0 {
        target.readable.wake_all();
        if taking == Taking::Moves {
            source.writable.wake_all();
        }
    }
    Ok(done)
}

/// Whether bytes stay where they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// They do: tee(2).
    Copies,
    /// They do not: splice(2).
    Moves,
}

fn copy_locked(source: &Pipe, target: &Pipe, len: usize, taking: Taking) -> Result<usize> {
    let (mut from, mut to) = Locked::lock_both(&source.state, &target.state);
    let (from, to): (&mut State, &mut State) = (&mut from, &mut to);
    if to.readers.open == 0 {
        return Err(Errno::EPIPE);
    }
    if from.ring.is_empty() && from.writers.open == 0 {
        return Ok(0);
    }
    let len = len.min(from.ring.readable()).min(to.ring.room());
    if len == 0 {
        return Err(Errno::EAGAIN);
    }
    let mut done = 0;
    while done < len {
        let mut buffer = [0; 256];
        let piece = from.ring.next_to_read_after(done, buffer.len().min(len - done));
        let place = to.ring.next_to_write(piece.len);
        let part = &mut buffer[..place.len];
        if let Some(page) = from.ring.page(piece.page) {
            page.read(piece.offset, part);
        }
        match to.ring.page_or_make(place.page, fresh_page) {
            Ok(page) => page.write(place.offset, part),
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
        to.ring.written(part.len());
        done += part.len();
    }
    if taking == Taking::Moves {
        from.ring.taken(done);
    }
    Ok(done)
}
