/* Bytes between files: vectors with flags, sendfile, copy_file_range, splice. */
#include "check.h"

#include <sys/sendfile.h>
#include <sys/uio.h>

static char page[PAGE];

static int numbered(const char *path, size_t length)
{
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    NEED(file >= 0);
    for (size_t at = 0; at < length; at += 8) {
        uint64_t number = at;
        NEED(write(file, &number, length - at < 8 ? length - at : 8) > 0);
    }
    return file;
}

static bool is_numbered(int file, off_t from, off_t to, off_t shift)
{
    for (off_t at = from; at + 8 <= to; at += 512) {
        uint64_t number = 0;
        if (pread(file, &number, 8, at) != 8 || (off_t)number != at + shift) return false;
    }
    return true;
}

static void vectors_with_flags(void)
{
    char first[4] = "", second[4] = "";
    struct iovec in[2] = {{first, 3}, {second, 3}}, out[2] = {{"abc", 3}, {"def", 3}};
    int file = open("f", O_RDWR | O_CREAT, 0600), ends[2];
    NEED(pipe(ends) == 0);
    CHECK_EQ(pwritev2(file, out, 2, -1, 0), 6); /* at the position */
    CHECK_EQ(lseek(file, 0, SEEK_CUR), 6);
    CHECK_EQ(pwritev2(file, out, 1, 0, RWF_APPEND), 3); /* at the end, whatever it says */
    CHECK_EQ(lseek(file, 0, SEEK_CUR), 6);
    CHECK_EQ(pwritev2(file, out, 1, -1, RWF_APPEND | RWF_DSYNC), 3);
    CHECK_EQ(lseek(file, 0, SEEK_CUR), 12);
    CHECK_EQ(pwritev2(file, out, 2, 1, RWF_SYNC), 6);
    CHECK_EQ(preadv2(file, in, 2, 0, 0), 6);
    CHECK(memcmp(first, "aab", 3) == 0 && memcmp(second, "cde", 3) == 0);
    CHECK_EQ(lseek(file, 3, SEEK_SET), 3);
    CHECK_EQ(preadv2(file, in, 2, -1, 0), 6);
    CHECK_EQ(lseek(file, 0, SEEK_CUR), 9);
    CHECK_EQ(preadv2(file, in, 2, 100, 0), 0);
    CHECK_EQ(preadv2(file, in, 0, 0, 0), 0);
    CHECK_ERR(preadv2(file, in, 2, -2, 0), EINVAL);
    CHECK_ERR(pwritev2(file, out, 2, 0, 0x4000), EOPNOTSUPP);
    CHECK_ERR(preadv2(file, in, 2, 0, 0x4000), EOPNOTSUPP);
    CHECK_ERR(preadv(file, in, 2, -1), EINVAL);
    CHECK_ERR(preadv(file, in, -1, 0), EINVAL);
    CHECK_ERR(preadv(file, in, 1025, 0), EINVAL);
    CHECK_ERR(preadv(ends[0], in, 1, 0), ESPIPE);
    CHECK_ERR(pwritev(ends[1], out, 1, 0), ESPIPE);
    CHECK_EQ(pwritev2(ends[1], out, 1, -1, 0), 3);
    CHECK_EQ(preadv2(ends[0], in, 1, -1, 0), 3);
    CHECK_ERR(preadv2(ends[0], in, 1, 0, 0), ESPIPE);
    CHECK_ERR(preadv2(777, in, 1, 0, 0), EBADF);
    CHECK_ERR(syscall(SYS_preadv2, file, UNMAPPED_ADDRESS, 2, 0, 0, 0), EFAULT);
    struct iovec odd[3] = {{first, 3}, {UNMAPPED_ADDRESS, 3}, {second, 3}};
    CHECK_EQ(preadv2(file, odd, 3, 0, 0), 3); /* up to the bad one */
    CHECK_ERR(preadv2(file, odd + 1, 1, 0, 0), EFAULT);
    odd[1].iov_len = (size_t)-1;
    CHECK_ERR(preadv2(file, odd, 3, 0, 0), EINVAL);
    int read_only = open("f", O_RDONLY), write_only = open("f", O_WRONLY);
    CHECK_ERR(pwritev2(read_only, out, 1, 0, 0), EBADF);
    CHECK_ERR(preadv2(write_only, in, 1, 0, 0), EBADF);
    /* Many pieces of odd sizes are one write. */
    enum { PIECES = 1024 };
    static struct iovec pieces[PIECES];
    size_t total = 0;
    for (int i = 0; i < PIECES; i++) {
        pieces[i] = (struct iovec){page + i % 7, (size_t)(i % 13)};
        total += pieces[i].iov_len;
    }
    for (int i = 0; i < PAGE; i++) page[i] = (char)i;
    CHECK_EQ(pwritev(file, pieces, PIECES, 0), (long)total);
    char *back = map_pages(4, PROT_READ | PROT_WRITE);
    CHECK_EQ(pread(file, back, 4 * PAGE, 0), (long)total);
    bool is_same = true;
    for (int i = 0, at = 0; i < PIECES; at += (int)pieces[i++].iov_len) is_same &= !memcmp(back + at, pieces[i].iov_base, pieces[i].iov_len);
    CHECK(is_same);
}

