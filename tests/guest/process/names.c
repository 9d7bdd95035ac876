/* Directories and names: mkdir, rename, link, symlink, unlink, chmod, chown, getdents64, chdir. */
#include "check.h"

#include <sys/sysmacros.h>

static void making_and_removing_folders(void)
{
    struct stat facts, parent;
    CHECK_OK(mkdir("folder", 0777));
    CHECK_OK(stat("folder", &facts));
    CHECK(facts.st_mode == (S_IFDIR | 0755));
    CHECK_OK(mkdir("slash/", 0700));
    CHECK_ERR(mkdir("folder", 0777), EEXIST);
    CHECK_ERR(mkdir("missing/x", 0777), ENOENT);
    CHECK_ERR(mkdir("", 0777), ENOENT);
    write_file("file", "x", 0600);
    CHECK_ERR(mkdir("file", 0777), EEXIST);
    CHECK_ERR(mkdir("file/x", 0777), ENOTDIR);
    CHECK_ERR(mkdir(".", 0777), EEXIST);
    CHECK_ERR(mkdir("/", 0777), EEXIST);
    CHECK_ERR(syscall(SYS_mkdir, UNMAPPED_ADDRESS, 0777), EFAULT);
    CHECK_OK(mkdir("folder/inner", 0700));
    CHECK_ERR(rmdir("folder"), ENOTEMPTY);
    CHECK_OK(rmdir("folder/inner"));
    CHECK_ERR(rmdir("folder/."), EINVAL);
    CHECK_ERR(rmdir("folder/.."), ENOTEMPTY);
    CHECK_ERR(rmdir("file"), ENOTDIR);
    CHECK_ERR(rmdir("missing"), ENOENT);
    CHECK_ERR(rmdir(""), ENOENT);
    CHECK_ERR(rmdir("/"), EBUSY);
    CHECK_OK(rmdir("folder/"));
    CHECK_OK(stat("slash/..", &facts));
    CHECK_OK(stat(".", &parent));
    CHECK_EQ(facts.st_ino, parent.st_ino);
    int folder = open("slash", O_RDONLY | O_DIRECTORY);
    CHECK_OK(mkdirat(folder, "at", 0700));
    CHECK_OK(unlinkat(folder, "at", AT_REMOVEDIR));
    CHECK_ERR(unlinkat(folder, "at", 0x10000), EINVAL);
    CHECK_ERR(mkdirat(777, "x", 0700), EBADF);
}

static void unlinking(void)
{
    write_file("file", "x", 0600);
    REQUIRE(mkdir("folder", 0755) == 0 && symlink("folder", "link") == 0);
    CHECK_ERR(unlink("folder"), EISDIR);
    CHECK_ERR(unlink("missing"), ENOENT);
    CHECK_ERR(unlink(""), ENOENT);
    CHECK_ERR(unlink("file/x"), ENOTDIR);
    CHECK_ERR(unlink("file/"), ENOTDIR);
    CHECK_OK(unlink("link")); /* the link, not its target */
    CHECK_OK(access("folder", F_OK));
    CHECK_OK(unlink("file"));
    CHECK_ERR(syscall(SYS_unlink, KERNEL_ADDRESS), EFAULT);
    CHECK_ERR(unlinkat(777, "x", 0), EBADF);
    /* A sticky folder protects its files from others. */
    REQUIRE(mkdir("sticky", 0777) == 0 && chmod("sticky", 01777) == 0);
    write_file("sticky/file", "x", 0666);
    CHECK_EXITED(CHILD_STATUS(setuid(12345); _exit(unlink("sticky/file") == -1 && errno == EPERM ? 0 : 1)), 0);
    CHECK_EXITED(CHILD_STATUS(setuid(12345); _exit(rename("sticky/file", "sticky/x") == -1 && errno == EPERM ? 0 : 1)), 0);
}

