//! Signals for I/O (fcntl(2)): `O_ASYNC`, what directories tell (`F_NOTIFY`), and leases that are to be given up.
//!
//! A kernel thread, started at the first use, waits for all files that have the flag as a program with epoll(7) would: a
//! wake-up may come from an interrupt or under locks, a signal must find its process first. What a directory tells comes the
//! same way, from an inotify(7) instance that lives as long as the open directory. Lock: rank `IoSignals`, around the list.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use abi::file::{
    POLLERR, POLLHUP, POLLIN, POLLMSG, POLLOUT, POLLPRI, POLLRDBAND, POLLRDNORM, POLLWRBAND, POLLWRNORM,
};
use abi::{Errno, Result};
use fs::epoll::{Control, Epoll, Event};
use fs::inotify;
use hal::context::Kind;
use hal::rank;
use hal::spin::Once;
use logic::inotify::mask;
use logic::runq::Policy;
use logic::signal::{Signal, SignalInfo};
use nucleus::sched::{self, Mutex, Thread, Wait};
use nucleus::vfs::attached::Signals;
use nucleus::vfs::{Events, FileKind, OpenFile, leases};

use crate::process::{Cx, Pid, Process, pidfd, signals, tree};

/// Kinds of owners (`struct f_owner_ex`).
pub(crate) const OWNER_TID: u32 = 0;
pub(crate) const OWNER_PID: u32 = 1;
pub(crate) const OWNER_PGRP: u32 = 2;

/// Whether signals begin or end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    On,
    Off,
}

/// Why a signal is sent, as `si_code` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Input = 1,
    Output = 2,
    Message = 3,
}

impl Reason {
    /// `si_band`.
    const fn band(self) -> u16 {
        match self {
            Reason::Input => POLLIN | POLLRDNORM,
            Reason::Output => POLLOUT | POLLWRNORM | POLLWRBAND,
            Reason::Message => POLLIN | POLLRDNORM | POLLMSG,
        }
    }
}

/// A file that the thread waits for.
#[derive(Clone)]
struct Watched {
    /// What signals are about, and whose owner gets them.
    file: Weak<OpenFile>,
    fd: u32,
    source: Source,
}

#[derive(Clone)]
enum Source {
    /// The file itself, with what it had counted when it was last looked at, for reading and for writing.
    File { input: u64, output: u64 },
    /// The instance that watches the directory, what is asked for, and the cookie of the last name that was moved away.
    Directory { instance: Weak<OpenFile>, wanted: u64, moved: u32 },
}

/// By the number that the instance reports; those whose file is gone are used again.
static WATCHED: Mutex<Vec<Watched>, rank::IoSignals> = Mutex::new(Vec::new());
static WAITING: Once<Arc<Epoll>> = Once::new();

/// Lets the holders of leases be told.
pub(crate) fn init() {
    leases::set_on_break(|holder, fd| send(holder, fd.unsigned_abs(), Reason::Message));
}

/// What the thread waits with; it is started if there is none yet.
fn waiting() -> Result<&'static Arc<Epoll>> {
    if let Some(waiting) = WAITING.get() {
        return Ok(waiting);
    }
    let thread = Thread::new("io-signals", Kind::Kernel, Policy::default(), run)?;
    let mut is_first = false;
    let waiting = WAITING.call_once(|| {
        is_first = true;
        Epoll::new()
    });
    if is_first {
        sched::start(&thread);
    }
    Ok(waiting)
}

/// Begins or ends signals for what is read and written. Files that never wait have none.
///
/// # Errors
/// ENOMEM.
pub(crate) fn turn(file: &Arc<OpenFile>, fd: u32, turn: Turn) -> Result<()> {
    if !file.file().sends_signals() {
        return Ok(());
    }
    let waiting = waiting()?;
    match turn {
        Turn::On => {
            let (input, output) = counts(file);
            watch(
                waiting,
                file,
                Watched { file: Arc::downgrade(file), fd, source: Source::File { input, output } },
            )
        }
        Turn::Off => {
            let place = place_of(|watched| watched.file.as_ptr() == Arc::as_ptr(file));
            place.map_or(Ok(()), |place| unwatch(waiting, place, file))
        }
    }
}

/// What a file has counted for reading and for writing.
fn counts(file: &OpenFile) -> (u64, u64) {
    (file.file().changes(Events(POLLIN)), file.file().changes(Events(POLLOUT)))
}

