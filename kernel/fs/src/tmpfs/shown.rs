//! What stat(2) tells of a file.
//!
//! No lock: each value stands for itself. Who reads while another changes several sees some of them changed, as on
//! Linux.

use core::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

use abi::time::Timespec;
use logic::addr::PAGE_SIZE;
use nucleus::clock;
use nucleus::vfs::{Attributes, Change, FileKind, NewNode};

/// Units of `st_blocks` in a page.
const BLOCKS_OF_PAGE: u64 = PAGE_SIZE / 512;
/// Linux's relatime: a time of access older than a day is noted anew.
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// A time.
#[derive(Debug)]
pub(super) struct Stamp {
    seconds: AtomicI64,
    nanoseconds: AtomicI64,
}

/// What stat(2) tells.
#[derive(Debug)]
pub(super) struct Shown {
    device: u64,
    pub(super) number: u64,
    pub(super) kind: FileKind,
    device_number: u64,
    permissions: AtomicU32,
    user: AtomicU32,
    group: AtomicU32,
    pub(super) links: AtomicU32,
    pub(super) size: AtomicU64,
    pub(super) pages: AtomicU64,
    accessed: Stamp,
    modified: Stamp,
    changed: Stamp,
}

impl Stamp {
    fn new(time: Timespec) -> Self {
        Stamp { seconds: AtomicI64::new(time.seconds), nanoseconds: AtomicI64::new(time.nanoseconds) }
    }

    fn get(&self) -> Timespec {
        Timespec {
            seconds: self.seconds.load(Ordering::Relaxed),
            nanoseconds: self.nanoseconds.load(Ordering::Relaxed),
        }
    }

    fn set(&self, time: Timespec) {
        self.seconds.store(time.seconds, Ordering::Relaxed);
        self.nanoseconds.store(time.nanoseconds, Ordering::Relaxed);
    }
}

impl Shown {
    pub(super) fn new(device: u64, number: u64, new: &NewNode<'_>) -> Self {
        let now = clock::realtime();
        Shown {
            device,
            number,
            kind: new.kind,
            device_number: new.device_number,
            permissions: AtomicU32::new(new.permissions & 0o7777),
            user: AtomicU32::new(new.user),
            group: AtomicU32::new(new.group),
            links: AtomicU32::new(if new.kind == FileKind::Directory { 2 } else { 1 }),
            size: AtomicU64::new(0),
            pages: AtomicU64::new(0),
            accessed: Stamp::new(now),
            modified: Stamp::new(now),
            changed: Stamp::new(now),
        }
    }

    pub(super) fn attributes(&self) -> Attributes {
        Attributes {
            device: self.device,
            number: self.number,
            kind: self.kind,
            permissions: self.permissions.load(Ordering::Relaxed),
            links: self.links.load(Ordering::Relaxed),
            user: self.user.load(Ordering::Relaxed),
            group: self.group.load(Ordering::Relaxed),
            device_number: self.device_number,
            size: self.size.load(Ordering::Acquire),
            blocks: self.pages.load(Ordering::Relaxed) * BLOCKS_OF_PAGE,
            block_size: 4096,
            accessed: self.accessed.get(),
            modified: self.modified.get(),
            changed: self.changed.get(),
        }
    }

    /// All but the size, which is more than a number.
    pub(super) fn change(&self, change: &Change) {
        let now = clock::realtime();
        if let Some(permissions) = change.permissions {
            self.permissions.store(permissions & 0o7777, Ordering::Relaxed);
        }
        if let Some(user) = change.user {
            self.user.store(user, Ordering::Relaxed);
        }
        if let Some(group) = change.group {
            self.group.store(group, Ordering::Relaxed);
        }
        if let Some(time) = change.accessed {
            self.accessed.set(time);
        }
        if let Some(time) = change.modified.or(change.size.map(|_| now)) {
            self.modified.set(time);
        }
        self.changed.set(now);
    }

    /// It was read: noted if that says something new (mount(8): relatime).
    pub(super) fn touch_accessed(&self) {
        let accessed = self.accessed.get();
        if accessed > self.modified.get() && accessed > self.changed.get() {
            let is_recent = clock::realtime().seconds.saturating_sub(accessed.seconds) < DAY_SECONDS;
            if is_recent {
                return;
            }
        }
        self.accessed.set(clock::realtime());
    }

    /// What is in it was changed.
    pub(super) fn touch_modified(&self) {
        let now = clock::realtime();
        self.modified.set(now);
        self.changed.set(now);
    }

    /// Something about it was changed.
    pub(super) fn touch_changed(&self) {
        self.changed.set(clock::realtime());
    }
}
