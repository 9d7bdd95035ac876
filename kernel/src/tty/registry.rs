//! Which terminals there are, by device number; what `/dev/console` and `/dev/tty` are.
//!
//! Lock: `Table`, a spin lock, around the list; an `Arc` is cloned out of it and nothing is called under it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::file::device_number;
use abi::{Errno, Result};
use hal::rank;
use hal::spin::{Lock, Once};
use logic::cmdline::BootOptions;

use super::job;
use super::terminal::Tty;
use crate::process::Pid;

/// `/dev/tty`: whatever the caller's terminal is.
pub(super) const OWN: u64 = device_number(5, 0);
/// `/dev/console`.
pub(super) const CONSOLE: u64 = device_number(5, 1);

static TERMINALS: Lock<Vec<Arc<Tty>>, rank::Table> = Lock::new(Vec::new());
static ALIASES: Lock<Vec<Alias>, rank::Table> = Lock::new(Vec::new());
static COMMAND_LINE: Once<&'static str> = Once::new();

/// A number that stands for different terminals at different times, such as `/dev/tty0`.
#[derive(Clone, Copy)]
struct Alias {
    name: &'static str,
    number: u64,
    resolve: fn() -> Result<Arc<Tty>>,
}

/// Makes a terminal known.
///
/// # Errors
/// ENOMEM, EEXIST.
pub(crate) fn add(tty: &Arc<Tty>) -> Result<()> {
    let mut larger = Vec::new();
    loop {
        let mut terminals = TERMINALS.lock();
        if tty.sort != super::Sort::Pty && terminals.iter().any(|other| other.number == tty.number) {
            return Err(Errno::EEXIST);
        }
        if terminals.len() < terminals.capacity() {
            terminals.push(tty.clone());
            return Ok(());
        }
        if larger.capacity() > terminals.len() {
            larger.append(&mut terminals);
            core::mem::swap(&mut *terminals, &mut larger);
            continue;
        }
        let wanted = (terminals.len() * 2).max(8);
        drop(terminals);
        larger = Vec::new();
        larger.try_reserve_exact(wanted).map_err(|_| Errno::ENOMEM)?;
    }
}

/// Forgets a terminal.
pub(crate) fn remove(tty: &Arc<Tty>) {
    let gone = {
        let mut terminals = TERMINALS.lock();
        let place = terminals.iter().position(|other| Arc::ptr_eq(other, tty));
        place.map(|place| terminals.swap_remove(place))
    };
    drop(gone);
}

/// Makes `number`, called `name`, stand for whatever `resolve` says when it is opened.
///
/// # Errors
/// ENOMEM.
pub(crate) fn add_alias(name: &'static str, number: u64, resolve: fn() -> Result<Arc<Tty>>) -> Result<()> {
    let mut aliases = ALIASES.lock();
    aliases.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    aliases.push(Alias { name, number, resolve });
    Ok(())
}

/// The terminal to open for a device number.
///
/// # Errors
/// ENXIO if there is none.
pub(crate) fn by_number(number: u64) -> Result<Arc<Tty>> {
    let alias = ALIASES.lock().iter().find(|alias| alias.number == number).copied();
    if let Some(alias) = alias {
        return (alias.resolve)();
    }
    find(|tty| tty.number == number && tty.sort != super::Sort::Pty).ok_or(Errno::ENXIO)
}

/// The same for a name in `/dev`.
pub(crate) fn by_name(name: &str) -> Option<Arc<Tty>> {
    let alias = ALIASES.lock().iter().find(|alias| alias.name == name).copied();
    match alias {
        Some(alias) => (alias.resolve)().ok(),
        None => find(|tty| tty.name.as_str() == name),
    }
}

/// The terminal of a session.
pub(super) fn of_session(session: Pid) -> Option<Arc<Tty>> {
    if session == Pid::NONE { None } else { find(|tty| tty.job.session() == session) }
}

fn find(wanted: impl Fn(&Tty) -> bool) -> Option<Arc<Tty>> {
    TERMINALS.lock().iter().find(|tty| wanted(tty)).cloned()
}

/// Notes the command line, whose `console=` words say what `/dev/console` is.
pub(crate) fn set_command_line(line: &'static str) {
    COMMAND_LINE.call_once(|| line);
}

/// Bits a second that a `console=` word asks of a line, such as `console=ttyS0,9600n8`.
pub(super) fn asked_speed(name: &str) -> Option<u32> {
    let options = BootOptions::parse(COMMAND_LINE.get().copied().unwrap_or_default());
    let text = options.consoles().find(|console| console.name == name)?.options?;
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    text.get(..digits)?.parse().ok().filter(|&speed| speed > 0)
}

/// What `/dev/console` is: the terminal of the last `console=` word that there is; without such a word the first virtual
/// console, the first serial line, or what only prints.
///
/// # Errors
/// ENODEV.
pub(crate) fn console() -> Result<Arc<Tty>> {
    let line = COMMAND_LINE.get().copied().unwrap_or_default();
    let options = BootOptions::parse(line);
    let named = options.consoles().rev().find_map(|console| by_name(console.name));
    named
        .or_else(|| ["tty0", "ttyS0", "console"].into_iter().find_map(by_name_but_console))
        .ok_or(Errno::ENODEV)
}

/// `console` as an alias would ask for itself.
fn by_name_but_console(name: &str) -> Option<Arc<Tty>> {
    if name == "console" { find(|tty| tty.number == CONSOLE) } else { by_name(name) }
}

/// The caller's own terminal.
///
/// # Errors
/// ENXIO if it has none.
pub(super) fn own() -> Result<Arc<Tty>> {
    let session = job::caller().map_or(Pid::NONE, |task| job::session_and_group(task.process.pid).0);
    of_session(session).ok_or(Errno::ENXIO)
}
