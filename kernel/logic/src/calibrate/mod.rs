//! How fast the counters run: from readings beside clocks of known frequency to conversions.
//!
//! At boot the kernel reads the time-stamp counter, the local APIC timer and every reference clock there
//! is (HPET, ACPI PM timer, PIT, CPUID's word) at the same two moments, several times. [`calibrate`]
//! computes frequencies and says which reference lies (emulated and aging clocks do). [`Scale`] then
//! turns ticks into nanoseconds and back. SDM volume 3, section 20.7 (time-stamp counter).

/// How many samples count; of more, the first ones.
pub const MAX_SAMPLES: usize = 9;
/// How many references a calibration compares.
pub const MAX_REFERENCES: usize = 4;
/// Two references that differ by more than one part in this contradict each other (1 %).
const TOLERANCE: u64 = 100;
const NANOSECONDS: u64 = 1_000_000_000;

/// A clock of known frequency, the most trustworthy last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The programmable interval timer, 1.193182 MHz, counting down.
    Pit,
    /// The ACPI power management timer, 3.579545 MHz, 24 or 32 bits.
    AcpiPm,
    /// The high precision event timer.
    Hpet,
    /// The frequency of the TSC itself, from CPUID leaf 15H or the hypervisor.
    Cpuid,
}

/// Which way a counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Larger is later.
    Up,
    /// Smaller is later.
    Down,
}

/// Two readings of one counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// At the first moment.
    pub start: u64,
    /// At the second; the counter wrapped at most once.
    pub end: u64,
    /// How many bits the counter has.
    pub bits: u8,
    /// Which way it counts.
    pub direction: Direction,
}

impl Span {
    /// The span of a counter that counts up in 64 bits.
    #[must_use]
    pub const fn up(start: u64, end: u64) -> Self {
        Self { start, end, bits: 64, direction: Direction::Up }
    }

    /// How many ticks passed.
    #[must_use]
    pub const fn ticks(&self) -> u64 {
        let difference = match self.direction {
            Direction::Up => self.end.wrapping_sub(self.start),
            Direction::Down => self.start.wrapping_sub(self.end),
        };
        let mask = if self.bits >= 64 { u64::MAX } else { (1 << self.bits) - 1 };
        difference & mask
    }
}

/// A reference clock and its readings, one span a sample.
#[derive(Clone, Copy, Debug)]
pub struct Reference<'a> {
    /// Which clock.
    pub source: Source,
    /// What it claims to tick at.
    pub frequency_hz: u64,
    /// What it read at the moments of the other spans.
    pub spans: &'a [Span],
}

/// Why there is no calibration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// No reference ticked.
    NoReference,
    /// The time-stamp counter stood still.
    TscStopped,
}

impl core::fmt::Display for Error {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            Self::NoReference => "no reference clock ticks",
            Self::TscStopped => "the time-stamp counter stands still",
        })
    }
}

/// What a calibration found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calibration {
    /// The frequency of the time-stamp counter.
    pub tsc_hz: u64,
    /// The frequency of the local APIC timer at the divider it was read with, if it ticked.
    pub lapic_hz: Option<u64>,
    /// The reference that was believed.
    pub trusted: Source,
    /// References that did not tick, or are more than 1 % off from the trusted one.
    pub liars: [Option<Source>; MAX_REFERENCES],
}

/// Computes the frequencies of the counters read beside `references`; every slice has one span a sample.
///
/// Each reference's word is the median of its samples, so one interruption does no harm. The reference
/// most others agree with is believed, of equals the most trustworthy.
///
/// # Errors
/// If the time-stamp counter or all references stand still.
pub fn calibrate(tsc: &[Span], lapic: &[Span], references: &[Reference]) -> Result<Calibration, Error> {
    if tsc.iter().all(|span| span.ticks() == 0) {
        return Err(Error::TscStopped);
    }
    let references = &references[..references.len().min(MAX_REFERENCES)];
    let mut claims = [None; MAX_REFERENCES];
    for (claim, reference) in claims.iter_mut().zip(references) {
        *claim = frequency(tsc, reference);
    }
    let supporters = |claim: u64| claims.iter().flatten().filter(|&&other| agree(claim, other)).count();
    let ticking = references.iter().zip(claims).filter_map(|(reference, claim)| Some((reference, claim?)));
    let (trusted, tsc_hz) = ticking
        .max_by_key(|&(reference, claim)| (supporters(claim), reference.source))
        .ok_or(Error::NoReference)?;
    let mut liars = [None; MAX_REFERENCES];
    for ((liar, reference), claim) in liars.iter_mut().zip(references).zip(claims) {
        *liar = (!claim.is_some_and(|claim| agree(claim, tsc_hz))).then_some(reference.source);
    }
    Ok(Calibration { tsc_hz, lapic_hz: frequency(lapic, trusted), trusted: trusted.source, liars })
}

