//! Threads on one simulated CPU whose clock moves only when it idles or spins.
//!
//! The test itself is the idle thread. Threads really switch stacks; a panic in one of them ends the process, so they
//! report what they saw and the test judges. No host lock is held where a thread may give way.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as HostMutex, Once};

use abi::{Errno, Result};
use hal::context::Kind;
use hal::simulation::{self, Machine, Occupied};
use hal::trap::{self, Handlers, Registers};
use hal::{rank, time};
use logic::runq::{Policy, Priority};

use super::{Mutex, Thread, Wait, WaitQueue, cpu, current, preempt, sleep_ns, sleep_until, start, yield_now};

struct Upcalls;

impl Handlers for Upcalls {
    fn timer(&self) {
        cpu::on_timer();
    }
    fn reschedule(&self) {}
    fn device(&self, _vector: u8) {}
    fn preempt(&self) {
        preempt();
    }
    fn user_fault(&self, _address: u64, _is_write: bool) -> bool {
        false
    }
    fn report_place(&self, _registers: &Registers) {}
    fn fatal(&self, _registers: &Registers, _address: Option<u64>) -> ! {
        panic!("no test makes the kernel fail")
    }
}

/// CPU 0 with a scheduler, for one test at a time.
struct Boot {
    machine: Machine,
    _cpu: Occupied,
}

fn boot() -> Boot {
    static STARTED: Once = Once::new();
    let machine = simulation::machine();
    let cpu = simulation::occupy(0);
    STARTED.call_once(|| {
        trap::set_handlers(&Upcalls);
        cpu::init(1).unwrap();
    });
    Boot { machine, _cpu: cpu }
}

impl Boot {
    /// Lets threads run, and the clock where none can, until all of `threads` are over.
    fn finish(&self, threads: &[Arc<Thread>]) {
        for _ in 0..100_000 {
            if threads.iter().all(|thread| thread.has_exited()) {
                return;
            }
            self.idle_once();
        }
        let stuck: Vec<_> = threads.iter().filter(|thread| !thread.has_exited()).map(|t| t.name()).collect();
        panic!("these threads never end: {stuck:?}");
    }

    fn idle_once(&self) {
        yield_now();
        let _ = hal::cpu::irq_off();
        hal::cpu::wait_for_interrupt();
        hal::cpu::irq_on();
        preempt();
    }
}

