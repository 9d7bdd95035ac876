//! A file: inode, open file and source of pages in one object.
//!
//! What stat(2) tells is kept beside the state machine (`Shown`), so that asking takes no lock. Size and times change
//! there first, and go to the state machine before the file is brought to the disk.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use abi::time::Timespec;
use abi::{Errno, Result};
use ext2::{Change as DiskChange, Ino, Pending};
use hal::frames::SharedFrame;
use hal::rank;
use hal::spin::Once;
use hal::time;
use logic::addr::PAGE_SIZE;
use nucleus::mm::PageSource;
use nucleus::mm::source::Purpose;
use nucleus::sched::{Mutex, Wait};
use nucleus::vfs::cache::{Mapped, PageCache};
use nucleus::vfs::extended::Extended;
use nucleus::vfs::flusher;
use nucleus::vfs::inode::{Nameable, Removal, Renaming};
use nucleus::vfs::storage::Storage;
use nucleus::vfs::{
    Attributes, ByteSink, ByteSource, Change, File, FileKind, Inode, Listing, NewNode, Opening, Transfer,
};

use super::contents::Faulting;
use super::extended::UNKNOWN;
use super::volume::Volume;
use crate::pipe::Pipe;
use crate::shown::Shown;

/// A file.
pub(super) struct Node {
    pub(super) volume: Arc<Volume>,
    pub(super) ino: Ino,
    pub(super) shown: Shown,
    pub(super) cache: Arc<PageCache>,
    pub(super) writing: Mutex<(), rank::Writing>,
    /// Size or times are newer here than in the state machine, since this moment; 0: they are not.
    changed_since_ns: AtomicU64,
    /// The volume keeps it until it is on the disk.
    pub(super) is_kept: AtomicBool,
    /// The size that the state machine knows.
    pub(super) disk_size: AtomicU64,
    /// Whether it gives capabilities, once somebody asked.
    pub(super) capability: AtomicU8,
    fifo: Once<Arc<Pipe>>,
    me: Weak<Node>,
}

/// What the virtual file system shows of what the disk has.
pub(super) fn shown_attributes(volume: &Volume, ino: Ino, found: &ext2::Attributes) -> Result<Attributes> {
    Ok(Attributes {
        device: volume.disk.number(),
        number: u64::from(ino.0),
        kind: FileKind::from_mode(found.mode).ok_or(Errno::EUCLEAN)?,
        permissions: found.mode & 0o7777,
        links: found.links,
        user: found.user,
        group: found.group,
        device_number: found.device_number,
        size: found.size,
        blocks: found.blocks,
        block_size: volume.block_size,
        accessed: found.accessed,
        modified: found.modified,
        changed: found.changed,
    })
}

impl Node {
    pub(super) fn new(volume: &Arc<Volume>, ino: Ino, found: &ext2::Attributes) -> Result<Arc<Self>> {
        let attributes = shown_attributes(volume, ino, found)?;
        Ok(Arc::new_cyclic(|me| Node {
            volume: volume.clone(),
            ino,
            shown: Shown::of(&attributes),
            cache: PageCache::new((attributes.device, attributes.number)),
            writing: Mutex::new(()),
            changed_since_ns: AtomicU64::new(0),
            is_kept: AtomicBool::new(false),
            disk_size: AtomicU64::new(attributes.size),
            capability: AtomicU8::new(UNKNOWN),
            fifo: Once::new(),
            me: me.clone(),
        }))
    }

    pub(super) fn is_regular(&self) -> bool {
        self.shown.kind == FileKind::Regular
    }

    /// Shows what an operation changed.
    pub(super) fn refresh(&self) -> Result<()> {
        let found = self.volume.state.lock().attributes(self.ino)?;
        let attributes = shown_attributes(&self.volume, self.ino, &found)?;
        self.shown.refresh(&attributes);
        if self.changed_since_ns.load(Ordering::Acquire) == 0 {
            self.shown.refresh_times(&attributes);
        }
        Ok(())
    }