fn agree(one: u64, other: u64) -> bool {
    one.abs_diff(other) <= one.max(other) / TOLERANCE
}

/// The median of the frequencies that the reference implies; samples in which either stood still are void.
fn frequency(counter: &[Span], reference: &Reference) -> Option<u64> {
    let mut found = [0; MAX_SAMPLES];
    let mut count = 0;
    let samples = counter.iter().zip(reference.spans).take(MAX_SAMPLES);
    for (ticks, reference_ticks) in samples.map(|(counter, clock)| (counter.ticks(), clock.ticks())) {
        if ticks == 0 || reference_ticks == 0 {
            continue;
        }
        let scaled = u128::from(ticks) * u128::from(reference.frequency_hz) / u128::from(reference_ticks);
        found[count] = u64::try_from(scaled).ok().filter(|&hz| hz > 0)?;
        count += 1;
    }
    let found = found.get_mut(..count)?;
    found.sort_unstable();
    found.get(count / 2).copied()
}

/// A conversion by a fixed ratio: one wide multiplication and a shift.
///
/// Monotone, and exact to one part in 2^62 or better: a clock at 3 GHz drifts by less than a nanosecond
/// a century. Results past 64 bits (584 years of ns) stick to the largest value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    multiplier: u64,
    shift: u32,
}

impl Scale {
    /// Ticks of a counter at `frequency_hz` to nanoseconds.
    #[must_use]
    pub fn to_nanoseconds(frequency_hz: u64) -> Self {
        Self::ratio(NANOSECONDS, frequency_hz)
    }

    /// Nanoseconds to ticks of a counter at `frequency_hz`.
    #[must_use]
    pub fn from_nanoseconds(frequency_hz: u64) -> Self {
        Self::ratio(frequency_hz, NANOSECONDS)
    }

    /// The conversion `value * numerator / denominator`; zeros count as ones.
    #[must_use]
    pub fn ratio(numerator: u64, denominator: u64) -> Self {
        let (numerator, denominator) = (u128::from(numerator.max(1)), u128::from(denominator.max(1)));
        let mut shift = numerator.leading_zeros();
        let mut multiplier = (numerator << shift) / denominator;
        // The dividend has 128 bits and the divisor at most 64, so the quotient has at least 64.
        let excess = u64::BITS - multiplier.leading_zeros();
        multiplier >>= excess;
        shift -= excess;
        Self { multiplier: u64::try_from(multiplier).unwrap_or(u64::MAX), shift }
    }

    /// What values are multiplied by, with a product of 128 bits.
    #[must_use]
    pub const fn multiplier(&self) -> u64 {
        self.multiplier
    }

    /// By how many bits that product is shifted to the right: less than 128.
    #[must_use]
    pub const fn shift(&self) -> u32 {
        self.shift
    }

    /// Converts, rounding down.
    #[inline]
    #[must_use]
    pub fn apply(&self, value: u64) -> u64 {
        self.narrow(u128::from(value) * u128::from(self.multiplier))
    }

    /// Converts, rounding up by at most two: for a deadline, which must not come early.
    #[inline]
    #[must_use]
    pub fn apply_rounding_up(&self, value: u64) -> u64 {
        let multiplier = u128::from(self.multiplier) + 1;
        self.narrow(u128::from(value) * multiplier).saturating_add(u64::from(value != 0))
    }

    fn narrow(&self, product: u128) -> u64 {
        u64::try_from(product.checked_shr(self.shift).unwrap_or(0)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests;
