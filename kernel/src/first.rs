//! From a booted kernel to the first program: root file system, devices, `/init`.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::file::{O_NOCTTY, O_RDWR};
use abi::{Errno, Result};
use fs::initramfs::UnpackError;
use hal::boot::BootInfo;
use logic::cmdline::{self, BootOptions, Setting};
use logic::cpio::{CpioError, Problem};
use logic::cred::{Capability, Cred};
use logic::signal::WaitStatus;
use nucleus::sched::Wait;
use nucleus::vfs::change::Making;
use nucleus::vfs::{FileKind, Last, OpenFile, Place, Walker};
use nucleus::{error, info};

use crate::process::{self, Process, init, tree};
use crate::{mounts, tty, usermode, vt};

/// Runs the first program to its end.
pub(crate) fn run(boot: &'static BootInfo) {
    let options = BootOptions::parse(boot.command_line.as_str());
    let path = options.rdinit.unwrap_or("/init");
    crate::procfs::init(boot);
    tty::registry::set_command_line(boot.command_line.as_str());
    if let Err(error) = prepare(boot) {
        error!("cannot make the root file system and the devices: {error}; give the machine more memory");
        return;
    }
    crate::disks::start(boot);
    let Ok((root, path)) = find_root(boot, &options, path) else { return };
    match start(boot, &root, path).and_then(|process| wait(&process)) {
        Ok(status) => report(path, status),
        Err(error) => {
            error!("cannot run {path}: {error} ({error:?}); it must be an x86-64 Linux program or a script");
        }
    }
}

/// Devices, and what programs need besides files.
///
/// # Errors
/// ENOMEM.
#[inline(never)]
pub(crate) fn prepare(boot: &'static BootInfo) -> Result<()> {
    set_clock();
    nucleus::mm::pressure::set(nucleus::vfs::cache::reclaim::free);
    nucleus::vfs::flusher::start()?;
    nucleus::vfs::recent::init();
    crate::vdso::init()?;
    fs::devices::register()?;
    nucleus::disk_files::loops::register()?;
    crate::ipc::init();
    crate::io_signals::init();
    fs::ext2::set_may_use_reserved(may_use_reserved);
    tty::init()?;
    vt::init(boot)?;
    // A machine may have neither.
    for start in [drivers::rtc::register, drivers::parallel::start] {
        if let Err(Errno::ENOMEM) = start() {
            return Err(Errno::ENOMEM);
        }
    }
    crate::input::start_button()
}

/// Whether whoever runs may use blocks that are kept back for a user and a group. Kernel threads may: they do what was
/// promised before.
fn may_use_reserved(user: u32, group: u32) -> bool {
    process::current().is_none_or(|task| {
        let cred = task.cred();
        let is_member = group != 0 && cred.is_in_group(group);
        cred.has(Capability::SysResource) || cred.user.file == user || is_member
    })
}

fn set_clock() {
    match drivers::rtc::read() {
        Ok(seconds) => nucleus::clock::set_realtime_ns(seconds.saturating_mul(abi::time::NANOS)),
        Err(_) => nucleus::warning!("the machine has no clock that shows the time of day: it starts at 1970"),
    }
}

/// A root file system with what Linux puts into its own before any archive: `/dev`, `/dev/console`, `/root`.
///
/// # Errors
/// ENOMEM.
pub(crate) fn bare_root() -> Result<Place> {
    let root = mounts::mount_root()?;
    let cred = Cred::root();
    let walker = Walker { cred: &cred, root: root.clone(), start: root.clone() };
    let folder =
        |permissions| Making { kind: FileKind::Directory, permissions, device_number: 0, target: b"" };
    let console = Making {
        kind: FileKind::CharDevice,
        permissions: 0o600,
        device_number: abi::file::device_number(5, 1),
        target: b"",
    };
    for (path, making) in [("dev", folder(0o755)), ("dev/console", console), ("root", folder(0o700))] {
        walker.make(walker.find(path.as_bytes(), Last::Keep)?, &making)?;
    }
    Ok(root)
}

/// Programs that are tried on a root disk, in Linux's order.
const FIRST_PROGRAMS: [&str; 4] = ["/sbin/init", "/etc/init", "/bin/init", "/bin/sh"];

