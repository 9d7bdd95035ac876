//! The last words of a program: `NAME: panicked at FILE:LINE: WHY`, and exit code 134, as after abort(3).

use core::ffi::{CStr, c_char};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

/// What to run instead of ending; null for nothing.
static SUCCESSOR: AtomicPtr<c_char> = AtomicPtr::new(ptr::null_mut());

/// A panic runs `program` in place of this one: for process 1, which must not end.
pub fn run_after_panic(program: &'static CStr) {
    SUCCESSOR.store(program.as_ptr().cast_mut(), Ordering::Relaxed);
}

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    use super::calls;
    let name = crate::env::program_name();
    let _ = crate::eprintln!("{}: {info}", crate::io::Text(name));
    let successor = SUCCESSOR.load(Ordering::Relaxed);
    if !successor.is_null() {
        // SAFETY: `run_after_panic` stored the address of a static text.
        let program = unsafe { CStr::from_ptr(successor) };
        let _ = calls::execve(program, &[program], &[c"PATH=/sbin:/usr/sbin:/bin:/usr/bin"]);
    }
    calls::exit_group(134)
}
