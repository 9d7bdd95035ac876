//! Ptys: a terminal whose other end is a program (pty(7), ioctl_tty(2)).
//!
//! The slave is a [`Tty`] like others; its driver puts output into a buffer that the master reads. What the master writes
//! is the slave's input. Locks: `Device`, a spin lock, around output that the master has not begun to read; `Stream`,
//! sleeping, around what it has: the two are swapped, so that writer and reader each copy without the other. The
//! terminal's own lock is never taken under these.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

use abi::file::{POLLHUP, POLLIN, POLLOUT, POLLPRI, POLLRDNORM, POLLWRNORM, device_number};
use abi::termios::{
    CREAD, CS8, CSIZE, EXTPROC, HUPCL, IXON, PARENB, TIOCPKT_DATA, TIOCPKT_DOSTOP, TIOCPKT_FLUSHREAD,
    TIOCPKT_FLUSHWRITE, TIOCPKT_IOCTL, TIOCPKT_NOSTOP, TIOCPKT_START, TIOCPKT_STOP, VSTART, VSTOP,
};
use abi::{Errno, Result};
use fs::devpts::{self, Number};
use hal::rank;
use hal::spin::Lock;
use logic::tty::Termios;
use nucleus::sched::{Mutex, WaitQueue};
use nucleus::vfs::device::{self, Device, Registered};
use nucleus::vfs::file::Seeking;
use nucleus::vfs::{ByteSink, ByteSource, Events, File, FileKind, Place, Transfer};

use super::device::Terminal;
use super::driver::{Change, Driver};
use super::terminal::{Sort, Tty};
use super::{job, registry};

/// Output that waits for the master to begin with it, and input that waits for the slave's discipline.
const LIMIT: usize = 64 << 10;
/// What a buffer begins with.
const FIRST: usize = 4 << 10;
/// Bytes the master hands over at once.
const PIECE: usize = 1024;

/// What both ends share.
pub(super) struct Pair {
    /// Output that the master has not begun to read.
    back: Lock<Vec<u8>, rank::Device>,
    /// What it has begun with.
    front: Mutex<Front, rank::Stream>,
    /// Bytes in both.
    available: AtomicUsize,
    /// Where the master waits to read.
    readable: WaitQueue,
    /// TIOCSPTLCK: the slave cannot be opened.
    pub(super) is_locked: AtomicBool,
    /// TIOCPKT.
    is_packet: AtomicBool,
    /// `TIOCPKT_` bits that the master has not read.
    status: AtomicU8,
    /// The slave was open and is not any more.
    is_slave_closed: AtomicBool,
    has_master: AtomicBool,
    number: Number,
}

/// Bytes, and how many of them are read.
struct Front {
    bytes: Vec<u8>,
    done: usize,
}

/// The driver of the slave.
struct Slave(Arc<Pair>);

/// What is behind a node of devpts.
struct Node {
    pair: Arc<Pair>,
    tty: Arc<Tty>,
}

/// The master, which is open once.
pub(super) struct Master {
    pub(super) pair: Arc<Pair>,
    /// The slave.
    pub(super) tty: Arc<Tty>,
}

struct Ptys;

/// Registers `/dev/ptmx`, and what opens slaves.
///
/// # Errors
/// ENOMEM.
pub(super) fn register() -> Result<()> {
    let device: Arc<dyn Device> = Arc::new(Ptys);
    device::register_major(devpts::MAJOR, device.clone())?;
    let kind = FileKind::CharDevice;
    device::register(Registered { kind, number: devpts::PTMX, name: "ptmx", permissions: 0o666, device })
}

impl Device for Ptys {
    /// Without a name nobody knows which instance is meant.
    fn open(&self, _number: u64, _flags: u32) -> Result<Arc<dyn File>> {
        Err(Errno::EIO)
    }

