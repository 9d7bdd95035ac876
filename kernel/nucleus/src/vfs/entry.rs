//! The tree of names: what is known of the names of each directory.
//!
//! An entry is a name in a directory and the file it stands for. A directory remembers the entries that were asked for
//! (rank `Names`), so a second walk does not ask the file system. Where an entry is can change under a rename (rank
//! `NamePlace`).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::{Errno, Result};
use hal::rank;
use hal::spin::Lock;
use hashbrown::HashMap;

use super::inode::{FileKind, Inode, Naming};
use super::watch;
use crate::sched::Mutex;

/// A name.
pub type Name = Arc<[u8]>;

struct Position {
    parent: Option<Arc<Entry>>,
    name: Name,
    /// It was removed, and is still open somewhere.
    is_removed: bool,
}

/// A name in a directory.
pub struct Entry {
    inode: Arc<dyn Inode>,
    position: Lock<Position, rank::NamePlace>,
    children: Mutex<HashMap<Name, Arc<Entry>>, rank::Names>,
    /// File systems mounted here.
    pub(super) mounts: AtomicU32,
    naming: Naming,
}

impl Drop for Entry {
    fn drop(&mut self) {
        if watch::is_anything_watched() && self.is_removed() {
            watch::gone(&*self.inode);
        }
    }
}

impl Entry {
    /// The root of a file system.
    pub fn root(inode: Arc<dyn Inode>, naming: Naming) -> Arc<Self> {
        Self::new(inode, None, Arc::from(&b""[..]), naming)
    }

    /// An entry that no directory remembers.
    pub fn new(inode: Arc<dyn Inode>, parent: Option<Arc<Entry>>, name: Name, naming: Naming) -> Arc<Self> {
        Arc::new(Entry {
            inode,
            position: Lock::new(Position { parent, name, is_removed: false }),
            children: Mutex::new(HashMap::new()),
            mounts: AtomicU32::new(0),
            naming,
        })
    }

    /// The file.
    pub fn inode(&self) -> &Arc<dyn Inode> {
        &self.inode
    }

    /// Its directory; none for a root.
    pub fn parent(&self) -> Option<Arc<Entry>> {
        self.position.lock().parent.clone()
    }

    /// Its name.
    pub fn name(&self) -> Name {
        self.position.lock().name.clone()
    }

    /// Whether it has been removed.
    pub fn is_removed(&self) -> bool {
        self.position.lock().is_removed
    }

    /// Whether a file system is mounted here.
    pub fn is_mount_point(&self) -> bool {
        self.mounts.load(Ordering::Relaxed) != 0
    }

    /// The entry called `name` in this directory.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, ENOMEM.
    pub fn child(self: &Arc<Self>, name: &[u8]) -> Result<Arc<Entry>> {
        if self.naming == Naming::Volatile {
            // Nothing is known, and the file system may have to ask processes, whose locks come before those of names.
            let inode = self.inode.lookup(name)?;
            return Ok(Self::new(inode, Some(self.clone()), Arc::from(name), self.naming));
        }
        let mut children = self.children.lock();
        if let Some(known) = children.get(name) {
            return Ok(known.clone());
        }
        let inode = self.inode.lookup(name)?;
        self.adopt(&mut children, name, inode)
    }

    fn adopt(
        self: &Arc<Self>,
        children: &mut HashMap<Name, Arc<Entry>>,
        name: &[u8],
        inode: Arc<dyn Inode>,
    ) -> Result<Arc<Entry>> {
        let name: Name = Arc::from(name);
        let child = Self::new(inode, Some(self.clone()), name.clone(), self.naming);
        if self.naming == Naming::Stable {
            children.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            children.insert(name, child.clone());
        }
        Ok(child)
    }

    /// Makes a file with `make` and remembers it.
    ///
    /// # Errors
    /// EEXIST, ENOENT if this directory is removed, what `make` says.
    pub fn make_child(
        self: &Arc<Self>,
        name: &[u8],
        make: impl FnOnce(&dyn Inode) -> Result<Arc<dyn Inode>>,
    ) -> Result<Arc<Entry>> {
        let mut children = self.children.lock();
        if children.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        if self.is_removed() {
            return Err(Errno::ENOENT);
        }
        let inode = make(&*self.inode)?;
        self.adopt(&mut children, name, inode)
    }

    /// Removes `name` with `remove` and forgets it.
    ///
    /// # Errors
    /// EBUSY if something is mounted there, what `remove` says.
    pub fn remove_child(&self, name: &[u8], remove: impl FnOnce(&dyn Inode) -> Result<()>) -> Result<()> {
        let mut children = self.children.lock();
        if children.get(name).is_some_and(|child| child.is_mount_point()) {
            return Err(Errno::EBUSY);
        }
        remove(&*self.inode)?;
        let forgotten = children.remove(name);
        drop(children);
        if let Some(entry) = forgotten {
            entry.position.lock().is_removed = true;
        }
        Ok(())
    }

    /// Takes `name` out of what is known here, for a rename.
    pub(super) fn forget(&self, name: &[u8]) -> Option<Arc<Entry>> {
        self.children.lock().remove(name)
    }

    /// Puts a renamed entry here.
    pub(super) fn place(self: &Arc<Self>, name: &[u8], child: &Arc<Entry>) {
        let name: Name = Arc::from(name);
        let replaced = {
            let mut children = self.children.lock();
            // Without room the name is simply not remembered.
            match children.try_reserve(1) {
                Ok(()) => children.insert(name.clone(), child.clone()),
                Err(_) => None,
            }
        };
        if let Some(old) = replaced {
            old.position.lock().is_removed = true;
        }
        let old_parent = {
            let mut position = child.position.lock();
            position.name = name;
            position.parent.replace(self.clone())
        };
        drop(old_parent);
    }

    /// Whether `other` is this entry or lies below it.
    pub fn holds(self: &Arc<Self>, other: &Arc<Entry>) -> bool {
        let mut at = Some(other.clone());
        while let Some(entry) = at {
            if Arc::ptr_eq(self, &entry) {
                return true;
            }
            at = entry.parent();
        }
        false
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.inode.attributes().kind == FileKind::Directory
    }

    /// Forgets every name below: the file system goes away, and parents and children would keep each other.
    pub(super) fn forget_all(&self) {
        let mut below: Vec<Arc<Entry>> = Vec::new();
        let mut known = core::mem::take(&mut *self.children.lock());
        loop {
            for (_, child) in known.drain() {
                if below.try_reserve(1).is_ok() {
                    below.push(child);
                }
            }
            let Some(next) = below.pop() else { return };
            known = core::mem::take(&mut *next.children.lock());
        }
    }
}
