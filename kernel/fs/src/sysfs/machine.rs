//! Objects that this machine has: functions of the PCI bus, disks, nodes of `/dev`.
//!
//! Paths are Linux's, but shorter where Linux has layers that are not here: a disk of a controller is right below the
//! controller's function, and all functions are below the first bus, whatever bridge they are behind.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Result;
use abi::file::device_parts;
use hal::pci;
use logic::pci::Address;
use nucleus::block::{self, Disk, Family};
use nucleus::bound;
use nucleus::vfs::FileKind;
use nucleus::vfs::device;

use super::object::{Object, Subsystem, What, add};
use super::{fixed, rows};

const MAJOR_MEM: u32 = 1;
const MAJOR_TERMINALS: u32 = 4;
const MAJOR_TTY: u32 = 5;
const MAJOR_MISC: u32 = 10;

/// All objects there are now.
///
/// # Errors
/// ENOMEM.
pub(super) fn objects() -> Result<Vec<Object>> {
    let mut all = Vec::new();
    fixed::collect(&mut all)?;
    for (address, id) in (0..).map_while(pci::function) {
        let folder = Object::folder(&pci_path(address), rows::PCI);
        let driver = bound::driver_of(address);
        let subsystem = Some(Subsystem::Bus("pci"));
        add(&mut all, Object { what: What::Pci(address, id), subsystem, driver, ..folder })?;
    }
    let disks = block::all();
    for disk in &disks {
        add_disk(disk, &disks, &mut all)?;
    }
    for node in device::all().iter().filter(|node| node.kind == FileKind::CharDevice) {
        let Some(class) = class_of(node.number) else { continue };
        let parent = if node.name.starts_with("ttyS") { "platform/serial8250" } else { "virtual" };
        // As on Linux, since a name can have no slash.
        let path = format!("devices/{parent}/{class}/{}", node.name.replace('/', "!"));
        let what = What::Node { name: node.name, number: node.number };
        let subsystem = Some(Subsystem::Class(class));
        add(&mut all, Object { what, subsystem, ..Object::folder(&path, rows::NODE) })?;
    }
    Ok(all)
}

fn pci_path(address: Address) -> String {
    format!("devices/pci{:04x}:00/{address}", address.segment)
}

fn class_of(number: u64) -> Option<&'static str> {
    match device_parts(number).0 {
        MAJOR_MEM => Some("mem"),
        MAJOR_TERMINALS | MAJOR_TTY => Some("tty"),
        MAJOR_MISC => Some("misc"),
        _ => None,
    }
}

/// What a disk is connected to.
fn parent_of(disk: &Disk) -> Option<String> {
    let place = disk.device().place().map(pci_path);
    if disk.family() != Family::Virtio {
        return place;
    }
    let index = disk.index();
    let above = place.unwrap_or_else(|| format!("devices/platform/virtio-mmio.{index}"));
    Some(format!("{above}/virtio{index}"))
}

fn add_disk(disk: &Arc<Disk>, disks: &[Arc<Disk>], to: &mut Vec<Object>) -> Result<()> {
    let parent = parent_of(disk);
    let is_whole = |other: &&Arc<Disk>| {
        !other.is_partition() && other.family() == disk.family() && other.index() == disk.index()
    };
    let whole = disks.iter().find(is_whole).unwrap_or(disk);
    let above = parent.as_deref().unwrap_or("devices/virtual");
    let path = format!("{above}/block/{}", whole.name());
    let subsystem = Some(Subsystem::Class("block"));
    let what = || What::Disk(disk.clone());
    if disk.is_partition() {
        let path = format!("{path}/{}", disk.name());
        return add(to, Object { what: what(), subsystem, ..Object::folder(&path, rows::PARTITION) });
    }
    if disk.family() == Family::Virtio
        && let Some(parent) = &parent
    {
        let (subsystem, driver) = (Some(Subsystem::Bus("virtio")), Some("virtio_blk"));
        add(to, Object { subsystem, driver, ..Object::folder(parent, rows::VIRTIO) })?;
    }
    for name in ["holders", "slaves"] {
        add(to, Object::folder(&format!("{path}/{name}"), &[]))?;
    }
    add(to, Object { what: what(), ..Object::folder(&format!("{path}/queue"), rows::QUEUE) })?;
    add(to, Object { what: what(), subsystem, device: parent, ..Object::folder(&path, rows::DISK) })
}
