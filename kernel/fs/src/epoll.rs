//! epoll(7): many files watched at once.
//!
//! The list of what is watched is under a sleeping lock (rank `Epoll`). The queues of each file tell its watch of every
//! wake-up, from whatever place that comes; the watch marks its entry and wakes who waits for the instance. So a wait looks
//! at entries that are marked and at no others. An edge is something new of what is watched for ([`File::changes`]) since
//! the last report.

mod marks;

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::ops::Range;

use abi::file::{POLLERR, POLLHUP, POLLIN, POLLOUT};
use abi::{Errno, Result};
use hal::rank;
use nucleus::sched::{Listener, Mutex, Wait, WaitQueue};
use nucleus::vfs::file::Seeking;
use nucleus::vfs::{Events, File, OpenFile};

use self::marks::{Mark, Marks};

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
    /// The queues of the file know it, as long as it exists.
    watch: Arc<Watch>,
}

/// What is told of wake-ups: it may be told from an interrupt, so it has only what that needs.
struct Watch {
    mark: Mark,
    changed: Arc<WaitQueue>,
}

impl Listener for Watch {
    fn woken(&self) {
        self.mark.set();
        self.changed.wake_all();
    }
}

/// An epoll instance.
pub struct Epoll {
    state: Mutex<State, rank::Epoll>,
    changed: Arc<WaitQueue>,
}

struct State {
    /// By number of the mark.
    watched: Vec<Option<Watched>>,
    /// What may be ready.
    marks: Marks,
    /// Where the next look begins, so that all have their turn.
    start: usize,
}

/// An entry that was marked.
struct Candidate {
    place: usize,
    file: Arc<OpenFile>,
    wanted: u32,
}

/// Places that a look has still to go through: from one to the end, then from the first to another.
struct Round {
    parts: [Range<usize>; 2],
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
        let state = State { watched: Vec::new(), marks: Marks::new(), start: 0 };
        Arc::new(Epoll { state: Mutex::new(state), changed: Arc::new(WaitQueue::new()) })
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
        let mut state = self.state.lock();
        let place = state.find(fd, file);
        match (control, place) {
            (Control::Add(_), Some(_)) => return Err(Errno::EEXIST),
            (Control::Add(wanted), None) => state.add(fd, file, wanted, &self.changed)?,
            (_, None) => return Err(Errno::ENOENT),
            (Control::Modify(wanted), Some(place)) => {
                let Some(entry) = state.entry(place) else { return Err(Errno::ENOENT) };
                if entry.wanted.events & EXCLUSIVE != 0 {
                    return Err(Errno::EINVAL);
                }
                (entry.wanted, entry.seen, entry.is_spent) = (wanted, None, false);
                entry.watch.mark.set();
            }
            (Control::Delete, Some(place)) => {
                if let Some(slot) = state.watched.get_mut(place) {
                    *slot = None;
                }
            }
        }
        drop(state);
        self.changed.wake_all();
        Ok(())
    }

    /// epoll_wait(2): gives at most `most` events to `put`, without a lock, and says how many.
    ///
    /// # Errors
    /// As `block_until`; EAGAIN if there is none and it must not wait; what `put` says to the first.
    pub fn wait(
        &self,
        wait: Wait,
        most: usize,
        mut put: impl FnMut(usize, Event) -> Result<()>,
    ) -> Result<usize> {
        self.changed.block_until(wait, || match self.collect(most, &mut put)? {
            0 => Err(Errno::EAGAIN),
            count => Ok(count),
        })
    }

    /// Looks at what is marked. Files are asked without the lock: one of them may be another instance. A mark is taken
    /// before its file is asked, so what comes meanwhile marks it again.
    fn collect(&self, most: usize, put: &mut impl FnMut(usize, Event) -> Result<()>) -> Result<usize> {
        let mut count = 0;
        // Reported and not given yet: that needs the lock to be free.
        let mut found: Option<Event> = None;
        let mut is_left = false;
        // Outlives each lock: its file may be closed by now, and go with it.
        let mut looked_at: Option<Candidate> = None;
        let mut state = self.state.lock();
        let mut round = state.round();
        loop {
            let has_room = count + usize::from(found.is_some()) < most;
            let next = if has_room { state.next(&mut round) } else { None };
            drop(state);
            if let Some(event) = found.take() {
                if let Err(error) = put(count, event) {
                    self.take_back(looked_at.iter().chain(&next));
                    return if count > 0 { Ok(count) } else { Err(error) };
                }
                count += 1;
            }
            let Some(next) = next else { break };
            let &mut Candidate { place, ref file, wanted } = looked_at.insert(next);
            let events = ready_events(file, wanted);
            let is_edge = events != 0 && wanted & EDGE != 0;
            let changes = if is_edge { file.file().changes(always_and(wanted)) } else { 0 };
            state = self.state.lock();
            if events == 0 {
                continue;
            }
            // Where the next look begins.
            state.start = place + 1;
            let Some(entry) = state.entry_of(place, file) else { continue };
            if entry.wanted.events & EDGE == 0 {
                entry.watch.mark.set();
                is_left = true;
            }
            if let Some(events) = entry.report(events, changes) {
                found = Some(Event { events, data: entry.wanted.data });
            }
        }
        // Others may have looked while the mark was taken.
        if is_left && !self.changed.is_empty() {
            self.changed.wake_one();
        }
        Ok(count)
    }

    /// These were not reported after all.
    fn take_back<'a>(&self, candidates: impl Iterator<Item = &'a Candidate>) {
        for candidate in candidates {
            if let Some(entry) = self.state.lock().entry_of(candidate.place, &candidate.file) {
                (entry.seen, entry.is_spent) = (None, false);
                entry.watch.mark.set();
            }
        }
    }

    /// The files that are watched.
    fn files(&self) -> Vec<Arc<OpenFile>> {
        self.state.lock().watched.iter().flatten().filter_map(|entry| entry.file.upgrade()).collect()
    }

    fn depth(&self) -> u32 {
        1 + self.files().iter().filter_map(|file| of(file)).map(Epoll::depth).max().unwrap_or(0)
    }

    fn watches(&self, other: &Epoll) -> bool {
        core::ptr::eq(self, other)
            || self.files().iter().filter_map(|file| of(file)).any(|epoll| epoll.watches(other))
    }
}

