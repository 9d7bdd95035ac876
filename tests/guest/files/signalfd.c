/* signalfd(2): signals that are read. */
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

static sigset_t set_of(int one, int two)
{
    sigset_t set;
    sigemptyset(&set);
    if (one) sigaddset(&set, one);
    if (two) sigaddset(&set, two);
    return set;
}

/* A signalfd for two signals, which are blocked. */
static int for_signals(int one, int two, int flags)
{
    sigset_t set = set_of(one, two);
    NEED(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    return signalfd(-1, &set, flags);
}

static void what_is_read(void)
{
    struct signalfd_siginfo got[4];
    int file = for_signals(SIGUSR1, SIGRTMIN + 3, SFD_NONBLOCK | SFD_CLOEXEC);
    REQUIRE(file >= 0);
    CHECK_EQ(sizeof got[0], 128);
    CHECK_ERR(read(file, got, sizeof got), EAGAIN);
    CHECK_OK(kill(getpid(), SIGUSR1));
    CHECK_EQ(read(file, got, sizeof got), 128);
    CHECK(got[0].ssi_signo == SIGUSR1 && got[0].ssi_code == SI_USER);
    CHECK(got[0].ssi_pid == (unsigned)getpid() && got[0].ssi_uid == getuid());
    CHECK_OK(sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = 1234}));
    CHECK_OK(sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = 5678}));
    CHECK_OK(kill(getpid(), SIGUSR1));
    CHECK_OK(kill(getpid(), SIGUSR1)); /* one of a kind */
    CHECK_EQ(read(file, got, sizeof got), 3 * 128);
    CHECK(got[0].ssi_signo == SIGUSR1 && (int)got[1].ssi_signo == SIGRTMIN + 3);
    CHECK(got[1].ssi_int == 1234 && got[2].ssi_int == 5678 && got[2].ssi_code == SI_QUEUE);
    CHECK(got[1].ssi_pid == (unsigned)getpid());
    CHECK_ERR(read(file, got, 128), EAGAIN);
    pid_t pid = CHILD(_exit(5));
    sigset_t children = set_of(SIGCHLD, 0);
    CHECK_OK(sigprocmask(SIG_BLOCK, &children, NULL));
    CHECK_EQ(signalfd(file, &children, 0), file);
    struct pollfd poller = {file, POLLIN, 0};
    siginfo_t info;
    CHECK_OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
    if (poll(&poller, 1, 100) == 1) { /* it may have ended before the signal was blocked */
        CHECK_EQ(read(file, got, 128), 128);
        CHECK(got[0].ssi_signo == SIGCHLD && got[0].ssi_code == CLD_EXITED && got[0].ssi_status == 5);
        CHECK_EQ(got[0].ssi_pid, pid);
    }
    status_of(pid);
}

static void timers_and_their_overrun(void)
{
    struct signalfd_siginfo got;
    int file = for_signals(SIGRTMIN, 0, 0);
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 42};
    REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    struct itimerspec often = {{0, 1000000}, {0, 1000000}};
    CHECK_OK(timer_settime(timer, 0, &often, NULL));
    sleep_ms(20);
    CHECK_EQ(read(file, &got, sizeof got), 128);
    CHECK(got.ssi_code == SI_TIMER && got.ssi_int == 42 && got.ssi_overrun >= 10);
    timer_delete(timer);
}

static void only_what_is_asked_for(void)
{
    struct signalfd_siginfo got;
    int file = for_signals(SIGUSR1, SIGUSR2, SFD_NONBLOCK);
    sigset_t one = set_of(SIGUSR2, 0);
    CHECK_EQ(signalfd(file, &one, 0), file);
    raise(SIGUSR1);
    CHECK_ERR(read(file, &got, sizeof got), EAGAIN);
    sigset_t other = set_of(SIGUSR1, SIGKILL); /* SIGKILL cannot be read */
    CHECK_EQ(signalfd(file, &other, 0), file);
    CHECK_EQ(read(file, &got, sizeof got), 128);
    CHECK_EQ(got.ssi_signo, SIGUSR1);
    CHECK_EQ(got.ssi_code, SI_TKILL);
    sigset_t pending;
    raise(SIGUSR2);
    CHECK_OK(sigpending(&pending));
    CHECK_EQ(sigismember(&pending, SIGUSR2), 1);
    CHECK_EQ(sigismember(&pending, SIGUSR1), 0); /* it was taken */
}

static volatile sig_atomic_t came;
static void count(int number) { came += number != 0; }

