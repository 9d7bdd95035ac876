//! ext2 on a disk: the shell around the crate `ext2`, which knows what is where.
//!
//! The crate's state machine is under one sleeping lock (rank `Inode`), held for one operation. Bytes of files go through
//! the page cache; their blocks are asked for under that lock, and read and written without it. What changed goes to the
//! disk in commits, one at a time, carried out by a thread of each file system (`commit`): an operation that cannot go on
//! before a commit waits for that thread with whatever it holds, which the thread never takes; only the map of an address
//! space must not be held, so page faults give way instead. Locks of a node: `Writing`, around writing and cutting it.
//! Modules, lowest first:
//! - `device`: blocks from the disk and to it.
//! - `volume`: the state machine, its nodes, and its thread's errands.
//! - `commit`: what the thread does.
//! - `node`: a file.
//! - `contents`: the bytes of a regular file.
//! - `extended`: extended attributes.
//! - `names`: what directories do.

mod device;
mod volume;
mod commit;
mod node;
mod contents;
mod extended;
mod names;

pub use volume::set_may_use_reserved;

use alloc::sync::Arc;

use abi::{Errno, Result};
use ext2::{Access, Condition, Ino, OpenError, Options, Purpose};
use nucleus::block::Disk;
use nucleus::vfs::{FileSystem, Inode, Statistics};
use nucleus::{clock, warning};

use self::node::Node;
use self::volume::Volume;

/// Linux's `EXT2_SUPER_MAGIC`.
const MAGIC: u64 = 0xef53;

/// An ext2 file system.
pub struct Ext2 {
    volume: Arc<Volume>,
    root: Arc<Node>,
}

/// Whether a disk may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// It may.
    Allowed,
    /// Nothing is written, not even that it is mounted.
    Forbidden,
}

impl Ext2 {
    /// Opens the file system on a disk.
    ///
    /// # Errors
    /// EINVAL if there is none that is understood, EUCLEAN if it is damaged, EROFS if it can only be read, EIO, ENOMEM.
    pub fn open(disk: Arc<Disk>, writing: Writing) -> Result<Arc<Self>> {
        if writing == Writing::Allowed && disk.is_read_only() {
            return Err(Errno::EROFS);
        }
        let access = if writing == Writing::Allowed { Access::ReadWrite } else { Access::ReadOnly };
        let options = Options::new(access, clock::realtime());
        let name = disk.name();
        let state = ext2::Ext2::open(device::Device(disk.clone()), &options).map_err(|error| {
            explain(name, error);
            Errno::from(error)
        })?;
        if state.condition() == Condition::Unchecked && access == Access::ReadWrite {
            warning!("{name}: the ext2 file system was not unmounted cleanly; e2fsck is in order");
        }
        let volume = Volume::new(disk, state)?;
        if access == Access::ReadWrite {
            volume.start()?;
            // The disk says that it is mounted before anything else changes.
            volume.commit(Purpose::Durability)?;
        }
        let root = volume.node(Ino::ROOT)?;
        Ok(Arc::new(Ext2 { volume, root }))
    }

    /// UUID and label, if there is an ext2 file system on a disk.
    pub fn identify(disk: &Arc<Disk>) -> Option<ext2::Identity> {
        let options = Options::new(Access::ReadOnly, clock::realtime());
        ext2::Ext2::open(device::Device(disk.clone()), &options).ok().map(|state| state.identity())
    }
}

fn explain(name: &str, error: OpenError) {
    match error {
        OpenError::NotExt2 => {}
        OpenError::Geometry(problem) => warning!("{name}: the ext2 file system is damaged: {problem}"),
        OpenError::Incompatible(bits) => {
            warning!("{name}: the file system has features that are not known here ({bits:#x})");
        }
        OpenError::NeedsRecovery => warning!("{name}: the journal must be replayed first; run e2fsck on it"),
        OpenError::ReadOnlyFeatures(bits) => {
            warning!(
                "{name}: the file system has features ({bits:#x}) with which it can only be read: mount it ro"
            );
        }
        OpenError::Failed(error) => warning!("{name}: cannot be read: {error}"),
    }
}

impl FileSystem for Ext2 {
    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }

    fn kind(&self) -> &'static str {
        "ext2"
    }

    fn statistics(&self) -> Statistics {
        let found = self.volume.state.lock().statistics();
        Statistics {
            magic: MAGIC,
            block_size: found.block_size,
            blocks: found.blocks,
            free_blocks: found.free_blocks,
            available_blocks: found.available_blocks,
            files: found.files,
            free_files: found.free_files,
            id: found.id,
        }
    }

    fn sync(&self, older_than_ns: Option<u64>) -> Result<()> {
        self.volume.sync(older_than_ns)
    }

    fn remount(&self, is_read_only: bool, _options: &[u8]) -> Result<()> {
        let is_now = self.volume.state.lock().access() == Access::ReadOnly;
        match (is_now, is_read_only) {
            (false, true) => {
                self.volume.sync(None)?;
                self.volume.commit(Purpose::Close)
            }
            (true, false) => {
                if self.volume.disk.is_read_only() {
                    return Err(Errno::EROFS);
                }
                self.volume.state.lock().make_writable(clock::realtime()).map_err(Errno::from)?;
                self.volume.start()?;
                self.volume.commit(Purpose::Durability)
            }
            _ => Ok(()),
        }
    }

    fn retire(&self) -> Result<()> {
        if self.volume.state.lock().access() == Access::ReadOnly {
            return Ok(());
        }
        let synced = self.volume.sync(None);
        let closed = self.volume.commit(Purpose::Close);
        self.volume.stop();
        synced.and(closed)
    }
}
