/* clone, clone3, unshare and pidfds. */
#include "check.h"

#include <linux/futex.h>
#include <poll.h>
#include <sched.h>

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif
#ifndef __WCLONE
#define __WCLONE 0x80000000
#define __WALL 0x40000000
#endif
#define CLONE_CLEAR_SIGHAND_ 0x100000000ULL
#define CLONE_INTO_CGROUP_ 0x200000000ULL
#define P_PIDFD_ ((idtype_t)3)

struct arguments {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

static long clone3(struct arguments *arguments, size_t size) { return syscall(SYS_clone3, arguments, size); }

/* Without a stack of its own: only for children that do not share memory. */
static long raw_clone(unsigned long flags, int *parent_tid, int *child_tid)
{
    return syscall(SYS_clone, flags, 0, parent_tid, child_tid, 0);
}

static int global;

static int set_global(void *value)
{
    global = (int)(long)value;
    return 5;
}

static char stack[64 * PAGE] __attribute__((aligned(16)));

static int run(int (*function)(void *), unsigned long flags, void *argument)
{
    pid_t pid = clone(function, stack + sizeof stack, (int)flags, argument);
    int status = -1;
    if (pid < 0) return -1;
    while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR) continue;
    return status;
}

static void memory_is_shared_or_not(void)
{
    CHECK_EXITED(run(set_global, SIGCHLD, (void *)3L), 5);
    CHECK_EQ(global, 0);
    CHECK_EXITED(run(set_global, CLONE_VM | SIGCHLD, (void *)3L), 5);
    CHECK_EQ(global, 3);
    CHECK_EXITED(run(set_global, CLONE_VM | CLONE_VFORK | SIGCHLD, (void *)4L), 5);
    CHECK_EQ(global, 4);
}

static int open_and_move(void *unused)
{
    (void)unused;
    int file = open("/dev/null", O_RDONLY);
    umask(0123);
    return chdir("inner") == 0 ? file : 99;
}

static void files_and_folder_are_shared_or_not(void)
{
    char folder[300];
    int free_one = next_descriptor();
    REQUIRE(mkdir("inner", 0755) == 0);
    umask(022);
    CHECK_EXITED(run(open_and_move, SIGCHLD, NULL), free_one);
    CHECK_ERR(fcntl(free_one, F_GETFD), EBADF);
    CHECK(getcwd(folder, sizeof folder) && !strstr(folder, "/inner"));
    CHECK_EXITED(run(open_and_move, CLONE_FILES | SIGCHLD, NULL), free_one);
    CHECK(fcntl(free_one, F_GETFD) != -1);
    CHECK(getcwd(folder, sizeof folder) && !strstr(folder, "/inner"));
    CHECK_EXITED(run(open_and_move, CLONE_FS | SIGCHLD, NULL), free_one + 1);
    CHECK(getcwd(folder, sizeof folder) && strstr(folder, "/inner"));
    CHECK_EQ(umask(022), 0123);
}

static void ignore(int number) { (void)number; }

static int set_handler(void *unused)
{
    (void)unused;
    signal(SIGUSR1, ignore);
    return 0;
}

