//! Where bytes come from and go to: user memory, kernel buffers, test vectors. A file never knows which.

use abi::Result;
use hal::frames::SharedFrame;
use logic::addr::PAGE_LEN;

/// Takes bytes.
pub trait ByteSink {
    /// How many more it takes.
    fn room(&self) -> usize;

    /// Takes as many as fit; says how many.
    ///
    /// # Errors
    /// EFAULT if not even the first can be put where it belongs.
    fn put(&mut self, bytes: &[u8]) -> Result<usize>;

    /// The same from a page, from `offset` on, without a copy in between where that is possible.
    ///
    /// # Errors
    /// As `put`.
    fn put_page(&mut self, page: &SharedFrame, offset: usize, len: usize) -> Result<usize> {
        let mut buffer = [0; 256];
        let mut done = 0;
        while done < len {
            let part = &mut buffer[..(len - done).min(256)];
            page.read(offset + done, part);
            match self.put(part) {
                Ok(count) if count == part.len() => done += count,
                Ok(count) => return Ok(done + count),
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}

/// Gives bytes.
pub trait ByteSource {
    /// How many are left.
    fn left(&self) -> usize;

    /// Gives as many as `into` holds; says how many.
    ///
    /// # Errors
    /// EFAULT if not even the first can be had.
    fn take(&mut self, into: &mut [u8]) -> Result<usize>;

    /// The same into a page.
    ///
    /// # Errors
    /// As `take`.
    fn take_to_page(&mut self, page: &SharedFrame, offset: usize, len: usize) -> Result<usize> {
        let mut buffer = [0; 256];
        let mut done = 0;
        while done < len.min(PAGE_LEN.saturating_sub(offset)) {
            let part = &mut buffer[..(len - done).min(256)];
            match self.take(part) {
                Ok(0) => break,
                Ok(count) => {
                    page.write(offset + done, &part[..count]);
                    done += count;
                }
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}

/// A kernel buffer to fill.
pub struct Buffer<'a> {
    bytes: &'a mut [u8],
    done: usize,
}

impl<'a> Buffer<'a> {
    /// Nothing in it yet.
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Buffer { bytes, done: 0 }
    }

    /// How many bytes were put.
    pub fn filled(&self) -> usize {
        self.done
    }
}

impl ByteSink for Buffer<'_> {
    fn room(&self) -> usize {
        self.bytes.len() - self.done
    }

    fn put(&mut self, bytes: &[u8]) -> Result<usize> {
        let count = bytes.len().min(self.room());
        self.bytes[self.done..self.done + count].copy_from_slice(&bytes[..count]);
        self.done += count;
        Ok(count)
    }
}

/// A kernel buffer to read from.
pub struct Slice<'a>(pub &'a [u8]);

impl ByteSource for Slice<'_> {
    fn left(&self) -> usize {
        self.0.len()
    }

    fn take(&mut self, into: &mut [u8]) -> Result<usize> {
        let count = into.len().min(self.0.len());
        let (now, later) = self.0.split_at(count);
        into[..count].copy_from_slice(now);
        self.0 = later;
        Ok(count)
    }
}

/// The first bytes of a source.
pub struct Limited<'a> {
    from: &'a mut dyn ByteSource,
    room: usize,
}

impl<'a> Limited<'a> {
    /// At most `room` of them.
    pub fn new(from: &'a mut dyn ByteSource, room: usize) -> Self {
        Limited { from, room }
    }
}

impl ByteSource for Limited<'_> {
    fn left(&self) -> usize {
        self.from.left().min(self.room)
    }

    fn take(&mut self, into: &mut [u8]) -> Result<usize> {
        let len = into.len().min(self.room);
        let count = self.from.take(&mut into[..len])?;
        self.room -= count;
        Ok(count)
    }

    fn take_to_page(&mut self, page: &SharedFrame, offset: usize, len: usize) -> Result<usize> {
        let count = self.from.take_to_page(page, offset, len.min(self.room))?;
        self.room -= count;
        Ok(count)
    }
}
