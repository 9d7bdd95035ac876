//! Room for threads: grown ahead of time, outside the lock if need be.

use alloc::collections::TryReserveError;

use super::pool::Pool;
use super::queue::RunQueue;
use crate::heap::SlotHeap;

/// Space for the threads of one queue, made outside its lock.
#[derive(Debug)]
pub struct Room<T> {
    pool: Pool<T>,
    fair: SlotHeap,
}

impl<T> Room<T> {
    /// Room for `threads` threads.
    ///
    /// # Errors
    /// Without memory.
    pub fn try_new(threads: usize) -> Result<Self, TryReserveError> {
        let mut room = Self { pool: Pool::new(), fair: SlotHeap::new() };
        room.pool.try_reserve(threads)?;
        room.fair.try_reserve(threads)?;
        Ok(room)
    }
}

impl<T> RunQueue<T> {
    /// Makes room for `threads` threads in all. Allocates, so not under the queue's lock once the
    /// allocator may take locks of its own: there make a [`Room`] first and [`Self::adopt`] it.
    ///
    /// # Errors
    /// Without memory; the queue is as before.
    pub fn try_reserve(&mut self, threads: usize) -> Result<(), TryReserveError> {
        if threads > self.capacity() {
            self.adopt(&mut Room::try_new(threads)?);
        }
        Ok(())
    }

    /// Moves into a larger room without allocating; `room` holds the old one afterwards, to be dropped
    /// outside the lock. A room that is no larger is left alone.
    pub fn adopt(&mut self, room: &mut Room<T>) {
        if room.pool.capacity() <= self.capacity() {
            return;
        }
        room.pool.take_over(&mut self.pool);
        room.fair.copy_from(&self.fair);
        core::mem::swap(&mut self.pool, &mut room.pool);
        core::mem::swap(&mut self.fair, &mut room.fair);
    }

    /// How many threads there is room for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.pool.capacity()
    }
}
