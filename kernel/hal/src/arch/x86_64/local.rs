//! What belongs to one CPU: found through GS, laid out for the entry code.
//!
//! The boot CPU's record is static; the others' are allocated before they start. Only its own CPU touches a record,
//! with interrupts off, apart from the fields that `percpu::Shared` holds (atomics).
//! Selectors are Linux's, because programs see CS and SS in signal frames and `ptrace`.

use core::arch::asm;
use core::cell::UnsafeCell;
use core::mem::offset_of;
use core::sync::atomic::{AtomicPtr, Ordering};

use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, SS, Segment};
use x86_64::instructions::tables::load_tss;
use x86_64::registers::model_specific::Msr;
use x86_64::structures::DescriptorTablePointer;
use x86_64::structures::gdt::SegmentSelector;
use x86_64::structures::tss::TaskStateSegment;

use crate::cpu::MAX_CPUS;
use crate::percpu::CpuData;
use crate::vmap::KernelStack;

/// Kernel code segment.
pub(crate) const KERNEL_CODE: u16 = 0x10;
/// Kernel stack segment.
pub(crate) const KERNEL_DATA: u16 = 0x18;
/// User stack segment, ring 3.
pub(crate) const USER_DATA: u16 = 0x2b;
/// User code segment, ring 3.
pub(crate) const USER_CODE: u16 = 0x33;
const TASK_STATE: u16 = 0x40;

/// Interrupt stacks by vector: double fault, NMI, machine check, debug. Each must work when the current stack, or
/// what is known about it, cannot be trusted.
pub(super) const STACK_DOUBLE_FAULT: u8 = 1;
pub(super) const STACK_NMI: u8 = 2;
pub(super) const STACK_MACHINE_CHECK: u8 = 3;
pub(super) const STACK_DEBUG: u8 = 4;
const INTERRUPT_STACKS: usize = 4;

const GS_BASE: u32 = 0xc000_0101;
const KERNEL_GS_BASE: u32 = 0xc000_0102;

/// One CPU's record.
#[repr(C, align(64))]
pub(crate) struct Local {
    this: *const Local,
    /// The user stack pointer between SYSCALL and the switch to a kernel stack.
    user_stack: u64,
    /// Kernel stack of the `UserContext::run` in progress.
    kernel_stack: u64,
    /// End of the registers that `run` was called with: entry code pushes there.
    user_registers_end: u64,
    number: usize,
    pub(crate) apic_id: u32,
    gdt: [u64; 10],
    tss: TaskStateSegment,
    stacks: [Option<KernelStack>; INTERRUPT_STACKS],
    pub(crate) data: CpuData,
}

/// Offsets that entry code uses with GS.
pub(super) const OFFSET_THIS: usize = offset_of!(Local, this);
pub(super) const OFFSET_USER_STACK: usize = offset_of!(Local, user_stack);
pub(super) const OFFSET_KERNEL_STACK: usize = offset_of!(Local, kernel_stack);
pub(super) const OFFSET_USER_REGISTERS_END: usize = offset_of!(Local, user_registers_end);
pub(super) const OFFSET_TSS_STACK: usize =
    offset_of!(Local, tss) + offset_of!(TaskStateSegment, privilege_stack_table);
const OFFSET_NUMBER: usize = offset_of!(Local, number);

impl Local {
    /// A record for CPU `number`.
    pub(crate) const fn new(number: usize, apic_id: u32) -> Self {
        Local {
            this: core::ptr::null(),
            user_stack: 0,
            kernel_stack: 0,
            user_registers_end: 0,
            number,
            apic_id,
            // Null, 32-bit kernel code (unused), kernel code, kernel data, 32-bit user code, user data, user code,
            // unused, task state (two words, filled in by `load`).
            gdt: [
                0,
                0,
                0x00af_9b00_0000_ffff,
                0x00cf_9300_0000_ffff,
                0x00cf_fb00_0000_ffff,
                0x00cf_f300_0000_ffff,
                0x00af_fb00_0000_ffff,
                0,
                0,
                0,
            ],
            tss: TaskStateSegment::new(),
            stacks: [const { None }; INTERRUPT_STACKS],
            data: CpuData::new(),
        }
    }

    /// Gives the CPU its interrupt stacks. Before `load`.
    pub(crate) fn allocate_stacks(&mut self) -> abi::Result<()> {
        for (index, slot) in self.stacks.iter_mut().enumerate() {
            let stack = KernelStack::new()?;
            self.tss.interrupt_stack_table[index] = VirtAddr::new_truncate(stack.top().get());
            *slot = Some(stack);
        }
        Ok(())
    }
}

