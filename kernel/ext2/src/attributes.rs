//! Changing attributes of files, and their extended attributes.
//!
//! A block of extended attributes may belong to several files. It is then not changed but left, and a new one made. A commit
//! writes such blocks last, so that the disk never has a count that is too small; no block is shared anew.

use abi::time::Timespec;
use abi::{Errno, Result};
use alloc::vec::Vec;

use crate::bytes::get32;
use crate::error::Outcome;
use crate::inode::{BASE, Inode, flags};
use crate::store::Kind;
use crate::types::{Blocks, Change, Ino, Pending, Reserve, Setting};
use crate::volume::{Ext2, index};
use crate::xattr::{self, Attribute, Form};

/// The attributes of a file, from its two places.
struct Lists {
    inode: Vec<Attribute>,
    block: Vec<Attribute>,
}

impl<B: Blocks> Ext2<B> {
    /// Changes attributes; the caller has checked who may, and has taken away setuid and setgid where an owner changes.
    ///
    /// # Errors
    /// EROFS, EUCLEAN, EIO, ENOMEM; `CommitFirst`.
    pub fn change(&mut self, ino: Ino, change: &Change, now: Timespec) -> Outcome<()> {
        self.operate(|this| {
            let mut inode = this.inode(ino)?;
            let before = inode.clone();
            if let Some(permissions) = change.permissions {
                inode.mode = inode.kind() | permissions & !abi::file::S_IFMT;
            }
            inode.user = change.user.unwrap_or(inode.user);
            inode.group = change.group.unwrap_or(inode.group);
            if let Some(changed) = change.flags {
                inode.flags = inode.flags & !flags::CHANGEABLE | changed & flags::CHANGEABLE;
            }
            let is_more = inode != before;
            inode.accessed = change.accessed.unwrap_or(inode.accessed);
            inode.modified = change.modified.unwrap_or(inode.modified);
            inode.changed = now;
            Ok(if is_more { this.put_inode(ino, &inode) } else { this.put_times(ino, &inode) }?)
        })
    }

    /// Notes that a file was read; nothing else changes.
    ///
    /// # Errors
    /// As for [`change`](Self::change).
    pub fn note_read(&mut self, ino: Ino, now: Timespec) -> Outcome<()> {
        self.operate(|this| {
            let mut inode = this.inode(ino)?;
            inode.accessed = now;
            Ok(this.put_times(ino, &inode)?)
        })
    }

    /// The value of an extended attribute, by its full name: `user.…`, `security.…`, `system.posix_acl_access`.
    ///
    /// # Errors
    /// ENODATA, EOPNOTSUPP for a prefix that there is not, ERANGE for a name too long, EUCLEAN, EIO, ENOMEM.
    pub fn extended_attribute(&mut self, ino: Ino, name: &[u8]) -> Result<Vec<u8>> {
        let (prefix, rest) = xattr::split(name)?;
        let inode = self.inode(ino)?;
        let lists = self.lists(ino, &inode)?;
        let mut all = lists.inode.iter().chain(&lists.block);
        let found = all.find(|one| one.prefix == prefix && one.name == rest).ok_or(Errno::ENODATA)?;
        xattr::from_disk(prefix, &found.value)
    }

    /// Calls `visit` with the full name of each extended attribute.
    ///
    /// # Errors
    /// EUCLEAN, EIO, ENOMEM.
    pub fn list_extended_attributes(&mut self, ino: Ino, visit: &mut dyn FnMut(&[u8])) -> Result<()> {
        let inode = self.inode(ino)?;
        let lists = self.lists(ino, &inode)?;
        for one in lists.inode.iter().chain(&lists.block) {
            let Some(prefix) = xattr::prefix(one.prefix) else { continue };
            let mut name = Vec::new();
            name.try_reserve_exact(prefix.len() + one.name.len()).map_err(|_| Errno::ENOMEM)?;
            name.extend_from_slice(prefix);
            name.extend_from_slice(&one.name);
            visit(&name);
        }
        Ok(())
    }

    /// Gives a file an extended attribute.
    ///
    /// # Errors
    /// EEXIST, ENODATA (see [`Setting`]), ENOSPC if it does not fit, EOPNOTSUPP, ERANGE, EROFS, EUCLEAN, EIO, ENOMEM;
    /// `CommitFirst`.
    pub fn set_extended_attribute(
        &mut self,
        ino: Ino,
        name: &[u8],
        value: &[u8],
        setting: Setting,
        reserve: Reserve,
        now: Timespec,
    ) -> Outcome<()> {
        let (prefix, rest) = xattr::split(name)?;
        let value = xattr::to_disk(prefix, value)?;
        if value.len() > self.store.block_size {
            return Err(Errno::ENOSPC.into());
        }
        let one = Attribute { prefix, name: crate::bytes::copy(rest)?, value };
        self.operate(|this| {
            let mut inode = this.inode(ino)?;
            let mut lists = this.lists(ino, &inode)?;
            let old = take(&mut lists, prefix, rest);
            match (setting, old) {
                (Setting::Create, Some(_)) => return Err(Errno::EEXIST.into()),
                (Setting::Replace, None) => return Err(Errno::ENODATA.into()),
                _ => {}
            }
            let room = this.inode_room(&inode);
            xattr::insert(&mut lists.inode, one)?;
            if !xattr::fits(&lists.inode, room, Form::Inode)
                && let Some(one) = xattr::remove(&mut lists.inode, prefix, rest)
            {
                xattr::insert(&mut lists.block, one)?;
                if !xattr::fits(&lists.block, this.store.block_size, Form::Block) {
                    return Err(Errno::ENOSPC.into());
                }
            }
            this.store_lists(ino, &mut inode, &lists, reserve)?;
            inode.changed = now;
            Ok(this.put_inode(ino, &inode)?)
        })
    }

