//! Exceptions and interrupts: the table, the entry code, and where each vector goes.
//!
//! Entry code (`traps.s`) only saves registers. Traps from user mode return from `UserContext::run`; traps from the
//! kernel end here: interrupts go to their handlers, page faults at user-copy instructions to their fix-up, everything
//! else is a bug and panics. Spec: Intel SDM volume 3, chapter 6.

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;

use logic::addr::to_usize;
use x86_64::VirtAddr;
use x86_64::registers::model_specific::Msr;
use x86_64::structures::DescriptorTablePointer;

use super::{local, smp};
use crate::trap::{self, Registers};

/// Our own number for SYSCALL, which has no vector.
pub(crate) const VECTOR_SYSCALL: u64 = 256;
pub(crate) const VECTOR_DEBUG: u64 = 1;
pub(crate) const VECTOR_NMI: u64 = 2;
pub(crate) const VECTOR_DOUBLE_FAULT: u64 = 8;
pub(crate) const VECTOR_PAGE_FAULT: u64 = 14;
pub(crate) const VECTOR_MACHINE_CHECK: u64 = 18;
const EXCEPTIONS: u64 = 32;
/// First vector of devices: two of Linux's priority classes are free below, the legacy controllers' leftovers.
pub(crate) const VECTOR_DEVICES: u8 = 0x30;
/// One above the last device vector.
pub(crate) const VECTOR_DEVICES_END: u8 = 0xec;
/// Local timer.
pub(crate) const VECTOR_TIMER: u8 = 0xec;
/// Another CPU wants this one to look at its run queue.
pub(crate) const VECTOR_RESCHEDULE: u8 = 0xfd;
/// Another CPU changed kernel mappings.
pub(crate) const VECTOR_SHOOTDOWN: u8 = 0xfc;
/// The local APIC's spurious vector.
pub(crate) const VECTOR_SPURIOUS: u8 = 0xff;

global_asm!(
    include_str!("traps.s"),
    kernel_trap = sym kernel_trap,
    paranoid_trap = sym paranoid_trap,
    user_stack = const local::OFFSET_USER_STACK,
    kernel_stack = const local::OFFSET_KERNEL_STACK,
    user_registers_end = const local::OFFSET_USER_REGISTERS_END,
    tss_stack = const local::OFFSET_TSS_STACK,
    user_data = const local::USER_DATA,
    user_code = const local::USER_CODE,
    syscall_vector = const VECTOR_SYSCALL,
    registers_size = const size_of::<Registers>(),
    vector_offset = const core::mem::offset_of!(Registers, vector),
);

/// `traps.s` aligns each stub to this.
const STUB_SIZE: u64 = 16;

unsafe extern "C" {
    static trap_stubs: [[u8; to_usize(STUB_SIZE)]; 256];
    fn syscall_entry();
    static user_access_table: [u64; 2];
}

#[repr(C, align(4096))]
struct Table(UnsafeCell<[[u64; 2]; 256]>);

// SAFETY: filled by the boot CPU before any other runs, only read by CPUs afterwards.
unsafe impl Sync for Table {}

static TABLE: Table = Table(UnsafeCell::new([[0; 2]; 256]));

const STAR: u32 = 0xc000_0081;
const LSTAR: u32 = 0xc000_0082;
const SYSCALL_MASK: u32 = 0xc000_0084;
/// TF, IF, DF, IOPL, NT, RF, AC: what Linux clears as well.
const FLAGS_CLEARED: u64 = 0x100 | 0x200 | 0x400 | 0x3000 | 0x4000 | 0x1_0000 | 0x4_0000;

/// Fills the table; the boot CPU, once.
pub(crate) fn build_table() {
    let stubs = (&raw const trap_stubs) as u64;
    for vector in 0..256 {
        let stub = stubs + vector * STUB_SIZE;
        let stack = match vector {
            VECTOR_DOUBLE_FAULT => local::STACK_DOUBLE_FAULT,
            VECTOR_NMI => local::STACK_NMI,
            VECTOR_MACHINE_CHECK => local::STACK_MACHINE_CHECK,
            VECTOR_DEBUG => local::STACK_DEBUG,
            _ => 0,
        };
        // Breakpoint and overflow may be raised by programs with INT.
        let ring = if vector == 3 || vector == 4 { 3 } else { 0 };
        let low = (stub & 0xffff)
            | u64::from(local::KERNEL_CODE) << 16
            | u64::from(stack) << 32
            | 0x8e << 40
            | ring << 45
            | (stub >> 16 & 0xffff) << 48;
        // SAFETY: one CPU runs, and the table is not loaded yet.
        unsafe { (*TABLE.0.get())[to_usize(vector)] = [low, stub >> 32] };
    }
}

