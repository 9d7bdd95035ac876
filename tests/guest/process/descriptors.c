/* Descriptors, fcntl, pipes, poll and select. */
#include "check.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/select.h>

static void duplicating(void)
{
    int file = make_file("data", "0123456789", 10, 0600), copy = dup(file);
    CHECK_EQ(copy, file + 1);
    CHECK_EQ(lseek(file, 3, SEEK_SET), 3);
    CHECK_EQ(lseek(copy, 0, SEEK_CUR), 3); /* one offset */
    CHECK_EQ(fcntl(file, F_SETFD, FD_CLOEXEC), 0);
    CHECK_EQ(fcntl(copy, F_GETFD), 0); /* two sets of descriptor flags */
    CHECK_EQ(fcntl(copy, F_SETFL, O_APPEND), 0);
    CHECK(fcntl(file, F_GETFL) & O_APPEND); /* one set of status flags */
    CHECK_EQ(dup2(file, 50), 50);
    CHECK_EQ(fcntl(50, F_GETFD), 0);
    CHECK_EQ(dup2(file, file), file);
    CHECK_EQ(fcntl(file, F_GETFD), FD_CLOEXEC); /* untouched */
    CHECK_EQ(syscall(SYS_dup3, file, 51, O_CLOEXEC), 51);
    CHECK_EQ(fcntl(51, F_GETFD), FD_CLOEXEC);
    CHECK_ERR(syscall(SYS_dup3, file, file, 0), EINVAL);
    CHECK_ERR(syscall(SYS_dup3, file, 52, 0x10), EINVAL);
    CHECK_ERR(dup(777), EBADF);
    CHECK_ERR(dup2(777, 5), EBADF);
    CHECK_ERR(dup2(777, 777), EBADF);
    CHECK_ERR(dup2(file, -1), EBADF);
    CHECK_ERR(dup2(file, 1 << 30), EBADF);
    CHECK_EQ(fcntl(file, F_DUPFD, 60), 60);
    CHECK_EQ(fcntl(file, F_DUPFD, 60), 61);
    CHECK_EQ(fcntl(file, F_DUPFD_CLOEXEC, 60), 62);
    CHECK_EQ(fcntl(62, F_GETFD), FD_CLOEXEC);
    CHECK_ERR(fcntl(file, F_DUPFD, -1), EINVAL);
    CHECK_ERR(fcntl(file, F_DUPFD, 1 << 30), EINVAL);
}

static void flags(void)
{
    int file = open("data", O_RDWR | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC, 0600);
    int found = fcntl(file, F_GETFL);
    CHECK_EQ(found & (O_ACCMODE | O_APPEND | O_NONBLOCK | O_CREAT | O_CLOEXEC), O_RDWR | O_APPEND | O_NONBLOCK);
    CHECK_OK(fcntl(file, F_SETFL, O_RDONLY | O_TRUNC)); /* only some can change */
    CHECK_EQ(fcntl(file, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK | O_TRUNC), O_RDWR);
    CHECK_OK(fcntl(file, F_SETFD, 0));
    CHECK_EQ(fcntl(file, F_GETFD), 0);
    CHECK_OK(fcntl(file, F_SETFD, 0xff)); /* the other bits mean nothing */
    CHECK_EQ(fcntl(file, F_GETFD), FD_CLOEXEC);
    CHECK_ERR(fcntl(file, 7777, 0), EINVAL);
    CHECK_ERR(fcntl(777, F_GETFD), EBADF);
    CHECK_ERR(fcntl(-1, F_GETFL), EBADF);
    int on = 1;
    CHECK_OK(ioctl(file, FIONBIO, &on));
    CHECK(fcntl(file, F_GETFL) & O_NONBLOCK);
    CHECK_OK(ioctl(file, FIONCLEX));
    CHECK_EQ(fcntl(file, F_GETFD), 0);
    CHECK_OK(ioctl(file, FIOCLEX));
    CHECK_EQ(fcntl(file, F_GETFD), FD_CLOEXEC);
    CHECK_ERR(ioctl(file, FIONBIO, UNMAPPED_ADDRESS), EFAULT);
}

