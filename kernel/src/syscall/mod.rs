//! The table of system calls: number, handler, arguments, how complete it is.
//!
//! One macro declares it and generates dispatch, the trace and `docs/syscalls.md` (`scripts/syscalls-doc` reads the
//! table). Handlers get typed arguments (`FromArg`) and return `Result`; the sign of an error flips in `usermode` and
//! nowhere else.

mod args;
mod epoll;
mod fcntl;
mod file;
mod futex;
mod ids;
mod info;
mod inotify;
mod locks;
mod memory;
mod mounts;
mod path;
mod poll;
mod prctl;
mod process;
mod mqueue;
mod msg;
mod sched;
mod sem;
mod shm;
mod signal;
mod splice;
mod storage;
mod time;
mod timerfd;
mod xattr;

use abi::time::{Timespec, Timeval};
use abi::{Errno, Result, sysno};
use logic::adjust::Timex;

use crate::process::Cx;
use crate::trace;
use args::{Address, FromArg, Hex, IntoResult, UserPtr, UserString, low_half};

/// What a system call leads to.
pub(crate) enum Outcome {
    /// A result.
    Value(u64),
    /// An error, perhaps one that makes the call again.
    Error(Errno),
    /// All registers are set already.
    Nothing,
    /// exit(2): the task ends with this code.
    End(u8),
}

/// Makes the call that the registers ask for.
#[inline]
pub(crate) fn dispatch(cx: &mut Cx, number: u64) -> Outcome {
    let arguments = cx.context.call_arguments();
    let number = low_half(number) as usize;
    if number == sysno::EXIT {
        let [code, ..] = arguments[0].to_le_bytes();
        return Outcome::End(code);
    }
    let result = if trace::is_on(cx) { traced(cx, number, arguments) } else { call(cx, number, arguments) };
    if core::mem::take(&mut cx.keeps_registers) && result.is_ok() {
        return Outcome::Nothing;
    }
    match result {
        Ok(value) => Outcome::Value(value),
        Err(error) => Outcome::Error(error),
    }
}

/// The same, printed.
#[cold]
fn traced(cx: &mut Cx, number: usize, arguments: [u64; 6]) -> Result<u64> {
    let mut line = trace::Line::begin(cx);
    describe(number, arguments, &mut line);
    let result = call(cx, number, arguments);
    line.end(result);
    result
}

macro_rules! syscalls {
    ($($number:ident = $module:ident :: $handler:ident ( $($argument:ty),* ), $state:ident $(($note:literal))?;)*) => {
        #[inline]
        fn call(cx: &mut Cx, number: usize, arguments: [u64; 6]) -> Result<u64> {
            match number {
                $(sysno::$number => one!(cx, arguments, $module::$handler, $($argument),*),)*
                _ => Err(Errno::ENOSYS),
            }
        }

        fn describe(number: usize, arguments: [u64; 6], to: &mut trace::Line) {
            match number {
                $(sysno::$number => {
                    to.name(stringify!($number));
                    #[allow(unused_mut, unused_variables, reason = "a call without arguments takes none")]
                    let mut raw = arguments.into_iter();
                    $(
                        if let Ok(argument) = <$argument as FromArg>::from_arg(raw.next().unwrap_or(0)) {
                            argument.show(to.argument());
                        }
                    )*
                })*
                _ => to.unknown(number, arguments),
            }
        }
    };
}

macro_rules! one {
    ($cx:ident, $arguments:ident, $handler:path, $($argument:ty),*) => {{
        #[allow(unused_mut, unused_variables, reason = "a call without arguments takes none")]
        let mut raw = $arguments.into_iter();
        #[allow(unused_mut, reason = "as above")]
        let mut run = || Ok(IntoResult::into_result($handler(
            $cx,
            $(<$argument as FromArg>::from_arg(raw.next().unwrap_or(0))?),*
        )?));
        run()
    }};
}

