/* fork, vfork, exit and wait4/waitid: what a child inherits, how it ends, what its parent learns. */
#include "check.h"

#include <pthread.h>
#include <sys/time.h>
#include <sys/times.h>

#ifndef __WCLONE
#define __WCLONE 0x80000000
#define __WALL 0x40000000
#define __WNOTHREAD 0x20000000
#endif

static void handler(int number) { (void)number; }

static void fork_returns_twice(void)
{
    pid_t self = getpid(), *seen = map_shared(1);
    pid_t pid = CHILD(seen[0] = getpid(); seen[1] = getppid());
    CHECK(pid > 0 && pid != self);
    CHECK_EXITED(status_of(pid), 0);
    CHECK_EQ(seen[0], pid);
    CHECK_EQ(seen[1], self);
}

static void a_child_inherits(void)
{
    REQUIRE(mkdir("inner", 0755) == 0 && chdir("inner") == 0);
    sigset_t set, found;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGINT, handler);
    umask(077);
    struct rlimit limit = {100, 200};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0 && setpriority(PRIO_PROCESS, 0, 4) == 0);
    raise(SIGUSR2);
    alarm(1000);
    struct itimerval timer;
    pid_t pid = CHILD({
        char folder[300];
        CHECK(getcwd(folder, sizeof folder) && strstr(folder, "/inner"));
        struct sigaction action;
        CHECK(sigaction(SIGUSR1, NULL, &action) == 0 && action.sa_handler == SIG_IGN);
        CHECK(sigaction(SIGINT, NULL, &action) == 0 && action.sa_handler == handler);
        CHECK(sigprocmask(SIG_SETMASK, NULL, &found) == 0 && sigismember(&found, SIGUSR2) == 1);
        CHECK(sigpending(&found) == 0 && sigismember(&found, SIGUSR2) == 0); /* pending signals are not inherited */
        CHECK_EQ(alarm(0), 0);                                               /* nor are alarms */
        CHECK(getitimer(ITIMER_REAL, &timer) == 0 && timer.it_value.tv_sec == 0);
        CHECK_EQ(umask(0), 077);
        CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == 100 && limit.rlim_max == 200);
        CHECK_EQ(getpriority(PRIO_PROCESS, 0), 4);
        CHECK_EQ(getpgid(0), getpgid(getppid()));
        CHECK_EQ(getsid(0), getsid(getppid()));
    });
    CHECK_EXITED(status_of(pid), 0);
    CHECK(alarm(0) > 900);
}

static void descriptors_share_their_offset(void)
{
    char bytes[8] = "";
    int file = make_file("data", "abcdefgh", 8, 0600);
    lseek(file, 0, SEEK_SET);
    CHECK_EXITED(CHILD_STATUS(if (read(file, bytes, 3) != 3) _exit(1)), 0);
    CHECK_EQ(lseek(file, 0, SEEK_CUR), 3);
    CHECK_EXITED(CHILD_STATUS(close(file)), 0);
    CHECK_EQ(read(file, bytes, 1), 1);
    CHECK_EQ(bytes[0], 'd');
}

static void child_times_start_at_zero(void)
{
    volatile unsigned long work = 0;
    while (clock_ns(CLOCK_PROCESS_CPUTIME_ID) < 30000000) work++;
    CHECK_EXITED(CHILD_STATUS(_exit(clock_ns(CLOCK_PROCESS_CPUTIME_ID) < 20000000 ? 0 : 1)), 0);
}

static void exit_codes(void)
{
    static const int codes[] = {0, 1, 2, 127, 128, 255};
    for (unsigned i = 0; i < sizeof codes / sizeof *codes; i++) CHECK_EXITED(CHILD_STATUS(_exit(codes[i])), codes[i]);
    CHECK_EXITED(CHILD_STATUS(_exit(256)), 0);
    CHECK_EXITED(CHILD_STATUS(_exit(-1)), 255);
    CHECK_EXITED(CHILD_STATUS(syscall(SYS_exit, 0x1234)), 0x34);
    CHECK_EXITED(CHILD_STATUS(syscall(SYS_exit_group, 7)), 7);
    static const int signals[] = {SIGHUP, SIGINT, SIGKILL, SIGTERM, SIGUSR1, SIGALRM, SIGPIPE};
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) {
        int status = CHILD_STATUS(kill(getpid(), signals[i]));
        CHECK_KILLED(status, signals[i]);
        CHECK(!WCOREDUMP(status));
    }
    CHECK_KILLED(CHILD_STATUS(kill(getpid(), 40)), 40);
    /* These would dump core; with a limit of 0 there is none and the status says so. */
    static const int dumping[] = {SIGQUIT, SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS, SIGTRAP, SIGXCPU, SIGXFSZ};
    for (unsigned i = 0; i < sizeof dumping / sizeof *dumping; i++) {
        int status = CHILD_STATUS(kill(getpid(), dumping[i]));
        CHECK_KILLED(status, dumping[i]);
    }
    CHECK_KILLED(CHILD_STATUS(abort()), SIGABRT);
}

