//! What a received byte does.

use abi::termios::{
    BRKINT, ECHO, ECHOCTL, ECHONL, EXTPROC, ICANON, ICRNL, IEXTEN, IGNBRK, IGNCR, IGNPAR, INLCR, INPCK, ISIG,
    ISTRIP, IUCLC, IXANY, IXON, NOFLSH, PARMRK, VEOF, VEOL, VEOL2, VERASE, VINTR, VKILL, VLNEXT, VQUIT,
    VREPRINT, VSTART, VSTOP, VSUSP, VWERASE,
};

use super::discipline::LineDiscipline;
use super::edit::Erase;
use super::latin1;
use super::screen::{Echo, Output};
use crate::signal::Signal;

/// How a byte came to harm on the line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Damage {
    /// The line was held down: a break.
    Break,
    /// Wrong parity or stop bit.
    Parity,
}

/// What PARMRK puts before a damaged byte, and doubles where it came undamaged.
const MARK: u8 = 0xff;

/// Whether a byte is used up.
#[derive(PartialEq, Eq)]
enum Done {
    Yes,
    No,
}

impl LineDiscipline {
    /// Whether [`Self::input`] takes a byte. A line that grows too long does; more after it, and raw input
    /// that nobody reads, does not and would be lost.
    pub fn has_room(&self) -> bool {
        self.spare() > 0 || self.may_overflow()
    }

    /// Takes a byte the device received and returns the signal it sends to the foreground process group. Unless
    /// NOFLSH says otherwise, a signal has flushed all input and output.
    ///
    /// Of a line longer than the queue the last byte changes until the line ends, as on Linux; IMAXBEL rings no
    /// bell there either.
    pub fn input(&mut self, byte: u8, out: &mut impl Output) -> Option<Signal> {
        if !self.has_room() {
            return None;
        }
        self.drop_last_of_overlong();
        let signal = self.receive(byte, out);
        if self.termios.has_local(ECHO | ECHONL) {
            self.screen.show_waiting(&self.termios, out);
        }
        signal
    }

    /// Takes bytes the device received, up to the first that sends a signal or finds no room; returns how many, and
    /// the signal. What they do is what [`Self::input`] does with each.
    pub fn input_all(&mut self, bytes: &[u8], out: &mut impl Output) -> (usize, Option<Signal>) {
        let mut done = 0;
        while let Some(rest) = bytes.get(done..)
            && let Some(&first) = rest.first()
        {
            let run = self.ordinary_prefix(rest);
            if !run.is_empty() {
                self.queue.push_all(run);
                done += run.len();
                continue;
            }
            if !self.has_room() {
                break;
            }
            done += 1;
            if let Some(signal) = self.input(first, out) {
                return (done, Some(signal));
            }
        }
        (done, None)
    }

