//! Who writes a file and who runs it, never both at once (ETXTBSY); and whether it is mapped.
//!
//! Two small tables for all files in use that way (rank `Table`).

use abi::{Errno, Result};
use hal::rank;
use hal::spin::Lock;
use hashbrown::HashMap;

use super::inode::Attributes;

type Key = (u64, u64);

/// Writers count up, runners count down.
static USERS: Lock<Option<HashMap<Key, i64>>, rank::Table> = Lock::new(None);

/// A file that is written, or run, until this is dropped.
#[derive(Debug)]
pub struct InUse {
    key: Key,
    sign: i64,
}

impl InUse {
    /// Somebody opens the file to write it.
    ///
    /// # Errors
    /// ETXTBSY if it runs, ENOMEM.
    pub fn writing(file: &Attributes) -> Result<Self> {
        Self::count((file.device, file.number), 1)
    }

    /// Somebody runs the file.
    ///
    /// # Errors
    /// ETXTBSY if it is written, ENOMEM.
    pub fn running(file: &Attributes) -> Result<Self> {
        Self::count((file.device, file.number), -1)
    }

    fn count(key: Key, sign: i64) -> Result<Self> {
        let mut users = USERS.lock();
        let users = users.get_or_insert_default();
        let now = users.get(&key).copied().unwrap_or(0);
        if now.signum() == -sign {
            return Err(Errno::ETXTBSY);
        }
        users.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        users.insert(key, now + sign);
        Ok(InUse { key, sign })
    }
}

/// Whether somebody has the file with this device and number open to write it.
pub fn is_written(key: Key) -> bool {
    USERS.lock().as_ref().and_then(|users| users.get(&key)).is_some_and(|&count| count > 0)
}

impl Clone for InUse {
    fn clone(&self) -> Self {
        if let Some(count) = USERS.lock().as_mut().and_then(|users| users.get_mut(&self.key)) {
            *count += self.sign;
        }
        InUse { key: self.key, sign: self.sign }
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let mut users = USERS.lock();
        let Some(users) = users.as_mut() else { return };
        if let Some(count) = users.get_mut(&self.key) {
            *count -= self.sign;
            if *count == 0 {
                users.remove(&self.key);
            }
        }
    }
}

/// Mappings of files, counted.
static MAPPINGS: Lock<Option<HashMap<Key, usize>>, rank::Table> = Lock::new(None);

/// A file that may be in somebody's memory until this is dropped.
#[derive(Debug)]
pub(super) struct InMapping(Key);

impl InMapping {
    /// # Errors
    /// ENOMEM.
    pub(super) fn new(key: Key) -> Result<Self> {
        let mut mappings = MAPPINGS.lock();
        let mappings = mappings.get_or_insert_default();
        mappings.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        *mappings.entry(key).or_default() += 1;
        Ok(InMapping(key))
    }
}

impl Drop for InMapping {
    fn drop(&mut self) {
        let mut mappings = MAPPINGS.lock();
        let Some(mappings) = mappings.as_mut() else { return };
        if let Some(count) = mappings.get_mut(&self.0) {
            *count -= 1;
            if *count == 0 {
                mappings.remove(&self.0);
            }
        }
    }
}

/// Whether a file, by device and inode number, may be in somebody's memory.
pub fn is_mapped(file: (u64, u64)) -> bool {
    MAPPINGS.lock().as_ref().is_some_and(|mappings| mappings.contains_key(&file))
}
