//! The inode as the disk has it: 128 bytes that all have, and what larger ones add.
//!
//! Byte offsets are those of `struct ext2_inode`; nanoseconds and the time of making are where ext4 puts them
//! (Documentation/filesystems/ext4/inodes.rst). Times outside what fits are moved to its edge, as Linux does.

use abi::file::{S_IFBLK, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG};
use abi::time::Timespec;

use crate::bytes::{get16, get32, high32, low16, low32, put16, put32};

/// Bytes that every inode has.
pub(crate) const BASE: usize = 128;
/// Where the numbers of blocks begin; a short symbolic link is here.
pub(crate) const BLOCK_NUMBERS: usize = 40;
/// Bytes of the block numbers.
pub(crate) const SHORT_TARGET: usize = 60;
/// Numbers of blocks in an inode.
pub(crate) const SLOTS: usize = 15;
/// Numbers that lead straight to data.
pub(crate) const DIRECT: u32 = 12;

/// Flags of an inode, `i_flags` (FS_IOC_GETFLAGS has the same numbers).
pub mod flags {
    /// `FS_SYNC_FL`: writes are synchronous.
    pub const SYNC: u32 = 8;
    /// `FS_IMMUTABLE_FL`: nothing changes.
    pub const IMMUTABLE: u32 = 0x10;
    /// `FS_APPEND_FL`: only grows.
    pub const APPEND: u32 = 0x20;
    /// `FS_NODUMP_FL`: backups leave it out.
    pub const NODUMP: u32 = 0x40;
    /// `FS_NOATIME_FL`: reads are not noted.
    pub const NOATIME: u32 = 0x80;
    /// `EXT2_INDEX_FL`: a directory with a hash tree.
    pub const INDEX: u32 = 0x1000;
    /// `FS_DIRSYNC_FL`: names change synchronously.
    pub const DIRSYNC: u32 = 0x1_0000;
    /// `FS_TOPDIR_FL`: its directories are unrelated.
    pub const TOPDIR: u32 = 0x2_0000;
    /// What FS_IOC_SETFLAGS may change (`EXT2_FL_USER_MODIFIABLE`).
    pub const CHANGEABLE: u32 = 0x0003_80ff;
    /// What new files take from their directory (`EXT2_FL_INHERITED`).
    pub(crate) const INHERITED: u32 =
        1 | 2 | 4 | SYNC | NODUMP | NOATIME | 0x100 | 0x200 | 0x4000 | 0x8000 | DIRSYNC;
    /// Those of them that only directories have.
    pub(crate) const DIRECTORY_ONLY: u32 = DIRSYNC | TOPDIR;
    /// Those that files other than regular ones and directories have (`EXT2_OTHER_FLMASK`).
    pub(crate) const OTHER: u32 = NODUMP | NOATIME;
}

/// An inode, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inode {
    pub(crate) mode: u32,
    pub(crate) user: u32,
    pub(crate) group: u32,
    pub(crate) size: u64,
    pub(crate) accessed: Timespec,
    pub(crate) changed: Timespec,
    pub(crate) modified: Timespec,
    pub(crate) created: Option<Timespec>,
    pub(crate) deleted: u32,
    pub(crate) links: u16,
    pub(crate) sectors: u32,
    pub(crate) flags: u32,
    pub(crate) slots: [u32; SLOTS],
    pub(crate) generation: u32,
    pub(crate) attributes_block: u32,
    /// `i_extra_isize`: bytes after the first 128 that are fields.
    pub(crate) extra: u16,
}

impl Inode {
    /// A new one that has nothing.
    pub(crate) fn new(mode: u32, user: u32, group: u32, now: Timespec, extra: u16) -> Self {
        Inode {
            mode,
            user,
            group,
            size: 0,
            accessed: now,
            changed: now,
            modified: now,
            created: (extra >= 24).then_some(now),
            deleted: 0,
            links: 1,
            sectors: 0,
            flags: 0,
            slots: [0; SLOTS],
            generation: 0,
            attributes_block: 0,
            extra,
        }
    }