fn spawn_as(name: &str, policy: Policy, body: impl FnOnce() + Send + 'static) -> Arc<Thread> {
    let thread = Thread::new(name, Kind::Kernel, policy, body).unwrap();
    start(&thread);
    thread
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Arc<Thread> {
    spawn_as(name, Policy::default(), body)
}

/// What threads saw, in order.
#[derive(Clone, Default)]
struct Notes(Arc<HostMutex<Vec<String>>>);

impl Notes {
    fn add(&self, note: impl Into<String>) {
        self.0.lock().unwrap().push(note.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// A queue of items that threads wait for.
#[derive(Default)]
struct Shop {
    items: AtomicUsize,
    customers: WaitQueue,
}

impl Shop {
    fn take(&self) -> Result<()> {
        let taken =
            self.items.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |items| items.checked_sub(1));
        taken.map(|_| ()).map_err(|_| Errno::EAGAIN)
    }

    fn add(&self) {
        self.items.fetch_add(1, Ordering::Relaxed);
        self.customers.wake_one();
    }

    fn buy(&self, wait: Wait) -> Result<()> {
        self.customers.block_until(wait, || self.take())
    }
}

#[test]
fn threads_run_end_and_give_everything_back() {
    let boot = boot();
    // The first one also grows tables, which stay.
    boot.finish(&[spawn("first", || {})]);
    let (live, before) = (super::thread::live(), boot.machine.free_frames());
    let count = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..20)
        .map(|_| {
            let count = count.clone();
            spawn("worker", move || {
                for _ in 0..10 {
                    count.fetch_add(1, Ordering::Relaxed);
                    yield_now();
                }
            })
        })
        .collect();
    boot.finish(&threads);
    assert_eq!(count.load(Ordering::Relaxed), 200);
    drop(threads);
    assert_eq!(super::thread::live(), live);
    assert!(before - boot.machine.free_frames() <= 20 * 9, "stacks wait for the next threads");
}

#[test]
fn a_wait_ends_when_the_attempt_succeeds() {
    let boot = boot();
    let (shop, notes) = (Arc::new(Shop::default()), Notes::default());
    let buyers: Vec<_> = ["first", "second"]
        .into_iter()
        .map(|name| {
            let (shop, notes) = (shop.clone(), notes.clone());
            spawn(name, move || {
                let outcome = shop.buy(Wait::INTERRUPTIBLE);
                notes.add(format!("{name} {outcome:?}"));
            })
        })
        .collect();
    boot.idle_once();
    assert_eq!(notes.all(), [""; 0], "nothing to buy yet");
    assert!(!shop.customers.is_empty());
    shop.add();
    boot.finish(&buyers[..1]);
    assert_eq!(notes.all(), ["first Ok(())"], "who waits longest is served first");
    shop.add();
    boot.finish(&buyers);
    assert_eq!(notes.all(), ["first Ok(())", "second Ok(())"]);
    assert!(shop.customers.is_empty());
}

#[test]
fn a_wait_that_may_not_sleep_does_not() {
    let _boot = boot();
    let shop = Shop::default();
    assert_eq!(shop.buy(Wait::NEVER), Err(Errno::EAGAIN));
    shop.add();
    assert_eq!(shop.buy(Wait::NEVER), Ok(()));
    assert_eq!(
        shop.customers.block_until(Wait::INTERRUPTIBLE, || Err::<(), _>(Errno::EPIPE)),
        Err(Errno::EPIPE)
    );
}

#[test]
fn a_wait_ends_at_its_deadline_and_not_before() {
    let boot = boot();
    let shop = Arc::new(Shop::default());
    let deadline = time::now_ns() + 5_000_000;
    let seen = Arc::new(HostMutex::new(None));
    let (buyer_shop, buyer_seen) = (shop.clone(), seen.clone());
    let buyer = spawn("buyer", move || {
        let outcome = buyer_shop.buy(Wait::INTERRUPTIBLE.until(deadline));
        *buyer_seen.lock().unwrap() = Some((outcome, time::now_ns()));
    });
    boot.finish(&[buyer]);
    let (outcome, at) = seen.lock().unwrap().take().unwrap();
    assert_eq!(outcome, Err(Errno::ETIMEDOUT));
    assert!((deadline..deadline + 1_000_000).contains(&at), "{at} for {deadline}");
    assert!(shop.customers.is_empty(), "nobody is left behind in the queue");
}

#[test]
fn an_interruption_ends_a_wait_that_allows_it() {
    let boot = boot();
    let (shop, notes) = (Arc::new(Shop::default()), Notes::default());
    let buyer = |name: &'static str, wait: Wait| {
        let (shop, notes) = (shop.clone(), notes.clone());
        spawn(name, move || notes.add(format!("{name} {:?}", shop.buy(wait))))
    };
    let patient = buyer("patient", Wait::UNINTERRUPTIBLE);
    let hasty = buyer("hasty", Wait::INTERRUPTIBLE);
    boot.idle_once();
    patient.interrupt();
    hasty.interrupt();
    boot.finish(&[hasty]);
    boot.idle_once();
    assert_eq!(notes.all(), ["hasty Err(errno 512)"]);
    shop.add();
    boot.finish(&[patient]);
    assert_eq!(notes.all(), ["hasty Err(errno 512)", "patient Ok(())"]);
}

/// The first buyer finds an item just after it queued; before it leaves the queue, a second buyer queues behind it and
/// a second item's wake-up goes to the first.
#[test]
fn a_wake_up_that_came_too_late_goes_to_the_next() {
    let boot = boot();
    let shop = Arc::new(Shop::default());
    let first_shop = shop.clone();
    let first = spawn("first", move || {
        let mut tries = 0;
        let outcome = first_shop.customers.block_until(Wait::UNINTERRUPTIBLE, || {
            tries += 1;
            if tries == 1 {
                return Err(Errno::EAGAIN);
            }
            // The item is taken; now the others run.
            (0..10).for_each(|_| yield_now());
            Ok(())
        });
        assert_eq!(outcome, Ok(()));
    });
    let second_shop = shop.clone();
    let second = spawn("second", move || {
        let _ = second_shop.buy(Wait::UNINTERRUPTIBLE);
    });
    let third_shop = shop.clone();
    let third = spawn("third", move || {
        yield_now();
        third_shop.add();
    });
    boot.finish(&[first, third, second]);
    assert_eq!(shop.items.load(Ordering::Relaxed), 0);
}

#[test]
fn waking_all_wakes_all_and_ends() {
    let boot = boot();
    let queue = Arc::new(WaitQueue::new());
    let is_open = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..10)
        .map(|_| {
            let (queue, is_open) = (queue.clone(), is_open.clone());
            spawn("guest", move || {
                let _ = queue.block_until(Wait::UNINTERRUPTIBLE, || {
                    if is_open.load(Ordering::Relaxed) { Ok(()) } else { Err(Errno::EAGAIN) }
                });
            })
        })
        .collect();
    for _ in 0..3 {
        boot.idle_once();
        queue.wake_all();
    }
    assert!(threads.iter().all(|thread| !thread.has_exited()), "they looked and wait again");
    boot.idle_once();
    is_open.store(true, Ordering::Relaxed);
    queue.wake_all();
    boot.finish(&threads);
    assert!(queue.is_empty());
}

