/* timerfd(2): timers that are read. */
#include "check.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

enum { MS = 1000000 };

static struct itimerspec times(long long value, long long interval)
{
    return (struct itimerspec){{interval / 1000000000, interval % 1000000000}, {value / 1000000000, value % 1000000000}};
}

static int start(int timer, int flags, long long value, long long interval)
{
    struct itimerspec new = times(value, interval);
    return timerfd_settime(timer, flags, &new, NULL);
}

static long long left_of(struct timespec time) { return time.tv_sec * 1000000000LL + time.tv_nsec; }

static long long ticks(int timer)
{
    uint64_t count = 77;
    ssize_t got = read(timer, &count, sizeof count);
    return got == sizeof count ? (long long)count : -1;
}

static void once(void)
{
    int timer = timerfd_create(CLOCK_MONOTONIC, 0);
    REQUIRE(timer >= 0);
    long long before = now_ns();
    CHECK_OK(start(timer, 0, 20 * MS, 0));
    CHECK_EQ(ticks(timer), 1);
    CHECK(now_ns() - before >= 20 * MS);
    struct itimerspec now = times(1, 1);
    CHECK_OK(timerfd_gettime(timer, &now));
    CHECK(left_of(now.it_value) == 0 && left_of(now.it_interval) == 0);
    CHECK_OK(fcntl(timer, F_SETFL, O_NONBLOCK));
    CHECK_ERR(ticks(timer), EAGAIN);
}

static void every_clock(void)
{
    static const int clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM};
    for (int i = 0; i < 5; i++) {
        int timer = timerfd_create(clocks[i], TFD_CLOEXEC);
        if (timer < 0 && i > 2) continue; /* a machine without a wake-up clock */
        REQUIRE(timer >= 0);
        CHECK_EQ(fcntl(timer, F_GETFD), FD_CLOEXEC);
        clockid_t clock = clocks[i] == CLOCK_REALTIME_ALARM ? CLOCK_REALTIME : clocks[i] == CLOCK_BOOTTIME_ALARM ? CLOCK_BOOTTIME : clocks[i];
        CHECK_OK(start(timer, TFD_TIMER_ABSTIME, clock_ns(clock) + 10 * MS, 0));
        CHECK_EQ(ticks(timer), 1);
        CHECK_OK(start(timer, TFD_TIMER_ABSTIME, 1, 0)); /* long ago */
        CHECK_EQ(ticks(timer), 1);
        CHECK_OK(start(timer, 0, 5 * MS, 0));
        CHECK_EQ(ticks(timer), 1);
        close(timer);
    }
}

static void again_and_again(void)
{
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    long long begin = now_ns();
    CHECK_OK(start(timer, 0, 5 * MS, 5 * MS));
    sleep_ms(52);
    long long count = ticks(timer), passed = (now_ns() - begin) / (5 * MS);
    CHECK(count >= 10 && count <= passed);
    long long sum = count;
    for (int i = 0; i < 5; i++) {
        struct pollfd poller = {timer, POLLIN, 0};
        CHECK_EQ(poll(&poller, 1, 20000), 1);
        CHECK_EQ(poller.revents, POLLIN);
        count = ticks(timer);
        CHECK(count >= 1);
        sum += count;
    }
    CHECK(sum >= 15 && sum <= (now_ns() - begin) / (5 * MS)); /* none is lost, none is made up */
    struct itimerspec now;
    CHECK_OK(timerfd_gettime(timer, &now));
    CHECK(left_of(now.it_interval) == 5 * MS && left_of(now.it_value) > 0 && left_of(now.it_value) <= 5 * MS);
    struct itimerspec off = times(0, 7), old;
    CHECK_OK(timerfd_settime(timer, 0, &off, &old));
    CHECK_EQ(left_of(old.it_interval), 5 * MS);
    CHECK_OK(timerfd_gettime(timer, &now));
    CHECK_EQ(left_of(now.it_value), 0);
    sleep_ms(15);
    CHECK_ERR(ticks(timer), EAGAIN);
    /* Setting it forgets what was not read. */
    CHECK_OK(start(timer, 0, 1 * MS, 0));
    sleep_ms(10);
    CHECK_OK(start(timer, 0, 20000LL * MS, 0));
    CHECK_ERR(ticks(timer), EAGAIN);
}

