//! Files of the system: those in `/proc` itself.

use alloc::vec::Vec;

use abi::file::device_parts;
use abi::time::NANOS;
use abi::{Errno, Result};
use hal::{cpu, frames, smp, time};
use logic::addr::PAGE_SIZE;
use logic::proc_text::Text;
use logic::proc_text::system::{self as text, Counts, Cpu, Memory};
use logic::zones::ZoneKind;
use nucleus::mm::account;
use nucleus::vfs::FileKind;
use nucleus::vfs::device::{self, Registered};
use nucleus::vfs::locks::{self, Owner, Sort};
use nucleus::{clock, sched};

use super::source::{SystemNow, Target};
use super::table::{Question, Row, What, directory, put, text as shown};
use super::{disks, ipc, settings};
use crate::tmpfs;

/// `/proc`.
pub(super) static ROOT: Row = directory("", 0o555, What::Root(ROWS));

/// A file whose text never changes.
macro_rules! constant {
    ($name:literal, $text:expr) => {
        shown($name, |_, to| {
            to.raw($text);
            Ok(())
        })
    };
}

const ROWS: &[Row] = &[
    shown("buddyinfo", buddyinfo),
    shown("cmdline", |question, to| {
        put!(to, "{}\n", question.system().command_line());
        Ok(())
    }),
    shown("cpuinfo", cpuinfo),
    shown("devices", devices),
    shown("diskstats", disks::diskstats),
    constant!(
        "filesystems",
        b"nodev\tsysfs\nnodev\tproc\nnodev\ttmpfs\nnodev\tdevtmpfs\nnodev\tmqueue\nnodev\tramfs\n\text2\n"
    ),
    shown("interrupts", interrupts),
    shown("loadavg", loadavg),
    shown("lock_stat", lock_stat),
    shown("locks", locks),
    shown("meminfo", meminfo),
    Row { name: "mounts", permissions: 0o777, what: What::Path(mounts) },
    shown("partitions", disks::partitions),
    Row { name: "self", permissions: 0o777, what: What::Path(own_process) },
    constant!("slabinfo", b"slabinfo - version: 2.1\n"),
    shown("stat", stat),
    constant!("swaps", b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
    directory("sys", 0o555, What::Directory(settings::ROWS)),
    directory("sysvipc", 0o555, What::Directory(ipc::ROWS)),
    Row { name: "thread-self", permissions: 0o777, what: What::Path(own_thread) },
    shown("uptime", uptime),
    shown("version", version),
    shown("vmstat", vmstat),
];

fn path(arguments: core::fmt::Arguments<'_>) -> Result<Target> {
    let mut path = Text::new();
    path.put(arguments);
    Ok(Target { text: path.finish().ok_or(Errno::ENOMEM)?, place: None, file: None })
}

fn own_process(question: &Question<'_>) -> Result<Target> {
    let who = question.processes().current().ok_or(Errno::ENOENT)?;
    path(format_args!("{}", who.process))
}

fn own_thread(question: &Question<'_>) -> Result<Target> {
    let who = question.processes().current().ok_or(Errno::ENOENT)?;
    path(format_args!("{}/task/{}", who.process, who.thread))
}

fn mounts(_question: &Question<'_>) -> Result<Target> {
    path(format_args!("self/mounts"))
}

fn counts(now: &SystemNow) -> Counts {
    let running = sched::cpu::runnable();
    Counts {
        switches: (0..smp::online()).map(sched::cpu::switch_count).sum(),
        interrupts: now.interrupts,
        booted_at: clock::booted_at_ns() / NANOS,
        started: now.started,
        running: u32::try_from(running).unwrap_or(u32::MAX),
        blocked: 0,
        tasks: now.tasks,
        last: now.last,
    }
}

/// A line for each lock on a file, and for each that waits for it.
fn locks(_question: &Question<'_>, to: &mut Text) -> Result<()> {
    for (index, shown) in locks::all()?.iter().enumerate() {
        let arrow = core::iter::repeat_n("-> ", shown.waiting.len());
        let all = core::iter::once(&shown.held).chain(&shown.waiting);
        for (held, arrow) in all.zip(core::iter::once("").chain(arrow)) {
            let sort = match (shown.sort, held.owner) {
                (Sort::Whole, _) => "FLOCK ",
                (Sort::Record, Owner::Table(_)) => "POSIX ",
                (Sort::Record, Owner::Open(_)) => "OFDLCK",
            };
            text::lock(
                to,
                &text::Lock {
                    number: index + 1,
                    arrow,
                    sort,
                    kind: held.kind,
                    pid: if sort == "OFDLCK" { None } else { Some(held.pid) },
                    device: device_parts(shown.file.0),
                    inode: shown.file.1,
                    range: held.range,
                },
            );
        }
    }
    Ok(())
}

fn stat(question: &Question<'_>, to: &mut Text) -> Result<()> {
    let now = question.system().now();
    text::stat(to, &now.cpus, &counts(&now));
    Ok(())
}

fn uptime(question: &Question<'_>, to: &mut Text) -> Result<()> {
    let idle = question.system().now().cpus.iter().map(|cpu| cpu.idle).sum();
    text::uptime(to, time::now_ns(), idle);
    Ok(())
}

fn loadavg(question: &Question<'_>, to: &mut Text) -> Result<()> {
    let now = question.system().now();
    text::loadavg(to, now.loads, &counts(&now));
    Ok(())
}

/// Unlike Linux's, which lists places in its code: a line for each rank of spin locks that was ever waited for.
fn lock_stat(_question: &Question<'_>, to: &mut Text) -> Result<()> {
    put!(to, "{:>16} {:>12} {:>12} {:>16}\n", "class", "contentions", "looks", "wait-ns");
    hal::lock_stat::for_each(|name, waits| {
        put!(to, "{name:>16} {:>12} {:>12} {:>16}\n", waits.count, waits.looks, waits.ns);
    });
    Ok(())
}

fn version(question: &Question<'_>, to: &mut Text) -> Result<()> {
    let system = question.system();
    put!(to, "Linux version {} (nacre@nacre) (rustc) {}\n", system.release(), system.version());
    Ok(())
}

fn memory() -> Memory {
    let frames = frames::stats();
    let bytes = |pages: usize| pages as u64 * PAGE_SIZE;
    let files = tmpfs::pages_in_use() * PAGE_SIZE;
    let heap = hal::heap::stats();
    let cache = nucleus::vfs::cache::counters::counts();
    let buffers = nucleus::vfs::cache::disks::pages_in_use().min(cache.cached);
    Memory {
        total: bytes(frames.total),
        free: bytes(frames.free),
        available: bytes(frames.free) + (cache.cached - cache.dirty.min(cache.cached)) * PAGE_SIZE,
        buffers: buffers * PAGE_SIZE,
        cached: files + (cache.cached - buffers) * PAGE_SIZE,
        dirty: cache.dirty * PAGE_SIZE,
        writing: cache.writing * PAGE_SIZE,
        anonymous: bytes(frames::shared_in_use()).saturating_sub(files + cache.cached * PAGE_SIZE),
        shared: files,
        heap: (heap.slab_bytes + heap.large_bytes + heap.whole_bytes) as u64,
        committed: account::committed_pages() * PAGE_SIZE,
        commit_limit: bytes(frames.total) / 2,
        ..Memory::default()
    }
}

fn meminfo(_question: &Question<'_>, to: &mut Text) -> Result<()> {
    text::meminfo(to, &memory());
    Ok(())
}

fn vmstat(_question: &Question<'_>, to: &mut Text) -> Result<()> {
    let memory = memory();
    for (name, bytes) in [
        ("nr_free_pages", memory.free),
        ("nr_anon_pages", memory.anonymous),
        ("nr_file_pages", memory.cached + memory.buffers),
        ("nr_dirty", memory.dirty),
        ("nr_writeback", memory.writing),
        ("nr_shmem", memory.shared),
    ] {
        put!(to, "{name} {}\n", bytes / PAGE_SIZE);
    }
    let moved = disks::moved_kib();
    put!(to, "pgpgin {}\npgpgout {}\n", moved.read, moved.written);
    for name in ["pswpin", "pswpout", "pgfault", "pgmajfault"] {
        put!(to, "{name} 0\n");
    }
    Ok(())
}

fn buddyinfo(_question: &Question<'_>, to: &mut Text) -> Result<()> {
    frames::for_each_zone(|key, free| {
        let name = match key.kind {
            ZoneKind::Dma => "DMA",
            ZoneKind::Dma32 => "DMA32",
            ZoneKind::Normal => "Normal",
        };
        text::buddyinfo(to, u32::from(key.node.get()), name, &free);
    });
    Ok(())
}

fn cpuinfo(_question: &Question<'_>, to: &mut Text) -> Result<()> {
    let mut model = Text::new();
    put!(model, "{}", cpu::summary());
    let model = model.finish().ok_or(Errno::ENOMEM)?;
    let count = smp::online();
    for number in 0..count {
        text::cpuinfo(
            to,
            &Cpu {
                number,
                count,
                vendor: "unknown",
                version: (6, 0, 0),
                model: core::str::from_utf8(&model).unwrap_or("unknown"),
                frequency: 0,
                flags: "fpu tsc msr pae cx8 apic pge cmov pat mmx fxsr sse sse2 syscall nx lm",
                address_bits: (40, 48),
            },
        );
    }
    Ok(())
}

fn interrupts(_question: &Question<'_>, to: &mut Text) -> Result<()> {
    put!(to, "           ");
    for number in 0..smp::online() {
        let label = alloc::format!("CPU{number}");
        put!(to, "{label:<11}");
    }
    put!(to, "\n");
    Ok(())
}

/// Drivers by major number: the first name registered stands for all, but for those whose names Linux made up.
fn devices(_question: &Question<'_>, to: &mut Text) -> Result<()> {
    let all = device::all();
    put!(to, "Character devices:\n");
    majors(&all, FileKind::CharDevice, to);
    put!(to, "\nBlock devices:\n");
    majors(&all, FileKind::BlockDevice, to);
    Ok(())
}

fn majors(all: &[Registered], kind: FileKind, to: &mut Text) {
    let mut known: Vec<(u32, &str)> = Vec::new();
    for registered in all.iter().filter(|registered| registered.kind == kind) {
        let major = device_parts(registered.number).0;
        let name = match (kind, major) {
            (FileKind::CharDevice, 1) => "mem",
            (FileKind::BlockDevice, 8) => "sd",
            (FileKind::BlockDevice, 254) => "virtblk",
            _ => registered.name,
        };
        if known.iter().all(|(other, _)| *other != major) && known.try_reserve(1).is_ok() {
            known.push((major, name.trim_end_matches(|letter: char| letter.is_ascii_digit())));
        }
    }
    known.sort_unstable();
    for (major, name) in known {
        put!(to, "{major:3} {name}\n");
    }
}
