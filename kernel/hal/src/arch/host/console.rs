//! The simulated console keeps what it is told.

use std::sync::{Mutex, PoisonError};

static OUTPUT: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Keeps bytes.
pub(crate) fn put(bytes: &[u8]) {
    OUTPUT.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
}

/// Takes what was written so far.
pub(super) fn take() -> Vec<u8> {
    core::mem::take(&mut OUTPUT.lock().unwrap_or_else(PoisonError::into_inner))
}