static void asking_counts_what_was_missed(void)
{
    int timer = timerfd_create(CLOCK_MONOTONIC, 0);
    CHECK_OK(start(timer, 0, 2 * MS, 2 * MS));
    sleep_ms(21);
    struct itimerspec now;
    CHECK_OK(timerfd_gettime(timer, &now));
    CHECK(left_of(now.it_value) > 0 && left_of(now.it_value) <= 2 * MS);
    CHECK(ticks(timer) >= 10);
}

static void waiting_for_it(void)
{
    int timer = timerfd_create(CLOCK_MONOTONIC, 0), events = epoll_create1(0);
    struct epoll_event wanted = {EPOLLIN | EPOLLET, {.u64 = 9}}, got;
    CHECK_OK(epoll_ctl(events, EPOLL_CTL_ADD, timer, &wanted));
    CHECK_EQ(epoll_wait(events, &got, 1, 0), 0);
    CHECK_OK(start(timer, 0, 10 * MS, 0));
    CHECK_EQ(epoll_wait(events, &got, 1, 20000), 1);
    CHECK(got.data.u64 == 9 && got.events == EPOLLIN);
    CHECK_EQ(epoll_wait(events, &got, 1, 0), 0); /* the edge has been told */
    CHECK_OK(start(timer, 0, 10 * MS, 0));
    CHECK_EQ(epoll_wait(events, &got, 1, 20000), 1);
    struct pollfd poller = {timer, POLLIN | POLLOUT, 0};
    CHECK_EQ(poll(&poller, 1, 0), 1);
    CHECK_EQ(poller.revents, POLLIN);
    CHECK_EQ(ticks(timer), 1);
    CHECK_EQ(poll(&poller, 1, 0), 0);
    /* A child shares it, and two readers share the ticks. */
    CHECK_OK(start(timer, 0, 10 * MS, 0));
    CHECK_EXITED(CHILD_STATUS(_exit(ticks(timer) != 1)), 0);
    CHECK_EQ(poll(&poller, 1, 0), 0);
}

static volatile sig_atomic_t came;
static void count_signal(int number) { came += number != 0; }

static void a_signal_ends_the_read(void)
{
    int timer = timerfd_create(CLOCK_MONOTONIC, 0);
    pid_t parent = getpid();
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = count_signal}, NULL);
    CHECK_OK(start(timer, 0, 30000LL * MS, 0));
    pid_t pid = CHILD(wait_for_state(parent, 'S'); sleep_ms(10); kill(parent, SIGUSR1));
    CHECK_ERR(ticks(timer), EINTR);
    CHECK_EQ(came, 1);
    CHECK_EXITED(status_of(pid), 0);
}

static void setting_the_clock_cancels(void)
{
    int timer = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK), deaf = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
    int relative = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
    struct timespec now;
    CHECK_OK(start(timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, clock_ns(CLOCK_REALTIME) + 3000LL * 1000 * MS, 0));
    CHECK_OK(start(deaf, TFD_TIMER_ABSTIME, clock_ns(CLOCK_REALTIME) + 3000LL * 1000 * MS, 0));
    CHECK_OK(start(relative, TFD_TIMER_CANCEL_ON_SET, 3000LL * 1000 * MS, 0));
    CHECK_ERR(ticks(timer), EAGAIN);
    clock_gettime(CLOCK_REALTIME, &now);
    if (clock_settime(CLOCK_REALTIME, &now) != 0) return; /* a container */
    struct pollfd poller = {timer, POLLIN, 0};
    CHECK_EQ(poll(&poller, 1, 0), 1);
    CHECK_ERR(ticks(timer), ECANCELED);
    CHECK_ERR(ticks(timer), EAGAIN);
    CHECK_ERR(ticks(deaf), EAGAIN);
    CHECK_ERR(ticks(relative), EAGAIN);
    /* It goes by the time of day: an hour ahead it is due. */
    clock_gettime(CLOCK_REALTIME, &now);
    now.tv_sec += 3600;
    CHECK_OK(clock_settime(CLOCK_REALTIME, &now));
    poller.fd = deaf;
    CHECK_EQ(poll(&poller, 1, 20000), 1);
    CHECK_EQ(ticks(deaf), 1);
    CHECK_ERR(start(timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, 1, 0), ECANCELED); /* not read since */
    clock_gettime(CLOCK_REALTIME, &now);
    now.tv_sec -= 3600;
    CHECK_OK(clock_settime(CLOCK_REALTIME, &now));
    CHECK_ERR(ticks(relative), EAGAIN);
}

