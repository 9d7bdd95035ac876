/* Resource limits: reading and setting them, and each of them enforced. */
#include "check.h"

#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static void limit_to(int resource, rlim_t soft)
{
    struct rlimit limit;
    NEED(getrlimit(resource, &limit) == 0);
    limit.rlim_cur = soft;
    NEED(setrlimit(resource, &limit) == 0);
}

static void every_limit_can_be_read_and_set(void)
{
    for (int resource = 0; resource < 16; resource++) {
        struct rlimit limit = {1, 0}, again;
        CHECK_OK(getrlimit(resource, &limit));
        CHECK(limit.rlim_cur <= limit.rlim_max);
        CHECK_OK(setrlimit(resource, &limit));
        CHECK_OK(syscall(SYS_prlimit64, 0, resource, NULL, &again));
        CHECK(again.rlim_cur == limit.rlim_cur && again.rlim_max == limit.rlim_max);
    }
}

static void errors(void)
{
    struct rlimit limit = {10, 5}, old;
    CHECK_ERR(setrlimit(RLIMIT_CORE, &limit), EINVAL);
    limit = (struct rlimit){0, 0};
    CHECK_ERR(getrlimit(16, &limit), EINVAL);
    CHECK_ERR(syscall(SYS_setrlimit, 99, &limit), EINVAL);
    CHECK_ERR(syscall(SYS_setrlimit, -1, &limit), EINVAL);
    CHECK_ERR(syscall(SYS_getrlimit, RLIMIT_CORE, UNMAPPED_ADDRESS), EFAULT);
    CHECK_ERR(syscall(SYS_setrlimit, RLIMIT_CORE, UNMAPPED_ADDRESS), EFAULT);
    CHECK_ERR(syscall(SYS_prlimit64, 0x3ffffff, RLIMIT_CORE, NULL, &old), ESRCH);
    CHECK_ERR(syscall(SYS_prlimit64, 0, 99, NULL, &old), EINVAL);
    CHECK_ERR(syscall(SYS_prlimit64, 0, RLIMIT_CORE, NULL, UNMAPPED_ADDRESS), EFAULT);
    limit = (struct rlimit){100, 100};
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_max = 1UL << 40; /* more descriptors than the system allows anybody */
    CHECK_ERR(setrlimit(RLIMIT_NOFILE, &limit), EPERM);
    pid_t pid = CHILD({
        REQUIRE(setuid(12345) == 0);
        limit = (struct rlimit){50, 101};
        CHECK_ERR(setrlimit(RLIMIT_NOFILE, &limit), EPERM); /* the hard limit only goes down */
        limit = (struct rlimit){50, 60};
        CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
        limit = (struct rlimit){60, 60};
        CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
        CHECK_ERR(syscall(SYS_prlimit64, getppid(), RLIMIT_CORE, NULL, &old), EPERM);
    });
    CHECK_EXITED(status_of(pid), 0);
}

static void limits_of_another_process(void)
{
    struct rlimit old = {0, 0}, next = {33, 44};
    pid_t pid = CHILD(for (;;) pause());
    CHECK_OK(syscall(SYS_prlimit64, pid, RLIMIT_NOFILE, &next, &old));
    CHECK(old.rlim_cur > 44);
    CHECK_OK(syscall(SYS_prlimit64, pid, RLIMIT_NOFILE, NULL, &old));
    CHECK(old.rlim_cur == 33 && old.rlim_max == 44);
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &old));
    CHECK(old.rlim_cur > 44); /* mine is as it was */
    kill(pid, SIGKILL);
    status_of(pid);
}