    fn open_at(&self, place: &Place, number: u64, _flags: u32) -> Result<Arc<dyn File>> {
        if number == devpts::PTMX {
            return open_master(place);
        }
        let slave = devpts::slave_of(place).and_then(|slave| slave.downcast::<Node>().ok());
        let slave = slave.ok_or(Errno::EIO)?;
        let pair = &slave.pair;
        if pair.is_locked.load(Ordering::Acquire) || !pair.has_master.load(Ordering::Acquire) {
            return Err(Errno::EIO);
        }
        Ok(Arc::new(Terminal::open(slave.tty.clone(), number)?))
    }
}

/// The settings of a new slave.
fn first_termios() -> Termios {
    let termios = Termios::default();
    Termios { cflag: termios.cflag & !HUPCL, ..termios }
}

/// Makes a pty for who opens `ptmx` at `place`.
fn open_master(place: &Place) -> Result<Arc<dyn File>> {
    let number = devpts::instance_of(place)?.reserve()?;
    let device = device_number(devpts::MAJOR, number.get());
    let pair = Arc::new(Pair {
        back: Lock::new(Vec::new()),
        front: Mutex::new(Front { bytes: Vec::new(), done: 0 }),
        available: AtomicUsize::new(0),
        readable: WaitQueue::new(),
        is_locked: AtomicBool::new(true),
        is_packet: AtomicBool::new(false),
        status: AtomicU8::new(0),
        is_slave_closed: AtomicBool::new(false),
        has_master: AtomicBool::new(true),
        number,
    });
    let driver = Box::new(Slave(pair.clone()));
    let name = alloc::format!("pts/{}", pair.number.get());
    let tty = Tty::new(&name, device, Sort::Pty, driver, first_termios())?;
    registry::add(&tty)?;
    let (user, group) = job::caller().map_or((0, 0), |task| (task.cred().user.file, task.cred().group.file));
    pair.number.publish(Arc::new(Node { pair: pair.clone(), tty: tty.clone() }), user, group);
    Ok(Arc::new(Master { pair, tty }))
}

impl Pair {
    /// Bytes that the slave's output may still be, growing the buffer if needed. Only who has the terminal's lock puts.
    fn room(&self) -> usize {
        let (len, capacity) = {
            let back = self.back.lock();
            (back.len(), back.capacity())
        };
        if len < capacity || len >= LIMIT {
            return capacity.min(LIMIT).saturating_sub(len);
        }
        let mut larger = Vec::new();
        let wanted = (capacity * 2).clamp(FIRST, LIMIT);
        if larger.try_reserve_exact(wanted).is_err() {
            return 0;
        }
        let old = {
            let mut back = self.back.lock();
            larger.extend_from_slice(&back);
            core::mem::replace(&mut *back, larger)
        };
        drop(old);
        wanted.saturating_sub(len)
    }

    fn put(&self, bytes: &[u8]) {
        let mut back = self.back.lock();
        // There was room for them before; a swap only makes more of it.
        let fits = bytes.len() <= back.capacity() - back.len();
        if fits {
            back.extend_from_slice(bytes);
            self.available.fetch_add(bytes.len(), Ordering::Release);
        }
        drop(back);
        debug_assert!(fits, "{} bytes were put where there was no room", bytes.len());
    }

    /// Forgets output that the master has not begun to read.
    fn discard(&self) {
        let mut back = self.back.lock();
        self.available.fetch_sub(back.len(), Ordering::Release);
        back.clear();
    }

    /// Forgets all of it.
    pub(super) fn discard_all(&self) {
        let mut front = self.front.lock();
        self.available.fetch_sub(front.bytes.len() - front.done, Ordering::Release);
        front.bytes.clear();
        front.done = 0;
        self.discard();
    }

