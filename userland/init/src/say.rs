//! Messages of process 1: lines on the console that begin with `init: `. What cannot be said is lost.

use core::ffi::CStr;
use core::fmt;

use nrlib::{Result, eprintln};

pub use nrlib::io::Text as Bytes;

/// A name, for a message.
pub struct Shown<'a>(pub &'a CStr);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Bytes(self.0.to_bytes()).fmt(f)
    }
}

/// Says this.
pub fn line(text: &str) {
    let _ = eprintln!("init: {text}");
}

/// Says what is formatted.
pub fn text(arguments: fmt::Arguments<'_>) {
    let _ = eprintln!("init: {arguments}");
}

/// Says what did not work, if it did not.
pub fn problem<T>(what: &str, result: Result<T>) {
    if let Err(error) = result {
        text(format_args!("{what}: {error}"));
    }
}
