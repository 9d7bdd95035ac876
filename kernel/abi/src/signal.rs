//! Signals: their numbers, flags of sigaction(2), and the codes that tell where a signal came from.
//!
//! From `asm/signal.h`, `asm-generic/signal-defs.h` and `asm-generic/siginfo.h` of Linux for x86-64.

use crate::constants::constants;

constants! { u32;
    SIGHUP = 1, "The terminal hung up.";
    SIGINT = 2, "Interrupt from the keyboard.";
    SIGQUIT = 3, "Quit from the keyboard.";
    SIGILL = 4, "Illegal instruction.";
    SIGTRAP = 5, "Breakpoint or single step.";
    SIGABRT = 6, "abort(3).";
    SIGBUS = 7, "Memory access the hardware or the file behind it refused.";
    SIGFPE = 8, "Arithmetic error.";
    SIGKILL = 9, "The end, without appeal.";
    SIGUSR1 = 10, "For programs to define.";
    SIGSEGV = 11, "Access to memory that is not there.";
    SIGUSR2 = 12, "For programs to define.";
    SIGPIPE = 13, "Write to a pipe nobody reads.";
    SIGALRM = 14, "alarm(2) and the real interval timer.";
    SIGTERM = 15, "A polite request to end.";
    SIGSTKFLT = 16, "Unused.";
    SIGCHLD = 17, "A child ended, stopped or went on.";
    SIGCONT = 18, "Go on after a stop.";
    SIGSTOP = 19, "Stop, without appeal.";
    SIGTSTP = 20, "Stop from the keyboard.";
    SIGTTIN = 21, "A background process reads from its terminal.";
    SIGTTOU = 22, "A background process writes to its terminal.";
    SIGURG = 23, "Urgent data on a socket.";
    SIGXCPU = 24, "RLIMIT_CPU is used up.";
    SIGXFSZ = 25, "A file would outgrow RLIMIT_FSIZE.";
    SIGVTALRM = 26, "The interval timer of user time.";
    SIGPROF = 27, "The interval timer of CPU time.";
    SIGWINCH = 28, "The window changed its size.";
    SIGIO = 29, "I/O is possible; also called SIGPOLL.";
    SIGPWR = 30, "Power failure.";
    SIGSYS = 31, "A forbidden system call.";
    SIGRTMIN = 32, "The first real-time signal (libc keeps the first two or three for itself).";
    SIGRTMAX = 64, "The last signal.";
}

constants! { u64;
    SA_NOCLDSTOP = 0x1, "No SIGCHLD when children stop or go on.";
    SA_NOCLDWAIT = 0x2, "Children leave no zombies.";
    SA_SIGINFO = 0x4, "The handler takes three arguments.";
    SA_EXPOSE_TAGBITS = 0x800, "Keep the tag bits of si_addr; x86-64 has none there.";
    SA_RESTORER = 0x0400_0000, "The restorer is given; x86-64 demands it.";
    SA_ONSTACK = 0x0800_0000, "Use the alternate stack.";
    SA_RESTART = 0x1000_0000, "Restart interrupted calls.";
    SA_NODEFER = 0x4000_0000, "Do not block the signal inside its handler.";
    SA_RESETHAND = 0x8000_0000, "Back to the default at delivery.";
    SIG_DFL = 0, "Handler: the default action.";
    SIG_IGN = 1, "Handler: ignore.";
}

constants! { u32;
    SIG_BLOCK = 0, "sigprocmask(2): add to the mask.";
    SIG_UNBLOCK = 1, "sigprocmask(2): remove from the mask.";
    SIG_SETMASK = 2, "sigprocmask(2): replace the mask.";
    SS_ONSTACK = 1, "sigaltstack(2): the thread runs on it.";
    SS_DISABLE = 2, "sigaltstack(2): there is none.";
    SS_AUTODISARM = 1 << 31, "sigaltstack(2): forget it when a handler starts.";
    MINSIGSTKSZ = 2048, "The least size sigaltstack(2) takes.";
    SIGEV_SIGNAL = 0, "timer_create(2): send a signal.";
    SIGEV_NONE = 1, "timer_create(2): send nothing.";
    SIGEV_THREAD = 2, "timer_create(2): libc starts a thread.";
    SIGEV_THREAD_ID = 4, "timer_create(2): send a signal to one thread.";
}

