//! Which order of writes follows from names that files get and lose.
//!
//! `e2fsck -p` clears a name that leads to an unused inode, and corrects counts of names; it does not connect a used inode that has
//! no name, and a directory must have exactly one. So a name is on the disk before its new inode, an inode that lost its last name is
//! unused before the name is gone, and a name that moves is at its new place before it leaves the old one.

use abi::{Errno, Result};

use crate::epoch::{Moment, Ordered, Until};
use crate::error::{Failure, Outcome};
use crate::inode::Inode;
use crate::types::{BlockNo, Blocks, Ino, Removed};
use crate::volume::Ext2;

/// Where a name was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    pub(crate) directory: Ino,
    pub(crate) block: BlockNo,
}

/// How a file lost a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The name is gone.
    Unlinked,
    /// The name is another file's.
    Replaced,
}

impl<B: Blocks> Ext2<B> {
    /// A file got a name.
    pub(crate) fn name_added(&mut self, ino: Ino, spot: Spot) -> Outcome<()> {
        let Some(visible) = self.visible(spot)? else { return Ok(()) };
        if self.is_unnamed(ino)? {
            return self.demand(visible, Moment::New(ino));
        }
        Ok(self.epoch.note_added(ino, visible)?)
    }

    /// Whether the disk knows no name of a file: it is new, or had no name when the last commit began.
    pub(crate) fn is_unnamed(&mut self, ino: Ino) -> Result<bool> {
        Ok(self.is_new(ino)? || self.epoch.is_held_until(ino, Moment::New(ino)))
    }

    /// When a name is visible. One in a block that the disk does not lead to becomes visible with the directory's inode: a new
    /// one's, or one that is written before all directories.
    fn visible(&mut self, spot: Spot) -> Result<Option<Moment>> {
        if !self.is_fresh(spot.block) {
            return Ok(Some(Moment::Block(spot.block)));
        }
        if self.is_new(spot.directory)? {
            return Ok(Some(Moment::New(spot.directory)));
        }
        let (block, _) = self.inode_place(spot.directory)?;
        self.epoch.write_early(block)?;
        Ok(None)
    }

    /// A file that the disk knows lost a name here and has others, some of them perhaps only since this epoch.
    pub(crate) fn name_left(&mut self, ino: Ino, spot: Spot) -> Outcome<()> {
        if self.is_fresh(spot.block) {
            return Err(Failure::CommitFirst);
        }
        for nth in 0.. {
            let Some(visible) = self.epoch.added(ino, nth) else { break };
            self.demand(visible, Moment::Block(spot.block))?;
            self.epoch.note_left(spot.directory, visible)?;
        }
        Ok(())
    }

    /// Counts one name less, and orders what follows.
    pub(crate) fn lose_name(&mut self, ino: Ino, inode: Inode, spot: Spot, loss: Loss) -> Outcome<Removed> {
        let mut inode = inode;
        inode.links = if inode.is_directory() { 0 } else { inode.links.saturating_sub(1) };
        if inode.links == 0 {
            inode.deleted = self.deletion_time(inode.changed);
        }
        if !self.is_unnamed(ino)? {
            if inode.links == 0 && self.epoch.is_displaced(ino) {
                // Unused, it would take along a name that is another file's now.
                return Err(Failure::CommitFirst);
            }
            if inode.links > 0 {
                if loss == Loss::Replaced {
                    self.epoch.note_displaced(ino)?;
                }
                let bytes = self.inode_bytes(ino)?;
                self.epoch.hold(ino, &bytes, Until::Last)?;
                self.name_left(ino, spot)?;
            } else if inode.is_directory() {
                self.order_removed_directory(ino, spot)?;
            } else if loss == Loss::Replaced {
                self.order_replaced(ino, spot)?;
            } else {
                self.order_unlinked(ino, spot)?;
            }
        }
        self.put_inode(ino, &inode)?;
        Ok(Removed { ino, links: u32::from(inode.links) })
    }

    /// The inode is unused before the name is gone.
    fn order_unlinked(&mut self, ino: Ino, spot: Spot) -> Outcome<()> {
        if self.is_fresh(spot.block) {
            return Err(Failure::CommitFirst);
        }
        self.epoch.let_go(ino)?;
        let (block, _) = self.inode_place(ino)?;
        self.epoch.write_early(block)?;
        Ok(self.epoch.note_left(spot.directory, Moment::Freed)?)
    }

    /// As for files, and after all that left the directory.
    fn order_removed_directory(&mut self, ino: Ino, spot: Spot) -> Outcome<()> {
        if self.is_fresh(spot.block) {
            return Err(Failure::CommitFirst);
        }
        let free = Moment::Free(ino);
        for nth in 0.. {
            let Some(left) = self.epoch.left(ino, nth) else { break };
            self.demand_strictly(left, free)?;
        }
        let bytes = self.inode_bytes(ino)?;
        self.epoch.hold(ino, &bytes, Until::Moment(free))?;
        self.demand(free, Moment::Block(spot.block))?;
        Ok(self.epoch.note_left(spot.directory, free)?)
    }

    /// The name must lead to one of the two files at every moment, so the old one goes after it; in between it has a shelter.
    fn order_replaced(&mut self, ino: Ino, spot: Spot) -> Outcome<()> {
        if self.is_fresh(spot.block) {
            return Err(Failure::CommitFirst);
        }
        let bytes = self.inode_bytes(ino)?;
        self.epoch.hold(ino, &bytes, Until::Moment(Moment::Free(ino)))?;
        self.demand(Moment::Block(spot.block), Moment::Free(ino))?;
        self.epoch.note_left(spot.directory, Moment::Free(ino))?;
        self.shelter(ino)
    }

    /// Gives a file a name for as long as the commit lasts.
    pub(crate) fn shelter(&mut self, ino: Ino) -> Outcome<()> {
        match self.epoch.shelter(ino)? {
            Ordered::Fine => Ok(()),
            Ordered::WouldCircle => Err(Failure::CommitFirst),
        }
    }

    /// Demands an order, or a commit if there is none.
    pub(crate) fn demand(&mut self, first: Moment, then: Moment) -> Outcome<()> {
        match self.epoch.precede(first, then)? {
            Ordered::Fine => Ok(()),
            Ordered::WouldCircle => Err(Failure::CommitFirst),
        }
    }

    fn demand_strictly(&mut self, first: Moment, then: Moment) -> Outcome<()> {
        if first == then { Err(Errno::EUCLEAN.into()) } else { self.demand(first, then) }
    }
}
