/* Sizes and room: truncate, fallocate, holes, and files that are mapped while they change. */
#include "check.h"

#include <linux/falloc.h>
#include <sys/statfs.h>

static char page[PAGE];

static long long size_of(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 ? facts.st_size : -1;
}

static long long sectors_of(int file)
{
    struct stat facts;
    return fstat(file, &facts) == 0 ? facts.st_blocks : -1;
}

static bool is_filled(const char *bytes, size_t length, char with)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != with) return false;
    }
    return true;
}

static bool is_on_disk(void)
{
    struct statfs system;
    return statfs(".", &system) == 0 && system.f_type == 0xef53;
}

/* Linux's ext2 has no fallocate; another file system has no reason. */
static bool was_refused_on_disk(void)
{
    return errno == EOPNOTSUPP && is_on_disk();
}

static int filled(const char *path, size_t pages, char with)
{
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    NEED(file >= 0);
    memset(page, with, PAGE);
    for (size_t i = 0; i < pages; i++) NEED(write(file, page, PAGE) == PAGE);
    return file;
}

static void cutting_and_growing(void)
{
    char bytes[PAGE];
    int file = filled("f", 4, 'x');
    CHECK_OK(ftruncate(file, PAGE + 100));
    CHECK_EQ(size_of("f"), PAGE + 100);
    CHECK_EQ(pread(file, bytes, PAGE, PAGE), 100);
    CHECK_OK(ftruncate(file, 3 * PAGE)); /* what was cut does not come back */
    CHECK_EQ(pread(file, bytes, PAGE, PAGE), PAGE);
    CHECK(is_filled(bytes, 100, 'x') && is_filled(bytes + 100, PAGE - 100, 0));
    CHECK_EQ(pread(file, bytes, PAGE, 2 * PAGE), PAGE);
    CHECK(is_filled(bytes, PAGE, 0));
    CHECK_OK(truncate("f", 10));
    CHECK_EQ(size_of("f"), 10);
    CHECK_EQ(pwrite(file, "end", 3, 100), 3); /* a hole in between */
    CHECK_EQ(pread(file, bytes, PAGE, 0), 103);
    CHECK(is_filled(bytes, 10, 'x') && is_filled(bytes + 10, 90, 0) && memcmp(bytes + 100, "end", 3) == 0);
    CHECK_OK(ftruncate(file, 0));
    CHECK_EQ(sectors_of(file), 0);
    CHECK_OK(ftruncate(file, 1LL << 32));
    CHECK_EQ(size_of("f"), 1LL << 32);
    CHECK(sectors_of(file) <= 16);
    CHECK_EQ(pread(file, bytes, 10, (1LL << 32) - 5), 5);
    CHECK_EQ(pwrite(file, "x", 1, (1LL << 32) - 1), 1);
    CHECK(sectors_of(file) <= 64);
    CHECK_OK(ftruncate(file, 5));
    CHECK_EQ(lseek(file, 0, SEEK_CUR), 4 * PAGE); /* the position stays */
    CHECK_EQ(read(file, bytes, 10), 0);
    CHECK_ERR(ftruncate(file, -1), EINVAL);
    CHECK_ERR(truncate("f", -5), EINVAL);
    CHECK_ERR(truncate("missing", 1), ENOENT);
    CHECK_ERR(truncate("f/x", 1), ENOTDIR);
    CHECK_ERR(truncate("", 1), ENOENT);
    CHECK_ERR(syscall(SYS_truncate, UNMAPPED_ADDRESS, 1), EFAULT);
    if (is_on_disk()) {
        CHECK_ERR(ftruncate(file, INT64_MAX), EFBIG);
        CHECK_EQ(size_of("f"), 5);
    }
    NEED(mkfifo("fifo", 0600) == 0);
    CHECK_ERR(truncate("fifo", 1), EINVAL);
    CHECK_ERR(truncate(".", 1), EISDIR);
    CHECK_ERR(pwrite(file, "x", 1, -1), EINVAL);
    CHECK_ERR(pread(file, bytes, 1, -1), EINVAL);
    CHECK_ERR(pwrite(file, "x", 1, INT64_MAX), EINVAL);
}

