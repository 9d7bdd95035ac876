/*
 * The /init that runs a list of test programs in one boot, on Linux as on Nacre.
 *
 * /tests.list holds lines `SECONDS PATH ARGUMENTS...`. Each program's output goes to the console; when it ends
 * there is a line `process: ok NAME` or `process: FAILED NAME: why`, and after the last `process: done N passed,
 * N failed`. NAME is the path without `/tests/`. `tmp=/dev/vda` mounts
 * that disk's ext2 on /tmp. `only=TEXT` on the kernel's command line selects by name, `init.arguments=-v`
 * adds an argument. The machine is switched off at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_ARGUMENTS = 16, PREFIX = sizeof "/tests/" - 1 };

static int passed, failed;
static char command_line[1024];

static __attribute__((format(printf, 1, 2))) void say(const char *format, ...)
{
    char line[512];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(line, sizeof line, format, list);
    va_end(list);
    if (write(1, line, length < (int)sizeof line ? (size_t)length : sizeof line - 1) < 0) return;
}

/* Each may be there already, or be unknown to the kernel: the programs will tell what they miss. */
static void mount_all(void)
{
    static const char *const mounts[][2] = {
        {"devtmpfs", "/dev"}, {"proc", "/proc"}, {"tmpfs", "/tmp"}, {"sysfs", "/sys"}, {"tmpfs", "/dev/shm"}, {"mqueue", "/dev/mqueue"}, {"devpts", "/dev/pts"},
    };
    for (unsigned i = 0; i < sizeof mounts / sizeof *mounts; i++) {
        mkdir(mounts[i][1], 0755);
        mount(mounts[i][0], mounts[i][1], mounts[i][0], 0, NULL);
    }
    chmod("/dev/shm", 01777);
}

/* The kernel's first program has no open descriptors unless /dev/console was in the archive. */
static void open_console(void)
{
    if (fcntl(2, F_GETFD) != -1) return;
    int console = open("/dev/console", O_RDWR);
    if (console < 0) return;
    dup2(console, 0);
    dup2(console, 1);
    dup2(console, 2);
    if (console > 2) close(console);
}

/* The value of `name=` on the command line, or "". */
static const char *word(const char *name)
{
    static char value[128];
    const char *found = command_line;
    size_t length = strlen(name);

    value[0] = 0;
    while ((found = strstr(found, name))) {
        if ((found == command_line || found[-1] == ' ') && found[length] == '=') {
            snprintf(value, sizeof value, "%.*s", (int)strcspn(found + length + 1, " \n"), found + length + 1);
            break;
        }
        found += length;
    }
    return value;
}

static void read_command_line(void)
{
    int file = open("/proc/cmdline", O_RDONLY);
    if (file < 0) return;
    ssize_t length = read(file, command_line, sizeof command_line - 1);
    command_line[length > 0 ? length : 0] = 0;
    close(file);
}

/* The folder the tests work in: in memory, or on a disk. */
static void mount_tmp(void)
{
    const char *disk = word("tmp");

    if (*disk && mount(disk, "/tmp", "ext2", 0, NULL) < 0) {
        say("process: FAILED mount: %s is not mounted: %s\n", disk, strerror(errno));
        failed++;
    }
    chmod("/tmp", 01777);
}

static long long now_ms(void)
{
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void become(char **arguments)
{
    char *environment[] = {"PATH=/bin:/usr/bin", "HOME=/", "TERM=vt100", NULL};
    struct rlimit no_core = {0, 0};

    setsid();
    setrlimit(RLIMIT_CORE, &no_core);
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0) {
        dup2(null, 0);
        if (null > 0) close(null);
    }
    if (chdir("/") == 0) execve(arguments[0], arguments, environment);
    say("process: cannot execute %s: %s\n", arguments[0], strerror(errno));
    _exit(127);
}

/* Waits for the program and for orphans meanwhile. Returns whether it ended in time. */
static int wait_until(pid_t pid, long long end, int *status)
{
    for (;;) {
        pid_t ended = waitpid(-1, status, WNOHANG);
        if (ended == pid) return 1;
        if (ended > 0) continue;
        if (ended < 0 && errno == ECHILD) return 1;
        if (now_ms() > end) return 0;
        struct timespec pause = {0, 2000000};
        nanosleep(&pause, NULL);
    }
}

