//! Tests that need the machine: run by test builds (`cfg(ktest)`) instead of `/init`, one boot for all.
//!
//! Each prints `ktest: ok NAME` or `ktest: FAILED NAME: reason`; the driver under tests/ counts the lines.
//! `ktest=TEXT` on the command line runs those whose name contains TEXT; `ktest.crash=KIND` crashes on purpose, for
//! the tests of the panic screen.

mod crash;
mod crew;
mod devices;
mod memory;
mod scheduling;
mod user;

use hal::boot::BootInfo;
use hal::console;
use logic::cmdline;

/// Why a test failed.
type Outcome = Result<(), alloc::string::String>;

struct Test {
    name: &'static str,
    run: fn(&'static BootInfo) -> Outcome,
}

macro_rules! tests {
    ($($module:ident :: $name:ident),* $(,)?) => {
        const TESTS: &[Test] = &[$(Test {
            name: concat!(stringify!($module), "::", stringify!($name)),
            run: |boot| { let _ = boot; $module::$name(boot) },
        }),*];
    };
}

tests! {
    memory::no_page_is_writable_and_executable,
    memory::constants_cannot_be_written_anywhere,
    memory::frames_come_back,
    memory::metadata_costs_under_one_percent,
    memory::heap_keeps_contents_apart,
    memory::all_cpus_allocate_and_free,
    memory::stacks_have_guards_and_come_back,
    memory::exhaustion_is_an_error,
    scheduling::a_sleep_is_never_short,
    scheduling::a_wait_ends_at_its_deadline,
    scheduling::a_busy_thread_is_preempted,
    scheduling::affinity_is_respected,
    scheduling::load_spreads_over_cpus,
    scheduling::weights_share_one_cpu,
    scheduling::real_time_goes_first,
    scheduling::mutex_counts_right,
    scheduling::an_interrupt_ends_a_wait,
    scheduling::wake_storm,
    scheduling::timer_storm,
    scheduling::thread_storm,
    devices::an_isa_interrupt_reaches_its_cpu,
    user::programs_end_as_on_linux,
    user::many_programs_at_once,
}

/// Fails the running test with a formatted reason unless `condition` holds.
macro_rules! check {
    ($condition:expr, $($reason:tt)+) => {
        if !$condition {
            return Err(alloc::format!($($reason)+));
        }
    };
}
use check;

/// Runs the tests the command line selects; true if none failed.
pub(crate) fn run_all(boot: &'static BootInfo) -> bool {
    let value = |word: &str| cmdline::words(boot.command_line.as_str()).find(|found| found.is_named(word));
    if let Some(kind) = value("ktest.crash").and_then(|word| word.value) {
        crash::crash(kind);
    }
    let filter = value("ktest").and_then(|word| word.value).unwrap_or("");
    let (mut passed, mut failed) = (0, 0);
    for test in TESTS.iter().filter(|test| test.name.contains(filter)) {
        console::print(format_args!("ktest: run {}\n", test.name));
        match (test.run)(boot) {
            Ok(()) => {
                passed += 1;
                console::print(format_args!("ktest: ok {}\n", test.name));
            }
            Err(reason) => {
                failed += 1;
                console::print(format_args!("ktest: FAILED {}: {reason}\n", test.name));
            }
        }
    }
    console::print(format_args!("ktest: done {passed} passed {failed} failed\n"));
    failed == 0
}
