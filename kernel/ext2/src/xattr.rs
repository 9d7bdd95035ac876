//! Extended attributes as the disk has them: lists of entries in an inode's free end or in a block.
//!
//! Layout, order and hashes are Linux's (fs/ext2/xattr.c): entries grow from the front, sorted by name in a block; values grow from
//! the back, each padded to four bytes. A name's prefix is a number. ACLs have a shorter form on the disk than in
//! setxattr(2).

use abi::{Errno, Result};
use alloc::vec::Vec;

use crate::bytes::{get16, get32, put16, put32, to32};

pub(crate) const MAGIC: u32 = 0xea02_0000;
/// Bytes before the entries of a block.
pub(crate) const BLOCK_HEADER: usize = 32;
/// Bytes before the entries in an inode.
pub(crate) const INODE_HEADER: usize = 4;
/// Bytes of an entry before its name.
const ENTRY: usize = 16;
/// Bytes of zeroes after the last entry.
const END: usize = 4;

const ACL_ACCESS: u8 = 2;
const ACL_DEFAULT: u8 = 3;

/// Prefixes and their numbers; those of ACLs are whole names.
const PREFIXES: [(&[u8], u8); 6] = [
    (b"user.", 1),
    (b"system.posix_acl_access", ACL_ACCESS),
    (b"system.posix_acl_default", ACL_DEFAULT),
    (b"trusted.", 4),
    (b"security.", 6),
    (b"system.", 7),
];

/// One attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) prefix: u8,
    pub(crate) name: Vec<u8>,
    /// As the disk has it.
    pub(crate) value: Vec<u8>,
}

/// Where a list is, which decides what offsets of values count from, and whether there are hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Block,
    Inode,
}

impl Form {
    fn header(self) -> usize {
        match self {
            Form::Block => BLOCK_HEADER,
            Form::Inode => INODE_HEADER,
        }
    }

    /// What offsets of values count from.
    fn origin(self) -> usize {
        match self {
            Form::Block => 0,
            Form::Inode => INODE_HEADER,
        }
    }
}

/// Splits a full name into the number of its prefix and the rest.
pub(crate) fn split(full: &[u8]) -> Result<(u8, &[u8])> {
    for (prefix, number) in PREFIXES {
        let is_whole = matches!(number, ACL_ACCESS | ACL_DEFAULT);
        if let Some(rest) = full.strip_prefix(prefix)
            && rest.is_empty() == is_whole
        {
            return if rest.len() > 255 { Err(Errno::ERANGE) } else { Ok((number, rest)) };
        }
    }
    Err(Errno::EOPNOTSUPP)
}

/// The prefix with a number.
pub(crate) fn prefix(number: u8) -> Option<&'static [u8]> {
    PREFIXES.iter().find(|(_, known)| *known == number).map(|(prefix, _)| *prefix)
}

/// Reads a list.
pub(crate) fn read(bytes: &[u8], form: Form) -> Result<Vec<Attribute>> {
    let mut list = Vec::new();
    let has_magic = get32(bytes, 0) == MAGIC;
    if !has_magic || form == Form::Block && get32(bytes, 8) != 1 {
        return if form == Form::Inode && !has_magic { Ok(list) } else { Err(Errno::EUCLEAN) };
    }
    let mut at = form.header();
    while get32(bytes, at) != 0 {
        let [name_length, prefix] = crate::bytes::get(bytes, at);
        let name = bytes.get(at + ENTRY..at + ENTRY + usize::from(name_length)).ok_or(Errno::EUCLEAN)?;
        let start = form.origin() + usize::from(get16(bytes, at + 2));
        let length = usize::try_from(get32(bytes, at + 8)).map_err(|_| Errno::EUCLEAN)?;
        // Values in inodes of their own are an incompatible feature, which was refused.
        if get32(bytes, at + 4) != 0 {
            return Err(Errno::EUCLEAN);
        }
        let value = if length == 0 {
            &[]
        } else {
            start.checked_add(length).and_then(|end| bytes.get(start..end)).ok_or(Errno::EUCLEAN)?
        };
        list.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        list.push(Attribute { prefix, name: crate::bytes::copy(name)?, value: crate::bytes::copy(value)? });
        at += ENTRY + usize::from(name_length).next_multiple_of(4);
        if at + END > bytes.len() {
            return Err(Errno::EUCLEAN);
        }
    }
    Ok(list)
}

