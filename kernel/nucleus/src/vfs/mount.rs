//! File systems in the tree: what is mounted where, and places as the pair of mount and entry.
//!
//! Lock: rank `Mount`, around the table; entries know whether anything is mounted on them, so a walk looks at the table
//! only where there is something to find.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use abi::{Errno, Result};
use hal::rank;
use hal::spin::Lock;

use super::entry::Entry;
use super::inode::{FileSystem, Inode};
use super::recent;
use crate::sched::Mutex;

/// A mounted file system.
pub struct Mount {
    file_system: Arc<dyn FileSystem>,
    /// The root of the file system.
    whole: Arc<Entry>,
    /// What of it is mounted: the same, or a part.
    root: Arc<Entry>,
    /// Where; none for the first.
    at: Lock<Option<Place>, rank::NamePlace>,
    source: Vec<u8>,
    /// `MS_` flags.
    flags: AtomicU32,
    /// Open files that may write.
    writers: AtomicU32,
    /// umount2(2) was asked whether it is in use, and nothing was opened on it since.
    is_expiring: AtomicBool,
    number: u64,
}

/// A file in the tree: an entry, and the mount it was reached through.
#[derive(Clone)]
pub struct Place {
    /// The mount.
    pub mount: Arc<Mount>,
    /// The entry.
    pub entry: Arc<Entry>,
}

static MOUNTS: Mutex<Vec<Arc<Mount>>, rank::Mount> = Mutex::new(Vec::new());
static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

/// `MS_RDONLY`.
pub const READ_ONLY: u32 = 1;
/// `MS_NOSUID`.
pub const NO_SETUID: u32 = 2;
/// `MS_NODEV`.
pub const NO_DEVICES: u32 = 4;
/// `MS_NOEXEC`.
pub const NO_EXEC: u32 = 8;

impl Mount {
    pub(super) fn is_root(&self, entry: &Arc<Entry>) -> bool {
        Arc::ptr_eq(entry, &self.root)
    }

    /// Its file system.
    pub fn file_system(&self) -> &Arc<dyn FileSystem> {
        &self.file_system
    }

    /// What was mounted, as mount(2) was told.
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// `MS_` flags.
    pub fn flags(&self) -> u32 {
        self.flags.load(Ordering::Relaxed)
    }

    /// Sets them.
    pub fn set_flags(&self, flags: u32) {
        self.flags.store(flags, Ordering::Relaxed);
    }

    /// Whether an open file may write on it.
    pub fn has_writers(&self) -> bool {
        self.writers.load(Ordering::Acquire) != 0
    }

    /// Something was opened on it.
    pub(super) fn note_use(&self) {
        if self.is_expiring.load(Ordering::Relaxed) {
            self.is_expiring.store(false, Ordering::Release);
        }
    }

    /// Its number in `/proc/self/mountinfo`.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Where it is mounted.
    pub fn at(&self) -> Option<Place> {
        self.at.lock().clone()
    }
}

/// Mounts `file_system` on `at`, or as the first of all.
///
/// # Errors
/// ENOTDIR, ENOMEM.
pub fn mount(
    file_system: Arc<dyn FileSystem>,
    at: Option<Place>,
    source: &[u8],
    flags: u32,
) -> Result<Place> {
    if at.as_ref().is_some_and(|at| !at.entry.is_directory()) {
        return Err(Errno::ENOTDIR);
    }
    let mut mounts = MOUNTS.lock();
    // Names are known once for each file system, however often it is mounted.
    let known = mounts.iter().find(|mount| Arc::ptr_eq(&mount.file_system, &file_system));
    let whole = match known {
        Some(mount) => mount.whole.clone(),
        None => Entry::root(file_system.root(), file_system.naming()),
    };
    add(&mut mounts, file_system, whole.clone(), whole, at, source, flags)
}

/// Mounts what is at `place` on `at` too (mount(2): `MS_BIND`).
///
/// # Errors
/// ENOTDIR if one is a directory and the other is not; ENOMEM.
pub fn bind(place: &Place, at: Place) -> Result<Place> {
    if place.entry.is_directory() != at.entry.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    let mut mounts = MOUNTS.lock();
    let from = &place.mount;
    let (file_system, whole) = (from.file_system.clone(), from.whole.clone());
    add(&mut mounts, file_system, whole, place.entry.clone(), Some(at), &from.source, from.flags())
}

fn add(
    mounts: &mut Vec<Arc<Mount>>,
    file_system: Arc<dyn FileSystem>,
    whole: Arc<Entry>,
    root: Arc<Entry>,
    at: Option<Place>,
    source: &[u8],
    flags: u32,
) -> Result<Place> {
    mounts.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    let mount = Arc::new(Mount {
        file_system,
        whole,
        root: root.clone(),
        at: Lock::new(at.clone()),
        source: source.to_vec(),
        flags: AtomicU32::new(flags),
        writers: AtomicU32::new(0),
        is_expiring: AtomicBool::new(false),
        number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
    });
    mounts.push(mount.clone());
    recent::forget_all();
    if let Some(at) = &at {
        at.entry.mounts.fetch_add(1, Ordering::Relaxed);
    }
    Ok(Place { mount, entry: root })
}