static void waiting(void)
{
    struct signalfd_siginfo got;
    int file = for_signals(SIGUSR1, 0, 0);
    pid_t parent = getpid();
    pid_t pid = CHILD(wait_for_state(parent, 'S'); sleep_ms(10); kill(parent, SIGUSR1));
    CHECK_EQ(read(file, &got, sizeof got), 128);
    CHECK_EQ(got.ssi_pid, pid);
    CHECK_EXITED(status_of(pid), 0);
    struct pollfd poller = {file, POLLIN | POLLOUT, 0};
    CHECK_EQ(poll(&poller, 1, 0), 0);
    pid = CHILD(sleep_ms(10); kill(parent, SIGUSR1));
    CHECK_EQ(poll(&poller, 1, 20000), 1);
    CHECK_EQ(poller.revents, POLLIN);
    CHECK_EXITED(status_of(pid), 0);
    int events = epoll_create1(0);
    struct epoll_event wanted = {EPOLLIN, {.u64 = 3}}, told;
    CHECK_OK(epoll_ctl(events, EPOLL_CTL_ADD, file, &wanted));
    CHECK_EQ(epoll_wait(events, &told, 1, 0), 1);
    CHECK_EQ(read(file, &got, sizeof got), 128);
    CHECK_EQ(epoll_wait(events, &told, 1, 0), 0);
    pid = CHILD(sleep_ms(10); kill(parent, SIGUSR1));
    CHECK_EQ(epoll_wait(events, &told, 1, 20000), 1);
    CHECK_EXITED(status_of(pid), 0);
    CHECK_EQ(read(file, &got, sizeof got), 128);
    /* Another signal's handler ends the read. */
    sigaction(SIGUSR2, &(struct sigaction){.sa_handler = count}, NULL);
    pid = CHILD(wait_for_state(parent, 'S'); sleep_ms(10); kill(parent, SIGUSR2));
    CHECK_ERR(read(file, &got, sizeof got), EINTR);
    CHECK_EQ(came, 1);
    CHECK_EXITED(status_of(pid), 0);
}

static void a_child_reads_its_own(void)
{
    struct signalfd_siginfo got;
    int file = for_signals(SIGUSR1, 0, SFD_NONBLOCK);
    raise(SIGUSR1);
    CHECK_EXITED(CHILD_STATUS({
        CHECK_ERR(read(file, &got, sizeof got), EAGAIN); /* what is pending is not inherited */
        kill(getpid(), SIGUSR1);
        CHECK_EQ(read(file, &got, sizeof got), 128);
        CHECK_EQ(got.ssi_pid, getpid());
    }), 0);
    CHECK_EQ(read(file, &got, sizeof got), 128);
    CHECK_EQ(got.ssi_pid, getpid());
}

static void *read_in_thread(void *file)
{
    struct signalfd_siginfo got;
    return (void *)(read(*(int *)file, &got, sizeof got) == 128 ? (long)got.ssi_signo : -1L);
}

static void threads_share_those_of_the_process(void)
{
    int file = for_signals(SIGUSR1, 0, 0);
    pthread_t thread;
    void *result;
    REQUIRE(pthread_create(&thread, NULL, read_in_thread, &file) == 0);
    sleep_ms(20);
    kill(getpid(), SIGUSR1);
    CHECK_OK(pthread_join(thread, &result));
    CHECK_EQ((long)result, SIGUSR1);
    raise(SIGUSR1); /* for this thread only */
    CHECK_OK(fcntl(file, F_SETFL, O_NONBLOCK));
    REQUIRE(pthread_create(&thread, NULL, read_in_thread, &file) == 0);
    CHECK_OK(pthread_join(thread, &result));
    CHECK_EQ((long)result, -1);
    CHECK_EQ((long)read_in_thread(&file), SIGUSR1);
}

static void errors(void)
{
    char small[127];
    sigset_t set = set_of(SIGUSR1, 0);
    int file = for_signals(SIGUSR1, 0, SFD_NONBLOCK), null = open("/dev/null", O_RDWR);
    CHECK_ERR(read(file, small, 127), EINVAL);
    CHECK_ERR(write(file, small, 127), EINVAL);
    CHECK_ERR(signalfd(null, &set, 0), EINVAL);
    CHECK_ERR(signalfd(777, &set, 0), EBADF);
    CHECK_ERR(signalfd(-2, &set, 0), EBADF);
    CHECK_ERR(signalfd(-1, &set, 1), EINVAL);
    CHECK_ERR(syscall(SYS_signalfd4, -1, &set, 4, 0), EINVAL);
    CHECK_ERR(syscall(SYS_signalfd4, -1, &set, 128, 0), EINVAL);
    CHECK_ERR(syscall(SYS_signalfd4, -1, UNMAPPED_ADDRESS, 8, 0), EFAULT);
    CHECK_ERR(syscall(SYS_signalfd4, -1, NULL, 8, 0), EFAULT);
    int old = (int)syscall(SYS_signalfd, -1, &set, 8);
    CHECK(old >= 0);
    raise(SIGUSR1);
    CHECK_ERR(read(file, UNMAPPED_ADDRESS, 128), EFAULT); /* and the signal is lost, as on Linux */
    CHECK_ERR(read(file, (char[128]){0}, 128), EAGAIN);
    char path[40], text[60] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    CHECK(readlink(path, text, sizeof text - 1) > 0);
    CHECK(!strcmp(text, "anon_inode:[signalfd]"));
}

CASES(CASE(what_is_read), CASE(timers_and_their_overrun), CASE(only_what_is_asked_for), CASE(waiting), CASE(a_child_reads_its_own),
      CASE(threads_share_those_of_the_process), CASE(errors))
