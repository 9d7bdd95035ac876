//! Kernel contexts: a stack, where it was left, and the FPU state that goes with the thread.
//!
//! [`switch`] is the only way from one to another. It is safe because a context knows whether it runs (`on_cpu`): the
//! target is waited for until its last CPU has left its stack, and only one CPU can win it. The CPU owns the context it
//! runs, and the one it left until nothing of its stack is in use.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use logic::addr::PhysAddr;

use crate::arch;
use crate::cpu;
use crate::memory;
use crate::percpu::Own;
use crate::space::AddressSpace;
use crate::vmap::KernelStack;

/// What a thread is to the CPU.
pub struct Context {
    stack_pointer: UnsafeCell<u64>,
    /// A CPU runs on this stack, or has not quite left it.
    on_cpu: AtomicBool,
    fpu: Option<UnsafeCell<Fpu>>,
    /// The program's memory; `None` runs on the kernel's own tables.
    space: UnsafeCell<Option<Arc<AddressSpace>>>,
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
    /// The same, with a copy of the running thread's FPU state: what fork(2) makes.
    UserCopy,
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
            Kind::UserCopy => {
                let mut fpu = Fpu::new()?;
                with_current_fpu(|current| {
                    current.save_if_loaded();
                    fpu.area.copy_from_slice(&current.area);
                })?;
                Some(UnsafeCell::new(fpu))
            }
        };
        // SAFETY: the stack is new and ours.
        let pointer = unsafe { arch::context::prepare_stack(stack.top(), entry, argument) };
        Ok(Context {
            stack_pointer: UnsafeCell::new(pointer),
            on_cpu: AtomicBool::new(false),
            fpu,
            space: UnsafeCell::new(None),
            _stack: Some(stack),
        })
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        assert!(!*self.on_cpu.get_mut() || self._stack.is_none(), "a context was dropped while it ran");
    }
}

/// The contexts of one CPU: the running one, and the one just left until its stack is free.
struct Running {
    current: Option<Arc<Context>>,
    previous: Option<Arc<Context>>,
    /// The root table the CPU uses.
    root: PhysAddr,
}

impl Running {
    const fn new() -> Self {
        Running { current: None, previous: None, root: PhysAddr::ZERO }
    }
}

static RUNNING: Own<Running> = Own::new([const { UnsafeCell::new(Running::new()) }; cpu::MAX_CPUS]);

/// Gives this CPU its first context: the one that runs right now, on the stack it was started with.
pub fn adopt() -> Arc<Context> {
    let context = Arc::new(Context {
        stack_pointer: UnsafeCell::new(0),
        on_cpu: AtomicBool::new(true),
        fpu: None,
        space: UnsafeCell::new(None),
        _stack: None,
    });
    RUNNING.with(|running| running.current = Some(context.clone()));
    context
}

/// Leaves the running context for `to`; returns when something switches back. Interrupts must be off.
///
/// Ownership goes with the CPU: a context that is never switched to again keeps nobody alive but itself.
///
/// # Panics
/// In debug builds, if `to` is the running context; release builds wait for ever.
pub fn switch(to: Arc<Context>) {
    debug_assert!(!cpu::irqs_enabled(), "a switch with interrupts on");
    debug_assert!(!is_running_here(&to), "a switch to the running context");
    // The last CPU of `to` may still be on its way out of `switch_stacks`: a few instructions. CPUs cannot wait for each
    // other in a circle: the scheduler makes a thread available in the critical section in which its CPU picks the next,
    // so each wait is for a CPU that picked earlier.
    while to.on_cpu.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
        cpu::relax();
    }
    let to_pointer = Arc::as_ptr(&to);
    let from_pointer = RUNNING.with(|running| {
        // SAFETY: `to` was won above; its cells are this CPU's from here on.
        let space = unsafe { (*to.space.get()).as_ref() };
        // SAFETY: the running context's cells are this CPU's.
        let left = running.current.as_ref().and_then(|from| unsafe { (*from.space.get()).as_ref() });
        change_space(&mut running.root, left, space);
        running.previous = running.current.replace(to);
        running.previous.as_ref().map_or(core::ptr::null(), Arc::as_ptr)
    });
    assert!(!from_pointer.is_null(), "a switch on a CPU without a context");
    // SAFETY: owned by `running` until `finish_switch` drops the one that was left, which is after its last use.
    let from = unsafe { &*from_pointer };
    // SAFETY: owned by `running`, which replaces it at the next switch.
    let to = unsafe { &*to_pointer };
    if let Some(fpu) = &from.fpu {
        // SAFETY: `from` runs on this CPU, so its cells are this CPU's, and interrupts are off.
        unsafe { &mut *fpu.get() }.save_if_loaded();
    }
    // SAFETY: `to` was won above, so nobody else runs or switches to it; its stack pointer is the one its last switch
    // (or `new`) stored. `from` runs on this CPU, so its cells are this CPU's.
    unsafe {
        arch::context::switch(from.stack_pointer.get(), to.stack_pointer.get(), from.on_cpu.as_ptr().cast());
    }
    finish_switch();
}

fn is_running_here(context: &Arc<Context>) -> bool {
    RUNNING.with(|running| running.current.as_ref().is_some_and(|current| Arc::ptr_eq(current, context)))
}

