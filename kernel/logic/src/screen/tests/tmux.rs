//! The same bytes through tmux's terminal and ours: what is shown, its looks, and the cursor must agree.
//!
//! Sequences are random but plausible: programs do not move relatively from behind the last column, and do not insert lines
//! outside the scroll region; terminals differ there (docs/consoles.md). The seed is printed with a difference.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::process::{Command, Stdio};
use std::string::{String, ToString};
use std::time::{Duration, Instant};
use std::vec::Vec;
use std::{env, format, fs, println, process, thread};

use unicode_width::UnicodeWidthChar;

use super::super::cell::{Cell, Flags, Style};
use super::super::parser::{Action, Parser};
use super::super::{Screen, edit, sgr};

const ROWS: u16 = 12;
const COLUMNS: u16 = 40;
/// Sequences in a usual run, and where all are wanted.
const FEW: u64 = 150;
const MANY: u64 = 1000;

struct Tmux {
    name: String,
    folder: std::path::PathBuf,
    input: File,
}

impl Tmux {
    fn command(name: &str) -> Command {
        let mut command = Command::new("tmux");
        command.env("LC_ALL", "C.UTF-8").env_remove("TMUX").args(["-u", "-L", name]).stderr(Stdio::null());
        command
    }

    /// `None` if there is no tmux here.
    fn start(which: &str) -> Option<Self> {
        Command::new("tmux").arg("-V").stdout(Stdio::null()).status().ok()?;
        let name = format!("nacre-{which}-{}", process::id());
        let folder = env::temp_dir().join(&name);
        fs::create_dir_all(&folder).unwrap();
        let (fifo, settings) = (folder.join("input"), folder.join("settings"));
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        fs::write(&settings, "set -g status off\nset -g history-limit 50\n").unwrap();
        let program = format!("stty raw -echo; exec cat {}", fifo.display());
        let started = Self::command(&name)
            .arg("-f")
            .arg(settings)
            .args(["new-session", "-d", "-x", &COLUMNS.to_string(), "-y", &ROWS.to_string(), &program])
            .status();
        assert!(started.unwrap().success(), "tmux does not start");
        let input = OpenOptions::new().write(true).open(fifo).unwrap();
        Some(Tmux { name, folder, input })
    }

    /// Shows the bytes on a fresh screen; what is there then, and the cursor's line and column.
    fn show(&mut self, number: u64, bytes: &[u8]) -> (Vec<Vec<Cell>>, usize, usize) {
        self.input.write_all(b"\x18\x1b[?1049l\x1bc").unwrap();
        self.input.write_all(bytes).unwrap();
        // What is captured of a line ends at its last character: one in each last column shows all before it.
        let mut end = String::from("\x18\x1b7\x1b[?6l\x1b[4l\x1b[m\x0f\x1b(B");
        for row in 1..=ROWS {
            end.push_str(&format!("\x1b[{row};{COLUMNS}H|"));
        }
        self.input.write_all(format!("{end}\x1b8\x1b]2;{number}\x07").as_bytes()).unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let output = Self::command(&self.name)
                .args([
                    "display-message",
                    "-p",
                    "#{pane_title} #{cursor_x} #{cursor_y}",
                    ";",
                    "capture-pane",
                    "-peN",
                ])
                .output()
                .unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let (first, screen) = text.split_once('\n').expect("tmux answers");
            let words: Vec<usize> = first.split(' ').filter_map(|word| word.parse().ok()).collect();
            if let [title, column, row] = words[..]
                && title as u64 == number
            {
                return (parse(screen), row, column.min(usize::from(COLUMNS) - 1));
            }
            assert!(Instant::now() < end, "tmux does not come to the end of sequence {number}");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = Self::command(&self.name).arg("kill-server").status();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Cells of what `capture-pane -e` prints: text with SGR, and shifts around line drawing.
fn parse(text: &str) -> Vec<Vec<Cell>> {
    let (mut style, mut is_graphics) = (Style::default(), false);
    let mut rows = Vec::new();
    for line in text.lines() {
        let (mut parser, mut cells) = (Parser::default(), Vec::new());
        for &byte in line.as_bytes() {
            match parser.advance(byte).action {
                Some(Action::Csi { last: b'm', .. }) => sgr::apply(&mut style, &parser.parameters),
                Some(Action::Control(0xe)) => is_graphics = true,
                Some(Action::Control(0xf)) => is_graphics = false,
                Some(Action::Print(character)) => {
                    let character = if is_graphics { edit::graphics(character) } else { character };
                    cells.push(Cell { character, style });
                    if character.width() == Some(2) {
                        cells.push(Cell { character: ' ', style });
                    }
                }
                _ => {}
            }
        }
        cells.resize(usize::from(COLUMNS).max(cells.len()), Cell::BLANK);
        rows.push(cells);
    }
    rows.resize(usize::from(ROWS), std::vec![Cell::BLANK; usize::from(COLUMNS)]);
    rows
}

/// Xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }

    /// Below `usual`, now and then below `most`.
    fn mostly(&mut self, usual: u64, most: u64) -> u64 {
        let end = if self.below(7) == 0 { most } else { usual };
        self.below(end)
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap()]
    }
}

