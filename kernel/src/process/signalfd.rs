//! signalfd(2): signals that are read instead of handled.
//!
//! The file holds a mask and nothing else: whoever reads takes from what is pending for itself, so a child that inherited
//! it reads its own signals. No lock: the mask stands alone.

use alloc::sync::Arc;
use core::any::Any;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::file::{POLLIN, POLLRDNORM};
use abi::{Errno, Result};
use logic::signal::SignalSet;
use nucleus::sched::WaitQueue;
use nucleus::vfs::file::Seeking;
use nucleus::vfs::{ByteSink, Events, File, OpenFile, Transfer};

use super::task::Task;
use super::{current, signals};

/// Signals to be read.
pub(crate) struct SignalFd {
    wanted: AtomicU64,
}

impl SignalFd {
    /// For these; SIGKILL and SIGSTOP are left out.
    pub(crate) fn new(wanted: SignalSet) -> Arc<Self> {
        Arc::new(SignalFd { wanted: AtomicU64::new(wanted.without_unblockable().bits()) })
    }

    /// Asks for others; whoever waits looks again.
    pub(crate) fn set(&self, wanted: SignalSet) {
        self.wanted.store(wanted.without_unblockable().bits(), Ordering::Relaxed);
        if let Some(task) = current() {
            task.process.signals_came.wake_all();
        }
    }

    fn wanted(&self) -> SignalSet {
        SignalSet::from_bits(self.wanted.load(Ordering::Relaxed))
    }

    /// The next one as `struct signalfd_siginfo`.
    fn take(&self, task: &Task) -> Result<[u8; 128]> {
        let info = signals::take(task, SignalSet::ALL.difference(self.wanted())).ok_or(Errno::EAGAIN)?;
        Ok(info.encode_for_reading())
    }
}

/// The one behind an open file.
pub(crate) fn of(file: &OpenFile) -> Option<&SignalFd> {
    file.file().as_any().downcast_ref()
}

impl File for SignalFd {
    fn read(&self, transfer: &Transfer, to: &mut dyn ByteSink) -> Result<usize> {
        const LEN: usize = 128;
        if to.room() < LEN {
            return Err(Errno::EINVAL);
        }
        let task = current().ok_or(Errno::EINVAL)?;
        let first = task.process.signals_came.block_until(transfer.wait, || self.take(&task))?;
        let mut done = to.put(&first)?;
        while to.room() >= LEN
            && let Ok(next) = self.take(&task)
        {
            match to.put(&next) {
                Ok(count) => done += count,
                Err(_) => break,
            }
        }
        Ok(done)
    }

    fn ready(&self) -> Events {
        let pending = current().map_or(SignalSet::EMPTY, |task| signals::pending(&task));
        let is_ready = !pending.intersection(self.wanted()).is_empty();
        Events(if is_ready { POLLIN | POLLRDNORM } else { 0 })
    }

    fn for_each_queue(&self, visit: &mut dyn FnMut(&WaitQueue)) {
        if let Some(task) = current() {
            visit(&task.process.signals_came);
        }
    }

    fn seeking(&self) -> Seeking {
        Seeking::Stream
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
