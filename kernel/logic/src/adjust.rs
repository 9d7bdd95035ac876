//! adjtimex(2): what is said about the quality of the clock, and what may be changed.
//!
//! The clock is not slewed: a step (`ADJ_SETOFFSET`) is handed to the caller, all else is kept and shown. Checks are
//! those of `timekeeping_validate_timex` and `process_adjtimex_modes` (kernel/time of Linux 6.1).

use abi::{Errno, Result};

/// `struct timex`, as the words it is made of.
pub type Timex = [u64; 26];

const MODES: usize = 0;
const FREQUENCY: usize = 2;
const MAXIMUM_ERROR: usize = 3;
const ESTIMATED_ERROR: usize = 4;
const STATUS: usize = 5;
const CONSTANT: usize = 6;
const PRECISION: usize = 7;
const TOLERANCE: usize = 8;
const SECONDS: usize = 9;
const FRACTION: usize = 10;
const TICK: usize = 11;
const TAI: usize = 20;

const ADJ_FREQUENCY: u64 = 0x2;
const ADJ_MAXERROR: u64 = 0x4;
const ADJ_ESTERROR: u64 = 0x8;
const ADJ_STATUS: u64 = 0x10;
const ADJ_TIMECONST: u64 = 0x20;
const ADJ_TAI: u64 = 0x80;
const ADJ_SETOFFSET: u64 = 0x100;
const ADJ_MICRO: u64 = 0x1000;
const ADJ_NANO: u64 = 0x2000;
const ADJ_TICK: u64 = 0x4000;
/// The old adjtime(3), alone or (with the bit of `ADJ_NANO`) only asking.
const ADJ_ADJTIME: u64 = 0x8000;
const ADJ_OFFSET_SINGLESHOT: u64 = 0x0001;
const ADJ_OFFSET_READONLY: u64 = 0x2000;

const STA_UNSYNC: u64 = 0x40;
const STA_CLOCKERR: u64 = 0x1000;
const STA_NANO: u64 = 0x2000;
/// What only the kernel says.
const STA_RONLY: u64 = 0xff00;

const TIME_OK: u32 = 0;
const TIME_ERROR: u32 = 5;

/// In parts per million, times 65536.
const MAX_FREQUENCY: i64 = 500 << 16;
/// The clock is worthless beyond this error, in microseconds (`NTP_PHASE_LIMIT`).
const MAX_ERROR: u64 = 16_000_000;
const MAX_CONSTANT: i64 = 10;
const MAX_TAI: i64 = 100_000;
/// Microseconds of a hundredth of a second, more or less by a tenth.
const TICKS: core::ops::RangeInclusive<i64> = 9000..=11000;

/// What is known about the clock.
#[derive(Clone, Debug)]
pub struct Discipline {
    frequency: i64,
    maximum_error: u64,
    estimated_error: u64,
    status: u64,
    constant: i64,
    tick: i64,
    tai: i32,
}

/// What adjtimex(2) comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The clock is to be moved by this, in nanoseconds.
    pub step_ns: i64,
    /// The result: the state of the clock.
    pub state: u32,
}

impl Default for Discipline {
    fn default() -> Self {
        Self::new()
    }
}

impl Discipline {
    /// Of a clock that nobody has set.
    pub const fn new() -> Self {
        Discipline {
            frequency: 0,
            maximum_error: MAX_ERROR,
            estimated_error: MAX_ERROR,
            status: STA_UNSYNC,
            constant: 2,
            tick: 10_000,
            tai: 0,
        }
    }

    /// Does what `request` asks for, and turns it into what is so from now on; `now_ns` is the time of day before.
    ///
    /// # Errors
    /// EPERM for whoever may not change the clock, EINVAL.
    pub fn adjust(&mut self, request: &mut Timex, may_change: bool, now_ns: u64) -> Result<Outcome> {
        let modes = request[MODES] & 0xffff_ffff;
        check(request, modes, may_change)?;
        let step_ns = if modes & ADJ_SETOFFSET != 0 { step(request, modes) } else { 0 };
        if modes & ADJ_ADJTIME == 0 {
            self.change(request, modes);
        }
        self.show(request, modes, now_ns.saturating_add_signed(step_ns));
        let is_bad = self.status & (STA_UNSYNC | STA_CLOCKERR) != 0;
        Ok(Outcome { step_ns, state: if is_bad { TIME_ERROR } else { TIME_OK } })
    }

