//! The same steps on a pty of the running Linux and on the line discipline: all that can be seen must agree.
//!
//! Needs python3 and the right to TIOCSTI (root, or `dev.tty.legacy_tiocsti`); without them the test says that
//! it is skipped.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::string::{String, ToString as _};
use std::{eprintln, format};

use abi::termios::*;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestError, TestRng, TestRunner};

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Type(Vec<u8>),
    Read(usize),
    Write(Vec<u8>),
    Set(Termios),
    Flush,
    Ask,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Step {
    fn request(&self) -> String {
        match self {
            Self::Type(bytes) => format!("type {}", hex(bytes)),
            Self::Read(count) => format!("read {count}"),
            Self::Write(bytes) => format!("write {}", hex(bytes)),
            Self::Set(termios) => format!("set {}", hex(&termios.encode())),
            Self::Flush => "flush".to_string(),
            Self::Ask => "ask".to_string(),
        }
    }

    fn answer(&self, terminal: &mut Terminal) -> String {
        match self {
            Self::Type(bytes) => {
                let mut answer = |&byte| {
                    let signal = terminal.type_all(&[byte]).map_or(0, Signal::number);
                    format!("{signal}:{}", hex(&terminal.shown()))
                };
                bytes.iter().map(&mut answer).collect::<Vec<_>>().join(",")
            }
            Self::Read(count) => terminal.read(*count).map_or("again".to_string(), |bytes| hex(&bytes)),
            Self::Write(bytes) => format!("{}:{}", terminal.write(bytes), hex(&terminal.shown())),
            Self::Set(termios) => {
                terminal.change(|now| *now = *termios);
                hex(&terminal.shown())
            }
            Self::Flush => {
                terminal.discipline.flush_input();
                hex(&terminal.shown())
            }
            Self::Ask => {
                let is_readable = u8::from(terminal.discipline.is_readable());
                format!("{}:{is_readable}", terminal.discipline.readable())
            }
        }
    }
}

