//! Extended attributes, as a file system has them (xattr(7)).

use alloc::vec::Vec;

use abi::Result;

/// What gives whoever runs a file capabilities (capabilities(7)).
pub const CAPABILITY: &[u8] = b"security.capability";

/// What setxattr(2) may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placing {
    /// Make or replace.
    Any,
    /// There must be none (`XATTR_CREATE`).
    Create,
    /// There must be one (`XATTR_REPLACE`).
    Replace,
}

/// The extended attributes of one file, by their full names.
pub trait Extended: Send + Sync {
    /// A value.
    ///
    /// # Errors
    /// ENODATA, EOPNOTSUPP for names that are not understood, EIO.
    fn get(&self, name: &[u8]) -> Result<Vec<u8>>;

    /// Sets one.
    ///
    /// # Errors
    /// EEXIST, ENODATA, ENOSPC, EOPNOTSUPP, EROFS, EIO.
    fn set(&self, name: &[u8], value: &[u8], how: Placing) -> Result<()>;

    /// Takes one away.
    ///
    /// # Errors
    /// ENODATA, EOPNOTSUPP, EROFS, EIO.
    fn remove(&self, name: &[u8]) -> Result<()>;

    /// Tells all names.
    ///
    /// # Errors
    /// EIO, ENOMEM.
    fn list(&self, visit: &mut dyn FnMut(&[u8])) -> Result<()>;

    /// Whether there is a [`CAPABILITY`]: asked at every write.
    fn gives_capabilities(&self) -> bool {
        self.get(CAPABILITY).is_ok()
    }
}
