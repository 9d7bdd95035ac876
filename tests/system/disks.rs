//! Disks: each driver reads and writes an image that the test made and then looks at; partitions; sectors that fail; a disk
//! that cannot be written.
//!
//! The guest's side is tests/guest/first/disk.c. QEMU's blkdebug makes sectors fail. Images lie under build/test-images.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use driver::guest::{Guest, POWERED_OFF};
use driver::machine::{Board, Boot, Machine};
use driver::runner::{Stop, Test, TestResult};

const SECTOR: usize = 512;
/// 8 MiB.
const SECTORS: usize = 16384;
/// What the guest fills two stretches with.
const LARGE: (usize, usize) = (1 << 20, 256 << 10);
const ODD: (usize, usize) = ((2 << 20) + 7, 1000);
const ZEROED: (usize, usize) = (3 << 20, 64 << 10);
const BAD_SECTOR: usize = 1000;

/// A way to attach a disk: QEMU's options, and the name it gets.
#[derive(Clone, Copy)]
struct Bus {
    name: &'static str,
    board: Board,
    device: &'static str,
    disk: &'static str,
    more: &'static [&'static str],
}

const BUSES: [Bus; 7] = [
    Bus { name: "virtio-pci", board: Board::Q35, device: "virtio-blk-pci", disk: "vda", more: &[] },
    Bus {
        name: "virtio-pci-line",
        board: Board::Q35,
        device: "virtio-blk-pci,vectors=0",
        disk: "vda",
        more: &[],
    },
    Bus {
        name: "virtio-pci-plain",
        board: Board::Pc,
        device: "virtio-blk-pci,indirect_desc=off,event_idx=off,disable-legacy=on",
        disk: "vda",
        more: &[],
    },
    Bus { name: "virtio-mmio", board: Board::Microvm, device: "virtio-blk-device", disk: "vda", more: &[] },
    Bus {
        name: "virtio-mmio-modern",
        board: Board::Microvm,
        device: "virtio-blk-device",
        disk: "vda",
        more: &["-global", "virtio-mmio.force-legacy=false"],
    },
    Bus { name: "ahci", board: Board::Q35, device: "ide-hd,bus=ide.0", disk: "sda", more: &[] },
    Bus { name: "ide", board: Board::Pc, device: "ide-hd,bus=ide.0", disk: "sda", more: &[] },
];

/// All tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    let mut tests: Vec<Test> = Vec::new();
    let mut add = |name: String, run: Box<dyn Fn(&str) -> TestResult + Send + Sync>| tests.push((name, run));
    for bus in BUSES {
        add(format!("disks/{}", bus.name), Box::new(move |name| reads_and_writes(name, bus)));
        add(format!("disks/{}-4-cpus", bus.name), Box::new(move |name| storm(name, bus)));
        add(format!("disks/{}-bad-sector", bus.name), Box::new(move |name| bad_sector(name, bus)));
    }
    add("disks/cache".to_string(), Box::new(cache));
    add("disks/blocks-of-4096".to_string(), Box::new(blocks_of_4096));
    add("disks/read-only".to_string(), Box::new(read_only));
    add("disks/late-virtio".to_string(), Box::new(|name| late(name, BUSES[0], Late::MaySucceed)));
    add("disks/late-ahci".to_string(), Box::new(|name| late(name, BUSES[5], Late::Fails)));
    add("disks/late-ide".to_string(), Box::new(|name| late(name, BUSES[6], Late::MaySucceed)));
    add("disks/loop".to_string(), Box::new(loop_disk));
    add("disks/mbr".to_string(), Box::new(mbr));
    add("disks/gpt".to_string(), Box::new(gpt));
    add("disks/table-read-again".to_string(), Box::new(read_again));
    add("disks/flush-reaches-the-disk".to_string(), Box::new(flush_reaches_the_disk));
    add("disks/above-4-gib".to_string(), Box::new(above_4_gib));
    tests
}

