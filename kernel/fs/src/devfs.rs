//! `/dev`: one tmpfs for the whole system, with a node for each device that is known (Linux's devtmpfs).
//!
//! No lock of its own: who fills it while another does finds the other's nodes. Programs may make and remove files there
//! as in any tmpfs.

use alloc::sync::Arc;

use abi::{Errno, Result};
use hal::frames;
use hal::spin::Once;
use nucleus::vfs::device::{self, Registered};
use nucleus::vfs::{FileKind, FileSystem, Inode, NewNode};

use crate::tmpfs::{Options, Tmpfs};

static SYSTEM: Once<Arc<Tmpfs>> = Once::new();

/// The file system, with nodes for the devices known by now.
///
/// # Errors
/// ENOMEM, ENOSPC.
pub fn shared() -> Result<Arc<dyn FileSystem>> {
    let system = match SYSTEM.get() {
        Some(system) => system,
        None => {
            let options = Options { permissions: 0o755, ..Options::defaults(frames::stats().total as u64) };
            let new = Tmpfs::with_options(&options, "devtmpfs")?;
            SYSTEM.call_once(|| new)
        }
    };
    fill(system)?;
    Ok(system.clone())
}

/// Makes nodes for devices that became known since, if anybody ever asked for the file system.
///
/// # Errors
/// As `shared`.
pub fn refresh() -> Result<()> {
    SYSTEM.get().map_or(Ok(()), |system| fill(system))
}

fn fill(system: &Tmpfs) -> Result<()> {
    for registered in device::all() {
        match add(&system.root(), &registered) {
            Err(Errno::EEXIST) | Ok(()) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes the node, and the directories that its name names.
fn add(root: &Arc<dyn Inode>, registered: &Registered) -> Result<()> {
    let mut directory = root.clone();
    let mut names = registered.name.split('/').peekable();
    while let Some(name) = names.next() {
        let is_last = names.peek().is_none();
        let kind = if is_last { registered.kind } else { FileKind::Directory };
        let permissions = if is_last { registered.permissions } else { 0o755 };
        let device_number = if is_last { registered.number } else { 0 };
        let node = NewNode { kind, permissions, user: 0, group: 0, device_number, target: b"" };
        directory = match directory.create(name.as_bytes(), &node) {
            Err(Errno::EEXIST) if !is_last => directory.lookup(name.as_bytes())?,
            made => made?,
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devices;
    use crate::test_support::boot;

    #[test]
    fn every_device_has_a_node() {
        let _boot = boot();
        devices::register().unwrap();
        let root = shared().unwrap().root();
        let attributes = root.lookup(b"null").unwrap().attributes();
        assert_eq!(attributes.kind, FileKind::CharDevice);
        assert_eq!((attributes.device_number, attributes.permissions), (0x103, 0o666));
        assert_eq!(shared().unwrap().kind(), "devtmpfs");
        assert!(Arc::ptr_eq(&root, &shared().unwrap().root()), "there is one for all");
        root.remove(b"full", nucleus::vfs::inode::Removal::File).unwrap();
        refresh().unwrap();
        assert!(root.lookup(b"full").is_ok());
        let open = device::open(attributes.kind, attributes.device_number, 0).unwrap();
        assert_eq!(open.ready(), nucleus::vfs::Events::ALWAYS);
    }
}
