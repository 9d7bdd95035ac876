//! The system tests: every way to boot, bad input to kernel and loader, and the tests inside the kernel.
//!
//! Run by scripts/test from the top folder, after the images are built. `T=name` runs the tests whose name
//! contains it. The last line is `N passed, N failed`.

#![forbid(unsafe_code)]

mod bad_input;
mod boot;
mod kernel_tests;
mod loader_errors;

use std::process::ExitCode;

fn main() -> ExitCode {
    let filter = std::env::var("T").unwrap_or_default();
    let tests = [boot::tests(), bad_input::tests(), loader_errors::tests()].into_iter().flatten().collect();
    let tally = driver::runner::run(tests, kernel_tests::suites(), &filter);
    println!("{}", tally.summary());
    if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
