//! Processes: flags of clone(2), wait4(2), futex(2), and the like.

use crate::constants::constants;

constants! { u64;
    CSIGNAL = 0xff, "The signal sent to the parent at the end.";
    CLONE_VM = 0x100, "Share memory.";
    CLONE_FS = 0x200, "Share root, working directory and umask.";
    CLONE_FILES = 0x400, "Share open files.";
    CLONE_SIGHAND = 0x800, "Share signal actions.";
    CLONE_PIDFD = 0x1000, "Store a pidfd.";
    CLONE_PTRACE = 0x2000, "The child is traced too.";
    CLONE_VFORK = 0x4000, "Wait until the child lets go of the memory.";
    CLONE_PARENT = 0x8000, "The child is a sibling.";
    CLONE_THREAD = 0x1_0000, "A thread of the same process.";
    CLONE_NEWNS = 0x2_0000, "A namespace of mounts.";
    CLONE_SYSVSEM = 0x4_0000, "Share undo values of semaphores.";
    CLONE_SETTLS = 0x8_0000, "Set the base of FS.";
    CLONE_PARENT_SETTID = 0x10_0000, "Store the number in the parent.";
    CLONE_CHILD_CLEARTID = 0x20_0000, "Clear a word and wake a futex at the end.";
    CLONE_DETACHED = 0x40_0000, "Means nothing.";
    CLONE_UNTRACED = 0x80_0000, "No tracer may follow.";
    CLONE_CHILD_SETTID = 0x100_0000, "Store the number in the child.";
    CLONE_NEWCGROUP = 0x200_0000, "A namespace.";
    CLONE_NEWUTS = 0x400_0000, "A namespace.";
    CLONE_NEWIPC = 0x800_0000, "A namespace.";
    CLONE_NEWUSER = 0x1000_0000, "A namespace.";
    CLONE_NEWPID = 0x2000_0000, "A namespace.";
    CLONE_NEWNET = 0x4000_0000, "A namespace.";
    CLONE_IO = 0x8000_0000, "Share the I/O context.";
    CLONE_CLEAR_SIGHAND = 0x1_0000_0000, "All handlers at their default.";
    CLONE_INTO_CGROUP = 0x2_0000_0000, "Start in a control group.";
}

constants! { u32;
    WNOHANG = 1, "Do not wait.";
    WUNTRACED = 2, "Stopped children too.";
    WSTOPPED = 2, "waitid(2): stopped children.";
    WEXITED = 4, "waitid(2): children that ended.";
    WCONTINUED = 8, "Continued children too.";
    WNOWAIT = 0x0100_0000, "Leave it to be waited for again.";
    WNOTHREAD = 0x2000_0000, "Not the children of other threads.";
    WALL = 0x4000_0000, "Whatever signal they send.";
    WCLONE = 0x8000_0000, "Those that send another signal than SIGCHLD.";
    P_ALL = 0, "waitid(2): any child.";
    P_PID = 1, "waitid(2): this child.";
    P_PGID = 2, "waitid(2): of this group.";
    P_PIDFD = 3, "waitid(2): the child of this pidfd.";
}

constants! { u32;
    FUTEX_WAIT = 0, "Sleep if the word has a value.";
    FUTEX_WAKE = 1, "Wake sleepers.";
    FUTEX_REQUEUE = 3, "Wake some, move others.";
    FUTEX_CMP_REQUEUE = 4, "The same if the word has a value.";
    FUTEX_WAKE_OP = 5, "Change another word, wake sleepers of both.";
    FUTEX_LOCK_PI = 6, "Lock a word that names its owner, or sleep until a time of day.";
    FUTEX_UNLOCK_PI = 7, "Unlock it.";
    FUTEX_TRYLOCK_PI = 8, "Lock it, or fail.";
    FUTEX_LOCK_PI2 = 13, "As lock, with a choice of clocks.";
    FUTEX_WAIT_BITSET = 9, "As wait, until a time of day or of the clock.";
    FUTEX_WAKE_BITSET = 10, "As wake, for those with one of these bits.";
    FUTEX_PRIVATE_FLAG = 128, "Only this process uses the word.";
    FUTEX_CLOCK_REALTIME = 256, "The time is that of day.";
    FUTEX_BITSET_MATCH_ANY = u32::MAX, "All bits.";
    FUTEX_WAITERS = 0x8000_0000, "Somebody sleeps.";
    FUTEX_OWNER_DIED = 0x4000_0000, "The owner ended.";
    FUTEX_TID_MASK = 0x3fff_ffff, "The owner.";
    ADDR_NO_RANDOMIZE = 0x0004_0000, "personality(2): every address the same each time.";
}
