//! ext2 images: made by `mke2fs`, attached to a machine, judged by `e2fsck`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use driver::machine::Machine;
use driver::runner::{Stop, TestResult};

/// An empty file system of a test's own; `options` are those of `mke2fs`.
pub(crate) fn image(name: &str, bytes: u64, options: &[&str]) -> Result<PathBuf, Stop> {
    let folder = PathBuf::from("build/test-images");
    let path = folder.join(format!("{}.img", name.replace('/', "-")));
    let made = fs::create_dir_all(&folder).and_then(|()| File::create(&path)?.set_len(bytes));
    made.map_err(|error| format!("{}: {error}", path.display()))?;
    let mke2fs =
        Command::new("/sbin/mke2fs").args(["-q", "-F", "-t", "ext2"]).args(options).arg(&path).output();
    match mke2fs {
        Ok(output) if output.status.success() => Ok(path),
        Ok(output) => Err(Stop::Failed(format!("mke2fs: {}", String::from_utf8_lossy(&output.stderr)))),
        Err(_) => Err(Stop::Skipped("there is no mke2fs; run: scripts/bootstrap running".to_string())),
    }
}

/// QEMU's cache mode: see [`attached`].
const CACHE: &str = "unsafe";

/// The machine with this disk as `/dev/vda`; `options` are added to QEMU's `-drive`. Flushes end in the host's memory, which
/// outlives QEMU: that they are sent at all is `disks/flush-reaches-the-disk`.
pub(crate) fn attached(machine: Machine, image: &Path, options: &str) -> Machine {
    let drive = format!("file={},format=raw,if=none,id=vda,cache={CACHE}{options}", image.display());
    let mut more_arguments = machine.more_arguments;
    more_arguments.extend(["-drive", &drive, "-device", "virtio-blk-pci,drive=vda"].map(String::from));
    Machine { more_arguments, ..machine }
}

/// Whether the file system is in order, left as it is.
pub(crate) fn check(image: &Path) -> TestResult {
    let checked = Command::new("/sbin/e2fsck").arg("-fn").arg(image).output();
    let output = checked.map_err(|error| format!("e2fsck: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stdout);
    Err(Stop::Failed(format!("{}: e2fsck -fn ends with {}:\n{said}", image.display(), output.status)))
}

/// As at boot after a power cut: repairs what needs no advice.
pub(crate) fn repair(image: &Path) -> TestResult {
    let repaired = Command::new("/sbin/e2fsck").arg("-p").arg(image).output();
    let output = repaired.map_err(|error| format!("e2fsck: {error}"))?;
    if matches!(output.status.code(), Some(0 | 1)) {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stdout);
    Err(Stop::Failed(format!("{}: e2fsck -p ends with {}:\n{said}", image.display(), output.status)))
}
