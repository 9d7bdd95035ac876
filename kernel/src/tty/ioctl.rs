//! ioctl(2): what kind of file a request is for, and what masters of ptys answer (ioctl_tty(2)).
//!
//! No lock of its own.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use abi::file::{O_CLOEXEC, O_NONBLOCK};
use abi::termios::{
    FIONREAD, TCFLSH, TCIFLUSH, TCIOFLUSH, TCOFLUSH, TIOCGPGRP, TIOCGPKT, TIOCGPTLCK, TIOCGPTN, TIOCGPTPEER,
    TIOCGSID, TIOCNOTTY, TIOCOUTQ, TIOCPKT, TIOCSCTTY, TIOCSIG, TIOCSPGRP, TIOCSPTLCK,
};
use abi::{Errno, Result};
use hal::usermem::{read, write};
use logic::cred::Capability;
use logic::fd_table::OnExec;
use logic::signal::{Signal, SignalInfo};
use nucleus::disk_files::{self, loops};
use nucleus::vfs::OpenFile;

use super::control::{Reached, terminal_control};
use super::device::{self, Terminal};
use super::job;
use super::pty::Master;
use crate::process::{Cx, Pid};

/// ioctl(2) on any file: terminals know the caller, others do not.
pub(crate) fn control(cx: &Cx, file: &Arc<OpenFile>, request: u32, argument: u64) -> Result<u64> {
    let opened = &**file.file();
    if let Some(terminal) = opened.as_any().downcast_ref::<Terminal>() {
        return terminal_control(cx, file, terminal, request, argument).map(|()| 0);
    }
    if let Some(master) = opened.as_any().downcast_ref::<Master>() {
        return match request {
            TIOCGPTPEER => open_peer(cx, file, master, argument),
            _ => master_control(cx, file, master, request, argument).map(|()| 0),
        };
    }
    if disk_files::disk_of(opened).is_some()
        && disk_files::is_privileged(request)
        && !cx.cred.has(Capability::SysAdmin)
    {
        return Err(Errno::EACCES);
    }
    match loops::control(opened, request, argument, &|fd| cx.files.get_open(fd)) {
        Some(result) => result,
        None => file.file().control(request, argument),
    }
}

fn master_control(cx: &Cx, file: &OpenFile, master: &Master, request: u32, argument: u64) -> Result<()> {
    let (pair, tty) = (&master.pair, &master.tty);
    let slave = Reached { cx, file, tty };
    match request {
        TIOCGPTN => write(argument, &pair.number()),
        TIOCSPTLCK => {
            let is_locked = read::<i32>(argument)? != 0;
            pair.is_locked.store(is_locked, Ordering::Release);
            Ok(())
        }
        TIOCGPTLCK => write(argument, &i32::from(pair.is_locked.load(Ordering::Acquire))),
        TIOCPKT => {
            if read::<i32>(argument)? != 0 {
                pair.begin_packets();
            } else {
                pair.end_packets();
            }
            Ok(())
        }
        TIOCGPKT => write(argument, &i32::from(pair.is_packet())),
        TIOCSIG => {
            let signal = u32::try_from(argument).ok().and_then(Signal::new);
            let allowed = [Signal::INT, Signal::QUIT, Signal::TSTP];
            let signal = signal.filter(|signal| allowed.contains(signal)).ok_or(Errno::EINVAL)?;
            job::signal_group(tty.job.foreground(), SignalInfo::kernel(signal));
            Ok(())
        }
        FIONREAD => write(argument, &u32::try_from(pair.available()).unwrap_or(u32::MAX)),
        TIOCOUTQ => write(argument, &0_i32),
        TCFLSH => {
            let is = |what: u32| argument == u64::from(what);
            if !is(TCIFLUSH) && !is(TCOFLUSH) && !is(TCIOFLUSH) {
                return Err(Errno::EINVAL);
            }
            if !is(TCOFLUSH) {
                pair.discard_all();
                tty.drained();
            }
            if !is(TCIFLUSH) {
                tty.forget_waiting();
            }
            Ok(())
        }
        // Of the slave, whoever asks.
        TIOCGPGRP => write(argument, &tty.job.foreground().0),
        TIOCGSID => match tty.job.session() {
            Pid::NONE => Err(Errno::ENOTTY),
            session => write(argument, &session.0),
        },
        TIOCSCTTY => slave.become_controlling(argument),
        TIOCSPGRP => slave.set_foreground(argument),
        TIOCNOTTY => Err(Errno::ENOTTY),
        _ => slave.settings(request, argument),
    }
}

/// TIOCGPTPEER: opens the slave, wherever it has its name.
fn open_peer(cx: &Cx, file: &Arc<OpenFile>, master: &Master, flags: u64) -> Result<u64> {
    let flags = u32::try_from(flags).map_err(|_| Errno::EINVAL)?;
    let on_exec = if flags & O_CLOEXEC != 0 { OnExec::Close } else { OnExec::Keep };
    let reserved = cx.files.reserve(on_exec, cx.process().limits.files())?;
    let ptmx = file.place().ok_or(Errno::EIO)?;
    let place = fs::devpts::slave_place(ptmx, master.pair.number())?;
    let known = abi::file::O_ACCMODE | O_NONBLOCK | O_CLOEXEC | abi::file::O_NOCTTY;
    let slave = cx.fs.walker(&cx.cred).open(place, flags & known, false)?;
    device::opened(cx, &slave, flags);
    Ok(u64::from(reserved.publish(slave)))
}
