//! The instruction `syscall`: number in RAX, arguments in RDI, RSI, RDX, R10, R8, R9 (System V ABI, x86-64 supplement, A.2).

use core::arch::asm;

use abi::{Errno, Result};

/// Makes the system call `number` with up to six arguments.
///
/// # Errors
/// What the kernel says.
///
/// # Safety
/// The call with these arguments must be sound: whatever address is among them is valid for what this call does to it.
#[inline]
pub unsafe fn call<const N: usize>(number: usize, arguments: [usize; N]) -> Result<usize> {
    let argument = |index: usize| arguments.get(index).copied().unwrap_or(0);
    let result: isize;
    // SAFETY: the kernel changes RAX, RCX and R11 and what the arguments name, which the caller answers for.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") argument(0),
            in("rsi") argument(1),
            in("rdx") argument(2),
            in("r10") argument(3),
            in("r8") argument(4),
            in("r9") argument(5),
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    decode(result)
}

/// Results from -4095 to -1 are errors.
#[inline]
fn decode(result: isize) -> Result<usize> {
    if (-4095..0).contains(&result) { Err(errno(-result)) } else { Ok(result.cast_unsigned()) }
}

fn errno(number: isize) -> Errno {
    Errno::from_number(i32::try_from(number).unwrap_or(0))
}
