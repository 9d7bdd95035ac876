//! ioctl(2) on terminals: settings, output, input, and whose terminal it is (ioctl_tty(2)).
//!
//! No lock of its own. User memory is read before anything changes, and written without a lock.

use alloc::sync::Arc;

use abi::termios::{
    CLOCAL, FIONREAD, TCFLSH, TCGETA, TCGETS, TCGETS2, TCIFLUSH, TCIOFF, TCIOFLUSH, TCION, TCOFLUSH, TCOOFF,
    TCOON, TCSBRK, TCSBRKP, TCSETA, TCSETAF, TCSETAW, TCSETS, TCSETS2, TCSETSF, TCSETSF2, TCSETSW, TCSETSW2,
    TCXONC, TIOCCBRK, TIOCEXCL, TIOCGDEV, TIOCGETD, TIOCGEXCL, TIOCGPGRP, TIOCGPTPEER, TIOCGSID,
    TIOCGSOFTCAR, TIOCGWINSZ, TIOCMBIC, TIOCMBIS, TIOCMGET, TIOCMSET, TIOCNOTTY, TIOCNXCL, TIOCOUTQ,
    TIOCSBRK, TIOCSCTTY, TIOCSETD, TIOCSPGRP, TIOCSSOFTCAR, TIOCSTI, TIOCSWINSZ, TIOCVHANGUP, VSTART, VSTOP,
};
use abi::{Errno, Result};
use core::sync::atomic::Ordering;
use hal::usermem::{read, write, write_bytes};
use logic::cred::Capability;
use logic::tty::{Termios, WindowSize};
use nucleus::sched::{self, Wait};
use nucleus::vfs::OpenFile;

use super::device::Terminal;
use super::driver::Level;
use super::job::{self, Use};
use super::registry;
use super::terminal::Tty;
use crate::process::{Cx, Pid, tree};

/// A break lasts a quarter of a second.
const BREAK_NS: u64 = 250_000_000;
const TENTH_NS: u64 = 100_000_000;

/// A request to a terminal that is no master.
///
/// # Errors
/// ENOTTY for what no terminal knows, EIO after a hang-up, and those of the request.
pub(super) fn terminal_control(
    cx: &Cx,
    file: &OpenFile,
    terminal: &Terminal,
    request: u32,
    argument: u64,
) -> Result<()> {
    if terminal.is_hung_up() {
        return Err(if request == TIOCSPGRP { Errno::ENOTTY } else { Errno::EIO });
    }
    let reached = Reached { cx, file, tty: &terminal.tty };
    match request {
        TIOCSCTTY | TIOCNOTTY | TIOCGPGRP | TIOCSPGRP | TIOCGSID => reached.job_control(request, argument),
        TIOCGPTPEER => Err(Errno::EIO),
        TIOCSTI => reached.pretend_typed(argument),
        TIOCVHANGUP => {
            if !cx.cred.has(Capability::SysAdmin) {
                return Err(Errno::EPERM);
            }
            terminal.tty.hang_up();
            Ok(())
        }
        FIONREAD => {
            let count = terminal.tty.line.lock().discipline.readable();
            write(argument, &u32::try_from(count).unwrap_or(u32::MAX))
        }
        _ => match reached.settings(request, argument) {
            Err(Errno::ENOTTY) => terminal.tty.driver.control(cx, request, argument),
            settled => settled,
        },
    }
}

/// A terminal that a program has reached: the slave's file, or for what both ends can do, the master's.
pub(super) struct Reached<'a> {
    pub(super) cx: &'a Cx,
    pub(super) file: &'a OpenFile,
    pub(super) tty: &'a Arc<Tty>,
}

/// What TCSETS and its kin do besides.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Now,
    /// When all output is sent.
    Drained,
    /// And input is forgotten.
    Flushed,
}

