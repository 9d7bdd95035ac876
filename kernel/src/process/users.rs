//! How many tasks each user has (RLIMIT_NPROC). Lock: rank `Table`, around the counts.

use abi::{Errno, Result};
use hal::rank;
use hal::spin::Lock;
use hashbrown::HashMap;

static COUNTS: Lock<Option<HashMap<u32, u64>>, rank::Table> = Lock::new(None);

/// A task's place among its user's; given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    user: u32,
}

impl Slot {
    /// One more task of `user`, if he has fewer than `limit`.
    ///
    /// # Errors
    /// EAGAIN at the limit, ENOMEM.
    pub(crate) fn take(user: u32, limit: u64) -> Result<Self> {
        let mut counts = COUNTS.lock();
        let counts = counts.get_or_insert_default();
        counts.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let count = counts.entry(user).or_insert(0);
        if *count >= limit {
            return Err(Errno::EAGAIN);
        }
        *count += 1;
        Ok(Slot { user })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = COUNTS.lock();
        let Some(counts) = counts.as_mut() else { return };
        if let Some(count) = counts.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.user);
            }
        }
    }
}