    /// Lets the reader have what was put, and the writer an empty buffer. Says whether there is anything.
    fn refill(&self, front: &mut Front) -> bool {
        if front.done < front.bytes.len() {
            return true;
        }
        front.bytes.clear();
        front.done = 0;
        let mut back = self.back.lock();
        // A buffer that shrinks would take back the room that a writer was told of.
        if front.bytes.capacity() >= back.capacity() {
            core::mem::swap(&mut *back, &mut front.bytes);
            return !front.bytes.is_empty();
        }
        let wanted = back.capacity();
        let is_empty = back.is_empty();
        drop(back);
        if is_empty {
            return false;
        }
        // Once for each size a buffer grows to; without memory, by a few bytes in what there is.
        if front.bytes.try_reserve_exact(wanted).is_ok() {
            return self.refill(front);
        }
        let mut back = self.back.lock();
        let count = back.len().min(front.bytes.capacity());
        front.bytes.extend(back.drain(..count));
        count > 0
    }

    /// Tells the master of something, if it wants packets.
    fn note(&self, clear: u32, set: u32) {
        if !self.is_packet.load(Ordering::Acquire) {
            return;
        }
        let bits = |bits: u32| bits.to_le_bytes()[0];
        let update = |status: u8| Some(status & !bits(clear) | bits(set));
        // The closure never refuses.
        let _ = self.status.fetch_update(Ordering::AcqRel, Ordering::Acquire, update);
        self.readable.wake_all();
    }

    /// TIOCPKT: reads begin with a byte of `TIOCPKT_` bits from now on.
    pub(super) fn begin_packets(&self) {
        if !self.is_packet() {
            self.status.store(0, Ordering::Release);
        }
        self.is_packet.store(true, Ordering::Release);
    }

    /// They do not.
    pub(super) fn end_packets(&self) {
        self.is_packet.store(false, Ordering::Release);
    }

    pub(super) fn is_packet(&self) -> bool {
        self.is_packet.load(Ordering::Acquire)
    }

    pub(super) fn number(&self) -> u32 {
        self.number.get()
    }

    /// Bytes the master can read.
    pub(super) fn available(&self) -> usize {
        self.available.load(Ordering::Acquire)
    }
}

impl Driver for Slave {
    fn room(&self) -> usize {
        self.0.room()
    }

    fn put(&self, bytes: &[u8]) {
        self.0.put(bytes);
    }

    fn discard(&self) {
        self.0.discard();
    }

    fn kick(&self) {
        self.0.readable.wake_all();
    }

    fn settle(&self, wanted: &mut Termios) {
        wanted.cflag = wanted.cflag & !(CSIZE | PARENB) | CS8 | CREAD;
    }

    fn set(&self, old: &Termios, new: &Termios) {
        let has_usual_keys = |termios: &Termios| {
            let key = |index: usize| termios.cc.get(index).copied();
            termios.has_input(IXON) && key(VSTOP) == Some(0x13) && key(VSTART) == Some(0x11)
        };
        let (before, now) = (has_usual_keys(old), has_usual_keys(new));
        let external = if (old.lflag | new.lflag) & EXTPROC != 0 { TIOCPKT_IOCTL } else { 0 };
        if before != now {
            let keys = if now { TIOCPKT_DOSTOP } else { TIOCPKT_NOSTOP };
            self.0.note(TIOCPKT_DOSTOP | TIOCPKT_NOSTOP, keys | external);
        } else if external != 0 {
            self.0.note(0, external);
        }
    }

    fn tell(&self, what: Change) {
        match what {
            Change::Stopped => self.0.note(TIOCPKT_START, TIOCPKT_STOP),
            Change::Started => self.0.note(TIOCPKT_STOP, TIOCPKT_START),
            Change::InputFlushed => self.0.note(0, TIOCPKT_FLUSHREAD),
            Change::OutputFlushed => self.0.note(0, TIOCPKT_FLUSHWRITE),
            Change::Opened => self.0.is_slave_closed.store(false, Ordering::Release),
            Change::Closed => {
                self.0.is_slave_closed.store(true, Ordering::Release);
                self.0.readable.wake_all();
            }
            Change::InputFull | Change::InputRoom => {}
        }
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        self.pair.has_master.store(false, Ordering::Release);
        self.pair.number.withdraw();
        self.tty.hang_up();
        registry::remove(&self.tty);
    }
}

