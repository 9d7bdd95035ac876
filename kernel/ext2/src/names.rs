//! Making files and giving and taking names.
//!
//! The caller has checked permissions. Whatever takes a name away says what is left ([`Removed`]); a file without names stays
//! until the caller says that nobody uses it ([`Ext2::release`]).

use abi::file::{S_IFDIR, S_IFLNK, S_IFMT, S_IFREG};
use abi::time::Timespec;
use abi::{Errno, Result};
use alloc::vec::Vec;

use crate::directory::{Found, NewName, first_block};
use crate::dirent;
use crate::error::Outcome;
use crate::inode::{Inode, SHORT_TARGET, flags};
use crate::order::{Loss, Spot};
use crate::store::Kind;
use crate::types::{Blocks, Ino, NewNode, Removed, Reserve};
use crate::volume::Ext2;

/// The most names a file can have (`EXT2_LINK_MAX`).
pub(crate) const LINKS_MAX: u16 = 32_000;

impl<B: Blocks> Ext2<B> {
    /// The file called `name` in a directory; `.` and `..` are names like others.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, ENAMETOOLONG; EUCLEAN if the name leads nowhere; EIO, ENOMEM.
    pub fn lookup(&mut self, directory: Ino, name: &[u8]) -> Result<Ino> {
        let inode = self.directory(directory)?;
        let found = self.find_name(directory, &inode, name)?.ok_or(Errno::ENOENT)?;
        if self.is_left_over(found.ino())? {
            return Err(Errno::ENOENT);
        }
        self.inode(found.ino())?;
        Ok(found.ino())
    }

    /// What has a name that is to be given; what a power cut left there is removed.
    pub(crate) fn find_or_clear(
        &mut self,
        ino: Ino,
        inode: &mut Inode,
        name: &[u8],
    ) -> Outcome<Option<Found>> {
        let Some(found) = self.find_name(ino, inode, name)? else { return Ok(None) };
        if !self.is_left_over(found.ino())? {
            return Ok(Some(found));
        }
        self.remove_name(ino, inode, &found, name)?;
        Ok(None)
    }

    /// Makes a file of any type.
    ///
    /// # Errors
    /// EEXIST, ENOENT if the directory was removed, ENOTDIR, ENAMETOOLONG, ENOSPC, EMLINK, EROFS, EUCLEAN, EIO, ENOMEM;
    /// `CommitFirst`.
    pub fn create(&mut self, directory: Ino, name: &[u8], node: &NewNode<'_>) -> Outcome<Ino> {
        self.operate(|this| {
            let mut above = this.living_directory(directory)?;
            if name.is_empty() {
                return Err(Errno::ENOENT.into());
            }
            if this.find_or_clear(directory, &mut above, name)?.is_some() {
                return Err(Errno::EEXIST.into());
            }
            let is_directory = node.mode & S_IFMT == S_IFDIR;
            if is_directory && above.links >= LINKS_MAX {
                return Err(Errno::EMLINK.into());
            }
            let (ino, _) = this.make_inode(directory, &above, node)?;
            let new = NewName { name, ino, mode: node.mode, reserve: node.reserve };
            let block = this.add_name(directory, &mut above, &new)?;
            this.name_added(ino, Spot { directory, block })?;
            above.links += u16::from(is_directory);
            this.touch(directory, &mut above, node.now)?;
            Ok(ino)
        })
    }

    /// Makes a regular file without a name (`O_TMPFILE`), near a directory.
    ///
    /// # Errors
    /// As for [`create`](Self::create).
    pub fn create_unnamed(&mut self, directory: Ino, node: &NewNode<'_>) -> Outcome<Ino> {
        if node.mode & S_IFMT != S_IFREG {
            return Err(Errno::EINVAL.into());
        }
        self.reserve_orphan()?;
        let ino = self.operate(|this| {
            let above = this.living_directory(directory)?;
            let (ino, mut inode) = this.make_inode(directory, &above, node)?;
            inode.links = 0;
            inode.deleted = this.deletion_time(node.now);
            this.put_inode(ino, &inode)?;
            Ok(ino)
        })?;
        self.orphans.insert(ino);
        Ok(ino)
    }

