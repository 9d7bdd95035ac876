//! Extended attributes: getxattr(2) and its kin, by path, by the link itself, and by descriptor.

use alloc::vec::Vec;

use abi::file::AT_FDCWD;
use abi::{Errno, Result};
use nucleus::vfs::bytes::{ByteSink, ByteSource};
use nucleus::vfs::extended::Placing;
use nucleus::vfs::{Last, Place};

use super::args::{Address, Hex, UserSink, UserSource, UserString};
use super::path::place_at;
use crate::process::Cx;

/// Bytes of a value or a list (`XATTR_SIZE_MAX`).
const SIZE_MAX: usize = 65_536;
/// Bytes of a name (`XATTR_NAME_MAX`).
const NAME_MAX: usize = 255;

fn by_path(cx: &Cx, path: UserString, last: Last) -> Result<Place> {
    place_at(cx, AT_FDCWD, path, 0, last)
}

fn by_fd(cx: &Cx, fd: i32) -> Result<Place> {
    cx.files.get_open(fd)?.place().cloned().ok_or(Errno::EOPNOTSUPP)
}

fn read_name(name: UserString) -> Result<Vec<u8>> {
    let name =
        name.read().map_err(|error| if error == Errno::ENAMETOOLONG { Errno::ERANGE } else { error })?;
    if name.is_empty() || name.len() > NAME_MAX { Err(Errno::ERANGE) } else { Ok(name) }
}

/// Gives a program what it has room for; without room, only how long it is.
fn give(bytes: &[u8], to: Address, size: usize) -> Result<usize> {
    if size == 0 {
        return Ok(bytes.len());
    }
    if bytes.len() > size {
        return Err(Errno::ERANGE);
    }
    let mut sink = UserSink::new(to.0, bytes.len());
    if bytes.is_empty() || sink.put(bytes)? == bytes.len() { Ok(bytes.len()) } else { Err(Errno::EFAULT) }
}

fn get(cx: &Cx, place: &Place, name: UserString, to: Address, size: usize) -> Result<usize> {
    let value = place.extended_attribute(&cx.cred, &read_name(name)?)?;
    give(&value, to, size)
}

/// getxattr(2).
pub(super) fn getxattr(
    cx: &mut Cx,
    path: UserString,
    name: UserString,
    to: Address,
    size: usize,
) -> Result<usize> {
    get(cx, &by_path(cx, path, Last::Follow)?, name, to, size)
}

/// lgetxattr(2).
pub(super) fn lgetxattr(
    cx: &mut Cx,
    path: UserString,
    name: UserString,
    to: Address,
    size: usize,
) -> Result<usize> {
    get(cx, &by_path(cx, path, Last::Keep)?, name, to, size)
}

/// fgetxattr(2).
pub(super) fn fgetxattr(cx: &mut Cx, fd: i32, name: UserString, to: Address, size: usize) -> Result<usize> {
    get(cx, &by_fd(cx, fd)?, name, to, size)
}

/// A value to be set, and how, as a program gives them.
struct Value {
    from: Address,
    size: usize,
    flags: Hex,
}

impl Value {
    fn placing(&self) -> Result<Placing> {
        const CREATE: u32 = 1;
        const REPLACE: u32 = 2;
        match self.flags.0 {
            0 => Ok(Placing::Any),
            REPLACE => Ok(Placing::Replace),
            // Both can never be.
            CREATE | 3 => Ok(Placing::Create),
            _ => Err(Errno::EINVAL),
        }
    }

    fn read(&self) -> Result<Vec<u8>> {
        if self.size > SIZE_MAX {
            return Err(Errno::E2BIG);
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(self.size).map_err(|_| Errno::ENOMEM)?;
        bytes.resize(self.size, 0);
        if self.size > 0 && UserSource::new(self.from.0, self.size).take(&mut bytes)? != self.size {
            return Err(Errno::EFAULT);
        }
        Ok(bytes)
    }
}

/// What all ways to set an attribute have in common, in Linux's order: flags, name, value.
fn set(cx: &Cx, place: &Place, name: UserString, value: &Value) -> Result<()> {
    let how = value.placing()?;
    let name = read_name(name)?;
    place.set_extended_attribute(&cx.cred, &name, &value.read()?, how)
}

/// setxattr(2).
pub(super) fn setxattr(
    cx: &mut Cx,
    path: UserString,
    name: UserString,
    from: Address,
    size: usize,
    flags: Hex,
) -> Result<()> {
    set(cx, &by_path(cx, path, Last::Follow)?, name, &Value { from, size, flags })
}

/// lsetxattr(2).
pub(super) fn lsetxattr(
    cx: &mut Cx,
    path: UserString,
    name: UserString,
    from: Address,
    size: usize,
    flags: Hex,
) -> Result<()> {
    set(cx, &by_path(cx, path, Last::Keep)?, name, &Value { from, size, flags })
}

/// fsetxattr(2).
pub(super) fn fsetxattr(
    cx: &mut Cx,
    fd: i32,
    name: UserString,
    from: Address,
    size: usize,
    flags: Hex,
) -> Result<()> {
    set(cx, &by_fd(cx, fd)?, name, &Value { from, size, flags })
}

fn list(cx: &Cx, place: &Place, to: Address, size: usize) -> Result<usize> {
    give(&place.extended_names(&cx.cred)?, to, size.min(SIZE_MAX))
}

/// listxattr(2).
pub(super) fn listxattr(cx: &mut Cx, path: UserString, to: Address, size: usize) -> Result<usize> {
    list(cx, &by_path(cx, path, Last::Follow)?, to, size)
}

/// llistxattr(2).
pub(super) fn llistxattr(cx: &mut Cx, path: UserString, to: Address, size: usize) -> Result<usize> {
    list(cx, &by_path(cx, path, Last::Keep)?, to, size)
}

/// flistxattr(2).
pub(super) fn flistxattr(cx: &mut Cx, fd: i32, to: Address, size: usize) -> Result<usize> {
    match cx.files.get_open(fd)?.place() {
        Some(place) => list(cx, place, to, size),
        None => Ok(0),
    }
}

fn remove(cx: &Cx, place: &Place, name: UserString) -> Result<()> {
    place.remove_extended_attribute(&cx.cred, &read_name(name)?)
}

/// removexattr(2).
pub(super) fn removexattr(cx: &mut Cx, path: UserString, name: UserString) -> Result<()> {
    remove(cx, &by_path(cx, path, Last::Follow)?, name)
}

/// lremovexattr(2).
pub(super) fn lremovexattr(cx: &mut Cx, path: UserString, name: UserString) -> Result<()> {
    remove(cx, &by_path(cx, path, Last::Keep)?, name)
}

/// fremovexattr(2).
pub(super) fn fremovexattr(cx: &mut Cx, fd: i32, name: UserString) -> Result<()> {
    remove(cx, &by_fd(cx, fd)?, name)
}
