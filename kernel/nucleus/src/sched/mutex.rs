//! The sleeping lock: for data that is held across anything slow.
//!
//! Interrupts stay on while it is held and its holder may be preempted or sleep. It names its rank as spin locks do;
//! since a thread keeps it across CPUs, the check here is only that no spin lock is held while one waits.

use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use abi::Errno;
use hal::lock_ranks;
use hal::rank::Rank;

use super::wait::{Wait, WaitQueue};

/// A lock whose waiters sleep.
pub struct Mutex<T: ?Sized, R: Rank> {
    waiters: WaitQueue,
    rank: PhantomData<fn() -> R>,
    inner: spin::mutex::SpinMutex<T>,
}

impl<T, R: Rank> Mutex<T, R> {
    /// An unlocked mutex.
    pub const fn new(value: T) -> Self {
        Mutex { waiters: WaitQueue::new(), rank: PhantomData, inner: spin::mutex::SpinMutex::new(value) }
    }
}

impl<T: ?Sized, R: Rank> Mutex<T, R> {
    /// Takes the lock; sleeps while another thread has it.
    ///
    /// # Panics
    /// In debug builds, if a spin lock is held.
    pub fn lock(&self) -> Guard<'_, T, R> {
        assert!(!lock_ranks::any_held(), "mutex {} was locked under a spin lock", R::NAME);
        if let Some(inner) = self.inner.try_lock() {
            return Guard { mutex: self, inner: Some(inner) };
        }
        loop {
            let taken = self
                .waiters
                .block_until(Wait::UNINTERRUPTIBLE, || self.inner.try_lock().ok_or(Errno::EAGAIN));
            match taken {
                Ok(inner) => return Guard { mutex: self, inner: Some(inner) },
                // No memory to queue: let others run, one of them holds the lock.
                Err(_) => super::yield_now(),
            }
        }
    }

    /// Takes the lock if nobody has it.
    pub fn try_lock(&self) -> Option<Guard<'_, T, R>> {
        self.inner.try_lock().map(|inner| Guard { mutex: self, inner: Some(inner) })
    }
}

/// Proof that a [`Mutex`] is held.
pub struct Guard<'a, T: ?Sized, R: Rank> {
    mutex: &'a Mutex<T, R>,
    /// `None` only inside `drop`, which must unlock before it wakes.
    inner: Option<spin::mutex::SpinMutexGuard<'a, T>>,
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
        self.mutex.waiters.wake_one();
    }
}
