//! What a PC's keyboard sends (scan code set 1, into which the controller translates set 2) into key codes.
//!
//! The first 88 codes are those of Linux; keys that came later follow a prefix.

use super::{Code, Motion, key};

/// After which prefix the next byte is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    #[default]
    Start,
    /// After 0xe0.
    Extended,
    /// After 0xe1: so many bytes of Pause are to come.
    Pause(u8),
}

/// Reads scan codes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Decoder {
    state: State,
}

const RELEASED: u8 = 0x80;

impl Decoder {
    /// Nothing read yet.
    pub const fn new() -> Self {
        Decoder { state: State::Start }
    }

    /// Takes a byte; a key may have moved.
    pub fn input(&mut self, byte: u8) -> Option<(Code, Motion)> {
        let state = core::mem::take(&mut self.state);
        let motion = if byte & RELEASED == 0 { Motion::Pressed } else { Motion::Released };
        let code = byte & !RELEASED;
        match (state, byte) {
            (State::Pause(0), _) => Some((key::PAUSE, motion)),
            (State::Pause(left), _) => {
                self.state = State::Pause(left - 1);
                None
            }
            (State::Start, 0xe0) => {
                self.state = State::Extended;
                None
            }
            (_, 0xe1) => {
                self.state = State::Pause(1);
                None
            }
            (State::Start, _) => plain(code).map(|code| (code, motion)),
            (State::Extended, _) => extended(code).map(|code| (code, motion)),
        }
    }
}

fn plain(code: u8) -> Option<Code> {
    match code {
        1..=0x53 | 0x56..=0x58 => Some(Code(code)),
        // What Print sends while Alt is held.
        0x54 => Some(key::SYSRQ),
        _ => None,
    }
}

fn extended(code: u8) -> Option<Code> {
    Some(match code {
        0x1c => key::KEYPAD_ENTER,
        0x1d => key::RIGHT_CTRL,
        0x20 => Code(113),
        0x2e => Code(114),
        0x30 => Code(115),
        0x35 => key::KEYPAD_SLASH,
        0x37 => key::SYSRQ,
        0x38 => key::RIGHT_ALT,
        0x46 => key::PAUSE,
        0x47 => key::HOME,
        0x48 => key::UP,
        0x49 => key::PAGE_UP,
        0x4b => key::LEFT,
        0x4d => key::RIGHT,
        0x4f => key::END,
        0x50 => key::DOWN,
        0x51 => key::PAGE_DOWN,
        0x52 => key::INSERT,
        0x53 => key::DELETE,
        0x5b => key::LEFT_META,
        0x5c => key::RIGHT_META,
        0x5d => key::MENU,
        0x5e => key::POWER,
        // Shifts that keyboards pretend around cursor keys.
        _ => return None,
    })
}
