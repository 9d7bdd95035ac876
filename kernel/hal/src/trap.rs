//! What brings a CPU into the kernel, and who is told.
//!
//! The backend's entry code ends in the functions here; everything above is reached through one closed list of
//! [`Handlers`], set once at boot. All of them run with interrupts off.

use core::sync::atomic::Ordering;

use crate::arch;
use crate::spin::Once;

/// The registers of interrupted code, in the order entry code stores them.
#[repr(C, align(16))]
#[derive(Clone, Copy, Default, Debug)]
#[expect(missing_docs, reason = "registers are known by their names")]
pub struct Registers {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub vector: u64,
    pub error: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

/// The upcalls out of hal.
pub trait Handlers: Sync {
    /// The timer of this CPU fired.
    fn timer(&self);
    /// Another CPU asked this one to choose its thread again.
    fn reschedule(&self);
    /// A device interrupt.
    fn device(&self, vector: u8);
    /// An interrupt of kernel code is over and interrupts were on: the place to switch threads.
    fn preempt(&self);
    /// The kernel touched user memory at `address` and faulted. True if the access may be tried again. Interrupts are on,
    /// unlike in all others: the handler may sleep.
    fn user_fault(&self, address: u64, is_write: bool) -> bool;
    /// Another CPU wants to know where this one is (an NMI: any lock may be held).
    fn report_place(&self, registers: &Registers);
    /// The kernel itself failed; prints what it knows and never returns.
    fn fatal(&self, registers: &Registers, address: Option<u64>) -> !;
}

static HANDLERS: Once<&'static dyn Handlers> = Once::new();

/// Sets the upcalls; the first call counts.
pub fn set_handlers(handlers: &'static dyn Handlers) {
    HANDLERS.call_once(|| handlers);
}

const ERROR_WRITE: u64 = 1 << 1;
const RFLAGS_IF: u64 = 1 << 9;

pub(crate) fn on_timer() {
    arch::cpu_data().interrupts.fetch_add(1, Ordering::Relaxed);
    if let Some(handlers) = HANDLERS.get() {
        handlers.timer();
    }
}

pub(crate) fn on_reschedule() {
    if let Some(handlers) = HANDLERS.get() {
        handlers.reschedule();
    }
}

pub(crate) fn on_report_request(registers: &Registers) {
    if let Some(handlers) = HANDLERS.get() {
        handlers.report_place(registers);
    }
}

pub(crate) fn on_device(vector: u8) {
    arch::cpu_data().interrupts.fetch_add(1, Ordering::Relaxed);
    if let Some(handlers) = HANDLERS.get() {
        handlers.device(vector);
    }
}

/// The last step of an interrupt that came from kernel code.
pub(crate) fn after_kernel_interrupt(registers: &Registers) {
    // Interrupted code had interrupts on (it did, or it would not be here; NMIs go elsewhere), so it held no spin
    // lock and may be switched away from.
    if registers.rflags & RFLAGS_IF != 0
        && arch::cpu_data().reschedule.load(Ordering::Relaxed)
        && let Some(handlers) = HANDLERS.get()
    {
        handlers.preempt();
    }
}

/// The kernel touched user memory and faulted; true if it may try again. What resolves the fault may sleep, so interrupts
/// are on meanwhile if they were.
pub(crate) fn resolve_user_fault(registers: &Registers, address: u64) -> bool {
    if registers.rflags & RFLAGS_IF == 0 {
        return false;
    }
    let were_on = crate::cpu::irqs_enabled();
    crate::cpu::irq_on();
    let is_write = registers.error & ERROR_WRITE != 0;
    let is_resolved = HANDLERS.get().is_some_and(|handlers| handlers.user_fault(address, is_write));
    if !were_on {
        let _ = crate::cpu::irq_off();
    }
    is_resolved
}

pub(crate) fn fatal(registers: &Registers, address: Option<u64>) -> ! {
    match HANDLERS.get() {
        Some(handlers) => handlers.fatal(registers, address),
        None => {
            panic!("exception {} at {:#x} before the kernel could handle it", registers.vector, registers.rip)
        }
    }
}

/// Asks CPU `number` to choose its thread again: at once if another CPU, at the next chance if this one.
pub fn request_reschedule(number: usize) {
    let Some(data) = arch::cpu_data_of(number) else { return };
    if data.reschedule.swap(true, Ordering::AcqRel) || number == crate::cpu::id() {
        return;
    }
    arch::smp::send_reschedule(number);
}

/// Whether this CPU was asked to choose its thread again.
#[inline]
pub fn reschedule_requested() -> bool {
    arch::cpu_data().reschedule.load(Ordering::Relaxed)
}

/// Takes the request back: the scheduler is at it.
#[inline]
pub fn clear_reschedule() {
    arch::cpu_data().reschedule.store(false, Ordering::Relaxed);
}

/// Interrupts CPU `number` has taken.
pub fn interrupt_count(number: usize) -> u64 {
    arch::cpu_data_of(number).map_or(0, |data| data.interrupts.load(Ordering::Relaxed))
}
