//! Constants that `abi` does not have, because the kernel keeps them where it uses them.
//!
//! From `linux/mount.h`, `linux/reboot.h`, `linux/magic.h`, `asm-generic/mman-common.h`, `asm-generic/fcntl.h`.

macro_rules! constants {
    ($type:ty; $($name:ident = $value:expr, $text:literal;)*) => {
        $(#[doc = $text] pub const $name: $type = $value;)*
    };
}

constants! { usize;
    MS_RDONLY = 1, "mount(2): nobody writes.";
    MS_NOSUID = 2, "mount(2): no rights from setuid files.";
    MS_NODEV = 4, "mount(2): device nodes lead nowhere.";
    MS_NOEXEC = 8, "mount(2): nothing is executed.";
    MS_REMOUNT = 0x20, "mount(2): change what is mounted.";
    MS_MOVE = 0x2000, "mount(2): move a mount to another place.";
    MNT_DETACH = 2, "umount2(2): out of sight now, gone when unused.";
    PROT_READ = 1, "mmap(2): read.";
    PROT_WRITE = 2, "mmap(2): write.";
    MAP_PRIVATE = 2, "mmap(2): changes stay here.";
    MAP_ANONYMOUS = 0x20, "mmap(2): no file.";
    MREMAP_MAYMOVE = 1, "mremap(2): to another address if need be.";
    F_SETLKW = 7, "fcntl(2): lock, and wait for it.";
    F_GETFD = 1, "fcntl(2): flags of the descriptor.";
    F_SETFL = 4, "fcntl(2): flags of the open file.";
}

constants! { u32;
    SFD_CLOEXEC = 0o2_000_000, "signalfd(2): closed by exec.";
    SFD_NONBLOCK = 0o4000, "signalfd(2): EAGAIN instead of waiting.";
    REBOOT_MAGIC = 0xfee1_dead, "reboot(2): the first word.";
    REBOOT_MAGIC2 = 672_274_793, "reboot(2): the second.";
    REBOOT_POWER_OFF = 0x4321_fedc, "reboot(2): switch off.";
    REBOOT_RESTART = 0x0123_4567, "reboot(2): start again.";
    REBOOT_HALT = 0xcdef_0123, "reboot(2): stop, stay on.";
    REBOOT_CAD_OFF = 0, "reboot(2): Ctrl-Alt-Del sends SIGINT to process 1.";
    CLOCK_REALTIME = 0, "clock_gettime(2): the time of day.";
    CLOCK_MONOTONIC = 1, "clock_gettime(2): time since some start.";
}

constants! { u64;
    RAMFS_MAGIC = 0x8584_58f6, "statfs(2): ramfs.";
    TMPFS_MAGIC = 0x0102_1994, "statfs(2): tmpfs.";
}
