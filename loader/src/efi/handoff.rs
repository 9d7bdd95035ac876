//! The jump from the firmware's address space to the kernel's.
//!
//! PROTOCOL.md, "Machine State at Entry": selectors, GDT, stack, flags and zeroed registers.

use core::arch::naked_asm;

use loader::arena::{Arena, ArenaFull};
use loader::memory_map::{Kind, Region};

/// Null, 16-bit code and data, 32-bit code and data, 64-bit code (0x28) and data (0x30).
const GDT: [u64; 7] = [
    0,
    0x0000_9b00_0000_ffff,
    0x0000_9300_0000_ffff,
    0x00cf_9b00_0000_ffff,
    0x00cf_9300_0000_ffff,
    0x00af_9b00_0000_ffff,
    0x00af_9300_0000_ffff,
];

/// More than [`switch`] is long.
const SWITCH_SIZE: u64 = 256;

/// Where to jump to.
#[repr(C)]
pub(super) struct Target {
    /// Physical address of the root page table.
    pub(super) root: u64,
    /// Address, in the new tables, of the operand of LGDT.
    pub(super) gdt: u64,
    /// Address, in the new tables, of the end of the stack.
    pub(super) stack_top: u64,
    /// The kernel's entry point.
    pub(super) entry: u64,
}

/// The pages that must be mapped executable at their own address in the new tables.
pub(super) fn pages() -> Region {
    let start = switch as *const () as u64;
    Region::covering(start, SWITCH_SIZE, Kind::BootloaderReclaimable)
}

/// Stores the segment descriptors and returns the address of the operand of LGDT.
pub(super) fn put_gdt(arena: &mut Arena<'_>) -> Result<u64, ArenaFull> {
    let table = arena.put_words(&GDT)?;
    let mut operand = [0; 10];
    let limit: u16 = 8 * 7 - 1;
    operand[..2].copy_from_slice(&limit.to_le_bytes());
    operand[2..].copy_from_slice(&table.to_le_bytes());
    arena.put(&operand)
}

/// Leaves the firmware's world for the kernel's.
pub(super) fn jump(target: &Target) -> ! {
    // SAFETY: boot services are gone and interrupts off (`machine::prepare`). The tables behind `root` map the
    // pages of `switch` at their own address (`pages`), the descriptors and the stack through the direct map, and
    // the entry point in an executable segment (checked by `elf::plan`).
    unsafe { switch(target) }
}

/// Loads everything from the target first, because its memory may not be mapped in the new tables.
///
/// # Safety
/// See [`jump`], the only caller.
#[unsafe(naked)]
unsafe extern "sysv64" fn switch(target: *const Target) -> ! {
    naked_asm!(
        "mov rax, [rdi]",
        "mov rbx, [rdi + 8]",
        "mov rcx, [rdi + 16]",
        "mov rdx, [rdi + 24]",
        "mov cr3, rax",
        "lgdt [rbx]",
        "mov rsp, rcx",
        // Write protection also in ring 0, or read-only segments would not be.
        "mov rax, cr0",
        "bts rax, 16",
        "mov cr0, rax",
        "push 0x28",
        "lea rax, [rip + 2f]",
        "push rax",
        "retfq",
        "2:",
        "mov eax, 0x30",
        "mov ds, eax",
        "mov es, eax",
        "mov fs, eax",
        "mov gs, eax",
        "mov ss, eax",
        // The return address that the kernel must never use, then the address to go to now.
        "push 0",
        "push rdx",
        "push 2",
        "popfq",
        "xor eax, eax",
        "xor ebx, ebx",
        "xor ecx, ecx",
        "xor edx, edx",
        "xor esi, esi",
        "xor edi, edi",
        "xor ebp, ebp",
        "xor r8d, r8d",
        "xor r9d, r9d",
        "xor r10d, r10d",
        "xor r11d, r11d",
        "xor r12d, r12d",
        "xor r13d, r13d",
        "xor r14d, r14d",
        "xor r15d, r15d",
        "ret",
    )
}
