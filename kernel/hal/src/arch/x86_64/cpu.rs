//! This CPU's registers: interrupts, features, protections, randomness.
//!
//! Spec: Intel SDM volume 3, chapter 2 (control registers), volume 1, section 20 (CPUID).

use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count, _rdtsc};
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::vdso::CpuNumber;
use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags, Efer, EferFlags};
use x86_64::registers::model_specific::Msr;

use super::local;

/// Whether interrupts were on, as `irq_off` found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterruptState(bool);

impl InterruptState {
    /// Whether they were on.
    pub fn were_on(self) -> bool {
        self.0
    }
}

const RFLAGS_IF: u64 = 1 << 9;

/// Turns interrupts off; says whether they were on.
#[inline(always)]
pub fn irq_off() -> InterruptState {
    let state = InterruptState(irqs_enabled());
    // SAFETY: only delays interrupts; every caller pairs it with `irq_restore`.
    unsafe { asm!("cli", options(nomem, nostack)) };
    state
}

/// Whether interrupts are on.
#[inline(always)]
pub fn irqs_enabled() -> bool {
    let flags: u64;
    // SAFETY: reads RFLAGS through the stack.
    unsafe { asm!("pushfq", "pop {}", out(reg) flags, options(nomem, preserves_flags)) };
    flags & RFLAGS_IF != 0
}

/// Puts interrupts back to what `irq_off` found.
#[inline(always)]
pub fn irq_restore(state: InterruptState) {
    if state.0 {
        irq_on();
    }
}

/// Turns interrupts on.
#[inline(always)]
pub fn irq_on() {
    // SAFETY: handlers exist before boot turns interrupts on for the first time; no lock guard is alive (guards turn
    // them on themselves, when the last is dropped).
    unsafe { asm!("sti", options(nomem, nostack)) };
}

/// Sleeps until an interrupt comes, with interrupts on; returns with interrupts off. Call with interrupts off: STI
/// takes effect after the next instruction, so no interrupt slips in before HLT (SDM volume 2, STI).
pub fn wait_for_interrupt() {
    // SAFETY: as for `irq_on`; the idle loop holds no lock.
    unsafe { asm!("sti", "hlt", "cli", options(nomem, nostack)) };
}

/// A hint that this is a spin loop.
#[inline(always)]
pub fn relax() {
    core::hint::spin_loop();
}