constants! { i32;
    SI_USER = 0, "Sent by kill(2).";
    SI_KERNEL = 0x80, "Sent by the kernel.";
    SI_QUEUE = -1, "Sent by sigqueue(3).";
    SI_TIMER = -2, "A POSIX timer expired.";
    SI_MESGQ = -3, "A message arrived in a queue.";
    SI_ASYNCIO = -4, "Asynchronous I/O completed.";
    SI_SIGIO = -5, "Queued SIGIO.";
    SI_TKILL = -6, "Sent by tkill(2) or tgkill(2).";
    SI_DETHREAD = -7, "execve(2) ends the other threads.";
    SI_ASYNCNL = -60, "Asynchronous name look-up of glibc.";
    ILL_ILLOPC = 1, "SIGILL: opcode.";
    ILL_ILLOPN = 2, "SIGILL: operand.";
    ILL_ILLADR = 3, "SIGILL: addressing mode.";
    ILL_ILLTRP = 4, "SIGILL: trap.";
    ILL_PRVOPC = 5, "SIGILL: privileged opcode.";
    ILL_PRVREG = 6, "SIGILL: privileged register.";
    ILL_COPROC = 7, "SIGILL: coprocessor.";
    ILL_BADSTK = 8, "SIGILL: internal stack.";
    NSIGILL = 11, "The highest code of SIGILL.";
    FPE_INTDIV = 1, "SIGFPE: integer division by zero.";
    FPE_INTOVF = 2, "SIGFPE: integer overflow.";
    FPE_FLTDIV = 3, "SIGFPE: division by zero.";
    FPE_FLTOVF = 4, "SIGFPE: overflow.";
    FPE_FLTUND = 5, "SIGFPE: underflow.";
    FPE_FLTRES = 6, "SIGFPE: inexact result.";
    FPE_FLTINV = 7, "SIGFPE: invalid operation.";
    FPE_FLTSUB = 8, "SIGFPE: subscript out of range.";
    NSIGFPE = 15, "The highest code of SIGFPE.";
    SEGV_MAPERR = 1, "SIGSEGV: nothing is mapped there.";
    SEGV_ACCERR = 2, "SIGSEGV: the mapping forbids it.";
    SEGV_BNDERR = 3, "SIGSEGV: bounds check.";
    SEGV_PKUERR = 4, "SIGSEGV: protection key.";
    SEGV_CPERR = 10, "SIGSEGV: shadow stack.";
    NSIGSEGV = 10, "The highest code of SIGSEGV.";
    BUS_ADRALN = 1, "SIGBUS: alignment.";
    BUS_ADRERR = 2, "SIGBUS: past the end of the file.";
    BUS_OBJERR = 3, "SIGBUS: hardware error.";
    NSIGBUS = 5, "The highest code of SIGBUS.";
    TRAP_BRKPT = 1, "SIGTRAP: breakpoint.";
    TRAP_TRACE = 2, "SIGTRAP: single step.";
    TRAP_BRANCH = 3, "SIGTRAP: branch.";
    TRAP_HWBKPT = 4, "SIGTRAP: hardware breakpoint.";
    NSIGTRAP = 6, "The highest code of SIGTRAP.";
    CLD_EXITED = 1, "SIGCHLD: exited.";
    CLD_KILLED = 2, "SIGCHLD: killed by a signal.";
    CLD_DUMPED = 3, "SIGCHLD: killed, with a core dump.";
    CLD_TRAPPED = 4, "SIGCHLD: a traced child trapped.";
    CLD_STOPPED = 5, "SIGCHLD: stopped.";
    CLD_CONTINUED = 6, "SIGCHLD: went on.";
    NSIGCHLD = 6, "The highest code of SIGCHLD.";
    POLL_IN = 1, "SIGIO: input.";
    POLL_OUT = 2, "SIGIO: room for output.";
    POLL_MSG = 3, "SIGIO: a message.";
    POLL_ERR = 4, "SIGIO: an error.";
    POLL_PRI = 5, "SIGIO: urgent input.";
    POLL_HUP = 6, "SIGIO: hung up.";
    NSIGPOLL = 6, "The highest code of SIGIO.";
    SYS_SECCOMP = 1, "SIGSYS: seccomp(2).";
    SYS_USER_DISPATCH = 2, "SIGSYS: user dispatch.";
    NSIGSYS = 2, "The highest code of SIGSYS.";
}

/// Bytes of the siginfo_t programs see.
pub const SIGINFO_SIZE: usize = 128;
/// Bytes of it that carry anything.
pub const SIGINFO_USED: usize = 48;
/// Bytes of `struct kernel_sigaction`, the argument of rt_sigaction(2).
pub const SIGACTION_SIZE: usize = 32;
/// Bytes of the signal sets of system calls.
pub const SIGSET_SIZE: usize = 8;
