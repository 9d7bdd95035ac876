//! Names in one block of a directory.
//!
//! A block is a chain of records: inode, length of the record, length of the name, type, name (`struct ext2_dir_entry_2`).
//! A record of inode 0 is free. Nothing here looks outside the block it is given, and every record is checked before it is
//! believed.

use abi::file::{S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK};
use abi::{Errno, Result};

use crate::bytes::{get16, get32, put16, put32};

/// Bytes before the name.
pub(crate) const HEADER: usize = 8;
/// Bytes of the longest name.
pub(crate) const NAME_MAX: usize = 255;
/// Bytes of the longest record that only holds its name.
pub(crate) const RECORD_MAX: usize = HEADER + NAME_MAX + 1;

/// A record, found and checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Where it begins.
    pub(crate) at: usize,
    /// Its bytes, to the next one.
    pub(crate) length: usize,
    /// Whose name it is; 0 for none.
    pub(crate) ino: u32,
    /// Bytes of the name.
    pub(crate) name_length: usize,
    /// `EXT2_FT_`.
    pub(crate) kind: u8,
}

impl Record {
    /// Reads and checks the record at `at`.
    pub(crate) fn read(block: &[u8], at: usize) -> Result<Self> {
        let length = usize::from(get16(block, at + 4));
        let [name_length, kind] = crate::bytes::get(block, at + 6);
        let name_length = usize::from(name_length);
        let is_sound = length >= HEADER + 4
            && length.is_multiple_of(4)
            && length >= needed(name_length)
            && at + length <= block.len();
        if !is_sound {
            return Err(Errno::EUCLEAN);
        }
        Ok(Record { at, length, ino: get32(block, at), name_length, kind })
    }

    /// The name.
    pub(crate) fn name<'a>(&self, block: &'a [u8]) -> &'a [u8] {
        let start = self.at + HEADER;
        block.get(start..start + self.name_length).unwrap_or_default()
    }

    /// Where the next one begins.
    pub(crate) fn end(&self) -> usize {
        self.at + self.length
    }

    /// Bytes at its end that a new record could have.
    pub(crate) fn spare(&self) -> usize {
        if self.ino == 0 { self.length } else { self.length - needed(self.name_length) }
    }
}

/// Bytes of a record with such a name.
pub(crate) const fn needed(name_length: usize) -> usize {
    (HEADER + name_length).next_multiple_of(4)
}

/// Calls `visit` for each record until it returns something.
pub(crate) fn walk<T>(block: &[u8], mut visit: impl FnMut(&Record) -> Option<T>) -> Result<Option<T>> {
    let mut at = 0;
    while at < block.len() {
        let record = Record::read(block, at)?;
        if let Some(result) = visit(&record) {
            return Ok(Some(result));
        }
        at = record.end();
    }
    Ok(None)
}

/// The record of `name`.
pub(crate) fn find(block: &[u8], name: &[u8]) -> Result<Option<Record>> {
    walk(block, |record| (record.ino != 0 && record.name(block) == name).then_some(*record))
}

/// The first record with room for `bytes` more.
pub(crate) fn find_room(block: &[u8], bytes: usize) -> Result<Option<Record>> {
    walk(block, |record| (record.spare() >= bytes).then_some(*record))
}

/// The most room that any record has.
pub(crate) fn largest_room(block: &[u8]) -> Result<usize> {
    let mut most = 0;
    walk(block, |record| {
        most = most.max(record.spare());
        None::<()>
    })?;
    Ok(most)
}

/// The bytes of a record with a name, without what may follow the name.
pub(crate) fn encode(out: &mut [u8; RECORD_MAX], ino: u32, length: usize, name: &[u8], kind: u8) -> usize {
    put32(out, 0, ino);
    put16(out, 4, u16::try_from(length).unwrap_or(0));
    crate::bytes::put(out, 6, &[u8::try_from(name.len()).unwrap_or(0), kind]);
    crate::bytes::put(out, HEADER, name);
    needed(name.len())
}

/// `EXT2_FT_` of a mode.
pub(crate) const fn kind_of(mode: u32) -> u8 {
    match mode & S_IFMT {
        S_IFREG => 1,
        S_IFDIR => 2,
        S_IFCHR => 3,
        S_IFBLK => 4,
        S_IFIFO => 5,
        S_IFSOCK => 6,
        S_IFLNK => 7,
        _ => 0,
    }
}

/// `DT_` of an `EXT2_FT_`.
pub(crate) const fn listed_kind(kind: u8) -> u8 {
    let mode = match kind {
        1 => S_IFREG,
        2 => S_IFDIR,
        3 => S_IFCHR,
        4 => S_IFBLK,
        5 => S_IFIFO,
        6 => S_IFSOCK,
        7 => S_IFLNK,
        _ => 0,
    };
    crate::bytes::low8(mode >> 12)
}
