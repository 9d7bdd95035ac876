//! The tree that the objects of the test machine make.

use std::string::{String, ToString};
use std::vec::Vec;

use nucleus::vfs::bytes::Buffer;
use nucleus::vfs::{Last, Place, Walker, mount};

use logic::cred::Cred;
use logic::pci::{Address, PciId};

use super::object::{Object, Subsystem, What};
use super::tree::{self, Item};
use super::*;
use crate::test_support::boot;
use crate::tmpfs::Tmpfs;

fn names(path: &str, objects: &[Object]) -> Vec<String> {
    let mut names: Vec<_> =
        tree::children(path, objects).unwrap().into_iter().map(|name| name.name).collect();
    names.sort();
    names
}

fn link(path: &str, name: &str, objects: &[Object]) -> String {
    let names = tree::children(path, objects).unwrap();
    match names.into_iter().find(|found| found.name == name).map(|found| found.item) {
        Some(Item::Link(target)) => target,
        _ => panic!("{path} has no link {name}"),
    }
}

fn machine() -> Vec<Object> {
    let address = Address { segment: 0, bus: 0, device: 3, function: 0 };
    let id = PciId { vendor: 0x1af4, device: 0x1001, class: (1, 0, 0), revision: 0, subsystem: (0x1af4, 2) };
    let path = "devices/pci0000:00/0000:00:03.0";
    let disk = Object::folder(&format!("{path}/virtio0"), rows::VIRTIO);
    let null = Object::folder("devices/virtual/mem/null", rows::NODE);
    vec![
        Object::folder("kernel", &[]),
        Object {
            what: What::Pci(address, id),
            subsystem: Some(Subsystem::Bus("pci")),
            driver: Some("virtio-pci"),
            ..Object::folder(path, rows::PCI)
        },
        Object { subsystem: Some(Subsystem::Bus("virtio")), driver: Some("virtio_blk"), ..disk },
        Object {
            what: What::Node { name: "null", number: 0x103 },
            subsystem: Some(Subsystem::Class("mem")),
            ..null
        },
    ]
}

#[test]
fn folders_and_links_follow_from_the_objects() {
    let objects = machine();
    assert_eq!(names("", &objects), ["bus", "class", "dev", "devices", "kernel"]);
    assert_eq!(names("kernel", &objects), [""; 0]);
    assert_eq!(names("bus", &objects), ["pci", "virtio"]);
    assert_eq!(names("bus/pci", &objects), ["devices", "drivers"]);
    assert_eq!(names("bus/virtio/drivers", &objects), ["virtio_blk"]);
    assert_eq!(link("bus/pci/devices", "0000:00:03.0", &objects), "../../../devices/pci0000:00/0000:00:03.0");
    assert_eq!(link("dev/char", "1:3", &objects), "../../devices/virtual/mem/null");
    assert_eq!(link("class/mem", "null", &objects), "../../devices/virtual/mem/null");
    let folder = "devices/pci0000:00/0000:00:03.0";
    assert_eq!(link(folder, "driver", &objects), "../../../bus/pci/drivers/virtio-pci");
    assert_eq!(link(folder, "subsystem", &objects), "../../../bus/pci");
    assert!(names(folder, &objects).contains(&"virtio0".to_string()));
    assert!(tree::children("bus/usb", &objects).is_err());
    assert!(tree::children("kern", &objects).is_err());
}

fn mounted() -> Place {
    let root = mount::mount(Tmpfs::new(b"").unwrap(), None, b"rootfs", 0).unwrap();
    mount::mount(shared(), Some(root), b"sysfs", 0).unwrap()
}

fn with_walker<T>(root: &Place, act: impl FnOnce(&Walker<'_>) -> T) -> T {
    let cred = Cred::root();
    act(&Walker { cred: &cred, root: root.clone(), start: root.clone() })
}

fn read(root: &Place, path: &str) -> abi::Result<String> {
    with_walker(root, |walker| {
        let file = walker.open(walker.resolve(path.as_bytes(), Last::Follow)?, 0, false)?;
        let mut bytes = [0; 4096];
        let count = file.read(&mut Buffer::new(&mut bytes))?;
        Ok(String::from_utf8_lossy(&bytes[..count]).into_owned())
    })
}

#[test]
fn files_are_read_through_the_file_system() {
    let _boot = boot();
    let root = mounted();
    assert_eq!(read(&root, "kernel/uevent_seqnum").unwrap(), "0\n");
    assert_eq!(
        read(&root, "devices/system/cpu/possible").unwrap().trim_end(),
        match hal::smp::present() {
            1 => "0".to_string(),
            count => format!("0-{}", count - 1),
        }
    );
    assert_eq!(read(&root, "devices/system/cpu/cpu0/topology/core_id").unwrap(), "0\n");
    assert_eq!(
        read(&root, "bus/cpu/devices/cpu0/uevent").unwrap(),
        "DRIVER=processor\nMODALIAS=cpu:type:x86\n"
    );
    assert_eq!(read(&root, "no/such/file").unwrap_err(), abi::Errno::ENOENT);
    with_walker(&root, |walker| {
        let place = walker.resolve(b"kernel/uevent_seqnum", Last::Follow).unwrap();
        assert_eq!(place.inode().attributes().size, 4096);
        let written = walker.open(place, abi::file::O_WRONLY, false);
        assert_eq!(written.map(|_| ()).unwrap_err(), abi::Errno::EACCES);
    });
}
