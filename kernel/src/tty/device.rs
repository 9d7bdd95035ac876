//! The files of terminals: opening, reading, writing, waiting.
//!
//! Locks: the terminal's own (`terminal`); none is held while a write waits.

use alloc::sync::Arc;
use core::any::Any;

use abi::file::{O_NOCTTY, O_RDONLY, O_RDWR, POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM};
use abi::termios::TOSTOP;
use abi::{Errno, Result};
use hal::time::now_ns;
use logic::cred::Capability;
use logic::tty::ReadRule;
use nucleus::sched::{Wait, WaitQueue};
use nucleus::vfs::device::{self, Device, Registered};
use nucleus::vfs::file::Seeking;
use nucleus::vfs::{ByteSink, ByteSource, Events, File, FileKind, OpenFile, Transfer};

use super::job::{self, Use};
use super::registry::{self, CONSOLE, OWN};
use super::terminal::Tty;
use crate::process::Cx;

struct Terminals;

/// Registers the devices that every machine has.
///
/// # Errors
/// ENOMEM.
pub(super) fn register() -> Result<()> {
    registry::add_alias("console", CONSOLE, registry::console)?;
    registry::add_alias("tty", OWN, registry::own)?;
    add_node("console", CONSOLE, 0o600)?;
    add_node("tty", OWN, 0o666)
}

/// A node in `/dev` that opens the terminal of this number.
///
/// # Errors
/// ENOMEM, EEXIST.
pub(crate) fn add_node(name: &'static str, number: u64, permissions: u32) -> Result<()> {
    let device: Arc<dyn Device> = Arc::new(Terminals);
    device::register(Registered { kind: FileKind::CharDevice, number, name, permissions, device })
}

impl Device for Terminals {
    fn open(&self, number: u64, _flags: u32) -> Result<Arc<dyn File>> {
        Ok(Arc::new(Terminal::open(registry::by_number(number)?, number)?))
    }
}

/// A terminal that is open.
pub(super) struct Terminal {
    pub(super) tty: Arc<Tty>,
    /// The number it was opened by, which may be `/dev/console`'s.
    number: u64,
    /// How often the terminal was hung up before.
    hang_ups: u64,
}

impl Terminal {
    /// Opens a terminal.
    ///
    /// # Errors
    /// EBUSY for who may not use it while another has it alone.
    pub(super) fn open(tty: Arc<Tty>, number: u64) -> Result<Self> {
        let is_privileged = || job::caller().is_none_or(|task| task.cred().has(Capability::SysAdmin));
        if tty.is_exclusive.load(core::sync::atomic::Ordering::Relaxed) && !is_privileged() {
            return Err(Errno::EBUSY);
        }
        let hang_ups = tty.hang_ups();
        tty.count_open();
        Ok(Terminal { tty, number, hang_ups })
    }

    /// It was opened as `/dev/console`: job control does not stop it, and it survives a hang-up.
    fn is_console(&self) -> bool {
        self.number == CONSOLE
    }

    /// Whether the terminal was hung up since.
    pub(super) fn is_hung_up(&self) -> bool {
        !self.is_console() && self.tty.hang_ups() != self.hang_ups
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tty.count_close();
    }
}

/// A leader of a session without a terminal that opens one to read gets it (but `/dev/console` is nobody's).
pub(crate) fn opened(cx: &Cx, file: &Arc<OpenFile>, flags: u32) {
    let Some(terminal) = file.file().as_any().downcast_ref::<Terminal>() else { return };
    let (session, group) = super::caller_session(cx);
    let reads = matches!(flags & abi::file::O_ACCMODE, O_RDONLY | O_RDWR);
    let may_become = flags & O_NOCTTY == 0 && reads && !terminal.is_console();
    if may_become && session == cx.process().pid && registry::of_session(session).is_none() {
        terminal.tty.job.take(session, group);
    }
}

impl File for Terminal {
    fn read(&self, transfer: &Transfer, to: &mut dyn ByteSink) -> Result<usize> {
        if self.is_hung_up() {
            return Ok(0);
        }
        if !self.is_console()
            && let Some(task) = job::caller()
        {
            self.tty.job.check(&task, Use::Read)?;
        }
        let outcome = self.take(transfer, to);
        if outcome.is_ok_and(|count| count > 0) {
            self.tty.made_room();
        }
        outcome
    }

