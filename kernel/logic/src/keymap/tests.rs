use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;

use super::layout::{LAYOUTS, by_name};
use super::scancode::Decoder;
use super::*;

const SHIFT: u8 = 42;
const CTRL: u8 = 29;
const ALT: u8 = 56;
const ALT_GR: u8 = 100;

/// Presses the last key while the others are held, and lets all go.
fn chord(keyboard: &mut Keyboard, keys: &[u8], wanted: Wanted) -> Action {
    let mut action = Action::None;
    for &key in keys {
        action = keyboard.input(Code(key), Motion::Pressed, wanted);
    }
    for &key in keys {
        assert_eq!(keyboard.input(Code(key), Motion::Released, wanted), Action::None);
    }
    action
}

fn typed(layout: &str, chords: &[&[u8]]) -> String {
    let mut keyboard = Keyboard::new(by_name(layout).unwrap());
    let mut bytes = Vec::new();
    for keys in chords {
        if let Action::Type(more) = chord(&mut keyboard, keys, Wanted::default()) {
            bytes.extend_from_slice(more.as_slice());
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn letters_follow_the_layout() {
    assert_eq!(typed("us", &[&[35], &[SHIFT, 18], &[21], &[44], &[12], &[SHIFT, 8]]), "hEyz-&");
    assert_eq!(typed("de", &[&[35], &[SHIFT, 18], &[21], &[44], &[12], &[SHIFT, 8]]), "hEzyß/");
    assert_eq!(
        typed("de", &[&[ALT_GR, 16], &[ALT_GR, 18], &[39], &[SHIFT, 40], &[ALT_GR, 86], &[ALT_GR, 8]]),
        "@€öÄ|{"
    );
}

#[test]
fn dead_keys_wait_for_a_letter() {
    assert_eq!(
        typed("de", &[&[13], &[18], &[41], &[30], &[SHIFT, 13], &[57], &[13], &[45], &[13], &[13]]),
        "éâ`'x'"
    );
}

#[test]
fn control_and_alt_and_caps() {
    assert_eq!(
        typed("us", &[&[CTRL, 46], &[CTRL, 57], &[CTRL, 43], &[ALT, 45], &[CTRL, 9]]),
        "\x03\0\x1c\x1bx\x7f"
    );
    assert_eq!(typed("us", &[&[58], &[30], &[SHIFT, 30], &[2], &[58], &[30]]), "Aa1a");
    assert_eq!(typed("de", &[&[58], &[39], &[12]]), "Öß");
}

#[test]
fn keys_send_what_terminfo_says_of_linux() {
    assert_eq!(
        typed("us", &[&[59], &[63], &[64], &[88], &[SHIFT, 59]]),
        "\x1b[[A\x1b[[E\x1b[17~\x1b[24~\x1b[25~"
    );
    assert_eq!(
        typed("us", &[&[103], &[102], &[111], &[104], &[14], &[28]]),
        "\x1b[A\x1b[1~\x1b[3~\x1b[5~\x7f\r"
    );
    assert_eq!(typed("us", &[&[71], &[72], &[69], &[71], &[83], &[55], &[96]]), "\x1b[1~\x1b[A7.*\r");
    let mut keyboard = Keyboard::new(&LAYOUTS[0]);
    let wanted = Wanted { is_cursor_application: true, is_keypad_application: true, is_new_line: true };
    for (key, bytes) in [(103, "\x1bOA"), (71, "\x1bOw"), (96, "\x1bOM"), (28, "\r\n")] {
        assert_eq!(chord(&mut keyboard, &[key], wanted), Action::Type(Bytes::of(bytes.as_bytes())));
    }
}

#[test]
fn some_keys_are_the_consoles() {
    let mut keyboard = Keyboard::new(&LAYOUTS[0]);
    let mut press = |keys: &[u8]| chord(&mut keyboard, keys, Wanted::default());
    assert_eq!(press(&[ALT, 60]), Action::Show(1));
    assert_eq!(press(&[CTRL, ALT, 64]), Action::Show(5));
    assert_eq!(press(&[ALT, 106]), Action::ShowNext(1));
    assert_eq!(press(&[SHIFT, 104]), Action::ScrollBack(1));
    assert_eq!(press(&[CTRL, ALT, 111]), Action::Reboot);
    assert_eq!(press(&[ALT, 99, 31]), Action::SysRq('s'));
    assert_eq!(press(&[31]), Action::Type(Bytes::of(b"s")));
    assert_eq!(press(&[69]), Action::Lights);
    assert!(keyboard.locks().is_num);
}

#[test]
fn scan_codes_are_read_with_their_prefixes() {
    let mut decoder = Decoder::new();
    let bytes =
        [0x1e, 0x9e, 0xe0, 0x2a, 0xe0, 0x48, 0xe0, 0xc8, 0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5, 0x39, 0xfa];
    let found: Vec<_> = bytes.into_iter().filter_map(|byte| decoder.input(byte)).collect();
    use Motion::{Pressed, Released};
    let wanted = [
        (Code(30), Pressed),
        (Code(30), Released),
        (key::UP, Pressed),
        (key::UP, Released),
        (key::PAUSE, Pressed),
        (key::PAUSE, Released),
        (key::SPACE, Pressed),
    ];
    assert_eq!(found, wanted);
}

proptest! {
    #[test]
    fn any_bytes_of_a_keyboard_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..200), which in 0..LAYOUTS.len()) {
        let (mut decoder, mut keyboard) = (Decoder::new(), Keyboard::new(&LAYOUTS[which]));
        for byte in bytes {
            if let Some((code, motion)) = decoder.input(byte)
                && let Action::Type(bytes) = keyboard.input(code, motion, Wanted::default())
            {
                prop_assert!(std::str::from_utf8(bytes.as_slice()).is_ok_and(|text| !text.is_empty()));
            }
        }
    }
}