/// Bytes that a list needs, without the header.
pub(crate) fn needed(list: &[Attribute]) -> usize {
    let entries: usize = list
        .iter()
        .map(|one| ENTRY + one.name.len().next_multiple_of(4) + one.value.len().next_multiple_of(4))
        .sum();
    entries + END
}

/// Whether a list fits so many bytes.
pub(crate) fn fits(list: &[Attribute], bytes: usize, form: Form) -> bool {
    form.header() + needed(list) <= bytes
}

/// Writes a list that fits into `out`, all of which it overwrites.
pub(crate) fn write(list: &[Attribute], out: &mut [u8], form: Form) {
    out.fill(0);
    if list.is_empty() {
        return;
    }
    put32(out, 0, MAGIC);
    let mut at = form.header();
    let mut end = out.len();
    let mut total: u32 = 0;
    for one in list {
        let padded = one.value.len().next_multiple_of(4);
        end = end.saturating_sub(padded);
        crate::bytes::put(out, end, &one.value);
        let head = [u8::try_from(one.name.len()).unwrap_or(0), one.prefix];
        crate::bytes::put(out, at, &head);
        let place = if one.value.is_empty() { 0 } else { end - form.origin() };
        put16(out, at + 2, u16::try_from(place).unwrap_or(0));
        put32(out, at + 8, to32(one.value.len()));
        crate::bytes::put(out, at + ENTRY, &one.name);
        if form == Form::Block {
            let hash = entry_hash(one);
            put32(out, at + 12, hash);
            total = total.rotate_left(16) ^ hash;
        }
        at += ENTRY + one.name.len().next_multiple_of(4);
    }
    if form == Form::Block {
        put32(out, 4, 1);
        put32(out, 8, 1);
        put32(out, 12, total);
    }
}

/// `ext2_xattr_hash_entry`.
fn entry_hash(one: &Attribute) -> u32 {
    let name = one.name.iter().fold(0u32, |hash, &byte| hash.rotate_left(5) ^ u32::from(byte));
    one.value.chunks(4).fold(name, |hash, chunk| hash.rotate_left(16) ^ get32(&padded(chunk), 0))
}

fn padded(chunk: &[u8]) -> [u8; 4] {
    let mut bytes = [0; 4];
    crate::bytes::put(&mut bytes, 0, chunk);
    bytes
}

/// Puts an attribute where Linux would: by prefix, length of the name, name.
pub(crate) fn insert(list: &mut Vec<Attribute>, one: Attribute) -> Result<()> {
    list.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    let key = |one: &Attribute| (one.prefix, one.name.len());
    let place = list.partition_point(|other| (key(other), &other.name) < (key(&one), &one.name));
    list.insert(place, one);
    Ok(())
}

/// Takes an attribute out.
pub(crate) fn remove(list: &mut Vec<Attribute>, prefix: u8, name: &[u8]) -> Option<Attribute> {
    let place = list.iter().position(|one| one.prefix == prefix && one.name == name)?;
    Some(list.remove(place))
}

/// Tags of ACL entries that name a user or a group (`ACL_USER`, `ACL_GROUP`).
const NAMING_TAGS: [u16; 2] = [2, 8];
const KNOWN_TAGS: [u16; 6] = [1, 2, 4, 8, 0x10, 0x20];
const DISK_VERSION: u32 = 1;
const PROGRAM_VERSION: u32 = 2;
const NOBODY: u32 = u32::MAX;

