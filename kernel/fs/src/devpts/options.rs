//! What mount(2) is told: `uid=`, `gid=`, `mode=`, `ptmxmode=`, `newinstance`, `max=`.

use abi::{Errno, Result};

/// Linux's limit of an instance.
const MAX: u32 = 1 << 20;

/// How nodes are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Permissions of a new slave.
    pub permissions: u32,
    /// Its owner, if not who makes it.
    pub user: Option<u32>,
    /// Its group, if not that of who makes it.
    pub group: Option<u32>,
    /// Permissions of `ptmx`.
    pub ptmx_permissions: u32,
    /// Slaves there may be.
    pub max: u32,
}

impl Default for Options {
    fn default() -> Self {
        Options { permissions: 0o600, user: None, group: None, ptmx_permissions: 0, max: MAX }
    }
}

impl Options {
    /// Reads options between commas; what is not mentioned stays.
    ///
    /// # Errors
    /// EINVAL.
    pub fn with(mut self, text: &[u8]) -> Result<Self> {
        for option in text.split(|&byte| byte == b',').filter(|option| !option.is_empty()) {
            let mut halves = option.splitn(2, |&byte| byte == b'=');
            let name = halves.next().unwrap_or_default();
            let value = core::str::from_utf8(halves.next().unwrap_or_default()).map_err(|_| Errno::EINVAL)?;
            let number = || value.parse::<u32>().map_err(|_| Errno::EINVAL);
            let octal = || u32::from_str_radix(value, 8).map_err(|_| Errno::EINVAL);
            match name {
                b"uid" => self.user = Some(number()?),
                b"gid" => self.group = Some(number()?),
                b"mode" => self.permissions = octal()? & 0o7777,
                b"ptmxmode" => self.ptmx_permissions = octal()? & 0o7777,
                b"max" => self.max = Some(number()?).filter(|&max| max <= MAX).ok_or(Errno::EINVAL)?,
                // Each mount is one.
                b"newinstance" => {}
                _ => return Err(Errno::EINVAL),
            }
        }
        Ok(self)
    }
}
