//! What is printed on the keys: layouts `us` and `de`, and dead keys.

use super::Code;

/// Which of a key's characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// Without a modifier.
    Plain,
    /// With Shift.
    Shift,
    /// With AltGr.
    AltGr,
}

/// Keys that stand beside each other: code of the first, and the characters of each level. A blank is a key without one.
struct Row {
    first: u8,
    plain: &'static str,
    shift: &'static str,
    alt_gr: &'static str,
}

/// A layout.
pub struct Layout {
    /// Its name, as loadkeys(1) has it.
    pub name: &'static str,
    /// Whether the right Alt key is AltGr.
    pub has_alt_gr: bool,
    rows: [Row; 6],
}

impl core::fmt::Debug for Layout {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name)
    }
}

const fn row(first: u8, plain: &'static str, shift: &'static str, alt_gr: &'static str) -> Row {
    Row { first, plain, shift, alt_gr }
}

/// The layouts there are, the usual one first. Dead keys are combining marks.
pub static LAYOUTS: [Layout; 2] = [
    Layout {
        name: "us",
        has_alt_gr: false,
        rows: [
            row(2, "1234567890-=", "!@#$%^&*()_+", ""),
            row(16, "qwertyuiop[]", "QWERTYUIOP{}", ""),
            row(30, "asdfghjkl;'`", "ASDFGHJKL:\"~", ""),
            row(43, "\\zxcvbnm,./", "|ZXCVBNM<>?", ""),
            row(86, "<", ">", ""),
            row(57, " ", " ", " "),
        ],
    },
    Layout {
        name: "de",
        has_alt_gr: true,
        rows: [
            row(2, "1234567890ß\u{301}", "!\"§$%&/()=?\u{300}", " ²³   {[]}\\ "),
            row(16, "qwertzuiopü+", "QWERTZUIOPÜ*", "@ €        ~"),
            row(30, "asdfghjklöä\u{302}", "ASDFGHJKLÖÄ°", "           ′"),
            row(43, "#yxcvbnm,.-", "'YXCVBNM;:_", "       µ   "),
            row(86, "<", ">", "|"),
            row(57, " ", " ", " "),
        ],
    },
];

/// The layout of that name.
pub fn by_name(name: &str) -> Option<&'static Layout> {
    LAYOUTS.iter().find(|layout| layout.name == name)
}

impl Layout {
    /// The character of a key.
    pub fn character(&self, code: Code, level: Level) -> Option<char> {
        let (row, place) = self.rows.iter().find_map(|row| {
            let place = usize::from(code.0.checked_sub(row.first)?);
            (place < row.plain.chars().count()).then_some((row, place))
        })?;
        let characters = match level {
            Level::Plain => row.plain,
            Level::Shift => row.shift,
            Level::AltGr => row.alt_gr,
        };
        characters.chars().nth(place).filter(|&character| character != ' ' || row.first == 57)
    }
}

/// Whether it waits for another character.
pub(super) fn is_dead(character: char) -> bool {
    ('\u{300}'..'\u{370}').contains(&character)
}

/// A dead key's mark alone.
pub(super) fn spacing(dead: char) -> char {
    match dead {
        '\u{300}' => '`',
        '\u{301}' => '\'',
        '\u{302}' => '^',
        '\u{303}' => '~',
        _ => '"',
    }
}

/// A letter with a mark.
pub(super) fn compose(dead: char, letter: char) -> Option<char> {
    const LETTERS: &str = "aeiouyncsgzAEIOUYNCSGZ";
    let composed = match dead {
        '\u{300}' => "àèìòù ǹ    ÀÈÌÒÙ Ǹ    ",
        '\u{301}' => "áéíóúýńćśǵźÁÉÍÓÚÝŃĆŚǴŹ",
        '\u{302}' => "âêîôûŷ ĉŝĝ ÂÊÎÔÛŶ ĈŜĜ ",
        '\u{303}' => "ãẽĩõũ ñ    ÃẼĨÕŨ Ñ    ",
        _ => return None,
    };
    let place = LETTERS.chars().position(|other| other == letter)?;
    composed.chars().nth(place).filter(|&character| character != ' ')
}
