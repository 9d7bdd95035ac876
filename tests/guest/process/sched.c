/* Scheduling: policies, priorities, nice, affinity, getcpu, membarrier. */
#include "check.h"

#include <sched.h>

struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t least, most;
};

/* musl's functions of these names only fail. */
static long set_scheduler(pid_t pid, int policy, int priority)
{
    return syscall(SYS_sched_setscheduler, pid, policy, &priority);
}
static long get_scheduler(pid_t pid) { return syscall(SYS_sched_getscheduler, pid); }
static int get_priority(pid_t pid)
{
    int priority = -9;
    return syscall(SYS_sched_getparam, pid, &priority) == 0 ? priority : -1;
}
static long set_parameters(pid_t pid, int priority) { return syscall(SYS_sched_setparam, pid, &priority); }

/* Some hosts give even root no real-time class. */
static bool real_time_is_allowed(void)
{
    return CHILD_STATUS(_exit(set_scheduler(0, SCHED_FIFO, 1) == 0 ? 0 : 1)) == 0;
}

static void policies(void)
{
    CHECK_EQ(get_scheduler(0), SCHED_OTHER);
    CHECK_EQ(get_priority(0), 0);
    CHECK_OK(set_scheduler(0, SCHED_BATCH, 0));
    CHECK_EQ(get_scheduler(0), SCHED_BATCH);
    CHECK_OK(set_scheduler(0, SCHED_IDLE, 0));
    CHECK_EQ(get_scheduler(getpid()), SCHED_IDLE);
    CHECK_EXITED(CHILD_STATUS(_exit(get_scheduler(0) == SCHED_IDLE ? 0 : 1)), 0);
    CHECK_OK(set_scheduler(0, SCHED_OTHER, 0));
    CHECK_OK(set_parameters(0, 0));
    if (!real_time_is_allowed()) return;
    CHECK_OK(set_scheduler(0, SCHED_FIFO, 10));
    CHECK_EQ(get_scheduler(0), SCHED_FIFO);
    CHECK_EQ(get_priority(0), 10);
    CHECK_OK(set_parameters(0, 20));
    CHECK_EQ(get_priority(0), 20);
    CHECK_OK(set_scheduler(0, SCHED_RR, 99));
    CHECK_EQ(get_scheduler(0), SCHED_RR);
    CHECK_EXITED(CHILD_STATUS(_exit(get_scheduler(0) == SCHED_RR ? 0 : 1)), 0);
    CHECK_OK(set_scheduler(0, SCHED_RR | 0x40000000 /* RESET_ON_FORK */, 1));
    CHECK_EQ(get_scheduler(0), SCHED_RR | 0x40000000);
    CHECK_EXITED(CHILD_STATUS(_exit(get_scheduler(0) == SCHED_OTHER ? 0 : 1)), 0);
    CHECK_OK(set_scheduler(0, SCHED_OTHER, 0));
}

