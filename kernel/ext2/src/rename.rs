//! Renaming, the one operation that changes two directories.
//!
//! What the disk may show in between: a file that moves has both names before it has one, so it is never lost; a directory has
//! none before it has the new one, because e2fsck does not repair by itself a directory with two names, and puts one without
//! into lost+found. A name that is replaced is changed in place. If both names are in one block, nobody sees anything in between.

use abi::time::Timespec;
use abi::{Errno, Result};

use crate::directory::{Found, NewName};
use crate::dirent;
use crate::epoch::{Added, Ordered, Patch};
use crate::error::{Failure, Outcome};
use crate::inode::Inode;
use crate::names::LINKS_MAX;
use crate::types::{BlockNo, Blocks, Ino, Removed, Renaming, Reserve};
use crate::volume::Ext2;

/// A name in a directory.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The directory.
    pub directory: Ino,
    /// The name.
    pub name: &'a [u8],
}

impl<B: Blocks> Ext2<B> {
    /// Renames a file. Says what was replaced.
    ///
    /// # Errors
    /// ENOENT, EEXIST, ENOTDIR, EISDIR, ENOTEMPTY, EMLINK, ENOSPC, EINVAL if a directory would come into itself, EROFS, EUCLEAN, EIO,
    /// ENOMEM; `CommitFirst`.
    pub fn rename(
        &mut self,
        from: Place<'_>,
        to: Place<'_>,
        how: Renaming,
        reserve: Reserve,
        now: Timespec,
    ) -> Outcome<Option<Removed>> {
        self.reserve_orphan()?;
        let removed = self.operate(|this| {
            let above = this.directory(from.directory)?;
            let source = this.find_name(from.directory, &above, from.name)?.ok_or(Errno::ENOENT)?;
            let below = this.living_directory(to.directory)?;
            let target = this.find_name(to.directory, &below, to.name)?;
            if target.is_some_and(|target| target.ino() == source.ino()) {
                return Ok(None);
            }
            match (how, target) {
                (Renaming::NoReplace, Some(_)) => Err(Errno::EEXIST.into()),
                (Renaming::Exchange, None) => Err(Errno::ENOENT.into()),
                (Renaming::Exchange, Some(target)) => {
                    this.exchange((from.directory, &source), (to.directory, &target), now)?;
                    Ok(None)
                }
                (_, Some(target)) => this.replace(from, to, &source, &target, now).map(Some),
                (_, None) => this.move_name(from, to, &source, reserve, now).map(|()| None),
            }
        });
        match removed {
            Ok(Some(removed)) => self.note_removed(removed),
            Err(Failure::CommitFirst) if how != Renaming::Exchange => self.make_room(to, reserve)?,
            _ => {}
        }
        removed
    }

    /// A directory can only move into a block that the disk knows (see `order_move`). If there is none with room, the directory
    /// gets one here, so that after the commit that was asked for there will be.
    fn make_room(&mut self, to: Place<'_>, reserve: Reserve) -> Outcome<()> {
        if self.store.dirty() >= self.dirty_limit {
            return Ok(());
        }
        self.operate(|this| {
            let mut inode = this.living_directory(to.directory)?;
            let has_name = this.find_name(to.directory, &inode, to.name)?.is_some();
            if has_name || this.find_room(to.directory, &inode, dirent::needed(to.name.len()))?.is_some() {
                return Ok(());
            }
            let (place, _) = this.add_block(to.directory, &mut inode, reserve)?;
            this.note_room(to.directory, place);
            Ok(this.put_inode(to.directory, &inode)?)
        })
    }

    /// Renames to a name that is not there.
    fn move_name(
        &mut self,
        from: Place<'_>,
        to: Place<'_>,
        source: &Found,
        reserve: Reserve,
        now: Timespec,
    ) -> Outcome<()> {
        let ino = source.ino();
        let mut inode = self.inode(ino)?;
        let mut below = self.directory(to.directory)?;
        if inode.is_directory() && from.directory != to.directory {
            self.check_move(ino, to.directory)?;
            if below.links >= LINKS_MAX {
                return Err(Errno::EMLINK.into());
            }
            below.links += 1;
        }
        let new = NewName { name: to.name, ino, mode: inode.mode, reserve };
        let block = self.add_name(to.directory, &mut below, &new)?;
        self.touch(to.directory, &mut below, now)?;
        self.order_move(ino, &inode, source.block, Added { block, directory: to.directory })?;
        self.leave(from, &mut inode, ino, to.directory, now)
    }

    /// Renames to a name that is there.
    fn replace(
        &mut self,
        from: Place<'_>,
        to: Place<'_>,
        source: &Found,
        target: &Found,
        now: Timespec,
    ) -> Outcome<Removed> {
        let (ino, victim) = (source.ino(), target.ino());
        let mut inode = self.inode(ino)?;
        let lost = self.inode(victim)?;
        if lost.is_directory() && !inode.is_directory() {
            return Err(Errno::EISDIR.into());
        }
        if inode.is_directory() {
            if !lost.is_directory() {
                return Err(Errno::ENOTDIR.into());
            }
            if !self.is_empty(&lost)? {
                return Err(Errno::ENOTEMPTY.into());
            }
            if from.directory != to.directory {
                self.check_move(ino, to.directory)?;
            }
        }
        self.replace_name(target, ino, inode.mode)?;
        let mut below = self.directory(to.directory)?;
        // The directory that moves in takes the place of the one that goes; within one directory there is one less.
        if inode.is_directory() && from.directory == to.directory {
            below.links = below.links.saturating_sub(1);
        }
        self.touch(to.directory, &mut below, now)?;
        let removed = self.lose_name(victim, lost, target.block, now)?;
        self.order_move(ino, &inode, source.block, Added { block: target.block, directory: to.directory })?;
        self.leave(from, &mut inode, ino, to.directory, now)?;
        Ok(removed)
    }