static void vfork_waits_and_shares(void)
{
    volatile int shared = 0;
    pid_t pid = vfork();
    if (pid == 0) {
        shared = 7;
        sleep_ms(20);
        shared++;
        _exit(3);
    }
    CHECK_EQ(shared, 8);
    CHECK_EXITED(status_of(pid), 3);
    char *words[] = {"show", NULL};
    const char *path = beside("show");
    pid = vfork();
    if (pid == 0) {
        close(1);
        open("/dev/null", O_WRONLY);
        execve(path, words, words + 1);
        _exit(9);
    }
    CHECK_EXITED(status_of(pid), 0);
    CHECK(fcntl(1, F_GETFD) != -1); /* descriptors are not shared */
    pid = vfork();
    if (pid == 0) {
        kill(getpid(), SIGKILL);
        _exit(9);
    }
    CHECK_KILLED(status_of(pid), SIGKILL);
}

static void many_children(void)
{
    enum { COUNT = 200 };
    pid_t pids[COUNT];
    int good = 0;
    for (int i = 0; i < COUNT; i++) pids[i] = CHILD(_exit(i & 0xff));
    for (int i = COUNT - 1; i >= 0; i--) {
        int status = status_of(pids[i]);
        good += WIFEXITED(status) && WEXITSTATUS(status) == (i & 0xff);
    }
    CHECK_EQ(good, COUNT);
    CHECK_ERR(waitpid(-1, NULL, 0), ECHILD);
}

static void wait4_selects(void)
{
    int status = -1;
    CHECK_ERR(wait4(-1, &status, 0, NULL), ECHILD);
    CHECK_ERR(wait4(-1, &status, WNOHANG, NULL), ECHILD);
    CHECK_ERR(wait4(1, &status, 0, NULL), ECHILD); /* not a child */
    CHECK_ERR(wait4(-77777, &status, 0, NULL), ECHILD);
    CHECK_ERR(wait4(-1, &status, 0x100, NULL), EINVAL);
    CHECK_ERR(wait4(-1, &status, WEXITED, NULL), EINVAL);
    CHECK_ERR(wait4(INT32_MIN, &status, 0, NULL), ESRCH);
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    pid_t first = CHILD(char byte; close(ends[1]); _exit(read(ends[0], &byte, 1) == 0 ? 1 : 9));
    pid_t second = CHILD(setpgid(0, 0); _exit(2));
    status = 0x5555;
    CHECK_EQ(wait4(first, &status, WNOHANG, NULL), 0);
    CHECK_EQ(status, 0x5555); /* untouched */
    CHECK_EQ(wait4(-second, &status, 0, NULL) == second || errno == ECHILD, 1); /* by group, if it exists yet */
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2) CHECK_ERR(wait4(second, NULL, 0, NULL), ECHILD);
    else status_of(second);
    close(ends[1]);
    CHECK_EQ(wait4(0, &status, 0, NULL), first); /* of my group */
    CHECK_EXITED(status, 1);
    pid_t pid = CHILD(_exit(4));
    CHECK_ERR(wait4(pid, UNMAPPED_ADDRESS, 0, NULL), EFAULT);
    CHECK_ERR(wait4(pid, NULL, 0, NULL), ECHILD); /* it has been reaped all the same */
    pid = CHILD(_exit(4));
    CHECK_ERR(wait4(pid, NULL, 0, UNMAPPED_ADDRESS), EFAULT);
}

