//! The kernel log as a file: each read gives one record, each write adds one (Linux's
//! Documentation/ABI/testing/dev-kmsg).

use alloc::format;
use alloc::string::String;
use core::any::Any;

use abi::file::{POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM};
use abi::{Errno, Result};
use hal::{rank, time};
use nucleus::log::{self, Level};
use nucleus::sched::{Mutex, WaitQueue};
use nucleus::vfs::file::Seeking;
use nucleus::vfs::{ByteSink, ByteSource, Events, File, Transfer};

/// Longest message that may be written, as Linux's `LOG_LINE_MAX`.
const LONGEST: usize = 992;
/// How often who waits for a message looks: the log is written where nobody may be woken.
const LOOK_EVERY_NS: u64 = 100_000_000;

/// The log, open.
pub(super) struct Kmsg {
    /// The record to be read next.
    next: Mutex<u64, rank::Stream>,
    /// Nobody ever wakes it: who waits looks again after a while.
    waiters: WaitQueue,
}

impl Kmsg {
    pub(super) const fn new() -> Self {
        Kmsg { next: Mutex::new(0), waiters: WaitQueue::new() }
    }

    fn try_read(&self, to: &mut dyn ByteSink) -> Result<usize> {
        let mut next = self.next.lock();
        let mut found = (*next, String::new());
        let exists = log::read_one(*next, |sequence, time_ns, level, text| {
            found = (sequence, format!("{level},{sequence},{},-;{text}\n", time_ns / 1000));
        });
        if !exists {
            return Err(Errno::EAGAIN);
        }
        if found.1.len() > to.room() {
            return Err(Errno::EINVAL);
        }
        let count = to.put(found.1.as_bytes())?;
        *next = found.0 + 1;
        Ok(count)
    }
}

impl File for Kmsg {
    fn read(&self, transfer: &Transfer, to: &mut dyn ByteSink) -> Result<usize> {
        loop {
            let wait = transfer.wait.until(time::now_ns() + LOOK_EVERY_NS);
            match self.waiters.block_until(wait, || self.try_read(to)) {
                Err(Errno::ETIMEDOUT) => {}
                outcome => return outcome,
            }
        }
    }

    fn write(&self, _transfer: &Transfer, from: &mut dyn ByteSource) -> Result<usize> {
        let len = from.left();
        if len > LONGEST {
            return Err(Errno::EINVAL);
        }
        let mut bytes = [0; LONGEST];
        let count = from.take(&mut bytes[..len])?;
        let (level, text) = level(&bytes[..count]);
        let text = core::str::from_utf8(text).map_err(|_| Errno::EINVAL)?;
        log::write(level, format_args!("{}", text.trim_end_matches('\n')));
        Ok(count)
    }

    fn ready(&self) -> Events {
        let next = *self.next.lock();
        let can_read = if log::read_one(next, |_, _, _, _| {}) { POLLIN | POLLRDNORM } else { 0 };
        Events(can_read | POLLOUT | POLLWRNORM)
    }

    fn seeking(&self) -> Seeking {
        Seeking::Stream
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Takes `<N>` off the front; the lower three bits are the level, the rest says who speaks.
fn level(bytes: &[u8]) -> (Level, &[u8]) {
    let prefix = bytes.strip_prefix(b"<").and_then(|rest| {
        let end = rest.iter().position(|&byte| byte == b'>')?;
        let number: u32 = core::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
        Some((number & 7, &rest[end + 1..]))
    });
    let Some((number, text)) = prefix else { return (Level::Warning, bytes) };
    let level = match number {
        0..=2 => Level::Emergency,
        3 => Level::Error,
        4 => Level::Warning,
        5 => Level::Notice,
        6 => Level::Info,
        _ => Level::Debug,
    };
    (level, text)
}
