//! The GUID partition table: a header at each end of the disk, each with the checksum of itself and of the entries.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Disk, MAX_PARTITIONS, PartUuid, Partition, Reader, le32, le64};

const SIGNATURE: &[u8] = b"EFI PART";
const HEADER_LEN: usize = 92;
/// Linux takes no other.
const ENTRY_LEN: u32 = 128;
/// Far more than the 128 that tools make.
const MAX_ENTRIES: u32 = 4096;
const LABEL_UNITS: usize = 36;

struct Header {
    entries_at: u64,
    count: u32,
    entries_sum: u32,
    first_usable: u64,
    last_usable: u64,
}

/// All partitions, by the first header that is whole; none without one.
pub(super) fn read(disk: &Disk, block: &mut [u8], reader: Reader<'_>) -> Option<Vec<Partition>> {
    let last = (disk.sectors / disk.per_block).checked_sub(1)?;
    [1, last]
        .into_iter()
        .find_map(|at| entries(disk, &header(disk, (at, last), block, reader)?, block, reader))
}

fn header(disk: &Disk, (at, last): (u64, u64), block: &mut [u8], reader: Reader<'_>) -> Option<Header> {
    if at > last || !reader(at.checked_mul(disk.per_block)?, block) || !block.starts_with(SIGNATURE) {
        return None;
    }
    let len = le32(block, 12)? as usize;
    if !(HEADER_LEN..=block.len()).contains(&len) {
        return None;
    }
    let sum = le32(block, 16)?;
    block.get_mut(16..20)?.fill(0);
    let block = block.get(..len)?;
    let mut own = Sum::new();
    own.add(block);
    let header = Header {
        entries_at: le64(block, 72)?,
        count: le32(block, 80)?,
        entries_sum: le32(block, 88)?,
        first_usable: le64(block, 40)?,
        last_usable: le64(block, 48)?,
    };
    let is_whole = own.value() == sum
        && le64(block, 24)? == at
        && le32(block, 84)? == ENTRY_LEN
        && header.count <= MAX_ENTRIES
        && header.first_usable <= last
        && header.last_usable <= last;
    is_whole.then_some(header)
}

fn entries(disk: &Disk, header: &Header, block: &mut [u8], reader: Reader<'_>) -> Option<Vec<Partition>> {
    let mut found = Vec::new();
    let mut sum = Sum::new();
    let per_block = u32::try_from(block.len()).ok()? / ENTRY_LEN;
    let mut number = 0;
    while number < header.count {
        let at = header.entries_at.checked_add(u64::from(number / per_block))?;
        let (sector, _) = disk.place(at, 1)?;
        if !reader(sector, block) {
            return None;
        }
        for entry in block.chunks_exact(ENTRY_LEN as usize).take((header.count - number) as usize) {
            sum.add(entry);
            number += 1;
            if let Some(partition) = parse(disk, header, number, entry)
                && found.len() < MAX_PARTITIONS
                && found.try_reserve(1).is_ok()
            {
                found.push(partition);
            }
        }
    }
    (sum.value() == header.entries_sum).then_some(found)
}

fn parse(disk: &Disk, header: &Header, number: u32, entry: &[u8]) -> Option<Partition> {
    let kind = entry.get(..16)?;
    if kind.iter().all(|&byte| byte == 0) {
        return None;
    }
    let (first, last) = (le64(entry, 32)?, le64(entry, 40)?);
    if first > last || first < header.first_usable || last > header.last_usable {
        return None;
    }
    let (start, sectors) = disk.place(first, (last - first).checked_add(1)?)?;
    let uuid = PartUuid::Guid(entry.get(16..32)?.try_into().ok()?);
    Some(Partition { number, start, sectors, uuid, label: label(entry.get(56..56 + 2 * LABEL_UNITS)?) })
}

fn label(bytes: &[u8]) -> String {
    let units = bytes.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair));
    let mut label = String::new();
    for letter in char::decode_utf16(units.take_while(|&unit| unit != 0)) {
        if label.try_reserve(4).is_ok() {
            label.push(letter.unwrap_or(char::REPLACEMENT_CHARACTER));
        }
    }
    label
}

/// CRC-32 as in IEEE 802.3, four bits at a time.
struct Sum(u32);

const NIBBLES: [u32; 16] = {
    let mut table = [0; 16];
    let mut index: u32 = 0;
    while index < 16 {
        let (mut value, mut bit) = (index, 0);
        while bit < 4 {
            value = if value & 1 != 0 { value >> 1 ^ 0xedb8_8320 } else { value >> 1 };
            bit += 1;
        }
        table[index as usize] = value;
        index += 1;
    }
    table
};

impl Sum {
    fn new() -> Self {
        Sum(u32::MAX)
    }

    fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 ^= u32::from(byte);
            for _ in 0..2 {
                self.0 = self.0 >> 4 ^ NIBBLES[(self.0 & 15) as usize];
            }
        }
    }

    fn value(&self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Sum;

    #[test]
    fn the_checksum_is_the_usual_one() {
        let mut sum = Sum::new();
        sum.add(b"123456789");
        assert_eq!(sum.value(), 0xcbf4_3926);
    }
}
