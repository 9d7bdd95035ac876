//! Taking waiting threads away: for an idle processor, for balance, for a change of affinity.

use super::policy::Level;
use super::pool::NONE;
use super::queue::RunQueue;
use super::state::{Lag, SchedState};

/// How many threads a search looks at before it gives up: it runs under the victim's lock.
const MAX_CANDIDATES: usize = 32;

/// A thread that left a queue without running.
#[derive(Debug, PartialEq, Eq)]
pub struct Departed<T> {
    /// Who left.
    pub thread: T,
    /// Its claim on the CPU, for [`super::Reason::Migrated`].
    pub lag: Lag,
}

impl<T> RunQueue<T> {
    /// Takes a particular waiting thread out; `None` if it does not wait here.
    pub fn remove(&mut self, state: &mut SchedState) -> Option<Departed<T>> {
        if state.home != Some(self.cpu) {
            return None;
        }
        let slot = self.pool.slot_of(state.ticket)?;
        self.take_out(slot)
    }

    /// Takes the waiting thread that another processor should run: the highest real-time one, else the
    /// fair one that would wait longest, else an idle one. It must weigh at most `max_weight` (from
    /// [`super::balance`]; `u64::MAX` for a processor with nothing to do) and pass `may_take`, which
    /// checks its affinity. Gives up after 32 candidates.
    pub fn steal(&mut self, max_weight: u64, mut may_take: impl FnMut(&T) -> bool) -> Option<Departed<T>> {
        let slot = self
            .candidates()
            .take(MAX_CANDIDATES)
            .find(|&slot| self.may_leave(slot, max_weight, &mut may_take))?;
        self.take_out(slot)
    }

    fn may_leave(&self, slot: u32, max_weight: u64, may_take: &mut impl FnMut(&T) -> bool) -> bool {
        let node = self.pool.node(slot);
        u64::from(node.entity.weight) <= max_weight && node.thread.as_ref().is_some_and(may_take)
    }

    fn candidates(&self) -> impl Iterator<Item = u32> {
        let mut real_time = self.lists.occupied() & !Level::IDLE.bit();
        let levels = core::iter::from_fn(move || {
            let level = Level::highest(real_time)?;
            real_time &= !level.bit();
            Some(level)
        });
        levels
            .flat_map(|level| self.waiting_at(level))
            .chain(self.fair.slots_from_back())
            .chain(self.waiting_at(Level::IDLE))
    }

    fn waiting_at(&self, level: Level) -> impl Iterator<Item = u32> {
        let some = |slot| (slot != NONE).then_some(slot);
        core::iter::successors(some(self.lists.head(level)), move |&slot| some(self.pool.node(slot).next))
    }

    fn take_out(&mut self, slot: u32) -> Option<Departed<T>> {
        let level = self.pool.node(slot).entity.level;
        if level == Level::FAIR {
            self.fair.remove(slot)?;
        } else {
            self.lists.unlink(&mut self.pool, level, slot);
        }
        let (thread, entity) = self.pool.release(slot)?;
        self.count_out(level, entity.weight);
        self.len -= 1;
        Some(Departed { thread, lag: Lag::between(self.virtual_now, entity.vruntime) })
    }
}
