/* Clocks, sleeping, interval timers and POSIX timers. */
#include "check.h"

#include <pthread.h>
#include <sys/time.h>
#include <sys/timex.h>

static volatile sig_atomic_t came;
static siginfo_t seen;
static void count(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    came++;
    seen = *info;
}

static void install(int number)
{
    struct sigaction action = {.sa_sigaction = count, .sa_flags = SA_SIGINFO};
    NEED(sigaction(number, &action, NULL) == 0);
}

static void wait_for_signals(int wanted)
{
    for (int tries = 0; came < wanted && tries < 10000; tries++) sleep_ms(2);
}

static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID,
                                   CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME,
                                   8 /* REALTIME_ALARM */, 9 /* BOOTTIME_ALARM */, 11 /* TAI */};

static void every_clock_moves_forward(void)
{
    for (unsigned i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        struct timespec first = {-1, -1}, second = {-1, -1}, step = {-1, -1};
        if ((clocks[i] == 8 || clocks[i] == 9) && syscall(SYS_clock_gettime, clocks[i], &first) != 0) continue; /* no alarm hardware */
        CHECK_OK(syscall(SYS_clock_gettime, clocks[i], &first));
        for (volatile int j = 0; j < 100000; j++) continue;
        CHECK_OK(syscall(SYS_clock_gettime, clocks[i], &second));
        CHECK(first.tv_nsec >= 0 && first.tv_nsec < 1000000000);
        CHECK(second.tv_sec > first.tv_sec || (second.tv_sec == first.tv_sec && second.tv_nsec >= first.tv_nsec));
        CHECK_OK(syscall(SYS_clock_getres, clocks[i], &step));
        CHECK(step.tv_sec == 0 && step.tv_nsec >= 1 && step.tv_nsec <= 20000000);
    }
    long long monotonic = clock_ns(CLOCK_MONOTONIC);
    CHECK(clock_ns(CLOCK_BOOTTIME) >= monotonic);
    long long real = clock_ns(CLOCK_REALTIME), coarse = clock_ns(CLOCK_REALTIME_COARSE);
    CHECK(real - coarse < 1000000000 && coarse - real < 1000000000);
}

static void errors_of_clocks(void)
{
    struct timespec time;
    static const int unknown[] = {10, 16, 77, 9999};
    for (unsigned i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        CHECK_ERR(syscall(SYS_clock_gettime, unknown[i], &time), EINVAL);
        CHECK_ERR(syscall(SYS_clock_getres, unknown[i], &time), EINVAL);
    }
    CHECK_ERR(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, UNMAPPED_ADDRESS), EFAULT);
    CHECK_ERR(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, KERNEL_ADDRESS), EFAULT);
    CHECK_ERR(syscall(SYS_clock_getres, CLOCK_MONOTONIC, UNMAPPED_ADDRESS), EFAULT);
    CHECK_OK(syscall(SYS_clock_getres, CLOCK_MONOTONIC, NULL));
    CHECK_ERR(syscall(SYS_gettimeofday, UNMAPPED_ADDRESS, NULL), EFAULT);
    CHECK_ERR(syscall(SYS_gettimeofday, NULL, UNMAPPED_ADDRESS), EFAULT);
    CHECK_OK(syscall(SYS_gettimeofday, NULL, NULL));
    CHECK_ERR(syscall(SYS_time, UNMAPPED_ADDRESS), EFAULT);
    time = (struct timespec){1, 0};
    CHECK_ERR(syscall(SYS_clock_settime, CLOCK_MONOTONIC, &time), EINVAL);
    CHECK_ERR(syscall(SYS_clock_settime, CLOCK_BOOTTIME, &time), EINVAL);
    CHECK_ERR(syscall(SYS_clock_settime, CLOCK_REALTIME, UNMAPPED_ADDRESS), EFAULT);
    time = (struct timespec){1, 1000000000};
    CHECK_ERR(syscall(SYS_clock_settime, CLOCK_REALTIME, &time), EINVAL);
    time = (struct timespec){-1, 0};
    CHECK_ERR(syscall(SYS_clock_settime, CLOCK_REALTIME, &time), EINVAL);
    struct timeval bad = {1, 1000000};
    CHECK_ERR(syscall(SYS_settimeofday, &bad, NULL), EINVAL);
    pid_t pid = CHILD({
        REQUIRE(setuid(12345) == 0);
        clock_gettime(CLOCK_REALTIME, &time);
        CHECK_ERR(syscall(SYS_clock_settime, CLOCK_REALTIME, &time), EPERM);
        struct timeval now = {time.tv_sec, 0};
        CHECK_ERR(syscall(SYS_settimeofday, &now, NULL), EPERM);
    });
    CHECK_EXITED(status_of(pid), 0);
    struct timex adjust = {.modes = 0};
    CHECK(adjtimex(&adjust) >= 0);
    CHECK(adjust.tick >= 9000 && adjust.tick <= 11000);
}