/* A change of size changes the times only if there is one: truncate always, ftruncate always on Linux. */
static void times_of_cutting(void)
{
    struct stat before, after;
    int file = filled("f", 1, 'x');
    struct timespec old[2] = {{1000, 0}, {1000, 0}};
    NEED(futimens(file, old) == 0 && fstat(file, &before) == 0);
    sleep_ms(20);
    CHECK_OK(ftruncate(file, 10));
    CHECK_OK(fstat(file, &after));
    CHECK(after.st_mtim.tv_sec > 1000 && after.st_ctim.tv_sec >= before.st_ctim.tv_sec);
    NEED(futimens(file, old) == 0);
    CHECK_OK(ftruncate(file, 10)); /* the same size */
    CHECK_OK(fstat(file, &after));
    CHECK(after.st_mtim.tv_sec > 1000);
    NEED(futimens(file, old) == 0);
    CHECK_EQ(write(file, "", 0), 0); /* nothing is written */
    CHECK_OK(fstat(file, &after));
    CHECK_EQ(after.st_mtim.tv_sec, 1000);
    /* Who writes a setuid file without being root takes the bit away. */
    NEED(fchmod(file, 06777) == 0 && chmod(".", 0777) == 0);
    CHECK_EXITED(CHILD_STATUS(NEED(setresgid(5000, 5000, 5000) == 0 && setresuid(5000, 5000, 5000) == 0); int mine = open("f", O_WRONLY);
                              CHECK_EQ(write(mine, "x", 1), 1)),
                 0);
    CHECK_OK(fstat(file, &after));
    CHECK_EQ(after.st_mode & 07777, 0777);
    NEED(fchmod(file, 06777) == 0);
    CHECK_EXITED(CHILD_STATUS(NEED(setresgid(5000, 5000, 5000) == 0 && setresuid(5000, 5000, 5000) == 0); CHECK_OK(truncate("f", 1))), 0);
    CHECK_OK(fstat(file, &after));
    CHECK_EQ(after.st_mode & 07777, 0777);
    NEED(fchmod(file, 06777) == 0);
    CHECK_EQ(write(file, "x", 1), 1); /* root keeps it */
    CHECK_OK(fstat(file, &after));
    CHECK_EQ(after.st_mode & 07777, 06777);
    NEED(fchmod(file, 06777) == 0);
    CHECK_OK(fchown(file, 1, 1)); /* but changing the owner does not */
    CHECK_OK(fstat(file, &after));
    CHECK_EQ(after.st_mode & 07777, 0777);
}

static void room(void)
{
    char bytes[PAGE];
    int file = open("f", O_RDWR | O_CREAT, 0600), read_only, ends[2];
    NEED(file >= 0 && pipe(ends) == 0);
    CHECK_ERR(fallocate(file, 0, 0, 0), EINVAL);
    CHECK_ERR(fallocate(file, 0, -1, 10), EINVAL);
    CHECK_ERR(fallocate(file, 0, 0, -1), EINVAL);
    CHECK_ERR(fallocate(file, 0x8000, 0, 10), EOPNOTSUPP);
    CHECK_ERR(fallocate(file, FALLOC_FL_PUNCH_HOLE, 0, 10), EOPNOTSUPP); /* needs KEEP_SIZE */
    CHECK_ERR(fallocate(file, FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_KEEP_SIZE, 0, PAGE), EOPNOTSUPP == errno ? EOPNOTSUPP : EINVAL);
    CHECK_ERR(fallocate(777, 0, 0, 10), EBADF);
    CHECK_ERR(fallocate(ends[1], 0, 0, 10), ESPIPE);
    int folder = open(".", O_RDONLY);
    CHECK_ERR(fallocate(folder, 0, 0, 10), EBADF);
    read_only = open("f", O_RDONLY);
    CHECK_ERR(fallocate(read_only, 0, 0, 10), EBADF);
    int null = open("/dev/null", O_RDWR);
    CHECK_ERR(fallocate(null, 0, 0, 10), ENODEV);
    CHECK_ERR(fallocate(file, 0, INT64_MAX - 5, 10), EFBIG);
    CHECK_EQ(size_of("f"), 0);
    if (fallocate(file, 0, 0, 3 * PAGE) != 0) {
        bool is_refused = was_refused_on_disk();
        CHECK(is_refused); /* posix_fallocate writes then */
        CHECK_EQ(posix_fallocate(file, 0, 3 * PAGE), 0);
    }
    CHECK_EQ(size_of("f"), 3 * PAGE);
    CHECK(sectors_of(file) >= 24);
    CHECK_EQ(pread(file, bytes, PAGE, PAGE), PAGE);
    CHECK(is_filled(bytes, PAGE, 0));
    CHECK_EQ(pwrite(file, "abc", 3, PAGE), 3);
    if (fallocate(file, 0, 0, PAGE * 2) == 0) { /* what is there stays */
        CHECK_EQ(pread(file, bytes, 3, PAGE), 3);
        CHECK(memcmp(bytes, "abc", 3) == 0);
        CHECK_EQ(size_of("f"), 3 * PAGE);
    }
    if (fallocate(file, FALLOC_FL_KEEP_SIZE, 3 * PAGE, 2 * PAGE) == 0) {
        CHECK_EQ(size_of("f"), 3 * PAGE);
        CHECK(sectors_of(file) >= 40);
        CHECK_EQ(pread(file, bytes, PAGE, 3 * PAGE), 0);
        CHECK_OK(ftruncate(file, 3 * PAGE));
    } else {
        bool is_refused = was_refused_on_disk();
        CHECK(is_refused);
    }
}

