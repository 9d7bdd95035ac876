//! Cells into pixels: what differs from what is shown is drawn, nothing else.
//!
//! A [`Painter`] remembers the cells that it drew. So a screen that scrolled by a thousand lines between two looks costs as
//! much as one that scrolled by one, and switching to another console costs what differs.

use alloc::vec::Vec;

use abi::{Errno, Result};

use super::cell::{Cell, Color, Flags};
use super::font::{self, HEIGHT, WIDTH};
use super::{CursorLook, PALETTE, Screen};

/// Where pixels go.
pub trait Canvas {
    /// Draws a part of a line of pixels, each `0x00RRGGBB`, from column `x` of line `y` on.
    fn put(&mut self, x: usize, y: usize, pixels: &[u32]);
}

/// Foreground of text without a colour: the palette's seventh.
const FOREGROUND: u8 = 7;
/// Rows that are underlined and struck through.
const UNDERLINE_ROW: usize = 14;
const STRIKE_ROW: usize = 7;

/// How the palette is applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Look {
    palette: [u32; 16],
    is_reversed: bool,
}

/// Draws a screen.
#[derive(Debug)]
pub struct Painter {
    shown: Vec<Cell>,
    rows: usize,
    columns: usize,
    look: Look,
    cursor: (usize, usize, CursorLook),
}

/// A cell that none is equal to: what is shown is not known.
const UNKNOWN: Cell = Cell { character: '\0', ..Cell::BLANK };

