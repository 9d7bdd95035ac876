//! Interrupts of devices, by way of the IO-APIC.

use core::sync::atomic::{AtomicU64, Ordering};

use hal::boot::BootInfo;
use hal::{cpu, smp};
use nucleus::irq::{self, IrqHandler};
use nucleus::sched;

use super::{Outcome, check};

/// Counts interrupts and the CPUs they came to.
struct Counter {
    count: AtomicU64,
    cpus: AtomicU64,
}

impl IrqHandler for Counter {
    fn interrupt(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.cpus.fetch_or(1 << cpu::id(), Ordering::Relaxed);
    }
}

static TIMER: Counter = Counter { count: AtomicU64::new(0), cpus: AtomicU64::new(0) };

/// The legacy interval timer still ticks 18 times a second, as the firmware left it; its interrupt is ISA 0, which
/// firmware reroutes to another input.
pub(super) fn an_isa_interrupt_reaches_its_cpu(_boot: &'static BootInfo) -> Outcome {
    const ISA_TIMER: u8 = 0;
    let target = smp::online() - 1;
    irq::connect_isa(ISA_TIMER, target, &TIMER).map_err(|error| alloc::format!("{error:?}"))?;
    for _ in 0..200 {
        if TIMER.count.load(Ordering::Relaxed) >= 2 {
            break;
        }
        sched::sleep_ns(10_000_000).map_err(|error| alloc::format!("{error:?}"))?;
    }
    let (count, cpus) = (TIMER.count.load(Ordering::Relaxed), TIMER.cpus.load(Ordering::Relaxed));
    check!(count >= 2, "{count} interrupts in two seconds");
    check!(cpus == 1 << target, "they came to CPUs {cpus:#b} instead of CPU {target}");
    Ok(())
}
