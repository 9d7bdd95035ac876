//! Requests that every CPU must serve before the sender goes on: forget translations (TLB shootdown: no CPU may use a
//! kernel mapping after its page has been given away), and give cached frames and objects back.
//!
//! One request at a time: the sender publishes a range, interrupts the other CPUs and waits until each has flushed.
//! CPUs that wait to send serve requests meanwhile, so two senders never wait for each other. A CPU that spins for a
//! lock with interrupts off would keep the sender waiting: so nobody sends while holding a spin lock, which
//! debug builds check.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use logic::addr::{PAGE_SIZE, VirtAddr};

use crate::arch;
use crate::cpu::{self, MAX_CPUS};
use crate::frames;
use crate::heap;
use crate::lock_ranks;
use crate::smp;

/// Above this many pages everything is flushed instead.
const RANGE_LIMIT: u64 = 32;

/// What the CPUs are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Request {
    Flush { start: u64, pages: u64 },
    DrainCaches,
}

/// `PAGES` of a request that is not about pages.
const DRAIN: u64 = u64::MAX;

static SENDER: AtomicUsize = AtomicUsize::new(NOBODY);
static START: AtomicU64 = AtomicU64::new(0);
static PAGES: AtomicU64 = AtomicU64::new(0);
/// CPUs that have not flushed yet, a bit each.
static WAITING_FOR: AtomicU64 = AtomicU64::new(0);
const NOBODY: usize = usize::MAX;
const _: () = assert!(MAX_CPUS <= 64, "one bit for each CPU");

/// Makes all CPUs forget `pages` pages of kernel mappings from `start` on.
pub(crate) fn flush_kernel(start: VirtAddr, pages: u64) {
    ask(u64::MAX, Request::Flush { start: start.get(), pages });
}

/// Makes the CPUs of a mask, a bit each, forget `pages` pages of user mappings from `start` on.
pub(crate) fn flush_user(cpus: u64, start: VirtAddr, pages: u64) {
    ask(cpus, Request::Flush { start: start.get(), pages });
}

/// Returns when every CPU has answered: all that memory operations before it did is seen by all, and the other way round
/// (membarrier(2)).
pub fn barrier() {
    ask(u64::MAX, Request::Flush { start: 0, pages: 0 });
}

/// Makes all CPUs give back the frames and heap objects they keep for themselves: for memory pressure, and before
/// memory is counted.
pub fn drain_caches() {
    ask(u64::MAX, Request::DrainCaches);
}

fn ask(cpus: u64, request: Request) {
    debug_assert!(!lock_ranks::any_held(), "a CPU that spins for a lock held here would never answer");
    let interrupts = cpu::irq_off();
    let me = cpu::id();
    if cpus & 1 << me != 0 {
        serve(request);
    }
    let others = smp::online_mask() & cpus & !(1 << me);
    if others != 0 {
        // A CPU that waits for its turn keeps serving the one whose turn it is: no lock, or two senders with
        // interrupts off would wait for each other.
        while SENDER.compare_exchange_weak(NOBODY, me, Ordering::Acquire, Ordering::Relaxed).is_err() {
            on_request();
            cpu::relax();
        }
        let (start, pages) = match request {
            Request::Flush { start, pages } => (start, pages),
            Request::DrainCaches => (0, DRAIN),
        };
        START.store(start, Ordering::Relaxed);
        PAGES.store(pages, Ordering::Relaxed);
        WAITING_FOR.store(others, Ordering::Release);
        for number in (0..MAX_CPUS).filter(|&number| others & 1 << number != 0) {
            arch::smp::send_shootdown(number);
        }
        while WAITING_FOR.load(Ordering::Acquire) != 0 {
            cpu::relax();
        }
        SENDER.store(NOBODY, Ordering::Release);
    }
    cpu::irq_restore(interrupts);
}

/// Serves a request, if there is one for this CPU. Interrupts are off.
pub(crate) fn on_request() {
    let bit = 1 << cpu::id();
    if WAITING_FOR.load(Ordering::Acquire) & bit == 0 {
        return;
    }
    let (start, pages) = (START.load(Ordering::Relaxed), PAGES.load(Ordering::Relaxed));
    serve(if pages == DRAIN { Request::DrainCaches } else { Request::Flush { start, pages } });
    WAITING_FOR.fetch_and(!bit, Ordering::Release);
}

fn serve(request: Request) {
    match request {
        Request::DrainCaches => {
            heap::drain_magazines();
            frames::drain_cache();
        }
        Request::Flush { pages, .. } if pages > RANGE_LIMIT => arch::paging::flush_all(),
        Request::Flush { start, pages } => {
            for page in 0..pages {
                arch::paging::flush_page(VirtAddr::new(start + page * PAGE_SIZE));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation;

    #[test]
    fn cpus_that_flush_at_the_same_time_serve_each_other() {
        const ROUNDS: u64 = 300;
        let machine = simulation::machine();
        for count in [2, 8] {
            let before: Vec<_> = (0..count).map(simulation::flushes).collect();
            let all_online = std::sync::Barrier::new(count);
            machine.run(count, |number| {
                smp::set_online();
                all_online.wait();
                for round in 0..ROUNDS {
                    let pages = if number == 0 && round % 10 == 0 { RANGE_LIMIT + 1 } else { 1 };
                    flush_kernel(VirtAddr::new(0xffff_c900_0000_0000), pages);
                }
            });
            for (number, before) in before.into_iter().enumerate() {
                let after = simulation::flushes(number);
                let whole = ROUNDS / 10;
                assert_eq!(after.1 - before.1, whole, "CPU {number}");
                assert_eq!(after.0 - before.0, ROUNDS * count as u64 - whole, "CPU {number}");
            }
        }
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "would never answer")]
    fn nobody_sends_under_a_spin_lock() {
        let _machine = simulation::machine();
        let lock = crate::spin::Lock::<_, crate::rank::Log>::new(());
        let _held = lock.lock();
        drain_caches();
    }

    #[test]
    fn every_cpu_gives_back_what_it_keeps() {
        let machine = simulation::machine();
        let before = machine.free_frames();
        machine.run(4, |number| {
            smp::set_online();
            drop(frames::allocate());
            if number == 0 {
                drain_caches();
            } else {
                // Until the request comes, or the others are gone and their seats are served by the sender.
                (0..1000).for_each(|_| cpu::relax());
            }
        });
        assert_eq!(machine.free_frames(), before);
    }
}
