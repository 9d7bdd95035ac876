//! The root on a disk: when this runs from an initramfs and the kernel's command line has `root=`.
//!
//! As switch_root(8) does: the disk is mounted, `/proc`, `/sys`, `/dev` and `/run` move there, what the initramfs holds is
//! removed to give its memory back, the disk's mount moves to `/`, and its init takes this program's place.

use abi::file::{O_RDONLY, S_IFBLK, S_IFDIR};
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;

use nrlib::file::{self, File};
use nrlib::system::numbers::{MNT_DETACH, MS_MOVE, MS_RDONLY, RAMFS_MAGIC, TMPFS_MAGIC};
use nrlib::{Errno, Result, env, process, system, time};

use crate::boot_line::{self, Access, RootPlan, SUPERBLOCK_END, Source};
use crate::say;

const PLACE: &CStr = c"/sysroot";
const STEP_MS: u64 = 50;
/// After this one hears what is waited for.
const PATIENCE_MS: u64 = 1000;
/// Programs that are tried on the disk, in Linux's order.
const FIRST_PROGRAMS: [&CStr; 4] = [c"/sbin/init", c"/etc/init", c"/bin/init", c"/bin/sh"];

/// Switches to the root that the command line names, and does not come back. If it names none, or this is not an
/// initramfs: true. If it did not work, which has been said: false.
pub fn switch_if_asked(line: &[u8]) -> bool {
    let is_initramfs =
        system::file_system_kind(c"/").is_ok_and(|kind| matches!(kind, RAMFS_MAGIC | TMPFS_MAGIC));
    let Some(plan) = RootPlan::parse(line).filter(|_| is_initramfs) else { return true };
    let Some(disk) = wait_for(&plan) else { return false };
    if let Err(error) = mount(&disk, &plan) {
        say::text(format_args!("cannot mount {} as the root: {error}", say::Shown(&disk)));
        return false;
    }
    let error = switch(&plan);
    say::text(format_args!("cannot switch to the root on {}: {error}", say::Shown(&disk)));
    false
}

/// The file of the disk, as soon as it is there.
fn wait_for(plan: &RootPlan) -> Option<CString> {
    let start = time::monotonic_ms();
    let mut is_said = false;
    loop {
        if let Some(path) = find(&plan.source) {
            return Some(path);
        }
        if matches!(plan.source, Source::Unknown(_)) {
            say::line("root= must be /dev/NAME, UUID= or LABEL= when an initramfs is used");
            return None;
        }
        let waited = time::monotonic_ms() - start;
        if plan.wait_ms.is_some_and(|limit| waited > limit) {
            let text = file::read(c"/proc/partitions", 1 << 20).unwrap_or_default();
            let names: Vec<&[u8]> = boot_line::disks(&text).collect();
            let names = names.join(&b' ');
            say::text(format_args!("the root disk did not come; there are: {}", say::Bytes(&names)));
            return None;
        }
        if waited > PATIENCE_MS && !is_said {
            say::line("waiting for the root disk");
            is_said = true;
        }
        time::sleep_through_ms(STEP_MS);
    }
}

fn find(source: &Source) -> Option<CString> {
    if let Source::Path(path) = source {
        let path = file::path(&[path]).ok()?;
        return file::status(&path).is_ok_and(|status| status.is(S_IFBLK)).then_some(path);
    }
    let text = file::read(c"/proc/partitions", 1 << 20).ok()?;
    boot_line::disks(&text).find_map(|name| {
        let path = file::path(&[b"/dev/", name]).ok()?;
        let mut start = [0; SUPERBLOCK_END];
        let count = File::open(&path, O_RDONLY, 0).and_then(|disk| disk.read_full(&mut start)).ok()?;
        let (uuid, label) = boot_line::identify(&start).filter(|_| count == SUPERBLOCK_END)?;
        let is_it = match source {
            Source::Uuid(wanted) => uuid == *wanted,
            Source::Label(wanted) => label == wanted,
            Source::Path(_) | Source::Unknown(_) => false,
        };
        is_it.then_some(path)
    })
}

/// Mounts the disk at [`PLACE`]; one that cannot be written, for reading.
fn mount(disk: &CStr, plan: &RootPlan) -> Result<()> {
    match file::make_folder(PLACE, 0o755) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(error) => return Err(error),
    }
    if plan.access == Access::Write {
        match mount_any(disk, plan, 0) {
            Err(error @ (Errno::EROFS | Errno::EACCES)) => {
                let disk = say::Shown(disk);
                say::text(format_args!("{disk} cannot be written ({error}); it is mounted read-only"));
            }
            result => return result,
        }
    }
    mount_any(disk, plan, MS_RDONLY)
}

/// As the first kind that fits. EINVAL means that it is another one.
fn mount_any(disk: &CStr, plan: &RootPlan, flags: usize) -> Result<()> {
    let text = file::read(c"/proc/filesystems", 64 << 10).unwrap_or_default();
    let known: Vec<Vec<u8>> = boot_line::disk_kinds(&text).map(<[u8]>::to_vec).collect();
    let kinds = if plan.kinds.is_empty() { &known } else { &plan.kinds };
    let options = file::path(&[&plan.options])?;
    let mut result = Err(Errno::ENODEV);
    for kind in kinds {
        let kind = file::path(&[kind])?;
        result = system::mount(disk, PLACE, &kind, flags, &options);
        if !matches!(result, Err(Errno::EINVAL | Errno::ENODEV)) {
            break;
        }
    }
    result
}

/// Makes [`PLACE`] the root and runs its init; comes back with what went wrong.
fn switch(plan: &RootPlan) -> Errno {
    let prepared = || -> Result<()> {
        for place in [c"/proc", c"/sys", c"/dev", c"/run"] {
            let target = file::path(&[PLACE.to_bytes(), place.to_bytes()])?;
            let _ = file::make_folder(&target, 0o755);
            if system::mount(place, &target, c"", MS_MOVE, c"").is_err() {
                let _ = system::unmount(place, MNT_DETACH);
            }
        }
        let _ = system::unmount(c"/tmp", MNT_DETACH);
        let own = file::status(c"/")?.device();
        remove_below(c"/", own, 0);
        file::change_folder(PLACE)?;
        system::mount(c".", c"/", c"", MS_MOVE, c"")?;
        system::change_root(c".")?;
        file::change_folder(c"/")
    };
    if let Err(error) = prepared() {
        return error;
    }
    let environment: Vec<&CStr> = env::environment().collect();
    let wanted = plan.init.as_ref().and_then(|init| file::path(&[init]).ok());
    let mut error = Errno::ENOENT;
    for program in wanted.as_deref().into_iter().chain(FIRST_PROGRAMS) {
        error = process::execute(program, &[program], &environment);
        if error != Errno::ENOENT {
            say::text(format_args!("cannot run {}: {error}", say::Shown(program)));
        }
    }
    error
}

/// No initramfs is deeper; the stack is not endless.
const DEEPEST: u32 = 64;

/// Removes what is in a folder and on the same file system. What cannot be removed only costs memory.
fn remove_below(folder: &CStr, device: u64, depth: u32) {
    let Ok(names) = file::names(folder) else { return };
    for name in names {
        let Ok(path) = file::path(&[folder.to_bytes(), b"/", name.to_bytes()]) else { continue };
        let Ok(status) = file::link_status(&path) else { continue };
        if status.device() != device {
            continue;
        }
        if status.is(S_IFDIR) {
            if depth < DEEPEST {
                remove_below(&path, device, depth + 1);
            }
            let _ = file::remove_folder(&path);
        } else {
            let _ = file::remove(&path);
        }
    }
}
