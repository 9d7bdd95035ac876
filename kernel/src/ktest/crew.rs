//! Threads for tests: started together, waited for together; and the books of memory before and after.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use abi::Errno;
use hal::context::Kind;
use hal::{frames, heap, tlb, vmap};
use logic::cpuset::{CpuId, CpuSet};
use logic::runq::Policy;
use nucleus::sched::{self, Thread, Wait, WaitQueue, thread};

/// Threads of one test.
pub(super) struct Crew {
    left: Arc<(AtomicUsize, WaitQueue)>,
    threads: Vec<Arc<Thread>>,
}

impl Crew {
    pub(super) fn new() -> Self {
        Crew { left: Arc::new((AtomicUsize::new(0), WaitQueue::new())), threads: Vec::new() }
    }

    /// Adds a thread, on `cpu` only if that is given.
    pub(super) fn add(
        &mut self,
        policy: Policy,
        cpu: Option<usize>,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<Arc<Thread>, String> {
        let left = self.left.clone();
        let run = move || {
            body();
            if left.0.fetch_sub(1, Ordering::AcqRel) == 1 {
                left.1.wake_all();
            }
        };
        let thread =
            Thread::new("crew", Kind::Kernel, policy, run).map_err(|error| describe("thread", error))?;
        if let Some(only) = cpu.and_then(CpuId::from_index) {
            thread.set_affinity(CpuSet::single(only)).map_err(|error| describe("affinity", error))?;
        }
        self.left.0.fetch_add(1, Ordering::AcqRel);
        self.threads.push(thread.clone());
        Ok(thread)
    }

    /// Lets all run and waits until all have ended.
    pub(super) fn run(mut self) -> Result<(), String> {
        self.threads.iter().for_each(sched::start);
        self.threads.clear();
        let done = || if self.left.0.load(Ordering::Acquire) == 0 { Ok(()) } else { Err(Errno::EAGAIN) };
        self.left.1.block_until(Wait::UNINTERRUPTIBLE, done).map_err(|error| describe("wait", error))
    }
}

pub(super) fn describe(what: &str, error: Errno) -> String {
    alloc::format!("{what}: {error:?}")
}

/// Memory that is in use, with everything that waits in caches given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Books {
    free_frames: usize,
    heap_objects: usize,
    large_used: usize,
    whole_bytes: usize,
    threads: u64,
}

/// Takes stock. Nothing else may run.
pub(super) fn take_stock(threads_expected: Option<u64>) -> Result<Books, String> {
    // Threads that ended are freed by whoever runs next on their CPU: wait until there are as many as expected, or
    // until none has gone for a while.
    let mut quiet = 0;
    let mut last = thread::live();
    while quiet < 20 && threads_expected != Some(last) {
        sched::sleep_ns(1_000_000).map_err(|error| describe("sleep", error))?;
        quiet = if thread::live() == last { quiet + 1 } else { 0 };
        last = thread::live();
    }
    // Stacks wait for new threads, frames and objects in the caches of each CPU.
    vmap::trim();
    tlb::drain_caches();
    let heap = heap::stats();
    Ok(Books {
        // What the large end of the heap was given stays there, used or not.
        free_frames: frames::stats().free + heap.large_bytes / 4096,
        heap_objects: heap.objects_out,
        large_used: heap.large_used,
        whole_bytes: heap.whole_bytes,
        threads: thread::live(),
    })
}

/// Runs `body` between two stocks, after one warm-up run that lets tables grow, and compares them. What is kept once is no
/// leak, and may come late: a queue keeps the room of its first waiter, and which lock is waited for is a matter of timing.
/// A leak is there after every run.
pub(super) fn leaves_nothing(body: impl Fn() -> Result<(), String>) -> Result<(), String> {
    const RUNS: usize = 4;
    body()?;
    let mut missing = String::new();
    for _ in 0..RUNS {
        let before = take_stock(None)?;
        body()?;
        let after = settled(before)?;
        if before == after {
            return Ok(());
        }
        missing = alloc::format!("memory is missing: before {before:?}, after {after:?}");
    }
    Err(missing)
}

/// The stock once it is as it was, or after two seconds: the CPU that left an ended thread last frees its stack a moment
/// later, on a busy host a long one.
fn settled(before: Books) -> Result<Books, String> {
    let mut after = take_stock(Some(before.threads))?;
    for _ in 0..100 {
        if before == after {
            break;
        }
        sched::sleep_ns(20_000_000).map_err(|error| alloc::format!("{error:?}"))?;
        after = take_stock(Some(before.threads))?;
    }
    Ok(after)
}
