//! Clocks: the cycle counter as the monotonic clock, the local APIC as the one-shot timer.
//!
//! Frequencies are measured once at boot against every reference clock there is, which check each other
//! ([`logic::calibrate`]). Spec: SDM volume 3, sections 10.5.4 and 17.17; IA-PC HPET 1.0a; ACPI 6.5, 4.8.3.3 (PM timer);
//! Intel 8254 data sheet.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::vdso::Counter;
use logic::calibrate::{Calibration, Direction, Reference, Scale, Source, Span, calibrate};

use super::cpu::{Feature, has, timestamp};
use super::{acpi, apic, port};
use crate::mmio::Mmio;
use crate::spin::Once;

const PIT_HZ: u64 = 1_193_182;
const PM_HZ: u64 = 3_579_545;
const SAMPLES: usize = 3;
/// PM-timer, HPET and PIT agree to a few parts in a thousand over this time.
const SAMPLE_NS: u64 = 500_000;
/// A sample ends after this many cycles even if no clock moves: 100 ms at 5 GHz.
const CYCLES_LIMIT: u64 = 500_000_000;

struct Clock {
    calibration: Calibration,
    boot_cycles: u64,
    cycles_to_ns: Scale,
    ns_to_cycles: Scale,
    ns_to_ticks: Scale,
}

static CLOCK: Once<Clock> = Once::new();

/// The references of this machine.
#[derive(Clone, Copy)]
struct References {
    hpet: Option<Hpet>,
    pm: Option<PmTimer>,
    pit: bool,
}

/// The high precision event timer's main counter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hpet {
    pub(crate) base: u64,
}

/// The ACPI power-management timer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PmTimer {
    pub(crate) port: u16,
    pub(crate) bits: u8,
}

impl Hpet {
    const CAPABILITIES: u64 = 0;
    const CONFIGURATION: u64 = 0x10;
    const COUNTER: u64 = 0xf0;

    fn register(self, offset: u64) -> Mmio<u64> {
        Mmio::at(self.base, offset)
    }

    fn start(self) {
        let configuration = self.register(Self::CONFIGURATION);
        configuration.write(configuration.read() | 1);
    }

    /// The period in femtoseconds stands in the upper half; an absurd one means there is no HPET.
    fn frequency(self) -> Option<u64> {
        let period = self.register(Self::CAPABILITIES).read() >> 32;
        (period != 0 && period <= 100_000_000).then(|| 1_000_000_000_000_000 / period)
    }

    fn bits(self) -> u8 {
        if self.register(Self::CAPABILITIES).read() & 1 << 13 != 0 { 64 } else { 32 }
    }
}

/// One reading of everything.
#[derive(Clone, Copy, Default)]
struct Reading {
    tsc: u64,
    lapic: u64,
    hpet: u64,
    pm: u64,
    pit: u64,
}

impl References {
    fn find() -> Self {
        let (hpet, pm) = acpi::with_platform(|platform| (platform.hpet, platform.pm_timer));
        if let Some(hpet) = hpet {
            hpet.start();
        }
        References { hpet: hpet.filter(|hpet| hpet.frequency().is_some()), pm, pit: start_pit() }
    }

    fn read(self) -> Reading {
        Reading {
            hpet: self.hpet.map_or(0, |hpet| hpet.register(Hpet::COUNTER).read()),
            pm: self.pm.map_or(0, |pm| u64::from(port::read32(pm.port))),
            pit: if self.pit { read_pit() } else { 0 },
            lapic: u64::from(apic::ticks_left()),
            tsc: timestamp(),
        }
    }

    /// Whether a sample that began at `start` is long enough, by any clock.
    fn is_long_enough(self, start: Reading, now: Reading) -> bool {
        let passed = |ticks: u64, hz: u64| ticks >= hz / (1_000_000_000 / SAMPLE_NS);
        let hpet = self.hpet.and_then(|hpet| Some((now.hpet.wrapping_sub(start.hpet), hpet.frequency()?)));
        let pm = self.pm.map(|pm| (now.pm.wrapping_sub(start.pm) & ((1 << pm.bits) - 1), PM_HZ));
        let pit = self.pit.then_some((start.pit.wrapping_sub(now.pit) & 0xffff, PIT_HZ));
        now.tsc.wrapping_sub(start.tsc) > CYCLES_LIMIT
            || [hpet, pm, pit].into_iter().flatten().next().is_some_and(|(ticks, hz)| passed(ticks, hz))
    }
}

/// Starts channel 2 of the interval timer, which nothing listens to, counting down from 65536 for ever.
/// Says whether it counts: machines without legacy devices read all ones.
fn start_pit() -> bool {
    const SPEAKER: u16 = 0x61;
    // Gate on, speaker off.
    port::write8(SPEAKER, port::read8(SPEAKER) & !2 | 1);
    port::write8(0x43, 0xb4);
    port::write8(0x42, 0xff);
    port::write8(0x42, 0xff);
    let first = read_pit();
    (0..1000).any(|_| read_pit() != first)
}

fn read_pit() -> u64 {
    port::write8(0x43, 0x80);
    let low = port::read8(0x42);
    u64::from(u16::from_le_bytes([low, port::read8(0x42)]))
}

