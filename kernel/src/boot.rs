//! What starts, in order: the kernel's table of contents.

use core::sync::atomic::{AtomicBool, Ordering};

use abi::{Errno, Result};
use hal::boot::BootInfo;
use hal::context::Kind;
use hal::power::EmulatorExit;
use hal::{cpu, frames, power, smp, time, trap};
use logic::cmdline::{self, BootOptions, Remark};
use logic::cpuset::{CpuId, CpuSet};
use logic::runq::Policy;
use nucleus::sched::{self, Thread};
use nucleus::{error, info, log, warning};

use crate::handlers::Kernel;
use crate::{bench, first, panic, trace};

/// Entered by hal on the boot CPU, interrupts off, on the final page tables.
pub(crate) fn start(boot: &'static BootInfo) -> ! {
    info!("Nacre {} ({}), started by {}", env!("CARGO_PKG_VERSION"), build_kind(), loader(boot));
    let options = BootOptions::parse(boot.command_line.as_str());
    apply(&options);
    if cmdline::words(boot.command_line.as_str()).any(|word| word.is_named("trace")) {
        trace::trace_all();
    }
    if hal::boot::init_memory(boot).is_err() {
        give_up("there is no memory for the frame allocator's records; give the machine 16 MiB or more");
    }
    trap::set_handlers(&Kernel);
    if let Err(problem) = hal::boot::init_machine() {
        give_up(problem);
    }
    describe(boot);
    if sched::cpu::init(smp::present()).is_err() {
        give_up("there is no memory for the scheduler; give the machine 16 MiB or more");
    }
    smp::set_online();
    start_cpus(&options);
    start_first_threads(boot);
    sched::cpu::idle()
}

fn build_kind() -> &'static str {
    if cfg!(ktest) {
        "test build"
    } else if cfg!(debug_assertions) {
        "debug build"
    } else {
        "release build"
    }
}

fn loader(boot: &BootInfo) -> impl core::fmt::Display {
    struct Loader<'a>(&'a BootInfo);
    impl core::fmt::Display for Loader<'_> {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            match self.0.loader.as_str() {
                "" => write!(f, "{}", self.0.protocol),
                name => write!(f, "{name} ({})", self.0.protocol),
            }
        }
    }
    Loader(boot)
}

fn apply(options: &BootOptions<'_>) {
    log::set_console_level(options.log_level);
    panic::set_timeout(options.panic_timeout_s);
}

/// A boot that cannot go on ends with a sentence, not with a panic: nothing is broken but the machine's size.
fn give_up(problem: &str) -> ! {
    error!("cannot boot: {problem}");
    power::exit_emulator(EmulatorExit::BootFailed);
    cpu::halt_forever()
}

fn describe(boot: &BootInfo) {
    info!("command line: {}", boot.command_line.as_str());
    // A test build reads this word itself.
    let is_ours = |remark: &Remark<'_>| cfg!(ktest) && remark.word().is_named("ktest");
    for remark in cmdline::remarks(boot.command_line.as_str()).filter(|remark| !is_ours(remark)) {
        warning!("{remark}");
    }
    let memory = frames::stats();
    info!(
        "memory: {} KiB for use, {} KiB of records",
        memory.total * 4,
        memory.metadata_bytes.div_ceil(1024)
    );
    info!("CPU: {}", cpu::summary());
    info!("{}", hal::boot::platform_summary());
    info!("clock: {}", time::summary());
}

fn start_cpus(options: &BootOptions<'_>) {
    let wanted = smp::present().min(usize::try_from(options.max_cpus).unwrap_or(usize::MAX));
    for number in 1..wanted {
        if let Err(error) = smp::start(number, sched::cpu::run_other) {
            warning!("CPU {number} did not start ({error:?}); going on without it");
        }
    }
    info!("{} of {} CPUs up", smp::online(), smp::present());
}

static WANTS_SWITCH_BENCH: AtomicBool = AtomicBool::new(false);

fn start_first_threads(boot: &'static BootInfo) {
    let has_word = |word: &str| cmdline::words(boot.command_line.as_str()).any(|found| found.is_named(word));
    WANTS_SWITCH_BENCH.store(has_word("bench.switch"), Ordering::Relaxed);
    if start_watchdogs().and_then(|()| start_main(boot)).is_err() {
        give_up("there is no memory for the first threads; give the machine 16 MiB or more");
    }
}

/// Two, on different CPUs: the one cannot see that its own CPU is stuck.
fn start_watchdogs() -> Result<()> {
    for number in 0..smp::online().min(2) {
        let watchdog = Thread::new("watchdog", Kind::Kernel, Policy::default(), panic::watch)?;
        let home = CpuId::from_index(number).ok_or(Errno::EINVAL)?;
        watchdog.set_affinity(CpuSet::single(home))?;
        sched::start(&watchdog);
    }
    Ok(())
}

fn start_main(boot: &'static BootInfo) -> Result<()> {
    let main = Thread::new("main", Kind::Kernel, Policy::default(), move || main_thread(boot))?;
    sched::start(&main);
    Ok(())
}

fn main_thread(boot: &'static BootInfo) {
    // A test build runs its tests first, and stops there if the emulator lets it.
    #[cfg(ktest)]
    power::exit_emulator(if crate::ktest::run_all(boot) {
        EmulatorExit::Success
    } else {
        EmulatorExit::Failure
    });
    if WANTS_SWITCH_BENCH.load(Ordering::Relaxed) {
        bench::context_switches();
    }
    first::run(boot);
    let _ = crate::system::power_off();
}