impl Painter {
    /// A painter of `rows` lines of `columns` characters, who knows nothing of what is shown.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn try_new(rows: u16, columns: u16) -> Result<Self> {
        let (rows, columns) = (usize::from(rows), usize::from(columns));
        let mut shown = Vec::new();
        shown.try_reserve_exact(rows * columns).map_err(|_| Errno::ENOMEM)?;
        shown.resize(rows * columns, UNKNOWN);
        let look = Look { palette: PALETTE, is_reversed: false };
        Ok(Painter { shown, rows, columns, look, cursor: (0, 0, CursorLook::Hidden) })
    }

    /// Somebody else drew: everything is to be drawn again.
    pub fn forget(&mut self) {
        self.shown.fill(UNKNOWN);
    }

    /// Draws what changed, and the cursor. Takes the screen's damage.
    pub fn paint(&mut self, screen: &mut Screen, canvas: &mut impl Canvas) {
        let look = Look { palette: *screen.palette(), is_reversed: screen.modes().is_reversed };
        if look != self.look {
            self.look = look;
            self.forget();
        }
        let cursor = screen.cursor();
        if cursor != self.cursor {
            self.uncover_cursor();
        }
        for row in 0..self.rows.min(screen.rows()) {
            let damage = screen.take_damage(row);
            let line = screen.line(row);
            let is_cursor_here = cursor.0 == row || self.cursor.0 == row;
            let columns = if is_cursor_here { 0..self.columns } else { damage };
            self.paint_line(row, columns, line, cursor, canvas);
        }
        self.cursor = cursor;
    }

    /// The cell under the cursor has other pixels than its own.
    fn uncover_cursor(&mut self) {
        let (row, column, _) = self.cursor;
        if let Some(cell) = self.shown.get_mut(row * self.columns + column) {
            *cell = UNKNOWN;
        }
    }

    fn paint_line(
        &mut self,
        row: usize,
        columns: core::ops::Range<usize>,
        line: &[Cell],
        cursor: (usize, usize, CursorLook),
        canvas: &mut impl Canvas,
    ) {
        for column in columns.start..columns.end.min(self.columns) {
            let Some(&cell) = line.get(column) else { return };
            let Some(shown) = self.shown.get_mut(row * self.columns + column) else { return };
            let has_cursor = (row, column) == (cursor.0, cursor.1) && cursor.2 != CursorLook::Hidden;
            if *shown == cell && !(has_cursor && cursor != self.cursor) {
                continue;
            }
            *shown = cell;
            let cursor_look = if has_cursor { cursor.2 } else { CursorLook::Hidden };
            self.paint_cell(row, column, cell, cursor_look, canvas);
        }
    }

    fn paint_cell(
        &self,
        row: usize,
        column: usize,
        cell: Cell,
        cursor: CursorLook,
        canvas: &mut impl Canvas,
    ) {
        let (foreground, background) = self.colors(&cell);
        let flags = cell.style.flags;
        let glyph = font::glyph(cell.character);
        for (line, bits) in glyph.into_iter().enumerate() {
            let mut bits = match line {
                _ if flags.has(Flags::HIDDEN) => 0,
                UNDERLINE_ROW if flags.has(Flags::UNDERLINE) => u8::MAX,
                STRIKE_ROW if flags.has(Flags::STRIKE) => u8::MAX,
                0..5 if flags.has(Flags::ITALIC) => bits >> 1,
                10.. if flags.has(Flags::ITALIC) => bits << 1,
                _ => bits,
            };
            let is_covered = match cursor {
                CursorLook::Hidden => false,
                CursorLook::Line => line >= HEIGHT - 3,
                CursorLook::Half => line >= HEIGHT / 2,
                CursorLook::Block => true,
            };
            if is_covered {
                bits = !bits;
            }
            let mut pixels = [background; WIDTH];
            for (place, pixel) in pixels.iter_mut().enumerate() {
                if bits & 0x80 >> place != 0 {
                    *pixel = foreground;
                }
            }
            canvas.put(column * WIDTH, row * HEIGHT + line, &pixels);
        }
    }

    /// Foreground and background as pixels.
    fn colors(&self, cell: &Cell) -> (u32, u32) {
        let flags = cell.style.flags;
        let foreground = match cell.style.foreground {
            Color::Default => Color::Indexed(FOREGROUND),
            other => other,
        };
        // Bold brightens the first eight, as on Linux's console.
        let foreground = match foreground {
            Color::Indexed(index @ 0..8) if flags.has(Flags::BOLD) => Color::Indexed(index + 8),
            other => other,
        };
        let background = match cell.style.background {
            Color::Default => Color::Indexed(0),
            other => other,
        };
        let (mut front, mut back) = (self.pixel(foreground), self.pixel(background));
        if flags.has(Flags::DIM) {
            front = (front >> 1 & 0x7f_7f7f) + (front >> 3 & 0x1f_1f1f);
        }
        if flags.has(Flags::REVERSE) != self.look.is_reversed {
            core::mem::swap(&mut front, &mut back);
        }
        (front, back)
    }

    fn pixel(&self, color: Color) -> u32 {
        match color {
            Color::Default => 0,
            Color::Rgb(red, green, blue) => u32::from_be_bytes([0, red, green, blue]),
            Color::Indexed(index) => match index {
                0..16 => self.look.palette.get(usize::from(index)).copied().unwrap_or(0),
                16..232 => {
                    let level = |value: u8| if value == 0 { 0 } else { value * 40 + 55 };
                    let cube = index - 16;
                    u32::from_be_bytes([0, level(cube / 36), level(cube / 6 % 6), level(cube % 6)])
                }
                232.. => {
                    let gray = (index - 232) * 10 + 8;
                    u32::from_be_bytes([0, gray, gray, gray])
                }
            },
        }
    }
}

/// A cell of VGA's text mode: character, and attributes in the high byte.
pub fn text_cell(cell: &Cell, screen: &Screen) -> u16 {
    let flags = cell.style.flags;
    let nearest = |color, default| match color {
        Color::Default => default,
        Color::Indexed(index @ 0..16) => TO_VGA.get(usize::from(index)).copied().unwrap_or(default),
        Color::Indexed(index @ 16..232) => {
            let cube = index - 16;
            nearest_vga([cube / 36 * 51, cube / 6 % 6 * 51, cube % 6 * 51])
        }
        Color::Indexed(index) => nearest_vga([(index - 232) * 10 + 8; 3]),
        Color::Rgb(red, green, blue) => nearest_vga([red, green, blue]),
    };
    let mut front = nearest(cell.style.foreground, FOREGROUND);
    let mut back = nearest(cell.style.background, 0) & 7;
    if flags.has(Flags::DIM) {
        front = 8;
    }
    if flags.has(Flags::REVERSE) != screen.modes().is_reversed {
        (front, back) = (back, front & 7);
    }
    if flags.has(Flags::BOLD) {
        front |= 8;
    }
    let character = if flags.has(Flags::HIDDEN) { b' ' } else { font::code_page_437(cell.character) };
    u16::from_le_bytes([character, back << 4 | front])
}

