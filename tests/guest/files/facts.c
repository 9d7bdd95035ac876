/* What is known of files and file systems: stat, statx, times, owners, modes, access, statfs. */
#include "check.h"

#include <grp.h>
#include <sys/statfs.h>

struct statx_time {
    int64_t seconds;
    uint32_t nanoseconds;
    int32_t reserved;
};

/* As the kernel writes it: glibc's own is not everywhere. */
struct all_facts {
    uint32_t mask, block_size;
    uint64_t attributes;
    uint32_t links, user, group;
    uint16_t mode, spare;
    uint64_t inode, size, blocks, attributes_mask;
    struct statx_time accessed, born, changed, modified;
    uint32_t device_major_of_node, device_minor_of_node, device_major, device_minor;
    uint64_t mount, more[13];
};

static long statx_(int folder, const char *path, int flags, unsigned mask, struct all_facts *facts)
{
    return syscall(SYS_statx, folder, path, flags, mask, facts);
}

static void become_other(void)
{
    NEED(setgroups(0, NULL) == 0 && setresgid(5000, 5000, 5000) == 0 && setresuid(5000, 5000, 5000) == 0);
}

/* Where it is known when a file was made, that stays. */
static void when_it_was_made(void)
{
    struct all_facts facts, later;
    REQUIRE(close(open("born", O_CREAT | O_RDWR, 0600)) == 0);
    CHECK_OK(statx_(AT_FDCWD, "born", 0, 0xfff, &facts));
    CHECK(facts.mask & 0x800);
    CHECK_EQ(facts.born.seconds, facts.changed.seconds);
    CHECK_EQ(facts.born.nanoseconds, facts.changed.nanoseconds);
    usleep(20000);
    CHECK_OK(chmod("born", 0640));
    CHECK_OK(rename("born", "renamed"));
    CHECK_OK(statx_(AT_FDCWD, "renamed", 0, 0xfff, &later));
    CHECK(later.born.seconds == facts.born.seconds && later.born.nanoseconds == facts.born.nanoseconds);
    CHECK(later.changed.seconds > later.born.seconds || later.changed.nanoseconds > later.born.nanoseconds);
}

