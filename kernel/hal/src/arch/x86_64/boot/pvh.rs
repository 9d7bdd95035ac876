//! PVH adapter: Xen's `hvm_start_info` to `BootInfo`.
//!
//! Spec: Xen's public/arch-x86/hvm/start_info.h, version 1 (the one with a memory map).

use logic::addr::PhysAddr;
use logic::memmap::{MemoryKind, MemoryMap};

use super::window::{bytes, c_string, u32_at, u64_at};
use crate::boot::{BootInfo, PhysRange, Protocol, Text};

const MAGIC: u32 = 0x336e_c578;
const START_INFO_SIZE: u64 = 56;
const MODULE_SIZE: u64 = 32;
const MAP_ENTRY_SIZE: usize = 24;

/// Reads the start info at `address`.
pub(super) fn read(address: PhysAddr, kernel: PhysRange) -> Result<BootInfo, &'static str> {
    parse(address, kernel).ok_or("the PVH start info is damaged or has no memory map")
}

fn parse(address: PhysAddr, kernel: PhysRange) -> Option<BootInfo> {
    let info = bytes(address, START_INFO_SIZE)?;
    if u32_at(info, 0)? != MAGIC || u32_at(info, 4)? < 1 {
        return None;
    }
    let module_count = u32_at(info, 12)?;
    let command_line = c_string(PhysAddr::new(u64_at(info, 24)?), 2048).unwrap_or(b"");
    let root = u64_at(info, 32)?;
    Some(BootInfo {
        protocol: Protocol::Pvh,
        loader: Text::EMPTY,
        memory: memory_map(PhysAddr::new(u64_at(info, 40)?), u32_at(info, 48)?)?,
        command_line: Text::from_bytes(command_line),
        initramfs: if module_count > 0 { first_module(PhysAddr::new(u64_at(info, 16)?)) } else { None },
        framebuffer: None,
        acpi_root: (root != 0).then_some(PhysAddr::new(root)),
        kernel,
    })
}

fn first_module(list: PhysAddr) -> Option<PhysRange> {
    let module = bytes(list, MODULE_SIZE)?;
    let start = u64_at(module, 0)?;
    let end = start.checked_add(u64_at(module, 8)?)?;
    (end > start).then_some(PhysRange { start: PhysAddr::new(start), end: PhysAddr::new(end) })
}

fn memory_map(list: PhysAddr, count: u32) -> Option<MemoryMap> {
    let mut map = MemoryMap::new();
    let table = bytes(list, u64::from(count) * MAP_ENTRY_SIZE as u64)?;
    for entry in table.chunks_exact(MAP_ENTRY_SIZE) {
        let start = u64_at(entry, 0)?;
        let end = start.checked_add(u64_at(entry, 8)?)?;
        // A map with more pieces than we keep loses its last ones: less memory, but a boot.
        let _ = map.push(PhysAddr::new(start), PhysAddr::new(end), kind(u32_at(entry, 16)?));
    }
    Some(map)
}

/// E820 types, which PVH and Multiboot2 share.
pub(super) fn kind(number: u32) -> MemoryKind {
    match number {
        1 => MemoryKind::Usable,
        3 => MemoryKind::AcpiReclaimable,
        4 => MemoryKind::AcpiNvs,
        5 => MemoryKind::Bad,
        _ => MemoryKind::Reserved,
    }
}