/// What sector `n` holds: its number, then its low byte.
fn pattern() -> Vec<u8> {
    let sector = |number: usize| {
        let number = number as u64;
        number.to_le_bytes().into_iter().chain([number.to_le_bytes()[0]; SECTOR - 8])
    };
    (0..SECTORS).flat_map(sector).collect()
}

/// What the guest leaves of it.
fn expected() -> Vec<u8> {
    let mut bytes = pattern();
    let written: Vec<u8> = (0..LARGE.1).map(|at| (at * 7 + 3).to_le_bytes()[0]).collect();
    bytes[LARGE.0..LARGE.0 + LARGE.1].copy_from_slice(&written);
    bytes[ODD.0..ODD.0 + ODD.1].copy_from_slice(&written[..ODD.1]);
    let end = bytes.len();
    bytes[end - 100..].copy_from_slice(&written[..100]);
    bytes[ZEROED.0..ZEROED.0 + ZEROED.1].fill(0);
    bytes
}

fn image(name: &str, bytes: &[u8]) -> Result<PathBuf, String> {
    let folder = PathBuf::from("build/test-images");
    let path = folder.join(format!("{}.img", name.replace('/', "-")));
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&path, bytes))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

/// A machine whose first program is `disk WHAT NAME NUMBER`, with a drive for `file` attached.
fn machine(bus: Bus, what: &str, file: &str, options: &str) -> Machine {
    let drive = format!("file={file},format=raw,if=none,id=disk{options}");
    let device = format!("{},drive=disk", bus.device);
    let more = ["-drive", &drive, "-device", &device];
    Machine {
        command_line: format!("console=ttyS0 rdinit=/tests/disk {what}"),
        more_arguments: more.iter().chain(bus.more).map(ToString::to_string).collect(),
        ..Machine::new(Boot::Kernel(bus.board))
    }
}

fn run(name: &str, machine: &Machine) -> Result<String, String> {
    let mut guest = Guest::start(name, machine)?;
    guest.wait_for("disk: ok")?;
    guest.expect_exit(POWERED_OFF)
}

fn same(path: &PathBuf, expected: &[u8]) -> Result<(), String> {
    let found = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    match found.iter().zip(expected).position(|(found, expected)| found != expected) {
        Some(at) => Err(format!("byte {at} of the disk is {} instead of {}", found[at], expected[at])),
        None if found.len() != expected.len() => Err(format!("the disk has {} bytes now", found.len())),
        None => Ok(()),
    }
}

fn reads_and_writes(name: &str, bus: Bus) -> TestResult {
    let path = image(name, &pattern())?;
    let what = format!("use {}", bus.disk);
    let machine = machine(bus, &what, &path.display().to_string(), ",cache=writeback");
    run(name, &machine)?;
    same(&path, &expected())?;
    Ok(())
}

fn storm(name: &str, bus: Bus) -> TestResult {
    let path = image(name, &pattern())?;
    let what = format!("storm {} 40", bus.disk);
    // QEMU's microvm has an interrupt controller too few for more CPUs than one to be interesting.
    let machine = Machine { cpus: 4, ..machine(bus, &what, &path.display().to_string(), "") };
    run(name, &machine)?;
    same(&path, &pattern())?;
    Ok(())
}

fn bad_sector(name: &str, bus: Bus) -> TestResult {
    let path = image(name, &pattern())?;
    let rule = path.with_extension("blkdebug");
    let text = format!("[inject-error]\nevent = \"read_aio\"\nerrno = \"5\"\nsector = \"{BAD_SECTOR}\"\n");
    fs::write(&rule, text).map_err(|error| format!("{}: {error}", rule.display()))?;
    let file = format!("blkdebug:{}:{}", rule.display(), path.display());
    let what = format!("bad {} {BAD_SECTOR}", bus.disk);
    let mut machine = machine(bus, &what, &file, "");
    let last = machine.more_arguments.iter_mut().rfind(|word| word.contains("drive=disk"));
    if let Some(device) = last {
        device.push_str(",rerror=report,werror=report");
    }
    let output = run(name, &Machine { cpus: 2, ..machine })?;
    let complaint = format!("{}: reading 1 sectors from {BAD_SECTOR} on failed", bus.disk);
    if !output.contains(&complaint) {
        return Err(Stop::Failed(format!("the log does not say `{complaint}`")));
    }
    Ok(())
}