static void errors(void)
{
    char small[7];
    struct itimerspec spec = times(1, 0), bad = {{0, 1000000000}, {1, 0}}, negative = {{0, 0}, {-1, 0}};
    CHECK_ERR(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL);
    CHECK_ERR(timerfd_create(CLOCK_MONOTONIC_RAW, 0), EINVAL);
    CHECK_ERR(timerfd_create(77, 0), EINVAL);
    CHECK_ERR(timerfd_create(-1, 0), EINVAL);
    CHECK_ERR(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), null = open("/dev/null", O_RDWR);
    CHECK_ERR(read(timer, small, 7), EINVAL);
    CHECK_ERR(write(timer, small, 7), EINVAL);
    CHECK_ERR(pread(timer, small, 7, 0), ESPIPE);
    CHECK_ERR(timerfd_settime(timer, 4, &spec, NULL), EINVAL);
    CHECK_ERR(timerfd_settime(timer, 0, &bad, NULL), EINVAL);
    CHECK_ERR(timerfd_settime(timer, 0, &negative, NULL), EINVAL);
    CHECK_ERR(timerfd_settime(null, 0, &spec, NULL), EINVAL);
    CHECK_ERR(timerfd_settime(777, 0, &spec, NULL), EBADF);
    CHECK_ERR(timerfd_gettime(null, &spec), EINVAL);
    CHECK_ERR(timerfd_gettime(777, &spec), EBADF);
    CHECK_ERR(syscall(SYS_timerfd_settime, timer, 0, UNMAPPED_ADDRESS, NULL), EFAULT);
    CHECK_ERR(syscall(SYS_timerfd_settime, timer, 0, NULL, NULL), EFAULT);
    CHECK_ERR(syscall(SYS_timerfd_gettime, timer, UNMAPPED_ADDRESS), EFAULT);
    CHECK_ERR(syscall(SYS_timerfd_settime, timer, 0, &spec, KERNEL_ADDRESS), EFAULT);
    CHECK_OK(start(timer, 0, 1, 0));
    sleep_ms(2);
    CHECK_ERR(read(timer, UNMAPPED_ADDRESS, 8), EFAULT);
    CHECK_EXITED(CHILD_STATUS({
        CHECK_OK(setgid(1000));
        CHECK_OK(setuid(1000));
        CHECK_ERR(timerfd_create(CLOCK_REALTIME_ALARM, 0), EPERM);
        CHECK_ERR(timerfd_create(CLOCK_BOOTTIME_ALARM, 0), EPERM);
        CHECK(timerfd_create(CLOCK_REALTIME, 0) >= 0);
    }), 0);
    char path[40], text[60] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", timer);
    CHECK(readlink(path, text, sizeof text - 1) > 0);
    CHECK(!strcmp(text, "anon_inode:[timerfd]"));
}

CASES(CASE(once), CASE(every_clock), CASE(again_and_again), CASE(asking_counts_what_was_missed), CASE(waiting_for_it),
      CASE(a_signal_ends_the_read), CASE(setting_the_clock_cancels), CASE(errors))