static void everything_at_once(void)
{
    struct all_facts facts;
    struct stat old;
    int file = make_file("f", "12345", 5, 0640);
    NEED(symlink("f", "l") == 0 && chown("f", 7, 8) == 0 && link("f", "g") == 0);
    memset(&facts, 0xff, sizeof facts);
    CHECK_OK(statx_(AT_FDCWD, "f", 0, 0xfff, &facts));
    CHECK_OK(stat("f", &old));
    CHECK_EQ(facts.mask & 0x7ff, 0x7ff);
    CHECK(facts.mode == old.st_mode && facts.inode == old.st_ino && facts.size == 5 && facts.links == 2);
    CHECK(facts.user == 7 && facts.group == 8 && facts.blocks == (uint64_t)old.st_blocks && facts.block_size == (uint32_t)old.st_blksize);
    CHECK(facts.accessed.seconds == old.st_atim.tv_sec && facts.accessed.nanoseconds == old.st_atim.tv_nsec);
    CHECK(facts.modified.seconds == old.st_mtim.tv_sec && facts.modified.nanoseconds == old.st_mtim.tv_nsec);
    CHECK(facts.changed.seconds == old.st_ctim.tv_sec && facts.changed.nanoseconds == old.st_ctim.tv_nsec);
    CHECK_EQ(facts.device_major, old.st_dev >> 8);
    CHECK_EQ(facts.device_minor, old.st_dev & 0xff);
    CHECK_EQ(facts.device_major_of_node, 0);
    if (facts.mask & 0x800) { /* when it was made */
        CHECK(facts.born.seconds > 1500000000 && facts.born.seconds <= facts.changed.seconds);
        struct all_facts later;
        struct timespec times[2] = {{1000, 0}, {1000, 0}};
        CHECK_OK(futimens(file, times));
        CHECK_OK(statx_(AT_FDCWD, "f", 0, 0xfff, &later));
        CHECK(later.born.seconds == facts.born.seconds && later.born.nanoseconds == facts.born.nanoseconds);
    }
    CHECK_OK(statx_(AT_FDCWD, "l", AT_SYMLINK_NOFOLLOW, 0xfff, &facts));
    CHECK(S_ISLNK(facts.mode) && facts.size == 1);
    CHECK_OK(statx_(file, "", AT_EMPTY_PATH, 0, &facts));
    CHECK_EQ(facts.inode, old.st_ino);
    CHECK_OK(statx_(AT_FDCWD, "f", 0x2000 /* FORCE_SYNC */, 0xfff, &facts));
    CHECK_OK(statx_(AT_FDCWD, "f", 0x4000 /* DONT_SYNC */, 0xfff, &facts));
    CHECK_OK(statx_(AT_FDCWD, "/dev/null", 0, 0xfff, &facts));
    CHECK(facts.device_major_of_node == 1 && facts.device_minor_of_node == 3);
    CHECK_OK(statx_(AT_FDCWD, "/", 0, 0xfff, &facts));
    CHECK(facts.attributes_mask & 0x2000); /* whether it is the root of a mount is known */
    CHECK(facts.attributes & 0x2000);
    CHECK_OK(statx_(AT_FDCWD, "f", 0, 0xfff, &facts));
    CHECK_EQ(facts.attributes & 0x2000, 0);
    CHECK_ERR(statx_(AT_FDCWD, "missing", 0, 0xfff, &facts), ENOENT);
    CHECK_ERR(statx_(AT_FDCWD, "", 0, 0xfff, &facts), ENOENT);
    CHECK_ERR(statx_(AT_FDCWD, "f", 0x6000, 0xfff, &facts), EINVAL);
    CHECK_ERR(statx_(AT_FDCWD, "f", 1, 0xfff, &facts), EINVAL);
    CHECK_ERR(statx_(AT_FDCWD, "f", 0, 0x80000000, &facts), EINVAL);
    CHECK_ERR(statx_(file, "x", 0, 0xfff, &facts), ENOTDIR);
    CHECK_ERR(statx_(777, "", AT_EMPTY_PATH, 0xfff, &facts), EBADF);
    CHECK_ERR(statx_(AT_FDCWD, "f", 0, 0xfff, UNMAPPED_ADDRESS), EFAULT);
    CHECK_ERR(statx_(AT_FDCWD, UNMAPPED_ADDRESS, 0, 0xfff, &facts), EFAULT);
}