fn virtio(device: &'static str) -> Bus {
    Bus { device, ..BUSES[0] }
}

fn blocks_of_4096(name: &str) -> TestResult {
    let path = image(name, &pattern())?;
    let bus = virtio("virtio-blk-pci,logical_block_size=4096,physical_block_size=4096");
    let output = run(name, &machine(bus, "storm vda 20", &path.display().to_string(), ""))?;
    if !output.contains("in blocks of 4096 bytes") {
        return Err(Stop::Failed("the disk's blocks are not 4096 bytes".to_string()));
    }
    same(&path, &pattern())?;
    Ok(())
}

fn read_only(name: &str) -> TestResult {
    let path = image(name, &pattern())?;
    run(name, &machine(BUSES[0], "read-only vda", &path.display().to_string(), ",readonly=on"))?;
    same(&path, &pattern())?;
    Ok(())
}

/// An image with a partition table by sfdisk.
fn partitioned(name: &str, script: &str) -> Result<PathBuf, Stop> {
    let path = image(name, &vec![0; 16 << 20])?;
    let sfdisk = Command::new("/usr/sbin/sfdisk")
        .args(["--quiet", "--no-reread", "--no-tell-kernel"])
        .arg(&path)
        .stdin(Stdio::piped())
        .spawn();
    let Ok(mut sfdisk) = sfdisk else {
        return Err(Stop::Skipped("there is no sfdisk; run: scripts/bootstrap running".to_string()));
    };
    let written = sfdisk.stdin.take().map(|mut input| input.write_all(script.as_bytes()));
    match (written, sfdisk.wait()) {
        (Some(Ok(())), Ok(status)) if status.success() => Ok(path),
        _ => Err(Stop::Failed("sfdisk refuses the script".to_string())),
    }
}

/// The lines of `/proc/partitions` behind its heading: major, minor, kilobytes, name.
fn partitions(output: &str) -> Vec<String> {
    let lines = output.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let lines = lines.skip_while(|words| words.first() != Some(&"major")).skip(1);
    let of_four = lines.skip_while(Vec::is_empty).take_while(|words| words.len() == 4);
    of_four.map(|words| words.join(" ")).collect()
}

fn shows(name: &str, bus: Bus, script: &str, expected: &[&str]) -> TestResult {
    let path = partitioned(name, script)?;
    let what = format!("list {}", bus.disk);
    let output = run(name, &machine(bus, &what, &path.display().to_string(), ""))?;
    let found = partitions(&output);
    if found != expected {
        return Err(Stop::Failed(format!("/proc/partitions has {found:?} instead of {expected:?}")));
    }
    let counted = output.lines().any(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        words.len() == 20 && words[2] == bus.disk && words[3] != "0"
    });
    if !counted {
        return Err(Stop::Failed("/proc/diskstats counts no reads".to_string()));
    }
    Ok(())
}

fn mbr(name: &str) -> TestResult {
    let script = "label: dos\n1 : start=2048, size=4096, type=83\n2 : start=8192, size=20000, type=5\n\
                  5 : start=10240, size=2048, type=83\n6 : start=14336, size=4096, type=83\n";
    let expected = ["8 0 16384 sda", "8 1 2048 sda1", "8 2 1 sda2", "8 5 1024 sda5", "8 6 2048 sda6"];
    shows(name, BUSES[6], script, &expected)
}

fn gpt(name: &str) -> TestResult {
    let script = "label: gpt\n1 : start=2048, size=4096\n3 : start=8192, size=8192\n";
    shows(name, BUSES[0], script, &["254 0 16384 vda", "254 1 2048 vda1", "254 3 4096 vda3"])
}

fn read_again(name: &str) -> TestResult {
    let path = partitioned(name, "label: dos\n1 : start=2048, size=4096, type=83\n")?;
    run(name, &machine(BUSES[0], "again vda", &path.display().to_string(), ""))?;
    Ok(())
}

