//! The tests inside the kernel: one boot of the test kernel runs them all; once with one CPU, once with eight.

use std::path::PathBuf;

use driver::guest::{Guest, TEST_SUCCESS};
use driver::ktest;
use driver::machine::{Board, Boot, Machine};
use driver::runner::{Stop, Suite, TestResult};

/// The kernel built with `cfg(ktest)`, by scripts/test.
const KERNEL: &str = "build/ktest.elf";

/// All suites of this file.
pub(crate) fn suites() -> Vec<Suite> {
    [1, 8].map(|cpus| suite(&format!("ktest-{cpus}-cpus"), cpus)).into()
}

fn suite(name: &str, cpus: u32) -> Suite {
    (name.to_string(), Box::new(move |name| kernel_tests(name, cpus)))
}

fn kernel_tests(name: &str, cpus: u32) -> Result<Vec<(String, TestResult)>, Stop> {
    let machine = Machine { kernel: PathBuf::from(KERNEL), cpus, ..Machine::new(Boot::Kernel(Board::Q35)) };
    let mut guest = Guest::start(name, &machine)?;
    guest.wait_for("ktest: done ")?;
    let results = ktest::parse(&guest.wait_for("failed").map(|_| guest.output())?)?;
    // A kernel whose tests failed says so by its lines; the exit status matters only when all passed.
    if results.iter().all(|(_, result)| result.is_ok()) {
        guest.expect_exit(TEST_SUCCESS)?;
    }
    Ok(results.into_iter().map(|(test, result)| (test, result.map_err(Stop::Failed))).collect())
}
