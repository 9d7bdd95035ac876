/*
 * Context switches, as lmbench's lat_ctx has them: a token goes around a ring of processes through pipes, and
 * each reads through its own memory before it passes the token on. What one process needs to do that alone,
 * with a pipe to itself, is subtracted; the rest of a hop is the switch.
 */
#include "measure.h"
#include "tables.h"

#include <stdlib.h>
#include <unistd.h>

enum { READ_END, WRITE_END, MAX_PROCESSES = 16, HOPS = 800 };

static int pipes[MAX_PROCESSES][2];
static int alone[2];
static int process_count;
static u64 *memory, memory_words;

static void touch(void)
{
    u64 sum = 0;

    for (u64 i = 0; i < memory_words; i++)
        sum += memory[i];
    __asm__ volatile("" : : "r"(sum));
}

/* Takes the token, works, passes the token on; 0 at the end of the ring. */
static int pass_on(int from, int to)
{
    char token;

    if (read(from, &token, 1) != 1)
        return 0;
    touch();
    return write(to, &token, 1) == 1;
}

static u64 ring_batch(u64 rounds)
{
    u64 start = now();

    /* The token waits in the pipe of process 0, which is this one. */
    for (u64 trips = rounds / process_count; trips; trips--)
        if (!pass_on(pipes[0][READ_END], pipes[1 % process_count][WRITE_END]))
            fail("the ring is broken");
    return since(start);
}

static u64 alone_batch(u64 rounds)
{
    u64 start = now();

    while (rounds--)
        if (!pass_on(alone[READ_END], alone[WRITE_END]))
            fail("the pipe is broken");
    return since(start);
}

static void fill_memory(u64 bytes)
{
    memory_words = bytes / sizeof *memory;
    if (bytes && !(memory = malloc(bytes)))
        fail("malloc failed");
    for (u64 i = 0; i < memory_words; i++)
        memory[i] = i;
}

/* Process `number` of the ring, until the process before it is gone. */
static void serve(int number)
{
    int from = number, to = (number + 1) % process_count;

    for (int i = 0; i < process_count; i++) {
        if (i != from)
            close(pipes[i][READ_END]);
        if (i != to)
            close(pipes[i][WRITE_END]);
    }
    fill_memory(memory_words * sizeof *memory);
    while (pass_on(pipes[from][READ_END], pipes[to][WRITE_END]))
        ;
    _exit(0);
}

static void measure_ring(const char *name, int processes, u64 bytes)
{
    u64 rounds = HOPS;

    process_count = processes;
    fill_memory(bytes);
    check("pipe", pipe(alone));
    if (write(alone[WRITE_END], "t", 1) != 1)
        fail("cannot write to a pipe");
    u64 overhead = measure(alone_batch, rounds);

    for (int i = 0; i < processes; i++)
        check("pipe", pipe(pipes[i]));
    for (int i = 1; i < processes; i++)
        if (check("fork", fork()) == 0)
            serve(i);
    if (write(pipes[0][WRITE_END], "t", 1) != 1)
        fail("cannot write to a pipe");
    u64 hop = measure(ring_batch, rounds);
    print_row(name, hop > overhead ? hop - overhead : 0);
}

static void switch_2_0k(const char *name)
{
    measure_ring(name, 2, 0);
}

static void switch_2_64k(const char *name)
{
    measure_ring(name, 2, 64 * KIB);
}

static void switch_16_0k(const char *name)
{
    measure_ring(name, 16, 0);
}

static void switch_16_64k(const char *name)
{
    measure_ring(name, 16, 64 * KIB);
}

const struct row switch_rows[] = {
    { "switch-2-0k", switch_2_0k },     { "switch-2-64k", switch_2_64k },   { "switch-16-0k", switch_16_0k },
    { "switch-16-64k", switch_16_64k }, { 0 },
};