static void errors_of_policies(void)
{
    CHECK_ERR(set_scheduler(0, 77, 0), EINVAL);
    CHECK_ERR(set_scheduler(0, -1, 0), EINVAL);
    CHECK_ERR(set_scheduler(0, SCHED_OTHER, 1), EINVAL);
    CHECK_ERR(set_scheduler(0, SCHED_FIFO, 0), EINVAL);
    CHECK_ERR(set_scheduler(0, SCHED_FIFO, 100), EINVAL);
    CHECK_ERR(set_scheduler(-1, SCHED_OTHER, 0), EINVAL);
    CHECK_ERR(set_scheduler(0x3ffffff, SCHED_OTHER, 0), ESRCH);
    CHECK_ERR(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, NULL), EINVAL);
    CHECK_ERR(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, UNMAPPED_ADDRESS), EFAULT);
    CHECK_ERR(get_scheduler(-1), EINVAL);
    CHECK_ERR(get_scheduler(0x3ffffff), ESRCH);
    CHECK_ERR(syscall(SYS_sched_getparam, 0, NULL), EINVAL);
    CHECK_ERR(syscall(SYS_sched_getparam, 0, UNMAPPED_ADDRESS), EFAULT);
    CHECK_ERR(syscall(SYS_sched_getparam, 0x3ffffff, &(int){0}), ESRCH);
    CHECK_ERR(set_parameters(0, 5), EINVAL);
    CHECK_EQ(sched_get_priority_max(SCHED_FIFO), 99);
    CHECK_EQ(sched_get_priority_min(SCHED_RR), 1);
    CHECK_EQ(sched_get_priority_max(SCHED_OTHER), 0);
    CHECK_EQ(sched_get_priority_min(SCHED_IDLE), 0);
    CHECK_ERR(sched_get_priority_max(77), EINVAL);
    CHECK_ERR(sched_get_priority_min(-1), EINVAL);
    CHECK_OK(sched_yield());
    CHECK_EXITED(CHILD_STATUS(setuid(12345); _exit(set_scheduler(0, SCHED_FIFO, 1) == -1 && errno == EPERM ? 0 : 1)), 0);
    CHECK_EXITED(CHILD_STATUS(setuid(12345); _exit(set_scheduler(getppid(), SCHED_BATCH, 0) == -1 && errno == EPERM ? 0 : 1)), 0);
}

static void intervals(void)
{
    struct timespec slice = {9, 9};
    CHECK_OK(syscall(SYS_sched_rr_get_interval, 0, &slice));
    CHECK(slice.tv_sec == 0 && slice.tv_nsec >= 0 && slice.tv_nsec < 1000000000);
    CHECK_ERR(syscall(SYS_sched_rr_get_interval, -1, &slice), EINVAL);
    CHECK_ERR(syscall(SYS_sched_rr_get_interval, 0x3ffffff, &slice), ESRCH);
    CHECK_ERR(syscall(SYS_sched_rr_get_interval, 0, UNMAPPED_ADDRESS), EFAULT);
}

static void attributes(void)
{
    struct attributes found;
    memset(&found, 0xff, sizeof found);
    CHECK_OK(syscall(SYS_sched_getattr, 0, &found, sizeof found, 0));
    CHECK(found.size >= 48 && found.policy == SCHED_OTHER && found.nice == 0 && found.priority == 0);
    struct attributes next = {.size = 48, .policy = SCHED_BATCH, .nice = 7};
    CHECK_OK(syscall(SYS_sched_setattr, 0, &next, 0));
    CHECK_EQ(getpriority(PRIO_PROCESS, 0), 7);
    CHECK_EQ(get_scheduler(0), SCHED_BATCH);
    CHECK_ERR(syscall(SYS_sched_getattr, 0, &found, 47, 0), EINVAL);
    CHECK_ERR(syscall(SYS_sched_getattr, 0, &found, PAGE + 1, 0), EINVAL);
    CHECK_ERR(syscall(SYS_sched_getattr, 0, &found, sizeof found, 1), EINVAL);
    CHECK_ERR(syscall(SYS_sched_getattr, -1, &found, sizeof found, 0), EINVAL);
    CHECK_ERR(syscall(SYS_sched_getattr, 0x3ffffff, &found, sizeof found, 0), ESRCH);
    CHECK_ERR(syscall(SYS_sched_getattr, 0, NULL, sizeof found, 0), EINVAL);
    CHECK_ERR(syscall(SYS_sched_getattr, 0, UNMAPPED_ADDRESS, sizeof found, 0), EFAULT);
    CHECK_ERR(syscall(SYS_sched_setattr, 0, NULL, 0), EINVAL);
    CHECK_ERR(syscall(SYS_sched_setattr, 0, UNMAPPED_ADDRESS, 0), EFAULT);
    CHECK_ERR(syscall(SYS_sched_setattr, 0, &next, 1), EINVAL);
    next.size = 10;
    CHECK_ERR(syscall(SYS_sched_setattr, 0, &next, 0), E2BIG);
    next.size = 48;
    next.policy = 77;
    CHECK_ERR(syscall(SYS_sched_setattr, 0, &next, 0), EINVAL);
    next.policy = SCHED_OTHER;
    next.flags = 1ULL << 40;
    CHECK_ERR(syscall(SYS_sched_setattr, 0, &next, 0), EINVAL);
}