static void times_that_are_set(void)
{
    struct stat facts;
    struct timespec times[2] = {{1234567890, 123456789}, {1987654321, 987654321}};
    int file = make_file("f", "x", 1, 0600);
    NEED(symlink("f", "l") == 0 && symlink("nowhere", "dangling") == 0);
    CHECK_OK(utimensat(AT_FDCWD, "l", times, 0));
    CHECK_OK(stat("f", &facts));
    CHECK(facts.st_atim.tv_sec == 1234567890 && facts.st_atim.tv_nsec == 123456789);
    CHECK(facts.st_mtim.tv_sec == 1987654321 && facts.st_mtim.tv_nsec == 987654321);
    CHECK(facts.st_ctim.tv_sec != 1987654321);
    CHECK_OK(utimensat(AT_FDCWD, "l", (struct timespec[2]){{11, 22}, {33, 44}}, AT_SYMLINK_NOFOLLOW));
    CHECK_OK(lstat("l", &facts));
    CHECK(facts.st_mtim.tv_sec == 33 && facts.st_mtim.tv_nsec == 44);
    CHECK_OK(stat("f", &facts));
    CHECK_EQ(facts.st_mtim.tv_sec, 1987654321);
    CHECK_OK(utimensat(AT_FDCWD, "f", (struct timespec[2]){{0, UTIME_OMIT}, {0, UTIME_OMIT}}, 0));
    CHECK_OK(stat("f", &facts));
    CHECK(facts.st_atim.tv_sec == 1234567890 && facts.st_mtim.tv_sec == 1987654321);
    CHECK_OK(utimensat(AT_FDCWD, "f", (struct timespec[2]){{0, UTIME_NOW}, {0, UTIME_OMIT}}, 0));
    CHECK_OK(stat("f", &facts));
    CHECK(facts.st_atim.tv_sec > 1234567890 && facts.st_mtim.tv_sec == 1987654321);
    CHECK_OK(futimens(file, (struct timespec[2]){{0, UTIME_OMIT}, {-1, 999999999}})); /* before 1970 */
    CHECK_OK(stat("f", &facts));
    CHECK(facts.st_mtim.tv_sec == -1 && facts.st_mtim.tv_nsec == 999999999);
    CHECK_ERR(utimensat(AT_FDCWD, "dangling", times, 0), ENOENT);
    CHECK_OK(utimensat(AT_FDCWD, "dangling", times, AT_SYMLINK_NOFOLLOW));
    CHECK_ERR(utimensat(AT_FDCWD, "f", (struct timespec[2]){{0, -1}, {0, 0}}, 0), EINVAL);
    CHECK_ERR(utimensat(AT_FDCWD, "f", (struct timespec[2]){{0, 0}, {0, 1000000000}}, 0), EINVAL);
    CHECK_ERR(utimensat(AT_FDCWD, "f", times, 0x8000), EINVAL);
    CHECK_ERR(utimensat(AT_FDCWD, "", times, 0), ENOENT);
    CHECK_ERR(syscall(SYS_utimensat, AT_FDCWD, NULL, times, 0), EFAULT);
    CHECK_ERR(utimensat(file, "x", times, 0), ENOTDIR);
    CHECK_OK(utimensat(file, "", times, AT_EMPTY_PATH));
    CHECK_ERR(futimens(777, times), EBADF);
    CHECK_ERR(syscall(SYS_utimensat, AT_FDCWD, "f", UNMAPPED_ADDRESS, 0), EFAULT);
    NEED(chmod("f", 0666) == 0 && chmod(".", 0777) == 0);
    CHECK_EXITED(CHILD_STATUS(become_other(); CHECK_ERR(utimensat(AT_FDCWD, "f", times, 0), EPERM);
                              CHECK_OK(utimensat(AT_FDCWD, "f", NULL, 0)); /* now is for all who may write */
                              CHECK_OK(utimensat(AT_FDCWD, "f", (struct timespec[2]){{0, UTIME_NOW}, {0, UTIME_NOW}}, 0));
                              CHECK_ERR(utimensat(AT_FDCWD, "f", (struct timespec[2]){{0, UTIME_NOW}, {0, UTIME_OMIT}}, 0), EPERM);
                              CHECK_OK(utimensat(AT_FDCWD, "f", (struct timespec[2]){{0, UTIME_OMIT}, {0, UTIME_OMIT}}, 0))),
                 0);
    NEED(chmod("f", 0644) == 0);
    CHECK_EXITED(CHILD_STATUS(become_other(); CHECK_ERR(utimensat(AT_FDCWD, "f", NULL, 0), EACCES)), 0);
}

static long long modified(const char *path)
{
    struct stat facts;
    return lstat(path, &facts) == 0 ? facts.st_mtim.tv_sec * 1000000000LL + facts.st_mtim.tv_nsec : -1;
}

static long long changed(const char *path)
{
    struct stat facts;
    return lstat(path, &facts) == 0 ? facts.st_ctim.tv_sec * 1000000000LL + facts.st_ctim.tv_nsec : -1;
}

