/* Pipes: capacity, packets, and splice(2), tee(2), vmsplice(2), sendfile(2), copy_file_range(2); fcntl(2) and close_range(2). */
#include "check.h"

#include <linux/close_range.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#ifndef SPLICE_F_NONBLOCK
#define SPLICE_F_NONBLOCK 2
#endif

static char bytes[1 << 17];

static void fill(void)
{
    for (unsigned i = 0; i < sizeof bytes; i++) bytes[i] = (char)(i * 31 + i / 251);
}

static bool read_is(int file, const char *expected, size_t length)
{
    static char got[1 << 17];
    size_t done = 0;
    while (done < length) {
        ssize_t count = read(file, got + done, length - done);
        if (count <= 0) return false;
        done += (size_t)count;
    }
    return !memcmp(got, expected, length);
}

static void capacity_with_bytes_inside(void)
{
    int ends[2], size;
    fill();
    REQUIRE(pipe2(ends, O_NONBLOCK) == 0);
    CHECK_EQ(fcntl(ends[0], F_GETPIPE_SZ), 65536);
    CHECK_EQ(write(ends[1], bytes, 10000), 10000);
    CHECK_EQ(fcntl(ends[1], F_SETPIPE_SZ, 100000), 131072);
    CHECK_EQ(fcntl(ends[0], F_GETPIPE_SZ), 131072);
    CHECK_OK(ioctl(ends[0], FIONREAD, &size));
    CHECK_EQ(size, 10000);
    CHECK_EQ(write(ends[1], bytes + 10000, 90000), 90000);
    CHECK_ERR(fcntl(ends[0], F_SETPIPE_SZ, 4096), EBUSY);
    CHECK(read_is(ends[0], bytes, 99000));
    CHECK_EQ(fcntl(ends[0], F_SETPIPE_SZ, 1), 4096);
    CHECK(read_is(ends[0], bytes + 99000, 1000));
    CHECK_EQ(write(ends[1], bytes, 5000), 4096);
    CHECK_ERR(write(ends[1], bytes, 1), EAGAIN);
    CHECK_ERR(fcntl(ends[0], F_SETPIPE_SZ, -1), EINVAL);
    CHECK_ERR(fcntl(0, F_GETPIPE_SZ), EBADF);
    char text[20] = "";
    int proc = open("/proc/sys/fs/pipe-max-size", O_RDONLY);
    CHECK(read(proc, text, sizeof text - 1) > 0 && atoi(text) == 1 << 20);
    CHECK_EXITED(CHILD_STATUS({
        CHECK_OK(setgid(1234));
        CHECK_OK(setuid(1234));
        CHECK_EQ(fcntl(ends[0], F_SETPIPE_SZ, 1 << 20), 1 << 20);
        CHECK_ERR(fcntl(ends[0], F_SETPIPE_SZ, (1 << 20) + 1), EPERM);
    }), 0);
}

static void packets(void)
{
    char got[5000];
    int ends[2];
    fill();
    REQUIRE(pipe2(ends, O_DIRECT | O_NONBLOCK) == 0);
    CHECK_EQ(write(ends[1], "one", 3), 3);
    CHECK_EQ(write(ends[1], "three", 5), 5);
    CHECK_EQ(write(ends[1], bytes, 5000), 5000); /* two packets */
    CHECK_EQ(read(ends[0], got, sizeof got), 3);
    CHECK_EQ(read(ends[0], got, 2), 2); /* the rest of it is gone */
    CHECK_EQ(read(ends[0], got, sizeof got), 4096);
    CHECK(!memcmp(got, bytes, 4096));
    CHECK_EQ(read(ends[0], got, sizeof got), 904);
    CHECK_ERR(read(ends[0], got, sizeof got), EAGAIN);
    int count = 0;
    while (write(ends[1], "x", 1) == 1) count++;
    CHECK_EQ(count, 16); /* each takes a page */
    CHECK_EQ(read(ends[0], got, sizeof got), 1);
    CHECK_OK(fcntl(ends[1], F_SETFL, O_NONBLOCK)); /* a stream again */
    CHECK_EQ(fcntl(ends[1], F_GETFL) & (O_DIRECT | O_NONBLOCK), O_NONBLOCK);
    for (int i = 0; i < 15; i++) CHECK_EQ(read(ends[0], got, sizeof got), 1);
    CHECK_EQ(write(ends[1], "ab", 2), 2);
    CHECK_EQ(write(ends[1], "cd", 2), 2);
    CHECK_EQ(read(ends[0], got, sizeof got), 4);
}

