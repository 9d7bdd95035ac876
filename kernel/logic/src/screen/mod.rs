//! The screen of a terminal: bytes in, cells out.
//!
//! [`Screen`] understands what xterm-256color and linux of terminfo send: cursor, colours, erasing, inserting, scroll
//! regions, tabs, the alternate screen, scroll-back, questions and their answers. It allocates when it is made and resized,
//! and at no other time; no input makes it fail. It belongs to who draws it: `take_damage` tells which cells to look at.
//! Specs: ECMA-48, DEC STD 070 as xterm reads it, console_codes(4). What differs from tmux is told in docs/consoles.md.
//!
//! - [`cell`]: a character and its looks.
//! - `parser`: bytes into actions.
//! - `grid`: lines, scroll-back, damage.
//! - `sgr`: colours and flags.
//! - `edit`: printing, erasing, scrolling.
//! - `control`: what each sequence does.
//! - [`font`]: pictures of characters.
//! - [`paint`]: cells into pixels.

pub mod cell;
mod parser;
mod grid;
mod sgr;
mod edit;
mod control;
pub mod font;
pub mod paint;

use alloc::vec::Vec;
use core::ops::Range;

use abi::{Errno, Result};

use cell::{Cell, Style};
use grid::{Damage, Grid, History};
use parser::Parser;

/// Fewer rows or columns make no screen.
const LEAST: u16 = 2;
/// Bytes of answers kept until they are taken; an answer that finds no room is not given.
const MAX_ANSWERS: usize = 256;

/// The palette's first colours until a program changes them: those of Linux's console.
pub const PALETTE: [u32; 16] = [
    0x00_0000, 0xaa_0000, 0x00_aa00, 0xaa_5500, 0x00_00aa, 0xaa_00aa, 0x00_aaaa, 0xaa_aaaa, 0x55_5555,
    0xff_5555, 0x55_ff55, 0xff_ff55, 0x55_55ff, 0xff_55ff, 0x55_ffff, 0xff_ffff,
];

/// What a program asked of the keyboard, and who draws.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Modes {
    /// Cursor keys send `ESC O` instead of `ESC [`.
    pub is_cursor_application: bool,
    /// The keypad sends `ESC O` sequences.
    pub is_keypad_application: bool,
    /// What is pasted stands between `ESC [200~` and `ESC [201~`.
    pub is_paste_bracketed: bool,
    /// The cursor is shown.
    pub is_cursor_visible: bool,
    /// How large the cursor is, as `CSI ? N c` says: 0 for the usual one, 1 for none, 2 for a line, up to 6 for all.
    pub cursor_size: u8,
    /// Return also sends a line feed.
    pub is_new_line: bool,
    /// The screen's colours are exchanged.
    pub is_reversed: bool,
    is_insert: bool,
    is_origin: bool,
    is_wrapping: bool,
}

impl Modes {
    const START: Self = Modes {
        is_cursor_application: false,
        is_keypad_application: false,
        is_paste_bracketed: false,
        is_cursor_visible: true,
        cursor_size: 0,
        is_new_line: false,
        is_reversed: false,
        is_insert: false,
        is_origin: false,
        is_wrapping: true,
    };
}

/// A set of characters that GL may show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Charset {
    Ascii,
    /// DEC Special Graphics: lines and corners in place of small letters.
    Graphics,
}

/// The cursor, and what DECSC saves with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Cursor {
    row: usize,
    column: usize,
    /// The last column was just printed: the next character goes to the next line.
    is_wrap_pending: bool,
    style: Style,
    charsets: [Charset; 2],
    /// Which of them is shown: 0, or 1 after a shift out.
    shown: usize,
    is_origin: bool,
}

impl Cursor {
    const START: Self = Cursor {
        row: 0,
        column: 0,
        is_wrap_pending: false,
        style: Cell::BLANK.style,
        charsets: [Charset::Ascii; 2],
        shown: 0,
        is_origin: false,
    };
}

/// The screen of a terminal.
#[derive(Debug)]
pub struct Screen {
    parser: Parser,
    rows: usize,
    columns: usize,
    grid: Grid,
    /// The one that is not shown: the alternate one, or the main one while the alternate is.
    other: Grid,
    is_alternate: bool,
    history: History,
    history_lines: u16,
    /// How many lines the reader looks back.
    back: usize,
    cursor: Cursor,
    saved: Cursor,
    /// What entering the alternate screen saved (`CSI ? 1049 h`).
    saved_main: Cursor,
    modes: Modes,
    /// First line of the scroll region, and the one after its last.
    region: Range<usize>,
    tabs: Vec<bool>,
    palette: [u32; 16],
    /// The last character printed, for `REP`.
    last: Option<char>,
    damage: Damage,
    answers: [u8; MAX_ANSWERS],
    answers_len: usize,
    bells: u32,
}

impl Screen {
    /// A blank screen that keeps `history_lines` lines above it.
    ///
    /// # Errors
    /// EINVAL if it has fewer than two rows or columns; ENOMEM.
    pub fn try_new(rows: u16, columns: u16, history_lines: u16) -> Result<Self> {
        if rows < LEAST || columns < LEAST {
            return Err(Errno::EINVAL);
        }
        Ok(Screen {
            parser: Parser::default(),
            rows: usize::from(rows),
            columns: usize::from(columns),
            grid: Grid::try_new(rows, columns)?,
            other: Grid::try_new(rows, columns)?,
            is_alternate: false,
            history: History::try_new(history_lines, columns)?,
            history_lines,
            back: 0,
            cursor: Cursor::START,
            saved: Cursor::START,
            saved_main: Cursor::START,
            modes: Modes::START,
            region: 0..usize::from(rows),
            tabs: edit::tab_stops(columns)?,
            palette: PALETTE,
            last: None,
            damage: Damage::try_new(rows, columns)?,
            answers: [0; MAX_ANSWERS],
            answers_len: 0,
            bells: 0,
        })
    }

