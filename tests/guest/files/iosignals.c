/* Signals for I/O: O_ASYNC with its owners, leases, and what directories tell (fcntl(2)). */
#include "check.h"

#include <poll.h>
#include <sys/ioctl.h>

static int pipe_ends[2];

static void make_pipe(void)
{
    REQUIRE(pipe2(pipe_ends, O_NONBLOCK) == 0);
}

static void block(int signal)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    REQUIRE(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
}

/* The signal if it comes within `ms`, else 0. */
static int comes(int signal, siginfo_t *info, int ms)
{
    sigset_t set;
    const struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    sigemptyset(&set);
    sigaddset(&set, signal);
    memset(info, 0, sizeof *info);
    return sigtimedwait(&set, info, &wait) == signal ? signal : 0;
}

enum { SOON = 5000, NEVER = 60 };

static void turn_on(int fd, int owner, int signal)
{
    CHECK_EQ(fcntl(fd, F_SETOWN, owner), 0);
    CHECK_EQ(fcntl(fd, F_SETSIG, signal), 0);
    CHECK_EQ(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC), 0);
    CHECK(fcntl(fd, F_GETFL) & O_ASYNC);
}

static void a_pipe_tells_its_reader(void)
{
    siginfo_t info;
    block(SIGIO);
    make_pipe();
    turn_on(pipe_ends[0], getpid(), 0);
    CHECK_EQ(comes(SIGIO, &info, NEVER), 0);
    for (int round = 0; round < 3; round++) {
        CHECK_EQ(write(pipe_ends[1], "x", 1), 1);
        CHECK_EQ(comes(SIGIO, &info, SOON), SIGIO);
        CHECK_EQ(info.si_code, SI_KERNEL);
    }
    close(pipe_ends[1]);
    CHECK_EQ(comes(SIGIO, &info, SOON), SIGIO);
}

static void a_signal_of_ones_own_says_where(void)
{
    siginfo_t info;
    block(SIGRTMIN);
    make_pipe();
    turn_on(pipe_ends[0], getpid(), SIGRTMIN);
    CHECK_EQ(write(pipe_ends[1], "x", 1), 1);
    CHECK_EQ(comes(SIGRTMIN, &info, SOON), SIGRTMIN);
    CHECK_EQ(info.si_code, POLL_IN);
    CHECK_EQ(info.si_fd, pipe_ends[0]);
    CHECK_EQ(info.si_band, POLLIN | POLLRDNORM);
}

static void a_pipe_tells_its_writer_of_room(void)
{
    siginfo_t info;
    char page[4096] = {0};
    block(SIGRTMIN);
    make_pipe();
    while (write(pipe_ends[1], page, sizeof page) > 0) {
    }
    turn_on(pipe_ends[1], getpid(), SIGRTMIN);
    CHECK_EQ(comes(SIGRTMIN, &info, NEVER), 0);
    CHECK_EQ(read(pipe_ends[0], page, sizeof page), (ssize_t)sizeof page);
    CHECK_EQ(comes(SIGRTMIN, &info, SOON), SIGRTMIN);
    CHECK(info.si_code == POLL_OUT && info.si_fd == pipe_ends[1]);
    CHECK_EQ(info.si_band, POLLOUT | POLLWRNORM | POLLWRBAND);
}

static void nobody_is_told_when_nobody_asked(void)
{
    siginfo_t info;
    int on = 1;
    block(SIGIO);
    make_pipe();
    CHECK_EQ(write(pipe_ends[1], "x", 1), 1);
    CHECK_EQ(fcntl(pipe_ends[0], F_SETFL, O_ASYNC | O_NONBLOCK), 0); /* no owner */
    CHECK_EQ(fcntl(pipe_ends[0], F_GETOWN), 0);
    CHECK_EQ(write(pipe_ends[1], "x", 1), 1);
    CHECK_EQ(comes(SIGIO, &info, NEVER), 0);
    CHECK_EQ(fcntl(pipe_ends[0], F_SETOWN, getpid()), 0);
    CHECK_EQ(write(pipe_ends[1], "x", 1), 1);
    CHECK_EQ(comes(SIGIO, &info, SOON), SIGIO);
    CHECK_EQ(fcntl(pipe_ends[0], F_SETFL, O_NONBLOCK), 0);
    CHECK_EQ(write(pipe_ends[1], "x", 1), 1);
    CHECK_EQ(comes(SIGIO, &info, NEVER), 0);
    CHECK_EQ(ioctl(pipe_ends[0], FIOASYNC, &on), 0);
    CHECK(fcntl(pipe_ends[0], F_GETFL) & O_ASYNC);
    CHECK_EQ(write(pipe_ends[1], "x", 1), 1);
    CHECK_EQ(comes(SIGIO, &info, SOON), SIGIO);
    on = 0;
    CHECK_EQ(ioctl(pipe_ends[0], FIOASYNC, &on), 0);
    CHECK(!(fcntl(pipe_ends[0], F_GETFL) & O_ASYNC));
}

