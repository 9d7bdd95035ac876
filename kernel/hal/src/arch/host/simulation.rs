//! What tests do with the simulated machine: start it, be its CPUs, move its clock, count its frames.
//!
//! There is one machine in a test process, and tests run in parallel: whoever uses frames, the heap, user memory or
//! a numbered CPU does so while it holds [`Machine`].

use core::marker::PhantomData;
use std::panic::resume_unwind;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;

use logic::addr::PhysAddr;

use super::{clock, console, paging, ram, seat, smp};
use crate::boot::{BootInfo, PhysRange, Protocol, Text};
use crate::trap::{self, Registers};
use crate::{boot, cpu, frames, heap, memory};

static STARTED: Once = Once::new();
static IN_USE: Mutex<()> = Mutex::new(());

/// The machine, for one test at a time.
pub struct Machine {
    _in_use: MutexGuard<'static, ()>,
}

/// Waits for the machine, and starts it if this is the first test that needs it.
///
/// # Panics
/// If it does not start.
pub fn machine() -> Machine {
    // A test that failed while it had the machine left it usable, or says so when the next one counts.
    let in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
    STARTED.call_once(start);
    Machine { _in_use: in_use }
}

fn start() {
    memory::set_layout(cpu::entropy());
    let Ok(memory) = ram::init() else { panic!("simulated RAM does not fit a memory map") };
    let info = BootInfo {
        protocol: Protocol::Pvh,
        loader: Text::from_bytes(b"cargo test"),
        memory,
        command_line: Text::EMPTY,
        initramfs: None,
        framebuffer: None,
        acpi_root: None,
        kernel: PhysRange { start: PhysAddr::ZERO, end: PhysAddr::ZERO },
    };
    if let Err(error) = boot::init_memory(&info) {
        panic!("the simulated machine does not start: {error:?}");
    }
    drain_here();
}

/// Gives what this CPU caches back, so that frames can be counted.
fn drain_here() {
    heap::drain_magazines();
    frames::drain_cache();
}

impl Machine {
    /// Free frames, counted when nothing is cached on any CPU.
    pub fn free_frames(&self) -> usize {
        drain_here();
        frames::stats().free
    }

    /// Runs `work(number)` on CPUs 0 to `count` at the same time, and waits for all.
    ///
    /// # Panics
    /// If one of them does.
    pub fn run(&self, count: usize, work: impl Fn(usize) + Sync) {
        thread::scope(|scope| {
            let work = &work;
            let spawn = |number| {
                scope.spawn(move || {
                    let _cpu = occupy(number);
                    work(number);
                    drain_here();
                })
            };
            let cpus: Vec<_> = (0..count).map(spawn).collect();
            for cpu in cpus {
                cpu.join().unwrap_or_else(|panic| resume_unwind(panic));
            }
        });
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // A second panic would hide the first, and end the process.
        if !thread::panicking() {
            drain_here();
        }
    }
}

/// The running thread is a CPU of its choice while this lives.
pub struct Occupied {
    /// It belongs to the thread.
    _thread: PhantomData<*const ()>,
}

/// Makes the running thread CPU `number`; waits while another thread is. Hold [`Machine`], here or in the thread that
/// waits for this one.
///
/// # Panics
/// If there is no such CPU, or it is one of those that threads get without asking.
pub fn occupy(number: usize) -> Occupied {
    assert!(number < seat::NAMED_SEATS, "CPUs from {} on are given out freely", seat::NAMED_SEATS);
    seat::take(number);
    Occupied { _thread: PhantomData }
}

impl Drop for Occupied {
    fn drop(&mut self) {
        seat::give_up();
    }
}

/// Moves the clock on. Timers that are due fire when their CPUs next take interrupts.
pub fn advance_ns(duration_ns: u64) {
    clock::advance(duration_ns);
}

/// Lets a device interrupt CPU `number`, once at a time.
pub fn raise(number: usize, vector: u8) {
    smp::send_device(number, vector);
}

/// Fails as the kernel does when it touches `address` and nothing is there.
pub fn fault(address: u64) -> ! {
    trap::fatal(&Registers::default(), Some(address))
}

/// Takes what was printed on the console so far, by all tests.
pub fn take_console() -> Vec<u8> {
    console::take()
}

/// Pages whose translation CPU `number` forgot one by one, and how often it forgot all.
pub fn flushes(number: usize) -> (u64, u64) {
    paging::flushes(number)
}
