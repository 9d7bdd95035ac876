//! Why something was not done.

use abi::Errno;

/// Why an operation changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// What the program is told.
    Errno(Errno),
    /// The operation is possible, but only after what was changed so far is on disk: commit, then ask again. Said when the
    /// order of writes would go round in a circle, when freed space is needed again, or when too much is waiting.
    CommitFirst,
}

/// What an operation that changes something returns.
pub type Outcome<T> = core::result::Result<T, Failure>;

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Failure::Errno(errno)
    }
}

/// Why a file system was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// There is no ext2 here.
    NotExt2,
    /// The superblock contradicts itself or the device; the text says how.
    Geometry(&'static str),
    /// It has features that a reader must know: these bits of `s_feature_incompat`.
    Incompatible(u32),
    /// Its journal has to be replayed first.
    NeedsRecovery,
    /// It has features that only readers may ignore: these bits of `s_feature_ro_compat`. Open it read-only.
    ReadOnlyFeatures(u32),
    /// The device failed, or there was no memory.
    Failed(Errno),
}

impl From<Errno> for OpenError {
    fn from(errno: Errno) -> Self {
        OpenError::Failed(errno)
    }
}

impl From<OpenError> for Errno {
    /// What mount(2) returns on Linux.
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::NotExt2 | OpenError::Incompatible(_) | OpenError::ReadOnlyFeatures(_) => Errno::EINVAL,
            OpenError::Geometry(_) | OpenError::NeedsRecovery => Errno::EUCLEAN,
            OpenError::Failed(errno) => errno,
        }
    }
}
