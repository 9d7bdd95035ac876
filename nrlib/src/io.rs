//! Buffered reading and writing, and `print!`.
//!
//! `print!` and its kin write what one call formats by one write(2) where it fits 256 bytes, and return the error. A
//! [`Writer`] gathers the output of many calls; whoever has one flushes it. `write!` works with it and returns `Result`.

use alloc::vec::Vec;
use core::fmt;

use abi::{Errno, Result};

use crate::file::Descriptor;

/// Gathers up to `SIZE` bytes before they are written.
pub struct Writer<const SIZE: usize> {
    to: Descriptor,
    buffer: [u8; SIZE],
    used: usize,
    failed: Option<Errno>,
}

impl<const SIZE: usize> Writer<SIZE> {
    /// Nothing gathered yet.
    pub const fn new(to: Descriptor) -> Self {
        Self { to, buffer: [0; SIZE], used: 0, failed: None }
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// Those of write(2), if the buffer had to be written.
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.len() > SIZE - self.used {
            self.flush()?;
        }
        match self.buffer.get_mut(self.used..self.used + bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.used += bytes.len();
                Ok(())
            }
            None => self.to.write_all(bytes),
        }
    }

    /// Adds what `write!` formats.
    ///
    /// # Errors
    /// Those of write(2).
    pub fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) -> Result<()> {
        match fmt::Write::write_fmt(self, arguments) {
            Ok(()) => Ok(()),
            Err(fmt::Error) => Err(self.failed.take().unwrap_or(Errno::EIO)),
        }
    }

    /// Writes what was gathered.
    ///
    /// # Errors
    /// Those of write(2); the bytes are given up.
    pub fn flush(&mut self) -> Result<()> {
        let bytes = self.buffer.get(..self.used).unwrap_or_default();
        self.used = 0;
        self.to.write_all(bytes)
    }
}

impl<const SIZE: usize> fmt::Write for Writer<SIZE> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes()).map_err(|error| {
            self.failed = Some(error);
            fmt::Error
        })
    }
}

/// Formats to a descriptor at once: what `print!` becomes.
///
/// # Errors
/// Those of write(2).
pub fn print(to: Descriptor, arguments: fmt::Arguments<'_>) -> Result<()> {
    let mut writer = Writer::<256>::new(to);
    writer.write_fmt(arguments)?;
    writer.flush()
}

/// Writes to standard output.
#[macro_export]
macro_rules! print {
    ($($arguments:tt)*) => { $crate::io::print($crate::file::STDOUT, ::core::format_args!($($arguments)*)) };
}

/// Writes a line to standard output.
#[macro_export]
macro_rules! println {
    ($($arguments:tt)*) => {
        $crate::io::print($crate::file::STDOUT, ::core::format_args!("{}\n", ::core::format_args!($($arguments)*)))
    };
}

/// Writes a line to standard error.
#[macro_export]
macro_rules! eprintln {
    ($($arguments:tt)*) => {
        $crate::io::print($crate::file::STDERR, ::core::format_args!("{}\n", ::core::format_args!($($arguments)*)))
    };
}

/// Bytes that are probably text, for messages: what is no UTF-8, and control characters, are shown as `?`.
pub struct Text<'a>(pub &'a [u8]);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for letter in chunk.valid().chars() {
                let shown = if letter.is_control() { '?' } else { letter };
                fmt::Write::write_char(f, shown)?;
            }
            if !chunk.invalid().is_empty() {
                f.write_str("?")?;
            }
        }
        Ok(())
    }
}

/// Reads lines, at most `limit` bytes each.
pub struct Lines {
    from: Descriptor,
    limit: usize,
    buffer: Vec<u8>,
    is_ended: bool,
}

impl Lines {
    /// From the place where `from` is.
    pub const fn new(from: Descriptor, limit: usize) -> Self {
        Self { from, limit, buffer: Vec::new(), is_ended: false }
    }

    /// The next line without its end; `None` after the last.
    ///
    /// # Errors
    /// Those of read(2), also EINTR; EFBIG for a line that is too long; ENOMEM.
    pub fn next_line(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                line.pop();
                return Ok(Some(line));
            }
            if self.is_ended {
                let rest = core::mem::take(&mut self.buffer);
                return Ok((!rest.is_empty()).then_some(rest));
            }
            if self.buffer.len() > self.limit {
                return Err(Errno::EFBIG);
            }
            let mut chunk = [0; 512];
            let count = self.from.read(&mut chunk)?;
            self.is_ended = count == 0;
            let fresh = chunk.get(..count).unwrap_or_default();
            self.buffer.try_reserve(fresh.len()).map_err(|_| Errno::ENOMEM)?;
            self.buffer.extend_from_slice(fresh);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file;
    use std::format;

    #[test]
    fn lines_come_whole_however_they_were_written() {
        let (from, to) = file::pipe().unwrap();
        let mut writer = Writer::<8>::new(*to);
        write!(writer, "one\na line longer than the buffer\n\nlast {}", 7).unwrap();
        writer.flush().unwrap();
        drop(to);
        let mut lines = Lines::new(*from, 100);
        for expected in ["one", "a line longer than the buffer", "", "last 7"] {
            assert_eq!(lines.next_line().unwrap().unwrap(), expected.as_bytes());
        }
        assert_eq!(lines.next_line(), Ok(None));
    }

    #[test]
    fn a_line_that_is_too_long_is_refused() {
        let (from, to) = file::pipe().unwrap();
        to.write_all(&[b'x'; 700]).unwrap();
        assert_eq!(Lines::new(*from, 600).next_line(), Err(Errno::EFBIG));
    }

    #[test]
    fn an_error_of_writing_comes_back() {
        let mut writer = Writer::<4>::new(Descriptor(-1));
        assert_eq!(write!(writer, "12345"), Err(Errno::EBADF));
        assert_eq!(format!("{}", Text(b"a\x1b[\xffb\n")), "a?[?b?");
    }
}
