//! The scheduler on four simulated CPUs: threads move between host threads while they wait, sleep and lock.
//!
//! A process of its own, because the other CPUs run their idle loops until it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use abi::Errno;
use hal::context::Kind;
use hal::simulation;
use hal::trap::{self, Handlers, Registers};
use hal::{cpu, rank, smp, time};
use logic::cpuset::CpuSet;
use logic::runq::Policy;
use nucleus::sched::{self, Mutex, Thread, Wait, WaitQueue};

const CPUS: usize = 4;

struct Upcalls;

impl Handlers for Upcalls {
    fn timer(&self) {
        sched::cpu::on_timer();
    }
    fn reschedule(&self) {}
    fn device(&self, _vector: u8) {}
    fn preempt(&self) {
        sched::preempt();
    }
    fn user_fault(&self, _address: u64, _is_write: bool) -> bool {
        false
    }
    fn report_place(&self, _registers: &Registers) {}
    fn fatal(&self, _registers: &Registers, _address: Option<u64>) -> ! {
        panic!("no test makes the kernel fail")
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Arc<Thread> {
    let thread = Thread::new(name, Kind::Kernel, Policy::default(), body).expect("there is memory");
    sched::start(&thread);
    thread
}

/// Starts the CPUs; the caller goes on as the idle thread of CPU 0.
fn start_cpus() {
    trap::set_handlers(&Upcalls);
    sched::cpu::init(CPUS).expect("there is memory");
    for number in 1..CPUS {
        std::thread::spawn(move || {
            // Never given back: the thread idles until the process ends.
            std::mem::forget(simulation::occupy(number));
            smp::set_online();
            sched::run_other()
        });
    }
    while smp::online() < CPUS {
        std::thread::yield_now();
    }
}

/// Lets CPU 0 run threads until all of `threads` are over.
fn finish(what: &str, threads: &[Arc<Thread>]) {
    let start = std::time::Instant::now();
    while !threads.iter().all(|thread| thread.has_exited()) {
        assert!(start.elapsed().as_secs() < 60, "{what}: some threads never end");
        sched::yield_now();
        let _ = cpu::irq_off();
        cpu::wait_for_interrupt();
        cpu::irq_on();
        sched::preempt();
    }
}

/// A queue of at most eight items between threads.
struct Pipe {
    items: Mutex<usize, rank::Task>,
    readable: WaitQueue,
    writable: WaitQueue,
}

impl Pipe {
    fn put(&self) -> abi::Result<()> {
        self.writable.block_until(Wait::UNINTERRUPTIBLE, || {
            let mut items = self.items.lock();
            if *items == 8 {
                return Err(Errno::EAGAIN);
            }
            *items += 1;
            Ok(())
        })?;
        self.readable.wake_one();
        Ok(())
    }

    fn take(&self) -> abi::Result<()> {
        self.readable.block_until(Wait::UNINTERRUPTIBLE, || {
            let mut items = self.items.lock();
            *items = items.checked_sub(1).ok_or(Errno::EAGAIN)?;
            Ok(())
        })?;
        self.writable.wake_one();
        Ok(())
    }
}

fn pipe_loses_nothing() {
    const EACH: usize = 2000;
    let pipe =
        Arc::new(Pipe { items: Mutex::new(0), readable: WaitQueue::new(), writable: WaitQueue::new() });
    let mut threads = Vec::new();
    for _ in 0..3 {
        let (reader, writer) = (pipe.clone(), pipe.clone());
        threads.push(spawn("reader", move || {
            (0..EACH).for_each(|_| reader.take().expect("there is memory to wait"))
        }));
        threads.push(spawn("writer", move || {
            (0..EACH).for_each(|_| writer.put().expect("there is memory to wait"))
        }));
    }
    finish("pipe", &threads);
    assert_eq!(*pipe.items.lock(), 0);
}

fn mutex_excludes() {
    const EACH: usize = 1000;
    let mutex = Arc::new(Mutex::<usize, rank::Task>::new(0));
    let (inside, overlaps) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let body = |number: usize| {
        let (mutex, inside, overlaps) = (mutex.clone(), inside.clone(), overlaps.clone());
        move || {
            for round in 0..EACH {
                let mut guard = mutex.lock();
                overlaps.fetch_add(usize::from(inside.swap(true, Ordering::SeqCst)), Ordering::SeqCst);
                if (round + number).is_multiple_of(7) {
                    sched::yield_now();
                }
                *guard += 1;
                inside.store(false, Ordering::SeqCst);
            }
        }
    };
    let threads: Vec<_> = (0..6).map(|number| spawn("locker", body(number))).collect();
    finish("mutex", &threads);
    assert_eq!((*mutex.lock(), overlaps.load(Ordering::SeqCst)), (6 * EACH, 0));
}

fn sleepers_do_not_wake_early() {
    let early = Arc::new(AtomicUsize::new(0));
    let sleeper = |number: u64| {
        let early = early.clone();
        move || {
            for round in 0..100 {
                let deadline = time::now_ns() + (number * 37 + round * 11) % 500 * 1000;
                sched::sleep_until(deadline).expect("a timer for each thread");
                early.fetch_add(usize::from(time::now_ns() < deadline), Ordering::Relaxed);
            }
        }
    };
    let threads: Vec<_> = (0..16).map(|number| spawn("sleeper", sleeper(number))).collect();
    finish("sleep", &threads);
    assert_eq!(early.load(Ordering::Relaxed), 0);
}

fn affinity_is_kept() {
    let strays = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let strays = strays.clone();
            let allowed = 1 << (number % CPUS);
            let body = move || {
                for _ in 0..200 {
                    let here = cpu::without_interrupts(cpu::id);
                    strays.fetch_add(usize::from(1 << here != allowed), Ordering::Relaxed);
                    sched::yield_now();
                }
            };
            let thread =
                Thread::new("bound", Kind::Kernel, Policy::default(), body).expect("there is memory");
            thread.set_affinity(CpuSet::from_words([allowed as u64, 0, 0, 0])).expect("that CPU is up");
            sched::start(&thread);
            thread
        })
        .collect();
    finish("affinity", &threads);
    assert_eq!(strays.load(Ordering::Relaxed), 0);
}

fn threads_that_end_are_freed() {
    // Those of the tests before, whose last CPU may still hold them for a moment, are not counted.
    let before = sched::thread::live();
    for _ in 0..20 {
        let threads: Vec<_> = (0..10).map(|_| spawn("short", sched::yield_now)).collect();
        finish("short lives", &threads);
    }
    finish("a last one", &[spawn("last", || {})]);
    assert!(sched::thread::live() <= before + 2 * CPUS as u64, "threads pile up");
}

#[test]
fn threads_of_four_cpus_get_along() {
    let machine = simulation::machine();
    let _cpu = simulation::occupy(0);
    start_cpus();
    pipe_loses_nothing();
    mutex_excludes();
    sleepers_do_not_wake_early();
    affinity_is_kept();
    threads_that_end_are_freed();
    for number in 0..CPUS {
        assert!(sched::cpu::switch_count(number) > 100, "CPU {number} hardly ran anything");
    }
    // The idle loops go on; nothing may count frames any more.
    std::mem::forget(machine);
}