static void groups_and_threads_can_be_told(void)
{
    siginfo_t info;
    block(SIGIO);
    make_pipe();
    int report[2];
    REQUIRE(pipe(report) == 0);
    pid_t pid = CHILD({
        char ready = 'r';
        setpgid(0, 0);
        if (write(report[1], &ready, 1) != 1) _exit(1);
        _exit(comes(SIGIO, &info, SOON) == SIGIO ? 0 : 2);
    });
    char ready;
    CHECK_EQ(read(report[0], &ready, 1), 1);
    turn_on(pipe_ends[0], -pid, 0);
    CHECK_EQ(fcntl(pipe_ends[0], F_GETOWN), -pid);
    CHECK_EQ(write(pipe_ends[1], "x", 1), 1);
    CHECK_EXITED(status_of(pid), 0);
    CHECK_EQ(comes(SIGIO, &info, NEVER), 0);
    struct f_owner_ex owner = {F_OWNER_TID, getpid()};
    CHECK_EQ(fcntl(pipe_ends[0], F_SETOWN_EX, &owner), 0);
    CHECK_EQ(write(pipe_ends[1], "x", 1), 1);
    CHECK_EQ(comes(SIGIO, &info, SOON), SIGIO);
}

static void strangers_cannot_be_told(void)
{
    siginfo_t info;
    block(SIGIO);
    make_pipe();
    pid_t parent = getpid();
    /* Whoever sets the owner must be allowed to signal it, when it happens. */
    pid_t pid = CHILD({
        REQUIRE(setuid(1234) == 0);
        turn_on(pipe_ends[0], parent, 0);
    });
    CHECK_EXITED(status_of(pid), 0);
    CHECK_EQ(write(pipe_ends[1], "x", 1), 1);
    CHECK_EQ(comes(SIGIO, &info, NEVER), 0);
}

static void closing_ends_it(void)
{
    siginfo_t info;
    block(SIGIO);
    make_pipe();
    turn_on(pipe_ends[0], getpid(), 0);
    int other = dup(pipe_ends[0]);
    close(pipe_ends[0]);
    CHECK_EQ(write(pipe_ends[1], "x", 1), 1);
    CHECK_EQ(comes(SIGIO, &info, SOON), SIGIO);
    close(other);
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERR(write(pipe_ends[1], "x", 1), EPIPE);
    CHECK_EQ(comes(SIGIO, &info, NEVER), 0);
}

static int file_open(int flags)
{
    int fd = open("leased", flags | O_CREAT | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0);
    return fd;
}

static void leases_are_given_and_taken_back(void)
{
    int reader = file_open(O_RDONLY);
    CHECK_EQ(fcntl(reader, F_GETLEASE), F_UNLCK);
    CHECK_ERR(fcntl(reader, F_SETLEASE, F_UNLCK), EAGAIN);
    CHECK_EQ(fcntl(reader, F_SETLEASE, F_RDLCK), 0);
    CHECK_EQ(fcntl(reader, F_GETLEASE), F_RDLCK);
    CHECK_EQ(fcntl(reader, F_SETLEASE, F_WRLCK), 0); /* the only one that has it open */
    CHECK_EQ(fcntl(reader, F_GETLEASE), F_WRLCK);
    CHECK_EQ(fcntl(reader, F_SETLEASE, F_RDLCK), 0);
    CHECK_EQ(fcntl(reader, F_SETLEASE, F_UNLCK), 0);
    CHECK_EQ(fcntl(reader, F_GETLEASE), F_UNLCK);
    int writer = file_open(O_RDWR);
    CHECK_ERR(fcntl(reader, F_SETLEASE, F_RDLCK), EAGAIN);
    CHECK_ERR(fcntl(writer, F_SETLEASE, F_RDLCK), EAGAIN);
    CHECK_ERR(fcntl(writer, F_SETLEASE, F_WRLCK), EAGAIN);
    close(reader);
    CHECK_EQ(fcntl(writer, F_SETLEASE, F_WRLCK), 0);
    CHECK_ERR(fcntl(writer, F_SETLEASE, 7), EINVAL);
    close(writer);
    int folder = open(".", O_RDONLY);
    CHECK_ERR(fcntl(folder, F_SETLEASE, F_RDLCK), EINVAL);
    make_pipe();
    CHECK_ERR(fcntl(pipe_ends[0], F_SETLEASE, F_RDLCK), EINVAL);
    int one = file_open(O_RDONLY);
    int other = file_open(O_RDONLY);
    CHECK_EQ(fcntl(one, F_SETLEASE, F_RDLCK), 0);
    CHECK_EQ(fcntl(other, F_SETLEASE, F_RDLCK), 0);
    CHECK_ERR(fcntl(other, F_SETLEASE, F_WRLCK), EAGAIN);
    close(one);
    close(other);
}

