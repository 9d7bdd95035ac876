//! Pipes: two ends and the bytes between them, as pipe(7) and fifo(7) tell.
//!
//! Lock: one mutex of rank `Stream` a pipe, around the ring and the counts of ends; bytes are copied straight between
//! user memory and the ring's pages under it, in one acquisition a transfer. Whoever lets it go shows in one word what poll(2)
//! asks about, so asking takes no lock. Whoever waits is woken when the pipe
//! becomes readable, or gets room for a write of `PIPE_BUF`: as on Linux, whose full pipe takes nothing before a page of
//! it is free. What decides is in [`logic::pipe`].

pub mod splice;
mod state;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use abi::file::{
    O_ACCMODE, O_NONBLOCK, O_RDONLY, O_WRONLY, POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM,
};
use abi::{Errno, Result};
use hal::frames::{self, Frame, SharedFrame};
use hal::usermem;
use logic::addr::PAGE_LEN;
use logic::pipe::{DEFAULT_CAPACITY, MAX_CAPACITY, PIPE_BUF, Ring, round_capacity};
use nucleus::clock;
use nucleus::sched::WaitQueue;
use nucleus::vfs::file::Seeking;
use nucleus::vfs::{Attributes, ByteSink, ByteSource, Events, File, FileKind, Inode, Opening, Transfer};

use self::state::{Ends, Locked, State};
use crate::identity;

/// ioctl(2): how many bytes can be read.
const FIONREAD: u32 = 0x541b;

/// A pipe, or what is behind a FIFO.
pub struct Pipe {
    state: Locked,
    /// Who waits for bytes, or for a writer.
    readable: WaitQueue,
    /// Who waits for room, or for a reader.
    writable: WaitQueue,
    /// Somebody watches it (poll(2), epoll): then every write is news, not only one to an empty pipe.
    is_watched: AtomicBool,
}

/// What an end is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Read,
    Write,
    /// A FIFO opened with `O_RDWR`.
    Both,
}

/// Whether what is written keeps its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// It does not.
    Stream,
    /// A read gives one packet at most.
    Packets,
}

/// Sets how writes to the pipe behind `file` are framed; says whether it is a pipe.
pub fn set_framing(file: &dyn File, framing: Framing) -> bool {
    let Some(end) = file.as_any().downcast_ref::<End>() else { return false };
    end.is_packets.store(framing == Framing::Packets, Ordering::Relaxed);
    true
}

/// One end.
struct End {
    pipe: Arc<Pipe>,
    direction: Direction,
    /// What is written here is packets (`O_DIRECT`).
    is_packets: AtomicBool,
    /// Writers there ever were when it was opened: before another comes, poll(2) reports no hang-up.
    writers_before: u64,
}

/// The end to read from, the end to write to, and what fstat(2) tells of both.
pub type NewPipe = (Arc<dyn File>, Arc<dyn File>, Attributes);

/// A pipe: the end to read from, the end to write to, and what fstat(2) tells of both but for the owner.
///
/// # Errors
/// ENOMEM.
pub fn pair() -> Result<NewPipe> {
    let pipe = Arc::new(Pipe::new()?);
    let mut state = pipe.state.lock();
    let reader = pipe.end(&mut state, Direction::Read);
    let writer = pipe.end(&mut state, Direction::Write);
    drop(state);
    Ok((reader, writer, attributes()))
}

/// The pipe behind `file` as a file of its own, which can be opened again (as `/proc/self/fd/0` is); `None` if it is no
/// pipe.
pub fn inode_of(file: &dyn File, attributes: Attributes) -> Option<Arc<dyn Inode>> {
    let end = file.as_any().downcast_ref::<End>()?;
    Some(Arc::new(Again { pipe: end.pipe.clone(), attributes }))
}

fn attributes() -> Attributes {
    let (device, number) = identity::nameless();
    let now = clock::realtime();
    Attributes {
        device,
        number,
        kind: FileKind::Fifo,
        permissions: 0o600,
        links: 1,
        user: 0,
        group: 0,
        device_number: 0,
        size: 0,
        blocks: 0,
        block_size: 4096,
        accessed: now,
        modified: now,
        changed: now,
    }
}

