//! What is behind a terminal: the contract of serial lines, ptys and virtual consoles.
//!
//! No lock of its own: what is said under which lock stands at each method of [`Driver`].

use abi::{Errno, Result};
use logic::tty::{Output, Termios};
use nucleus::sched::WaitQueue;

use crate::process::Cx;

/// What sends a terminal's output. Output (`room`, `put`, `discard`) happens under the terminal's lock (rank `Stream`),
/// so there is one at a time; a driver may take sleeping locks of later ranks and spin locks, and must not call the
/// terminal. Everything else is called without any lock.
pub(crate) trait Driver: Send + Sync {
    /// How many bytes it takes now.
    fn room(&self) -> usize;

    /// Takes all these bytes, for which there is room. It need not send them before [`Driver::kick`].
    fn put(&self, bytes: &[u8]);

    /// Forgets what it took and did not send.
    fn discard(&self) {}

    /// What was put shall be seen: called after each batch.
    fn kick(&self) {}

    /// Bytes it took that are not sent yet (TIOCOUTQ).
    fn pending(&self) -> usize {
        0
    }

    /// Whether all is on its way to the other side, the last bit too (tcdrain(3)).
    fn is_drained(&self) -> bool {
        self.pending() == 0
    }

    /// Where it wakes those who wait for room and for the end of the output, if it does so by itself.
    fn sent(&self) -> Option<&WaitQueue> {
        None
    }

    /// The settings a program asked for, made what the device can do.
    fn settle(&self, _wanted: &mut Termios) {}

    /// The settings changed.
    fn set(&self, _old: &Termios, _new: &Termios) {}

    /// Something happened to the terminal.
    fn tell(&self, _what: Change) {}

    /// The wire itself, where there is one.
    fn wire(&self) -> Option<&dyn Wire> {
        None
    }

    /// Requests that only this sort of terminal knows (ioctl(2)).
    ///
    /// # Errors
    /// ENOTTY for what it does not know.
    fn control(&self, _cx: &Cx, _request: u32, _argument: u64) -> Result<()> {
        Err(Errno::ENOTTY)
    }
}

/// A wire to another machine.
pub(crate) trait Wire {
    /// Holds it down (TIOCSBRK), or no more.
    fn set_break(&self, level: Level);

    /// The modem's lines as `TIOCM_` bits.
    fn modem(&self) -> u32;

    /// Sets and clears those of them that can be.
    fn set_modem(&self, set: u32, clear: u32);
}

/// What becomes of a terminal besides its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It was opened, and nobody had it open.
    Opened,
    /// Nobody has it open any more.
    Closed,
    /// Output is stopped.
    Stopped,
    /// It goes on.
    Started,
    /// Input was flushed.
    InputFlushed,
    /// Output was flushed.
    OutputFlushed,
    /// Nobody takes input: the other side shall wait (IXOFF, CRTSCTS).
    InputFull,
    /// It may go on.
    InputRoom,
}

/// A line held down or let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Low,
    High,
}

/// Bytes that go to the driver at once, if they come in small pieces.
const BATCH: usize = 256;

/// The way from the discipline to the driver, for as long as the terminal's lock is held: collects small pieces.
pub(super) struct Sending<'a> {
    driver: &'a dyn Driver,
    /// Nobody else puts anything, so there is at least that much.
    room: usize,
    batch: [u8; BATCH],
    len: usize,
    has_put: bool,
    has_discarded: bool,
}

/// What was sent, for afterwards.
#[derive(Clone, Copy, Default)]
pub(super) struct Sent {
    pub(super) has_put: bool,
    pub(super) has_discarded: bool,
}

impl<'a> Sending<'a> {
    pub(super) fn new(driver: &'a dyn Driver) -> Self {
        let room = driver.room();
        Sending { driver, room, batch: [0; BATCH], len: 0, has_put: false, has_discarded: false }
    }

    /// Hands over what was collected.
    pub(super) fn finish(mut self) -> Sent {
        self.flush();
        Sent { has_put: self.has_put, has_discarded: self.has_discarded }
    }

    fn flush(&mut self) {
        let collected = self.batch.get(..self.len).unwrap_or_default();
        if !collected.is_empty() {
            self.driver.put(collected);
            self.has_put = true;
        }
        self.len = 0;
    }
}

impl Output for Sending<'_> {
    fn room(&self) -> usize {
        self.room
    }

    fn put(&mut self, bytes: &[u8]) {
        self.room = self.room.saturating_sub(bytes.len());
        if bytes.len() > BATCH - self.len {
            self.flush();
        }
        if bytes.len() > BATCH {
            self.driver.put(bytes);
            self.has_put = true;
        } else if let Some(place) = self.batch.get_mut(self.len..self.len + bytes.len()) {
            place.copy_from_slice(bytes);
            self.len += bytes.len();
        }
    }

    fn discard(&mut self) {
        self.len = 0;
        self.driver.discard();
        self.room = self.driver.room();
        self.has_discarded = true;
    }
}