    /// Takes the old name away, and tells a directory its new parent.
    fn leave(
        &mut self,
        from: Place<'_>,
        inode: &mut Inode,
        ino: Ino,
        parent: Ino,
        now: Timespec,
    ) -> Outcome<()> {
        let mut above = self.directory(from.directory)?;
        // Found again, since a name that was added beside it may have taken the end of its record.
        let source = self.find_name(from.directory, &above, from.name)?.ok_or(Errno::EUCLEAN)?;
        self.remove_name(from.directory, &mut above, &source, from.name)?;
        if inode.is_directory() && from.directory != parent {
            self.set_parent(ino, parent)?;
            above.links = above.links.saturating_sub(1);
        }
        self.touch(from.directory, &mut above, now)?;
        inode.changed = now;
        Ok(self.put_inode(ino, inode)?)
    }

    /// Orders the writes of the block that loses a name and the one that gets it.
    fn order_move(&mut self, ino: Ino, inode: &Inode, old: BlockNo, added: Added) -> Outcome<()> {
        self.epoch.note_added(ino, added)?;
        if self.is_new(ino)? {
            // The disk knows no name of it that could be lost or be one too many.
            return Ok(());
        }
        let ordered = if !inode.is_directory() {
            self.epoch.remove_after_added(ino, old)?
        } else if old == added.block {
            Ordered::Fine
        } else if self.is_fresh(added.block) {
            // The name would be on the disk as soon as the block is, before the old one is gone. With an empty block on the
            // disk first, there is an order.
            return Err(Failure::CommitFirst);
        } else {
            self.epoch.precede(old, added.block)?
        };
        if ordered == Ordered::WouldCircle { Err(Failure::CommitFirst) } else { Ok(()) }
    }

    /// Refuses to move a directory into itself.
    fn check_move(&mut self, ino: Ino, to: Ino) -> Result<()> {
        let mut above = to;
        for _ in 0..=self.geometry.inodes {
            if above == ino {
                return Err(Errno::EINVAL);
            }
            if above == Ino::ROOT {
                return Ok(());
            }
            above = self.parent(above)?;
        }
        Err(Errno::EUCLEAN)
    }

    /// Lets two names change their files.
    fn exchange(&mut self, one: (Ino, &Found), other: (Ino, &Found), now: Timespec) -> Outcome<()> {
        let ((first_directory, first), (second_directory, second)) = (one, other);
        let mut inodes = [self.inode(first.ino())?, self.inode(second.ino())?];
        let [a, b] = [inodes[0].is_directory(), inodes[1].is_directory()];
        if first_directory != second_directory {
            if a {
                self.check_move(first.ino(), second_directory)?;
            }
            if b {
                self.check_move(second.ino(), first_directory)?;
            }
            if a != b {
                let (loses, gains) =
                    if a { (first_directory, second_directory) } else { (second_directory, first_directory) };
                self.move_link(loses, gains)?;
            }
        }
        let is_apart = first.block != second.block;
        if is_apart && (self.epoch.has_order() || self.is_fresh(first.block) || self.is_fresh(second.block)) {
            return Err(Failure::CommitFirst);
        }
        self.replace_name(first, second.ino(), inodes[1].mode)?;
        self.replace_name(second, first.ino(), inodes[0].mode)?;
        for (found, directory) in [(first, second_directory), (second, first_directory)] {
            let block = if found.block == first.block { second.block } else { first.block };
            self.epoch.note_added(found.ino(), Added { block, directory })?;
        }
        if first_directory != second_directory {
            if a {
                self.set_parent(first.ino(), second_directory)?;
            }
            if b {
                self.set_parent(second.ino(), first_directory)?;
            }
        }
        for (ino, inode) in [first.ino(), second.ino()].into_iter().zip(&mut inodes) {
            inode.changed = now;
            self.put_inode(ino, inode)?;
        }
        for directory in [first_directory, second_directory] {
            let mut above = self.directory(directory)?;
            self.touch(directory, &mut above, now)?;
        }
        if is_apart { self.order_exchange(first, second, a || b) } else { Ok(()) }
    }

    /// Over two blocks: first the one name leads nowhere (or, among files, still to the old one), then the other has its new
    /// file, then the first.
    fn order_exchange(&mut self, first: &Found, second: &Found, has_directory: bool) -> Outcome<()> {
        let bytes = if has_directory { [0; 4] } else { first.record.ino.to_le_bytes() };
        if self.epoch.precede(first.block, second.block)? == Ordered::WouldCircle {
            return Err(Failure::CommitFirst);
        }
        Ok(self.epoch.patch(Patch { block: first.block, at: first.record.at, bytes })?)
    }

    fn move_link(&mut self, loses: Ino, gains: Ino) -> Outcome<()> {
        let mut inode = self.directory(gains)?;
        if inode.links >= LINKS_MAX {
            return Err(Errno::EMLINK.into());
        }
        inode.links += 1;
        self.put_inode(gains, &inode)?;
        let mut inode = self.directory(loses)?;
        inode.links = inode.links.saturating_sub(1);
        Ok(self.put_inode(loses, &inode)?)
    }
}