static void splicing(void)
{
    int ends[2], other[2], file = make_file("f", "0123456789", 10, 0600), out = make_file("g", "", 0, 0600);
    long offset = 2;
    REQUIRE(pipe2(ends, O_NONBLOCK) == 0 && pipe2(other, O_NONBLOCK) == 0);
    CHECK_EQ(splice(file, &offset, ends[1], NULL, 5, 0), 5);
    CHECK_EQ(offset, 7);
    CHECK_EQ(lseek(file, 0, SEEK_CUR), 10);
    CHECK_EQ(splice(file, &offset, ends[1], NULL, 100, 0), 3);
    CHECK_EQ(splice(file, &offset, ends[1], NULL, 100, 0), 0);
    CHECK_EQ(tee(ends[0], other[1], 4, 0), 4);
    CHECK(read_is(other[0], "2345", 4));
    CHECK_EQ(splice(ends[0], NULL, other[1], NULL, 3, 0), 3);
    CHECK(read_is(other[0], "234", 3));
    offset = 1;
    CHECK_EQ(splice(ends[0], NULL, out, &offset, 100, 0), 5);
    CHECK_EQ(offset, 6);
    char got[10];
    CHECK_EQ(pread(out, got, 10, 0), 6);
    CHECK(!memcmp(got, "\0" "56789", 6));
    CHECK_ERR(splice(ends[0], NULL, out, NULL, 1, 0), EAGAIN);
    CHECK_ERR(tee(ends[0], other[1], 1, 0), EAGAIN);
    CHECK_ERR(splice(file, NULL, out, NULL, 1, 0), EINVAL);
    CHECK_ERR(splice(ends[0], NULL, ends[1], NULL, 1, 0), EINVAL);
    CHECK_ERR(tee(ends[0], ends[1], 1, 0), EINVAL);
    CHECK_ERR(tee(file, other[1], 1, 0), EINVAL);
    CHECK_ERR(splice(ends[0], &offset, out, NULL, 1, 0), ESPIPE);
    CHECK_ERR(splice(file, NULL, ends[1], &offset, 1, 0), ESPIPE);
    CHECK_ERR(splice(777, NULL, ends[1], NULL, 1, 0), EBADF);
    CHECK_ERR(splice(file, NULL, 777, NULL, 1, 0), EBADF);
    CHECK_ERR(splice(ends[1], NULL, out, NULL, 1, 0), EBADF);
    CHECK_ERR(splice(file, NULL, ends[1], NULL, 1, 0x100), EINVAL);
    CHECK_EQ(splice(file, NULL, ends[1], NULL, 0, 0), 0);
    offset = -1;
    CHECK_ERR(splice(file, &offset, ends[1], NULL, 1, 0), EINVAL);
    CHECK_ERR(syscall(SYS_splice, file, UNMAPPED_ADDRESS, ends[1], NULL, 1, 0), EFAULT);
    int append = open("g", O_WRONLY | O_APPEND);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    CHECK_ERR(splice(ends[0], NULL, append, NULL, 1, 0), EINVAL);
    CHECK(read_is(ends[0], "x", 1)); /* nothing is lost by that */
    close(ends[1]);
    CHECK_EQ(splice(ends[0], NULL, out, NULL, 1, 0), 0);
    close(other[0]);
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERR(splice(file, (long[]){0}, other[1], NULL, 1, 0), EPIPE);
}

