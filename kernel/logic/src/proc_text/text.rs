//! Where the bytes go: a buffer that notes when memory ran out instead of panicking.

use alloc::vec::Vec;
use core::fmt;

/// A text that grows.
#[derive(Debug, Default)]
pub struct Text {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Text {
    /// The empty text.
    pub const fn new() -> Self {
        Text { bytes: Vec::new(), is_cut: false }
    }

    /// Appends bytes that need be no text.
    pub fn raw(&mut self, bytes: &[u8]) {
        if self.is_cut || self.bytes.try_reserve(bytes.len()).is_err() {
            self.is_cut = true;
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Appends a formatted text.
    pub fn put(&mut self, arguments: fmt::Arguments<'_>) {
        // `write_str` never fails, it notes.
        let _ = fmt::Write::write_fmt(self, arguments);
    }

    /// Appends bytes, those in `special` as `\ooo` (Linux's `mangle_path`).
    pub fn escaped(&mut self, bytes: &[u8], special: &[u8]) {
        for byte in bytes {
            if special.contains(byte) {
                self.put(format_args!("\\{byte:03o}"));
            } else {
                self.raw(&[*byte]);
            }
        }
    }

    /// Appends spaces until the line that started at `line` has `width` bytes.
    pub fn pad(&mut self, line: usize, width: usize) {
        while self.bytes.len() < line + width && !self.is_cut {
            self.raw(b" ");
        }
    }

    /// Bytes so far.
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was appended.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes; none if memory ran out on the way.
    pub fn finish(self) -> Option<Vec<u8>> {
        (!self.is_cut).then_some(self.bytes)
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.raw(text.as_bytes());
        Ok(())
    }
}

/// Appends formatted text: `line!(text, "{}", number)`.
macro_rules! line {
    ($text:expr, $($argument:tt)*) => { $text.put(format_args!($($argument)*)) };
}
pub(super) use line;