static void niceness(void)
{
    CHECK_EQ(getpriority(PRIO_PROCESS, 0), 0);
    CHECK_EQ(nice(5), 5);
    CHECK_EQ(getpriority(PRIO_PROCESS, getpid()), 5);
    CHECK_EQ(nice(100), 19);
    CHECK_EQ(nice(-1000), -20);
    CHECK_EQ(syscall(SYS_getpriority, PRIO_PROCESS, 0), 40); /* the call itself returns 20 - nice */
    CHECK_OK(setpriority(PRIO_PROCESS, 0, 1));
    CHECK_OK(setpriority(PRIO_PROCESS, 0, 50));
    CHECK_EQ(getpriority(PRIO_PROCESS, 0), 19);
    CHECK_OK(setpriority(PRIO_PGRP, 0, 3));
    CHECK_EQ(getpriority(PRIO_PGRP, 0), 3);
    pid_t pid = CHILD(nice(-10); for (;;) pause());
    wait_for_state(pid, 'S');
    CHECK_EQ(getpriority(PRIO_PROCESS, pid), -7);
    CHECK_EQ(getpriority(PRIO_PGRP, 0), -7); /* the highest of the group */
    CHECK_OK(setpriority(PRIO_PROCESS, pid, 9));
    kill(pid, SIGKILL);
    status_of(pid);
    CHECK_ERR(getpriority(PRIO_PROCESS, 0x3ffffff), ESRCH);
    CHECK_ERR(setpriority(PRIO_PROCESS, 0x3ffffff, 0), ESRCH);
    CHECK_ERR(syscall(SYS_getpriority, 3, 0), EINVAL);
    CHECK_ERR(syscall(SYS_setpriority, -1, 0, 0), EINVAL);
    pid = CHILD({
        REQUIRE(setuid(12345) == 0);
        CHECK_OK(setpriority(PRIO_PROCESS, 0, 4));
        CHECK_ERR(setpriority(PRIO_PROCESS, 0, 2), EACCES);
        CHECK_ERR(setpriority(PRIO_PROCESS, getppid(), 10), EPERM);
        CHECK_OK(setpriority(PRIO_USER, 0, 6));
        CHECK_EQ(getpriority(PRIO_USER, 12345), 6);
    });
    CHECK_EXITED(status_of(pid), 0);
}