    fn change(&mut self, request: &Timex, modes: u64) {
        let signed = |word: usize| request[word].cast_signed();
        if modes & ADJ_STATUS != 0 {
            self.status = self.status & STA_RONLY | request[STATUS] & 0xffff_ffff & !STA_RONLY;
        }
        if modes & ADJ_NANO != 0 {
            self.status |= STA_NANO;
        }
        if modes & ADJ_MICRO != 0 {
            self.status &= !STA_NANO;
        }
        if modes & ADJ_FREQUENCY != 0 {
            self.frequency = signed(FREQUENCY).clamp(-MAX_FREQUENCY, MAX_FREQUENCY);
        }
        if modes & ADJ_MAXERROR != 0 {
            self.maximum_error = signed(MAXIMUM_ERROR).max(0).cast_unsigned().min(MAX_ERROR);
        }
        if modes & ADJ_ESTERROR != 0 {
            self.estimated_error = signed(ESTIMATED_ERROR).max(0).cast_unsigned().min(MAX_ERROR);
        }
        if modes & ADJ_TIMECONST != 0 {
            let more = if self.status & STA_NANO == 0 { 4 } else { 0 };
            self.constant = signed(CONSTANT).clamp(0, MAX_CONSTANT).saturating_add(more).min(MAX_CONSTANT);
        }
        if modes & ADJ_TAI != 0 && (0..=MAX_TAI).contains(&signed(CONSTANT)) {
            self.tai = i32::try_from(signed(CONSTANT)).unwrap_or(self.tai);
        }
        if modes & ADJ_TICK != 0 {
            self.tick = signed(TICK);
        }
    }

    fn show(&self, to: &mut Timex, modes: u64, now_ns: u64) {
        const SECOND_NS: u64 = 1_000_000_000;
        let fraction = now_ns % SECOND_NS;
        *to = [0; 26];
        to[MODES] = modes;
        to[FREQUENCY] = self.frequency.cast_unsigned();
        to[MAXIMUM_ERROR] = self.maximum_error;
        to[ESTIMATED_ERROR] = self.estimated_error;
        to[STATUS] = self.status;
        to[CONSTANT] = self.constant.cast_unsigned();
        to[PRECISION] = 1;
        to[TOLERANCE] = MAX_FREQUENCY.cast_unsigned();
        to[SECONDS] = now_ns / SECOND_NS;
        to[FRACTION] = if self.status & STA_NANO == 0 { fraction / 1000 } else { fraction };
        to[TICK] = self.tick.cast_unsigned();
        to[TAI] = u64::from(self.tai.cast_unsigned());
    }
}

