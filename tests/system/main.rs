//! The system tests: every way to boot, the first programs, bad input to kernel and loader, the panic screen, and the
//! tests inside the kernel, disks, logins, and the behaviour tests and other people's programs on it.
//!
//! Run by scripts/test from the top folder, after the images are built. `T=name` runs the tests whose name
//! contains it. The last line is `N passed, N failed`. With the argument `process` it runs the tests of processes
//! alone, first on this host's Linux, by scripts/test-process.

#![forbid(unsafe_code)]

mod bad_input;
mod boot;
mod disks;
mod ext2;
mod guest_programs;
mod kernel_tests;
mod last_words;
mod loader_errors;
mod login;
mod process;
mod programs;
mod roots;
mod storage;
mod sysfs;
mod consoles;
mod terminals;

use std::process::ExitCode;

use driver::runner::{Suite, Test};

fn main() -> ExitCode {
    let filter = std::env::var("T").unwrap_or_default();
    if std::env::args().nth(1).is_some_and(|group| group == "process") {
        let tests = process::tests().into_iter().chain(programs::tests()).collect();
        return verdict(tests, process::suites(), &filter);
    }
    // What runs on the host judges the tests, not the kernel: scripts/test-process does that.
    let others = programs::tests().into_iter().filter(|(name, _)| name.starts_with("programs/"));
    let families = [
        others.collect(),
        boot::tests(),
        disks::tests(),
        roots::tests(),
        storage::tests(),
        sysfs::tests(),
        consoles::tests(),
        terminals::tests(),
        guest_programs::tests(),
        bad_input::tests(),
        last_words::tests(),
        loader_errors::tests(),
        login::tests(),
    ];
    // Four virtual CPUs on two real ones spend their time waiting for each other: the longer target has them.
    let processes = process::suites().into_iter().filter(|(name, _)| name != "stress-4-cpus");
    let suites = kernel_tests::suites().into_iter().chain(processes).collect();
    verdict(families.into_iter().flatten().collect(), suites, &filter)
}

fn verdict(tests: Vec<Test>, suites: Vec<Suite>, filter: &str) -> ExitCode {
    let tally = driver::runner::run(tests, suites, filter);
    println!("{}", tally.summary());
    if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