static void whoever_opens_waits_for_the_lease(void)
{
    siginfo_t info;
    block(SIGIO);
    int holder = file_open(O_RDONLY);
    CHECK_EQ(fcntl(holder, F_SETLEASE, F_RDLCK), 0);
    CHECK_EQ(comes(SIGIO, &info, NEVER), 0);
    close(open("leased", O_RDONLY)); /* no conflict */
    CHECK_EQ(comes(SIGIO, &info, NEVER), 0);
    CHECK_ERR(open("leased", O_RDWR | O_NONBLOCK), EWOULDBLOCK);
    CHECK_EQ(comes(SIGIO, &info, SOON), SIGIO); /* it is broken all the same */
    CHECK_EQ(fcntl(holder, F_GETLEASE), F_UNLCK);
    CHECK_ERR(open("leased", O_RDWR | O_NONBLOCK), EWOULDBLOCK);
    CHECK_EQ(comes(SIGIO, &info, NEVER), 0); /* told once */
    pid_t pid = CHILD({
        int fd = open("leased", O_RDWR);
        _exit(fd >= 0 ? 0 : 1);
    });
    usleep(50000);
    CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
    CHECK_EQ(fcntl(holder, F_SETLEASE, F_UNLCK), 0);
    CHECK_EXITED(status_of(pid), 0);
    close(holder);
}

static void a_lease_to_write_is_lowered(void)
{
    siginfo_t info;
    block(SIGRTMIN);
    int holder = file_open(O_RDONLY);
    CHECK_EQ(fcntl(holder, F_SETSIG, SIGRTMIN), 0);
    CHECK_EQ(fcntl(holder, F_SETLEASE, F_WRLCK), 0);
    pid_t pid = CHILD({
        int fd = open("leased", O_RDONLY);
        _exit(fd >= 0 ? 0 : 1);
    });
    CHECK_EQ(comes(SIGRTMIN, &info, SOON), SIGRTMIN);
    CHECK_EQ(info.si_fd, holder);
    CHECK_EQ(info.si_code, POLL_MSG);
    CHECK_EQ(fcntl(holder, F_GETLEASE), F_RDLCK); /* what it is to become */
    CHECK_EQ(fcntl(holder, F_SETLEASE, F_RDLCK), 0);
    CHECK_EXITED(status_of(pid), 0);
    CHECK_EQ(fcntl(holder, F_GETLEASE), F_RDLCK);
    /* Cutting the file breaks it too, and closing ends it. */
    pid = CHILD({
        close(holder); /* the parent's is to be the last */
        _exit(truncate("leased", 0) == 0 ? 0 : 1);
    });
    CHECK_EQ(comes(SIGRTMIN, &info, SOON), SIGRTMIN);
    close(holder);
    CHECK_EXITED(status_of(pid), 0);
}

