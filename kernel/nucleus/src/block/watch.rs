//! Commands that take too long, and drivers that are still looking for their disks.
//!
//! One thread for all disks. It sleeps for good while nothing is under way, and looks every few seconds otherwise, so an
//! idle machine is not woken. Lock: none of its own.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use abi::{Errno, Result};
use hal::context::Kind;
use hal::time;
use logic::runq::Policy;

use super::disk;
use crate::sched::{self, Thread, Wait, WaitQueue};

const PERIOD_NS: u64 = 5_000_000_000;

/// The thread sleeps until somebody wakes it.
static IS_IDLE: AtomicBool = AtomicBool::new(false);
static HAS_STARTED: AtomicBool = AtomicBool::new(false);
static WORK: WaitQueue = WaitQueue::new();

/// Starts the thread, once.
///
/// # Errors
/// ENOMEM.
pub(super) fn start() -> Result<()> {
    if HAS_STARTED.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let thread = Thread::new("disk-watch", Kind::Kernel, Policy::default(), watch)
        .inspect_err(|_| HAS_STARTED.store(false, Ordering::Relaxed))?;
    sched::start(&thread);
    Ok(())
}

/// A command was given to a driver. From interrupts too.
#[inline]
pub(super) fn something_is_under_way() {
    if IS_IDLE.load(Ordering::Relaxed) && IS_IDLE.swap(false, Ordering::Relaxed) {
        WORK.wake_all();
    }
}

fn watch() {
    loop {
        if look_at_all() {
            let later = Wait::UNINTERRUPTIBLE.until(time::now_ns().saturating_add(PERIOD_NS));
            let _ = WORK.block_until(later, || Err::<(), _>(Errno::EAGAIN));
            continue;
        }
        IS_IDLE.store(true, Ordering::SeqCst);
        if look_at_all() {
            // Between the look and the mark.
            IS_IDLE.store(false, Ordering::Relaxed);
            continue;
        }
        let is_woken = || (!IS_IDLE.load(Ordering::Relaxed)).then_some(()).ok_or(Errno::EAGAIN);
        let _ = WORK.block_until(Wait::UNINTERRUPTIBLE, is_woken);
    }
}

/// Whether anything is under way.
fn look_at_all() -> bool {
    let mut is_any = false;
    for disk in disk::all().iter().filter(|disk| !disk.is_partition()) {
        let (is_busy, is_late) = disk.queue().look(time::now_ns());
        is_any |= is_busy;
        if is_late {
            disk.queue().recover();
        }
    }
    is_any
}

static PROBES: AtomicUsize = AtomicUsize::new(0);
static PROBED: WaitQueue = WaitQueue::new();

/// A driver is looking for disks; until this is dropped.
pub struct Probe(());

impl Probe {
    /// It begins.
    pub fn begin() -> Self {
        PROBES.fetch_add(1, Ordering::Relaxed);
        Probe(())
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if PROBES.fetch_sub(1, Ordering::AcqRel) == 1 {
            PROBED.wake_all();
        }
    }
}

/// Waits until no driver is looking for disks: then a disk that is not there will not come.
///
/// # Errors
/// As [`WaitQueue::block_until`].
pub fn wait_for_probes(wait: Wait) -> Result<()> {
    let is_over = || (PROBES.load(Ordering::Acquire) == 0).then_some(()).ok_or(Errno::EAGAIN);
    PROBED.block_until(wait, is_over)
}
