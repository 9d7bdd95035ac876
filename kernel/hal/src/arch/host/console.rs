//! The simulated console keeps what it is told.

use std::sync::{Mutex, PoisonError};

static OUTPUT: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Keeps bytes.
pub(crate) fn put(bytes: &[u8]) {
    OUTPUT.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
}

/// Keeps bytes; there is nothing to leave unchanged.
pub(crate) fn put_raw(bytes: &[u8]) {
    put(bytes);
}

/// Takes what was written so far.
pub(super) fn take() -> Vec<u8> {
    core::mem::take(&mut OUTPUT.lock().unwrap_or_else(PoisonError::into_inner))
}