    fn make_inode(&mut self, directory: Ino, above: &Inode, node: &NewNode<'_>) -> Outcome<(Ino, Inode)> {
        let ino = self.take_inode(directory, above, node.mode)?;
        self.epoch.note_new(ino)?;
        self.clear_inode(ino)?;
        let extra = self.new_extra();
        let mut inode = Inode::new(node.mode, node.user, node.group, node.now, extra);
        inode.generation = self.next_generation;
        self.next_generation = self.next_generation.wrapping_add(1);
        inode.flags = inherited(above.flags, node.mode);
        match node.mode & S_IFMT {
            S_IFDIR => {
                inode.links = 2;
                let kind = if self.geometry.has_file_types() { dirent::kind_of(S_IFDIR) } else { 0 };
                let bytes = first_block(self.geometry.block_size, ino, directory, kind)?;
                self.add_content(ino, &mut inode, Kind::Directory, bytes, node.reserve)?;
                inode.size = u64::from(self.geometry.block_size);
            }
            S_IFLNK => self.set_target(ino, &mut inode, node)?,
            S_IFREG => {}
            _ => inode.set_device_number(node.device_number),
        }
        self.put_inode(ino, &inode)?;
        Ok((ino, inode))
    }

    /// Bytes of fields in the larger inodes that are new.
    fn new_extra(&self) -> u16 {
        let room = u16::try_from(self.geometry.inode_size - 128).unwrap_or(0);
        if self.geometry.extra_size == 0 { room.min(32) } else { self.geometry.extra_size.min(room) }
    }

    /// The first block of a file, with its bytes.
    fn add_content(
        &mut self,
        ino: Ino,
        inode: &mut Inode,
        kind: Kind,
        bytes: Vec<u8>,
        reserve: Reserve,
    ) -> Outcome<()> {
        let (block, _) = self.grow(ino, inode, 0, 1, reserve)?;
        Ok(self.store.create(block, kind, bytes)?)
    }

    fn set_target(&mut self, ino: Ino, inode: &mut Inode, node: &NewNode<'_>) -> Outcome<()> {
        let target = node.target;
        if target.is_empty() {
            return Err(Errno::ENOENT.into());
        }
        // With the zero byte that ends it, as Linux counts.
        if target.len() >= self.store.block_size {
            return Err(Errno::ENAMETOOLONG.into());
        }
        inode.size = u64::from(crate::bytes::to32(target.len()));
        if target.len() < SHORT_TARGET {
            inode.set_short_target(target);
            return Ok(());
        }
        let mut bytes = crate::bytes::zeroes(self.store.block_size)?;
        crate::bytes::put(&mut bytes, 0, target);
        self.add_content(ino, inode, Kind::Target, bytes, node.reserve)
    }

    /// Where a symbolic link leads.
    ///
    /// # Errors
    /// EINVAL if it is none; EUCLEAN, EIO, ENOMEM.
    pub fn read_link(&mut self, ino: Ino) -> Result<Vec<u8>> {
        let inode = self.inode(ino)?;
        if !inode.is_symlink() {
            return Err(Errno::EINVAL);
        }
        let length = usize::try_from(inode.size).map_err(|_| Errno::EUCLEAN)?;
        if inode.is_short_link(self.geometry.sectors()) {
            return crate::bytes::copy(inode.short_target().get(..length).ok_or(Errno::EUCLEAN)?);
        }
        let block = self.map_inode(&inode, 0, 1)?.start.ok_or(Errno::EUCLEAN)?;
        crate::bytes::copy(self.store.read(block, Kind::Target)?.get(..length).ok_or(Errno::EUCLEAN)?)
    }