    /// From its bytes, `s_inode_size` many.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let mode = u32::from(get16(bytes, 0));
        let extra = if bytes.len() > BASE { get16(bytes, BASE) } else { 0 };
        let extra = if usize::from(extra) > bytes.len() - BASE { 0 } else { extra };
        let time = |at: usize, more: usize| {
            let has_more = more + 4 <= BASE + usize::from(extra);
            decode_time(get32(bytes, at), if has_more { get32(bytes, more) } else { 0 })
        };
        let high = if mode & S_IFMT == S_IFREG { get32(bytes, 108) } else { 0 };
        let mut slots = [0; SLOTS];
        for (index, slot) in slots.iter_mut().enumerate() {
            *slot = get32(bytes, BLOCK_NUMBERS + index * 4);
        }
        Inode {
            mode,
            user: u32::from(get16(bytes, 2)) | u32::from(get16(bytes, 120)) << 16,
            group: u32::from(get16(bytes, 24)) | u32::from(get16(bytes, 122)) << 16,
            size: u64::from(get32(bytes, 4)) | u64::from(high) << 32,
            accessed: time(8, 140),
            changed: time(12, 132),
            modified: time(16, 136),
            created: (extra >= 24).then(|| time(144, 148)),
            deleted: get32(bytes, 20),
            links: get16(bytes, 26),
            sectors: get32(bytes, 28),
            flags: get32(bytes, 32),
            slots,
            generation: get32(bytes, 100),
            attributes_block: get32(bytes, 104),
            extra,
        }
    }

    /// Puts the fields into `bytes`, leaving what this crate does not know as it is.
    pub(crate) fn write(&self, bytes: &mut [u8]) {
        put16(bytes, 0, low16(self.mode));
        put16(bytes, 2, low16(self.user));
        put32(bytes, 4, low32(self.size));
        put32(bytes, 20, self.deleted);
        put16(bytes, 24, low16(self.group));
        put16(bytes, 26, self.links);
        put32(bytes, 28, self.sectors);
        put32(bytes, 32, self.flags);
        for (index, slot) in self.slots.iter().enumerate() {
            put32(bytes, BLOCK_NUMBERS + index * 4, *slot);
        }
        put32(bytes, 100, self.generation);
        put32(bytes, 104, self.attributes_block);
        if self.is_regular() {
            put32(bytes, 108, high32(self.size));
        }
        put16(bytes, 120, low16(self.user >> 16));
        put16(bytes, 122, low16(self.group >> 16));
        if bytes.len() > BASE {
            put16(bytes, BASE, self.extra);
        }
        let mut time = |at: usize, more: usize, time: Timespec| {
            let has_more = more + 4 <= BASE + usize::from(self.extra);
            let (low, high) = encode_time(time, if has_more { TimeForm::Wide } else { TimeForm::Seconds });
            put32(bytes, at, low);
            if has_more {
                put32(bytes, more, high);
            }
        };
        time(8, 140, self.accessed);
        time(12, 132, self.changed);
        time(16, 136, self.modified);
        if let Some(created) = self.created {
            time(144, 148, created);
        }
    }

    pub(crate) fn kind(&self) -> u32 {
        self.mode & S_IFMT
    }

    pub(crate) fn is_directory(&self) -> bool {
        self.kind() == S_IFDIR
    }

    pub(crate) fn is_regular(&self) -> bool {
        self.kind() == S_IFREG
    }

    pub(crate) fn is_symlink(&self) -> bool {
        self.kind() == S_IFLNK
    }

    pub(crate) fn is_device(&self) -> bool {
        matches!(self.kind(), S_IFCHR | S_IFBLK)
    }

    /// Whether the block numbers are such; in devices and short symbolic links they are something else.
    pub(crate) fn has_blocks(&self, sectors_per_block: u32) -> bool {
        match self.kind() {
            S_IFREG | S_IFDIR => true,
            S_IFLNK => !self.is_short_link(sectors_per_block),
            _ => false,
        }
    }

    /// Whether a symbolic link is in the inode: it has no block but perhaps one of attributes (Linux's
    /// `ext2_inode_is_fast_symlink`).
    pub(crate) fn is_short_link(&self, sectors_per_block: u32) -> bool {
        let attributes = if self.attributes_block == 0 { 0 } else { sectors_per_block };
        self.is_symlink() && self.sectors == attributes
    }

    /// A device's number from the first two block numbers: the old form, or the new one.
    pub(crate) fn device_number(&self) -> u64 {
        let [old, new, ..] = self.slots;
        if old != 0 {
            abi::file::device_number(old >> 8 & 0xff, old & 0xff)
        } else {
            abi::file::device_number(new >> 8 & 0xfff, (new & 0xff) | (new >> 12 & 0xf_ff00))
        }
    }

    /// Stores a device's number in the form that Linux would choose.
    pub(crate) fn set_device_number(&mut self, number: u64) {
        let (major, minor) = abi::file::device_parts(number);
        self.slots = [0; SLOTS];
        if major < 256 && minor < 256 {
            self.slots[0] = major << 8 | minor;
        } else {
            self.slots[1] = (minor & 0xff) | (major & 0xfff) << 8 | (minor & 0xf_ff00) << 12;
        }
    }

    /// The block numbers as the bytes of a short symbolic link.
    pub(crate) fn short_target(&self) -> [u8; SHORT_TARGET] {
        let mut bytes = [0; SHORT_TARGET];
        for (index, slot) in self.slots.iter().enumerate() {
            put32(&mut bytes, index * 4, *slot);
        }
        bytes
    }

    pub(crate) fn set_short_target(&mut self, target: &[u8]) {
        let mut bytes = [0; SHORT_TARGET];
        crate::bytes::put(&mut bytes, 0, target);
        for (index, slot) in self.slots.iter_mut().enumerate() {
            *slot = get32(&bytes, index * 4);
        }
    }
}

