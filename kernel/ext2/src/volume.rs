//! The file system in memory: what all operations stand on.
//!
//! Groups and inodes by number, blocks checked before use, and the frame of an operation: it happens completely or, if any of
//! its steps fails, not at all.

use abi::time::Timespec;
use abi::{Errno, Result};
use alloc::vec::Vec;
use hashbrown::HashSet;

use crate::bytes::put32;
use crate::epoch::Epoch;
use crate::error::{Failure, Outcome};
use crate::group::{self, Group};
use crate::index::Indexes;
use crate::inode::Inode;
use crate::store::{Kind, Store};
use crate::superblock::{Geometry, compat, field, ro_compat};
use crate::types::{
    Access, Attributes, BlockNo, Blocks, Condition, Identity, Ino, Pending, Reserved, Statistics,
};

/// Bytes of the largest inode that is handled in one piece; what follows are attributes.
const INODE_FIELDS: usize = 256;

/// An ext2 file system.
pub struct Ext2<B> {
    pub(crate) store: Store<B>,
    pub(crate) geometry: Geometry,
    pub(crate) access: Access,
    pub(crate) condition: Condition,
    /// The state the disk's superblock had, with which it is left when it was not clean.
    pub(crate) found_state: u16,
    /// What was changed since the last commit began.
    pub(crate) epoch: Epoch,
    /// What the commit under way has.
    pub(crate) flight: Option<Flight>,
    pub(crate) closing: Closing,
    pub(crate) free_blocks: u32,
    pub(crate) free_inodes: u32,
    /// Of the free blocks and inodes those that can be given out only after a commit: freed in this epoch, in the last.
    pub(crate) waiting_blocks: [u32; 2],
    pub(crate) waiting_inodes: [u32; 2],
    /// The superblock must be on the disk before anything else.
    pub(crate) super_first: SuperFirst,
    /// Files without a name that somebody uses.
    pub(crate) orphans: HashSet<Ino>,
    pub(crate) indexes: Indexes,
    /// Blocks that may wait for a commit.
    pub(crate) dirty_limit: usize,
    pub(crate) next_generation: u32,
}

/// What has to come back if the commit under way fails.
pub(crate) struct Flight {
    pub(crate) epoch: Epoch,
    pub(crate) super_first: SuperFirst,
}

/// Whether the superblock goes before the rest of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SuperFirst {
    No,
    Yes,
}

/// Whether the file system is on its way to being clean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    No,
    Yes,
}

/// What a failed operation puts back besides bytes.
struct Counts {
    free_blocks: u32,
    free_inodes: u32,
    waiting_blocks: [u32; 2],
    waiting_inodes: [u32; 2],
    features: (u32, u32),
}

impl<B: Blocks> Ext2<B> {
    /// Bytes of a block.
    pub fn block_size(&self) -> u32 {
        self.geometry.block_size
    }

    /// The largest size a file can have.
    pub fn largest_file(&self) -> u64 {
        self.geometry.largest_file()
    }

    /// UUID and label.
    pub fn identity(&self) -> Identity {
        Identity { uuid: self.geometry.uuid, label: self.geometry.label }
    }

    /// Who may use the last blocks besides root.
    pub fn reserved(&self) -> Reserved {
        Reserved { user: self.geometry.reserved_user, group: self.geometry.reserved_group }
    }

    /// How the file system was left by who had it before.
    pub fn condition(&self) -> Condition {
        self.condition
    }

    /// Whether anything may change.
    pub fn access(&self) -> Access {
        self.access
    }

    /// The device.
    pub fn device(&self) -> &B {
        &self.store.blocks
    }

    /// What statfs(2) tells.
    pub fn statistics(&self) -> Statistics {
        let geometry = &self.geometry;
        let [low, high] = [0, 8].map(|at| u64::from_le_bytes(crate::bytes::get(&geometry.uuid, at)));
        Statistics {
            block_size: u64::from(geometry.block_size),
            blocks: u64::from(geometry.blocks - geometry.overhead()),
            free_blocks: u64::from(self.free_blocks),
            available_blocks: u64::from(self.free_blocks.saturating_sub(geometry.reserved_blocks)),
            files: u64::from(geometry.inodes),
            free_files: u64::from(self.free_inodes),
            id: low ^ high,
        }
    }

    /// What stat(2) tells of a file.
    ///
    /// # Errors
    /// EUCLEAN if there is no such inode or its bytes contradict each other; EIO, ENOMEM.
    pub fn attributes(&mut self, ino: Ino) -> Result<Attributes> {
        let inode = self.inode(ino)?;
        Ok(Attributes {
            mode: inode.mode,
            links: u32::from(inode.links),
            user: inode.user,
            group: inode.group,
            device_number: if inode.is_device() { inode.device_number() } else { 0 },
            size: inode.size,
            blocks: u64::from(inode.sectors),
            accessed: inode.accessed,
            modified: inode.modified,
            changed: inode.changed,
            created: inode.created,
            flags: inode.flags,
            generation: inode.generation,
        })
    }

