//! What a file system is made of.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use abi::file::{S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK, S_ISGID, S_ISUID};
use abi::time::Timespec;
use abi::{Errno, Result};
use logic::cred::Owner;

use super::extended::Extended;
use super::file::File;
use super::mount::Place;
use crate::sched::Wait;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Bytes.
    Regular,
    /// Names.
    Directory,
    /// Another path.
    Symlink,
    /// A device of bytes.
    CharDevice,
    /// A device of blocks.
    BlockDevice,
    /// A pipe with a name.
    Fifo,
    /// A socket with a name.
    Socket,
}

impl FileKind {
    /// The bits of `st_mode`.
    pub const fn mode_bits(self) -> u32 {
        match self {
            FileKind::Regular => S_IFREG,
            FileKind::Directory => S_IFDIR,
            FileKind::Symlink => S_IFLNK,
            FileKind::CharDevice => S_IFCHR,
            FileKind::BlockDevice => S_IFBLK,
            FileKind::Fifo => S_IFIFO,
            FileKind::Socket => S_IFSOCK,
        }
    }

    /// From `st_mode`.
    pub const fn from_mode(mode: u32) -> Option<Self> {
        Some(match mode & S_IFMT {
            S_IFREG => FileKind::Regular,
            S_IFDIR => FileKind::Directory,
            S_IFLNK => FileKind::Symlink,
            S_IFCHR => FileKind::CharDevice,
            S_IFBLK => FileKind::BlockDevice,
            S_IFIFO => FileKind::Fifo,
            S_IFSOCK => FileKind::Socket,
            _ => return None,
        })
    }

    /// What getdents64(2) calls it (`DT_`).
    pub const fn directory_type(self) -> u8 {
        (self.mode_bits() >> 12).to_le_bytes()[0]
    }
}

/// What stat(2) tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// The file system's device number.
    pub device: u64,
    /// The inode's number.
    pub number: u64,
    /// What it is.
    pub kind: FileKind,
    /// Permissions, with setuid, setgid and sticky.
    pub permissions: u32,
    /// Names it has.
    pub links: u32,
    /// Owner.
    pub user: u32,
    /// Group.
    pub group: u32,
    /// For devices: which.
    pub device_number: u64,
    /// Bytes.
    pub size: u64,
    /// Memory it takes, in units of 512 bytes.
    pub blocks: u64,
    /// Preferred size of reads.
    pub block_size: u32,
    /// Last read.
    pub accessed: Timespec,
    /// Last written.
    pub modified: Timespec,
    /// Last changed in any way.
    pub changed: Timespec,
}

impl Attributes {
    /// What permissions are decided on.
    pub const fn owner(&self) -> Owner {
        Owner { user: self.user, group: self.group, mode: self.mode() }
    }

    /// The permissions of a program without setuid, and without setgid if it is the group's; none if nothing changes.
    pub fn without_privileges(&self) -> Option<u32> {
        const S_IXGRP: u32 = 0o010;
        let group = if self.permissions & S_IXGRP != 0 { S_ISGID } else { 0 };
        let kept = self.permissions & !(S_ISUID | group);
        (self.kind == FileKind::Regular && kept != self.permissions).then_some(kept)
    }

    /// `st_mode`.
    pub const fn mode(&self) -> u32 {
        self.kind.mode_bits() | self.permissions
    }
}

/// What is to change of a file's attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Permissions.
    pub permissions: Option<u32>,
    /// Owner.
    pub user: Option<u32>,
    /// Group.
    pub group: Option<u32>,
    /// Size.
    pub size: Option<u64>,
    /// Last read.
    pub accessed: Option<Timespec>,
    /// Last written.
    pub modified: Option<Timespec>,
}

impl Change {
    /// Whether nothing else changes than the size.
    pub fn is_only_size(&self) -> bool {
        Change { size: None, ..*self } == Change::default()
    }
}

/// A file to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewNode<'a> {
    /// What it is.
    pub kind: FileKind,
    /// Its permissions, umask applied.
    pub permissions: u32,
    /// Its owner.
    pub user: u32,
    /// Its group.
    pub group: u32,
    /// For devices: which.
    pub device_number: u64,
    /// For symbolic links: where to.
    pub target: &'a [u8],
}

/// What is to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// unlink(2).
    File,
    /// rmdir(2).
    Directory,
}

/// Whether a file that was made without a name may be given one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nameable {
    /// By linkat(2).
    Once,
    /// Made with `O_EXCL`.
    Never,
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

/// What statfs(2) tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Its magic number.
    pub magic: u64,
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

/// Whether names may be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// They change only through us.
    Stable,
    /// They come and go by themselves, as in `/proc`.
    Volatile,
}