    fn write(&self, transfer: &Transfer, from: &mut dyn ByteSource) -> Result<usize> {
        if self.is_hung_up() {
            return Err(Errno::EIO);
        }
        if self.tty.termios().has_local(TOSTOP)
            && !self.is_console()
            && let Some(task) = job::caller()
        {
            self.tty.job.check(&task, Use::Write)?;
        }
        let mut buffer = self.tty.block_for_output(transfer.wait, || self.tty.begin_write())?;
        let outcome = self.send_all(transfer, from, &mut buffer);
        self.tty.end_write(buffer);
        outcome
    }

    fn ready(&self) -> Events {
        if self.is_hung_up() {
            return Events(POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM | POLLERR | POLLHUP);
        }
        let is_readable = self.tty.line.lock().discipline.is_readable();
        let input = if is_readable { POLLIN | POLLRDNORM } else { 0 };
        let output = if self.tty.is_writable() { POLLOUT | POLLWRNORM } else { 0 };
        Events(input | output)
    }

    fn for_each_queue(&self, visit: &mut dyn FnMut(&WaitQueue)) {
        visit(&self.tty.readable);
        visit(&self.tty.writable);
        if let Some(sent) = self.tty.driver.sent() {
            visit(sent);
        }
    }

    fn changes(&self, wanted: Events) -> u64 {
        let input = if wanted.0 & POLLIN != 0 { self.tty.readable.signals() } else { 0 };
        let output = if wanted.0 & POLLOUT != 0 {
            self.tty.writable.signals().wrapping_add(self.tty.driver.sent().map_or(0, WaitQueue::signals))
        } else {
            0
        };
        input.wrapping_add(output)
    }

    fn seeking(&self) -> Seeking {
        Seeking::Stream
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Terminal {
    /// Reads what there is, or says EAGAIN; a terminal that is hung up has come to its end.
    fn take_now(&self, to: &mut dyn ByteSink) -> Result<usize> {
        if self.is_hung_up() {
            return Ok(0);
        }
        let room = to.room();
        self.tty.line.lock().discipline.read_to(room, &mut |piece| to.put(piece))
    }

    /// Reads as VMIN and VTIME say.
    fn take(&self, transfer: &Transfer, to: &mut dyn ByteSink) -> Result<usize> {
        const TENTH_NS: u64 = 100_000_000;
        let tenths_from_now = |tenths: u8| transfer.wait.until(now_ns() + u64::from(tenths) * TENTH_NS);
        let most = to.room();
        if most == 0 {
            return Ok(0);
        }
        let mut block = |wait: Wait| self.tty.readable.block_until(wait, || self.take_now(to));
        let (wanted, tenths) = match self.tty.read_rule() {
            ReadRule::Line => return block(transfer.wait),
            ReadRule::Now => {
                return match block(Wait::NEVER) {
                    Err(Errno::EAGAIN) => Ok(0),
                    other => other,
                };
            }
            ReadRule::FirstWithin(tenths) => {
                return match block(tenths_from_now(tenths)) {
                    Err(Errno::ETIMEDOUT) => Ok(0),
                    other => other,
                };
            }
            ReadRule::Bytes(bytes) => (usize::from(bytes), None),
            ReadRule::BytesWithGaps { bytes, tenths } => (usize::from(bytes), Some(tenths)),
        };
        let wanted = wanted.clamp(1, most);
        let mut done = block(transfer.wait)?;
        while done < wanted {
            let wait = tenths.map_or(transfer.wait, tenths_from_now);
            match block(wait) {
                // The terminal was hung up, or its settings changed.
                Ok(0) => break,
                Ok(count) => done += count,
                // What was read counts.
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Sends all, as far as it may wait for that.
    fn send_all(&self, transfer: &Transfer, from: &mut dyn ByteSource, buffer: &mut [u8]) -> Result<usize> {
        let mut done = 0;
        while from.left() != 0 {
            let count = match from.take(buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            };
            let mut rest = buffer.get(..count).unwrap_or_default();
            while !rest.is_empty() {
                let sent = self.tty.block_for_output(transfer.wait, || {
                    if self.is_hung_up() { Err(Errno::EIO) } else { self.tty.send(rest) }
                });
                match sent {
                    Ok(sent) => {
                        done += sent;
                        rest = rest.get(sent..).unwrap_or_default();
                    }
                    Err(_) if done > 0 => return Ok(done),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(done)
    }
}
