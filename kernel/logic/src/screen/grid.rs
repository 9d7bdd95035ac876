//! Lines of cells. Scrolling turns a list of line numbers; no cell moves.

use alloc::vec::Vec;
use core::ops::Range;

use abi::{Errno, Result};

use super::cell::{Cell, Flags};

/// A rectangle of cells, at least one.
#[derive(Debug)]
pub(super) struct Grid {
    cells: Vec<Cell>,
    /// Where in `cells` each line is.
    order: Vec<u16>,
    columns: usize,
}

impl Grid {
    /// # Errors
    /// ENOMEM.
    pub(super) fn try_new(rows: u16, columns: u16) -> Result<Self> {
        let count = usize::from(rows) * usize::from(columns);
        let (mut cells, mut order) = (Vec::new(), Vec::new());
        cells.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
        order.try_reserve_exact(usize::from(rows)).map_err(|_| Errno::ENOMEM)?;
        cells.resize(count, Cell::BLANK);
        order.extend(0..rows);
        Ok(Grid { cells, order, columns: usize::from(columns) })
    }

    pub(super) fn rows(&self) -> usize {
        self.order.len()
    }

    fn range(&self, row: usize) -> Range<usize> {
        let place = self.order.get(row).copied().map_or(0, usize::from) * self.columns;
        place..place + self.columns
    }

    /// The cells of a line; of the first, if there is none of that number.
    pub(super) fn row(&self, row: usize) -> &[Cell] {
        self.cells.get(self.range(row)).unwrap_or_default()
    }

    pub(super) fn row_mut(&mut self, row: usize) -> &mut [Cell] {
        let range = self.range(row);
        self.cells.get_mut(range).unwrap_or_default()
    }

    /// Fills a part of a line, and mends wide characters that it cuts.
    pub(super) fn fill(&mut self, row: usize, range: Range<usize>, cell: Cell) {
        self.mend(row, range.start);
        self.mend(row, range.end);
        if let Some(cells) = self.row_mut(row).get_mut(range) {
            cells.fill(cell);
        }
    }

    /// Blanks both halves of a wide character that lies across the border before `column`.
    pub(super) fn mend(&mut self, row: usize, column: usize) {
        let cells = self.row_mut(row);
        if column == 0 || !cells.get(column).is_some_and(|cell| cell.style.flags.has(Flags::WIDE_TAIL)) {
            return;
        }
        for half in cells.get_mut(column - 1..=column).unwrap_or_default() {
            *half = Cell::BLANK;
        }
    }

    pub(super) fn fill_rows(&mut self, rows: Range<usize>, cell: Cell) {
        for row in rows {
            self.row_mut(row).fill(cell);
        }
    }

    /// Moves the lines of `region` up by `count`; the new ones are blank.
    pub(super) fn scroll_up(&mut self, region: Range<usize>, count: usize, blank: Cell) {
        let count = count.min(region.len());
        let Some(order) = self.order.get_mut(region.clone()) else { return };
        order.rotate_left(count);
        self.fill_rows(region.end - count..region.end, blank);
    }

    /// Moves the lines of `region` down by `count`.
    pub(super) fn scroll_down(&mut self, region: Range<usize>, count: usize, blank: Cell) {
        let count = count.min(region.len());
        let Some(order) = self.order.get_mut(region.clone()) else { return };
        order.rotate_right(count);
        self.fill_rows(region.start..region.start + count, blank);
    }

    /// Makes room for `count` cells at `column`.
    pub(super) fn insert(&mut self, row: usize, column: usize, count: usize, blank: Cell) {
        self.mend(row, column);
        let columns = self.columns;
        self.mend(row, columns.saturating_sub(count).max(column));
        let Some(tail) = self.row_mut(row).get_mut(column..) else { return };
        let count = count.min(tail.len());
        tail.copy_within(..tail.len() - count, count);
        tail.get_mut(..count).unwrap_or_default().fill(blank);
    }

    /// Takes `count` cells out at `column`.
    pub(super) fn delete(&mut self, row: usize, column: usize, count: usize, blank: Cell) {
        self.mend(row, column);
        self.mend(row, column.saturating_add(count));
        let Some(tail) = self.row_mut(row).get_mut(column..) else { return };
        let count = count.min(tail.len());
        tail.copy_within(count.., 0);
        let kept = tail.len() - count;
        tail.get_mut(kept..).unwrap_or_default().fill(blank);
    }

