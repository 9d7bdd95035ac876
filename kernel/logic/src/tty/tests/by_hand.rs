//! What the comparison with Linux does not reach, and the cases everybody knows.

use abi::termios::*;

use super::*;

#[test]
fn a_line_is_edited_and_read() {
    let mut terminal = Terminal::new(Termios::default());
    assert_eq!(terminal.type_all(b"lx\x7fs\n"), None);
    assert_eq!(terminal.shown(), b"lx\x08 \x08s\r\n");
    assert_eq!(terminal.read(100).as_deref(), Some(&b"ls\n"[..]));
    assert_eq!(terminal.read(100), None);
}

#[test]
fn the_end_of_the_input_is_an_empty_read() {
    let mut terminal = Terminal::new(Termios::default());
    terminal.type_all(b"ab\x04\x04");
    assert!(terminal.discipline.is_readable());
    assert_eq!(terminal.discipline.readable(), 2);
    assert_eq!(terminal.read(2).as_deref(), Some(&b"ab"[..]));
    assert_eq!(terminal.read(100).as_deref(), Some(&b""[..]));
    assert_eq!(terminal.read(100), None);
}

#[test]
fn a_signal_flushes_input_echoes_and_output() {
    let mut terminal = Terminal::new(Termios::default());
    terminal.device.sent.extend_from_slice(b"not sent yet");
    assert_eq!(terminal.type_all(b"abc\x03"), Some(Signal::INT));
    assert_eq!(terminal.shown(), b"^C");
    terminal.type_all(b"\n");
    assert_eq!(terminal.read(9).as_deref(), Some(&b"\n"[..]));
}

#[test]
fn raw_mode_says_what_a_read_waits_for() {
    let mut terminal = Terminal::new(Termios::default());
    assert_eq!(terminal.discipline.read_rule(), ReadRule::Line);
    let mut rule = |min, time| {
        terminal.change(|termios| {
            termios.lflag &= !ICANON;
            (termios.cc[VMIN], termios.cc[VTIME]) = (min, time);
        });
        (terminal.discipline.read_rule(), terminal.read(9).is_none())
    };
    assert_eq!(rule(3, 0), (ReadRule::Bytes(3), true));
    assert_eq!(rule(3, 5), (ReadRule::BytesWithGaps { bytes: 3, tenths: 5 }, true));
    assert_eq!(rule(0, 5), (ReadRule::FirstWithin(5), true));
    assert_eq!(rule(0, 0), (ReadRule::Now, false));
}

#[test]
fn poll_waits_for_as_many_bytes_as_a_read() {
    let mut terminal = Terminal::new(Termios::default());
    terminal.change(|termios| {
        termios.lflag &= !ICANON;
        termios.cc[VMIN] = 2;
    });
    terminal.type_all(b"a");
    assert!(!terminal.discipline.is_readable());
    terminal.type_all(b"b");
    assert!(terminal.discipline.is_readable());
    assert_eq!(terminal.read(1).as_deref(), Some(&b"a"[..]));
}

#[test]
fn nothing_is_lost_when_the_device_is_full() {
    let mut terminal = Terminal::new(Termios::default());
    terminal.device.room = 4;
    assert_eq!(terminal.write(b"abc\ndef"), 3);
    terminal.type_all(b"x\x01");
    assert_eq!(terminal.write(b"\ndef"), 0);
    assert_eq!(terminal.shown(), b"abcx");
    terminal.device.room = 6;
    terminal.discipline.drained(&mut terminal.device);
    assert_eq!(terminal.write(b"\ndef"), 3);
    assert_eq!(terminal.shown(), b"^A\r\nde");
}

#[test]
fn held_output_is_not_started_by_keys() {
    let mut terminal = Terminal::new(Termios::default());
    terminal.discipline.hold();
    terminal.type_all(b"a\x11\x03");
    assert!(terminal.discipline.is_stopped());
    assert_eq!((terminal.write(b"x"), terminal.shown()), (0, Vec::new()));
    terminal.discipline.release(&mut terminal.device);
    assert_eq!(terminal.shown(), b"^C");
    terminal.type_all(b"\x13");
    terminal.discipline.release(&mut terminal.device);
    assert!(terminal.discipline.is_stopped(), "VSTOP needs VSTART");
}