static void hard_links(void)
{
    struct stat first, second;
    write_file("one", "x", 0600);
    REQUIRE(mkdir("folder", 0755) == 0 && symlink("one", "symbolic") == 0);
    CHECK_OK(link("one", "two"));
    CHECK_OK(stat("one", &first));
    CHECK_OK(stat("two", &second));
    CHECK(first.st_ino == second.st_ino && first.st_nlink == 2);
    CHECK_ERR(link("one", "two"), EEXIST);
    CHECK_ERR(link("missing", "x"), ENOENT);
    CHECK_ERR(link("one", "missing/x"), ENOENT);
    CHECK_ERR(link("folder", "x"), EPERM);
    CHECK_ERR(link("one/x", "x"), ENOTDIR);
    CHECK_OK(link("symbolic", "copy")); /* of the link itself */
    CHECK_OK(lstat("copy", &first));
    CHECK(S_ISLNK(first.st_mode));
    CHECK_OK(linkat(AT_FDCWD, "symbolic", AT_FDCWD, "followed", AT_SYMLINK_FOLLOW));
    CHECK_OK(lstat("followed", &first));
    CHECK_EQ(first.st_ino, second.st_ino);
    CHECK_ERR(linkat(AT_FDCWD, "one", AT_FDCWD, "x", 0x10000), EINVAL);
    CHECK_OK(unlink("one"));
    CHECK_OK(stat("two", &second));
    CHECK_EQ(second.st_nlink, 2);
    CHECK_ERR(link("two", "/proc/x") == -1 ? (errno = errno == EXDEV || errno == ENOENT ? EXDEV : errno, -1) : 0, EXDEV);
}

static void symbolic_links(void)
{
    char text[16] = "", name[64];
    REQUIRE(mkdir("folder", 0755) == 0);
    write_file("folder/file", "x", 0600);
    CHECK_OK(symlink("folder/file", "link"));
    CHECK_EQ(readlink("link", text, sizeof text), 11);
    CHECK(memcmp(text, "folder/file", 11) == 0);
    CHECK_EQ(readlink("link", text, 3), 3); /* cut short */
    CHECK_OK(access("link", F_OK));
    CHECK_OK(symlink("..", "folder/up"));
    CHECK_OK(access("folder/up/folder/up/link", F_OK));
    CHECK_ERR(symlink("x", "link"), EEXIST);
    CHECK_ERR(symlink("", "x"), ENOENT);
    CHECK_ERR(symlink("x", ""), ENOENT);
    CHECK_ERR(symlink("x", "missing/x"), ENOENT);
    CHECK_ERR(symlink("x", "folder/file/x"), ENOTDIR);
    CHECK_ERR(readlink("folder", text, sizeof text), EINVAL);
    CHECK_ERR(readlink("missing", text, sizeof text), ENOENT);
    CHECK_ERR(syscall(SYS_readlink, "link", text, 0), EINVAL);
    CHECK_ERR(syscall(SYS_readlink, "link", text, -1), EINVAL);
    CHECK_ERR(syscall(SYS_readlink, "link", UNMAPPED_ADDRESS, 5), EFAULT);
    /* 40 links in a row are followed, 41 are not. */
    write_file("link0", "x", 0600);
    for (int i = 1; i <= 41; i++) {
        char target[64];
        snprintf(target, sizeof target, "link%d", i - 1);
        snprintf(name, sizeof name, "link%d", i);
        REQUIRE(symlink(target, name) == 0);
    }
    CHECK_OK(access("link40", F_OK));
    CHECK_ERR(access("link41", F_OK), ELOOP);
    CHECK_OK(symlink("folder", "to-folder"));
    CHECK_OK(access("to-folder/", F_OK));
    CHECK_ERR(rmdir("to-folder"), ENOTDIR);
    CHECK_OK(chdir("to-folder"));
    CHECK(getcwd(name, sizeof name) == NULL || strstr(name, "/folder"));
}