/// How a file is opened.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// `O_` flags.
    pub flags: u32,
    /// Whether it may wait: for the other end of a FIFO.
    pub wait: Wait,
}

/// A file system.
pub trait FileSystem: Send + Sync {
    /// Its root directory.
    fn root(&self) -> Arc<dyn Inode>;

    /// What it is called in `/proc/mounts`.
    fn kind(&self) -> &'static str;

    /// How full it is.
    fn statistics(&self) -> Statistics;

    /// Brings what was written to where it lasts: all of it, or what is older than a moment.
    ///
    /// # Errors
    /// EIO, ENOSPC.
    fn sync(&self, _older_than_ns: Option<u64>) -> Result<()> {
        Ok(())
    }

    /// Allows or forbids all change, with new options (mount(2): `MS_REMOUNT`).
    ///
    /// # Errors
    /// EINVAL for options that mean nothing, EROFS if it cannot be changed, EBUSY, EIO.
    fn remount(&self, _is_read_only: bool, _options: &[u8]) -> Result<()> {
        Ok(())
    }

    /// Its last mount is gone: leaves everything in order.
    ///
    /// # Errors
    /// EIO.
    fn retire(&self) -> Result<()> {
        Ok(())
    }

    /// Whether names may be remembered.
    fn naming(&self) -> Naming {
        Naming::Stable
    }
}

/// A file of a file system. What a file cannot do keeps the body that says so in Linux's words.
pub trait Inode: Any + Send + Sync {
    /// What stat(2) tells.
    fn attributes(&self) -> Attributes;

    /// When it was made, where that is known: statx(2) tells.
    fn created(&self) -> Option<Timespec> {
        None
    }

    /// Changes attributes; the caller has checked who may.
    ///
    /// # Errors
    /// EPERM where attributes cannot be changed.
    fn change(&self, _change: &Change) -> Result<()> {
        Err(Errno::EPERM)
    }

    /// The file called `name` in this directory.
    ///
    /// # Errors
    /// ENOENT; ENOTDIR if this is none.
    fn lookup(&self, _name: &[u8]) -> Result<Arc<dyn Inode>> {
        Err(Errno::ENOTDIR)
    }

    /// Makes a file called `name` in this directory.
    ///
    /// # Errors
    /// EEXIST, ENOSPC, ENOMEM; EPERM where files cannot be made.
    fn create(&self, _name: &[u8], _new: &NewNode<'_>) -> Result<Arc<dyn Inode>> {
        Err(Errno::EPERM)
    }

    /// Makes a regular file that no directory has, near this directory (open(2): `O_TMPFILE`).
    ///
    /// # Errors
    /// ENOSPC, ENOMEM; EOPNOTSUPP where there are no such files.
    fn create_unnamed(&self, _new: &NewNode<'_>, _naming: Nameable) -> Result<Arc<dyn Inode>> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Gives `other`, a file of the same file system, another name.
    ///
    /// # Errors
    /// As `create`, and EMLINK.
    fn link(&self, _name: &[u8], _other: &Arc<dyn Inode>) -> Result<()> {
        Err(Errno::EPERM)
    }

    /// Takes a name away.
    ///
    /// # Errors
    /// ENOENT, EISDIR, ENOTDIR, ENOTEMPTY; EPERM where names cannot be taken away.
    fn remove(&self, _name: &[u8], _removal: Removal) -> Result<()> {
        Err(Errno::EPERM)
    }

    /// Renames `name` to `new_name` in `target`, a directory of the same file system.
    ///
    /// # Errors
    /// As `create` and `remove`.
    fn rename(
        &self,
        _name: &[u8],
        _target: &Arc<dyn Inode>,
        _new_name: &[u8],
        _renaming: Renaming,
    ) -> Result<()> {
        Err(Errno::EPERM)
    }

    /// Where a symbolic link leads.
    ///
    /// # Errors
    /// EINVAL if it is none.
    fn read_link(&self) -> Result<Vec<u8>> {
        Err(Errno::EINVAL)
    }

    /// The file itself that a symbolic link leads to, where its text is only for people: in `/proc`. Called without a
    /// lock.
    ///
    /// # Errors
    /// What `/proc` says: ENOENT, EACCES.
    fn jump(&self) -> Result<Option<Place>> {
        Ok(None)
    }

    /// Its extended attributes, where the file system has such.
    fn extended(&self) -> Option<&dyn Extended> {
        None
    }

    /// What reads and writes it. Devices are opened by their number, not through this.
    ///
    /// # Errors
    /// ENXIO if there is nothing to open.
    fn open(self: Arc<Self>, _opening: &Opening) -> Result<Arc<dyn File>> {
        Err(Errno::ENXIO)
    }

    /// Itself, for its own file system to recognise.
    fn as_any(&self) -> &dyn Any;
}