fn check(request: &Timex, modes: u64, may_change: bool) -> Result<()> {
    if modes & ADJ_ADJTIME != 0 {
        if modes & ADJ_OFFSET_SINGLESHOT == 0 {
            return Err(Errno::EINVAL);
        }
        if modes & ADJ_OFFSET_READONLY == 0 && !may_change {
            return Err(Errno::EPERM);
        }
    } else if modes != 0 && !may_change {
        return Err(Errno::EPERM);
    } else if modes & ADJ_TICK != 0 && !TICKS.contains(&request[TICK].cast_signed()) {
        return Err(Errno::EINVAL);
    }
    if modes & ADJ_SETOFFSET != 0 {
        if !may_change {
            return Err(Errno::EPERM);
        }
        let limit = if modes & ADJ_NANO != 0 { 1_000_000_000 } else { 1_000_000 };
        if !(0..limit).contains(&request[FRACTION].cast_signed()) {
            return Err(Errno::EINVAL);
        }
    }
    /// Linux multiplies the frequency by this (`PPM_SCALE`), in 64 bits.
    const SCALE: i64 = 1000 << 16;
    let frequency = request[FREQUENCY].cast_signed();
    if modes & ADJ_FREQUENCY != 0 && !(i64::MIN / SCALE..=i64::MAX / SCALE).contains(&frequency) {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

fn step(request: &Timex, modes: u64) -> i64 {
    let fraction = request[FRACTION].cast_signed();
    let ns = if modes & ADJ_NANO != 0 { fraction } else { fraction.saturating_mul(1000) };
    request[SECONDS].cast_signed().saturating_mul(1_000_000_000).saturating_add(ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFSET: usize = 1;

    fn request(modes: u64, word: usize, value: i64) -> Timex {
        let mut request = [0; 26];
        request[MODES] = modes;
        request[word] = value.cast_unsigned();
        request
    }

    #[test]
    fn reading_is_for_everybody_and_shows_an_unset_clock() {
        let mut timex = request(0, OFFSET, 7);
        let outcome = Discipline::new().adjust(&mut timex, false, 5_000_001_000).unwrap();
        assert_eq!(outcome, Outcome { step_ns: 0, state: TIME_ERROR });
        assert_eq!((timex[TICK], timex[STATUS], timex[SECONDS], timex[FRACTION]), (10_000, STA_UNSYNC, 5, 1));
        let mut asking = request(ADJ_ADJTIME | ADJ_OFFSET_SINGLESHOT | ADJ_OFFSET_READONLY, OFFSET, 0);
        assert!(Discipline::new().adjust(&mut asking, false, 0).is_ok());
    }

    #[test]
    fn changes_need_the_right_and_sense() {
        let mut clock = Discipline::new();
        let mut try_as =
            |modes, word, value, may| clock.adjust(&mut request(modes, word, value), may, 0).err();
        assert_eq!(try_as(ADJ_FREQUENCY, FREQUENCY, 1, false), Some(Errno::EPERM));
        assert_eq!(try_as(ADJ_ADJTIME | ADJ_OFFSET_SINGLESHOT, OFFSET, 1, false), Some(Errno::EPERM));
        assert_eq!(try_as(ADJ_ADJTIME, OFFSET, 1, true), Some(Errno::EINVAL));
        assert_eq!(try_as(ADJ_TICK, TICK, 8999, true), Some(Errno::EINVAL));
        assert_eq!(try_as(ADJ_TICK, TICK, 11000, true), None);
        assert_eq!(try_as(ADJ_SETOFFSET, FRACTION, 1_000_000, true), Some(Errno::EINVAL));
        assert_eq!(try_as(ADJ_SETOFFSET, FRACTION, -1, true), Some(Errno::EINVAL));
        assert_eq!(try_as(ADJ_FREQUENCY, FREQUENCY, i64::MAX, true), Some(Errno::EINVAL));
    }

    #[test]
    fn settings_are_kept_within_bounds() {
        let mut clock = Discipline::new();
        let mut timex = request(ADJ_STATUS | ADJ_FREQUENCY, FREQUENCY, 600 << 16);
        assert_eq!(clock.adjust(&mut timex, true, 0).unwrap().state, TIME_OK);
        assert_eq!((timex[FREQUENCY], timex[STATUS]), (MAX_FREQUENCY.cast_unsigned(), 0));
        let mut timex = request(ADJ_NANO, OFFSET, 0);
        clock.adjust(&mut timex, true, 7).unwrap();
        assert_eq!((timex[STATUS], timex[FRACTION]), (STA_NANO, 7));
    }

    #[test]
    fn a_step_goes_either_way() {
        let mut timex = request(ADJ_SETOFFSET, SECONDS, -2);
        timex[FRACTION] = 500_000;
        let outcome = Discipline::new().adjust(&mut timex, true, 10_000_000_000).unwrap();
        assert_eq!((outcome.step_ns, timex[SECONDS], timex[FRACTION]), (-1_500_000_000, 8, 500_000));
    }
}
