/*
 * What every behaviour test shares: cases, checks, children, a scratch folder.
 *
 * A program is a list of cases. Each case runs in a child of its own, in its own process group, with the scratch
 * folder as working directory; a case that dies or takes too long fails alone. Checks go on after a failure,
 * REQUIRE ends the case. The last line is `ok NAME n checks` or `FAIL NAME: ...`, the exit code 0 or 1.
 *
 *   NAME            all cases              NAME -v      say which case runs
 *   NAME CASE...    only these             NAME -n      in one process, without fork (to bring up a kernel)
 *
 * Nothing here knows the kernel: what passes on Linux must pass on Nacre, unchanged.
 */
#ifndef CHECK_H
#define CHECK_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SHARED_HELPER static __attribute__((unused))

/* A case that runs longer hangs. Generous: a guest without hardware help is fifty times slower. */
enum { CASE_SECONDS = 40 };

enum { PAGE = 4096 };

/* Addresses that no program may touch. */
#define KERNEL_ADDRESS ((void *)0xffffffff80200000UL)
#define WILD_ADDRESS ((void *)0x8000000000000000UL)
#define UNMAPPED_ADDRESS ((void *)0x10UL)

struct test_case {
    const char *name;
    void (*run)(void);
};

struct check_tally {
    atomic_int checks, failures;
};

static struct check_tally check_own_tally;
static struct check_tally *check_tally = &check_own_tally;
static const char *check_program = "?";
static char check_path[512];
static const char *check_case = "";

/* The absolute path of this program, to execute it again. */
SHARED_HELPER const char *own_path(void) { return check_path; }

/* The path of a file that stands beside this program. */
SHARED_HELPER const char *beside(const char *name)
{
    static char path[600];
    snprintf(path, sizeof path, "%.*s%s", (int)(strrchr(check_path, '/') + 1 - check_path), check_path, name);
    return path;
}

/* One write, so that lines of several processes do not mix. */
SHARED_HELPER __attribute__((format(printf, 1, 2))) void say(const char *format, ...)
{
    char line[1024];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(line, sizeof line, format, list);
    va_end(list);
    if (length >= (int)sizeof line) length = sizeof line - 1;
    if (write(1, line, (size_t)length) < 0) _exit(99);
}

SHARED_HELPER __attribute__((format(printf, 4, 5))) bool check_note(bool good, const char *file, int number,
                                                                    const char *format, ...)
{
    int saved = errno;
    atomic_fetch_add(&check_tally->checks, 1);
    if (!good) {
        char text[700];
        va_list list;
        va_start(list, format);
        vsnprintf(text, sizeof text, format, list);
        va_end(list);
        atomic_fetch_add(&check_tally->failures, 1);
        say("FAIL %s: %s:%d: %s: %s\n", check_program, file, number, check_case, text);
    }
    errno = saved;
    return good;
}

#define CHECK_PLACE __FILE_NAME__, __LINE__