static void stops_and_continues_are_seen(void)
{
    int status;
    pid_t pid = CHILD(for (;;) pause());
    kill(pid, SIGSTOP);
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    CHECK_EQ(waitpid(pid, &status, WUNTRACED | WNOHANG), 0); /* told once */
    kill(pid, SIGCONT);
    CHECK_EQ(waitpid(pid, &status, WCONTINUED), pid);
    CHECK(WIFCONTINUED(status));
    CHECK_EQ(status, 0xffff);
    CHECK_EQ(waitpid(pid, &status, WCONTINUED | WNOHANG), 0);
    kill(pid, SIGTSTP);
    wait_for_state(pid, 'T');
    CHECK_EQ(waitpid(pid, &status, WNOHANG), 0); /* without WUNTRACED it is nothing */
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK_EQ(WSTOPSIG(status), SIGTSTP);
    kill(pid, SIGTERM); /* waits until it is continued */
    CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
    kill(pid, SIGCONT);
    CHECK_KILLED(status_of(pid), SIGTERM);
    pid = CHILD(raise(SIGSTOP));
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    kill(pid, SIGKILL); /* ends even what is stopped */
    CHECK_KILLED(status_of(pid), SIGKILL);
}

static void waitid_describes(void)
{
    siginfo_t info;
    pid_t pid = CHILD(_exit(42));
    memset(&info, 0xff, sizeof info);
    CHECK_OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
    CHECK_EQ(info.si_signo, SIGCHLD);
    CHECK_EQ(info.si_code, CLD_EXITED);
    CHECK_EQ(info.si_pid, pid);
    CHECK_EQ(info.si_uid, getuid());
    CHECK_EQ(info.si_status, 42);
    CHECK_EQ(info.si_errno, 0);
    CHECK_OK(waitid(P_PID, (id_t)pid, &info, WEXITED)); /* it was still there */
    CHECK_ERR(waitid(P_PID, (id_t)pid, &info, WEXITED), ECHILD);
    pid = CHILD(for (;;) pause());
    info.si_pid = 77;
    info.si_signo = 77;
    CHECK_OK(waitid(P_ALL, 0, &info, WEXITED | WNOHANG));
    CHECK_EQ(info.si_pid, 0);
    CHECK_EQ(info.si_signo, 0);
    kill(pid, SIGSTOP);
    CHECK_OK(waitid(P_ALL, 0, &info, WSTOPPED));
    CHECK_EQ(info.si_code, CLD_STOPPED);
    CHECK_EQ(info.si_status, SIGSTOP);
    kill(pid, SIGCONT);
    CHECK_OK(waitid(P_ALL, 0, &info, WCONTINUED));
    CHECK_EQ(info.si_code, CLD_CONTINUED);
    CHECK_EQ(info.si_status, SIGCONT);
    kill(pid, SIGKILL);
    CHECK_OK(waitid(P_PGID, 0, &info, WEXITED));
    CHECK_EQ(info.si_code, CLD_KILLED);
    CHECK_EQ(info.si_status, SIGKILL);
    pid = CHILD(_exit(1));
    CHECK_OK(waitid(P_PID, (id_t)pid, NULL, WEXITED));
    pid = CHILD(_exit(1));
    struct rusage usage;
    memset(&usage, 0xff, sizeof usage);
    CHECK_EQ(syscall(SYS_waitid, P_PID, pid, &info, WEXITED, &usage), 0);
    CHECK(usage.ru_utime.tv_sec >= 0 && usage.ru_utime.tv_sec < 100 && usage.ru_maxrss >= 0);
}

static void errors_of_waitid(void)
{
    siginfo_t info;
    CHECK_ERR(waitid(P_ALL, 0, &info, WEXITED), ECHILD);
    CHECK_ERR(waitid(P_ALL, 0, &info, 0), EINVAL);
    CHECK_ERR(waitid(P_ALL, 0, &info, WNOHANG), EINVAL);
    CHECK_ERR(waitid(P_ALL, 0, &info, WEXITED | 0x100), EINVAL);
    CHECK_ERR(waitid((idtype_t)99, 0, &info, WEXITED), EINVAL);
    CHECK_ERR(waitid(P_PID, 0, &info, WEXITED), EINVAL);
    CHECK_ERR(waitid(P_PID, (id_t)-5, &info, WEXITED), EINVAL);
    CHECK_ERR(waitid(P_PGID, (id_t)-5, &info, WEXITED), EINVAL);
    CHECK_ERR(waitid(P_PID, 1, &info, WEXITED), ECHILD);
    CHECK_ERR(waitid((idtype_t)3 /* P_PIDFD */, (id_t)-1, &info, WEXITED), EINVAL);
    CHECK_ERR(waitid((idtype_t)3, 777, &info, WEXITED), EBADF);
    CHECK_ERR(waitid((idtype_t)3, 0, &info, WEXITED), EBADF); /* not a pidfd */
    pid_t pid = CHILD(_exit(1));
    CHECK_ERR(waitid(P_PID, (id_t)pid, UNMAPPED_ADDRESS, WEXITED), EFAULT);
}

