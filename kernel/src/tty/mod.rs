//! Terminals: `/dev/console`, `/dev/tty`, serial lines, ptys; and what virtual consoles build on.
//!
//! A terminal is a [`terminal::Tty`]: `logic::tty` is the discipline, a [`driver::Driver`] sends. Who makes one says
//! `Tty::new` with a name, a device number and a driver, [`registry::add`]s it, and gives it a node with
//! [`device::add_node`]. Input comes by `Tty::receive` from a kernel thread; when the window changes, `Tty::resize`
//! tells the programs (SIGWINCH); `Tty::hang_up` ends all use. A driver that is full and has room again calls
//! `Tty::drained`, or wakes its own [`driver::Driver::sent`] if that happens in an interrupt. What `/dev/tty0` is,
//! which changes, is an alias: [`registry::add_alias`]. `/dev/console` is what the last `console=` word names
//! ([`registry::console`]). See docs/terminals.md.
//!
//! Locks: `Stream` around a discipline, `Table` around the lists; signals are sent without. Modules, lowest first:
//! - [`job`]: sessions, foreground groups, and who may read and write.
//! - [`driver`]: what is behind a terminal.
//! - [`terminal`]: a terminal.
//! - [`registry`]: which there are.
//! - [`device`]: their files.
//! - [`pty`]: terminals whose other end is a program.
//! - [`control`]: requests to terminals (ioctl(2)).
//! - [`ioctl`]: whom a request is for, and those to masters.
//! - [`sysrq`]: keys for the kernel itself.
//! - [`serial`]: serial lines.

pub(crate) mod job;
pub(crate) mod driver;
pub(crate) mod terminal;
pub(crate) mod registry;
pub(crate) mod device;
mod pty;
mod control;
mod ioctl;
pub(crate) mod sysrq;
mod serial;

use abi::Result;
use alloc::sync::Arc;
use logic::signal::{Signal, SignalInfo};

use crate::process::{Cx, Pid};

pub(crate) use device::opened;
pub(crate) use ioctl::control;
pub(crate) use terminal::Sort;

/// Makes the terminals that are there from the start, and their devices.
///
/// # Errors
/// ENOMEM.
pub(crate) fn init() -> Result<()> {
    device::register()?;
    pty::register()?;
    crate::process::exit::set_on_session_end(session_ended);
    serial::start()
}

/// The leader of a session has ended: a line is hung up; a pty is free, and its foreground is told.
fn session_ended(session: Pid) {
    let Some(tty) = registry::of_session(session) else {
        if let Some(foreground) = job::take_left(session) {
            job::hang_up_group(foreground);
        }
        return;
    };
    if tty.sort == Sort::Pty {
        if let Some(foreground) = tty.job.release(session) {
            job::signal_group(foreground, SignalInfo::kernel(Signal::HUP));
        }
    } else {
        tty.hang_up_after_leader(session);
    }
}

/// The controlling terminal of a task, as `/proc/PID/stat` tells it: device number and foreground group.
pub(crate) fn of_session(session: Pid) -> Option<(u64, Pid)> {
    registry::of_session(session).map(|tty| (tty.number, tty.job.foreground()))
}

/// The controlling terminal of who asks.
pub(crate) fn of_session_of(cx: &Cx) -> Option<Arc<terminal::Tty>> {
    registry::of_session(caller_session(cx).0)
}

/// vhangup(2): hangs up the caller's own terminal, if it has one.
pub(crate) fn hang_up_own() {
    if let Ok(tty) = registry::own() {
        tty.hang_up();
    }
}

/// What a task that uses the terminal is to it.
fn caller_session(cx: &Cx) -> (Pid, Pid) {
    job::session_and_group(cx.process().pid)
}