static void descriptors(void)
{
    int ends[2], free_one = next_descriptor();
    limit_to(RLIMIT_NOFILE, (rlim_t)free_one + 2);
    CHECK_EQ(open("/dev/null", O_RDONLY), free_one);
    CHECK_ERR(pipe(ends), EMFILE); /* room for one end only, so for none */
    CHECK_EQ(dup(0), free_one + 1);
    CHECK_ERR(open("/dev/null", O_RDONLY), EMFILE);
    CHECK_ERR(dup(0), EMFILE);
    CHECK_ERR(dup2(0, free_one + 2), EBADF);
    CHECK_ERR(fcntl(0, F_DUPFD, free_one + 2), EINVAL);
    CHECK_ERR(fcntl(0, F_DUPFD, 0), EMFILE);
    CHECK_EQ(dup2(0, free_one + 1), free_one + 1);
    limit_to(RLIMIT_NOFILE, 0); /* what is open stays open */
    CHECK(fcntl(free_one, F_GETFD) != -1);
    CHECK_OK(close(free_one));
    CHECK_ERR(dup(0), EMFILE);
}

static void processes_of_a_user(void)
{
    pid_t pid = CHILD({
        limit_to(RLIMIT_NPROC, 3); /* root is not limited, a user is */
        REQUIRE(setuid(23456) == 0);
        pid_t first = CHILD(for (;;) pause());
        pid_t second = CHILD(for (;;) pause());
        CHECK(first > 0 && second > 0);
        CHECK_ERR(fork(), EAGAIN);
        kill(first, SIGKILL);
        status_of(first);
        first = CHILD(for (;;) pause());
        CHECK(first > 0);
        kill(first, SIGKILL);
        kill(second, SIGKILL);
        status_of(first);
        status_of(second);
    });
    CHECK_EXITED(status_of(pid), 0);
    limit_to(RLIMIT_NPROC, 0);
    CHECK_EXITED(CHILD_STATUS(_exit(0)), 0); /* root again */
}

static void file_size(void)
{
    limit_to(RLIMIT_FSIZE, 1000);
    signal(SIGXFSZ, SIG_IGN);
    int file = open("data", O_RDWR | O_CREAT, 0600);
    static char bytes[2000];
    CHECK_EQ(write(file, bytes, 600), 600);
    CHECK_EQ(write(file, bytes, 600), 400); /* up to the limit */
    CHECK_ERR(write(file, bytes, 1), EFBIG);
    CHECK_ERR(ftruncate(file, 1001), EFBIG);
    CHECK_OK(ftruncate(file, 1000));
    CHECK_ERR(pwrite(file, bytes, 1, 1000), EFBIG);
    CHECK_EQ(pwrite(file, bytes, 10, 0), 10);
    signal(SIGXFSZ, SIG_DFL);
    CHECK_KILLED(CHILD_STATUS(if (pwrite(file, bytes, 1, 5000) < 0) _exit(1)), SIGXFSZ);
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    CHECK_EQ(write(ends[1], bytes, 2000), 2000); /* a pipe has no size */
}

static void address_space(void)
{
    limit_to(RLIMIT_AS, 64 << 20);
    CHECK_ERR(mmap(NULL, 128 << 20, RW, ANON, -1, 0), ENOMEM);
    void *memory = mmap(NULL, 16 << 20, RW, ANON, -1, 0);
    CHECK(memory != MAP_FAILED);
    CHECK_ERR(mremap(memory, 16 << 20, 100 << 20, MREMAP_MAYMOVE), ENOMEM);
    CHECK_OK(munmap(memory, 16 << 20));
    CHECK(malloc(200 << 20) == NULL);
    char *start = (char *)syscall(SYS_brk, 0);
    CHECK(syscall(SYS_brk, start + (100 << 20)) == (long)start);
}

