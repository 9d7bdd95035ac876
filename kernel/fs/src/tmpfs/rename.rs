//! Renaming: the names of two directories change at once.
//!
//! First both names are looked up and judged, and a directory that is to be replaced is claimed; then both directories
//! are locked together, and if the names still stand for the same files, changed. If they do not, all of it again.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use abi::{Errno, Result};
use hal::rank;
use nucleus::sched::Mutex;
use nucleus::sched::mutex::Guard;
use nucleus::vfs::inode::Renaming;

use super::directory::Directory;
use super::node::{Names, Node};

type NamesGuard<'a> = Guard<'a, Directory<Arc<Node>>, rank::Inode>;

/// A rename to be done.
pub(super) struct Wish<'a> {
    pub(super) from: &'a Node,
    pub(super) name: &'a [u8],
    pub(super) to: &'a Node,
    pub(super) new_name: &'a [u8],
    pub(super) renaming: Renaming,
}

/// What the two names stand for.
struct Meant {
    moved: Arc<Node>,
    replaced: Option<Arc<Node>>,
}

impl Wish<'_> {
    /// # Errors
    /// Those of renameat2(2) that are about names.
    pub(super) fn carry_out(&self) -> Result<()> {
        while !self.try_rename()? {}
        Ok(())
    }

    /// Tries once; says whether it is done. It is not if names changed between the checks and the change.
    fn try_rename(&self) -> Result<bool> {
        let Some(meant) = self.check()? else { return Ok(true) };
        let claimed = match (&meant.replaced, self.renaming) {
            (Some(replaced), Renaming::Replace) if replaced.is_directory() => {
                replaced.claim()?;
                Some(replaced)
            }
            _ => None,
        };
        let outcome = self.change(&meant);
        if let (Some(claimed), Ok(false) | Err(_)) = (claimed, &outcome) {
            claimed.unclaim();
        }
        if outcome == Ok(true) {
            meant.moved.shown.touch_changed();
        }
        outcome
    }

    /// What the names stand for; nothing if they are one file, of which nothing changes.
    fn check(&self) -> Result<Option<Meant>> {
        let moved = self.from.child(self.name)?;
        let replaced = match self.to.child(self.new_name) {
            Ok(replaced) => Some(replaced),
            Err(Errno::ENOENT) => None,
            Err(error) => return Err(error),
        };
        match (&replaced, self.renaming) {
            (Some(_), Renaming::NoReplace) => return Err(Errno::EEXIST),
            (None, Renaming::Exchange) => return Err(Errno::ENOENT),
            (Some(replaced), _) if Arc::ptr_eq(replaced, &moved) => return Ok(None),
            (Some(replaced), Renaming::Replace) => match (moved.is_directory(), replaced.is_directory()) {
                (true, false) => return Err(Errno::ENOTDIR),
                (false, true) => return Err(Errno::EISDIR),
                _ => {}
            },
            _ => {}
        }
        Ok(Some(Meant { moved, replaced }))
    }

    fn change(&self, meant: &Meant) -> Result<bool> {
        let mut names = Both::lock(self.from.names()?, self.to.names()?);
        let is = |now: Option<&Arc<Node>>, then: Option<&Arc<Node>>| match (now, then) {
            (Some(now), Some(then)) => Arc::ptr_eq(now, then),
            (now, then) => now.is_none() && then.is_none(),
        };
        if !is(names.from().get(self.name), Some(&meant.moved))
            || !is(names.to().get(self.new_name), meant.replaced.as_ref())
        {
            return Ok(false);
        }
        match &meant.replaced {
            Some(replaced) if self.renaming == Renaming::Exchange => {
                names.to().replace(self.new_name, meant.moved.clone());
                names.from().replace(self.name, replaced.clone());
            }
            Some(_) => {
                names.to().replace(self.new_name, meant.moved.clone());
                names.from().remove(self.name);
            }
            None => {
                names.to().add(self.new_name, meant.moved.clone())?;
                names.from().remove(self.name);
            }
        }
        self.from.count_names(names.from());
        self.to.count_names(names.to());
        drop(names);
        self.count_links(meant);
        Ok(true)
    }

    /// Who has which names, and which directory above.
    fn count_links(&self, meant: &Meant) {
        let moves = |node: &Node, from: &Node, to: &Node| {
            if let Ok(names) = node.names() {
                from.shown.links.fetch_sub(1, Ordering::Relaxed);
                to.shown.links.fetch_add(1, Ordering::Relaxed);
                names.lock().parent = to.shown.number;
            }
        };
        moves(&meant.moved, self.from, self.to);
        match &meant.replaced {
            Some(other) if self.renaming == Renaming::Exchange => {
                moves(other, self.to, self.from);
                other.shown.touch_changed();
            }
            Some(other) => other.lose_name(self.to),
            None => {}
        }
    }
}

/// The names of one directory, or of two.
enum Both<'a> {
    Same(NamesGuard<'a>),
    Two(NamesGuard<'a>, NamesGuard<'a>),
}

impl<'a> Both<'a> {
    fn lock(from: &'a Names, to: &'a Names) -> Self {
        if core::ptr::eq(from, to) {
            return Both::Same(from.lock());
        }
        let (from, to) = Mutex::lock_both(from, to);
        Both::Two(from, to)
    }

    fn from(&mut self) -> &mut Directory<Arc<Node>> {
        match self {
            Both::Same(names) | Both::Two(names, _) => names,
        }
    }

    fn to(&mut self) -> &mut Directory<Arc<Node>> {
        match self {
            Both::Same(names) | Both::Two(_, names) => names,
        }
    }
}
