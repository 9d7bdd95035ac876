//! The root file system on a disk: `root=`, as Linux takes it.

use alloc::string::String;
use alloc::sync::Arc;

use abi::{Errno, Result};
use fs::ext2::{Ext2, Writing};
use logic::cmdline::{BootOptions, RootAccess};
use nucleus::block::{self, Disk};
use nucleus::vfs::{FileSystem, Place, mount};
use nucleus::{error, info, warning};

/// Mounts what `root=` names over the first file system.
///
/// # Errors
/// What is wrong has been said.
pub(crate) fn mount_from_disk(options: &BootOptions<'_>, over: &Place) -> core::result::Result<Place, ()> {
    let Some(name) = options.root else {
        error!("there is no first program: name a root disk with root=/dev/vda, or give QEMU -initrd");
        return Err(());
    };
    let Some(disk) = find(name) else {
        error!("there is no disk {name} for the root file system; there are: {}", all_names());
        return Err(());
    };
    let (file_system, flags) = open(&disk, options.root_access).map_err(|error| {
        let name = disk.name();
        error!("cannot mount the root file system on {name}: {error}; is there an ext2 file system on it?");
    })?;
    let source = alloc::format!("/dev/{}", disk.name());
    let mounted = mount::mount(file_system, Some(over.clone()), source.as_bytes(), flags);
    let place = mounted.map_err(|error| error!("cannot mount the root file system: {error}"))?;
    let access = if flags & mount::READ_ONLY == 0 { "read-write" } else { "read-only" };
    info!("root file system: {} (ext2, {access})", disk.name());
    Ok(place)
}

/// The disk by name, number, PARTUUID=, or by what its file system says: UUID=, LABEL=.
fn find(name: &str) -> Option<Arc<Disk>> {
    if let Some(wanted) = name.strip_prefix("UUID=") {
        let wanted = uuid(wanted)?;
        return block::all()
            .into_iter()
            .find(|disk| Ext2::identify(disk).is_some_and(|id| id.uuid == wanted));
    }
    if let Some(wanted) = name.strip_prefix("LABEL=") {
        let is_it = |label: &[u8; 16]| {
            let len = label.iter().position(|&byte| byte == 0).unwrap_or(label.len());
            &label[..len] == wanted.as_bytes()
        };
        return block::all().into_iter().find(|disk| Ext2::identify(disk).is_some_and(|id| is_it(&id.label)));
    }
    block::find(name)
}

/// The 16 bytes of a UUID in its usual text form.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let mut digits = text.chars().filter(|&letter| letter != '-').map(|letter| letter.to_digit(16));
    let mut bytes = [0; 16];
    for byte in &mut bytes {
        let (high, low) = (digits.next()??, digits.next()??);
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    digits.next().is_none().then_some(bytes)
}

fn all_names() -> String {
    let mut names = String::new();
    for disk in block::all() {
        if !names.is_empty() {
            names.push_str(", ");
        }
        names.push_str(disk.name());
    }
    if names.is_empty() {
        names.push_str("none");
    }
    names
}

/// Opens it as asked for, or, if it cannot be written, for reading.
fn open(disk: &Arc<Disk>, access: RootAccess) -> Result<(Arc<dyn FileSystem>, u32)> {
    if access == RootAccess::ReadWrite {
        match Ext2::open(disk.clone(), Writing::Allowed) {
            Ok(file_system) => return Ok((file_system, 0)),
            Err(error @ (Errno::EROFS | Errno::EINVAL)) => {
                warning!("{} cannot be written ({error}); mounting it read-only", disk.name());
            }
            Err(error) => return Err(error),
        }
    }
    Ok((Ext2::open(disk.clone(), Writing::Forbidden)?, mount::READ_ONLY))
}
