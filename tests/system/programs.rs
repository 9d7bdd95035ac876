//! Other people's programs, unmodified: busybox as `/init` with a scripted session over the serial line, bash, zsh, and
//! static Go, Rust and C++ programs; bash and Perl with Debian's dynamic linker. On the host first, then under Debian's Linux in QEMU, then under Nacre.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use driver::guest::{Guest, POWERED_OFF};
use driver::machine::{Board, Boot, Machine};
use driver::runner::{Stop, Test, TestResult};

use crate::process::debian_linux;

const FOLDER: &str = "build/programs";
const SESSION: &str = "tests/guest/session/session.sh";
const EXPECTED: &str = "tests/guest/session/session.expected";
pub(crate) const INITRAMFS: &str = "build/programs.cpio";

/// How to run the session: a name, and the words before the script on the host and in the guest.
const SHELLS: [(&str, &[&str]); 3] = [
    ("busybox", &["busybox-static", "sh"]),
    ("bash", &["bash-static"]),
    ("zsh", &["zsh-static", "--emulate", "sh"]),
];
const OTHERS: [&str; 3] = ["others-go", "others-rust", "others-cxx"];

/// A few lines of Perl, and what they print: memory, a child, a pipe, a signal, floating point.
const PERL: &str = "@words = map { \"word$_\" } 1..50000; $SIG{USR1} = sub { $caught++ }; \
    pipe(R, W); if (!fork) { print W scalar(@words); exit 3 } close W; $line = <R>; wait; \
    kill USR1, $$; printf qq(%s %d %d %.3f\\n), $line, $? >> 8, $caught, atan2(1, 1) * 4";
const PERL_SAYS: &str = "50000 3 1 3.142";

/// What the typed commands end with, so that their end is seen: the echo of the typing does not match it.
const MARK: &str = "; echo rc=$?.";
/// Ctrl-C and Ctrl-Z.
const INTERRUPT: &str = "\x03";
const SUSPEND: &str = "\x1a";

/// All tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    let mut tests: Vec<Test> = Vec::new();
    for (name, words) in SHELLS {
        tests.push((format!("host-programs/session-{name}"), Box::new(move |_| session_on_host(words))));
    }
    for name in OTHERS {
        tests.push((format!("host-programs/{name}"), Box::new(move |_| other_on_host(name))));
    }
    tests.push(("linux-programs/session".to_string(), Box::new(under_linux)));
    tests.push((
        "programs/session".to_string(),
        Box::new(|name: &str| in_guest(name, PathBuf::from("build/nacre.elf"), "console=ttyS0")),
    ));
    tests
}

fn expected() -> Result<String, String> {
    fs::read_to_string(EXPECTED).map_err(|error| format!("{EXPECTED}: {error}"))
}

fn absolute(path: &str) -> Result<PathBuf, String> {
    fs::canonicalize(path).map_err(|error| format!("{path}: {error}; run: scripts/fetch-programs"))
}

fn session_on_host(words: &[&str]) -> TestResult {
    let folder = absolute(FOLDER)?;
    let (program, rest) = words.split_first().ok_or("no shell".to_string())?;
    let output = Command::new(folder.join(program))
        .args(rest)
        .arg(absolute(SESSION)?)
        .env("PATH", folder.join("bin"))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    compare(&String::from_utf8_lossy(&output.stdout))
}

fn other_on_host(name: &str) -> TestResult {
    let path = absolute(&format!("{FOLDER}/{name}"))?;
    let output = Command::new(&path).output().map_err(|error| format!("{}: {error}", path.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if text.contains(&format!("ok {name} ")) {
        Ok(())
    } else {
        Err(format!("fails on the host:\n{text}").into())
    }
}

/// The first line that differs says enough.
fn compare(actual: &str) -> TestResult {
    let expected = expected()?;
    let mut actual = actual.lines();
    for (number, line) in (1..).zip(expected.lines()) {
        match actual.next() {
            Some(found) if found == line => {}
            found => {
                let found = found.unwrap_or("the end");
                return Err(format!("line {number} of the session is `{found}`, expected `{line}`").into());
            }
        }
    }
    Ok(())
}

fn under_linux(name: &str) -> TestResult {
    let Some(kernel) = debian_linux() else {
        return Err(Stop::Skipped("no Linux in build/linux; `make bench` fetches it".to_string()));
    };
    in_guest(name, kernel, "console=ttyS0 quiet")
}

fn in_guest(name: &str, kernel: PathBuf, command_line: &str) -> TestResult {
    let machine = Machine {
        kernel,
        initramfs: Some(PathBuf::from(INITRAMFS)),
        command_line: command_line.to_string(),
        memory_mib: 512,
        cpus: 2,
        silence: Duration::from_secs(120),
        total: Duration::from_secs(900),
        ..Machine::new(Boot::Kernel(Board::Q35))
    };
    if !Path::new(INITRAMFS).exists() {
        return Err(format!("no {INITRAMFS}; run: scripts/test-process").into());
    }
    let mut guest = Guest::start(name, &machine)?;
    guest.wait_for("rcS: ready")?;
    guest.wait_for("# ")?;
    for shell in ["sh", "bash-static", "zsh-static --emulate sh", "bash"] {
        let output = run(&mut guest, &format!("{shell} /tests/session.sh 2>/dev/null"))?;
        let start = output.find("session: pipelines").ok_or(format!("{shell} did not start:\n{output}"))?;
        compare(output.get(start..).unwrap_or_default())?;
    }
    for other in OTHERS {
        let output = run(&mut guest, &format!("/tests/{other}"))?;
        if !output.contains(&format!("ok {other} ")) {
            return Err(format!("{other} fails:\n{output}").into());
        }
    }
    let output = run(&mut guest, &format!("perl-base -e '{PERL}'"))?;
    if !output.contains(PERL_SAYS) {
        return Err(format!("Perl says:\n{output}").into());
    }
    job_control(&mut guest)?;
    guest.type_text("poweroff -f\n")?;
    guest.expect_exit(POWERED_OFF)?;
    Ok(())
}

/// Types a command and returns what it wrote, once its exit code 0 has been seen.
pub(crate) fn run(guest: &mut Guest, command: &str) -> Result<String, String> {
    guest.type_text(&format!("{command}{MARK}\n"))?;
    guest.wait_for("rc=0.")
}

/// What only a terminal can do: interrupt, suspend, jobs.
fn job_control(guest: &mut Guest) -> Result<(), String> {
    start_cat(guest)?;
    guest.type_text("typed line\n")?;
    guest.wait_for("typed line\ntyped line\n")?; // the terminal's echo, then cat's
    guest.type_text(INTERRUPT)?;
    guest.wait_for("# ")?;
    guest.type_text("echo code=$?.\n")?;
    guest.wait_for("code=130.")?;
    guest.type_text("true\n")?;
    start_cat(guest)?;
    guest.type_text("second line\n")?;
    guest.wait_for("second line\nsecond line\n")?;
    guest.type_text(SUSPEND)?;
    guest.wait_for("Stopped")?;
    guest.type_text("sleep 1000 &\n")?;
    guest.type_text("jobs\n")?;
    guest.wait_for("Running")?;
    guest.type_text("kill %2; kill -9 %1; wait; jobs; echo left=$?.\n")?;
    guest.wait_for("left=0.")?;
    Ok(())
}

/// By the time the shell runs a command the terminal is as programs expect it; before, a typed line might get lost.
fn start_cat(guest: &mut Guest) -> Result<String, String> {
    guest.type_text("echo ready=$?.; cat\n")?;
    guest.wait_for("ready=0.")
}
