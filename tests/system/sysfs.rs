//! `/sys` as busybox's tools read it, and its names beside those of this host's Linux.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use driver::guest::{Guest, POWERED_OFF};
use driver::machine::{Board, Boot, Machine};
use driver::runner::{Stop, Test, TestResult};

const INITRAMFS: &str = "build/programs.cpio";
/// What the typed commands end with: the echo of the typing does not match it.
const MARK: &str = "; echo rc=$?.";
const SECTORS: usize = 32 << 10;
/// Of the partition.
const START: u32 = 2048;
const LENGTH: u32 = 4096;

/// Commands, and a line of what each must write.
const SAYS: [(&str, &str); 17] = [
    ("cat /sys/block/sda/size", "32768"),
    ("cat /sys/class/block/sda1/start", "2048"),
    ("cat /sys/class/block/sda1/size", "4096"),
    ("cat /sys/class/block/sda1/partition", "1"),
    ("cat /sys/dev/block/8:1/dev", "8:1"),
    ("cat /sys/block/vda/dev", "254:0"),
    ("cat /sys/block/vda/queue/logical_block_size", "512"),
    ("cat /sys/block/sda/uevent", "DEVTYPE=disk"),
    ("cat /sys/class/mem/null/uevent", "DEVNAME=null"),
    ("readlink /sys/class/mem/null", "../../devices/virtual/mem/null"),
    ("basename $(readlink -f /sys/block/sda/device/driver)", "ahci"),
    ("basename $(readlink -f /sys/block/vda/device/driver)", "virtio_blk"),
    ("cat /sys/bus/pci/devices/0000:00:1f.2/class", "0x010601"),
    ("cat /sys/devices/system/cpu/online", "0-1"),
    ("cat /sys/bus/pci/devices/0000:00:1f.2/uevent", "PCI_ID=8086:2922"),
    ("echo 64 >/sys/block/vda/queue/read_ahead_kb; cat /sys/block/vda/queue/read_ahead_kb", "64"),
    ("echo nonsense >/sys/block/vda/uevent || echo refused", "refused"),
];

/// Folders whose names are all among those of the host: the guest's, and the host's for any device of the sort.
const SAME: [(&str, &str); 7] = [
    ("/sys", "/sys"),
    ("/sys/block/sda/queue", "/sys/block/loop0/queue"),
    ("/sys/block/sda", "/sys/block/loop0"),
    ("/sys/bus/pci/devices/0000:00:00.0", "/sys/bus/pci/devices/0000:00:00.0"),
    ("/sys/class/mem/null", "/sys/class/mem/null"),
    ("/sys/devices/system/cpu", "/sys/devices/system/cpu"),
    ("/sys/devices/system/cpu/cpu0/topology", "/sys/devices/system/cpu/cpu0/topology"),
];

/// All tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    vec![("sysfs/tools".to_string(), Box::new(tools)), ("sysfs/names".to_string(), Box::new(names))]
}

/// A disk with one partition, by a table of 1983.
fn image(name: &str) -> Result<PathBuf, String> {
    let mut bytes = vec![0; SECTORS * 512];
    bytes[446 + 4] = 0x83;
    bytes[446 + 8..446 + 12].copy_from_slice(&START.to_le_bytes());
    bytes[446 + 12..446 + 16].copy_from_slice(&LENGTH.to_le_bytes());
    bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
    let folder = PathBuf::from("build/test-images");
    let path = folder.join(format!("{}.img", name.replace('/', "-")));
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&path, bytes))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

/// Busybox's shell, with `/sys` mounted, an AHCI disk and a virtio disk.
fn start(name: &str) -> Result<Guest, String> {
    let drive = |id: &str, path: PathBuf| format!("file={},format=raw,if=none,id={id}", path.display());
    let (one, two) = (image(&format!("{name}-ahci"))?, image(&format!("{name}-virtio"))?);
    let (one, two) = (drive("one", one), drive("two", two));
    let more = ["-drive", &one, "-device", "ide-hd,bus=ide.0,drive=one"];
    let more = more.into_iter().chain(["-drive", &two, "-device", "virtio-blk-pci,drive=two"]);
    let machine = Machine {
        initramfs: Some(PathBuf::from(INITRAMFS)),
        command_line: "console=ttyS0".to_string(),
        memory_mib: 256,
        cpus: 2,
        silence: Duration::from_secs(120),
        more_arguments: more.map(String::from).collect(),
        ..Machine::new(Boot::Kernel(Board::Q35))
    };
    let mut guest = Guest::start(name, &machine)?;
    guest.wait_for("rcS: ready")?;
    guest.wait_for("# ")?;
    Ok(guest)
}

