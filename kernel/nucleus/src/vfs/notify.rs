//! Seeing what happens to files, for those who watch them ([`super::watch`]).
//!
//! A hook costs one relaxed load while nobody watches anything. It looks for watches on the file and on the directory it is
//! in. Hooks run after what they tell of, under `Rename` at most, and when the last user of a removed name is gone.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use abi::file::{O_ACCMODE, O_PATH, O_RDONLY};
use logic::inotify::mask;

use super::entry::Entry;
use super::inode::{Change, FileKind, Inode};
use super::mount::Place;
use super::watch::{Happening, Name, is_anything_watched, key_of, tell};

static NEXT_COOKIE: AtomicU32 = AtomicU32::new(1);

/// Something happened to an inode itself: no directory hears of it.
fn to_inode(inode: &dyn Inode, mask: u32) {
    let attributes = inode.attributes();
    let is_directory = if attributes.kind == FileKind::Directory { mask::IS_DIRECTORY } else { 0 };
    let happening = Happening { mask: mask | is_directory, cookie: 0, name: None, is_unlinked: false };
    tell((attributes.device, attributes.number), &happening);
}

/// Something happened to a name in a directory.
fn to_directory(directory: &Entry, name: &Name, mask: u32, cookie: u32) {
    let happening = Happening { mask, cookie, name: Some(name), is_unlinked: false };
    tell(key_of(&**directory.inode()), &happening);
}

/// Something happened to a file: its directory hears of it first.
#[cold]
fn to_both(entry: &Entry, mask: u32) {
    let attributes = entry.inode().attributes();
    let is_directory = if attributes.kind == FileKind::Directory { mask::IS_DIRECTORY } else { 0 };
    let mask = mask | is_directory;
    if let Some(parent) = entry.parent() {
        let name = entry.name();
        let is_unlinked = entry.is_removed();
        let happening = Happening { mask, cookie: 0, name: Some(&name), is_unlinked };
        tell(key_of(&**parent.inode()), &happening);
    }
    let happening = Happening { mask, cookie: 0, name: None, is_unlinked: false };
    tell((attributes.device, attributes.number), &happening);
}

fn directory_bit(entry: &Entry) -> u32 {
    if entry.is_directory() { mask::IS_DIRECTORY } else { 0 }
}

/// Something happened to an open file, opened with `flags`, if it has a name and is more than one.
fn about(place: Option<&Place>, flags: u32, mask: u32) {
    if let Some(place) = place.filter(|_| flags & O_PATH == 0) {
        to_both(&place.entry, mask);
    }
}

/// A file was opened.
#[inline]
pub(super) fn opened(place: Option<&Place>, flags: u32) {
    if is_anything_watched() {
        about(place, flags, mask::OPEN);
    }
}

/// Bytes or names were read.
#[inline]
pub(super) fn read(place: Option<&Place>, flags: u32) {
    if is_anything_watched() {
        about(place, flags, mask::ACCESS);
    }
}

/// Bytes were written.
#[inline]
pub(super) fn written(place: Option<&Place>, flags: u32) {
    if is_anything_watched() {
        about(place, flags, mask::MODIFY);
    }
}

/// The last descriptor of an open file went.
#[inline]
pub(super) fn closed(place: Option<&Place>, flags: u32) {
    if is_anything_watched() {
        let can_write = flags & O_ACCMODE != O_RDONLY;
        about(place, flags, if can_write { mask::CLOSE_WRITE } else { mask::CLOSE_NOWRITE });
    }
}

/// Attributes changed.
#[inline]
pub(super) fn changed(entry: &Entry, change: &Change) {
    if !is_anything_watched() {
        return;
    }
    let is_owner = change.user.is_some() || change.group.is_some();
    let mut events = if is_owner || change.permissions.is_some() { mask::ATTRIB } else { 0 };
    events |= if change.size.is_some() { mask::MODIFY } else { 0 };
    events |= match (change.accessed, change.modified) {
        (Some(_), Some(_)) => mask::ATTRIB,
        (Some(_), None) => mask::ACCESS,
        (None, Some(_)) => mask::MODIFY,
        (None, None) => 0,
    };
    if events != 0 {
        to_both(entry, events);
    }
}

/// A name was made.
#[inline]
pub(super) fn made(directory: &Entry, made: &Entry) {
    if is_anything_watched() {
        to_directory(directory, &made.name(), mask::CREATE | directory_bit(made), 0);
    }
}

/// A file got another name.
#[inline]
pub(super) fn linked(directory: &Entry, name: &[u8], inode: &dyn Inode) {
    if is_anything_watched() {
        to_inode(inode, mask::ATTRIB);
        to_directory(directory, &Arc::from(name), mask::CREATE, 0);
    }
}

/// A name was removed. What happened to the file itself is told first; its end, when nobody uses it any more.
#[inline]
pub(super) fn removed(directory: &Entry, entry: Arc<Entry>) {
    if !is_anything_watched() {
        return;
    }
    let (name, bit) = (entry.name(), directory_bit(&entry));
    if bit == 0 {
        to_inode(&**entry.inode(), mask::ATTRIB);
    }
    drop(entry);
    to_directory(directory, &name, mask::DELETE | bit, 0);
}

/// A file was renamed; what had the new name before is gone.
#[inline]
pub(super) fn renamed(from: (&Entry, &[u8]), to: (&Entry, &[u8]), moved: &Entry, replaced: Option<&Entry>) {
    if !is_anything_watched() {
        return;
    }
    let cookie = NEXT_COOKIE.fetch_add(1, Ordering::Relaxed);
    let bit = directory_bit(moved);
    to_directory(from.0, &Arc::from(from.1), mask::MOVED_FROM | bit, cookie);
    to_directory(to.0, &Arc::from(to.1), mask::MOVED_TO | bit, cookie);
    if let Some(replaced) = replaced {
        to_inode(&**replaced.inode(), mask::ATTRIB);
    }
    // Of itself it says nothing else, not even that it is a directory.
    let happening = Happening { mask: mask::MOVE_SELF, cookie: 0, name: None, is_unlinked: false };
    tell(key_of(&**moved.inode()), &happening);
}