static void renaming(void)
{
    struct stat before, after;
    write_file("a", "a", 0600);
    write_file("b", "b", 0600);
    REQUIRE(mkdir("empty", 0755) == 0 && mkdir("full", 0755) == 0 && mkdir("full/inner", 0755) == 0);
    CHECK_OK(stat("a", &before));
    CHECK_OK(rename("a", "b")); /* replaces */
    CHECK_ERR(stat("a", &after), ENOENT);
    CHECK_OK(stat("b", &after));
    CHECK_EQ(after.st_ino, before.st_ino);
    CHECK_OK(rename("b", "b"));
    CHECK_OK(rename("b", "full/b"));
    CHECK_OK(rename("full/b", "b"));
    CHECK_ERR(rename("missing", "x"), ENOENT);
    CHECK_ERR(rename("b", "missing/x"), ENOENT);
    CHECK_ERR(rename("b", "empty"), EISDIR);
    CHECK_ERR(rename("empty", "b"), ENOTDIR);
    CHECK_ERR(rename("empty", "full"), ENOTEMPTY);
    CHECK_ERR(rename("full", "full/inner/x"), EINVAL); /* into itself */
    CHECK_ERR(rename("b/x", "y"), ENOTDIR);
    CHECK_ERR(rename(".", "y"), EBUSY);
    CHECK_ERR(rename("b", ""), ENOENT);
    CHECK_ERR(rename("b", "y/"), ENOTDIR);
    CHECK_OK(rename("full", "empty")); /* over an empty folder */
    CHECK_OK(access("empty/inner", F_OK));
    CHECK_OK(link("b", "c"));
    CHECK_OK(rename("b", "c")); /* two names of one file: nothing happens */
    CHECK_OK(access("b", F_OK));
    CHECK_ERR(syscall(SYS_renameat2, AT_FDCWD, "b", AT_FDCWD, "c", 1 /* NOREPLACE */), EEXIST);
    CHECK_OK(syscall(SYS_renameat2, AT_FDCWD, "b", AT_FDCWD, "d", 1));
    write_file("e", "e", 0600);
    CHECK_OK(syscall(SYS_renameat2, AT_FDCWD, "d", AT_FDCWD, "e", 2 /* EXCHANGE */));
    CHECK_OK(stat("e", &after));
    CHECK_EQ(after.st_ino, before.st_ino);
    CHECK_ERR(syscall(SYS_renameat2, AT_FDCWD, "d", AT_FDCWD, "zz", 2), ENOENT);
    CHECK_ERR(syscall(SYS_renameat2, AT_FDCWD, "d", AT_FDCWD, "e", 3), EINVAL);
    CHECK_ERR(syscall(SYS_renameat2, AT_FDCWD, "d", AT_FDCWD, "e", 0x100), EINVAL);
    CHECK_ERR(syscall(SYS_rename, "d", UNMAPPED_ADDRESS), EFAULT);
}

static void modes_and_owners(void)
{
    struct stat facts;
    int file = make_file("file", "x", 1, 0600);
    CHECK_OK(chmod("file", 07777));
    CHECK_OK(fstat(file, &facts));
    CHECK_EQ(facts.st_mode & 07777, 07777);
    CHECK_OK(fchmod(file, 0123));
    CHECK_OK(fstat(file, &facts));
    CHECK_EQ(facts.st_mode & 07777, 0123);
    CHECK_OK(fchmodat(AT_FDCWD, "file", 0644, 0));
    CHECK_ERR(chmod("missing", 0600), ENOENT);
    CHECK_ERR(fchmod(777, 0600), EBADF);
    CHECK_OK(chown("file", 5, 6));
    CHECK_OK(chown("file", -1, 7));
    CHECK_OK(fstat(file, &facts));
    CHECK(facts.st_uid == 5 && facts.st_gid == 7);
    CHECK_OK(fchown(file, 8, -1));
    CHECK_OK(fchownat(file, "", 9, 9, 0x1000));
    REQUIRE(symlink("file", "link") == 0);
    CHECK_OK(lchown("link", 3, 3));
    CHECK_OK(stat("link", &facts));
    CHECK_EQ(facts.st_uid, 9);
    CHECK_OK(lstat("link", &facts));
    CHECK_EQ(facts.st_uid, 3);
    CHECK_ERR(chown("missing", 0, 0), ENOENT);
    CHECK_ERR(fchown(777, 0, 0), EBADF);
    CHECK_ERR(fchownat(AT_FDCWD, "file", 0, 0, 0x40000), EINVAL);
    CHECK_OK(chmod("file", 06755));
    CHECK_OK(chown("file", 4, 4)); /* takes set-user-ID away */
    CHECK_OK(stat("file", &facts));
    CHECK_EQ(facts.st_mode & 07777, 0755);
    CHECK_OK(access("file", R_OK | W_OK | X_OK));
    CHECK_OK(chmod("file", 0600));
    CHECK_ERR(access("file", X_OK), EACCES); /* root needs one x somewhere */
    CHECK_OK(access("file", R_OK | W_OK));
    CHECK_ERR(access("file", 0x10), EINVAL);
    CHECK_ERR(access("missing", F_OK), ENOENT);
    CHECK_ERR(syscall(SYS_faccessat2, AT_FDCWD, "file", F_OK, 0x10000), EINVAL);
    CHECK_OK(syscall(SYS_faccessat2, AT_FDCWD, "file", R_OK, 0x200 /* EACCESS */));
    CHECK_EXITED(CHILD_STATUS(seteuid(4); _exit(access("file", R_OK))), 0); /* by the real user */
}

