//! First-come lists, one a level, linked through the nodes of the pool.

use super::policy::Level;
use super::pool::{NONE, Pool};

/// The lists and which of them hold threads.
#[derive(Debug)]
pub(super) struct Lists {
    heads: [u32; Level::COUNT],
    tails: [u32; Level::COUNT],
    occupied: u128,
}

impl Lists {
    pub(super) const fn new() -> Self {
        Self { heads: [NONE; Level::COUNT], tails: [NONE; Level::COUNT], occupied: 0 }
    }

    /// One bit for each level with a thread.
    pub(super) const fn occupied(&self) -> u128 {
        self.occupied
    }

    pub(super) const fn head(&self, level: Level) -> u32 {
        self.heads[level.index()]
    }

    pub(super) fn push_back<T>(&mut self, pool: &mut Pool<T>, level: Level, slot: u32) {
        let last = core::mem::replace(&mut self.tails[level.index()], slot);
        let node = pool.node_mut(slot);
        (node.previous, node.next) = (last, NONE);
        match last {
            NONE => self.heads[level.index()] = slot,
            last => pool.node_mut(last).next = slot,
        }
        self.occupied |= level.bit();
    }

    pub(super) fn push_front<T>(&mut self, pool: &mut Pool<T>, level: Level, slot: u32) {
        let first = core::mem::replace(&mut self.heads[level.index()], slot);
        let node = pool.node_mut(slot);
        (node.previous, node.next) = (NONE, first);
        match first {
            NONE => self.tails[level.index()] = slot,
            first => pool.node_mut(first).previous = slot,
        }
        self.occupied |= level.bit();
    }

    pub(super) fn unlink<T>(&mut self, pool: &mut Pool<T>, level: Level, slot: u32) {
        let (previous, next) = (pool.node(slot).previous, pool.node(slot).next);
        match previous {
            NONE => self.heads[level.index()] = next,
            previous => pool.node_mut(previous).next = next,
        }
        match next {
            NONE => self.tails[level.index()] = previous,
            next => pool.node_mut(next).previous = previous,
        }
        if self.heads[level.index()] == NONE {
            self.occupied &= !level.bit();
        }
    }
}
