//! What directories do.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::Ordering;

use abi::{Errno, Result};
use ext2::{Ino, NewNode as DiskNode, Place};
use nucleus::clock;
use nucleus::vfs::inode::{Nameable, Removal, Renaming};
use nucleus::vfs::{FileKind, Inode, Listing, NewNode};

use super::node::Node;
use super::volume::Volume;

/// Names that are taken from the disk under one acquisition.
const BATCH: usize = 128;

/// A new file as the disk has it.
fn on_disk<'a>(volume: &Volume, new: &NewNode<'a>) -> DiskNode<'a> {
    DiskNode {
        mode: new.kind.mode_bits() | new.permissions,
        user: new.user,
        group: new.group,
        device_number: new.device_number,
        target: new.target,
        reserve: volume.reserve(),
        now: clock::realtime(),
    }
}

impl Node {
    fn check_directory(&self) -> Result<()> {
        if self.shown.kind == FileKind::Directory { Ok(()) } else { Err(Errno::ENOTDIR) }
    }

    /// `other`, if it is of this file system.
    fn same_system(&self, other: &Arc<dyn Inode>) -> Result<Arc<Node>> {
        let other: Arc<dyn Any + Send + Sync> = other.clone();
        let node = other.downcast::<Node>().map_err(|_| Errno::EXDEV)?;
        if Arc::ptr_eq(&node.volume, &self.volume) { Ok(node) } else { Err(Errno::EXDEV) }
    }

    pub(super) fn child(&self, name: &[u8]) -> Result<Arc<Node>> {
        self.check_directory()?;
        let ino = self.volume.state.lock().lookup(self.ino, name)?;
        self.volume.node(ino)
    }

    pub(super) fn make(&self, name: &[u8], new: &NewNode<'_>) -> Result<Arc<Node>> {
        self.check_directory()?;
        let node = on_disk(&self.volume, new);
        let ino = self.volume.operate(|state| state.create(self.ino, name, &node))?;
        self.refresh()?;
        self.volume.node(ino)
    }

    pub(super) fn make_unnamed(&self, new: &NewNode<'_>, naming: Nameable) -> Result<Arc<Node>> {
        self.check_directory()?;
        let node = on_disk(&self.volume, new);
        let ino = self.volume.operate(|state| state.create_unnamed(self.ino, &node))?;
        let node = self.volume.node(ino).inspect_err(|_| self.volume.release(ino))?;
        node.shown.lose_all_names(naming);
        Ok(node)
    }

    pub(super) fn give_name(&self, name: &[u8], other: &Arc<dyn Inode>) -> Result<()> {
        self.check_directory()?;
        let node = self.same_system(other)?;
        if !node.shown.may_gain_name() {
            return Err(Errno::ENOENT);
        }
        let (now, reserve) = (clock::realtime(), self.volume.reserve());
        self.volume.operate(|state| state.link(node.ino, self.ino, name, reserve, now))?;
        node.shown.take_first_name();
        node.refresh()?;
        self.refresh()
    }

    pub(super) fn take_name(&self, name: &[u8], removal: Removal) -> Result<()> {
        self.check_directory()?;
        let now = clock::realtime();
        let removed = self.volume.operate(|state| match removal {
            Removal::File => state.unlink(self.ino, name, now),
            Removal::Directory => state.remove_directory(self.ino, name, now),
        })?;
        self.note_removed(removed)?;
        self.refresh()
    }

    /// A file lost a name: if it was the last, it goes with its last user.
    fn note_removed(&self, removed: ext2::Removed) -> Result<()> {
        match self.volume.known_node(removed.ino) {
            Some(node) => {
                node.shown.links.store(removed.links, Ordering::Relaxed);
                node.shown.touch_changed();
            }
            None if removed.links == 0 => self.volume.release(removed.ino),
            None => {}
        }
        Ok(())
    }

    pub(super) fn move_name(
        &self,
        name: &[u8],
        target: &Arc<dyn Inode>,
        new_name: &[u8],
        renaming: Renaming,
    ) -> Result<()> {
        let target = self.same_system(target)?;
        let how = match renaming {
            Renaming::Replace => ext2::Renaming::Replace,
            Renaming::NoReplace => ext2::Renaming::NoReplace,
            Renaming::Exchange => ext2::Renaming::Exchange,
        };
        let from = || Place { directory: self.ino, name };
        let to = || Place { directory: target.ino, name: new_name };
        let now = clock::realtime();
        let reserve = self.volume.reserve();
        let removed = self.volume.operate(|state| state.rename(from(), to(), how, reserve, now))?;
        if let Some(removed) = removed {
            self.note_removed(removed)?;
        }
        if let Ok(moved) = target.child(new_name) {
            moved.refresh()?;
        }
        target.refresh()?;
        self.refresh()
    }

    pub(super) fn list_names(&self, position: u64, to: &mut dyn Listing) -> Result<u64> {
        self.check_directory()?;
        self.note_read();
        let mut at = position;
        loop {
            let mut names: Vec<(Vec<u8>, Ino, u8, u64)> = Vec::new();
            names.try_reserve_exact(BATCH).map_err(|_| Errno::ENOMEM)?;
            let end = self.volume.state.lock().list(self.ino, at, &mut |name| {
                let mut bytes = Vec::new();
                if names.len() == BATCH || bytes.try_reserve_exact(name.bytes.len()).is_err() {
                    return ext2::Listing::Full;
                }
                bytes.extend_from_slice(name.bytes);
                names.push((bytes, name.ino, name.kind, name.next));
                ext2::Listing::More
            })?;
            let is_end = names.len() < BATCH;
            for (bytes, ino, kind, next) in names {
                let kind = self.kind_of(ino, kind);
                if !to.add(&bytes, u64::from(ino.0), kind, next) {
                    return Ok(at);
                }
                at = next;
            }
            if is_end {
                return Ok(end);
            }
        }
    }

    /// The type of a listed file: as the disk says, or as its inode does.
    fn kind_of(&self, ino: Ino, directory_type: u8) -> FileKind {
        let said = FileKind::from_mode(u32::from(directory_type) << 12);
        said.or_else(|| Some(self.volume.node(ino).ok()?.shown.kind)).unwrap_or(FileKind::Regular)
    }
}