    /// Size or times changed here; the disk hears of it later.
    pub(super) fn note_changed(&self) {
        let now = time::now_ns().max(1);
        let _ = self.changed_since_ns.compare_exchange(0, now, Ordering::AcqRel, Ordering::Relaxed);
        self.note_dirty();
    }

    /// There is something that the disk does not have.
    pub(super) fn note_dirty(&self) {
        if self.is_kept.swap(true, Ordering::AcqRel) {
            return;
        }
        let kept = self.me.upgrade().map(|me| self.volume.keep_dirty(me));
        if kept != Some(Ok(())) {
            self.is_kept.store(false, Ordering::Release);
        }
    }

    /// When the oldest of what the disk does not have became so.
    pub(super) fn dirty_since_ns(&self) -> Option<u64> {
        let changed = self.changed_since_ns.load(Ordering::Acquire);
        let changed = (changed != 0).then_some(changed);
        match (changed, self.cache.dirty_since_ns()) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty_since_ns().is_some()
    }

    /// Tells the state machine size and times.
    fn push_changes(&self) -> Result<()> {
        if self.changed_since_ns.swap(0, Ordering::AcqRel) == 0 {
            return Ok(());
        }
        let pushed = self.volume.operate(|state| {
            let now = self.shown.attributes();
            if self.is_regular() {
                state.note_written(self.ino, now.size, now.changed)?;
                self.disk_size.store(now.size, Ordering::Relaxed);
            }
            let times = DiskChange {
                accessed: Some(now.accessed),
                modified: Some(now.modified),
                ..DiskChange::default()
            };
            state.change(self.ino, &times, now.changed)
        });
        if pushed.is_err() {
            self.note_changed();
        }
        pushed
    }

    /// Brings bytes, size and times to where the next commit takes them along.
    pub(super) fn write_back(&self, range: Range<u64>) -> Result<()> {
        self.push_changes().and(self.write_pages(range, Mapped::Protected))
    }

    /// Brings everything to the disk.
    pub(super) fn sync_to_disk(&self, range: Range<u64>, least: Pending) -> Result<()> {
        self.write_back(range)?;
        if self.volume.pending(self.ino) >= least {
            return self.volume.commit(ext2::Purpose::Durability);
        }
        self.volume.disk.flush_sync()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let is_nameless = self.shown.links.load(Ordering::Relaxed) == 0;
        self.volume.forget(self.ino, is_nameless);
    }
}

impl Inode for Node {
    fn created(&self) -> Option<Timespec> {
        self.volume.state.lock().attributes(self.ino).ok()?.created
    }

    fn attributes(&self) -> Attributes {
        self.shown.attributes()
    }

