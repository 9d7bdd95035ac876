//! The system calls with typed arguments, each safe for every argument its types allow. Names are those of section 2 of
//! the manual; what they return is the number the kernel returns.

use core::ffi::CStr;
use core::ptr;

use abi::{Result, sysno};

use super::numbers::{MAP_ANONYMOUS, MAP_PRIVATE, MREMAP_MAYMOVE, PROT_READ, PROT_WRITE};
use super::raw::call;

/// An argument that is a number, or a text the kernel only reads.
trait Argument {
    fn word(self) -> usize;
}

macro_rules! numbers_as_arguments {
    ($($type:ty)*) => {
        $(impl Argument for $type {
            #[inline]
            #[allow(clippy::cast_possible_truncation, reason = "registers are as wide as the widest")]
            fn word(self) -> usize {
                self as isize as usize
            }
        })*
    };
}
numbers_as_arguments! { i32 u32 i64 u64 usize }

impl Argument for &CStr {
    #[inline]
    fn word(self) -> usize {
        self.as_ptr().addr()
    }
}

/// Declares calls whose arguments are numbers that name no memory, and texts.
macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),*) = $number:ident;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Errors
            /// Those of the manual page.
            #[inline]
            pub fn $name($($argument: $type),*) -> Result<usize> {
                // SAFETY: no argument names memory but texts, which end with NUL and live through the call (`CStr`);
                // the kernel only reads them.
                unsafe { call(sysno::$number, [$(Argument::word($argument)),*]) }
            }
        )*
    };
}

calls! {
    /// Ends a descriptor.
    close(fd: i32) = CLOSE;
    /// Opens a file by name.
    openat(folder: i32, path: &CStr, flags: u32, mode: u32) = OPENAT;
    /// Moves the place of the next byte.
    lseek(fd: i32, offset: i64, whence: i32) = LSEEK;
    /// A second descriptor with a number of one's choice.
    dup3(fd: i32, to: i32, flags: u32) = DUP3;
    /// A second descriptor.
    dup(fd: i32) = DUP;
    /// Makes a folder.
    mkdir(path: &CStr, mode: u32) = MKDIR;
    /// Removes a name.
    unlinkat(folder: i32, path: &CStr, flags: u32) = UNLINKAT;
    /// Gives a file another name, in place of whatever has it.
    rename(from: &CStr, to: &CStr) = RENAME;
    /// Changes permission bits.
    fchmod(fd: i32, mode: u32) = FCHMOD;
    /// Changes permission bits by name.
    chmod(path: &CStr, mode: u32) = CHMOD;
    /// Changes the owner.
    fchown(fd: i32, user: u32, group: u32) = FCHOWN;
    /// Makes a file, a device or a FIFO.
    mknod(path: &CStr, mode: u32, device: u64) = MKNOD;
    /// A second name.
    symlink(target: &CStr, path: &CStr) = SYMLINK;
    /// Cuts a file off.
    ftruncate(fd: i32, length: i64) = FTRUNCATE;
    /// Waits until the file is on its disk.
    fsync(fd: i32) = FSYNC;
    /// Waits until everything is on its disk.
    sync() = SYNC;
    /// Whether one may.
    access(path: &CStr, mode: u32) = ACCESS;
    /// Changes the working folder.
    chdir(path: &CStr) = CHDIR;
    /// Changes the root.
    chroot(path: &CStr) = CHROOT;
    /// Sets the bits that new files do not get.
    umask(mode: u32) = UMASK;
    /// Reads and sets flags of a descriptor: only commands whose argument is a number.
    fcntl_number(fd: i32, command: usize, argument: usize) = FCNTL;
    /// A copy of this process.
    fork() = FORK;
    /// Sends a signal.
    kill(pid: i32, signal: u32) = KILL;
    /// Sends a signal to one thread.
    tgkill(pid: i32, thread: i32, signal: u32) = TGKILL;
    /// Which thread one is.
    gettid() = GETTID;
    /// Who one is.
    getpid() = GETPID;
    /// Whose child one is.
    getppid() = GETPPID;
    /// A session of one's own.
    setsid() = SETSID;
    /// The session of a process.
    getsid(pid: i32) = GETSID;
    /// Puts a process into a group.
    setpgid(pid: i32, group: i32) = SETPGID;
    /// The real user.
    getuid() = GETUID;
    /// The effective user.
    geteuid() = GETEUID;
    /// The real group.
    getgid() = GETGID;
    /// The effective group.
    getegid() = GETEGID;
    /// Becomes a user.
    setuid(user: u32) = SETUID;
    /// Becomes a group.
    setgid(group: u32) = SETGID;
    /// A signal after so many seconds.
    alarm(seconds: u32) = ALARM;
    /// Takes a mount away.
    umount2(path: &CStr, flags: usize) = UMOUNT2;
    /// Off, again, or halted.
    reboot(magic: u32, magic2: u32, command: u32) = REBOOT;
    /// An ioctl whose argument is a number.
    ioctl_number(fd: i32, request: u32, argument: usize) = IOCTL;
}

