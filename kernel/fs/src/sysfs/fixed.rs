//! Objects that every machine has, and processors and memory.

use alloc::format;
use alloc::vec::Vec;

use abi::{Errno, Result};
use hal::{frames, smp};
use logic::addr::PAGE_SIZE;
use logic::proc_text::Text;

use super::object::{Object, Row, Subsystem, What, add, constant, put, text};

/// Folders that are there even if nothing is in them, and those with files of the system.
const FOLDERS: &[(&str, &[Row])] = &[
    ("block", &[]),
    ("bus/pci/devices", &[]),
    ("bus/pci/drivers", &[]),
    ("bus/virtio/devices", &[]),
    ("bus/virtio/drivers", &[]),
    ("class/block", &[]),
    ("dev/block", &[]),
    ("dev/char", &[]),
    ("devices/platform", &[]),
    ("devices/system/cpu", CPUS),
    ("devices/system/node", NODES),
    ("devices/system/node/node0", NODE),
    ("devices/virtual", &[]),
    ("firmware", &[]),
    ("fs", &[]),
    ("kernel", KERNEL),
    ("kernel/mm/transparent_hugepage", LARGE_PAGES),
    ("module", &[]),
    ("power", POWER),
];

/// No event was ever sent: there is nobody to listen to them yet.
const KERNEL: &[Row] = &[constant!("fscaps", "1\n"), constant!("uevent_seqnum", "0\n")];

/// As `nucleus::mm` does it: where they fit.
const LARGE_PAGES: &[Row] =
    &[constant!("enabled", "[always] madvise never\n"), constant!("hpage_pmd_size", "2097152\n")];

/// There is nothing that sleeps.
const POWER: &[Row] = &[constant!("state", "\n")];

const CPUS: &[Row] = &[
    constant!("isolated", "\n"),
    constant!("offline", "\n"),
    text("online", |_, to| first(smp::online(), to)),
    text("possible", |_, to| first(smp::present(), to)),
    text("present", |_, to| first(smp::present(), to)),
];

const NODES: &[Row] = &[
    constant!("has_cpu", "0\n"),
    constant!("has_memory", "0\n"),
    constant!("has_normal_memory", "0\n"),
    constant!("online", "0\n"),
    constant!("possible", "0\n"),
];

const NODE: &[Row] = &[
    text("cpulist", |_, to| first(smp::online(), to)),
    text("cpumap", |_, to| {
        put!(to, "{:x}\n", smp::online_mask());
        Ok(())
    }),
    constant!("distance", "10\n"),
    text("meminfo", |_, to| {
        let stats = frames::stats();
        let kib = |pages: usize| pages as u64 * PAGE_SIZE / 1024;
        let used = stats.total.saturating_sub(stats.free);
        for (name, pages) in [("MemTotal", stats.total), ("MemFree", stats.free), ("MemUsed", used)] {
            put!(to, "Node 0 {name}:{:>16} kB\n", kib(pages));
        }
        Ok(())
    }),
];

/// The first processor can not be stopped, so there is no switch for it; nor is there for the others yet.
const CPU: &[Row] = &[constant!("uevent", "DRIVER=processor\nMODALIAS=cpu:type:x86\n")];

/// Each processor by itself: what the firmware says of cores and threads is not read.
const TOPOLOGY: &[Row] = &[
    constant!("core_id", "0\n"),
    text("core_siblings_list", own_number),
    text("physical_package_id", own_number),
    text("thread_siblings_list", own_number),
];

/// The numbers of the first `count` of something.
fn first(count: usize, to: &mut Text) -> Result<()> {
    match count {
        0 => put!(to, "\n"),
        1 => put!(to, "0\n"),
        _ => put!(to, "0-{}\n", count - 1),
    }
    Ok(())
}

fn own_number(object: &Object, to: &mut Text) -> Result<()> {
    let What::Cpu(number) = object.what else { return Err(Errno::ENODEV) };
    put!(to, "{number}\n");
    Ok(())
}

/// Adds them all.
pub(super) fn collect(to: &mut Vec<Object>) -> Result<()> {
    for (path, rows) in FOLDERS {
        add(to, Object::folder(path, rows))?;
    }
    for number in 0..smp::present() {
        let path = format!("devices/system/cpu/cpu{number}");
        let topology = Object::folder(&format!("{path}/topology"), TOPOLOGY);
        let subsystem = Some(Subsystem::Bus("cpu"));
        add(to, Object { what: What::Cpu(number), subsystem, ..Object::folder(&path, CPU) })?;
        add(to, Object { what: What::Cpu(number), ..topology })?;
    }
    Ok(())
}
