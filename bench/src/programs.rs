//! Builds the guest programs of bench/guest/ with the host's gcc, and the archives both kernels boot.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::linux::{self, Linux};
use crate::{Result, command, disk, package};

const FOLDER: &str = "build/bench";

/// No libc, no start-up code, nothing that depends on this machine's paths or date.
const BARE: [&str; 6] =
    ["-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none", "-Wl,-z,noexecstack", "-Werror"];
const INIT: [&str; 7] =
    ["-O2", "-Wall", "-Wextra", "-ffreestanding", "-fno-pie", "-fno-stack-protector", "bench/guest/init.c"];
const PVH: [&str; 4] = ["-m32", "-DPVH", "-Wl,-Ttext=0x100000", "bench/guest/firmware.S"];
const BZIMAGE: [&str; 4] = ["-m32", "-Wl,--oformat=binary", "-Wl,-Ttext=0", "bench/guest/firmware.S"];

/// With libc, as programs are.
const HOSTED: [&str; 8] =
    ["-static", "-O2", "-s", "-pthread", "-Wall", "-Wextra", "-Werror", "-Ibench/guest/shared"];
const SHARED: [&str; 2] = ["shared/rows", "shared/measure"];
const PROCESS: [&str; 8] = [
    "process/main",
    "process/calls",
    "process/processes",
    "process/switches",
    "process/signals",
    "process/memory",
    "process/pipes",
    "process/ptys",
];
const FILES: [&str; 7] =
    ["files/main", "files/place", "files/paths", "files/bytes", "files/waiting", "files/disk", "files/trees"];
const SCALING: [&str; 2] = ["process/scaling", "shared/measure"];
const EXIT: [&str; 1] = ["process/exit"];

/// Linux opens /dev/console for process 1 and knows devices only from the archive.
const DEVICES: &str = "dir /dev 755 0 0
nod /dev/console 600 0 0 c 5 1
nod /dev/null 666 0 0 c 1 3
nod /dev/ptmx 666 0 0 c 5 2
dir /dev/pts 755 0 0
";
const SHELL: &str = "dir /bin 755 0 0
dir /proc 755 0 0
dir /tmp 1777 0 0
file /bin/busybox 755 0 0 build/bench/busybox
slink /bin/sh busybox 777 0 0
";
const EXIT_FILE: &str = "file /bin/exit 755 0 0 build/bench/exit\n";

const BUSYBOX_PACKAGE: &str = "busybox-static";
const BUSYBOX: &str = "build/bench/busybox";

/// A program that runs as `/init`, with all it needs in an archive of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Program {
    /// `bench/guest/init.c`: boot and system calls.
    Init,
    /// `bench/guest/process/main.c`: processes.
    Process,
    /// `bench/guest/files/main.c`: files, with a disk.
    Files,
    /// `bench/guest/process/scaling.c`: two CPUs.
    Scaling,
    /// `bench/guest/process/prompt.sh`: the shell's prompt.
    Prompt,
}

impl Program {
    const fn name(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Process => "process",
            Self::Files => "files",
            Self::Scaling => "scaling",
            Self::Prompt => "prompt",
        }
    }

    /// The memory of the machine. Linux uses no huge pages of its own accord on one with less than 512 MiB, and
    /// it shall show the best it can.
    pub(crate) const fn memory_mib(self) -> u32 {
        match self {
            Self::Init | Self::Prompt => 256,
            Self::Process | Self::Files | Self::Scaling => 1024,
        }
    }

    /// What stands in its archive; modules of Linux where the program needs them.
    fn manifest(self, linux: Option<&Linux>) -> String {
        let name = self.name();
        match self {
            Self::Init => format!("{DEVICES}file /init 755 0 0 {FOLDER}/{name}\n"),
            Self::Process | Self::Scaling => {
                format!("{DEVICES}{SHELL}{EXIT_FILE}file /init 755 0 0 {FOLDER}/{name}\n")
            }
            Self::Files => {
                let modules = linux.map(modules).unwrap_or_default();
                format!("{DEVICES}{SHELL}{modules}file /init 755 0 0 {FOLDER}/{name}\n")
            }
            Self::Prompt => {
                format!("{DEVICES}{SHELL}file /init 755 0 0 bench/guest/process/{name}.sh\n")
            }
        }
    }

    fn build(self, linux: Option<&Linux>) -> Result<PathBuf> {
        let output = Path::new(FOLDER).join(self.name());
        match self {
            Self::Init => compile(&output, &[&BARE, &INIT])?,
            Self::Process => compile_hosted(&output, &[&PROCESS, &SHARED])?,
            Self::Files => compile_hosted(&output, &[&FILES, &SHARED])?,
            Self::Scaling => compile_hosted(&output, &[&SCALING])?,
            Self::Prompt => {}
        }
        if self != Self::Init {
            compile_hosted(&Path::new(FOLDER).join("exit"), &[&EXIT])?;
            fetch_busybox()?;
        }
        self.archive(linux)
    }

    /// The packer is a program of this workspace; Cargo names itself in the environment of what it runs.
    fn archive(self, linux: Option<&Linux>) -> Result<PathBuf> {
        let (manifest, output) =
            (Path::new(FOLDER).join("manifest"), Path::new(FOLDER).join(format!("{}.cpio", self.name())));
        fs::write(&manifest, self.manifest(linux))
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
}

