//! Opening a file system, and making it writable.
//!
//! One that was not closed is checked for what this crate's own order of writes may have left (docs/ext2.md): counts of free
//! blocks and inodes that are behind, and files without names that somebody used. Everything else is e2fsck's.

use abi::file::S_IFDIR;
use abi::time::Timespec;
use abi::{Errno, Result};

use crate::bitmap;
use crate::bytes::{get16, get32, low32, put16, test_bit};
use crate::error::OpenError;
use crate::group::Group;
use crate::index::Indexes;
use crate::store::{Kind, Store};
use crate::superblock::{self, Geometry, STATE_ERRORS, STATE_VALID, field};
use crate::types::{Access, Blocks, Condition, Ino, Options};
use crate::volume::{Closing, Ext2, SuperFirst, index};

impl<B: Blocks> Ext2<B> {
    /// Opens the file system on a device. If it is opened for writing, commit at once, so that the disk says so.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(blocks: B, options: &Options) -> core::result::Result<Self, OpenError> {
        let mut bytes = crate::bytes::zeroes(superblock::LENGTH)?;
        if blocks.length() < superblock::OFFSET + 1024 {
            return Err(OpenError::NotExt2);
        }
        blocks.read(superblock::OFFSET, &mut bytes)?;
        let geometry = Geometry::read(&bytes, blocks.length(), options.access)?;
        let found_state = get16(&bytes, field::STATE);
        let is_clean = found_state & (STATE_VALID | STATE_ERRORS) == STATE_VALID;
        let has_orphans = get32(&bytes, field::LAST_ORPHAN) != 0;
        let seed =
            low32(options.now.seconds.cast_unsigned()) ^ low32(options.now.nanoseconds.cast_unsigned()) << 2;
        let mut volume = Ext2 {
            store: Store::new(blocks, index(geometry.block_size), options.cache_bytes),
            access: Access::ReadOnly,
            condition: if is_clean { Condition::Clean } else { Condition::Unchecked },
            found_state,
            epoch: crate::epoch::Epoch::default(),
            flight: None,
            closing: Closing::No,
            free_blocks: 0,
            free_inodes: 0,
            waiting_blocks: [0; 2],
            waiting_inodes: [0; 2],
            super_first: SuperFirst::No,
            orphans: hashbrown::HashSet::new(),
            indexes: Indexes::new(options.index_names, seed),
            dirty_limit: (options.dirty_bytes / index(geometry.block_size)).max(16),
            next_generation: seed,
            geometry,
        };
        volume.check_groups()?;
        if volume.any_inode(Ino::ROOT)?.kind() != S_IFDIR {
            return Err(OpenError::Geometry("the root is no directory"));
        }
        if options.access == Access::ReadWrite {
            volume.access = Access::ReadWrite;
            if !is_clean || has_orphans {
                volume.recover(options.now)?;
            }
            volume.mark_open(options.now)?;
        }
        Ok(volume)
    }

    /// Lets a file system that was opened for reading, or closed, be written again. Commit at once.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn make_writable(&mut self, now: Timespec) -> core::result::Result<(), OpenError> {
        if self.access == Access::ReadWrite {
            return Ok(());
        }
        let unknown = self.geometry.ro_compat & !superblock::ro_compat::KNOWN;
        if unknown != 0 {
            return Err(OpenError::ReadOnlyFeatures(unknown));
        }
        self.access = Access::ReadWrite;
        if self.condition == Condition::Unchecked {
            self.recover(now)?;
        }
        Ok(self.mark_open(now)?)
    }

    /// The superblock says from now on that the file system is in use.
    fn mark_open(&mut self, now: Timespec) -> Result<()> {
        let (block, start) = self.geometry.super_place();
        let bytes = self.store.read(block, Kind::Super)?;
        let mounts = get16(bytes, start + field::MOUNTS).wrapping_add(1);
        let mut state = [0; 2];
        put16(&mut state, 0, self.found_state & !STATE_VALID);
        self.store.begin();
        self.store.write(block, Kind::Super, start + field::MOUNTS, &mounts.to_le_bytes())?;
        self.store.write(block, Kind::Super, start + field::STATE, &state)?;
        self.store.write(block, Kind::Super, start + field::LAST_ORPHAN, &[0; 4])?;
        let mounted = low32(now.seconds.cast_unsigned()).to_le_bytes();
        self.store.write(block, Kind::Super, start + field::MOUNTED_AT, &mounted)?;
        self.store.accept();
        self.super_first = SuperFirst::Yes;
        Ok(())
    }

    /// Checks where the groups say that their bitmaps and tables are, and adds up what is free.
    fn check_groups(&mut self) -> core::result::Result<(), OpenError> {
        let (mut blocks, mut inodes) = (0u64, 0u64);
        for number in 0..self.geometry.groups {
            let group = self.group(number)?;
            if !self.is_sound(number, &group) {
                return Err(OpenError::Geometry("a group's bitmaps or inodes are outside of it"));
            }
            blocks += u64::from(group.free_blocks);
            inodes += u64::from(group.free_inodes);
        }
        // Counts that say more than there is are a matter for e2fsck; here they must only not overflow.
        self.free_blocks = u32::try_from(blocks).unwrap_or(u32::MAX).min(self.geometry.blocks);
        self.free_inodes = u32::try_from(inodes).unwrap_or(u32::MAX).min(self.geometry.inodes);
        Ok(())
    }

    fn is_sound(&self, number: u32, group: &Group) -> bool {
        let start = self.geometry.group_start(number);
        let end = start + self.geometry.group_length(number);
        let table_end = group.inode_table.checked_add(self.geometry.inode_table_blocks());
        (start..end).contains(&group.block_bitmap)
            && (start..end).contains(&group.inode_bitmap)
            && group.inode_table >= start
            && table_end.is_some_and(|table_end| table_end <= end)
            && group.block_bitmap > self.geometry.first_block
            && group.inode_bitmap > self.geometry.first_block
            && group.inode_table > self.geometry.first_block
    }

    /// Repairs what a power cut may have left behind: counts, and files without names.
    fn recover(&mut self, now: Timespec) -> Result<()> {
        for number in 0..self.geometry.groups {
            self.recount(number)?;
        }
        self.free_blocks = 0;
        self.free_inodes = 0;
        self.check_groups().map_err(Errno::from)?;
        for number in 0..self.geometry.groups {
            self.empty_nameless(number, now)?;
        }
        Ok(())
    }

    /// Brings a group's counts in line with its bitmaps.
    fn recount(&mut self, number: u32) -> Result<()> {
        let mut group = self.group(number)?;
        let length = self.geometry.group_length(number);
        let (blocks, inodes) = (self.block(group.block_bitmap)?, self.block(group.inode_bitmap)?);
        let free = bitmap::count_free(self.store.read(blocks, Kind::Bitmap)?, length);
        group.free_blocks = u16::try_from(free).map_err(|_| Errno::EUCLEAN)?;
        let free = bitmap::count_free(self.store.read(inodes, Kind::Bitmap)?, self.geometry.inodes_per_group);
        group.free_inodes = u16::try_from(free).map_err(|_| Errno::EUCLEAN)?;
        self.store.begin();
        self.put_group(number, &group)?;
        self.store.accept();
        Ok(())
    }

    /// Frees what files of a group have that were used without a name. Their numbers stay taken until e2fsck frees them, since some
    /// name that the power cut left behind may still lead there.
    fn empty_nameless(&mut self, number: u32, now: Timespec) -> Result<()> {
        let bitmap = self.group(number)?.inode_bitmap;
        let bitmap = self.block(bitmap)?;
        let bits = crate::bytes::copy(self.store.read(bitmap, Kind::Bitmap)?)?;
        for bit in 0..self.geometry.inodes_per_group {
            let ino = Ino(number * self.geometry.inodes_per_group + bit + 1);
            if ino.0 < self.geometry.first_inode || !test_bit(&bits, bit) {
                continue;
            }
            if self
                .any_inode(ino)
                .is_ok_and(|inode| inode.links == 0 && inode.deleted != 0 && inode.sectors != 0)
            {
                // What is damaged otherwise stays for e2fsck.
                let _ = self.attempt(|this| this.empty_file(ino, now).map(|_| ()));
            }
        }
        Ok(())
    }
}
