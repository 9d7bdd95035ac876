/* Bytes and words between two processes or threads: pipes, futexes. */
#define _GNU_SOURCE
#include "measure.h"
#include "tables.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { READ_END, WRITE_END, BLOCK = 64 * KIB };

static int there[2], back[2];
static char block[BLOCK];

/* Makes both pipes and a process that does `serve`; the parent keeps only its own ends. */
static void start_partner(void (*serve)(void))
{
    check("pipe", pipe(there));
    check("pipe", pipe(back));
    if (check("fork", fork()) == 0) {
        close(there[WRITE_END]);
        close(back[READ_END]);
        serve();
        _exit(0);
    }
    close(there[READ_END]);
    close(back[WRITE_END]);
}

static void echo(void)
{
    char byte;

    while (read(there[READ_END], &byte, 1) == 1)
        if (write(back[WRITE_END], &byte, 1) != 1)
            _exit(1);
}

static u64 round_trip_batch(u64 rounds)
{
    char byte = 1;
    u64 start = now();

    while (rounds--)
        if (write(there[WRITE_END], &byte, 1) != 1 || read(back[READ_END], &byte, 1) != 1)
            fail("the pipe is broken");
    return since(start);
}

static void pipe_latency(const char *name)
{
    start_partner(echo);
    measure_row(name, round_trip_batch, 500);
}

/* Reads, and says so after each MiB. */
static void swallow(void)
{
    long length, total = 0;

    while ((length = read(there[READ_END], block, BLOCK)) > 0) {
        total += length;
        if (total < MIB)
            continue;
        total -= MIB;
        if (write(back[WRITE_END], block, 1) != 1)
            _exit(1);
    }
}

static u64 mib_batch(u64 rounds)
{
    char byte;
    u64 start = now();

    while (rounds--) {
        for (int written = 0; written < MIB; written += BLOCK)
            if (write(there[WRITE_END], block, BLOCK) != BLOCK)
                fail("a short write");
        if (read(back[READ_END], &byte, 1) != 1)
            fail("the pipe is broken");
    }
    return since(start);
}

static void pipe_bandwidth(const char *name)
{
    memset(block, 1, BLOCK);
    start_partner(swallow);
    measure_row(name, mib_batch, 8);
}

enum { FUTEX_ROUNDS = 500 };

static _Atomic int ping, pong;

static void wake(_Atomic int *word, int value)
{
    atomic_store(word, value);
    raw_call(SYS_futex, (u64)word, FUTEX_WAKE_PRIVATE, 1, 0);
}

static void wait_until(_Atomic int *word, int value)
{
    int seen;

    while ((seen = atomic_load(word)) != value)
        raw_call(SYS_futex, (u64)word, FUTEX_WAIT_PRIVATE, seen, 0);
}

static void *answer(void *nothing)
{
    for (int turn = 1;; turn++) {
        wait_until(&ping, turn);
        wake(&pong, turn);
    }
    return nothing;
}

static u64 futex_batch(u64 rounds)
{
    static int turn;
    u64 start = now();

    while (rounds--) {
        turn++;
        wake(&ping, turn);
        wait_until(&pong, turn);
    }
    return since(start);
}

/* A round trip between two threads. */
static void futex(const char *name)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, answer, NULL))
        fail("pthread_create failed");
    measure_row(name, futex_batch, FUTEX_ROUNDS);
}

const struct row pipe_rows[] = {
    { "pipe-latency", pipe_latency }, { "pipe-bandwidth", pipe_bandwidth }, { "futex", futex }, { 0 },
};
