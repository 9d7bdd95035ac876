//! Control registers, PAT and interrupt controllers, as PROTOCOL.md, "Machine State at Entry", wants them.
//!
//! The firmware's identity mapping is still in use whenever these run.

use alloc::vec::Vec;
use core::arch::asm;
use core::arch::x86_64::__cpuid;

use loader::acpi;
use loader::error::LoadError;

const CR4_FIVE_LEVELS: u64 = 1 << 12;
const MSR_EFER: u32 = 0xc000_0080;
const EFER_NO_EXECUTE: u64 = 1 << 11;
const MSR_PAT: u32 = 0x277;
/// Entries 0 to 7: WB, WT, UC-, UC, WP, WC, and the firmware's usual UC- and UC for the two left open.
const PAT_LAYOUT: u64 = 0x0007_0105_0007_0406;
const CPUID_PAT: u32 = 1 << 16;

const PIC_DATA_PORTS: [u16; 2] = [0x21, 0xa1];

const IO_APIC_VERSION: u32 = 1;
const IO_APIC_FIRST_ENTRY: u32 = 0x10;
const ENTRY_MASKED: u32 = 1 << 16;
const ENTRY_DELIVERY_MODE: u32 = 7 << 8;
const LOWEST_PRIORITY: u32 = 1 << 8;

/// Refuses machines whose state this loader cannot turn into the protocol's.
pub(super) fn check() -> Result<(), LoadError> {
    let cr4: u64;
    // SAFETY: reading CR4 in ring 0, where UEFI programs run, has no effect.
    unsafe { asm!("mov {}, cr4", out(reg) cr4, options(nomem, nostack, preserves_flags)) };
    if cr4 & CR4_FIVE_LEVELS == 0 { Ok(()) } else { Err(LoadError::FiveLevelFirmware) }
}

/// Addresses of the I/O APICs, by the tables behind the ACPI root pointer.
pub(super) fn io_apics(rsdp: Option<u64>) -> Vec<u64> {
    rsdp.map(|rsdp| acpi::io_apics(&IdentityMapped, rsdp)).unwrap_or_default()
}

struct IdentityMapped;

impl acpi::Memory for IdentityMapped {
    fn read(&self, address: u64, len: usize) -> Option<Vec<u8>> {
        if address == 0 {
            return None;
        }
        let start = address as *const u8;
        // SAFETY: the addresses come from the firmware's own ACPI tables, which it keeps mapped at their physical
        // addresses until the kernel takes over; lengths are bounded by `acpi::io_apics`. Nobody writes there.
        Some(unsafe { core::slice::from_raw_parts(start, len) }.to_vec())
    }
}

/// After boot services: interrupts off and masked at every controller, PAT and no-execute as the protocol wants.
pub(super) fn prepare(io_apics: &[u64]) {
    // SAFETY: the firmware needs no interrupts any more, since its boot services are gone.
    unsafe { asm!("cli", options(nomem, nostack)) };
    for port in PIC_DATA_PORTS {
        mask_pic(port);
    }
    for &address in io_apics {
        mask_io_apic(address);
    }
    // SAFETY: every x86-64 CPU has EFER.
    let efer = unsafe { read_msr(MSR_EFER) };
    // SAFETY: and no-execute with it; the bit changes nothing for tables that do not use it.
    unsafe { write_msr(MSR_EFER, efer | EFER_NO_EXECUTE) };
    if __cpuid(1).edx & CPUID_PAT != 0 {
        // SAFETY: the CPU has a PAT (just checked). Entries 0 to 3, the only ones that the firmware's tables use,
        // keep the meaning that they have had since reset.
        unsafe { write_msr(MSR_PAT, PAT_LAYOUT) };
    }
}

/// Stops for good.
pub(super) fn halt() -> ! {
    loop {
        // SAFETY: halting with interrupts off touches nothing.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}

fn mask_pic(port: u16) {
    // SAFETY: this is the mask register of a legacy interrupt controller; where there is none nobody listens.
    unsafe { asm!("out dx, al", in("dx") port, in("al") 0xff_u8, options(nomem, nostack, preserves_flags)) };
}

/// Masks the inputs that deliver ordinary interrupts and leaves the others as the firmware set them.
fn mask_io_apic(address: u64) {
    let last = (io_apic_read(address, IO_APIC_VERSION) >> 16) & 0xff;
    for index in 0..=last {
        let register = IO_APIC_FIRST_ENTRY + 2 * index;
        let entry = io_apic_read(address, register);
        if entry & ENTRY_DELIVERY_MODE <= LOWEST_PRIORITY {
            io_apic_select(address, register);
            let window = (address + 0x10) as *mut u32;
            // SAFETY: as in `io_apic_select`.
            unsafe { window.write_volatile(entry | ENTRY_MASKED) };
        }
    }
}

fn io_apic_read(address: u64, register: u32) -> u32 {
    io_apic_select(address, register);
    let window = (address + 0x10) as *const u32;
    // SAFETY: as in `io_apic_select`.
    unsafe { window.read_volatile() }
}

fn io_apic_select(address: u64, register: u32) {
    let select = address as *mut u32;
    // SAFETY: the MADT lists an I/O APIC at this address, and the firmware maps devices at their addresses.
    unsafe { select.write_volatile(register) };
}

/// # Safety
/// The CPU must have this register.
unsafe fn read_msr(register: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: ring 0, and the caller vouches for the register.
    unsafe {
        asm!("rdmsr", in("ecx") register, out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// # Safety
/// The CPU must have this register, and running code must not depend on what the value changes.
unsafe fn write_msr(register: u32, value: u64) {
    let [low, high] = [value & 0xffff_ffff, value >> 32];
    // SAFETY: ring 0, and the caller vouches for register and value.
    unsafe {
        asm!("wrmsr", in("ecx") register, in("rax") low, in("rdx") high, options(nostack, preserves_flags))
    };
}
