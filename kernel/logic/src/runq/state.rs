//! What the scheduler knows about one thread, and the arithmetic of virtual time.

use super::policy::{Level, NICE_0_WEIGHT, Policy};
use super::pool::Ticket;
use crate::cpuset::CpuId;

/// How long a fair thread runs between two decisions, in real time.
pub const FAIR_SLICE_NS: u64 = 3_000_000;
/// How long a round-robin thread runs before the next of its priority; `sched_rr_get_interval(2)`.
pub const ROUND_ROBIN_SLICE_NS: u64 = 100_000_000;
/// How long an idle-class thread runs before the next one.
pub const IDLE_SLICE_NS: u64 = 20_000_000;

/// The slice of a FIFO thread.
pub(super) const ENDLESS_NS: u64 = u64::MAX;

/// Shift of [`inverse_of`]: `ran * inverse >> SHIFT` is `ran * 1024 / weight`.
const INVERSE_SHIFT: u32 = 32;

/// How far a thread is behind (positive) or ahead of the fair share of its queue, in virtual ns.
///
/// It carries a thread's place from one queue to another, whose virtual clocks are unrelated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag(pub(super) i64);

impl Lag {
    /// The lag of a thread at `vruntime` when the queue's clock shows `virtual_now`.
    pub(super) const fn between(virtual_now: u64, vruntime: u64) -> Self {
        Self(virtual_now.wrapping_sub(vruntime).cast_signed())
    }
}

/// The scheduling state of one thread. It lives in the thread; the queue changes it under its lock.
#[derive(Clone, Debug)]
pub struct SchedState {
    pub(super) policy: Policy,
    pub(super) level: Level,
    pub(super) weight: u32,
    inverse_weight: u64,
    /// A fair slice in virtual time.
    pub(super) slice_virtual_ns: u64,
    pub(super) vruntime: u64,
    pub(super) deadline: u64,
    pub(super) slice_left_ns: u64,
    /// Valid while the thread is off the queues; for a wakeup on another CPU.
    pub(super) lag: Lag,
    /// The queue whose clock `vruntime` is on.
    pub(super) home: Option<CpuId>,
    pub(super) ticket: Ticket,
    pub(super) ran_ns: u64,
}

impl SchedState {
    /// The state of a new thread, which no queue knows yet.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        let mut state = Self {
            policy,
            level: policy.level(),
            weight: 0,
            inverse_weight: 0,
            slice_virtual_ns: 0,
            vruntime: 0,
            deadline: 0,
            slice_left_ns: 0,
            lag: Lag::default(),
            home: None,
            ticket: Ticket::NONE,
            ran_ns: 0,
        };
        state.set_policy(policy);
        state
    }

    /// How the thread competes.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Changes the policy of a thread that is blocked. For one on a queue use
    /// [`super::RunQueue::remove`] first, for the running one [`super::RunQueue::set_running_policy`].
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
        self.level = policy.level();
        self.weight = policy.weight();
        self.inverse_weight = inverse_of(self.weight);
        self.slice_virtual_ns = self.virtual_ns(FAIR_SLICE_NS);
        self.slice_left_ns = full_slice(policy);
    }

    /// The processor whose queue the thread was last on: the natural one to wake it on.
    #[must_use]
    pub fn last_cpu(&self) -> Option<CpuId> {
        self.home
    }

    /// CPU time charged so far, in real ns.
    #[must_use]
    pub fn ran_ns(&self) -> u64 {
        self.ran_ns
    }

    /// Charges real time: moves `vruntime` and starts a new request when the old one is served.
    pub(super) fn charge_fair(&mut self, ran_ns: u64) -> Charged {
        let virtual_ns = self.virtual_ns(ran_ns);
        self.vruntime = self.vruntime.saturating_add(virtual_ns);
        if self.vruntime < self.deadline {
            return Charged { virtual_ns, slice: Slice::Left };
        }
        self.deadline = self.vruntime.saturating_add(self.slice_virtual_ns);
        Charged { virtual_ns, slice: Slice::Used }
    }

    /// Charges real time against the turn of a round-robin or idle thread.
    pub(super) fn charge_turn(&mut self, ran_ns: u64) -> Slice {
        if self.slice_left_ns == ENDLESS_NS {
            return Slice::Left;
        }
        if ran_ns < self.slice_left_ns {
            self.slice_left_ns -= ran_ns;
            return Slice::Left;
        }
        self.slice_left_ns = full_slice(self.policy);
        Slice::Used
    }

    /// Puts a thread that arrives on the queue of `cpu` on that queue's clock.
    ///
    /// Being behind counts for at most one slice, so a long sleeper is served at once but cannot
    /// claim the hours it slept; being ahead counts for two, so running, sleeping briefly and coming
    /// back gains nothing. The deadline is never before `virtual_now`: arrivals cannot overtake a
    /// waiting thread forever. Batch threads get no credit.
    pub(super) fn arrive(&mut self, cpu: CpuId, virtual_now: u64, lag: Lag) {
        let slice = self.slice_virtual_ns;
        let limit = i64::try_from(slice).unwrap_or(i64::MAX / 2);
        let credit = if matches!(self.policy, Policy::Batch(_)) { 0 } else { limit };
        let lag = lag.0.clamp(-2 * limit, credit);
        self.vruntime = virtual_now.saturating_add_signed(-lag);
        self.deadline = self.vruntime.saturating_add(slice).max(virtual_now);
        self.home = Some(cpu);
    }

    /// The lag with which a thread that slept wakes up on `cpu`.
    ///
    /// On the queue it left the clock went on without it, which is what it is owed; another queue's
    /// clock says nothing about that, so there the lag of falling asleep counts.
    pub(super) fn wakeup_lag(&self, cpu: CpuId, virtual_now: u64) -> Lag {
        if self.home == Some(cpu) { Lag::between(virtual_now, self.vruntime) } else { self.lag }
    }

    /// `ran_ns` on the virtual clock: longer for light threads.
    fn virtual_ns(&self, ran_ns: u64) -> u64 {
        let scaled = (u128::from(ran_ns) * u128::from(self.inverse_weight)) >> INVERSE_SHIFT;
        u64::try_from(scaled).unwrap_or(u64::MAX)
    }

    /// Real time until the current request is served, rounded up.
    pub(super) fn until_deadline_ns(vruntime: u64, deadline: u64, weight: u32) -> u64 {
        let left = u128::from(deadline.saturating_sub(vruntime)) * u128::from(weight);
        u64::try_from(left.div_ceil(u128::from(NICE_0_WEIGHT))).unwrap_or(u64::MAX)
    }
}

/// What a charge did to a fair thread.
pub(super) struct Charged {
    pub(super) virtual_ns: u64,
    pub(super) slice: Slice,
}

/// Whether a thread has run as long as it may at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slice {
    Left,
    Used,
}

fn inverse_of(weight: u32) -> u64 {
    (u64::from(NICE_0_WEIGHT) << INVERSE_SHIFT) / u64::from(weight)
}

fn full_slice(policy: Policy) -> u64 {
    match policy {
        Policy::RoundRobin(_) => ROUND_ROBIN_SLICE_NS,
        Policy::Idle => IDLE_SLICE_NS,
        Policy::Fair(_) | Policy::Batch(_) => FAIR_SLICE_NS,
        Policy::Fifo(_) => ENDLESS_NS,
    }
}