/// A plausible sequence; `screen` is fed as it grows, so that each piece fits what is there.
fn sequence(random: &mut Random, screen: &mut Screen) -> Vec<u8> {
    let mut bytes = Vec::new();
    let is_wide = random.below(4) == 0;
    for _ in 0..random.below(40) + 5 {
        let next = if is_wide { wide_piece(random, screen) } else { piece(random, screen) };
        screen.feed(next.as_bytes());
        bytes.extend_from_slice(next.as_bytes());
    }
    bytes
}

/// With wide characters. tmux leaves halves of them where something else is printed or inserted over them, so lines are
/// begun anew.
fn wide_piece(random: &mut Random, screen: &Screen) -> String {
    let row = screen.cursor().0;
    match random.below(12) {
        0..5 if row + 4 > screen.region.end => {
            format!("\x1b[49m{}", words(random, &["漢", "字", "界", "🦀"]))
        }
        0..5 => words(random, &["漢", "字", "界", "🦀"]),
        5 => "\r\n".to_string(),
        6 => colors(random),
        7 => format!("\x1b[{}H\x1b[2K", random.below(u64::from(ROWS)) + 1),
        8 => {
            let top = random.below(u64::from(ROWS) - 1) + 1;
            let bottom = top + 1 + random.below(u64::from(ROWS) - top);
            format!("\x1b[{top};{bottom}r\x1b[{}H", random.below(u64::from(ROWS)) + 1)
        }
        _ if screen.is_wrap_pending() => "\r\x1b[2K".to_string(),
        9 if screen.region.contains(&row) => {
            format!("\r\x1b[{}{}\x1b[2K", random.below(4) + 1, random.of(&["L", "M", "S", "T"]))
        }
        _ => format!("{}\r\x1b[2K", random.of(&["\x1bM", "\x1bD", "\x1bE", "\x1b[2J"])),
    }
}

fn piece(random: &mut Random, screen: &Screen) -> String {
    let (rows, columns) = (u64::from(ROWS), u64::from(COLUMNS));
    let place =
        |random: &mut Random| format!("\x1b[{};{}H", random.below(rows) + 1, random.below(columns) + 1);
    let count = |random: &mut Random| random.mostly(5, 60);
    match random.below(20) {
        // The first character after a wrap is not inserted in tmux.
        0..5 if screen.modes().is_insert => {
            format!("\r\x1b[{}C{}", random.below(9), words(random, &[]).chars().take(9).collect::<String>())
        }
        // A wrap that scrolls leaves a line without a background in tmux.
        0..5 if screen.cursor().0 + 4 > screen.region.end => format!("\x1b[49m{}", words(random, &[])),
        0..5 => words(random, &[]),
        5..7 => "\r\n".to_string(),
        7 | 8 => colors(random),
        9 | 10 => place(random),
        11 => random
            .of(&["\t", "\r", "\x1b[?7h", "\x1b7", "\x1b[?6l\x1b[H", "\x1b[?6h\x1b[H", "\x1b[3g", "\x1bH"])
            .to_string(),
        12 => {
            let top = random.below(rows - 1) + 1;
            let bottom = top + 1 + random.below(rows - top);
            format!("\x1b[?6l\x1b[{top};{bottom}r{}", place(random))
        }
        13 => random.of(&["\x1b(0", "\x1b(B", "\x1b(B", "\x1b)0", "\x0e", "\x0f", "\x0f"]).to_string(),
        // Leaving the alternate screen without being there restores an old cursor in tmux; leaving it keeps
        // the charsets and the mode of origin.
        14 if screen.is_alternate => "\x1b[?6l\x1b[H\x1b(B\x1b)B\x0f\x1b[?1049l".to_string(),
        14 => random
            .of(&[
                "\x1b[?6l\x1b[H\x1b(B\x1b)B\x0f\x1b[?1049h",
                "\x1b[r\x1b[H",
                "\x1b[4h",
                "\x1b[4l",
                "\x1b[4l",
            ])
            .to_string(),
        // From behind the last column, terminals do not agree where these start.
        _ if screen.is_wrap_pending() => "\r".to_string(),
        15 | 16 => {
            let last = random.of(&["A", "B", "C", "D", "E", "F", "G", "d", "Z"]);
            format!("\x1b[{}{last}", count(random))
        }
        // tmux does not blank all of the room it makes where less than that is moved.
        17 if screen.cursor().1 < 22 => format!("\x1b[{}@", random.below(9)),
        17 => {
            let last = random.of(&["P", "X"]);
            format!("\x1b[{}{last}", count(random))
        }
        18 => {
            let (row, ..) = screen.cursor();
            let choices: &[&str] =
                if screen.region.contains(&row) { &["L", "M", "S", "T"] } else { &["S", "T"] };
            format!("\x1b[{}{}", count(random) + 1, random.of(choices))
        }
        19 => random.of(&["\x1b[K", "\x1b[1K", "\x1b[2K", "\x1b[J", "\x1b[1J", "\x1b[2J"]).to_string(),
        _ => random.of(&["\x1bM", "\x1bD", "\x1bE", "\x08", "\x1b[2K", "\x1b[2J"]).to_string(),
    }
}

