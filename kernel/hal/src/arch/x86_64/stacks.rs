//! Kernel stacks: how one is left for another, and what a new one holds.
//!
//! No privileged instruction is used here, so the host backend shares this file and its tests are tests of it.
//! Spec: System V ABI for x86-64, sections 3.2.1 (registers a call preserves) and 3.2.2 (stack alignment).

use core::arch::naked_asm;

use logic::addr::VirtAddr;

/// What `switch_stacks` finds on a stack that it goes to for the first time: it takes seven words. The two above make
/// RSP a multiple of 16 where `start_stack` calls, as the ABI has it: the CPU itself relies on the alignment of
/// `Registers` on this stack.
type FirstFrame = [u64; 9];

/// Lays out a new stack so that the first switch to it calls `entry(argument)`; returns its stack pointer.
///
/// # Safety
/// `top` must be the aligned end of an unused stack of at least a page.
pub(crate) unsafe fn prepare_stack(top: VirtAddr, entry: extern "C" fn(usize) -> !, argument: usize) -> u64 {
    // r15 r14 r13 r12 rbx rbp, then the return address.
    let frame: FirstFrame =
        [0, 0, argument as u64, entry as *const () as u64, 0, 0, start_stack as *const () as u64, 0, 0];
    let pointer = top.get() - size_of::<FirstFrame>() as u64;
    // SAFETY: the caller's promise: unused memory below `top`.
    unsafe { (pointer as *mut FirstFrame).write(frame) };
    pointer
}

/// Changes stacks; clears `*running` when the old one is no longer in use.
///
/// # Safety
/// `to` must hold what an earlier switch or `prepare_stack` stored, of a stack that nobody runs on; both pointers
/// and `running` must stay valid until the old stack runs again.
pub(crate) unsafe fn switch(from: *mut u64, to: *const u64, running: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe { switch_stacks(from, to, running) }
}

/// Saves what a call preserves, changes stacks. Only when nothing of the old stack is needed any more is `running`
/// cleared: another CPU may resume it at once.
#[unsafe(naked)]
unsafe extern "C" fn switch_stacks(from: *mut u64, to: *const u64, running: *mut u8) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi], rsp",
        "mov rsp, [rsi]",
        "mov byte ptr [rdx], 0",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// First return of a new stack: r12 holds the function, r13 its argument. The zero in RBP ends backtraces.
#[unsafe(naked)]
unsafe extern "C" fn start_stack() {
    naked_asm!("xor ebp, ebp", "mov rdi, r13", "call r12", "ud2")
}
