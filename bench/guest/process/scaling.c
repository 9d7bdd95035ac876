/*
 * What a second CPU is good for: loops of fork, exec and wait, one alone and two at a time, each on a CPU of its
 * own. Prints `ROW scaling R`: the work of two in a given time divided by the work of one.
 */
#define _GNU_SOURCE
#include "measure.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/klog.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SYSLOG_CONSOLE_OFF = 6, ROUNDS = 3, LOOPS = 2, READ_END = 0, WRITE_END = 1 };

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
static u64 run_loops(int loops)
{
    u64 total = 0, count, start = now() + warm_up_ns;
    int result[2];
    long children[LOOPS];

    check("pipe", pipe(result));
    for (int i = 0; i < loops; i++) {
        children[i] = check("fork", fork());
        if (children[i] == 0)
            work(i, start, result[WRITE_END]);
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
        one[i] = run_loops(1);
        two[i] = run_loops(LOOPS);
        print_row("scaling-one", one[i] * 1000);
        print_row("scaling-two", two[i] * 1000);
    }
    qsort(one, ROUNDS, sizeof *one, compare);
    qsort(two, ROUNDS, sizeof *two, compare);
    if (!one[ROUNDS / 2])
        fail("one loop did nothing");
    print_row("scaling", two[ROUNDS / 2] * 1000 / one[ROUNDS / 2]);
}

int main(void)
{
    int status, is_init = getpid() == 1;

    if (is_init)
        klogctl(SYSLOG_CONSOLE_OFF, NULL, 0);
    /* In a process of its own, because process 1 must not end. */
    long child = fork();
    if (child == 0) {
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