static void handlers_are_shared_or_not(void)
{
    struct sigaction action;
    CHECK_EXITED(run(set_handler, CLONE_VM | SIGCHLD, NULL), 0);
    CHECK(sigaction(SIGUSR1, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
    CHECK_EXITED(run(set_handler, CLONE_VM | CLONE_SIGHAND | SIGCHLD, NULL), 0);
    CHECK(sigaction(SIGUSR1, NULL, &action) == 0 && action.sa_handler == ignore);
}

static void bad_combinations(void)
{
    CHECK_ERR(raw_clone(CLONE_SIGHAND | SIGCHLD, NULL, NULL), EINVAL); /* without CLONE_VM */
    CHECK_ERR(raw_clone(CLONE_THREAD | CLONE_VM, NULL, NULL), EINVAL); /* without CLONE_SIGHAND */
    CHECK_ERR(raw_clone(CLONE_NEWNS | CLONE_FS | SIGCHLD, NULL, NULL), EINVAL);
    CHECK_ERR(raw_clone(CLONE_NEWUSER | CLONE_FS | SIGCHLD, NULL, NULL), EINVAL);
    CHECK_ERR(raw_clone(CLONE_NEWPID | CLONE_THREAD | CLONE_VM | CLONE_SIGHAND, NULL, NULL), EINVAL);
    CHECK_ERR(raw_clone(CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, &global, NULL), EINVAL);
    CHECK_ERR(raw_clone(CLONE_PIDFD | CLONE_DETACHED | SIGCHLD, &global, NULL), EINVAL);
    CHECK_ERR(syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, UNMAPPED_ADDRESS, 0, 0), EFAULT);
    CHECK_ERR(waitpid(-1, NULL, __WALL | WNOHANG), ECHILD); /* none of them left a child */
}

static void ids_are_stored(void)
{
    int *shared = map_shared(1), parent_tid = 0, child_tid = 0;
    pid_t pid = (pid_t)raw_clone(CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, &parent_tid, &child_tid);
    if (pid == 0) {
        shared[0] = child_tid;
        _exit(0);
    }
    CHECK_EXITED(status_of(pid), 0);
    CHECK_EQ(parent_tid, pid);
    CHECK_EQ(child_tid, 0); /* only the child's copy */
    CHECK_EQ(shared[0], pid);
    /* A bad address is no reason to fail. */
    pid = (pid_t)raw_clone(CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, UNMAPPED_ADDRESS, UNMAPPED_ADDRESS);
    if (pid == 0) _exit(0);
    CHECK_EXITED(status_of(pid), 0);
}

static void the_id_is_cleared_at_exit(void)
{
    int *shared = map_shared(1);
    shared[0] = 99;
    pid_t pid = (pid_t)raw_clone(CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | SIGCHLD, NULL, shared);
    if (pid == 0) {
        sleep_ms(20);
        _exit(0);
    }
    CHECK_EXITED(status_of(pid), 0);
    CHECK_EQ(shared[0], pid); /* nobody shares its memory, so nobody is told */
    shared[0] = 99;
    pid = clone((int (*)(void *))set_global, stack + sizeof stack, CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD, (void *)1L, NULL, NULL, shared);
    REQUIRE(pid > 0);
    while (__atomic_load_n(shared, __ATOMIC_SEQ_CST) == 99) syscall(SYS_futex, shared, FUTEX_WAIT, 99, NULL, NULL, 0);
    CHECK_EQ(shared[0], 0);
    CHECK_EXITED(status_of(pid), 5);
}

static volatile sig_atomic_t usr1_came;
static void count_usr1(int number) { usr1_came += number == SIGUSR1; }

static void the_exit_signal_can_be_chosen(void)
{
    signal(SIGUSR1, count_usr1);
    pid_t pid = (pid_t)raw_clone(SIGUSR1, NULL, NULL);
    if (pid == 0) _exit(7);
    int status;
    CHECK_ERR(waitpid(pid, &status, WNOHANG), ECHILD); /* a "clone child" */
    CHECK_EQ(waitpid(pid, &status, __WCLONE), pid);
    CHECK_EXITED(status, 7);
    CHECK_EQ(usr1_came, 1);
    pid = (pid_t)raw_clone(0, NULL, NULL);
    if (pid == 0) _exit(7);
    CHECK_EQ(waitpid(pid, &status, __WALL), pid);
    pid = CHILD(_exit(0));
    CHECK_ERR(waitpid(pid, &status, __WCLONE), ECHILD);
    CHECK_EQ(waitpid(pid, &status, __WALL), pid);
}

static void a_sibling_by_clone_parent(void)
{
    pid_t pid = CHILD({
        pid_t sibling = (pid_t)raw_clone(CLONE_PARENT | SIGCHLD, NULL, NULL);
        if (sibling == 0) _exit(12);
        CHECK_ERR(waitpid(sibling, NULL, 0), ECHILD);
        _exit(11);
    });
    int codes = 0, status;
    for (int i = 0; i < 2; i++) {
        REQUIRE(waitpid(-1, &status, 0) > 0);
        codes += WEXITSTATUS(status);
    }
    (void)pid;
    CHECK_EQ(codes, 23);
}

static void clone3_makes_children(void)
{
    int pidfd = -1, parent_tid = 0;
    struct arguments arguments = {.flags = CLONE_PIDFD | CLONE_PARENT_SETTID, .pidfd = (uint64_t)(uintptr_t)&pidfd,
                                  .parent_tid = (uint64_t)(uintptr_t)&parent_tid, .exit_signal = SIGCHLD};
    pid_t pid = (pid_t)clone3(&arguments, 64); /* the first version of the structure */
    if (pid == 0) _exit(21);
    CHECK(pid > 0 && pidfd >= 0);
    CHECK_EQ(parent_tid, pid);
    CHECK_EQ(fcntl(pidfd, F_GETFD), FD_CLOEXEC);
    siginfo_t info;
    CHECK_OK(waitid(P_PIDFD_, (id_t)pidfd, &info, WEXITED));
    CHECK_EQ(info.si_status, 21);
    CHECK_EQ(info.si_pid, pid);
    close(pidfd);
    memset(&arguments, 0, sizeof arguments);
    arguments.exit_signal = SIGCHLD;
    pid = (pid_t)clone3(&arguments, sizeof arguments);
    if (pid == 0) _exit(22);
    CHECK_EXITED(status_of(pid), 22);
    /* A larger structure is fine as long as the rest is zero. */
    struct {
        struct arguments known;
        uint64_t more[4];
    } larger = {.known = {.exit_signal = SIGCHLD}, .more = {0, 0, 0, 0}};
    pid = (pid_t)clone3(&larger.known, sizeof larger);
    if (pid == 0) _exit(23);
    CHECK_EXITED(status_of(pid), 23);
    larger.more[2] = 1;
    CHECK_ERR(clone3(&larger.known, sizeof larger), E2BIG);
}

static void errors_of_clone3(void)
{
    struct arguments good = {.exit_signal = SIGCHLD}, bad;
    CHECK_ERR(clone3(&good, 0), EINVAL);
    CHECK_ERR(clone3(&good, 63), EINVAL);
    CHECK_ERR(clone3(&good, PAGE + 1), E2BIG);
    CHECK_ERR(clone3(NULL, sizeof good), EFAULT);
    CHECK_ERR(clone3(KERNEL_ADDRESS, sizeof good), EFAULT);
#define BAD(...) ({ bad = good; __VA_ARGS__; clone3(&bad, sizeof bad); })
    CHECK_ERR(BAD(bad.flags = 1ULL << 40), EINVAL);
    CHECK_ERR(BAD(bad.flags = SIGCHLD), EINVAL); /* the signal has a field of its own */
    CHECK_ERR(BAD(bad.flags = CLONE_DETACHED), EINVAL);
    CHECK_ERR(BAD(bad.exit_signal = 65), EINVAL);
    CHECK_ERR(BAD(bad.exit_signal = 256), EINVAL);
    CHECK_ERR(BAD(bad.flags = CLONE_SIGHAND), EINVAL);
    CHECK_ERR(BAD(bad.flags = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM), EINVAL); /* a thread has no exit signal */
    CHECK_ERR(BAD(bad.flags = CLONE_PARENT), EINVAL);
    CHECK_ERR(BAD(bad.flags = CLONE_CLEAR_SIGHAND_ | CLONE_SIGHAND | CLONE_VM), EINVAL);
    CHECK_ERR(BAD(bad.stack = (uint64_t)(uintptr_t)stack), EINVAL); /* without a size */
    CHECK_ERR(BAD(bad.stack_size = PAGE), EINVAL);                  /* without an address */
    CHECK_ERR(BAD(bad.stack = 0xffffffff80000000, bad.stack_size = PAGE), EINVAL);
    CHECK_ERR(BAD(bad.set_tid_size = 1), EINVAL);
    CHECK_ERR(BAD(bad.set_tid_size = 33, bad.set_tid = (uint64_t)(uintptr_t)stack), EINVAL);
    CHECK_ERR(BAD(bad.flags = CLONE_PIDFD, bad.pidfd = 0x10), EFAULT);
    CHECK_ERR(BAD(bad.flags = CLONE_INTO_CGROUP_, bad.cgroup = 1ULL << 40), EINVAL);
    pid_t taken = 1;
    CHECK_ERR(BAD(bad.set_tid = (uint64_t)(uintptr_t)&taken, bad.set_tid_size = 1), EEXIST);
    taken = 0;
    CHECK_ERR(BAD(bad.set_tid = (uint64_t)(uintptr_t)&taken, bad.set_tid_size = 1), EINVAL);
    CHECK_ERR(waitpid(-1, NULL, __WALL | WNOHANG), ECHILD);
}

static void clone3_can_clear_handlers(void)
{
    struct sigaction action;
    struct arguments arguments = {.flags = CLONE_CLEAR_SIGHAND_, .exit_signal = SIGCHLD};
    signal(SIGUSR1, ignore);
    signal(SIGUSR2, SIG_IGN);
    pid_t pid = (pid_t)clone3(&arguments, sizeof arguments);
    if (pid == 0) {
        sigaction(SIGUSR1, NULL, &action);
        int reset = action.sa_handler == SIG_DFL;
        sigaction(SIGUSR2, NULL, &action);
        _exit(reset && action.sa_handler == SIG_IGN ? 0 : 1);
    }
    CHECK_EXITED(status_of(pid), 0);
}

static void a_chosen_pid(void)
{
    pid_t pid = CHILD(_exit(0)), chosen = pid;
    status_of(pid);
    struct arguments arguments = {.exit_signal = SIGCHLD, .set_tid = (uint64_t)(uintptr_t)&chosen, .set_tid_size = 1};
    pid = (pid_t)clone3(&arguments, sizeof arguments);
    if (pid == 0) _exit(getpid() == chosen ? 0 : 1);
    CHECK_EQ(pid, chosen);
    CHECK_EXITED(status_of(pid), 0);
    pid = CHILD(setuid(12345); chosen = 29999; _exit(clone3(&arguments, sizeof arguments) == -1 && errno == EPERM ? 0 : 1));
    CHECK_EXITED(status_of(pid), 0);
}

static int unshare_files(void *unused)
{
    (void)unused;
    if (unshare(CLONE_FILES | CLONE_FS) != 0) return 98;
    return open_and_move(NULL);
}

static void unshare_separates(void)
{
    char folder[300];
    int free_one = next_descriptor();
    REQUIRE(mkdir("inner", 0755) == 0);
    CHECK_EXITED(run(unshare_files, CLONE_FILES | CLONE_FS | SIGCHLD, NULL), free_one);
    CHECK_ERR(fcntl(free_one, F_GETFD), EBADF);
    CHECK(getcwd(folder, sizeof folder) && !strstr(folder, "/inner"));
    CHECK_OK(unshare(0));
    CHECK_ERR(unshare(1), EINVAL);
    CHECK_ERR(unshare(CLONE_PIDFD), EINVAL);
    CHECK_OK(unshare(CLONE_THREAD)); /* harmless with one thread */
}

static int pidfd_open_(pid_t pid, unsigned flags) { return (int)syscall(SYS_pidfd_open, pid, flags); }
static int pidfd_send(int file, int number, void *info, unsigned flags)
{
    return (int)syscall(SYS_pidfd_send_signal, file, number, info, flags);
}

static void pidfds_name_processes(void)
{
    pid_t pid = CHILD(for (;;) pause());
    int file = pidfd_open_(pid, 0);
    CHECK(file >= 0);
    CHECK_EQ(fcntl(file, F_GETFD), FD_CLOEXEC);
    struct pollfd poller = {file, POLLIN, 0};
    CHECK_EQ(poll(&poller, 1, 0), 0);
    CHECK_OK(pidfd_send(file, 0, NULL, 0));
    CHECK_OK(pidfd_send(file, SIGTERM, NULL, 0));
    CHECK_EQ(poll(&poller, 1, 20000), 1);
    CHECK(poller.revents & POLLIN);
    siginfo_t info;
    CHECK_OK(waitid(P_PIDFD_, (id_t)file, &info, WEXITED | WNOWAIT));
    CHECK_OK(waitid(P_PIDFD_, (id_t)file, &info, WEXITED));
    CHECK_EQ(info.si_pid, pid);
    CHECK_EQ(info.si_status, SIGTERM);
    CHECK_ERR(pidfd_send(file, 0, NULL, 0), ESRCH);
    CHECK_ERR(waitid(P_PIDFD_, (id_t)file, &info, WEXITED), ECHILD);
    CHECK_EQ(poll(&poller, 1, 0), 1);
}

static void errors_of_pidfds(void)
{
    int self = pidfd_open_(getpid(), 0);
    CHECK(self >= 0);
    CHECK_ERR(pidfd_open_(getpid(), 1), EINVAL);
    CHECK_ERR(pidfd_open_(0, 0), EINVAL);
    CHECK_ERR(pidfd_open_(-1, 0), EINVAL);
    CHECK_ERR(pidfd_open_(0x3fffffff, 0), ESRCH);
    CHECK_ERR(pidfd_send(777, 0, NULL, 0), EBADF);
    CHECK_ERR(pidfd_send(0, 0, NULL, 0), EBADF); /* open, but something else */
    CHECK_ERR(pidfd_send(self, 0, NULL, 0x80), EINVAL);
    CHECK_ERR(pidfd_send(self, 65, NULL, 0), EINVAL);
    CHECK_ERR(pidfd_send(self, -1, NULL, 0), EINVAL);
    CHECK_ERR(pidfd_send(self, SIGUSR1, UNMAPPED_ADDRESS, 0), EFAULT);
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_signo = SIGUSR2;
    CHECK_ERR(pidfd_send(self, SIGUSR1, &info, 0), EINVAL); /* they disagree */
    pid_t child = CHILD(for (;;) pause());
    int file = pidfd_open_(child, 0);
    memset(&info, 0, sizeof info);
    info.si_signo = SIGUSR1;
    info.si_code = SI_USER; /* what only the kernel may say to others */
    CHECK_ERR(pidfd_send(file, SIGUSR1, &info, 0), EPERM);
    CHECK_EXITED(CHILD_STATUS(setuid(12345); _exit(pidfd_send(file, SIGKILL, NULL, 0) == -1 && errno == EPERM ? 0 : 1)), 0);
    kill(child, SIGKILL);
    status_of(child);
    CHECK_ERR(waitid(P_PIDFD_, (id_t)self, &info, WEXITED), ECHILD); /* not a child */
    char byte;
    CHECK_ERR(read(self, &byte, 1), EINVAL);
    CHECK_ERR(write(self, "x", 1), EINVAL);
    CHECK_ERR(lseek(self, 0, SEEK_SET) == 0 ? (errno = ESPIPE, -1) : -1, ESPIPE);
}

static void a_nonblocking_pidfd(void)
{
    pid_t pid = CHILD(for (;;) pause());
    int file = pidfd_open_(pid, O_NONBLOCK);
    siginfo_t info;
    CHECK(file >= 0);
    CHECK_ERR(waitid(P_PIDFD_, (id_t)file, &info, WEXITED), EAGAIN);
    kill(pid, SIGKILL);
    struct pollfd poller = {file, POLLIN, 0};
    CHECK_EQ(poll(&poller, 1, 20000), 1);
    CHECK_OK(waitid(P_PIDFD_, (id_t)file, &info, WEXITED));
}

static void descriptors_of_others(void)
{
    int ends[2], ready[2];
    REQUIRE(pipe(ends) == 0 && pipe(ready) == 0);
    pid_t pid = CHILD(if (write(ready[1], "r", 1) != 1) _exit(1); for (;;) pause());
    int file = pidfd_open_(pid, 0);
    char byte = 0;
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    int copy = (int)syscall(SYS_pidfd_getfd, file, ends[1], 0);
    CHECK(copy >= 0);
    CHECK_EQ(fcntl(copy, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(write(copy, "c", 1), 1);
    CHECK(read(ends[0], &byte, 1) == 1 && byte == 'c');
    CHECK_ERR(syscall(SYS_pidfd_getfd, file, 777, 0), EBADF);
    CHECK_ERR(syscall(SYS_pidfd_getfd, 0, 0, 0), EBADF);
    CHECK_ERR(syscall(SYS_pidfd_getfd, file, 0, 1), EINVAL);
    kill(pid, SIGKILL);
    status_of(pid);
    CHECK_ERR(syscall(SYS_pidfd_getfd, file, 0, 0), ESRCH);
}

CASES(CASE(memory_is_shared_or_not), CASE(files_and_folder_are_shared_or_not), CASE(handlers_are_shared_or_not),
      CASE(bad_combinations), CASE(ids_are_stored), CASE(the_id_is_cleared_at_exit), CASE(the_exit_signal_can_be_chosen),
      CASE(a_sibling_by_clone_parent), CASE(clone3_makes_children), CASE(errors_of_clone3), CASE(clone3_can_clear_handlers),
      CASE(a_chosen_pid), CASE(unshare_separates), CASE(pidfds_name_processes), CASE(errors_of_pidfds),
      CASE(a_nonblocking_pidfd), CASE(descriptors_of_others))