static void special_files(void)
{
    struct stat facts;
    CHECK_OK(mkfifo("fifo", 0600));
    CHECK_OK(stat("fifo", &facts));
    CHECK(S_ISFIFO(facts.st_mode));
    CHECK_ERR(mkfifo("fifo", 0600), EEXIST);
    CHECK_OK(mknod("file", S_IFREG | 0600, 0));
    CHECK_ERR(mknod("folder", S_IFDIR | 0700, 0), EPERM);
    CHECK_ERR(mknod("what", S_IFMT, 0), EINVAL);
    CHECK_EXITED(CHILD_STATUS(setuid(12345); _exit(mknod("dev", S_IFCHR | 0600, makedev(1, 3)) == -1 && errno == EPERM ? 0 : 1)), 0);
    CHECK_ERR(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
    int reader = open("fifo", O_RDONLY | O_NONBLOCK), writer = open("fifo", O_WRONLY | O_NONBLOCK);
    char byte;
    CHECK(reader >= 0 && writer >= 0);
    CHECK_ERR(read(reader, &byte, 1), EAGAIN);
    CHECK_EQ(write(writer, "f", 1), 1);
    CHECK(read(reader, &byte, 1) == 1 && byte == 'f');
    close(writer);
    CHECK_EQ(read(reader, &byte, 1), 0);
    close(reader);
    pid_t pid = CHILD(int file = open("fifo", O_WRONLY); if (write(file, "g", 1) != 1) _exit(1)); /* waits for a reader */
    reader = open("fifo", O_RDONLY);
    CHECK(read(reader, &byte, 1) == 1 && byte == 'g');
    CHECK_EXITED(status_of(pid), 0);
}

/* One record of getdents64. */
struct record {
    uint64_t inode;
    int64_t next;
    uint16_t length;
    uint8_t type;
    char name[];
};

static void listing(void)
{
    enum { COUNT = 150 };
    char buffer[1024] __attribute__((aligned(8))), name[16];
    int found = 0, dots = 0, types = 0, calls = 0;
    long length;
    bool seen[COUNT] = {false};
    REQUIRE(mkdir("folder", 0755) == 0);
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "folder/f%d", i);
        write_file(name, "", 0600);
    }
    int folder = open("folder", O_RDONLY | O_DIRECTORY);
    while ((length = syscall(SYS_getdents64, folder, buffer, sizeof buffer)) > 0) {
        calls++;
        for (long at = 0; at < length;) {
            struct record *record = (struct record *)(buffer + at);
            if (!CHECK(record->length % 8 == 0 && record->length >= 24)) return;
            if (!strcmp(record->name, ".") || !strcmp(record->name, "..")) {
                dots++;
            } else {
                int number = atoi(record->name + 1);
                found += !seen[number];
                seen[number] = true;
                types += record->type == DT_REG;
            }
            at += record->length;
        }
    }
    CHECK_EQ(length, 0);
    CHECK_EQ(found, COUNT);
    CHECK_EQ(types, COUNT);
    CHECK_EQ(dots, 2);
    CHECK(calls > 3);
    CHECK_EQ(lseek(folder, 0, SEEK_SET), 0); /* once more */
    CHECK(syscall(SYS_getdents64, folder, buffer, sizeof buffer) > 0);
    CHECK_EQ(lseek(folder, 0, SEEK_SET), 0);
    CHECK_ERR(syscall(SYS_getdents64, folder, buffer, 10), EINVAL);
    CHECK_ERR(syscall(SYS_getdents64, folder, UNMAPPED_ADDRESS, 1024), EFAULT);
    CHECK_ERR(syscall(SYS_getdents64, 777, buffer, 1024), EBADF);
    int file = open("folder/f1", O_RDONLY);
    CHECK_ERR(syscall(SYS_getdents64, file, buffer, 1024), ENOTDIR);
    /* Entries removed while reading do no harm. */
    CHECK_OK(lseek(folder, 0, SEEK_SET));
    CHECK(syscall(SYS_getdents64, folder, buffer, sizeof buffer) > 0);
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "folder/f%d", i);
        unlink(name);
    }
    while ((length = syscall(SYS_getdents64, folder, buffer, sizeof buffer)) > 0) continue;
    CHECK_EQ(length, 0);
    CHECK_OK(rmdir("folder"));
    CHECK_ERR(syscall(SYS_getdents64, folder, buffer, sizeof buffer), ENOENT);
    CHECK_ERR(openat(folder, "x", O_RDWR | O_CREAT, 0600), ENOENT);
}

