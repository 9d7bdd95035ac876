//! `/proc`: what processes and the system are doing, as text (proc(5)).
//!
//! A file is a line of a table: a name, permissions, and a function that writes its text (`table`, `process`, `system`);
//! the texts themselves are made in [`logic::proc_text`]. What the nucleus does not know is asked through [`source`]'s traits.
//! Names come and go by themselves, so nothing of them is remembered (`Naming::Volatile`): each look-up asks again.
//!
//! Locks: `Stream`, around what one open file shows. It is made before that lock is taken, and before the VFS takes that
//! of the file's position ([`Seeking::Renewed`](nucleus::vfs::file::Seeking)): the locks of processes come before both.
//! Modules, lowest first:
//! - [`source`]: what is asked of processes and the system.
//! - `table`: what a row of the tables is.
//! - `process`: files of a process.
//! - `ipc`: System V IPC.
//! - `settings`: `/proc/sys`.
//! - `disks`: files about disks.
//! - `system`: files of the system.
//! - `node`: names.
//! - `open`: open files and directories.

pub mod source;
mod table;
mod process;
mod ipc;
mod settings;
mod disks;
mod system;
mod node;
mod open;

use alloc::sync::Arc;

use nucleus::vfs::inode::Naming;
use nucleus::vfs::{FileSystem, Inode, Statistics};

use self::node::Node;
pub use self::source::{
    Controls, IpcLimit, IpcSort, Link, ProcessSource, Setting, SystemNow, SystemSource, Target, Who,
};
use crate::identity;

/// Linux's `PROC_SUPER_MAGIC`.
const MAGIC: u64 = 0x9fa0;

/// The file system.
pub struct Procfs {
    processes: &'static dyn ProcessSource,
    system: &'static dyn SystemSource,
    device: u64,
}

/// One mount of it.
struct Mounted(Arc<Procfs>);

impl Procfs {
    /// A file system that asks these.
    #[expect(clippy::new_ret_no_self, reason = "what is mounted is a root; the rest is behind it")]
    pub fn new(
        processes: &'static dyn ProcessSource,
        system: &'static dyn SystemSource,
    ) -> Arc<dyn FileSystem> {
        Arc::new(Mounted(Arc::new(Procfs { processes, system, device: identity::new_device() })))
    }
}

impl FileSystem for Mounted {
    fn root(&self) -> Arc<dyn Inode> {
        Node::root(&self.0)
    }

    fn kind(&self) -> &'static str {
        "proc"
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