/// A flush of the guest is one of QEMU's, which blkdebug counts by failing it.
fn flush_reaches_the_disk(name: &str) -> TestResult {
    let path = image(name, &pattern())?;
    let rule = path.with_extension("blkdebug");
    fs::write(&rule, "[inject-error]\nevent = \"flush_to_disk\"\nerrno = \"5\"\n")
        .map_err(|error| format!("{}: {error}", rule.display()))?;
    let file = format!("blkdebug:{}:{}", rule.display(), path.display());
    let bus = virtio("virtio-blk-pci,werror=report,rerror=report");
    let mut guest = Guest::start(name, &machine(bus, "use vda", &file, ",cache=writeback"))?;
    guest.wait_for("failed: fsync")?;
    guest.wait_for("exited with code 1")?;
    guest.expect_exit(POWERED_OFF)?;
    Ok(())
}

/// What becomes of a late read: QEMU finishes it while it resets some devices.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Late {
    Fails,
    MaySucceed,
}

/// QEMU answers 38 seconds late: the kernel does not wait for so long.
fn late(name: &str, bus: Bus, read: Late) -> TestResult {
    let path = image(name, &pattern())?;
    let what = format!("late {}", bus.disk);
    let machine = machine(bus, &what, &path.display().to_string(), ",bps=1700");
    let output = run(name, &Machine { silence: Duration::from_secs(90), ..machine })?;
    let complaint = format!("{}: no answer for 30 seconds; resetting the device", bus.disk);
    if !output.contains(&complaint) {
        return Err(Stop::Failed(format!("the log does not say `{complaint}`")));
    }
    if read == Late::Fails && !output.contains("disk: late") {
        return Err(Stop::Failed("the late read did not fail".to_string()));
    }
    Ok(())
}

/// What the guest writes through a loop disk over a part of the disk.
fn loop_disk(name: &str) -> TestResult {
    let path = image(name, &pattern())?;
    run(name, &machine(BUSES[0], "loop vda", &path.display().to_string(), ""))?;
    let mut expected = pattern();
    for (at, byte) in expected[ODD.0..ODD.0 + ODD.1].iter_mut().enumerate() {
        *byte = (at * 5 + 1).to_le_bytes()[0];
    }
    same(&path, &expected)?;
    Ok(())
}

/// What the guest writes without fsync, by write, by mmap and past the cache, is in the image when the last one closed it.
fn cache(name: &str) -> TestResult {
    let path = image(name, &pattern())?;
    run(name, &machine(BUSES[0], "cache vda", &path.display().to_string(), ""))?;
    let mut expected = pattern();
    let mut put = |at: usize, len: usize, value: usize| {
        for (place, byte) in expected[at..at + len].iter_mut().enumerate() {
            *byte = (place + value).to_le_bytes()[0];
        }
    };
    put(1000, 10000, 1);
    put(65536, 8192, 2);
    put(65536, 4096, 3);
    put((1 << 20) + 4096, 4096, 4);
    put((1 << 20) + 8192, 4096, 6);
    put(2 << 20, 4096, 7);
    put(3 << 20, 100, 9);
    expected[2 << 20..(2 << 20) + 512].fill(0);
    expected[(1 << 20) + 5] = 77;
    expected[(1 << 20) + 6] = 78;
    same(&path, &expected)?;
    Ok(())
}

/// Memory that 32 bits do not reach: the IDE driver moves it by the processor.
fn above_4_gib(name: &str) -> TestResult {
    let path = image(name, &pattern())?;
    let memory = "memory-backend-ram,size=8G,id=huge,reserve=off";
    let mut machine = machine(BUSES[6], "use sda", &path.display().to_string(), "");
    machine.memory_mib = 8 << 10;
    machine.more_arguments.extend(["-object", memory, "-machine", "memory-backend=huge"].map(String::from));
    run(name, &machine)?;
    same(&path, &expected())?;
    Ok(())
}
