//! The way out: which column the cursor is in, what output processing changes, and echoes that must wait.
//!
//! Columns matter for tabs, for ONOCR, and for erasing a tab that was echoed. While output is stopped or the
//! device is full, echoes wait in a queue of fixed length, and the oldest are lost when there are too many;
//! written output is simply not accepted.

use alloc::collections::VecDeque;

use abi::termios::{IUTF8, OCRNL, OLCUC, ONLCR, ONLRET, ONOCR, OPOST, TABDLY, XTABS};
use abi::{Errno, Result};

use super::{Termios, latin1};

const WAITING_ECHOES: usize = 1024;
const TAB: usize = 8;

/// Where the terminal's output goes.
pub trait Output {
    /// How many bytes it takes now.
    fn room(&self) -> usize;

    /// Takes all these bytes, for which there is room.
    fn put(&mut self, bytes: &[u8]);

    /// Forgets what it took and did not send yet.
    fn discard(&mut self) {}
}

/// Something to be shown that was not written by a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Echo {
    /// A byte that goes through output processing.
    Byte(u8),
    /// A control character, shown as ^X.
    Control(u8),
    /// The line being typed starts in this column.
    LineStart,
    /// One column back, without showing it.
    Back,
    /// A tab is erased, before which there were so many columns since the line's start.
    EraseTabAfterStart(usize),
    /// A tab is erased, before which there were so many columns since another tab.
    EraseTabAfterTab(usize),
}

#[derive(Debug)]
pub(super) struct Screen {
    column: usize,
    /// The column in which the line being typed starts.
    line_column: usize,
    waiting: VecDeque<Echo>,
    /// VSTOP was typed or TCOOFF asked for.
    is_stopped: bool,
    /// TCOOFF asked for it: typing does not start the output.
    is_held: bool,
}

impl Screen {
    pub(super) fn try_new() -> Result<Self> {
        let mut waiting = VecDeque::new();
        waiting.try_reserve_exact(WAITING_ECHOES).map_err(|_| Errno::ENOMEM)?;
        Ok(Self { column: 0, line_column: 0, waiting, is_stopped: false, is_held: false })
    }

    pub(super) const fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    pub(super) fn stop(&mut self) {
        self.is_stopped = true;
    }

    /// Starts the output, unless TCOOFF holds it.
    pub(super) fn start(&mut self) {
        self.is_stopped = self.is_held;
    }

    /// Stops the output until it is released.
    pub(super) fn hold(&mut self) {
        self.is_held = true;
        self.is_stopped = true;
    }

    pub(super) fn release(&mut self) {
        if core::mem::take(&mut self.is_held) {
            self.is_stopped = false;
        }
    }

    pub(super) fn forget_echoes(&mut self) {
        self.waiting.clear();
    }

    /// Shows something now, or as soon as possible.
    pub(super) fn echo(&mut self, echo: Echo, termios: &Termios, out: &mut dyn Output) {
        self.show_waiting(termios, out);
        if self.waiting.is_empty() && self.show(echo, termios, out).is_some() {
            return;
        }
        if self.waiting.len() == WAITING_ECHOES {
            self.waiting.pop_front();
        }
        self.waiting.push_back(echo);
    }

    /// Shows what had to wait, as far as possible.
    pub(super) fn show_waiting(&mut self, termios: &Termios, out: &mut dyn Output) {
        while let Some(&next) = self.waiting.front()
            && self.show(next, termios, out).is_some()
        {
            self.waiting.pop_front();
        }
    }

    /// `None` if it cannot be shown now.
    fn show(&mut self, echo: Echo, termios: &Termios, out: &mut dyn Output) -> Option<()> {
        match echo {
            // Linux takes the byte 255 past output processing: it is the escape in its echo buffer.
            Echo::Byte(0xff) => {
                self.put(&[0xff], out)?;
                self.column += 1;
            }
            Echo::Byte(byte) if termios.has_output(OPOST) => self.put_processed(byte, termios, out)?,
            Echo::Byte(byte) => self.put(&[byte], out)?,
            Echo::Control(byte) => {
                self.put(&[b'^', byte ^ 0x40], out)?;
                self.column += 2;
            }
            Echo::LineStart => self.line_column = self.column,
            Echo::Back => self.column = self.column.saturating_sub(1),
            Echo::EraseTabAfterStart(columns) => self.erase_tab(columns + self.line_column, out)?,
            Echo::EraseTabAfterTab(columns) => self.erase_tab(columns, out)?,
        }
        Some(())
    }