/// What was built.
pub(crate) struct Programs {
    archives: BTreeMap<Program, PathBuf>,
    disk: Option<PathBuf>,
    /// Prints when the firmware starts an ELF file with a PVH note.
    pub(crate) firmware_pvh: PathBuf,
    /// Prints when the firmware starts a Linux bzImage.
    pub(crate) firmware_bzimage: PathBuf,
}

impl Programs {
    pub(crate) fn build(wanted: &BTreeSet<Program>, linux: Option<&Linux>) -> Result<Self> {
        let folder = Path::new(FOLDER);
        fs::create_dir_all(folder).map_err(|error| format!("cannot make {FOLDER}: {error}"))?;
        let firmware_pvh = folder.join("firmware-pvh");
        compile(&firmware_pvh, &[&BARE, &PVH])?;
        let firmware_bzimage = folder.join("firmware-bzimage");
        compile(&firmware_bzimage, &[&BARE, &BZIMAGE])?;
        // The firmware is booted with it, whatever else is wanted.
        let all = wanted.iter().copied().chain([Program::Init]).collect::<BTreeSet<_>>();
        let archives = all.into_iter().map(|program| Ok((program, program.build(linux)?)));
        let archives = archives.collect::<Result<_>>()?;
        let disk = wanted.contains(&Program::Files).then(disk::make).transpose()?;
        Ok(Self { archives, disk, firmware_pvh, firmware_bzimage })
    }

    /// The image of the disk that `program` needs.
    pub(crate) fn disk(&self, program: Program) -> Option<&Path> {
        self.disk.as_deref().filter(|_| program == Program::Files)
    }

    /// The archive with `program`.
    pub(crate) fn archive(&self, program: Program) -> Result<&Path> {
        let found = self.archives.get(&program).map(PathBuf::as_path);
        found.ok_or(format!("the program {} was not built", program.name()))
    }
}

/// Both kernels boot the same archive; only one can use these.
fn modules(linux: &Linux) -> String {
    let line = |name: &str| format!("file /modules/{name}.ko 644 0 0 {}\n", linux.module(name).display());
    let files: String = linux::MODULES.iter().map(|name| line(name)).collect();
    format!("dir /modules 755 0 0\n{files}")
}

fn compile(output: &Path, arguments: &[&[&str]]) -> Result<()> {
    let arguments = arguments.iter().copied().flatten();
    command::run(Command::new("gcc").args(arguments).arg("-o").arg(output)).map(drop)
}

fn compile_hosted(output: &Path, names: &[&[&str]]) -> Result<()> {
    let files = names.iter().copied().flatten().map(|name| format!("bench/guest/{name}.c"));
    command::run(Command::new("gcc").args(HOSTED).args(files).arg("-o").arg(output)).map(drop)
}

/// Debian's own, unmodified; that of an earlier run serves.
fn fetch_busybox() -> Result<()> {
    if Path::new(BUSYBOX).exists() {
        return Ok(());
    }
    eprintln!("bench: downloading {BUSYBOX_PACKAGE} (not installed, only unpacked)");
    let fetched = package::with(BUSYBOX_PACKAGE, |unpacked| {
        let program = unpacked.join("bin/busybox");
        fs::rename(&program, BUSYBOX).map_err(|error| format!("cannot move {}: {error}", program.display()))
    });
    fetched.map_err(|error| {
        format!(
            "busybox is needed for the rows of processes and files, and cannot be downloaded: {error}. Is the network up?"
        )
    })
}