impl Reached<'_> {
    /// What both ends of a pty can do.
    ///
    /// # Errors
    /// ENOTTY for what no terminal knows.
    pub(super) fn settings(&self, request: u32, argument: u64) -> Result<()> {
        let tty = self.tty;
        match request {
            TCGETS => write_bytes(argument, &tty.termios().encode()),
            TCGETS2 => write_bytes(argument, &tty.termios().encode2()),
            TCGETA => write_bytes(argument, &tty.termios().encode_old()),
            TCSETS | TCSETSW | TCSETSF => {
                let termios = Termios::decode(&read(argument)?, &tty.termios());
                self.set(termios, when(request - TCSETS))
            }
            TCSETS2 | TCSETSW2 | TCSETSF2 => {
                let termios = Termios::decode2(&read(argument)?);
                self.set(termios, when(request - TCSETS2))
            }
            TCSETA | TCSETAW | TCSETAF => {
                let termios = Termios::decode_old(&read(argument)?, &tty.termios());
                self.set(termios, when(request - TCSETA))
            }
            TIOCGSOFTCAR => write(argument, &i32::from(tty.termios().cflag & CLOCAL != 0)),
            TIOCSSOFTCAR => {
                let is_on = read::<i32>(argument)? != 0;
                let termios = tty.termios();
                let cflag = termios.cflag & !CLOCAL | if is_on { CLOCAL } else { 0 };
                tty.set_termios(Termios { cflag, ..termios });
                Ok(())
            }
            TIOCGWINSZ => write_bytes(argument, &tty.size().encode()),
            TIOCSWINSZ => {
                tty.resize(WindowSize::decode(&read(argument)?));
                Ok(())
            }
            TIOCEXCL | TIOCNXCL => {
                tty.is_exclusive.store(request == TIOCEXCL, Ordering::Relaxed);
                Ok(())
            }
            TIOCGEXCL => write(argument, &i32::from(tty.is_exclusive.load(Ordering::Relaxed))),
            TIOCOUTQ => write(argument, &u32::try_from(tty.driver.pending()).unwrap_or(u32::MAX)),
            TCFLSH => self.flush(argument),
            TCXONC => self.flow(argument),
            TCSBRK | TCSBRKP | TIOCSBRK | TIOCCBRK => self.hold_low(request, argument),
            TIOCGETD => write(argument, &0_i32),
            TIOCSETD => {
                tty.job.check(&self.cx.task, Use::Write)?;
                if read::<i32>(argument)? == 0 { Ok(()) } else { Err(Errno::EINVAL) }
            }
            TIOCGDEV => write(argument, &u32::try_from(tty.number).unwrap_or(0)),
            TIOCMGET => write(argument, &tty.driver.wire().ok_or(Errno::ENOTTY)?.modem()),
            TIOCMSET | TIOCMBIS | TIOCMBIC => {
                let wire = tty.driver.wire().ok_or(Errno::ENOTTY)?;
                let bits: u32 = read(argument)?;
                let (set, clear) = match request {
                    TIOCMSET => (bits, !bits),
                    TIOCMBIS => (bits, 0),
                    _ => (0, bits),
                };
                wire.set_modem(set, clear);
                Ok(())
            }
            _ => Err(Errno::ENOTTY),
        }
    }

    /// Waits until all output is sent, as tcdrain(3).
    fn drain(&self) -> Result<()> {
        let tty = self.tty;
        tty.block_for_output(Wait::INTERRUPTIBLE, || {
            if tty.driver.pending() == 0 { Ok(()) } else { Err(Errno::EAGAIN) }
        })?;
        // The last few bits are in the chip: that takes no more than some bytes' time.
        while !tty.driver.is_drained() {
            sched::sleep_ns(1_000_000)?;
        }
        Ok(())
    }

    fn set(&self, termios: Termios, when: When) -> Result<()> {
        self.tty.job.check(&self.cx.task, Use::Write)?;
        if when != When::Now {
            self.drain()?;
        }
        if when == When::Flushed {
            self.tty.flush_input();
        }
        self.tty.set_termios(termios);
        Ok(())
    }

    fn flush(&self, argument: u64) -> Result<()> {
        self.tty.job.check(&self.cx.task, Use::Write)?;
        let is = |what: u32| argument == u64::from(what);
        if !is(TCIFLUSH) && !is(TCOFLUSH) && !is(TCIOFLUSH) {
            return Err(Errno::EINVAL);
        }
        if !is(TCOFLUSH) {
            self.tty.flush_input();
        }
        if !is(TCIFLUSH) {
            self.tty.flush_output();
        }
        Ok(())
    }

    fn flow(&self, argument: u64) -> Result<()> {
        let tty = self.tty;
        tty.job.check(&self.cx.task, Use::Write)?;
        match u32::try_from(argument) {
            Ok(TCOOFF) => tty.change(|discipline, _| discipline.hold()),
            Ok(TCOON) => tty.change(|discipline, out| discipline.release(out)),
            Ok(way @ (TCIOFF | TCION)) => {
                let key = if way == TCIOFF { VSTOP } else { VSTART };
                match tty.termios().cc.get(key) {
                    Some(&0) | None => {}
                    Some(&byte) => tty.send_key(byte),
                }
            }
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }

    /// Holds the line low for a while, until told otherwise, or, for tcdrain(3), not at all.
    fn hold_low(&self, request: u32, argument: u64) -> Result<()> {
        let wire = self.tty.driver.wire();
        let set = |level| wire.iter().for_each(|wire| wire.set_break(level));
        self.tty.job.check(&self.cx.task, Use::Write)?;
        if request == TIOCCBRK {
            set(Level::High);
            return Ok(());
        }
        self.drain()?;
        let duration_ns = match request {
            TIOCSBRK => {
                set(Level::Low);
                return Ok(());
            }
            TCSBRK if argument != 0 => return Ok(()),
            TCSBRKP if argument != 0 => argument.saturating_mul(TENTH_NS),
            _ => BREAK_NS,
        };
        if wire.is_none() {
            return Ok(());
        }
        set(Level::Low);
        let slept = sched::sleep_ns(duration_ns);
        set(Level::High);
        slept.map_err(|_| Errno::EINTR)
    }

    /// TIOCSTI: as if a byte had been typed.
    fn pretend_typed(&self, argument: u64) -> Result<()> {
        let (session, _) = super::caller_session(self.cx);
        let is_own = session != Pid::NONE && self.tty.job.session() == session;
        if !is_own && !self.cx.cred.has(Capability::SysAdmin) {
            return Err(Errno::EPERM);
        }
        let byte: u8 = read(argument)?;
        self.tty.receive(&[byte]);
        Ok(())
    }

    /// Whose terminal it is.
    fn job_control(&self, request: u32, argument: u64) -> Result<()> {
        let tty = self.tty;
        let (session, _) = super::caller_session(self.cx);
        let is_own = tty.job.session() == session && session != Pid::NONE;
        match request {
            TIOCSCTTY => self.become_controlling(argument),
            TIOCSPGRP => self.set_foreground(argument),
            _ if !is_own => Err(Errno::ENOTTY),
            TIOCNOTTY => {
                if session == self.cx.process().pid
                    && let Some(foreground) = tty.job.release(session)
                {
                    job::hang_up_group(foreground);
                }
                Ok(())
            }
            TIOCGPGRP => write(argument, &tty.job.foreground().0),
            _ => write(argument, &session.0),
        }
    }

    /// TIOCSCTTY.
    ///
    /// # Errors
    /// EPERM.
    pub(super) fn become_controlling(&self, argument: u64) -> Result<()> {
        let (cx, tty) = (self.cx, self.tty);
        let (session, group) = super::caller_session(cx);
        let is_leader = session == cx.process().pid;
        if is_leader && tty.job.session() == session {
            return Ok(());
        }
        let is_privileged = cx.cred.has(Capability::SysAdmin);
        if !is_leader || registry::of_session(session).is_some() || !self.file.may_map().0 && !is_privileged {
            return Err(Errno::EPERM);
        }
        if tty.job.take(session, group) {
            return Ok(());
        }
        // 1 takes it from whoever has it.
        if argument != 1 || !is_privileged {
            return Err(Errno::EPERM);
        }
        tty.job.release(tty.job.session());
        if tty.job.take(session, group) { Ok(()) } else { Err(Errno::EPERM) }
    }

    /// TIOCSPGRP.
    ///
    /// # Errors
    /// ENOTTY if it is not the caller's terminal, EPERM for a group of another session, ESRCH for none.
    pub(super) fn set_foreground(&self, argument: u64) -> Result<()> {
        let (cx, tty) = (self.cx, self.tty);
        match tty.job.check(&cx.task, Use::Write) {
            Err(Errno::EIO) => return Err(Errno::ENOTTY),
            other => other?,
        }
        let (session, _) = super::caller_session(cx);
        if session == Pid::NONE || tty.job.session() != session {
            return Err(Errno::ENOTTY);
        }
        let wanted: i32 = read(argument)?;
        if wanted < 0 {
            return Err(Errno::EINVAL);
        }
        let wanted = Pid::from_arg(wanted).ok_or(Errno::ESRCH)?;
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

/// The three of a kind stand in one order.
const fn when(step: u32) -> When {
    match step {
        0 => When::Now,
        1 => When::Drained,
        _ => When::Flushed,
    }
}
