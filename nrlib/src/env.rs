//! What a program was started with: arguments, environment, name.

use core::ffi::CStr;

use crate::sys::start;

pub use crate::sys::start::{Texts, arguments, auxiliary, environment};

/// The value of a variable.
pub fn variable(name: &[u8]) -> Option<&'static [u8]> {
    environment().find_map(|text| text.to_bytes().strip_prefix(name)?.strip_prefix(b"="))
}

/// The last part of the name the program was started by; a login shell's dash is left out.
pub fn program_name() -> &'static [u8] {
    let name = start::arguments().next().map_or(&b"?"[..], CStr::to_bytes);
    let name = name.strip_prefix(b"-").unwrap_or(name);
    name.rsplit(|&byte| byte == b'/').next().unwrap_or(name)
}
