//! The superblock: what is read of it, what makes it acceptable, and the places that follow from its numbers.
//!
//! Byte offsets are those of Linux's `struct ext2_super_block` (fs/ext2/ext2.h).

use crate::bytes::{get, get16, get32};
use crate::error::OpenError;
use crate::types::{Access, BlockNo};

/// Where the superblock is on the device, and its length.
pub(crate) const OFFSET: u64 = 1024;
pub(crate) const LENGTH: usize = 1024;

const MAGIC: u16 = 0xef53;

/// Byte offsets of what is changed.
pub(crate) mod field {
    pub(crate) const FREE_BLOCKS: usize = 12;
    pub(crate) const MOUNTED_AT: usize = 44;
    pub(crate) const WRITTEN_AT: usize = 48;
    pub(crate) const MOUNTS: usize = 52;
    pub(crate) const STATE: usize = 58;
    pub(crate) const REVISION: usize = 76;
    pub(crate) const FIRST_INODE: usize = 84;
    pub(crate) const INODE_SIZE: usize = 88;
    pub(crate) const COMPAT: usize = 92;
    pub(crate) const RO_COMPAT: usize = 100;
    pub(crate) const LAST_ORPHAN: usize = 232;
}

/// `s_state`: unmounted cleanly.
pub(crate) const STATE_VALID: u16 = 1;
/// `s_state`: errors were seen.
pub(crate) const STATE_ERRORS: u16 = 2;

/// `s_feature_compat`.
pub(crate) mod compat {
    pub(crate) const EXT_ATTR: u32 = 8;
    pub(crate) const SPARSE_SUPER2: u32 = 0x200;
}

/// `s_feature_incompat`.
pub(crate) mod incompat {
    pub(crate) const FILETYPE: u32 = 2;
    pub(crate) const RECOVER: u32 = 4;
    pub(crate) const META_BG: u32 = 0x10;
    pub(crate) const KNOWN: u32 = FILETYPE | META_BG;
}

/// `s_feature_ro_compat`.
pub(crate) mod ro_compat {
    pub(crate) const SPARSE_SUPER: u32 = 1;
    pub(crate) const LARGE_FILE: u32 = 2;
    pub(crate) const BTREE_DIR: u32 = 4;
    pub(crate) const EXTRA_ISIZE: u32 = 0x40;
    pub(crate) const KNOWN: u32 = SPARSE_SUPER | LARGE_FILE | BTREE_DIR | EXTRA_ISIZE;
}

/// What does not change while the file system is open.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    pub(crate) block_size: u32,
    pub(crate) blocks: u32,
    pub(crate) inodes: u32,
    pub(crate) reserved_blocks: u32,
    pub(crate) first_block: u32,
    pub(crate) blocks_per_group: u32,
    pub(crate) inodes_per_group: u32,
    pub(crate) groups: u32,
    pub(crate) inode_size: u32,
    pub(crate) extra_size: u16,
    pub(crate) first_inode: u32,
    pub(crate) reserved_user: u32,
    pub(crate) reserved_group: u32,
    pub(crate) compat: u32,
    pub(crate) incompat: u32,
    pub(crate) ro_compat: u32,
    pub(crate) first_meta_group: u32,
    /// `s_overhead_clusters`, 0 if the maker did not say.
    pub(crate) overhead: u32,
    pub(crate) backup_groups: [u32; 2],
    pub(crate) uuid: [u8; 16],
    pub(crate) label: [u8; 16],
}