/// Stops this CPU for good.
pub(crate) fn halt_forever() -> ! {
    loop {
        // SAFETY: with interrupts off only an NMI wakes the CPU, and then it halts again.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}

/// Number of the running CPU.
#[inline(always)]
pub(crate) fn id() -> usize {
    local::id()
}

/// Cycles since reset.
#[inline(always)]
pub(crate) fn timestamp() -> u64 {
    // SAFETY: every x86-64 CPU has RDTSC, and CR4.TSD is clear.
    unsafe { _rdtsc() }
}

/// What the boot CPU can do; all CPUs of a machine are taken to be alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feature {
    Smep,
    Smap,
    Umip,
    X2Apic,
    TscDeadline,
    Xsave,
    RdRand,
    InvariantTsc,
    Pcid,
    Rdtscp,
    Rdpid,
}

const FEATURES: [(Feature, &str); 11] = [
    (Feature::Smep, "smep"),
    (Feature::Smap, "smap"),
    (Feature::Umip, "umip"),
    (Feature::X2Apic, "x2apic"),
    (Feature::TscDeadline, "tsc-deadline"),
    (Feature::Xsave, "xsave"),
    (Feature::RdRand, "rdrand"),
    (Feature::InvariantTsc, "invariant-tsc"),
    (Feature::Pcid, "pcid"),
    (Feature::Rdtscp, "rdtscp"),
    (Feature::Rdpid, "rdpid"),
];

static PRESENT: AtomicU64 = AtomicU64::new(0);

/// Whether the CPU has `feature`.
#[inline(always)]
pub(crate) fn has(feature: Feature) -> bool {
    PRESENT.load(Ordering::Relaxed) & 1 << feature as u64 != 0
}

/// EDX of CPUID leaf 1.
pub(crate) fn feature_word() -> u64 {
    u64::from(__cpuid(1).edx)
}

fn detect() -> u64 {
    let basic = __cpuid(1);
    let max = __cpuid(0).eax;
    let structured = if max >= 7 { __cpuid_count(7, 0) } else { __cpuid(0x8000_0000) };
    let structured_valid = max >= 7;
    let power = if __cpuid(0x8000_0000).eax >= 0x8000_0007 { __cpuid(0x8000_0007).edx } else { 0 };
    let extended = if __cpuid(0x8000_0000).eax >= 0x8000_0001 { __cpuid(0x8000_0001).edx } else { 0 };
    let mut found = 0;
    let mut note = |feature: Feature, present: bool| found |= u64::from(present) << feature as u64;
    note(Feature::Smep, structured_valid && structured.ebx & 1 << 7 != 0);
    note(Feature::Smap, structured_valid && structured.ebx & 1 << 20 != 0);
    note(Feature::Umip, structured_valid && structured.ecx & 1 << 2 != 0);
    note(Feature::Pcid, basic.ecx & 1 << 17 != 0);
    note(Feature::X2Apic, basic.ecx & 1 << 21 != 0);
    note(Feature::TscDeadline, basic.ecx & 1 << 24 != 0);
    note(Feature::Xsave, basic.ecx & 1 << 26 != 0);
    note(Feature::RdRand, basic.ecx & 1 << 30 != 0);
    note(Feature::InvariantTsc, power & 1 << 8 != 0);
    note(Feature::Rdtscp, extended & 1 << 27 != 0);
    note(Feature::Rdpid, structured_valid && structured.ecx & 1 << 22 != 0);
    found
}

/// Turns on what protects the kernel from programs and from itself. Every CPU calls it once, first thing.
pub(crate) fn enable_protections() {
    PRESENT.store(detect(), Ordering::Relaxed);
    let mut cr4 = Cr4::read() | Cr4Flags::PAGE_GLOBAL | Cr4Flags::OSFXSR | Cr4Flags::OSXMMEXCPT_ENABLE;
    for (feature, flag) in [
        (Feature::Smep, Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION),
        (Feature::Smap, Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION),
        (Feature::Umip, Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION),
        (Feature::Xsave, Cr4Flags::OSXSAVE),
    ] {
        if has(feature) {
            cr4 |= flag;
        }
    }
    // SAFETY: each bit is set only if CPUID offers it, none changes how present mappings translate, and the kernel
    // touches user pages only between STAC and CLAC.
    unsafe { Cr4::write(cr4) };
    let cr0 = Cr0::read() - Cr0Flags::EMULATE_COPROCESSOR - Cr0Flags::TASK_SWITCHED;
    // SAFETY: write protection and FPU errors as exceptions; the kernel itself uses no FPU.
    unsafe {
        Cr0::write(cr0 | Cr0Flags::WRITE_PROTECT | Cr0Flags::MONITOR_COPROCESSOR | Cr0Flags::NUMERIC_ERROR)
    };
    let efer = Efer::read() | EferFlags::SYSTEM_CALL_EXTENSIONS | EferFlags::NO_EXECUTE_ENABLE;
    // SAFETY: entry code checked for long mode with NX; SYSCALL comes with long mode.
    unsafe { Efer::write(efer) };
    // SAFETY: no mapping uses entry 1 before this, on this CPU or, while it starts, on another; all the others keep the
    // meaning they have after reset, so nothing that is mapped changes its kind (SDM volume 3, 12.12.4).
    unsafe { Msr::new(PAGE_ATTRIBUTES).write(ATTRIBUTES) };
}

/// The page attribute table, and what it says: write-back, write-combining instead of write-through, uncached-minus,
/// uncached; twice.
const PAGE_ATTRIBUTES: u32 = 0x277;
const ATTRIBUTES: u64 = 0x0007_0106_0007_0106;

/// Where programs find the number of their CPU: what [`announce_number`] did.
pub(crate) fn number_source() -> CpuNumber {
    if has(Feature::Rdpid) {
        CpuNumber::Rdpid
    } else if has(Feature::Rdtscp) {
        CpuNumber::Rdtscp
    } else {
        CpuNumber::SystemCall
    }
}

/// Puts this CPU's number where RDTSCP and RDPID let programs read it: node 0 above it, as Linux lays it out. Every CPU
/// calls it once, when it has its record.
pub(crate) fn announce_number() {
    const TSC_AUX: u32 = 0xc000_0103;
    if number_source() != CpuNumber::SystemCall {
        // SAFETY: either feature brings the register (SDM volume 3, 17.17.2), which nothing but those instructions reads.
        unsafe { Msr::new(TSC_AUX).write(id() as u64) };
    }
}

/// A number nobody can guess, as far as the CPU helps: RDRAND if present, the cycle counter in any case.
/// Mixed by SplitMix64's finaliser, so that every bit of the result depends on every bit of the input.
pub fn entropy() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let mut value = LAST.load(Ordering::Relaxed) ^ timestamp();
    if has(Feature::RdRand) {
        value ^= hardware_random().unwrap_or(0);
    }
    value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^= value >> 31;
    LAST.store(value, Ordering::Relaxed);
    value
}

fn hardware_random() -> Option<u64> {
    // Ten tries, as the SDM (volume 1, 7.3.17) advises.
    for _ in 0..10 {
        let (value, done): (u64, u8);
        // SAFETY: the caller checked CPUID for RDRAND.
        unsafe { asm!("rdrand {}", "setc {}", out(reg) value, out(reg_byte) done, options(nomem, nostack)) };
        if done != 0 {
            return Some(value);
        }
    }
    None
}

/// The CPU's brand and the features in use.
pub(crate) fn summary() -> impl fmt::Display {
    Summary
}

struct Summary;

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut brand = [0u8; 48];
        if __cpuid(0x8000_0000).eax >= 0x8000_0004 {
            for (leaf, part) in (0x8000_0002..).zip(brand.chunks_exact_mut(16)) {
                let id = __cpuid(leaf);
                for (word, bytes) in [id.eax, id.ebx, id.ecx, id.edx].iter().zip(part.chunks_exact_mut(4)) {
                    bytes.copy_from_slice(&word.to_le_bytes());
                }
            }
        }
        let end = brand.iter().position(|&byte| byte == 0).unwrap_or(brand.len());
        f.write_str(core::str::from_utf8(&brand[..end]).unwrap_or("unknown CPU").trim())?;
        f.write_str(";")?;
        for (feature, name) in FEATURES {
            if has(feature) {
                write!(f, " {name}")?;
            }
        }
        Ok(())
    }
}
