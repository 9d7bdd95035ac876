//! The files of terminals: reading, writing, and their many requests.

use alloc::sync::Arc;
use core::any::Any;

use abi::file::{O_NOCTTY, O_WRONLY, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM, device_number};
use abi::termios::{
    FIONREAD, TCFLSH, TCGETS, TCIFLUSH, TCIOFLUSH, TCOOFF, TCOON, TCSBRK, TCSBRKP, TCSETS, TCSETSF, TCSETSW,
    TCXONC, TIOCGPGRP, TIOCGSID, TIOCGWINSZ, TIOCNOTTY, TIOCOUTQ, TIOCSCTTY, TIOCSPGRP, TIOCSWINSZ, TOSTOP,
};
use abi::{Errno, Result};
use hal::time::now_ns;
use logic::cred::Capability;
use logic::signal::{Signal, SignalInfo};
use logic::tty::{ReadRule, Termios, WindowSize};
use nucleus::disk_files::{self, loops};
use nucleus::sched::WaitQueue;
use nucleus::vfs::device::{self, Device, Registered};
use nucleus::vfs::file::Seeking;
use nucleus::vfs::{ByteSink, ByteSource, Events, File, FileKind, OpenFile, Transfer};

use super::job::{self, Use};
use super::{Serial, Tty};
use crate::process::{Cx, Pid, tree};

/// `/dev/ttyS0`.
pub(super) const SERIAL: u64 = device_number(4, 64);
/// `/dev/tty`: whatever the caller's terminal is.
const OWN: u64 = device_number(5, 0);
/// `/dev/console`.
const CONSOLE: u64 = device_number(5, 1);

struct Terminals;

pub(super) fn register() -> Result<()> {
    let device: Arc<dyn Device> = Arc::new(Terminals);
    for (name, number, permissions) in
        [("console", CONSOLE, 0o600), ("tty", OWN, 0o666), ("ttyS0", SERIAL, 0o660)]
    {
        let kind = FileKind::CharDevice;
        device::register(Registered { kind, number, name, permissions, device: device.clone() })?;
    }
    Ok(())
}

impl Device for Terminals {
    fn open(&self, number: u64, _flags: u32) -> Result<Arc<dyn File>> {
        let tty = Tty::console()?;
        if number == OWN {
            let session = job::caller().map_or(Pid::NONE, |task| job::session_and_group(task.process.pid).0);
            if session == Pid::NONE || tty.job.session() != session {
                return Err(Errno::ENXIO);
            }
        }
        Ok(Arc::new(Terminal { tty, number }))
    }
}

/// A terminal that is open.
struct Terminal {
    tty: &'static Tty,
    number: u64,
}

/// A leader of a session without a terminal that opens one gets it (but `/dev/console` is nobody's).
pub(crate) fn opened(cx: &Cx, file: &Arc<OpenFile>, flags: u32) {
    let Some(terminal) = file.file().as_any().downcast_ref::<Terminal>() else { return };
    let (session, group) = super::caller_session(cx);
    let may_become = flags & O_NOCTTY == 0 && flags & abi::file::O_ACCMODE != O_WRONLY;
    if may_become && terminal.number == SERIAL && session == cx.process().pid {
        terminal.tty.job.take(session, group);
    }
}

impl File for Terminal {
    fn read(&self, transfer: &Transfer, to: &mut dyn ByteSink) -> Result<usize> {
        if let Some(task) = job::caller() {
            self.tty.job.check(&task, Use::Read)?;
        }
        let mut buffer = [0; 512];
        let wanted = to.room().min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        let count = self.take(transfer, &mut buffer[..wanted])?;
        to.put(&buffer[..count])
    }

