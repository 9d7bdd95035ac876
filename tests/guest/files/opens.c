/* What open(2)'s flags mean: O_PATH, O_TMPFILE, O_NOFOLLOW, O_DIRECTORY, O_APPEND, O_EXCL, O_TRUNC, O_SYNC. */
#include "check.h"

#include <grp.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/xattr.h>

static void directories_and_links_only(void)
{
    NEED(mkdir("d", 0755) == 0 && symlink("d", "to_d") == 0 && symlink("f", "to_f") == 0 && symlink("none", "to_none") == 0);
    write_file("f", "x", 0600);
    CHECK(open("d", O_RDONLY | O_DIRECTORY) >= 0);
    CHECK(open("to_d", O_RDONLY | O_DIRECTORY) >= 0);
    CHECK_ERR(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR);
    CHECK_ERR(open("to_f", O_RDONLY | O_DIRECTORY), ENOTDIR);
    CHECK_ERR(open("missing", O_RDONLY | O_DIRECTORY), ENOENT);
    CHECK_ERR(open("to_f", O_RDONLY | O_NOFOLLOW), ELOOP);
    CHECK_ERR(open("to_none", O_RDONLY | O_NOFOLLOW), ELOOP);
    CHECK_ERR(open("to_f", O_RDWR | O_CREAT | O_NOFOLLOW, 0600), ELOOP);
    CHECK_ERR(open("to_d", O_RDONLY | O_NOFOLLOW | O_DIRECTORY), ENOTDIR);
    CHECK(open("to_d/", O_RDONLY | O_NOFOLLOW) >= 0); /* only the last name counts */
    CHECK(open("f", O_RDONLY | O_NOFOLLOW) >= 0);
    CHECK(open("new", O_RDWR | O_CREAT | O_NOFOLLOW, 0600) >= 0);
    CHECK_ERR(open("new/", O_RDONLY | O_NOFOLLOW), ENOTDIR);
}

static void making(void)
{
    struct stat facts;
    CHECK_ERR(open("f", O_RDWR), ENOENT);
    CHECK_ERR(open("f", O_RDWR | O_EXCL), ENOENT);
    umask(027);
    int file = open("f", O_RDWR | O_CREAT | O_EXCL, 0666);
    CHECK(file >= 0);
    CHECK_OK(fstat(file, &facts));
    CHECK_EQ(facts.st_mode, S_IFREG | 0640);
    CHECK_ERR(open("f", O_RDWR | O_CREAT | O_EXCL, 0666), EEXIST);
    file = open("f", O_RDWR | O_CREAT, 0777); /* the mode of one that is there stays */
    CHECK_OK(fstat(file, &facts));
    CHECK_EQ(facts.st_mode, S_IFREG | 0640);
    umask(0);
    /* The mode counts for later openings only. */
    file = open("locked", O_RDWR | O_CREAT, 0);
    CHECK_EQ(write(file, "abc", 3), 3);
    CHECK_OK(fstat(file, &facts));
    CHECK_EQ(facts.st_mode, S_IFREG | 0);
    file = open("all", O_RDWR | O_CREAT, 07777);
    CHECK_OK(fstat(file, &facts));
    CHECK_EQ(facts.st_mode, S_IFREG | 07777);
    CHECK_EQ(creat("all", 0600) >= 0, 1);
    CHECK_OK(mknod("node", 0644, 0)); /* no type: a regular file */
    CHECK_OK(stat("node", &facts));
    CHECK_EQ(facts.st_mode, S_IFREG | 0644);
    CHECK_ERR(mknod("dir", S_IFDIR | 0755, 0), EPERM);
    CHECK_ERR(mknod("bad", 0150000, 0), EINVAL);
    CHECK_ERR(mknod("node", S_IFREG | 0644, 0), EEXIST);
    CHECK_OK(mknod("dev", S_IFCHR | 0644, 0x103));
    CHECK_OK(stat("dev", &facts));
    CHECK_EQ(facts.st_rdev, 0x103);
    CHECK_OK(mknod("sock", S_IFSOCK | 0644, 0));
    CHECK_ERR(open("sock", O_RDONLY), ENXIO);
    CHECK_OK(mknod("nodev", S_IFCHR | 0644, (250 << 8) | 77));
    CHECK_ERR(open("nodev", O_RDONLY), ENXIO);
    CHECK(open("nodev", O_PATH) >= 0);
    /* Several who make one at once: one wins. */
    pid_t racers[4];
    for (int i = 0; i < 4; i++) racers[i] = CHILD(_exit(open("race", O_RDWR | O_CREAT | O_EXCL, 0600) >= 0 ? 1 : errno == EEXIST ? 0 : 2));
    int winners = 0;
    for (int i = 0; i < 4; i++) {
        int status = status_of(racers[i]);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) < 2);
        winners += WEXITSTATUS(status);
    }
    CHECK_EQ(winners, 1);
}