/// Types a command and returns the lines it wrote, once its exit code 0 has been seen.
fn run(guest: &mut Guest, command: &str) -> Result<Vec<String>, String> {
    guest.type_text(&format!("{command}{MARK}\n"))?;
    let output = guest.wait_for("rc=0.")?;
    // What comes first is the echo of the typing.
    let start = output.rfind(MARK).map_or(0, |at| at + MARK.len());
    Ok(output.get(start..).unwrap_or_default().lines().map(|line| line.trim_end().to_string()).collect())
}

fn stop(mut guest: Guest) -> TestResult {
    guest.type_text("poweroff -f\n")?;
    guest.expect_exit(POWERED_OFF)?;
    Ok(())
}

fn tools(name: &str) -> TestResult {
    let mut guest = start(name)?;
    for (command, expected) in SAYS {
        let lines = run(&mut guest, command)?;
        if !lines.iter().any(|line| line == expected) {
            return Err(format!("`{command}` does not say `{expected}` but {lines:?}").into());
        }
    }
    // Everything can be listed and read, and every link leads somewhere.
    let all = "ls -R /sys >/tmp/names 2>/tmp/problems; cat /tmp/problems; wc -l </tmp/names";
    let lines = run(&mut guest, all)?;
    let count = lines.iter().rfind(|line| !line.starts_with("rc=")).and_then(|line| line.parse::<u32>().ok());
    if count.is_none_or(|count| count < 500) {
        return Err(format!("`ls -R /sys` shows {lines:?}").into());
    }
    for command in [
        "find /sys -type f -exec cat {} + 2>&1 >/dev/null | sed 's/^/problem: /'",
        "for link in $(find /sys -type l); do [ -e $link ] || echo problem: $link; done",
    ] {
        let lines = run(&mut guest, command)?;
        if let Some(problem) = lines.iter().find(|line| line.starts_with("problem: ")) {
            return Err(format!("`{command}`: {problem}").into());
        }
    }
    run(&mut guest, "mount -t tmpfs tmpfs /dev && mdev -s && ls -l /dev >/tmp/made")?;
    run(&mut guest, "[ -b /dev/sda1 ] && [ -b /dev/vda ] && [ -c /dev/null ] && [ -c /dev/ttyS0 ]")?;
    let lines = run(&mut guest, "dd if=/dev/sda bs=1 skip=510 count=2 2>/dev/null | hexdump -C")?;
    if !lines.iter().any(|line| line.contains("55 aa")) {
        return Err(format!("the node that mdev made does not read the disk: {lines:?}").into());
    }
    stop(guest)
}

fn names(name: &str) -> TestResult {
    if fs::read_dir("/sys/block/loop0/queue").is_err() {
        return Err(Stop::Skipped("this host's /sys shows no devices".to_string()));
    }
    let mut guest = start(name)?;
    for (folder, here) in SAME {
        let found = fs::read_dir(here).map_err(|error| format!("{here}: {error}"))?;
        let known: Vec<_> =
            found.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        let lines = run(&mut guest, &format!("ls -1 {folder}"))?;
        let names: Vec<_> =
            lines.into_iter().filter(|line| !line.is_empty() && !line.starts_with("rc=")).collect();
        if names.is_empty() {
            return Err(format!("{folder} is empty").into());
        }
        // What only the guest has of a sort that the host has too: a processor, a partition, a controller of a disk.
        let is_left_out = |name: &String| ["cpu1", "sda1", "device"].contains(&name.as_str());
        let strange = |name: &&String| !known.contains(name) && !is_left_out(name);
        if let Some(strange) = names.iter().find(strange) {
            return Err(format!("{folder} has {strange}, which Linux's {here} has not: {known:?}").into());
        }
    }
    stop(guest)
}
