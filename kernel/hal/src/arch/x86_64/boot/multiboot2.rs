//! Multiboot2 adapter: a list of tags to `BootInfo`.
//!
//! Spec: Multiboot2 Specification version 2.0, section 3.6 "Boot information format".

use logic::addr::PhysAddr;
use logic::memmap::MemoryMap;

use super::pvh;
use super::window::{bytes, u32_at, u64_at};
use crate::boot::{BootInfo, Framebuffer, PhysRange, Protocol, Text};

const TAG_END: u32 = 0;
const TAG_COMMAND_LINE: u32 = 1;
const TAG_LOADER: u32 = 2;
const TAG_MODULE: u32 = 3;
const TAG_MEMORY_MAP: u32 = 6;
const TAG_FRAMEBUFFER: u32 = 8;
const TAG_ACPI_OLD: u32 = 14;
const TAG_ACPI_NEW: u32 = 15;
const TAG_HEADER_SIZE: usize = 8;
/// Larger than any loader's list; bounds a damaged length.
const LIST_LIMIT: u32 = 1 << 20;

/// Reads the tag list at `address`.
pub(super) fn read(address: PhysAddr, kernel: PhysRange) -> Result<BootInfo, &'static str> {
    parse(address, kernel).ok_or("the Multiboot2 information is damaged or has no memory map")
}

fn parse(address: PhysAddr, kernel: PhysRange) -> Option<BootInfo> {
    let total = u32_at(bytes(address, 8)?, 0)?.min(LIST_LIMIT);
    let mut tags = bytes(address, u64::from(total))?.get(TAG_HEADER_SIZE..)?;
    let mut info = BootInfo {
        protocol: Protocol::Multiboot2,
        loader: Text::EMPTY,
        memory: MemoryMap::new(),
        command_line: Text::EMPTY,
        initramfs: None,
        framebuffer: None,
        acpi_root: None,
        kernel,
    };
    let mut has_map = false;
    while let Some(tag) = u32_at(tags, 0) {
        let size = u32_at(tags, 4)? as usize;
        let body = tags.get(TAG_HEADER_SIZE..size)?;
        if tag == TAG_END {
            break;
        }
        has_map |= tag == TAG_MEMORY_MAP;
        // The tag's own address: the ACPI tags carry a copy of the root pointer, not its address.
        let body_address = address.get() + u64::from(total) - tags.len() as u64 + TAG_HEADER_SIZE as u64;
        apply(&mut info, tag, body, PhysAddr::new(body_address))?;
        tags = tags.get(size.checked_next_multiple_of(8)?..)?;
    }
    has_map.then_some(info)
}

fn apply(info: &mut BootInfo, tag: u32, body: &'static [u8], address: PhysAddr) -> Option<()> {
    match tag {
        TAG_COMMAND_LINE => info.command_line = Text::from_bytes(body),
        TAG_LOADER => info.loader = Text::from_bytes(body),
        TAG_MODULE if info.initramfs.is_none() => {
            let (start, end) = (u64::from(u32_at(body, 0)?), u64::from(u32_at(body, 4)?));
            if end > start {
                info.initramfs = Some(PhysRange { start: PhysAddr::new(start), end: PhysAddr::new(end) });
            }
        }
        TAG_MEMORY_MAP => memory_map(&mut info.memory, body)?,
        TAG_FRAMEBUFFER => info.framebuffer = framebuffer(body),
        // The newer root pointer wins, whichever comes first.
        TAG_ACPI_NEW => info.acpi_root = Some(address),
        TAG_ACPI_OLD => info.acpi_root = info.acpi_root.or(Some(address)),
        _ => {}
    }
    Some(())
}

fn memory_map(map: &mut MemoryMap, body: &[u8]) -> Option<()> {
    let entry_size = u32_at(body, 0)? as usize;
    if entry_size < 20 {
        return None;
    }
    for entry in body.get(8..)?.chunks_exact(entry_size) {
        let start = u64_at(entry, 0)?;
        let end = start.checked_add(u64_at(entry, 8)?)?;
        // As for PVH: pieces beyond the table's size are left out.
        let _ = map.push(PhysAddr::new(start), PhysAddr::new(end), pvh::kind(u32_at(entry, 16)?));
    }
    Some(())
}

fn framebuffer(body: &[u8]) -> Option<Framebuffer> {
    const DIRECT_COLOUR: u8 = 1;
    if *body.get(21)? != DIRECT_COLOUR {
        return None;
    }
    Some(Framebuffer {
        address: PhysAddr::new(u64_at(body, 0)?),
        pitch: u32_at(body, 8)?,
        width: u32_at(body, 12)?,
        height: u32_at(body, 16)?,
        depth: *body.get(20)?,
    })
}