static void data(void)
{
    limit_to(RLIMIT_DATA, 16 << 20);
    CHECK_ERR(mmap(NULL, 32 << 20, RW, ANON, -1, 0), ENOMEM);
    CHECK(mmap(NULL, 32 << 20, PROT_READ, ANON, -1, 0) != MAP_FAILED); /* not data */
    CHECK(mmap(NULL, 32 << 20, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

static volatile sig_atomic_t came;
static void count(int number) { came = number; }

static void cpu_time(void)
{
    pid_t pid = CHILD({
        struct rlimit limit = {1, 2};
        signal(SIGXCPU, count);
        setrlimit(RLIMIT_CPU, &limit);
        while (!came) continue; /* the soft limit warns, the hard limit kills */
        CHECK_EQ(came, SIGXCPU);
        _exit(4);
    });
    CHECK_EXITED(status_of(pid), 4);
    pid = CHILD(struct rlimit limit = {0, 0}; setrlimit(RLIMIT_CPU, &limit); for (;;) continue);
    int status = status_of(pid);
    CHECK(WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGXCPU));
}

static int use_stack(int kilobytes)
{
    volatile char room[1024];
    room[0] = 1;
    return kilobytes == 0 ? 0 : use_stack(kilobytes - 1) + room[0] - 1;
}

static void stack(void)
{
    CHECK_EXITED(CHILD_STATUS(limit_to(RLIMIT_STACK, 512 << 10); _exit(use_stack(100))), 0);
    CHECK_KILLED(CHILD_STATUS(limit_to(RLIMIT_STACK, 512 << 10); _exit(use_stack(1000))), SIGSEGV);
}

static void nice_values(void)
{
    if (prctl(PR_CAPBSET_READ, 24 /* CAP_SYS_RESOURCE */) != 1) {
        say("skip limits of nice values: this root may not raise a limit\n");
        return;
    }
    pid_t pid = CHILD({
        struct rlimit limit = {25, 25}; /* down to -5 */
        REQUIRE(setrlimit(RLIMIT_NICE, &limit) == 0);
        REQUIRE(setuid(12345) == 0);
        CHECK_OK(setpriority(PRIO_PROCESS, 0, 10));
        CHECK_OK(setpriority(PRIO_PROCESS, 0, -5));
        CHECK_ERR(setpriority(PRIO_PROCESS, 0, -6), EACCES);
    });
    CHECK_EXITED(status_of(pid), 0);
}

static void queued_signals(void)
{
    pid_t pid = CHILD({
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGRTMIN);
        sigaddset(&set, SIGUSR1);
        sigprocmask(SIG_BLOCK, &set, NULL);
        limit_to(RLIMIT_SIGPENDING, 5);
        REQUIRE(setuid(34567) == 0);
        union sigval value = {0};
        int queued = 0;
        while (queued < 100 && sigqueue(getpid(), SIGRTMIN, value) == 0) queued++;
        CHECK_ERR(sigqueue(getpid(), SIGRTMIN, value), EAGAIN);
        CHECK_EQ(queued, 5);
        CHECK_OK(kill(getpid(), SIGUSR1)); /* an ordinary signal always gets through */
        struct timespec none = {0, 0};
        siginfo_t info;
        CHECK_EQ(sigtimedwait(&set, &info, &none), SIGUSR1);
        CHECK_EQ(sigtimedwait(&set, &info, &none), SIGRTMIN);
        CHECK_OK(sigqueue(getpid(), SIGRTMIN, value));
    });
    CHECK_EXITED(status_of(pid), 0);
}

static void limits_in_proc(void)
{
    char text[4096] = "";
    limit_to(RLIMIT_NOFILE, 77);
    int file = open("/proc/self/limits", O_RDONLY);
    REQUIRE(file >= 0);
    CHECK(read(file, text, sizeof text - 1) > 100);
    const char *line = strstr(text, "Max open files");
    REQUIRE(line != NULL);
    CHECK_EQ(atoi(line + 14), 77);
}

CASES(CASE(every_limit_can_be_read_and_set), CASE(errors), CASE(limits_of_another_process), CASE(descriptors),
      CASE(processes_of_a_user), CASE(file_size), CASE(address_space), CASE(data), CASE(cpu_time), CASE(stack),
      CASE(nice_values), CASE(queued_signals), CASE(limits_in_proc))