    /// Copies what fits of another grid, from its line `first` on.
    pub(super) fn copy_from(&mut self, other: &Grid, first: usize) {
        let columns = self.columns.min(other.columns);
        for row in 0..self.rows().min(other.rows().saturating_sub(first)) {
            let from = other.row(first + row).get(..columns).unwrap_or_default();
            if let Some(to) = self.row_mut(row).get_mut(..columns) {
                to.copy_from_slice(from);
                // A wide character that lost its right half.
                if let Some(last) = to.last_mut().filter(|last| last.style.flags.has(Flags::WIDE)) {
                    *last = Cell::BLANK;
                }
            }
        }
    }
}

/// Lines that left the screen at its top, the newest last.
#[derive(Debug)]
pub(super) struct History {
    cells: Vec<Cell>,
    columns: usize,
    capacity: usize,
    first: usize,
    len: usize,
}

impl History {
    /// # Errors
    /// ENOMEM.
    pub(super) fn try_new(lines: u16, columns: u16) -> Result<Self> {
        let (capacity, columns) = (usize::from(lines), usize::from(columns));
        let mut cells = Vec::new();
        cells.try_reserve_exact(capacity * columns).map_err(|_| Errno::ENOMEM)?;
        cells.resize(capacity * columns, Cell::BLANK);
        Ok(History { cells, columns, capacity, first: 0, len: 0 })
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    fn place(&self, index: usize) -> Range<usize> {
        let start = (self.first + index) % self.capacity.max(1) * self.columns;
        start..start + self.columns
    }

    /// Keeps a line; the oldest is forgotten if there is no room.
    pub(super) fn push(&mut self, line: &[Cell]) {
        if self.capacity == 0 {
            return;
        }
        if self.len == self.capacity {
            self.first = (self.first + 1) % self.capacity;
            self.len -= 1;
        }
        let place = self.place(self.len);
        if let Some(to) = self.cells.get_mut(place).filter(|to| to.len() == line.len()) {
            to.copy_from_slice(line);
            self.len += 1;
        }
    }

    /// The line `back` before the newest.
    pub(super) fn line(&self, back: usize) -> Option<&[Cell]> {
        let index = self.len.checked_sub(back + 1)?;
        self.cells.get(self.place(index))
    }

    /// Takes over the lines of another, cut or filled to this one's width.
    pub(super) fn copy_from(&mut self, other: &History) {
        for back in (0..other.len.min(self.capacity)).rev() {
            let Some(from) = other.line(back) else { continue };
            let place = self.place(self.len);
            let Some(to) = self.cells.get_mut(place) else { continue };
            to.fill(Cell::BLANK);
            for (to, from) in to.iter_mut().zip(from) {
                *to = *from;
            }
            self.len += 1;
        }
    }
}

/// Which cells changed since somebody looked.
#[derive(Debug)]
pub(super) struct Damage {
    /// First changed column and the one after the last, for each line.
    spans: Vec<(u16, u16)>,
    columns: u16,
}

impl Damage {
    /// All of it.
    ///
    /// # Errors
    /// ENOMEM.
    pub(super) fn try_new(rows: u16, columns: u16) -> Result<Self> {
        let mut spans = Vec::new();
        spans.try_reserve_exact(usize::from(rows)).map_err(|_| Errno::ENOMEM)?;
        spans.resize(usize::from(rows), (0, columns));
        Ok(Damage { spans, columns })
    }

    #[inline]
    pub(super) fn mark(&mut self, row: usize, columns: Range<usize>) {
        let Some((first, end)) = self.spans.get_mut(row) else { return };
        let clamp = |column: usize| u16::try_from(column).unwrap_or(u16::MAX).min(self.columns);
        *first = clamp(columns.start).min(*first);
        *end = clamp(columns.end).max(*end);
    }

    pub(super) fn mark_rows(&mut self, rows: Range<usize>) {
        for span in self.spans.get_mut(rows).unwrap_or_default() {
            *span = (0, self.columns);
        }
    }

    pub(super) fn mark_all(&mut self) {
        self.mark_rows(0..self.spans.len());
    }

    pub(super) fn take(&mut self, row: usize) -> Range<usize> {
        let Some(span) = self.spans.get_mut(row) else { return 0..0 };
        let (first, end) = core::mem::replace(span, (u16::MAX, 0));
        usize::from(first).min(usize::from(end))..usize::from(end)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.spans.iter().all(|&(first, end)| first >= end)
    }
}