static void closing_ranges(void)
{
    for (int file = 40; file < 50; file++) NEED(dup2(0, file) == file);
    CHECK_OK(syscall(SYS_close_range, 42, 44, 0));
    CHECK(fcntl(41, F_GETFD) != -1 && fcntl(45, F_GETFD) != -1);
    CHECK_ERR(fcntl(42, F_GETFD), EBADF);
    CHECK_ERR(fcntl(44, F_GETFD), EBADF);
    CHECK_OK(syscall(SYS_close_range, 46, 47, 4 /* CLOEXEC */));
    CHECK_EQ(fcntl(46, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(48, F_GETFD), 0);
    CHECK_OK(syscall(SYS_close_range, 45, ~0U, 2 /* UNSHARE */));
    CHECK_ERR(fcntl(49, F_GETFD), EBADF);
    CHECK_OK(syscall(SYS_close_range, 1000, 2000, 0));
    CHECK_ERR(syscall(SYS_close_range, 45, 44, 0), EINVAL);
    CHECK_ERR(syscall(SYS_close_range, 45, 46, 0x100), EINVAL);
}

static void bytes_through_a_pipe(void)
{
    int ends[2], count = 0, free_one = next_descriptor();
    char bytes[16] = "";
    CHECK_OK(pipe(ends));
    CHECK(ends[0] == free_one && ends[1] == free_one + 1);
    CHECK_EQ(write(ends[1], "one", 3), 3);
    CHECK_EQ(write(ends[1], "two", 3), 3);
    CHECK_OK(ioctl(ends[0], FIONREAD, &count));
    CHECK_EQ(count, 6);
    CHECK_EQ(read(ends[0], bytes, 4), 4);
    CHECK_EQ(read(ends[0], bytes + 4, 10), 2);
    CHECK(strcmp(bytes, "onetwo") == 0);
    CHECK_EQ(read(ends[0], bytes, 0), 0);
    CHECK_EQ(write(ends[1], bytes, 0), 0);
    CHECK_ERR(write(ends[0], "x", 1), EBADF);
    CHECK_ERR(read(ends[1], bytes, 1), EBADF);
    CHECK_EQ(write(ends[1], "last", 4), 4);
    CHECK_OK(close(ends[1]));
    CHECK_EQ(read(ends[0], bytes, 16), 4);
    CHECK_EQ(read(ends[0], bytes, 16), 0); /* the end */
    CHECK_EQ(read(ends[0], bytes, 16), 0);
    CHECK_OK(pipe2(ends, O_CLOEXEC | O_NONBLOCK));
    CHECK_EQ(fcntl(ends[0], F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(ends[1], F_GETFL), O_WRONLY | O_NONBLOCK);
    CHECK_ERR(read(ends[0], bytes, 1), EAGAIN);
    CHECK_ERR(pipe2(ends, O_APPEND), EINVAL);
    CHECK_ERR(syscall(SYS_pipe2, UNMAPPED_ADDRESS, 0), EFAULT);
    CHECK_ERR(syscall(SYS_pipe, KERNEL_ADDRESS), EFAULT);
    free_one = next_descriptor();
    CHECK_ERR(syscall(SYS_pipe, UNMAPPED_ADDRESS), EFAULT);
    CHECK_EQ(next_descriptor(), free_one); /* nothing is left open */
}

static void a_full_pipe(void)
{
    static char bytes[200000];
    int ends[2];
    REQUIRE(pipe2(ends, O_NONBLOCK) == 0);
    int size = fcntl(ends[1], F_GETPIPE_SZ);
    CHECK_EQ(size, 65536);
    CHECK_EQ(write(ends[1], bytes, sizeof bytes), size); /* what fits */
    CHECK_ERR(write(ends[1], bytes, 1), EAGAIN);
    CHECK_EQ(read(ends[0], bytes, 100), 100);
    CHECK_ERR(write(ends[1], bytes, PAGE), EAGAIN); /* up to PIPE_BUF it is all or nothing */
    CHECK_EQ(read(ends[0], bytes, PAGE), PAGE);
    CHECK_EQ(write(ends[1], bytes, PAGE), PAGE);
    CHECK_EQ(fcntl(ends[1], F_SETPIPE_SZ, 3 * PAGE + 1) == -1 ? errno : 0, EBUSY); /* too much is in it */
    while (read(ends[0], bytes, sizeof bytes) > 0) continue;
    CHECK_EQ(fcntl(ends[1], F_SETPIPE_SZ, 3 * PAGE), 4 * PAGE);
    CHECK_EQ(fcntl(ends[1], F_SETPIPE_SZ, 1), PAGE);
    CHECK_EQ(write(ends[1], bytes, 3 * PAGE), PAGE);
    CHECK_ERR(fcntl(0, F_GETPIPE_SZ) == -1 && errno == EBADF ? -1 : (errno = EBADF, -1), EBADF);
}

/* Writes of up to PIPE_BUF bytes from many processes do not mix. */
static void small_writes_are_atomic(void)
{
    enum { WRITERS = 4, ROUNDS = 60, LENGTH = 500 };
    int ends[2];
    char record[LENGTH];
    REQUIRE(pipe(ends) == 0);
    for (int i = 0; i < WRITERS; i++) {
        CHILD({
            memset(record, 'a' + i, LENGTH);
            for (int round = 0; round < ROUNDS; round++) {
                if (write(ends[1], record, LENGTH) != LENGTH) _exit(1);
            }
        });
    }
    close(ends[1]);
    int good = 0;
    for (;;) {
        size_t length = 0;
        ssize_t count;
        while (length < LENGTH && (count = read(ends[0], record + length, LENGTH - length)) > 0) length += (size_t)count;
        if (length < LENGTH) break;
        int same = 1;
        for (int i = 1; i < LENGTH; i++) same &= record[i] == record[0];
        good += same;
    }
    CHECK_EQ(good, WRITERS * ROUNDS);
    for (int i = 0; i < WRITERS; i++) {
        int status;
        CHECK(wait(&status) > 0 && status == 0);
    }
}

static void much_data_through_a_pipe(void)
{
    enum { TOTAL = 1 << 20 };
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    pid_t pid = CHILD({
        static unsigned char out[7777];
        close(ends[0]);
        for (int sent = 0; sent < TOTAL;) {
            int length = TOTAL - sent < (int)sizeof out ? TOTAL - sent : (int)sizeof out;
            for (int i = 0; i < length; i++) out[i] = (unsigned char)((sent + i) * 31 >> 3);
            if (write(ends[1], out, (size_t)length) != length) _exit(1);
            sent += length;
        }
    });
    static unsigned char in[5000];
    int got = 0, wrong = 0;
    close(ends[1]);
    for (ssize_t count; (count = read(ends[0], in, sizeof in)) > 0; got += (int)count) {
        for (int i = 0; i < count; i++) wrong += in[i] != (unsigned char)((got + i) * 31 >> 3);
    }
    CHECK_EQ(got, TOTAL);
    CHECK_EQ(wrong, 0);
    CHECK_EXITED(status_of(pid), 0);
}

static void a_pipe_without_readers(void)
{
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    pid_t pid = CHILD({
        close(ends[0]);
        signal(SIGPIPE, SIG_IGN);
        static char bytes[100000];
        ssize_t count = write(ends[1], bytes, sizeof bytes); /* sleeps, full, when the reader goes */
        _exit(count == 65536 || (count == -1 && errno == EPIPE) ? 0 : 1);
    });
    close(ends[1]);
    wait_for_state(pid, 'S');
    close(ends[0]);
    CHECK_EXITED(status_of(pid), 0);
}

static void polling(void)
{
    int ends[2];
    char byte;
    REQUIRE(pipe(ends) == 0);
    struct pollfd both[2] = {{ends[0], POLLIN, 99}, {ends[1], POLLOUT, 99}};
    CHECK_EQ(poll(both, 2, -1), 1);
    CHECK(both[0].revents == 0 && both[1].revents == POLLOUT);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    CHECK_EQ(poll(both, 2, 0), 2);
    CHECK_EQ(both[0].revents, POLLIN);
    CHECK_EQ(read(ends[0], &byte, 1), 1);
    long long start = now_ns();
    CHECK_EQ(poll(both, 1, 20), 0);
    CHECK(now_ns() - start >= 20000000);
    struct pollfd odd[2] = {{777, POLLIN, 0}, {-5, POLLIN, 99}};
    CHECK_EQ(poll(odd, 2, -1), 1);
    CHECK(odd[0].revents == POLLNVAL && odd[1].revents == 0); /* a negative one is left out */
    pid_t pid = CHILD(sleep_ms(10); if (write(ends[1], "y", 1) < 0) _exit(1));
    CHECK_EQ(poll(both, 1, 20000), 1);
    CHECK_EXITED(status_of(pid), 0);
    CHECK_EQ(read(ends[0], &byte, 1), 1);
    close(ends[1]);
    CHECK_EQ(poll(both, 1, -1), 1);
    CHECK_EQ(both[0].revents, POLLHUP);
    REQUIRE(pipe(ends) == 0);
    close(ends[0]);
    struct pollfd writer = {ends[1], POLLOUT, 0};
    CHECK_EQ(poll(&writer, 1, 0), 1);
    CHECK_EQ(writer.revents, POLLOUT | POLLERR);
    int null = open("/dev/null", O_RDWR);
    struct pollfd always = {null, POLLIN | POLLOUT, 0};
    CHECK_EQ(poll(&always, 1, 0), 1);
    CHECK_EQ(always.revents, POLLIN | POLLOUT);
    CHECK_EQ(poll(NULL, 0, 1), 0);
    CHECK_ERR(syscall(SYS_poll, UNMAPPED_ADDRESS, 1, 0), EFAULT);
    CHECK_ERR(syscall(SYS_poll, both, 1 << 30, 0), EINVAL);
}

static volatile sig_atomic_t came;
static void count(int number) { came += number != 0; }

static void polling_with_a_mask(void)
{
    sigset_t set, none;
    sigemptyset(&none);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    signal(SIGUSR1, count);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGUSR1);
    CHECK_EQ(ppoll(NULL, 0, &(struct timespec){0, 1000000}, NULL), 0);
    CHECK_EQ(came, 0);
    CHECK_ERR(ppoll(NULL, 0, &(struct timespec){20, 0}, &none), EINTR); /* the mask opens for it */
    CHECK_EQ(came, 1);
    raise(SIGUSR1);
    CHECK_ERR(pselect(0, NULL, NULL, NULL, &(struct timespec){20, 0}, &none), EINTR);
    CHECK_EQ(came, 2);
    sigprocmask(SIG_BLOCK, NULL, &none);
    CHECK_EQ(sigismember(&none, SIGUSR1), 1);
    CHECK_ERR(syscall(SYS_ppoll, NULL, 0, &(struct timespec){0, 1000000000}, NULL, 8), EINVAL);
    CHECK_ERR(syscall(SYS_ppoll, NULL, 0, &(struct timespec){-1, 0}, NULL, 8), EINVAL);
    CHECK_ERR(syscall(SYS_ppoll, NULL, 0, NULL, &none, 4), EINVAL);
    CHECK_ERR(syscall(SYS_ppoll, NULL, 0, UNMAPPED_ADDRESS, NULL, 8), EFAULT);
}

static void selecting(void)
{
    int ends[2];
    fd_set readers, writers;
    REQUIRE(pipe(ends) == 0);
    FD_ZERO(&readers);
    FD_ZERO(&writers);
    FD_SET(ends[0], &readers);
    FD_SET(ends[1], &writers);
    CHECK_EQ(select(ends[1] + 1, &readers, &writers, NULL, NULL), 1);
    CHECK(!FD_ISSET(ends[0], &readers) && FD_ISSET(ends[1], &writers));
    CHECK_EQ(write(ends[1], "x", 1), 1);
    FD_SET(ends[0], &readers);
    CHECK_EQ(select(ends[1] + 1, &readers, &writers, NULL, &(struct timeval){0, 0}), 2);
    FD_ZERO(&readers);
    CHECK_EQ(select(0, NULL, NULL, NULL, &(struct timeval){0, 5000}), 0);
    FD_SET(33, &readers); /* not open */
    CHECK_ERR(select(34, &readers, NULL, NULL, &(struct timeval){0, 0}), EBADF);
    CHECK_ERR(syscall(SYS_select, -1, NULL, NULL, NULL, &(struct timeval){0, 0}), EINVAL);
    CHECK_ERR(syscall(SYS_select, 0, NULL, NULL, NULL, &(struct timeval){-1, 0}), EINVAL);
    CHECK_ERR(syscall(SYS_select, 8, UNMAPPED_ADDRESS, NULL, NULL, &(struct timeval){0, 0}), EFAULT);
    struct timeval left = {20, 0};
    FD_ZERO(&readers);
    FD_SET(ends[0], &readers);
    CHECK_EQ(syscall(SYS_select, ends[0] + 1, &readers, NULL, NULL, &left), 1);
    CHECK(left.tv_sec >= 10 && left.tv_sec <= 20); /* Linux writes back what is left */
}

static void many_descriptors(void)
{
    enum { COUNT = 1000 };
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    int first = next_descriptor(), good = 0;
    for (int i = 0; i < COUNT; i++) good += open("/dev/null", O_RDONLY) == first + i;
    CHECK_EQ(good, COUNT);
    CHECK_EXITED(CHILD_STATUS(_exit(fcntl(first + COUNT - 1, F_GETFD) == -1)), 0);
    for (int i = 0; i < COUNT; i += 2) close(first + i);
    good = 0;
    for (int i = 0; i < COUNT; i += 2) good += open("/dev/null", O_RDONLY) == first + i;
    CHECK_EQ(good, COUNT / 2);
}

CASES(CASE(duplicating), CASE(flags), CASE(closing_ranges), CASE(bytes_through_a_pipe), CASE(a_full_pipe),
      CASE(small_writes_are_atomic), CASE(much_data_through_a_pipe), CASE(a_pipe_without_readers), CASE(polling),
      CASE(polling_with_a_mask), CASE(selecting), CASE(many_descriptors))