/// The root file system, and the program to start: from the initramfs if it has one, else from the disk that `root=`
/// names.
fn find_root<'a>(
    boot: &BootInfo,
    options: &BootOptions<'a>,
    path: &'a str,
) -> core::result::Result<(Place, &'a str), ()> {
    let bare = bare_root().map_err(|error| error!("cannot make the root file system: {error}"))?;
    if let Some(archive) = hal::boot::initramfs(boot) {
        unpack(archive, &bare)?;
        if has(&bare, path) {
            return Ok((bare, path));
        }
        if options.root.is_none() {
            error!("the initramfs has no {path}; name another with rdinit=/PATH, or a root disk with root=");
            return Err(());
        }
    } else if options.root.is_none() {
        error!(
            "there is no initramfs to run {path} from; give QEMU -initrd build/initramfs.cpio, or a disk and root=/dev/vda"
        );
        return Err(());
    }
    let root = crate::root::mount_from_disk(options, &bare)?;
    mount_devices(&root);
    let found = match options.init {
        Some(init) => has(&root, init).then_some(init),
        None => FIRST_PROGRAMS.into_iter().find(|program| has(&root, program)),
    };
    let Some(program) = found else {
        error!(
            "the root disk has no {}; name the first program with init=/PATH",
            options.init.unwrap_or("/sbin/init")
        );
        return Err(());
    };
    Ok((root, program))
}

/// Whether there is a file at a path.
fn has(root: &Place, path: &str) -> bool {
    let cred = Cred::root();
    let walker = Walker { cred: &cred, root: root.clone(), start: root.clone() };
    walker.resolve(path.as_bytes(), Last::Follow).is_ok()
}

/// The devices in `/dev`, as Linux mounts them for whoever starts from a disk.
fn mount_devices(root: &Place) {
    let cred = Cred::root();
    let walker = Walker { cred: &cred, root: root.clone(), start: root.clone() };
    let mounted = walker
        .resolve(b"/dev", Last::Follow)
        .and_then(|place| nucleus::vfs::mount::mount(fs::devfs::shared()?, Some(place), b"devtmpfs", 0));
    if let Err(error) = mounted {
        nucleus::warning!(
            "the devices cannot be mounted on /dev: {error}; make a directory /dev on the root disk"
        );
    }
}

/// Puts the archive's files into the root file system.
fn unpack(archive: &[u8], root: &Place) -> core::result::Result<(), ()> {
    fs::initramfs::unpack(archive, root).map_err(|problem| match problem {
        UnpackError::Archive(CpioError { problem: Problem::Compressed(format), .. }) => error!(
            "the initramfs is compressed with {}, which this kernel cannot read; pass it uncompressed or packed with gzip or zstd",
            format.name()
        ),
        problem => error!("the initramfs is damaged: {problem}; build it again with make initramfs"),
    })
}

/// Starts the first program with what Linux gives it, and what the command line adds.
///
/// A frame of its own: the decoders of the initramfs need the stack that it takes.
#[inline(never)]
fn start(boot: &BootInfo, root: &Place, path: &str) -> Result<Arc<Process>> {
    let line = boot.command_line.as_str();
    let mut arguments: Vec<&[u8]> = Vec::new();
    let mut environment: Vec<Vec<u8>> = Vec::new();
    for variable in ["HOME=/", "TERM=linux"] {
        environment.push(variable.as_bytes().to_vec());
    }
    for setting in cmdline::settings(line) {
        match setting {
            Setting::InitArgument(word) => arguments.push(word.name.as_bytes()),
            Setting::InitEnvironment(word) => environment.push(alloc::format!("{word}").into_bytes()),
            _ => {}
        }
    }
    let environment: Vec<&[u8]> = environment.iter().map(Vec::as_slice).collect();
    let console = open_console(root);
    if console.is_none() {
        nucleus::warning!("there is no /dev/console in the initramfs: {path} starts without open files");
    }
    init::start(root, path.as_bytes(), &arguments, &environment, console, usermode::start)
}

/// What the first program has as its first three files.
pub(crate) fn open_console(root: &Place) -> Option<Arc<OpenFile>> {
    let cred = Cred::root();
    let walker = Walker { cred: &cred, root: root.clone(), start: root.clone() };
    let place = walker.resolve(b"/dev/console", Last::Follow).ok()?;
    walker.open(place, O_RDWR | O_NOCTTY, false).ok()
}

/// Waits for the end of a process that no other process waits for.
///
/// # Errors
/// ESRCH if it is gone.
pub(crate) fn wait(process: &Arc<Process>) -> Result<WaitStatus> {
    process.ended.block_until(Wait::UNINTERRUPTIBLE, || {
        tree::with(|tree| {
            tree.node(process.pid).map_or(Err(Errno::ESRCH), |node| node.zombie.ok_or(Errno::EAGAIN))
        })
    })
}

fn report(path: &str, status: WaitStatus) {
    match status {
        WaitStatus::Signaled { signal, .. } => {
            info!("{path} was killed by {signal}");
            error!("the first program is gone, and nothing is left to run");
        }
        status => info!("{path} exited with code {}", status.status()),
    }
}