static void sending(void)
{
    enum { LENGTH = 100000 };
    int from = numbered("from", LENGTH), to = open("to", O_RDWR | O_CREAT, 0600), ends[2];
    off_t offset = 0;
    NEED(pipe(ends) == 0);
    CHECK_EQ(sendfile(to, from, &offset, LENGTH + 5), LENGTH);
    CHECK(offset == LENGTH && lseek(from, 0, SEEK_CUR) == LENGTH && lseek(to, 0, SEEK_CUR) == LENGTH);
    CHECK(is_numbered(to, 0, LENGTH, 0));
    CHECK_EQ(sendfile(to, from, &offset, 10), 0); /* the end */
    NEED(lseek(from, 512, SEEK_SET) == 512 && lseek(to, 0, SEEK_SET) == 0);
    CHECK_EQ(sendfile(to, from, NULL, 1024), 1024);
    CHECK_EQ(lseek(from, 0, SEEK_CUR), 1536);
    CHECK(is_numbered(to, 0, 1024, 512));
    offset = 1024;
    CHECK_EQ(sendfile(ends[1], from, &offset, 16), 16);
    uint64_t numbers[2];
    CHECK(read(ends[0], numbers, 16) == 16 && numbers[0] == 1024 && numbers[1] == 1032);
    CHECK_EQ(offset, 1040);
    CHECK_EQ(lseek(from, 0, SEEK_CUR), 1536); /* stays with an offset */
    CHECK_EQ(sendfile(to, from, NULL, 0), 0);
    offset = -1;
    CHECK_ERR(sendfile(to, from, &offset, 10), EINVAL);
    CHECK_ERR(sendfile(777, from, NULL, 10), EBADF);
    CHECK_ERR(sendfile(to, 777, NULL, 10), EBADF);
    int read_only = open("to", O_RDONLY), write_only = open("from", O_WRONLY), append = open("to", O_WRONLY | O_APPEND);
    CHECK_ERR(sendfile(read_only, from, NULL, 10), EBADF);
    CHECK_ERR(sendfile(to, write_only, NULL, 10), EBADF);
    CHECK_ERR(sendfile(append, from, NULL, 10), EINVAL);
    offset = 0;
    CHECK_ERR(sendfile(to, ends[0], &offset, 10), ESPIPE);
    CHECK_ERR(syscall(SYS_sendfile, to, from, UNMAPPED_ADDRESS, 10), EFAULT);
}

static void copying_ranges(void)
{
    enum { LENGTH = 20000 };
    int from = numbered("from", LENGTH), to = open("to", O_RDWR | O_CREAT, 0600), ends[2];
    off_t in = 1024, out = 0;
    NEED(pipe(ends) == 0 && mkdir("d", 0755) == 0);
    CHECK_EQ(copy_file_range(from, &in, to, &out, 4096, 0), 4096);
    CHECK(in == 5120 && out == 4096);
    CHECK(is_numbered(to, 0, 4096, 1024));
    NEED(lseek(from, 0, SEEK_SET) == 0);
    CHECK_EQ(copy_file_range(from, NULL, to, &out, 100000, 0), LENGTH);
    CHECK_EQ(lseek(from, 0, SEEK_CUR), LENGTH);
    CHECK(is_numbered(to, 4096, 4096 + LENGTH, -4096));
    CHECK_EQ(copy_file_range(from, NULL, to, NULL, 10, 0), 0);
    in = 0, out = 1 << 20; /* far behind the end: a hole in between */
    CHECK_EQ(copy_file_range(from, &in, to, &out, 512, 0), 512);
    struct stat facts;
    CHECK_OK(fstat(to, &facts));
    CHECK_EQ(facts.st_size, (1 << 20) + 512);
    in = 0, out = 8192; /* within one file, apart from each other */
    CHECK_EQ(copy_file_range(from, &in, from, &out, 4096, 0), 4096);
    CHECK(is_numbered(from, 8192, 12288, -8192));
    in = 0, out = 100;
    CHECK_ERR(copy_file_range(from, &in, from, &out, 200, 0), EINVAL); /* over each other */
    CHECK_ERR(copy_file_range(from, NULL, to, NULL, 10, 1), EINVAL);
    CHECK_ERR(copy_file_range(777, NULL, to, NULL, 10, 0), EBADF);
    CHECK_ERR(copy_file_range(from, NULL, 777, NULL, 10, 0), EBADF);
    int read_only = open("to", O_RDONLY), write_only = open("from", O_WRONLY), append = open("to", O_WRONLY | O_APPEND), folder = open("d", O_RDONLY);
    CHECK_ERR(copy_file_range(from, NULL, read_only, NULL, 10, 0), EBADF);
    CHECK_ERR(copy_file_range(write_only, NULL, to, NULL, 10, 0), EBADF);
    CHECK_ERR(copy_file_range(from, NULL, append, NULL, 10, 0), EBADF);
    CHECK_ERR(copy_file_range(folder, NULL, to, NULL, 10, 0), EISDIR);
    CHECK_ERR(copy_file_range(ends[0], NULL, to, NULL, 10, 0), EINVAL);
    CHECK_ERR(copy_file_range(from, NULL, ends[1], NULL, 10, 0), EINVAL);
    CHECK_ERR(syscall(SYS_copy_file_range, from, UNMAPPED_ADDRESS, to, NULL, 10, 0), EFAULT);
    in = -5;
    CHECK_ERR(copy_file_range(from, &in, to, NULL, 10, 0), EOVERFLOW == errno ? EOVERFLOW : EINVAL);
    struct rlimit small = {10, 10};
    CHECK_EXITED(CHILD_STATUS(signal(SIGXFSZ, SIG_IGN); NEED(setrlimit(RLIMIT_FSIZE, &small) == 0); off_t i = 0; off_t o = 0;
                              int limited = open("limited", O_RDWR | O_CREAT, 0600); CHECK_EQ(copy_file_range(from, &i, limited, &o, 100, 0), 10);
                              CHECK_ERR(copy_file_range(from, &i, limited, &o, 100, 0), EFBIG)),
                 0);
}