static void punched_holes(void)
{
    char bytes[PAGE];
    int file = filled("f", 5, 'x');
    long long before = sectors_of(file);
    if (fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, 2 * PAGE) != 0) {
        bool is_refused = was_refused_on_disk();
        CHECK(is_refused);
        return;
    }
    CHECK_OK(fsync(file));
    CHECK(sectors_of(file) < before || before == 0);
    CHECK_EQ(size_of("f"), 5 * PAGE);
    CHECK_EQ(pread(file, bytes, PAGE, 0), PAGE);
    CHECK(is_filled(bytes, PAGE, 'x'));
    CHECK_EQ(pread(file, bytes, PAGE, PAGE), PAGE);
    CHECK(is_filled(bytes, PAGE, 0));
    CHECK_EQ(pread(file, bytes, PAGE, 2 * PAGE), PAGE);
    CHECK(is_filled(bytes, PAGE, 0));
    CHECK_EQ(pread(file, bytes, PAGE, 3 * PAGE), PAGE);
    CHECK(is_filled(bytes, PAGE, 'x'));
    CHECK_EQ(lseek(file, 0, SEEK_HOLE), PAGE);
    CHECK_EQ(lseek(file, PAGE, SEEK_DATA), 3 * PAGE);
    /* Parts of pages become zeros. */
    CHECK_OK(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 3 * PAGE + 100, 200));
    CHECK_EQ(pread(file, bytes, PAGE, 3 * PAGE), PAGE);
    CHECK(is_filled(bytes, 100, 'x') && is_filled(bytes + 100, 200, 0) && is_filled(bytes + 300, PAGE - 300, 'x'));
    /* A mapping sees it. */
    char *memory = mmap(NULL, 5 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    REQUIRE(memory != MAP_FAILED);
    CHECK_EQ(memory[4 * PAGE], 'x');
    CHECK_OK(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4 * PAGE, PAGE));
    CHECK_EQ(memory[4 * PAGE], 0);
    memory[4 * PAGE] = 'y';
    CHECK_EQ(pread(file, bytes, 1, 4 * PAGE), 1);
    CHECK_EQ(bytes[0], 'y');
    /* Behind the end nothing happens. */
    CHECK_OK(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10 * PAGE, PAGE));
    CHECK_EQ(size_of("f"), 5 * PAGE);
}

static void zeroed_ranges(void)
{
    char bytes[PAGE];
    int file = filled("f", 3, 'x');
    if (fallocate(file, FALLOC_FL_ZERO_RANGE, 100, PAGE) != 0) {
        int why = errno;
        CHECK_EQ(why, EOPNOTSUPP); /* tmpfs, and ext2 on Linux */
        return;
    }
    CHECK_EQ(pread(file, bytes, PAGE, 0), PAGE);
    CHECK(is_filled(bytes, 100, 'x') && is_filled(bytes + 100, PAGE - 100, 0));
    CHECK_EQ(pread(file, bytes, PAGE, PAGE), PAGE);
    CHECK(is_filled(bytes, 100, 0) && is_filled(bytes + 100, PAGE - 100, 'x'));
    CHECK_OK(fallocate(file, FALLOC_FL_ZERO_RANGE, 2 * PAGE, 2 * PAGE));
    CHECK_EQ(size_of("f"), 4 * PAGE);
    CHECK_OK(fallocate(file, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 3 * PAGE, 4 * PAGE));
    CHECK_EQ(size_of("f"), 4 * PAGE);
}

