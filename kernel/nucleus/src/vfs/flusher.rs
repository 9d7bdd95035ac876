//! The thread that brings to the disk what is old or too much.
//!
//! It sleeps as long as nothing is dirty. Whoever writes more than the memory bears waits for it.

use core::sync::atomic::{AtomicBool, Ordering};

use abi::{Errno, Result};
use hal::context::Kind;
use hal::time;
use logic::runq::Policy;

use super::cache::{counters, disks};
use super::mount;
use crate::sched::{self, Thread, Wait, WaitQueue};

/// How often it looks (Linux's `dirty_writeback_centisecs`).
const PERIOD_NS: u64 = 5_000_000_000;
/// What is older than this goes to the disk (Linux's `dirty_expire_centisecs`).
const AGE_NS: u64 = 30_000_000_000;

/// Something is dirty, or may be.
static HAS_WORK: AtomicBool = AtomicBool::new(false);
/// There is so much of it that age does not matter.
static IS_URGENT: AtomicBool = AtomicBool::new(false);
static WORK: WaitQueue = WaitQueue::new();
static RELIEF: WaitQueue = WaitQueue::new();

/// Starts the thread.
///
/// # Errors
/// ENOMEM.
pub fn start() -> Result<()> {
    sched::start(&Thread::new("flusher", Kind::Kernel, Policy::default(), run)?);
    Ok(())
}

/// Something became dirty.
#[inline]
pub fn note() {
    if !HAS_WORK.load(Ordering::Relaxed) && !HAS_WORK.swap(true, Ordering::AcqRel) {
        WORK.wake_all();
    }
}

/// Makes it begin at once.
pub fn hurry() {
    if !IS_URGENT.swap(true, Ordering::AcqRel) {
        HAS_WORK.store(true, Ordering::Release);
        WORK.wake_all();
    }
}

/// Called by who has written, without a lock: waits while more is dirty than the memory bears.
pub fn throttle() {
    // A thread of the kernel writes for somebody else, who may be the very one that makes room: a loop disk's.
    if !counters::is_dirty_enough() || sched::current().owner().is_none() {
        return;
    }
    hurry();
    while counters::is_too_dirty() {
        let is_over = || if counters::is_too_dirty() { Err(Errno::EAGAIN) } else { Ok(()) };
        let wait = Wait::INTERRUPTIBLE.until(time::now_ns() + PERIOD_NS / 50);
        match RELIEF.block_until(wait, is_over) {
            Err(Errno::ETIMEDOUT) => hurry(),
            _ => return,
        }
    }
}

fn run() {
    loop {
        let has_work = || if HAS_WORK.load(Ordering::Acquire) { Ok(()) } else { Err(Errno::EAGAIN) };
        if WORK.block_until(Wait::UNINTERRUPTIBLE, has_work).is_err() {
            sched::yield_now();
            continue;
        }
        let is_urgent = || if IS_URGENT.load(Ordering::Acquire) { Ok(()) } else { Err(Errno::EAGAIN) };
        let _ = WORK.block_until(Wait::UNINTERRUPTIBLE.until(time::now_ns() + PERIOD_NS), is_urgent);
        // Before the work: what comes meanwhile is for the next round.
        HAS_WORK.store(false, Ordering::Release);
        let older_than = match IS_URGENT.swap(false, Ordering::AcqRel) {
            true => None,
            false => Some(time::now_ns().saturating_sub(AGE_NS)),
        };
        // Files tell of their errors themselves.
        let _ = sync_all(older_than);
        if counters::counts().dirty > 0 {
            HAS_WORK.store(true, Ordering::Release);
        }
        RELIEF.wake_all();
    }
}

/// Brings to the disk what all file systems and disks have that is older than a moment, or all. Disks come first: what
/// is on a loop disk is then in its file.
///
/// # Errors
/// The first of any.
pub fn sync_all(older_than_ns: Option<u64>) -> Result<()> {
    let mut outcome = disks::write_back_all(older_than_ns);
    mount::for_each(|mount| outcome = outcome.and(mount.file_system().sync(older_than_ns)));
    outcome
}
