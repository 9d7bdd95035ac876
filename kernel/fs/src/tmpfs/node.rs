//! A file of any kind: inode, open file and source of pages in one object, so that opening allocates nothing.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::ops::Range;
use core::sync::atomic::Ordering;

use abi::time::Timespec;
use abi::{Errno, Result};
use hal::frames::SharedFrame;
use hal::rank;
use hal::spin::Once;
use nucleus::mm::PageSource;
use nucleus::mm::source::Purpose;
use nucleus::sched::{Mutex, Wait};
use nucleus::vfs::extended::Extended;
use nucleus::vfs::inode::{Nameable, Removal, Renaming};
use nucleus::vfs::storage::{Allocation, Storage, Wanted};
use nucleus::vfs::{
    Attributes, ByteSink, ByteSource, Change, File, FileKind, Inode, Listing, NewNode, Opening, Transfer,
};

use super::directory::Directory;
use super::extended::Pair;
use super::regular::{Contents, Regular};
use super::rename::Wish;
use super::space::Space;
use super::{Sealing, copied};
use crate::pipe::Pipe;
use crate::shown::Shown;

/// What a name adds to the size of its directory (Linux's `BOGO_DIRENT_SIZE`).
const NAME_SIZE: u64 = 20;

/// A file.
pub(super) struct Node {
    space: Arc<Space>,
    pub(super) shown: Shown,
    created: Timespec,
    pub(super) extended: Once<Box<Mutex<Vec<Pair>, rank::Inode>>>,
    content: Content,
}

pub(super) type Names = Mutex<Directory<Arc<Node>>, rank::Inode>;

enum Content {
    Regular(Regular),
    Directory(Names),
    Symlink(Box<[u8]>),
    /// The pipe is made when it is first opened.
    Fifo(Once<Arc<Pipe>>),
    /// Opened by somebody else: devices by their number, sockets by connecting.
    Elsewhere,
}

impl Node {
    pub(super) fn new(space: &Arc<Space>, new: &NewNode<'_>) -> Result<Arc<Self>> {
        let content = match new.kind {
            FileKind::Regular => Content::Regular(Regular::named()),
            FileKind::Directory => Content::Directory(Mutex::new(Directory::new(0))),
            FileKind::Symlink => Content::Symlink(copied(new.target)?),
            FileKind::Fifo => Content::Fifo(Once::new()),
            FileKind::CharDevice | FileKind::BlockDevice | FileKind::Socket => Content::Elsewhere,
        };
        Self::with_content(space, new, content)
    }

    pub(super) fn new_anonymous(space: &Arc<Space>, label: &[u8], sealing: Sealing) -> Result<Arc<Self>> {
        let new = NewNode {
            kind: FileKind::Regular,
            permissions: 0o777,
            user: 0,
            group: 0,
            device_number: 0,
            target: b"",
        };
        let node =
            Self::with_content(space, &new, Content::Regular(Regular::nameless(copied(label)?, sealing)))?;
        node.shown.links.store(0, Ordering::Relaxed);
        Ok(node)
    }

    fn with_content(space: &Arc<Space>, new: &NewNode<'_>, content: Content) -> Result<Arc<Self>> {
        space.take_inode()?;
        let shown = Shown::new(space.device, space.new_number(), new);
        match &content {
            Content::Directory(_) => shown.size.store(2 * NAME_SIZE, Ordering::Relaxed),
            Content::Symlink(target) => shown.size.store(target.len() as u64, Ordering::Relaxed),
            _ => {}
        }
        let created = shown.attributes().changed;
        Ok(Arc::new(Node { space: space.clone(), shown, created, extended: Once::new(), content }))
    }

    pub(super) fn regular(&self) -> Option<&Regular> {
        match &self.content {
            Content::Regular(regular) => Some(regular),
            _ => None,
        }
    }

