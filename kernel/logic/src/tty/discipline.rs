//! The line discipline's state, and what programs ask of it.

use abi::termios::{
    ECHO, EXTPROC, ICANON, ICRNL, IEXTEN, IGNCR, INLCR, ISIG, IXON, VEOF, VEOL, VEOL2, VERASE, VINTR, VKILL,
    VLNEXT, VMIN, VQUIT, VREPRINT, VSTART, VSTOP, VSUSP, VTIME, VWERASE,
};
use abi::{Errno, Result};

use super::Termios;
use super::queue::InputQueue;
use super::screen::{Output, Screen};

/// What a blocking read waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReadRule {
    /// A line; with EXTPROC, a byte.
    Line,
    /// This many bytes, or as many as the reader has room for: VMIN without VTIME.
    Bytes(u8),
    /// This many bytes, at least one; after the first it waits no longer than `tenths` of a second for each
    /// next one: VMIN and VTIME.
    BytesWithGaps {
        /// VMIN.
        bytes: u8,
        /// VTIME.
        tenths: u8,
    },
    /// One byte, for this many tenths of a second; then it returns nothing: VTIME without VMIN.
    FirstWithin(u8),
    /// Nothing: neither VMIN nor VTIME.
    Now,
}

/// A terminal's line discipline.
#[derive(Debug)]
pub struct LineDiscipline {
    pub(super) termios: Termios,
    pub(super) queue: InputQueue,
    pub(super) screen: Screen,
    /// Which bytes do anything at all but stand for themselves; a bit each.
    special: [u64; 4],
    /// VLNEXT was typed.
    pub(super) is_next_literal: bool,
    /// A row of erased characters is being shown: ECHOPRT.
    pub(super) is_erasing: bool,
}

