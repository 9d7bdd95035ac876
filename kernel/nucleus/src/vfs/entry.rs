//! The tree of names: what is known of the names of each directory.
//!
//! An entry is a name in a directory and the file it stands for. A directory remembers the entries that were asked for
//! (rank `Names`), so a second walk does not ask the file system. Where an entry is can change under a rename (rank
//! `NamePlace`).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use abi::{Errno, Result};
use hal::rank;
use hal::spin::Lock;
use hashbrown::HashMap;

use super::inode::{FileKind, Inode, Naming};
use super::recent;
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
    /// What it is, which never changes.
    kind: FileKind,
    position: Lock<Position, rank::NamePlace>,
    children: Mutex<HashMap<Name, Arc<Entry>>, rank::Names>,
    /// File systems mounted here.
    pub(super) mounts: AtomicU32,
    naming: Naming,
    /// It was looked up since [`prune`] last came by.
    is_used: AtomicBool,
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
            kind: inode.attributes().kind,
            inode,
            position: Lock::new(Position { parent, name, is_removed: false }),
            children: Mutex::new(HashMap::new()),
            mounts: AtomicU32::new(0),
            naming,
            is_used: AtomicBool::new(false),
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
            if !known.is_used.load(Ordering::Relaxed) {
                known.is_used.store(true, Ordering::Relaxed);
            }
            return Ok(known.clone());
        }
        let inode = self.inode.lookup(name)?;
        let child = self.adopt(&mut children, name, inode)?;
        drop(children);
        prune::balance();
        Ok(child)
    }

    /// Whether its names change only through us.
    pub(super) fn is_stable(&self) -> bool {
        self.naming == Naming::Stable
    }

    /// Forgets `child` if nobody uses it; its file can be looked up again. Says whether it did.
    fn give_up(&self, child: Arc<Entry>) -> bool {
        // Whoever looks for room may be at work in this directory.
        let Some(mut children) = self.children.try_lock() else { return false };
        let name = child.name();
        drop(child);
        let Some(known) = children.remove(&name) else { return false };
        match Arc::try_unwrap(known) {
            Ok(entry) => {
                drop(children);
                drop(entry);
                true
            }
            Err(known) => {
                // Room was just made: this does not allocate.
                children.insert(name, known);
                false
            }
        }
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
            prune::note(&child);
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
        recent::forget_all();
        let forgotten = children.remove(name);
        drop(children);
        if let Some(entry) = forgotten {
            entry.position.lock().is_removed = true;
        }
        Ok(())
    }

    /// Takes `name` out of what is known here, for a rename.
    pub(super) fn forget(&self, name: &[u8]) -> Option<Arc<Entry>> {
        recent::forget_all();
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
        // Whoever looked between the two knows something that is no more.
        recent::forget_all();
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
        self.kind == FileKind::Directory
    }

    /// Whether it is a symbolic link.
    pub fn is_symlink(&self) -> bool {
        self.kind == FileKind::Symlink
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

/// Names that need not be remembered: a file system can be asked again.
///
/// All remembered names stand in one queue (rank `Table`) and are looked at in turn when there are too many: one that was
/// used since goes to the back, one that is in use too, another is forgotten.
pub mod prune {
    use alloc::collections::VecDeque;
    use alloc::sync::{Arc, Weak};
    use core::sync::atomic::Ordering;

    use hal::frames;
    use hal::rank;
    use hal::spin::Lock;

    use super::Entry;

    static QUEUE: Lock<VecDeque<Weak<Entry>>, rank::Table> = Lock::new(VecDeque::new());

    /// Names looked at for each one that is added when there are too many.
    const LOOKS: usize = 4;

    pub(super) fn note(entry: &Arc<Entry>) {
        let mut queue = QUEUE.lock();
        // Those at the front that are gone need not be looked at.
        for _ in 0..LOOKS {
            if queue.front().is_some_and(|weak| weak.strong_count() == 0) {
                queue.pop_front();
            }
        }
        // Without room it is remembered for as long as its directory is.
        if queue.try_reserve(1).is_ok() {
            queue.push_back(Arc::downgrade(entry));
        }
    }

    /// Names to be remembered: a kilobyte each, with their files, is a thirtieth of the memory.
    fn limit() -> usize {
        (frames::stats().total / 8).max(512)
    }

    /// Forgets names if there are too many. Called without the lock of a directory.
    pub(super) fn balance() {
        if QUEUE.lock().len() > limit() {
            forget(LOOKS);
        }
    }

    /// Looks at so many names; says how many it forgot.
    pub fn forget(looks: usize) -> usize {
        let mut count = 0;
        for _ in 0..looks {
            let Some(weak) = QUEUE.lock().pop_front() else { break };
            let Some(entry) = weak.upgrade() else { continue };
            let is_used = entry.is_used.swap(false, Ordering::Relaxed);
            let parent = if is_used { None } else { entry.parent() };
            if parent.is_some_and(|parent| parent.give_up(entry)) {
                count += 1;
            } else {
                let mut queue = QUEUE.lock();
                if queue.try_reserve(1).is_ok() {
                    queue.push_back(weak);
                }
            }
        }
        count
    }

    /// How many names are remembered.
    pub fn count() -> usize {
        QUEUE.lock().len()
    }
}