/// Waits for `source` on behalf of what `watched` says.
fn watch(waiting: &Epoll, source: &Arc<OpenFile>, watched: Watched) -> Result<()> {
    const EDGE: u32 = 1 << 31;
    let mut gone = None;
    let place = {
        let mut all = WATCHED.lock();
        match all.iter().position(|known| known.file.strong_count() == 0) {
            Some(free) => {
                gone = all.get_mut(free).map(|slot| core::mem::replace(slot, watched));
                free
            }
            None => {
                all.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                all.push(watched);
                all.len() - 1
            }
        }
    };
    drop(gone);
    let number = i32::try_from(place).map_err(|_| Errno::ENOMEM)?;
    let events = u32::from(POLLIN | POLLPRI | POLLOUT) | EDGE;
    waiting.control(number, source, Control::Add(Event { events, data: place as u64 }))
}

fn place_of(is_meant: impl Fn(&Watched) -> bool) -> Option<usize> {
    WATCHED.lock().iter().position(is_meant)
}

fn unwatch(waiting: &Epoll, place: usize, source: &Arc<OpenFile>) -> Result<()> {
    let number = i32::try_from(place).map_err(|_| Errno::ENOMEM)?;
    if let Some(slot) = WATCHED.lock().get_mut(place) {
        slot.file = Weak::new();
    }
    waiting.control(number, source, Control::Delete)
}

/// `F_NOTIFY`: signals when something happens in a directory.
///
/// # Errors
/// ENOTDIR, EMFILE, ENOSPC, ENOMEM.
pub(crate) fn watch_directory(cx: &Cx, file: &Arc<OpenFile>, fd: u32, wanted: u64) -> Result<()> {
    let inode = file.place().map(|place| place.inode().clone());
    let inode = inode.filter(|inode| inode.attributes().kind == FileKind::Directory).ok_or(Errno::ENOTDIR)?;
    let wishes = file.attached().wishes();
    if wanted & !DN_MULTISHOT == 0 {
        drop(wishes.set_companion(None));
        return Ok(());
    }
    let instance = match wishes.companion() {
        Some(instance) => instance,
        None => OpenFile::nameless(inotify::open(cx.cred.user.real)?, pidfd::attributes(), 0),
    };
    let reader = inotify::reader(&instance).ok_or(Errno::EINVAL)?;
    // What was asked for before is still asked for.
    reader.watch(&inode, events_of(wanted) | mask::ADD)?;
    if let Some(old) = wishes.set_companion(Some(instance.clone())) {
        let mut all = WATCHED.lock();
        let is_mine = |watched: &&mut Watched| watched.source.is_instance(&old);
        if let Some(Watched { source: Source::Directory { wanted: all, .. }, .. }) =
            all.iter_mut().find(is_mine)
        {
            *all |= wanted;
        }
        return Ok(());
    }
    let source = Source::Directory { instance: Arc::downgrade(&instance), wanted, moved: 0 };
    watch(waiting()?, &instance, Watched { file: Arc::downgrade(file), fd, source })
}

impl Source {
    fn is_instance(&self, other: &Arc<OpenFile>) -> bool {
        matches!(self, Source::Directory { instance, .. } if instance.as_ptr() == Arc::as_ptr(other))
    }
}

/// Goes on after the first event.
const DN_MULTISHOT: u64 = 1 << 31;
/// A name is moved within the directory: not from or to another.
const DN_RENAME: u64 = 0x10;

/// What inotify(7) calls what `F_NOTIFY` asks for.
fn events_of(wanted: u64) -> u32 {
    const EVENTS: [(u64, u32); 6] = [
        (0x01, mask::ACCESS),
        (0x02, mask::MODIFY),
        (0x04, mask::CREATE | mask::MOVED_TO),
        (0x08, mask::DELETE | mask::MOVED_FROM),
        (DN_RENAME, mask::MOVED_FROM | mask::MOVED_TO),
        (0x20, mask::ATTRIB),
    ];
    EVENTS.iter().filter(|(bit, _)| wanted & bit != 0).fold(0, |all, (_, events)| all | events)
}

