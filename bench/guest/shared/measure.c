#include "measure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BATCHES = 7, CLOCK_READINGS = 101 };

const char *row_name = "start";

static u64 clock_cost;

/* What is inlined here and not elsewhere would take another time than calibrate() found. */
__attribute__((noinline)) u64 now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000UL + time.tv_nsec;
}

static int compare(const void *left, const void *right)
{
    u64 one = *(const u64 *)left, other = *(const u64 *)right;

    return (one > other) - (one < other);
}

static u64 median(u64 *values, int count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

void calibrate(void)
{
    u64 readings[CLOCK_READINGS + 1], steps[CLOCK_READINGS];

    for (int i = 0; i <= CLOCK_READINGS; i++)
        readings[i] = now();
    for (int i = 0; i < CLOCK_READINGS; i++)
        steps[i] = readings[i + 1] - readings[i];
    clock_cost = median(steps, CLOCK_READINGS);
}

__attribute__((noinline)) u64 since(u64 start)
{
    u64 time = now() - start;

    return time > clock_cost ? time - clock_cost : 0;
}

u64 time_loop(u64 rounds)
{
    u64 start = now();

    __asm__ volatile("1: decq %0\n\tjnz 1b" : "+r"(rounds) : : "cc");
    return since(start);
}

int is_counting(void)
{
    enum { ROUNDS = 5000, SLACK = 16 };
    u64 time = measure(time_loop, ROUNDS) * ROUNDS / 1000;

    return time >= 2 * ROUNDS && time <= 2 * ROUNDS + SLACK;
}

u64 measure(batch *run, u64 rounds)
{
    u64 times[BATCHES];

    run(rounds);
    for (int i = 0; i < BATCHES; i++)
        times[i] = run(rounds);
    return median(times, BATCHES) * 1000 / rounds;
}

void measure_row(const char *name, batch *run, u64 rounds)
{
    print_row(name, measure(run, rounds));
}

/* One write a line, so that nothing gets in between. */
static void print_line(const char *line, int length)
{
    if (write(STDOUT_FILENO, line, length) != length)
        _exit(2);
}

void print_row(const char *name, u64 thousandths)
{
    char line[128];

    print_line(line, snprintf(line, sizeof line, "ROW %s %lu.%03lu\n", name, thousandths / 1000, thousandths % 1000));
}

void fail(const char *why)
{
    char line[256];

    print_line(line, snprintf(line, sizeof line, "FAIL %s %.160s\n", row_name, why));
    _exit(1);
}

long check(const char *call, long result)
{
    char why[160];

    if (result >= 0)
        return result;
    snprintf(why, sizeof why, "%s: %s", call, strerror(errno));
    fail(why);
}

void expect(const char *call, long result, long wanted)
{
    char why[160];

    check(call, result);
    if (result == wanted)
        return;
    snprintf(why, sizeof why, "%s: %ld instead of %ld", call, result, wanted);
    fail(why);
}

void reap(long child)
{
    char why[80];
    int status;

    check("waitpid", waitpid(child, &status, 0));
    if (status == 0)
        return;
    snprintf(why, sizeof why, "a child ended with status %#x", status);
    fail(why);
}