#[test]
fn a_mutex_lets_one_in_at_a_time_and_loses_nobody() {
    let boot = boot();
    let mutex = Arc::new(Mutex::<u64, rank::Task>::new(0));
    let overlaps = Arc::new(AtomicUsize::new(0));
    let inside = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let (mutex, overlaps, inside) = (mutex.clone(), overlaps.clone(), inside.clone());
            spawn("worker", move || {
                for round in 0..50 {
                    let mut guard = mutex.lock();
                    overlaps.fetch_add(usize::from(inside.swap(true, Ordering::Relaxed)), Ordering::Relaxed);
                    let value = *guard;
                    match (number + round) % 3 {
                        0 => yield_now(),
                        1 => sleep_ns(1000).unwrap(),
                        _ => {}
                    }
                    *guard = value + 1;
                    inside.store(false, Ordering::Relaxed);
                }
            })
        })
        .collect();
    boot.finish(&threads);
    assert_eq!(overlaps.load(Ordering::Relaxed), 0);
    assert_eq!(*mutex.lock(), 400);
    let guard = mutex.lock();
    assert!(mutex.try_lock().is_none());
    drop(guard);
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "under a spin lock")]
fn a_mutex_is_not_locked_under_a_spin_lock() {
    let _boot = boot();
    let spin = hal::spin::Lock::<_, rank::Log>::new(());
    let mutex = Mutex::<_, rank::Task>::new(());
    let _spin = spin.lock();
    let _mutex = mutex.lock();
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(
    expected = "mutex order: lock Task (rank 20) must be taken before AddressSpace (rank 30), which is held"
)]
fn mutexes_are_taken_in_the_order_of_their_ranks() {
    let _boot = boot();
    let (outer, inner) = (Mutex::<_, rank::Task>::new(()), Mutex::<_, rank::AddressSpace>::new(()));
    for _ in 0..2 {
        let first = outer.lock();
        let second = inner.lock();
        // In any order: what counts is how they are taken.
        drop(first);
        drop(second);
    }
    let _inner = inner.lock();
    let _outer = outer.lock();
}

#[test]
fn threads_hold_mutexes_of_their_own() {
    let boot = boot();
    let inner = Arc::new(Mutex::<_, rank::AddressSpace>::new(()));
    let outer = Arc::new(Mutex::<_, rank::Task>::new(()));
    let holder = spawn("holder", move || {
        let _inner = inner.lock();
        sleep_ns(1000).unwrap();
    });
    let other = spawn("other", move || drop(outer.lock()));
    boot.finish(&[holder, other]);
}

#[test]
fn sleepers_wake_in_the_order_of_their_deadlines() {
    let boot = boot();
    let notes = Notes::default();
    let early = Arc::new(AtomicU64::new(0));
    let now = time::now_ns();
    let threads: Vec<_> = [40, 10, 30, 20, 50]
        .into_iter()
        .map(|millis| {
            let (notes, early) = (notes.clone(), early.clone());
            spawn("sleeper", move || {
                let deadline = now + millis * 1_000_000;
                let _ = sleep_until(deadline);
                early.fetch_add(u64::from(time::now_ns() < deadline), Ordering::Relaxed);
                notes.add(millis.to_string());
            })
        })
        .collect();
    boot.finish(&threads);
    assert_eq!(notes.all(), ["10", "20", "30", "40", "50"]);
    assert_eq!(early.load(Ordering::Relaxed), 0);
    let passed = time::now_ns() - now;
    assert!((50_000_000..60_000_000).contains(&passed), "idle time is skipped, not waited for: {passed}");
}

