//! Files: open flags, modes, `struct stat`, directory entries, poll events.

/// Open for reading only.
pub const O_RDONLY: u32 = 0;
/// Open for writing only.
pub const O_WRONLY: u32 = 1;
/// Open for both.
pub const O_RDWR: u32 = 2;
/// The bits of the three above.
pub const O_ACCMODE: u32 = 3;
/// Make the file if there is none.
pub const O_CREAT: u32 = 0o100;
/// With `O_CREAT`: there must be none.
pub const O_EXCL: u32 = 0o200;
/// Do not make a terminal the controlling one.
pub const O_NOCTTY: u32 = 0o400;
/// Empty the file.
pub const O_TRUNC: u32 = 0o1000;
/// Write at the end.
pub const O_APPEND: u32 = 0o2000;
/// Do not wait.
pub const O_NONBLOCK: u32 = 0o4000;
/// Data is on disk when write(2) returns.
pub const O_DSYNC: u32 = 0o10000;
/// Signals for I/O.
pub const O_ASYNC: u32 = 0o20000;
/// Past the page cache; for pipes: packets.
pub const O_DIRECT: u32 = 0o40000;
/// Large offsets; always so.
pub const O_LARGEFILE: u32 = 0o100000;
/// It must be a directory.
pub const O_DIRECTORY: u32 = 0o200000;
/// It must not be a symbolic link.
pub const O_NOFOLLOW: u32 = 0o400000;
/// Do not note the time of access.
pub const O_NOATIME: u32 = 0o1000000;
/// Close at exec.
pub const O_CLOEXEC: u32 = 0o2000000;
/// Data and all else is on disk when write(2) returns.
pub const O_SYNC: u32 = 0o4010000;
/// Only a name for the file.
pub const O_PATH: u32 = 0o10000000;
/// A file without a name, in this directory.
pub const O_TMPFILE: u32 = 0o20200000;

/// The type of a file, in `st_mode`.
pub const S_IFMT: u32 = 0o170000;
/// Socket.
pub const S_IFSOCK: u32 = 0o140000;
/// Symbolic link.
pub const S_IFLNK: u32 = 0o120000;
/// Regular file.
pub const S_IFREG: u32 = 0o100000;
/// Block device.
pub const S_IFBLK: u32 = 0o060000;
/// Directory.
pub const S_IFDIR: u32 = 0o040000;
/// Character device.
pub const S_IFCHR: u32 = 0o020000;
/// FIFO.
pub const S_IFIFO: u32 = 0o010000;
/// Runs as its owner.
pub const S_ISUID: u32 = 0o4000;
/// Runs as its group; in directories: files inherit the group.
pub const S_ISGID: u32 = 0o2000;
/// In directories: only owners remove.
pub const S_ISVTX: u32 = 0o1000;

/// The working directory, where a descriptor is asked for.
pub const AT_FDCWD: i32 = -100;
/// Do not follow a symbolic link at the end.
pub const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
/// unlinkat(2): remove a directory.
pub const AT_REMOVEDIR: u32 = 0x200;
/// faccessat(2): with the effective ids.
pub const AT_EACCESS: u32 = 0x200;
/// linkat(2): follow a symbolic link at the end.
pub const AT_SYMLINK_FOLLOW: u32 = 0x400;
/// Do not mount automatically; nothing does.
pub const AT_NO_AUTOMOUNT: u32 = 0x800;
/// The empty path means the descriptor itself.
pub const AT_EMPTY_PATH: u32 = 0x1000;
/// statx(2): how fresh.
pub const AT_STATX_SYNC_TYPE: u32 = 0x6000;

/// There is something to read.
pub const POLLIN: u16 = 1;
/// There is something urgent.
pub const POLLPRI: u16 = 2;
/// There is room to write.
pub const POLLOUT: u16 = 4;
/// Something failed.
pub const POLLERR: u16 = 8;
/// The other end is gone.
pub const POLLHUP: u16 = 0x10;
/// Not a descriptor.
pub const POLLNVAL: u16 = 0x20;
/// As `POLLIN`.
pub const POLLRDNORM: u16 = 0x40;
/// As `POLLOUT`.
pub const POLLWRNORM: u16 = 0x100;
/// poll(2): data of a band of its own can be read.
pub const POLLRDBAND: u16 = 0x80;
/// poll(2): data of a band of its own can be written.
pub const POLLWRBAND: u16 = 0x200;
/// poll(2): unused, but for `si_band` of signals about messages.
pub const POLLMSG: u16 = 0x400;
/// The other end will send no more.
pub const POLLRDHUP: u16 = 0x2000;

/// From the start.
pub const SEEK_SET: i32 = 0;
/// From here.
pub const SEEK_CUR: i32 = 1;
/// From the end.
pub const SEEK_END: i32 = 2;
/// The next data.
pub const SEEK_DATA: i32 = 3;
/// The next hole.
pub const SEEK_HOLE: i32 = 4;

/// The device number of major and minor, as `st_rdev` and mknod(2) have it.
pub const fn device_number(major: u32, minor: u32) -> u64 {
    let (major, minor) = (major as u64, minor as u64);
    (minor & 0xff) | (major & 0xfff) << 8 | (minor & !0xff) << 12 | (major & !0xfff) << 32
}

/// Major and minor of a device number.
#[expect(clippy::cast_possible_truncation, reason = "masked")]
pub const fn device_parts(number: u64) -> (u32, u32) {
    let major = (number >> 8 & 0xfff) | (number >> 32 & !0xfff);
    let minor = (number & 0xff) | (number >> 12 & !0xff);
    (major as u32, minor as u32)
}
