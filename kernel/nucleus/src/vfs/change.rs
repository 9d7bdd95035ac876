//! Making, removing and renaming, with the permissions each needs.

use alloc::format;
use alloc::sync::Arc;

use abi::file::{S_ISGID, S_ISVTX};
use abi::{Errno, Result};
use hal::rank;
use logic::cred::{Access, Capability, Cred};

use super::entry::Entry;
use super::inode::{Change, FileKind, Nameable, Naming, NewNode, Removal, Renaming};
use super::mount::{self, Place};
use super::notify;
use super::walk::{Component, Found, Walker};
use crate::sched::Mutex;

/// The group may run it.
const S_IXGRP: u32 = 0o010;

/// Renames happen one at a time: so that no directory becomes its own ancestor between a check and the change.
static RENAMING: Mutex<(), rank::Rename> = Mutex::new(());

/// A file to be made, but for its owner, which is whoever makes it.
#[derive(Clone, Copy, Debug)]
pub struct Making<'a> {
    /// What it is.
    pub kind: FileKind,
    /// Permissions, umask applied.
    pub permissions: u32,
    /// For devices: which.
    pub device_number: u64,
    /// For symbolic links: where to.
    pub target: &'a [u8],
}

impl Place {
    /// Whether `cred` may do `wanted` here.
    ///
    /// # Errors
    /// EACCES; EROFS to write on a file system that is mounted read-only.
    pub fn check(&self, cred: &Cred, wanted: Access) -> Result<()> {
        let attributes = self.inode().attributes();
        let is_special =
            !matches!(attributes.kind, FileKind::Regular | FileKind::Directory | FileKind::Symlink);
        if wanted == wanted.and(Access::WRITE) && !is_special && self.mount.flags() & mount::READ_ONLY != 0 {
            return Err(Errno::EROFS);
        }
        if cred.may(wanted, attributes.owner()) { Ok(()) } else { Err(Errno::EACCES) }
    }

    /// Whether it is what is mounted somewhere.
    pub fn is_mount_root(&self) -> bool {
        self.mount.is_root(&self.entry)
    }

    /// Whether what it holds may be changed at all.
    ///
    /// # Errors
    /// EROFS.
    pub fn check_writable_mount(&self) -> Result<()> {
        if self.mount.flags() & mount::READ_ONLY == 0 { Ok(()) } else { Err(Errno::EROFS) }
    }

    /// Changes attributes; the caller has checked who may.
    ///
    /// # Errors
    /// EROFS, what the file system says.
    pub fn change(&self, change: &Change) -> Result<()> {
        self.check_writable_mount()?;
        self.inode().change(change)?;
        notify::changed(&self.entry, change);
        Ok(())
    }
}

