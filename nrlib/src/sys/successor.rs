//! What is to run when a program panics, instead of its end.

use core::ffi::{CStr, c_char};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

/// Null for nothing.
static SUCCESSOR: AtomicPtr<c_char> = AtomicPtr::new(ptr::null_mut());

/// A panic runs `program` in place of this one: for process 1, which must not end.
pub fn run_after_panic(program: &'static CStr) {
    SUCCESSOR.store(program.as_ptr().cast_mut(), Ordering::Relaxed);
}

/// What [`run_after_panic`] was told.
pub fn successor() -> Option<&'static CStr> {
    let text = SUCCESSOR.load(Ordering::Relaxed);
    // SAFETY: unless it is null, `run_after_panic` stored the address of a static text.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
}
