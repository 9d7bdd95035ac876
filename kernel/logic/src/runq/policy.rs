//! Scheduling policies and the weight of a nice level.

/// A POSIX real-time priority, 1 (lowest) to 99.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority(u8);

impl Priority {
    /// The lowest real-time priority.
    pub const MIN: Self = Self(1);
    /// The highest real-time priority.
    pub const MAX: Self = Self(99);

    /// The priority with this number, `None` unless it is 1 to 99.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number >= Self::MIN.0 && number <= Self::MAX.0 { Some(Self(number)) } else { None }
    }

    /// The number, 1 to 99.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// A nice level, -20 (most CPU) to 19.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nice(i8);

impl Nice {
    /// The level that gets the most.
    pub const MIN: Self = Self(-20);
    /// The level that gets the least.
    pub const MAX: Self = Self(19);

    /// The nearest level there is, as `nice(2)` and `setpriority(2)` round.
    #[must_use]
    pub fn clamped(level: i32) -> Self {
        i8::try_from(level).map_or(if level < 0 { Self::MIN } else { Self::MAX }, |level| {
            Self(level.clamp(Self::MIN.0, Self::MAX.0))
        })
    }

    /// The number, -20 to 19.
    #[must_use]
    pub const fn level(self) -> i8 {
        self.0
    }

    /// The share of CPU time relative to [`NICE_0_WEIGHT`].
    #[must_use]
    pub const fn weight(self) -> u32 {
        WEIGHTS[(self.0 - Self::MIN.0).unsigned_abs() as usize]
    }
}

/// The weight of nice 0.
pub const NICE_0_WEIGHT: u32 = 1024;

/// Linux's table (`sched_prio_to_weight`): each level is a factor of about 1.25, so one step moves
/// about 10 % of the CPU between two threads.
const WEIGHTS: [u32; 40] = [
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904, 3906, 3121,
    2501, 1991, 1586, 1277, 1024, 820, 655, 526, 423, 335, 272, 215, 172, 137, 110, 87, 70, 56, 45, 36, 29,
    23, 18, 15,
];

/// How a thread competes for the CPU (`sched(7)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// `SCHED_FIFO`: runs until it blocks, yields or a higher priority wakes.
    Fifo(Priority),
    /// `SCHED_RR`: as FIFO, but takes turns within its priority.
    RoundRobin(Priority),
    /// `SCHED_OTHER`: a weighted share.
    Fair(Nice),
    /// `SCHED_BATCH`: a weighted share, but waking up never preempts.
    Batch(Nice),
    /// `SCHED_IDLE`: only when nothing else wants to run.
    Idle,
}

impl Default for Policy {
    fn default() -> Self {
        Self::Fair(Nice::default())
    }
}

impl Policy {
    /// The real-time priority, 0 for none.
    #[must_use]
    pub const fn real_time_priority(self) -> u8 {
        match self {
            Self::Fifo(priority) | Self::RoundRobin(priority) => priority.number(),
            Self::Fair(_) | Self::Batch(_) | Self::Idle => 0,
        }
    }

    /// What a child gets whose parent set `SCHED_RESET_ON_FORK`: no real time, and no nice level below zero.
    #[must_use]
    pub fn reset(self) -> Self {
        let at_least_zero = |nice: Nice| Nice::clamped(i32::from(nice.level()).max(0));
        match self {
            Self::Fifo(_) | Self::RoundRobin(_) => Self::default(),
            Self::Fair(nice) => Self::Fair(at_least_zero(nice)),
            Self::Batch(nice) => Self::Batch(at_least_zero(nice)),
            Self::Idle => Self::Idle,
        }
    }

    pub(super) fn level(self) -> Level {
        match self {
            Self::Fifo(priority) | Self::RoundRobin(priority) => Level(Level::FAIR.0 + priority.number()),
            Self::Fair(_) | Self::Batch(_) => Level::FAIR,
            Self::Idle => Level::IDLE,
        }
    }

    /// What the thread adds to its queue's load. Real-time threads count as two fair ones, idle ones
    /// as next to nothing (Linux's `WEIGHT_IDLEPRIO`).
    pub(super) fn weight(self) -> u32 {
        match self {
            Self::Fifo(_) | Self::RoundRobin(_) => 2 * NICE_0_WEIGHT,
            Self::Fair(nice) | Self::Batch(nice) => nice.weight(),
            Self::Idle => 3,
        }
    }
}

/// Where a policy stands in the strict order of classes: idle, all fair ones, then real time by priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Level(u8);

impl Level {
    pub(super) const IDLE: Self = Self(0);
    pub(super) const FAIR: Self = Self(1);
    pub(super) const COUNT: usize = Self::FAIR.0 as usize + Priority::MAX.0 as usize + 1;

    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }

    pub(super) const fn bit(self) -> u128 {
        1 << self.0
    }

    /// The highest level whose bit is set.
    pub(super) fn highest(levels: u128) -> Option<Self> {
        levels.checked_ilog2().and_then(|bit| u8::try_from(bit).ok()).map(Self)
    }
}
