//! Renaming, the one operation that changes two directories.
//!
//! What the disk may show in between: a name that moves is at both places before it is at one; a name that is replaced leads to
//! one of the two files at every moment. Within one block, nobody sees anything in between, and a name that stays in its directory
//! stays in its block if it fits. The one thing that no order of writes can do is to move a directory over two blocks so that
//! e2fsck needs nobody's advice: see docs/ext2.md.

use abi::Errno;
use abi::time::Timespec;

use crate::directory::{Found, NewName};
use crate::epoch::Moment;
use crate::error::{Failure, Outcome};
use crate::inode::Inode;
use crate::names::LINKS_MAX;
use crate::order::{Loss, Spot};
use crate::types::{Blocks, Ino, Removed, Renaming, Reserve};
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
            let mut below = this.living_directory(to.directory)?;
            let target = this.find_or_clear(to.directory, &mut below, to.name)?;
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
        })?;
        if let Some(removed) = removed {
            self.note_removed(removed);
        }
        Ok(removed)
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
        let new = NewName { name: to.name, ino, mode: inode.mode, reserve };
        let mut below = self.directory(to.directory)?;
        if from.directory == to.directory {
            // Away first, so that the new name can have the room of the old one, in the same block.
            self.remove_name(from.directory, &mut below, source, from.name)?;
            let block = self.add_name_near(to.directory, &mut below, &new, source)?;
            self.touch(to.directory, &mut below, now)?;
            self.order_move(ino, from.directory, source, Spot { directory: to.directory, block })?;
            inode.changed = now;
            return Ok(self.put_inode(ino, &inode)?);
        }
        if inode.is_directory() {
            self.check_move(ino, to.directory)?;
            if below.links >= LINKS_MAX {
                return Err(Errno::EMLINK.into());
            }
            below.links += 1;
        }
        let block = self.add_name(to.directory, &mut below, &new)?;
        self.touch(to.directory, &mut below, now)?;
        self.order_move(ino, from.directory, source, Spot { directory: to.directory, block })?;
        self.leave(from, &mut inode, source, to.directory, now)
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
        let mut lost = self.inode(victim)?;
        self.check_replace(ino, &inode, &lost, from.directory, to.directory)?;
        // A file that the disk does not know yet could be lost with the name it replaces.
        if self.is_unnamed(ino)? && !self.is_unnamed(victim)? {
            return Err(Failure::CommitFirst);
        }
        self.replace_name(target, ino, inode.mode)?;
        let mut below = self.directory(to.directory)?;
        // The directory that moves in takes the place of the one that goes; within one directory there is one less.
        if inode.is_directory() && from.directory == to.directory {
            below.links = below.links.saturating_sub(1);
        }
        self.touch(to.directory, &mut below, now)?;
        lost.changed = now;
        let spot = Spot { directory: to.directory, block: target.block };
        let removed = self.lose_name(victim, lost, spot, Loss::Replaced)?;
        self.order_move(ino, from.directory, source, spot)?;
        self.leave(from, &mut inode, source, to.directory, now)?;
        Ok(removed)
    }

    fn check_replace(&mut self, ino: Ino, inode: &Inode, lost: &Inode, from: Ino, to: Ino) -> Outcome<()> {
        match (inode.is_directory(), lost.is_directory()) {
            (false, true) => Err(Errno::EISDIR.into()),
            (true, false) => Err(Errno::ENOTDIR.into()),
            (true, true) if !self.is_empty(lost)? => Err(Errno::ENOTEMPTY.into()),
            (true, true) if from != to => self.check_move(ino, to),
            _ => Ok(()),
        }
    }

    /// Takes the old name away, and tells a directory its new parent.
    fn leave(
        &mut self,
        from: Place<'_>,
        inode: &mut Inode,
        source: &Found,
        parent: Ino,
        now: Timespec,
    ) -> Outcome<()> {
        let mut above = self.directory(from.directory)?;
        self.remove_name(from.directory, &mut above, source, from.name)?;
        if inode.is_directory() && from.directory != parent {
            self.set_parent(source.ino(), parent)?;
            above.links = above.links.saturating_sub(1);
        }
        self.touch(from.directory, &mut above, now)?;
        inode.changed = now;
        Ok(self.put_inode(source.ino(), inode)?)
    }

    /// The new name before the old one goes. Of a file that the disk does not know, there is no old one.
    fn order_move(&mut self, ino: Ino, directory: Ino, source: &Found, to: Spot) -> Outcome<()> {
        self.name_added(ino, to)?;
        if self.is_unnamed(ino)? {
            Ok(())
        } else {
            self.name_left(ino, Spot { directory, block: source.block })
        }
    }

    /// Refuses to move a directory into itself; and, until a commit, to move one again or below one that was just moved: a disk
    /// that has only a part of several such moves could have directories in a circle, which nobody finds again.
    fn check_move(&mut self, ino: Ino, to: Ino) -> Outcome<()> {
        let mut above = to;
        let mut meets_moved = self.epoch.has_moved(ino);
        for _ in 0..=self.geometry.inodes {
            if above == ino {
                return Err(Errno::EINVAL.into());
            }
            if above == Ino::ROOT {
                if self.is_new(ino)? {
                    return Ok(());
                }
                return if meets_moved {
                    Err(Failure::CommitFirst)
                } else {
                    Ok(self.epoch.note_moved(ino)?)
                };
            }
            meets_moved |= self.epoch.has_moved(above);
            above = self.parent(above)?;
        }
        Err(Errno::EUCLEAN.into())
    }

    /// Lets two names change their files.
    fn exchange(&mut self, one: (Ino, &Found), other: (Ino, &Found), now: Timespec) -> Outcome<()> {
        let ((first_directory, first), (second_directory, second)) = (one, other);
        let mut inodes = [self.inode(first.ino())?, self.inode(second.ino())?];
        let [a, b] = [inodes[0].is_directory(), inodes[1].is_directory()];
        if self.is_unnamed(first.ino())? != self.is_unnamed(second.ino())? {
            // The old one's name would lead to nothing until the new one is on the disk.
            return Err(Failure::CommitFirst);
        }
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
        self.replace_name(first, second.ino(), inodes[1].mode)?;
        self.replace_name(second, first.ino(), inodes[0].mode)?;
        if first_directory != second_directory {
            if a {
                self.set_parent(first.ino(), second_directory)?;
            }
            if b {
                self.set_parent(second.ino(), first_directory)?;
            }
        }
        for (ino, inode) in [first.ino(), second.ino()].into_iter().zip(&mut inodes) {
            self.epoch.note_displaced(ino)?;
            inode.changed = now;
            self.put_inode(ino, inode)?;
        }
        for directory in [first_directory, second_directory] {
            let mut above = self.directory(directory)?;
            self.touch(directory, &mut above, now)?;
        }
        if first.block == second.block { Ok(()) } else { self.order_exchange(one, other) }
    }

    /// Over two blocks, a file has no name between the writes: it gets a shelter.
    fn order_exchange(&mut self, one: (Ino, &Found), other: (Ino, &Found)) -> Outcome<()> {
        let ((first_directory, first), (second_directory, second)) = (one, other);
        let is_new = self.is_unnamed(first.ino())? || self.is_unnamed(second.ino())?;
        if is_new || self.is_fresh(first.block) || self.is_fresh(second.block) {
            return Err(Failure::CommitFirst);
        }
        self.demand(Moment::Block(first.block), Moment::Block(second.block))?;
        self.epoch.note_left(first_directory, Moment::Block(second.block))?;
        self.epoch.note_left(second_directory, Moment::Block(first.block))?;
        self.epoch.note_added(first.ino(), Moment::Block(second.block))?;
        self.epoch.note_added(second.ino(), Moment::Block(first.block))?;
        if self.inode(first.ino())?.is_directory() { Ok(()) } else { self.shelter(first.ino()) }
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
