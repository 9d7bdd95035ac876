//! eventfd(2): a number that one adds to and another waits for. It changes in one step, so it needs no lock.

use alloc::sync::Arc;
use core::any::Any;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::file::{POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM};
use abi::{Errno, Result};
use nucleus::sched::WaitQueue;
use nucleus::vfs::file::Seeking;
use nucleus::vfs::{ByteSink, ByteSource, Events, File, Transfer};

/// How much a read takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// All.
    All,
    /// One (`EFD_SEMAPHORE`).
    One,
}

/// The number.
pub(crate) struct EventFd {
    count: AtomicU64,
    added: WaitQueue,
    taken: WaitQueue,
    taking: Taking,
}

/// The highest it gets.
const MOST: u64 = u64::MAX - 1;

/// One that starts with a number.
pub fn open(first: u32, taking: Taking) -> Arc<dyn File> {
    Arc::new(EventFd {
        count: AtomicU64::new(first.into()),
        added: WaitQueue::new(),
        taken: WaitQueue::new(),
        taking,
    })
}

impl EventFd {
    /// What a read takes of `count`.
    fn taken_of(&self, count: u64) -> u64 {
        if self.taking == Taking::One { 1 } else { count }
    }

    /// Changes the number in one step; what it was.
    ///
    /// # Errors
    /// EAGAIN if `to` has nothing to change it to.
    fn change(&self, to: impl Fn(u64) -> Option<u64>) -> Result<u64> {
        self.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, to).map_err(|_| Errno::EAGAIN)
    }
}

impl File for EventFd {
    fn read(&self, transfer: &Transfer, to: &mut dyn ByteSink) -> Result<usize> {
        if to.room() < 8 {
            return Err(Errno::EINVAL);
        }
        let taken = self.added.block_until(transfer.wait, || {
            let before = self.change(|count| count.checked_sub(self.taken_of(count).max(1)))?;
            Ok(self.taken_of(before))
        })?;
        self.taken.wake_all();
        to.put(&taken.to_le_bytes())
    }

    fn write(&self, transfer: &Transfer, from: &mut dyn ByteSource) -> Result<usize> {
        let mut bytes = [0; 8];
        if from.left() < 8 {
            return Err(Errno::EINVAL);
        }
        from.take(&mut bytes)?;
        let more = u64::from_le_bytes(bytes);
        if more == u64::MAX {
            return Err(Errno::EINVAL);
        }
        self.taken.block_until(transfer.wait, || {
            self.change(|count| count.checked_add(more).filter(|&sum| sum <= MOST))
        })?;
        self.added.wake_all();
        Ok(8)
    }

    fn ready(&self) -> Events {
        let count = self.count.load(Ordering::Acquire);
        let input = if count != 0 { POLLIN | POLLRDNORM } else { 0 };
        let output = if count < MOST { POLLOUT | POLLWRNORM } else { 0 };
        Events(input | output)
    }

    fn for_each_queue(&self, visit: &mut dyn FnMut(&WaitQueue)) {
        visit(&self.added);
        visit(&self.taken);
    }

    fn changes(&self, wanted: Events) -> u64 {
        let added = if wanted.0 & POLLIN != 0 { self.added.signals() } else { 0 };
        let taken = if wanted.0 & POLLOUT != 0 { self.taken.signals() } else { 0 };
        added.wrapping_add(taken)
    }

    fn seeking(&self) -> Seeking {
        Seeking::Stream
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