impl Geometry {
    /// Reads a superblock of a device with so many bytes.
    pub(crate) fn read(bytes: &[u8], device_length: u64, access: Access) -> Result<Self, OpenError> {
        if get16(bytes, 56) != MAGIC {
            return Err(OpenError::NotExt2);
        }
        let is_dynamic = get32(bytes, field::REVISION) != 0;
        let dynamic = |at: usize| if is_dynamic { get32(bytes, at) } else { 0 };
        let (incompat, ro_compat) = (dynamic(96), dynamic(field::RO_COMPAT));
        if incompat & incompat::RECOVER != 0 && incompat & !(incompat::KNOWN | incompat::RECOVER) == 0 {
            return Err(OpenError::NeedsRecovery);
        }
        if incompat & !incompat::KNOWN != 0 {
            return Err(OpenError::Incompatible(incompat & !incompat::KNOWN));
        }
        if ro_compat & !ro_compat::KNOWN != 0 && access == Access::ReadWrite {
            return Err(OpenError::ReadOnlyFeatures(ro_compat & !ro_compat::KNOWN));
        }
        let log_block_size = get32(bytes, 24);
        if log_block_size > 2 {
            return Err(OpenError::Geometry("blocks are not 1, 2 or 4 KiB"));
        }
        let geometry = Geometry {
            block_size: 1024 << log_block_size,
            blocks: get32(bytes, 4),
            inodes: get32(bytes, 0),
            reserved_blocks: get32(bytes, 8),
            first_block: get32(bytes, 20),
            blocks_per_group: get32(bytes, 32),
            inodes_per_group: get32(bytes, 40),
            groups: 0,
            inode_size: if is_dynamic { u32::from(get16(bytes, field::INODE_SIZE)) } else { 128 },
            extra_size: get16(bytes, 350),
            first_inode: if is_dynamic { get32(bytes, field::FIRST_INODE) } else { 11 },
            reserved_user: u32::from(get16(bytes, 80)),
            reserved_group: u32::from(get16(bytes, 82)),
            compat: dynamic(field::COMPAT),
            incompat,
            ro_compat,
            first_meta_group: get32(bytes, 260),
            overhead: if is_dynamic { get32(bytes, 584) } else { 0 },
            backup_groups: [get32(bytes, 588), get32(bytes, 592)],
            uuid: get(bytes, 104),
            label: get(bytes, 120),
        };
        geometry.checked(get32(bytes, 28), log_block_size, device_length)
    }

    /// Refuses what would make later arithmetic go wrong, and counts the groups.
    fn checked(mut self, log_fragment: u32, log_block: u32, device_length: u64) -> Result<Self, OpenError> {
        let bits = self.block_size * 8;
        let problem = if log_fragment != log_block {
            Some("fragments are not blocks")
        } else if self.first_block != u32::from(self.block_size == 1024) {
            Some("the first block is the wrong one")
        } else if self.blocks_per_group == 0
            || self.blocks_per_group > bits
            || !self.blocks_per_group.is_multiple_of(8)
        {
            Some("blocks of a group do not fit its bitmap")
        } else if self.inodes_per_group == 0 || self.inodes_per_group > bits {
            Some("inodes of a group do not fit its bitmap")
        } else if !self.inode_size.is_power_of_two()
            || self.inode_size < 128
            || self.inode_size > self.block_size
        {
            Some("inodes have an impossible size")
        } else if self.blocks <= self.first_block + 1 || self.first_inode < 3 {
            Some("there are no blocks or inodes")
        } else if u64::from(self.blocks) * u64::from(self.block_size) > device_length {
            Some("the device is smaller than the file system")
        } else {
            None
        };
        if let Some(problem) = problem {
            return Err(OpenError::Geometry(problem));
        }
        self.groups = (self.blocks - self.first_block).div_ceil(self.blocks_per_group);
        if u64::from(self.groups) * u64::from(self.inodes_per_group) != u64::from(self.inodes) {
            return Err(OpenError::Geometry("the number of inodes is not that of the groups"));
        }
        if self.inode_table_blocks() + 3 > self.blocks_per_group || self.first_inode > self.inodes {
            return Err(OpenError::Geometry("inodes do not fit their groups"));
        }
        Ok(self)
    }

    /// The block of the superblock, and its offset there.
    pub(crate) fn super_place(&self) -> (BlockNo, usize) {
        (BlockNo(self.first_block), if self.block_size == 1024 { 0 } else { 1024 })
    }

    /// Blocks of the inode table of a group.
    pub(crate) fn inode_table_blocks(&self) -> u32 {
        self.inodes_per_group.div_ceil(self.inodes_per_block())
    }

    pub(crate) fn inodes_per_block(&self) -> u32 {
        self.block_size / self.inode_size
    }

    /// Numbers in one block of pointers.
    pub(crate) fn pointers(&self) -> u32 {
        self.block_size / 4
    }