impl Master {
    /// What there is now: a status, or bytes.
    fn take_now(&self, to: &mut dyn ByteSink, has_swapped: &mut bool) -> Result<usize> {
        let pair = &self.pair;
        let is_packet = pair.is_packet();
        if is_packet {
            let status = pair.status.swap(0, Ordering::AcqRel);
            if status != 0 {
                return to.put(&[status]);
            }
        }
        let mut front = pair.front.lock();
        *has_swapped = front.done == front.bytes.len();
        if !pair.refill(&mut front) {
            drop(front);
            let is_over = pair.is_slave_closed.load(Ordering::Acquire) && pair.available() == 0;
            return Err(if is_over { Errno::EIO } else { Errno::EAGAIN });
        }
        let mut header = 0;
        if is_packet {
            header = to.put(&TIOCPKT_DATA.to_le_bytes()[..1])?;
            if to.room() == 0 {
                return Ok(header);
            }
        }
        let done = front.done;
        let rest = front.bytes.get(done..).unwrap_or_default();
        let count = match to.put(rest) {
            Ok(count) => count,
            Err(_) if header > 0 => return Ok(header),
            Err(error) => return Err(error),
        };
        front.done += count;
        pair.available.fetch_sub(count, Ordering::Release);
        Ok(header + count)
    }
}

impl File for Master {
    fn read(&self, transfer: &Transfer, to: &mut dyn ByteSink) -> Result<usize> {
        if to.room() == 0 {
            return Ok(0);
        }
        let mut has_swapped = false;
        let count = self.pair.readable.block_until(transfer.wait, || self.take_now(to, &mut has_swapped))?;
        if has_swapped {
            // The writer has an empty buffer.
            self.tty.drained();
        }
        Ok(count)
    }

    fn write(&self, transfer: &Transfer, from: &mut dyn ByteSource) -> Result<usize> {
        let mut buffer = [0; PIECE];
        let mut done = 0;
        while from.left() != 0 {
            let count = match from.take(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            };
            let mut rest = buffer.get(..count).unwrap_or_default();
            while !rest.is_empty() {
                let taken = self.tty.block_for_room(transfer.wait, || match self.tty.feed(rest, LIMIT) {
                    0 => Err(Errno::EAGAIN),
                    count => Ok(count),
                });
                match taken {
                    Ok(taken) => {
                        done += taken;
                        rest = rest.get(taken..).unwrap_or_default();
                    }
                    Err(_) if done > 0 => return Ok(done),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(done)
    }

    fn ready(&self) -> Events {
        let pair = &self.pair;
        let has_status = pair.is_packet() && pair.status.load(Ordering::Acquire) != 0;
        let is_closed = pair.is_slave_closed.load(Ordering::Acquire);
        let input = if pair.available() > 0 || has_status { POLLIN | POLLRDNORM } else { 0 };
        let urgent = if has_status { POLLPRI } else { 0 };
        let output = if self.tty.has_room_for(LIMIT) { POLLOUT | POLLWRNORM } else { 0 };
        Events(input | urgent | output | if is_closed { POLLHUP } else { 0 })
    }

    fn for_each_queue(&self, visit: &mut dyn FnMut(&WaitQueue)) {
        visit(&self.pair.readable);
        visit(self.tty.room_queue());
    }

    fn changes(&self, wanted: Events) -> u64 {
        let input = if wanted.0 & POLLIN != 0 { self.pair.readable.signals() } else { 0 };
        let output = if wanted.0 & POLLOUT != 0 { self.tty.room_queue().signals() } else { 0 };
        input.wrapping_add(output)
    }

    fn seeking(&self) -> Seeking {
        Seeking::Stream
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
