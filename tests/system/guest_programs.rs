//! The first programs, under tests/guest/first: on the host's Linux, which must agree with what we expect of it, then on
//! Nacre, each as the first program.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use driver::guest::{Guest, POWERED_OFF};
use driver::machine::{Board, Boot, Machine};
use driver::runner::{Test, TestResult};

#[derive(Clone, Copy)]
enum Ending {
    Exited(i32),
    Killed(i32, &'static str),
}

const PROGRAMS: [(&str, Ending); 5] = [
    ("calls", Ending::Exited(0)),
    ("registers", Ending::Exited(0)),
    ("wild", Ending::Killed(11, "SIGSEGV")),
    ("privileged", Ending::Killed(11, "SIGSEGV")),
    ("step", Ending::Killed(5, "SIGTRAP")),
];

/// All tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    let mut tests: Vec<Test> = Vec::new();
    for (program, ending) in PROGRAMS {
        tests.push((format!("linux/{program}"), Box::new(move |_| on_linux(program, ending))));
        tests.push((format!("guest/{program}"), Box::new(move |name| on_nacre(name, program, ending))));
    }
    tests.push(("guest/truncated".to_string(), Box::new(truncated)));
    tests
}

fn on_linux(program: &str, expected: Ending) -> TestResult {
    let path = format!("build/guest/{program}");
    // To a pipe: Linux's /dev/null does not even look at what is written to it.
    let run = Command::new(&path).stdout(Stdio::piped()).output();
    let status = run.map_err(|error| format!("{path}: {error}"))?.status;
    let agrees = match expected {
        Ending::Exited(code) => status.code() == Some(code),
        Ending::Killed(signal, _) => status.signal() == Some(signal),
    };
    if agrees { Ok(()) } else { Err(format!("on Linux {program} ended with {status}").into()) }
}

fn on_nacre(name: &str, program: &str, expected: Ending) -> TestResult {
    let machine = Machine {
        command_line: format!("console=ttyS0 rdinit=/tests/{program}"),
        ..Machine::new(Boot::Kernel(Board::Q35))
    };
    let mut guest = Guest::start(name, &machine)?;
    let ending = match expected {
        Ending::Exited(code) => format!("/tests/{program} exited with code {code}"),
        Ending::Killed(_, signal) => format!("/tests/{program} was killed by {signal}"),
    };
    guest.wait_for(&ending)?;
    guest.expect_exit(POWERED_OFF)?;
    Ok(())
}

/// A program cut off in the middle is refused with a sentence, as Linux refuses it with an error.
fn truncated(name: &str) -> TestResult {
    let machine = Machine {
        command_line: "console=ttyS0 rdinit=/tests/truncated".to_string(),
        ..Machine::new(Boot::Kernel(Board::Q35))
    };
    let mut guest = Guest::start(name, &machine)?;
    guest.wait_for("cannot run /tests/truncated")?;
    guest.expect_exit(POWERED_OFF)?;
    Ok(())
}
