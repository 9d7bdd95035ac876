//! What mount(2) is told: `size=`, `nr_blocks=`, `nr_inodes=`, `mode=`, `uid=`, `gid=` (tmpfs(5)).

use abi::{Errno, Result};
use logic::addr::PAGE_SIZE;

/// Limits and the root directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Pages of all files; 0 is no limit.
    pub pages: u64,
    /// Files and further names of files; 0 is no limit.
    pub inodes: u64,
    /// Of the root directory.
    pub permissions: u32,
    /// Of the root directory.
    pub user: u32,
    /// Of the root directory.
    pub group: u32,
}

impl Options {
    /// What holds where nothing is said, with `total` pages of RAM.
    pub const fn defaults(total: u64) -> Self {
        Options { pages: total / 2, inodes: total / 2, permissions: 0o1777, user: 0, group: 0 }
    }

    /// Reads options between commas.
    ///
    /// # Errors
    /// EINVAL.
    pub fn parse(text: &[u8], total: u64) -> Result<Self> {
        let mut options = Self::defaults(total);
        for option in text.split(|&byte| byte == b',').filter(|option| !option.is_empty()) {
            let mut halves = option.splitn(2, |&byte| byte == b'=');
            let name = halves.next().unwrap_or_default();
            let value = core::str::from_utf8(halves.next().unwrap_or_default()).map_err(|_| Errno::EINVAL)?;
            match name {
                b"size" => options.pages = size(value, total)?,
                b"nr_blocks" => options.pages = amount(value)?,
                b"nr_inodes" => options.inodes = amount(value)?,
                b"mode" => {
                    options.permissions = u32::from_str_radix(value, 8).map_err(|_| Errno::EINVAL)? & 0o7777;
                }
                b"uid" => options.user = value.parse().map_err(|_| Errno::EINVAL)?,
                b"gid" => options.group = value.parse().map_err(|_| Errno::EINVAL)?,
                // About large pages, swap and the width of inode numbers: nothing to choose here.
                b"huge" | b"mpol" | b"noswap" | b"inode32" | b"inode64" => {}
                _ => return Err(Errno::EINVAL),
            }
        }
        Ok(options)
    }
}

/// Pages for a size in bytes, or in percent of RAM.
fn size(value: &str, total: u64) -> Result<u64> {
    if let Some(percent) = value.strip_suffix('%') {
        let percent: u64 = percent.parse().map_err(|_| Errno::EINVAL)?;
        return Ok(total.checked_mul(percent).ok_or(Errno::EINVAL)? / 100);
    }
    Ok(amount(value)?.div_ceil(PAGE_SIZE))
}

/// A number with `k`, `m`, `g` and so on, as Linux's memparse reads it.
fn amount(value: &str) -> Result<u64> {
    let shift = match value.bytes().last().map(|byte| byte.to_ascii_lowercase()) {
        Some(b'k') => 10,
        Some(b'm') => 20,
        Some(b'g') => 30,
        Some(b't') => 40,
        Some(b'p') => 50,
        Some(b'e') => 60,
        _ => 0,
    };
    let digits = if shift > 0 { value.get(..value.len() - 1).unwrap_or_default() } else { value };
    let number = match digits.strip_prefix("0x") {
        Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16),
        None => digits.parse(),
    };
    number.ok().and_then(|number| number.checked_mul(1 << shift)).ok_or(Errno::EINVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options> {
        Options::parse(text.as_bytes(), 1000)
    }

    #[test]
    fn half_of_ram_unless_told_otherwise() {
        let defaults = Options { pages: 500, inodes: 500, permissions: 0o1777, user: 0, group: 0 };
        assert_eq!(parse(""), Ok(defaults));
        let all = parse("size=10m,nr_inodes=2k,mode=0755,uid=7,gid=8,huge=never").unwrap();
        assert_eq!(all, Options { pages: 2560, inodes: 2048, permissions: 0o755, user: 7, group: 8 });
        assert_eq!(parse("size=25%").unwrap().pages, 250);
        assert_eq!(parse("size=4097").unwrap().pages, 2);
        assert_eq!(parse("nr_blocks=0").unwrap().pages, 0);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in
            ["size=", "size=x", "size=k", "size=%", "mode=9", "nr_inodes=-1", "colour=red", "size=99e", "uid"]
        {
            assert_eq!(parse(text), Err(Errno::EINVAL), "{text}");
        }
    }
}