/* Runs a step and says what it changed: bit 0 the directory, bit 1 the file's contents, bit 2 what is known of it. */
#define EFFECT(step)                                                                                      \
    ({                                                                                                    \
        sleep_ms(12);                                                                                     \
        long long before_[3] = {modified("d"), modified("d/f"), changed("d/f")};                          \
        NEED((step) >= 0);                                                                                \
        (before_[0] != modified("d")) | (before_[1] != modified("d/f")) << 1 | (before_[2] != changed("d/f")) << 2; \
    })

static void what_changes_times(void)
{
    NEED(mkdir("d", 0755) == 0);
    int file = make_file("d/f", "x", 1, 0600);
    char byte;
    CHECK_EQ(EFFECT(pwrite(file, "y", 1, 0)), 6);
    CHECK_EQ(EFFECT(pread(file, &byte, 1, 0)), 0);
    CHECK_EQ(EFFECT(chmod("d/f", 0640)), 4);
    CHECK_EQ(EFFECT(chown("d/f", 1, 1)), 4);
    CHECK_EQ(EFFECT(link("d/f", "d/g")), 5);
    CHECK_EQ(EFFECT(unlink("d/g")), 5);
    CHECK_EQ(EFFECT(truncate("d/f", 100)), 6);
    CHECK_EQ(EFFECT(truncate("d/f", 0)), 6);
    CHECK_EQ(EFFECT(rename("d/f", "d/h") | rename("d/h", "d/f")), 5);
    CHECK_EQ(EFFECT(mkdir("d/sub", 0755)), 1);
    CHECK_EQ(EFFECT(rmdir("d/sub")), 1);
    CHECK_EQ(EFFECT(symlink("x", "d/l")), 1);
    CHECK_EQ(EFFECT(unlink("d/l")), 1);
    CHECK_EQ(EFFECT(open("d/f", O_RDONLY)), 0);
    CHECK_EQ(EFFECT(open("d/f", O_WRONLY | O_TRUNC)), 6); /* even of an empty file */
    CHECK_EQ(EFFECT(access("d/f", R_OK)), 0);
}

static void modes_and_owners(void)
{
    struct stat facts;
    int file = make_file("f", "x", 1, 0600);
    CHECK_OK(chmod("f", 0107777)); /* the type does not change */
    CHECK_OK(stat("f", &facts));
    CHECK_EQ(facts.st_mode, S_IFREG | 07777);
    CHECK_OK(fchmod(file, 0));
    CHECK_OK(chown("f", 5000, 5000));
    CHECK_OK(chown("f", -1, -1)); /* neither */
    CHECK_OK(fchown(file, -1, 6000));
    CHECK_OK(stat("f", &facts));
    CHECK(facts.st_uid == 5000 && facts.st_gid == 6000 && (facts.st_mode & 07777) == 0);
    NEED(symlink("f", "l") == 0);
    CHECK_OK(lchown("l", 42, 43));
    CHECK_OK(lstat("l", &facts));
    CHECK(facts.st_uid == 42 && facts.st_gid == 43);
    CHECK_OK(stat("f", &facts));
    CHECK_EQ(facts.st_uid, 5000);
    CHECK_ERR(chmod("missing", 0600), ENOENT);
    CHECK_ERR(chown("missing", 1, 1), ENOENT);
    CHECK_ERR(chmod("f/x", 0600), ENOTDIR);
    CHECK_ERR(fchmod(777, 0600), EBADF);
    CHECK_ERR(fchown(777, 1, 1), EBADF);
    CHECK_ERR(syscall(SYS_chmod, UNMAPPED_ADDRESS, 0600), EFAULT);
    CHECK_ERR(syscall(SYS_chown, UNMAPPED_ADDRESS, 1, 1), EFAULT);
    write_file("theirs", "x", 0666);
    NEED(chmod(".", 0777) == 0);
    CHECK_EXITED(CHILD_STATUS(
                     become_other(); CHECK_ERR(chmod("theirs", 0600), EPERM); CHECK_ERR(chown("theirs", 5000, 5000), EPERM);
                     CHECK_ERR(fchmod(open("theirs", O_RDWR), 0600), EPERM); CHECK_OK(chmod("f", 04755)); CHECK_OK(chown("f", 5000, 5000));
                     CHECK_OK(stat("f", &facts)); CHECK_EQ(facts.st_mode & 07777, 0755); /* setuid went with the group */
                     CHECK_ERR(chown("f", 5000, 7000), EPERM); CHECK_ERR(chown("f", 5001, -1), EPERM);
                     CHECK_OK(chown("f", 5000, -1)); CHECK_OK(chown("f", -1, 5000))),
                 0);
    gid_t groups[1] = {7000};
    CHECK_EXITED(CHILD_STATUS(NEED(setgroups(1, groups) == 0 && setresgid(5000, 5000, 5000) == 0 && setresuid(5000, 5000, 5000) == 0);
                              CHECK_OK(chown("f", -1, 7000)); CHECK_OK(chmod("f", 02755)); CHECK_OK(stat("f", &facts));
                              CHECK_EQ(facts.st_mode & 07777, 02755)),
                 0);
    /* Setgid without the right to run is not a program's: chown leaves it. */
    NEED(chmod("f", 02640) == 0);
    CHECK_OK(chown("f", 1, 1));
    CHECK_OK(stat("f", &facts));
    CHECK_EQ(facts.st_mode & 07777, 02640);
    NEED(mkdir("d", 0755) == 0 && chmod("d", 06755) == 0 && chown("d", 1, 1) == 0);
    CHECK_OK(stat("d", &facts));
    CHECK_EQ(facts.st_mode & 07777, 06755); /* directories keep theirs */
}