static void cutting(void)
{
    struct stat facts;
    write_file("f", "0123456789", 0600);
    NEED(chmod("f", 06777) == 0 && symlink("f", "l") == 0);
    CHECK(open("l", O_WRONLY | O_TRUNC) >= 0);
    CHECK_OK(stat("f", &facts));
    CHECK_EQ(facts.st_size, 0);
    write_file("f", "0123456789", 0400);
    CHECK_EXITED(CHILD_STATUS(NEED(chmod(".", 0755) == 0 && chown("f", 5000, 5000) == 0 && setresuid(5000, 5000, 5000) == 0);
                              CHECK_ERR(open("f", O_WRONLY | O_TRUNC), EACCES);
                              CHECK_ERR(open("f", O_RDONLY | O_TRUNC), EACCES); /* cutting is writing */
                              CHECK_ERR(truncate("f", 0), EACCES); CHECK(open("f", O_RDONLY) >= 0)),
                 0);
    CHECK_OK(stat("f", &facts));
    CHECK_EQ(facts.st_size, 10);
    int file = open("f", O_RDONLY | O_TRUNC); /* as root: the old rule, it cuts */
    CHECK(file >= 0);
    CHECK_OK(stat("f", &facts));
    CHECK_EQ(facts.st_size, 0);
    CHECK_ERR(ftruncate(file, 5), EINVAL);
    NEED(mkfifo("fifo", 0600) == 0);
    CHECK(open("fifo", O_RDWR | O_TRUNC) >= 0);
    CHECK(open("/dev/null", O_WRONLY | O_TRUNC) >= 0);
}

static void append_for(char letter, int count)
{
    char line[64];
    int file = open("log", O_WRONLY | O_APPEND);
    memset(line, letter, sizeof line);
    line[63] = '\n';
    for (int i = 0; i < count; i++) {
        if (write(file, line, sizeof line) != sizeof line) _exit(1);
    }
}

static void appending_from_several_sides(void)
{
    enum { WRITERS = 3, LINES = 500 };
    char line[64];
    int counts[WRITERS] = {0}, one = open("log", O_RDWR | O_CREAT | O_APPEND, 0600), two = open("log", O_WRONLY | O_APPEND);
    CHECK_EQ(write(one, "aaa", 3), 3);
    CHECK_EQ(write(two, "bb", 2), 2);
    CHECK_EQ(lseek(two, 0, SEEK_CUR), 5);
    CHECK_EQ(lseek(one, 0, SEEK_SET), 0);
    CHECK_EQ(write(one, "c", 1), 1);
    CHECK_EQ(lseek(one, 0, SEEK_CUR), 6);
    CHECK_EQ(pwrite(one, "d", 1, 0), 1); /* Linux appends here too */
    CHECK_EQ(pread(one, line, 10, 0), 7);
    CHECK(memcmp(line, "aaabbcd", 7) == 0);
    CHECK_OK(fcntl(two, F_SETFL, 0));
    CHECK_EQ(pwrite(two, "X", 1, 0), 1);
    CHECK_EQ(pread(one, line, 10, 0), 7);
    CHECK_EQ(line[0], 'X');
    CHECK_OK(ftruncate(two, 0));
    CHECK_EQ(write(one, "e", 1), 1);
    CHECK_OK(ftruncate(two, 0));
    pid_t writers[WRITERS];
    for (int i = 0; i < WRITERS; i++) writers[i] = CHILD(append_for((char)('A' + i), LINES));
    for (int i = 0; i < WRITERS; i++) CHECK_EXITED(status_of(writers[i]), 0);
    CHECK_EQ(lseek(one, 0, SEEK_END), WRITERS * LINES * 64);
    bool is_whole = true;
    for (int i = 0; i < WRITERS * LINES; i++) {
        NEED(pread(one, line, 64, i * 64) == 64);
        for (int at = 0; at < 63; at++) is_whole &= line[at] == line[0];
        is_whole &= line[63] == '\n';
        if (line[0] >= 'A' && line[0] < 'A' + WRITERS) counts[line[0] - 'A']++;
    }
    CHECK(is_whole);
    for (int i = 0; i < WRITERS; i++) CHECK_EQ(counts[i], LINES);
}

