#include "rows.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SYSLOG_CONSOLE_OFF = 6, PROOF_INSTRUCTIONS = 100000 };

/* The runner compares its own clock with ours between two of these, and proves what a nanosecond is. */
static void print_clock(void)
{
    char line[64];
    int length = snprintf(line, sizeof line, "bench: clock ticks %lu\n", now());

    if (write(STDOUT_FILENO, line, length) != length)
        _exit(2);
}

/* A loop of known length: two instructions a round. */
static void print_proof(void)
{
    print_row("proof-expected", PROOF_INSTRUCTIONS * 1000UL);
    print_row("proof", measure(time_loop, PROOF_INSTRUCTIONS / 2) * (PROOF_INSTRUCTIONS / 2));
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

static void run_row(const struct row *row, unsigned seconds)
{
    int status = 0;

    row_name = row->name;
    pid_t child = fork();
    if (child == 0) {
        alarm(seconds);
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

void run_as_program(const struct program *program, char **arguments)
{
    int is_init = getpid() == 1;

    if (is_init) {
        /* What a kernel lacks, the rows that need it will tell. */
        klogctl(SYSLOG_CONSOLE_OFF, NULL, 0);
        mkdir("/proc", 0755);
        mkdir("/tmp", 01777);
        mount("proc", "/proc", "proc", 0, NULL);
        mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
        if (program->prepare_init)
            program->prepare_init();
    }
    calibrate();
    print_clock();
    print_proof();
    for (const struct row *const *table = program->tables; *table; table++)
        for (const struct row *row = *table; row->name; row++)
            if (is_wanted(row->name, arguments + 1))
                run_row(row, program->row_seconds);
    print_clock();
    puts("bench: end done 0");
    fflush(stdout);
    if (is_init)
        reboot(RB_POWER_OFF);
}
