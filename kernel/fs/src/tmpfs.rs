//! Files in memory, as tmpfs(5) tells: they cost what is written to them, and are gone with the last that uses them.
//!
//! Locks: `Writing`, around writing and cutting one regular file; `Inode`, around the pages of one file or the names of
//! one directory. Two directories of a rename are locked together (`lock_both`). A directory that is removed is first
//! claimed, which makes it refuse new names, so a directory and what is in it are never locked together. Bytes are
//! copied without the `Inode` lock: a page is taken out of the file as a further owner of its frame. Attributes are
//! atomics, each standing for itself, and are read without a lock, as Linux's stat(2) reads them. Modules, lowest first:
//! - [`options`]: what mount(2) is told.
//! - `space`: what a file system may use, and does.
//! - `directory`: names.
//! - `regular`: bytes.
//! - `rename`: two names that change at once.
//! - `node`: a file of any kind.
//! - `extended`: its extended attributes. (The two know each other.)

pub mod options;
mod space;
mod directory;
mod regular;
mod rename;
mod node;
mod extended;

use alloc::sync::Arc;

use abi::{Errno, Result};
use hal::frames;
use hal::spin::Once;
use nucleus::vfs::{File, FileKind, FileSystem, Inode, NewNode, Statistics};

use self::node::Node;
pub use self::options::Options;
pub use self::regular::seals;
use self::space::Space;
pub use self::space::pages_in_use;

/// Linux's `TMPFS_MAGIC`.
const MAGIC: u64 = 0x0102_1994;

/// A file system in memory.
pub struct Tmpfs {
    space: Arc<Space>,
    root: Arc<Node>,
    kind: &'static str,
}

/// Whether a file takes seals (memfd_create(2): `MFD_ALLOW_SEALING`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealing {
    /// It does.
    Allowed,
    /// It is sealed against seals.
    Forbidden,
}

impl Tmpfs {
    /// An empty file system with these mount options.
    ///
    /// # Errors
    /// EINVAL for options that mean nothing, ENOMEM.
    pub fn new(options: &[u8]) -> Result<Arc<Self>> {
        let options = Options::parse(options, frames::stats().total as u64)?;
        Self::with_options(&options, "tmpfs")
    }

    /// An empty file system that `/proc/mounts` shows as a `kind`.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn with_options(options: &Options, kind: &'static str) -> Result<Arc<Self>> {
        let space = Arc::new(Space::new(options.pages, options.inodes));
        let root = NewNode {
            kind: FileKind::Directory,
            permissions: options.permissions,
            user: options.user,
            group: options.group,
            device_number: 0,
            target: b"",
        };
        Ok(Arc::new(Tmpfs { root: Node::new(&space, &root)?, space, kind }))
    }

    /// Takes new limits (mount(2): `MS_REMOUNT`).
    ///
    /// # Errors
    /// EINVAL for options that mean nothing, or less than is used.
    pub fn set_options(&self, options: &[u8]) -> Result<()> {
        let new = Options::parse(options, frames::stats().total as u64)?;
        let now = self.statistics();
        // What is not mentioned stays.
        let names =
            |wanted: &[u8]| options.split(|&byte| byte == b',').any(|option| option.starts_with(wanted));
        let pages = if names(b"size=") || names(b"nr_blocks=") { new.pages } else { now.blocks };
        let inodes = if names(b"nr_inodes=") { new.inodes } else { now.files };
        self.space.set_limits(pages, inodes)
    }
}

impl FileSystem for Tmpfs {
    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }

    fn kind(&self) -> &'static str {
        self.kind
    }

    fn statistics(&self) -> Statistics {
        self.space.statistics(MAGIC)
    }

    fn remount(&self, _is_read_only: bool, options: &[u8]) -> Result<()> {
        self.set_options(options)
    }
}

/// An empty regular file without a name: for memfd_create(2), and for memory that processes share. `label` is what
/// `/proc/PID/maps` calls it.
///
/// # Errors
/// ENOMEM.
pub fn anonymous(label: &[u8], sealing: Sealing) -> Result<(Arc<dyn Inode>, Arc<dyn File>)> {
    static SPACE: Once<Arc<Space>> = Once::new();
    let space = SPACE.call_once(|| Arc::new(Space::new(0, 0)));
    let node = Node::new_anonymous(space, label, sealing)?;
    Ok((node.clone(), node))
}

/// Makes room for a copy of `bytes`.
fn copied(bytes: &[u8]) -> Result<alloc::boxed::Box<[u8]>> {
    let mut copy = alloc::vec::Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| Errno::ENOMEM)?;
    copy.extend_from_slice(bytes);
    Ok(copy.into_boxed_slice())
}

#[cfg(test)]
mod tests;
