//! What the queue remembers of the thread that has the CPU, so that wakers need not reach into it.

use super::policy::Policy;
use super::pool::{Entity, Wakeups};
use super::state::{SchedState, Slice};

/// The thread that has the CPU; as current as its last charge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    pub(super) entity: Entity,
    pub(super) slice: Slice,
}

impl Running {
    pub(super) const fn new(entity: Entity) -> Self {
        Self { entity, slice: Slice::Left }
    }
}

impl Entity {
    pub(super) fn of(state: &SchedState, queued_at_ns: u64) -> Self {
        let is_batch = matches!(state.policy(), Policy::Batch(_));
        Self {
            level: state.level,
            weight: state.weight,
            wakeup: if is_batch { Wakeups::Wait } else { Wakeups::Preempt },
            vruntime: state.vruntime,
            deadline: state.deadline,
            slice_left_ns: state.slice_left_ns,
            queued_at_ns,
        }
    }
}
