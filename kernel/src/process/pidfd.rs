//! Descriptors of processes: pidfd_open(2).

use alloc::sync::Arc;
use core::any::Any;

use abi::Result;
use abi::file::{O_RDWR, POLLIN, POLLRDNORM};
use logic::fd_table::OnExec;
use nucleus::sched::WaitQueue;
use nucleus::vfs::file::Seeking;
use nucleus::vfs::{Attributes, Events, File, FileKind, OpenFile};

use super::files::Reserved;
use super::task::{Cx, Process};
use super::tree;

/// A process, as a file.
pub(crate) struct PidFile(Arc<Process>);

impl File for PidFile {
    fn ready(&self) -> Events {
        let is_over = tree::with(|tree| tree.node(self.0.pid).map_or(true, |node| node.zombie.is_some()));
        Events(if is_over { POLLIN | POLLRDNORM } else { 0 })
    }

    fn for_each_queue(&self, visit: &mut dyn FnMut(&WaitQueue)) {
        visit(&self.0.ended);
    }

    fn seeking(&self) -> Seeking {
        Seeking::Stream
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Opens one.
pub(crate) fn open(process: &Arc<Process>, flags: u32) -> Arc<OpenFile> {
    OpenFile::nameless(Arc::new(PidFile(process.clone())), attributes(), O_RDWR | flags)
}

/// What fstat(2) says of files that only the kernel knows.
pub(crate) fn attributes() -> Attributes {
    let now = nucleus::clock::realtime();
    Attributes {
        device: 0xd,
        number: 1,
        kind: FileKind::Regular,
        permissions: 0o600,
        links: 1,
        user: 0,
        group: 0,
        device_number: 0,
        size: 0,
        blocks: 0,
        block_size: 4096,
        accessed: now,
        modified: now,
        changed: now,
    }
}

/// A number for one.
pub(crate) fn reserve(cx: &Cx) -> Result<Reserved<'_>> {
    cx.files.reserve(OnExec::Close, cx.process().limits.files())
}

/// The process behind an open file, if it is a pidfd.
pub(crate) fn process_of(file: &OpenFile) -> Option<Arc<Process>> {
    file.file().as_any().downcast_ref::<PidFile>().map(|file| file.0.clone())
}