    /// Gives a file another name. One without names may be given one: `O_TMPFILE`.
    ///
    /// # Errors
    /// As for [`create`](Self::create); EPERM for directories.
    pub fn link(
        &mut self,
        ino: Ino,
        directory: Ino,
        name: &[u8],
        reserve: Reserve,
        now: Timespec,
    ) -> Outcome<()> {
        self.operate(|this| {
            let mut above = this.living_directory(directory)?;
            let mut inode = this.inode(ino)?;
            if inode.is_directory() {
                return Err(Errno::EPERM.into());
            }
            if inode.links >= LINKS_MAX {
                return Err(Errno::EMLINK.into());
            }
            if this.find_or_clear(directory, &mut above, name)?.is_some() {
                return Err(Errno::EEXIST.into());
            }
            inode.links += 1;
            inode.deleted = 0;
            inode.changed = now;
            this.put_inode(ino, &inode)?;
            let block =
                this.add_name(directory, &mut above, &NewName { name, ino, mode: inode.mode, reserve })?;
            this.name_added(ino, Spot { directory, block })?;
            Ok(this.touch(directory, &mut above, now)?)
        })?;
        self.orphans.remove(&ino);
        Ok(())
    }

    /// Takes a name from a file that is no directory.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, EISDIR, EROFS, EUCLEAN, EIO, ENOMEM; `CommitFirst`.
    pub fn unlink(&mut self, directory: Ino, name: &[u8], now: Timespec) -> Outcome<Removed> {
        self.reserve_orphan()?;
        let removed = self.operate(|this| {
            let mut above = this.directory(directory)?;
            let found = this.find_name(directory, &above, name)?.ok_or(Errno::ENOENT)?;
            let mut inode = this.inode(found.ino())?;
            if inode.is_directory() {
                return Err(Errno::EISDIR.into());
            }
            this.remove_name(directory, &mut above, &found, name)?;
            inode.changed = now;
            let removed =
                this.lose_name(found.ino(), inode, Spot { directory, block: found.block }, Loss::Unlinked)?;
            this.touch(directory, &mut above, now)?;
            Ok(removed)
        })?;
        self.note_removed(removed);
        Ok(removed)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// ENOTEMPTY, ENOENT, ENOTDIR, EBUSY for the root, EINVAL for `.`, EROFS, EUCLEAN, EIO, ENOMEM; `CommitFirst`.
    pub fn remove_directory(&mut self, directory: Ino, name: &[u8], now: Timespec) -> Outcome<Removed> {
        match name {
            b"." => return Err(Errno::EINVAL.into()),
            b".." => return Err(Errno::ENOTEMPTY.into()),
            _ => {}
        }
        self.reserve_orphan()?;
        let removed = self.operate(|this| {
            let mut above = this.directory(directory)?;
            let found = this.find_name(directory, &above, name)?.ok_or(Errno::ENOENT)?;
            let mut inode = this.directory(found.ino())?;
            if found.ino() == Ino::ROOT || found.ino() == directory {
                return Err(Errno::EBUSY.into());
            }
            if !this.is_empty(&inode)? {
                return Err(Errno::ENOTEMPTY.into());
            }
            this.remove_name(directory, &mut above, &found, name)?;
            inode.changed = now;
            let removed =
                this.lose_name(found.ino(), inode, Spot { directory, block: found.block }, Loss::Unlinked)?;
            above.links = above.links.saturating_sub(1);
            this.touch(directory, &mut above, now)?;
            Ok(removed)
        })?;
        self.note_removed(removed);
        Ok(removed)
    }

    /// What `i_dtime` says of a file that is gone: never so small that e2fsck would take it for the number of an inode.
    pub(crate) fn deletion_time(&self, now: Timespec) -> u32 {
        crate::bytes::low32(now.seconds.cast_unsigned()).max(self.geometry.inodes.saturating_add(1))
    }

    pub(crate) fn reserve_orphan(&mut self) -> Result<()> {
        self.orphans.try_reserve(1).map_err(|_| Errno::ENOMEM)
    }

    pub(crate) fn note_removed(&mut self, removed: Removed) {
        if removed.links == 0 {
            self.orphans.insert(removed.ino);
        }
    }
}

/// The flags that a new file takes from its directory.
fn inherited(above: u32, mode: u32) -> u32 {
    let mask = match mode & S_IFMT {
        S_IFDIR => flags::INHERITED,
        S_IFREG => flags::INHERITED & !flags::DIRECTORY_ONLY,
        _ => flags::INHERITED & flags::OTHER,
    };
    above & mask
}