    /// Bytes of metadata in memory that wait for a commit. The shell commits when they are many, or old.
    pub fn dirty_bytes(&self) -> usize {
        self.store.dirty() * self.store.block_size
    }

    /// Bytes of memory that blocks and indexes take, about.
    pub fn memory(&self) -> usize {
        self.store.memory() + self.indexes.memory()
    }

    /// Gives memory back: blocks that are on the disk, and indexes of directories. Returns how many bytes, about.
    pub fn shrink(&mut self) -> usize {
        self.store.drop_clean() + self.indexes.clear()
    }

    /// What of a file is not on the disk yet, a commit under way included.
    pub fn pending(&self, ino: Ino) -> Pending {
        let under_way = self.flight.as_ref().map_or(Pending::Nothing, |flight| flight.epoch.pending(ino));
        self.epoch.pending(ino).max(under_way)
    }

    /// Runs an operation that changes something.
    pub(crate) fn operate<T>(&mut self, operation: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        if self.access == Access::ReadOnly || self.closing == Closing::Yes {
            return Err(Errno::EROFS.into());
        }
        if self.store.dirty() >= self.dirty_limit {
            return Err(Failure::CommitFirst);
        }
        self.attempt(operation)
    }

    /// As `operate`, for changes that the file system makes by itself.
    pub(crate) fn attempt<T>(&mut self, operation: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        let counts = Counts {
            free_blocks: self.free_blocks,
            free_inodes: self.free_inodes,
            waiting_blocks: self.waiting_blocks,
            waiting_inodes: self.waiting_inodes,
            features: (self.geometry.compat, self.geometry.ro_compat),
        };
        self.store.begin();
        self.epoch.begin();
        let result = operation(self);
        if result.is_ok() {
            self.store.accept();
        } else {
            self.store.roll_back();
            self.epoch.roll_back();
            self.indexes.forget_touched();
            self.free_blocks = counts.free_blocks;
            self.free_inodes = counts.free_inodes;
            self.waiting_blocks = counts.waiting_blocks;
            self.waiting_inodes = counts.waiting_inodes;
            (self.geometry.compat, self.geometry.ro_compat) = counts.features;
        }
        self.indexes.end_operation();
        result
    }

    /// The descriptor of a group.
    pub(crate) fn group(&mut self, number: u32) -> Result<Group> {
        let (block, at) = self.group_place(number)?;
        Ok(Group::read(self.store.read(block, Kind::Descriptors)?, at))
    }

    /// Stores the counts of a group.
    pub(crate) fn put_group(&mut self, number: u32, group: &Group) -> Result<()> {
        let (block, at) = self.group_place(number)?;
        self.store.write(block, Kind::Descriptors, at + group::COUNTS, &group.counts())
    }

    fn group_place(&self, number: u32) -> Result<(BlockNo, usize)> {
        if number >= self.geometry.groups {
            return Err(Errno::EUCLEAN);
        }
        let per_block = self.geometry.descriptors_per_block();
        let block = self.geometry.descriptor_block(number / per_block);
        Ok((block, index(number % per_block) * group::LENGTH))
    }

    /// A block number of the disk's, if a file or a group can have that block.
    pub(crate) fn block(&self, number: u32) -> Result<BlockNo> {
        if self.geometry.has_block(number) { Ok(BlockNo(number)) } else { Err(Errno::EUCLEAN) }
    }

    /// An inode that may be used: one that has a mode, and is no special one but the root.
    pub(crate) fn inode(&mut self, ino: Ino) -> Result<Inode> {
        if ino.0 < self.geometry.first_inode && ino != Ino::ROOT {
            return Err(Errno::EUCLEAN);
        }
        let inode = self.any_inode(ino)?;
        if inode.mode == 0 || inode.links == 0 && !self.orphans.contains(&ino) {
            Err(Errno::EUCLEAN)
        } else {
            Ok(inode)
        }
    }

    /// Whether a name leads to an unused inode because the power was cut and e2fsck has not been asked yet. It counts as none.
    pub(crate) fn is_left_over(&mut self, ino: Ino) -> Result<bool> {
        if self.condition == Condition::Clean || self.orphans.contains(&ino) {
            return Ok(false);
        }
        Ok(self.any_inode(ino)?.links == 0)
    }

    /// An inode, whatever it is.
    pub(crate) fn any_inode(&mut self, ino: Ino) -> Result<Inode> {
        let (block, at) = self.inode_place(ino)?;
        let length = index(self.geometry.inode_size);
        let bytes = self.store.read(block, Kind::Inodes)?;
        let inode = Inode::read(bytes.get(at..at + length).ok_or(Errno::EUCLEAN)?);
        if inode.is_directory() && inode.size > u64::from(u32::MAX) || inode.size > i64::MAX.cast_unsigned() {
            return Err(Errno::EUCLEAN);
        }
        Ok(inode)
    }