/// Measures the frequencies; the boot CPU, after its APIC is on.
///
/// # Errors
/// A sentence, if nothing ticks.
pub(crate) fn init() -> Result<(), logic::calibrate::Error> {
    let references = References::find();
    let mut readings = [(Reading::default(), Reading::default()); SAMPLES];
    apic::arm_ticks(u32::MAX);
    for (start, end) in &mut readings {
        *start = references.read();
        loop {
            *end = references.read();
            if references.is_long_enough(*start, *end) {
                break;
            }
        }
    }
    apic::arm_ticks(0);
    let spans = |bits: u8, direction: Direction, pick: fn(&Reading) -> u64| {
        readings.map(|(start, end)| Span { start: pick(&start), end: pick(&end), bits, direction })
    };
    let hpet_spans = spans(references.hpet.map_or(64, Hpet::bits), Direction::Up, |reading| reading.hpet);
    let pm_spans = spans(references.pm.map_or(24, |pm| pm.bits), Direction::Up, |reading| reading.pm);
    let pit_spans = spans(16, Direction::Down, |reading| reading.pit);
    let mut known = [Reference { source: Source::Pit, frequency_hz: PIT_HZ, spans: &pit_spans }; 3];
    let mut count = usize::from(references.pit);
    if references.pm.is_some() {
        known[count] = Reference { source: Source::AcpiPm, frequency_hz: PM_HZ, spans: &pm_spans };
        count += 1;
    }
    if let Some(frequency_hz) = references.hpet.and_then(Hpet::frequency) {
        known[count] = Reference { source: Source::Hpet, frequency_hz, spans: &hpet_spans };
        count += 1;
    }
    let tsc = spans(64, Direction::Up, |reading| reading.tsc);
    let lapic = spans(32, Direction::Down, |reading| reading.lapic);
    let calibration = calibrate(&tsc, &lapic, &known[..count])?;
    CLOCK.call_once(|| Clock {
        boot_cycles: BOOT_CYCLES.load(Ordering::Relaxed),
        cycles_to_ns: Scale::to_nanoseconds(calibration.tsc_hz),
        ns_to_cycles: Scale::from_nanoseconds(calibration.tsc_hz),
        ns_to_ticks: Scale::from_nanoseconds(calibration.lapic_hz.unwrap_or(0)),
        calibration,
    });
    Ok(())
}

static BOOT_CYCLES: AtomicU64 = AtomicU64::new(0);

/// Notes the moment that counts as boot.
pub(crate) fn mark_boot() {
    BOOT_CYCLES.store(timestamp(), Ordering::Relaxed);
}

/// Nanoseconds since boot; 0 before the clock is known.
#[inline]
pub(crate) fn now_ns() -> u64 {
    CLOCK.get().map_or(0, |clock| clock.cycles_to_ns.apply(timestamp().saturating_sub(clock.boot_cycles)))
}

/// The counter that [`now_ns`] counts.
#[inline(always)]
pub(crate) fn cycles() -> u64 {
    timestamp()
}

/// How long that many cycles are.
pub(crate) fn cycles_to_ns(cycles: u64) -> u64 {
    CLOCK.get().map_or(0, |clock| clock.cycles_to_ns.apply(cycles))
}

/// How `now_ns` comes from the cycle counter, for programs that read it themselves; `None` before the clock is known.
pub(crate) fn counter() -> Option<Counter> {
    CLOCK.get().map(|clock| Counter {
        base_cycles: clock.boot_cycles,
        multiplier: clock.cycles_to_ns.multiplier(),
        shift: clock.cycles_to_ns.shift().into(),
    })
}

/// Lets this CPU's timer interrupt come at `deadline_ns`; `None` stops it.
pub(crate) fn arm(deadline_ns: Option<u64>) {
    let Some(clock) = CLOCK.get() else { return };
    if has(Feature::TscDeadline) {
        let cycles = |at: u64| clock.boot_cycles.saturating_add(clock.ns_to_cycles.apply_rounding_up(at));
        // Zero would stop the timer instead of firing it.
        return apic::arm_deadline(deadline_ns.map_or(0, |at| cycles(at).max(1)));
    }
    let ticks = deadline_ns.map_or(0, |at| {
        let left = clock.ns_to_ticks.apply_rounding_up(at.saturating_sub(now_ns()));
        // A deadline beyond the counter fires early, and the timer code arms again.
        u32::try_from(left.max(1)).unwrap_or(u32::MAX)
    });
    apic::arm_ticks(ticks);
}

/// What was measured.
pub(crate) fn summary() -> impl fmt::Display {
    Summary
}

struct Summary;

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(clock) = CLOCK.get() else { return f.write_str("no clock") };
        let found = &clock.calibration;
        write!(f, "TSC {} kHz, APIC timer {} kHz", found.tsc_hz / 1000, found.lapic_hz.unwrap_or(0) / 1000)?;
        if has(Feature::TscDeadline) {
            f.write_str(" (deadline mode)")?;
        }
        write!(f, ", measured against {:?}", found.trusted)?;
        for liar in found.liars.iter().flatten() {
            write!(f, "; {liar:?} is wrong and ignored")?;
        }
        Ok(())
    }
}