static void affinity(void)
{
    unsigned long all[16] = {0}, one[16] = {0}, found[16] = {0};
    long length = syscall(SYS_sched_getaffinity, 0, sizeof all, all);
    CHECK(length >= 8 && length % 8 == 0 && all[0] != 0);
    one[0] = all[0] & -all[0];
    CHECK_OK(syscall(SYS_sched_setaffinity, 0, sizeof one, one));
    CHECK(syscall(SYS_sched_getaffinity, 0, sizeof found, found) == length && found[0] == one[0]);
    unsigned cpu = 999;
    CHECK_OK(syscall(SYS_getcpu, &cpu, NULL, NULL));
    CHECK_EQ(1UL << cpu, one[0]);
    CHECK_EXITED(CHILD_STATUS(syscall(SYS_sched_getaffinity, 0, sizeof found, found); _exit(found[0] == one[0] ? 0 : 1)), 0);
    memset(one, 0, sizeof one);
    CHECK_ERR(syscall(SYS_sched_setaffinity, 0, sizeof one, one), EINVAL); /* no CPU at all */
    one[0] = ~all[0];
    if (all[0] != ~0UL && (one[0] & all[0]) == 0) CHECK_ERR(syscall(SYS_sched_setaffinity, 0, 8, one), EINVAL);
    CHECK_OK(syscall(SYS_sched_setaffinity, 0, sizeof all, all));
    CHECK_ERR(syscall(SYS_sched_getaffinity, 0, 0, all), EINVAL);
    CHECK_ERR(syscall(SYS_sched_getaffinity, 0, 13, all), EINVAL);
    CHECK_ERR(syscall(SYS_sched_getaffinity, 0x3ffffff, sizeof all, all), ESRCH);
    CHECK_ERR(syscall(SYS_sched_getaffinity, 0, sizeof all, UNMAPPED_ADDRESS), EFAULT);
    CHECK_ERR(syscall(SYS_sched_setaffinity, 0x3ffffff, sizeof all, all), ESRCH);
    CHECK_ERR(syscall(SYS_sched_setaffinity, 0, sizeof all, UNMAPPED_ADDRESS), EFAULT);
    CHECK_EXITED(CHILD_STATUS(setuid(12345); _exit(syscall(SYS_sched_setaffinity, getppid(), sizeof all, all) == -1 && errno == EPERM ? 0 : 1)), 0);
}

static void which_cpu(void)
{
    unsigned cpu = 999, node = 999;
    CHECK_OK(syscall(SYS_getcpu, &cpu, &node, NULL));
    CHECK(cpu < 999 && node < 999);
    CHECK_OK(syscall(SYS_getcpu, NULL, NULL, NULL));
    CHECK_ERR(syscall(SYS_getcpu, UNMAPPED_ADDRESS, NULL, NULL), EFAULT);
    CHECK_ERR(syscall(SYS_getcpu, NULL, KERNEL_ADDRESS, NULL), EFAULT);
}

static void barriers(void)
{
    long commands = syscall(SYS_membarrier, 0 /* QUERY */, 0, 0);
    CHECK(commands > 0 && (commands & 1) && (commands & 8) && (commands & 16));
    CHECK_OK(syscall(SYS_membarrier, 1 /* GLOBAL */, 0, 0));
    CHECK_ERR(syscall(SYS_membarrier, 8 /* PRIVATE_EXPEDITED */, 0, 0), EPERM); /* not registered */
    CHECK_OK(syscall(SYS_membarrier, 16 /* REGISTER_PRIVATE_EXPEDITED */, 0, 0));
    CHECK_OK(syscall(SYS_membarrier, 8, 0, 0));
    CHECK_ERR(syscall(SYS_membarrier, 1 << 30, 0, 0), EINVAL);
    CHECK_ERR(syscall(SYS_membarrier, 0, 1, 0), EINVAL);
    CHECK_ERR(syscall(SYS_membarrier, 1, 1, 0), EINVAL);
}

/* Nobody starves: a nice 19 process gets somewhere beside a nice 0 one on the same CPU. */
static void nobody_starves(void)
{
    unsigned long all[16] = {0}, one[16] = {0};
    volatile long *done = map_shared(1);
    REQUIRE(syscall(SYS_sched_getaffinity, 0, sizeof all, all) > 0);
    one[0] = all[0] & -all[0];
    REQUIRE(syscall(SYS_sched_setaffinity, 0, sizeof one, one) == 0);
    pid_t hog = CHILD(for (;;) continue);
    pid_t meek = CHILD(nice(19); for (;;) done[0]++);
    long long end = now_ns() + 20000000000LL;
    while (done[0] < 1000 && now_ns() < end) sleep_ms(5);
    CHECK(done[0] >= 1000);
    kill(hog, SIGKILL);
    kill(meek, SIGKILL);
    status_of(hog);
    status_of(meek);
}

CASES(CASE(policies), CASE(errors_of_policies), CASE(intervals), CASE(attributes), CASE(niceness), CASE(affinity), CASE(which_cpu),
      CASE(barriers), CASE(nobody_starves))