static void paths_only(void)
{
    struct stat facts;
    struct statfs system;
    char byte, text[64], proc[64];
    NEED(mkdir("d", 0700) == 0 && symlink("f", "l") == 0);
    write_file("f", "x", 0600);
    write_file("d/in", "y", 0600);
    int path = open("f", O_PATH), folder = open("d", O_PATH | O_DIRECTORY), link_ = open("l", O_PATH | O_NOFOLLOW);
    NEED(path >= 0 && folder >= 0 && link_ >= 0);
    CHECK_EQ(fcntl(path, F_GETFL) & (O_PATH | O_ACCMODE), O_PATH);
    CHECK_ERR(read(path, &byte, 1), EBADF);
    CHECK_ERR(write(path, &byte, 1), EBADF);
    CHECK_ERR(pread(path, &byte, 1, 0), EBADF);
    CHECK_ERR(lseek(path, 0, SEEK_SET), EBADF);
    CHECK_ERR(syscall(SYS_fchmod, path, 0600), EBADF);
    CHECK_ERR(fchown(path, 1, 1), EBADF);
    CHECK_ERR(ftruncate(path, 0), EBADF);
    CHECK_ERR(ioctl(path, FIONREAD, &byte), EBADF);
    CHECK_ERR(fsync(path), EBADF);
    CHECK_ERR(fallocate(path, 0, 0, 1), EBADF);
    CHECK_ERR(posix_fadvise(path, 0, 0, 0) == EBADF ? (errno = EBADF, -1) : 0, EBADF);
    CHECK_ERR(fgetxattr(path, "user.x", text, 10), EBADF);
    CHECK_ERR(syscall(SYS_getdents64, folder, text, sizeof text), EBADF);
    CHECK_ERR(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, path, 0), EBADF);
    CHECK_ERR(fcntl(path, F_SETFL, O_APPEND), EBADF);
    CHECK_OK(fstat(path, &facts));
    CHECK_EQ(facts.st_size, 1);
    CHECK_OK(fstatfs(path, &system));
    CHECK(dup(path) >= 0);
    CHECK_OK(fcntl(path, F_SETFD, FD_CLOEXEC));
    CHECK(openat(folder, "in", O_RDONLY) >= 0);
    CHECK_ERR(openat(path, "in", O_RDONLY), ENOTDIR);
    CHECK_OK(fchownat(path, "", 0, 0, AT_EMPTY_PATH));
    CHECK_EQ(readlinkat(link_, "", text, sizeof text), 1);
    CHECK_OK(fstat(link_, &facts));
    CHECK(S_ISLNK(facts.st_mode));
    CHECK_ERR(open("l", O_PATH | O_NOFOLLOW | O_DIRECTORY), ENOTDIR);
    CHECK_ERR(open("f", O_PATH | O_DIRECTORY), ENOTDIR);
    CHECK_ERR(open("missing", O_PATH | O_CREAT, 0600), ENOENT); /* O_CREAT is ignored */
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", path);
    int again = open(proc, O_RDWR); /* the way to a real one */
    CHECK(again >= 0);
    CHECK_EQ(read(again, &byte, 1), 1);
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", link_);
    CHECK_ERR(open(proc, O_RDONLY), ELOOP);
    CHECK_OK(fchdir(folder));
    CHECK_OK(stat("in", &facts));
    CHECK_ERR(fchdir(path), ENOTDIR);
    CHECK_OK(close(path));
    CHECK_ERR(close(path), EBADF);
    /* No permission to read is needed. */
    NEED(chdir("..") == 0 && chmod("f", 0) == 0);
    CHECK_EXITED(CHILD_STATUS(NEED(setresuid(5000, 5000, 5000) == 0); int mine = open("f", O_PATH); CHECK(mine >= 0);
                              snprintf(proc, sizeof proc, "/proc/self/fd/%d", mine); CHECK_ERR(open(proc, O_RDONLY), EACCES);
                              CHECK_ERR(openat(folder, "in", O_PATH), EACCES)),
                 0);
}

