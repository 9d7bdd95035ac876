//! System call numbers of Linux on x86-64. A number joins this list when the kernel handles it.

/// read(2).
pub const READ: usize = 0;
/// write(2).
pub const WRITE: usize = 1;
/// open(2).
pub const OPEN: usize = 2;
/// close(2).
pub const CLOSE: usize = 3;
/// stat(2).
pub const STAT: usize = 4;
/// fstat(2).
pub const FSTAT: usize = 5;
/// lstat(2).
pub const LSTAT: usize = 6;
/// poll(2).
pub const POLL: usize = 7;
/// lseek(2).
pub const LSEEK: usize = 8;
/// mmap(2).
pub const MMAP: usize = 9;
/// mprotect(2).
pub const MPROTECT: usize = 10;
/// munmap(2).
pub const MUNMAP: usize = 11;
/// brk(2).
pub const BRK: usize = 12;
/// rt_sigaction(2).
pub const RT_SIGACTION: usize = 13;
/// rt_sigprocmask(2).
pub const RT_SIGPROCMASK: usize = 14;
/// rt_sigreturn(2).
pub const RT_SIGRETURN: usize = 15;
/// ioctl(2).
pub const IOCTL: usize = 16;
/// pread64(2).
pub const PREAD64: usize = 17;
/// pwrite64(2).
pub const PWRITE64: usize = 18;
/// readv(2).
pub const READV: usize = 19;
/// writev(2).
pub const WRITEV: usize = 20;
/// access(2).
pub const ACCESS: usize = 21;
/// pipe(2).
pub const PIPE: usize = 22;
/// select(2).
pub const SELECT: usize = 23;
/// sched_yield(2).
pub const SCHED_YIELD: usize = 24;
/// mremap(2).
pub const MREMAP: usize = 25;
/// msync(2).
pub const MSYNC: usize = 26;
/// mincore(2).
pub const MINCORE: usize = 27;
/// madvise(2).
pub const MADVISE: usize = 28;
/// shmget(2).
pub const SHMGET: usize = 29;
/// shmat(2).
pub const SHMAT: usize = 30;
/// shmctl(2).
pub const SHMCTL: usize = 31;
/// dup(2).
pub const DUP: usize = 32;
/// dup2(2).
pub const DUP2: usize = 33;
/// pause(2).
pub const PAUSE: usize = 34;
/// nanosleep(2).
pub const NANOSLEEP: usize = 35;
/// getitimer(2).
pub const GETITIMER: usize = 36;
/// alarm(2).
pub const ALARM: usize = 37;
/// setitimer(2).
pub const SETITIMER: usize = 38;
/// getpid(2).
pub const GETPID: usize = 39;
/// sendfile(2).
pub const SENDFILE: usize = 40;
/// clone(2).
pub const CLONE: usize = 56;
/// fork(2).
pub const FORK: usize = 57;
/// vfork(2).
pub const VFORK: usize = 58;
/// execve(2).
pub const EXECVE: usize = 59;
/// exit(2).
pub const EXIT: usize = 60;
/// wait4(2).
pub const WAIT4: usize = 61;
/// kill(2).
pub const KILL: usize = 62;
/// uname(2).
pub const UNAME: usize = 63;
/// semget(2).
pub const SEMGET: usize = 64;
/// semop(2).
pub const SEMOP: usize = 65;
/// semctl(2).
pub const SEMCTL: usize = 66;
/// shmdt(2).
pub const SHMDT: usize = 67;
/// msgget(2).
pub const MSGGET: usize = 68;
/// msgsnd(2).
pub const MSGSND: usize = 69;
/// msgrcv(2).
pub const MSGRCV: usize = 70;
/// msgctl(2).
pub const MSGCTL: usize = 71;
/// fcntl(2).
pub const FCNTL: usize = 72;
/// flock(2).
pub const FLOCK: usize = 73;
/// fsync(2).
pub const FSYNC: usize = 74;
/// fdatasync(2).
pub const FDATASYNC: usize = 75;
/// truncate(2).
pub const TRUNCATE: usize = 76;
/// ftruncate(2).
pub const FTRUNCATE: usize = 77;
/// getcwd(2).
pub const GETCWD: usize = 79;
/// chdir(2).
pub const CHDIR: usize = 80;
/// fchdir(2).
pub const FCHDIR: usize = 81;
/// rename(2).
pub const RENAME: usize = 82;
/// mkdir(2).
pub const MKDIR: usize = 83;
/// rmdir(2).
pub const RMDIR: usize = 84;
/// creat(2).
pub const CREAT: usize = 85;
/// link(2).
pub const LINK: usize = 86;
/// unlink(2).
pub const UNLINK: usize = 87;
/// symlink(2).
pub const SYMLINK: usize = 88;
/// readlink(2).
pub const READLINK: usize = 89;
/// chmod(2).
pub const CHMOD: usize = 90;
/// fchmod(2).
pub const FCHMOD: usize = 91;
/// chown(2).
pub const CHOWN: usize = 92;
/// fchown(2).
pub const FCHOWN: usize = 93;
/// lchown(2).
pub const LCHOWN: usize = 94;
/// umask(2).
pub const UMASK: usize = 95;
/// gettimeofday(2).
pub const GETTIMEOFDAY: usize = 96;
/// getrlimit(2).
pub const GETRLIMIT: usize = 97;
/// getrusage(2).
pub const GETRUSAGE: usize = 98;
/// sysinfo(2).
pub const SYSINFO: usize = 99;
/// times(2).
pub const TIMES: usize = 100;
/// getuid(2).
pub const GETUID: usize = 102;
/// syslog(2).
pub const SYSLOG: usize = 103;
/// getgid(2).
pub const GETGID: usize = 104;
/// setuid(2).
pub const SETUID: usize = 105;
/// setgid(2).
pub const SETGID: usize = 106;
/// geteuid(2).
pub const GETEUID: usize = 107;
/// getegid(2).
pub const GETEGID: usize = 108;
/// setpgid(2).
pub const SETPGID: usize = 109;
/// getppid(2).
pub const GETPPID: usize = 110;
/// getpgrp(2).
pub const GETPGRP: usize = 111;
/// setsid(2).
pub const SETSID: usize = 112;
/// setreuid(2).
pub const SETREUID: usize = 113;
/// setregid(2).
pub const SETREGID: usize = 114;
/// getgroups(2).
pub const GETGROUPS: usize = 115;
/// setgroups(2).
pub const SETGROUPS: usize = 116;
/// setresuid(2).
pub const SETRESUID: usize = 117;
/// getresuid(2).
pub const GETRESUID: usize = 118;
/// setresgid(2).
pub const SETRESGID: usize = 119;
/// getresgid(2).
pub const GETRESGID: usize = 120;
/// getpgid(2).
pub const GETPGID: usize = 121;
/// setfsuid(2).
pub const SETFSUID: usize = 122;
/// setfsgid(2).
pub const SETFSGID: usize = 123;
/// getsid(2).
pub const GETSID: usize = 124;
/// capget(2).
pub const CAPGET: usize = 125;
/// capset(2).
pub const CAPSET: usize = 126;
/// rt_sigpending(2).
pub const RT_SIGPENDING: usize = 127;
/// rt_sigtimedwait(2).
pub const RT_SIGTIMEDWAIT: usize = 128;
/// rt_sigqueueinfo(2).
pub const RT_SIGQUEUEINFO: usize = 129;
/// rt_sigsuspend(2).
pub const RT_SIGSUSPEND: usize = 130;
/// sigaltstack(2).
pub const SIGALTSTACK: usize = 131;
/// mknod(2).
pub const MKNOD: usize = 133;
/// personality(2).
pub const PERSONALITY: usize = 135;
/// statfs(2).
pub const STATFS: usize = 137;
/// fstatfs(2).
pub const FSTATFS: usize = 138;
/// getpriority(2).
pub const GETPRIORITY: usize = 140;
/// setpriority(2).
pub const SETPRIORITY: usize = 141;
/// sched_setparam(2).
pub const SCHED_SETPARAM: usize = 142;
/// sched_getparam(2).
pub const SCHED_GETPARAM: usize = 143;
/// sched_setscheduler(2).
pub const SCHED_SETSCHEDULER: usize = 144;
/// sched_getscheduler(2).
pub const SCHED_GETSCHEDULER: usize = 145;
/// sched_get_priority_max(2).
pub const SCHED_GET_PRIORITY_MAX: usize = 146;
/// sched_get_priority_min(2).
pub const SCHED_GET_PRIORITY_MIN: usize = 147;
/// sched_rr_get_interval(2).
pub const SCHED_RR_GET_INTERVAL: usize = 148;
/// mlock(2).
pub const MLOCK: usize = 149;
/// munlock(2).
pub const MUNLOCK: usize = 150;
/// mlockall(2).
pub const MLOCKALL: usize = 151;
/// munlockall(2).
pub const MUNLOCKALL: usize = 152;
/// vhangup(2).
pub const VHANGUP: usize = 153;
/// prctl(2).
pub const PRCTL: usize = 157;
/// arch_prctl(2).
pub const ARCH_PRCTL: usize = 158;
/// adjtimex(2).
pub const ADJTIMEX: usize = 159;
/// setrlimit(2).
pub const SETRLIMIT: usize = 160;
/// chroot(2).
pub const CHROOT: usize = 161;
/// sync(2).
pub const SYNC: usize = 162;
/// settimeofday(2).
pub const SETTIMEOFDAY: usize = 164;
/// mount(2).
pub const MOUNT: usize = 165;
/// umount2(2).
pub const UMOUNT2: usize = 166;
/// reboot(2).
pub const REBOOT: usize = 169;
/// sethostname(2).
pub const SETHOSTNAME: usize = 170;
/// setdomainname(2).
pub const SETDOMAINNAME: usize = 171;
/// gettid(2).
pub const GETTID: usize = 186;
/// tkill(2).
pub const TKILL: usize = 200;
/// time(2).
pub const TIME: usize = 201;
/// futex(2).
pub const FUTEX: usize = 202;
/// sched_setaffinity(2).
pub const SCHED_SETAFFINITY: usize = 203;
/// sched_getaffinity(2).
pub const SCHED_GETAFFINITY: usize = 204;
/// preadv2(2).
pub const PREADV2: usize = 327;
/// pwritev2(2).
pub const PWRITEV2: usize = 328;
/// pivot_root(2).
pub const PIVOT_ROOT: usize = 155;
/// posix_fadvise(2).
pub const FADVISE64: usize = 221;
/// readahead(2).
pub const READAHEAD: usize = 187;
/// sync_file_range(2).
pub const SYNC_FILE_RANGE: usize = 277;
/// fallocate(2).
pub const FALLOCATE: usize = 285;
/// syncfs(2).
pub const SYNCFS: usize = 306;
/// getdents64(2).
pub const GETDENTS64: usize = 217;
/// set_tid_address(2).
pub const SET_TID_ADDRESS: usize = 218;
/// restart_syscall(2).
pub const RESTART_SYSCALL: usize = 219;
/// semtimedop(2).
pub const SEMTIMEDOP: usize = 220;
/// timer_create(2).
pub const TIMER_CREATE: usize = 222;
/// timer_settime(2).
pub const TIMER_SETTIME: usize = 223;
/// timer_gettime(2).
pub const TIMER_GETTIME: usize = 224;
/// timer_getoverrun(2).
pub const TIMER_GETOVERRUN: usize = 225;
/// timer_delete(2).
pub const TIMER_DELETE: usize = 226;
/// clock_settime(2).
pub const CLOCK_SETTIME: usize = 227;
/// clock_gettime(2).
pub const CLOCK_GETTIME: usize = 228;
/// clock_getres(2).
pub const CLOCK_GETRES: usize = 229;
/// clock_nanosleep(2).
pub const CLOCK_NANOSLEEP: usize = 230;
/// exit_group(2).
pub const EXIT_GROUP: usize = 231;
/// tgkill(2).
pub const TGKILL: usize = 234;
/// utimes(2).
pub const UTIMES: usize = 235;
/// mq_open(2).
pub const MQ_OPEN: usize = 240;
/// mq_unlink(2).
pub const MQ_UNLINK: usize = 241;
/// mq_timedsend(2).
pub const MQ_TIMEDSEND: usize = 242;
/// mq_timedreceive(2).
pub const MQ_TIMEDRECEIVE: usize = 243;
/// mq_notify(2).
pub const MQ_NOTIFY: usize = 244;
/// mq_getsetattr(2).
pub const MQ_GETSETATTR: usize = 245;
/// waitid(2).
pub const WAITID: usize = 247;
/// inotify_init(2).
pub const INOTIFY_INIT: usize = 253;
/// inotify_add_watch(2).
pub const INOTIFY_ADD_WATCH: usize = 254;
/// inotify_rm_watch(2).
pub const INOTIFY_RM_WATCH: usize = 255;
/// openat(2).
pub const OPENAT: usize = 257;
/// mkdirat(2).
pub const MKDIRAT: usize = 258;
/// mknodat(2).
pub const MKNODAT: usize = 259;
/// fchownat(2).
pub const FCHOWNAT: usize = 260;
/// newfstatat(2).
pub const NEWFSTATAT: usize = 262;
/// unlinkat(2).
pub const UNLINKAT: usize = 263;
/// renameat(2).
pub const RENAMEAT: usize = 264;
/// linkat(2).
pub const LINKAT: usize = 265;
/// symlinkat(2).
pub const SYMLINKAT: usize = 266;
/// readlinkat(2).
pub const READLINKAT: usize = 267;
/// fchmodat(2).
pub const FCHMODAT: usize = 268;
/// faccessat(2).
pub const FACCESSAT: usize = 269;
/// pselect6(2).
pub const PSELECT6: usize = 270;
/// ppoll(2).
pub const PPOLL: usize = 271;
/// unshare(2).
pub const UNSHARE: usize = 272;
/// set_robust_list(2).
pub const SET_ROBUST_LIST: usize = 273;
/// get_robust_list(2).
pub const GET_ROBUST_LIST: usize = 274;
/// splice(2).
pub const SPLICE: usize = 275;
/// tee(2).
pub const TEE: usize = 276;
/// vmsplice(2).
pub const VMSPLICE: usize = 278;
/// utimensat(2).
pub const UTIMENSAT: usize = 280;
/// signalfd(2).
pub const SIGNALFD: usize = 282;
/// timerfd_create(2).
pub const TIMERFD_CREATE: usize = 283;
/// timerfd_settime(2).
pub const TIMERFD_SETTIME: usize = 286;
/// timerfd_gettime(2).
pub const TIMERFD_GETTIME: usize = 287;
/// signalfd4(2).
pub const SIGNALFD4: usize = 289;
/// dup3(2).
pub const DUP3: usize = 292;
/// pipe2(2).
pub const PIPE2: usize = 293;
/// inotify_init1(2).
pub const INOTIFY_INIT1: usize = 294;
/// preadv(2).
pub const PREADV: usize = 295;
/// pwritev(2).
pub const PWRITEV: usize = 296;
/// rt_tgsigqueueinfo(2).
pub const RT_TGSIGQUEUEINFO: usize = 297;
/// prlimit64(2).
pub const PRLIMIT64: usize = 302;
/// clock_adjtime(2).
pub const CLOCK_ADJTIME: usize = 305;
/// getcpu(2).
pub const GETCPU: usize = 309;
/// sched_setattr(2).
pub const SCHED_SETATTR: usize = 314;
/// sched_getattr(2).
pub const SCHED_GETATTR: usize = 315;
/// renameat2(2).
pub const RENAMEAT2: usize = 316;
/// getrandom(2).
pub const GETRANDOM: usize = 318;
/// memfd_create(2).
pub const MEMFD_CREATE: usize = 319;
/// execveat(2).
pub const EXECVEAT: usize = 322;
/// membarrier(2).
pub const MEMBARRIER: usize = 324;
/// mlock2(2).
pub const MLOCK2: usize = 325;
/// copy_file_range(2).
pub const COPY_FILE_RANGE: usize = 326;
/// statx(2).
pub const STATX: usize = 332;
/// pidfd_send_signal(2).
pub const PIDFD_SEND_SIGNAL: usize = 424;
/// pidfd_open(2).
pub const PIDFD_OPEN: usize = 434;
/// clone3(2).
pub const CLONE3: usize = 435;
/// close_range(2).
pub const CLOSE_RANGE: usize = 436;
/// pidfd_getfd(2).
pub const PIDFD_GETFD: usize = 438;
/// faccessat2(2).
pub const FACCESSAT2: usize = 439;
/// epoll_create(2).
pub const EPOLL_CREATE: usize = 213;
/// epoll_wait(2).
pub const EPOLL_WAIT: usize = 232;
/// epoll_ctl(2).
pub const EPOLL_CTL: usize = 233;
/// epoll_pwait(2).
pub const EPOLL_PWAIT: usize = 281;
/// eventfd(2).
pub const EVENTFD: usize = 284;
/// eventfd2(2).
pub const EVENTFD2: usize = 290;
/// epoll_create1(2).
pub const EPOLL_CREATE1: usize = 291;
/// epoll_pwait2(2).
pub const EPOLL_PWAIT2: usize = 441;
/// setxattr(2).
pub const SETXATTR: usize = 188;
/// lsetxattr(2).
pub const LSETXATTR: usize = 189;
/// fsetxattr(2).
pub const FSETXATTR: usize = 190;
/// getxattr(2).
pub const GETXATTR: usize = 191;
/// lgetxattr(2).
pub const LGETXATTR: usize = 192;
/// fgetxattr(2).
pub const FGETXATTR: usize = 193;
/// listxattr(2).
pub const LISTXATTR: usize = 194;
/// llistxattr(2).
pub const LLISTXATTR: usize = 195;
/// flistxattr(2).
pub const FLISTXATTR: usize = 196;
/// removexattr(2).
pub const REMOVEXATTR: usize = 197;
/// lremovexattr(2).
pub const LREMOVEXATTR: usize = 198;
/// fremovexattr(2).
pub const FREMOVEXATTR: usize = 199;
