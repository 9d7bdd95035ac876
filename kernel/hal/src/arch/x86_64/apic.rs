//! The local APIC: this CPU's timer, its end-of-interrupt, interrupts to other CPUs.
//!
//! x2APIC (registers are MSRs) where the CPU has it, else the memory-mapped page. Each CPU touches only its own.
//! Spec: Intel SDM volume 3, chapter 10.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use logic::addr::PhysAddr;
use x86_64::registers::model_specific::Msr;

use super::cpu::{Feature, has};
use super::traps::{VECTOR_SPURIOUS, VECTOR_TIMER};
use crate::mmio::Mmio;

const APIC_BASE: u32 = 0x1b;
const BASE_ENABLE: u64 = 1 << 11;
const BASE_X2: u64 = 1 << 10;
const X2_FIRST: u32 = 0x800;
const TSC_DEADLINE: u32 = 0x6e0;

/// Registers, by their offset in the page.
#[derive(Clone, Copy)]
enum Register {
    Id = 0x20,
    EndOfInterrupt = 0xb0,
    Spurious = 0xf0,
    CommandLow = 0x300,
    CommandHigh = 0x310,
    Timer = 0x320,
    Lint0 = 0x350,
    Lint1 = 0x360,
    Error = 0x370,
    TimerInitial = 0x380,
    TimerCurrent = 0x390,
    TimerDivide = 0x3e0,
}

const MASKED: u32 = 1 << 16;
const MODE_NMI: u32 = 4 << 8;
const MODE_DEADLINE: u32 = 2 << 17;
const SOFTWARE_ENABLE: u32 = 1 << 8;
const DIVIDE_BY_16: u32 = 3;
const PENDING: u32 = 1 << 12;
const ASSERT: u32 = 1 << 14;
const MODE_INIT: u32 = 5 << 8;
const MODE_STARTUP: u32 = 6 << 8;
const ALL_BUT_SELF: u32 = 3 << 18;

static PAGE: AtomicU64 = AtomicU64::new(0);
static IS_X2: AtomicBool = AtomicBool::new(false);

fn read(register: Register) -> u32 {
    if IS_X2.load(Ordering::Relaxed) {
        // SAFETY: x2APIC is on, and this MSR is the register.
        let value = unsafe { Msr::new(X2_FIRST + (register as u32 >> 4)).read() };
        // The upper half of all but the command register, which nobody reads, is reserved.
        return u32::try_from(value & 0xffff_ffff).unwrap_or(0);
    }
    page(register).read()
}

fn write(register: Register, value: u32) {
    if IS_X2.load(Ordering::Relaxed) {
        // SAFETY: as in `read`; the values come from this file.
        return unsafe { Msr::new(X2_FIRST + (register as u32 >> 4)).write(u64::from(value)) };
    }
    page(register).write(value);
}

fn page(register: Register) -> Mmio<u32> {
    Mmio::at(PAGE.load(Ordering::Relaxed), register as u64)
}

/// Maps the registers; the boot CPU, before `init`.
///
/// # Errors
/// ENOMEM.
pub(crate) fn map() -> abi::Result<()> {
    // SAFETY: the architectural MSR.
    let base = unsafe { Msr::new(APIC_BASE).read() };
    if has(Feature::X2Apic) {
        IS_X2.store(true, Ordering::Relaxed);
        return Ok(());
    }
    let page = crate::mmio::map(PhysAddr::new(base & 0x000f_ffff_ffff_f000), 4096)?;
    PAGE.store(page, Ordering::Relaxed);
    Ok(())
}

/// Turns this CPU's APIC on with everything masked but NMI.
pub(crate) fn init() {
    let mut base = Msr::new(APIC_BASE);
    let mode = if IS_X2.load(Ordering::Relaxed) { BASE_ENABLE | BASE_X2 } else { BASE_ENABLE };
    // SAFETY: every CPU with an APIC has this register.
    let before = unsafe { base.read() };
    // SAFETY: sets the enable bits only; the address stays.
    unsafe { base.write(before | mode) };
    write(Register::Spurious, SOFTWARE_ENABLE | u32::from(VECTOR_SPURIOUS));
    write(Register::Lint0, MASKED);
    write(Register::Lint1, MODE_NMI);
    write(Register::Error, MASKED);
    write(Register::TimerDivide, DIVIDE_BY_16);
    let deadline = if has(Feature::TscDeadline) { MODE_DEADLINE } else { 0 };
    write(Register::Timer, u32::from(VECTOR_TIMER) | deadline);
}

/// This CPU's APIC number.
pub(crate) fn id() -> u32 {
    let raw = read(Register::Id);
    if IS_X2.load(Ordering::Relaxed) { raw } else { raw >> 24 }
}

/// Tells the APIC that the interrupt was handled.
pub(crate) fn end_of_interrupt() {
    write(Register::EndOfInterrupt, 0);
}

/// Lets the timer fire after `ticks`; 0 stops it.
pub(crate) fn arm_ticks(ticks: u32) {
    write(Register::TimerInitial, ticks);
}

/// Lets the timer fire when the cycle counter reaches `deadline`; 0 stops it.
pub(crate) fn arm_deadline(deadline: u64) {
    // SAFETY: used only where CPUID offers the deadline mode that `init` then set.
    unsafe { Msr::new(TSC_DEADLINE).write(deadline) };
}

/// Ticks left; for calibration.
pub(crate) fn ticks_left() -> u32 {
    read(Register::TimerCurrent)
}

fn command(target: u32, low: u32) {
    if IS_X2.load(Ordering::Relaxed) {
        let value = u64::from(target) << 32 | u64::from(low);
        // SAFETY: x2APIC is on; the command register is one 64-bit MSR there.
        return unsafe { Msr::new(X2_FIRST + (Register::CommandLow as u32 >> 4)).write(value) };
    }
    // The two halves must not be torn by an interrupt handler that sends one too.
    crate::cpu::without_interrupts(|| {
        while read(Register::CommandLow) & PENDING != 0 {
            super::cpu::relax();
        }
        write(Register::CommandHigh, target << 24);
        write(Register::CommandLow, low);
    });
}

/// Interrupts another CPU.
pub(crate) fn send(target: u32, vector: u8) {
    command(target, ASSERT | u32::from(vector));
}

/// Sends an NMI to one other CPU.
pub(crate) fn send_nmi(target: u32) {
    command(target, ASSERT | MODE_NMI);
}

/// Sends an NMI to every other CPU: for panics.
pub(crate) fn send_nmi_to_others() {
    command(0, ASSERT | ALL_BUT_SELF | MODE_NMI);
}

/// Resets another CPU so that it waits for `send_startup`.
pub(crate) fn send_init(target: u32) {
    command(target, ASSERT | MODE_INIT);
}

/// Starts another CPU in real mode at page `page`.
pub(crate) fn send_startup(target: u32, page: u8) {
    command(target, ASSERT | MODE_STARTUP | u32::from(page));
}
