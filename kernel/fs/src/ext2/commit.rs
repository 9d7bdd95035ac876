//! What the thread of a file system does: it carries out commits.
//!
//! A commit says what goes first: the data of files that got blocks, then level after level of metadata with a flush
//! behind each (docs/ext2.md). The thread takes no lock but those of this file system's state and of caches, so whoever
//! waits for it may hold any other.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use abi::file::{S_IFMT, S_IFREG};
use abi::{Errno, Result};
use ext2::{Commit, Purpose};
use hal::context::Kind;
use logic::runq::Policy;
use nucleus::clock;
use nucleus::error;
use nucleus::sched::{self, Thread, Wait};
use nucleus::vfs::cache::Mapped;

use super::device;
use super::volume::Volume;

impl Volume {
    /// Starts the thread.
    ///
    /// # Errors
    /// ENOMEM.
    pub(super) fn start(self: &Arc<Self>) -> Result<()> {
        if self.errands.is_running.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.errands.is_stopping.store(false, Ordering::Release);
        let volume = self.clone();
        let thread = Thread::new("ext2", Kind::Kernel, Policy::default(), move || volume.run());
        match thread {
            Ok(thread) => {
                sched::start(&thread);
                Ok(())
            }
            Err(error) => {
                self.errands.is_running.store(false, Ordering::Release);
                Err(error)
            }
        }
    }

    /// Ends the thread, once it has nothing left to do.
    pub(super) fn stop(&self) {
        self.errands.is_stopping.store(true, Ordering::Release);
        self.errands.asked.wake_one();
    }

    fn run(&self) {
        let errands = &self.errands;
        loop {
            let has_news = || {
                let is_asked = errands.wanted.load(Ordering::Acquire) > errands.done.load(Ordering::Acquire);
                let is_over = errands.is_stopping.load(Ordering::Acquire);
                if is_asked || is_over { Ok(()) } else { Err(Errno::EAGAIN) }
            };
            while errands.asked.block_until(Wait::UNINTERRUPTIBLE, has_news).is_err() {
                sched::yield_now();
            }
            // All that was asked until now is answered by one commit.
            let wanted = errands.wanted.load(Ordering::Acquire);
            if wanted == errands.done.load(Ordering::Acquire) {
                break;
            }
            let closes = errands.closes.swap(false, Ordering::AcqRel);
            let outcome = self.carry_out(if closes { Purpose::Close } else { Purpose::Durability });
            if let Err(error) = outcome {
                error!("{}: cannot write the ext2 file system: {error}", self.disk.name());
            }
            *errands.outcome.lock() = outcome;
            errands.done.store(wanted, Ordering::Release);
            errands.answered.wake_all();
        }
        errands.is_running.store(false, Ordering::Release);
    }

    fn carry_out(&self, purpose: Purpose) -> Result<()> {
        self.free_released();
        while self.has_more.swap(false, Ordering::Relaxed) {
            self.carry_out_once(Purpose::Durability)?;
            self.free_released();
        }
        self.carry_out_once(purpose)
    }

    fn carry_out_once(&self, purpose: Purpose) -> Result<()> {
        let commit = self.state.lock().begin_commit(purpose, clock::realtime())?;
        let Some(commit) = commit else {
            // Data that was written over in place still wants a flush.
            return self.disk.flush_sync();
        };
        let outcome = self.write(&commit);
        self.state.lock().end_commit(outcome);
        outcome
    }

    fn write(&self, commit: &Commit) -> Result<()> {
        for node in commit.data.iter().filter_map(|&ino| self.known_node(ino)) {
            // A page that cannot be written is an error of that file, told at its fsync(2).
            let _ = node.write_pages(0..u64::MAX, Mapped::KeptDirty);
        }
        if commit.levels.is_empty() {
            return self.disk.flush_sync();
        }
        for level in &commit.levels {
            device::write_blocks(&self.disk, self.block_size, level)?;
            self.disk.flush_sync()?;
        }
        Ok(())
    }

    /// Frees files that lost their last name and their last user.
    fn free_released(&self) {
        let released = core::mem::take(&mut *self.released.lock());
        for ino in released {
            let is_large =
                self.state.lock().attributes(ino).is_ok_and(|found| found.mode & S_IFMT == S_IFREG);
            let thinned = if is_large { self.thin_out(ino, 0) } else { Ok(()) };
            let freed =
                thinned.and_then(|()| self.try_operate(|state| state.release(ino, clock::realtime())));
            match freed {
                // After this commit.
                Err(Errno::EAGAIN) => {
                    self.has_more.store(true, Ordering::Relaxed);
                    self.release(ino);
                }
                Err(Errno::ENOMEM) => self.release(ino),
                Ok(()) | Err(_) => {}
            }
        }
    }
}