static void umasks(void)
{
    struct stat facts;
    CHECK_EQ(umask(0777), 022);
    CHECK_EQ(umask(01000 | 027), 0777); /* only the nine bits count */
    CHECK_EQ(umask(027), 027);
    NEED(mkdir("d", 01777) == 0 && mkfifo("p", 0666) == 0 && symlink("x", "l") == 0 && mknod("n", S_IFREG | 04777, 0) == 0);
    CHECK_OK(stat("d", &facts));
    CHECK_EQ(facts.st_mode & 07777, 01750);
    CHECK_OK(stat("p", &facts));
    CHECK_EQ(facts.st_mode & 07777, 0640);
    CHECK_OK(lstat("l", &facts));
    CHECK_EQ(facts.st_mode & 07777, 0777);
    CHECK_OK(stat("n", &facts));
    CHECK_EQ(facts.st_mode & 07777, 04750);
    CHECK_OK(chmod("n", 0666)); /* chmod asks nobody */
    CHECK_OK(stat("n", &facts));
    CHECK_EQ(facts.st_mode & 07777, 0666);
    CHECK_EXITED(CHILD_STATUS(_exit(umask(0) == 027 ? 0 : 1)), 0);
    CHECK_EQ(umask(022), 027);
}

static void access_asks_the_real_user(void)
{
    write_file("f", "x", 0640);
    NEED(chown("f", 5000, 6000) == 0 && chmod(".", 0755) == 0);
    CHECK_OK(access("f", R_OK | W_OK));
    CHECK_ERR(access("f", X_OK), EACCES); /* not even root */
    CHECK_OK(access(".", X_OK));
    CHECK_OK(access("f", F_OK));
    CHECK_ERR(access("missing", F_OK), ENOENT);
    CHECK_ERR(access("f/x", F_OK), ENOTDIR);
    CHECK_ERR(access("f", 8), EINVAL);
    CHECK_ERR(access("", F_OK), ENOENT);
    CHECK_ERR(syscall(SYS_access, UNMAPPED_ADDRESS, F_OK), EFAULT);
    CHECK_EXITED(CHILD_STATUS(become_other(); CHECK_OK(access("f", R_OK | W_OK)); CHECK_ERR(access("f", X_OK), EACCES)), 0);
    CHECK_EXITED(CHILD_STATUS(NEED(setgroups(0, NULL) == 0 && setresgid(6000, 6000, 6000) == 0 && setresuid(5001, 5001, 5001) == 0);
                              CHECK_OK(access("f", R_OK)); CHECK_ERR(access("f", W_OK), EACCES)),
                 0);
    CHECK_EXITED(CHILD_STATUS(NEED(setgroups(0, NULL) == 0 && setresgid(1, 1, 1) == 0 && setresuid(5001, 5001, 5001) == 0);
                              CHECK_ERR(access("f", R_OK), EACCES); CHECK_OK(access("f", F_OK))),
                 0);
    CHECK_EXITED(CHILD_STATUS(NEED(setgroups(0, NULL) == 0 && setresgid(1, 1, 1) == 0 && setresuid(5001, 0, 0) == 0);
                              CHECK_ERR(access("f", R_OK), EACCES); CHECK_OK(syscall(SYS_faccessat2, AT_FDCWD, "f", R_OK, AT_EACCESS));
                              CHECK(open("f", O_RDONLY) >= 0)),
                 0);
    /* The owner's bits count for the owner, even where the others' allow more. */
    NEED(chmod("f", 0066) == 0);
    CHECK_EXITED(CHILD_STATUS(become_other(); CHECK_ERR(open("f", O_RDONLY), EACCES); CHECK_ERR(access("f", R_OK), EACCES)), 0);
}