    fn change(&self, change: &Change) -> Result<()> {
        if let Some(size) = change.size {
            match self.shown.kind {
                FileKind::Regular => self.resize(size)?,
                FileKind::Directory => return Err(Errno::EISDIR),
                _ => return Err(Errno::EINVAL),
            }
        }
        self.push_changes()?;
        self.shown.change(change);
        let now = self.shown.attributes();
        let wanted = DiskChange {
            permissions: change.permissions,
            user: change.user,
            group: change.group,
            accessed: change.accessed,
            modified: change.modified.or(change.size.map(|_| now.modified)),
            flags: None,
        };
        let changed = self.volume.operate(|state| state.change(self.ino, &wanted, now.changed));
        self.refresh().and(changed)
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>> {
        Ok(self.child(name)?)
    }

    fn create(&self, name: &[u8], new: &NewNode<'_>) -> Result<Arc<dyn Inode>> {
        Ok(self.make(name, new)?)
    }

    fn create_unnamed(&self, new: &NewNode<'_>, naming: Nameable) -> Result<Arc<dyn Inode>> {
        Ok(self.make_unnamed(new, naming)?)
    }

    fn link(&self, name: &[u8], other: &Arc<dyn Inode>) -> Result<()> {
        self.give_name(name, other)
    }

    fn remove(&self, name: &[u8], removal: Removal) -> Result<()> {
        self.take_name(name, removal)
    }

    fn rename(
        &self,
        name: &[u8],
        target: &Arc<dyn Inode>,
        new_name: &[u8],
        renaming: Renaming,
    ) -> Result<()> {
        self.move_name(name, target, new_name, renaming)
    }

    fn read_link(&self) -> Result<Vec<u8>> {
        self.volume.state.lock().read_link(self.ino)
    }

    fn extended(&self) -> Option<&dyn Extended> {
        Some(self)
    }

    fn open(self: Arc<Self>, opening: &Opening) -> Result<Arc<dyn File>> {
        match self.shown.kind {
            FileKind::Regular | FileKind::Directory => Ok(self),
            FileKind::Fifo => {
                let pipe = match self.fifo.get() {
                    Some(pipe) => pipe.clone(),
                    None => {
                        let new = Arc::new(Pipe::new()?);
                        self.fifo.call_once(|| new).clone()
                    }
                };
                pipe.open(opening)
            }
            FileKind::Symlink => Err(Errno::ELOOP),
            FileKind::CharDevice | FileKind::BlockDevice | FileKind::Socket => Err(Errno::ENXIO),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl File for Node {
    fn read(&self, transfer: &Transfer, to: &mut dyn ByteSink) -> Result<usize> {
        if !self.is_regular() {
            return Err(Errno::EISDIR);
        }
        let count = self.cache.read(self, transfer.position, to)?;
        self.note_read();
        Ok(count)
    }

    fn write(&self, transfer: &Transfer, from: &mut dyn ByteSource) -> Result<usize> {
        let count = {
            let _alone = self.writing.lock();
            self.write_locked(transfer.position, from)?
        };
        wait_if_too_much(transfer.position, count);
        Ok(count)
    }

    fn append(&self, _wait: Wait, from: &mut dyn ByteSource) -> Result<(u64, usize)> {
        let (start, count) = {
            let _alone = self.writing.lock();
            let start = self.shown.size.load(Ordering::Acquire);
            (start, self.write_locked(start, from)?)
        };
        wait_if_too_much(start, count);
        Ok((start + count as u64, count))
    }

    fn storage(&self) -> Option<&dyn Storage> {
        Some(self)
    }

    fn list(&self, position: u64, to: &mut dyn Listing) -> Result<u64> {
        self.list_names(position, to)
    }

    fn pages(self: Arc<Self>) -> Option<Arc<dyn PageSource>> {
        self.is_regular().then_some(self as Arc<dyn PageSource>)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Whoever dirties another page waits while too many are dirty: with the file's position locked, which nobody who writes
/// back needs.
fn wait_if_too_much(start: u64, count: usize) {
    if start / PAGE_SIZE != (start + count as u64) / PAGE_SIZE {
        flusher::throttle();
    }
}

impl PageSource for Node {
    fn page(&self, index: u64, purpose: Purpose) -> Result<SharedFrame> {
        if purpose == Purpose::Write {
            self.shown.touch_modified();
            self.note_changed();
        }
        self.cache.map(&Faulting(self), index, purpose)
    }

    fn wait_for_page(&self) -> Result<()> {
        self.volume.commit(ext2::Purpose::Durability)
    }

    fn sync(&self, range: Range<u64>) -> Result<()> {
        self.sync_to_disk(range, Pending::All)
    }

    fn cached_page(&self, index: u64) -> Option<SharedFrame> {
        self.cache.cached(index)
    }

    fn identity(&self) -> (u64, u64) {
        (self.volume.disk.number(), u64::from(self.ino.0))
    }

    fn describe(&self, _to: &mut Vec<u8>) {}
}

impl Node {
    /// It was read.
    pub(super) fn note_read(&self) {
        if self.shown.touch_accessed() {
            self.note_changed();
        }
    }
}
