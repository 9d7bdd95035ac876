//! Files of devices (Linux, Documentation/ABI/stable/sysfs-block, testing/sysfs-bus-pci).

use core::sync::atomic::{AtomicU64, Ordering};

use abi::file::device_parts;
use abi::{Errno, Result};
use logic::pci::{Bar, PciId};
use logic::proc_text::Text;
use nucleus::block::SECTOR;
use nucleus::block::statistics::Kind;

use super::object::{Object, Row, What, constant, put, setting, text};

const MILLI: u64 = 1_000_000;

/// A file with one number of a disk.
macro_rules! number {
    ($name:literal, |$disk:ident| $value:expr) => {
        text($name, |object, to| {
            let $disk = object.disk()?;
            put!(to, "{}\n", $value);
            Ok(())
        })
    };
}

pub(super) const DISK: &[Row] = &[
    constant!("alignment_offset", "0\n"),
    constant!("capability", "0\n"),
    text("dev", dev),
    constant!("discard_alignment", "0\n"),
    constant!("ext_range", "256\n"),
    constant!("hidden", "0\n"),
    number!("range", |disk| disk.family().minors()),
    constant!("removable", "0\n"),
    number!("ro", |disk| u8::from(disk.is_read_only())),
    number!("size", |disk| disk.sectors()),
    text("stat", stat),
    setting("uevent", uevent, take_event),
];

pub(super) const PARTITION: &[Row] = &[
    constant!("alignment_offset", "0\n"),
    text("dev", dev),
    constant!("discard_alignment", "0\n"),
    number!("partition", |disk| disk.partition().map_or(0, |partition| partition.number)),
    number!("ro", |disk| u8::from(disk.is_read_only())),
    number!("size", |disk| disk.sectors()),
    number!("start", |disk| disk.start()),
    text("stat", stat),
    setting("uevent", uevent, take_event),
];

pub(super) const QUEUE: &[Row] = &[
    number!("discard_granularity", |disk| {
        if disk.info().discard_sectors == 0 { 0 } else { disk.info().logical_block }
    }),
    number!("discard_max_bytes", |disk| disk.info().discard_sectors.saturating_mul(SECTOR)),
    constant!("discard_zeroes_data", "0\n"),
    number!("fua", |disk| u8::from(disk.info().has_durable_writes)),
    number!("hw_sector_size", |disk| disk.info().logical_block),
    constant!("iostats", "1\n"),
    number!("logical_block_size", |disk| disk.info().logical_block),
    number!("max_hw_sectors_kb", |disk| disk.info().max_sectors / 2),
    number!("max_sectors_kb", |disk| disk.info().max_sectors / 2),
    number!("max_segments", |disk| disk.info().max_segments),
    number!("minimum_io_size", |disk| disk.info().physical_block),
    number!("nr_requests", |disk| disk.info().depth),
    constant!("optimal_io_size", "0\n"),
    number!("physical_block_size", |disk| disk.info().physical_block),
    setting(
        "read_ahead_kb",
        |object, to| {
            put!(to, "{}\n", object.disk()?.read_ahead() / 2);
            Ok(())
        },
        |object, bytes| {
            let kib = core::str::from_utf8(bytes).ok().and_then(|text| text.trim().parse::<u32>().ok());
            object.disk()?.set_read_ahead(u64::from(kib.ok_or(Errno::EINVAL)?) * 2);
            Ok(())
        },
    ),
    number!("rotational", |disk| u8::from(disk.info().is_rotational)),
    number!("write_cache", |disk| {
        if disk.info().has_volatile_cache { "write back" } else { "write through" }
    }),
    number!("write_zeroes_max_bytes", |disk| disk.info().zero_sectors.saturating_mul(SECTOR)),
    constant!("zoned", "none\n"),
];

/// Of nodes in `/dev` that are no disks.
pub(super) const NODE: &[Row] = &[text("dev", dev), setting("uevent", uevent, take_event)];

pub(super) const VIRTIO: &[Row] = &[
    // Disks are the only ones with a driver.
    constant!("device", "0x0002\n"),
    constant!("modalias", "virtio:d00000002v00001AF4\n"),
    constant!("status", "0x0000000f\n"),
    setting(
        "uevent",
        |_, to| {
            to.raw(b"DRIVER=virtio_blk\nMODALIAS=virtio:d00000002v00001AF4\n");
            Ok(())
        },
        take_event,
    ),
    constant!("vendor", "0x1af4\n"),
];

/// A file with a number of a PCI function, as it is on the bus.
macro_rules! field {
    ($name:literal, $format:literal, |$id:ident| $value:expr) => {
        text($name, |object, to| {
            let (_, $id) = object.pci()?;
            put!(to, $format, $value);
            Ok(())
        })
    };
}

pub(super) const PCI: &[Row] = &[
    field!("class", "0x{:06x}\n", |id| class(&id)),
    Row { size: CONFIG_LEN as u64, ..text("config", config) },
    field!("device", "0x{:04x}\n", |id| id.device),
    text("enable", |object, to| {
        put!(to, "{}\n", u8::from(object.driver.is_some()));
        Ok(())
    }),
    text("irq", |object, to| {
        let line = hal::pci::config(object.pci()?.0, 0x3c).map_or(0, |word| word & 0xff);
        put!(to, "{}\n", if line == 0xff { 0 } else { line });
        Ok(())
    }),
    text("modalias", |object, to| {
        modalias(&object.pci()?.1, to);
        Ok(())
    }),
    constant!("numa_node", "-1\n"),
    text("resource", resource),
    field!("revision", "0x{:02x}\n", |id| id.revision),
    field!("subsystem_device", "0x{:04x}\n", |id| id.subsystem.1),
    field!("subsystem_vendor", "0x{:04x}\n", |id| id.subsystem.0),
    setting("uevent", pci_event, take_event),
    field!("vendor", "0x{:04x}\n", |id| id.vendor),
];