static void where_we_are(void)
{
    char before[512], after[512];
    REQUIRE(getcwd(before, sizeof before) != NULL && mkdir("inner", 0755) == 0);
    write_file("file", "x", 0600);
    int here = open(".", O_RDONLY | O_DIRECTORY), file = open("file", O_RDONLY);
    CHECK_OK(chdir("inner"));
    CHECK(getcwd(after, sizeof after) && !strncmp(after, before, strlen(before)) && !strcmp(after + strlen(before), "/inner"));
    CHECK_OK(fchdir(here));
    CHECK(getcwd(after, sizeof after) && !strcmp(after, before));
    CHECK_EQ(syscall(SYS_getcwd, after, sizeof after), (long)strlen(before) + 1);
    CHECK_ERR(syscall(SYS_getcwd, after, 3), ERANGE);
    CHECK_ERR(syscall(SYS_getcwd, UNMAPPED_ADDRESS, 500), EFAULT);
    CHECK_ERR(chdir("missing"), ENOENT);
    CHECK_ERR(chdir("file"), ENOTDIR);
    CHECK_ERR(chdir(""), ENOENT);
    CHECK_ERR(fchdir(file), ENOTDIR);
    CHECK_ERR(fchdir(777), EBADF);
    CHECK_ERR(syscall(SYS_chdir, UNMAPPED_ADDRESS), EFAULT);
    CHECK_OK(chdir("inner"));
    CHECK_OK(rmdir("../inner")); /* under our feet */
    CHECK_ERR(syscall(SYS_getcwd, after, sizeof after), ENOENT);
    CHECK_ERR(open("x", O_RDWR | O_CREAT, 0600), ENOENT);
    CHECK_OK(chdir("/.."));
    CHECK(getcwd(after, sizeof after) && !strcmp(after, "/"));
    REQUIRE(chdir(before) == 0 && mkdir("jail", 0755) == 0);
    CHECK_EXITED(CHILD_STATUS(CHECK_OK(chroot("jail")); CHECK_OK(chdir("/")); CHECK_OK(chdir("..")); CHECK_ERR(open("file", O_RDONLY), ENOENT);
                              CHECK_ERR(chroot("missing"), ENOENT)),
                 0);
}

CASES(CASE(making_and_removing_folders), CASE(unlinking), CASE(hard_links), CASE(symbolic_links), CASE(renaming),
      CASE(modes_and_owners), CASE(special_files), CASE(listing), CASE(where_we_are))
