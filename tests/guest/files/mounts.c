/*
 * mount(2), umount2(2), pivot_root(2), chroot(2).
 *
 * On a host in a name space of its own, from which nothing gets out; a kernel without them (EINVAL) is a guest's, whose
 * mounts each case takes away itself.
 */
#include "check.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/statfs.h>

static void alone(void)
{
    if (unshare(CLONE_NEWNS) == 0) {
        REQUIRE(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    } else {
        REQUIRE(errno == EINVAL && getenv("HOME") && !strcmp(getenv("HOME"), "/")); /* as tests/guest/process/init.c sets it */
    }
}

static bool is_there(const char *path)
{
    struct stat facts;
    return lstat(path, &facts) == 0;
}

static dev_t device_of(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 ? facts.st_dev : 0;
}

static void mounting(void)
{
    alone();
    NEED(mkdir("m", 0755) == 0 && mkdir("n", 0755) == 0);
    write_file("m/under", "x", 0600);
    write_file("f", "x", 0600);
    dev_t before = device_of("m");
    CHECK_OK(mount("none", "m", "tmpfs", 0, "size=1m,mode=0700"));
    CHECK(device_of("m") != before && !is_there("m/under"));
    struct stat facts;
    CHECK_OK(stat("m", &facts));
    CHECK_EQ(facts.st_mode & 07777, 0700);
    write_file("m/above", "y", 0600);
    CHECK_ERR(rmdir("m"), EBUSY);
    CHECK_ERR(rename("m", "x"), EBUSY);
    CHECK_ERR(rename("n", "m"), EBUSY);
    CHECK_ERR(rename("m/above", "above"), EXDEV);
    CHECK_ERR(link("m/above", "above"), EXDEV);
    CHECK_EQ(device_of("m/.."), before);
    CHECK_OK(mount("none", "m", "tmpfs", 0, NULL)); /* over itself */
    CHECK(!is_there("m/above"));
    CHECK_OK(umount("m"));
    CHECK(is_there("m/above"));
    int file = open("m/above", O_RDONLY);
    CHECK_ERR(umount("m"), EBUSY);
    CHECK_OK(close(file));
    CHECK_OK(umount("m"));
    CHECK(is_there("m/under") && device_of("m") == before);
    CHECK_ERR(umount("m"), EINVAL); /* no mount */
    CHECK_ERR(umount("missing"), ENOENT);
    CHECK_ERR(umount2("m", 0x100), EINVAL);
    CHECK_ERR(mount("none", "missing", "tmpfs", 0, NULL), ENOENT);
    CHECK_ERR(mount("none", "f", "tmpfs", 0, NULL), ENOTDIR);
    CHECK_ERR(mount("none", "m", "nothing-known", 0, NULL), ENODEV);
    CHECK_ERR(mount("none", "m", NULL, 0, NULL), EINVAL);
    CHECK_ERR(mount("none", "m", "tmpfs", 0, "size=banana"), EINVAL);
    CHECK_ERR(mount("missing", "m", "ext2", 0, NULL), ENOENT);
    CHECK_ERR(mount("f", "m", "ext2", 0, NULL), ENOTBLK);
    CHECK_ERR(syscall(SYS_mount, "none", UNMAPPED_ADDRESS, "tmpfs", 0, NULL), EFAULT);
    CHECK_EXITED(CHILD_STATUS(NEED(setresuid(5000, 5000, 5000) == 0); CHECK_ERR(mount("none", "m", "tmpfs", 0, NULL), EPERM);
                              CHECK_ERR(umount("m"), EPERM)),
                 0);
}

static void size_of_tmpfs(void)
{
    alone();
    static char bytes[65536];
    NEED(mkdir("m", 0755) == 0);
    CHECK_OK(mount("none", "m", "tmpfs", 0, "size=1m,nr_inodes=10"));
    int file = open("m/f", O_RDWR | O_CREAT, 0600);
    long all = 0;
    for (long some; (some = write(file, bytes, sizeof bytes)) > 0;) all += some;
    CHECK_ERR(write(file, bytes, 4096), ENOSPC);
    CHECK_EQ(all, 1 << 20);
    CHECK_OK(ftruncate(file, 0));
    CHECK_EQ(write(file, bytes, 4096), 4096);
    char name[32];
    int made = 0;
    for (; made < 100; made++) {
        snprintf(name, sizeof name, "m/n%d", made);
        if (mkdir(name, 0755) != 0) break;
    }
    CHECK_ERR(mkdir(name, 0755), ENOSPC);
    CHECK_EQ(made, 8);
    struct statfs system;
    CHECK_OK(statfs("m", &system));
    CHECK(system.f_blocks == 256 && system.f_files == 10 && system.f_ffree == 0);
    CHECK_OK(mount("none", "m", NULL, MS_REMOUNT, "size=2m,nr_inodes=20"));
    CHECK_OK(statfs("m", &system));
    CHECK(system.f_blocks == 512 && system.f_files == 20);
    CHECK_OK(mkdir(name, 0755));
    CHECK_OK(close(file));
    CHECK_OK(umount("m"));
}

static void bound(void)
{
    alone();
    NEED(mkdir("a", 0755) == 0 && mkdir("b", 0755) == 0 && mkdir("a/sub", 0755) == 0);
    write_file("a/f", "x", 0600);
    write_file("g", "g", 0600);
    write_file("h", "h", 0600);
    CHECK_OK(mount("a", "b", NULL, MS_BIND, NULL));
    CHECK(is_there("b/f"));
    write_file("b/made", "x", 0600);
    CHECK(is_there("a/made"));
    CHECK_ERR(rename("a/f", "b/moved"), EXDEV); /* one file system, two mounts */
    CHECK_ERR(link("a/f", "b/linked"), EXDEV);
    CHECK_OK(mount("g", "h", NULL, MS_BIND, NULL)); /* a file on a file */
    char byte = 0;
    int file = open("h", O_RDONLY);
    CHECK(read(file, &byte, 1) == 1 && byte == 'g');
    CHECK_ERR(unlink("h"), EBUSY);
    CHECK_OK(close(file));
    CHECK_OK(umount("h"));
    CHECK_ERR(mount("g", "b", NULL, MS_BIND, NULL), ENOTDIR);
    CHECK_ERR(mount("a", "g", NULL, MS_BIND, NULL), ENOTDIR);
    CHECK_ERR(mount("missing", "b", NULL, MS_BIND, NULL), ENOENT);
    CHECK_OK(mount("none", "a/sub", "tmpfs", 0, NULL));
    CHECK_EQ(device_of("b/sub"), device_of("b")); /* mounts below do not come along */
    CHECK_OK(umount("a/sub"));
    CHECK_OK(umount("b"));
    CHECK(!is_there("b/f"));
}

static void read_only(void)
{
    alone();
    NEED(mkdir("m", 0755) == 0);
    CHECK_OK(mount("none", "m", "tmpfs", 0, NULL));
    write_file("m/f", "x", 0666);
    NEED(mkdir("m/d", 0777) == 0 && mkfifo("m/fifo", 0666) == 0);
    int writer = open("m/f", O_RDWR);
    CHECK_ERR(mount("none", "m", NULL, MS_REMOUNT | MS_RDONLY, NULL), EBUSY); /* somebody writes */
    CHECK_OK(close(writer));
    CHECK_OK(mount("none", "m", NULL, MS_REMOUNT | MS_RDONLY, NULL));
    CHECK_ERR(open("m/f", O_RDWR), EROFS);
    CHECK_ERR(open("m/f", O_RDONLY | O_TRUNC), EROFS);
    CHECK_ERR(open("m/new", O_RDWR | O_CREAT, 0600), EROFS);
    CHECK(open("m/f", O_RDONLY | O_CREAT, 0600) >= 0); /* is there */
    CHECK_ERR(mkdir("m/new", 0755), EROFS);
    CHECK_ERR(mkdir("m/d", 0755), EEXIST);
    CHECK_ERR(unlink("m/f"), EROFS);
    CHECK_ERR(rmdir("m/d"), EROFS);
    CHECK_ERR(rename("m/f", "m/g"), EROFS);
    CHECK_ERR(link("m/f", "m/g"), EROFS);
    CHECK_ERR(symlink("x", "m/g"), EROFS);
    CHECK_ERR(mknod("m/g", S_IFREG | 0600, 0), EROFS);
    CHECK_ERR(chmod("m/f", 0600), EROFS);
    CHECK_ERR(chown("m/f", 1, 1), EROFS);
    CHECK_ERR(truncate("m/f", 0), EROFS);
    CHECK_ERR(utimensat(AT_FDCWD, "m/f", NULL, 0), EROFS);
    CHECK_ERR(access("m/f", W_OK), EROFS);
    CHECK_OK(access("m/f", R_OK));
    CHECK_ERR(open("m/d", O_TMPFILE | O_RDWR, 0600), EROFS);
    CHECK(open("m/fifo", O_RDWR) >= 0); /* is not written to the file system */
    struct statfs system;
    CHECK_OK(statfs("m", &system));
    CHECK(system.f_flags & 1);
    CHECK_OK(mount("none", "m", NULL, MS_REMOUNT, NULL));
    CHECK_OK(unlink("m/f"));
    /* One mount of two is read-only. */
    NEED(mkdir("n", 0755) == 0);
    CHECK_OK(mount("m", "n", NULL, MS_BIND, NULL));
    CHECK_OK(mount("none", "n", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
    CHECK_ERR(mkdir("n/new", 0755), EROFS);
    CHECK_OK(mkdir("m/new", 0755));
    CHECK(is_there("n/new"));
    CHECK_OK(umount("n"));
    CHECK_OK(umount2("m", MNT_DETACH));
}

static void flags_of_mounts(void)
{
    alone();
    NEED(mkdir("m", 0755) == 0);
    CHECK_OK(mount("none", "m", "tmpfs", MS_NODEV | MS_NOEXEC | MS_NOSUID, NULL));
    NEED(mknod("m/null", S_IFCHR | 0666, 0x103) == 0);
    CHECK_ERR(open("m/null", O_RDONLY), EACCES);
    write_file("m/program", "#!/bin/sh\n", 0755);
    CHECK_EXITED(CHILD_STATUS(execl("m/program", "program", (char *)NULL); _exit(errno == EACCES ? 0 : 1)), 0);
    CHECK_ERR(access("m/program", X_OK), EACCES);
    int file = open("m/program", O_RDONLY);
    CHECK_ERR(mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0), EPERM);
    close(file);
    CHECK_OK(mount("none", "m", NULL, MS_REMOUNT, NULL));
    CHECK(open("m/null", O_RDONLY) >= 0);
    CHECK_OK(umount2("m", MNT_DETACH));
}

static void taken_away(void)
{
    alone();
    NEED(mkdir("m", 0755) == 0);
    CHECK_OK(mount("none", "m", "tmpfs", 0, NULL));
    int file = make_file("m/f", "kept", 4, 0600), folder = open("m", O_RDONLY);
    CHECK_OK(umount2("m", MNT_DETACH)); /* while it is used */
    CHECK(!is_there("m/f"));
    char bytes[8] = "";
    CHECK_EQ(pread(file, bytes, 8, 0), 4);
    CHECK(openat(folder, "f", O_RDONLY) >= 0);
    CHECK_EQ(pwrite(file, "more", 4, 4), 4);
    CHECK_ERR(umount("m"), EINVAL);
    CHECK_OK(mount("none", "m", "tmpfs", 0, NULL));
    NEED(mkdir("m/sub", 0755) == 0);
    CHECK_OK(mount("none", "m/sub", "tmpfs", 0, NULL));
    CHECK_ERR(umount("m"), EBUSY); /* something is mounted below */
    CHECK_EXITED(CHILD_STATUS(NEED(chdir("m/sub") == 0); CHECK_ERR(umount("/proc/self/cwd"), EBUSY)), 0);
    CHECK_OK(umount("m/sub"));
    CHECK_ERR(umount2("m", MNT_EXPIRE), EAGAIN);
    CHECK_OK(umount2("m", MNT_EXPIRE)); /* not used between the two */
    NEED(symlink("m", "l") == 0);
    CHECK_OK(mount("none", "l", "tmpfs", 0, NULL)); /* links are followed */
    CHECK_ERR(umount2("l", UMOUNT_NOFOLLOW), EINVAL);
    CHECK_OK(umount2("l", 0));
}

static void moved(void)
{
    alone();
    NEED(mkdir("a", 0755) == 0 && mkdir("b", 0755) == 0 && mkdir("c", 0755) == 0);
    CHECK_OK(mount("none", "a", "tmpfs", 0, NULL));
    write_file("a/f", "x", 0600);
    NEED(mkdir("a/in", 0755) == 0);
    CHECK_OK(mount("a", "b", NULL, MS_MOVE, NULL));
    CHECK(!is_there("a/f") && is_there("b/f"));
    CHECK_ERR(mount("a", "c", NULL, MS_MOVE, NULL), EINVAL); /* no mount */
    CHECK_ERR(mount("b", "b/in", NULL, MS_MOVE, NULL), ELOOP);
    CHECK_ERR(mount("b", "missing", NULL, MS_MOVE, NULL), ENOENT);
    CHECK_ERR(umount("a"), EINVAL);
    CHECK_OK(umount("b"));
}

static void another_root(void)
{
    alone();
    NEED(mkdir("jail", 0755) == 0 && mkdir("jail/in", 0755) == 0);
    write_file("jail/f", "x", 0600);
    write_file("outside", "x", 0600);
    NEED(symlink("/f", "jail/l") == 0 && symlink("../../../f", "jail/in/up") == 0);
    int outside = open(".", O_RDONLY);
    CHECK_EXITED(CHILD_STATUS(char path[64]; CHECK_OK(chroot("jail")); CHECK_OK(chdir("/")); CHECK(is_there("/f") && is_there("/../f"));
                              CHECK_OK(access("l", F_OK)); CHECK_OK(access("in/up", F_OK)); CHECK(!is_there("/outside"));
                              CHECK(getcwd(path, sizeof path) && !strcmp(path, "/")); CHECK(faccessat(outside, "outside", F_OK, 0) == 0);
                              CHECK_OK(fchdir(outside)); CHECK(syscall(SYS_getcwd, path, sizeof path) > 0 && !strncmp(path, "(unreachable)", 13))),
                 0);
    CHECK_ERR(chroot("missing"), ENOENT);
    CHECK_ERR(chroot("outside"), ENOTDIR);
    CHECK_ERR(syscall(SYS_chroot, UNMAPPED_ADDRESS), EFAULT);
    CHECK_EXITED(CHILD_STATUS(NEED(setresuid(5000, 5000, 5000) == 0); CHECK_ERR(chroot("jail"), EPERM)), 0);
    CHECK_ERR(syscall(SYS_pivot_root, "missing", "jail/in"), ENOENT);
    CHECK_ERR(syscall(SYS_pivot_root, "outside", "jail/in"), ENOTDIR);
    CHECK_EXITED(CHILD_STATUS(NEED(setresuid(5000, 5000, 5000) == 0); CHECK_ERR(syscall(SYS_pivot_root, "jail", "jail/in"), EPERM)), 0);
}

CASES(CASE(mounting), CASE(size_of_tmpfs), CASE(bound), CASE(read_only), CASE(flags_of_mounts), CASE(taken_away), CASE(moved), CASE(another_root))
