/* Processes and threads: from making one to waiting for its end. */
#define _GNU_SOURCE
#include "measure.h"
#include "tables.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static char *const exit_program[] = { "/bin/exit", NULL };
static char *const shell_true[] = { "/bin/sh", "-c", "true", NULL };
static char *const no_environment[] = { NULL };

static u64 fork_exit_batch(u64 rounds)
{
    u64 start = now();

    while (rounds--) {
        long child = check("fork", fork());
        if (child == 0)
            _exit(0);
        reap(child);
    }
    return since(start);
}

static void fork_exit(const char *name)
{
    measure_row(name, fork_exit_batch, 100);
}

/* Huge pages are left to the kernel. */
static void fork_exit_64m(const char *name)
{
    char *area = mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (area == MAP_FAILED)
        check("mmap", -1);
    memset(area, 1, 64 * MIB);
    measure_row(name, fork_exit_batch, 10);
}

static char *const *program;

__attribute__((noreturn)) static void run_program(void)
{
    execve(program[0], program, no_environment);
    _exit(127);
}

static u64 fork_exec_batch(u64 rounds)
{
    u64 start = now();

    while (rounds--) {
        long child = check("fork", fork());
        if (child == 0)
            run_program();
        reap(child);
    }
    return since(start);
}

/* A function of its own, because the child shares the variables of the caller. */
__attribute__((noinline)) static long vfork_program(void)
{
    long child = vfork();

    if (child == 0)
        run_program();
    return child;
}

static u64 vfork_exec_batch(u64 rounds)
{
    u64 start = now();

    while (rounds--)
        reap(check("vfork", vfork_program()));
    return since(start);
}

static void need(char *const *wanted)
{
    char why[64];

    program = wanted;
    if (access(program[0], X_OK) == 0)
        return;
    snprintf(why, sizeof why, "there is no %s", program[0]);
    fail(why);
}

static void vfork_exec(const char *name)
{
    need(exit_program);
    measure_row(name, vfork_exec_batch, 50);
}

static void fork_exec(const char *name)
{
    need(exit_program);
    measure_row(name, fork_exec_batch, 50);
}

static void sh_true(const char *name)
{
    need(shell_true);
    measure_row(name, fork_exec_batch, 20);
}

static void *end_at_once(void *nothing)
{
    return nothing;
}

static u64 thread_batch(u64 rounds)
{
    pthread_t thread;
    u64 start = now();

    while (rounds--) {
        if (pthread_create(&thread, NULL, end_at_once, NULL))
            fail("pthread_create failed");
        if (pthread_join(thread, NULL))
            fail("pthread_join failed");
    }
    return since(start);
}

static void thread(const char *name)
{
    measure_row(name, thread_batch, 200);
}

const struct row process_rows[] = {
    { "fork-exit", fork_exit }, { "fork-exit-64m", fork_exit_64m }, { "vfork-exec", vfork_exec },
    { "fork-exec", fork_exec }, { "sh-true", sh_true },             { "thread", thread },
    { 0 },
};
