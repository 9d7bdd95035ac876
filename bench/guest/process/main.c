/*
 * The process benchmarks: the same static binary is /init on Linux and on Nacre.
 *
 * Prints `ROW name value` for each row, nanoseconds an operation (instructions, under QEMU's -icount), or
 * `FAIL name why`; then `bench: end done 0`, and powers off. Each row runs in a process of its own, with an
 * alarm, so that one which crashes or hangs takes no other with it. On a normal system it runs as any program
 * does; arguments choose rows.
 */
#include "measure.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SYSLOG_CONSOLE_OFF = 6, ROW_SECONDS = 10, PROOF_INSTRUCTIONS = 100000 };

static const struct row *const all_rows[] = {
    call_rows, process_rows, switch_rows, signal_rows, memory_rows, pipe_rows,
};

/* The runner compares its own clock with ours between two of these, and proves what a nanosecond is. */
static void print_clock(void)
{
    char line[64];
    int length = snprintf(line, sizeof line, "bench: clock ticks %lu\n", now());

    if (write(STDOUT_FILENO, line, length) != length)
        _exit(2);
}

static u64 proof_batch(u64 rounds)
{
    u64 start = now();

    __asm__ volatile("1: decq %0\n\tjnz 1b" : "+r"(rounds) : : "cc");
    return since(start);
}

/* A loop of known length: two instructions a round. */
static void print_proof(void)
{
    print_row("proof-expected", PROOF_INSTRUCTIONS * 1000UL);
    print_row("proof", measure(proof_batch, PROOF_INSTRUCTIONS / 2) * (PROOF_INSTRUCTIONS / 2));
}

static int is_wanted(const char *name, char **arguments)
{
    if (!*arguments)
        return 1;
    for (; *arguments; arguments++)
        if (!strcmp(*arguments, name))
            return 1;
    return 0;
}

static void say_failed(int status)
{
    char line[128];
    const char *how = WIFSIGNALED(status) ? "killed by signal" : "ended with status";
    int code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    int length = snprintf(line, sizeof line, "FAIL %s %s %d\n", row_name, how, code);

    if (write(STDOUT_FILENO, line, length) != length)
        _exit(2);
}

static void run_row(const struct row *row)
{
    int status = 0;

    row_name = row->name;
    pid_t child = fork();
    if (child == 0) {
        alarm(ROW_SECONDS);
        row->run(row->name);
        _exit(0);
    }
    if (child < 0) {
        say_failed(255 << 8);
        return;
    }
    /* Helpers of a row that failed are orphans, and process 1 inherits them. */
    while (waitpid(child, &status, 0) < 0)
        ;
    if (WIFSIGNALED(status) || WEXITSTATUS(status) > 1)
        say_failed(status);
    while (waitpid(-1, &status, WNOHANG) > 0)
        ;
}

int main(int count, char **arguments)
{
    int is_init = getpid() == 1;

    (void)count;
    if (is_init) {
        /* What a kernel lacks, the rows that need it will tell. */
        klogctl(SYSLOG_CONSOLE_OFF, NULL, 0);
        mkdir("/proc", 0755);
        mkdir("/tmp", 01777);
        mount("proc", "/proc", "proc", 0, NULL);
        mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
    }
    calibrate();
    print_clock();
    print_proof();
    for (unsigned table = 0; table < sizeof all_rows / sizeof *all_rows; table++)
        for (const struct row *row = all_rows[table]; row->name; row++)
            if (is_wanted(row->name, arguments + 1))
                run_row(row);
    print_clock();
    puts("bench: end done 0");
    fflush(stdout);
    if (is_init)
        reboot(RB_POWER_OFF);
    return 0;
}
