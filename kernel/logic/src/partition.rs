//! Partition tables: where the parts of a disk begin and end.
//!
//! A GPT counts where the MBR announces one and one of its two headers has the right checksums, else the MBR with its
//! chain of logical partitions. Numbers, sizes and PARTUUIDs are those that Linux gives. A table is what a stranger wrote
//! on a disk: every number in it is checked, and each list has an end.
//! Spec: UEFI 2.10, chapter 5.

mod gpt;
mod mbr;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Bytes of a sector in which all positions are given, whatever the disk's blocks are.
const SECTOR: u32 = 512;
/// Largest logical block.
const MAX_BLOCK: usize = 4096;
/// More are left out.
pub const MAX_PARTITIONS: usize = 255;

/// Names a partition for ever.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PartUuid {
    /// Of a GPT: as stored, its first three fields little-endian.
    Guid([u8; 16]),
    /// Of an MBR: the disk's signature and the partition's number.
    Signature(u32, u32),
}

/// One partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Partition {
    /// From 1; 5 is an MBR's first logical one.
    pub number: u32,
    /// First sector, of 512 bytes.
    pub start: u64,
    /// Sectors of 512 bytes, at least one.
    pub sectors: u64,
    /// PARTUUID.
    pub uuid: PartUuid,
    /// PARTLABEL; only a GPT has it.
    pub label: String,
}

/// How a table is read: fills the bytes from a sector on, and says whether that worked.
pub type Reader<'a> = &'a mut dyn FnMut(u64, &mut [u8]) -> bool;

/// The partitions of a disk of `sectors` sectors with blocks of `block` bytes; none if its first block cannot be read,
/// or there is no memory.
pub fn read(sectors: u64, block: u32, reader: Reader<'_>) -> Option<Vec<Partition>> {
    let block_len = block as usize;
    if !(SECTOR as usize..=MAX_BLOCK).contains(&block_len) || !block_len.is_power_of_two() {
        return None;
    }
    let per_block = u64::from(block / SECTOR);
    // One buffer for all, and not on a kernel's small stack.
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(block_len).ok()?;
    buffer.resize(block_len, 0);
    let block = buffer.as_mut_slice();
    if sectors < per_block || !reader(0, block) {
        return None;
    }
    let disk = Disk { sectors, per_block };
    let Some(table) = mbr::Table::parse(block) else { return Some(Vec::new()) };
    if table.announces_gpt()
        && let Some(partitions) = gpt::read(&disk, block, reader)
    {
        return Some(partitions);
    }
    Some(mbr::read(&disk, &table, block, reader))
}

/// What the tables are checked against.
struct Disk {
    sectors: u64,
    per_block: u64,
}

impl Disk {
    /// A partition given in blocks; none if it begins behind the end, and no longer than the disk.
    fn place(&self, start: u64, blocks: u64) -> Option<(u64, u64)> {
        let start = start.checked_mul(self.per_block)?;
        let room = self.sectors.checked_sub(start)?;
        let sectors = blocks.saturating_mul(self.per_block).min(room);
        (sectors > 0).then_some((start, sectors))
    }
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

impl PartUuid {
    /// Reads what its `Display` writes, in either case.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((signature, number)) = text.split_once('-')
            && signature.len() == 8
            && number.len() == 2
        {
            let hex = |text| u32::from_str_radix(text, 16).ok();
            return Some(PartUuid::Signature(hex(signature)?, hex(number)?));
        }
        if text.len() != 36 || !text.is_ascii() {
            return None;
        }
        let mut shown = [0; 16];
        let mut slots = shown.iter_mut();
        for (length, group) in [8, 4, 4, 4, 12].into_iter().zip(text.split('-')) {
            if group.len() != length {
                return None;
            }
            for pair in group.as_bytes().chunks(2) {
                let pair = core::str::from_utf8(pair).ok()?;
                *slots.next()? = u8::from_str_radix(pair, 16).ok()?;
            }
        }
        slots.next().is_none().then_some(PartUuid::Guid(swap_fields(shown)))
    }
}

/// Between the bytes as shown and as stored.
fn swap_fields(mut bytes: [u8; 16]) -> [u8; 16] {
    bytes[..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    bytes
}

impl fmt::Display for PartUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PartUuid::Signature(signature, number) => write!(f, "{signature:08x}-{number:02x}"),
            PartUuid::Guid(stored) => {
                for (place, byte) in swap_fields(*stored).iter().enumerate() {
                    if matches!(place, 4 | 6 | 8 | 10) {
                        f.write_str("-")?;
                    }
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }
    }
}

/// Appends the letters that name the disk with this index: a to z, aa, ab …
pub fn push_letters(index: u32, to: &mut String) {
    if index >= 26 {
        push_letters(index / 26 - 1, to);
    }
    if let Some(letter) = char::from_digit(index % 26 + 10, 36) {
        to.push(letter);
    }
}

#[cfg(test)]
mod tests;