static void splicing_waits(void)
{
    int ends[2], other[2], out = make_file("g", "", 0, 0600);
    REQUIRE(pipe(ends) == 0 && pipe(other) == 0);
    pid_t pid = CHILD(sleep_ms(20); CHECK_EQ(write(ends[1], "late", 4), 4));
    CHECK_EQ(splice(ends[0], NULL, out, NULL, 100, 0), 4);
    CHECK_EXITED(status_of(pid), 0);
    pid = CHILD(sleep_ms(20); CHECK_EQ(write(ends[1], "more", 4), 4));
    CHECK_EQ(splice(ends[0], NULL, other[1], NULL, 100, 0), 4);
    CHECK_EXITED(status_of(pid), 0);
    CHECK_ERR(splice(ends[0], NULL, out, NULL, 100, SPLICE_F_NONBLOCK), EAGAIN);
    /* Much, through two pipes. */
    fill();
    int file = make_file("f", bytes, sizeof bytes, 0600);
    lseek(file, 0, SEEK_SET);
    pid = CHILD({
        size_t left = sizeof bytes;
        while (left > 0) {
            ssize_t count = splice(file, NULL, ends[1], NULL, left, 0);
            if (count <= 0) _exit(1);
            left -= (size_t)count;
        }
    });
    CHECK(read_is(other[0], "more", 4));
    pid_t second = CHILD({
        size_t left = sizeof bytes;
        while (left > 0) {
            ssize_t count = splice(ends[0], NULL, other[1], NULL, left, 0);
            if (count <= 0) _exit(1);
            left -= (size_t)count;
        }
    });
    CHECK(read_is(other[0], bytes, sizeof bytes));
    CHECK_EXITED(status_of(pid), 0);
    CHECK_EXITED(status_of(second), 0);
}

static void memory_into_pipes(void)
{
    int ends[2], null = open("/dev/null", O_RDWR);
    REQUIRE(pipe2(ends, O_NONBLOCK) == 0);
    struct iovec pieces[2] = {{"hello ", 6}, {"world", 5}};
    CHECK_EQ(vmsplice(ends[1], pieces, 2, 0), 11);
    char got[20] = "";
    struct iovec back = {got, 20};
    CHECK_EQ(vmsplice(ends[0], &back, 1, 0), 11);
    CHECK(!strcmp(got, "hello world"));
    CHECK_ERR(vmsplice(ends[0], &back, 1, SPLICE_F_NONBLOCK), EAGAIN); /* O_NONBLOCK alone does not count */
    CHECK_ERR(vmsplice(null, pieces, 1, 0), EBADF);
    CHECK_ERR(vmsplice(777, pieces, 1, 0), EBADF);
    CHECK_ERR(vmsplice(ends[1], pieces, 1, 0x100), EINVAL);
    CHECK_ERR(vmsplice(ends[1], pieces, 2000, 0), EINVAL);
    CHECK_ERR(vmsplice(ends[1], UNMAPPED_ADDRESS, 1, 0), EFAULT);
}

static void sending_files(void)
{
    int ends[2], file = make_file("f", "0123456789", 10, 0600), out = make_file("g", "", 0, 0600), folder = open(".", O_RDONLY);
    long offset = 4;
    REQUIRE(pipe2(ends, O_NONBLOCK) == 0);
    CHECK_EQ(sendfile(out, file, &offset, 100), 6);
    CHECK_EQ(offset, 10);
    CHECK_EQ(lseek(file, 0, SEEK_SET), 0);
    CHECK_EQ(sendfile(ends[1], file, NULL, 3), 3);
    CHECK_EQ(lseek(file, 0, SEEK_CUR), 3);
    CHECK(read_is(ends[0], "012", 3));
    lseek(out, 0, SEEK_SET);
    CHECK(read_is(out, "456789", 6));
    offset = -1;
    CHECK_ERR(sendfile(out, file, &offset, 1), EINVAL);
    CHECK_ERR(sendfile(777, file, NULL, 1), EBADF);
    CHECK_ERR(sendfile(out, 777, NULL, 1), EBADF);
    CHECK_ERR(sendfile(open("f", O_RDONLY), file, NULL, 1), EBADF);
    CHECK_ERR(sendfile(out, open("g", O_WRONLY), NULL, 1), EBADF);
    CHECK_ERR(sendfile(out, folder, NULL, 1), EINVAL);
    CHECK_ERR(sendfile(open("g", O_WRONLY | O_APPEND), file, NULL, 1), EINVAL);
    CHECK_ERR(syscall(SYS_sendfile, out, file, UNMAPPED_ADDRESS, 1), EFAULT);
}

