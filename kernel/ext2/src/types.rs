//! What callers and the crate say to each other.

use abi::time::Timespec;
use abi::{Errno, Result};
use alloc::vec::Vec;

/// The number of an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ino(pub u32);

impl Ino {
    /// The root directory.
    pub const ROOT: Ino = Ino(2);
}

/// The number of a block of the disk, in units of the file system's block size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockNo(pub u32);

/// The disk, for reading metadata. Writes leave only in a [`Commit`].
pub trait Blocks {
    /// Fills `into` with the bytes from `offset`; both are multiples of 1024.
    ///
    /// # Errors
    /// EIO, or what else the device says.
    fn read(&self, offset: u64, into: &mut [u8]) -> Result<()>;

    /// Bytes of the device.
    fn length(&self) -> u64;
}

/// Whether anything may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing is ever written.
    ReadOnly,
    /// Reading and writing.
    ReadWrite,
}

/// How to open a file system.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether anything may change.
    pub access: Access,
    /// Bytes of unchanged metadata kept in memory.
    pub cache_bytes: usize,
    /// Bytes of changed metadata after which operations answer [`CommitFirst`](crate::Failure::CommitFirst).
    pub dirty_bytes: usize,
    /// Names in all indexes of directories together, beyond which the oldest index is dropped.
    pub index_names: usize,
    /// Seconds since 1970, for the time of the mount.
    pub now: Timespec,
}

impl Options {
    /// The usual sizes.
    pub const fn new(access: Access, now: Timespec) -> Self {
        Options { access, cache_bytes: 512 << 10, dirty_bytes: 4 << 20, index_names: 250_000, now }
    }
}

/// Whether the last blocks, kept back for root, may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// They are kept back.
    KeptBack,
    /// The caller may use them: CAP_SYS_RESOURCE, or [`Reserved`]'s user or group.
    Usable,
}

/// Who may use the reserved blocks besides CAP_SYS_RESOURCE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// `s_def_resuid`.
    pub user: u32,
    /// `s_def_resgid`, of use if it is not 0.
    pub group: u32,
}

/// What stat(2) and statx(2) tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// `st_mode`: type and permissions.
    pub mode: u32,
    /// Names it has.
    pub links: u32,
    /// Owner.
    pub user: u32,
    /// Group.
    pub group: u32,
    /// For devices: which, as `abi::file::device_number` has it.
    pub device_number: u64,
    /// Bytes.
    pub size: u64,
    /// What it takes of the disk, in units of 512 bytes.
    pub blocks: u64,
    /// Last read.
    pub accessed: Timespec,
    /// Last written.
    pub modified: Timespec,
    /// Last changed in any way.
    pub changed: Timespec,
    /// Made; only where inodes have room for it.
    pub created: Option<Timespec>,
    /// `i_flags`, see [`flags`](crate::flags).
    pub flags: u32,
    /// `i_generation`.
    pub generation: u32,
}

/// What is to change of a file's attributes; the time of change always does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Permissions, with setuid, setgid and sticky.
    pub permissions: Option<u32>,
    /// Owner.
    pub user: Option<u32>,
    /// Group.
    pub group: Option<u32>,
    /// Last read.
    pub accessed: Option<Timespec>,
    /// Last written.
    pub modified: Option<Timespec>,
    /// Those of `i_flags` that [`flags::CHANGEABLE`](crate::flags::CHANGEABLE) has.
    pub flags: Option<u32>,
}

/// A file to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewNode<'a> {
    /// `st_mode`: type and permissions.
    pub mode: u32,
    /// Its owner.
    pub user: u32,
    /// Its group.
    pub group: u32,
    /// For devices: which.
    pub device_number: u64,
    /// For symbolic links: where to.
    pub target: &'a [u8],
    /// Whether the last blocks may be used.
    pub reserve: Reserve,
    /// The time.
    pub now: Timespec,
}

/// One name of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    /// The name.
    pub bytes: &'a [u8],
    /// Whose it is.
    pub ino: Ino,
    /// Its type as getdents64(2) has it (`DT_`); 0 where the disk does not say.
    pub kind: u8,
    /// The position to go on from after this name.
    pub next: u64,
}

/// Whether a listing goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// The next name, please.
    More,
    /// This name was not taken; it will be first when the listing goes on.
    Full,
}

/// What renameat2(2) may do with what has the new name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renaming {
    /// It is replaced.
    Replace,
    /// There must be nothing.
    NoReplace,
    /// The two change places.
    Exchange,
}

/// A file that lost a name. When `links` is 0 and nobody uses it any more: [`release`](crate::Ext2::release).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Which.
    pub ino: Ino,
    /// Names it still has.
    pub links: u32,
}

/// Consecutive blocks of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Where they are on the disk; none if they are a hole.
    pub start: Option<BlockNo>,
    /// How many; at least 1.
    pub length: u32,
}

/// Blocks that a file now has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocated {
    /// The first.
    pub start: BlockNo,
    /// How many; at least 1.
    pub length: u32,
    /// Whether the file had them already.
    pub source: BlockSource,
}

/// Whether a block has bytes of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockSource {
    /// The file had it.
    Existing,
    /// It was given just now: what is on the disk there is somebody else's past, so all of it must be written.
    New,
}

/// What lseek(2) looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek {
    /// `SEEK_DATA`.
    Data,
    /// `SEEK_HOLE`.
    Hole,
}

/// What setxattr(2) may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Make or replace.
    Any,
    /// `XATTR_CREATE`: there must be none.
    Create,
    /// `XATTR_REPLACE`: there must be one.
    Replace,
}

/// What statfs(2) tells, counted as Linux does: blocks of metadata are no blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Bytes of a block.
    pub block_size: u64,
    /// Blocks.
    pub blocks: u64,
    /// Free ones.
    pub free_blocks: u64,
    /// Free ones that everybody may use.
    pub available_blocks: u64,
    /// Files it can have.
    pub files: u64,
    /// Those it can still get.
    pub free_files: u64,
    /// `f_fsid`.
    pub id: u64,
}

/// How a file system is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `s_uuid`.
    pub uuid: [u8; 16],
    /// `s_volume_name`, ended by a zero byte if shorter.
    pub label: [u8; 16],
}

/// How the file system was left by who had it last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Unmounted.
    Clean,
    /// Not unmounted, or known to have errors: e2fsck is in order.
    Unchecked,
}

/// What of a file is not on the disk yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pending {
    /// Nothing: fsync(2) needs no commit.
    Nothing,
    /// Only times: fdatasync(2) needs no commit.
    Times,
    /// More.
    All,
}

/// What a commit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// fsync(2), sync(2), age, pressure.
    Durability,
    /// The last before the file system becomes read-only or is let go: it is marked clean, at the very end. No operation may be
    /// made until [`end_commit`](crate::Ext2::end_commit).
    Close,
}

/// One block to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Where.
    pub block: BlockNo,
    /// What: one block.
    pub bytes: Vec<u8>,
}

/// What must go to the disk, in order.
///
/// First write what is dirty of the data of the inodes in `data`, then go through `levels`: write all of a level, in any
/// order, and flush the device. The data must be covered by the flush of the first level, which may be empty.
#[derive(Debug, Default)]
pub struct Commit {
    /// Files that got blocks or bytes whose data the disk must have first.
    pub data: Vec<Ino>,
    /// The writes.
    pub levels: Vec<Vec<Write>>,
}

/// How carrying out a commit ended.
pub type Carried = core::result::Result<(), Errno>;