static void data_and_holes(void)
{
    int file = open("f", O_RDWR | O_CREAT, 0600);
    memset(page, 'd', PAGE);
    CHECK_ERR(lseek(file, 0, SEEK_DATA), ENXIO); /* an empty file */
    CHECK_ERR(lseek(file, 0, SEEK_HOLE), ENXIO);
    NEED(pwrite(file, page, PAGE, 4 * PAGE) == PAGE && pwrite(file, page, PAGE, 16 * PAGE) == PAGE && ftruncate(file, 32 * PAGE) == 0);
    CHECK_EQ(lseek(file, 0, SEEK_HOLE), 0);
    CHECK_EQ(lseek(file, 0, SEEK_DATA), 4 * PAGE);
    CHECK_EQ(lseek(file, 4 * PAGE + 7, SEEK_DATA), 4 * PAGE + 7);
    CHECK_EQ(lseek(file, 4 * PAGE, SEEK_HOLE), 5 * PAGE);
    CHECK_EQ(lseek(file, 5 * PAGE, SEEK_DATA), 16 * PAGE);
    CHECK_EQ(lseek(file, 16 * PAGE, SEEK_HOLE), 17 * PAGE);
    CHECK_EQ(lseek(file, 20 * PAGE, SEEK_HOLE), 20 * PAGE);
    CHECK_ERR(lseek(file, 17 * PAGE, SEEK_DATA), ENXIO);
    CHECK_ERR(lseek(file, 32 * PAGE, SEEK_DATA), ENXIO);
    CHECK_ERR(lseek(file, 32 * PAGE, SEEK_HOLE), ENXIO);
    CHECK_ERR(lseek(file, -1, SEEK_DATA), ENXIO);
    CHECK_ERR(lseek(file, -1, SEEK_HOLE), ENXIO);
    CHECK_ERR(lseek(file, 1LL << 40, SEEK_HOLE), ENXIO);
    CHECK_OK(fsync(file)); /* the same when all of it is on the disk */
    CHECK_EQ(lseek(file, 0, SEEK_DATA), 4 * PAGE);
    CHECK_EQ(lseek(file, 4 * PAGE, SEEK_HOLE), 5 * PAGE);
    CHECK_EQ(lseek(file, 5 * PAGE, SEEK_DATA), 16 * PAGE);
    /* To the very end there is always a hole. */
    NEED(ftruncate(file, 17 * PAGE) == 0);
    CHECK_EQ(lseek(file, 16 * PAGE, SEEK_HOLE), 17 * PAGE);
    CHECK_ERR(lseek(file, 0, 5), EINVAL);
}

static void touch(const char *address)
{
    if (*(volatile const char *)address == 1) _exit(1);
}

