//! What hangs on an open file besides the file: its number, the locks taken through it, and what few ask for: who gets its
//! signals.
//!
//! It undoes itself when the last descriptor goes: the locks that belong to the open file are given up.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::Result;
use hal::rank;
use hal::spin::{Lock, Once};

use super::inode::Attributes;
use super::locks::{FileLocks, Owner};
use super::open::OpenFile;

static NEXT: AtomicU64 = AtomicU64::new(1);

/// See the module.
pub struct Attached {
    /// Given out when it is first asked for: opening a file writes nothing that other CPUs read.
    number: Once<u64>,
    locks: Once<Arc<FileLocks>>,
    wishes: Once<Box<Wishes>>,
}

/// What few programs ask of an open file.
pub struct Wishes {
    signals: Lock<Signals, rank::Table>,
    /// How long what is written is expected to live (`F_SET_RW_HINT`): nothing depends on it.
    pub lifetime_hint: AtomicU64,
    /// What else is to live as long as the open file.
    companion: Lock<Option<Arc<OpenFile>>, rank::Table>,
}

/// Who gets signals for I/O, and which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// Who gets them.
    pub owner: SignalOwner,
    /// Real and effective user who said so: they must be allowed to send them.
    pub users: (u32, u32),
    /// Which signal instead of SIGIO; 0 for that.
    pub signal: u32,
}

/// Whom signals for I/O go to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalOwner {
    /// `F_OWNER_TID`, `F_OWNER_PID`, `F_OWNER_PGRP`.
    pub kind: u32,
    /// Its number; 0 for nobody.
    pub number: u32,
}

impl Attached {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Attached { number: Once::new(), locks: Once::new(), wishes: Once::new() }
    }

    /// The open file as an owner of locks.
    pub fn owner(&self) -> Owner {
        Owner::Open(*self.number.call_once(|| NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    /// What was asked for, if anything ever was.
    pub fn known_wishes(&self) -> Option<&Wishes> {
        self.wishes.get().map(|wishes| &**wishes)
    }

    /// What is asked for.
    pub fn wishes(&self) -> &Wishes {
        self.wishes.call_once(|| {
            Box::new(Wishes {
                signals: Lock::new(Signals::default()),
                lifetime_hint: AtomicU64::new(0),
                companion: Lock::new(None),
            })
        })
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

impl Wishes {
    /// Who gets signals, and which.
    pub fn signals(&self) -> Signals {
        *self.signals.lock()
    }

    /// Changes that.
    pub fn change_signals(&self, change: impl FnOnce(&mut Signals)) {
        change(&mut self.signals.lock());
    }

    /// What lives as long as the open file besides.
    pub fn companion(&self) -> Option<Arc<OpenFile>> {
        self.companion.lock().clone()
    }

    /// Sets that; what it was.
    pub fn set_companion(&self, companion: Option<Arc<OpenFile>>) -> Option<Arc<OpenFile>> {
        core::mem::replace(&mut *self.companion.lock(), companion)
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        if let Some(locks) = self.locks.get() {
            locks.forget(self.owner());
        }
    }
}