/// Reads into `to`.
///
/// # Errors
/// Those of read(2).
#[inline]
pub fn read(fd: i32, to: &mut [u8]) -> Result<usize> {
    // SAFETY: the kernel writes at most `len` bytes to `to`, which is borrowed for writing.
    unsafe { call(sysno::READ, [fd.word(), to.as_mut_ptr().addr(), to.len()]) }
}

/// Writes `from`.
///
/// # Errors
/// Those of write(2).
#[inline]
pub fn write(fd: i32, from: &[u8]) -> Result<usize> {
    // SAFETY: the kernel reads `len` bytes of `from`.
    unsafe { call(sysno::WRITE, [fd.word(), from.as_ptr().addr(), from.len()]) }
}

/// Reads entries of a folder into `to`.
///
/// # Errors
/// Those of getdents64(2).
pub fn getdents64(fd: i32, to: &mut [u8]) -> Result<usize> {
    // SAFETY: as `read`.
    unsafe { call(sysno::GETDENTS64, [fd.word(), to.as_mut_ptr().addr(), to.len()]) }
}

/// What the target of a link is, into `to`.
///
/// # Errors
/// Those of readlink(2).
pub fn readlink(path: &CStr, to: &mut [u8]) -> Result<usize> {
    // SAFETY: as `read`; the path is only read.
    unsafe { call(sysno::READLINK, [path.word(), to.as_mut_ptr().addr(), to.len()]) }
}

/// `struct stat` as words.
///
/// # Errors
/// Those of newfstatat(2).
pub fn newfstatat(folder: i32, path: &CStr, flags: u32) -> Result<[u64; 18]> {
    let mut stat = [0; 18];
    let to = (&raw mut stat).addr();
    // SAFETY: `struct stat` has 144 bytes, the size of `stat`.
    unsafe { call(sysno::NEWFSTATAT, [folder.word(), path.word(), to, flags.word()])? };
    Ok(stat)
}

/// `struct statfs` as words.
///
/// # Errors
/// Those of statfs(2).
pub fn statfs(path: &CStr) -> Result<[u64; 15]> {
    let mut statfs = [0; 15];
    // SAFETY: `struct statfs` has 120 bytes, the size of `statfs`.
    unsafe { call(sysno::STATFS, [path.word(), (&raw mut statfs).addr()])? };
    Ok(statfs)
}

/// A pipe: the end to read from, the end to write to.
///
/// # Errors
/// Those of pipe2(2).
pub fn pipe2(flags: u32) -> Result<[i32; 2]> {
    let mut ends = [0; 2];
    // SAFETY: the kernel writes two descriptors.
    unsafe { call(sysno::PIPE2, [(&raw mut ends).addr(), flags.word()])? };
    Ok(ends)
}

/// An ioctl whose argument is `SIZE` bytes to be read or written; `request` must be one of those.
///
/// # Errors
/// Those of ioctl(2).
pub(crate) fn ioctl_bytes<const SIZE: usize>(fd: i32, request: u32, bytes: &mut [u8; SIZE]) -> Result<usize> {
    // SAFETY: the callers, all in this crate, pass requests that read or write exactly `SIZE` bytes.
    unsafe { call(sysno::IOCTL, [fd.word(), request.word(), (&raw mut *bytes).addr()]) }
}

/// Locks bytes of a file as `struct flock` says: type, whence, start, length.
///
/// # Errors
/// Those of fcntl(2).
pub fn lock(fd: i32, command: usize, kind: u16) -> Result<usize> {
    // l_type and l_whence share the first word; start and length 0 mean the whole file.
    let flock = [u64::from(kind), 0, 0, 0];
    // SAFETY: `struct flock` has 32 bytes, which the locking commands read.
    unsafe { call(sysno::FCNTL, [fd.word(), command, (&raw const flock).addr()]) }
}