    fn write(&self, transfer: &Transfer, from: &mut dyn ByteSource) -> Result<usize> {
        if let Some(task) = job::caller()
            && self.tty.line.lock().discipline.termios().has_local(TOSTOP)
        {
            self.tty.job.check(&task, Use::Write)?;
        }
        let mut done = 0;
        let mut buffer = [0; 256];
        while from.left() != 0 {
            let count = match from.take(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            };
            let mut rest = &buffer[..count];
            while !rest.is_empty() {
                let sent = self.tty.writable.block_until(transfer.wait, || {
                    match self.tty.line.lock().discipline.output(rest, &mut Serial) {
                        0 => Err(Errno::EAGAIN),
                        count => Ok(count),
                    }
                });
                match sent {
                    Ok(sent) => {
                        done += sent;
                        rest = &rest[sent..];
                    }
                    Err(_) if done > 0 => return Ok(done),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(done)
    }

    fn ready(&self) -> Events {
        let line = self.tty.line.lock();
        let input = if line.discipline.is_readable() { POLLIN | POLLRDNORM } else { 0 };
        let output = if line.discipline.is_stopped() { 0 } else { POLLOUT | POLLWRNORM };
        Events(input | output)
    }

    fn for_each_queue(&self, visit: &mut dyn FnMut(&WaitQueue)) {
        visit(&self.tty.readable);
        visit(&self.tty.writable);
    }

    fn sends_signals(&self) -> bool {
        true
    }

    fn seeking(&self) -> Seeking {
        Seeking::Stream
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Terminal {
    /// Reads as VMIN and VTIME say.
    fn take(&self, transfer: &Transfer, to: &mut [u8]) -> Result<usize> {
        const TENTH_NS: u64 = 100_000_000;
        let rule = self.tty.line.lock().discipline.read_rule();
        let read = |to: &mut [u8]| self.tty.line.lock().discipline.read(to);
        let block = |wait, to: &mut [u8]| self.tty.readable.block_until(wait, || read(to));
        let (wanted, tenths) = match rule {
            ReadRule::Line => return block(transfer.wait, to),
            ReadRule::Now => {
                return match read(to) {
                    Err(Errno::EAGAIN) => Ok(0),
                    other => other,
                };
            }
            ReadRule::FirstWithin(tenths) => {
                let wait = transfer.wait.until(now_ns() + u64::from(tenths) * TENTH_NS);
                return match block(wait, to) {
                    Err(Errno::ETIMEDOUT) => Ok(0),
                    other => other,
                };
            }
            ReadRule::Bytes(bytes) => (usize::from(bytes), None),
            ReadRule::BytesWithGaps { bytes, tenths } => (usize::from(bytes), Some(tenths)),
        };
        let wanted = wanted.clamp(1, to.len());
        let mut done = block(transfer.wait, to)?;
        while done < wanted {
            let wait = match tenths {
                Some(tenths) => transfer.wait.until(now_ns() + u64::from(tenths) * TENTH_NS),
                None => transfer.wait,
            };
            match block(wait, &mut to[done..]) {
                Ok(count) => done += count,
                // What was read counts.
                Err(_) => break,
            }
        }
        Ok(done)
    }
}

/// ioctl(2) on any file: terminals know the caller, others do not.
pub(crate) fn control(cx: &Cx, file: &Arc<OpenFile>, request: u32, argument: u64) -> Result<u64> {
    match file.file().as_any().downcast_ref::<Terminal>() {
        Some(terminal) => terminal_control(cx, terminal, request, argument).map(|()| 0),
        None if disk_files::disk_of(&**file.file()).is_some()
            && disk_files::is_privileged(request)
            && !cx.cred.has(Capability::SysAdmin) =>
        {
            Err(Errno::EACCES)
        }
        None if let Some(result) =
            loops::control(&**file.file(), request, argument, &|fd| cx.files.get_open(fd)) =>
        {
            result
        }
        None => file.file().control(request, argument),
    }
}

fn terminal_control(cx: &Cx, terminal: &Terminal, request: u32, argument: u64) -> Result<()> {
    use hal::usermem::{read, write, write_bytes};
    let tty = terminal.tty;
    match request {
        TCGETS => write_bytes(argument, &tty.line.lock().discipline.termios().encode()),
        TCSETS | TCSETSW | TCSETSF => {
            tty.job.check(&cx.task, Use::Write)?;
            let bytes = read(argument)?;
            let mut line = tty.line.lock();
            let termios = Termios::decode(&bytes, line.discipline.termios());
            if request == TCSETSF {
                line.discipline.flush_input();
            }
            line.discipline.set_termios(termios, &mut Serial);
            drop(line);
            tty.readable.wake_all();
            Ok(())
        }
        TIOCGWINSZ => write_bytes(argument, &tty.line.lock().size.encode()),
        TIOCSWINSZ => {
            let size = WindowSize::decode(&read(argument)?);
            let old = core::mem::replace(&mut tty.line.lock().size, size);
            if old != size {
                job::signal_group(tty.job.foreground(), SignalInfo::kernel(Signal::WINCH));
            }
            Ok(())
        }
        FIONREAD => {
            let count = tty.line.lock().discipline.readable();
            write(argument, &u32::try_from(count).unwrap_or(u32::MAX))
        }
        TIOCOUTQ => write(argument, &0_u32),
        TCFLSH => {
            if argument == u64::from(TCIFLUSH) || argument == u64::from(TCIOFLUSH) {
                tty.line.lock().discipline.flush_input();
            }
            Ok(())
        }
        TCXONC => {
            let mut line = tty.line.lock();
            match argument {
                argument if argument == u64::from(TCOOFF) => line.discipline.hold(),
                argument if argument == u64::from(TCOON) => line.discipline.release(&mut Serial),
                _ => {}
            }
            drop(line);
            tty.writable.wake_all();
            Ok(())
        }
        // The line has no breaks to send, and everything is sent at once.
        TCSBRK | TCSBRKP => Ok(()),
        TIOCSCTTY | TIOCNOTTY | TIOCGPGRP | TIOCSPGRP | TIOCGSID => job_control(cx, tty, request, argument),
        _ => Err(Errno::ENOTTY),
    }
}

fn job_control(cx: &Cx, tty: &Tty, request: u32, argument: u64) -> Result<()> {
    let (session, group) = super::caller_session(cx);
    let is_own = tty.job.session() == session && session != Pid::NONE;
    match request {
        TIOCSCTTY => {
            if session != cx.process().pid {
                return Err(Errno::EPERM);
            }
            if tty.job.take(session, group) {
                return Ok(());
            }
            // 1 takes it from whoever has it.
            if argument == 1 && cx.cred.has(Capability::SysAdmin) {
                tty.job.release(tty.job.session());
                tty.job.take(session, group);
                return Ok(());
            }
            Err(Errno::EPERM)
        }
        _ if !is_own => Err(Errno::ENOTTY),
        TIOCNOTTY => {
            if session == cx.process().pid {
                super::session_ended(session);
            }
            Ok(())
        }
        TIOCGPGRP => hal::usermem::write(argument, &tty.job.foreground().0),
        TIOCGSID => hal::usermem::write(argument, &session.0),
        _ => {
            tty.job.check(&cx.task, Use::Write)?;
            let wanted: i32 = hal::usermem::read(argument)?;
            let wanted = Pid::from_arg(wanted).ok_or(Errno::EINVAL)?;
            let its_session = tree::with(|tree| tree.group(wanted).next().map(|node| node.session));
            match its_session {
                None => Err(Errno::ESRCH),
                Some(other) if other != session => Err(Errno::EPERM),
                Some(_) => {
                    tty.job.set_foreground(wanted);
                    Ok(())
                }
            }
        }
    }
}
