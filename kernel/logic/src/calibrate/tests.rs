//! Tests of calibration with simulated clocks, and of scales against exact arithmetic.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

type Clock = (Source, u64, u8, Direction);

const HPET: Clock = (Source::Hpet, 14_318_180, 32, Direction::Up);
const PM: Clock = (Source::AcpiPm, 3_579_545, 24, Direction::Up);
const PIT: Clock = (Source::Pit, 1_193_182, 16, Direction::Down);

/// What a counter at `hz` reads before and after `time_ns`.
fn span(hz: u64, bits: u8, direction: Direction, start: u64, time_ns: u64) -> Span {
    let ticks = u64::try_from(u128::from(hz) * u128::from(time_ns) / 1_000_000_000).unwrap();
    let mask = if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
    let end = match direction {
        Direction::Up => start.wrapping_add(ticks),
        Direction::Down => start.wrapping_sub(ticks),
    };
    Span { start: start & mask, end: end & mask, bits, direction }
}

fn spans(clock: Clock, actual_hz: u64, time_ns: u64) -> Vec<Span> {
    (0..5).map(|sample| span(actual_hz, clock.2, clock.3, sample * 0xfff_ff31, time_ns)).collect()
}

fn near(found: u64, expected: u64) -> bool {
    found.abs_diff(expected) <= expected / 500
}

/// Calibrates a 3 GHz TSC over 50 ms by clocks that tick at `percent` of what they claim.
fn with(clocks: &[(Clock, u64)]) -> Result<Calibration, Error> {
    let time = 50_000_000;
    let tsc: Vec<Span> =
        (0..5).map(|_| span(3_000_000_000, 64, Direction::Up, u64::MAX - 1000, time)).collect();
    let lapic: Vec<Span> = (0..5).map(|_| span(62_500_000, 32, Direction::Down, 0xffff_ffff, time)).collect();
    let read: Vec<Vec<Span>> =
        clocks.iter().map(|&(clock, percent)| spans(clock, clock.1 * percent / 100, time)).collect();
    let references: Vec<Reference> = clocks
        .iter()
        .zip(&read)
        .map(|(&(clock, _), spans)| Reference { source: clock.0, frequency_hz: clock.1, spans })
        .collect();
    calibrate(&tsc, &lapic, &references)
}

#[test]
fn wrapping_and_downward_counters_are_understood() {
    for clock in [HPET, PM, PIT] {
        let found = with(&[(clock, 100)]).unwrap();
        assert!(near(found.tsc_hz, 3_000_000_000), "{clock:?}: {found:?}");
        assert!(near(found.lapic_hz.unwrap(), 62_500_000));
        assert_eq!((found.trusted, found.liars), (clock.0, [None; 4]));
    }
}

#[test]
fn the_majority_is_believed() {
    let found = with(&[(HPET, 90), (PM, 100), (PIT, 100)]).unwrap();
    assert!(near(found.tsc_hz, 3_000_000_000));
    assert_eq!(found.trusted, Source::AcpiPm);
    assert_eq!(found.liars, [Some(Source::Hpet), None, None, None]);
}

#[test]
fn of_two_the_most_trustworthy_is_believed() {
    let found = with(&[(PIT, 90), (HPET, 100)]).unwrap();
    assert_eq!((found.trusted, found.liars[0]), (Source::Hpet, Some(Source::Pit)));
}

#[test]
fn a_clock_that_stands_still_is_a_liar() {
    let found = with(&[(HPET, 0), (PIT, 100)]).unwrap();
    assert_eq!((found.trusted, found.liars[0]), (Source::Pit, Some(Source::Hpet)));
    assert_eq!(with(&[(HPET, 0)]), Err(Error::NoReference));
    assert_eq!(with(&[]), Err(Error::NoReference));
    assert_eq!(calibrate(&[Span::up(5, 5)], &[], &[]), Err(Error::TscStopped));
}

#[test]
fn one_interrupted_sample_does_no_harm() {
    let mut tsc = vec![Span::up(0, 10_000_000); 5];
    tsc[2] = Span::up(0, 90_000_000);
    let clock = vec![Span::up(0, 10_000); 5];
    let reference = Reference { source: Source::Hpet, frequency_hz: 1_000_000, spans: &clock };
    assert_eq!(calibrate(&tsc, &[], &[reference]).unwrap().tsc_hz, 1_000_000_000);
}

#[test]
fn a_century_at_three_gigahertz_is_exact() {
    const CENTURY_NS: u64 = 100 * 365 * 86_400 * 1_000_000_000;
    let scale = Scale::to_nanoseconds(3_000_000_000);
    assert!(scale.apply(CENTURY_NS * 3).abs_diff(CENTURY_NS) <= 1);
    assert_eq!(Scale::to_nanoseconds(1).apply(u64::MAX), u64::MAX);
}

proptest! {
    #[test]
    fn scales_are_close_and_monotone(
        numerator in 1..u64::MAX, denominator in 1..u64::MAX, value: u64, step in 0..1_000_000u64,
    ) {
        let scale = Scale::ratio(numerator, denominator);
        let exact = u128::from(value) * u128::from(numerator) / u128::from(denominator);
        let exact = u64::try_from(exact).unwrap_or(u64::MAX);
        let found = scale.apply(value);
        prop_assert!(found <= exact && exact - found <= exact / (1 << 62) + 1, "{} for {}", found, exact);
        prop_assert!(scale.apply(value.saturating_add(step)) >= found);
    }

    #[test]
    fn deadlines_are_not_early(hz in 1_000_000..6_000_000_000u64, ns in 0..1u64 << 58) {
        let ticks = u128::from(Scale::from_nanoseconds(hz).apply_rounding_up(ns));
        prop_assert!(ticks * 1_000_000_000 >= u128::from(ns) * u128::from(hz));
    }

    #[test]
    fn nanoseconds_to_ticks_and_back_is_at_most_a_tick_off(hz in 1_000_000..6_000_000_000u64, ns in 0..1u64 << 60) {
        let ticks = Scale::from_nanoseconds(hz).apply_rounding_up(ns);
        let back = Scale::to_nanoseconds(hz).apply(ticks);
        prop_assert!(back.abs_diff(ns) <= 2_000_000_000 / hz + 4, "{} and {}", back, ns);
    }

    #[test]
    fn no_readings_panic(
        spans in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u8>()), 0..12), hz: u64,
    ) {
        let spans: Vec<Span> = spans.into_iter()
            .map(|(start, end, bits)| Span { start, end, bits, direction: Direction::Down }).collect();
        let reference = Reference { source: Source::Pit, frequency_hz: hz, spans: &spans };
        let _ = calibrate(&spans, &spans, &[reference; 6]);
    }
}