static void patience_with_a_lease_ends(void)
{
    int setting = open("/proc/sys/fs/lease-break-time", O_RDWR | O_CLOEXEC);
    REQUIRE(setting >= 0);
    char before[16] = {0};
    REQUIRE(read(setting, before, sizeof before - 1) > 0);
    CHECK_EQ(pwrite(setting, "1\n", 2, 0), 2);
    signal(SIGIO, SIG_IGN);
    int holder = file_open(O_RDONLY);
    CHECK_EQ(fcntl(holder, F_SETLEASE, F_RDLCK), 0);
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    int writer = open("leased", O_RDWR | O_CLOEXEC);
    clock_gettime(CLOCK_MONOTONIC, &end);
    CHECK(writer >= 0);
    long ms = (end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000;
    check_note(ms >= 900, CHECK_PLACE, "opened after %ld ms", ms);
    CHECK_EQ(fcntl(holder, F_GETLEASE), F_UNLCK);
    CHECK_EQ(pwrite(setting, before, strlen(before), 0), (ssize_t)strlen(before));
}

static void leases_need_the_owner(void)
{
    int fd = file_open(O_RDONLY);
    REQUIRE(fchmod(fd, 0644) == 0);
    pid_t pid = CHILD({
        REQUIRE(setuid(1234) == 0);
        CHECK_ERR(fcntl(fd, F_SETLEASE, F_RDLCK), EACCES);
    });
    CHECK_EXITED(status_of(pid), 0);
    close(fd);
}

static void directories_tell(void)
{
    siginfo_t info;
    block(SIGRTMIN);
    REQUIRE(mkdir("told", 0700) == 0);
    int folder = open("told", O_RDONLY | O_CLOEXEC);
    CHECK_EQ(fcntl(folder, F_SETSIG, SIGRTMIN), 0);
    CHECK_EQ(fcntl(folder, F_NOTIFY, DN_CREATE), 0);
    close(open("told/a", O_CREAT | O_RDWR, 0600));
    CHECK_EQ(comes(SIGRTMIN, &info, SOON), SIGRTMIN);
    CHECK_EQ(info.si_fd, folder);
    close(open("told/b", O_CREAT | O_RDWR, 0600));
    CHECK_EQ(comes(SIGRTMIN, &info, NEVER), 0); /* once */
    CHECK_EQ(fcntl(folder, F_NOTIFY, DN_CREATE | DN_DELETE | DN_RENAME | DN_MULTISHOT), 0);
    for (int round = 0; round < 2; round++) {
        close(open("told/c", O_CREAT | O_RDWR, 0600));
        CHECK_EQ(comes(SIGRTMIN, &info, SOON), SIGRTMIN);
        CHECK_EQ(unlink("told/c"), 0);
        CHECK_EQ(comes(SIGRTMIN, &info, SOON), SIGRTMIN);
    }
    CHECK_EQ(fcntl(folder, F_NOTIFY, 0), 0);
    CHECK_EQ(unlink("told/a"), 0);
    CHECK_EQ(comes(SIGRTMIN, &info, NEVER), 0);
    CHECK_EQ(fcntl(folder, F_NOTIFY, DN_MODIFY | DN_ATTRIB | DN_MULTISHOT), 0);
    int file = open("told/b", O_RDWR | O_CLOEXEC);
    CHECK_EQ(write(file, "x", 1), 1);
    CHECK_EQ(comes(SIGRTMIN, &info, SOON), SIGRTMIN);
    CHECK_EQ(fchmod(file, 0400), 0);
    CHECK_EQ(comes(SIGRTMIN, &info, SOON), SIGRTMIN);
    CHECK_EQ(fchmod(folder, 0755), 0); /* the folder itself is meant too */
    CHECK_EQ(comes(SIGRTMIN, &info, SOON), SIGRTMIN);
    CHECK_ERR(fcntl(file, F_NOTIFY, DN_CREATE), ENOTDIR);
    close(folder);
    close(file);
    unlink("told/b");
    rmdir("told");
    CHECK_EQ(comes(SIGRTMIN, &info, NEVER), 0);
}

static void renames_in_a_directory_tell(void)
{
    siginfo_t info;
    block(SIGRTMIN);
    REQUIRE(mkdir("renamed", 0700) == 0);
    int folder = open("renamed", O_RDONLY | O_CLOEXEC);
    CHECK_EQ(fcntl(folder, F_SETSIG, SIGRTMIN), 0);
    close(open("renamed/a", O_CREAT | O_RDWR, 0600));
    CHECK_EQ(fcntl(folder, F_NOTIFY, DN_RENAME | DN_MULTISHOT), 0);
    CHECK_EQ(rename("renamed/a", "renamed/b"), 0);
    CHECK_EQ(comes(SIGRTMIN, &info, SOON), SIGRTMIN);
    CHECK_EQ(rename("renamed/b", "b"), 0); /* out of it */
    CHECK_EQ(comes(SIGRTMIN, &info, NEVER), 0);
    unlink("b");
    rmdir("renamed");
}

CASES(CASE(a_pipe_tells_its_reader), CASE(a_signal_of_ones_own_says_where), CASE(a_pipe_tells_its_writer_of_room),
      CASE(nobody_is_told_when_nobody_asked), CASE(groups_and_threads_can_be_told), CASE(strangers_cannot_be_told),
      CASE(closing_ends_it), CASE(leases_are_given_and_taken_back), CASE(whoever_opens_waits_for_the_lease),
      CASE(a_lease_to_write_is_lowered), CASE(patience_with_a_lease_ends), CASE(leases_need_the_owner),
      CASE(directories_tell), CASE(renames_in_a_directory_tell))
