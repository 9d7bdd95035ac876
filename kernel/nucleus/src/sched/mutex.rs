//! The sleeping lock: for data that is held across anything slow.
//!
//! Interrupts stay on while it is held and its holder may be preempted or sleep. It names its rank as spin locks do.
//! Debug builds keep the ranks each thread holds, for it takes them along across CPUs, and panic on a wrong order
//! before waiting; and they require that no spin lock is held.

use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering, fence};

use abi::Errno;
use hal::lock_ranks;
use hal::rank::Rank;

use super::wait::{Wait, WaitQueue};

/// A lock whose waiters sleep.
pub struct Mutex<T: ?Sized, R: Rank> {
    waiters: WaitQueue,
    /// Threads that wait, or are about to: whoever unlocks looks at the queue only if there are any.
    waiting: AtomicU32,
    rank: PhantomData<fn() -> R>,
    inner: spin::mutex::SpinMutex<T>,
}

impl<T, R: Rank> Mutex<T, R> {
    /// An unlocked mutex.
    pub const fn new(value: T) -> Self {
        Mutex {
            waiters: WaitQueue::new(),
            waiting: AtomicU32::new(0),
            rank: PhantomData,
            inner: spin::mutex::SpinMutex::new(value),
        }
    }
}

impl<T: ?Sized, R: Rank> Mutex<T, R> {
    /// Takes the lock; sleeps while another thread has it.
    ///
    /// # Panics
    /// In debug builds, if a spin lock is held, or a mutex of the same or an inner rank.
    pub fn lock(&self) -> Guard<'_, T, R> {
        assert!(!lock_ranks::any_held(), "mutex {} was locked under a spin lock", R::NAME);
        held::acquire::<R>();
        self.take()
    }

    /// Locks two mutexes of one rank, in the order of their addresses.
    pub fn lock_both<'a>(first: &'a Self, second: &'a Self) -> (Guard<'a, T, R>, Guard<'a, T, R>) {
        assert!(!lock_ranks::any_held(), "mutex {} was locked under a spin lock", R::NAME);
        held::acquire::<R>();
        held::acquire_pair::<R>();
        if core::ptr::from_ref(first).addr() < core::ptr::from_ref(second).addr() {
            let outer = first.take();
            (outer, second.take())
        } else {
            let outer = second.take();
            (first.take(), outer)
        }
    }

    fn take(&self) -> Guard<'_, T, R> {
        if let Some(inner) = self.inner.try_lock() {
            return Guard::new(self, inner);
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let guard = self.wait_for_it();
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        guard
    }

    #[cold]
    fn wait_for_it(&self) -> Guard<'_, T, R> {
        loop {
            let taken = self
                .waiters
                .block_until(Wait::UNINTERRUPTIBLE, || self.inner.try_lock().ok_or(Errno::EAGAIN));
            match taken {
                Ok(inner) => return Guard::new(self, inner),
                // No memory to queue: let others run, one of them holds the lock.
                Err(_) => super::yield_now(),
            }
        }
    }

    /// The data, which nobody else can reach.
    pub fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }

    /// Takes the lock if nobody has it.
    ///
    /// # Panics
    /// In debug builds, if it was free and a mutex of the same or an inner rank is held.
    pub fn try_lock(&self) -> Option<Guard<'_, T, R>> {
        let inner = self.inner.try_lock()?;
        held::acquire::<R>();
        Some(Guard::new(self, inner))
    }
}

/// Proof that a [`Mutex`] is held.
pub struct Guard<'a, T: ?Sized, R: Rank> {
    mutex: &'a Mutex<T, R>,
    /// `None` only inside `drop`, which must unlock before it wakes.
    inner: Option<spin::mutex::SpinMutexGuard<'a, T>>,
    /// Not for another thread to drop: the one that locked has the rank.
    _thread: PhantomData<*const ()>,
}

impl<'a, T: ?Sized, R: Rank> Guard<'a, T, R> {
    fn new(mutex: &'a Mutex<T, R>, inner: spin::mutex::SpinMutexGuard<'a, T>) -> Self {
        Guard { mutex, inner: Some(inner), _thread: PhantomData }
    }
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
        held::release::<R>();
        // After the unlocking: a waiter that is not seen here has yet to try, and will find the mutex free.
        fence(Ordering::SeqCst);
        if self.mutex.waiting.load(Ordering::Relaxed) != 0 {
            self.mutex.waiters.wake_one();
        }
    }
}

/// The mutexes that the running thread holds, by rank. Before there are threads nothing is checked.
#[cfg(debug_assertions)]
mod held {
    use hal::rank::Rank;
    use logic::ranks::{RankError, RankStack};

    use super::super::cpu::current_if_any;

    pub(super) fn acquire<R: Rank>() {
        note(|mutexes| mutexes.acquire(R::LEVEL, R::NAME));
    }

    pub(super) fn acquire_pair<R: Rank>() {
        note(|mutexes| mutexes.acquire_pair(R::LEVEL, R::NAME));
    }

    pub(super) fn release<R: Rank>() {
        note(|mutexes| mutexes.release(R::LEVEL));
    }

    fn note(change: impl FnOnce(&mut RankStack) -> Result<(), RankError>) {
        let outcome = current_if_any().map_or(Ok(()), |me| change(&mut me.mutexes.lock()));
        if let Err(error) = outcome {
            panic!("mutex order: {error}");
        }
    }
}

#[cfg(not(debug_assertions))]
mod held {
    use hal::rank::Rank;

    pub(super) fn acquire<R: Rank>() {}
    pub(super) fn acquire_pair<R: Rank>() {}
    pub(super) fn release<R: Rank>() {}
}
