//! What hangs on an open file besides the file: its number, the locks taken through it, who gets its signals.
//!
//! It undoes itself when the last descriptor goes: the locks that belong to the open file are given up.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use abi::Result;
use hal::spin::Once;

use super::inode::Attributes;
use super::locks::{FileLocks, Owner};

static NEXT: AtomicU64 = AtomicU64::new(1);

/// See the module.
pub struct Attached {
    /// Given out when it is first asked for: opening a file writes nothing that other CPUs read.
    number: Once<u64>,
    locks: Once<Arc<FileLocks>>,
    /// Who gets signals for I/O, as fcntl(2) was told: `F_OWNER_` kind above, number below.
    signal_owner: AtomicU64,
    /// Which signal instead of SIGIO; 0 for that.
    signal: AtomicU32,
    /// `F_SET_RW_HINT`: nothing depends on it.
    lifetime_hint: AtomicU64,
}

/// Whom signals for I/O go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalOwner {
    /// `F_OWNER_TID`, `F_OWNER_PID`, `F_OWNER_PGRP`.
    pub kind: u32,
    /// Its number; 0 for nobody.
    pub number: u32,
}

impl Attached {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Attached {
            number: Once::new(),
            locks: Once::new(),
            signal_owner: AtomicU64::new(0),
            signal: AtomicU32::new(0),
            lifetime_hint: AtomicU64::new(0),
        }
    }

    /// The open file as an owner of locks.
    pub fn owner(&self) -> Owner {
        Owner::Open(*self.number.call_once(|| NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    /// Whom signals for I/O go to.
    pub fn signal_owner(&self) -> SignalOwner {
        let both = self.signal_owner.load(Ordering::Relaxed);
        let [a, b, c, d, e, f, g, h] = both.to_le_bytes();
        SignalOwner { number: u32::from_le_bytes([a, b, c, d]), kind: u32::from_le_bytes([e, f, g, h]) }
    }

    /// Sets whom they go to.
    pub fn set_signal_owner(&self, owner: SignalOwner) {
        self.signal_owner.store(u64::from(owner.kind) << 32 | u64::from(owner.number), Ordering::Relaxed);
    }

    /// Which signal they are; 0 for SIGIO.
    pub fn signal(&self) -> u32 {
        self.signal.load(Ordering::Relaxed)
    }

    /// Sets that.
    pub fn set_signal(&self, signal: u32) {
        self.signal.store(signal, Ordering::Relaxed);
    }

    /// How long what is written is expected to live.
    pub fn lifetime_hint(&self) -> u64 {
        self.lifetime_hint.load(Ordering::Relaxed)
    }

    /// Sets that.
    pub fn set_lifetime_hint(&self, hint: u64) {
        self.lifetime_hint.store(hint, Ordering::Relaxed);
    }

    /// The locks on the file, which has these attributes.
    ///
    /// # Errors
    /// ENOLCK.
    pub fn locks(&self, file: &Attributes) -> Result<&Arc<FileLocks>> {
        if let Some(locks) = self.locks.get() {
            return Ok(locks);
        }
        let locks = FileLocks::of(file)?;
        Ok(self.locks.call_once(|| locks))
    }

    /// The locks on the file, if they were ever asked for through this open file.
    pub fn known_locks(&self) -> Option<&Arc<FileLocks>> {
        self.locks.get()
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        if let Some(locks) = self.locks.get() {
            locks.forget(self.owner());
        }
    }
}
