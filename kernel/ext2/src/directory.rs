//! One directory: finding, adding, replacing and removing names, and listing them.
//!
//! A name never moves while it exists, so a listing that goes on at a byte offset gives each name that was there all the time
//! once. Hash trees of other systems are read as the plain lists that they also are; a change clears the flag that announces
//! them, as Linux's ext2 does.

use abi::{Errno, Result};

use crate::dirent::{self, RECORD_MAX, Record};
use crate::error::Outcome;
use crate::index::Index;
use crate::inode::{Inode, flags};
use crate::store::{Kind, Reach};
use crate::types::{BlockNo, Blocks, Ino, Listing, Name, Reserve};
use crate::volume::{Ext2, index};

/// Directories of more blocks get an index.
const SMALL: u32 = 2;

/// A name that was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) block: BlockNo,
    /// Which block of the directory that is.
    pub(crate) place: u32,
    pub(crate) record: Record,
}

impl Found {
    pub(crate) fn ino(&self) -> Ino {
        Ino(self.record.ino)
    }
}

/// A name that is to be.
#[derive(Clone, Copy)]
pub(crate) struct NewName<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) ino: Ino,
    pub(crate) mode: u32,
    pub(crate) reserve: Reserve,
}

impl<B: Blocks> Ext2<B> {
    /// A directory that may be searched.
    pub(crate) fn directory(&mut self, ino: Ino) -> Result<Inode> {
        let inode = self.inode(ino)?;
        if inode.is_directory() { Ok(inode) } else { Err(Errno::ENOTDIR) }
    }

    /// A directory that may get names: one that was not removed.
    pub(crate) fn living_directory(&mut self, ino: Ino) -> Result<Inode> {
        let inode = self.directory(ino)?;
        if inode.links == 0 { Err(Errno::ENOENT) } else { Ok(inode) }
    }

    /// A block of a directory; there must be no holes.
    pub(crate) fn directory_block(&mut self, inode: &Inode, place: u32) -> Result<BlockNo> {
        self.map_inode(inode, place, 1)?.start.ok_or(Errno::EUCLEAN)
    }

