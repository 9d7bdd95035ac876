//! What stat(2) tells of a file.
//!
//! No lock: each value stands for itself. Who reads while another changes several sees some of them changed, as on
//! Linux.

use core::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};

use abi::time::Timespec;
use nucleus::clock;
use nucleus::vfs::inode::Nameable;
use nucleus::vfs::{Attributes, Change, FileKind, NewNode};

/// Linux's relatime: a time of access older than a day is noted anew.
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// A time.
#[derive(Debug)]
pub(crate) struct Stamp {
    seconds: AtomicI64,
    nanoseconds: AtomicI64,
}

/// What stat(2) tells.
#[derive(Debug)]
pub(crate) struct Shown {
    device: u64,
    pub(crate) number: u64,
    pub(crate) kind: FileKind,
    device_number: u64,
    permissions: AtomicU32,
    user: AtomicU32,
    group: AtomicU32,
    pub(crate) links: AtomicU32,
    /// It was made without a name and may be given one.
    is_nameable: AtomicBool,
    pub(crate) size: AtomicU64,
    /// What it takes, in units of 512 bytes.
    pub(crate) sectors: AtomicU64,
    block_size: u32,
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
    pub(crate) fn new(device: u64, number: u64, new: &NewNode<'_>) -> Self {
        let now = clock::realtime();
        Shown {
            device,
            number,
            kind: new.kind,
            device_number: new.device_number,
            permissions: AtomicU32::new(new.permissions & 0o7777),
            user: AtomicU32::new(new.user),
            group: AtomicU32::new(new.group),
            is_nameable: AtomicBool::new(false),
            links: AtomicU32::new(if new.kind == FileKind::Directory { 2 } else { 1 }),
            size: AtomicU64::new(0),
            sectors: AtomicU64::new(0),
            block_size: 4096,
            accessed: Stamp::new(now),
            modified: Stamp::new(now),
            changed: Stamp::new(now),
        }
    }

    pub(crate) fn attributes(&self) -> Attributes {
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
            blocks: self.sectors.load(Ordering::Relaxed),
            block_size: self.block_size,
            accessed: self.accessed.get(),
            modified: self.modified.get(),
            changed: self.changed.get(),
        }
    }

    /// What a file system on a disk tells.
    pub(crate) fn of(attributes: &Attributes) -> Self {
        Shown {
            device: attributes.device,
            number: attributes.number,
            kind: attributes.kind,
            device_number: attributes.device_number,
            permissions: AtomicU32::new(attributes.permissions),
            user: AtomicU32::new(attributes.user),
            group: AtomicU32::new(attributes.group),
            is_nameable: AtomicBool::new(false),
            links: AtomicU32::new(attributes.links),
            size: AtomicU64::new(attributes.size),
            sectors: AtomicU64::new(attributes.blocks),
            block_size: attributes.block_size,
            accessed: Stamp::new(attributes.accessed),
            modified: Stamp::new(attributes.modified),
            changed: Stamp::new(attributes.changed),
        }
    }

    /// Shows what changed on the disk, but for size and times, which may be newer here.
    pub(crate) fn refresh(&self, attributes: &Attributes) {
        self.permissions.store(attributes.permissions, Ordering::Relaxed);
        self.user.store(attributes.user, Ordering::Relaxed);
        self.group.store(attributes.group, Ordering::Relaxed);
        self.links.store(attributes.links, Ordering::Relaxed);
        self.sectors.store(attributes.blocks, Ordering::Relaxed);
    }

    /// Shows the size and the times of the disk.
    pub(crate) fn refresh_times(&self, attributes: &Attributes) {
        self.size.store(attributes.size, Ordering::Release);
        self.modified.set(attributes.modified);
        self.changed.set(attributes.changed);
    }

    /// All but the size, which is more than a number.
    pub(crate) fn change(&self, change: &Change) {
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

    /// It has no name, and gets one at most once.
    pub(crate) fn lose_all_names(&self, naming: Nameable) {
        self.links.store(0, Ordering::Relaxed);
        self.is_nameable.store(naming == Nameable::Once, Ordering::Relaxed);
    }

    /// Gives it its first name, if it was made to get one; says whether it was.
    pub(crate) fn take_first_name(&self) -> bool {
        let is_first = self.is_nameable.swap(false, Ordering::Relaxed);
        if is_first {
            self.links.store(1, Ordering::Relaxed);
        }
        is_first
    }

    /// Whether it has a name or may be given its first.
    pub(crate) fn may_gain_name(&self) -> bool {
        self.links.load(Ordering::Relaxed) != 0 || self.is_nameable.load(Ordering::Relaxed)
    }

    /// It was read: noted if that says something new (mount(8): relatime). Says whether it was.
    pub(crate) fn touch_accessed(&self) -> bool {
        let accessed = self.accessed.get();
        if accessed > self.modified.get() && accessed > self.changed.get() {
            let is_recent = clock::realtime().seconds.saturating_sub(accessed.seconds) < DAY_SECONDS;
            if is_recent {
                return false;
            }
        }
        self.accessed.set(clock::realtime());
        true
    }

    /// What is in it was changed.
    pub(crate) fn touch_modified(&self) {
        let now = clock::realtime();
        self.modified.set(now);
        self.changed.set(now);
    }

    /// Something about it was changed.
    pub(crate) fn touch_changed(&self) {
        self.changed.set(clock::realtime());
    }
}
