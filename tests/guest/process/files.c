/* Opening, reading, writing, seeking, and the facts of files. */
#include "check.h"

#include <sys/ioctl.h>
#include <sys/uio.h>
#include <termios.h>

static void opening(void)
{
    int free_one = next_descriptor();
    int file = open("new", O_RDWR | O_CREAT | O_EXCL, 0666);
    CHECK_EQ(file, free_one);
    struct stat facts;
    CHECK_OK(fstat(file, &facts));
    CHECK_EQ(facts.st_mode, S_IFREG | 0644); /* less the umask */
    CHECK_ERR(open("new", O_RDWR | O_CREAT | O_EXCL, 0666), EEXIST);
    CHECK_EQ(write(file, "0123456789", 10), 10);
    CHECK_EQ(open("new", O_RDONLY), free_one + 1);
    CHECK_OK(close(free_one));
    CHECK_EQ(open("new", O_WRONLY | O_TRUNC), free_one); /* the lowest free number */
    CHECK_OK(fstat(free_one, &facts));
    CHECK_EQ(facts.st_size, 0);
    CHECK_EQ(fcntl(free_one, F_GETFL) & O_ACCMODE, O_WRONLY);
    CHECK_ERR(read(free_one, &facts, 1), EBADF);
    CHECK_ERR(write(free_one + 1, "x", 1), EBADF);
    CHECK(open("new", O_RDONLY | O_CREAT, 0) >= 0);
}