static void a_signal_interrupts_wait(void)
{
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGALRM, &action, NULL);
    pid_t pid = CHILD(for (;;) pause());
    struct itimerval timer = {{0, 20000}, {0, 20000}}; /* repeated: the first may come too early */
    setitimer(ITIMER_REAL, &timer, NULL);
    CHECK_ERR(wait4(pid, NULL, 0, NULL), EINTR);
    siginfo_t info;
    CHECK_ERR(waitid(P_ALL, 0, &info, WEXITED), EINTR);
    memset(&timer, 0, sizeof timer);
    setitimer(ITIMER_REAL, &timer, NULL);
    kill(pid, SIGKILL);
    status_of(pid);
}

static void usage_of_children(void)
{
    struct rusage usage, mine;
    struct tms times_now;
    pid_t pid = CHILD({
        volatile unsigned long work = 0;
        while (clock_ns(CLOCK_PROCESS_CPUTIME_ID) < 60000000) work++;
        char *memory = map_pages(1024, PROT_READ | PROT_WRITE);
        memset(memory, 1, 1024 * PAGE);
    });
    memset(&usage, 0xff, sizeof usage);
    CHECK_EQ(wait4(pid, NULL, 0, &usage), pid);
    long microseconds = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
    CHECK(microseconds >= 50000 && microseconds < 30000000);
    CHECK(usage.ru_maxrss >= 4096 && usage.ru_minflt >= 1);
    CHECK_OK(getrusage(RUSAGE_CHILDREN, &mine));
    CHECK(mine.ru_maxrss >= 4096);
    CHECK(mine.ru_utime.tv_sec * 1000000 + mine.ru_utime.tv_usec + mine.ru_stime.tv_sec * 1000000 + mine.ru_stime.tv_usec >= 50000);
    CHECK_OK(getrusage(RUSAGE_SELF, &mine));
    CHECK(mine.ru_minflt > 0 && mine.ru_maxrss >= 0);
    CHECK_OK(getrusage(1 /* RUSAGE_THREAD */, &mine));
    CHECK_ERR(getrusage(2, &mine), EINVAL);
    CHECK_ERR(syscall(SYS_getrusage, RUSAGE_SELF, UNMAPPED_ADDRESS), EFAULT);
    clock_t ticks = times(&times_now);
    CHECK(ticks != (clock_t)-1);
    CHECK(times_now.tms_cutime + times_now.tms_cstime >= 4);
    CHECK(times(NULL) >= ticks);
    CHECK_ERR(syscall(SYS_times, UNMAPPED_ADDRESS), EFAULT);
}

static void unwaited_children_do_not_count(void)
{
    struct rusage usage;
    pid_t pid = CHILD(for (volatile long i = 0; i < 1000000; i++));
    wait_for_state(pid, 'Z');
    CHECK_OK(getrusage(RUSAGE_CHILDREN, &usage));
    CHECK_EQ(usage.ru_maxrss, 0);
    status_of(pid);
}

static void a_zombie_is_there_until_it_is_waited_for(void)
{
    pid_t pid = CHILD(_exit(5));
    wait_for_state(pid, 'Z');
    CHECK_OK(kill(pid, 0));
    CHECK_OK(kill(pid, SIGKILL)); /* no effect */
    CHECK_EQ(getpgid(pid), getpgid(0));
    CHECK_EXITED(status_of(pid), 5);
    CHECK_ERR(kill(pid, 0), ESRCH);
    CHECK_ERR(getpgid(pid), ESRCH);
}