/// A Python program that does the steps on a pty.
struct Linux {
    program: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Linux {
    fn start() -> Option<Self> {
        let mut command = Command::new("python3");
        command.args(["-c", include_str!("../testdata/pty.py")]);
        let mut program = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        let (requests, answers) = (program.stdin.take()?, BufReader::new(program.stdout.take()?));
        Some(Self { program, requests, answers })
    }

    fn ask(&mut self, request: &str) -> String {
        writeln!(self.requests, "{request}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer.trim_end().to_string()
    }
}

impl Drop for Linux {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        6 => prop::sample::select(b"abZ_9 .".to_vec()),
        3 => prop::sample::select(b"\t\n\r\x08".to_vec()),
        4 => prop::sample::select(DEFAULT_CC.to_vec()),
        2 => prop::sample::select(b"\xc3\xa9\xe2\x82\xac\xff\x00".to_vec()),
        1 => any::<u8>(),
    ];
    prop::collection::vec(byte, 1..most)
}

/// Some of these flags.
fn some_of(flags: &'static [u32]) -> impl Strategy<Value = u32> {
    let count = 0..=flags.len();
    prop::sample::subsequence(flags, count)
        .prop_map(|flags| flags.into_iter().fold(0, |all, flag| all | flag))
}

fn termios() -> impl Strategy<Value = Termios> {
    const INPUT: &[u32] =
        &[ISTRIP, INLCR, IGNCR, ICRNL, IUCLC, IXON, IXANY, IMAXBEL, IUTF8, PARMRK, INPCK, IGNBRK];
    const OUTPUT: &[u32] = &[OPOST, OLCUC, ONLCR, OCRNL, ONOCR, ONLRET, XTABS];
    const LOCAL: &[u32] =
        &[ISIG, ICANON, ECHO, ECHOE, ECHOK, ECHONL, NOFLSH, ECHOCTL, ECHOPRT, ECHOKE, IEXTEN, EXTPROC];
    let usual = Termios::default();
    let iflag = prop_oneof![2 => Just(usual.iflag), 1 => Just(usual.iflag | IUTF8), 2 => some_of(INPUT)];
    let oflag = prop_oneof![2 => Just(usual.oflag), 1 => Just(OPOST | ONLCR | XTABS), 2 => some_of(OUTPUT)];
    let lflag = prop_oneof![
        2 => Just(usual.lflag),
        2 => some_of(LOCAL).prop_map(move |flags| flags ^ usual.lflag),
        1 => some_of(LOCAL),
    ];
    let change = (0..NCCS, prop::sample::select(b"\x00\x01\x02ab\n\r\t\xff\x80".to_vec()));
    let changes = prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(change, 1..5)];
    (iflag, oflag, lflag, changes).prop_map(|(iflag, oflag, lflag, changes)| {
        let mut termios = Termios { iflag, oflag, lflag, ..Termios::default() };
        changes.into_iter().for_each(|(key, byte)| termios.cc[key] = byte);
        termios
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => bytes(12).prop_map(Step::Type),
        4 => prop_oneof![0..6usize, 4096..5000usize].prop_map(Step::Read),
        2 => bytes(9).prop_map(Step::Write),
        3 => termios().prop_map(Step::Set),
        1 => Just(Step::Flush),
        2 => Just(Step::Ask),
    ]
}

fn compare(linux: &mut Linux, steps: &[Step]) -> core::result::Result<(), TestCaseError> {
    let mut terminal = Terminal::new(Termios::default());
    assert_eq!(linux.ask("new"), "ok");
    for step in steps {
        let (theirs, ours) = (linux.ask(&step.request()), step.answer(&mut terminal));
        prop_assert_eq!(ours, theirs);
    }
    Ok(())
}

/// What both do, step by step, for the eye.
fn both(linux: &mut Linux, steps: &[Step]) -> String {
    let mut terminal = Terminal::new(Termios::default());
    let mut text = linux.ask("new");
    for step in steps {
        let request = step.request();
        let (theirs, ours) = (linux.ask(&request), step.answer(&mut terminal));
        let _ = write!(text, "\n{request}\n    Linux: {theirs}\n    ours:  {ours}");
    }
    text
}

proptest! {
    /// The short way for many bytes does what each byte does.
    #[test]
    fn many_bytes_are_as_one_after_another(
        termios in termios(),
        pieces in prop::collection::vec((bytes(40), 1..90_usize, 0..300_usize), 1..20),
    ) {
        let (mut one, mut many) = (Terminal::new(termios), Terminal::new(termios));
        for (bytes, times, read) in pieces {
            let bytes = bytes.repeat(times);
            let mut rest = bytes.as_slice();
            loop {
                let (count, signal) = many.discipline.input_all(rest, &mut many.device);
                let last = one.type_all(&rest[..count]);
                prop_assert_eq!(last, signal);
                prop_assert_eq!(one.shown(), many.shown());
                rest = &rest[count..];
                if signal.is_none() {
                    break;
                }
            }
            prop_assert_eq!(one.discipline.has_room(), many.discipline.has_room());
            prop_assert!(rest.is_empty() || !many.discipline.has_room());
            prop_assert_eq!(one.read(read), many.read(read));
        }
    }
}

/// A pty to compare with, if this machine has one.
fn linux() -> Option<Linux> {
    let started = Linux::start().map(|mut linux| (linux.ask("new"), linux));
    match started {
        Some((answer, linux)) if answer == "ok" => Some(linux),
        other => {
            let why = other.map_or("no python3".to_string(), |(answer, _)| answer);
            eprintln!("skipped: no pty of Linux to compare with: {why}");
            None
        }
    }
}

/// Compares `cases` random sequences of steps.
fn compare_many(cases: u32, rng: TestRng) {
    let Some(linux) = linux().map(RefCell::new) else { return };
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let strategy = prop::collection::vec(step(), 1..25);
    let result = runner.run(&strategy, |steps| compare(&mut linux.borrow_mut(), &steps));
    match result {
        Ok(()) => {}
        Err(TestError::Abort(reason)) => panic!("{reason}"),
        Err(TestError::Fail(_, steps)) => panic!("{}", both(&mut linux.borrow_mut(), &steps)),
    }
}

#[test]
fn behaves_like_linux() {
    let config = ProptestConfig::default();
    compare_many(2000, TestRng::deterministic_rng(config.rng_algorithm));
}

#[test]
#[ignore = "takes minutes: another seed each time"]
fn behaves_like_linux_at_length() {
    let seed = random_seed();
    eprintln!("seed {seed:?}");
    compare_many(100_000, TestRng::from_seed(ProptestConfig::default().rng_algorithm, &seed));
}

/// Random steps are too short for this, and Linux's echo buffer overflows when much is erased at once.
#[test]
fn a_full_queue_behaves_like_linux() {
    let Some(mut linux) = linux() else { return };
    let typed = |bytes: &[u8], count| Step::Type(bytes.repeat(count));
    let usual = || Step::Set(Termios::default());
    let raw = || Step::Set(Termios { lflag: ECHO | ISIG, ..Termios::default() });
    let marking = || Step::Set(Termios { iflag: PARMRK | ICRNL, ..Termios::default() });
    let sequences: [&[Step]; 5] = [
        // A line that is too long, and erasing at its end.
        &[typed(b"ab", 2050), typed(b"\x7f", 2), typed(b"c\n", 1), Step::Ask, Step::Read(5000)],
        // A line after some that nobody reads.
        &[typed(b"ab\n", 1000), typed(b"x", 1200), typed(b"\n", 1), Step::Read(9), typed(b"yz\n", 9)],
        &[raw(), typed(b"abc", 1400), Step::Ask, Step::Read(2000), typed(b"d", 2500), Step::Read(5000)],
        &[raw(), typed(b"abc", 1400), usual(), typed(b"d", 3), Step::Read(5000), typed(b"e\n", 1)],
        &[marking(), typed(b"\xff", 1500), typed(b"\n", 1), Step::Read(5000)],
    ];
    for steps in sequences {
        let result = compare(&mut linux, steps);
        assert!(result.is_ok(), "{}", both(&mut linux, steps));
    }
}

fn random_seed() -> [u8; 32] {
    let mut seed = [0; 32];
    let mut source = std::fs::File::open("/dev/urandom").unwrap();
    std::io::Read::read_exact(&mut source, &mut seed).unwrap();
    seed
}
