//! Signal frames: a thread's registers on its own stack, where a handler finds and may change them.
//!
//! The layout is Linux's `struct rt_sigframe` (arch/x86/include/asm/sigframe.h, uapi/asm/sigcontext.h): programs and
//! unwinders rely on every offset. FPU state lies above, in the form of XSAVE with Linux's software-reserved words.

use alloc::vec::Vec;

use abi::{Errno, Result};

use super::{FLAGS_ALLOWED, FLAGS_FORCED, USER_TOP, UserContext};
use crate::arch;
use crate::context;
use crate::usermem;

/// sigaltstack(2)'s `stack_t`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlternateStack {
    /// Its lowest address.
    pub start: u64,
    /// `SS_` flags.
    pub flags: u32,
    /// Its length.
    pub size: u64,
}

/// What a handler is started with.
pub struct Delivery<'a> {
    /// Where it starts.
    pub handler: u64,
    /// Where it returns to (`SA_RESTORER`).
    pub restorer: u64,
    /// The signal's number.
    pub signal: u32,
    /// `siginfo_t`.
    pub info: &'a [u8; 128],
    /// The mask to go back to.
    pub mask: u64,
    /// What sigaltstack(2) set.
    pub alternate: AlternateStack,
    /// The stack to use: the alternate one's end, or `None` for the one in use.
    pub stack_end: Option<u64>,
    /// Exception number, error code and address, for faults.
    pub fault: [u64; 3],
}

/// What rt_sigreturn(2) brings back besides registers.
pub struct Restored {
    /// The signal mask.
    pub mask: u64,
    /// What sigaltstack(2) is to be set to.
    pub alternate: AlternateStack,
}

const RED_ZONE: u64 = 128;
const FRAME_SIZE: usize = 440;
const MAGIC1: u32 = 0x4650_5853;
const MAGIC2: u32 = 0x4650_5845;
/// Where the software-reserved words are in the legacy part of FPU state.
const SOFTWARE_WORDS: usize = 464;
const LEGACY_SIZE: usize = 512;
/// `UC_FP_XSTATE`: FPU state is in XSAVE's form.
const UC_FP_XSTATE: u64 = 1;
/// `UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS`: the frame holds SS.
const UC_SS: u64 = 6;

// Offsets in the frame.
const UC_FLAGS: usize = 8;
const UC_STACK: usize = 24;
const REGISTERS: usize = 48;
const SEGMENTS: usize = REGISTERS + 18 * 8;
const FAULT: usize = SEGMENTS + 8;
const OLD_MASK: usize = FAULT + 16;
const FAULT_ADDRESS: usize = FAULT + 24;
const FPU_POINTER: usize = FAULT + 32;
const MASK: usize = 304;
const INFO: usize = 312;

/// Bytes of a frame at most, with FPU state and what alignment costs.
pub(super) fn size() -> u64 {
    (FRAME_SIZE + arch::context::fpu_size() + 4 + 64 + 16) as u64 + RED_ZONE
}

impl UserContext {
    /// Puts a frame on the stack and makes the handler run next.
    ///
    /// # Errors
    /// EFAULT if the stack cannot be written, ENOMEM; the registers are as before then.
    pub fn push_signal_frame(&mut self, delivery: &Delivery<'_>) -> Result<()> {
        let fpu = saved_fpu()?;
        let top = delivery.stack_end.unwrap_or_else(|| self.registers.rsp.wrapping_sub(RED_ZONE));
        let fpu_at = top.checked_sub(fpu.len() as u64).ok_or(Errno::EFAULT)? & !63;
        // As after a call: eight below a multiple of sixteen.
        let frame_at = (fpu_at.checked_sub(FRAME_SIZE as u64).ok_or(Errno::EFAULT)? & !15)
            .checked_sub(8)
            .ok_or(Errno::EFAULT)?;
        let frame = self.frame(delivery, fpu_at);
        usermem::write_bytes(fpu_at, &fpu)?;
        usermem::write_bytes(frame_at, &frame)?;
        let registers = &mut self.registers;
        registers.rip = delivery.handler;
        registers.rsp = frame_at;
        registers.rdi = u64::from(delivery.signal);
        registers.rsi = frame_at + INFO as u64;
        registers.rdx = frame_at + UC_FLAGS as u64;
        registers.rax = 0;
        // Linux clears direction, resume and single step.
        registers.rflags &= !0x1_0500;
        self.set_all_registers_on_return();
        Ok(())
    }