static void splicing(void)
{
    enum { LENGTH = 60000 };
    int from = numbered("from", LENGTH), to = open("to", O_RDWR | O_CREAT, 0600), ends[2], more[2];
    loff_t offset = 512, out = 1024;
    NEED(pipe(ends) == 0 && pipe(more) == 0);
    CHECK_EQ(splice(from, &offset, ends[1], NULL, 8192, 0), 8192);
    CHECK_EQ(offset, 512 + 8192);
    CHECK_EQ(lseek(from, 0, SEEK_CUR), LENGTH);
    CHECK_EQ(splice(ends[0], NULL, to, &out, 8192, 0), 8192);
    CHECK_EQ(out, 1024 + 8192);
    CHECK(is_numbered(to, 1024, 1024 + 8192, -512));
    CHECK_EQ(splice(from, NULL, ends[1], NULL, 100, 0), 0); /* the end */
    CHECK_EQ(write(ends[1], "abcdef", 6), 6);
    CHECK_EQ(tee(ends[0], more[1], 4, 0), 4);
    CHECK_EQ(splice(ends[0], NULL, more[1], NULL, 100, 0), 6);
    char bytes[16] = "";
    CHECK_EQ(read(more[0], bytes, sizeof bytes), 10);
    CHECK(memcmp(bytes, "abcdabcdef", 10) == 0);
    CHECK_ERR(splice(ends[0], NULL, to, NULL, 10, SPLICE_F_NONBLOCK), EAGAIN);
    CHECK_ERR(splice(from, NULL, to, NULL, 10, 0), EINVAL); /* one must be a pipe */
    CHECK_ERR(splice(ends[0], &offset, to, NULL, 10, 0), ESPIPE);
    CHECK_ERR(splice(from, NULL, ends[1], &offset, 10, 0), ESPIPE);
    CHECK_ERR(splice(from, NULL, ends[0], NULL, 10, 0), EBADF);
    CHECK_ERR(splice(ends[1], NULL, to, NULL, 10, 0), EBADF);
    CHECK_ERR(splice(777, NULL, ends[1], NULL, 10, 0), EBADF);
    CHECK_ERR(splice(from, NULL, ends[1], NULL, 10, 0x100), EINVAL);
    int append = open("to", O_WRONLY | O_APPEND);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    CHECK_ERR(splice(ends[0], NULL, append, NULL, 10, 0), EINVAL);
    CHECK_EQ(splice(from, NULL, ends[1], NULL, 0, 0), 0);
    /* Bytes in a pipe do not change with the file they came from. */
    offset = 0;
    CHECK_EQ(read(ends[0], bytes, 1), 1);
}

static void long_transfers_by_several(void)
{
    enum { LENGTH = 1 << 20 };
    int from = numbered("from", LENGTH), ends[2];
    NEED(pipe(ends) == 0);
    pid_t reader = CHILD(close(ends[1]); int to = open("to", O_RDWR | O_CREAT, 0600); long all = 0;
                         for (long some; (some = splice(ends[0], NULL, to, NULL, 1 << 20, 0)) > 0;) all += some; _exit(all == LENGTH ? 0 : 1));
    close(ends[0]);
    off_t offset = 0;
    while (offset < LENGTH) NEED(sendfile(ends[1], from, &offset, LENGTH) > 0);
    close(ends[1]);
    CHECK_EXITED(status_of(reader), 0);
    int to = open("to", O_RDONLY);
    CHECK(is_numbered(to, 0, LENGTH, 0));
}

CASES(CASE(vectors_with_flags), CASE(sending), CASE(copying_ranges), CASE(splicing), CASE(long_transfers_by_several))