static void errors_of_open(void)
{
    char name[5000];
    write_file("file", "x", 0644);
    REQUIRE(mkdir("folder", 0755) == 0 && symlink("loop", "loop") == 0 && symlink("nowhere", "dangling") == 0);
    CHECK_ERR(open("missing", O_RDONLY), ENOENT);
    CHECK_ERR(open("", O_RDONLY), ENOENT);
    CHECK_ERR(open("missing/x", O_RDONLY | O_CREAT, 0600), ENOENT);
    CHECK_ERR(open("file/x", O_RDONLY), ENOTDIR);
    CHECK_ERR(open("file/", O_RDONLY), ENOTDIR);
    CHECK_ERR(open("file", O_RDONLY | O_DIRECTORY), ENOTDIR);
    CHECK_ERR(open("folder", O_WRONLY), EISDIR);
    CHECK_ERR(open("folder", O_RDWR), EISDIR);
    CHECK_ERR(open("folder", O_RDONLY | O_CREAT, 0600), EISDIR);
    CHECK_ERR(open("new/", O_RDWR | O_CREAT, 0600), EISDIR);
    CHECK_ERR(open("loop", O_RDONLY), ELOOP);
    CHECK_ERR(open("dangling", O_RDONLY), ENOENT);
    CHECK_ERR(open("dangling", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
    CHECK_ERR(open("dangling", O_RDONLY | O_NOFOLLOW), ELOOP);
    CHECK_ERR(syscall(SYS_open, NULL, O_RDONLY), EFAULT);
    CHECK_ERR(syscall(SYS_open, KERNEL_ADDRESS, O_RDONLY), EFAULT);
    CHECK_ERR(openat(-1, "file", O_RDONLY), EBADF);
    int file = open("file", O_RDONLY);
    CHECK_ERR(openat(file, "x", O_RDONLY), ENOTDIR);
    CHECK(openat(-1, "/dev/null", O_RDONLY) >= 0);
    memset(name, 'a', sizeof name);
    name[256] = 0;
    CHECK_ERR(open(name, O_RDWR | O_CREAT, 0600), ENAMETOOLONG);
    name[255] = 0;
    CHECK(open(name, O_RDWR | O_CREAT, 0600) >= 0);
    name[255] = 'a';
    name[4999] = 0;
    CHECK_ERR(open(name, O_RDONLY), ENAMETOOLONG);
    for (int i = 0; i < 4096; i += 2) memcpy(name + i, "./", 2);
    strcpy(name + 4090, "file");
    CHECK(open(name, O_RDONLY) >= 0); /* 4094 and the zero */
    strcpy(name + 4090, ".//file");
    CHECK_ERR(open(name, O_RDONLY), ENAMETOOLONG);
    CHECK(open("dangling", O_RDWR | O_CREAT, 0600) >= 0); /* makes what it points to */
    CHECK_OK(access("nowhere", F_OK));
    int folder = open("folder", O_RDONLY | O_DIRECTORY);
    char byte;
    CHECK_ERR(read(folder, &byte, 1), EISDIR);
    CHECK_ERR(close(777), EBADF);
    CHECK_ERR(close(-1), EBADF);
}

static void permissions(void)
{
    write_file("secret", "x", 0600);
    write_file("read", "x", 0444);
    REQUIRE(mkdir("closed", 0700) == 0 && mkdir("shelf", 0755) == 0);
    write_file("closed/file", "x", 0666);
    CHECK(open("read", O_RDWR) >= 0); /* root may */
    pid_t pid = CHILD({
        REQUIRE(setgid(12345) == 0 && setuid(12345) == 0);
        CHECK_ERR(open("secret", O_RDONLY), EACCES);
        CHECK_ERR(open("read", O_WRONLY), EACCES);
        CHECK_ERR(open("read", O_RDONLY | O_TRUNC), EACCES);
        CHECK_ERR(open("closed/file", O_RDONLY), EACCES);
        CHECK_ERR(open("shelf/new", O_RDWR | O_CREAT, 0600), EACCES);
        CHECK_ERR(mkdir("shelf/new", 0700), EACCES);
        CHECK_ERR(unlink("closed/file"), EACCES);
        CHECK_ERR(chmod("read", 0777), EPERM);
        CHECK_ERR(chown("read", 12345, -1), EPERM);
        CHECK_ERR(truncate("read", 0), EACCES);
        CHECK_ERR(access("secret", R_OK), EACCES);
        CHECK_ERR(access("read", X_OK), EACCES);
        CHECK_ERR(chdir("closed"), EACCES);
        CHECK_ERR(open("read", O_RDONLY | O_NOATIME), EPERM);
        CHECK(open("read", O_RDONLY) >= 0);
        CHECK_OK(access("read", R_OK));
        int file = open("mine", O_RDWR | O_CREAT, 0); /* the mode is for later opens */
        CHECK(file >= 0);
        CHECK_EQ(write(file, "x", 1), 1);
        CHECK_ERR(open("mine", O_RDONLY), EACCES);
    });
    CHECK_EXITED(status_of(pid), 0);
}

static void reading_and_writing(void)
{
    char bytes[32] = "";
    int file = open("data", O_RDWR | O_CREAT, 0600);
    CHECK_EQ(write(file, "hello world", 11), 11);
    CHECK_EQ(read(file, bytes, 5), 0);
    CHECK_EQ(lseek(file, 6, SEEK_SET), 6);
    CHECK_EQ(read(file, bytes, 32), 5);
    CHECK(strcmp(bytes, "world") == 0);
    CHECK_EQ(pread(file, bytes, 5, 0), 5);
    CHECK(memcmp(bytes, "hello", 5) == 0);
    CHECK_EQ(lseek(file, 0, SEEK_CUR), 11); /* pread moves nothing */
    CHECK_EQ(pwrite(file, "J", 1, 0), 1);
    CHECK_EQ(pread(file, bytes, 1, 0), 1);
    CHECK_EQ(bytes[0], 'J');
    CHECK_EQ(pwrite(file, "far", 3, 10000), 3); /* leaves a hole */
    CHECK_EQ(pread(file, bytes, 4, 9999), 4);
    CHECK(bytes[0] == 0 && bytes[1] == 'f');
    CHECK_EQ(read(file, bytes, 0), 0);
    CHECK_EQ(write(file, bytes, 0), 0);
    CHECK_ERR(pread(file, bytes, 1, -1), EINVAL);
    CHECK_ERR(pwrite(file, bytes, 1, -1), EINVAL);
    CHECK_ERR(read(777, bytes, 1), EBADF);
    CHECK_ERR(write(777, bytes, 1), EBADF);
    CHECK_ERR(read(file, UNMAPPED_ADDRESS, 1) == -1 ? -1 : 0, EFAULT);
    CHECK_ERR(write(file, UNMAPPED_ADDRESS, 1), EFAULT);
    CHECK_ERR(write(file, KERNEL_ADDRESS, 1), EFAULT);
    CHECK_ERR(read(file, WILD_ADDRESS, 1), EFAULT);
    /* Part of the buffer is there: part is done. */
    char *memory = map_pages(2, PROT_READ | PROT_WRITE);
    REQUIRE(munmap(memory + PAGE, PAGE) == 0);
    memset(memory, 'p', PAGE);
    CHECK_EQ(pwrite(file, memory + PAGE - 10, 20, 0), 10);
    CHECK_EQ(pread(file, memory + PAGE - 10, 20, 0), 10);
}

static void appending(void)
{
    char bytes[8] = "";
    int file = open("data", O_RDWR | O_CREAT | O_APPEND, 0600), other = open("data", O_RDWR);
    CHECK_EQ(write(file, "ab", 2), 2);
    CHECK_EQ(write(other, "X", 1), 1);
    CHECK_EQ(lseek(file, 0, SEEK_SET), 0);
    CHECK_EQ(write(file, "c", 1), 1);
    CHECK_EQ(lseek(file, 0, SEEK_CUR), 3);
    CHECK_EQ(pwrite(file, "d", 1, 0), 1); /* Linux appends here too */
    CHECK_EQ(pread(file, bytes, 8, 0), 4);
    CHECK(strcmp(bytes, "Xbcd") == 0);
}

static void vectors(void)
{
    char first[4] = "", second[8] = "";
    int file = open("data", O_RDWR | O_CREAT, 0600);
    struct iovec out[3] = {{"one", 3}, {NULL, 0}, {"three", 5}}, in[2] = {{first, 3}, {second, 8}};
    CHECK_EQ(writev(file, out, 3), 8);
    CHECK_EQ(lseek(file, 0, SEEK_SET), 0);
    CHECK_EQ(readv(file, in, 2), 8);
    CHECK(strcmp(first, "one") == 0 && strcmp(second, "three") == 0);
    CHECK_EQ(preadv(file, in, 2, 1), 7);
    CHECK(strcmp(first, "net") == 0);
    CHECK_EQ(pwritev(file, out, 1, 5), 3);
    CHECK_EQ(writev(file, out, 0), 0);
    CHECK_ERR(writev(file, out, -1), EINVAL);
    CHECK_ERR(writev(file, out, 1025), EINVAL);
    CHECK_ERR(writev(file, UNMAPPED_ADDRESS, 1), EFAULT);
    CHECK_ERR(readv(777, in, 2), EBADF);
    out[1].iov_len = (size_t)-1;
    CHECK_ERR(writev(file, out, 3), EINVAL);
    out[1] = (struct iovec){UNMAPPED_ADDRESS, 4};
    CHECK_EQ(writev(file, out, 3), 3); /* up to the bad one */
}

static void seeking(void)
{
    int file = make_file("data", "0123456789", 10, 0600), ends[2];
    CHECK_EQ(lseek(file, 3, SEEK_SET), 3);
    CHECK_EQ(lseek(file, 4, SEEK_CUR), 7);
    CHECK_EQ(lseek(file, -1, SEEK_END), 9);
    CHECK_EQ(lseek(file, 100, SEEK_END), 110); /* past the end is fine */
    CHECK_ERR(lseek(file, -1, SEEK_SET), EINVAL);
    CHECK_ERR(lseek(file, -200, SEEK_CUR), EINVAL);
    CHECK_ERR(lseek(file, 0, 77), EINVAL);
    CHECK_ERR(lseek(file, INT64_MAX, SEEK_CUR), EOVERFLOW == errno ? EOVERFLOW : EINVAL);
    CHECK_EQ(lseek(file, 0, SEEK_CUR), 110);
    CHECK_ERR(lseek(777, 0, SEEK_SET), EBADF);
    REQUIRE(pipe(ends) == 0);
    CHECK_ERR(lseek(ends[0], 0, SEEK_SET), ESPIPE);
    CHECK_ERR(pread(ends[0], &file, 1, 0), ESPIPE);
    CHECK_ERR(pwrite(ends[1], "x", 1, 0), ESPIPE);
    CHECK_EQ(lseek(file, 0, 3 /* SEEK_DATA */), 0);
    CHECK_EQ(lseek(file, 0, 4 /* SEEK_HOLE */), 10);
    CHECK_ERR(lseek(file, 10, 3), ENXIO);
}

static void sizes_change(void)
{
    struct stat facts;
    char bytes[16] = "";
    int file = make_file("data", "0123456789", 10, 0600);
    CHECK_OK(ftruncate(file, 4));
    CHECK_OK(fstat(file, &facts));
    CHECK_EQ(facts.st_size, 4);
    CHECK_OK(truncate("data", 8));
    CHECK_EQ(pread(file, bytes, 16, 0), 8);
    CHECK(memcmp(bytes, "0123\0\0\0\0", 8) == 0);
    CHECK_ERR(ftruncate(file, -1), EINVAL);
    CHECK_ERR(truncate("data", -1), EINVAL);
    CHECK_ERR(truncate("missing", 0), ENOENT);
    CHECK_ERR(truncate(".", 0), EISDIR);
    CHECK_ERR(ftruncate(777, 0), EBADF);
    int read_only = open("data", O_RDONLY), ends[2];
    CHECK_ERR(ftruncate(read_only, 0), EINVAL);
    REQUIRE(pipe(ends) == 0);
    CHECK_ERR(ftruncate(ends[1], 0), EINVAL);
    CHECK_OK(fsync(file));
    CHECK_OK(fdatasync(file));
    CHECK_ERR(fsync(ends[0]), EINVAL);
    CHECK_ERR(fsync(777), EBADF);
}

static void facts_of_files(void)
{
    struct stat facts, again;
    int file = make_file("data", "12345", 5, 0640);
    CHECK_OK(chown("data", 11, 22));
    CHECK_OK(stat("data", &facts));
    CHECK(S_ISREG(facts.st_mode) && (facts.st_mode & 07777) == 0640);
    CHECK(facts.st_size == 5 && facts.st_nlink == 1 && facts.st_uid == 11 && facts.st_gid == 22 && facts.st_ino != 0);
    CHECK(facts.st_blksize >= 512);
    CHECK_OK(fstat(file, &again));
    CHECK(again.st_ino == facts.st_ino && again.st_dev == facts.st_dev);
    REQUIRE(symlink("data", "link") == 0);
    CHECK_OK(stat("link", &again));
    CHECK_EQ(again.st_ino, facts.st_ino);
    CHECK_OK(lstat("link", &again));
    CHECK(S_ISLNK(again.st_mode) && again.st_size == 4 && again.st_ino != facts.st_ino);
    CHECK_OK(fstatat(AT_FDCWD, "link", &again, AT_SYMLINK_NOFOLLOW));
    CHECK(S_ISLNK(again.st_mode));
    CHECK_OK(fstatat(file, "", &again, 0x1000 /* EMPTY_PATH */));
    CHECK_EQ(again.st_ino, facts.st_ino);
    CHECK_OK(stat("/dev/null", &facts));
    CHECK(S_ISCHR(facts.st_mode) && facts.st_rdev == ((1 << 8) | 3));
    CHECK_OK(stat(".", &facts));
    CHECK(S_ISDIR(facts.st_mode));
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    CHECK_OK(fstat(ends[0], &facts));
    CHECK(S_ISFIFO(facts.st_mode));
    CHECK_ERR(stat("missing", &facts), ENOENT);
    CHECK_ERR(stat("", &facts), ENOENT);
    CHECK_ERR(stat("data/x", &facts), ENOTDIR);
    CHECK_ERR(fstat(777, &facts), EBADF);
    CHECK_ERR(syscall(SYS_stat, "data", UNMAPPED_ADDRESS), EFAULT);
    CHECK_ERR(syscall(SYS_stat, UNMAPPED_ADDRESS, &facts), EFAULT);
    CHECK_ERR(syscall(SYS_newfstatat, AT_FDCWD, "data", &facts, 0x10000), EINVAL);
    CHECK_ERR(syscall(SYS_newfstatat, 777, "data", &facts, 0), EBADF);
    CHECK_ERR(syscall(SYS_newfstatat, file, "x", &facts, 0), ENOTDIR);
}

static void more_facts(void)
{
    uint32_t facts[64];
    struct stat old;
    write_file("data", "12345", 0640);
    memset(facts, 0xff, sizeof facts);
    CHECK_OK(syscall(SYS_statx, AT_FDCWD, "data", 0, 0x7ff, facts));
    CHECK_EQ(facts[0] & 0x7ff, 0x7ff); /* the basic ones are all there */
    CHECK_OK(stat("data", &old));
    CHECK_EQ(((uint16_t *)facts)[14], old.st_mode);
    CHECK_EQ(((uint64_t *)facts)[4], old.st_ino);
    CHECK_EQ(((uint64_t *)facts)[5], 5);
    CHECK_EQ(facts[4], 1);
    CHECK_ERR(syscall(SYS_statx, AT_FDCWD, "missing", 0, 0x7ff, facts), ENOENT);
    CHECK_ERR(syscall(SYS_statx, AT_FDCWD, "data", 0x10000, 0x7ff, facts), EINVAL);
    CHECK_ERR(syscall(SYS_statx, AT_FDCWD, "data", 0, 0x80000000, facts), EINVAL);
    CHECK_ERR(syscall(SYS_statx, AT_FDCWD, "data", 0x6000, 0x7ff, facts), EINVAL);
    CHECK_ERR(syscall(SYS_statx, AT_FDCWD, "data", 0, 0x7ff, UNMAPPED_ADDRESS), EFAULT);
    CHECK_ERR(syscall(SYS_statx, 777, "data", 0, 0x7ff, facts), EBADF);
}

static void times_of_files(void)
{
    struct stat facts;
    struct timespec times[2] = {{1000, 5}, {2000, 6}};
    int file = make_file("data", "x", 1, 0600);
    CHECK_OK(utimensat(AT_FDCWD, "data", times, 0));
    CHECK_OK(fstat(file, &facts));
    CHECK(facts.st_atim.tv_sec == 1000 && facts.st_mtim.tv_sec == 2000 && facts.st_mtim.tv_nsec == 6);
    times[0] = (struct timespec){0, UTIME_OMIT};
    times[1] = (struct timespec){0, UTIME_NOW};
    CHECK_OK(futimens(file, times));
    CHECK_OK(fstat(file, &facts));
    CHECK(facts.st_atim.tv_sec == 1000 && facts.st_mtim.tv_sec > 2000);
    CHECK_OK(utimensat(AT_FDCWD, "data", NULL, 0));
    CHECK_OK(fstat(file, &facts));
    CHECK(facts.st_atim.tv_sec > 2000);
    times[0] = times[1] = (struct timespec){1000, 0};
    CHECK_OK(futimens(file, times));
    CHECK_EQ(write(file, "y", 1), 1);
    CHECK_OK(fstat(file, &facts));
    CHECK(facts.st_mtim.tv_sec > 1000); /* writing changes it */
    times[0].tv_nsec = 1000000000;
    CHECK_ERR(utimensat(AT_FDCWD, "data", times, 0), EINVAL);
    CHECK_ERR(utimensat(AT_FDCWD, "missing", NULL, 0), ENOENT);
    CHECK_ERR(utimensat(AT_FDCWD, "data", NULL, 0x10000), EINVAL);
    CHECK_ERR(syscall(SYS_utimensat, AT_FDCWD, "data", UNMAPPED_ADDRESS, 0), EFAULT);
    CHECK_ERR(syscall(SYS_utimensat, 777, "data", NULL, 0), EBADF);
    CHECK_EXITED(CHILD_STATUS(setuid(12345); times[0].tv_nsec = 0; _exit(utimensat(AT_FDCWD, "data", times, 0) == -1 && errno == EPERM ? 0 : 1)), 0);
    CHECK_EXITED(CHILD_STATUS(setuid(12345); _exit(utimensat(AT_FDCWD, "data", NULL, 0) == -1 && errno == EACCES ? 0 : 1)), 0);
}

static void an_unlinked_file_lives_while_open(void)
{
    struct stat facts;
    char byte = 0;
    int file = make_file("data", "x", 1, 0600);
    CHECK_OK(unlink("data"));
    CHECK_ERR(open("data", O_RDONLY), ENOENT);
    CHECK_OK(fstat(file, &facts));
    CHECK_EQ(facts.st_nlink, 0);
    CHECK_EQ(pread(file, &byte, 1, 0), 1);
    CHECK_EQ(byte, 'x');
}

static void path_descriptors_and_temporary_files(void)
{
    struct stat facts;
    write_file("data", "x", 0600);
    int path = open("data", O_PATH);
    CHECK(path >= 0);
    CHECK_OK(fstat(path, &facts));
    CHECK_ERR(read(path, &facts, 1), EBADF);
    CHECK_ERR(write(path, "x", 1), EBADF);
    CHECK_ERR(syscall(SYS_fchmod, path, 0600), EBADF); /* musl would go by /proc */
    CHECK_ERR(ftruncate(path, 0), EBADF);
    CHECK_ERR(lseek(path, 0, SEEK_SET), EBADF);
    REQUIRE(symlink("data", "link") == 0);
    path = open("link", O_PATH | O_NOFOLLOW);
    CHECK_OK(fstat(path, &facts));
    CHECK(S_ISLNK(facts.st_mode));
    int file = open(".", O_TMPFILE | O_RDWR, 0600);
    if (file >= 0) {
        CHECK_OK(fstat(file, &facts));
        CHECK_EQ(facts.st_nlink, 0);
        CHECK_EQ(write(file, "x", 1), 1);
    } else {
        CHECK_EQ(errno, EOPNOTSUPP);
    }
}

static void devices(void)
{
    unsigned char bytes[256];
    int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDWR), full = open("/dev/full", O_RDWR);
    int random_ = open("/dev/urandom", O_RDONLY), slow = open("/dev/random", O_RDONLY);
    REQUIRE(null >= 0 && zero >= 0 && full >= 0 && random_ >= 0 && slow >= 0);
    CHECK_EQ(read(null, bytes, 10), 0);
    CHECK_EQ(write(null, bytes, 100), 100);
    memset(bytes, 1, sizeof bytes);
    CHECK_EQ(read(zero, bytes, 100), 100);
    CHECK(bytes[0] == 0 && bytes[99] == 0 && bytes[100] == 1);
    CHECK_EQ(write(zero, bytes, 10), 10);
    CHECK_EQ(read(full, bytes, 100), 100);
    CHECK_ERR(write(full, bytes, 1), ENOSPC);
    unsigned char first[32] = {0}, second[32] = {0};
    CHECK_EQ(read(random_, first, 32), 32);
    CHECK_EQ(read(slow, second, 32), 32);
    CHECK(memcmp(first, second, 32) != 0);
    CHECK_EQ(lseek(null, 100, SEEK_SET), 0);
    CHECK_ERR(read(zero, UNMAPPED_ADDRESS, 1), EFAULT);
    CHECK_ERR(open("/dev/nothing-here", O_RDONLY), ENOENT);
    struct termios settings;
    CHECK_ERR(tcgetattr(null, &settings), ENOTTY);
    CHECK_ERR(ioctl(zero, TCGETS, &settings), ENOTTY);
    CHECK_EQ(isatty(null), 0);
    write_file("data", "12345", 0600);
    int file = open("data", O_RDONLY), count = 0;
    CHECK_ERR(ioctl(file, TCGETS, &settings), ENOTTY);
    CHECK_ERR(ioctl(file, 0x12345678, &settings), ENOTTY);
    CHECK_ERR(ioctl(777, TCGETS, &settings), EBADF);
    CHECK_OK(ioctl(file, FIONREAD, &count));
    CHECK_EQ(count, 5);
}

static void random_bytes(void)
{
    unsigned char first[64] = {0}, second[64] = {0};
    static unsigned char many[10000];
    CHECK_EQ(syscall(SYS_getrandom, first, 64, 0), 64);
    CHECK_EQ(syscall(SYS_getrandom, second, 64, 1 /* NONBLOCK */), 64);
    CHECK(memcmp(first, second, 64) != 0);
    CHECK_EQ(syscall(SYS_getrandom, first, 0, 0), 0);
    CHECK_EQ(syscall(SYS_getrandom, many, sizeof many, 2 /* RANDOM */), (long)sizeof many);
    int zeros = 0;
    for (unsigned i = 0; i < sizeof many; i++) zeros += many[i] == 0;
    CHECK(zeros < 200);
    CHECK_ERR(syscall(SYS_getrandom, first, 1, 0x100), EINVAL);
    CHECK_ERR(syscall(SYS_getrandom, first, 1, 6), EINVAL);
    CHECK_ERR(syscall(SYS_getrandom, UNMAPPED_ADDRESS, 1, 0), EFAULT);
}

CASES(CASE(opening), CASE(errors_of_open), CASE(permissions), CASE(reading_and_writing), CASE(appending), CASE(vectors),
      CASE(seeking), CASE(sizes_change), CASE(facts_of_files), CASE(more_facts), CASE(times_of_files),
      CASE(an_unlinked_file_lives_while_open), CASE(path_descriptors_and_temporary_files), CASE(devices), CASE(random_bytes))
