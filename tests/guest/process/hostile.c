/*
 * Every system call with every kind of bad pointer and extreme number in every place: each either fails with a proper
 * errno, succeeds, or ends its own process by an ordinary signal. On Nacre it also shows that the kernel is still there.
 *
 * Calls run in children, a batch of argument lists each, without rights (an ordinary user in an empty folder) and with
 * an alarm: some may sleep, some may end the child; the next batch goes on after the list that ended this one.
 */
#include "check.h"

#include <sched.h>
#include <sys/time.h>

enum { LAST = 460, LISTS = 60, LINES = 512 };

/* What cannot be tried blindly, and why. */
static const struct {
    int number;
    const char *why;
} skipped[] = {
    {SYS_exit, "ends the child and says nothing"},
    {SYS_exit_group, "ends the child and says nothing"},
    {SYS_fork, "makes a second driver"},
    {SYS_vfork, "makes a second driver on this stack"},
    {SYS_clone, "makes a second driver; clone.c has its errors"},
    {435 /* clone3 */, "makes a second driver; clone.c has its errors"},
    {SYS_pause, "never returns"},
    {SYS_rt_sigsuspend, "never returns"},
    {SYS_rt_sigreturn, "restores what is on the stack; frames.c spoils frames"},
    {SYS_kill, "-1 reaches every process of this user"},
    {SYS_tkill, "could reach the driver"},
    {SYS_tgkill, "could reach the driver"},
    {SYS_rt_sigqueueinfo, "could reach the driver"},
    {SYS_rt_tgsigqueueinfo, "could reach the driver"},
    {SYS_reboot, "a bug in its permission check would end the machine"},
    {SYS_vhangup, "hangs up the terminal of the test"},
    {SYS_alarm, "takes away the deadline"},
    {SYS_setitimer, "takes away the deadline"},
    {SYS_syslog, "may print the kernel's log level on the console"},
};

static const char *reason_to_skip(int number)
{
    for (unsigned i = 0; i < sizeof skipped / sizeof *skipped; i++) {
        if (skipped[i].number == number) return skipped[i].why;
    }
    return NULL;
}

static long values[32];
static int count_of_values;
static volatile struct {
    int list;
    long bad_result;
    int returned;
} *progress;

static void add(long value) { values[count_of_values++] = value; }

static void make_values(void)
{
    char *edge = map_pages(3, PROT_READ | PROT_WRITE);
    char *read_only = map_pages(1, PROT_READ), *good = map_pages(4, PROT_READ | PROT_WRITE);
    NEED(munmap(edge + 2 * PAGE, PAGE) == 0);
    count_of_values = 0;
    add(0);                                   /* null */
    add((long)KERNEL_ADDRESS);                /* the kernel's half */
    add((long)UNMAPPED_ADDRESS);
    add((long)read_only);
    add((long)edge + 2 * PAGE - 3);           /* straddles the end of what is mapped */
    add((long)WILD_ADDRESS);                  /* not canonical */
    add((long)good);
    add(-1);
    add(1);
    add(INT64_MAX);
    add(INT64_MIN);
    add(INT32_MAX);
    add(INT32_MIN);
    add(0x7ffffffff000);                      /* where user memory ends */
    add(PAGE);
    add(0xffff800000000000);                  /* the first address of the kernel's half */
}

/* A list of six arguments: the first ones try each value in each place, the rest are random. */
static void make_list(int number, int list, long *arguments)
{
    unsigned seed = (unsigned)(number * 7919 + list * 104729 + 1);
    for (int i = 0; i < 6; i++) {
        seed = seed * 1103515245 + 12345;
        arguments[i] = values[(seed >> 16) % (unsigned)count_of_values];
    }
    if (list < count_of_values) {
        for (int i = 0; i < 6; i++) arguments[i] = values[list]; /* the same everywhere */
    }
}