syscalls! {
    READ = file::read(i32, Address, usize), full;
    WRITE = file::write(i32, Address, usize), full;
    OPEN = path::open(UserString, Hex, u32), full;
    CLOSE = file::close(i32), full;
    STAT = path::stat(UserString, UserPtr<[u64; 18]>), full;
    FSTAT = path::fstat(i32, UserPtr<[u64; 18]>), full;
    LSTAT = path::lstat(UserString, UserPtr<[u64; 18]>), full;
    POLL = poll::poll(Address, u32, i32), full;
    LSEEK = file::lseek(i32, i64, i32), full;
    MMAP = memory::mmap(Address, u64, Hex, Hex, i32, u64), full;
    MPROTECT = memory::mprotect(Address, u64, Hex), full;
    MUNMAP = memory::munmap(Address, u64), full;
    BRK = memory::brk(Address), full;
    RT_SIGACTION = signal::rt_sigaction(i32, UserPtr<[u8; 32]>, UserPtr<[u8; 32]>, usize), full;
    RT_SIGPROCMASK = signal::rt_sigprocmask(u32, UserPtr<u64>, UserPtr<u64>, usize), full;
    RT_SIGRETURN = signal::rt_sigreturn(), full;
    IOCTL = file::ioctl(i32, Hex, u64), full;
    PREAD64 = file::pread(i32, Address, usize, i64), full;
    PWRITE64 = file::pwrite(i32, Address, usize, i64), full;
    READV = file::readv(i32, Address, usize), full;
    WRITEV = file::writev(i32, Address, usize), full;
    ACCESS = path::access(UserString, u32), full;
    PIPE = file::pipe(UserPtr<[u32; 2]>), full;
    SELECT = poll::select(i32, Address, Address, Address, UserPtr<Timeval>), full;
    SCHED_YIELD = sched::sched_yield(), full;
    MREMAP = memory::mremap(Address, u64, u64, Hex, Address), full;
    MSYNC = memory::msync(Address, u64, Hex), full;
    MINCORE = memory::mincore(Address, u64, Address), full;
    MADVISE = memory::madvise(Address, u64, u32), full;
    SHMGET = shm::shmget(i32, u64, u32), partial("no huge pages");
    SHMAT = shm::shmat(i32, Address, Hex), full;
    SHMCTL = shm::shmctl(i32, u32, Address), full;
    DUP = file::dup(i32), full;
    DUP2 = file::dup2(i32, i32), full;
    PAUSE = signal::pause(), full;
    NANOSLEEP = time::nanosleep(UserPtr<Timespec>, UserPtr<Timespec>), full;
    GETITIMER = time::getitimer(u32, UserPtr<[Timeval; 2]>), full;
    ALARM = time::alarm(u32), full;
    SETITIMER = time::setitimer(u32, UserPtr<[Timeval; 2]>, UserPtr<[Timeval; 2]>), full;
    GETPID = process::getpid(), full;
    SENDFILE = splice::sendfile(i32, i32, UserPtr<i64>, usize), full;
    CLONE = process::clone(u64, Address, Address, Address, u64), partial("no namespaces");
    FORK = process::fork(), full;
    VFORK = process::vfork(), full;
    EXECVE = process::execve(UserString, Address, Address), full;
    WAIT4 = process::wait4(i32, UserPtr<u32>, Hex, UserPtr<[u64; 18]>), full;
    KILL = signal::kill(i32, i32), full;
    UNAME = info::uname(UserPtr<[u8; 390]>), full;
    SEMGET = sem::semget(i32, i32, u32), full;
    SEMOP = sem::semop(i32, Address, usize), full;
    SEMCTL = sem::semctl(i32, i32, u32, u64), full;
    SHMDT = shm::shmdt(Address), full;
    MSGGET = msg::msgget(i32, u32), full;
    MSGSND = msg::msgsnd(i32, Address, usize, Hex), full;
    MSGRCV = msg::msgrcv(i32, Address, usize, i64, Hex), full;
    MSGCTL = msg::msgctl(i32, u32, Address), full;
    FCNTL = fcntl::fcntl(i32, u32, u64), partial("no leases, no F_NOTIFY, no signals for I/O");
    FLOCK = locks::flock(i32, i32), full;
    FSYNC = storage::fsync(i32), full;
    FDATASYNC = storage::fdatasync(i32), full;
    TRUNCATE = path::truncate(UserString, i64), full;
    FTRUNCATE = file::ftruncate(i32, i64), full;
    GETCWD = path::getcwd(Address, usize), full;
    CHDIR = path::chdir(UserString), full;
    FCHDIR = path::fchdir(i32), full;
    RENAME = path::rename(UserString, UserString), full;
    MKDIR = path::mkdir(UserString, u32), full;
    RMDIR = path::rmdir(UserString), full;
    CREAT = path::creat(UserString, u32), full;
    LINK = path::link(UserString, UserString), full;
    UNLINK = path::unlink(UserString), full;
    SYMLINK = path::symlink(UserString, UserString), full;
    READLINK = path::readlink(UserString, Address, i32), full;
    CHMOD = path::chmod(UserString, u32), full;
    FCHMOD = path::fchmod(i32, u32), full;
    CHOWN = path::chown(UserString, u32, u32), full;
    FCHOWN = path::fchown(i32, u32, u32), full;
    LCHOWN = path::lchown(UserString, u32, u32), full;
    UMASK = path::umask(u32), full;
    GETTIMEOFDAY = time::gettimeofday(UserPtr<Timeval>, UserPtr<[u32; 2]>), full;
    GETRLIMIT = process::getrlimit(u32, UserPtr<[u64; 2]>), full;
    GETRUSAGE = process::getrusage(i32, UserPtr<[u64; 18]>), full;
    SYSINFO = info::sysinfo(UserPtr<[u64; 14]>), full;
    TIMES = process::times(UserPtr<[u64; 4]>), full;
    GETUID = ids::getuid(), full;
    SYSLOG = info::syslog(u32, Address, i32), full;
    GETGID = ids::getgid(), full;
    SETUID = ids::setuid(u32), full;
    SETGID = ids::setgid(u32), full;
    GETEUID = ids::geteuid(), full;
    GETEGID = ids::getegid(), full;
    SETPGID = process::setpgid(i32, i32), full;
    GETPPID = process::getppid(), full;
    GETPGRP = process::getpgrp(), full;
    SETSID = process::setsid(), full;
    SETREUID = ids::setreuid(u32, u32), full;
    SETREGID = ids::setregid(u32, u32), full;
    GETGROUPS = ids::getgroups(i32, UserPtr<u32>), full;
    SETGROUPS = ids::setgroups(usize, UserPtr<u32>), full;
    SETRESUID = ids::setresuid(u32, u32, u32), full;
    GETRESUID = ids::getresuid(UserPtr<u32>, UserPtr<u32>, UserPtr<u32>), full;
    SETRESGID = ids::setresgid(u32, u32, u32), full;
    GETRESGID = ids::getresgid(UserPtr<u32>, UserPtr<u32>, UserPtr<u32>), full;
    GETPGID = process::getpgid(i32), full;
    SETFSUID = ids::setfsuid(u32), full;
    SETFSGID = ids::setfsgid(u32), full;
    GETSID = process::getsid(i32), full;
    CAPGET = ids::capget(UserPtr<[u32; 2]>, Address), full;
    CAPSET = ids::capset(UserPtr<[u32; 2]>, Address), full;
    RT_SIGPENDING = signal::rt_sigpending(Address, usize), full;
    RT_SIGTIMEDWAIT = signal::rt_sigtimedwait(UserPtr<u64>, UserPtr<[u8; 128]>, UserPtr<Timespec>, usize), full;
    RT_SIGQUEUEINFO = signal::rt_sigqueueinfo(i32, i32, UserPtr<[u8; 128]>), full;
    RT_SIGSUSPEND = signal::rt_sigsuspend(UserPtr<u64>, usize), full;
    SIGALTSTACK = signal::sigaltstack(UserPtr<[u64; 3]>, UserPtr<[u64; 3]>), full;
    MKNOD = path::mknod(UserString, u32, u64), full;
    PERSONALITY = process::personality(Hex), full;
    STATFS = mounts::statfs(UserString, UserPtr<[u64; 15]>), full;
    FSTATFS = mounts::fstatfs(i32, UserPtr<[u64; 15]>), full;
    GETPRIORITY = sched::getpriority(u32, i32), full;
    SETPRIORITY = sched::setpriority(u32, i32, i32), full;
    SCHED_SETPARAM = sched::sched_setparam(i32, UserPtr<u32>), full;
    SCHED_GETPARAM = sched::sched_getparam(i32, UserPtr<u32>), full;
    SCHED_SETSCHEDULER = sched::sched_setscheduler(i32, i32, UserPtr<u32>), full;
    SCHED_GETSCHEDULER = sched::sched_getscheduler(i32), full;
    SCHED_GET_PRIORITY_MAX = sched::sched_get_priority_max(u32), full;
    SCHED_GET_PRIORITY_MIN = sched::sched_get_priority_min(u32), full;
    SCHED_RR_GET_INTERVAL = sched::sched_rr_get_interval(i32, UserPtr<Timespec>), full;
    MLOCK = memory::mlock(Address, u64), full;
    MUNLOCK = memory::munlock(Address, u64), full;
    MLOCKALL = memory::mlockall(Hex), full;
    MUNLOCKALL = memory::munlockall(), full;
    VHANGUP = file::vhangup(), full;
    PRCTL = prctl::prctl(u32, u64, u64, u64, u64), partial("the options of issue 3");
    ARCH_PRCTL = prctl::arch_prctl(u32, u64), full;
    PIVOT_ROOT = mounts::pivot_root(UserString, UserString), full;
    ADJTIMEX = time::adjtimex(UserPtr<Timex>), partial("the clock is set, not slewed");
    SETRLIMIT = process::setrlimit(u32, UserPtr<[u64; 2]>), full;
    CHROOT = path::chroot(UserString), full;
    SYNC = storage::sync(), full;
    SETTIMEOFDAY = time::settimeofday(UserPtr<Timeval>, UserPtr<[u32; 2]>), full;
    MOUNT = mounts::mount(UserString, UserString, UserString, u64, UserString), partial("mounts do not propagate");
    UMOUNT2 = mounts::umount2(UserString, Hex), full;
    REBOOT = info::reboot(Hex, Hex, Hex, Address), full;
    SETHOSTNAME = info::sethostname(Address, i32), full;
    SETDOMAINNAME = info::setdomainname(Address, i32), partial("accepted and ignored");
    GETTID = process::gettid(), full;
    SETXATTR = xattr::setxattr(UserString, UserString, Address, usize, Hex), full;
    LSETXATTR = xattr::lsetxattr(UserString, UserString, Address, usize, Hex), full;
    FSETXATTR = xattr::fsetxattr(i32, UserString, Address, usize, Hex), full;
    GETXATTR = xattr::getxattr(UserString, UserString, Address, usize), full;
    LGETXATTR = xattr::lgetxattr(UserString, UserString, Address, usize), full;
    FGETXATTR = xattr::fgetxattr(i32, UserString, Address, usize), full;
    LISTXATTR = xattr::listxattr(UserString, Address, usize), full;
    LLISTXATTR = xattr::llistxattr(UserString, Address, usize), full;
    FLISTXATTR = xattr::flistxattr(i32, Address, usize), full;
    REMOVEXATTR = xattr::removexattr(UserString, UserString), full;
    LREMOVEXATTR = xattr::lremovexattr(UserString, UserString), full;
    FREMOVEXATTR = xattr::fremovexattr(i32, UserString), full;
    READAHEAD = storage::readahead(i32, i64, usize), full;
    TKILL = signal::tkill(i32, i32), full;
    TIME = time::time(UserPtr<i64>), full;
    FUTEX = futex::futex(Address, i32, u32, u64, Address, u32), partial("owners of locks are not given the priority of those who wait; no FUTEX_WAIT_REQUEUE_PI");
    SCHED_SETAFFINITY = sched::sched_setaffinity(i32, u32, Address), full;
    SCHED_GETAFFINITY = sched::sched_getaffinity(i32, u32, Address), full;
    FADVISE64 = storage::fadvise64(i32, i64, i64, i32), full;
    GETDENTS64 = file::getdents64(i32, Address, u32), full;
    SEMTIMEDOP = sem::semtimedop(i32, Address, usize, UserPtr<Timespec>), full;
    SET_TID_ADDRESS = process::set_tid_address(Address), full;
    RESTART_SYSCALL = time::restart_syscall(), full;
    TIMER_CREATE = time::timer_create(i32, UserPtr<[u32; 16]>, UserPtr<u32>), full;
    TIMER_SETTIME = time::timer_settime(i32, Hex, UserPtr<[Timespec; 2]>, UserPtr<[Timespec; 2]>), full;
    TIMER_GETTIME = time::timer_gettime(i32, UserPtr<[Timespec; 2]>), full;
    TIMER_GETOVERRUN = time::timer_getoverrun(i32), full;
    TIMER_DELETE = time::timer_delete(i32), full;
    CLOCK_SETTIME = time::clock_settime(i32, UserPtr<Timespec>), full;
    CLOCK_GETTIME = time::clock_gettime(i32, UserPtr<Timespec>), full;
    CLOCK_GETRES = time::clock_getres(i32, UserPtr<Timespec>), full;
    CLOCK_NANOSLEEP = time::clock_nanosleep(i32, Hex, UserPtr<Timespec>, UserPtr<Timespec>), full;
    EXIT_GROUP = process::exit_group(i32), full;
    TGKILL = signal::tgkill(i32, i32, i32), full;
    UTIMES = path::utimes(UserString, UserPtr<[Timeval; 2]>), full;
    MQ_OPEN = mqueue::mq_open(UserString, Hex, u32, UserPtr<[i64; 8]>), full;
    MQ_UNLINK = mqueue::mq_unlink(UserString), full;
    MQ_TIMEDSEND = mqueue::mq_timedsend(i32, Address, usize, u32, UserPtr<Timespec>), full;
    MQ_TIMEDRECEIVE = mqueue::mq_timedreceive(i32, Address, usize, UserPtr<u32>, UserPtr<Timespec>), full;
    MQ_NOTIFY = mqueue::mq_notify(i32, UserPtr<[u64; 8]>), partial("no SIGEV_THREAD, which needs netlink");
    MQ_GETSETATTR = mqueue::mq_getsetattr(i32, UserPtr<[i64; 8]>, UserPtr<[i64; 8]>), full;
    WAITID = process::waitid(u32, i32, UserPtr<[u8; 128]>, Hex, UserPtr<[u64; 18]>), full;
    INOTIFY_INIT = inotify::inotify_init(), full;
    INOTIFY_ADD_WATCH = inotify::inotify_add_watch(i32, UserString, Hex), full;
    INOTIFY_RM_WATCH = inotify::inotify_rm_watch(i32, i32), full;
    OPENAT = path::openat(i32, UserString, Hex, u32), full;
    MKDIRAT = path::mkdirat(i32, UserString, u32), full;
    MKNODAT = path::mknodat(i32, UserString, u32, u64), full;
    FCHOWNAT = path::fchownat(i32, UserString, u32, u32, Hex), full;
    NEWFSTATAT = path::newfstatat(i32, UserString, UserPtr<[u64; 18]>, Hex), full;
    UNLINKAT = path::unlinkat(i32, UserString, Hex), full;
    RENAMEAT = path::renameat(i32, UserString, i32, UserString), full;
    LINKAT = path::linkat(i32, UserString, i32, UserString, Hex), full;
    SYMLINKAT = path::symlinkat(UserString, i32, UserString), full;
    READLINKAT = path::readlinkat(i32, UserString, Address, i32), full;
    FCHMODAT = path::fchmodat(i32, UserString, u32), full;
    FACCESSAT = path::faccessat(i32, UserString, u32), full;
    PSELECT6 = poll::pselect6(i32, Address, Address, Address, UserPtr<Timespec>, UserPtr<[u64; 2]>), full;
    PPOLL = poll::ppoll(Address, u32, UserPtr<Timespec>, UserPtr<u64>, usize), full;
    UNSHARE = process::unshare(u64), partial("no namespaces");
    EPOLL_CREATE = epoll::epoll_create(i32), full;
    EPOLL_WAIT = epoll::epoll_wait(i32, Address, i32, i32), full;
    EPOLL_CTL = epoll::epoll_ctl(i32, i32, i32, UserPtr<[u8; 12]>), full;
    EPOLL_PWAIT = epoll::epoll_pwait(i32, Address, i32, i32, UserPtr<u64>, usize), full;
    SYNC_FILE_RANGE = storage::sync_file_range(i32, i64, i64, Hex), full;
    SIGNALFD = timerfd::signalfd(i32, UserPtr<u64>, usize), full;
    TIMERFD_CREATE = timerfd::timerfd_create(i32, Hex), full;
    EVENTFD = epoll::eventfd(u32), full;
    FALLOCATE = storage::fallocate(i32, Hex, i64, i64), full;
    TIMERFD_SETTIME = timerfd::timerfd_settime(i32, Hex, UserPtr<[Timespec; 2]>, UserPtr<[Timespec; 2]>), full;
    TIMERFD_GETTIME = timerfd::timerfd_gettime(i32, UserPtr<[Timespec; 2]>), full;
    SIGNALFD4 = timerfd::signalfd4(i32, UserPtr<u64>, usize, Hex), full;
    EVENTFD2 = epoll::eventfd2(u32, Hex), full;
    EPOLL_CREATE1 = epoll::epoll_create1(Hex), full;
    EPOLL_PWAIT2 = epoll::epoll_pwait2(i32, Address, i32, UserPtr<Timespec>, UserPtr<u64>), full;
    SET_ROBUST_LIST = process::set_robust_list(Address, usize), full;
    GET_ROBUST_LIST = process::get_robust_list(i32, UserPtr<u64>, UserPtr<u64>), partial("of the caller only");
    SPLICE = splice::splice(i32, UserPtr<i64>, i32, UserPtr<i64>, usize, Hex), full;
    TEE = splice::tee(i32, i32, usize, Hex), full;
    VMSPLICE = splice::vmsplice(i32, Address, usize, Hex), full;
    UTIMENSAT = path::utimensat(i32, UserString, UserPtr<[Timespec; 2]>, Hex), full;
    INOTIFY_INIT1 = inotify::inotify_init1(Hex), full;
    DUP3 = file::dup3(i32, i32, Hex), full;
    PIPE2 = file::pipe2(UserPtr<[u32; 2]>, Hex), full;
    PREADV = file::preadv(i32, Address, usize, i64), full;
    PWRITEV = file::pwritev(i32, Address, usize, i64), full;
    RT_TGSIGQUEUEINFO = signal::rt_tgsigqueueinfo(i32, i32, i32, UserPtr<[u8; 128]>), full;
    PRLIMIT64 = process::prlimit64(i32, u32, UserPtr<[u64; 2]>, UserPtr<[u64; 2]>), full;
    CLOCK_ADJTIME = time::clock_adjtime(i32, UserPtr<Timex>), partial("the clock is set, not slewed");
    SYNCFS = storage::syncfs(i32), full;
    GETCPU = info::getcpu(UserPtr<u32>, UserPtr<u32>), full;
    SCHED_SETATTR = sched::sched_setattr(i32, UserPtr<[u32; 12]>, Hex), partial("no deadline class");
    SCHED_GETATTR = sched::sched_getattr(i32, UserPtr<[u32; 12]>, u32, Hex), full;
    RENAMEAT2 = path::renameat2(i32, UserString, i32, UserString, Hex), full;
    GETRANDOM = file::getrandom(Address, usize, Hex), full;
    MEMFD_CREATE = file::memfd_create(UserString, Hex), partial("no huge pages");
    EXECVEAT = process::execveat(i32, UserString, Address, Address, Hex), full;
    MEMBARRIER = memory::membarrier(u32, Hex), full;
    MLOCK2 = memory::mlock2(Address, u64, Hex), full;
    COPY_FILE_RANGE = splice::copy_file_range(i32, UserPtr<i64>, i32, UserPtr<i64>, usize, Hex), full;
    PREADV2 = file::preadv2(i32, Address, usize, i64, u64, Hex), partial("no RWF_NOWAIT");
    PWRITEV2 = file::pwritev2(i32, Address, usize, i64, u64, Hex), partial("no RWF_NOWAIT");
    STATX = path::statx(i32, UserString, Hex, Hex, UserPtr<[u64; 32]>), full;
    PIDFD_SEND_SIGNAL = signal::pidfd_send_signal(i32, i32, UserPtr<[u8; 128]>, Hex), full;
    PIDFD_OPEN = process::pidfd_open(i32, Hex), full;
    CLONE3 = process::clone3(Address, usize), partial("no namespaces, no chosen numbers");
    PIDFD_GETFD = process::pidfd_getfd(i32, i32, Hex), full;
    CLOSE_RANGE = file::close_range(u32, u32, Hex), full;
    FACCESSAT2 = path::faccessat2(i32, UserString, u32, Hex), full;
}
