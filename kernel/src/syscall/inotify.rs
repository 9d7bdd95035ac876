//! inotify(7).

use abi::file::{AT_FDCWD, O_CLOEXEC, O_NONBLOCK, O_RDONLY};
use abi::{Errno, Result};
use fs::inotify;
use logic::cred::Access;
use logic::inotify::mask;
use nucleus::vfs::{Last, OpenFile};

use super::args::{Hex, UserString};
use super::file::on_exec;
use super::path::place_at;
use crate::process::{Cx, pidfd};

/// inotify_init1(2).
pub(super) fn inotify_init1(cx: &mut Cx, flags: Hex) -> Result<u32> {
    if flags.0 & !(O_CLOEXEC | O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let instance = inotify::open(cx.cred.user.real)?;
    let file = OpenFile::nameless(instance, pidfd::attributes(), O_RDONLY | flags.0 & O_NONBLOCK);
    cx.files.insert(file, 0, on_exec(flags.0), cx.process().limits.files())
}

/// inotify_init(2).
pub(super) fn inotify_init(cx: &mut Cx) -> Result<u32> {
    inotify_init1(cx, Hex(0))
}

/// inotify_add_watch(2).
pub(super) fn inotify_add_watch(cx: &mut Cx, fd: i32, path: UserString, wanted: Hex) -> Result<i32> {
    let wanted = wanted.0;
    let both = mask::ADD | mask::MUST_BE_NEW;
    if wanted & mask::KNOWN == 0 {
        return Err(Errno::EINVAL);
    }
    let file = cx.files.get_open(fd)?;
    if wanted & both == both {
        return Err(Errno::EINVAL);
    }
    let reader = inotify::reader(&file).ok_or(Errno::EINVAL)?;
    let last = if wanted & mask::DO_NOT_FOLLOW != 0 { Last::Keep } else { Last::Follow };
    let place = place_at(cx, AT_FDCWD, path, 0, last)?;
    if wanted & mask::ONLY_DIRECTORY != 0 && !place.entry.is_directory() {
        return Err(Errno::ENOTDIR);
    }
    place.check(&cx.cred, Access::READ)?;
    reader.watch(place.inode(), wanted)
}

/// inotify_rm_watch(2).
pub(super) fn inotify_rm_watch(cx: &mut Cx, fd: i32, number: i32) -> Result<()> {
    let file = cx.files.get_open(fd)?;
    inotify::reader(&file).ok_or(Errno::EINVAL)?.unwatch(number)
}