impl State {
    fn entry(&mut self, place: usize) -> Option<&mut Watched> {
        self.watched.get_mut(place)?.as_mut()
    }

    /// What is at a place, if it is still that file.
    fn entry_of(&mut self, place: usize, file: &Arc<OpenFile>) -> Option<&mut Watched> {
        self.entry(place).filter(|entry| core::ptr::eq(entry.file.as_ptr(), Arc::as_ptr(file)))
    }

    /// The place of a file; those that are closed go.
    fn find(&mut self, fd: i32, file: &Arc<OpenFile>) -> Option<usize> {
        let is_it = |entry: &Watched| entry.fd == fd && core::ptr::eq(entry.file.as_ptr(), Arc::as_ptr(file));
        let mut found = None;
        for (place, slot) in self.watched.iter_mut().enumerate() {
            match slot {
                Some(entry) if entry.file.strong_count() == 0 => *slot = None,
                Some(entry) if is_it(entry) => found = Some(place),
                _ => {}
            }
        }
        found
    }

    /// Watches another file. It counts as marked: nobody knows how it is.
    fn add(&mut self, fd: i32, file: &Arc<OpenFile>, wanted: Event, changed: &Arc<WaitQueue>) -> Result<()> {
        let free = self.watched.iter().position(Option::is_none);
        let place = free.unwrap_or(self.watched.len());
        self.watched.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let watch = Arc::new(Watch { mark: self.marks.mark(place)?, changed: changed.clone() });
        let listener: Arc<dyn Listener> = watch.clone();
        let mut listening = Ok(());
        file.file().for_each_queue(&mut |queue| {
            listening = listening.and_then(|()| queue.listen(Arc::downgrade(&listener)));
        });
        listening?;
        watch.mark.set();
        let entry = Watched { fd, file: Arc::downgrade(file), wanted, seen: None, is_spent: false, watch };
        match self.watched.get_mut(place) {
            Some(slot) => *slot = Some(entry),
            None => self.watched.push(Some(entry)),
        }
        Ok(())
    }

    /// All places, once each.
    fn round(&self) -> Round {
        let len = self.watched.len();
        let start = if self.start < len { self.start } else { 0 };
        Round { parts: [start..len, 0..start] }
    }

    /// Takes the next mark of a round that stands for an open file; those of others are dropped.
    fn next(&mut self, round: &mut Round) -> Option<Candidate> {
        for part in &mut round.parts {
            while let Some(place) = self.marks.take_first(part.clone()) {
                part.start = place + 1;
                let Some(entry) = self.watched.get(place).and_then(Option::as_ref) else { continue };
                if !entry.is_spent
                    && let Some(file) = entry.file.upgrade()
                {
                    return Some(Candidate { place, file, wanted: entry.wanted.events });
                }
            }
            part.start = part.end;
        }
        None
    }

    /// The files that are marked and not spent, with what they are watched for; the marks stay.
    fn marked(&self) -> Vec<(Arc<OpenFile>, u32)> {
        let marked = self.watched.iter().flatten();
        let marked = marked.filter(|entry| !entry.is_spent && entry.watch.mark.is_set());
        marked.filter_map(|entry| Some((entry.file.upgrade()?, entry.wanted.events))).collect()
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
    u32::from(file.ready().0) & u32::from(always_and(wanted).0)
}

/// What a file is asked about: what is wanted, and what is always told.
fn always_and(wanted: u32) -> Events {
    let [low, high, ..] = (wanted | u32::from(POLLERR | POLLHUP)).to_le_bytes();
    Events(u16::from_le_bytes([low, high]))
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
        let marked = self.state.lock().marked();
        let is_ready = marked.iter().any(|(file, wanted)| ready_events(file, *wanted) != 0);
        Events(if is_ready { POLLIN } else { 0 })
    }

    fn for_each_queue(&self, visit: &mut dyn FnMut(&WaitQueue)) {
        visit(&self.changed);
    }

    fn seeking(&self) -> Seeking {
        Seeking::Stream
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