/* What a child may do in vain: no pages, files, processes without end; no rights. */
static void become_harmless(void)
{
    static const int limited[] = {RLIMIT_AS, RLIMIT_NPROC, RLIMIT_FSIZE, RLIMIT_NOFILE};
    static const rlim_t most[] = {256 << 20, 200, 1 << 20, 64};
    for (int i = 0; i < 4; i++) {
        struct rlimit limit = {most[i], most[i]};
        setrlimit(limited[i], &limit);
    }
    if (unshare(CLONE_NEWIPC) != 0) errno = 0; /* what is made there goes with the child, where that is known */
    if (setgid(54321) != 0 || setuid(54321) != 0) _exit(3);
}

static void try_lists(int number, int first)
{
    setpgid(0, 0);
    become_harmless();
    int null = open("/dev/null", O_RDWR);
    for (int i = 0; i < 3; i++) dup2(null, i);
    for (int list = first; list < LISTS; list++) {
        long arguments[6];
        make_list(number, list, arguments);
        progress->list = list;
        setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 300000}}, NULL);
        register long r10 __asm__("r10") = arguments[3], r8 __asm__("r8") = arguments[4], r9 __asm__("r9") = arguments[5];
        long result;
        __asm__ volatile("syscall"
                         : "=a"(result), "+D"(arguments[0]), "+S"(arguments[1]), "+d"(arguments[2]), "+r"(r10), "+r"(r8), "+r"(r9)
                         : "a"((long)number)
                         : "rcx", "r11", "memory");
        progress->returned++;
        if (result < -4095 && (unsigned long)result > 0xffff800000000000) progress->bad_result = result;
    }
    _exit(0);
}

static void one_call(int number)
{
    int first = 0, deaths = 0;
    progress->returned = 0;
    progress->bad_result = 0;
    while (first < LISTS) {
        progress->list = first;
        pid_t pid = fork();
        if (pid == 0) try_lists(number, first);
        if (pid < 0) {
            check_note(false, CHECK_PLACE, "call %d: fork: %s", number, strerror(errno));
            return;
        }
        int status = 0;
        /* 64-bit limits for what does not even heed SIGALRM. */
        for (long long end = now_ns() + 20000000000LL; waitpid(pid, &status, WNOHANG) == 0;) {
            struct timespec time = {0, 200000};
            nanosleep(&time, NULL);
            if (now_ns() < end) continue;
            check_note(false, CHECK_PLACE, "call %d: list %d does not end", number, progress->list);
            kill(pid, SIGKILL);
            status_of(pid);
            return;
        }
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) break;
        bool is_ordinary = WIFSIGNALED(status) || WIFEXITED(status);
        if (!is_ordinary) {
            check_note(false, CHECK_PLACE, "call %d: list %d: wait status %#x", number, progress->list, status);
            return;
        }
        deaths++;
        first = progress->list + 1;
        if (deaths > 8) break; /* it sleeps or kills by nature; enough is known */
    }
    check_note(progress->bad_result == 0, CHECK_PLACE, "call %d returned %ld, no errno", number, progress->bad_result);
}

static void calls(int from, int to)
{
    progress = map_shared(1);
    make_values();
    for (int number = from; number <= to; number++) {
        if (reason_to_skip(number)) continue;
        one_call(number);
        check_sweep(-1);
    }
}

static void calls_0_to_99(void) { calls(0, 99); }
static void calls_100_to_199(void) { calls(100, 199); }
static void calls_200_to_299(void) { calls(200, 299); }
static void calls_300_to_460(void) { calls(300, LAST); }

static void numbers_nobody_has(void)
{
    static const long numbers[] = {600, 1000, 0x7fffffff, -1, -2, 0x40000000, 1L << 32 | 600};
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) CHECK_ERR(syscall(numbers[i], 0, 0, 0, 0, 0, 0), ENOSYS);
}

CASES(CASE(calls_0_to_99), CASE(calls_100_to_199), CASE(calls_200_to_299), CASE(calls_300_to_460), CASE(numbers_nobody_has))
