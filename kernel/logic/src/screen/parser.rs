//! Bytes into actions: UTF-8, control characters, escape and control sequences.
//!
//! The states are those of ECMA-48 as VT500 terminals have them. Two things are Linux's own (console_codes(4)): `ESC ] P`
//! and `ESC ] R`, which no terminator ends, and `CSI [`, which swallows a byte.

/// Parameters kept; more are dropped.
const MAX_PARAMETERS: usize = 32;

/// What a sequence asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    Print(char),
    Control(u8),
    Escape { intermediate: u8, last: u8 },
    Csi { marker: u8, intermediate: u8, last: u8 },
    SetColor { index: u8, rgb: u32 },
    ResetColors,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    #[default]
    Ground,
    /// In a character: what it is so far, bytes to come, and what the next may be.
    Character {
        value: u32,
        left: u8,
        least: u8,
        most: u8,
    },
    Escape,
    Csi,
    /// A control sequence that means nothing, to its end.
    CsiIgnored,
    /// Text to be ignored: `ends_at_bell` in an operating system command.
    String {
        ends_at_bell: bool,
    },
    /// After `ESC ]`.
    Command,
    /// Hexadecimal digits of `ESC ] P`: those to come, and what they say so far.
    Palette {
        left: u8,
        value: u32,
    },
    /// A byte that `CSI [` swallows.
    Swallow,
}

/// The numbers of a control sequence.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parameters {
    values: [u16; MAX_PARAMETERS],
    len: usize,
    /// Bit `n`: number `n` was joined to the one before by a colon.
    joined: u32,
}

impl Parameters {
    /// The number at `index`, `default` if it is missing or zero.
    pub(super) fn or(&self, index: usize, default: u16) -> u16 {
        match self.values.get(index) {
            Some(&value) if index < self.len && value != 0 => value,
            _ => default,
        }
    }

    /// A count or coordinate: at least one.
    pub(super) fn count(&self, index: usize) -> usize {
        usize::from(self.or(index, 1))
    }

    pub(super) fn as_slice(&self) -> &[u16] {
        self.values.get(..self.len).unwrap_or_default()
    }

    pub(super) fn is_joined(&self, index: usize) -> bool {
        index < MAX_PARAMETERS && self.joined & (1 << index) != 0
    }

    fn digit(&mut self, digit: u8) {
        self.len = self.len.max(1);
        if let Some(value) = self.values.get_mut(self.len - 1) {
            *value = value.saturating_mul(10).saturating_add(u16::from(digit));
        }
    }

    /// Says whether there was room.
    fn next(&mut self, is_joined: bool) -> bool {
        self.len = self.len.max(1);
        if self.len == MAX_PARAMETERS {
            return false;
        }
        self.joined |= u32::from(is_joined) << self.len;
        self.len += 1;
        true
    }
}

#[derive(Debug, Default)]
pub(super) struct Parser {
    state: State,
    pub(super) parameters: Parameters,
    marker: u8,
    intermediate: u8,
    /// More than one intermediate: no sequence has that.
    is_odd: bool,
}

/// What became of a byte.
pub(super) struct Step {
    pub(super) action: Option<Action>,
    /// The byte ended something and is to be given again.
    pub(super) is_again: bool,
}

const NOTHING: Step = Step { action: None, is_again: false };

fn act(action: Action) -> Step {
    Step { action: Some(action), is_again: false }
}

impl Parser {
    /// Whether plain text is plain text.
    pub(super) fn is_ground(&self) -> bool {
        self.state == State::Ground
    }

    pub(super) fn advance(&mut self, byte: u8) -> Step {
        if let State::Character { value, left, least, most } = self.state {
            return self.continue_character(byte, value, left, least..=most);
        }
        match byte {
            0x1b => {
                (self.state, self.intermediate, self.is_odd) = (State::Escape, 0, false);
                return NOTHING;
            }
            // Cancel and substitute end any sequence.
            0x18 | 0x1a => {
                self.state = State::Ground;
                return NOTHING;
            }
            _ => {}
        }
        match self.state {
            State::Ground | State::Character { .. } => self.ground(byte),
            State::Escape => self.escape(byte),
            State::Csi => self.csi(byte),
            State::CsiIgnored => match byte {
                0..0x20 => act(Action::Control(byte)),
                0x40..0x7f => self.end(None),
                _ => NOTHING,
            },
            State::String { ends_at_bell } => {
                if ends_at_bell && byte == 7 {
                    self.state = State::Ground;
                }
                NOTHING
            }
            State::Command => self.command(byte),
            State::Palette { left, value } => self.palette(byte, left, value),
            State::Swallow => self.end(None),
        }
    }

