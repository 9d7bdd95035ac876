//! User mode: a thread's registers and FPU, and one call that runs them.
//!
//! [`UserContext::run`] goes to ring 3 and returns why it came back: the loop around it (kernel/src/usermode.rs) is
//! the whole way of a system call. Only the thread itself touches its context.

mod signal_frame;
mod user_time;

use core::sync::atomic::{AtomicBool, Ordering};

use logic::addr::VirtAddr;

use crate::arch;
use crate::context;
use crate::cpu;
use crate::trap::Registers;

pub use signal_frame::{AlternateStack, Delivery, Restored};
pub use user_time::UserTime;

/// First address programs cannot have.
pub const USER_TOP: u64 = arch::USER_TOP;

/// Why user mode ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// A system call; the registers hold number and arguments.
    SystemCall,
    /// A page fault.
    PageFault(Fault),
    /// Another exception.
    Exception {
        /// The CPU's number for it.
        vector: u8,
        /// Its error code, 0 if it has none.
        error: u64,
    },
    /// An interrupt, already handled.
    Interrupt,
}

/// A page fault of user code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The address touched.
    pub address: VirtAddr,
    /// What the program did there.
    pub access: AccessKind,
    /// Whether a page was mapped that forbids it.
    pub is_protection: bool,
}

/// What a faulting instruction did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessKind {
    /// Read.
    Read,
    /// Write.
    Write,
    /// Instruction fetch.
    Execute,
}

/// A thread's user registers.
#[derive(Clone)]
pub struct UserContext {
    registers: Registers,
    fs_base: u64,
    gs_base: u64,
}

/// The least stack a signal handler's frame needs (AT_MINSIGSTKSZ).
pub fn signal_stack_size() -> u64 {
    signal_frame::size()
}

/// Flags programs may set: CF PF AF ZF SF TF DF OF NT RF AC ID.
const FLAGS_ALLOWED: u64 = 0x25_4dd5;
/// IF and the bit that always reads one.
const FLAGS_FORCED: u64 = 0x202;

impl UserContext {
    /// Registers of a new program: it starts at `entry` with its stack at `stack`, all others zero.
    pub fn new(entry: VirtAddr, stack: VirtAddr) -> Self {
        let registers = Registers {
            rip: entry.get(),
            rsp: stack.get(),
            rflags: FLAGS_FORCED,
            cs: u64::from(arch::USER_CODE),
            ss: u64::from(arch::USER_DATA),
            ..Registers::default()
        };
        UserContext { registers, fs_base: 0, gs_base: 0 }
    }

    /// The registers.
    pub fn registers(&self) -> &Registers {
        &self.registers
    }

    /// The system call's number.
    #[inline]
    pub fn call_number(&self) -> u64 {
        self.registers.rax
    }

    /// The system call's arguments.
    #[inline]
    pub fn call_arguments(&self) -> [u64; 6] {
        let r = &self.registers;
        [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9]
    }

    /// Sets the system call's result.
    #[inline]
    pub fn set_result(&mut self, value: u64) {
        self.registers.rax = value;
    }

    /// Takes a system call back: the program will make it again, as call `number`.
    pub fn restart_call(&mut self, number: u64) {
        self.registers.rax = number;
        // SYSCALL is two bytes long.
        self.registers.rip = self.registers.rip.wrapping_sub(2);
    }

    /// The next return to user mode sets every register, RCX and R11 too.
    fn set_all_registers_on_return(&mut self) {
        self.registers.vector = 0;
    }

    /// Moves the stack: for a new thread.
    pub fn set_stack(&mut self, stack: u64) {
        self.registers.rsp = stack;
    }

    /// The stack pointer.
    pub fn stack(&self) -> u64 {
        self.registers.rsp
    }

    /// The base of FS, where threads keep their own data.
    pub fn fs_base(&self) -> u64 {
        self.fs_base
    }

    /// The base of GS.
    pub fn gs_base(&self) -> u64 {
        self.gs_base
    }

    /// Sets the base of FS of the running thread, or of one that has not run yet. Bases outside the user half, which the
    /// CPU might refuse, are not taken.
    pub fn set_fs_base(&mut self, base: u64) -> bool {
        self.set_bases(base, self.gs_base)
    }

    /// Sets the base of GS; as `set_fs_base`.
    pub fn set_gs_base(&mut self, base: u64) -> bool {
        self.set_bases(self.fs_base, base)
    }

    fn set_bases(&mut self, fs_base: u64, gs_base: u64) -> bool {
        if fs_base >= USER_TOP || gs_base >= USER_TOP {
            return false;
        }
        (self.fs_base, self.gs_base) = (fs_base, gs_base);
        context::change_bases(fs_base, gs_base);
        true
    }

    /// The same registers for a new thread, which has not run yet: the bases come with its first run.
    #[must_use]
    pub fn for_child(&self, stack: Option<u64>, fs_base: Option<u64>) -> Self {
        let mut child = self.clone();
        child.registers.rax = 0;
        child.registers.rsp = stack.unwrap_or(self.registers.rsp);
        child.fs_base = fs_base.filter(|&base| base < USER_TOP).unwrap_or(self.fs_base);
        child
    }

    /// Runs user code on behalf of the running thread until it traps. Interrupts are on before and
    /// after, off while user mode is entered and left; an interrupt that ended user mode is handled by then. `time` counts
    /// what user code took. User code does not run while `is_interrupted`: looked at with interrupts off, so whoever sets
    /// it and then interrupts this CPU is not overlooked.
    ///
    /// # Panics
    /// If the running thread has no FPU state: a kernel thread.
    pub fn run(&mut self, time: &UserTime, is_interrupted: &AtomicBool) -> Trap {
        // A return to an address that is not canonical would fault in the kernel: report what the program would see.
        if self.registers.rip >= USER_TOP {
            return Trap::Exception { vector: arch::VECTOR_GENERAL_PROTECTION, error: 0 };
        }
        self.registers.rflags = self.registers.rflags & FLAGS_ALLOWED | FLAGS_FORCED;
        debug_assert!(cpu::irqs_enabled(), "user mode is entered from ordinary thread code");
        let _ = cpu::irq_off();
        if is_interrupted.load(Ordering::Acquire) {
            cpu::irq_on();
            return Trap::Interrupt;
        }
        context::load_user_state(self.fs_base, self.gs_base);
        time.start();
        arch::context::enter_user(&mut self.registers);
        time.stop();
        let trap = arch::classify(&self.registers);
        cpu::irq_on();
        trap
    }
}
