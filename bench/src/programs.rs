//! Builds the guest programs of bench/guest/ with the host's gcc, and the initramfs both kernels boot.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, command};

const FOLDER: &str = "build/bench";

/// No libc, no start-up code, nothing that depends on this machine's paths or date.
const COMMON: [&str; 6] =
    ["-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none", "-Wl,-z,noexecstack", "-Werror"];
const INIT: [&str; 7] =
    ["-O2", "-Wall", "-Wextra", "-ffreestanding", "-fno-pie", "-fno-stack-protector", "bench/guest/init.c"];
const PVH: [&str; 4] = ["-m32", "-DPVH", "-Wl,-Ttext=0x100000", "bench/guest/firmware.S"];
const BZIMAGE: [&str; 4] = ["-m32", "-Wl,--oformat=binary", "-Wl,-Ttext=0", "bench/guest/firmware.S"];

/// Linux opens /dev/console for process 1 and knows devices only from the archive.
const MANIFEST: &str = "dir /dev 755 0 0
nod /dev/console 600 0 0 c 5 1
file /init 755 0 0 build/bench/init
";

/// What was built.
pub(crate) struct Programs {
    pub(crate) initramfs: PathBuf,
    /// Prints when the firmware starts an ELF file with a PVH note.
    pub(crate) firmware_pvh: PathBuf,
    /// Prints when the firmware starts a Linux bzImage.
    pub(crate) firmware_bzimage: PathBuf,
}

impl Programs {
    pub(crate) fn build() -> Result<Self> {
        let folder = Path::new(FOLDER);
        fs::create_dir_all(folder).map_err(|error| format!("cannot make {FOLDER}: {error}"))?;
        compile(&folder.join("init"), &INIT)?;
        let firmware_pvh = folder.join("firmware-pvh");
        compile(&firmware_pvh, &PVH)?;
        let firmware_bzimage = folder.join("firmware-bzimage");
        compile(&firmware_bzimage, &BZIMAGE)?;
        Ok(Self { initramfs: archive(folder)?, firmware_pvh, firmware_bzimage })
    }
}

fn compile(output: &Path, arguments: &[&str]) -> Result<()> {
    command::run(Command::new("gcc").args(COMMON).args(arguments).arg("-o").arg(output)).map(drop)
}

/// The packer is a program of this workspace; Cargo names itself in the environment of what it runs.
fn archive(folder: &Path) -> Result<PathBuf> {
    let (manifest, output) = (folder.join("manifest"), folder.join("initramfs.cpio"));
    fs::write(&manifest, MANIFEST)
        .map_err(|error| format!("cannot write {}: {error}", manifest.display()))?;
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    command::run(
        Command::new(cargo)
            .args(["run", "--quiet", "--package", "image", "--", "cpio", "--manifest"])
            .arg(&manifest)
            .arg("--output")
            .arg(&output),
    )?;
    Ok(output)
}