/// Loads the root of `to`, the kernel's own if there is none. Each space knows which CPUs use it: from before its root
/// is loaded until after another one is.
fn change_space(loaded: &mut PhysAddr, from: Option<&Arc<AddressSpace>>, to: Option<&Arc<AddressSpace>>) {
    let root = to.map_or_else(memory::kernel_root, |space| space.root());
    if *loaded == root {
        return;
    }
    *loaded = root;
    if let Some(space) = to {
        space.note_entered();
    }
    // SAFETY: every root maps the kernel alike (`share_kernel_half`); the context that is about to be current, or
    // is, owns the space, so the root is not freed while the CPU uses it.
    unsafe { arch::paging::load_root(root) };
    if let Some(space) = from {
        space.note_left();
    }
}

/// Makes the running context, and so this CPU, use `space`; `None` goes back to the kernel's own tables.
///
/// # Panics
/// If this CPU has no context yet.
pub fn enter_space(space: Option<Arc<AddressSpace>>) {
    let old = RUNNING.with(|running| {
        // Nobody else would keep the space that is about to be loaded.
        assert!(running.current.is_some(), "a CPU without a context entered a space");
        let context = running.current.as_ref()?;
        // SAFETY: the context runs on this CPU, so its cells are this CPU's, and interrupts are off.
        let old = unsafe { &mut *context.space.get() };
        change_space(&mut running.root, old.as_ref(), space.as_ref());
        core::mem::replace(old, space)
    });
    // Outside: freeing a space takes locks and time.
    drop(old);
}

/// The first thing a new context does: lets go of the one it was switched to from.
pub fn finish_switch() {
    drop(RUNNING.with(|running| running.previous.take()));
}

/// Makes the CPU hold the running thread's FPU state and segment bases. Interrupts are off.
#[inline]
pub(crate) fn load_user_state(fs_base: u64, gs_base: u64) {
    RUNNING.with_interrupts_off(|running| {
        match running.current.as_ref().and_then(|context| context.fpu.as_ref()) {
            // SAFETY: the context runs on this CPU, so only this CPU touches the cell, and interrupts are off.
            Some(fpu) => unsafe { (*fpu.get()).load(fs_base, gs_base) },
            None => panic!("a kernel thread entered user mode"),
        }
    });
}

/// Runs `work` on the running thread's FPU state, interrupts off.
fn with_current_fpu<R>(work: impl FnOnce(&mut Fpu) -> R) -> abi::Result<R> {
    RUNNING.with(|running| match running.current.as_ref().and_then(|context| context.fpu.as_ref()) {
        // SAFETY: the context runs on this CPU, so only this CPU touches the cell, and interrupts are off.
        Some(fpu) => Ok(work(unsafe { &mut *fpu.get() })),
        None => Err(abi::Errno::EINVAL),
    })
}

/// Copies the running thread's FPU state to `to`, which is as long as `fpu_bytes` says.
pub(crate) fn save_fpu_to(to: &mut [u8]) -> abi::Result<()> {
    with_current_fpu(|fpu| {
        fpu.save_if_loaded();
        to.copy_from_slice(&fpu.bytes_mut()[..to.len()]);
    })
}

/// Makes `from`, which the caller has checked (`arch::context::check_fpu`), the running thread's FPU state.
pub(crate) fn load_fpu_from(from: &[u8]) -> abi::Result<()> {
    with_current_fpu(|fpu| {
        fpu.bytes_mut()[..from.len()].copy_from_slice(from);
        fpu.loaded_on = 0;
    })
}

/// What the FPU says of its last exception: of x87 the control and status words, of SSE its register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FpuStatus {
    /// x87: exceptions that are masked.
    pub control: u16,
    /// x87: exceptions that happened.
    pub status: u16,
    /// SSE: both, and more.
    pub mxcsr: u32,
}

/// The running thread's.
///
/// # Errors
/// EINVAL for a kernel thread.
pub fn fpu_status() -> abi::Result<FpuStatus> {
    with_current_fpu(|fpu| {
        fpu.save_if_loaded();
        let bytes = fpu.bytes_mut();
        FpuStatus {
            control: u16::from_le_bytes([bytes[0], bytes[1]]),
            status: u16::from_le_bytes([bytes[2], bytes[3]]),
            mxcsr: u32::from_le_bytes([bytes[24], bytes[25], bytes[26], bytes[27]]),
        }
    })
}

/// Gives the running thread the FPU state of a new program.
///
/// # Errors
/// EINVAL for a kernel thread.
pub fn reset_fpu() -> abi::Result<()> {
    with_current_fpu(|fpu| {
        arch::context::fresh_fpu(fpu.bytes_mut());
        fpu.loaded_on = 0;
    })
}

/// Loads other segment bases if the CPU holds the running thread's; if not, they come with the rest.
pub(crate) fn change_bases(fs_base: u64, gs_base: u64) {
    let _ = with_current_fpu(|fpu| {
        if fpu.is_loaded_here() {
            arch::context::load_bases(fs_base, gs_base);
        }
    });
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
        let mut fpu = Fpu { area, loaded_on: 0, id: NEXT_ID.fetch_add(1, Ordering::Relaxed) };
        arch::context::fresh_fpu(fpu.bytes_mut());
        Ok(fpu)
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: `FpuLine` is 64 plain bytes without padding.
        unsafe { core::slice::from_raw_parts_mut(self.area.as_mut_ptr().cast(), self.area.len() * 64) }
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

#[cfg(test)]
mod tests;