static void copying_ranges(void)
{
    int file = make_file("f", "0123456789", 10, 0600), out = make_file("g", "abcdefghij", 10, 0600), folder = open(".", O_RDONLY);
    int ends[2];
    loff_t from = 2, to = 5;
    REQUIRE(pipe(ends) == 0);
    CHECK_EQ(copy_file_range(file, &from, out, &to, 3, 0), 3);
    CHECK(from == 5 && to == 8);
    lseek(out, 0, SEEK_SET);
    CHECK(read_is(out, "abcde234ij", 10));
    CHECK_EQ(copy_file_range(file, &from, out, NULL, 100, 0), 5);
    CHECK_EQ(lseek(out, 0, SEEK_CUR), 15);
    CHECK_EQ(copy_file_range(file, &from, out, NULL, 100, 0), 0);
    from = 0, to = 2;
    CHECK_ERR(copy_file_range(file, &from, file, &to, 5, 0), EINVAL); /* they overlap */
    to = 5;
    CHECK_EQ(copy_file_range(file, &from, file, &to, 5, 0), 5);
    lseek(file, 0, SEEK_SET);
    CHECK(read_is(file, "0123401234", 10));
    CHECK_ERR(copy_file_range(file, NULL, out, NULL, 1, 1), EINVAL);
    CHECK_ERR(copy_file_range(folder, NULL, out, NULL, 1, 0), EISDIR);
    CHECK_ERR(copy_file_range(ends[0], NULL, out, NULL, 1, 0), EINVAL);
    CHECK_ERR(copy_file_range(777, NULL, out, NULL, 1, 0), EBADF);
    CHECK_ERR(copy_file_range(file, NULL, open("g", O_RDONLY), NULL, 1, 0), EBADF);
    CHECK_ERR(copy_file_range(open("f", O_WRONLY), NULL, out, NULL, 1, 0), EBADF);
    CHECK_ERR(copy_file_range(file, NULL, open("g", O_WRONLY | O_APPEND), NULL, 1, 0), EBADF);
    CHECK_ERR(syscall(SYS_copy_file_range, file, UNMAPPED_ADDRESS, out, NULL, 1, 0), EFAULT);
}

