use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;

use super::cell::{Color, Flags};
use super::*;

mod tmux;

fn screen(rows: u16, columns: u16) -> Screen {
    Screen::try_new(rows, columns, 20).unwrap()
}

fn fed(bytes: &[u8]) -> Screen {
    let mut screen = screen(5, 10);
    screen.feed(bytes);
    screen
}

fn text(screen: &Screen, row: usize) -> String {
    let line = screen.line(row).iter();
    let shown = line.filter(|cell| !cell.style.flags.has(Flags::WIDE_TAIL)).map(|cell| cell.character);
    shown.collect::<String>().trim_end().into()
}

fn lines(screen: &Screen) -> Vec<String> {
    (0..screen.rows()).map(|row| text(screen, row)).collect()
}

fn answers(screen: &mut Screen) -> String {
    let mut bytes = [0; MAX_ANSWERS];
    let count = screen.take_answers(&mut bytes);
    String::from_utf8_lossy(&bytes[..count]).into()
}

#[test]
fn text_wraps_only_when_more_comes() {
    let mut screen = fed(b"0123456789");
    assert_eq!((screen.cursor().0, screen.cursor().1, screen.is_wrap_pending()), (0, 9, true));
    screen.feed(b"\r\nnext");
    assert_eq!(lines(&screen)[..2], ["0123456789", "next"]);
    let screen = fed(b"0123456789ab");
    assert_eq!(lines(&screen)[..2], ["0123456789", "ab"]);
    let screen = fed(b"\x1b[?7l0123456789ab\x1b[?7h");
    assert_eq!(lines(&screen)[..2], ["012345678b", ""]);
}

#[test]
fn lines_that_leave_are_looked_back_at() {
    let mut screen = screen(3, 10);
    for number in 0..30 {
        screen.feed(std::format!("line {number}\r\n").as_bytes());
    }
    assert_eq!(lines(&screen), ["line 28", "line 29", ""]);
    screen.look_back(5);
    assert_eq!(lines(&screen), ["line 23", "line 24", "line 25"]);
    screen.feed(b"more\r\n");
    assert_eq!(lines(&screen), ["line 23", "line 24", "line 25"], "the reader is not disturbed");
    screen.look_back(1000);
    assert_eq!(lines(&screen)[0], "line 9");
    screen.look_at_end();
    assert_eq!(lines(&screen), ["line 29", "more", ""]);
    screen.feed(b"\x1b[?1049hx");
    screen.look_back(5);
    assert_eq!(lines(&screen)[0], "", "the alternate screen has nothing above");
}

#[test]
fn the_alternate_screen_comes_and_goes() {
    let mut screen = fed(b"shell\x1b[3;4H\x1b[?1049hvim");
    assert_eq!(lines(&screen), ["", "", "   vim", "", ""]);
    screen.feed(b"\x1b[H\x1b[2Jbye\x1b[?1049l$");
    assert_eq!(lines(&screen), ["shell", "", "   $", "", ""]);
}

#[test]
fn colours_of_all_kinds() {
    let screen =
        fed(b"\x1b[1;31;44ma\x1b[38;5;200mb\x1b[48:2::1:2:3mc\x1b[38;2;9;8;7md\x1b[me\x1b[4:3mf\x1b[4:0mg");
    let style = |column: usize| screen.line(0)[column].style;
    assert_eq!((style(0).foreground, style(0).background), (Color::Indexed(1), Color::Indexed(4)));
    assert!(style(0).flags.has(Flags::BOLD));
    assert_eq!(style(1).foreground, Color::Indexed(200));
    assert_eq!(style(2).background, Color::Rgb(1, 2, 3));
    assert_eq!(style(3).foreground, Color::Rgb(9, 8, 7));
    assert_eq!(style(4), Style::default());
    assert!(style(5).flags.has(Flags::UNDERLINE) && !style(6).flags.has(Flags::UNDERLINE));
}

#[test]
fn wide_characters_take_two_places_and_are_never_halved() {
    let mut screen = fed("漢字".as_bytes());
    assert_eq!(screen.cursor().1, 4);
    screen.feed(b"\x1b[1;2Hx");
    assert_eq!(text(&screen, 0), " x字");
    screen.feed("\x1b[2;10H漢".as_bytes());
    assert_eq!((text(&screen, 1), text(&screen, 2)), (String::new(), "漢".into()));
    screen.feed("\x1b[3;1H\x1b[P".as_bytes());
    assert_eq!(text(&screen, 2), "");
    screen.feed("\x1b[4;1He\u{301}!".as_bytes());
    assert_eq!(text(&screen, 3), "e!", "combining marks are not shown");
}

#[test]
fn questions_are_answered() {
    let mut screen = fed(b"\x1b[3;4H\x1b[6n\x1b[5n\x1b[c");
    assert_eq!(answers(&mut screen), "\x1b[3;4R\x1b[0n\x1b[?6c");
    screen.feed(b"\x1b[2;4r\x1b[?6h\x1b[2;2H\x1b[6n");
    assert_eq!(answers(&mut screen), "\x1b[2;2R", "relative in origin mode");
    for _ in 0..1000 {
        screen.feed(b"\x1b[c");
    }
    assert!(answers(&mut screen).len() <= MAX_ANSWERS, "who does not read gets no more");
}