/* The condition holds. errno is shown if not: most conditions are about a call. */
#define CHECK(condition)                                                                                  \
    ({                                                                                                    \
        errno = 0;                                                                                        \
        bool good_ = (condition);                                                                         \
        check_note(good_, CHECK_PLACE, "%s (errno %d: %s)", #condition, errno, strerror(errno));          \
    })

/* As CHECK, but without it the case cannot go on. */
#define REQUIRE(condition)                                                                                \
    do {                                                                                                  \
        if (!CHECK(condition)) _exit(98);                                                                 \
    } while (0)

/* As REQUIRE, for what is not the matter of the test: it counts only when it fails. */
#define NEED(condition)                                                                                   \
    do {                                                                                                  \
        if (!(condition)) {                                                                               \
            check_note(false, CHECK_PLACE, "%s (errno %d: %s)", #condition, errno, strerror(errno));      \
            _exit(98);                                                                                    \
        }                                                                                                 \
    } while (0)

/* Two whole numbers are the same. */
#define CHECK_EQ(left, right)                                                                             \
    ({                                                                                                    \
        errno = 0;                                                                                        \
        long left_ = (long)(left), right_ = (long)(right);                                                \
        check_note(left_ == right_, CHECK_PLACE, "%s is %ld (%#lx), expected %s = %ld (%#lx) (errno %d: %s)", \
                   #left, left_, (unsigned long)left_, #right, right_, (unsigned long)right_, errno,      \
                   strerror(errno));                                                                      \
    })

/* The call succeeds with 0. */
#define CHECK_OK(call) CHECK_EQ(call, 0)

/* The call fails with -1 and this errno. */
#define CHECK_ERR(call, code)                                                                             \
    ({                                                                                                    \
        errno = 0;                                                                                        \
        long result_ = (long)(call);                                                                      \
        int errno_ = errno;                                                                               \
        check_note(result_ == -1 && errno_ == (code), CHECK_PLACE,                                        \
                   "%s: expected " #code ", got %ld with errno %d: %s", #call, result_, errno_,           \
                   strerror(errno_));                                                                     \
    })

/* A wait status says: exited with this code, or killed by this signal. */
#define CHECK_EXITED(status, code)                                                                        \
    ({                                                                                                    \
        int status_ = (status);                                                                           \
        check_note(WIFEXITED(status_) && WEXITSTATUS(status_) == (code), CHECK_PLACE,                     \
                   "%s: wait status %#x, expected exit %d", #status, status_, (int)(code));               \
    })
#define CHECK_KILLED(status, number)                                                                      \
    ({                                                                                                    \
        int status_ = (status);                                                                           \
        check_note(WIFSIGNALED(status_) && WTERMSIG(status_) == (number), CHECK_PLACE,                    \
                   "%s: wait status %#x, expected death by signal %d", #status, status_, (int)(number));  \
    })

/* Waits for a child however often a signal interrupts. Returns its status. */
SHARED_HELPER int status_of(pid_t pid)
{
    int status = -1;
    while (waitpid(pid, &status, 0) == -1) {
        if (errno != EINTR) return -1;
    }
    return status;
}

/* Runs the statements in a child, which then exits with 0 unless they exit otherwise. Gives its pid. */
#define CHILD(...)                                                                                        \
    ({                                                                                                    \
        pid_t pid_ = fork();                                                                              \
        if (pid_ == 0) {                                                                                  \
            __VA_ARGS__;                                                                                  \
            _exit(0);                                                                                     \
        }                                                                                                 \
        pid_;                                                                                             \
    })
#define CHILD_STATUS(...) status_of(CHILD(__VA_ARGS__))

SHARED_HELPER long long clock_ns(clockid_t clock)
{
    struct timespec now = {0, 0};
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

SHARED_HELPER long long now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

SHARED_HELPER void sleep_ms(long milliseconds)
{
    struct timespec left = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    while (nanosleep(&left, &left) == -1 && errno == EINTR) continue;
}

/* The state letter in /proc/PID/stat, or '?' without it. Works for threads too. */
SHARED_HELPER char state_of(pid_t pid)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return '?';
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    char *after = length > 0 ? strrchr(text, ')') : NULL;
    return after && after[1] ? after[2] : '?';
}

/* Waits until another process or thread sleeps (S), is stopped (T) or a zombie (Z). */
SHARED_HELPER void wait_for_state(pid_t pid, char state)
{
    for (int tries = 0; tries < 5000; tries++) {
        char found = state_of(pid);
        if (found == state) return;
        if (found == '?') {
            sleep_ms(50);
            return;
        }
        sleep_ms(1);
    }
}

SHARED_HELPER void *map_pages(size_t pages, int protection)
{
    void *memory = mmap(NULL, pages * PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(memory != MAP_FAILED);
    return memory;
}

/* Memory that children share. */
SHARED_HELPER void *map_shared(size_t pages)
{
    void *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    NEED(memory != MAP_FAILED);
    return memory;
}

SHARED_HELPER int make_file(const char *path, const void *bytes, size_t length, mode_t mode)
{
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    NEED(file >= 0);
    NEED(write(file, bytes, length) == (ssize_t)length);
    NEED(fchmod(file, mode) == 0);
    return file;
}

SHARED_HELPER void write_file(const char *path, const char *text, mode_t mode)
{
    close(make_file(path, text, strlen(text), mode));
}

/* The lowest free descriptor: equal before and after a case that leaks nothing. */
SHARED_HELPER int next_descriptor(void)
{
    int file = dup(0);
    close(file);
    return file;
}

SHARED_HELPER void remove_tree(const char *path)
{
    DIR *folder = opendir(path);
    if (folder) {
        for (struct dirent *entry; (entry = readdir(folder));) {
            char inner[1024];
            if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
            snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
            struct stat facts;
            if (lstat(inner, &facts) == 0 && S_ISDIR(facts.st_mode)) {
                remove_tree(inner);
            } else {
                unlink(inner);
            }
        }
        closedir(folder);
    }
    rmdir(path);
}

/* Waits for all children, ends what a case left running. Says whether there was anything. */
SHARED_HELPER bool check_sweep(pid_t group)
{
    bool was_any = false;
    while (waitpid(-1, NULL, WNOHANG) > 0) continue; /* orphans that ended by themselves are no fault */
    if (group > 0 && kill(-group, SIGKILL) == 0) was_any = true;
    for (int tries = 0; tries < 2000; tries++) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid < 0) break;
        if (pid == 0) sleep_ms(1);
    }
    return was_any;
}

SHARED_HELPER void check_run(const struct test_case *one)
{
    int before = atomic_load(&check_tally->failures), status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        /* A folder for each, so that names do not meet. */
        if (mkdir(one->name, 0777) != 0 || chmod(one->name, 0777) != 0 || chdir(one->name) != 0) {
            check_note(false, CHECK_PLACE, "no scratch folder: %s", strerror(errno));
        }
        one->run();
        _exit(97);
    }
    if (pid < 0) {
        check_note(false, CHECK_PLACE, "fork: %s", strerror(errno));
        return;
    }
    long long end = now_ns() + CASE_SECONDS * 1000000000LL;
    for (long pause = 50; waitpid(pid, &status, WNOHANG) == 0; pause = pause < 5000 ? pause * 2 : pause) {
        struct timespec time = {0, pause * 1000};
        nanosleep(&time, NULL);
        if (now_ns() < end) continue;
        kill(-pid, SIGKILL);
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        check_note(false, CHECK_PLACE, "no end after %d s", CASE_SECONDS);
        check_sweep(pid);
        return;
    }
    bool left = check_sweep(pid);
    if (atomic_load(&check_tally->failures) > before) return; /* the reason has been printed */
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 97) {
        check_note(false, CHECK_PLACE, "the case ended early, wait status %#x", status);
    } else if (left) {
        check_note(false, CHECK_PLACE, "the case left processes behind");
    }
}

SHARED_HELPER int check_main(int argc, char **argv, int (*helper)(int, char **), const struct test_case *cases)
{
    bool is_verbose = false, forks = true, is_chosen = false;
    char folder[64];

    if (argv[0][0] == '/' || !getcwd(check_path, sizeof check_path / 2)) check_path[0] = 0;
    if (check_path[0]) strcat(check_path, "/");
    strncat(check_path, argv[0], sizeof check_path / 2 - 1);
    check_program = strrchr(check_path, '/') + 1;
    if (argc > 1 && argv[1][0] == '@') return helper ? helper(argc - 1, argv + 1) : 2;

    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGCHLD, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    umask(022);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    for (int file = 3; file < 1024; file++) close(file);
    snprintf(folder, sizeof folder, "/tmp/%s.%d", check_program, getpid());
    remove_tree(folder);
    if (mkdir(folder, 0777) != 0 || chmod(folder, 0777) != 0 || chdir(folder) != 0) {
        say("FAIL %s: no scratch folder %s: %s\n", check_program, folder, strerror(errno));
        return 1;
    }
    void *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared != MAP_FAILED) check_tally = shared;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "-v")) is_verbose = true;
        else if (!strcmp(argv[i], "-n")) forks = false;
        else is_chosen = true;
    }
    int number = 0;
    for (const struct test_case *one = cases; one->name; one++) {
        bool wanted = !is_chosen;
        for (int i = 1; i < argc; i++) wanted |= !strcmp(argv[i], one->name);
        number++;
        if (!wanted) continue;
        check_case = one->name;
        if (is_verbose) say("case %d %s\n", number, one->name);
        if (forks) check_run(one);
        else one->run();
    }
    if (chdir("/") == 0) remove_tree(folder);
    int checks = atomic_load(&check_tally->checks), failures = atomic_load(&check_tally->failures);
    if (failures == 0 && checks > 0) {
        say("ok %s %d checks\n", check_program, checks);
        return 0;
    }
    say("FAIL %s: %d of %d checks failed\n", check_program, failures, checks);
    return 1;
}

#define CASE(function) {#function, function}
#define CASES_WITH_HELPER(helper, ...)                                                                    \
    int main(int argc, char **argv)                                                                       \
    {                                                                                                     \
        static const struct test_case cases[] = {__VA_ARGS__, {NULL, NULL}};                              \
        return check_main(argc, argv, helper, cases);                                                     \
    }
#define CASES(...) CASES_WITH_HELPER(NULL, __VA_ARGS__)

#endif
