/* System calls that do next to nothing. */
#include "measure.h"
#include "tables.h"

#include <errno.h>
#include <sys/syscall.h>

enum { ROUNDS = 5000 };

static long number;

static u64 call_batch(u64 rounds)
{
    u64 start = now();

    while (rounds--)
        raw_call(number, 0, 0, 0, 0);
    return since(start);
}

static u64 empty_batch(u64 rounds)
{
    u64 start = now();

    while (rounds--)
        __asm__ volatile("" : : "a"(number), "D"(0), "S"(0), "d"(0));
    return since(start);
}

static void measure_call(const char *name, long call)
{
    number = call;
    if (raw_call(number, 0, 0, 0, 0) == -ENOSYS)
        fail("the kernel does not have the call");
    u64 full = measure(call_batch, ROUNDS), empty = measure(empty_batch, ROUNDS);
    print_row(name, full > empty ? full - empty : 0);
}

static void null_call(const char *name)
{
    measure_call(name, SYS_getpid);
}

static void getppid_call(const char *name)
{
    measure_call(name, SYS_getppid);
}

const struct row call_rows[] = { { "null", null_call }, { "getppid", getppid_call }, { 0 } };