#[test]
fn linuxs_own_sequences_swallow_nothing_else() {
    let mut screen = fed(b"\x1b]Ra\x1b]P1ff8000b\x1b[[Ac\x1b]0;title\x07d\x1bPq#0\x1b\\e");
    assert_eq!(text(&screen, 0), "abcde");
    assert_eq!(screen.palette()[1], 0xff_8000);
    screen.feed(b"\x1b]R");
    assert_eq!(*screen.palette(), PALETTE);
}

#[test]
fn broken_utf8_is_marked_and_nothing_is_lost() {
    let screen = fed(b"a\xffb\xc3\x1b[31mc\xe2\x82d\xed\xa0\x80");
    assert_eq!(text(&screen, 0), "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}\u{fffd}\u{fffd}");
}

#[test]
fn line_drawing_replaces_small_letters() {
    let screen = fed(b"\x1b(0lqk\x1b(Blqk\x1b)0\x0ex\x0fx");
    assert_eq!(text(&screen, 0), "┌─┐lqk│x");
}

#[test]
fn a_smaller_screen_keeps_the_cursors_line() {
    let mut screen = fed(b"1\r\n2\r\n3\r\n4\r\nfive and more");
    screen.resize(2, 6).unwrap();
    assert_eq!((lines(&screen), screen.cursor().0), (std::vec!["five a".into(), "ore".into()], 1));
    screen.look_back(9);
    assert_eq!(lines(&screen)[0], "1");
    assert!(screen.resize(1, 80).is_err());
}

#[test]
fn modes_are_told() {
    let mut screen = fed(b"\x1b[?1h\x1b=\x1b[?2004h\x1b[?25l\x07\x07");
    let modes = screen.modes();
    assert!(modes.is_cursor_application && modes.is_keypad_application && modes.is_paste_bracketed);
    assert_eq!((screen.cursor().2, screen.take_bells()), (CursorLook::Hidden, 2));
    screen.feed(b"\x1bc");
    assert_eq!(screen.modes(), Modes::START);
}

/// What holds after any input.
fn check(screen: &mut Screen) {
    let (row, column, _) = screen.cursor();
    assert!(row < screen.rows && column < screen.columns);
    assert!(screen.region.start + 1 < screen.region.end && screen.region.end <= screen.rows);
    assert!(!screen.is_wrap_pending() || column + 1 == screen.columns);
    for row in 0..screen.rows {
        let line = screen.line(row);
        assert_eq!(line.len(), screen.columns);
        for (place, cell) in line.iter().enumerate() {
            let next_is_tail = line.get(place + 1).is_some_and(|next| next.style.flags.has(Flags::WIDE_TAIL));
            assert_eq!(
                cell.style.flags.has(Flags::WIDE),
                next_is_tail,
                "a halved character at {row}, {place}"
            );
            assert!(!cell.character.is_control());
        }
        assert!(!(line[0].style.flags.has(Flags::WIDE_TAIL)));
    }
    for row in 0..screen.rows {
        let damage = screen.take_damage(row);
        assert!(damage.end <= screen.columns);
    }
}

/// Pieces of sequences, so that random input is more often one.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let final_byte = prop::sample::select(b"@ABCDEFGHIJKLMPSTXZabcdefghlmnrsu`".to_vec());
    prop_oneof![
        4 => (prop::collection::vec(0..70_u16, 0..4), final_byte, prop::sample::select(std::vec!["", "?", ">"])).prop_map(
            |(numbers, last, marker)| {
                let numbers: Vec<String> = numbers.iter().map(|number| std::format!("{number}")).collect();
                std::format!("\x1b[{marker}{}{}", numbers.join(";"), char::from(last)).into_bytes()
            }
        ),
        1 => prop::sample::select(std::vec![
            "\x1b[?1049h", "\x1b[?1049l", "\x1b[?7l", "\x1b[?7h", "\x1b[4h", "\x1b[4l", "\x1b7", "\x1b8", "\x1bM", "\x1bD", "\x1bc",
            "\x1b[?6h", "\x1b[?6l", "\x1b(0", "\x0e", "\x0f", "\x1b#8", "\x1b]P", "\x1bP", "\x1b\\", "\r\n", "\t",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        3 => "[a-z漢é\u{301} ]{1,20}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 1..10),
    ]
}

proptest! {
    #[test]
    fn any_bytes_leave_a_whole_screen(
        pieces in prop::collection::vec(piece(), 0..60), rows in 2..12_u16, columns in 2..30_u16, back in -5..30_isize,
        new in (2..12_u16, 2..30_u16),
    ) {
        let mut screen = screen(rows, columns);
        for piece in &pieces {
            screen.feed(piece);
            check(&mut screen);
        }
        screen.look_back(back);
        check(&mut screen);
        screen.resize(new.0, new.1).unwrap();
        check(&mut screen);
        for piece in &pieces {
            screen.feed(piece);
        }
        check(&mut screen);
    }

    #[test]
    fn how_bytes_are_cut_does_not_matter(bytes in prop::collection::vec(piece(), 0..20)) {
        let bytes = bytes.concat();
        let (mut whole, mut single) = (screen(6, 20), screen(6, 20));
        whole.feed(&bytes);
        for byte in &bytes {
            single.feed(std::slice::from_ref(byte));
        }
        for row in 0..6 {
            prop_assert_eq!(whole.line(row), single.line(row));
            prop_assert_eq!(whole.take_damage(row), single.take_damage(row));
        }
        prop_assert_eq!(whole.cursor(), single.cursor());
    }
}
