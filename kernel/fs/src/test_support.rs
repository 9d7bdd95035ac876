//! The simulated machine with a scheduler, for tests: the test itself is the idle thread of CPU 0.

use std::sync::{Arc, Once};

use hal::context::Kind;
use hal::simulation::{self, Machine, Occupied};
use hal::trap::{self, Handlers, Registers};
use logic::runq::Policy;
use nucleus::sched::{self, Thread};
use nucleus::vfs::{FileKind, Listing, NewNode};

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

/// CPU 0, for one test at a time.
pub(crate) struct Boot {
    pub(crate) machine: Machine,
    _cpu: Occupied,
}

pub(crate) fn boot() -> Boot {
    static STARTED: Once = Once::new();
    let machine = simulation::machine();
    let cpu = simulation::occupy(0);
    STARTED.call_once(|| {
        trap::set_handlers(&Upcalls);
        sched::cpu::init(1).unwrap();
    });
    Boot { machine, _cpu: cpu }
}

impl Boot {
    /// Lets threads run until all of `threads` are over, or nothing more happens; says whether they are.
    pub(crate) fn run(&self, threads: &[Arc<Thread>]) -> bool {
        for _ in 0..1000 {
            if threads.iter().all(|thread| thread.has_exited()) {
                return true;
            }
            sched::yield_now();
            let _ = hal::cpu::irq_off();
            hal::cpu::wait_for_interrupt();
            hal::cpu::irq_on();
            sched::preempt();
        }
        false
    }
}

pub(crate) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Arc<Thread> {
    let thread = Thread::new(name, Kind::Kernel, Policy::default(), body).unwrap();
    sched::start(&thread);
    thread
}

pub(crate) fn new_node(kind: FileKind) -> NewNode<'static> {
    NewNode { kind, permissions: 0o644, user: 1, group: 2, device_number: 0, target: b"" }
}

/// Names listed, no more than there is room for.
pub(crate) struct Names {
    pub(crate) room: usize,
    pub(crate) found: Vec<(String, u64, FileKind)>,
}

impl Names {
    pub(crate) fn new(room: usize) -> Self {
        Names { room, found: Vec::new() }
    }

    pub(crate) fn texts(&self) -> Vec<&str> {
        self.found.iter().map(|(name, ..)| name.as_str()).collect()
    }
}

impl Listing for Names {
    fn add(&mut self, name: &[u8], number: u64, kind: FileKind, _next: u64) -> bool {
        if self.found.len() == self.room {
            return false;
        }
        self.found.push((String::from_utf8(name.to_vec()).unwrap(), number, kind));
        true
    }
}