static void cpu_clocks_count_work(void)
{
    clockid_t mine;
    long long before = clock_ns(CLOCK_PROCESS_CPUTIME_ID), thread = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    sleep_ms(30);
    CHECK(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - before < 25000000); /* sleeping is no work */
    while (clock_ns(CLOCK_PROCESS_CPUTIME_ID) - before < 20000000) continue;
    CHECK(clock_ns(CLOCK_THREAD_CPUTIME_ID) - thread >= 15000000);
    CHECK_EQ(clock_getcpuclockid(0, &mine), 0);
    CHECK(clock_ns(mine) - before >= 20000000);
    pid_t pid = CHILD(for (;;) pause());
    CHECK_EQ(clock_getcpuclockid(pid, &mine), 0);
    CHECK(clock_ns(mine) < 1000000000);
    kill(pid, SIGKILL);
    status_of(pid);
    struct timespec time;
    CHECK_ERR(syscall(SYS_clock_gettime, mine, &time), EINVAL); /* nobody there */
}

static void sleeping(void)
{
    struct timespec time = {0, 15000000}, left = {7, 7};
    long long start = now_ns();
    CHECK_OK(nanosleep(&time, &left));
    CHECK(now_ns() - start >= 15000000);
    CHECK(left.tv_sec == 7); /* untouched when all of it was slept */
    CHECK_OK(nanosleep(&(struct timespec){0, 0}, NULL));
    start = now_ns();
    CHECK_EQ(clock_nanosleep(CLOCK_REALTIME, 0, &time, NULL), 0);
    CHECK(now_ns() - start >= 14000000);
    clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_nsec += 15000000;
    if (time.tv_nsec >= 1000000000) time.tv_nsec -= 1000000000, time.tv_sec++;
    CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL), 0);
    CHECK(now_ns() >= time.tv_sec * 1000000000LL + time.tv_nsec);
    CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &(struct timespec){0, 0}, NULL), 0); /* the past */
    CHECK_EQ(clock_nanosleep(CLOCK_BOOTTIME, 0, &(struct timespec){0, 1000000}, NULL), 0);
    CHECK_ERR(nanosleep(&(struct timespec){0, 1000000000}, NULL), EINVAL);
    CHECK_ERR(nanosleep(&(struct timespec){0, -1}, NULL), EINVAL);
    CHECK_ERR(nanosleep(&(struct timespec){-1, 0}, NULL), EINVAL);
    CHECK_ERR(syscall(SYS_nanosleep, UNMAPPED_ADDRESS, NULL), EFAULT);
    CHECK_ERR(syscall(SYS_clock_nanosleep, 9999, 0, &time, NULL), EINVAL);
    CHECK_ERR(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &time, NULL), EOPNOTSUPP);
    CHECK_ERR(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC_COARSE, 0, &time, NULL), EOPNOTSUPP);
    CHECK_ERR(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, UNMAPPED_ADDRESS, NULL), EFAULT);
}

static void alarms(void)
{
    install(SIGALRM);
    CHECK_EQ(alarm(100), 0);
    unsigned left = alarm(0);
    CHECK(left >= 80 && left <= 100);
    CHECK_EQ(alarm(0), 0);
    struct itimerval timer = {{0, 0}, {0, 5000}}, old;
    CHECK_OK(setitimer(ITIMER_REAL, &timer, &old));
    CHECK(old.it_value.tv_sec == 0 && old.it_value.tv_usec == 0);
    wait_for_signals(1);
    CHECK_EQ(came, 1);
    CHECK_EQ(seen.si_signo, SIGALRM);
    CHECK_EQ(seen.si_code, SI_KERNEL);
    CHECK_OK(getitimer(ITIMER_REAL, &timer));
    CHECK(timer.it_value.tv_sec == 0 && timer.it_value.tv_usec == 0);
}

