//! Threads, waiting, timers.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use abi::Errno;
use hal::boot::BootInfo;
use hal::{cpu, rank, smp, time};
use logic::runq::{Nice, Policy, Priority};
use nucleus::sched::{self, Mutex, Wait, WaitQueue};

use super::crew::{Crew, describe, leaves_nothing};
use super::memory::Random;
use super::{Outcome, check};

const MS: u64 = 1_000_000;

fn spin_until(end: u64) {
    while time::now_ns() < end {
        cpu::relax();
    }
}

fn sleep(duration: u64) -> Result<(), String> {
    sched::sleep_ns(duration).map_err(|error| describe("sleep", error))
}

pub(super) fn a_sleep_is_never_short(_boot: &'static BootInfo) -> Outcome {
    for duration in [1, 1000, 50_000, MS, 7 * MS] {
        let start = time::now_ns();
        sleep(duration)?;
        let slept = time::now_ns() - start;
        check!(slept >= duration, "slept {slept} ns instead of {duration}");
    }
    Ok(())
}

pub(super) fn a_wait_ends_at_its_deadline(_boot: &'static BootInfo) -> Outcome {
    let queue = WaitQueue::new();
    let deadline = time::now_ns() + 3 * MS;
    let outcome: abi::Result<()> =
        queue.block_until(Wait::INTERRUPTIBLE.until(deadline), || Err(Errno::EAGAIN));
    check!(outcome == Err(Errno::ETIMEDOUT), "{outcome:?}");
    check!(time::now_ns() >= deadline, "the wait ended early");
    let outcome: abi::Result<()> = queue.block_until(Wait::NEVER, || Err(Errno::EAGAIN));
    check!(outcome == Err(Errno::EAGAIN), "a non-blocking wait: {outcome:?}");
    check!(queue.is_empty(), "a waiter stayed behind");
    Ok(())
}

pub(super) fn a_busy_thread_is_preempted(_boot: &'static BootInfo) -> Outcome {
    static STOP: AtomicBool = AtomicBool::new(false);
    STOP.store(false, Ordering::Release);
    let mut crew = Crew::new();
    crew.add(Policy::default(), Some(0), || {
        // Never yields, never sleeps: only the timer can take the CPU away.
        while !STOP.load(Ordering::Acquire) {
            cpu::relax();
        }
    })?;
    crew.add(Policy::default(), Some(0), || STOP.store(true, Ordering::Release))?;
    crew.run()
}

pub(super) fn affinity_is_respected(_boot: &'static BootInfo) -> Outcome {
    static STRAYED: AtomicU64 = AtomicU64::new(0);
    let mut crew = Crew::new();
    for number in 0..smp::online() * 3 {
        let home = number % smp::online();
        crew.add(Policy::default(), Some(home), move || {
            for round in 0..40 {
                if cpu::id() != home {
                    STRAYED.fetch_add(1, Ordering::Relaxed);
                }
                if round % 8 == 0 {
                    let _ = sched::sleep_ns(100_000);
                } else {
                    sched::yield_now();
                }
            }
        })?;
    }
    crew.run()?;
    let strayed = STRAYED.load(Ordering::Relaxed);
    check!(strayed == 0, "{strayed} times a thread ran where it may not");
    Ok(())
}

pub(super) fn load_spreads_over_cpus(_boot: &'static BootInfo) -> Outcome {
    static SEEN: AtomicU64 = AtomicU64::new(0);
    SEEN.store(0, Ordering::Release);
    let everybody = smp::online_mask();
    let give_up = time::now_ns() + 20_000 * MS;
    let mut crew = Crew::new();
    for _ in 0..smp::online() {
        crew.add(Policy::default(), None, move || {
            // Until each CPU has been seen: a CPU that nobody balances to is never seen.
            while SEEN.fetch_or(1 << cpu::id(), Ordering::AcqRel) != everybody && time::now_ns() < give_up {
                cpu::relax();
            }
        })?;
    }
    crew.run()?;
    let seen = SEEN.load(Ordering::Acquire);
    check!(seen == everybody, "CPUs {everybody:#b} are up, {seen:#b} ran something");
    Ok(())
}

pub(super) fn weights_share_one_cpu(_boot: &'static BootInfo) -> Outcome {
    let mut crew = Crew::new();
    let mut threads = Vec::new();
    let end = time::now_ns() + 400 * MS;
    for nice in [0, 5] {
        threads.push(crew.add(Policy::Fair(Nice::clamped(nice)), Some(0), move || spin_until(end))?);
    }
    crew.run()?;
    let (heavy, light) = (threads[0].ran_ns(), threads[1].ran_ns());
    // Linux's weights of nice 0 and 5 are 1024 and 335: a ratio of 3.06.
    let ratio = heavy * 100 / light.max(1);
    check!((240..=380).contains(&ratio), "nice 0 ran {heavy} ns, nice 5 ran {light} ns: ratio {ratio} %");
    Ok(())
}

