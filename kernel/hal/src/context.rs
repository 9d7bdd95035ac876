//! Kernel contexts: a stack, where it was left, and the FPU state that goes with the thread.
//!
//! [`switch`] is the only way from one to another. It is safe because a context knows whether it runs (`on_cpu`):
//! the target is waited for until its last CPU has left its stack, and only one CPU can win it.

use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::arch;
use crate::cpu;
use crate::vmap::KernelStack;

/// What a thread is to the CPU.
pub struct Context {
    stack_pointer: UnsafeCell<u64>,
    /// A CPU runs on this stack, or has not quite left it.
    on_cpu: AtomicBool,
    fpu: Option<UnsafeCell<Fpu>>,
    /// Held to be freed with the context; the boot contexts run on stacks of their own.
    _stack: Option<KernelStack>,
}

// SAFETY: the cells are touched only by the CPU that owns the context (`on_cpu`), see `switch` and `load_user_state`.
unsafe impl Sync for Context {}

/// Whether a context will run user code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Kernel code only.
    Kernel,
    /// User code too: has FPU state.
    User,
}

impl Context {
    /// A context on a new stack that will call `entry(argument)`.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new(kind: Kind, entry: extern "C" fn(usize) -> !, argument: usize) -> abi::Result<Self> {
        let stack = KernelStack::new()?;
        let fpu = match kind {
            Kind::Kernel => None,
            Kind::User => Some(UnsafeCell::new(Fpu::new()?)),
        };
        // SAFETY: the stack is new and ours.
        let pointer = unsafe { arch::context::prepare_stack(stack.top(), entry, argument) };
        Ok(Context {
            stack_pointer: UnsafeCell::new(pointer),
            on_cpu: AtomicBool::new(false),
            fpu,
            _stack: Some(stack),
        })
    }

    /// The context that is running right now without having one: a CPU's first.
    pub fn adopt() -> Self {
        Context {
            stack_pointer: UnsafeCell::new(0),
            on_cpu: AtomicBool::new(true),
            fpu: None,
            _stack: None,
        }
    }

    /// Whether a CPU still uses the stack; a context may be dropped only when none does.
    pub fn is_on_cpu(&self) -> bool {
        self.on_cpu.load(Ordering::Acquire)
    }

    /// Makes the CPU hold this thread's FPU state and segment bases. Interrupts are off, this context runs.
    #[inline]
    pub(crate) fn load_user_state(&self, fs_base: u64, gs_base: u64) {
        let Some(cell) = &self.fpu else { panic!("a kernel thread entered user mode") };
        assert!(self.on_cpu.load(Ordering::Relaxed), "user mode on behalf of a thread that is not running");
        // SAFETY: this context runs on this CPU, so only this CPU touches the cell, and interrupts are off.
        let fpu = unsafe { &mut *cell.get() };
        fpu.load(fs_base, gs_base);
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        assert!(!*self.on_cpu.get_mut() || self._stack.is_none(), "a context was dropped while it ran");
    }
}

/// Leaves `from`, the running context, for `to`; returns when something switches back. Interrupts must be off.
///
/// # Panics
/// If `from` is not running, or both are the same.
pub fn switch(from: &Context, to: &Context) {
    debug_assert!(!cpu::irqs_enabled(), "a switch with interrupts on");
    assert!(from.on_cpu.load(Ordering::Relaxed), "a switch away from a context that does not run");
    assert!(!core::ptr::eq(from, to), "a switch from a context to itself");
    // The last CPU of `to` may still be on its way out of `switch_stacks`: a few instructions.
    while to.on_cpu.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
        cpu::relax();
    }
    if let Some(fpu) = &from.fpu {
        // SAFETY: `from` runs on this CPU.
        unsafe { (*fpu.get()).save_if_loaded() };
    }
    // SAFETY: `to` was won above, so nobody else runs or switches to it, and its stack pointer is the one its last
    // switch (or `new`) stored. `from` outlives its own suspension: the caller's borrow lasts until `switch` returns.
    unsafe {
        arch::context::switch(from.stack_pointer.get(), to.stack_pointer.get(), from.on_cpu.as_ptr().cast());
    }
}

/// Floating-point and vector registers, and where they are right now.
///
/// They stay in the CPU until another thread's are loaded there: `OWNERS` names whose they are. Coming back to the
/// same CPU with nobody in between costs nothing.
struct Fpu {
    area: Vec<FpuLine>,
    /// Number of the CPU whose registers hold this state, plus one; 0 if only the area does.
    loaded_on: usize,
    id: u64,
}

#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct FpuLine([u8; 64]);

static NEXT_ID: AtomicU64 = AtomicU64::new(1);
static OWNERS: [AtomicU64; cpu::MAX_CPUS] = [const { AtomicU64::new(0) }; cpu::MAX_CPUS];

impl Fpu {
    fn new() -> abi::Result<Self> {
        let lines = arch::context::fpu_size().div_ceil(64);
        let mut area = Vec::new();
        area.try_reserve_exact(lines).map_err(|_| abi::Errno::ENOMEM)?;
        area.resize(lines, FpuLine([0; 64]));
        // SAFETY: `FpuLine` is 64 plain bytes without padding, and the vector holds `lines` of them.
        let bytes = unsafe { core::slice::from_raw_parts_mut(area.as_mut_ptr().cast(), lines * 64) };
        arch::context::fresh_fpu(bytes);
        Ok(Fpu { area, loaded_on: 0, id: NEXT_ID.fetch_add(1, Ordering::Relaxed) })
    }

    fn is_loaded_here(&self) -> bool {
        let number = cpu::id();
        self.loaded_on == number + 1 && OWNERS[number].load(Ordering::Relaxed) == self.id
    }

    #[inline]
    fn load(&mut self, fs_base: u64, gs_base: u64) {
        if self.is_loaded_here() {
            return;
        }
        // SAFETY: the area is aligned, `fpu_size` long, and holds a fresh or saved state.
        unsafe { arch::context::restore_fpu(self.area.as_ptr().cast()) };
        arch::context::load_bases(fs_base, gs_base);
        let number = cpu::id();
        self.loaded_on = number + 1;
        OWNERS[number].store(self.id, Ordering::Relaxed);
    }

    fn save_if_loaded(&mut self) {
        if self.is_loaded_here() {
            // SAFETY: the area is aligned and `fpu_size` long.
            unsafe { arch::context::save_fpu(self.area.as_mut_ptr().cast()) };
        }
    }
}