static void file_systems(void)
{
    struct statfs system, again;
    int file = make_file("f", "x", 1, 0600), ends[2];
    sync(); /* what was removed before is free by then */
    CHECK_OK(statfs("f", &system));
    CHECK(system.f_type == 0xef53 || system.f_type == 0x01021994);
    CHECK(system.f_bsize >= 512 && system.f_namelen == 255 && system.f_frsize == system.f_bsize);
    CHECK(system.f_blocks > 0 && system.f_bfree <= system.f_blocks && system.f_bavail <= system.f_bfree);
    CHECK(system.f_files > 0 && system.f_ffree < system.f_files);
    CHECK(system.f_flags & 0x20 /* ST_VALID */);
    CHECK_OK(fstatfs(file, &again));
    CHECK(again.f_type == system.f_type && again.f_blocks == system.f_blocks);
    CHECK_EQ(memcmp(&again.f_fsid, &system.f_fsid, sizeof again.f_fsid), 0);
    char bytes[4096];
    memset(bytes, 'b', sizeof bytes);
    for (int i = 0; i < 256; i++) NEED(write(file, bytes, sizeof bytes) == sizeof bytes);
    NEED(fsync(file) == 0 && mkdir("d", 0755) == 0);
    CHECK_OK(statfs(".", &again));
    CHECK((system.f_bfree - again.f_bfree) * system.f_bsize >= 256 * 4096);
    CHECK(again.f_ffree < system.f_ffree);
    CHECK_OK(statfs("/proc", &system));
    CHECK_EQ(system.f_type, 0x9fa0);
    NEED(pipe(ends) == 0);
    CHECK_OK(fstatfs(ends[0], &system));
    CHECK_EQ(system.f_type, 0x50495045);
    CHECK_ERR(statfs("missing", &system), ENOENT);
    CHECK_ERR(statfs("f/x", &system), ENOTDIR);
    CHECK_ERR(fstatfs(777, &system), EBADF);
    CHECK_ERR(syscall(SYS_statfs, "f", UNMAPPED_ADDRESS), EFAULT);
    CHECK_ERR(syscall(SYS_statfs, UNMAPPED_ADDRESS, &system), EFAULT);
}

CASES(CASE(everything_at_once), CASE(when_it_was_made), CASE(times_that_are_set), CASE(what_changes_times), CASE(modes_and_owners), CASE(umasks),
      CASE(access_asks_the_real_user), CASE(file_systems))
