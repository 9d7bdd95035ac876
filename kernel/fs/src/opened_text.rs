//! A text that is made when a file is read from the start, and stays as it is until it is read from there again: what
//! procfs and sysfs open. Lock: rank `Stream`, around the text.

use alloc::vec::Vec;

use abi::{Errno, Result};
use hal::rank;
use logic::proc_text::Text;
use nucleus::sched::Mutex;
use nucleus::vfs::{ByteSink, ByteSource, Transfer};

/// See the module.
pub(crate) struct OpenedText(Mutex<Vec<u8>, rank::Stream>);

impl OpenedText {
    /// Nothing yet.
    pub(crate) const fn new() -> Self {
        OpenedText(Mutex::new(Vec::new()))
    }

    /// Shows another text from now on.
    ///
    /// # Errors
    /// ENOMEM if there was none for the whole text.
    pub(crate) fn renew(&self, text: Text) -> Result<()> {
        let text = text.finish().ok_or(Errno::ENOMEM)?;
        let old = core::mem::replace(&mut *self.0.lock(), text);
        drop(old);
        Ok(())
    }

    /// Gives what is there from the transfer's position on.
    ///
    /// # Errors
    /// EFAULT.
    pub(crate) fn read(&self, transfer: &Transfer, to: &mut dyn ByteSink) -> Result<usize> {
        let text = self.0.lock();
        let start = usize::try_from(transfer.position).unwrap_or(usize::MAX);
        let rest = text.get(start..).unwrap_or_default();
        let wanted = rest.len().min(to.room());
        if wanted == 0 { Ok(0) } else { to.put(&rest[..wanted]) }
    }
}

/// The next `wanted` bytes that somebody writes, or as many as there are.
///
/// # Errors
/// EFAULT, ENOMEM.
pub(crate) fn written(from: &mut dyn ByteSource, wanted: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(wanted).map_err(|_| Errno::ENOMEM)?;
    bytes.resize(wanted, 0);
    let count = from.take(&mut bytes)?;
    bytes.truncate(count);
    Ok(bytes)
}
