//! What can be opened: read, written, listed, waited for.

use alloc::sync::Arc;

use abi::file::{POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM};
use abi::{Errno, Result};

use super::bytes::{ByteSink, ByteSource};
use super::inode::FileKind;
use super::storage::Storage;
use crate::mm::PageSource;
use crate::sched::{Wait, WaitQueue};

/// What poll(2) may report; a set of `POLL` bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events(pub u16);

impl Events {
    /// What a file that never waits always reports.
    pub const ALWAYS: Events = Events(POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);

    /// Both.
    #[must_use]
    pub const fn and(self, other: Events) -> Events {
        Events(self.0 | other.0)
    }
}

/// How a read or write is meant.
#[derive(Clone, Copy, Debug)]
pub struct Transfer {
    /// Where in the file; streams do not care.
    pub position: u64,
    /// Whether it may wait.
    pub wait: Wait,
}

/// What gets the names of a directory. It is called under the directory's lock, so it keeps them in kernel memory.
pub trait Listing {
    /// Takes a name: inode number, kind, and the position after it. Says whether it had room.
    fn add(&mut self, name: &[u8], number: u64, kind: FileKind, next: u64) -> bool;
}

/// Whether a file has positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seeking {
    /// Reads and writes happen somewhere.
    Positions,
    /// It is a stream (ESPIPE).
    Stream,
    /// Reads happen somewhere in what is made anew for each from the start; writes, wherever.
    Renewed,
    /// Every position is the start, as in `/dev/null`.
    Nowhere,
}

/// Something open. One object may serve several open files.
pub trait File: Send + Sync {
    /// Reads.
    ///
    /// # Errors
    /// EAGAIN if it must not wait, EFAULT, EINTR and its kin, EIO.
    fn read(&self, _transfer: &Transfer, _to: &mut dyn ByteSink) -> Result<usize> {
        Err(Errno::EINVAL)
    }

    /// Makes what it shows, where that is made for who reads ([`Seeking::Renewed`]): called without a lock before a read
    /// or a listing from the start.
    ///
    /// # Errors
    /// ENOMEM, ESRCH, EACCES.
    fn renew(&self) -> Result<()> {
        Ok(())
    }

    /// Writes.
    ///
    /// # Errors
    /// As `read`, and EPIPE, ENOSPC, EFBIG.
    fn write(&self, _transfer: &Transfer, _from: &mut dyn ByteSource) -> Result<usize> {
        Err(Errno::EINVAL)
    }

    /// Writes at the end, wherever that is by then (`O_APPEND`); says where the bytes end, and how many they are.
    ///
    /// # Errors
    /// As `write`.
    fn append(&self, _wait: Wait, _from: &mut dyn ByteSource) -> Result<(u64, usize)> {
        Err(Errno::EINVAL)
    }

    /// What it can do if it is stored somewhere.
    fn storage(&self) -> Option<&dyn Storage> {
        None
    }

    /// What is possible now.
    fn ready(&self) -> Events {
        Events::ALWAYS
    }

    /// The queues where one waits for `ready` to change.
    fn for_each_queue(&self, _visit: &mut dyn FnMut(&WaitQueue)) {}

    /// How often something came that may make it ready for some of `wanted`: what edge-triggered watchers compare. A file
    /// whose queues stand for different things counts those that are meant.
    fn changes(&self, _wanted: Events) -> u64 {
        let mut sum = 0_u64;
        self.for_each_queue(&mut |queue| sum = sum.wrapping_add(queue.signals()));
        sum
    }

    /// Whether it tells of itself by signals, too (fcntl(2): `O_ASYNC`).
    fn sends_signals(&self) -> bool {
        false
    }

    /// ioctl(2); `argument` may be an address of the running program.
    ///
    /// # Errors
    /// ENOTTY for what it does not know.
    fn control(&self, _request: u32, _argument: u64) -> Result<u64> {
        Err(Errno::ENOTTY)
    }

    /// Where a listing that starts now ends, where new names go to the end: it would never come to it while others make
    /// names as fast as it reads.
    fn list_end(&self) -> u64 {
        u64::MAX
    }

    /// Gives names from `position` on until there is no room; says where it stopped.
    ///
    /// # Errors
    /// ENOTDIR if this is no directory.
    fn list(&self, _position: u64, _to: &mut dyn Listing) -> Result<u64> {
        Err(Errno::ENOTDIR)
    }

    /// What mmap(2) maps.
    fn pages(self: Arc<Self>) -> Option<Arc<dyn PageSource>> {
        None
    }

    /// Whether it has positions.
    fn seeking(&self) -> Seeking {
        Seeking::Positions
    }

    /// Its size, where that is the device's and not its node's.
    fn size(&self) -> Option<u64> {
        None
    }

    /// Itself, for those who know what they opened.
    fn as_any(&self) -> &dyn core::any::Any;
}
