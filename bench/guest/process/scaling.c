/*
 * What more CPUs are good for: loops of fork, exec and wait.
 *
 * On two CPUs one loop alone and two at a time, each on a CPU of its own. Prints `ROW scaling R`: the work of two in a
 * given time divided by the work of one. On four, two loops on each: prints how often spin locks were waited for
 * meanwhile, and how many times a CPU looked at one that was taken, for each time round a loop.
 */
#define _GNU_SOURCE
#include "measure.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SYSLOG_CONSOLE_OFF = 6, ROUNDS = 3, LOOPS = 2, CPUS_TO_WAIT = 4, MOST_LOOPS = 8, READ_END = 0, WRITE_END = 1 };

/* Long against a loop, and short against the patience of the runner. */
static const u64 round_ns = 2000000000, warm_up_ns = 100000000;

static char *const exit_program[] = { "/bin/exit", NULL };
static char *const no_environment[] = { NULL };

static void pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    check("sched_setaffinity", sched_setaffinity(0, sizeof set, &set));
}

static void run_program(void)
{
    long child = check("fork", fork());

    if (child == 0) {
        execve(exit_program[0], exit_program, no_environment);
        _exit(127);
    }
    reap(child);
}

/* Works from `start` for a round, and writes how often. */
static void work(int cpu, u64 start, int result)
{
    u64 count = 0;

    pin(cpu);
    while (now() < start)
        run_program();
    while (now() < start + round_ns) {
        run_program();
        count++;
    }
    _exit(write(result, &count, sizeof count) == sizeof count ? 0 : 1);
}

/* The work of so many loops in a round. */
static u64 run_loops(int loops, int cpus)
{
    u64 total = 0, count, start = now() + warm_up_ns;
    int result[2];
    long children[MOST_LOOPS];

    check("pipe", pipe(result));
    for (int i = 0; i < loops; i++) {
        children[i] = check("fork", fork());
        if (children[i] == 0)
            work(i % cpus, start, result[WRITE_END]);
    }
    for (int i = 0; i < loops; i++) {
        reap(children[i]);
        if (read(result[READ_END], &count, sizeof count) != sizeof count)
            fail("a loop did not tell its count");
        total += count;
    }
    close(result[READ_END]);
    close(result[WRITE_END]);
    return total;
}

static int compare(const void *left, const void *right)
{
    u64 one = *(const u64 *)left, other = *(const u64 *)right;

    return (one > other) - (one < other);
}

static void measure_scaling(void)
{
    u64 one[ROUNDS], two[ROUNDS];

    row_name = "scaling";
    for (int i = 0; i < ROUNDS; i++) {
        one[i] = run_loops(1, 1);
        two[i] = run_loops(LOOPS, LOOPS);
        print_row("scaling-one", one[i] * 1000);
        print_row("scaling-two", two[i] * 1000);
    }
    qsort(one, ROUNDS, sizeof *one, compare);
    qsort(two, ROUNDS, sizeof *two, compare);
    if (!one[ROUNDS / 2])
        fail("one loop did nothing");
    print_row("scaling", two[ROUNDS / 2] * 1000 / one[ROUNDS / 2]);
}

/* Adds up the columns of /proc/lock_stat; fails where the kernel does not count. */
static void read_waits(u64 *waits, u64 *looks)
{
    unsigned long long some_waits, some_looks;
    char line[256];
    FILE *file = fopen("/proc/lock_stat", "r");

    if (!file)
        fail("/proc/lock_stat cannot be opened");
    *waits = *looks = 0;
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "%*s %llu %llu", &some_waits, &some_looks) == 2) {
            *waits += some_waits;
            *looks += some_looks;
        }
    }
    fclose(file);
}

static void measure_waiting(void)
{
    u64 waits, looks, waits_after, looks_after, work;

    row_name = "lock-looks";
    if (mount("proc", "/proc", "proc", 0, NULL) < 0 && errno != EBUSY)
        fail("/proc cannot be mounted");
    read_waits(&waits, &looks);
    work = run_loops(MOST_LOOPS, CPUS_TO_WAIT);
    read_waits(&waits_after, &looks_after);
    if (!work)
        fail("the loops did nothing");
    print_row("lock-waits", (waits_after - waits) * 1000 / work);
    print_row("lock-looks", (looks_after - looks) * 1000 / work);
}

int main(void)
{
    int status, is_init = getpid() == 1;

    if (is_init)
        klogctl(SYSLOG_CONSOLE_OFF, NULL, 0);
    /* In a process of its own, because process 1 must not end. */
    long child = fork();
    if (child == 0) {
        if (sysconf(_SC_NPROCESSORS_ONLN) >= CPUS_TO_WAIT)
            measure_waiting();
        else
            measure_scaling();
        _exit(0);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0)
        ;
    puts("bench: end done 0");
    fflush(stdout);
    if (is_init)
        reboot(RB_POWER_OFF);
    return 0;
}