fn words(random: &mut Random, wide: &[&str]) -> String {
    let mut text = String::new();
    for _ in 0..random.mostly(12, 90) + 1 {
        text.push_str(match random.below(if wide.is_empty() { 6 } else { 8 }) {
            0 => " ",
            1 => random.of(&["é", "ß", "│", "█"]),
            6 | 7 => random.of(wide),
            _ => random.of(&["a", "b", "q", "x", "l", "Z", "0", "~", "#"]),
        });
    }
    text
}

fn colors(random: &mut Random) -> String {
    match random.below(6) {
        0 => "\x1b[m".to_string(),
        1 => format!("\x1b[{};{}m", random.below(8) + 30, random.below(8) + 40),
        2 => format!("\x1b[38;5;{}m", random.below(256)),
        3 => format!("\x1b[48;2;{};{};{}m", random.below(256), random.below(256), random.below(256)),
        4 => format!(
            "\x1b[{}m",
            random.of(&["1", "2", "3", "4", "5", "7", "8", "9", "22", "23", "24", "25", "27", "28", "29"])
        ),
        _ => format!("\x1b[{}m", random.of(&["39", "49", "91", "97", "100", "107"])),
    }
}

fn compare(tmux: &mut Tmux, seed: u64) {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut screen = Screen::try_new(ROWS, COLUMNS, 50).unwrap();
    let bytes = sequence(&mut random, &mut screen);
    let (theirs, row, column) = tmux.show(seed, &bytes);
    let shown = Flags::WIDE.with(Flags::WIDE_TAIL);
    for (place, line) in theirs.iter().enumerate() {
        let ours: Vec<Cell> = screen
            .line(place)
            .iter()
            .map(|cell| Cell {
                style: Style { flags: cell.style.flags.without(shown), ..cell.style },
                ..*cell
            })
            .collect();
        for (column, (ours, theirs)) in ours.iter().zip(line).enumerate().take(usize::from(COLUMNS) - 2) {
            assert_eq!(
                ours,
                theirs,
                "seed {seed}, line {place}, column {column} (ours first), of {:?}",
                String::from_utf8_lossy(&bytes)
            );
        }
    }
    let (our_row, our_column, _) = screen.cursor();
    assert_eq!(
        (our_row, our_column),
        (row, column),
        "seed {seed}: cursor, of {:?}",
        String::from_utf8_lossy(&bytes)
    );
}

fn compare_many(which: &str, seeds: core::ops::Range<u64>) {
    let Some(mut tmux) = Tmux::start(which) else {
        println!("skipped: there is no tmux on this machine");
        return;
    };
    for seed in seeds {
        compare(&mut tmux, seed);
    }
}

#[test]
fn tmux_shows_the_same() {
    compare_many("few", 1..FEW + 1);
}

#[test]
#[ignore = "a minute; for changes to the emulator"]
fn tmux_shows_the_same_for_thousands() {
    compare_many("many", FEW + 1..MANY + FEW + 1);
}