/// Red and blue are exchanged in VGA's numbers.
const TO_VGA: [u8; 16] = [0, 4, 2, 6, 1, 5, 3, 7, 8, 12, 10, 14, 9, 13, 11, 15];

fn nearest_vga([red, green, blue]: [u8; 3]) -> u8 {
    let most = red.max(green).max(blue);
    let is_on = |part: u8| u8::from(part > most / 2 && part > 40);
    is_on(red) << 2 | is_on(green) << 1 | is_on(blue) | u8::from(most > 200) << 3
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    struct Picture {
        pixels: Vec<u32>,
        width: usize,
        writes: usize,
    }

    impl Canvas for Picture {
        fn put(&mut self, x: usize, y: usize, pixels: &[u32]) {
            let start = y * self.width + x;
            self.pixels[start..start + pixels.len()].copy_from_slice(pixels);
            self.writes += 1;
        }
    }

    fn setting() -> (Screen, Painter, Picture) {
        let picture = Picture { pixels: vec![1; 80 * WIDTH * 25 * HEIGHT], width: 80 * WIDTH, writes: 0 };
        (Screen::try_new(25, 80, 10).unwrap(), Painter::try_new(25, 80).unwrap(), picture)
    }

    #[test]
    fn only_what_changed_is_drawn() {
        let (mut screen, mut painter, mut picture) = setting();
        painter.paint(&mut screen, &mut picture);
        assert_eq!(picture.writes, 25 * 80 * HEIGHT);
        assert!(picture.pixels.iter().all(|&pixel| pixel == 0 || pixel == 0xaa_aaaa));
        screen.feed(b"x");
        painter.paint(&mut screen, &mut picture);
        // The character, and the cursor beside it.
        assert_eq!(picture.writes, (25 * 80 + 2) * HEIGHT);
        painter.paint(&mut screen, &mut picture);
        assert_eq!(picture.writes, (25 * 80 + 2) * HEIGHT);
    }

    #[test]
    fn painting_by_damage_is_painting_all() {
        let (mut screen, mut painter, mut picture) = setting();
        for round in 0..200_u32 {
            let text = std::format!(
                "\x1b[{};{}H\x1b[3{}mround {round}\x1b[{}m\r\n\x1b[{}L",
                round * 7 % 25 + 1,
                round * 13 % 80 + 1,
                round % 8,
                round % 8,
                round % 3
            );
            screen.feed(text.as_bytes());
            painter.paint(&mut screen, &mut picture);
            let (_, mut fresh, mut whole) = setting();
            screen.damage_all();
            fresh.paint(&mut screen, &mut whole);
            assert!(picture.pixels == whole.pixels, "round {round}");
        }
    }

    #[test]
    fn colours_are_what_they_say() {
        let (mut screen, mut painter, mut picture) = setting();
        screen.feed(
            "\x1b[?25l\x1b[31m█\x1b[91m█\x1b[38;5;196m█\x1b[38;2;1;2;3m█\x1b[0;1m█\x1b[0;7m \x1b[44m\x1b[K"
                .as_bytes(),
        );
        painter.paint(&mut screen, &mut picture);
        let found: Vec<u32> = (0..7).map(|column| picture.pixels[column * WIDTH]).collect();
        assert_eq!(found, [0xaa_0000, 0xff_5555, 0xff_0000, 0x01_0203, 0xff_ffff, 0xaa_aaaa, 0x00_00aa]);
        assert_eq!(text_cell(&screen.line(0)[0], &screen), 0x04db);
        screen.feed(b"\x1b]P1123456");
        painter.paint(&mut screen, &mut picture);
        assert_eq!(picture.pixels[0], 0x12_3456);
    }
}