pub(super) fn real_time_goes_first(_boot: &'static BootInfo) -> Outcome {
    static ORDER: hal::spin::Lock<Vec<u8>, rank::Task> = hal::spin::Lock::new(Vec::new());
    ORDER.lock().clear();
    ORDER.lock().reserve(4);
    let mut crew = Crew::new();
    let priority = |number| Priority::new(number).map_or(Policy::Idle, Policy::Fifo);
    let policies = [(1, Policy::Idle), (2, Policy::default()), (3, priority(10)), (4, priority(60))];
    for (mark, policy) in policies {
        crew.add(policy, Some(0), move || ORDER.lock().push(mark))?;
    }
    // All become ready while this thread, a FIFO one by then, keeps the CPU.
    let mut starter = Crew::new();
    let gate = Arc::new(hal::spin::Lock::<_, rank::ProcessTree>::new(Some(crew)));
    let opened = gate.clone();
    starter.add(Policy::Fifo(Priority::MAX), Some(0), move || {
        let crew = opened.lock().take();
        if let Some(crew) = crew {
            let _ = crew.run();
        }
    })?;
    starter.run()?;
    let order = ORDER.lock().clone();
    check!(order == [4, 3, 2, 1], "they ran in the order {order:?}");
    Ok(())
}

pub(super) fn mutex_counts_right(_boot: &'static BootInfo) -> Outcome {
    static COUNTER: Mutex<u64, rank::Task> = Mutex::new(0);
    *COUNTER.lock() = 0;
    let workers = smp::online() as u64 * 2;
    let mut crew = Crew::new();
    for _ in 0..workers {
        crew.add(Policy::default(), None, || {
            for round in 0..200 {
                let mut counter = COUNTER.lock();
                let seen = *counter;
                if round % 50 == 0 {
                    // Held while asleep: that is what it is for.
                    let _ = sched::sleep_ns(10_000);
                }
                *counter = seen + 1;
            }
        })?;
    }
    crew.run()?;
    let total = *COUNTER.lock();
    check!(total == workers * 200, "{workers} threads counted to {total}");
    Ok(())
}

pub(super) fn an_interrupt_ends_a_wait(_boot: &'static BootInfo) -> Outcome {
    static RESULT: AtomicU64 = AtomicU64::new(0);
    let mut crew = Crew::new();
    let sleeper = crew.add(Policy::default(), None, || {
        let queue = WaitQueue::new();
        let outcome: abi::Result<()> = queue.block_until(Wait::INTERRUPTIBLE, || Err(Errno::EAGAIN));
        RESULT.store(outcome.map_or_else(|error| error.number() as u64, |()| 0), Ordering::Release);
    })?;
    crew.add(Policy::default(), None, move || {
        let _ = sched::sleep_ns(2 * MS);
        sleeper.interrupt();
    })?;
    crew.run()?;
    let result = RESULT.load(Ordering::Acquire);
    check!(result == Errno::ERESTARTSYS.number() as u64, "the wait ended with {result}");
    Ok(())
}

/// Pairs of threads that wake each other as fast as they can, from everywhere to everywhere.
pub(super) fn wake_storm(_boot: &'static BootInfo) -> Outcome {
    const ROUNDS: u64 = 300;
    leaves_nothing(|| {
        let mut crew = Crew::new();
        for _ in 0..smp::online() * 2 {
            let table = Arc::new((AtomicU64::new(0), WaitQueue::new()));
            for side in 0..2 {
                let table = table.clone();
                crew.add(Policy::default(), None, move || {
                    for round in 0..ROUNDS {
                        let mine = round * 2 + side;
                        let is_my_turn = || {
                            if table.0.load(Ordering::Acquire) == mine { Ok(()) } else { Err(Errno::EAGAIN) }
                        };
                        if table.1.block_until(Wait::UNINTERRUPTIBLE, is_my_turn).is_err() {
                            return;
                        }
                        table.0.store(mine + 1, Ordering::Release);
                        table.1.wake_all();
                    }
                })?;
            }
        }
        crew.run()
    })
}

/// Many threads with many short sleeps and timed waits.
pub(super) fn timer_storm(_boot: &'static BootInfo) -> Outcome {
    static EARLY: AtomicU64 = AtomicU64::new(0);
    leaves_nothing(|| {
        let mut crew = Crew::new();
        for worker in 0..100u64 {
            crew.add(Policy::default(), None, move || {
                let mut random = Random::new(worker);
                let queue = WaitQueue::new();
                for _ in 0..20 {
                    let deadline = time::now_ns() + random.below(2 * MS);
                    if random.below(2) == 0 {
                        let _ = sched::sleep_until(deadline);
                    } else {
                        let wait = Wait::UNINTERRUPTIBLE.until(deadline);
                        let _: abi::Result<()> = queue.block_until(wait, || Err(Errno::EAGAIN));
                    }
                    if time::now_ns() < deadline {
                        EARLY.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })?;
        }
        crew.run()?;
        let early = EARLY.load(Ordering::Relaxed);
        check!(early == 0, "{early} sleeps were short");
        Ok(())
    })
}

/// Threads that come and go.
pub(super) fn thread_storm(_boot: &'static BootInfo) -> Outcome {
    static RAN: AtomicU64 = AtomicU64::new(0);
    leaves_nothing(|| {
        RAN.store(0, Ordering::Release);
        for _ in 0..10 {
            let mut crew = Crew::new();
            for _ in 0..50 {
                crew.add(Policy::default(), None, || {
                    RAN.fetch_add(1, Ordering::Relaxed);
                })?;
            }
            crew.run()?;
        }
        let ran = RAN.load(Ordering::Acquire);
        check!(ran == 500, "{ran} of 500 threads ran");
        Ok(())
    })
}