#[test]
fn a_stopped_terminal_forgets_the_oldest_echoes() {
    let mut terminal = Terminal::new(Termios::default());
    terminal.type_all(b"\x13");
    terminal.type_all(&b"abc".repeat(500));
    terminal.type_all(b"\x11");
    let shown = terminal.shown();
    assert!(shown.len() > 1000 && shown.ends_with(b"abc"));
}

#[test]
fn much_is_erased_at_once() {
    let mut terminal = Terminal::new(Termios::default());
    terminal.type_all(&[b'a'; 4000]);
    terminal.shown();
    terminal.type_all(b"\x15");
    assert_eq!(terminal.shown(), b"\x08 \x08".repeat(4000));
}

#[test]
fn a_break_is_a_zero_or_a_signal_or_nothing() {
    let break_with = |iflag| {
        let termios = Termios { iflag, lflag: 0, ..Termios::default() };
        let mut terminal = Terminal::new(termios);
        let signal = terminal.discipline.input_damaged(0, Damage::Break, &mut terminal.device);
        (signal, terminal.read(9).unwrap_or_default())
    };
    assert_eq!(break_with(0), (None, std::vec![0]));
    assert_eq!(break_with(PARMRK), (None, std::vec![0xff, 0, 0]));
    assert_eq!(break_with(BRKINT), (Some(Signal::INT), Vec::new()));
    assert_eq!(break_with(IGNBRK | BRKINT), (None, Vec::new()));
}

#[test]
fn a_damaged_byte_is_marked_or_dropped_if_asked_for() {
    let read_with = |iflag| {
        let termios = Termios { iflag, lflag: ISIG, ..Termios::default() };
        let mut terminal = Terminal::new(termios);
        // A damaged byte is no key, whatever it looks like.
        assert_eq!(terminal.discipline.input_damaged(3, Damage::Parity, &mut terminal.device), None);
        terminal.read(9).unwrap_or_default()
    };
    assert_eq!(read_with(0), [3]);
    assert_eq!(read_with(IGNPAR), [3]);
    assert_eq!(read_with(INPCK), [0]);
    assert_eq!(read_with(INPCK | PARMRK), [0xff, 0, 3]);
    assert_eq!(read_with(INPCK | IGNPAR), [0; 0]);
}

#[test]
fn input_has_room_while_a_line_may_end() {
    let mut terminal = Terminal::new(Termios::default());
    terminal.type_all(&[b'a'; 5000]);
    assert!(terminal.discipline.has_room());
    terminal.type_all(b"\n");
    assert!(!terminal.discipline.has_room());
    assert_eq!(terminal.read(5000).map(|line| line.len()), Some(4096));
    assert!(terminal.discipline.has_room());
}

#[test]
fn a_read_finds_the_bytes_across_the_ring_s_end() {
    let mut terminal = Terminal::new(Termios { lflag: ICANON, ..Termios::default() });
    for round in 0..40_usize {
        let line = [b"0123456789".repeat(round + 20), b"\n".to_vec()].concat();
        terminal.type_all(&line);
        assert_eq!(terminal.read(7).as_deref(), line.get(..7));
        assert_eq!(terminal.discipline.read_to(9, &mut |_| Err(abi::Errno::EFAULT)), Err(abi::Errno::EFAULT));
        assert_eq!(terminal.read(5000).as_deref(), line.get(7..));
    }
}

#[test]
fn with_extproc_bytes_are_only_bytes() {
    let mut terminal = Terminal::new(Termios::default());
    terminal.change(|termios| termios.lflag |= EXTPROC);
    assert_eq!(terminal.type_all(b"a\x7f\x03\n\x04"), None);
    assert_eq!(terminal.shown(), b"");
    assert_eq!(terminal.read(9).as_deref(), Some(&b"a\x7f\x03\n\x04"[..]));
}
