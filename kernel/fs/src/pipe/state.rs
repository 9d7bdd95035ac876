//! What a pipe's lock is around, and what of it poll(2) sees without the lock.

use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU64, Ordering};

use hal::frames::SharedFrame;
use hal::rank;
use logic::pipe::Ring;
use nucleus::sched::{Guard, Mutex};

/// The ring and the counts of ends.
pub(super) struct State {
    pub(super) ring: Ring<SharedFrame>,
    pub(super) readers: Ends,
    pub(super) writers: Ends,
}

/// Ends of one kind.
#[derive(Clone, Copy, Default)]
pub(super) struct Ends {
    pub(super) open: u32,
    /// How many ever were: who waits for one to come also counts one that is gone again.
    pub(super) ever: u64,
}

impl Ends {
    pub(super) fn add(&mut self) {
        self.open += 1;
        self.ever += 1;
    }
}

/// The state under its lock. Whoever lets the lock go shows anew what readiness hangs on, in one word.
pub(super) struct Locked {
    state: Mutex<State, rank::Stream>,
    shown: AtomicU64,
}

/// The state while it is locked.
pub(super) struct Held<'a> {
    state: Guard<'a, State, rank::Stream>,
    shown: &'a AtomicU64,
}

/// What readiness hangs on, as it was a moment ago.
#[derive(Clone, Copy)]
pub(super) struct Shown(u64);

const HAS_BYTES: u64 = 1;
const HAS_ROOM: u64 = 2;
const HAS_READER: u64 = 4;
const HAS_WRITER: u64 = 8;
/// Above the flags: how many writers ever were.
const EVER_SHIFT: u32 = 4;

impl Locked {
    pub(super) fn new(state: State) -> Self {
        let shown = AtomicU64::new(state.shown().0);
        Locked { state: Mutex::new(state), shown }
    }

    pub(super) fn lock(&self) -> Held<'_> {
        Held { state: self.state.lock(), shown: &self.shown }
    }

    /// Locks two pipes' states, in one order for all.
    pub(super) fn lock_both<'a>(first: &'a Self, second: &'a Self) -> (Held<'a>, Held<'a>) {
        let (one, other) = Mutex::lock_both(&first.state, &second.state);
        (Held { state: one, shown: &first.shown }, Held { state: other, shown: &second.shown })
    }

    /// What was shown last. Whoever then waits was in the queue before, and is woken by the next change.
    pub(super) fn shown(&self) -> Shown {
        Shown(self.shown.load(Ordering::Acquire))
    }
}

impl State {
    fn shown(&self) -> Shown {
        let flag = |is_so: bool, flag: u64| if is_so { flag } else { 0 };
        Shown(
            flag(!self.ring.is_empty(), HAS_BYTES)
                | flag(self.ring.has_room(), HAS_ROOM)
                | flag(self.readers.open != 0, HAS_READER)
                | flag(self.writers.open != 0, HAS_WRITER)
                | self.writers.ever << EVER_SHIFT,
        )
    }
}

impl Shown {
    pub(super) const fn has_bytes(self) -> bool {
        self.0 & HAS_BYTES != 0
    }

    pub(super) const fn has_room(self) -> bool {
        self.0 & HAS_ROOM != 0
    }

    pub(super) const fn has_reader(self) -> bool {
        self.0 & HAS_READER != 0
    }

    /// Whether there is no writer any more, but was one after the first `before`.
    pub(super) const fn lost_writers(self, before: u64) -> bool {
        self.0 & HAS_WRITER == 0 && self.0 >> EVER_SHIFT != before
    }
}

impl Deref for Held<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.shown.store(self.state.shown().0, Ordering::Release);
    }
}