static void files_without_a_name(void)
{
    struct stat facts;
    char proc[64], byte = 0;
    NEED(mkdir("d", 0755) == 0);
    write_file("f", "x", 0600);
    int file = open("d", O_TMPFILE | O_RDWR, 0640);
    if (file < 0) {
        CHECK_EQ(errno, EOPNOTSUPP);
        return;
    }
    CHECK_OK(fstat(file, &facts));
    CHECK(facts.st_nlink == 0 && facts.st_mode == (S_IFREG | 0640) && facts.st_size == 0);
    CHECK_EQ(write(file, "tmp", 3), 3);
    CHECK_OK(rmdir("d")); /* it is not in it */
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", file);
    CHECK_OK(linkat(AT_FDCWD, proc, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
    CHECK_OK(stat("named", &facts));
    CHECK(facts.st_nlink == 1 && facts.st_size == 3);
    CHECK_OK(linkat(file, "", AT_FDCWD, "named2", AT_EMPTY_PATH));
    CHECK_OK(fstat(file, &facts));
    CHECK_EQ(facts.st_nlink, 2);
    CHECK_ERR(linkat(file, "", AT_FDCWD, "named2", AT_EMPTY_PATH), EEXIST);
    CHECK_ERR(linkat(file, "", AT_FDCWD, "x", 0), ENOENT);
    CHECK_OK(unlink("named"));
    CHECK_OK(unlink("named2"));
    /* Without the capability the empty path needs the caller's own file, by a kernel of 6.10 or later. */
    int never = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600);
    CHECK(never >= 0);
    CHECK_ERR(linkat(never, "", AT_FDCWD, "never", AT_EMPTY_PATH), ENOENT);
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", never);
    CHECK_ERR(linkat(AT_FDCWD, proc, AT_FDCWD, "never", AT_SYMLINK_FOLLOW), ENOENT);
    CHECK_EQ(write(never, "n", 1), 1);
    CHECK_EQ(pread(never, &byte, 1, 0), 1);
    CHECK(open(proc, O_RDONLY) >= 0);
    CHECK_ERR(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
    CHECK_ERR(open("f", O_TMPFILE | O_RDWR, 0600), ENOTDIR);
    CHECK_ERR(open("missing", O_TMPFILE | O_RDWR, 0600), ENOENT);
    CHECK_ERR(open(".", O_TMPFILE | O_RDWR | O_CREAT, 0600), EINVAL);
    CHECK_ERR(open(".", (O_TMPFILE & ~O_DIRECTORY) | O_RDWR, 0600), EINVAL);
    NEED(mkdir("closed", 0755) == 0);
    CHECK_EXITED(CHILD_STATUS(NEED(setresuid(5000, 5000, 5000) == 0); CHECK_ERR(open("closed", O_TMPFILE | O_RDWR, 0600), EACCES)), 0);
}

static void written_at_once(void)
{
    char bytes[4] = "";
    int sync_ = open("f", O_RDWR | O_CREAT | O_SYNC, 0600), data = open("f", O_RDWR | O_DSYNC), plain = open("f", O_RDWR);
    NEED(sync_ >= 0 && data >= 0 && plain >= 0);
    CHECK_EQ(fcntl(sync_, F_GETFL) & O_SYNC, O_SYNC);
    CHECK_EQ(fcntl(data, F_GETFL) & O_SYNC, O_DSYNC);
    CHECK_EQ(write(sync_, "abc", 3), 3);
    CHECK_EQ(pwrite(data, "d", 1, 3), 1);
    CHECK_EQ(pread(plain, bytes, 4, 0), 4);
    CHECK(memcmp(bytes, "abcd", 4) == 0);
    CHECK_OK(fcntl(plain, F_SETFL, O_SYNC)); /* is ignored */
    CHECK_EQ(fcntl(plain, F_GETFL) & O_SYNC, 0);
    CHECK_OK(fcntl(sync_, F_SETFL, 0));
    CHECK_EQ(fcntl(sync_, F_GETFL) & O_SYNC, O_SYNC);
}

static void odd_flags(void)
{
    char byte = 0;
    write_file("f", "x", 0600);
    int neither = open("f", O_ACCMODE); /* 3: neither reading nor writing, for ioctl */
    CHECK(neither >= 0);
    CHECK_ERR(read(neither, &byte, 1), EBADF);
    CHECK_ERR(write(neither, &byte, 1), EBADF);
    CHECK(open("f", O_RDONLY | 0x40000000) >= 0); /* unknown flags are ignored */
    CHECK_EXITED(CHILD_STATUS(NEED(chmod("f", 0666) == 0 && setresuid(5000, 5000, 5000) == 0);
                              CHECK_ERR(open("f", O_RDONLY | O_NOATIME), EPERM)),
                 0);
    CHECK(open("f", O_RDONLY | O_NOATIME) >= 0);
    int file = open("f", O_RDONLY), write_only = open("f", O_WRONLY);
    CHECK_ERR(write(file, "y", 1), EBADF);
    CHECK_ERR(read(write_only, &byte, 1), EBADF);
    CHECK_ERR(open("f", O_WRONLY | O_DIRECTORY), ENOTDIR);
    int program = open(own_path(), O_RDONLY);
    CHECK(program >= 0);
    CHECK_ERR(open(own_path(), O_WRONLY), ETXTBSY);
    CHECK_ERR(truncate(own_path(), 0), ETXTBSY);
    struct rlimit few = {8, 8};
    CHECK_EXITED(CHILD_STATUS(NEED(setrlimit(RLIMIT_NOFILE, &few) == 0); int last = -1; for (int next; (next = open("f", O_RDONLY)) >= 0;) last = next;
                              CHECK(last <= 7); CHECK_ERR(open("f", O_RDONLY), EMFILE);
                              CHECK_ERR(open("unmade", O_RDWR | O_CREAT, 0600), EMFILE); CHECK_ERR(access("unmade", F_OK), ENOENT)),
                 0);
    struct rlimit small = {10, 10};
    CHECK_EXITED(CHILD_STATUS(signal(SIGXFSZ, SIG_IGN); NEED(setrlimit(RLIMIT_FSIZE, &small) == 0); int one = open("big", O_RDWR | O_CREAT, 0600);
                              CHECK_EQ(write(one, "0123456789abc", 13), 10); CHECK_ERR(write(one, "x", 1), EFBIG);
                              CHECK_ERR(ftruncate(one, 11), EFBIG); CHECK_OK(ftruncate(one, 5));
                              CHECK_ERR(pwrite(one, "x", 1, 20), EFBIG); CHECK_EQ(pwrite(one, "xy", 2, 9), 1)),
                 0);
    CHECK_KILLED(CHILD_STATUS(NEED(setrlimit(RLIMIT_FSIZE, &small) == 0); int one = open("big2", O_RDWR | O_CREAT, 0600);
                              NEED(pwrite(one, "x", 1, 20) == -1)),
                 SIGXFSZ);
}

/* Read-only for all: what the mode forbids, and what root may anyway. */
static void modes_of_special_directories(void)
{
    struct stat facts;
    NEED(mkdir("group", 0777) == 0 && chown("group", 0, 700) == 0 && chmod("group", 02777) == 0);
    umask(0);
    int file = open("group/f", O_RDWR | O_CREAT, 02770);
    CHECK_OK(fstat(file, &facts));
    CHECK_EQ(facts.st_gid, 700); /* the directory's */
    CHECK_OK(mkdir("group/d", 0755));
    CHECK_OK(stat("group/d", &facts));
    CHECK_EQ(facts.st_gid, 700);
    CHECK_EQ(facts.st_mode & 07777, 02755); /* and directories hand it on */
    CHECK_OK(symlink("x", "group/l"));
    CHECK_OK(lstat("group/l", &facts));
    CHECK_EQ(facts.st_gid, 700);
    CHECK_OK(mkdir("plain", 07777));
    CHECK_OK(stat("plain", &facts));
    CHECK_EQ(facts.st_mode & 07777, 01777); /* mkdir takes the sticky bit, not setgid */
    CHECK_EXITED(CHILD_STATUS(NEED(setresgid(5000, 5000, 5000) == 0 && setgroups(0, NULL) == 0 && setresuid(5000, 5000, 5000) == 0);
                              int mine = open("group/mine", O_RDWR | O_CREAT, 02770); CHECK_OK(fstat(mine, &facts));
                              CHECK_EQ(facts.st_gid, 700); CHECK_EQ(facts.st_mode & 07777, 0770); /* not a member: no setgid */
                              CHECK_OK(fchmod(mine, 02770)); CHECK_OK(fstat(mine, &facts)); CHECK_EQ(facts.st_mode & 07777, 0770)),
                 0);
}

CASES(CASE(directories_and_links_only), CASE(making), CASE(cutting), CASE(appending_from_several_sides), CASE(paths_only),
      CASE(files_without_a_name), CASE(written_at_once), CASE(odd_flags), CASE(modes_of_special_directories))