static void mapped_and_cut(void)
{
    int file = filled("f", 4, 'x');
    char *memory = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    REQUIRE(memory != MAP_FAILED);
    CHECK_EQ(memory[3 * PAGE], 'x');
    CHECK_KILLED(CHILD_STATUS(touch(memory + 4 * PAGE)), SIGBUS); /* mapped, but the file is not so long */
    CHECK_OK(ftruncate(file, PAGE + 10));
    CHECK_KILLED(CHILD_STATUS(touch(memory + 2 * PAGE)), SIGBUS);
    CHECK_KILLED(CHILD_STATUS(memory[3 * PAGE] = 1), SIGBUS);
    CHECK_EQ(memory[PAGE + 9], 'x');
    CHECK_EQ(memory[PAGE + 10], 0); /* zeros in the rest of the last page */
    memory[PAGE + 20] = 'q'; /* which nobody sees */
    CHECK_EQ(size_of("f"), PAGE + 10);
    CHECK_OK(ftruncate(file, 6 * PAGE));
    CHECK_EQ(memory[2 * PAGE], 0);
    CHECK_EQ(memory[5 * PAGE], 0);
    char byte = 1;
    if (is_on_disk()) { /* tmpfs shows it */
        CHECK_EQ(memory[PAGE + 20], 0);
        CHECK(pread(file, &byte, 1, PAGE + 20) == 1 && byte == 0);
    }
    memory[5 * PAGE] = 'n';
    CHECK(pread(file, &byte, 1, 5 * PAGE) == 1 && byte == 'n');
    CHECK_KILLED(CHILD_STATUS(touch(memory + 6 * PAGE)), SIGBUS);
    /* A system call gets EFAULT instead. */
    int other = open("g", O_RDWR | O_CREAT, 0600);
    CHECK_ERR(write(other, memory + 7 * PAGE, 10), EFAULT);
    CHECK_EQ(write(other, memory + 6 * PAGE - 5, 10), 5);
    /* Private copies are cut as well. */
    char *own = mmap(NULL, 6 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    own[5 * PAGE] = 'o';
    CHECK_OK(ftruncate(file, PAGE));
    CHECK_KILLED(CHILD_STATUS(touch(own + 5 * PAGE)), SIGBUS);
}

static void one_cache(void)
{
    char bytes[16] = "";
    int file = filled("f", 3, 'x');
    char *shared = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    char *own = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    REQUIRE(shared != MAP_FAILED && own != MAP_FAILED);
    memcpy(shared + 100, "mapped", 6); /* write by memory, read by call */
    CHECK_EQ(pread(file, bytes, 6, 100), 6);
    CHECK(memcmp(bytes, "mapped", 6) == 0);
    CHECK(memcmp(own + 100, "mapped", 6) == 0); /* not copied yet */
    CHECK_EQ(pwrite(file, "called", 6, PAGE + 100), 6); /* write by call, read by memory */
    CHECK(memcmp(shared + PAGE + 100, "called", 6) == 0);
    own[100] = 'P'; /* now it is */
    CHECK_EQ(shared[100], 'm');
    memcpy(shared + 100, "change", 6);
    CHECK(memcmp(own + 100, "Papped", 6) == 0);
    CHECK_EQ(pread(file, bytes, 6, 100), 6);
    CHECK(memcmp(bytes, "change", 6) == 0);
    /* Another process, another descriptor. */
    CHECK_EXITED(CHILD_STATUS(int two = open("f", O_RDWR); char *theirs = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, two, 2 * PAGE);
                              theirs[5] = 'T'; CHECK_EQ(pwrite(two, "U", 1, 2 * PAGE + 6), 1)),
                 0);
    CHECK(shared[2 * PAGE + 5] == 'T' && shared[2 * PAGE + 6] == 'U');
    CHECK_OK(msync(shared, 3 * PAGE, MS_SYNC));
    CHECK_OK(fsync(file));
    CHECK_OK(close(file)); /* the mapping stays, and so does the file without a name */
    CHECK_OK(unlink("f"));
    shared[0] = 'z';
    CHECK_EQ(shared[0], 'z');
    CHECK_OK(munmap(shared, 3 * PAGE));
}

static void a_write_from_the_file_itself(void)
{
    int file = filled("f", 2, 'a');
    char *memory = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    REQUIRE(memory != MAP_FAILED);
    memset(memory + PAGE, 'b', PAGE);
    CHECK_EQ(pwrite(file, memory + PAGE, PAGE, 0), PAGE);
    CHECK_EQ(memory[0], 'b');
    CHECK_EQ(pwrite(file, memory, 2 * PAGE, 100), 2 * PAGE); /* over itself */
    CHECK_EQ(pread(file, memory, PAGE, PAGE), PAGE);
    CHECK_EQ(size_of("f"), 2 * PAGE + 100);
    int fresh = open("g", O_RDWR | O_CREAT, 0600);
    NEED(ftruncate(fresh, PAGE) == 0);
    char *empty = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fresh, 0);
    CHECK_EQ(pwrite(fresh, empty, PAGE, 0), PAGE); /* a page that is not there yet, into itself */
    CHECK_EQ(empty[0], 0);
}

static void mapping_times(void)
{
    struct stat facts;
    int file = filled("f", 1, 'x');
    struct timespec old[2] = {{1000, 0}, {1000, 0}};
    NEED(futimens(file, old) == 0);
    char *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    memory[0] = 'y';
    CHECK_OK(msync(memory, PAGE, MS_SYNC));
    CHECK_OK(fstat(file, &facts));
    CHECK(facts.st_mtim.tv_sec > 1000);
}

CASES(CASE(cutting_and_growing), CASE(times_of_cutting), CASE(room), CASE(punched_holes), CASE(zeroed_ranges), CASE(data_and_holes),
      CASE(mapped_and_cut), CASE(one_cache), CASE(a_write_from_the_file_itself), CASE(mapping_times))