    fn frame(&self, delivery: &Delivery<'_>, fpu_at: u64) -> [u8; FRAME_SIZE] {
        let mut frame = [0; FRAME_SIZE];
        let mut put = |at: usize, value: u64| frame[at..at + 8].copy_from_slice(&value.to_le_bytes());
        put(0, delivery.restorer);
        put(UC_FLAGS, UC_SS | if arch::context::fpu_features() != 0 { UC_FP_XSTATE } else { 0 });
        put(UC_STACK, delivery.alternate.start);
        put(UC_STACK + 8, u64::from(delivery.alternate.flags));
        put(UC_STACK + 16, delivery.alternate.size);
        let r = &self.registers;
        let in_order = [
            r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rdi, r.rsi, r.rbp, r.rbx, r.rdx, r.rax,
            r.rcx, r.rsp, r.rip, r.rflags,
        ];
        for (number, value) in in_order.into_iter().enumerate() {
            put(REGISTERS + 8 * number, value);
        }
        put(SEGMENTS, u64::from(arch::USER_CODE) | u64::from(arch::USER_DATA) << 48);
        let [vector, error, address] = delivery.fault;
        put(FAULT, error);
        put(FAULT + 8, vector);
        put(OLD_MASK, delivery.mask);
        put(FAULT_ADDRESS, address);
        put(FPU_POINTER, fpu_at);
        put(MASK, delivery.mask);
        frame[INFO..INFO + 128].copy_from_slice(delivery.info);
        frame
    }

    /// Takes the registers back from the frame the stack pointer was left at.
    ///
    /// # Errors
    /// EFAULT if there is no frame, or none that makes sense.
    pub fn pop_signal_frame(&mut self) -> Result<Restored> {
        // The return to the restorer took the first word.
        let at = self.registers.rsp.checked_sub(8).ok_or(Errno::EFAULT)?;
        let mut frame = [0; FRAME_SIZE];
        usermem::read_bytes(&mut frame[UC_FLAGS..INFO], at + UC_FLAGS as u64)?;
        let get = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&frame[at..at + 8]);
            u64::from_le_bytes(word)
        };
        match get(FPU_POINTER) {
            0 => context::reset_fpu()?,
            fpu_at => restore_fpu(fpu_at)?,
        }
        let r = &mut self.registers;
        let in_order = [
            &mut r.r8,
            &mut r.r9,
            &mut r.r10,
            &mut r.r11,
            &mut r.r12,
            &mut r.r13,
            &mut r.r14,
            &mut r.r15,
            &mut r.rdi,
            &mut r.rsi,
            &mut r.rbp,
            &mut r.rbx,
            &mut r.rdx,
            &mut r.rax,
            &mut r.rcx,
            &mut r.rsp,
            &mut r.rip,
            &mut r.rflags,
        ];
        for (number, register) in in_order.into_iter().enumerate() {
            *register = get(REGISTERS + 8 * number);
        }
        r.rflags = r.rflags & FLAGS_ALLOWED | FLAGS_FORCED;
        self.set_all_registers_on_return();
        let [a, b, c, d, ..] = get(UC_STACK + 8).to_le_bytes();
        let alternate = AlternateStack {
            start: get(UC_STACK),
            flags: u32::from_le_bytes([a, b, c, d]),
            size: get(UC_STACK + 16),
        };
        Ok(Restored { mask: get(MASK), alternate })
    }
}

/// The running thread's FPU state as a frame holds it.
fn saved_fpu() -> Result<Vec<u8>> {
    let features = arch::context::fpu_features();
    let size = if features == 0 { LEGACY_SIZE } else { arch::context::fpu_size() };
    let with_magic = if features == 0 { size } else { size + 4 };
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(with_magic).map_err(|_| Errno::ENOMEM)?;
    bytes.resize(size, 0);
    context::save_fpu_to(&mut bytes)?;
    let words = &mut bytes[SOFTWARE_WORDS..LEGACY_SIZE];
    words.fill(0);
    if features != 0 {
        let len = |bytes: usize| u32::try_from(bytes).map_or([0; 4], u32::to_le_bytes);
        words[..4].copy_from_slice(&MAGIC1.to_le_bytes());
        words[4..8].copy_from_slice(&len(with_magic));
        words[8..16].copy_from_slice(&features.to_le_bytes());
        words[16..20].copy_from_slice(&len(size));
        bytes.extend_from_slice(&MAGIC2.to_le_bytes());
    }
    Ok(bytes)
}

fn restore_fpu(at: u64) -> Result<()> {
    if at >= USER_TOP || !at.is_multiple_of(if arch::context::fpu_features() == 0 { 16 } else { 64 }) {
        return Err(Errno::EFAULT);
    }
    let size = if arch::context::fpu_features() == 0 { LEGACY_SIZE } else { arch::context::fpu_size() };
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).map_err(|_| Errno::ENOMEM)?;
    bytes.resize(size, 0);
    usermem::read_bytes(&mut bytes[..LEGACY_SIZE], at)?;
    let has_extended = bytes[SOFTWARE_WORDS..SOFTWARE_WORDS + 4] == MAGIC1.to_le_bytes();
    if size > LEGACY_SIZE {
        if has_extended {
            usermem::read_bytes(&mut bytes[LEGACY_SIZE..], at + LEGACY_SIZE as u64)?;
        } else {
            // Only x87 and SSE state, as an old program makes it.
            bytes[LEGACY_SIZE] = 3;
        }
    }
    bytes[SOFTWARE_WORDS..LEGACY_SIZE].fill(0);
    arch::context::sanitise_fpu(&mut bytes);
    context::load_fpu_from(&bytes)
}
