//! When memory runs out: ending the process whose end gives most.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use hal::frames;
use logic::signal::{CoreDump, Signal, WaitStatus};
use nucleus::mm::mappers;
use nucleus::sched;
use nucleus::vfs::{cache, flusher};

use super::pid::Pid;
use super::task::{Process, Task};
use super::{signals, tree};

/// How long the victim may take to end before another is chosen.
const PATIENCE_NS: u64 = 200_000_000;
const PAUSE_NS: u64 = 1_000_000;
/// Frames that the page cache is asked for at a time.
const WANTED: usize = 256;

/// Ends a process if there is no memory left, and waits until there is some. Says whether the caller should try again; if
/// not, it is itself to end.
pub(crate) fn make_room(task: &Task) -> bool {
    let give_up_at = hal::time::now_ns() + PATIENCE_NS;
    hal::tlb::drain_caches();
    nucleus::vfs::entry::prune::forget(WANTED);
    cache::reclaim::free(WANTED);
    if !frames::is_low() {
        return true;
    }
    if give_up_file_pages() {
        return true;
    }
    let Some((victim, pages)) = choose() else { return false };
    if victim.shared.lock().ending.is_none() {
        let name = victim.any_task().map_or(hal::boot::Text::EMPTY, |task| task.name());
        nucleus::error!(
            "out of memory: ended process {} ({}), which had {} KiB",
            victim.pid,
            name.as_str(),
            pages * 4
        );
        signals::end(&victim, WaitStatus::Signaled { signal: Signal::KILL, core: CoreDump::None });
    }
    while hal::time::now_ns() < give_up_at {
        if task.process.shared.lock().ending.is_some() {
            return false;
        }
        if !frames::is_low() {
            return true;
        }
        if sched::sleep_ns(PAUSE_NS).is_err() {
            sched::yield_now();
        }
    }
    true
}

/// The second attempt: pages of files that are mapped, which come back when they are touched, and what is dirty.
fn give_up_file_pages() -> bool {
    mappers::for_each(nucleus::mm::Memory::forget_file_pages);
    if cache::reclaim::free(WANTED) == 0 && cache::counters::counts().dirty > 0 {
        flusher::hurry();
        let _ = sched::sleep_ns(PAUSE_NS);
        cache::reclaim::free(WANTED);
    }
    !frames::is_low()
}

/// The process with the most memory, as its `oom_score_adj` (thousandths of all memory) weighs it.
fn choose() -> Option<(Arc<Process>, u64)> {
    let total = frames::stats().total as i64;
    let candidates = tree::processes(|node| node.process.pid != Pid::INIT && node.zombie.is_none());
    let weigh = |process: Arc<Process>| {
        let adjustment = i64::from(process.oom_adjustment.load(Ordering::Relaxed));
        let memory = process.any_task()?.memory()?;
        let pages = memory.resident_pages();
        let weight = pages.cast_signed() + adjustment * total / 1000;
        (adjustment > -1000).then_some((weight, process, pages))
    };
    let (_, process, pages) = candidates.into_iter().filter_map(weigh).max_by_key(|(weight, ..)| *weight)?;
    Some((process, pages))
}