/// How many bytes the pipe behind `file` can hold (`F_GETPIPE_SZ`); `None` if it is no pipe.
pub fn capacity(file: &dyn File) -> Option<usize> {
    let end = file.as_any().downcast_ref::<End>()?;
    Some(end.pipe.state.lock().ring.capacity())
}

static MAX: AtomicUsize = AtomicUsize::new(MAX_CAPACITY);

/// The most that F_SETPIPE_SZ gives to who has no rights beyond (`/proc/sys/fs/pipe-max-size`).
pub fn max_capacity() -> usize {
    MAX.load(Ordering::Relaxed)
}

/// Sets that, rounded as a pipe's capacity is.
///
/// # Errors
/// EINVAL past 2 GiB, and for less than a page.
pub fn set_max_capacity(wanted: usize) -> Result<()> {
    if wanted < PAGE_LEN {
        return Err(Errno::EINVAL);
    }
    MAX.store(round_capacity(wanted)?, Ordering::Relaxed);
    Ok(())
}

/// Lets the pipe behind `file` hold `wanted` bytes, no more than `limit`, and says how many it does (`F_SETPIPE_SZ`).
///
/// # Errors
/// EBADF if it is no pipe, EINVAL, EPERM past the limit, EBUSY if it holds more now, ENOMEM.
pub fn set_capacity(file: &dyn File, wanted: usize, limit: usize) -> Result<usize> {
    let end = file.as_any().downcast_ref::<End>().ok_or(Errno::EBADF)?;
    let capacity = round_capacity(wanted)?;
    let mut state = end.pipe.state.lock();
    if capacity > limit && capacity > state.ring.capacity() {
        return Err(Errno::EPERM);
    }
    if state.ring.len() > capacity {
        return Err(Errno::EBUSY);
    }
    let mut larger = moved(&state.ring, capacity)?;
    larger.adopt_runs(&mut state.ring);
    state.ring = larger;
    drop(state);
    end.pipe.writable.wake_all();
    Ok(capacity)
}

/// The same bytes in a ring of another size.
fn moved(old: &Ring<SharedFrame>, capacity: usize) -> Result<Ring<SharedFrame>> {
    let mut new = Ring::new(capacity).map_err(|_| Errno::ENOMEM)?;
    let mut done = 0;
    while done < old.len() {
        let mut buffer = [0; 256];
        let from = old.next_to_read_after(done, buffer.len());
        let to = new.next_to_write(from.len);
        let part = &mut buffer[..to.len];
        if let Some(page) = old.page(from.page) {
            page.read(from.offset, part);
        }
        new.page_or_make(to.page, fresh_page)?.write(to.offset, part);
        new.written(to.len);
        done += to.len;
    }
    Ok(new)
}

/// A page with whatever was in it: only what was written to it is ever read.
fn fresh_page() -> Option<SharedFrame> {
    frames::allocate().map(Frame::share)
}

