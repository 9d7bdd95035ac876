//! epoll(7): many files watched at once.
//!
//! The list of what is watched is under a sleeping lock (rank `Epoll`); a wait stands in the queues of all files and looks
//! at each when it is woken. An edge is something new of what is watched for ([`File::changes`]) since the last report.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;

use abi::file::{POLLERR, POLLHUP, POLLIN, POLLOUT};
use abi::{Errno, Result};
use hal::rank;
use nucleus::sched::{Mutex, Wait, WaitQueue, block_until_any};
use nucleus::vfs::file::Seeking;
use nucleus::vfs::{Events, File, OpenFile};

/// `EPOLLONESHOT`.
const ONE_SHOT: u32 = 1 << 30;
/// `EPOLLEXCLUSIVE`: all that wait are woken all the same.
const EXCLUSIVE: u32 = 1 << 28;
/// `EPOLLWAKEUP`: nothing here ever sleeps as a whole.
const WAKE_UP: u32 = 1 << 29;
/// What can be asked for together with it.
const WITH_EXCLUSIVE: u32 = (POLLIN | POLLOUT | POLLERR | POLLHUP) as u32 | WAKE_UP | EDGE | EXCLUSIVE;
/// `EPOLLET`.
const EDGE: u32 = 1 << 31;
/// Instances that watch each other no deeper than this (Linux's EP_MAX_NESTS).
const MAX_NESTING: u32 = 4;

/// What a program asks for of one file, and gets back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// `EPOLL` bits.
    pub events: u32,
    /// The program's own.
    pub data: u64,
}

/// A file that is watched.
struct Watched {
    fd: i32,
    /// Closed files are watched no more.
    file: Weak<OpenFile>,
    wanted: Event,
    /// What the file had counted at the last report; only for edges.
    seen: Option<u64>,
    /// One-shot and fired.
    is_spent: bool,
}

/// An epoll instance.
pub struct Epoll {
    watched: Mutex<Vec<Watched>, rank::Epoll>,
    changed: WaitQueue,
}

/// What epoll_ctl(2) does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Watches another file.
    Add(Event),
    /// Watches for something else.
    Modify(Event),
    /// Watches no more.
    Delete,
}

impl Epoll {
    /// Watches nothing.
    pub fn new() -> Arc<Self> {
        Arc::new(Epoll { watched: Mutex::new(Vec::new()), changed: WaitQueue::new() })
    }

    /// epoll_ctl(2).
    ///
    /// # Errors
    /// EEXIST, ENOENT, EPERM for files that cannot be waited for, ELOOP, ENOMEM.
    pub fn control(&self, fd: i32, file: &Arc<OpenFile>, control: Control) -> Result<()> {
        match control {
            Control::Add(wanted) => {
                check_watchable(self, file)?;
                check_exclusive(wanted, file)?;
            }
            Control::Modify(wanted) if wanted.events & EXCLUSIVE != 0 => return Err(Errno::EINVAL),
            _ => {}
        }
        let mut watched = self.watched.lock();
        watched.retain(|entry| entry.file.strong_count() != 0);
        let place = watched
            .iter()
            .position(|entry| entry.fd == fd && core::ptr::eq(entry.file.as_ptr(), Arc::as_ptr(file)));
        match (control, place) {
            (Control::Add(_), Some(_)) => return Err(Errno::EEXIST),
            (Control::Add(wanted), None) => {
                watched.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                let file = Arc::downgrade(file);
                watched.push(Watched { fd, file, wanted, seen: None, is_spent: false });
            }
            (_, None) => return Err(Errno::ENOENT),
            (Control::Modify(wanted), Some(place)) => {
                let entry = &mut watched[place];
                if entry.wanted.events & EXCLUSIVE != 0 {
                    return Err(Errno::EINVAL);
                }
                (entry.wanted, entry.seen, entry.is_spent) = (wanted, None, false);
            }
            (Control::Delete, Some(place)) => {
                watched.remove(place);
            }
        }
        drop(watched);
        self.changed.wake_all();
        Ok(())
    }

    /// epoll_wait(2): at most `most` events.
    ///
    /// # Errors
    /// As `block_until`; EAGAIN if there is none and it must not wait.
    pub fn wait(&self, wait: Wait, most: usize) -> Result<Vec<Event>> {
        loop {
            let files: Vec<Arc<OpenFile>> =
                self.watched.lock().iter().filter_map(|entry| entry.file.upgrade()).collect();
            let before = self.changed.signals();
            let outcome = block_until_any(
                wait,
                |visit| {
                    visit(&self.changed);
                    files.iter().for_each(|file| file.file().for_each_queue(visit));
                },
                || {
                    let events = self.collect(most)?;
                    // What is watched has changed: the wait must stand in other queues.
                    if events.is_empty() && self.changed.signals() == before {
                        return Err(Errno::EAGAIN);
                    }
                    Ok(events)
                },
            )?;
            if !outcome.is_empty() {
                return Ok(outcome);
            }
        }
    }

