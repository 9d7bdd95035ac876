//! The root file system on a disk: by name, UUID=, LABEL=, PARTUUID=, on virtio and AHCI; read-only disks; no such disk.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use driver::guest::{Guest, POWERED_OFF};
use driver::machine::{Board, Boot, Machine};
use driver::runner::{Stop, Test, TestResult};

use crate::ext2;

const BUSYBOX: &str = "build/programs/busybox-static";
const UUID: &str = "01234567-89ab-4def-8123-456789abcdef";
/// What the disk's first program does.
const INIT: &str = "#!/bin/sh\nmount -t proc proc /proc\ngrep ' / ' /proc/mounts\n\
                    if echo text > /written; then echo root: written; else echo root: refused; fi\n\
                    sync\npoweroff -f\n";

/// How a disk is attached.
const VIRTIO: &str = "virtio-blk-pci,drive=root";
const AHCI: &str = "ide-hd,bus=ide.0,drive=root";

/// All tests of this file.
pub(crate) fn tests() -> Vec<Test> {
    let mut tests: Vec<Test> = Vec::new();
    let mut add = |name: &str, run: Box<dyn Fn(&str) -> TestResult + Send + Sync>| {
        tests.push((format!("root/{name}"), run));
    };
    add("virtio", Box::new(|name| boots(name, VIRTIO, "root=/dev/vda rw", "root: written")));
    add("ahci", Box::new(|name| boots(name, AHCI, "root=/dev/sda rw", "root: written")));
    add("uuid", Box::new(|name| boots(name, VIRTIO, &format!("root=UUID={UUID} rw"), "root: written")));
    add("label", Box::new(|name| boots(name, AHCI, "root=LABEL=nacre rw", "root: written")));
    add("read-only", Box::new(|name| boots(name, VIRTIO, "root=/dev/vda ro", "root: refused")));
    add("partuuid", Box::new(by_partition));
    add("read-only-disk", Box::new(read_only_disk));
    add("missing", Box::new(missing));
    tests
}

/// An image with busybox and a first program.
fn image(name: &str) -> Result<PathBuf, Stop> {
    if !Path::new(BUSYBOX).exists() {
        return Err(Stop::Skipped(format!("no {BUSYBOX}; run: scripts/fetch-programs")));
    }
    let folder = PathBuf::from(format!("build/test-images/{}.root", name.replace('/', "-")));
    lay_out(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let options = ["-d", &folder.display().to_string(), "-L", "nacre", "-U", UUID];
    ext2::image(name, 32 << 20, &options)
}

fn lay_out(folder: &Path) -> std::io::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    for name in ["bin", "sbin", "dev", "proc", "sys", "tmp"] {
        fs::create_dir_all(folder.join(name))?;
    }
    fs::copy(BUSYBOX, folder.join("bin/busybox"))?;
    for applet in ["sh", "mount", "grep", "sync", "poweroff", "echo"] {
        symlink("busybox", folder.join("bin").join(applet))?;
    }
    let init = folder.join("sbin/init");
    fs::write(&init, INIT)?;
    fs::set_permissions(init, fs::Permissions::from_mode(0o755))
}

fn machine(image: &Path, device: &str, root: &str, options: &str) -> Machine {
    let drive = format!("file={},format=raw,if=none,id=root{options}", image.display());
    Machine {
        initramfs: None,
        command_line: format!("console=ttyS0 {root}"),
        more_arguments: ["-drive", &drive, "-device", device].map(String::from).to_vec(),
        ..Machine::new(Boot::Kernel(Board::Q35))
    }
}

fn says(name: &str, machine: &Machine, expected: &[&str]) -> TestResult {
    let mut guest = Guest::start(name, machine)?;
    for sentence in expected {
        guest.wait_for(sentence)?;
    }
    guest.expect_exit(POWERED_OFF)?;
    Ok(())
}

fn boots(name: &str, device: &str, root: &str, outcome: &str) -> TestResult {
    let image = image(name)?;
    says(name, &machine(&image, device, root, ""), &["root file system: ", outcome])?;
    ext2::check(&image)
}

/// The file system in a partition that GPT gives a number of its own.
fn by_partition(name: &str) -> TestResult {
    let image = image(name)?;
    let whole = image.with_extension("gpt");
    let bytes = fs::read(&image).map_err(|error| error.to_string())?;
    let mut disk = vec![0; bytes.len() + (4 << 20)];
    let start = 1 << 20;
    disk[start..start + bytes.len()].copy_from_slice(&bytes);
    fs::write(&whole, &disk).map_err(|error| error.to_string())?;
    let script = format!("label: gpt\nstart=2048, size={}, uuid={UUID}\n", bytes.len() / 512);
    let script_path = image.with_extension("sfdisk");
    fs::write(&script_path, script).map_err(|error| error.to_string())?;
    let input = fs::File::open(&script_path).map_err(|error| error.to_string())?;
    let sfdisk = Command::new("/usr/sbin/sfdisk")
        .args(["--quiet", "--no-reread", "--no-tell-kernel", "--wipe=never", "--wipe-partitions=never"])
        .arg(&whole)
        .stdin(input)
        .status();
    match sfdisk {
        Err(_) => {
            return Err(Stop::Skipped("there is no sfdisk; run: scripts/bootstrap running".to_string()));
        }
        Ok(status) if !status.success() => return Err(Stop::Failed("sfdisk refuses the script".to_string())),
        Ok(_) => {}
    }
    let root = format!("root=PARTUUID={UUID} rw");
    says(name, &machine(&whole, VIRTIO, &root, ""), &["root file system: vda1", "root: written"])?;
    let disk = fs::read(&whole).map_err(|error| error.to_string())?;
    fs::write(&image, &disk[start..start + bytes.len()]).map_err(|error| error.to_string())?;
    ext2::check(&image)
}

fn read_only_disk(name: &str) -> TestResult {
    let image = image(name)?;
    let machine = machine(&image, VIRTIO, "root=/dev/vda rw", ",readonly=on");
    says(name, &machine, &["vda cannot be written", "mounting it read-only", "root: refused"])?;
    ext2::check(&image)
}

fn missing(name: &str) -> TestResult {
    let image = image(name)?;
    let mut guest = Guest::start(name, &machine(&image, VIRTIO, "root=/dev/vdz", ""))?;
    guest.wait_for("there is no disk /dev/vdz for the root file system; there are: vda")?;
    Ok(())
}
