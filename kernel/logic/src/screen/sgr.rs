//! `CSI … m`: colours and flags.

use super::cell::{Color, Flags, Style};
use super::parser::Parameters;

/// Changes the style as the numbers say; unknown ones are passed over.
pub(super) fn apply(style: &mut Style, parameters: &Parameters) {
    let numbers = parameters.as_slice();
    if numbers.is_empty() {
        *style = Style::default();
    }
    let mut index = 0;
    while let Some(&number) = numbers.get(index) {
        let end =
            (index + 1..numbers.len()).find(|&next| !parameters.is_joined(next)).unwrap_or(numbers.len());
        let joined = numbers.get(index + 1..end).unwrap_or_default();
        index = end;
        match number {
            38 | 48 => {
                let found = if joined.is_empty() {
                    let (color, used) = color(numbers.get(index..).unwrap_or_default());
                    index += used;
                    color
                } else {
                    joined_color(joined)
                };
                let Some(color) = found else { continue };
                if number == 38 {
                    style.foreground = color;
                } else {
                    style.background = color;
                }
            }
            // The colour of underlines: its numbers are no others'.
            58 if joined.is_empty() => index += color(numbers.get(index..).unwrap_or_default()).1,
            4 if joined.first() == Some(&0) => style.flags = style.flags.without(Flags::UNDERLINE),
            _ => simple(style, number),
        }
    }
}

fn simple(style: &mut Style, number: u16) {
    let flags = style.flags;
    let low = |first: u16| Color::Indexed(u8::try_from(number - first).unwrap_or(0));
    let bright = |first: u16| Color::Indexed(u8::try_from(number - first).unwrap_or(0) + 8);
    match number {
        0 => *style = Style::default(),
        1 => style.flags = flags.with(Flags::BOLD),
        2 => style.flags = flags.with(Flags::DIM),
        3 => style.flags = flags.with(Flags::ITALIC),
        4 | 21 => style.flags = flags.with(Flags::UNDERLINE),
        5 | 6 => style.flags = flags.with(Flags::BLINK),
        7 => style.flags = flags.with(Flags::REVERSE),
        8 => style.flags = flags.with(Flags::HIDDEN),
        9 => style.flags = flags.with(Flags::STRIKE),
        22 => style.flags = flags.without(Flags::BOLD.with(Flags::DIM)),
        23 => style.flags = flags.without(Flags::ITALIC),
        24 => style.flags = flags.without(Flags::UNDERLINE),
        25 => style.flags = flags.without(Flags::BLINK),
        27 => style.flags = flags.without(Flags::REVERSE),
        28 => style.flags = flags.without(Flags::HIDDEN),
        29 => style.flags = flags.without(Flags::STRIKE),
        30..=37 => style.foreground = low(30),
        39 => style.foreground = Color::Default,
        40..=47 => style.background = low(40),
        49 => style.background = Color::Default,
        90..=97 => style.foreground = bright(90),
        100..=107 => style.background = bright(100),
        _ => {}
    }
}

/// `5;N` or `2;R;G;B` after a 38 or 48: the colour, and how many numbers were its.
fn color(numbers: &[u16]) -> (Option<Color>, usize) {
    match *numbers {
        [5, index, ..] => (u8::try_from(index).ok().map(Color::Indexed), 2),
        [2, red, green, blue, ..] => (rgb(red, green, blue), 4),
        [5 | 2, ..] => (None, numbers.len()),
        [_, ..] => (None, 1),
        [] => (None, 0),
    }
}

/// `5:N`, `2:R:G:B`, or `2:SPACE:R:G:B`.
fn joined_color(numbers: &[u16]) -> Option<Color> {
    match *numbers {
        [5, index, ..] => u8::try_from(index).ok().map(Color::Indexed),
        [2, red, green, blue] | [2, _, red, green, blue, ..] => rgb(red, green, blue),
        _ => None,
    }
}

fn rgb(red: u16, green: u16, blue: u16) -> Option<Color> {
    Some(Color::Rgb(u8::try_from(red).ok()?, u8::try_from(green).ok()?, u8::try_from(blue).ok()?))
}