/// Loads the table and the SYSCALL registers on the running CPU.
pub(crate) fn load() {
    let base = VirtAddr::new_truncate(TABLE.0.get() as u64);
    // SAFETY: the table is complete (`build_table`) and static.
    unsafe { x86_64::instructions::tables::lidt(&DescriptorTablePointer { limit: 4095, base }) };
    let star = u64::from(local::KERNEL_CODE) << 32 | u64::from(local::USER_DATA - 8) << 48;
    for (register, value) in
        [(STAR, star), (LSTAR, syscall_entry as *const () as u64), (SYSCALL_MASK, FLAGS_CLEARED)]
    {
        // SAFETY: the documented SYSCALL registers, with our selectors and entry point.
        unsafe { Msr::new(register).write(value) };
    }
}

/// The address of the last page fault.
pub(crate) fn fault_address() -> u64 {
    let address;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, cr2", out(reg) address, options(nomem, nostack, preserves_flags)) };
    address
}

/// Everything that interrupts kernel code, but for the vectors with stacks of their own.
extern "C" fn kernel_trap(registers: &mut Registers) {
    match registers.vector {
        vector if vector >= EXCEPTIONS => {
            dispatch(vector);
            trap::after_kernel_interrupt(registers);
        }
        VECTOR_PAGE_FAULT => {
            let address = fault_address();
            if let Some(exit) = user_access_exit(registers.rip) {
                if !trap::resolve_user_fault(registers, address) {
                    registers.rip = exit;
                }
                return;
            }
            trap::fatal(registers, Some(address))
        }
        // A user access to a non-canonical address is a general protection fault, not a page fault.
        _ => match user_access_exit(registers.rip) {
            Some(exit) => registers.rip = exit,
            None => trap::fatal(registers, None),
        },
    }
}

/// NMI, machine check, double fault, from the kernel or from a program; debug from the kernel.
extern "C" fn paranoid_trap(registers: &mut Registers) {
    match registers.vector {
        VECTOR_NMI => smp::on_nmi(registers),
        // A program that sets TF around SYSCALL, or a MOV SS before it (CVE-2018-8897), lands here in kernel code. Stop
        // stepping and go on.
        VECTOR_DEBUG => registers.rflags &= !0x100,
        _ => trap::fatal(registers, None),
    }
}

/// Runs the handler of an interrupt, from either mode. Interrupts are off.
pub(crate) fn dispatch(vector: u64) {
    match u8::try_from(vector) {
        Ok(VECTOR_SPURIOUS) => {}
        // A line is held until its device was served: told earlier, the controller would send the interrupt again.
        Ok(vector @ VECTOR_DEVICES..VECTOR_DEVICES_END) => {
            trap::on_device(vector);
            super::apic::end_of_interrupt();
        }
        Ok(vector) => {
            super::apic::end_of_interrupt();
            match vector {
                VECTOR_TIMER => trap::on_timer(),
                VECTOR_RESCHEDULE => trap::on_reschedule(),
                VECTOR_SHOOTDOWN => crate::tlb::on_request(),
                device => trap::on_device(device),
            }
        }
        Err(_) => {}
    }
}

/// Where a faulting user access goes on, if `rip` is one.
fn user_access_exit(rip: u64) -> Option<u64> {
    let mut entry = &raw const user_access_table;
    loop {
        // SAFETY: the table in `traps.s` ends with a zero entry, which ends this walk.
        let [access, exit] = unsafe { entry.read() };
        if access == 0 {
            return None;
        }
        if access == rip {
            return Some(exit);
        }
        entry = entry.wrapping_add(1);
    }
}