    fn end(&mut self, action: Option<Action>) -> Step {
        self.state = State::Ground;
        Step { action, is_again: false }
    }

    fn ground(&mut self, byte: u8) -> Step {
        let (value, left, least, most) = match byte {
            0..0x20 => return act(Action::Control(byte)),
            0x20..0x7f => return act(Action::Print(char::from(byte))),
            0x7f => return NOTHING,
            // No overlong forms, no surrogates, nothing above U+10FFFF.
            0xc2..=0xdf => (byte & 0x1f, 1, 0x80, 0xbf),
            0xe0 => (0, 2, 0xa0, 0xbf),
            0xed => (0xd, 2, 0x80, 0x9f),
            0xe1..=0xef => (byte & 0xf, 2, 0x80, 0xbf),
            0xf0 => (0, 3, 0x90, 0xbf),
            0xf1..=0xf3 => (byte & 7, 3, 0x80, 0xbf),
            0xf4 => (4, 3, 0x80, 0x8f),
            _ => return act(Action::Print(char::REPLACEMENT_CHARACTER)),
        };
        self.state = State::Character { value: u32::from(value), left, least, most };
        NOTHING
    }

    fn continue_character(
        &mut self,
        byte: u8,
        value: u32,
        left: u8,
        expected: core::ops::RangeInclusive<u8>,
    ) -> Step {
        if !expected.contains(&byte) {
            self.state = State::Ground;
            return Step { action: Some(Action::Print(char::REPLACEMENT_CHARACTER)), is_again: true };
        }
        let value = value << 6 | u32::from(byte & 0x3f);
        if left > 1 {
            self.state = State::Character { value, left: left - 1, least: 0x80, most: 0xbf };
            return NOTHING;
        }
        let character = char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER);
        self.end(Some(Action::Print(character)))
    }

    fn escape(&mut self, byte: u8) -> Step {
        match byte {
            0..0x20 => return act(Action::Control(byte)),
            0x20..0x30 => {
                self.is_odd |= self.intermediate != 0;
                self.intermediate = byte;
            }
            b'[' if self.intermediate == 0 => {
                (self.parameters, self.marker) = (Parameters::default(), 0);
                self.state = State::Csi;
            }
            b']' if self.intermediate == 0 => self.state = State::Command,
            b'P' | b'X' | b'^' | b'_' if self.intermediate == 0 => {
                self.state = State::String { ends_at_bell: false };
            }
            0x30..0x7f => {
                let action = Action::Escape { intermediate: self.intermediate, last: byte };
                let is_known = !self.is_odd;
                return self.end(is_known.then_some(action));
            }
            _ => {}
        }
        NOTHING
    }

    fn csi(&mut self, byte: u8) -> Step {
        match byte {
            0..0x20 => return act(Action::Control(byte)),
            0x20..0x30 => {
                self.is_odd |= self.intermediate != 0;
                self.intermediate = byte;
            }
            b'0'..=b'9' if self.intermediate == 0 => self.parameters.digit(byte - b'0'),
            b':' | b';' if self.intermediate == 0 => {
                if !self.parameters.next(byte == b':') {
                    self.state = State::CsiIgnored;
                }
            }
            b'<'..=b'?' if self.parameters.len == 0 && self.marker == 0 && self.intermediate == 0 => {
                self.marker = byte;
            }
            0x30..0x40 => self.state = State::CsiIgnored,
            b'[' => self.state = State::Swallow,
            0x40..0x7f => {
                let action = Action::Csi { marker: self.marker, intermediate: self.intermediate, last: byte };
                let is_known = !self.is_odd;
                return self.end(is_known.then_some(action));
            }
            _ => {}
        }
        NOTHING
    }

    fn command(&mut self, byte: u8) -> Step {
        match byte {
            b'P' => self.state = State::Palette { left: 7, value: 0 },
            b'R' => return self.end(Some(Action::ResetColors)),
            7 => self.state = State::Ground,
            _ => self.state = State::String { ends_at_bell: true },
        }
        NOTHING
    }

    fn palette(&mut self, byte: u8, left: u8, value: u32) -> Step {
        let Some(digit) = char::from(byte).to_digit(16) else {
            self.state = State::Ground;
            return Step { action: None, is_again: true };
        };
        let value = value << 4 | digit;
        if left > 1 {
            self.state = State::Palette { left: left - 1, value };
            return NOTHING;
        }
        let [index, ..] = value.to_be_bytes();
        self.end(Some(Action::SetColor { index, rgb: value & 0xff_ffff }))
    }
}
