//! Devices without hardware: null, zero, full, random, urandom, kmsg (null(4), full(4), random(4)).
//!
//! Locks: `Table`, around the generator's key, held while one block is made of it; `Stream`, around the position of one
//! open kmsg.

mod kmsg;
mod random;

use alloc::sync::Arc;
use core::any::Any;

use abi::file::device_number;
use abi::{Errno, Result};
use hal::frames::SharedFrame;
use logic::addr::PAGE_LEN;
use nucleus::mm::PageSource;
use nucleus::vfs::device::{self, Device, Registered};
use nucleus::vfs::file::Seeking;
use nucleus::vfs::{ByteSink, ByteSource, Change, File, FileKind, Transfer};

pub use self::random::{fill_random, random_u64};
use crate::tmpfs::{self, Sealing};

/// The major number of Linux's memory devices.
const MAJOR: u32 = 1;

/// Minor number, name, permissions.
const DEVICES: [(u32, &str, u32); 6] = [
    (3, "null", 0o666),
    (5, "zero", 0o666),
    (7, "full", 0o666),
    (8, "random", 0o666),
    (9, "urandom", 0o666),
    (11, "kmsg", 0o644),
];

/// Makes the devices known, and seeds the generator.
///
/// # Errors
/// ENOMEM.
pub fn register() -> Result<()> {
    random::seed();
    let shared: Arc<dyn Device> = Arc::new(Devices);
    for (minor, name, permissions) in DEVICES {
        let (kind, number) = (FileKind::CharDevice, device_number(MAJOR, minor));
        device::register(Registered { kind, number, name, permissions, device: shared.clone() })?;
    }
    Ok(())
}

/// Whether mapping `file` privately means memory that is zero until written.
pub fn is_zero(file: &dyn File) -> bool {
    file.as_any().is::<Zero>()
}

struct Devices;

impl Device for Devices {
    fn open(&self, number: u64, _flags: u32) -> Result<Arc<dyn File>> {
        Ok(match abi::file::device_parts(number).1 {
            3 => Arc::new(Null),
            5 => Arc::new(Zero),
            7 => Arc::new(Full),
            8 | 9 => Arc::new(random::Random),
            11 => Arc::new(kmsg::Kmsg::new()),
            _ => return Err(Errno::ENXIO),
        })
    }
}

/// Nothing to read, and room for everything.
struct Null;
/// Zeros, and room for everything.
struct Zero;
/// Zeros, and no room.
struct Full;

/// Gives zeros as long as there is room.
fn read_zeros(to: &mut dyn ByteSink) -> Result<usize> {
    let zeros = SharedFrame::zero()?;
    let mut done = 0;
    while to.room() > 0 {
        let wanted = to.room().min(PAGE_LEN);
        match to.put_page(&zeros, 0, wanted) {
            Ok(count) => {
                done += count;
                if count < wanted {
                    break;
                }
            }
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

impl File for Null {
    fn seeking(&self) -> Seeking {
        Seeking::Nowhere
    }

    fn read(&self, _transfer: &Transfer, _to: &mut dyn ByteSink) -> Result<usize> {
        Ok(0)
    }

    fn write(&self, _transfer: &Transfer, from: &mut dyn ByteSource) -> Result<usize> {
        // As on Linux the bytes are not even looked at: a bad address is no error.
        Ok(from.left())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl File for Zero {
    fn seeking(&self) -> Seeking {
        Seeking::Nowhere
    }

    fn read(&self, _transfer: &Transfer, to: &mut dyn ByteSink) -> Result<usize> {
        read_zeros(to)
    }

    fn write(&self, _transfer: &Transfer, from: &mut dyn ByteSource) -> Result<usize> {
        Ok(from.left())
    }

    /// Memory for who shares it; a private mapping need not ask (`is_zero`).
    fn pages(self: Arc<Self>) -> Option<Arc<dyn PageSource>> {
        let (inode, file) = tmpfs::anonymous(b"/dev/zero", Sealing::Forbidden).ok()?;
        inode.change(&Change { size: Some(i64::MAX as u64), ..Change::default() }).ok()?;
        file.pages()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl File for Full {
    fn seeking(&self) -> Seeking {
        Seeking::Nowhere
    }

    fn read(&self, _transfer: &Transfer, to: &mut dyn ByteSink) -> Result<usize> {
        read_zeros(to)
    }

    fn write(&self, _transfer: &Transfer, from: &mut dyn ByteSource) -> Result<usize> {
        if from.left() == 0 { Ok(0) } else { Err(Errno::ENOSPC) }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests;
