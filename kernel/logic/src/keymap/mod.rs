//! Keys into what a console does: bytes for the terminal, another console, scrolling back.
//!
//! [`scancode`] turns what a PC's keyboard sends into key codes of Linux's input layer; a [`Keyboard`] holds modifiers,
//! locks and dead keys, and turns presses into [`Action`]s as Linux's console does by default (console_codes(4),
//! terminfo's `linux`). Spec of the codes: `linux/input-event-codes.h`.
//!
//! - [`scancode`]: bytes of the keyboard.
//! - [`mouse`]: what a mouse sends.
//! - [`layout`]: what is printed on the keys.

pub mod layout;
pub mod mouse;
pub mod scancode;

use layout::Layout;

/// Whether a key went down or up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Motion {
    /// Down, or held down until it repeats.
    Pressed,
    /// Up.
    Released,
}

/// Keys by Linux's codes, as far as they are no characters.
pub mod key {
    use super::Code;

    macro_rules! codes {
        ($($name:ident = $value:literal;)*) => {
            $(#[doc = stringify!($name)] pub const $name: Code = Code($value);)*
        };
    }

    codes! {
        ESCAPE = 1; BACKSPACE = 14; TAB = 15; ENTER = 28; LEFT_CTRL = 29; LEFT_SHIFT = 42; RIGHT_SHIFT = 54;
        KEYPAD_ASTERISK = 55; LEFT_ALT = 56; SPACE = 57; CAPS_LOCK = 58; F1 = 59; F10 = 68; NUM_LOCK = 69;
        SCROLL_LOCK = 70; KEYPAD_7 = 71; KEYPAD_DOT = 83; F11 = 87; F12 = 88; KEYPAD_ENTER = 96; RIGHT_CTRL = 97;
        KEYPAD_SLASH = 98; SYSRQ = 99; RIGHT_ALT = 100; HOME = 102; UP = 103; PAGE_UP = 104; LEFT = 105;
        RIGHT = 106; END = 107; DOWN = 108; PAGE_DOWN = 109; INSERT = 110; DELETE = 111; POWER = 116; PAUSE = 119;
        LEFT_META = 125; RIGHT_META = 126; MENU = 127;
    }
}

/// A key, by the number Linux's input layer gives it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Code(pub u8);

/// A few bytes for the terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bytes {
    bytes: [u8; 12],
    len: u8,
}

impl Bytes {
    const NONE: Self = Bytes { bytes: [0; 12], len: 0 };

    fn of(text: &[u8]) -> Self {
        let mut bytes = Self::NONE;
        text.iter().for_each(|&byte| bytes.push(byte));
        bytes
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(usize::from(self.len)) {
            *place = byte;
            self.len += 1;
        }
    }

    fn push_character(&mut self, character: char) {
        let mut buffer = [0; 4];
        character.encode_utf8(&mut buffer).bytes().for_each(|byte| self.push(byte));
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// What follows from a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Nothing.
    None,
    /// These bytes are typed.
    Type(Bytes),
    /// The console of that index is shown.
    Show(usize),
    /// The console before or after is shown.
    ShowNext(isize),
    /// So many half screens back, or forward.
    ScrollBack(isize),
    /// Ctrl-Alt-Delete.
    Reboot,
    /// SysRq and this character.
    SysRq(char),
    /// A lock changed: the lights are to be set.
    Lights,
}

/// How the program on the console wants its keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wanted {
    /// Cursor keys begin with `ESC O`.
    pub is_cursor_application: bool,
    /// The keypad sends `ESC O` and a letter.
    pub is_keypad_application: bool,
    /// Return sends a line feed too.
    pub is_new_line: bool,
}

/// Caps, Num and Scroll.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Locks {
    /// Letters are capitals.
    pub is_caps: bool,
    /// The keypad gives digits.
    pub is_num: bool,
    /// Shown by the light alone.
    pub is_scroll: bool,
}

/// A keyboard's modifiers and locks, and the dead key that waits.
#[derive(Clone, Copy, Debug)]
pub struct Keyboard {
    layout: &'static Layout,
    /// Left and right.
    shift: [bool; 2],
    ctrl: [bool; 2],
    is_alt: bool,
    is_alt_gr: bool,
    is_sysrq: bool,
    locks: Locks,
    dead: Option<char>,
}

impl Keyboard {
    /// With nothing pressed.
    pub const fn new(layout: &'static Layout) -> Self {
        Keyboard {
            layout,
            shift: [false; 2],
            ctrl: [false; 2],
            is_alt: false,
            is_alt_gr: false,
            is_sysrq: false,
            locks: Locks { is_caps: false, is_num: false, is_scroll: false },
            dead: None,
        }
    }