/// `struct pollfd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct PollFd {
    /// What is asked about.
    pub fd: i32,
    /// Asked for.
    pub events: u16,
    /// Found.
    pub found: u16,
}

/// Waits for any of `fds`, at most so many milliseconds; -1 is for ever.
///
/// # Errors
/// Those of poll(2).
pub fn poll(fds: &mut [PollFd], timeout_ms: i32) -> Result<usize> {
    // SAFETY: the kernel writes to `len` structures, which are borrowed for writing.
    unsafe { call(sysno::POLL, [fds.as_mut_ptr().addr(), fds.len(), timeout_ms.word()]) }
}

/// Waits for any of `fds`, with another signal mask meanwhile, for ever.
///
/// # Errors
/// Those of ppoll(2): EINTR when a handler ran.
pub fn ppoll(fds: &mut [PollFd], mask: u64) -> Result<usize> {
    let (set, size) = ((&raw const mask).addr(), abi::signal::SIGSET_SIZE);
    // SAFETY: as `poll`; the kernel reads eight bytes of `mask`, and no time is given.
    unsafe { call(sysno::PPOLL, [fds.as_mut_ptr().addr(), fds.len(), 0, set, size]) }
}

/// Replaces this program. `arguments` and `environment` end with a null pointer.
///
/// # Errors
/// Those of execve(2).
pub fn execve(path: &CStr, arguments: &[&CStr], environment: &[&CStr]) -> Result<core::convert::Infallible> {
    let list = |texts: &[&CStr]| -> Result<alloc::vec::Vec<*const core::ffi::c_char>> {
        let mut pointers = alloc::vec::Vec::new();
        pointers.try_reserve_exact(texts.len() + 1).map_err(|_| abi::Errno::ENOMEM)?;
        pointers.extend(texts.iter().map(|text| text.as_ptr()));
        pointers.push(ptr::null());
        Ok(pointers)
    };
    let (arguments, environment) = (list(arguments)?, list(environment)?);
    let lists = [arguments.as_ptr().addr(), environment.as_ptr().addr()];
    // SAFETY: both lists end with null, and what they point to lives in the borrowed texts; the kernel only reads.
    let result = unsafe { call(sysno::EXECVE, [path.word(), lists[0], lists[1]]) };
    Err(result.err().unwrap_or(abi::Errno::ENOEXEC))
}

/// Waits for a child; its number and how it ended.
///
/// # Errors
/// Those of wait4(2).
pub fn wait4(pid: i32, flags: u32) -> Result<(usize, u32)> {
    let mut status = 0_u32;
    // SAFETY: the kernel writes four bytes to `status`; no usage is asked for.
    let pid = unsafe { call(sysno::WAIT4, [pid.word(), (&raw mut status).addr(), flags.word(), 0])? };
    Ok((pid, status))
}

/// Changes the signal mask and returns the one before.
///
/// # Errors
/// Those of rt_sigprocmask(2).
pub fn rt_sigprocmask(how: u32, mask: u64) -> Result<u64> {
    let mut before = 0_u64;
    let (set, old) = ((&raw const mask).addr(), (&raw mut before).addr());
    // SAFETY: both are sets of eight bytes, which is what the last argument says.
    unsafe { call(sysno::RT_SIGPROCMASK, [how.word(), set, old, abi::signal::SIGSET_SIZE])? };
    Ok(before)
}

/// A descriptor that signals are read from.
///
/// # Errors
/// Those of signalfd4(2).
pub fn signalfd4(fd: i32, mask: u64, flags: u32) -> Result<usize> {
    let set = (&raw const mask).addr();
    // SAFETY: the kernel reads eight bytes of `mask`.
    unsafe { call(sysno::SIGNALFD4, [fd.word(), set, abi::signal::SIGSET_SIZE, flags.word()]) }
}

/// The groups one is in besides one's own, into `to`; with nothing to write to, how many.
///
/// # Errors
/// Those of getgroups(2).
pub fn getgroups(to: &mut [u32]) -> Result<usize> {
    // SAFETY: the kernel writes at most `len` numbers of four bytes.
    unsafe { call(sysno::GETGROUPS, [to.len(), to.as_mut_ptr().addr()]) }
}