/// Waits for ever.
fn run() {
    const BATCH: usize = 16;
    let Some(waiting) = WAITING.get() else { return };
    loop {
        let mut found = [None; BATCH];
        let waited = waiting.wait(Wait::UNINTERRUPTIBLE, BATCH, |index, event| {
            if let Some(slot) = found.get_mut(index) {
                *slot = usize::try_from(event.data).ok();
            }
            Ok(())
        });
        if waited.is_err() {
            sched::yield_now();
        }
        found.into_iter().flatten().for_each(look);
    }
}

/// Something may have come to what is at `place`.
fn look(place: usize) {
    let Some(watched) = WATCHED.lock().get(place).cloned() else { return };
    let Some(file) = watched.file.upgrade() else { return };
    match watched.source {
        Source::File { input, output } => {
            let (input_now, output_now) = counts(&file);
            if let Some(Watched { source: Source::File { input, output }, .. }) =
                WATCHED.lock().get_mut(place)
            {
                (*input, *output) = (input_now, output_now);
            }
            let events = file.file().ready().0;
            if input_now != input && events & (POLLIN | POLLPRI | POLLRDBAND | POLLHUP) != 0 {
                send(&file, watched.fd, Reason::Input);
            }
            if output_now != output && events & (POLLOUT | POLLERR) != 0 {
                send(&file, watched.fd, Reason::Output);
            }
        }
        Source::Directory { instance, wanted, moved } => {
            let Some(instance) = instance.upgrade() else { return };
            let Some(reader) = inotify::reader(&instance) else { return };
            let mut moved = moved;
            while let Some(event) = reader.with_queue(|queue| queue.take()) {
                let is_rename =
                    event.mask & mask::MOVED_TO != 0 && event.cookie == moved && wanted & DN_RENAME != 0;
                if event.mask & mask::MOVED_FROM != 0 {
                    moved = event.cookie;
                }
                if !is_rename && event.mask & events_of(wanted & !DN_RENAME) == 0 {
                    continue;
                }
                send(&file, watched.fd, Reason::Message);
                if wanted & DN_MULTISHOT == 0 {
                    drop(file.attached().wishes().set_companion(None));
                    return;
                }
            }
            if let Some(Watched { source: Source::Directory { moved: kept, .. }, .. }) =
                WATCHED.lock().get_mut(place)
            {
                *kept = moved;
            }
        }
    }
}

/// Sends a signal about `file` to whom it was told to.
fn send(file: &OpenFile, fd: u32, reason: Reason) {
    let Some(signals) = file.attached().known_wishes().map(|wishes| wishes.signals()) else { return };
    let pid = Pid(signals.owner.number);
    match signals.owner.kind {
        _ if pid == Pid::NONE => {}
        OWNER_TID => {
            if let Ok(task) = tree::task(pid)
                && may_send(&signals, &task.process)
            {
                let _ = deliver(&signals, fd, reason, |info| signals::send_to_task(&task, info));
            }
        }
        OWNER_PID => {
            if let Ok(process) = tree::process(pid) {
                send_to(&process, &signals, fd, reason);
            }
        }
        _ => {
            for process in tree::processes(|node| node.group == pid) {
                send_to(&process, &signals, fd, reason);
            }
        }
    }
}

fn send_to(process: &Arc<Process>, signals: &Signals, fd: u32, reason: Reason) {
    if may_send(signals, process) {
        // One that is gone needs none.
        let _ = deliver(signals, fd, reason, |info| signals::send(process, info));
    }
}

/// The signal that was asked for, which says what it is about; if there is no room for it, or none was, SIGIO.
fn deliver(
    signals: &Signals,
    fd: u32,
    reason: Reason,
    send: impl Fn(SignalInfo) -> Result<()>,
) -> Result<()> {
    let asked = Signal::new(signals.signal);
    asked
        .ok_or(Errno::EAGAIN)
        .and_then(|signal| send(SignalInfo::io(signal, reason as i32, u64::from(reason.band()), fd)))
        .or_else(|_| send(SignalInfo::kernel(Signal::IO)))
}

/// Whether those who named the owner may signal it: the rule of kill(2).
fn may_send(signals: &Signals, process: &Process) -> bool {
    let Some(target) = process.any_task().map(|task| task.cred()) else { return false };
    let (real, effective) = signals.users;
    let is_known = |user: u32| user == target.user.saved || user == target.user.real;
    effective == 0 || is_known(real) || is_known(effective)
}