/// Whether a time has room for nanoseconds and two more bits of seconds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TimeForm {
    Seconds,
    Wide,
}

fn decode_time(low: u32, more: u32) -> Timespec {
    let seconds = i64::from(low.cast_signed()) + (i64::from(more & 3) << 32);
    Timespec { seconds, nanoseconds: i64::from((more >> 2).min(999_999_999)) }
}

fn encode_time(time: Timespec, form: TimeForm) -> (u32, u32) {
    let first = i64::from(i32::MIN);
    let last = i64::from(i32::MAX) + if form == TimeForm::Wide { 3 << 32 } else { 0 };
    let seconds = time.seconds.clamp(first, last);
    let low = low32(seconds.cast_unsigned());
    let epoch = low32((seconds - i64::from(low.cast_signed())).cast_unsigned() >> 32) & 3;
    let nanoseconds = low32(time.nanoseconds.clamp(0, 999_999_999).cast_unsigned());
    (low, epoch | nanoseconds << 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_nanoseconds_and_years_after_2038() {
        for seconds in
            [0, -1, i64::from(i32::MIN), i64::from(i32::MAX), 1 << 31, 1 << 32, (1 << 33) + 5, 3 << 32]
        {
            let time = Timespec { seconds, nanoseconds: 123_456_789 };
            let (low, more) = encode_time(time, TimeForm::Wide);
            assert_eq!(decode_time(low, more), time);
        }
        let late = Timespec { seconds: 1 << 33, nanoseconds: 5 };
        let (low, _) = encode_time(late, TimeForm::Seconds);
        assert_eq!(decode_time(low, 0).seconds, i64::from(i32::MAX));
    }

    #[test]
    fn an_inode_survives_its_bytes() {
        let now = Timespec { seconds: 1_700_000_000, nanoseconds: 42 };
        for (size, extra) in [(128, 0), (256, 32), (256, 0)] {
            let mut inode = Inode::new(S_IFREG | 0o640, 70_000, 80_000, now, extra);
            inode.size = 5 << 32 | 77;
            inode.slots[14] = 0xdead_beef;
            if extra == 0 {
                for time in [&mut inode.accessed, &mut inode.changed, &mut inode.modified] {
                    time.nanoseconds = 0;
                }
            }
            let mut bytes = std::vec![0; size];
            inode.write(&mut bytes);
            assert_eq!(Inode::read(&bytes), inode);
        }
    }

    #[test]
    fn device_numbers_take_linuxs_two_forms() {
        let mut inode = Inode::new(S_IFCHR, 0, 0, Timespec::default(), 0);
        for (major, minor, slot) in [(4, 64, 0), (8, 300, 1), (300, 1, 1), (1, 0xf_ffff, 1)] {
            let number = abi::file::device_number(major, minor);
            inode.set_device_number(number);
            assert_ne!(inode.slots[slot], 0);
            assert_eq!(inode.device_number(), number);
        }
    }
}