/// Sets the groups one is in besides one's own.
///
/// # Errors
/// Those of setgroups(2).
pub fn setgroups(groups: &[u32]) -> Result<usize> {
    // SAFETY: the kernel reads `len` numbers of four bytes.
    unsafe { call(sysno::SETGROUPS, [groups.len(), groups.as_ptr().addr()]) }
}

/// Mounts.
///
/// # Errors
/// Those of mount(2).
pub fn mount(source: &CStr, place: &CStr, kind: &CStr, flags: usize, options: &CStr) -> Result<usize> {
    // SAFETY: four texts that the kernel only reads; those that the flags make meaningless it does not look at.
    unsafe { call(sysno::MOUNT, [source.word(), place.word(), kind.word(), flags, options.word()]) }
}

/// Sets the host's name.
///
/// # Errors
/// Those of sethostname(2).
pub fn sethostname(name: &[u8]) -> Result<usize> {
    // SAFETY: the kernel reads `len` bytes.
    unsafe { call(sysno::SETHOSTNAME, [name.as_ptr().addr(), name.len()]) }
}

/// `struct new_utsname`: six texts of 65 bytes.
///
/// # Errors
/// Those of uname(2).
pub fn uname() -> Result<[[u8; 65]; 6]> {
    let mut names = [[0; 65]; 6];
    // SAFETY: the structure has 390 bytes, the size of `names`.
    unsafe { call(sysno::UNAME, [(&raw mut names).addr()])? };
    Ok(names)
}

/// Random bytes into all of `to` that the kernel fills at once.
///
/// # Errors
/// Those of getrandom(2).
pub fn getrandom(to: &mut [u8]) -> Result<usize> {
    // SAFETY: as `read`.
    unsafe { call(sysno::GETRANDOM, [to.as_mut_ptr().addr(), to.len(), 0]) }
}

/// Seconds and nanoseconds of a clock.
///
/// # Errors
/// Those of clock_gettime(2).
pub fn clock_gettime(clock: u32) -> Result<abi::time::Timespec> {
    let mut time = abi::time::Timespec::default();
    // SAFETY: the kernel writes a `struct timespec`, which is what `time` is.
    unsafe { call(sysno::CLOCK_GETTIME, [clock.word(), (&raw mut time).addr()])? };
    Ok(time)
}

/// Sleeps; EINTR when a signal came.
///
/// # Errors
/// Those of nanosleep(2).
pub fn nanosleep(time: abi::time::Timespec) -> Result<usize> {
    // SAFETY: the kernel reads a `struct timespec`; what is left is not asked for.
    unsafe { call(sysno::NANOSLEEP, [(&raw const time).addr(), 0]) }
}

/// Ends the process.
pub fn exit_group(code: i32) -> ! {
    loop {
        // SAFETY: no memory is named, and the call does not return.
        let _ = unsafe { call(sysno::EXIT_GROUP, [code.word()]) };
    }
}

/// New memory, zeroed.
///
/// # Errors
/// ENOMEM.
pub(super) fn map(bytes: usize) -> Result<*mut u8> {
    let flags = [PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS];
    // SAFETY: without MAP_FIXED nothing that exists is changed.
    let address = unsafe { call(sysno::MMAP, [0, bytes, flags[0], flags[1], usize::MAX, 0])? };
    Ok(ptr::with_exposed_provenance_mut(address))
}

/// Gives memory of [`map`] back.
///
/// # Safety
/// Nobody uses it any more.
pub(super) unsafe fn unmap(at: *mut u8, bytes: usize) {
    // SAFETY: the caller says so. The call cannot fail for what `map` returned.
    let _ = unsafe { call(sysno::MUNMAP, [at.addr(), bytes]) };
}

/// Changes the size of memory of [`map`], which may move.
///
/// # Errors
/// ENOMEM.
///
/// # Safety
/// All pointers into it are the caller's, who forgets them.
pub(super) unsafe fn remap(at: *mut u8, bytes: usize, new_bytes: usize) -> Result<*mut u8> {
    // SAFETY: the caller says so.
    let address = unsafe { call(sysno::MREMAP, [at.addr(), bytes, new_bytes, MREMAP_MAYMOVE])? };
    Ok(ptr::with_exposed_provenance_mut(address))
}