static void interval_timers_repeat(void)
{
    static const int kinds[] = {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF}, signals[] = {SIGALRM, SIGVTALRM, SIGPROF};
    for (int i = 0; i < 3; i++) {
        struct itimerval timer = {{0, 10000}, {0, 10000}}, now;
        came = 0;
        install(signals[i]);
        CHECK_OK(setitimer(kinds[i], &timer, NULL));
        CHECK_OK(getitimer(kinds[i], &now));
        CHECK(now.it_interval.tv_usec >= 10000 && now.it_interval.tv_usec <= 20000);
        long long end = now_ns() + 20000000000LL;
        while (came < 3 && now_ns() < end) continue;
        CHECK(came >= 3);
        memset(&timer, 0, sizeof timer);
        CHECK_OK(setitimer(kinds[i], &timer, &now));
        CHECK(now.it_interval.tv_usec >= 10000);
    }
    struct itimerval timer = {{0, 0}, {0, 1000000}};
    CHECK_ERR(setitimer(ITIMER_REAL, &timer, NULL), EINVAL);
    timer.it_value.tv_usec = -1;
    CHECK_ERR(setitimer(ITIMER_REAL, &timer, NULL), EINVAL);
    CHECK_ERR(syscall(SYS_setitimer, 3, &timer, NULL), EINVAL);
    CHECK_ERR(syscall(SYS_getitimer, 3, &timer), EINVAL);
    CHECK_ERR(syscall(SYS_getitimer, ITIMER_REAL, UNMAPPED_ADDRESS), EFAULT);
    CHECK_ERR(syscall(SYS_setitimer, ITIMER_REAL, UNMAPPED_ADDRESS, NULL), EFAULT);
}

/* The kernel's structure, so that no libc's idea of it stands between. */
struct event {
    union sigval value;
    int number, notify, tid, pad[11];
};

static void posix_timers(void)
{
    int timer = -1;
    struct event event = {.value = {.sival_int = 4321}, .number = SIGRTMIN, .notify = SIGEV_SIGNAL};
    install(SIGRTMIN);
    CHECK_OK(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer));
    CHECK(timer >= 0);
    struct itimerspec time = {{0, 0}, {0, 5000000}}, now = {{9, 9}, {9, 9}};
    CHECK_OK(syscall(SYS_timer_gettime, timer, &now));
    CHECK(now.it_value.tv_sec == 0 && now.it_value.tv_nsec == 0);
    CHECK_OK(syscall(SYS_timer_settime, timer, 0, &time, &now));
    wait_for_signals(1);
    CHECK_EQ(came, 1);
    CHECK_EQ(seen.si_code, SI_TIMER);
    CHECK_EQ(seen.si_value.sival_int, 4321);
    CHECK_EQ(seen.si_signo, SIGRTMIN);
    CHECK_OK(syscall(SYS_timer_getoverrun, timer));
    time.it_value = (struct timespec){1000, 0};
    time.it_interval = (struct timespec){5, 0};
    CHECK_OK(syscall(SYS_timer_settime, timer, 0, &time, NULL));
    CHECK_OK(syscall(SYS_timer_gettime, timer, &now));
    CHECK(now.it_value.tv_sec >= 900 && now.it_value.tv_sec <= 1000 && now.it_interval.tv_sec == 5);
    time = (struct itimerspec){{0, 0}, {0, 0}};
    CHECK_OK(syscall(SYS_timer_settime, timer, 0, &time, &now));
    CHECK(now.it_value.tv_sec >= 900);
    CHECK_OK(syscall(SYS_timer_delete, timer));
    CHECK_ERR(syscall(SYS_timer_delete, timer), EINVAL);
}

static void overruns_are_counted(void)
{
    int timer = -1;
    struct event event = {.number = SIGRTMIN, .notify = SIGEV_SIGNAL};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    CHECK_OK(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer));
    struct itimerspec time = {{0, 1000000}, {0, 1000000}};
    CHECK_OK(syscall(SYS_timer_settime, timer, 0, &time, NULL));
    sleep_ms(30);
    siginfo_t info;
    CHECK_EQ(sigwaitinfo(&set, &info), SIGRTMIN);
    CHECK(info.si_overrun >= 10);
    CHECK_EQ(syscall(SYS_timer_getoverrun, timer), info.si_overrun);
    CHECK_OK(syscall(SYS_timer_delete, timer));
}

