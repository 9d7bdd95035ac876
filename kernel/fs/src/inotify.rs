//! inotify(7): the file that events are read from. What makes them is [`nucleus::vfs::watch`]; no lock of its own.

use alloc::sync::Arc;
use core::any::Any;

use abi::file::{POLLIN, POLLRDNORM};
use abi::{Errno, Result};
use hal::usermem;
use nucleus::sched::WaitQueue;
use nucleus::vfs::file::Seeking;
use nucleus::vfs::watch::Reader;
use nucleus::vfs::{ByteSink, Events, File, OpenFile, Transfer};

/// ioctl(2): how many bytes can be read.
const FIONREAD: u32 = 0x541b;

/// An instance, as a file.
pub struct Inotify(Arc<Reader>);

/// One that watches nothing, of this user.
///
/// # Errors
/// EMFILE if the user has too many, ENOMEM.
pub fn open(user: u32) -> Result<Arc<dyn File>> {
    Ok(Arc::new(Inotify(Reader::new(user)?)))
}

/// Who reads from an open file, if it is an instance.
pub fn reader(file: &OpenFile) -> Option<&Arc<Reader>> {
    file.file().as_any().downcast_ref::<Inotify>().map(|file| &file.0)
}

impl Inotify {
    /// As many whole events as fit.
    fn take(&self, to: &mut dyn ByteSink) -> Result<usize> {
        let mut done = 0;
        loop {
            let room = to.room();
            let next = self.0.with_queue(|queue| match queue.first() {
                None => Err(Errno::EAGAIN),
                Some(first) if first.len() > room => Err(Errno::EINVAL),
                Some(_) => queue.take().ok_or(Errno::EAGAIN),
            });
            // Without the queue's lock: user memory may have to be brought in.
            let put = next.and_then(|event| {
                event.encode(|part| to.put(part).map(|_| ()))?;
                Ok(event.len())
            });
            match put {
                Ok(len) => done += len,
                Err(_) if done > 0 => return Ok(done),
                Err(error) => return Err(error),
            }
        }
    }
}

impl File for Inotify {
    fn read(&self, transfer: &Transfer, to: &mut dyn ByteSink) -> Result<usize> {
        self.0.queue().block_until(transfer.wait, || self.take(to))
    }

    fn ready(&self) -> Events {
        Events(if self.0.with_queue(|queue| queue.is_empty()) { 0 } else { POLLIN | POLLRDNORM })
    }

    fn for_each_queue(&self, visit: &mut dyn FnMut(&WaitQueue)) {
        visit(self.0.queue());
    }

    fn sends_signals(&self) -> bool {
        true
    }

    fn control(&self, request: u32, argument: u64) -> Result<u64> {
        if request != FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let len = self.0.with_queue(|queue| queue.len());
        usermem::write(argument, &i32::try_from(len).unwrap_or(i32::MAX))?;
        Ok(0)
    }

    fn seeking(&self) -> Seeking {
        Seeking::Stream
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for Inotify {
    fn drop(&mut self) {
        self.0.close();
    }
}