    /// Takes output of programs.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first() {
            if self.parser.is_ground() {
                let plain = rest.iter().position(|byte| !(0x20..0x7f).contains(byte)).unwrap_or(rest.len());
                if plain > 0 {
                    let (text, after) = rest.split_at(plain);
                    self.print_ascii(text);
                    rest = after;
                    continue;
                }
            }
            let step = self.parser.advance(byte);
            if let Some(action) = step.action {
                self.act(action);
            }
            if !step.is_again {
                rest = after;
            }
        }
    }

    /// Makes it another size. What no longer fits is cut at the right and above; the cursor's line stays.
    ///
    /// # Errors
    /// EINVAL, ENOMEM; nothing has changed then.
    pub fn resize(&mut self, rows: u16, columns: u16) -> Result<()> {
        let mut new = Screen::try_new(rows, columns, self.history_lines)?;
        let first = (self.cursor.row + 1).saturating_sub(new.rows);
        new.grid.copy_from(&self.grid, first);
        new.other.copy_from(&self.other, 0);
        new.history.copy_from(&self.history);
        for row in 0..if self.is_alternate { 0 } else { first } {
            let mut line = Grid::try_new(1, columns)?;
            line.copy_from(&self.grid, row);
            new.history.push(line.row(0));
        }
        let fit = |mut cursor: Cursor, first: usize| {
            cursor.row = cursor.row.saturating_sub(first).min(new.rows - 1);
            cursor.column = cursor.column.min(new.columns - 1);
            cursor.is_wrap_pending = false;
            cursor
        };
        new.cursor = fit(self.cursor, first);
        (new.saved, new.saved_main) = (fit(self.saved, 0), fit(self.saved_main, 0));
        new.parser = core::mem::take(&mut self.parser);
        (new.modes, new.palette, new.is_alternate) = (self.modes, self.palette, self.is_alternate);
        (new.answers, new.answers_len, new.bells) = (self.answers, self.answers_len, self.bells);
        *self = new;
        Ok(())
    }

    /// Lines.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Characters a line.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// A line as it is shown, scrolled back or not.
    pub fn line(&self, row: usize) -> &[Cell] {
        match self.back.checked_sub(row + 1) {
            Some(back) => self.history.line(back).unwrap_or_default(),
            None => self.grid.row(row - self.back),
        }
    }

    /// Where the cursor is, line first, and whether it is to be drawn.
    pub fn cursor(&self) -> (usize, usize, CursorLook) {
        let is_visible = self.modes.is_cursor_visible && self.modes.cursor_size != 1 && self.back == 0;
        let look = match self.modes.cursor_size {
            _ if !is_visible => CursorLook::Hidden,
            0 => CursorLook::Line,
            2 => CursorLook::Line,
            3..=5 => CursorLook::Half,
            _ => CursorLook::Block,
        };
        (self.cursor.row, self.cursor.column, look)
    }

    /// What programs asked of the keyboard and the display.
    pub fn modes(&self) -> Modes {
        self.modes
    }

    /// Red, green and blue of the first sixteen colours.
    pub fn palette(&self) -> &[u32; 16] {
        &self.palette
    }

    /// The columns of a line that may have changed since this was asked; they are forgotten.
    pub fn take_damage(&mut self, row: usize) -> Range<usize> {
        self.damage.take(row)
    }

    /// Whether a cell may have changed since all damage was taken.
    pub fn is_damaged(&self) -> bool {
        !self.damage.is_empty()
    }

    /// Everything is to be drawn again.
    pub fn damage_all(&mut self) {
        self.damage.mark_all();
    }

    /// What the terminal answers to questions, to be given to the program as if it were typed; returns how many bytes of `to`
    /// it filled.
    pub fn take_answers(&mut self, to: &mut [u8]) -> usize {
        let count = to.len().min(self.answers_len);
        for (to, from) in to.iter_mut().zip(&self.answers).take(count) {
            *to = *from;
        }
        self.answers.copy_within(count..self.answers_len, 0);
        self.answers_len -= count;
        count
    }

    /// How often the bell rang since this was asked.
    pub fn take_bells(&mut self) -> u32 {
        core::mem::take(&mut self.bells)
    }

    /// Looks `lines` further back, or forward if they are negative.
    pub fn look_back(&mut self, lines: isize) {
        let most = if self.is_alternate { 0 } else { self.history.len() };
        let wanted = self.back.saturating_add_signed(lines).min(most);
        if wanted != self.back {
            self.back = wanted;
            self.damage.mark_all();
        }
    }

    /// Looks at the end again.
    pub fn look_at_end(&mut self) {
        self.look_back(isize::MIN);
    }

    /// Whether a wrap is pending: the cursor stands behind the last column.
    pub fn is_wrap_pending(&self) -> bool {
        self.cursor.is_wrap_pending
    }

    fn answer(&mut self, text: &[u8]) {
        if let Some(to) = self.answers.get_mut(self.answers_len..self.answers_len + text.len()) {
            to.copy_from_slice(text);
            self.answers_len += text.len();
        }
    }
}

/// How the cursor is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CursorLook {
    /// Not at all.
    Hidden,
    /// A line below the character.
    Line,
    /// The lower half of the cell.
    Half,
    /// All of it.
    Block,
}

#[cfg(test)]
mod tests;
