//! Deciding which processor to take work from.

use crate::cpuset::CpuId;

/// A processor that has so much more to do that moving work pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imbalance {
    /// Whom to take from.
    pub busiest: CpuId,
    /// The heaviest thread whose move does not just swap the roles: pass it to
    /// [`super::RunQueue::steal`].
    pub max_weight: u64,
}

/// Compares the loads ([`super::RunQueue::load`]) of all processors, indexed by processor.
///
/// `None` if nobody has a quarter more than `this_cpu`: below that the caches a move empties cost
/// more than the wait it saves (Linux's `imbalance_pct` of 117 to 125). Of equals the first counts.
#[must_use]
pub fn balance(loads: &[u64], this_cpu: CpuId) -> Option<Imbalance> {
    let own = *loads.get(this_cpu.index())?;
    let (index, busiest) =
        loads.iter().enumerate().reduce(|best, next| if next.1 > best.1 { next } else { best })?;
    let excess = busiest.checked_sub(own)?;
    if excess <= own / 4 || excess == 0 {
        return None;
    }
    Some(Imbalance { busiest: CpuId::from_index(index)?, max_weight: excess - 1 })
}