    /// The locks, for the lights.
    pub fn locks(&self) -> Locks {
        self.locks
    }

    /// A key moved.
    pub fn input(&mut self, code: Code, motion: Motion, wanted: Wanted) -> Action {
        if self.modify(code, motion) || motion == Motion::Released {
            return Action::None;
        }
        if self.is_sysrq && code != key::SYSRQ {
            return self.layout.character(code, layout::Level::Plain).map_or(Action::None, Action::SysRq);
        }
        if let Some(action) = self.lock(code).or_else(|| self.command(code)) {
            return action;
        }
        let typed = match self.function(code, wanted) {
            Some(bytes) => Some(bytes),
            None => self.character(code),
        };
        let Some(bytes) = typed.filter(|bytes| bytes.len > 0) else { return Action::None };
        if !self.is_alt {
            return Action::Type(bytes);
        }
        let mut with_escape = Bytes::of(b"\x1b");
        bytes.as_slice().iter().for_each(|&byte| with_escape.push(byte));
        Action::Type(with_escape)
    }

    /// Says whether it is a modifier.
    fn modify(&mut self, code: Code, motion: Motion) -> bool {
        let is_down = motion == Motion::Pressed;
        match code {
            key::LEFT_SHIFT => self.shift[0] = is_down,
            key::RIGHT_SHIFT => self.shift[1] = is_down,
            key::LEFT_CTRL => self.ctrl[0] = is_down,
            key::RIGHT_CTRL => self.ctrl[1] = is_down,
            key::LEFT_ALT => self.is_alt = is_down,
            key::RIGHT_ALT if self.layout.has_alt_gr => self.is_alt_gr = is_down,
            key::RIGHT_ALT => self.is_alt = is_down,
            // The key is Print unless Alt is held.
            key::SYSRQ => self.is_sysrq = is_down && (self.is_alt || self.is_sysrq),
            _ => return false,
        }
        true
    }

    fn has_shift(&self) -> bool {
        self.shift != [false; 2]
    }

    fn has_ctrl(&self) -> bool {
        self.ctrl != [false; 2]
    }

    fn lock(&mut self, code: Code) -> Option<Action> {
        let lock = match code {
            key::CAPS_LOCK => &mut self.locks.is_caps,
            key::NUM_LOCK => &mut self.locks.is_num,
            key::SCROLL_LOCK => &mut self.locks.is_scroll,
            _ => return None,
        };
        *lock = !*lock;
        Some(Action::Lights)
    }

    /// What is for the console, not for the program.
    fn command(&self, code: Code) -> Option<Action> {
        let number = function_number(code);
        Some(match code {
            _ if self.is_alt && number.is_some() => Action::Show(number?),
            key::LEFT if self.is_alt => Action::ShowNext(-1),
            key::RIGHT if self.is_alt => Action::ShowNext(1),
            key::PAGE_UP if self.has_shift() => Action::ScrollBack(1),
            key::PAGE_DOWN if self.has_shift() => Action::ScrollBack(-1),
            key::DELETE | key::KEYPAD_DOT if self.is_alt && self.has_ctrl() => Action::Reboot,
            _ => return None,
        })
    }

    /// Keys that are no characters.
    fn function(&self, code: Code, wanted: Wanted) -> Option<Bytes> {
        if let Some(index) = function_number(code) {
            return Some(function_key(if self.has_shift() { index + 12 } else { index }));
        }
        let text: &[u8] = match code {
            key::ESCAPE => b"\x1b",
            key::BACKSPACE if self.has_ctrl() => b"\x08",
            key::BACKSPACE => b"\x7f",
            key::TAB if self.has_shift() => b"\x1b\t",
            key::TAB => b"\t",
            key::ENTER if wanted.is_new_line => b"\r\n",
            key::ENTER => b"\r",
            key::HOME => b"\x1b[1~",
            key::INSERT => b"\x1b[2~",
            key::DELETE => b"\x1b[3~",
            key::END => b"\x1b[4~",
            key::PAGE_UP => b"\x1b[5~",
            key::PAGE_DOWN => b"\x1b[6~",
            key::PAUSE => b"\x1b[P",
            key::UP => return Some(cursor_key(b'A', wanted)),
            key::DOWN => return Some(cursor_key(b'B', wanted)),
            key::RIGHT => return Some(cursor_key(b'C', wanted)),
            key::LEFT => return Some(cursor_key(b'D', wanted)),
            _ => return self.keypad(code, wanted),
        };
        Some(Bytes::of(text))
    }

