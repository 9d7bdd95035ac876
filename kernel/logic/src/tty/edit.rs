//! Erasing in the line being typed, and how it is shown.

use core::ops::Range;

use abi::termios::{ECHO, ECHOCTL, ECHOE, ECHOK, ECHOKE, ECHOPRT, IUTF8, VERASE, VKILL};

use super::discipline::LineDiscipline;
use super::latin1;
use super::screen::{Echo, Output};

/// How much is erased.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Erase {
    Character,
    Word,
    Line,
}

const RUB_OUT: [u8; 3] = *b"\x08 \x08";

impl LineDiscipline {
    /// Erases a part of the line being typed.
    pub(super) fn erase(&mut self, what: Erase, out: &mut dyn Output) {
        if self.queue.typed().is_empty() {
            return;
        }
        if what == Erase::Line && !self.shows_each_of_a_line() {
            self.erase_line_at_once(out);
            return;
        }
        let mut has_seen_word = false;
        while let Some(character) = self.last_character() {
            let first = self.queue.byte_at(character.start);
            if what == Erase::Word {
                if has_seen_word && !latin1::is_word(first) {
                    break;
                }
                has_seen_word |= latin1::is_word(first);
            }
            self.queue.cut(character.start);
            if self.termios.has_local(ECHO) {
                self.show_erased(what, character, out);
            }
            if what == Erase::Character {
                break;
            }
        }
        if self.queue.typed().is_empty() && self.termios.has_local(ECHO) {
            self.finish_erasing(out);
        }
    }

    const fn shows_each_of_a_line(&self) -> bool {
        let all = ECHO | ECHOK | ECHOKE | ECHOE;
        self.termios.lflag & all == all
    }

    /// Erases the line without erasing what is on the screen.
    fn erase_line_at_once(&mut self, out: &mut dyn Output) {
        self.queue.cut(0);
        if self.termios.has_local(ECHO) {
            self.finish_erasing(out);
            self.echo_key(VKILL, out);
            if self.termios.has_local(ECHOK) {
                self.echo_plain(b'\n', out);
            }
        }
    }

    /// The positions of the last character typed. `None` if there is none, or only its last bytes.
    fn last_character(&self) -> Option<Range<usize>> {
        let typed = self.queue.typed();
        let start = typed.clone().rev().find(|&position| !self.continues(self.queue.byte_at(position)))?;
        Some(start..typed.end)
    }

    fn continues(&self, byte: u8) -> bool {
        self.termios.has_input(IUTF8) && latin1::is_continuation(byte)
    }

    /// Shows that a character, which is cut off already, was erased.
    fn show_erased(&mut self, what: Erase, character: Range<usize>, out: &mut dyn Output) {
        let first = self.queue.byte_at(character.start);
        if self.termios.has_local(ECHOPRT) {
            self.show_between_slashes(character, out);
        } else if what == Erase::Character && !self.termios.has_local(ECHOE) {
            self.echo_key(VERASE, out);
        } else if first == b'\t' {
            let echo = self.erased_tab();
            self.screen.echo(echo, &self.termios, out);
        } else {
            for byte in core::iter::repeat_n(RUB_OUT, self.width(first)).flatten() {
                self.echo_plain(byte, out);
            }
        }
    }

    /// The form for printers: what is erased is printed again, between a backslash and a slash.
    fn show_between_slashes(&mut self, character: Range<usize>, out: &mut dyn Output) {
        if !self.is_erasing {
            self.echo_plain(b'\\', out);
            self.is_erasing = true;
        }
        for position in character.clone() {
            let byte = self.queue.byte_at(position);
            if position == character.start {
                self.echo(byte, out);
            } else {
                self.echo_plain(byte, out);
                self.screen.echo(Echo::Back, &self.termios, out);
            }
        }
    }

    /// Ends a row of characters shown as erased.
    pub(super) fn finish_erasing(&mut self, out: &mut dyn Output) {
        if self.is_erasing {
            self.echo_plain(b'/', out);
            self.is_erasing = false;
        }
    }

    /// How far a tab at the end of what is typed reached: it depends on the columns before it.
    fn erased_tab(&self) -> Echo {
        let mut columns = 0;
        for byte in self.queue.typed().rev().map(|position| self.queue.byte_at(position)) {
            if byte == b'\t' {
                return Echo::EraseTabAfterTab(columns);
            }
            columns += if self.continues(byte) { 0 } else { self.width(byte) };
        }
        Echo::EraseTabAfterStart(columns)
    }

    /// The columns a character filled when it was echoed.
    const fn width(&self, byte: u8) -> usize {
        match (latin1::is_control(byte), self.termios.has_local(ECHOCTL)) {
            (false, _) => 1,
            (true, true) => 2,
            (true, false) => 0,
        }
    }
}
