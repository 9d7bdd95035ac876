/* Bringing files to the disk, and what programs say of their plans: fsync and kin, msync, fadvise, readahead. */
#include "check.h"

enum { BEFORE = 1, WRITES = 2, AFTER = 4 }; /* sync_file_range's flags */

static void descriptors_that_sync(void)
{
    int file = make_file("f", "x", 1, 0600), read_only = open("f", O_RDONLY), folder = open(".", O_RDONLY), path = open("f", O_PATH), ends[2];
    NEED(pipe(ends) == 0);
    int null = open("/dev/null", O_RDWR);
    CHECK_OK(fsync(file));
    CHECK_OK(fdatasync(file));
    CHECK_OK(fsync(read_only)); /* reading is enough */
    CHECK_OK(fdatasync(read_only));
    CHECK_OK(fsync(folder));
    CHECK_OK(fdatasync(folder));
    CHECK_OK(syncfs(file));
    CHECK_OK(syncfs(folder));
    CHECK_OK(syncfs(ends[0]));
    CHECK_ERR(fsync(ends[0]), EINVAL);
    CHECK_ERR(fdatasync(ends[1]), EINVAL);
    CHECK_ERR(fsync(null), EINVAL);
    CHECK_ERR(fsync(777), EBADF);
    CHECK_ERR(fdatasync(-1), EBADF);
    CHECK_ERR(syncfs(777), EBADF);
    CHECK_ERR(fsync(path), EBADF);
    CHECK_ERR(syncfs(path), EBADF);
    sync();
}

static void ranges_that_sync(void)
{
    int file = make_file("f", "0123456789", 10, 0600), folder = open(".", O_RDONLY), ends[2];
    NEED(pipe(ends) == 0);
    CHECK_OK(sync_file_range(file, 0, 0, BEFORE | WRITES | AFTER));
    CHECK_OK(sync_file_range(file, 5, 100, WRITES));
    CHECK_OK(sync_file_range(file, 1LL << 40, 5, AFTER));
    CHECK_OK(sync_file_range(file, 0, 0, 0));
    CHECK_OK(sync_file_range(folder, 0, 0, WRITES));
    CHECK_ERR(sync_file_range(file, 0, 0, 8), EINVAL);
    CHECK_ERR(sync_file_range(file, -1, 0, WRITES), EINVAL);
    CHECK_ERR(sync_file_range(file, 0, -1, WRITES), EINVAL);
    CHECK_ERR(sync_file_range(file, INT64_MAX, 5, WRITES), EINVAL);
    CHECK_ERR(sync_file_range(ends[0], 0, 0, WRITES), ESPIPE);
    CHECK_ERR(sync_file_range(777, 0, 0, WRITES), EBADF);
}

static void memory_that_syncs(void)
{
    int file = make_file("f", "x", 1, 0600);
    NEED(ftruncate(file, 3 * PAGE) == 0);
    char *memory = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    NEED(memory != MAP_FAILED);
    memory[PAGE] = 'y';
    CHECK_OK(msync(memory, 3 * PAGE, MS_SYNC));
    CHECK_OK(msync(memory, 3 * PAGE, MS_ASYNC));
    CHECK_OK(msync(memory, 3 * PAGE, MS_SYNC | MS_INVALIDATE));
    CHECK_OK(msync(memory, PAGE + 1, 0));
    CHECK_OK(msync(memory, 0, MS_SYNC));
    CHECK_ERR(msync(memory + 1, PAGE, MS_SYNC), EINVAL);
    CHECK_ERR(msync(memory, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
    CHECK_ERR(msync(memory, PAGE, 8), EINVAL);
    NEED(munmap(memory + PAGE, PAGE) == 0);
    CHECK_ERR(msync(memory, 3 * PAGE, MS_SYNC), ENOMEM); /* a hole in the range */
    CHECK_ERR(msync(memory + PAGE, PAGE, MS_ASYNC), ENOMEM);
    CHECK_OK(msync(memory, PAGE, MS_SYNC));
    char *own = map_pages(1, PROT_READ | PROT_WRITE);
    CHECK_OK(msync(own, PAGE, MS_SYNC)); /* nothing to do */
    NEED(mlock(own, PAGE) == 0);
    CHECK_ERR(msync(own, PAGE, MS_INVALIDATE), EBUSY);
    CHECK_OK(msync(own, PAGE, MS_SYNC));
    char byte = 0;
    CHECK(pread(file, &byte, 1, PAGE) == 1 && byte == 'y');
}

static void plans(void)
{
    int file = make_file("f", "x", 1, 0600), write_only = open("f", O_WRONLY), folder = open(".", O_RDONLY), ends[2];
    char bytes[PAGE];
    NEED(pipe(ends) == 0 && ftruncate(file, 64 * PAGE) == 0 && pwrite(file, "end", 3, 64 * PAGE - 3) == 3);
    for (int advice = 0; advice <= 5; advice++) CHECK_EQ(posix_fadvise(file, 0, 0, advice), 0);
    CHECK_EQ(posix_fadvise(file, PAGE, 4 * PAGE, POSIX_FADV_WILLNEED), 0);
    CHECK_EQ(posix_fadvise(file, 1LL << 40, 4 * PAGE, POSIX_FADV_WILLNEED), 0);
    CHECK_EQ(posix_fadvise(file, 0, 0, 6), EINVAL);
    CHECK_EQ(posix_fadvise(file, 0, -1, POSIX_FADV_NORMAL), EINVAL);
    CHECK_EQ(posix_fadvise(777, 0, 0, POSIX_FADV_NORMAL), EBADF);
    CHECK_EQ(posix_fadvise(ends[0], 0, 0, POSIX_FADV_NORMAL), ESPIPE);
    /* What was written and not on the disk survives. */
    CHECK_EQ(pwrite(file, "kept", 4, 100), 4);
    CHECK_EQ(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
    CHECK(pread(file, bytes, 4, 100) == 4 && memcmp(bytes, "kept", 4) == 0);
    CHECK_OK(fsync(file));
    CHECK_EQ(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
    CHECK(pread(file, bytes, 4, 100) == 4 && memcmp(bytes, "kept", 4) == 0);
    CHECK(pread(file, bytes, 4, 64 * PAGE - 3) == 3 && memcmp(bytes, "end", 3) == 0);
    CHECK_OK(readahead(file, 0, 64 * PAGE));
    CHECK_OK(readahead(file, 1LL << 40, PAGE));
    CHECK_ERR(readahead(write_only, 0, PAGE), EBADF);
    CHECK_ERR(readahead(777, 0, PAGE), EBADF);
    CHECK_ERR(readahead(ends[0], 0, PAGE), EINVAL);
    CHECK_ERR(readahead(folder, 0, PAGE), EINVAL);
}

CASES(CASE(descriptors_that_sync), CASE(ranges_that_sync), CASE(memory_that_syncs), CASE(plans))