static void timers_for_a_thread_and_for_nobody(void)
{
    int timer = -1;
    struct event event = {.number = SIGUSR1, .notify = 4 /* SIGEV_THREAD_ID */, .tid = (int)syscall(SYS_gettid)};
    install(SIGUSR1);
    CHECK_OK(syscall(SYS_timer_create, CLOCK_REALTIME, &event, &timer));
    struct itimerspec time = {{0, 0}, {0, 1000000}};
    CHECK_OK(syscall(SYS_timer_settime, timer, 0, &time, NULL));
    wait_for_signals(1);
    CHECK_EQ(came, 1);
    event = (struct event){.notify = SIGEV_NONE};
    CHECK_OK(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer));
    CHECK_OK(syscall(SYS_timer_settime, timer, 0, &time, NULL));
    sleep_ms(5);
    CHECK_OK(syscall(SYS_timer_gettime, timer, &time));
    CHECK(time.it_value.tv_sec == 0 && time.it_value.tv_nsec == 0);
    install(SIGALRM); /* without an event it is SIGALRM with the timer's number */
    CHECK_OK(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &timer));
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    time = (struct itimerspec){{0, 0}, now};
    CHECK_OK(syscall(SYS_timer_settime, timer, TIMER_ABSTIME, &time, NULL)); /* in the past: at once */
    wait_for_signals(2);
    CHECK_EQ(seen.si_signo, SIGALRM);
    CHECK_EQ(seen.si_value.sival_int, timer);
    CHECK_EXITED(CHILD_STATUS(_exit(syscall(SYS_timer_gettime, timer, &time) == -1 && errno == EINVAL ? 0 : 1)), 0); /* not inherited */
    CHECK_OK(syscall(SYS_timer_create, CLOCK_PROCESS_CPUTIME_ID, NULL, &timer));
    came = 0;
    time = (struct itimerspec){{0, 0}, {0, 10000000}};
    CHECK_OK(syscall(SYS_timer_settime, timer, 0, &time, NULL));
    long long end = now_ns() + 20000000000LL;
    while (!came && now_ns() < end) continue;
    CHECK_EQ(came, 1);
}

static void errors_of_timers(void)
{
    int timer = -1, good;
    struct event event = {.number = SIGUSR1, .notify = SIGEV_SIGNAL};
    struct itimerspec time = {{0, 0}, {0, 0}};
    CHECK_ERR(syscall(SYS_timer_create, 9999, NULL, &timer), EINVAL);
    CHECK_ERR(syscall(SYS_timer_create, CLOCK_MONOTONIC_COARSE, NULL, &timer), EOPNOTSUPP);
    CHECK_ERR(syscall(SYS_timer_create, CLOCK_MONOTONIC, UNMAPPED_ADDRESS, &timer), EFAULT);
    CHECK_ERR(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, UNMAPPED_ADDRESS), EFAULT);
    event.number = 65;
    CHECK_ERR(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer), EINVAL);
    event.number = SIGUSR1;
    event.notify = 77;
    CHECK_ERR(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer), EINVAL);
    event.notify = 4;
    event.tid = 0x3ffffff;
    CHECK_ERR(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer), EINVAL);
    CHECK_OK(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &good));
    CHECK_ERR(syscall(SYS_timer_settime, 7777, 0, &time, NULL), EINVAL);
    CHECK_ERR(syscall(SYS_timer_settime, good, 0, NULL, NULL), EINVAL);
    CHECK_ERR(syscall(SYS_timer_settime, good, 0, UNMAPPED_ADDRESS, NULL), EFAULT);
    CHECK_ERR(syscall(SYS_timer_gettime, good, UNMAPPED_ADDRESS), EFAULT);
    time.it_value.tv_nsec = 1000000000;
    CHECK_ERR(syscall(SYS_timer_settime, good, 0, &time, NULL), EINVAL);
    CHECK_ERR(syscall(SYS_timer_gettime, -1, &time), EINVAL);
    CHECK_ERR(syscall(SYS_timer_getoverrun, 7777), EINVAL);
}

static void many_sleepers(void)
{
    enum { COUNT = 50 };
    pid_t pids[COUNT];
    int good = 0;
    for (int i = 0; i < COUNT; i++) {
        pids[i] = CHILD({
            long long start = now_ns();
            sleep_ms(1 + i % 20);
            _exit(now_ns() - start >= (1 + i % 20) * 1000000LL ? 0 : 1);
        });
    }
    for (int i = 0; i < COUNT; i++) good += status_of(pids[i]) == 0;
    CHECK_EQ(good, COUNT);
}

CASES(CASE(every_clock_moves_forward), CASE(errors_of_clocks), CASE(cpu_clocks_count_work), CASE(sleeping), CASE(alarms),
      CASE(interval_timers_repeat), CASE(posix_timers), CASE(overruns_are_counted), CASE(timers_for_a_thread_and_for_nobody),
      CASE(errors_of_timers), CASE(many_sleepers))