/// How a mount is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmounting {
    /// If it is not in use.
    Now,
    /// From the tree now, with its last user wholly (`MNT_DETACH`).
    Lazy,
    /// If nothing was opened on it since this was asked last (`MNT_EXPIRE`); the first time it is only noted.
    IfUnused,
}

/// An open file that may write, counted by its mount until this is dropped.
pub(super) struct Writer(Arc<Mount>);

impl Writer {
    pub(super) fn new(mount: &Arc<Mount>) -> Self {
        mount.writers.fetch_add(1, Ordering::AcqRel);
        Writer(mount.clone())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.writers.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Takes the mount that `place` is the root of away.
///
/// # Errors
/// EINVAL if it is none, or the first; EBUSY if others are mounted on it, or it is in use.
pub fn unmount(place: &Place, how: Unmounting) -> Result<()> {
    let is_lazy = how == Unmounting::Lazy;
    let mut mounts = MOUNTS.lock();
    if !Arc::ptr_eq(&place.entry, &place.mount.root) {
        return Err(Errno::EINVAL);
    }
    let at = place.mount.at().ok_or(Errno::EINVAL)?;
    let is_below = |other: &Arc<Mount>| other.at().is_some_and(|on| Arc::ptr_eq(&on.mount, &place.mount));
    // The table, the caller's place, and nobody else.
    let is_in_use = Arc::strong_count(&place.mount) > 2;
    if mounts.iter().any(is_below) || (is_in_use && !is_lazy) {
        return Err(Errno::EBUSY);
    }
    if how == Unmounting::IfUnused && !place.mount.is_expiring.swap(true, Ordering::AcqRel) {
        return Err(Errno::EAGAIN);
    }
    mounts.retain(|mount| !Arc::ptr_eq(mount, &place.mount));
    recent::forget_all();
    at.entry.mounts.fetch_sub(1, Ordering::Relaxed);
    let file_system = &place.mount.file_system;
    let is_last = !mounts.iter().any(|mount| Arc::ptr_eq(&mount.file_system, file_system));
    drop(mounts);
    if !is_last {
        return Ok(());
    }
    if is_in_use {
        // Whoever uses it goes on; what was written so far is safe.
        return file_system.sync(None);
    }
    place.mount.whole.forget_all();
    file_system.retire()
}

/// Brings all file systems to where a power cut does no harm, and lets nothing change any more. The last one first.
///
/// # Errors
/// The first of any.
pub fn close_all() -> Result<()> {
    let mut outcome = Ok(());
    let mounts = MOUNTS.lock().clone();
    for mount in mounts.iter().rev() {
        let synced = mount.file_system.sync(None);
        mount.set_flags(mount.flags() | READ_ONLY);
        outcome = outcome.and(synced).and(mount.file_system.remount(true, b""));
    }
    outcome
}

/// The mounted file system whose files have this device number.
pub fn on_device(number: u64) -> Option<Arc<dyn FileSystem>> {
    let mounts = MOUNTS.lock();
    let found = mounts.iter().find(|mount| mount.whole.inode().attributes().device == number);
    found.map(|mount| mount.file_system.clone())
}

/// Moves the mount that `place` is the root of to `target`.
///
/// # Errors
/// EINVAL if it is none, or `target` lies below it; ENOTDIR.
pub fn move_to(place: &Place, target: &Place) -> Result<()> {
    let _mounts = MOUNTS.lock();
    if !Arc::ptr_eq(&place.entry, &place.mount.root) {
        return Err(Errno::EINVAL);
    }
    if Arc::ptr_eq(&place.mount, &target.mount) {
        return Err(Errno::ELOOP);
    }
    if !target.entry.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    let mut above = target.mount.at();
    while let Some(at) = above {
        if Arc::ptr_eq(&at.mount, &place.mount) {
            return Err(Errno::ELOOP);
        }
        above = at.mount.at();
    }
    let old = place.mount.at.lock().replace(target.clone());
    target.entry.mounts.fetch_add(1, Ordering::Relaxed);
    recent::forget_all();
    if let Some(old) = old {
        old.entry.mounts.fetch_sub(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Makes `new_root` the root of the tree and puts the old one on `put_old` (pivot_root(2)).
///
/// # Errors
/// EINVAL if one of the roots is no mount, or `put_old` is not below `new_root`; EBUSY if they are the same; ENOTDIR.
pub fn pivot(old_root: &Place, new_root: &Place, put_old: &Place) -> Result<()> {
    let mounts = MOUNTS.lock();
    if !new_root.entry.is_directory() || !put_old.entry.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    if Arc::ptr_eq(&new_root.mount, &old_root.mount) || Arc::ptr_eq(&put_old.mount, &old_root.mount) {
        return Err(Errno::EBUSY);
    }
    let is_root = |place: &Place| Arc::ptr_eq(&place.entry, &place.mount.root);
    if !is_root(new_root) || !is_root(old_root) {
        return Err(Errno::EINVAL);
    }
    // `put_old` must be reached from `new_root`.
    let mut at = put_old.clone();
    while !Arc::ptr_eq(&at.mount, &new_root.mount) {
        at = at.mount.at().ok_or(Errno::EINVAL)?;
    }
    let was_at = new_root.mount.at().ok_or(Errno::EINVAL)?;
    let old_at = old_root.mount.at();
    let gone = {
        let first = core::mem::replace(&mut *new_root.mount.at.lock(), old_at);
        let second = old_root.mount.at.lock().replace(put_old.clone());
        (first, second)
    };
    was_at.entry.mounts.fetch_sub(1, Ordering::Relaxed);
    put_old.entry.mounts.fetch_add(1, Ordering::Relaxed);
    recent::forget_all();
    drop(mounts);
    drop(gone);
    Ok(())
}

/// Calls `visit` with each mount, in the order they were made.
pub fn for_each(mut visit: impl FnMut(&Arc<Mount>)) {
    let mounts = MOUNTS.lock().clone();
    mounts.iter().for_each(&mut visit);
}

impl Place {
    /// A place that no path leads to.
    pub(super) fn outside(file_system: Arc<dyn FileSystem>, entry: Arc<Entry>) -> Self {
        let mount = Mount {
            file_system,
            whole: entry.clone(),
            root: entry.clone(),
            at: Lock::new(None),
            source: Vec::new(),
            flags: AtomicU32::new(0),
            writers: AtomicU32::new(0),
            is_expiring: AtomicBool::new(false),
            number: 0,
        };
        Place { mount: Arc::new(mount), entry }
    }

    /// The file.
    pub fn inode(&self) -> &Arc<dyn Inode> {
        self.entry.inode()
    }

    /// Whether both are the same entry of the same mount.
    pub fn is(&self, other: &Place) -> bool {
        Arc::ptr_eq(&self.entry, &other.entry) && Arc::ptr_eq(&self.mount, &other.mount)
    }

    /// What is seen here: the root of what is mounted last, or the place itself.
    #[must_use]
    pub fn topmost(self) -> Place {
        let mut place = self;
        while place.entry.is_mount_point() {
            let mounts = MOUNTS.lock();
            let found = mounts.iter().rev().find(|mount| mount.at().is_some_and(|at| at.is(&place))).cloned();
            drop(mounts);
            match found {
                Some(mount) => place = Place { entry: mount.root.clone(), mount },
                None => break,
            }
        }
        place
    }

    /// What is called `name` in this directory: the root of what is mounted there, if anything is.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, EIO, ENOMEM.
    pub fn child(&self, name: &[u8]) -> Result<Place> {
        if !self.entry.is_stable() {
            let entry = self.entry.child(name)?;
            return Ok(Place { mount: self.mount.clone(), entry }.topmost());
        }
        if let Some(found) = recent::find(self, name) {
            return Ok(found);
        }
        let generation = recent::generation();
        let entry = self.entry.child(name)?;
        let known_as = entry.name();
        let found = Place { mount: self.mount.clone(), entry }.topmost();
        // Renamed meanwhile, it has another name, and another generation has begun.
        if *known_as == *name {
            recent::note(self, known_as, &found, generation);
        }
        Ok(found)
    }

    /// The directory above, where `root` is the highest there is.
    #[must_use]
    pub fn parent(&self, root: &Place) -> Place {
        let mut place = self.clone();
        loop {
            if place.is(root) {
                return place;
            }
            if let Some(parent) = place.above_in_mount() {
                return Place { mount: place.mount, entry: parent }.topmost();
            }
            match place.mount.at() {
                Some(at) => place = at,
                None => return place,
            }
        }
    }

    /// The directory above in the same mount.
    fn above_in_mount(&self) -> Option<Arc<Entry>> {
        if Arc::ptr_eq(&self.entry, &self.mount.root) { None } else { self.entry.parent() }
    }

    /// Appends the path from `root`; says whether the place can be reached from there.
    pub fn path(&self, root: &Place, to: &mut Vec<u8>) -> bool {
        let mut names = Vec::new();
        let mut place = self.clone();
        let mut is_reached = true;
        while !place.is(root) {
            match place.above_in_mount() {
                Some(parent) => {
                    names.push(place.entry.name());
                    place.entry = parent;
                }
                None => match place.mount.at() {
                    Some(at) => place = at,
                    None => {
                        is_reached = false;
                        break;
                    }
                },
            }
        }
        if names.is_empty() {
            to.push(b'/');
        }
        for name in names.iter().rev() {
            to.push(b'/');
            to.extend_from_slice(name);
        }
        is_reached
    }
}