    /// Stores an inode's fields and notes that it changed.
    pub(crate) fn put_inode(&mut self, ino: Ino, inode: &Inode) -> Result<()> {
        self.store_inode(ino, inode, Pending::All)
    }

    /// As `put_inode`, where only times changed.
    pub(crate) fn put_times(&mut self, ino: Ino, inode: &Inode) -> Result<()> {
        self.store_inode(ino, inode, Pending::Times)
    }

    fn store_inode(&mut self, ino: Ino, inode: &Inode, pending: Pending) -> Result<()> {
        let (block, at) = self.inode_place(ino)?;
        let length = index(self.geometry.inode_size).min(INODE_FIELDS);
        let mut fields = [0; INODE_FIELDS];
        let fields = fields.get_mut(..length).ok_or(Errno::EUCLEAN)?;
        let bytes = self.store.read(block, Kind::Inodes)?;
        fields.copy_from_slice(bytes.get(at..at + length).ok_or(Errno::EUCLEAN)?);
        inode.write(fields);
        let used = crate::inode::BASE + usize::from(inode.extra);
        let fields = fields.get(..used.min(length)).ok_or(Errno::EUCLEAN)?;
        self.epoch.note_changed(ino, pending)?;
        self.store.write(block, Kind::Inodes, at, fields)
    }

    /// Clears all bytes of an inode that is about to be used.
    pub(crate) fn clear_inode(&mut self, ino: Ino) -> Result<()> {
        let (block, at) = self.inode_place(ino)?;
        let zeroes = crate::bytes::zeroes(index(self.geometry.inode_size))?;
        self.store.write(block, Kind::Inodes, at, &zeroes)
    }

    /// The bytes of an inode.
    pub(crate) fn inode_bytes(&mut self, ino: Ino) -> Result<Vec<u8>> {
        let (block, at) = self.inode_place(ino)?;
        let length = index(self.geometry.inode_size);
        let bytes = self.store.read(block, Kind::Inodes)?;
        crate::bytes::copy(bytes.get(at..at + length).ok_or(Errno::EUCLEAN)?)
    }

    /// Where an inode is.
    pub(crate) fn inode_place(&mut self, ino: Ino) -> Result<(BlockNo, usize)> {
        if ino.0 == 0 || ino.0 > self.geometry.inodes {
            return Err(Errno::EUCLEAN);
        }
        let number = (ino.0 - 1) % self.geometry.inodes_per_group;
        let table = self.group((ino.0 - 1) / self.geometry.inodes_per_group)?.inode_table;
        let per_block = self.geometry.inodes_per_block();
        let block = table.checked_add(number / per_block).ok_or(Errno::EUCLEAN)?;
        Ok((self.block(block)?, index(number % per_block) * index(self.geometry.inode_size)))
    }

    /// Changes the time of change and perhaps of writing.
    pub(crate) fn touch(&mut self, ino: Ino, inode: &mut Inode, now: Timespec) -> Result<()> {
        inode.changed = now;
        inode.modified = now;
        self.put_inode(ino, inode)
    }

    /// Turns a feature of the superblock on, which then goes to the disk before what uses it.
    pub(crate) fn need_feature(&mut self, at: usize, bit: u32) -> Result<()> {
        let known = match at {
            field::RO_COMPAT => &mut self.geometry.ro_compat,
            _ => &mut self.geometry.compat,
        };
        if *known & bit != 0 {
            return Ok(());
        }
        let all = *known | bit;
        let (block, start) = self.geometry.super_place();
        let mut bytes = [0; 4];
        // Features exist from revision 1 on (Linux's ext2_update_dynamic_rev).
        if crate::bytes::get32(self.store.read(block, Kind::Super)?, start + field::REVISION) == 0 {
            for (at, value) in [(field::REVISION, 1), (field::FIRST_INODE, 11), (field::INODE_SIZE, 128)] {
                put32(&mut bytes, 0, value);
                self.store.write(block, Kind::Super, start + at, &bytes)?;
            }
        }
        put32(&mut bytes, 0, all);
        self.store.write(block, Kind::Super, start + at, &bytes)?;
        if at == field::RO_COMPAT {
            self.geometry.ro_compat = all;
        } else {
            self.geometry.compat = all;
        }
        self.super_first = SuperFirst::Yes;
        Ok(())
    }

    /// A file of this size is about to be.
    pub(crate) fn need_size(&mut self, size: u64) -> Result<()> {
        if size > self.geometry.largest_file() {
            return Err(Errno::EFBIG);
        }
        if size > i32::MAX.cast_unsigned().into() {
            self.need_feature(field::RO_COMPAT, ro_compat::LARGE_FILE)?;
        }
        Ok(())
    }

    /// A file is about to have extended attributes.
    pub(crate) fn need_attributes(&mut self) -> Result<()> {
        self.need_feature(field::COMPAT, compat::EXT_ATTR)
    }
}

/// A number as an index.
pub(crate) fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