    fn keypad(&self, code: Code, wanted: Wanted) -> Option<Bytes> {
        /// Codes from the seven on: digit or sign, what it sends to applications, and as what key it serves.
        const KEYS: [(u8, u8, &[u8]); 13] = [
            (b'7', b'w', b"\x1b[1~"),
            (b'8', b'x', b"A"),
            (b'9', b'y', b"\x1b[5~"),
            (b'-', b'S', b"-"),
            (b'4', b't', b"D"),
            (b'5', b'u', b"\x1b[G"),
            (b'6', b'v', b"C"),
            (b'+', b'l', b"+"),
            (b'1', b'q', b"\x1b[4~"),
            (b'2', b'r', b"B"),
            (b'3', b's', b"\x1b[6~"),
            (b'0', b'p', b"\x1b[2~"),
            (b'.', b'n', b"\x1b[3~"),
        ];
        let (digit, letter, key) = match code {
            key::KEYPAD_ENTER => (b'\r', b'M', b"\r".as_slice()),
            key::KEYPAD_SLASH => (b'/', b'Q', b"/".as_slice()),
            key::KEYPAD_ASTERISK => (b'*', b'R', b"*".as_slice()),
            _ => *KEYS.get(usize::from(code.0.checked_sub(key::KEYPAD_7.0)?))?,
        };
        Some(match key {
            _ if wanted.is_keypad_application && !self.has_shift() => Bytes::of(&[0x1b, b'O', letter]),
            _ if self.locks.is_num => Bytes::of(&[digit]),
            [letter @ b'A'..=b'D'] => cursor_key(*letter, wanted),
            key => Bytes::of(key),
        })
    }

    fn character(&mut self, code: Code) -> Option<Bytes> {
        let level = match (self.is_alt_gr, self.has_shift()) {
            (false, false) => layout::Level::Plain,
            (false, true) => layout::Level::Shift,
            (true, _) => layout::Level::AltGr,
        };
        let mut character = self.layout.character(code, level)?;
        if self.locks.is_caps && level != layout::Level::AltGr {
            character = other_case(character);
        }
        if self.has_ctrl() {
            self.dead = None;
            return control(character).map(|byte| Bytes::of(&[byte]));
        }
        let mut bytes = Bytes::NONE;
        match (self.dead.take(), layout::is_dead(character)) {
            (None, true) => self.dead = Some(character),
            (None, false) => bytes.push_character(character),
            (Some(dead), _) => match layout::compose(dead, character) {
                Some(composed) => bytes.push_character(composed),
                None => {
                    bytes.push_character(layout::spacing(dead));
                    if character != ' ' && !layout::is_dead(character) {
                        bytes.push_character(character);
                    }
                }
            },
        }
        Some(bytes)
    }
}

/// Which function key it is, from 0 on.
fn function_number(code: Code) -> Option<usize> {
    match code {
        key::F11 => Some(10),
        key::F12 => Some(11),
        _ if (key::F1..=key::F10).contains(&code) => Some(usize::from(code.0 - key::F1.0)),
        _ => None,
    }
}

/// What function keys send; from the thirteenth on they are those with Shift.
fn function_key(index: usize) -> Bytes {
    const FROM_SIX: [&[u8]; 15] = [
        b"17", b"18", b"19", b"20", b"21", b"23", b"24", b"25", b"26", b"28", b"29", b"31", b"32", b"33",
        b"34",
    ];
    let mut bytes = Bytes::of(b"\x1b[");
    match (u8::try_from(index), index.checked_sub(5).and_then(|place| FROM_SIX.get(place))) {
        (Ok(index @ 0..5), _) => {
            bytes.push(b'[');
            bytes.push(b'A' + index);
        }
        (_, Some(number)) => {
            number.iter().for_each(|&byte| bytes.push(byte));
            bytes.push(b'~');
        }
        _ => return Bytes::NONE,
    }
    bytes
}

fn cursor_key(letter: u8, wanted: Wanted) -> Bytes {
    Bytes::of(&[0x1b, if wanted.is_cursor_application { b'O' } else { b'[' }, letter])
}

/// Capital for small and small for capital, where each is one character.
fn other_case(character: char) -> char {
    let other = |mut cases: core::char::ToUppercase| cases.next().filter(|_| cases.next().is_none());
    if character.is_lowercase() {
        other(character.to_uppercase()).unwrap_or(character)
    } else {
        character.to_lowercase().next().unwrap_or(character)
    }
}

/// What Ctrl makes of a character.
fn control(character: char) -> Option<u8> {
    let byte = u8::try_from(character).ok()?;
    Some(match byte {
        b'a'..=b'z' | b'@'..=b'_' => byte & 0x1f,
        b' ' | b'2' | b'`' => 0,
        b'3'..=b'7' => byte - b'3' + 0x1b,
        b'/' | b'-' => 0x1f,
        b'8' | b'?' => 0x7f,
        b'\'' => 7,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