/// Boxed in a cell because the entry code writes some fields behind Rust's back.
struct BootLocal(UnsafeCell<Local>);

// SAFETY: only the boot CPU uses it, found through its own GS.
unsafe impl Sync for BootLocal {}

static BOOT: BootLocal = BootLocal(UnsafeCell::new(Local::new(0, 0)));
static ALL: [AtomicPtr<Local>; MAX_CPUS] = [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_CPUS];

/// Makes GS point at the boot CPU's record; before any lock is taken.
pub(crate) fn init_boot() {
    install(BOOT.0.get());
}

/// Makes `local` the running CPU's record.
pub(super) fn install(local: *mut Local) {
    // SAFETY: `local` is the static record or one leaked for this CPU; nobody else uses it yet.
    let record = unsafe { &mut *local };
    record.this = local;
    let number = record.number;
    // SAFETY: GS is the kernel's to use; entry code swaps it with the user's.
    unsafe { Msr::new(GS_BASE).write(local.expose_provenance() as u64) };
    // SAFETY: as above; the user's GS base until the first program sets one.
    unsafe { Msr::new(KERNEL_GS_BASE).write(0) };
    ALL[number].store(local, Ordering::Release);
}

/// The running CPU's record.
pub(crate) fn current() -> *mut Local {
    let this: *mut Local;
    // SAFETY: GS points at the record since `install`, whose first field is its own address.
    unsafe {
        asm!("mov {}, gs:[{}]", out(reg) this, const OFFSET_THIS, options(nomem, nostack, preserves_flags, pure))
    };
    this
}

/// CPU `number`'s shared data, once it is up.
pub(crate) fn data_of(number: usize) -> Option<&'static CpuData> {
    let local = ALL.get(number)?.load(Ordering::Acquire);
    // SAFETY: records are never freed; `CpuData` has interior mutability only.
    (!local.is_null()).then(|| unsafe { &(*local).data })
}

/// The APIC id of CPU `number`.
pub(crate) fn apic_id_of(number: usize) -> Option<u32> {
    let local = ALL.get(number)?.load(Ordering::Acquire);
    // SAFETY: as in `data_of`; the id does not change after the CPU started.
    (!local.is_null()).then(|| unsafe { (*local).apic_id })
}

/// Notes the boot CPU's APIC id, once the APIC is known.
pub(crate) fn set_apic_id(apic_id: u32) {
    // SAFETY: the running CPU's own record, at boot.
    unsafe { (*current()).apic_id = apic_id };
}

/// Number of the running CPU.
#[inline(always)]
pub(crate) fn id() -> usize {
    let number: usize;
    // SAFETY: as in `current`. Not `pure`: the thread may have moved since the last call.
    unsafe {
        asm!("mov {}, gs:[{}]", out(reg) number, const OFFSET_NUMBER, options(nomem, nostack, preserves_flags))
    };
    number
}

/// Loads this CPU's GDT and TSS. After `allocate_stacks`.
pub(crate) fn load_tables() {
    let local = current();
    // SAFETY: the record is this CPU's own.
    let tss = unsafe { &raw const (*local).tss } as u64;
    let limit = (size_of::<TaskStateSegment>() - 1) as u64;
    let low = limit | (tss & 0xff_ffff) << 16 | 0x89 << 40 | (tss >> 24 & 0xff) << 56;
    // The descriptor of an available 64-bit TSS (SDM volume 3, figure 8-4).
    // SAFETY: the record is this CPU's own.
    let gdt = unsafe { &mut (*local).gdt };
    (gdt[8], gdt[9]) = (low, tss >> 32);
    let base = VirtAddr::from_ptr(gdt);
    // SAFETY: the table is complete and lives for ever.
    unsafe { x86_64::instructions::tables::lgdt(&DescriptorTablePointer { limit: 79, base }) };
    // SAFETY: the selector of kernel code in the table just loaded.
    unsafe { CS::set_reg(SegmentSelector(KERNEL_CODE)) };
    // SAFETY: the selector of the kernel's stack in that table.
    unsafe { SS::set_reg(SegmentSelector(KERNEL_DATA)) };
    // SAFETY: the selector of the TSS whose descriptor was just written, which is marked available.
    unsafe { load_tss(SegmentSelector(TASK_STATE)) };
}