    /// Takes an extended attribute from a file.
    ///
    /// # Errors
    /// ENODATA, EOPNOTSUPP, ERANGE, EROFS, ENOSPC, EUCLEAN, EIO, ENOMEM; `CommitFirst`.
    pub fn remove_extended_attribute(
        &mut self,
        ino: Ino,
        name: &[u8],
        reserve: Reserve,
        now: Timespec,
    ) -> Outcome<()> {
        let (prefix, rest) = xattr::split(name)?;
        self.operate(|this| {
            let mut inode = this.inode(ino)?;
            let mut lists = this.lists(ino, &inode)?;
            take(&mut lists, prefix, rest).ok_or(Errno::ENODATA)?;
            this.store_lists(ino, &mut inode, &lists, reserve)?;
            inode.changed = now;
            Ok(this.put_inode(ino, &inode)?)
        })
    }

    fn lists(&mut self, ino: Ino, inode: &Inode) -> Result<Lists> {
        let room = self.inode_room(inode);
        let bytes = self.inode_bytes(ino)?;
        let end = bytes.get(bytes.len() - room..).unwrap_or_default();
        let in_inode = if room > xattr::INODE_HEADER { xattr::read(end, Form::Inode)? } else { Vec::new() };
        let in_block = match inode.attributes_block {
            0 => Vec::new(),
            number => {
                let block = self.block(number)?;
                xattr::read(self.store.read(block, Kind::Attributes)?, Form::Block)?
            }
        };
        Ok(Lists { inode: in_inode, block: in_block })
    }

    /// Bytes at the end of an inode that are no fields.
    fn inode_room(&self, inode: &Inode) -> usize {
        if inode.extra == 0 {
            return 0;
        }
        index(self.geometry.inode_size).saturating_sub(BASE + usize::from(inode.extra))
    }

    fn store_lists(&mut self, ino: Ino, inode: &mut Inode, lists: &Lists, reserve: Reserve) -> Outcome<()> {
        self.need_attributes()?;
        let room = self.inode_room(inode);
        if room > xattr::INODE_HEADER {
            let mut bytes = crate::bytes::zeroes(room)?;
            xattr::write(&lists.inode, &mut bytes, Form::Inode);
            let (block, at) = self.inode_place(ino)?;
            let at = at + index(self.geometry.inode_size) - room;
            self.epoch.note_changed(ino, Pending::All)?;
            self.store.write(block, Kind::Inodes, at, &bytes)?;
        }
        if lists.block.is_empty() {
            if inode.attributes_block != 0 {
                self.release_attributes(ino, inode)?;
            }
            return Ok(());
        }
        let mut bytes = crate::bytes::zeroes(self.store.block_size)?;
        xattr::write(&lists.block, &mut bytes, Form::Block);
        if inode.attributes_block != 0 {
            let block = self.block(inode.attributes_block)?;
            if get32(self.store.read(block, Kind::Attributes)?, 4) == 1 {
                return Ok(self.store.write(block, Kind::Attributes, 0, &bytes)?);
            }
            self.release_attributes(ino, inode)?;
        }
        let block = self.take_block(self.first_goal(ino), reserve)?;
        self.store.create(block, Kind::Attributes, bytes)?;
        inode.attributes_block = block.0;
        Ok(self.count_blocks(inode, 1)?)
    }

    /// Lets a file's block of attributes go. The caller stores the inode.
    pub(crate) fn release_attributes(&mut self, ino: Ino, inode: &mut Inode) -> Result<()> {
        let block = self.block(inode.attributes_block)?;
        let bytes = self.store.read(block, Kind::Attributes)?;
        if get32(bytes, 0) != xattr::MAGIC {
            return Err(Errno::EUCLEAN);
        }
        match get32(bytes, 4) {
            0 => return Err(Errno::EUCLEAN),
            1 => self.free_block(ino, block)?,
            count => self.store.write(block, Kind::Attributes, 4, &(count - 1).to_le_bytes())?,
        }
        inode.attributes_block = 0;
        inode.sectors = inode.sectors.saturating_sub(self.geometry.sectors());
        Ok(())
    }
}

fn take(lists: &mut Lists, prefix: u8, name: &[u8]) -> Option<Attribute> {
    xattr::remove(&mut lists.inode, prefix, name).or_else(|| xattr::remove(&mut lists.block, prefix, name))
}
