//! Printing, erasing, scrolling, tabs.

use alloc::vec::Vec;
use core::ops::Range;

use abi::{Errno, Result};
use unicode_width::UnicodeWidthChar;

use super::cell::{Cell, Flags};
use super::{Charset, Screen};

const TAB: usize = 8;

/// A stop in each eighth column.
pub(super) fn tab_stops(columns: u16) -> Result<Vec<bool>> {
    let mut tabs = Vec::new();
    tabs.try_reserve_exact(usize::from(columns)).map_err(|_| Errno::ENOMEM)?;
    tabs.extend((0..usize::from(columns)).map(|column| column != 0 && column % TAB == 0));
    Ok(tabs)
}

/// What DEC Special Graphics shows in place of ASCII.
pub(super) fn graphics(character: char) -> char {
    const SHOWN: [char; 32] = [
        ' ', '◆', '▒', '␉', '␌', '␍', '␊', '°', '±', '␤', '␋', '┘', '┐', '┌', '└', '┼', '⎺', '⎻', '─', '⎼',
        '⎽', '├', '┤', '┴', '┬', '│', '≤', '≥', 'π', '≠', '£', '·',
    ];
    let index = u32::from(character).wrapping_sub(0x5f);
    usize::try_from(index).ok().and_then(|index| SHOWN.get(index)).copied().unwrap_or(character)
}

impl Screen {
    /// Prints bytes between a space and a tilde: the fast way.
    pub(super) fn print_ascii(&mut self, text: &[u8]) {
        let is_plain = self.cursor.charsets.get(self.cursor.shown) != Some(&Charset::Graphics);
        if !is_plain || self.modes.is_insert || !self.modes.is_wrapping {
            for &byte in text {
                self.print(char::from(byte));
            }
            return;
        }
        let mut rest = text;
        while !rest.is_empty() {
            self.wrap_if_pending();
            let (row, column) = (self.cursor.row, self.cursor.column);
            let (now, later) = rest.split_at(rest.len().min(self.columns - column));
            rest = later;
            let end = column + now.len();
            self.grid.mend(row, column);
            self.grid.mend(row, end);
            let style = self.cursor.style;
            let cells = self.grid.row_mut(row).get_mut(column..end).unwrap_or_default();
            for (cell, &byte) in cells.iter_mut().zip(now) {
                *cell = Cell { character: char::from(byte), style };
            }
            self.damage.mark(row, column..end);
            self.moved_right_to(end);
        }
        self.last = text.last().map(|&byte| char::from(byte));
    }

    pub(super) fn print(&mut self, character: char) {
        let is_graphics = self.cursor.charsets.get(self.cursor.shown) == Some(&Charset::Graphics);
        let character = if is_graphics { graphics(character) } else { character };
        let width = if character.is_ascii() { 1 } else { character.width().unwrap_or(0) };
        // Combining marks and what has no width at all are not shown.
        if width == 0 {
            return;
        }
        let width = width.min(2);
        self.last = Some(character);
        if self.modes.is_wrapping {
            self.wrap_if_pending();
            if self.cursor.column + width > self.columns {
                self.next_line();
            }
        } else if self.cursor.column + width > self.columns {
            self.cursor.column = self.columns - width;
        }
        let (row, column) = (self.cursor.row, self.cursor.column);
        let blank = Cell::blank(self.cursor.style);
        if self.modes.is_insert {
            self.grid.insert(row, column, width, blank);
            self.damage.mark(row, column..self.columns);
        }
        let end = column + width;
        self.grid.fill(row, column..end, blank);
        let style = self.cursor.style;
        let cells = self.grid.row_mut(row).get_mut(column..end).unwrap_or_default();
        match cells {
            [cell] => *cell = Cell { character, style },
            [left, right] => {
                let half = |character, flag| Cell {
                    character,
                    style: super::Style { flags: style.flags.with(flag), ..style },
                };
                (*left, *right) = (half(character, Flags::WIDE), half(' ', Flags::WIDE_TAIL));
            }
            _ => {}
        }
        // What was mended lies beside it.
        self.damage.mark(row, column.saturating_sub(1)..end + 1);
        self.moved_right_to(end);
    }

    fn moved_right_to(&mut self, column: usize) {
        self.cursor.is_wrap_pending = column >= self.columns;
        self.cursor.column = column.min(self.columns - 1);
    }

    fn wrap_if_pending(&mut self) {
        if self.cursor.is_wrap_pending && self.modes.is_wrapping {
            self.next_line();
        }
    }

    fn next_line(&mut self) {
        self.line_feed();
        self.move_to_column(0);
    }

    pub(super) fn line_feed(&mut self) {
        if self.cursor.row + 1 == self.region.end {
            self.scroll_up(1);
        } else if self.cursor.row + 1 < self.rows {
            self.cursor.row += 1;
        }
    }

    pub(super) fn reverse_line_feed(&mut self) {
        if self.cursor.row == self.region.start {
            self.scroll_down(1);
        } else {
            self.cursor.row = self.cursor.row.saturating_sub(1);
        }
    }

