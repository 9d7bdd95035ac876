//! The last words: why the kernel stopped, what it was doing, and what to do now.
//!
//! Takes no lock that another CPU may hold and allocates nothing. All other CPUs are stopped first, by NMI. The
//! watchdog lives here too: it makes a CPU that answers nothing for ten seconds tell where it is.

use core::fmt;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};

use hal::power::EmulatorExit;
use hal::trap::Registers;
use hal::{backtrace, console, cpu, lock_ranks, power, smp, symbols, time};
use logic::symbols::{Buffers, Symbols};
use nucleus::sched;

const NOBODY: usize = usize::MAX;
static PANICKING: AtomicUsize = AtomicUsize::new(NOBODY);
/// `panic=`: seconds until reboot; 0 waits for ever, less reboots at once.
static REBOOT_AFTER_S: AtomicI32 = AtomicI32::new(0);

/// Advice of builds that check less.
const MORE_CHECKS: &str = "run it again with PROFILE=dev, which checks more; then ";

macro_rules! say {
    ($($argument:tt)*) => { console::print_unlocked(format_args!($($argument)*)) };
}

/// Sets what `panic=` said.
pub(crate) fn set_timeout(seconds: i32) {
    REBOOT_AFTER_S.store(seconds, Ordering::Relaxed);
}

#[panic_handler]
fn on_panic(info: &PanicInfo<'_>) -> ! {
    begin();
    match info.location() {
        Some(place) => say!("\nNacre panicked at {}:{}: {}\n", place.file(), place.line(), info.message()),
        None => say!("\nNacre panicked: {}\n", info.message()),
    }
    // From this handler's frame, so the first line is core's `panic_fmt`.
    finish(backtrace::here(), None)
}

/// An exception of the kernel itself: hal's `fatal` upcall.
pub(crate) fn exception(registers: &Registers, address: Option<u64>) -> ! {
    begin();
    let name = exception_name(registers.vector);
    match address {
        Some(address) => say!("\nNacre panicked: {name} in the kernel, at address {address:#x}\n"),
        None => say!("\nNacre panicked: {name} in the kernel, error code {:#x}\n", registers.error),
    }
    finish(registers.rbp, Some(registers))
}

fn begin() {
    let _ = cpu::irq_off();
    lock_ranks::stop_checking();
    let me = cpu::id();
    match PANICKING.compare_exchange(NOBODY, me, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => smp::stop_others(),
        Err(other) if other == me => {
            say!("\nNacre panicked while it panicked; giving up.\n");
            stop()
        }
        // Another CPU is at it; its words are enough.
        Err(_) => cpu::halt_forever(),
    }
}

fn finish(frame: u64, registers: Option<&Registers>) -> ! {
    match sched::cpu::try_current() {
        Some(thread) => say!("  on CPU {}, in thread {} \"{}\"", cpu::id(), thread.id().0, thread.name()),
        None => say!("  on CPU {}, outside any thread", cpu::id()),
    }
    say!(", {} ms after boot\n", time::now_ns() / 1_000_000);
    if let Some(registers) = registers {
        print_registers(registers);
    }
    print_backtrace(registers.map(|registers| registers.rip), frame);
    print_locks();
    print_events();
    say!("What to do: {}report all of the above.\n", if cfg!(debug_assertions) { "" } else { MORE_CHECKS });
    stop()
}

fn stop() -> ! {
    power::exit_emulator(EmulatorExit::Panic);
    let seconds = REBOOT_AFTER_S.load(Ordering::Relaxed);
    if seconds == 0 {
        say!("Halted (panic=SECONDS on the command line reboots).\n");
        cpu::halt_forever();
    }
    time::spin_ns(u64::try_from(seconds).unwrap_or(0) * 1_000_000_000);
    power::reset()
}

fn print_registers(r: &Registers) {
    say!("registers:\n");
    say!("  rip {:016x} rsp {:016x} rflags {:08x} cs {:x} ss {:x}\n", r.rip, r.rsp, r.rflags, r.cs, r.ss);
    say!("  rax {:016x} rbx {:016x} rcx {:016x} rdx {:016x}\n", r.rax, r.rbx, r.rcx, r.rdx);
    say!("  rsi {:016x} rdi {:016x} rbp {:016x} r8  {:016x}\n", r.rsi, r.rdi, r.rbp, r.r8);
    say!("  r9  {:016x} r10 {:016x} r11 {:016x} r12 {:016x}\n", r.r9, r.r10, r.r11, r.r12);
    say!("  r13 {:016x} r14 {:016x} r15 {:016x}\n", r.r13, r.r14, r.r15);
    say!("stack from rsp:");
    for (place, word) in backtrace::words(r.rsp).take(16).enumerate() {
        say!("{}{word:016x}", if place % 4 == 0 { "\n  " } else { " " });
    }
    say!("\n");
}