/// A value as the disk has it, from what setxattr(2) was given.
pub(crate) fn to_disk(prefix: u8, value: &[u8]) -> Result<Vec<u8>> {
    if !matches!(prefix, ACL_ACCESS | ACL_DEFAULT) {
        return crate::bytes::copy(value);
    }
    if get32(value, 0) != PROGRAM_VERSION || value.len() < 4 {
        return Err(Errno::EOPNOTSUPP);
    }
    let (entries, rest) = value.get(4..).unwrap_or_default().as_chunks::<8>();
    if !rest.is_empty() {
        return Err(Errno::EINVAL);
    }
    let mut out = Vec::new();
    out.try_reserve_exact(value.len()).map_err(|_| Errno::ENOMEM)?;
    out.extend_from_slice(&DISK_VERSION.to_le_bytes());
    for entry in entries {
        let tag = get16(entry, 0);
        if !KNOWN_TAGS.contains(&tag) {
            return Err(Errno::EINVAL);
        }
        out.extend_from_slice(entry.get(..4).unwrap_or_default());
        if NAMING_TAGS.contains(&tag) {
            out.extend_from_slice(entry.get(4..).unwrap_or_default());
        }
    }
    Ok(out)
}

/// A value as getxattr(2) gives it, from what the disk has.
pub(crate) fn from_disk(prefix: u8, value: &[u8]) -> Result<Vec<u8>> {
    if !matches!(prefix, ACL_ACCESS | ACL_DEFAULT) {
        return crate::bytes::copy(value);
    }
    if get32(value, 0) != DISK_VERSION {
        return Err(Errno::EINVAL);
    }
    let mut out = Vec::new();
    out.try_reserve_exact(value.len() * 2).map_err(|_| Errno::ENOMEM)?;
    out.extend_from_slice(&PROGRAM_VERSION.to_le_bytes());
    let mut at = 4;
    while at < value.len() {
        let names_somebody = NAMING_TAGS.contains(&get16(value, at));
        let length = if names_somebody { 8 } else { 4 };
        out.extend_from_slice(value.get(at..at + 4).ok_or(Errno::EINVAL)?);
        let id = if names_somebody { get32(value, at + 4) } else { NOBODY };
        out.extend_from_slice(&id.to_le_bytes());
        at += length;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(prefix: u8, name: &[u8], value: &[u8]) -> Attribute {
        Attribute { prefix, name: name.to_vec(), value: value.to_vec() }
    }

    #[test]
    fn lists_survive_their_bytes_in_both_forms() {
        let list = std::vec![one(1, b"a", b"12345"), one(1, b"bb", b""), one(6, b"selinux", &[7; 40])];
        for form in [Form::Block, Form::Inode] {
            let mut bytes = [0xff; 256];
            assert!(fits(&list, bytes.len(), form));
            write(&list, &mut bytes, form);
            assert_eq!(read(&bytes, form).unwrap(), list);
        }
    }

    #[test]
    fn names_are_sorted_as_linux_sorts_them() {
        let mut list = Vec::new();
        for name in [b"zz".as_slice(), b"a", b"b", b"aaa"] {
            insert(&mut list, one(1, name, b"")).unwrap();
        }
        insert(&mut list, one(0, b"last", b"")).unwrap();
        let names: Vec<_> = list.iter().map(|one| one.name.as_slice()).collect();
        assert_eq!(names, [b"last".as_slice(), b"a", b"b", b"zz", b"aaa"]);
    }

    #[test]
    fn prefixes_are_split_off() {
        assert_eq!(split(b"user.x"), Ok((1, b"x".as_slice())));
        assert_eq!(split(b"user."), Err(Errno::EOPNOTSUPP));
        assert_eq!(split(b"system.posix_acl_access"), Ok((2, b"".as_slice())));
        assert_eq!(split(b"system.posix_acl_accessx"), Ok((7, b"posix_acl_accessx".as_slice())));
        assert_eq!(split(b"nothing"), Err(Errno::EOPNOTSUPP));
    }

    #[test]
    fn acls_lose_the_ids_of_nobody_on_the_disk() {
        let mut value = 2u32.to_le_bytes().to_vec();
        for (tag, id) in [(1u16, NOBODY), (2, 1000), (4, NOBODY), (0x10, NOBODY), (0x20, NOBODY)] {
            value.extend_from_slice(&tag.to_le_bytes());
            value.extend_from_slice(&6u16.to_le_bytes());
            value.extend_from_slice(&id.to_le_bytes());
        }
        let disk = to_disk(ACL_ACCESS, &value).unwrap();
        assert_eq!(disk.len(), 4 + 5 * 4 + 4);
        assert_eq!(from_disk(ACL_ACCESS, &disk).unwrap(), value);
    }
}