/// The part of the configuration space that Linux shows to everybody.
const CONFIG_LEN: u16 = 64;

fn class(id: &PciId) -> u32 {
    let (base, sub, interface) = id.class;
    u32::from_be_bytes([0, base, sub, interface])
}

fn config(object: &Object, to: &mut Text) -> Result<()> {
    let (address, _) = object.pci()?;
    for offset in (0..CONFIG_LEN).step_by(4) {
        to.raw(&hal::pci::config(address, offset).unwrap_or(u32::MAX).to_le_bytes());
    }
    Ok(())
}

fn modalias(id: &PciId, to: &mut Text) {
    let (base, sub, interface) = id.class;
    put!(to, "pci:v{:08X}d{:08X}", id.vendor, id.device);
    put!(to, "sv{:08X}sd{:08X}", id.subsystem.0, id.subsystem.1);
    put!(to, "bc{base:02X}sc{sub:02X}i{interface:02X}\n");
}

/// What the function's driver measured: start, end, flags (Linux, include/linux/ioport.h). Six registers and the ROM.
fn resource(object: &Object, to: &mut Text) -> Result<()> {
    const PORTS: u64 = 0x4_0101;
    const MEMORY: u64 = 0x4_0200;
    const WIDE: u64 = 0x10_0000;
    const PREFETCHED: u64 = 0x2000;
    let (address, _) = object.pci()?;
    let bars = hal::pci::measured(address);
    for (bar, offset) in bars.into_iter().zip((0x10_u16..).step_by(4)) {
        let low = u64::from(hal::pci::config(address, offset).unwrap_or(0) & 0xf);
        let (start, end, flags) = match bar {
            None => (0, 0, 0),
            Some(Bar::Ports { first, count }) => {
                (u64::from(first), u64::from(first) + u64::from(count) - 1, PORTS)
            }
            Some(Bar::Memory { address, len }) => {
                let wide = if low & 4 != 0 { WIDE } else { 0 };
                let prefetched = if low & 8 != 0 { PREFETCHED } else { 0 };
                (address, address + (len - 1), MEMORY | wide | prefetched | low)
            }
        };
        put!(to, "0x{start:016x} 0x{end:016x} 0x{flags:016x}\n");
    }
    put!(to, "0x{:016x} 0x{:016x} 0x{:016x}\n", 0, 0, 0);
    Ok(())
}

fn pci_event(object: &Object, to: &mut Text) -> Result<()> {
    let (address, id) = object.pci()?;
    if let Some(driver) = object.driver {
        put!(to, "DRIVER={driver}\n");
    }
    put!(to, "PCI_CLASS={:04X}\nPCI_ID={:04X}:{:04X}\n", class(&id), id.vendor, id.device);
    put!(to, "PCI_SUBSYS_ID={:04X}:{:04X}\n", id.subsystem.0, id.subsystem.1);
    put!(to, "PCI_SLOT_NAME={address}\nMODALIAS=");
    modalias(&id, to);
    Ok(())
}

/// The device number of a disk or another node.
fn number(object: &Object) -> Result<u64> {
    match &object.what {
        What::Disk(disk) => Ok(disk.number()),
        What::Node { number, .. } => Ok(*number),
        What::Folder | What::Pci(..) | What::Cpu(_) => Err(Errno::ENODEV),
    }
}

fn dev(object: &Object, to: &mut Text) -> Result<()> {
    let (major, minor) = device_parts(number(object)?);
    put!(to, "{major}:{minor}\n");
    Ok(())
}

fn uevent(object: &Object, to: &mut Text) -> Result<()> {
    let (major, minor) = device_parts(number(object)?);
    put!(to, "MAJOR={major}\nMINOR={minor}\n");
    match &object.what {
        What::Disk(disk) => {
            put!(to, "DEVNAME={}\n", disk.name());
            match disk.partition() {
                Some(partition) => put!(to, "DEVTYPE=partition\nPARTN={}\n", partition.number),
                None => to.raw(b"DEVTYPE=disk\n"),
            }
        }
        What::Node { name, .. } => put!(to, "DEVNAME={name}\n"),
        What::Folder | What::Pci(..) | What::Cpu(_) => {}
    }
    Ok(())
}

/// Asks for an event to be sent again. Nobody can listen yet, so a valid action is all there is to it.
fn take_event(_object: &Object, bytes: &[u8]) -> Result<()> {
    const ACTIONS: [&[u8]; 8] =
        [b"add", b"remove", b"change", b"move", b"online", b"offline", b"bind", b"unbind"];
    let action = bytes.trim_ascii_end();
    if ACTIONS.contains(&action) { Ok(()) } else { Err(Errno::EINVAL) }
}

fn stat(object: &Object, to: &mut Text) -> Result<()> {
    let now = object.disk()?.statistics();
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let four = |kind: &Kind, to: &mut Text| {
        put!(to, "{:8} {:8} ", load(&kind.requests), load(&kind.merged));
        put!(to, "{:8} {:8} ", load(&kind.sectors), load(&kind.time_ns) / MILLI);
    };
    four(&now.reads, to);
    four(&now.writes, to);
    let kinds = [&now.reads, &now.writes, &now.discards, &now.flushes];
    let waited: u64 = kinds.iter().map(|kind| load(&kind.time_ns)).sum();
    put!(to, "{:8} {:8} {:8} ", load(&now.under_way), load(&now.busy_ns) / MILLI, waited / MILLI);
    four(&now.discards, to);
    put!(to, "{:8} {:8}\n", load(&now.flushes.requests), load(&now.flushes.time_ns) / MILLI);
    Ok(())
}
