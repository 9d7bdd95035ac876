//! The queue itself: enqueue, pick, charge, preempt, block.

use super::lists::Lists;
use super::policy::{Level, NICE_0_WEIGHT, Policy};
use super::pool::{Entity, Pool, Wakeups};
use super::running::Running;
use super::state::{ENDLESS_NS, Lag, SchedState, Slice};
use crate::cpuset::CpuId;
use crate::heap::{Key, SlotHeap};

/// How much earlier (virtual ns) a deadline must be to interrupt a slice: a switch costs about as much
/// as it gains below that.
const WAKEUP_GRANULARITY_NS: u64 = 200_000;

/// Why a thread is put on the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It was blocked, or is new.
    Wakeup,
    /// It was running and goes on later; real-time threads keep their turn unless they used it up.
    Preempted,
    /// It was running and lets others of its class go first.
    Yielded,
    /// It comes from another queue ([`super::Departed::lag`]), or back to this one with a new policy.
    Migrated(Lag),
}

/// Whether the running thread should give way now.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preempt {
    /// It goes on.
    Keep,
    /// Enqueue it as [`Reason::Preempted`] and pick.
    Now,
}

/// A thread that found no room: `try_reserve` was not called for it.
#[derive(Debug, PartialEq, Eq)]
pub struct Full<T>(pub T);

/// The thread to run next.
#[derive(Debug, PartialEq, Eq)]
pub struct Picked<T> {
    /// Whom to run.
    pub thread: T,
    /// How long it waited on the queue.
    pub waited_ns: u64,
}

/// The run queue of one processor; `T` is a thread handle.
#[derive(Debug)]
pub struct RunQueue<T> {
    pub(super) cpu: CpuId,
    pub(super) pool: Pool<T>,
    pub(super) lists: Lists,
    pub(super) fair: SlotHeap,
    pub(super) running: Option<Running>,
    /// The virtual clock; never goes back.
    pub(super) virtual_now: u64,
    /// Weight of all fair threads, the running one included.
    fair_weight: u64,
    /// Weight of all others, the running one included.
    other_weight: u64,
    sequence: u64,
    pub(super) len: usize,
}

impl<T> RunQueue<T> {
    /// The empty queue of `cpu`, without room for any thread.
    #[must_use]
    pub const fn new(cpu: CpuId) -> Self {
        Self {
            cpu,
            pool: Pool::new(),
            lists: Lists::new(),
            fair: SlotHeap::new(),
            running: None,
            virtual_now: 0,
            fair_weight: 0,
            other_weight: 0,
            sequence: 0,
            len: 0,
        }
    }

    /// How many threads are waiting; the running one does not count.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether no thread is waiting.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The sum of the weights of the waiting and the running threads, for [`super::balance`].
    #[must_use]
    pub const fn load(&self) -> u64 {
        self.fair_weight + self.other_weight
    }

    /// Queues a thread and says whether the running one should give way to it. For
    /// [`Reason::Preempted`] and [`Reason::Yielded`] the thread must be the running one, charged up to
    /// now, and nobody runs afterwards.
    ///
    /// # Errors
    /// Without room the thread comes back, and nothing has changed.
    pub fn enqueue(
        &mut self,
        thread: T,
        state: &mut SchedState,
        reason: Reason,
        now_ns: u64,
    ) -> Result<Preempt, Full<T>> {
        let ticket = self.pool.add(thread, Entity::of(state, now_ns)).map_err(Full)?;
        state.ticket = ticket;
        let slice = match reason {
            Reason::Preempted | Reason::Yielded => self.retire(),
            Reason::Wakeup | Reason::Migrated(_) => Slice::Used,
        };
        if state.level == Level::FAIR {
            self.place(state, reason);
            self.insert_fair(ticket.slot, state);
        } else if reason == Reason::Preempted && slice == Slice::Left {
            self.lists.push_front(&mut self.pool, state.level, ticket.slot);
        } else {
            self.lists.push_back(&mut self.pool, state.level, ticket.slot);
        }
        state.home = Some(self.cpu);
        self.count_in(state.level, state.weight);
        self.len += 1;
        Ok(self.should_preempt())
    }

    /// Takes the thread to run next off the queue; it is the running one until it is enqueued again or
    /// [`Self::block`]ed. `None` means the processor may idle.
    pub fn pick(&mut self, now_ns: u64) -> Option<Picked<T>> {
        self.retire();
        let level = Level::highest(self.occupied())?;
        let slot = if level == Level::FAIR { self.fair.pop()?.1 } else { self.unlink_head(level) };
        let (thread, entity) = self.pool.release(slot)?;
        self.len -= 1;
        self.running = Some(Running::new(entity));
        self.note_clock_of_lone_thread();
        Some(Picked { thread, waited_ns: now_ns.saturating_sub(entity.queued_at_ns) })
    }

    /// Charges the running thread for real time, before any decision about it.
    pub fn charge(&mut self, running: &mut SchedState, ran_ns: u64) {
        running.ran_ns = running.ran_ns.saturating_add(ran_ns);
        let (slice, virtual_ns) = if running.level == Level::FAIR {
            let charged = running.charge_fair(ran_ns);
            (charged.slice, charged.virtual_ns)
        } else {
            (running.charge_turn(ran_ns), 0)
        };
        self.advance_clock(running.level, ran_ns, virtual_ns);
        let is_contended = self.occupied() & running.level.bit() != 0;
        if let Some(mirror) = &mut self.running {
            mirror.entity.vruntime = running.vruntime;
            mirror.entity.deadline = running.deadline;
            mirror.entity.slice_left_ns = running.slice_left_ns;
            if slice == Slice::Used && is_contended {
                mirror.slice = Slice::Used;
            }
        }
        self.note_clock_of_lone_thread();
    }