impl Walker<'_> {
    /// Makes a file where nothing is.
    ///
    /// # Errors
    /// EEXIST, ENOENT, EACCES, EROFS, what the file system says.
    pub fn make(&self, found: Found, making: &Making<'_>) -> Result<Place> {
        if found.place.is_some() {
            return Err(Errno::EEXIST);
        }
        let Component::Name(name) = &found.last else { return Err(Errno::EEXIST) };
        if found.wants_directory && making.kind != FileKind::Directory {
            return Err(Errno::ENOENT);
        }
        found.directory.check(self.cred, Access::WRITE.and(Access::EXECUTE))?;
        let new = self.new_node(&found.directory, making);
        let entry = found.directory.entry.make_child(name, |directory| directory.create(name, &new))?;
        notify::made(&found.directory.entry, &entry);
        Ok(Place { mount: found.directory.mount, entry })
    }

    /// Makes a file that no directory has.
    ///
    /// # Errors
    /// ENOTDIR, EACCES, EROFS, what the file system says.
    pub fn make_unnamed(&self, directory: &Place, making: &Making<'_>, naming: Nameable) -> Result<Place> {
        if !directory.entry.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        directory.check(self.cred, Access::WRITE.and(Access::EXECUTE))?;
        let inode = directory.inode().create_unnamed(&self.new_node(directory, making), naming)?;
        // What `/proc` shows, as on Linux.
        let shown = format!("#{} (deleted)", inode.attributes().number);
        let parent = Some(directory.entry.clone());
        let entry = Entry::new(inode, parent, Arc::from(shown.as_bytes()), Naming::Stable);
        Ok(Place { mount: directory.mount.clone(), entry })
    }

    /// A new file with its owner: a directory with setgid hands its group on, and to directories the bit too.
    fn new_node<'a>(&self, directory: &Place, making: &Making<'a>) -> NewNode<'a> {
        let above = directory.inode().attributes();
        let inherits = above.permissions & S_ISGID != 0;
        let group = if inherits { above.group } else { self.cred.group.file };
        let mut permissions = making.permissions & 0o7777;
        if inherits && making.kind == FileKind::Directory {
            permissions |= S_ISGID;
        } else if inherits && permissions & S_IXGRP != 0 && !self.may_setgid(group) {
            permissions &= !S_ISGID;
        }
        NewNode {
            kind: making.kind,
            permissions,
            user: self.cred.user.file,
            group,
            device_number: making.device_number,
            target: making.target,
        }
    }

    /// Whether a program may run as `group` because this one says so.
    pub fn may_setgid(&self, group: u32) -> bool {
        self.cred.is_in_group(group) || self.cred.has(Capability::Fsetid)
    }

    /// Gives `old` another name.
    ///
    /// # Errors
    /// EEXIST, EXDEV, EPERM for directories, EACCES, EROFS.
    pub fn link(&self, old: &Place, found: Found) -> Result<()> {
        if found.place.is_some() {
            return Err(Errno::EEXIST);
        }
        let Component::Name(name) = &found.last else { return Err(Errno::EEXIST) };
        if found.wants_directory {
            return Err(Errno::ENOENT);
        }
        if !Arc::ptr_eq(&old.mount, &found.directory.mount) {
            return Err(Errno::EXDEV);
        }
        found.directory.check(self.cred, Access::WRITE.and(Access::EXECUTE))?;
        if old.entry.is_directory() {
            return Err(Errno::EPERM);
        }
        let inode = old.inode().clone();
        found.directory.entry.make_child(name, |directory| {
            directory.link(name, &inode)?;
            Ok(inode.clone())
        })?;
        notify::linked(&found.directory.entry, name, &*inode);
        Ok(())
    }

    /// Takes a name away.
    ///
    /// # Errors
    /// ENOENT, EISDIR, ENOTDIR, ENOTEMPTY, EBUSY, EACCES, EPERM in sticky directories, EROFS, EINVAL for `.`.
    pub fn remove(&self, found: Found, removal: Removal) -> Result<()> {
        let name = match (&found.last, removal) {
            (Component::Name(name), _) => name.clone(),
            (_, Removal::File) => return Err(Errno::EISDIR),
            (Component::Here, Removal::Directory) => return Err(Errno::EINVAL),
            (Component::Above, Removal::Directory) => return Err(Errno::ENOTEMPTY),
            (Component::Root, Removal::Directory) => return Err(Errno::EBUSY),
        };
        let place = found.place.ok_or(Errno::ENOENT)?;
        found.directory.check(self.cred, Access::WRITE.and(Access::EXECUTE))?;
        self.check_sticky(&found.directory, &place)?;
        let is_directory = place.entry.is_directory();
        match removal {
            Removal::File if is_directory => return Err(Errno::EISDIR),
            Removal::File if found.wants_directory => return Err(Errno::ENOTDIR),
            Removal::Directory if !is_directory => return Err(Errno::ENOTDIR),
            _ => {}
        }
        if !Arc::ptr_eq(&place.mount, &found.directory.mount) {
            return Err(Errno::EBUSY);
        }
        found.directory.entry.remove_child(&name, |directory| directory.remove(&name, removal))?;
        notify::removed(&found.directory.entry, place.entry);
        Ok(())
    }

    fn check_sticky(&self, directory: &Place, place: &Place) -> Result<()> {
        let above = directory.inode().attributes();
        if above.permissions & S_ISVTX == 0 {
            return Ok(());
        }
        let file = place.inode().attributes().owner();
        if self.cred.may_remove(above.owner(), file) { Ok(()) } else { Err(Errno::EPERM) }
    }

    /// A directory that gets another one above it is written to: its `..` changes.
    fn check_leaving(&self, place: &Place) -> Result<()> {
        if place.entry.is_directory() { place.check(self.cred, Access::WRITE) } else { Ok(()) }
    }

    /// renameat2(2).
    ///
    /// # Errors
    /// Those of the manual page; ESTALE if what was found has changed since: the paths are to be walked again.
    pub fn rename(&self, old: Found, new: Found, renaming: Renaming) -> Result<()> {
        if !Arc::ptr_eq(&old.directory.mount, &new.directory.mount) {
            return Err(Errno::EXDEV);
        }
        let Component::Name(old_name) = &old.last else { return Err(Errno::EBUSY) };
        let Component::Name(new_name) = &new.last else {
            let is_refused = renaming == Renaming::NoReplace;
            return Err(if is_refused { Errno::EEXIST } else { Errno::EBUSY });
        };
        let moved = old.place.ok_or(Errno::ENOENT)?;
        let is_elsewhere = |place: &Place| !Arc::ptr_eq(&place.mount, &old.directory.mount);
        if is_elsewhere(&moved) || new.place.as_ref().is_some_and(is_elsewhere) {
            return Err(Errno::EBUSY);
        }
        let wanted = Access::WRITE.and(Access::EXECUTE);
        old.directory.check(self.cred, wanted)?;
        new.directory.check(self.cred, wanted)?;
        self.check_sticky(&old.directory, &moved)?;
        if let Some(replaced) = &new.place {
            self.check_sticky(&new.directory, replaced)?;
        }
        let is_directory = moved.entry.is_directory();
        if (old.wants_directory || new.wants_directory) && !is_directory && renaming != Renaming::Exchange {
            return Err(Errno::ENOTDIR);
        }
        let _one_at_a_time = RENAMING.lock();
        if !still_leads(&old.directory.entry, old_name, Some(&moved))?
            || !still_leads(&new.directory.entry, new_name, new.place.as_ref())?
        {
            return Err(Errno::ESTALE);
        }
        check_rename(&moved.entry, &new.directory.entry, new.place.as_ref(), renaming)?;
        if !Arc::ptr_eq(&old.directory.entry, &new.directory.entry) {
            self.check_leaving(&moved)?;
            if let (Renaming::Exchange, Some(other)) = (renaming, &new.place) {
                self.check_leaving(other)?;
            }
        }
        if let Some(replaced) = &new.place
            && Arc::ptr_eq(replaced.inode(), moved.inode())
        {
            // Two names of one file: nothing happens.
            return Ok(());
        }
        let (from, to) = (&old.directory.entry, &new.directory.entry);
        if renaming == Renaming::Exchange && new.place.as_ref().is_some_and(|other| other.entry.holds(from)) {
            return Err(Errno::EINVAL);
        }
        from.inode().rename(old_name, to.inode(), new_name, renaming)?;
        from.forget(old_name);
        match (renaming, &new.place) {
            (Renaming::Exchange, Some(other)) => {
                to.forget(new_name);
                from.place(old_name, &other.entry);
                to.place(new_name, &moved.entry);
            }
            _ => to.place(new_name, &moved.entry),
        }
        let (old_end, new_end) = ((&**from, &old_name[..]), (&**to, &new_name[..]));
        match (renaming, &new.place) {
            (Renaming::Exchange, Some(other)) => {
                notify::renamed(old_end, new_end, &moved.entry, None);
                notify::renamed(new_end, old_end, &other.entry, None);
            }
            (_, replaced) => {
                let replaced = replaced.as_ref().map(|place| &*place.entry);
                notify::renamed(old_end, new_end, &moved.entry, replaced);
            }
        }
        Ok(())
    }

    /// Whether attributes that only the owner changes may be changed here.
    ///
    /// # Errors
    /// EPERM, EROFS.
    pub fn check_owner(&self, place: &Place) -> Result<()> {
        place.check_writable_mount()?;
        if self.cred.owns(place.inode().attributes().user) { Ok(()) } else { Err(Errno::EPERM) }
    }

    /// What chown(2) changes, if it may.
    ///
    /// # Errors
    /// EPERM.
    pub fn new_owner(&self, place: &Place, user: Option<u32>, group: Option<u32>) -> Result<Change> {
        let now = place.inode().attributes();
        if !self.cred.has(Capability::Chown) {
            let gives_away = user.is_some_and(|user| user != now.user);
            let may_group = group.is_none_or(|group| group == now.group || self.cred.is_in_group(group));
            if gives_away || self.cred.user.file != now.user || !may_group {
                return Err(Errno::EPERM);
            }
        }
        // A file that runs as its owner must not do so for the next one.
        Ok(Change { user, group, permissions: now.without_privileges(), ..Change::default() })
    }
}

