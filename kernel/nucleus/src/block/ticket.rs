//! Waiting for requests: one ticket for one of them, or for many.
//!
//! Lock: rank `BlockQueue`, around the error of each ticket.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};

use abi::{Errno, Result};
use hal::rank;
use hal::spin::Lock;

use crate::sched::{Wait, WaitQueue};

/// What becomes of the requests that carry it. It is done when none of them is under way, and may be used again then.
pub struct Ticket {
    under_way: AtomicUsize,
    /// The first error.
    error: Lock<Option<Errno>, rank::BlockQueue>,
    done: WaitQueue,
}

impl Ticket {
    /// Nothing under way.
    pub fn new() -> Arc<Self> {
        let error = Lock::new(None);
        Arc::new(Ticket { under_way: AtomicUsize::new(0), error, done: WaitQueue::new() })
    }

    /// One more request.
    pub(super) fn begin(&self) {
        self.under_way.fetch_add(1, Ordering::Relaxed);
    }

    /// One less. Called from interrupts too.
    pub(super) fn finish(&self, result: Result<()>) {
        if let Err(error) = result {
            self.error.lock().get_or_insert(error);
        }
        if self.under_way.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.wake_all();
        }
    }

    /// What became of all requests so far; none while one is under way. The first error is what counts, until
    /// [`Self::reset`].
    pub fn poll(&self) -> Option<Result<()>> {
        if self.under_way.load(Ordering::Acquire) != 0 {
            return None;
        }
        Some(self.error.lock().map_or(Ok(()), Err))
    }

    /// Waits until none is under way. The requests go on if the wait ends early: they keep their memory.
    ///
    /// # Errors
    /// The first error of a request; EAGAIN, ERESTARTSYS, ETIMEDOUT as [`WaitQueue::block_until`].
    pub fn wait(&self, wait: Wait) -> Result<()> {
        self.done.block_until(wait, || self.poll().ok_or(Errno::EAGAIN))?
    }

    /// Waits come what may: what must not go on before its requests are done.
    ///
    /// # Errors
    /// The first error of a request.
    pub fn wait_done(&self) -> Result<()> {
        loop {
            match self.poll() {
                Some(result) => return result,
                // Only lack of memory ends this wait early: then look again.
                None => match self
                    .done
                    .block_until(Wait::UNINTERRUPTIBLE, || self.poll().map_or(Err(Errno::EAGAIN), |_| Ok(())))
                {
                    Ok(()) => {}
                    Err(_) => crate::sched::yield_now(),
                },
            }
        }
    }

    /// Forgets the errors.
    pub fn reset(&self) {
        *self.error.lock() = None;
    }

    /// Where to wait for it among other things ([`crate::sched::block_until_any`]).
    pub fn queue(&self) -> &WaitQueue {
        &self.done
    }
}