    fn contents(&self) -> Option<Contents<'_>> {
        let regular = self.regular()?;
        Some(Contents { regular, shown: &self.shown, space: &self.space })
    }

    pub(super) fn names(&self) -> Result<&Names> {
        match &self.content {
            Content::Directory(names) => Ok(names),
            _ => Err(Errno::ENOTDIR),
        }
    }

    /// `other`, if it is of this file system.
    fn same_system(&self, other: &Arc<dyn Inode>) -> Result<Arc<Node>> {
        let other: Arc<dyn Any + Send + Sync> = other.clone();
        let node = other.downcast::<Node>().map_err(|_| Errno::EXDEV)?;
        if Arc::ptr_eq(&node.space, &self.space) { Ok(node) } else { Err(Errno::EXDEV) }
    }

    pub(super) fn is_directory(&self) -> bool {
        matches!(self.content, Content::Directory(_))
    }

    pub(super) fn child(&self, name: &[u8]) -> Result<Arc<Node>> {
        self.names()?.lock().get(name).cloned().ok_or(Errno::ENOENT)
    }

    /// The directory got or lost names.
    pub(super) fn count_names(&self, names: &Directory<Arc<Node>>) {
        self.shown.size.store((names.len() as u64 + 2) * NAME_SIZE, Ordering::Relaxed);
        self.shown.touch_modified();
    }

    /// Makes a directory refuse new names, if it has none: the first half of removing it.
    pub(super) fn claim(&self) -> Result<()> {
        let mut names = self.names()?.lock();
        if !names.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        names.is_claimed = true;
        Ok(())
    }

    /// It is not removed after all.
    pub(super) fn unclaim(&self) {
        if let Ok(names) = self.names() {
            names.lock().is_claimed = false;
        }
    }

    /// It gets a further name.
    fn gain_name(&self) -> Result<()> {
        // The first name of a file is paid for with the file.
        if self.shown.links.load(Ordering::Relaxed) == 0 && self.shown.take_first_name() {
            self.shown.touch_changed();
            return Ok(());
        }
        self.space.take_inode()?;
        let more = |links: u32| links.checked_add(1).filter(|_| links > 0);
        // A file that lost its last name gets no other.
        if self.shown.links.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
            self.space.give_inode();
            return Err(Errno::ENOENT);
        }
        self.shown.touch_changed();
        Ok(())
    }

    /// It lost a name; `parent` is the directory that had it.
    pub(super) fn lose_name(&self, parent: &Node) {
        if self.is_directory() {
            self.shown.links.store(0, Ordering::Relaxed);
            parent.shown.links.fetch_sub(1, Ordering::Relaxed);
        } else if self.shown.links.fetch_sub(1, Ordering::Relaxed) > 1 {
            self.space.give_inode();
        }
        self.shown.touch_changed();
    }
}

impl Inode for Node {
    fn extended(&self) -> Option<&dyn Extended> {
        Some(self)
    }

    fn created(&self) -> Option<Timespec> {
        Some(self.created)
    }

    fn attributes(&self) -> Attributes {
        self.shown.attributes()
    }

    fn change(&self, change: &Change) -> Result<()> {
        if let Some(size) = change.size {
            match self.contents() {
                Some(contents) => contents.resize(size)?,
                None if self.is_directory() => return Err(Errno::EISDIR),
                None => return Err(Errno::EINVAL),
            }
        }
        self.shown.change(change);
        Ok(())
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        Ok(self.child(name)?)
    }

    fn create(&self, name: &[u8], new: &NewNode<'_>) -> Result<Arc<dyn Inode>> {
        let names = self.names()?;
        let child = Self::new(&self.space, new)?;
        if let Content::Directory(inner) = &child.content {
            inner.lock().parent = self.shown.number;
        }
        let mut names = names.lock();
        names.add(name, child.clone())?;
        if child.is_directory() {
            self.shown.links.fetch_add(1, Ordering::Relaxed);
        }
        self.count_names(&names);
        Ok(child)
    }

    fn create_unnamed(&self, new: &NewNode<'_>, naming: Nameable) -> Result<Arc<dyn Inode>> {
        self.names()?;
        let node = Self::new(&self.space, new)?;
        node.shown.lose_all_names(naming);
        Ok(node)
    }

    fn link(&self, name: &[u8], other: &Arc<dyn Inode>) -> Result<()> {
        let node = self.same_system(other)?;
        if node.is_directory() {
            return Err(Errno::EPERM);
        }
        node.gain_name()?;
        let mut names = self.names()?.lock();
        if let Err(error) = names.add(name, node.clone()) {
            drop(names);
            node.lose_name(self);
            return Err(error);
        }
        self.count_names(&names);
        Ok(())
    }

    fn remove(&self, name: &[u8], removal: Removal) -> Result<()> {
        let child = self.child(name)?;
        match removal {
            Removal::File if child.is_directory() => return Err(Errno::EISDIR),
            Removal::File => {}
            Removal::Directory => child.claim()?,
        }
        let mut names = self.names()?.lock();
        if !names.get(name).is_some_and(|now| Arc::ptr_eq(now, &child)) {
            drop(names);
            child.unclaim();
            return Err(Errno::ENOENT);
        }
        let gone = names.remove(name);
        self.count_names(&names);
        drop(names);
        child.lose_name(self);
        drop(gone);
        Ok(())
    }

    fn rename(
        &self,
        name: &[u8],
        target: &Arc<dyn Inode>,
        new_name: &[u8],
        renaming: Renaming,
    ) -> Result<()> {
        let target = self.same_system(target)?;
        let wish = Wish { from: self, name, to: &target, new_name, renaming };
        wish.carry_out()
    }

