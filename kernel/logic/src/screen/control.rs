//! What each control character and sequence does.

use core::fmt::Write;

use super::cell::{Cell, Style};
use super::parser::Action;
use super::{Charset, Cursor, Modes, PALETTE, Screen, sgr};

/// `CSI c`: a VT102, as Linux's console says.
const PRIMARY_ATTRIBUTES: &[u8] = b"\x1b[?6c";
/// `CSI > c`: a VT220 of no firmware.
const SECONDARY_ATTRIBUTES: &[u8] = b"\x1b[>1;0;0c";

/// Whether a mode is switched on or off.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Switch {
    On,
    Off,
}

impl Screen {
    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Print(character) => self.print(character),
            Action::Control(byte) => self.control(byte),
            Action::Escape { intermediate: 0, last } => self.escape(last),
            Action::Escape { intermediate: b'#', last: b'8' } => self.align(),
            Action::Escape { intermediate: b'(', last } => self.select_charset(0, last),
            Action::Escape { intermediate: b')', last } => self.select_charset(1, last),
            Action::Escape { .. } => {}
            Action::Csi { marker: 0, intermediate: 0, last } => self.sequence(last),
            Action::Csi { marker: b'?', intermediate: 0, last } => self.private_sequence(last),
            Action::Csi { marker: b'>', intermediate: 0, last: b'c' } => {
                if self.parser.parameters.or(0, 0) == 0 {
                    self.answer(SECONDARY_ATTRIBUTES);
                }
            }
            Action::Csi { marker: 0, intermediate: b'!', last: b'p' } => self.soft_reset(),
            Action::Csi { .. } => {}
            Action::SetColor { index, rgb } => {
                if let Some(color) = self.palette.get_mut(usize::from(index)) {
                    *color = rgb;
                    self.damage.mark_all();
                }
            }
            Action::ResetColors => {
                self.palette = PALETTE;
                self.damage.mark_all();
            }
        }
    }

    fn control(&mut self, byte: u8) {
        match byte {
            7 => self.bells = self.bells.saturating_add(1),
            8 => self.move_to_column(self.cursor.column.saturating_sub(1)),
            b'\t' => self.tab(1),
            b'\n' | 0xb | 0xc => {
                self.line_feed();
                self.cursor.is_wrap_pending = false;
                if self.modes.is_new_line {
                    self.move_to_column(0);
                }
            }
            b'\r' => self.move_to_column(0),
            0xe => self.cursor.shown = 1,
            0xf => self.cursor.shown = 0,
            _ => {}
        }
    }

    fn escape(&mut self, last: u8) {
        match last {
            b'7' => self.save_cursor(),
            b'8' => self.restore_cursor(self.saved),
            b'=' => self.modes.is_keypad_application = true,
            b'>' => self.modes.is_keypad_application = false,
            b'D' => self.line_feed(),
            b'E' => {
                self.line_feed();
                self.move_to_column(0);
            }
            b'H' => {
                if let Some(stop) = self.tabs.get_mut(self.cursor.column) {
                    *stop = true;
                }
            }
            b'M' => self.reverse_line_feed(),
            b'Z' => self.answer(PRIMARY_ATTRIBUTES),
            b'c' => self.reset(),
            _ => {}
        }
        if matches!(last, b'D' | b'M') {
            self.cursor.is_wrap_pending = false;
        }
    }

    fn select_charset(&mut self, index: usize, last: u8) {
        if let Some(charset) = self.cursor.charsets.get_mut(index) {
            *charset = if last == b'0' { Charset::Graphics } else { Charset::Ascii };
        }
    }

    fn sequence(&mut self, last: u8) {
        let parameters = self.parser.parameters;
        let count = parameters.count(0);
        let (row, column) = (self.cursor.row, self.cursor.column);
        match last {
            b'@' => self.insert_characters(count),
            b'A' => self.move_up(count),
            b'B' | b'e' => self.move_down(count),
            b'C' | b'a' => self.move_to_column(column.saturating_add(count)),
            b'D' => self.move_to_column(column.saturating_sub(count)),
            b'E' => {
                self.move_down(count);
                self.move_to_column(0);
            }
            b'F' => {
                self.move_up(count);
                self.move_to_column(0);
            }
            b'G' | b'`' => self.move_to_column(count - 1),
            b'H' | b'f' => self.move_to(count - 1, parameters.count(1) - 1),
            b'I' => self.tab(count),
            b'J' => self.erase_display(parameters.or(0, 0)),
            b'K' => match parameters.or(0, 0) {
                0 => self.erase(column..self.columns),
                1 => self.erase(0..column + 1),
                2 => self.erase(0..self.columns),
                _ => {}
            },
            b'L' => self.insert_lines(count),
            b'M' => self.delete_lines(count),
            b'P' => self.delete_characters(count),
            b'S' => self.scroll_up(count),
            // With more numbers it starts mouse tracking.
            b'T' if parameters.as_slice().len() <= 1 => self.scroll_down(count),
            b'X' => self.erase(column..column.saturating_add(count)),
            b'Z' => self.tab_back(count),
            b'b' => self.repeat(count),
            b'c' if parameters.or(0, 0) == 0 => self.answer(PRIMARY_ATTRIBUTES),
            b'd' => self.move_to_row(count - 1),
            b'g' => match parameters.or(0, 0) {
                0 => {
                    if let Some(stop) = self.tabs.get_mut(column) {
                        *stop = false;
                    }
                }
                3 => self.tabs.fill(false),
                _ => {}
            },
            b'h' => self.set_modes(Switch::On),
            b'l' => self.set_modes(Switch::Off),
            b'm' => sgr::apply(&mut self.cursor.style, &parameters),
            b'n' => self.report_status(row, column),
            b'r' => self.set_region(),
            b's' => self.save_cursor(),
            b'u' => self.restore_cursor(self.saved),
            _ => {}
        }
    }

    fn private_sequence(&mut self, last: u8) {
        match last {
            b'h' => self.set_private_modes(Switch::On),
            b'l' => self.set_private_modes(Switch::Off),
            b'c' => self.modes.cursor_size = self.parser.parameters.or(0, 0).to_le_bytes()[0] & 0xf,
            b'J' => self.erase_display(self.parser.parameters.or(0, 0)),
            b'K' => self.sequence(last),
            _ => {}
        }
    }

    fn erase_display(&mut self, what: u16) {
        let (row, column) = (self.cursor.row, self.cursor.column);
        match what {
            0 => {
                self.erase(column..self.columns);
                self.erase_rows(row + 1..self.rows);
            }
            1 => {
                self.erase(0..column + 1);
                self.erase_rows(0..row);
            }
            2 => self.erase_rows(0..self.rows),
            3 => {
                self.history.clear();
                self.look_at_end();
            }
            _ => {}
        }
    }

    fn repeat(&mut self, count: usize) {
        let Some(character) = self.last else { return };
        // More than a screen of it changes nothing.
        for _ in 0..count.min(self.rows * self.columns) {
            self.print(character);
        }
    }

    fn set_region(&mut self) {
        let top = self.parser.parameters.count(0) - 1;
        let bottom = usize::from(self.parser.parameters.or(1, u16::MAX)).min(self.rows);
        // A region has two lines at least.
        if top + 1 < bottom {
            self.region = top..bottom;
            self.move_to(0, 0);
        }
    }

    fn report_status(&mut self, row: usize, column: usize) {
        match self.parser.parameters.or(0, 0) {
            5 => self.answer(b"\x1b[0n"),
            6 => {
                let row = if self.modes.is_origin { row.saturating_sub(self.region.start) } else { row };
                let mut text = Text { bytes: [0; 32], len: 0 };
                // Two numbers fit.
                let _ = write!(text, "\x1b[{};{}R", row + 1, column + 1);
                let Text { bytes, len } = text;
                self.answer(bytes.get(..len).unwrap_or_default());
            }
            _ => {}
        }
    }

    fn set_modes(&mut self, switch: Switch) {
        let is_on = switch == Switch::On;
        let parameters = self.parser.parameters;
        for mode in parameters.as_slice() {
            match mode {
                4 => self.modes.is_insert = is_on,
                20 => self.modes.is_new_line = is_on,
                _ => {}
            }
        }
    }

    fn set_private_modes(&mut self, switch: Switch) {
        let is_on = switch == Switch::On;
        let parameters = self.parser.parameters;
        for mode in parameters.as_slice() {
            match mode {
                1 => self.modes.is_cursor_application = is_on,
                5 => {
                    self.modes.is_reversed = is_on;
                    self.damage.mark_all();
                }
                6 => {
                    self.modes.is_origin = is_on;
                    self.move_to(0, 0);
                }
                7 => self.modes.is_wrapping = is_on,
                25 => self.modes.is_cursor_visible = is_on,
                47 | 1047 => self.show(switch),
                1048 if is_on => self.save_cursor(),
                1048 => self.restore_cursor(self.saved),
                1049 => self.show_saved(switch),
                2004 => self.modes.is_paste_bracketed = is_on,
                _ => {}
            }
        }
    }

    /// Shows the alternate screen, or the main one again.
    fn show(&mut self, switch: Switch) {
        let is_on = switch == Switch::On;
        if self.is_alternate == is_on {
            return;
        }
        self.look_at_end();
        core::mem::swap(&mut self.grid, &mut self.other);
        self.is_alternate = is_on;
        self.damage.mark_all();
    }

    /// The same with the cursor saved on the main screen, and the alternate one blank.
    fn show_saved(&mut self, switch: Switch) {
        match switch {
            Switch::On if !self.is_alternate => {
                self.saved_main = self.current();
                self.show(switch);
                self.grid.fill_rows(0..self.rows, Cell::BLANK);
            }
            Switch::Off if self.is_alternate => {
                self.show(switch);
                self.restore_cursor(self.saved_main);
            }
            _ => {}
        }
    }

    fn current(&self) -> Cursor {
        Cursor { is_origin: self.modes.is_origin, ..self.cursor }
    }

    fn save_cursor(&mut self) {
        self.saved = self.current();
    }

    fn restore_cursor(&mut self, saved: Cursor) {
        self.cursor = saved;
        self.cursor.row = saved.row.min(self.rows - 1);
        self.cursor.column = saved.column.min(self.columns - 1);
        self.modes.is_origin = saved.is_origin;
    }

    /// `RIS`: as it was made, but for the size and the scroll-back.
    fn reset(&mut self) {
        self.show(Switch::Off);
        (self.cursor, self.saved, self.saved_main) = (Cursor::START, Cursor::START, Cursor::START);
        (self.modes, self.palette, self.last) = (Modes::START, PALETTE, None);
        self.region = 0..self.rows;
        for (column, stop) in self.tabs.iter_mut().enumerate() {
            *stop = column != 0 && column % 8 == 0;
        }
        self.erase_rows(0..self.rows);
        self.look_at_end();
        self.damage.mark_all();
    }

    /// `DECSTR`.
    fn soft_reset(&mut self) {
        self.modes = Modes { is_reversed: self.modes.is_reversed, ..Modes::START };
        self.region = 0..self.rows;
        self.cursor.style = Style::default();
        (self.cursor.charsets, self.cursor.shown) = (Cursor::START.charsets, 0);
        self.saved = Cursor::START;
    }
}

/// A short text.
struct Text {
    bytes: [u8; 32],
    len: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let to = self.bytes.get_mut(self.len..self.len + text.len()).ok_or(core::fmt::Error)?;
        to.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}