    /// Units of 512 bytes in a block, in which `i_blocks` counts.
    pub(crate) fn sectors(&self) -> u32 {
        self.block_size / 512
    }

    /// The first block of a group.
    pub(crate) fn group_start(&self, group: u32) -> u32 {
        self.first_block + group * self.blocks_per_group
    }

    /// Blocks of a group; the last may have fewer.
    pub(crate) fn group_length(&self, group: u32) -> u32 {
        self.blocks_per_group.min(self.blocks.saturating_sub(self.group_start(group)))
    }

    /// The group of a block, and its number there.
    pub(crate) fn group_of(&self, block: BlockNo) -> (u32, u32) {
        let number = block.0.saturating_sub(self.first_block);
        (number / self.blocks_per_group, number % self.blocks_per_group)
    }

    /// Whether the number is that of a block after the superblock.
    pub(crate) fn has_block(&self, block: u32) -> bool {
        block > self.first_block && block < self.blocks
    }

    /// Blocks of descriptors of groups.
    pub(crate) fn descriptor_blocks(&self) -> u32 {
        self.groups.div_ceil(self.descriptors_per_block())
    }

    pub(crate) fn descriptors_per_block(&self) -> u32 {
        self.block_size / 32
    }

    /// Where the `index`th block of descriptors is (Linux's `descriptor_loc`).
    pub(crate) fn descriptor_block(&self, index: u32) -> BlockNo {
        if self.incompat & incompat::META_BG == 0 || index < self.first_meta_group {
            return BlockNo(self.first_block + 1 + index);
        }
        let group = index * self.descriptors_per_block();
        BlockNo(self.group_start(group) + u32::from(self.has_super(group)))
    }

    /// Whether a group begins with a copy of the superblock.
    pub(crate) fn has_super(&self, group: u32) -> bool {
        if group == 0 {
            return true;
        }
        if self.compat & compat::SPARSE_SUPER2 != 0 {
            return self.backup_groups.contains(&group);
        }
        self.ro_compat & ro_compat::SPARSE_SUPER == 0
            || group == 1
            || [3, 5, 7].iter().any(|&base| is_power(group, base))
    }

    /// Whether a block belongs to the superblock's or the descriptors' copies; what follows them is in the descriptors.
    pub(crate) fn is_in_front(&self, group: u32, number: u32) -> bool {
        self.has_super(group) && number == 0
            || self.incompat & incompat::META_BG == 0
                && self.has_super(group)
                && number <= self.descriptor_blocks()
    }

    /// Blocks that hold no files' bytes, as Linux subtracts them in statfs(2).
    pub(crate) fn overhead(&self) -> u32 {
        if self.overhead != 0 && self.overhead < self.blocks {
            return self.overhead;
        }
        let copies = (0..self.groups).filter(|&group| self.has_super(group)).count();
        let copies = u64::try_from(copies).unwrap_or(u64::MAX);
        let total = u64::from(self.first_block)
            + copies * (1 + u64::from(self.descriptor_blocks()))
            + u64::from(self.groups) * (2 + u64::from(self.inode_table_blocks()));
        u32::try_from(total).unwrap_or(self.blocks).min(self.blocks)
    }

    /// Whether directories note the types of their files.
    pub(crate) fn has_file_types(&self) -> bool {
        self.incompat & incompat::FILETYPE != 0
    }

    /// The largest file: by the blocks that pointers reach, and by `i_blocks`, which counts in 32 bits.
    pub(crate) fn largest_file(&self) -> u64 {
        let pointers = u64::from(self.pointers());
        let reached = 12 + pointers + pointers * pointers + pointers * pointers * pointers;
        let sectors = u64::from(self.sectors());
        // What the blocks of pointers themselves take is at most one in `pointers`, and a few.
        let counted = u64::from(u32::MAX) / sectors;
        let counted = counted - counted / pointers - 64;
        reached.min(counted) * u64::from(self.block_size)
    }
}

fn is_power(mut number: u32, base: u32) -> bool {
    while number > base {
        if !number.is_multiple_of(base) {
            return false;
        }
        number /= base;
    }
    number == base
}
