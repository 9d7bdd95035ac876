//! Spin locks: interrupts are off while one is held, so interrupt handlers may take them too.
//!
//! Based on the `spin` crate's test-and-test-and-set mutex (a ticket lock convoys when the host preempts a virtual
//! CPU that holds or waits for it). Every lock names its [`Rank`]; debug builds check the order at each acquisition.

pub use spin::Once;

use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use crate::cpu;
use crate::lock_ranks;
use crate::lock_stat;
use crate::rank::Rank;

/// A lock around data that an interrupt may touch or that is held for a few instructions.
pub struct Lock<T: ?Sized, R: Rank> {
    rank: PhantomData<fn() -> R>,
    inner: spin::mutex::SpinMutex<T>,
}

impl<T, R: Rank> Lock<T, R> {
    /// An unlocked lock.
    pub const fn new(value: T) -> Self {
        Lock { rank: PhantomData, inner: spin::mutex::SpinMutex::new(value) }
    }
}

impl<T: ?Sized, R: Rank> Lock<T, R> {
    /// Takes the lock; interrupts stay off until the guard is dropped.
    ///
    /// # Panics
    /// In debug builds, when a lock of the same or an inner rank is held.
    pub fn lock(&self) -> Guard<'_, T, R> {
        let interrupts = cpu::irq_off();
        lock_ranks::acquire(R::LEVEL, R::NAME);
        Guard { inner: Some(self.take()), interrupts, rank: PhantomData }
    }

    /// Takes the lock if it is free.
    pub fn try_lock(&self) -> Option<Guard<'_, T, R>> {
        let interrupts = cpu::irq_off();
        match self.inner.try_lock() {
            Some(inner) => {
                lock_ranks::acquire(R::LEVEL, R::NAME);
                Some(Guard { inner: Some(inner), interrupts, rank: PhantomData })
            }
            None => {
                cpu::irq_restore(interrupts);
                None
            }
        }
    }

    /// Locks two locks of one rank, ordered by address so that two CPUs cannot wait for each other.
    pub fn lock_both<'a>(first: &'a Self, second: &'a Self) -> Both<'a, T, R>
    where
        T: Sized,
    {
        debug_assert!(!core::ptr::eq(first, second), "the same lock twice");
        let interrupts = Interrupts(cpu::irq_off());
        if core::ptr::from_ref(first) < core::ptr::from_ref(second) {
            let outer = first.lock();
            Both { first: outer, second: second.lock_paired(), _interrupts: interrupts }
        } else {
            let outer = second.lock();
            Both { first: first.lock_paired(), second: outer, _interrupts: interrupts }
        }
    }

    /// Takes this lock while `first`, of the same rank, is held: for one that nobody else can know yet, so that no order
    /// is needed.
    pub fn lock_second<'a>(&'a self, _first: &Guard<'_, T, R>) -> Guard<'a, T, R> {
        self.lock_paired()
    }

    fn take(&self) -> spin::mutex::SpinMutexGuard<'_, T> {
        loop {
            if let Some(guard) = self.inner.try_lock() {
                return guard;
            }
            lock_stat::wait(R::LEVEL, &|| self.inner.is_locked());
        }
    }

    fn lock_paired(&self) -> Guard<'_, T, R> {
        let interrupts = cpu::irq_off();
        lock_ranks::acquire_pair(R::LEVEL, R::NAME);
        Guard { inner: Some(self.take()), interrupts, rank: PhantomData }
    }
}

/// Proof that two locks of one rank are held. Interrupts come back after both, in whatever order they are freed.
pub struct Both<'a, T, R: Rank> {
    /// The first one named.
    pub first: Guard<'a, T, R>,
    /// The second one named.
    pub second: Guard<'a, T, R>,
    /// Dropped last: it stands last.
    _interrupts: Interrupts,
}

/// Puts interrupts back when dropped.
struct Interrupts(cpu::InterruptState);

impl Drop for Interrupts {
    fn drop(&mut self) {
        cpu::irq_restore(self.0);
    }
}

/// Proof that a [`Lock`] is held.
pub struct Guard<'a, T: ?Sized, R: Rank> {
    /// `None` only inside `drop`, which must unlock before it lets interrupts in.
    inner: Option<spin::mutex::SpinMutexGuard<'a, T>>,
    interrupts: cpu::InterruptState,
    rank: PhantomData<fn() -> R>,
}

impl<T: ?Sized, R: Rank> Deref for Guard<'_, T, R> {
    type Target = T;
    fn deref(&self) -> &T {
        match &self.inner {
            Some(inner) => inner,
            None => unreachable!("a guard outlives its lock"),
        }
    }
}

impl<T: ?Sized, R: Rank> DerefMut for Guard<'_, T, R> {
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.inner {
            Some(inner) => inner,
            None => unreachable!("a guard outlives its lock"),
        }
    }
}

impl<T: ?Sized, R: Rank> Drop for Guard<'_, T, R> {
    fn drop(&mut self) {
        self.inner = None;
        lock_ranks::release(R::LEVEL);
        // Guards may be dropped in any order only where interrupts were off before the first lock.
        debug_assert!(
            !self.interrupts.were_on() || !lock_ranks::any_held(),
            "freeing lock {} lets interrupts in while one taken after it is held",
            R::NAME
        );
        cpu::irq_restore(self.interrupts);
    }
}

#[cfg(test)]
mod tests;
