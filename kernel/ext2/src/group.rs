//! The descriptor of a group: where its bitmaps and its table of inodes are, and what is free in it.

use crate::bytes::{get16, get32, put16};

/// Bytes of a descriptor.
pub(crate) const LENGTH: usize = 32;

/// `struct ext2_group_desc`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    pub(crate) block_bitmap: u32,
    pub(crate) inode_bitmap: u32,
    pub(crate) inode_table: u32,
    pub(crate) free_blocks: u16,
    pub(crate) free_inodes: u16,
    pub(crate) directories: u16,
}

impl Group {
    pub(crate) fn read(bytes: &[u8], at: usize) -> Self {
        Group {
            block_bitmap: get32(bytes, at),
            inode_bitmap: get32(bytes, at + 4),
            inode_table: get32(bytes, at + 8),
            free_blocks: get16(bytes, at + 12),
            free_inodes: get16(bytes, at + 14),
            directories: get16(bytes, at + 16),
        }
    }

    /// The counts, which are all that changes: six bytes at offset 12.
    pub(crate) fn counts(&self) -> [u8; 6] {
        let mut bytes = [0; 6];
        put16(&mut bytes, 0, self.free_blocks);
        put16(&mut bytes, 2, self.free_inodes);
        put16(&mut bytes, 4, self.directories);
        bytes
    }
}

/// Where the counts begin.
pub(crate) const COUNTS: usize = 12;
