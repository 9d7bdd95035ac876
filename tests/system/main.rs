//! The system tests: every way to boot, the first programs, bad input to kernel and loader, the panic screen, and the
//! tests inside the kernel.
//!
//! Run by scripts/test from the top folder, after the images are built. `T=name` runs the tests whose name
//! contains it. The last line is `N passed, N failed`.

#![forbid(unsafe_code)]

mod bad_input;
mod boot;
mod guest_programs;
mod kernel_tests;
mod last_words;
mod loader_errors;

use std::process::ExitCode;

fn main() -> ExitCode {
    let filter = std::env::var("T").unwrap_or_default();
    let families = [
        boot::tests(),
        guest_programs::tests(),
        bad_input::tests(),
        last_words::tests(),
        loader_errors::tests(),
    ];
    let tests = families.into_iter().flatten().collect();
    let tally = driver::runner::run(tests, kernel_tests::suites(), &filter);
    println!("{}", tally.summary());
    if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
