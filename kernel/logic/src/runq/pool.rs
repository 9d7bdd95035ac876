//! The nodes of queued threads: made ahead of time, so that queueing never allocates.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use super::policy::Level;

/// No slot: the end of a list.
pub(super) const NONE: u32 = u32::MAX;

/// Which node holds a thread; stale once the thread left the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) slot: u32,
    generation: u32,
}

impl Ticket {
    pub(super) const NONE: Self = Self { slot: NONE, generation: 0 };
}

/// A queued thread, or a free node linked through `next`.
#[derive(Debug)]
pub(super) struct Node<T> {
    pub(super) thread: Option<T>,
    generation: u32,
    pub(super) next: u32,
    pub(super) previous: u32,
    pub(super) entity: Entity,
}

/// The part of a thread's state the queue needs while the thread waits or runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entity {
    pub(super) level: Level,
    pub(super) weight: u32,
    pub(super) wakeup: Wakeups,
    pub(super) vruntime: u64,
    pub(super) deadline: u64,
    pub(super) slice_left_ns: u64,
    pub(super) queued_at_ns: u64,
}

/// Whether waking up may take the CPU from a running fair thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wakeups {
    Preempt,
    Wait,
}

const FREE: Entity = Entity {
    level: Level::IDLE,
    weight: 0,
    wakeup: Wakeups::Wait,
    vruntime: 0,
    deadline: 0,
    slice_left_ns: 0,
    queued_at_ns: 0,
};

/// All nodes of one queue.
#[derive(Debug)]
pub(super) struct Pool<T> {
    nodes: Vec<Node<T>>,
    free: u32,
}

impl<T> Pool<T> {
    pub(super) const fn new() -> Self {
        Self { nodes: Vec::new(), free: NONE }
    }

    pub(super) fn capacity(&self) -> usize {
        self.nodes.len()
    }

    /// Makes room for `threads` threads in all.
    pub(super) fn try_reserve(&mut self, threads: usize) -> Result<(), TryReserveError> {
        let missing = threads.saturating_sub(self.nodes.len());
        self.nodes.try_reserve_exact(missing)?;
        for _ in 0..missing {
            let Ok(slot) = u32::try_from(self.nodes.len()) else { break };
            self.nodes.push(Node {
                thread: None,
                generation: 0,
                next: self.free,
                previous: NONE,
                entity: FREE,
            });
            self.free = slot;
        }
        Ok(())
    }

    /// Moves everything of `smaller` into this unused pool, slot by slot.
    pub(super) fn take_over(&mut self, smaller: &mut Self) {
        for (mine, theirs) in self.nodes.iter_mut().zip(&mut smaller.nodes) {
            core::mem::swap(mine, theirs);
        }
        self.free = smaller.free;
        for slot in smaller.nodes.len()..self.nodes.len() {
            self.nodes[slot].next = self.free;
            self.free = u32::try_from(slot).unwrap_or(NONE);
        }
    }

    /// Puts a thread into a free node; gives it back when there is none.
    pub(super) fn add(&mut self, thread: T, entity: Entity) -> Result<Ticket, T> {
        let slot = self.free;
        let Some(node) = self.nodes.get_mut(slot as usize) else { return Err(thread) };
        self.free = node.next;
        node.thread = Some(thread);
        node.entity = entity;
        Ok(Ticket { slot, generation: node.generation })
    }

    /// Frees the node of a queued thread and returns the thread.
    pub(super) fn release(&mut self, slot: u32) -> Option<(T, Entity)> {
        let node = self.nodes.get_mut(slot as usize)?;
        let thread = node.thread.take()?;
        node.generation = node.generation.wrapping_add(1);
        node.next = self.free;
        self.free = slot;
        Some((thread, node.entity))
    }

    /// The slot a ticket stands for, unless the thread has left it.
    pub(super) fn slot_of(&self, ticket: Ticket) -> Option<u32> {
        let node = self.nodes.get(ticket.slot as usize)?;
        (node.thread.is_some() && node.generation == ticket.generation).then_some(ticket.slot)
    }

    pub(super) fn node(&self, slot: u32) -> &Node<T> {
        &self.nodes[slot as usize]
    }

    pub(super) fn node_mut(&mut self, slot: u32) -> &mut Node<T> {
        &mut self.nodes[slot as usize]
    }
}
