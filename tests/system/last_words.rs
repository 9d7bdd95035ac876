//! The panic screen: the test kernel crashes on purpose, and must say why, where, and what was held.

use std::path::PathBuf;
use std::time::Duration;

use driver::guest::Guest;
use driver::machine::{Board, Boot, Machine};
use driver::runner::{Test, TestResult};

/// QEMU's exit status after a panic: 2 * 0x12 + 1.
const PANICKED: i32 = 37;

/// All tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    vec![
        ("panic/reason-and-place".to_string(), Box::new(reason_and_place)),
        ("panic/locks-held".to_string(), Box::new(locks_held)),
        ("panic/stack-overflow".to_string(), Box::new(stack_overflow)),
        ("panic/reboot".to_string(), Box::new(|name| reboots(name, crash("panic")))),
        ("panic/reboot-without-help".to_string(), Box::new(|name| reboots(name, helpless()))),
        ("panic/stuck-cpu".to_string(), Box::new(stuck_cpu)),
    ]
}

fn crash(kind: &str) -> Machine {
    Machine {
        kernel: PathBuf::from("build/ktest.elf"),
        cpus: 2,
        command_line: format!("console=ttyS0 ktest.crash={kind}"),
        ..Machine::new(Boot::Kernel(Board::Q35))
    }
}

fn words_of(name: &str, kind: &str) -> Result<String, String> {
    let mut guest = Guest::start(name, &crash(kind))?;
    guest.wait_for("What to do:")?;
    guest.expect_exit(PANICKED)?;
    Ok(guest.output())
}

fn must_contain(output: &str, texts: &[&str]) -> TestResult {
    match texts.iter().find(|text| !output.contains(*text)) {
        None => Ok(()),
        Some(text) => Err(format!("the last words lack {text:?}:\n{output}").into()),
    }
}

fn reason_and_place(name: &str) -> TestResult {
    let output = words_of(name, "panic")?;
    let wanted = [
        "Nacre panicked at kernel/src/ktest/crash.rs:",
        "on purpose",
        "in thread",
        "\"main\"",
        // A name, and a file with its line: the symbols were found.
        "kernel::ktest::crash::crash",
        "(kernel/src/boot.rs:",
        "spin locks held: none",
        "last events of this CPU",
    ];
    must_contain(&output, &wanted)
}

fn locks_held(name: &str) -> TestResult {
    let output = words_of(name, "locks")?;
    let order = "lock Task (rank 20) must be taken before RunQueue (rank 70), which is held";
    must_contain(&output, &[order, "spin locks held: RunQueue (rank 70)"])
}

fn stack_overflow(name: &str) -> TestResult {
    let output = words_of(name, "stack")?;
    must_contain(
        &output,
        &["double fault (most likely a kernel stack overflow)", "registers:", "crash::overflow"],
    )
}

/// `panic=-1` resets at once; QEMU, told not to, exits instead. Without the debug-exit device, which would end it first.
fn reboots(name: &str, mut machine: Machine) -> TestResult {
    machine.command_line += " panic=-1";
    machine.has_debug_exit = false;
    let mut guest = Guest::start(name, &machine)?;
    guest.wait_for("What to do:")?;
    guest.expect_exit(0)?;
    Ok(())
}

/// No ACPI and no keyboard controller: only a triple fault resets this machine.
fn helpless() -> Machine {
    Machine {
        boot: Boot::Kernel(Board::Microvm),
        more_arguments: ["-machine", "acpi=off"].map(String::from).to_vec(),
        ..crash("panic")
    }
}

/// A CPU that spins with interrupts off for ten seconds is reported by the other, with its backtrace.
fn stuck_cpu(name: &str) -> TestResult {
    let machine = Machine { silence: Duration::from_secs(60), ..crash("stuck") };
    let mut guest = Guest::start(name, &machine)?;
    guest.wait_for("CPU 1 has taken no interrupt for 10 s; it is at:")?;
    guest.wait_for("kernel::ktest::crash::spin_for_ever")?;
    Ok(())
}