    fn read_link(&self) -> Result<Vec<u8>> {
        let Content::Symlink(target) = &self.content else { return Err(Errno::EINVAL) };
        self.shown.touch_accessed();
        Ok(copied(target)?.into_vec())
    }

    fn open(self: Arc<Self>, opening: &Opening) -> Result<Arc<dyn File>> {
        match &self.content {
            Content::Regular(_) | Content::Directory(_) => Ok(self),
            Content::Fifo(pipe) => {
                let pipe = match pipe.get() {
                    Some(pipe) => pipe.clone(),
                    None => {
                        let new = Arc::new(Pipe::new()?);
                        pipe.call_once(|| new).clone()
                    }
                };
                pipe.open(opening)
            }
            Content::Symlink(_) => Err(Errno::ELOOP),
            Content::Elsewhere => Err(Errno::ENXIO),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl File for Node {
    fn read(&self, transfer: &Transfer, to: &mut dyn ByteSink) -> Result<usize> {
        self.contents().ok_or(Errno::EISDIR)?.read(transfer.position, to)
    }

    fn write(&self, transfer: &Transfer, from: &mut dyn ByteSource) -> Result<usize> {
        self.contents().ok_or(Errno::EISDIR)?.write(transfer.position, from)
    }

    fn append(&self, _wait: Wait, from: &mut dyn ByteSource) -> Result<(u64, usize)> {
        self.contents().ok_or(Errno::EISDIR)?.append(from)
    }

    fn storage(&self) -> Option<&dyn Storage> {
        Some(self)
    }

    fn list(&self, position: u64, to: &mut dyn Listing) -> Result<u64> {
        self.shown.touch_accessed();
        let names = self.names()?.lock();
        let (own, parent) = (self.shown.number, names.parent);
        let above = if parent == 0 { own } else { parent };
        if position == 0 && !to.add(b".", own, FileKind::Directory, 1) {
            return Ok(0);
        }
        if position <= 1 && !to.add(b"..", above, FileKind::Directory, 2) {
            return Ok(1);
        }
        let mut position = position.max(2);
        while let Some((at, name, node)) = names.next(position) {
            if !to.add(name, node.shown.number, node.shown.kind, at + 1) {
                return Ok(at);
            }
            position = at + 1;
        }
        Ok(position)
    }

    fn list_end(&self) -> u64 {
        self.names().map_or(0, |names| names.lock().end())
    }

    fn pages(self: Arc<Self>) -> Option<Arc<dyn PageSource>> {
        self.regular().is_some().then_some(self as Arc<dyn PageSource>)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Storage for Node {
    fn allocate(&self, how: Allocation, range: Range<u64>) -> Result<()> {
        self.contents().ok_or(Errno::ENODEV)?.allocate(how, range)
    }

    fn seek(&self, position: u64, wanted: Wanted) -> Result<u64> {
        match self.contents() {
            Some(contents) => contents.seek(position, wanted),
            None => Err(Errno::ENXIO),
        }
    }
}

impl PageSource for Node {
    fn page(&self, index: u64, purpose: Purpose) -> Result<SharedFrame> {
        if purpose == Purpose::Write {
            self.shown.touch_modified();
        }
        self.contents().ok_or(Errno::ENXIO)?.page(index)
    }

    fn cached_page(&self, index: u64) -> Option<SharedFrame> {
        self.contents()?.cached_page(index)
    }

    fn identity(&self) -> (u64, u64) {
        let shown = self.shown.attributes();
        (shown.device, shown.number)
    }

    fn describe(&self, to: &mut Vec<u8>) {
        let Some(label) = self.regular().and_then(|regular| regular.label.as_ref()) else { return };
        if to.try_reserve(label.len()).is_ok() {
            to.extend_from_slice(label);
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Content::Regular(regular) = &mut self.content {
            self.space.give_pages(regular.count_pages() as u64);
        }
        self.space.give_inode();
        drop_tree(&mut self.content);
    }
}

/// Drops what is in a directory level by level: the kernel's stack is small, and trees may be deep.
fn drop_tree(content: &mut Content) {
    let Content::Directory(top) = content else { return };
    let mut waiting: Vec<Directory<Arc<Node>>> = Vec::new();
    let mut names = top.get_mut().take();
    loop {
        while let Some(child) = names.pop() {
            let Some(mut last) = Arc::into_inner(child) else { continue };
            let Content::Directory(below) = &mut last.content else { continue };
            let below = below.get_mut().take();
            if !below.is_empty() && waiting.try_reserve(1).is_ok() {
                waiting.push(below);
            }
        }
        match waiting.pop() {
            Some(next) => names = next,
            None => return,
        }
    }
}