static void run(long seconds, char **arguments)
{
    const char *name = strncmp(arguments[0], "/tests/", PREFIX) ? arguments[0] : arguments[0] + PREFIX;
    int status = 0;

    say("process: run %s\n", name);
    pid_t pid = fork();
    if (pid == 0) become(arguments);
    if (pid < 0) {
        say("process: FAILED %s: fork: %s\n", name, strerror(errno));
        failed++;
        return;
    }
    if (!wait_until(pid, now_ms() + seconds * 1000, &status)) {
        kill(-1, SIGKILL);
        wait_until(pid, now_ms() + 5000, &status);
        say("process: FAILED %s: no end after %ld s\n", name, seconds);
        failed++;
    } else if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        say("process: ok %s\n", name);
        passed++;
        return;
    } else if (WIFEXITED(status)) {
        say("process: FAILED %s: exited with %d\n", name, WEXITSTATUS(status));
        failed++;
    } else {
        say("process: FAILED %s: killed by signal %d\n", name, WTERMSIG(status));
        failed++;
    }
}

/* What the kernel has given out and should have back. */
struct given {
    long memory_kib, tasks, files;
};

static struct given count_given(void)
{
    struct sysinfo facts;
    struct given now = {0, 0, -1};
    FILE *file = fopen("/proc/sys/fs/file-nr", "r");

    if (file) {
        if (fscanf(file, "%ld", &now.files) != 1) now.files = -1;
        fclose(file);
    }
    if (sysinfo(&facts) == 0) {
        now.memory_kib = (long)((facts.totalram - facts.freeram) * facts.mem_unit / 1024);
        now.tasks = facts.procs;
    }
    return now;
}

/*
 * A stress test runs twice: what the kernel keeps for next time is there after the first run, so the second one must
 * leave as much memory, as many process numbers and as many open files as it found.
 */
static void run_stress(long seconds, char **arguments)
{
    /* Tables that grew with the number of processes that happened to live at once stay; see docs/testing.md. */
    enum { TOLERANCE_KIB = 4096 };
    /* Linux counts in batches, a CPU at a time. */
    enum { TOLERANCE_FILES = 32 };

    run(seconds, arguments);
    struct given before = count_given();
    run(seconds, arguments);
    struct given after = count_given();
    /* What a test killed last may still be on its way out. */
    for (long long end = now_ms() + 5000; after.tasks > before.tasks && now_ms() < end; after = count_given()) {
        while (waitpid(-1, NULL, WNOHANG) > 0);
    }
    if (before.files < 0 || after.memory_kib > before.memory_kib + TOLERANCE_KIB || after.tasks > before.tasks ||
        after.files > before.files + TOLERANCE_FILES) {
        say("process: FAILED leak-after-%s: %ld KiB, %ld tasks and %ld open files more than before\n",
            arguments[0] + PREFIX, after.memory_kib - before.memory_kib, after.tasks - before.tasks,
            after.files - before.files);
        failed++;
    } else {
        say("process: ok leak-after-%s\n", arguments[0] + PREFIX);
        passed++;
    }
}

static void run_line(char *line)
{
    char *arguments[MOST_ARGUMENTS + 2], *rest = NULL, *more;
    int count = 0;
    char *seconds = strtok_r(line, " \n", &rest);

    if (!seconds || *seconds == '#') return;
    for (char *next; count < MOST_ARGUMENTS && (next = strtok_r(NULL, " \n", &rest));) arguments[count++] = next;
    if (count == 0 || !strstr(arguments[0], word("only"))) return;
    more = strdup(word("init.arguments"));
    if (more && *more) arguments[count++] = more;
    arguments[count] = NULL;
    (strstr(arguments[0], "stress-") ? run_stress : run)(atol(seconds), arguments);
    free(more);
}

static void run_all(void)
{
    static char list[16384];
    int file = open("/tests.list", O_RDONLY);
    ssize_t length = file < 0 ? -1 : read(file, list, sizeof list - 1);
    char *rest = NULL;

    if (length < 0) {
        say("process: no /tests.list: %s\n", strerror(errno));
        return;
    }
    close(file);
    for (char *line = strtok_r(list, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) run_line(line);
}

int main(void)
{
    mount_all();
    open_console();
    read_command_line();
    mount_tmp();
    run_all();
    say("process: done %d passed, %d failed\n", passed, failed);
    sync();
    if (getpid() == 1) reboot(RB_POWER_OFF);
    return failed != 0;
}