static void orphans_go_to_the_subreaper(void)
{
    int ends[2];
    pid_t seen[2] = {0, 0}, self = getpid();
    REQUIRE(pipe(ends) == 0);
    CHECK_OK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    pid_t pid = CHILD({
        pid_t parent = getpid();
        CHILD({
            while (getppid() == parent) sleep_ms(1);
            seen[0] = getpid();
            seen[1] = getppid();
            if (write(ends[1], seen, sizeof seen) < 0) _exit(1);
            _exit(33);
        });
        _exit(0);
    });
    CHECK_EXITED(status_of(pid), 0);
    CHECK_EQ(read(ends[0], seen, sizeof seen), (long)sizeof seen);
    CHECK_EQ(seen[1], self);
    CHECK_EXITED(status_of(seen[0]), 33);
    int value = -1;
    CHECK_OK(prctl(PR_GET_CHILD_SUBREAPER, &value, 0, 0, 0));
    CHECK_EQ(value, 1);
    pid = CHILD(prctl(PR_GET_CHILD_SUBREAPER, &value, 0, 0, 0); _exit(value)); /* is not inherited */
    CHECK_EXITED(status_of(pid), 0);
    CHECK_ERR(prctl(PR_GET_CHILD_SUBREAPER, UNMAPPED_ADDRESS, 0, 0, 0), EFAULT);
    CHECK_OK(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0));
}

/* A reaper that is itself without a subreaper: process 1 or whoever stands in for it on a host. */
static void orphans_go_up_otherwise(void)
{
    int ends[2];
    pid_t seen[2] = {0, 0}, self = getpid();
    REQUIRE(pipe(ends) == 0);
    pid_t pid = CHILD({
        pid_t parent = getpid();
        CHILD({
            while (getppid() == parent) sleep_ms(1);
            seen[0] = getpid();
            seen[1] = getppid();
            if (write(ends[1], seen, sizeof seen) < 0) _exit(1);
        });
    });
    CHECK_EXITED(status_of(pid), 0);
    CHECK_EQ(read(ends[0], seen, sizeof seen), (long)sizeof seen);
    CHECK(seen[1] != self && seen[1] != pid && seen[1] > 0);
    CHECK_ERR(waitpid(-1, NULL, 0), ECHILD);
    wait_for_state(seen[0], 'Z'); /* so that it is not taken for one left behind */
}

static void *wait_for_child(void *pid)
{
    return (void *)(long)status_of(*(pid_t *)pid);
}

static void any_thread_may_wait(void)
{
    pthread_t thread;
    void *status;
    pid_t pid = CHILD(sleep_ms(5); _exit(6));
    REQUIRE(pthread_create(&thread, NULL, wait_for_child, &pid) == 0);
    pthread_join(thread, &status);
    CHECK_EXITED((int)(long)status, 6);
    pid = CHILD(_exit(6));
    REQUIRE(pthread_create(&thread, NULL, wait_for_child, &pid) == 0);
    pthread_join(thread, &status);
    CHECK_EXITED((int)(long)status, 6);
}

static void *fork_and_return(void *unused)
{
    (void)unused;
    return (void *)(long)CHILD(_exit(8));
}

static void a_threads_child_belongs_to_the_process(void)
{
    pthread_t thread;
    void *pid;
    REQUIRE(pthread_create(&thread, NULL, fork_and_return, NULL) == 0);
    pthread_join(thread, &pid);
    CHECK_ERR(wait4((pid_t)(long)pid, NULL, __WNOTHREAD | __WCLONE, NULL), ECHILD);
    CHECK_EXITED(status_of((pid_t)(long)pid), 8);
}

CASES(CASE(fork_returns_twice), CASE(a_child_inherits), CASE(descriptors_share_their_offset), CASE(child_times_start_at_zero),
      CASE(exit_codes), CASE(vfork_waits_and_shares), CASE(many_children), CASE(wait4_selects),
      CASE(stops_and_continues_are_seen), CASE(waitid_describes), CASE(errors_of_waitid), CASE(a_signal_interrupts_wait),
      CASE(usage_of_children), CASE(unwaited_children_do_not_count), CASE(a_zombie_is_there_until_it_is_waited_for),
      CASE(orphans_go_to_the_subreaper), CASE(orphans_go_up_otherwise), CASE(any_thread_may_wait),
      CASE(a_threads_child_belongs_to_the_process))