    /// Moves the scroll region's lines up. What leaves the screen's top goes into the scroll-back.
    pub(super) fn scroll_up(&mut self, count: usize) {
        let region = self.region.clone();
        let count = count.min(region.len());
        if region.start == 0 && !self.is_alternate {
            for row in 0..count {
                self.history.push(self.grid.row(row));
            }
            if self.back > 0 {
                // The reader keeps looking at the same lines, while they are there.
                self.back = (self.back + count).min(self.history.len());
            }
        }
        self.grid.scroll_up(region.clone(), count, Cell::blank(self.cursor.style));
        self.damage.mark_rows(region);
    }

    pub(super) fn scroll_down(&mut self, count: usize) {
        let region = self.region.clone();
        self.grid.scroll_down(region.clone(), count, Cell::blank(self.cursor.style));
        self.damage.mark_rows(region);
    }

    /// `IL` and `DL`: nothing outside the scroll region.
    pub(super) fn insert_lines(&mut self, count: usize) {
        if let Some(part) = self.region_below_cursor() {
            self.grid.scroll_down(part.clone(), count, Cell::blank(self.cursor.style));
            self.damage.mark_rows(part);
        }
    }

    pub(super) fn delete_lines(&mut self, count: usize) {
        if let Some(part) = self.region_below_cursor() {
            self.grid.scroll_up(part.clone(), count, Cell::blank(self.cursor.style));
            self.damage.mark_rows(part);
        }
    }

    fn region_below_cursor(&mut self) -> Option<Range<usize>> {
        self.cursor.is_wrap_pending = false;
        self.region.contains(&self.cursor.row).then_some(self.cursor.row..self.region.end)
    }

    pub(super) fn insert_characters(&mut self, count: usize) {
        let (row, column) = (self.cursor.row, self.cursor.column);
        self.cursor.is_wrap_pending = false;
        self.grid.insert(row, column, count, Cell::blank(self.cursor.style));
        self.damage.mark(row, column.saturating_sub(1)..self.columns);
    }

    pub(super) fn delete_characters(&mut self, count: usize) {
        let (row, column) = (self.cursor.row, self.cursor.column);
        self.cursor.is_wrap_pending = false;
        self.grid.delete(row, column, count, Cell::blank(self.cursor.style));
        self.damage.mark(row, column.saturating_sub(1)..self.columns);
    }

    /// Blanks a part of the cursor's line.
    pub(super) fn erase(&mut self, columns: Range<usize>) {
        let row = self.cursor.row;
        let columns = columns.start..columns.end.min(self.columns);
        self.cursor.is_wrap_pending = false;
        self.grid.fill(row, columns.clone(), Cell::blank(self.cursor.style));
        self.damage.mark(row, columns.start.saturating_sub(1)..columns.end + 1);
    }

    pub(super) fn erase_rows(&mut self, rows: Range<usize>) {
        self.grid.fill_rows(rows.clone(), Cell::blank(self.cursor.style));
        self.damage.mark_rows(rows);
    }

    /// `DECALN`: a picture to adjust the display by.
    pub(super) fn align(&mut self) {
        self.region = 0..self.rows;
        self.move_to(0, 0);
        self.grid.fill_rows(0..self.rows, Cell { character: 'E', ..Cell::BLANK });
        self.damage.mark_all();
    }

    pub(super) fn move_to_column(&mut self, column: usize) {
        self.cursor.is_wrap_pending = false;
        self.cursor.column = column.min(self.columns - 1);
    }

    /// Moves to a line of the screen, or of the scroll region in origin mode.
    pub(super) fn move_to_row(&mut self, row: usize) {
        self.cursor.is_wrap_pending = false;
        let allowed = if self.modes.is_origin { self.region.clone() } else { 0..self.rows };
        self.cursor.row = allowed.start.saturating_add(row).min(allowed.end - 1);
    }

    pub(super) fn move_to(&mut self, row: usize, column: usize) {
        self.move_to_row(row);
        self.move_to_column(column);
    }

    /// Up, to the scroll region's first line if it starts below that.
    pub(super) fn move_up(&mut self, count: usize) {
        let stop = if self.cursor.row >= self.region.start { self.region.start } else { 0 };
        self.cursor.row = self.cursor.row.saturating_sub(count).max(stop);
        self.cursor.is_wrap_pending = false;
    }

    pub(super) fn move_down(&mut self, count: usize) {
        let end = if self.cursor.row < self.region.end { self.region.end } else { self.rows };
        self.cursor.row = self.cursor.row.saturating_add(count).min(end - 1);
        self.cursor.is_wrap_pending = false;
    }

    pub(super) fn tab(&mut self, count: usize) {
        for _ in 0..count.min(self.columns) {
            let after = self.cursor.column + 1;
            let next = self.tabs.iter().skip(after).position(|&is_stop| is_stop);
            self.move_to_column(next.map_or(self.columns - 1, |distance| after + distance));
        }
    }

    pub(super) fn tab_back(&mut self, count: usize) {
        for _ in 0..count.min(self.columns) {
            let before = self.tabs.iter().take(self.cursor.column).rposition(|&is_stop| is_stop);
            self.move_to_column(before.unwrap_or(0));
        }
    }
}
