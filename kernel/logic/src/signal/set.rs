//! Sets of signals: masks, pending bits.

use core::fmt;

use super::Signal;

/// A set of signals, in the form system calls know: bit 0 is signal 1.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct SignalSet(u64);

impl SignalSet {
    /// No signal.
    pub const EMPTY: Self = Self(0);

    /// All 64.
    pub const ALL: Self = Self(u64::MAX);

    /// The two that cannot be blocked, caught or ignored.
    pub const UNBLOCKABLE: Self = Self::of(&[Signal::KILL, Signal::STOP]);

    /// Those that faults of the running instruction raise; they are delivered before all others.
    pub const SYNCHRONOUS: Self =
        Self::of(&[Signal::SEGV, Signal::BUS, Signal::ILL, Signal::TRAP, Signal::FPE, Signal::SYS]);

    /// Those that stop a process by default.
    pub const STOPPING: Self = Self::of(&[Signal::STOP, Signal::TSTP, Signal::TTIN, Signal::TTOU]);

    /// The set of these signals.
    pub const fn of(signals: &[Signal]) -> Self {
        let mut set = Self::EMPTY;
        let mut at = 0;
        while at < signals.len() {
            set = set.with(signals[at]);
            at += 1;
        }
        set
    }

    /// The set a program gave.
    #[inline]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The set as programs see it.
    #[inline]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The set of one signal.
    #[inline]
    const fn only(signal: Signal) -> Self {
        Self(1 << signal.index())
    }

    /// This set and `signal`.
    #[inline]
    pub const fn with(self, signal: Signal) -> Self {
        self.union(Self::only(signal))
    }

    /// This set but `signal`.
    #[inline]
    pub const fn without(self, signal: Signal) -> Self {
        self.difference(Self::only(signal))
    }

    /// Whether the set has no signal.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many signals it has.
    #[inline]
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether `signal` is in it.
    #[inline]
    pub const fn contains(self, signal: Signal) -> bool {
        self.intersects(Self::only(signal))
    }

    /// Whether the two have a signal in common.
    #[inline]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Adds `signal`.
    #[inline]
    pub const fn insert(&mut self, signal: Signal) {
        *self = self.with(signal);
    }

    /// Takes `signal` out.
    #[inline]
    pub const fn remove(&mut self, signal: Signal) {
        *self = self.without(signal);
    }

    /// The signals in either.
    #[inline]
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The signals in both.
    #[inline]
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The signals of this set that are not in `other`.
    #[inline]
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The set as a mask: KILL and STOP are silently left out.
    #[inline]
    #[must_use]
    pub const fn without_unblockable(self) -> Self {
        self.difference(Self::UNBLOCKABLE)
    }

    /// The lowest signal.
    #[inline]
    pub const fn lowest(self) -> Option<Signal> {
        if self.is_empty() {
            return None;
        }
        Signal::new(self.0.trailing_zeros() + 1)
    }

    /// The signals in ascending order.
    pub const fn iter(self) -> Signals {
        Signals(self)
    }
}

impl IntoIterator for SignalSet {
    type Item = Signal;
    type IntoIter = Signals;

    fn into_iter(self) -> Signals {
        self.iter()
    }
}

impl FromIterator<Signal> for SignalSet {
    fn from_iter<I: IntoIterator<Item = Signal>>(signals: I) -> Self {
        signals.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for SignalSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Iterator over the signals of a set.
#[derive(Clone, Debug)]
pub struct Signals(SignalSet);

impl Iterator for Signals {
    type Item = Signal;

    fn next(&mut self) -> Option<Signal> {
        let signal = self.0.lowest()?;
        self.0.remove(signal);
        Some(signal)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bits_are_those_of_sigset_t() {
        assert_eq!(SignalSet::of(&[Signal::HUP, Signal::RTMAX]).bits(), 1 | 1 << 63);
        assert_eq!(SignalSet::ALL.without_unblockable().bits(), !(1 << 8 | 1 << 18));
    }

    proptest! {
        #[test]
        fn iteration_gives_back_the_set_in_order(bits in any::<u64>()) {
            let set = SignalSet::from_bits(bits);
            prop_assert_eq!(set.iter().collect::<SignalSet>(), set);
            prop_assert!(set.iter().is_sorted());
            prop_assert!(set.iter().all(|signal| set.contains(signal)));
        }
    }
}