static void owners_of_signals(void)
{
    int ends[2];
    struct f_owner_ex owner;
    REQUIRE(pipe(ends) == 0);
    CHECK_EQ(fcntl(ends[0], F_GETOWN), 0);
    CHECK_OK(fcntl(ends[0], F_SETOWN, getpid()));
    CHECK_EQ(fcntl(ends[0], F_GETOWN), getpid());
    CHECK_OK(fcntl(ends[0], F_GETOWN_EX, &owner));
    CHECK(owner.type == F_OWNER_PID && owner.pid == getpid());
    CHECK_OK(fcntl(ends[0], F_SETOWN, -getpgrp()));
    CHECK_OK(fcntl(ends[0], F_GETOWN_EX, &owner));
    CHECK(owner.type == F_OWNER_PGRP && owner.pid == getpgrp());
    owner = (struct f_owner_ex){F_OWNER_TID, getpid()};
    CHECK_OK(fcntl(ends[0], F_SETOWN_EX, &owner));
    CHECK_OK(fcntl(ends[0], F_SETOWN, 0));
    CHECK_EQ(fcntl(ends[0], F_GETOWN), 0);
    CHECK_ERR(fcntl(ends[0], F_SETOWN, 0x3fffffff), ESRCH);
    owner.type = 9;
    CHECK_ERR(fcntl(ends[0], F_SETOWN_EX, &owner), EINVAL);
    CHECK_ERR(fcntl(ends[0], F_SETOWN_EX, UNMAPPED_ADDRESS), EFAULT);
    CHECK_EQ(fcntl(ends[0], F_GETSIG), 0);
    CHECK_OK(fcntl(ends[0], F_SETSIG, SIGRTMIN));
    CHECK_EQ(fcntl(ends[0], F_GETSIG), SIGRTMIN);
    CHECK_ERR(fcntl(ends[0], F_SETSIG, 65), EINVAL);
    CHECK_ERR(fcntl(777, F_GETOWN), EBADF);
    CHECK_ERR(fcntl(ends[0], 12345), EINVAL);
    uint64_t hint = 77;
    int file = make_file("f", "", 0, 0600);
    CHECK_OK(fcntl(file, F_GET_RW_HINT, &hint));
    CHECK_EQ(hint, 0);
    hint = 3;
    CHECK_OK(fcntl(file, F_SET_RW_HINT, &hint));
    hint = 6;
    CHECK_ERR(fcntl(file, F_SET_RW_HINT, &hint), EINVAL);
    CHECK_ERR(fcntl(file, F_SET_RW_HINT, UNMAPPED_ADDRESS), EFAULT);
    CHECK_OK(fcntl(file, F_GET_RW_HINT, &hint));
    CHECK_EQ(hint, 3);
}

static void closing_ranges(void)
{
    int first = open("/dev/null", O_RDONLY);
    for (int i = 1; i < 10; i++) REQUIRE(dup2(first, first + i) == first + i);
    unsigned from = (unsigned)first;
    CHECK_OK(close_range(from + 2, from + 3, 0));
    CHECK(fcntl(first + 1, F_GETFD) == 0 && fcntl(first + 2, F_GETFD) == -1 && fcntl(first + 3, F_GETFD) == -1 && fcntl(first + 4, F_GETFD) == 0);
    CHECK_OK(close_range(from + 5, from + 6, CLOSE_RANGE_CLOEXEC));
    CHECK(fcntl(first + 4, F_GETFD) == 0 && fcntl(first + 5, F_GETFD) == FD_CLOEXEC && fcntl(first + 6, F_GETFD) == FD_CLOEXEC);
    CHECK_OK(close_range(from + 8, ~0U, CLOSE_RANGE_UNSHARE));
    CHECK(fcntl(first + 7, F_GETFD) == 0 && fcntl(first + 8, F_GETFD) == -1 && fcntl(first + 9, F_GETFD) == -1);
    CHECK_ERR(close_range(5, 4, 0), EINVAL);
    CHECK_ERR(close_range(5, 6, 8), EINVAL);
    CHECK_OK(close_range(5000, 6000, 0)); /* none is open */
    CHECK_ERR(dup3(first, first, 0), EINVAL);
    CHECK_ERR(dup3(first, first + 1, O_NONBLOCK), EINVAL);
    CHECK_EQ(dup3(first, first + 9, O_CLOEXEC), first + 9);
    CHECK_EQ(fcntl(first + 9, F_GETFD), FD_CLOEXEC);
    CHECK_ERR(fcntl(first, F_DUPFD, -1), EINVAL);
    CHECK_ERR(fcntl(first, F_DUPFD, 1 << 30), EINVAL);
    CHECK_EQ(fcntl(first, F_DUPFD_CLOEXEC, first + 20), first + 20);
    CHECK_EQ(fcntl(first + 20, F_GETFD), FD_CLOEXEC);
}

CASES(CASE(capacity_with_bytes_inside), CASE(packets), CASE(splicing), CASE(splicing_waits), CASE(memory_into_pipes), CASE(sending_files),
      CASE(copying_ranges), CASE(owners_of_signals), CASE(closing_ranges))