impl LineDiscipline {
    /// A new terminal's.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn try_new(termios: Termios) -> Result<Self> {
        let (queue, screen) = (InputQueue::try_new()?, Screen::try_new()?);
        let special = special_bytes(&termios);
        Ok(Self { termios, queue, screen, special, is_next_literal: false, is_erasing: false })
    }

    /// The settings.
    pub const fn termios(&self) -> &Termios {
        &self.termios
    }

    /// Changes the settings. What was typed stays: a change to line mode makes a line of it.
    pub fn set_termios(&mut self, termios: Termios, out: &mut impl Output) {
        let old = core::mem::replace(&mut self.termios, termios);
        self.special = special_bytes(&termios);
        if (old.lflag ^ termios.lflag) & (ICANON | EXTPROC) != 0 {
            self.is_erasing = false;
            self.is_next_literal = false;
            if self.reads_lines() {
                self.queue.make_line();
            } else {
                self.queue.forget_lines();
            }
        }
        // Otherwise no key could start it again.
        if old.has_input(IXON) && !termios.has_input(IXON) {
            self.screen.start();
            self.screen.show_waiting(&self.termios, out);
        }
    }

    /// Reads what may be read now; fewer bytes than [`Self::read_rule`] wants count as well. Zero is the end
    /// of the input.
    ///
    /// # Errors
    /// EAGAIN while there is nothing.
    pub fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        let room = out.len();
        let mut done = 0;
        self.read_to(room, &mut |piece| {
            if let Some(place) = out.get_mut(done..done + piece.len()) {
                place.copy_from_slice(piece);
            }
            done += piece.len();
            Ok(piece.len())
        })
    }

    /// As [`Self::read`], but shows the bytes where they lie, no more than `room`: `give` says how many it took
    /// of a piece, and is called twice at most.
    ///
    /// # Errors
    /// EAGAIN while there is nothing; what `give` says of the first piece, and then nothing is taken.
    pub fn read_to(&mut self, room: usize, give: &mut dyn FnMut(&[u8]) -> Result<usize>) -> Result<usize> {
        if room == 0 {
            return Ok(0);
        }
        if self.reads_lines() {
            return if self.queue.has_line() { self.queue.give_line(room, give) } else { Err(Errno::EAGAIN) };
        }
        match self.queue.give_raw(room, give)? {
            0 if self.read_rule() != ReadRule::Now => Err(Errno::EAGAIN),
            count => Ok(count),
        }
    }

    /// Whether a read gives lines. With EXTPROC the other side edits them, and bytes are bytes here.
    pub(super) const fn reads_lines(&self) -> bool {
        self.termios.has_local(ICANON) && !self.termios.has_local(EXTPROC)
    }

    /// What a blocking read waits for.
    pub const fn read_rule(&self) -> ReadRule {
        if self.termios.has_local(ICANON) {
            return ReadRule::Line;
        }
        match (self.termios.cc[VMIN], self.termios.cc[VTIME]) {
            (0, 0) => ReadRule::Now,
            (0, tenths) => ReadRule::FirstWithin(tenths),
            (bytes, 0) => ReadRule::Bytes(bytes),
            (bytes, tenths) => ReadRule::BytesWithGaps { bytes, tenths },
        }
    }

    /// How many bytes can be read: FIONREAD.
    pub fn readable(&self) -> usize {
        if self.reads_lines() { self.queue.line_bytes() } else { self.queue.len() }
    }

    /// Whether poll(2) reports input. In line mode the end of the input is some too.
    pub fn is_readable(&self) -> bool {
        if self.reads_lines() {
            return self.queue.has_line();
        }
        match (self.termios.cc[VMIN], self.termios.cc[VTIME]) {
            (bytes, 0) if bytes != 0 => self.queue.len() >= usize::from(bytes),
            _ => self.queue.len() != 0,
        }
    }

    /// Sends what a program writes; returns how much of it went out. It may be less, or nothing, while output
    /// is stopped or the device is full.
    pub fn output(&mut self, bytes: &[u8], out: &mut impl Output) -> usize {
        self.screen.write(bytes, &self.termios, out)
    }

    /// Tells that there is room again: shows echoes that waited for it.
    pub fn drained(&mut self, out: &mut impl Output) {
        self.screen.show_waiting(&self.termios, out);
    }

    /// Whether output is stopped.
    pub const fn is_stopped(&self) -> bool {
        self.screen.is_stopped()
    }

    /// Stops the output until [`Self::release`]: TCOOFF.
    pub fn hold(&mut self) {
        self.screen.hold();
    }

    /// Starts the output: TCOON.
    pub fn release(&mut self, out: &mut impl Output) {
        self.screen.release();
        self.screen.show_waiting(&self.termios, out);
    }

    /// Forgets input that was not read: TCIFLUSH. (TCOFLUSH concerns the device only.)
    pub fn flush_input(&mut self) {
        self.queue.clear();
        self.is_erasing = false;
    }

    pub(super) fn is_special(&self, byte: u8) -> bool {
        let (word, bit) = place(byte);
        self.special[word] & bit != 0
    }
}

const fn place(byte: u8) -> (usize, u64) {
    ((byte / 64) as usize, 1 << (byte % 64))
}

/// The bytes that do something under these settings. Zero never does: it disables a control character.
fn special_bytes(termios: &Termios) -> [u64; 4] {
    let mut special = [0; 4];
    let mut add = |byte| {
        let (word, bit) = place(byte);
        special[word] |= bit;
    };
    let has_line_mode = termios.has_local(ICANON);
    let has_extensions = has_line_mode && termios.has_local(IEXTEN);
    let keys: [(bool, &[usize]); 5] = [
        (termios.has_input(IXON), &[VSTART, VSTOP]),
        (termios.has_local(ISIG), &[VINTR, VQUIT, VSUSP]),
        (has_line_mode, &[VERASE, VKILL, VEOF, VEOL]),
        (has_extensions, &[VWERASE, VLNEXT, VEOL2]),
        (has_extensions && termios.has_local(ECHO), &[VREPRINT]),
    ];
    for (_, keys) in keys.iter().filter(|(is_active, _)| *is_active) {
        keys.iter().filter_map(|&key| termios.cc.get(key)).for_each(|&byte| add(byte));
    }
    if termios.has_input(IGNCR | ICRNL) {
        add(b'\r');
    }
    if has_line_mode || termios.has_input(INLCR) {
        add(b'\n');
    }
    special[0] &= !1;
    special
}