    /// Moves back to where a tab began, so many columns from a tab stop.
    fn erase_tab(&mut self, columns: usize, out: &mut dyn Output) -> Option<()> {
        let width = TAB - columns % TAB;
        self.put(&[b'\x08'; TAB][..width], out)?;
        self.column = self.column.saturating_sub(width);
        Some(())
    }

    /// Sends bytes as they are, all or none.
    fn put(&self, bytes: &[u8], out: &mut dyn Output) -> Option<()> {
        if self.is_stopped || out.room() < bytes.len() {
            return None;
        }
        out.put(bytes);
        Some(())
    }

    /// Sends what a program writes; returns how much of it.
    pub(super) fn write(&mut self, bytes: &[u8], termios: &Termios, out: &mut dyn Output) -> usize {
        self.show_waiting(termios, out);
        if self.is_stopped {
            return 0;
        }
        if !termios.has_output(OPOST) {
            return put_some(bytes, out);
        }
        let mut sent = 0;
        while let Some(rest) = bytes.get(sent..)
            && let Some(&first) = rest.first()
        {
            let plain = plain_prefix(rest, termios);
            if plain.is_empty() {
                if self.put_processed(first, termios, out).is_none() {
                    break;
                }
                sent += 1;
                continue;
            }
            let count = put_some(plain, out);
            self.column += count;
            sent += count;
            if count < plain.len() {
                break;
            }
        }
        sent
    }

    /// Sends one byte with OPOST; `None` if there is no room.
    fn put_processed(&mut self, byte: u8, termios: &Termios, out: &mut dyn Output) -> Option<()> {
        match byte {
            b'\n' => self.put_newline(termios, out),
            b'\r' => self.put_return(termios, out),
            b'\t' => {
                let width = TAB - self.column % TAB;
                let expanded: &[u8] =
                    if termios.oflag & TABDLY == XTABS { &[b' '; TAB][..width] } else { b"\t" };
                self.put(expanded, out)?;
                self.column += width;
                Some(())
            }
            b'\x08' => {
                self.put(&[byte], out)?;
                self.column = self.column.saturating_sub(1);
                Some(())
            }
            _ if latin1::is_control(byte) => self.put(&[byte], out),
            _ => {
                let byte = if termios.has_output(OLCUC) { latin1::to_upper(byte) } else { byte };
                self.put(&[byte], out)?;
                let is_new = !(termios.has_input(IUTF8) && latin1::is_continuation(byte));
                self.column += usize::from(is_new);
                Some(())
            }
        }
    }

    fn put_newline(&mut self, termios: &Termios, out: &mut dyn Output) -> Option<()> {
        let returns = termios.has_output(ONLCR);
        self.put(if returns { b"\r\n" } else { b"\n" }, out)?;
        if returns || termios.has_output(ONLRET) {
            self.column = 0;
        }
        self.line_column = self.column;
        Some(())
    }

    fn put_return(&mut self, termios: &Termios, out: &mut dyn Output) -> Option<()> {
        if termios.has_output(ONOCR) && self.column == 0 {
            return Some(());
        }
        let becomes_newline = termios.has_output(OCRNL);
        self.put(if becomes_newline { b"\n" } else { b"\r" }, out)?;
        if !becomes_newline || termios.has_output(ONLRET) {
            self.column = 0;
            self.line_column = 0;
        }
        Some(())
    }
}

/// Sends as much as there is room for.
fn put_some(bytes: &[u8], out: &mut dyn Output) -> usize {
    let some = bytes.get(..out.room()).unwrap_or(bytes);
    out.put(some);
    some.len()
}

/// What at the start of the bytes fills a column each and goes out unchanged.
fn plain_prefix<'a>(bytes: &'a [u8], termios: &Termios) -> &'a [u8] {
    if termios.has_output(OLCUC) {
        return &[];
    }
    let end = bytes.iter().position(|byte| !matches!(byte, b' '..=b'~')).unwrap_or(bytes.len());
    bytes.get(..end).unwrap_or_default()
}
