//! The table in the first block, and the chain of tables behind its extended partition.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Disk, PartUuid, Partition, Reader, le32};

const ENTRIES: usize = 446;
const ENTRY: usize = 16;
const SIGNATURE: usize = 440;
const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];
const PROTECTIVE: u8 = 0xee;
/// The first logical partition.
const FIRST_LOGICAL: u32 = 5;
/// Links that are followed.
const MAX_LINKS: usize = 256;

#[derive(Clone, Copy, Default)]
struct Entry {
    kind: u8,
    start: u32,
    blocks: u32,
}

impl Entry {
    fn is_extended(self) -> bool {
        EXTENDED.contains(&self.kind) && self.blocks > 0
    }

    fn is_used(self) -> bool {
        self.kind != 0 && self.blocks > 0
    }
}

/// The four entries of a table.
pub(super) struct Table {
    entries: [Entry; 4],
    signature: u32,
}

impl Table {
    /// None if there is no table: the mark is missing, or what stands in its place is code (a FAT's boot sector).
    pub(super) fn parse(block: &[u8]) -> Option<Self> {
        if block.get(510..512)? != [0x55, 0xaa] {
            return None;
        }
        let mut entries = [Entry::default(); 4];
        for (entry, at) in entries.iter_mut().zip((ENTRIES..).step_by(ENTRY)) {
            if block.get(at)? & 0x7f != 0 {
                return None;
            }
            *entry = Entry {
                kind: *block.get(at + 4)?,
                start: le32(block, at + 8)?,
                blocks: le32(block, at + 12)?,
            };
        }
        Some(Table { entries, signature: le32(block, SIGNATURE)? })
    }

    pub(super) fn announces_gpt(&self) -> bool {
        self.entries.iter().any(|entry| entry.kind == PROTECTIVE)
    }
}

/// All partitions.
pub(super) fn read(disk: &Disk, table: &Table, block: &mut [u8], reader: Reader<'_>) -> Vec<Partition> {
    let mut found = Vec::new();
    for (entry, number) in table.entries.iter().zip(1..) {
        if !entry.is_used() {
            continue;
        }
        // Of an extended one, a boot loader's room, as on Linux: nobody is to make a file system there.
        let blocks = if entry.is_extended() { entry.blocks.min(2) } else { entry.blocks };
        add(disk, table.signature, number, (u64::from(entry.start), blocks), &mut found);
    }
    if let Some(extended) = table.entries.iter().find(|entry| entry.is_extended()) {
        follow(disk, (table.signature, *extended), block, reader, &mut found);
    }
    found
}

fn add(disk: &Disk, signature: u32, number: u32, (start, blocks): (u64, u32), found: &mut Vec<Partition>) {
    let Some((start, sectors)) = disk.place(start, u64::from(blocks)) else { return };
    if found.len() < super::MAX_PARTITIONS && found.try_reserve(1).is_ok() {
        let uuid = PartUuid::Signature(signature, number);
        found.push(Partition { number, start, sectors, uuid, label: String::new() });
    }
}

/// The chain of logical partitions. A chain that leads nowhere or back ends.
fn follow(
    disk: &Disk,
    (signature, extended): (u32, Entry),
    block: &mut [u8],
    reader: Reader<'_>,
    found: &mut Vec<Partition>,
) {
    let first = u64::from(extended.start);
    let mut at = first;
    let mut number = FIRST_LOGICAL;
    for _ in 0..MAX_LINKS {
        let Some((sector, _)) = disk.place(at, 1) else { return };
        if !reader(sector, block) {
            return;
        }
        let Some(table) = Table::parse(block) else { return };
        for entry in table.entries.iter().filter(|entry| entry.is_used() && !entry.is_extended()) {
            // The third and fourth are rubbish in some old tables; Linux takes them only inside the extended one.
            add(disk, signature, number, (at + u64::from(entry.start), entry.blocks), found);
            number += 1;
        }
        let Some(next) = table.entries.iter().find(|entry| entry.is_extended()) else { return };
        let next = first + u64::from(next.start);
        // Links lead upwards in tables that tools write; one that does not is a circle.
        if next <= at {
            return;
        }
        at = next;
    }
}
