//! Signal handlers that take notes: what came is a bit, which the program looks at when it is ready.
//!
//! More must not happen in a handler: it interrupts any instruction, also the allocator. A call that sleeps ends with
//! EINTR, for handlers are set without `SA_RESTART`.

use core::sync::atomic::{AtomicU64, Ordering};

use abi::signal::{SA_RESTORER, SIG_DFL, SIG_IGN, SIGSET_SIZE};
use abi::{Result, sysno};

use super::raw::call;

/// Bit `signal - 1` for each that came and was not taken.
static NOTED: AtomicU64 = AtomicU64::new(0);

/// `struct kernel_sigaction` of x86-64.
#[repr(C)]
struct Action {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

core::arch::global_asm!(
    ".hidden nrlib_signal_return",
    ".globl nrlib_signal_return",
    ".type nrlib_signal_return,@function",
    "nrlib_signal_return:",
    "mov ${number}, %eax",
    "syscall",
    number = const sysno::RT_SIGRETURN,
    options(att_syntax)
);

// SAFETY: the assembly above defines it; nobody but the kernel jumps there, with a signal frame on the stack.
unsafe extern "C" {
    fn nrlib_signal_return();
}

extern "C" fn note(signal: i32) {
    let bit = u32::try_from(signal - 1).ok().and_then(|shift| 1_u64.checked_shl(shift)).unwrap_or(0);
    NOTED.fetch_or(bit, Ordering::Relaxed);
}

/// What happens when a signal comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// What the system does by itself.
    Default,
    /// Nothing.
    Ignore,
    /// It is noted for [`take_noted`], and calls that sleep end with EINTR.
    Note,
}

/// Says what happens when `signal` comes.
///
/// # Errors
/// EINVAL for SIGKILL, SIGSTOP and what is no signal.
pub fn react(signal: u32, reaction: Reaction) -> Result<()> {
    let handler = match reaction {
        #[expect(clippy::cast_possible_truncation, reason = "0 and 1")]
        Reaction::Default => SIG_DFL as usize,
        #[expect(clippy::cast_possible_truncation, reason = "0 and 1")]
        Reaction::Ignore => SIG_IGN as usize,
        Reaction::Note => note as *const () as usize,
    };
    let restorer = nrlib_signal_return as *const () as usize;
    let action = Action { handler, flags: SA_RESTORER, restorer, mask: 0 };
    let number = usize::try_from(signal).unwrap_or(0);
    // SAFETY: the structure is the kernel's; the handler touches one atomic word and returns through the restorer, so it
    // may interrupt anything.
    unsafe { call(sysno::RT_SIGACTION, [number, (&raw const action).addr(), 0, SIGSET_SIZE])? };
    Ok(())
}

fn bit(signal: u32) -> u64 {
    signal.checked_sub(1).and_then(|shift| 1_u64.checked_shl(shift)).unwrap_or(0)
}

/// Whether `signal` came since this was asked last.
pub fn take_noted(signal: u32) -> bool {
    NOTED.fetch_and(!bit(signal), Ordering::Relaxed) & bit(signal) != 0
}

/// Whether `signal` came and was not taken.
pub fn is_noted(signal: u32) -> bool {
    NOTED.load(Ordering::Relaxed) & bit(signal) != 0
}