#[test]
fn a_deadline_that_has_passed_is_no_sleep() {
    let boot = boot();
    let thread = spawn("late", || {
        let _ = sleep_until(0);
        let _ = sleep_until(time::now_ns());
    });
    boot.finish(&[thread]);
}

#[test]
fn spinning_threads_share_the_cpu_by_slices() {
    const WORK: usize = 400_000;
    let boot = boot();
    let done: Arc<[AtomicUsize; 2]> = Arc::default();
    let lead = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..2)
        .map(|me| {
            let (done, lead) = (done.clone(), lead.clone());
            spawn("spinner", move || {
                for mine in 0..WORK {
                    done[me].store(mine, Ordering::Relaxed);
                    let ahead = mine.saturating_sub(done[1 - me].load(Ordering::Relaxed));
                    lead.fetch_max(ahead, Ordering::Relaxed);
                    // 100 ns pass.
                    hal::cpu::relax();
                }
            })
        })
        .collect();
    boot.finish(&threads);
    let lead = lead.load(Ordering::Relaxed);
    assert!(lead < WORK / 2, "one ran {lead} rounds of {WORK} ahead of the other: nobody preempted it");
}

#[test]
fn a_real_time_thread_runs_before_its_waker_goes_on() {
    let boot = boot();
    let notes = Notes::default();
    let waker_notes = notes.clone();
    let waker = spawn("waker", move || {
        let fifo_notes = waker_notes.clone();
        let policy = Policy::Fifo(Priority::MAX);
        let fifo = spawn_as("fifo", policy, move || fifo_notes.add("real-time"));
        preempt();
        waker_notes.add("waker");
        assert!(fifo.has_exited());
    });
    boot.finish(&[waker]);
    assert_eq!(notes.all(), ["real-time", "waker"]);
}

#[test]
fn a_park_that_returns_at_once_keeps_the_request_to_reschedule() {
    let boot = boot();
    let kept = Arc::new(AtomicBool::new(false));
    let thread_kept = kept.clone();
    let thread = spawn("thread", move || {
        hal::cpu::without_interrupts(|| {
            cpu::unpark(&current());
            trap::request_reschedule(0);
            cpu::park();
            thread_kept.store(trap::reschedule_requested(), Ordering::Relaxed);
        });
    });
    boot.finish(&[thread]);
    assert!(kept.load(Ordering::Relaxed));
}

#[test]
fn a_park_after_an_unpark_returns_at_once() {
    let boot = boot();
    let thread = spawn("thread", || {
        cpu::unpark(&current());
        cpu::park();
    });
    boot.finish(&[thread]);
}

#[test]
fn a_wake_up_that_an_attempt_slept_through_is_not_lost() {
    let boot = boot();
    let (outer, inner) = (Arc::new(WaitQueue::new()), Arc::new(WaitQueue::new()));
    let (is_ready, is_open) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let sleeper = {
        let (outer, inner, is_ready, is_open) = (outer.clone(), inner.clone(), is_ready.clone(), is_open.clone());
        spawn("sleeper", move || {
            let mut tries = 0;
            let waited = outer.block_until(Wait::UNINTERRUPTIBLE, || {
                tries += 1;
                // The second try, in the queue already, looks, and then sleeps for something else.
                let found = is_ready.load(Ordering::SeqCst);
                if tries == 2 {
                    let open = || if is_open.load(Ordering::SeqCst) { Ok(()) } else { Err(Errno::EAGAIN) };
                    inner.block_until(Wait::UNINTERRUPTIBLE, open)?;
                }
                if found { Ok(()) } else { Err(Errno::EAGAIN) }
            });
            assert_eq!(waited, Ok(()));
        })
    };
    boot.idle_once();
    is_ready.store(true, Ordering::SeqCst);
    outer.wake_all();
    boot.idle_once();
    is_open.store(true, Ordering::SeqCst);
    inner.wake_all();
    boot.finish(&[sleeper]);
    assert!(outer.is_empty() && inner.is_empty());
}