    /// Whether the running thread should give way now. Also true while nobody runs and someone waits.
    pub fn should_preempt(&self) -> Preempt {
        let Some(highest) = Level::highest(self.occupied()) else { return Preempt::Keep };
        let Some(running) = &self.running else { return Preempt::Now };
        let is_due = match highest.cmp(&running.entity.level) {
            core::cmp::Ordering::Greater => true,
            core::cmp::Ordering::Less => false,
            core::cmp::Ordering::Equal if highest == Level::FAIR => self.fair_is_due(running),
            core::cmp::Ordering::Equal => running.slice == Slice::Used,
        };
        if is_due { Preempt::Now } else { Preempt::Keep }
    }

    /// When the running thread must be charged and looked at again if nothing else happens, in real ns
    /// from its last charge. `None` if no waiting thread could take over: no tick is needed.
    #[must_use]
    pub fn time_to_next_decision(&self) -> Option<u64> {
        if self.should_preempt() == Preempt::Now {
            return Some(0);
        }
        let running = self.running.as_ref()?;
        let entity = &running.entity;
        if self.occupied() & entity.level.bit() == 0 {
            return None;
        }
        if entity.level == Level::FAIR {
            return Some(SchedState::until_deadline_ns(entity.vruntime, entity.deadline, entity.weight));
        }
        (entity.slice_left_ns != ENDLESS_NS).then_some(entity.slice_left_ns)
    }

    /// The running thread, charged up to now, goes to sleep or exits.
    pub fn block(&mut self, running: &mut SchedState) {
        running.lag = Lag::between(self.virtual_now, running.vruntime);
        running.home = Some(self.cpu);
        self.retire();
    }

    /// Changes the policy of the running thread, charged up to now.
    pub fn set_running_policy(&mut self, running: &mut SchedState, policy: Policy) -> Preempt {
        let was_fair = running.level == Level::FAIR;
        self.retire();
        running.set_policy(policy);
        let lag = if was_fair { Lag::between(self.virtual_now, running.vruntime) } else { Lag::default() };
        running.arrive(self.cpu, self.virtual_now, lag);
        self.count_in(running.level, running.weight);
        self.running = Some(Running::new(Entity::of(running, 0)));
        self.should_preempt()
    }
}

impl<T> RunQueue<T> {
    fn occupied(&self) -> u128 {
        let fair = if self.fair.is_empty() { 0 } else { Level::FAIR.bit() };
        self.lists.occupied() | fair
    }

    fn unlink_head(&mut self, level: Level) -> u32 {
        let slot = self.lists.head(level);
        self.lists.unlink(&mut self.pool, level, slot);
        slot
    }

    fn fair_is_due(&self, running: &Running) -> bool {
        let Some((first, slot)) = self.fair.peek() else { return false };
        if running.slice == Slice::Used {
            return first.major <= running.entity.deadline;
        }
        self.pool.node(slot).entity.wakeup == Wakeups::Preempt
            && first.major.saturating_add(WAKEUP_GRANULARITY_NS) < running.entity.deadline
    }

    /// Gives an arriving fair thread its virtual run time and deadline.
    fn place(&self, state: &mut SchedState, reason: Reason) {
        match reason {
            Reason::Preempted => {}
            Reason::Wakeup => {
                state.arrive(self.cpu, self.virtual_now, state.wakeup_lag(self.cpu, self.virtual_now));
            }
            Reason::Migrated(lag) => state.arrive(self.cpu, self.virtual_now, lag),
            // Behind the next in line and behind a fresh request, and no further: giving up more (Linux
            // forfeits the slice) would make the virtual clock race while two threads yield in turn.
            Reason::Yielded => {
                let fresh = state.vruntime.saturating_add(state.slice_virtual_ns);
                let next = self.fair.peek().map_or(0, |(key, _)| key.major);
                state.deadline = state.deadline.max(fresh).max(next);
            }
        }
    }

    fn insert_fair(&mut self, slot: u32, state: &SchedState) {
        let entity = &mut self.pool.node_mut(slot).entity;
        (entity.vruntime, entity.deadline) = (state.vruntime, state.deadline);
        self.sequence += 1;
        self.fair.insert(slot, Key { major: state.deadline, minor: self.sequence });
    }

    fn advance_clock(&mut self, level: Level, ran_ns: u64, virtual_ns: u64) {
        if level != Level::FAIR {
            return;
        }
        let step = if self.fair.is_empty() {
            virtual_ns
        } else {
            ran_ns.saturating_mul(u64::from(NICE_0_WEIGHT)) / self.fair_weight.max(1)
        };
        self.virtual_now = self.virtual_now.saturating_add(step);
    }

    /// A thread that competes with nobody defines the clock: what it ran ahead is forgiven.
    fn note_clock_of_lone_thread(&mut self) {
        let Some(running) = &self.running else { return };
        if self.fair.is_empty() && running.entity.level == Level::FAIR {
            self.virtual_now = self.virtual_now.max(running.entity.vruntime);
        }
    }

    /// Nobody runs any more; says whether the one who did had used its slice.
    fn retire(&mut self) -> Slice {
        let Some(running) = self.running.take() else { return Slice::Left };
        self.count_out(running.entity.level, running.entity.weight);
        running.slice
    }

    fn count_in(&mut self, level: Level, weight: u32) {
        *self.weight_of(level) += u64::from(weight);
    }

    pub(super) fn count_out(&mut self, level: Level, weight: u32) {
        let sum = self.weight_of(level);
        *sum = sum.saturating_sub(u64::from(weight));
    }

    fn weight_of(&mut self, level: Level) -> &mut u64 {
        if level == Level::FAIR { &mut self.fair_weight } else { &mut self.other_weight }
    }
}
