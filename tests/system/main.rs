//! The system tests: every way to boot, and the tests inside the kernel.
//!
//! Run by scripts/test from the top folder, after the images are built. `T=name` runs the tests whose name
//! contains it. The last line is `N passed, N failed`.

#![forbid(unsafe_code)]

mod boot;
mod kernel_tests;

use std::process::ExitCode;

fn main() -> ExitCode {
    let filter = std::env::var("T").unwrap_or_default();
    let tally = driver::runner::run(boot::tests(), kernel_tests::suites(), &filter);
    println!("{}", tally.summary());
    if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
