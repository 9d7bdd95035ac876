//! A simulated CPU: whether it takes interrupts, and the places where it does.

use core::cell::Cell;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::vdso::CpuNumber;

use super::{clock, seat, smp};
use crate::trap::{self, Registers};

/// Whether interrupts were on, as `irq_off` found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterruptState(bool);

impl InterruptState {
    /// Whether they were on.
    pub fn were_on(self) -> bool {
        self.0
    }
}

thread_local! {
    static INTERRUPTS: Cell<bool> = const { Cell::new(true) };
}

/// Says whether the running thread takes interrupts from now on; returns whether it did. Never inlined, for the reason
/// that `seat::number` gives.
#[inline(never)]
fn take_interrupts(from_now_on: bool) -> bool {
    INTERRUPTS.replace(from_now_on)
}

const RFLAGS_IF: u64 = 1 << 9;

/// Turns interrupts off; says whether they were on.
pub fn irq_off() -> InterruptState {
    InterruptState(take_interrupts(false))
}

/// Whether interrupts are on.
#[inline(never)]
pub fn irqs_enabled() -> bool {
    INTERRUPTS.get()
}

/// Puts interrupts back to what `irq_off` found.
pub fn irq_restore(state: InterruptState) {
    if state.0 {
        irq_on();
    }
}

/// Turns interrupts on, and takes those that came meanwhile.
pub fn irq_on() {
    take_interrupts(true);
    deliver();
}

/// Lets time pass: to the deadline of this CPU's timer at once if one is set, else only for other threads. Takes what
/// interrupts there are. Call with interrupts off; they are off on return.
pub fn wait_for_interrupt() {
    clock::skip_to_deadline();
    std::thread::yield_now();
    irq_on();
    take_interrupts(false);
}

/// A turn of a spin loop: a moment passes, and other threads may run.
pub fn relax() {
    clock::spend_moment();
    std::thread::yield_now();
    if irqs_enabled() {
        deliver();
    }
}

/// Takes the interrupts that wait for this CPU, as the machine would between two instructions.
fn deliver() {
    loop {
        // Anew each time: a handler may have switched away, and another CPU may have switched back.
        let number = seat::number();
        let timer = clock::take_expired(number);
        let others = smp::take_pending(number);
        if !timer && others == 0 {
            return;
        }
        take_interrupts(false);
        if timer {
            trap::on_timer();
        }
        if others & smp::RESCHEDULE != 0 {
            trap::on_reschedule();
        }
        if others & smp::SHOOTDOWN != 0 {
            crate::tlb::on_request();
        }
        if others & smp::REPORT != 0 {
            trap::on_report_request(&Registers::default());
        }
        if let Ok(vector @ 1..) = u8::try_from(others >> smp::DEVICE_SHIFT) {
            trap::on_device(vector);
        }
        trap::after_kernel_interrupt(&Registers { rflags: RFLAGS_IF, ..Registers::default() });
        take_interrupts(true);
    }
}

/// Nobody runs this CPU any more.
///
/// # Panics
/// Always: that ends the test.
pub(crate) fn halt_forever() -> ! {
    panic!("simulated CPU {} was halted for good", seat::number())
}

/// Number of the running CPU.
pub(crate) fn id() -> usize {
    seat::number()
}

/// A number that looks random; the same ones in each run, so that failures repeat.
pub fn entropy() -> u64 {
    static STATE: AtomicU64 = AtomicU64::new(0);
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let value = STATE.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// No program looks for it.
pub(crate) fn number_source() -> CpuNumber {
    CpuNumber::SystemCall
}

/// What the CPU is.
pub(crate) fn summary() -> impl fmt::Display {
    "simulated CPU"
}

/// No features.
pub(crate) fn feature_word() -> u64 {
    0
}