    /// Looks for a name.
    pub(crate) fn find_name(&mut self, ino: Ino, inode: &Inode, name: &[u8]) -> Result<Option<Found>> {
        if name.len() > dirent::NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let blocks = self.directory_blocks(inode);
        if blocks > SMALL && self.has_index(ino, inode)? {
            let hash = self.indexes.hash(name);
            for nth in 0.. {
                let Some(place) = self.indexes.get(ino).and_then(|index| index.candidate(hash, nth)) else {
                    break;
                };
                if let Some(found) = self.find_in_block(inode, place, name)? {
                    return Ok(Some(found));
                }
            }
            return Ok(None);
        }
        for place in 0..blocks {
            if let Some(found) = self.find_in_block(inode, place, name)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn find_in_block(&mut self, inode: &Inode, place: u32, name: &[u8]) -> Result<Option<Found>> {
        let block = self.directory_block(inode, place)?;
        let record = dirent::find(self.store.read(block, Kind::Directory)?, name)?;
        Ok(record.map(|record| Found { block, place, record }))
    }

    /// Makes the index if there is none; says whether there is one.
    fn has_index(&mut self, ino: Ino, inode: &Inode) -> Result<bool> {
        if self.indexes.get(ino).is_some() {
            return Ok(true);
        }
        let mut made = Index::default();
        for place in 0..self.directory_blocks(inode) {
            let block = self.directory_block(inode, place)?;
            let bytes = self.store.read(block, Kind::Directory)?;
            let indexes = &self.indexes;
            let failed = dirent::walk(bytes, |record| {
                (record.ino != 0 && made.add(indexes.hash(record.name(bytes)), place).is_err()).then_some(())
            })?;
            if failed.is_some() || made.set_room(place, dirent::largest_room(bytes)?).is_err() {
                return Ok(false);
            }
        }
        Ok(self.indexes.keep(ino, made).is_ok())
    }

    /// Adds a name that is not there. Returns the block that has it now. The caller stores the directory's inode.
    pub(crate) fn add_name(&mut self, ino: Ino, inode: &mut Inode, new: &NewName<'_>) -> Outcome<BlockNo> {
        inode.flags &= !flags::INDEX;
        let needed = dirent::needed(new.name.len());
        let (place, block) = match self.find_room(ino, inode, needed)? {
            Some(found) => found,
            None => self.add_block(ino, inode, new.reserve)?,
        };
        let room = dirent::find_room(self.store.read(block, Kind::Directory)?, needed)?;
        self.insert(block, &room.ok_or(Errno::EUCLEAN)?, new)?;
        self.update_index(ino, inode, place, new.name, Index::add)?;
        Ok(block)
    }

    /// As `add_name`, in the block of a name that was just removed if there is room.
    pub(crate) fn add_name_near(
        &mut self,
        ino: Ino,
        inode: &mut Inode,
        new: &NewName<'_>,
        near: &Found,
    ) -> Outcome<BlockNo> {
        let needed = dirent::needed(new.name.len());
        let bytes = self.store.read(near.block, Kind::Directory)?;
        let Some(room) = dirent::find_room(bytes, needed)? else { return self.add_name(ino, inode, new) };
        self.insert(near.block, &room, new)?;
        self.update_index(ino, inode, near.place, new.name, Index::add)?;
        Ok(near.block)
    }

    /// A block of the directory with so much room.
    pub(crate) fn find_room(
        &mut self,
        ino: Ino,
        inode: &Inode,
        needed: usize,
    ) -> Result<Option<(u32, BlockNo)>> {
        if let Some(index) = self.indexes.get(ino) {
            let Some(place) = index.find_room(needed) else { return Ok(None) };
            return Ok(Some((place, self.directory_block(inode, place)?)));
        }
        for place in 0..self.directory_blocks(inode) {
            let block = self.directory_block(inode, place)?;
            if dirent::find_room(self.store.read(block, Kind::Directory)?, needed)?.is_some() {
                return Ok(Some((place, block)));
            }
        }
        Ok(None)
    }

    /// Gives the directory another block, with one free record.
    pub(crate) fn add_block(
        &mut self,
        ino: Ino,
        inode: &mut Inode,
        reserve: Reserve,
    ) -> Outcome<(u32, BlockNo)> {
        let place = self.directory_blocks(inode);
        let size = inode.size + u64::from(self.geometry.block_size);
        if size > i32::MAX.cast_unsigned().into() {
            return Err(Errno::ENOSPC.into());
        }
        let (block, _) = self.grow(ino, inode, place, 1, reserve)?;
        let mut bytes = crate::bytes::zeroes(self.store.block_size)?;
        let whole = u16::try_from(self.geometry.block_size).map_err(|_| Errno::EUCLEAN)?;
        crate::bytes::put16(&mut bytes, 4, whole);
        self.store.create(block, Kind::Directory, bytes)?;
        inode.size = size;
        Ok((place, block))
    }

    /// Writes a name into the free end of a record, or into a free one.
    fn insert(&mut self, block: BlockNo, room: &Record, new: &NewName<'_>) -> Result<()> {
        let kind = if self.geometry.has_file_types() { dirent::kind_of(new.mode) } else { 0 };
        let kept = room.length - room.spare();
        let length = room.length - kept;
        let mut bytes = [0; RECORD_MAX];
        let used = dirent::encode(&mut bytes, new.ino.0, length, new.name, kind);
        let bytes = bytes.get(..used).ok_or(Errno::ENAMETOOLONG)?;
        self.store.write(block, Kind::Directory, room.at + kept, bytes)?;
        if kept > 0 {
            let kept = u16::try_from(kept).map_err(|_| Errno::EUCLEAN)?;
            self.store.write(block, Kind::Directory, room.at + 4, &kept.to_le_bytes())?;
        }
        Ok(())
    }

    /// Gives a name to another file.
    pub(crate) fn replace_name(&mut self, found: &Found, ino: Ino, mode: u32) -> Outcome<()> {
        let kind = if self.geometry.has_file_types() { dirent::kind_of(mode) } else { 0 };
        self.store.write(found.block, Kind::Directory, found.record.at, &ino.0.to_le_bytes())?;
        Ok(self.store.write(found.block, Kind::Directory, found.record.at + 7, &[kind])?)
    }

    /// Removes a name: the record before it in its block takes its room, or it becomes a free one.
    pub(crate) fn remove_name(
        &mut self,
        ino: Ino,
        inode: &mut Inode,
        found: &Found,
        name: &[u8],
    ) -> Outcome<()> {
        inode.flags &= !flags::INDEX;
        let at = found.record.at;
        let bytes = self.store.read(found.block, Kind::Directory)?;
        let before = dirent::walk(bytes, |record| (record.end() == at).then_some(*record))?;
        let length = Record::read(bytes, at)?.length;
        if let Some(before) = before {
            let joined = u16::try_from(before.length + length).map_err(|_| Errno::EUCLEAN)?;
            self.store.write(found.block, Kind::Directory, before.at + 4, &joined.to_le_bytes())?;
        }
        self.store.write(found.block, Kind::Directory, at, &[0; 4])?;
        Ok(self.update_index(ino, inode, found.place, name, |index, hash, place| {
            index.remove(hash, place);
            Ok(())
        })?)
    }

    /// Brings the directory's index up to date after a change of one of its blocks, or drops it.
    fn update_index(
        &mut self,
        ino: Ino,
        inode: &Inode,
        place: u32,
        name: &[u8],
        change: impl FnOnce(&mut Index, u32, u32) -> Result<()>,
    ) -> Result<()> {
        if self.indexes.get(ino).is_none() {
            return Ok(());
        }
        let hash = self.indexes.hash(name);
        let block = self.directory_block(inode, place)?;
        let room = dirent::largest_room(self.store.read(block, Kind::Directory)?)?;
        let Some(index) = self.indexes.change(ino) else { return Ok(()) };
        if change(index, hash, place).and_then(|()| index.set_room(place, room)).is_err() {
            self.indexes.forget(ino);
        }
        Ok(())
    }

    /// Whether a directory has no names but its own and its parent's, and perhaps some that a power cut left.
    pub(crate) fn is_empty(&mut self, inode: &Inode) -> Result<bool> {
        for place in 0..self.directory_blocks(inode) {
            let block = self.directory_block(inode, place)?;
            let mut at = 0;
            while at < self.store.block_size {
                let bytes = self.store.read(block, Kind::Directory)?;
                let record = Record::read(bytes, at)?;
                let is_name = record.ino != 0 && !matches!(record.name(bytes), b"." | b"..");
                if is_name && !self.is_left_over(Ino(record.ino))? {
                    return Ok(false);
                }
                at = record.end();
            }
        }
        Ok(true)
    }

    /// Gives a directory another parent.
    pub(crate) fn set_parent(&mut self, ino: Ino, parent: Ino) -> Outcome<()> {
        let inode = self.directory(ino)?;
        let found = self.find_in_block(&inode, 0, b"..")?.ok_or(Errno::EUCLEAN)?;
        self.replace_name(&found, parent, abi::file::S_IFDIR)
    }

    /// The parent of a directory.
    pub(crate) fn parent(&mut self, ino: Ino) -> Result<Ino> {
        let inode = self.directory(ino)?;
        Ok(self.find_in_block(&inode, 0, b"..")?.ok_or(Errno::EUCLEAN)?.ino())
    }

    /// Whether nothing on the disk leads to a block yet.
    pub(crate) fn is_fresh(&mut self, block: BlockNo) -> bool {
        self.store.present(block).is_some_and(|slot| slot.reach == Reach::Fresh)
    }

    /// Lists a directory from a position on: 0, or one that an earlier listing told. Returns the position to go on from.
    ///
    /// # Errors
    /// ENOTDIR; EUCLEAN if the next block is damaged; EIO, ENOMEM.
    pub fn list(
        &mut self,
        ino: Ino,
        position: u64,
        visit: &mut dyn FnMut(&Name<'_>) -> Listing,
    ) -> Result<u64> {
        let inode = self.directory(ino)?;
        let has_types = self.geometry.has_file_types();
        let size = u64::from(self.geometry.block_size);
        let mut position = position;
        while position < inode.size {
            let place = u32::try_from(position / size).map_err(|_| Errno::EUCLEAN)?;
            let start = u64::from(place) * size;
            let block = self.directory_block(&inode, place)?;
            let bytes = self.store.read(block, Kind::Directory)?;
            let stopped = dirent::walk(bytes, |record| {
                let at = start + offset(record.at);
                let next = start + offset(record.end());
                if at < position || record.ino == 0 {
                    return None;
                }
                let kind = if has_types { dirent::listed_kind(record.kind) } else { 0 };
                let name = Name { bytes: record.name(bytes), ino: Ino(record.ino), kind, next };
                (visit(&name) == Listing::Full).then_some(at)
            })?;
            match stopped {
                Some(at) => return Ok(at),
                None => position = start + size,
            }
        }
        Ok(position)
    }
}

fn offset(at: usize) -> u64 {
    u64::from(crate::bytes::to32(at))
}

/// The bytes of a new directory's first block.
pub(crate) fn first_block(size: u32, own: Ino, parent: Ino, kind: u8) -> Result<alloc::vec::Vec<u8>> {
    let mut bytes = crate::bytes::zeroes(index(size))?;
    let mut record = [0; RECORD_MAX];
    let first = dirent::needed(1);
    for (at, ino, length, name) in
        [(0, own, first, b".".as_slice()), (first, parent, index(size) - first, b"..")]
    {
        let used = dirent::encode(&mut record, ino.0, length, name, kind);
        crate::bytes::put(&mut bytes, at, record.get(..used).unwrap_or_default());
        record = [0; RECORD_MAX];
    }
    Ok(bytes)
}