fn print_backtrace(first: Option<u64>, frame: u64) {
    say!("backtrace:\n");
    if let Some(address) = first {
        print_place(address);
    }
    for return_address in backtrace::walk(frame) {
        // The call, not what follows it.
        print_place(return_address.saturating_sub(1));
    }
}

fn print_place(address: u64) {
    static SPACE: hal::spin::Lock<Buffers, hal::rank::Console> = hal::spin::Lock::new(Buffers::new());
    let found = symbols::text_offset(address).zip(Symbols::new(symbols::blob()));
    // Only one CPU panics; `try_lock` because a lock must never stop the last words.
    let (Some((offset, table)), Some(mut space)) = (found, SPACE.try_lock()) else {
        return say!("  {address:#018x}\n");
    };
    match table.lookup(offset, &mut space) {
        Some(place) => say!("  {address:#018x} {place}\n"),
        None => say!("  {address:#018x}\n"),
    }
}

fn print_locks() {
    let mut any = false;
    lock_ranks::for_each_held(|level, name| {
        say!("{} {name} (rank {level})", if any { "," } else { "spin locks held:" });
        any = true;
    });
    if any {
        say!("\n");
    } else if cfg!(debug_assertions) {
        say!("spin locks held: none\n");
    } else {
        say!("spin locks held: not recorded in release builds\n");
    }
}

fn print_events() {
    say!("last events of this CPU (us, oldest first):\n");
    sched::cpu::for_each_event(|event| {
        say!("  {:10} {:?} {:?}\n", event.time_ns / 1000, event.kind, event.arguments);
    });
}

fn exception_name(vector: u64) -> impl fmt::Display {
    const NAMES: [&str; 32] = [
        "division error",
        "debug exception",
        "non-maskable interrupt",
        "breakpoint",
        "overflow",
        "bound range",
        "invalid instruction",
        "no FPU",
        "double fault (most likely a kernel stack overflow)",
        "coprocessor overrun",
        "invalid TSS",
        "segment not present",
        "stack fault",
        "general protection fault",
        "page fault",
        "exception 15",
        "FPU error",
        "alignment check",
        "machine check",
        "SIMD error",
        "virtualisation fault",
        "control protection fault",
        "exception 22",
        "exception 23",
        "exception 24",
        "exception 25",
        "exception 26",
        "exception 27",
        "hypervisor injection",
        "VMM communication",
        "security fault",
        "exception 31",
    ];
    usize::try_from(vector).ok().and_then(|vector| NAMES.get(vector)).copied().unwrap_or("unknown exception")
}

/// How often the watchdog looks.
const WATCH_NS: u64 = 2_500_000_000;
/// A CPU that answers nothing for so long is stuck.
const STUCK_NS: u64 = 10_000_000_000;
/// When each CPU last took an interrupt from the watchdog.
static LAST_SEEN: [AtomicU64; cpu::MAX_CPUS] = [const { AtomicU64::new(0) }; cpu::MAX_CPUS];
/// CPUs that were reported already, a bit each.
static REPORTED: AtomicU64 = AtomicU64::new(0);

/// This CPU takes interrupts.
pub(crate) fn note_alive() {
    LAST_SEEN[cpu::id()].store(time::now_ns(), Ordering::Relaxed);
}

/// The watchdog's thread: pings every CPU, and sends an NMI to those that stay silent. A single CPU cannot be watched
/// this way.
pub(crate) fn watch() {
    loop {
        if sched::sleep_ns(WATCH_NS).is_err() {
            return;
        }
        let now = time::now_ns();
        note_alive();
        if cpu::id() == 0 {
            sched::cpu::sample_load(WATCH_NS);
        }
        for number in (0..cpu::MAX_CPUS).filter(|&number| smp::online_mask() & 1 << number != 0) {
            let silent_ns = now.saturating_sub(LAST_SEEN[number].load(Ordering::Relaxed));
            let bit = 1 << number;
            if silent_ns < STUCK_NS {
                REPORTED.fetch_and(!bit, Ordering::Relaxed);
            } else if REPORTED.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
                nucleus::error!(
                    "CPU {number} has taken no interrupt for {} s; it is at:",
                    silent_ns / 1_000_000_000
                );
                smp::send_nmi(number);
            }
            smp::ping(number);
        }
    }
}

/// An NMI that no panic sent: say where this CPU is. No locks: it may hold any.
pub(crate) fn report_place(registers: &Registers) {
    say!("CPU {}:\n", cpu::id());
    print_backtrace(Some(registers.rip), registers.rbp);
}
