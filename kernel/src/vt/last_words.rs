//! A panic, drawn over whatever is shown.
//!
//! Takes no lock and allocates nothing: the other CPUs are stopped, whatever they hold. The words start at the top and
//! end at the bottom of the picture: the first say why.

use core::sync::atomic::{AtomicUsize, Ordering};

use drivers::display::{Display, Found, TextMode};
use logic::screen::font::{self, HEIGHT, WIDTH};

use super::CONSOLES;

const FOREGROUND: u32 = 0xff_ffff;
const BACKGROUND: u32 = 0x00_0080;
/// White on blue.
const ATTRIBUTES: u8 = 0x1f;

static ROW: AtomicUsize = AtomicUsize::new(0);
static COLUMN: AtomicUsize = AtomicUsize::new(0);

pub(super) fn init() {
    hal::console::set_mirror(show);
}

fn show(bytes: &[u8]) {
    let Some(consoles) = CONSOLES.get() else { return };
    let (rows, columns) = (usize::from(consoles.size.0), usize::from(consoles.size.1));
    for &byte in bytes {
        let (row, column) = (ROW.load(Ordering::Relaxed), COLUMN.load(Ordering::Relaxed));
        if row >= rows {
            return;
        }
        if byte == b'\n' {
            // The rest of the line, so that nothing else is read with it.
            for column in column..columns {
                draw(&consoles.display, row, column, b' ');
            }
        } else {
            draw(&consoles.display, row, column, byte);
        }
        if byte == b'\n' || column + 1 == columns {
            ROW.store(row + 1, Ordering::Relaxed);
            COLUMN.store(0, Ordering::Relaxed);
        } else {
            COLUMN.store(column + 1, Ordering::Relaxed);
        }
    }
}

fn draw(display: &Found, row: usize, column: usize, byte: u8) {
    match display {
        Found::Pixels(display) => draw_pixels(display, row, column, byte),
        Found::Text(text) => draw_text(text, row, column, byte),
    }
}

fn draw_pixels(display: &Display, row: usize, column: usize, byte: u8) {
    for (line, bits) in font::glyph(char::from(byte)).into_iter().enumerate() {
        let mut pixels = [BACKGROUND; WIDTH];
        for (place, pixel) in pixels.iter_mut().enumerate() {
            if bits & 0x80 >> place != 0 {
                *pixel = FOREGROUND;
            }
        }
        display.draw(column * WIDTH, row * HEIGHT + line, &pixels);
    }
}

fn draw_text(text: &TextMode, row: usize, column: usize, byte: u8) {
    text.draw(row, column, u16::from_le_bytes([byte, ATTRIBUTES]));
}
