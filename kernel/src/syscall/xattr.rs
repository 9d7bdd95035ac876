//! Extended attributes: no file system has any yet, and each call says so as Linux does for such file systems.

use abi::file::AT_FDCWD;
use abi::{Errno, Result};
use nucleus::vfs::Last;

use super::args::{Address, UserString};
use super::path::place_at;
use crate::process::Cx;

/// What every call does first: find the file.
fn find(cx: &Cx, path: UserString, last: Last) -> Result<()> {
    place_at(cx, AT_FDCWD, path, 0, last).map(|_| ())
}

/// getxattr(2), setxattr(2), removexattr(2).
pub(super) fn getxattr(cx: &mut Cx, path: UserString, name: UserString) -> Result<u64> {
    find(cx, path, Last::Follow)?;
    name.read()?;
    Err(Errno::EOPNOTSUPP)
}

/// lgetxattr(2), lsetxattr(2), lremovexattr(2).
pub(super) fn lgetxattr(cx: &mut Cx, path: UserString, name: UserString) -> Result<u64> {
    find(cx, path, Last::Keep)?;
    name.read()?;
    Err(Errno::EOPNOTSUPP)
}

/// fgetxattr(2), fsetxattr(2), fremovexattr(2).
pub(super) fn fgetxattr(cx: &mut Cx, fd: i32, name: UserString) -> Result<u64> {
    cx.files.get_open(fd)?;
    name.read()?;
    Err(Errno::EOPNOTSUPP)
}

/// listxattr(2): none.
pub(super) fn listxattr(cx: &mut Cx, path: UserString, _list: Address, _size: usize) -> Result<u64> {
    find(cx, path, Last::Follow).map(|()| 0)
}

/// llistxattr(2).
pub(super) fn llistxattr(cx: &mut Cx, path: UserString, _list: Address, _size: usize) -> Result<u64> {
    find(cx, path, Last::Keep).map(|()| 0)
}

/// flistxattr(2).
pub(super) fn flistxattr(cx: &mut Cx, fd: i32, _list: Address, _size: usize) -> Result<u64> {
    cx.files.get_open(fd).map(|_| 0)
}
