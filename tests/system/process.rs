//! The behaviour tests under tests/guest/process and tests/guest/files: each program on the host's Linux, then all of them in one boot of
//! Nacre; with `LINUX=1` also in one boot of Debian's Linux, which shows what the initramfs itself lacks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use driver::guest::{Guest, POWERED_OFF};
use driver::machine::{Board, Boot, Machine};
use driver::runner::{Stop, Suite, Test, TestResult};

use crate::ext2;

/// A set of programs: its name, where they are, and the initramfs that runs them.
#[derive(Clone, Copy)]
struct Set {
    name: &'static str,
    folder: &'static str,
    initramfs: &'static str,
    cpus: u32,
    work: Work,
}

/// What the programs' working folder is on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Memory.
    Tmpfs,
    /// An ext2 disk with blocks of so many bytes.
    Ext2(u32),
}

const PROCESS: Set = Set {
    name: "process",
    folder: "build/guest/process",
    initramfs: "build/guest/process.cpio",
    cpus: 2,
    work: Work::Tmpfs,
};
const FILES: Set =
    Set { name: "files", folder: "build/guest/files", initramfs: "build/guest/files.cpio", ..PROCESS };

const SETS: [Set; 9] = [
    PROCESS,
    Set {
        name: "process-musl",
        folder: "build/guest/process-musl",
        initramfs: "build/guest/process-musl.cpio",
        ..PROCESS
    },
    Set { name: "process-ext2", work: Work::Ext2(4096), ..PROCESS },
    FILES,
    Set { name: "files-ext2-1k", work: Work::Ext2(1024), ..FILES },
    Set { name: "files-ext2-4k", work: Work::Ext2(4096), ..FILES },
    stress("stress", 2),
    stress("stress-1-cpu", 1),
    stress("stress-4-cpus", 4),
];

const fn stress(name: &'static str, cpus: u32) -> Set {
    Set { name, initramfs: "build/guest/stress.cpio", cpus, ..PROCESS }
}

/// Programs are quiet while they work; a case may take 40 s, a hostile batch longer.
const SILENCE: Duration = Duration::from_secs(420);
const TOTAL: Duration = Duration::from_secs(2400);

/// The runs on the host, one test each.
pub(crate) fn tests() -> Vec<Test> {
    let mut tests: Vec<Test> = Vec::new();
    // The host's own file system serves once.
    for set in SETS.into_iter().filter(|set| set.work == Work::Tmpfs) {
        for name in names(set) {
            let path = format!("{}/{name}", set.folder);
            tests.push((format!("host-{}/{name}", set.name), Box::new(move |_| on_host(&path))));
        }
    }
    tests
}

/// The boots, a suite each.
pub(crate) fn suites() -> Vec<Suite> {
    let filter = std::env::var("T").unwrap_or_default();
    let is_wanted = |name: &str| name.contains(&filter) || filter.starts_with(&format!("{name}/"));
    let mut suites: Vec<Suite> = Vec::new();
    for set in SETS.into_iter().filter(|set| Path::new(set.initramfs).exists()) {
        suites.push((
            set.name.to_string(),
            Box::new(move |name| boot(name, set, PathBuf::from("build/nacre.elf"))),
        ));
        if let Some(linux) = debian_linux().filter(|_| std::env::var("LINUX").is_ok()) {
            suites
                .push((format!("linux-{}", set.name), Box::new(move |name| boot(name, set, linux.clone()))));
        }
    }
    suites.retain(|(name, _)| is_wanted(name));
    suites
}

/// The kernel that bench/ fetched.
pub(crate) fn debian_linux() -> Option<PathBuf> {
    let entries = std::fs::read_dir("build/linux").ok()?;
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "vmlinuz"))
        .max()
}

fn names(set: Set) -> Vec<String> {
    let list = Command::new("scripts/list-guest-tests").arg(set.name).output();
    let text = list.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let is_built = |name: &&str| Path::new(set.folder).join(name).exists();
    text.lines().filter(is_built).map(String::from).collect()
}

/// Some tests change owners and limits, so they need root: directly or by sudo.
fn on_host(path: &str) -> TestResult {
    let path = std::fs::canonicalize(path).map_err(|error| format!("{path}: {error}"))?;
    let mut command = if is_root() { Command::new("timeout") } else { Command::new("sudo") };
    if !is_root() {
        command.args(["-n", "timeout"]);
    }
    let output = command
        .args(["-k", "5", "400"])
        .arg(&path)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(());
    }
    Err(format!("fails on this host's Linux ({}), so the test is wrong:\n{text}", output.status).into())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.starts_with(b"0\n"))
}

fn boot(name: &str, set: Set, kernel: PathBuf) -> Result<Vec<(String, TestResult)>, Stop> {
    let is_linux = kernel.extension().is_some_and(|extension| extension == "vmlinuz");
    let more = if is_linux { " quiet" } else { "" };
    let machine = Machine {
        kernel,
        initramfs: Some(PathBuf::from(set.initramfs)),
        command_line: format!("console=ttyS0{more}{}", only(name)),
        memory_mib: if set.name.starts_with("stress") { 512 } else { 1024 },
        cpus: set.cpus,
        silence: SILENCE,
        total: TOTAL,
        ..Machine::new(Boot::Kernel(Board::Q35))
    };
    let (machine, image) = with_disk(name, set, machine)?;
    let mut guest = Guest::start(name, &machine)?;
    let finished = guest.wait_for("process: done ").and_then(|_| guest.expect_exit(POWERED_OFF));
    let mut results = parse(&guest.output());
    if let Err(report) = finished {
        results.push(("finished".to_string(), Err(report.into())));
    } else if let Some(image) = image {
        results.push(("e2fsck".to_string(), ext2::check(&image)));
    }
    Ok(results)
}

/// The machine with the disk that the set works on, and where that disk is.
fn with_disk(name: &str, set: Set, machine: Machine) -> Result<(Machine, Option<PathBuf>), Stop> {
    let Work::Ext2(block_size) = set.work else { return Ok((machine, None)) };
    let block_size = block_size.to_string();
    let image = ext2::image(name, 300 << 20, &["-b", &block_size])?;
    let machine = ext2::attached(machine, &image, "");
    let command_line = format!("{} tmp=/dev/vda", machine.command_line);
    Ok((Machine { command_line, ..machine }, Some(image)))
}

/// A filter like `process/mmap` runs that program alone.
fn only(suite: &str) -> String {
    let filter = std::env::var("T").unwrap_or_default();
    let wanted = filter.strip_prefix(suite).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
    if wanted.is_empty() { String::new() } else { format!(" only={wanted}") }
}

/// The lines of tests/guest/process/init.c, each verdict with what was said since `run`.
fn parse(output: &str) -> Vec<(String, TestResult)> {
    let mut results = BTreeMap::new();
    let mut said = String::new();
    for line in output.lines() {
        if line.starts_with("process: run ") {
            said.clear();
        } else if let Some(name) = line.strip_prefix("process: ok ") {
            results.insert(name.to_string(), Ok(()));
        } else if let Some((name, why)) =
            line.strip_prefix("process: FAILED ").and_then(|rest| rest.split_once(": "))
        {
            results.insert(name.to_string(), Err(Stop::Failed(format!("{why}\n{said}"))));
        } else {
            said.push_str(line);
            said.push('\n');
        }
    }
    results.into_iter().collect()
}