/// Whether `name` in `directory` still leads to what a walk found. Walks take no part in the order of renames, so one may
/// have met a directory between its old place and its new one.
fn still_leads(directory: &Arc<Entry>, name: &[u8], found: Option<&Place>) -> Result<bool> {
    if !directory.is_stable() {
        return Ok(true);
    }
    let mut at = Some(directory.clone());
    while let Some(entry) = at {
        if entry.is_removed() {
            return Ok(false);
        }
        at = entry.parent();
    }
    match (directory.child(name), found) {
        (Ok(now), Some(then)) => Ok(Arc::ptr_eq(&now, &then.entry)),
        (Err(Errno::ENOENT), None) => Ok(true),
        (Ok(_), None) | (Err(Errno::ENOENT), Some(_)) => Ok(false),
        (Err(error), _) => Err(error),
    }
}

fn check_rename(
    moved: &Arc<Entry>,
    target: &Arc<Entry>,
    replaced: Option<&Place>,
    renaming: Renaming,
) -> Result<()> {
    match (renaming, replaced) {
        (Renaming::NoReplace, Some(_)) => return Err(Errno::EEXIST),
        (Renaming::Exchange, None) => return Err(Errno::ENOENT),
        _ => {}
    }
    if moved.is_mount_point() || replaced.is_some_and(|place| place.entry.is_mount_point()) {
        return Err(Errno::EBUSY);
    }
    if moved.is_directory() && moved.holds(target) {
        return Err(Errno::EINVAL);
    }
    if let Some(replaced) = replaced
        && renaming == Renaming::Replace
    {
        match (moved.is_directory(), replaced.entry.is_directory()) {
            (true, false) => return Err(Errno::ENOTDIR),
            (false, true) => return Err(Errno::EISDIR),
            _ => {}
        }
        if replaced.entry.holds(target) {
            return Err(Errno::ENOTEMPTY);
        }
    }
    Ok(())
}