    /// The files that are watched, and what for, those left out that have fired and are not armed again. Files are asked
    /// without the lock: one of them may be another instance.
    fn armed(&self) -> Vec<(Arc<OpenFile>, u32)> {
        let watched = self.watched.lock();
        let armed = watched.iter().filter(|entry| !entry.is_spent);
        armed.filter_map(|entry| Some((entry.file.upgrade()?, entry.wanted.events))).collect()
    }

    fn collect(&self, most: usize) -> Result<Vec<Event>> {
        let mut ready = Vec::new();
        for (file, wanted) in self.armed() {
            let events = ready_events(&file, wanted);
            if events != 0 {
                let [low, high, ..] = (wanted | u32::from(POLLERR | POLLHUP)).to_le_bytes();
                let signals = file.file().changes(Events(u16::from_le_bytes([low, high])));
                ready.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                ready.push((file, events, signals));
            }
        }
        let mut found = Vec::new();
        if ready.is_empty() {
            return Ok(found);
        }
        let mut watched = self.watched.lock();
        for entry in watched.iter_mut() {
            if found.len() == most {
                break;
            }
            let state = ready.iter().find(|(file, ..)| core::ptr::eq(entry.file.as_ptr(), Arc::as_ptr(file)));
            if let Some(&(_, events, signals)) = state
                && let Some(events) = entry.report(events, signals)
            {
                found.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                found.push(Event { events, data: entry.wanted.data });
            }
        }
        // Those reported go behind the others, so that all have their turn.
        if found.len() == most && most < watched.len() {
            watched.rotate_left(most);
        }
        Ok(found)
    }

    fn depth(&self) -> u32 {
        let inner: Vec<Arc<OpenFile>> =
            self.watched.lock().iter().filter_map(|entry| entry.file.upgrade()).collect();
        1 + inner.iter().filter_map(|file| of(file)).map(Epoll::depth).max().unwrap_or(0)
    }

    fn watches(&self, other: &Epoll) -> bool {
        let inner: Vec<Arc<OpenFile>> =
            self.watched.lock().iter().filter_map(|entry| entry.file.upgrade()).collect();
        core::ptr::eq(self, other)
            || inner.iter().filter_map(|file| of(file)).any(|epoll| epoll.watches(other))
    }
}

/// The instance behind an open file.
pub fn of(file: &OpenFile) -> Option<&Epoll> {
    file.file().as_any().downcast_ref::<Epoll>()
}

fn check_exclusive(wanted: Event, file: &OpenFile) -> Result<()> {
    let is_bad = wanted.events & !WITH_EXCLUSIVE != 0 || of(file).is_some();
    if wanted.events & EXCLUSIVE != 0 && is_bad { Err(Errno::EINVAL) } else { Ok(()) }
}

fn check_watchable(epoll: &Epoll, file: &OpenFile) -> Result<()> {
    if let Some(inner) = of(file)
        && (inner.watches(epoll) || inner.depth() > MAX_NESTING)
    {
        return Err(Errno::ELOOP);
    }
    // Files that are always ready have nothing to wait for.
    let mut has_queue = false;
    file.file().for_each_queue(&mut |_| has_queue = true);
    if has_queue { Ok(()) } else { Err(Errno::EPERM) }
}

/// What of `wanted`, and of what is always told, is true of a file.
fn ready_events(file: &OpenFile, wanted: u32) -> u32 {
    u32::from(file.ready().0) & (wanted | u32::from(POLLERR | POLLHUP))
}

impl Watched {
    /// What is to be reported now that the file is ready for `events` after so many wake-ups of its queues.
    fn report(&mut self, events: u32, signals: u64) -> Option<u32> {
        let events = events & (self.wanted.events | u32::from(POLLERR | POLLHUP));
        if events == 0 || self.is_spent {
            return None;
        }
        if self.wanted.events & EDGE != 0 && self.seen.replace(signals) == Some(signals) {
            return None;
        }
        self.is_spent = self.wanted.events & ONE_SHOT != 0;
        Some(events)
    }
}

impl File for Epoll {
    fn ready(&self) -> Events {
        let is_ready = self.armed().iter().any(|(file, wanted)| ready_events(file, *wanted) != 0);
        Events(if is_ready { POLLIN } else { 0 })
    }

    fn for_each_queue(&self, visit: &mut dyn FnMut(&WaitQueue)) {
        visit(&self.changed);
        let files: Vec<Arc<OpenFile>> =
            self.watched.lock().iter().filter_map(|entry| entry.file.upgrade()).collect();
        files.iter().for_each(|file| file.file().for_each_queue(visit));
    }

    fn seeking(&self) -> Seeking {
        Seeking::Stream
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