impl Pipe {
    /// A pipe without ends.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new() -> Result<Self> {
        let ring = Ring::new(DEFAULT_CAPACITY).map_err(|_| Errno::ENOMEM)?;
        let state = State { ring, readers: Ends::default(), writers: Ends::default() };
        Ok(Pipe {
            state: Locked::new(state),
            readable: WaitQueue::new(),
            writable: WaitQueue::new(),
            is_watched: AtomicBool::new(false),
        })
    }

    /// Opens an end as open(2) opens a FIFO: it waits for the other end.
    ///
    /// # Errors
    /// ENXIO to write without waiting and without a reader; ERESTARTSYS; ENOMEM.
    pub fn open(self: Arc<Self>, opening: &Opening) -> Result<Arc<dyn File>> {
        let direction = Direction::of(opening.flags);
        let never_waits = opening.flags & O_NONBLOCK != 0;
        let (end, readers, writers) = {
            let mut state = self.state.lock();
            if direction == Direction::Write && never_waits && state.readers.open == 0 {
                return Err(Errno::ENXIO);
            }
            // From here on dropping the end undoes it.
            (self.end(&mut state, direction), state.readers, state.writers)
        };
        self.wake_for(direction);
        match direction {
            Direction::Read if writers.open == 0 && !never_waits => {
                self.readable.block_until(opening.wait, || self.has_come(writers, |state| state.writers))?;
            }
            Direction::Write if readers.open == 0 => {
                self.writable.block_until(opening.wait, || self.has_come(readers, |state| state.readers))?;
            }
            _ => {}
        }
        Ok(end)
    }

    /// One more end, whoever else there is.
    fn add_end(self: Arc<Self>, flags: u32) -> Arc<End> {
        let direction = Direction::of(flags);
        let end = self.end(&mut self.state.lock(), direction);
        self.wake_for(direction);
        end
    }

    fn end(self: &Arc<Self>, state: &mut State, direction: Direction) -> Arc<End> {
        let writers_before = state.writers.ever;
        if direction.reads() {
            state.readers.add();
        }
        if direction.writes() {
            state.writers.add();
        }
        Arc::new(End { pipe: self.clone(), direction, is_packets: AtomicBool::new(false), writers_before })
    }

    /// Wakes who waits for such an end.
    fn wake_for(&self, direction: Direction) {
        if direction.reads() {
            self.writable.wake_all();
        }
        if direction.writes() {
            self.readable.wake_all();
        }
    }

    fn has_come(&self, before: Ends, which: impl Fn(&State) -> Ends) -> Result<()> {
        if which(&self.state.lock()).ever == before.ever { Err(Errno::EAGAIN) } else { Ok(()) }
    }

    pub(super) fn try_read(&self, to: &mut dyn ByteSink) -> Result<usize> {
        let mut state = self.state.lock();
        if state.ring.is_empty() {
            return if state.writers.open == 0 { Ok(0) } else { Err(Errno::EAGAIN) };
        }
        let had_room = state.ring.has_room();
        let most = state.ring.readable();
        let mut done = 0;
        let outcome = loop {
            let wanted = to.room().min(most - done);
            let piece = state.ring.next_to_read(wanted);
            let Some(page) = state.ring.page(piece.page).filter(|_| piece.len > 0) else { break Ok(()) };
            match to.put_page(page, piece.offset, piece.len) {
                Ok(count) => {
                    state.ring.taken(count);
                    done += count;
                    if count < piece.len {
                        break Ok(());
                    }
                }
                Err(error) => break Err(error),
            }
        };
        if done > 0 {
            state.ring.end_read();
        }
        let wakes = !had_room && state.ring.has_room();
        drop(state);
        if wakes {
            self.writable.wake_all();
        }
        if done > 0 { Ok(done) } else { outcome.map(|()| 0) }
    }

    fn try_write(&self, from: &mut dyn ByteSource, framing: Framing) -> Result<usize> {
        let mut state = self.state.lock();
        if state.readers.open == 0 {
            return Err(Errno::EPIPE);
        }
        let mut wanted = match framing {
            Framing::Stream => state.ring.may_write(from.left())?,
            Framing::Packets => {
                let len = from.left().min(PIPE_BUF);
                state.ring.start_packet(len)?;
                len
            }
        };
        let was_empty = state.ring.is_empty();
        let mut done = 0;
        let mut outcome = Ok(());
        while wanted > 0 {
            let piece = state.ring.next_to_write(wanted);
            let page = state.ring.page_or_make(piece.page, fresh_page);
            match page.and_then(|page| from.take_to_page(page, piece.offset, piece.len)) {
                Ok(0) => break,
                Ok(count) => {
                    state.ring.written(count);
                    done += count;
                    wanted -= count;
                }
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        if framing == Framing::Packets {
            state.ring.end_packet();
        }
        drop(state);
        if done > 0 && (was_empty || self.is_watched.load(Ordering::Relaxed)) {
            self.readable.wake_all();
        }
        if done > 0 { Ok(done) } else { outcome.map(|()| 0) }
    }
}

/// A pipe that has no name, to be opened again.
struct Again {
    pipe: Arc<Pipe>,
    attributes: Attributes,
}

impl Inode for Again {
    fn attributes(&self) -> Attributes {
        self.attributes
    }

    fn open(self: Arc<Self>, opening: &Opening) -> Result<Arc<dyn File>> {
        // Somebody has an end already: there is nobody to wait for. And unlike a FIFO it may be written before.
        let end: Arc<dyn File> = self.pipe.clone().add_end(opening.flags);
        Ok(end)
    }

    fn as_any(&self) -> &dyn core::any::Any {
        self
    }
}

impl Direction {
    const fn of(flags: u32) -> Self {
        match flags & O_ACCMODE {
            O_RDONLY => Direction::Read,
            O_WRONLY => Direction::Write,
            _ => Direction::Both,
        }
    }

    const fn reads(self) -> bool {
        !matches!(self, Direction::Write)
    }

    const fn writes(self) -> bool {
        !matches!(self, Direction::Read)
    }
}

impl File for End {
    fn read(&self, transfer: &Transfer, to: &mut dyn ByteSink) -> Result<usize> {
        if !self.direction.reads() {
            return Err(Errno::EBADF);
        }
        if to.room() == 0 {
            return Ok(0);
        }
        self.pipe.readable.block_until(transfer.wait, || self.pipe.try_read(to))
    }

    fn write(&self, transfer: &Transfer, from: &mut dyn ByteSource) -> Result<usize> {
        if !self.direction.writes() {
            return Err(Errno::EBADF);
        }
        let mut done = 0;
        while from.left() > 0 {
            let framing =
                if self.is_packets.load(Ordering::Relaxed) { Framing::Packets } else { Framing::Stream };
            match self.pipe.writable.block_until(transfer.wait, || self.pipe.try_write(from, framing)) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn ready(&self) -> Events {
        let shown = self.pipe.state.shown();
        let mut events = 0;
        if self.direction.reads() {
            if shown.has_bytes() {
                events |= POLLIN | POLLRDNORM;
            }
            if shown.lost_writers(self.writers_before) {
                events |= POLLHUP;
            }
        }
        if self.direction.writes() {
            if shown.has_room() {
                events |= POLLOUT | POLLWRNORM;
            }
            if !shown.has_reader() {
                events |= POLLERR;
            }
        }
        Events(events)
    }

    fn for_each_queue(&self, visit: &mut dyn FnMut(&WaitQueue)) {
        if self.direction.reads() {
            self.pipe.is_watched.store(true, Ordering::Relaxed);
            visit(&self.pipe.readable);
        }
        if self.direction.writes() {
            visit(&self.pipe.writable);
        }
    }

    fn sends_signals(&self) -> bool {
        true
    }

    fn control(&self, request: u32, argument: u64) -> Result<u64> {
        if request != FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let len = self.pipe.state.lock().ring.len();
        usermem::write(argument, &i32::try_from(len).unwrap_or(i32::MAX))?;
        Ok(0)
    }

    fn seeking(&self) -> Seeking {
        Seeking::Stream
    }

    fn as_any(&self) -> &dyn core::any::Any {
        self
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let (last_reader, last_writer) = {
            let mut state = self.pipe.state.lock();
            if self.direction.reads() {
                state.readers.open -= 1;
            }
            if self.direction.writes() {
                state.writers.open -= 1;
            }
            let ends = (state.readers.open, state.writers.open);
            if ends == (0, 0) {
                // What nobody read of a FIFO is gone.
                state.ring.clear();
            }
            (self.direction.reads() && ends.0 == 0, self.direction.writes() && ends.1 == 0)
        };
        if last_reader {
            self.pipe.writable.wake_all();
        }
        if last_writer {
            self.pipe.readable.wake_all();
        }
    }
}

#[cfg(test)]
mod tests;
