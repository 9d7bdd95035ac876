//! `/sys`: devices, as Linux's tools look for them (sysfs(5)).
//!
//! What is in the machine becomes a list of objects, each with a path below `devices`, a class or bus, and a table of files
//! (`object`, `rows`, `fixed`). All other folders follow from the list: `class`, `bus`, `block` and `dev` hold links to the
//! objects, and a folder exists where some path goes through it (`tree`). Devices come and go, so nothing of their names is
//! remembered (`Naming::Volatile`): each look-up makes the list anew.
//!
//! Who tells: drivers and disks `nucleus::block` and `nucleus::bound`, other devices `nucleus::vfs::device`, the bus
//! `hal::pci`. Lock: `Stream`, around what one open file shows; it is made before that lock is taken.
//! Modules, lowest first:
//! - `object`: the objects, and what a row of their tables is.
//! - `rows`: files of devices.
//! - `fixed`: objects that every machine has.
//! - `machine`: objects that this machine has.
//! - `tree`: folders and links.
//! - `node`: names, open files and directories.

mod object;
mod rows;
mod fixed;
mod machine;
mod tree;
mod node;

use alloc::sync::Arc;

use hal::spin::Once;
use nucleus::vfs::inode::Naming;
use nucleus::vfs::{FileSystem, Inode, Statistics};

use self::node::Node;
use crate::identity;

/// Linux's `SYSFS_MAGIC`.
const MAGIC: u64 = 0x6265_6572;

/// The file system; every mount shows the same.
struct Sysfs {
    device: u64,
}

static SHARED: Once<Arc<Sysfs>> = Once::new();

/// The file system.
pub fn shared() -> Arc<dyn FileSystem> {
    SHARED.call_once(|| Arc::new(Sysfs { device: identity::new_device() })).clone()
}

impl FileSystem for Sysfs {
    fn root(&self) -> Arc<dyn Inode> {
        Node::root(self.device)
    }

    fn kind(&self) -> &'static str {
        "sysfs"
    }

    fn statistics(&self) -> Statistics {
        Statistics { magic: MAGIC, block_size: 4096, ..Statistics::default() }
    }

    fn naming(&self) -> Naming {
        Naming::Volatile
    }
}

#[cfg(test)]
mod tests;
