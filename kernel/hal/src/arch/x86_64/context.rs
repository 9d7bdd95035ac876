//! Kernel contexts and user mode: FPU state, and the way into ring 3. Stack switches are in `stacks`.

use core::arch::x86_64::{__cpuid_count, _fxrstor64, _fxsave64, _xrstor64, _xsave64};
use core::sync::atomic::{AtomicUsize, Ordering};

use x86_64::registers::model_specific::Msr;

use super::cpu::{Feature, has};
pub(crate) use super::stacks::{prepare_stack, switch};
use crate::trap::Registers;

unsafe extern "C" {
    fn run_user(registers: *mut Registers);
}

const FS_BASE: u32 = 0xc000_0100;
const KERNEL_GS_BASE: u32 = 0xc000_0102;

/// Runs user code until it traps. Interrupts must be off; they are off on return.
pub(crate) fn enter_user(registers: &mut Registers) {
    debug_assert!(core::ptr::from_ref(registers).is_aligned(), "the CPU would push beside the registers");
    // SAFETY: the registers hold user selectors, a canonical RIP and harmless flags (`UserContext::run` set them).
    unsafe { run_user(registers) }
}

/// Sets the user's FS and GS bases, which must lie in the user half.
pub(crate) fn load_bases(fs: u64, gs: u64) {
    // SAFETY: bases of segments only user code uses (the user's GS is swapped out while in the kernel); canonical.
    unsafe { Msr::new(FS_BASE).write(fs) };
    // SAFETY: as above.
    unsafe { Msr::new(KERNEL_GS_BASE).write(gs) };
}

/// Bytes of the FPU area; 64-byte aligned.
static FPU_SIZE: AtomicUsize = AtomicUsize::new(512);
const FPU_LEGACY_SIZE: usize = 512;
/// x87, SSE, AVX, AVX-512 state: what user programs may own.
const FPU_WANTED: u64 = 0b1110_0111;

/// Turns on what XSAVE offers. Every CPU.
pub(crate) fn init_fpu() {
    if !has(Feature::Xsave) {
        return;
    }
    let offered = __cpuid_count(0xd, 0);
    let mask = (u64::from(offered.edx) << 32 | u64::from(offered.eax)) & FPU_WANTED;
    // SAFETY: CR4.OSXSAVE is set (`enable_protections`) and CPUID offers these bits; x87 is always among them.
    unsafe { core::arch::asm!("xsetbv", in("ecx") 0, in("eax") mask as u32, in("edx") (mask >> 32) as u32) };
    // Asked again: EBX is the size for what XCR0 now enables.
    let size = __cpuid_count(0xd, 0).ebx as usize;
    FPU_SIZE.store(size.max(FPU_LEGACY_SIZE + 64), Ordering::Relaxed);
}

/// Bytes that `save_fpu` writes.
pub(crate) fn fpu_size() -> usize {
    FPU_SIZE.load(Ordering::Relaxed)
}

/// Saves the FPU of the running thread.
///
/// # Safety
/// `area` must be 64-byte aligned and `fpu_size` bytes long.
pub(crate) unsafe fn save_fpu(area: *mut u8) {
    if has(Feature::Xsave) {
        // SAFETY: the caller's promise; the kernel is built without SSE, so the registers are still the user's.
        unsafe { xsave(area) }
    } else {
        // SAFETY: as above.
        unsafe { fxsave(area) }
    }
}

/// Loads the FPU of the thread about to run.
///
/// # Safety
/// As `save_fpu`; the area must hold what `save_fpu` or `fresh_fpu` left.
pub(crate) unsafe fn restore_fpu(area: *const u8) {
    if has(Feature::Xsave) {
        // SAFETY: the caller's promise.
        unsafe { xrstor(area) }
    } else {
        // SAFETY: as above.
        unsafe { fxrstor(area) }
    }
}

/// What `SignalFrame`s say about FPU state: the bits of XCR0, 0 where there is no XSAVE.
pub(crate) fn fpu_features() -> u64 {
    if !has(Feature::Xsave) {
        return 0;
    }
    let offered = __cpuid_count(0xd, 0);
    (u64::from(offered.edx) << 32 | u64::from(offered.eax)) & FPU_WANTED
}

/// Makes FPU state that a program wrote fit to be loaded: reserved bits, which would fault, are cleared.
pub(crate) fn sanitise_fpu(area: &mut [u8]) {
    const MXCSR_DEFINED: u32 = 0xffff;
    if let Some(mxcsr) = area.get_mut(24..28) {
        let value = u32::from_le_bytes([mxcsr[0], mxcsr[1], mxcsr[2], mxcsr[3]]) & MXCSR_DEFINED;
        mxcsr.copy_from_slice(&value.to_le_bytes());
    }
    // The header of XSAVE (SDM volume 1, 13.4.2): which parts are valid, in the standard form, the rest zero.
    if let Some(header) = area.get_mut(FPU_LEGACY_SIZE..FPU_LEGACY_SIZE + 64) {
        let mut valid = [0; 8];
        valid.copy_from_slice(&header[..8]);
        let valid = u64::from_le_bytes(valid) & fpu_features();
        header.fill(0);
        header[..8].copy_from_slice(&valid.to_le_bytes());
    }
}

/// Fills an FPU area with what a new program expects: all exceptions masked, 64-bit precision.
pub(crate) fn fresh_fpu(area: &mut [u8]) {
    const CONTROL_WORD: u16 = 0x37f;
    const MXCSR: u32 = 0x1f80;
    area.fill(0);
    area[0..2].copy_from_slice(&CONTROL_WORD.to_le_bytes());
    area[24..28].copy_from_slice(&MXCSR.to_le_bytes());
}

#[target_feature(enable = "xsave")]
unsafe fn xsave(area: *mut u8) {
    // SAFETY: the caller checked CPUID and the area.
    unsafe { _xsave64(area, FPU_WANTED) }
}

#[target_feature(enable = "xsave")]
unsafe fn xrstor(area: *const u8) {
    // SAFETY: as above.
    unsafe { _xrstor64(area, FPU_WANTED) }
}

#[target_feature(enable = "fxsr")]
unsafe fn fxsave(area: *mut u8) {
    // SAFETY: FXSR is part of x86-64; the area was checked by the caller.
    unsafe { _fxsave64(area) }
}

#[target_feature(enable = "fxsr")]
unsafe fn fxrstor(area: *const u8) {
    // SAFETY: as above.
    unsafe { _fxrstor64(area) }
}