    /// What at the start of the bytes only goes into the queue, and fits.
    fn ordinary_prefix<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let is_external = self.termios.has_local(EXTPROC);
        let is_shown = (self.termios.has_local(ECHO | ECHONL) || self.is_erasing) && !is_external;
        let is_changed = self.termios.has_input(ISTRIP | IUCLC | PARMRK);
        let is_waited_for = self.screen.is_stopped() && self.termios.has_input(IXANY);
        if is_shown || is_changed || is_waited_for || self.is_next_literal {
            return &[];
        }
        let bytes = bytes.get(..self.spare()).unwrap_or(bytes);
        let end = bytes.iter().position(|&byte| !is_external && self.is_special(byte)).unwrap_or(bytes.len());
        bytes.get(..end).unwrap_or_default()
    }

    /// Takes a byte that the device found damaged; a break is a zero. May send a signal as [`Self::input`].
    pub fn input_damaged(&mut self, byte: u8, damage: Damage, out: &mut impl Output) -> Option<Signal> {
        let is_break = damage == Damage::Break;
        let is_unnoticed = self.termios.has_input(if is_break { IGNBRK } else { IGNPAR });
        if !self.has_room() || is_unnoticed && (is_break || self.termios.has_input(INPCK)) {
            return None;
        }
        if is_break && self.termios.has_input(BRKINT) {
            self.flush_for_signal(out);
            return Some(Signal::INT);
        }
        self.drop_last_of_overlong();
        match damage {
            Damage::Parity if !self.termios.has_input(INPCK) => self.take(byte, self.echo_of(byte), out),
            _ if self.termios.has_input(PARMRK) => {
                [MARK, 0, byte].into_iter().for_each(|byte| self.queue.push(byte));
            }
            _ => self.queue.push(0),
        }
        None
    }

    /// Bytes that fit, less one for the end of the line. With PARMRK each may need three places.
    fn spare(&self) -> usize {
        let free = self.queue.free();
        let bytes = if self.termios.has_input(PARMRK) { free.div_ceil(3) } else { free };
        bytes.saturating_sub(1)
    }

    /// A line that was not ended yet must take the byte that ends it.
    fn may_overflow(&self) -> bool {
        self.reads_lines() && !self.queue.has_line()
    }

    fn drop_last_of_overlong(&mut self) {
        if self.queue.free() == 0 {
            self.queue.cut(self.queue.typed().end - 1);
        }
    }

    fn receive(&mut self, byte: u8, out: &mut dyn Output) -> Option<Signal> {
        let byte = self.translated(byte);
        if self.termios.has_local(EXTPROC) {
            self.queue.push(byte);
            return None;
        }
        if !core::mem::take(&mut self.is_next_literal) && self.is_special(byte) {
            return self.receive_special(byte, out);
        }
        self.start_by_any(out);
        self.take(byte, self.echo_of(byte), out);
        None
    }

    fn translated(&self, byte: u8) -> u8 {
        let byte = if self.termios.has_input(ISTRIP) { byte & 0x7f } else { byte };
        let is_lowered = self.termios.has_input(IUCLC) && self.termios.has_local(IEXTEN);
        if is_lowered { latin1::to_lower(byte) } else { byte }
    }

    fn receive_special(&mut self, byte: u8, out: &mut dyn Output) -> Option<Signal> {
        if self.termios.has_input(IXON) && self.control_flow(byte, out) == Done::Yes {
            return None;
        }
        if self.termios.has_local(ISIG)
            && let Some(signal) = self.signal_of(byte)
        {
            self.flush_for_signal(out);
            if self.termios.has_input(IXON) {
                self.screen.start();
            }
            if self.termios.has_local(ECHO) {
                self.echo(byte, out);
            } else {
                self.screen.show_waiting(&self.termios, out);
            }
            return Some(signal);
        }
        self.start_by_any(out);
        let byte = match byte {
            b'\r' if self.termios.has_input(IGNCR) => return None,
            b'\r' if self.termios.has_input(ICRNL) => b'\n',
            b'\n' if self.termios.has_input(INLCR) => b'\r',
            _ => byte,
        };
        if self.termios.has_local(ICANON) && self.edit_line(byte, out) == Done::Yes {
            return None;
        }
        let echo = if byte == b'\n' { Echo::Byte(byte) } else { self.echo_of(byte) };
        self.take(byte, echo, out);
        None
    }

    fn control_flow(&mut self, byte: u8, out: &mut dyn Output) -> Done {
        if self.termios.is_key(VSTART, byte) {
            self.screen.start();
            self.screen.show_waiting(&self.termios, out);
        } else if self.termios.is_key(VSTOP, byte) {
            self.screen.stop();
        } else {
            return Done::No;
        }
        Done::Yes
    }

    fn start_by_any(&mut self, out: &mut dyn Output) {
        if self.screen.is_stopped() && self.termios.has_input(IXON) && self.termios.has_input(IXANY) {
            self.screen.start();
            self.screen.show_waiting(&self.termios, out);
        }
    }

    fn signal_of(&self, byte: u8) -> Option<Signal> {
        let keys = [(VINTR, Signal::INT), (VQUIT, Signal::QUIT), (VSUSP, Signal::TSTP)];
        keys.into_iter().find(|&(key, _)| self.termios.is_key(key, byte)).map(|(_, signal)| signal)
    }

    fn flush_for_signal(&mut self, out: &mut dyn Output) {
        if !self.termios.has_local(NOFLSH) {
            self.screen.forget_echoes();
            out.discard();
            self.flush_input();
        }
    }

    /// Line mode: what the byte does to the line being typed.
    fn edit_line(&mut self, byte: u8, out: &mut dyn Output) -> Done {
        let has_extensions = self.termios.has_local(IEXTEN);
        let is_echoing = self.termios.has_local(ECHO);
        if let Some(what) = self.erased_by(byte) {
            self.erase(what, out);
        } else if has_extensions && self.termios.is_key(VLNEXT, byte) {
            self.announce_literal(out);
        } else if has_extensions && is_echoing && self.termios.is_key(VREPRINT, byte) {
            self.reprint(byte, out);
        } else if byte == b'\n' {
            if self.termios.has_local(ECHO | ECHONL) {
                self.echo_plain(byte, out);
            }
            self.queue.push_line_end(byte);
        } else if self.termios.is_key(VEOF, byte) {
            self.queue.push_end_of_input();
        } else if self.termios.is_key(VEOL, byte) || has_extensions && self.termios.is_key(VEOL2, byte) {
            if is_echoing {
                self.note_line_start(out);
                self.echo(byte, out);
            }
            self.push_mark_twice(byte);
            self.queue.push_line_end(byte);
        } else {
            return Done::No;
        }
        Done::Yes
    }

    fn erased_by(&self, byte: u8) -> Option<Erase> {
        let is_key = |key| self.termios.is_key(key, byte);
        let is_word = is_key(VWERASE);
        if is_key(VERASE) {
            Some(Erase::Character)
        } else if is_word && (self.termios.has_local(IEXTEN) || is_key(VKILL)) {
            Some(Erase::Word)
        } else {
            is_key(VKILL).then_some(Erase::Line)
        }
    }

    /// VLNEXT: shows ^ under the cursor until the next byte takes its place.
    fn announce_literal(&mut self, out: &mut dyn Output) {
        self.is_next_literal = true;
        if self.termios.has_local(ECHO) {
            self.finish_erasing(out);
            if self.termios.has_local(ECHOCTL) {
                self.echo_plain(b'^', out);
                self.echo_plain(b'\x08', out);
            }
        }
    }

    fn reprint(&mut self, key: u8, out: &mut dyn Output) {
        self.finish_erasing(out);
        self.echo(key, out);
        self.echo_plain(b'\n', out);
        for position in self.queue.typed() {
            self.echo(self.queue.byte_at(position), out);
        }
    }

    /// Puts a byte that stands for itself into the queue and echoes it.
    fn take(&mut self, byte: u8, echo: Echo, out: &mut dyn Output) {
        if self.termios.has_local(ECHO) {
            self.finish_erasing(out);
            self.note_line_start(out);
            self.screen.echo(echo, &self.termios, out);
        }
        self.push_mark_twice(byte);
        self.queue.push(byte);
    }

    /// PARMRK: lets a byte that looks like its mark be told from one.
    fn push_mark_twice(&mut self, byte: u8) {
        if byte == MARK && self.termios.has_input(PARMRK) {
            self.queue.push(byte);
        }
    }

    /// The first character of a line says in which column the line starts.
    fn note_line_start(&mut self, out: &mut dyn Output) {
        if self.queue.typed().is_empty() {
            self.screen.echo(Echo::LineStart, &self.termios, out);
        }
    }

    /// The form in which a byte is echoed.
    fn echo_of(&self, byte: u8) -> Echo {
        let is_shown_as_pair = latin1::is_control(byte) && byte != b'\t' && self.termios.has_local(ECHOCTL);
        if is_shown_as_pair { Echo::Control(byte) } else { Echo::Byte(byte) }
    }

    pub(super) fn echo(&mut self, byte: u8, out: &mut dyn Output) {
        self.screen.echo(self.echo_of(byte), &self.termios, out);
    }

    /// Echoes a control character of this index.
    pub(super) fn echo_key(&mut self, key: usize, out: &mut dyn Output) {
        let byte = self.termios.cc.get(key).copied().unwrap_or_default();
        self.echo(byte, out);
    }

    /// Echoes a byte without making a pair of it.
    pub(super) fn echo_plain(&mut self, byte: u8, out: &mut dyn Output) {
        self.screen.echo(Echo::Byte(byte), &self.termios, out);
    }
}
