//! Bad input to the kernel: each is named in a sentence, and the kernel halts or goes on.

use std::fs;
use std::path::PathBuf;

use driver::guest::Guest;
use driver::machine::{Board, Boot, Machine};
use driver::runner::{Test, TestResult};

const GARBAGE: &str = "build/test-images/garbage.cpio";

/// All tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    let q35 = || Machine::new(Boot::Kernel(Board::Q35));
    let words = |words: &str| Machine { command_line: format!("console=ttyS0 {words}"), ..q35() };
    let no_acpi =
        Machine { more_arguments: vec!["-no-acpi".to_string()], ..Machine::new(Boot::Kernel(Board::Pc)) };
    let no_protocol = Machine {
        loader_config: vec!["protocol=none".to_string()],
        memory_mib: 128,
        ..Machine::new(Boot::EspUefi)
    };
    vec![
        test("bad-input/no-initramfs", Machine { initramfs: None, ..q35() }, "there is no initramfs"),
        ("bad-input/corrupt-initramfs".to_string(), Box::new(corrupt_initramfs)),
        test("bad-input/no-init", words("rdinit=/none"), "the initramfs has no /none"),
        test("bad-input/no-acpi", no_acpi, "no ACPI tables"),
        test("bad-input/8-mib", Machine { memory_mib: 8, ..q35() }, "too little memory"),
        test("bad-input/unknown-word", words("colour=blue"), "`colour=blue` on the command line: unknown"),
        test("bad-input/no-known-protocol", no_protocol, "speaks no boot protocol this kernel knows"),
    ]
}

fn test(name: &str, machine: Machine, sentence: &'static str) -> Test {
    (name.to_string(), Box::new(move |name| says(name, &machine, sentence)))
}

fn says(name: &str, machine: &Machine, sentence: &str) -> TestResult {
    Guest::start(name, machine)?.wait_for(sentence)?;
    Ok(())
}

fn corrupt_initramfs(name: &str) -> TestResult {
    fs::create_dir_all("build/test-images").map_err(|error| error.to_string())?;
    fs::write(GARBAGE, [0xaa; 65_536]).map_err(|error| format!("{GARBAGE}: {error}"))?;
    let machine =
        Machine { initramfs: Some(PathBuf::from(GARBAGE)), ..Machine::new(Boot::Kernel(Board::Q35)) };
    says(name, &machine, "the initramfs is damaged")
}
