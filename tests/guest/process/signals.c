/* Sending, masking, queueing and waiting for signals; every errno of the calls. */
#include "check.h"

#include <pthread.h>
#include <setjmp.h>

enum { SIZE = 8 }; /* of the kernel's signal set */

static volatile sig_atomic_t came, last;
static volatile int order[64];
static siginfo_t seen;

static void count(int number)
{
    if (came < 64) order[came] = number;
    came++;
    last = number;
}

static void keep(int number, siginfo_t *info, void *context)
{
    (void)context;
    count(number);
    seen = *info;
}

static void install(int number, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    NEED(sigaction(number, &action, NULL) == 0);
}

static void install_info(int number, int flags)
{
    struct sigaction action = {.sa_sigaction = keep, .sa_flags = SA_SIGINFO | flags};
    NEED(sigaction(number, &action, NULL) == 0);
}

static sigset_t set_of(int first, int second)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, first);
    if (second) sigaddset(&set, second);
    return set;
}

static void block(int first, int second)
{
    sigset_t set = set_of(first, second);
    NEED(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
}

static void unblock(int first, int second)
{
    sigset_t set = set_of(first, second);
    NEED(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
}

static void a_handler_runs_before_kill_returns(void)
{
    install(SIGUSR1, count, 0);
    CHECK_OK(kill(getpid(), SIGUSR1));
    CHECK_EQ(came, 1);
    CHECK_EQ(last, SIGUSR1);
    CHECK_OK(raise(SIGUSR1));
    CHECK_EQ(came, 2);
}

static void actions_are_remembered(void)
{
    struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART | SA_NODEFER}, old;
    sigaddset(&action.sa_mask, SIGHUP);
    sigaddset(&action.sa_mask, SIGKILL); /* cannot be blocked: left out */
    CHECK_OK(sigaction(SIGUSR1, &action, &old));
    CHECK(old.sa_handler == SIG_DFL);
    CHECK_OK(sigaction(SIGUSR1, NULL, &old));
    CHECK(old.sa_handler == count);
    CHECK_EQ(old.sa_flags & (SA_RESTART | SA_NODEFER | SA_SIGINFO | SA_ONSTACK), SA_RESTART | SA_NODEFER);
    CHECK_EQ(sigismember(&old.sa_mask, SIGHUP), 1);
    CHECK_EQ(sigismember(&old.sa_mask, SIGKILL), 0);
    CHECK_EQ(sigismember(&old.sa_mask, SIGUSR1), 0);
}

static void errors_of_sigaction(void)
{
    struct {
        void *handler;
        unsigned long flags;
        void *restorer;
        unsigned long mask;
    } action = {NULL, 0, NULL, 0};
    action.handler = (void *)(uintptr_t)count;
    CHECK_ERR(syscall(SYS_rt_sigaction, SIGKILL, &action, NULL, SIZE), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigaction, SIGSTOP, &action, NULL, SIZE), EINVAL);
    CHECK_OK(syscall(SYS_rt_sigaction, SIGKILL, NULL, &action, SIZE)); /* reading is allowed */
    CHECK_ERR(syscall(SYS_rt_sigaction, 0, NULL, &action, SIZE), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigaction, 65, NULL, &action, SIZE), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigaction, -1, NULL, &action, SIZE), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &action, 16), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &action, 4), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, UNMAPPED_ADDRESS, NULL, SIZE), EFAULT);
    CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, NULL, KERNEL_ADDRESS, SIZE), EFAULT);
    CHECK_OK(syscall(SYS_rt_sigaction, 64, NULL, &action, SIZE));
}

static void masks(void)
{
    sigset_t set, old;
    install(SIGUSR1, count, 0);
    block(SIGUSR1, SIGUSR2);
    CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &old));
    CHECK(sigismember(&old, SIGUSR1) && sigismember(&old, SIGUSR2) && !sigismember(&old, SIGHUP));
    raise(SIGUSR1);
    raise(SIGUSR1);
    CHECK_EQ(came, 0);
    CHECK_OK(sigpending(&set));
    CHECK(sigismember(&set, SIGUSR1) == 1 && sigismember(&set, SIGUSR2) == 0);
    unblock(SIGUSR1, 0);
    CHECK_EQ(came, 1); /* ordinary signals do not count */
    CHECK_OK(sigpending(&set));
    CHECK_EQ(sigismember(&set, SIGUSR1), 0);
    sigfillset(&set);
    CHECK_OK(sigprocmask(SIG_SETMASK, &set, &old));
    CHECK(!sigismember(&old, SIGUSR1) && sigismember(&old, SIGUSR2));
    unsigned long raw = 0;
    CHECK_OK(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &raw, SIZE));
    CHECK_EQ(raw >> (SIGKILL - 1) & 1, 0);
    CHECK_EQ(raw >> (SIGSTOP - 1) & 1, 0);
    CHECK_EQ(raw >> 63, 1);
    CHECK_ERR(syscall(SYS_rt_sigprocmask, 77, &raw, NULL, SIZE), EINVAL);
    CHECK_OK(syscall(SYS_rt_sigprocmask, 77, NULL, &raw, SIZE)); /* without a new set the word is not read */
    CHECK_ERR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &raw, NULL, 4), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, UNMAPPED_ADDRESS, NULL, SIZE), EFAULT);
    CHECK_ERR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, UNMAPPED_ADDRESS, SIZE), EFAULT);
    CHECK_ERR(syscall(SYS_rt_sigpending, UNMAPPED_ADDRESS, SIZE), EFAULT);
    CHECK_ERR(syscall(SYS_rt_sigpending, &raw, 16), EINVAL);
}

static void kill_goes_where_it_should(void)
{
    CHECK_ERR(kill(getpid(), 65), EINVAL);
    CHECK_ERR(kill(getpid(), -1), EINVAL);
    CHECK_OK(kill(getpid(), 0));
    CHECK_ERR(kill(0x3ffffff, 0), ESRCH);
    CHECK_ERR(kill(-0x3ffffff, 0), ESRCH);
    CHECK_ERR(kill(INT32_MIN, 0), ESRCH);
    CHECK_ERR(syscall(SYS_tkill, 0, SIGUSR1), EINVAL);
    CHECK_ERR(syscall(SYS_tkill, -1, SIGUSR1), EINVAL);
    CHECK_ERR(syscall(SYS_tkill, 0x3ffffff, SIGUSR1), ESRCH);
    CHECK_ERR(syscall(SYS_tkill, getpid(), 65), EINVAL);
    CHECK_ERR(syscall(SYS_tgkill, 0, getpid(), SIGUSR1), EINVAL);
    CHECK_ERR(syscall(SYS_tgkill, getpid(), 0, SIGUSR1), EINVAL);
    CHECK_ERR(syscall(SYS_tgkill, getpid(), -1, SIGUSR1), EINVAL);
    CHECK_ERR(syscall(SYS_tgkill, getpid(), 0x3ffffff, SIGUSR1), ESRCH);
    CHECK_ERR(syscall(SYS_tgkill, 1, getpid(), SIGUSR1), ESRCH); /* not a thread of that process */
    CHECK_ERR(syscall(SYS_tgkill, getpid(), getpid(), 65), EINVAL);
    CHECK_OK(syscall(SYS_tgkill, getpid(), getpid(), 0));
}

static void what_the_handler_is_told(void)
{
    install_info(SIGUSR1, 0);
    kill(getpid(), SIGUSR1);
    CHECK(seen.si_signo == SIGUSR1 && seen.si_code == SI_USER && seen.si_pid == getpid() && seen.si_uid == getuid() && seen.si_errno == 0);
    syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1);
    CHECK(seen.si_code == SI_TKILL && seen.si_pid == getpid());
    union sigval value = {.sival_ptr = (void *)0x123456789abc};
    CHECK_OK(sigqueue(getpid(), SIGUSR1, value));
    CHECK(seen.si_code == SI_QUEUE && seen.si_value.sival_ptr == (void *)0x123456789abc && seen.si_pid == getpid());
    pid_t self = getpid(), pid = CHILD(kill(self, SIGUSR1));
    status_of(pid);
    CHECK(seen.si_pid == pid && seen.si_code == SI_USER);
    install_info(SIGCHLD, 0);
    came = 0;
    pid = CHILD(_exit(9));
    while (!came) sleep_ms(1);
    CHECK(seen.si_signo == SIGCHLD && seen.si_code == CLD_EXITED && seen.si_status == 9 && seen.si_pid == pid);
    CHECK_EXITED(status_of(pid), 9);
}

static void errors_of_sigqueue(void)
{
    siginfo_t info;
    memset(&info, 0, sizeof info);
    info.si_code = SI_QUEUE;
    CHECK_ERR(syscall(SYS_rt_sigqueueinfo, getpid(), 65, &info), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigqueueinfo, 0x3ffffff, SIGUSR1, &info), ESRCH);
    CHECK_ERR(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, UNMAPPED_ADDRESS), EFAULT);
    CHECK_OK(syscall(SYS_rt_sigqueueinfo, getpid(), 0, &info));
    pid_t pid = CHILD(for (;;) pause());
    info.si_code = SI_USER; /* only the kernel says so, except to oneself */
    CHECK_ERR(syscall(SYS_rt_sigqueueinfo, pid, SIGUSR1, &info), EPERM);
    info.si_code = SI_TKILL;
    CHECK_ERR(syscall(SYS_rt_tgsigqueueinfo, pid, pid, SIGUSR1, &info), EPERM);
    info.si_code = 5;
    CHECK_ERR(syscall(SYS_rt_sigqueueinfo, pid, SIGUSR1, &info), EPERM);
    CHECK_ERR(syscall(SYS_rt_tgsigqueueinfo, 0, pid, SIGUSR1, &info), EINVAL);
    CHECK_ERR(syscall(SYS_rt_tgsigqueueinfo, pid, -1, SIGUSR1, &info), EINVAL);
    info.si_code = -77;
    CHECK_OK(syscall(SYS_rt_tgsigqueueinfo, pid, pid, SIGUSR1, &info));
    CHECK_KILLED(status_of(pid), SIGUSR1);
}

static void real_time_signals_queue_in_order(void)
{
    union sigval value;
    block(SIGRTMIN + 1, SIGRTMIN + 2);
    block(SIGUSR1, SIGUSR2);
    for (int i = 0; i < 3; i++) {
        value.sival_int = i;
        CHECK_OK(sigqueue(getpid(), SIGRTMIN + 2, value));
        CHECK_OK(sigqueue(getpid(), SIGRTMIN + 1, value));
        CHECK_OK(sigqueue(getpid(), SIGUSR2, value)); /* only the first is kept */
    }
    raise(SIGUSR1);
    sigset_t set = set_of(SIGRTMIN + 1, SIGRTMIN + 2);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    static const int numbers[] = {0, 0, 1, 1, 1, 2, 2, 2}, values[] = {-1, 0, 0, 1, 2, 0, 1, 2};
    siginfo_t info;
    struct timespec none = {0, 0};
    for (int i = 0; i < 8; i++) {
        int got = sigtimedwait(&set, &info, &none);
        int expected = i == 0 ? SIGUSR1 : i == 1 ? SIGUSR2 : SIGRTMIN + numbers[i];
        CHECK_EQ(got, expected);
        if (values[i] >= 0) CHECK_EQ(info.si_value.sival_int, values[i]);
    }
    CHECK_ERR(sigtimedwait(&set, &info, &none), EAGAIN);
}

static void handlers_of_several_signals(void)
{
    for (int number = SIGRTMIN; number < SIGRTMIN + 4; number++) install(number, count, SA_NODEFER);
    install(SIGUSR1, count, 0);
    block(SIGUSR1, SIGRTMIN);
    block(SIGRTMIN + 1, SIGRTMIN + 2);
    kill(getpid(), SIGRTMIN + 2);
    kill(getpid(), SIGRTMIN);
    kill(getpid(), SIGRTMIN);
    kill(getpid(), SIGUSR1);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    CHECK_EQ(came, 4);
    /* Frames are built lowest number first, so the handler of the last frame runs first. */
    CHECK_EQ(order[3], SIGUSR1);
    CHECK_EQ(order[0], SIGRTMIN + 2);
}

static void resethand_and_nodefer(void)
{
    install(SIGUSR1, count, SA_RESETHAND);
    raise(SIGUSR1);
    CHECK_EQ(came, 1);
    struct sigaction action;
    sigaction(SIGUSR1, NULL, &action);
    CHECK(action.sa_handler == SIG_DFL);
    CHECK_KILLED(CHILD_STATUS(raise(SIGUSR1)), SIGUSR1);
}

static volatile int depth, deepest;
static void nest(int number)
{
    depth++;
    if (depth > deepest) deepest = depth;
    if (came++ < 2) raise(number);
    depth--;
}

static void a_signal_is_masked_in_its_handler(void)
{
    install(SIGUSR1, nest, 0);
    raise(SIGUSR1);
    CHECK_EQ(came, 3);
    CHECK_EQ(deepest, 1);
    came = deepest = 0;
    install(SIGUSR1, nest, SA_NODEFER);
    raise(SIGUSR1);
    CHECK_EQ(deepest, 3);
    struct sigaction action = {.sa_handler = nest, .sa_flags = 0};
    sigaddset(&action.sa_mask, SIGUSR2);
    sigaction(SIGUSR1, &action, NULL);
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    CHECK_EQ(sigismember(&now, SIGUSR1), 0); /* the mask is back */
}

static void ignored_and_default(void)
{
    signal(SIGUSR1, SIG_IGN);
    raise(SIGUSR1);
    block(SIGUSR1, 0);
    raise(SIGUSR1); /* while it is blocked it is kept: there may be a handler by the time it is not */
    sigset_t set;
    sigpending(&set);
    CHECK_EQ(sigismember(&set, SIGUSR1), 1);
    unblock(SIGUSR1, 0);
    signal(SIGUSR2, count);
    block(SIGUSR2, 0);
    raise(SIGUSR2);
    signal(SIGUSR2, SIG_IGN); /* takes away what is pending */
    sigpending(&set);
    CHECK_EQ(sigismember(&set, SIGUSR2), 0);
    static const int harmless[] = {SIGCHLD, SIGURG, SIGWINCH, SIGCONT};
    for (unsigned i = 0; i < sizeof harmless / sizeof *harmless; i++) CHECK_EXITED(CHILD_STATUS(raise(harmless[i])), 0);
    static const int deadly[] = {SIGHUP, SIGIO, SIGPWR, SIGSTKFLT, SIGVTALRM, SIGPROF, SIGALRM, 34, 64};
    for (unsigned i = 0; i < sizeof deadly / sizeof *deadly; i++) CHECK_KILLED(CHILD_STATUS(kill(getpid(), deadly[i])), deadly[i]);
    CHECK_KILLED(CHILD_STATUS(sigset_t all; sigfillset(&all); sigprocmask(SIG_SETMASK, &all, NULL); kill(getpid(), SIGKILL)), SIGKILL);
}

static void waiting_for_signals(void)
{
    sigset_t set = set_of(SIGUSR1, SIGUSR2);
    siginfo_t info;
    struct timespec little = {0, 5000000};
    block(SIGUSR1, SIGUSR2);
    raise(SIGUSR2);
    CHECK_EQ(sigwaitinfo(&set, &info), SIGUSR2);
    CHECK_EQ(info.si_signo, SIGUSR2);
    long long start = now_ns();
    CHECK_ERR(sigtimedwait(&set, &info, &little), EAGAIN);
    CHECK(now_ns() - start >= 5000000);
    pid_t self = getpid(), pid = CHILD(sleep_ms(10); kill(self, SIGUSR1));
    CHECK_EQ(sigwaitinfo(&set, NULL), SIGUSR1);
    status_of(pid);
    int number = 0;
    raise(SIGUSR1);
    CHECK_OK(sigwait(&set, &number));
    CHECK_EQ(number, SIGUSR1);
    install(SIGALRM, count, 0);
    pid = CHILD(sleep_ms(10); kill(self, SIGALRM));
    unsigned long raw = 1 << (SIGUSR1 - 1); /* musl's function would try again */
    CHECK_ERR(syscall(SYS_rt_sigtimedwait, &raw, NULL, &(struct timespec){100, 0}, SIZE), EINTR);
    status_of(pid);
    struct timespec bad = {0, 1000000000};
    CHECK_ERR(syscall(SYS_rt_sigtimedwait, &raw, NULL, &bad, SIZE), EINVAL);
    bad = (struct timespec){-1, 0};
    CHECK_ERR(syscall(SYS_rt_sigtimedwait, &raw, NULL, &bad, SIZE), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigtimedwait, &raw, NULL, NULL, 4), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigtimedwait, UNMAPPED_ADDRESS, NULL, NULL, SIZE), EFAULT);
    CHECK_ERR(syscall(SYS_rt_sigtimedwait, &raw, NULL, UNMAPPED_ADDRESS, SIZE), EFAULT);
}

/* What is ignored, or kills by default, is neither while somebody waits for it. */
static void an_ignored_signal_that_is_waited_for(void)
{
    sigset_t set;
    struct timespec limit = {20, 0};

    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    CHECK_EQ(sigprocmask(SIG_BLOCK, &set, NULL), 0);
    CHECK(signal(SIGUSR2, SIG_IGN) != SIG_ERR);
    pid_t me = getpid();
    pid_t pid = CHILD(wait_for_state(me, 'S'); kill(me, SIGUSR2));
    CHECK_EQ(sigtimedwait(&set, NULL, &limit), SIGUSR2);
    CHECK_EXITED(status_of(pid), 0);
}

static void suspending(void)
{
    sigset_t none, now;
    sigemptyset(&none);
    install(SIGUSR1, count, 0);
    block(SIGUSR1, 0);
    raise(SIGUSR1);
    CHECK_ERR(sigsuspend(&none), EINTR); /* takes what is pending, at once */
    CHECK_EQ(came, 1);
    sigprocmask(SIG_BLOCK, NULL, &now);
    CHECK_EQ(sigismember(&now, SIGUSR1), 1); /* the old mask is back */
    pid_t self = getpid(), pid = CHILD(sleep_ms(10); kill(self, SIGUSR1));
    CHECK_ERR(sigsuspend(&none), EINTR);
    status_of(pid);
    CHECK_EQ(came, 2);
    pid = CHILD(sleep_ms(10); kill(self, SIGUSR1));
    unblock(SIGUSR1, 0);
    if (came == 2) CHECK_ERR(pause(), EINTR);
    status_of(pid);
    CHECK_EQ(came, 3);
    CHECK_ERR(syscall(SYS_rt_sigsuspend, &none, 4), EINVAL);
    CHECK_ERR(syscall(SYS_rt_sigsuspend, UNMAPPED_ADDRESS, SIZE), EFAULT);
}

static void stopping_discards_continuing(void)
{
    sigset_t set;
    block(SIGCONT, SIGTSTP);
    raise(SIGTSTP);
    raise(SIGCONT); /* takes pending stops away */
    sigpending(&set);
    CHECK(sigismember(&set, SIGTSTP) == 0);
    install(SIGCONT, count, 0);
    raise(SIGCONT);
    raise(SIGTSTP); /* and the other way round */
    sigpending(&set);
    CHECK(sigismember(&set, SIGCONT) == 0 && sigismember(&set, SIGTSTP) == 1);
}

/* A stop that is taken while the signal to go on arrives must not win over it. */
static void continuing_just_after_stopping(void)
{
    volatile int *started = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int round = 0; round < 500; round++) {
        int status;
        *started = 0;
        pid_t pid = CHILD(for (*started = 1;;) if (round % 2) getpid());
        while (!*started) sched_yield();
        kill(pid, SIGSTOP);
        for (volatile int delay = round * 7 % 1000; delay > 0; delay--);
        kill(pid, SIGCONT);
        kill(pid, SIGTERM);
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    }
}

static void children_report(void)
{
    sigset_t set = set_of(SIGCHLD, 0);
    siginfo_t info;
    install_info(SIGCHLD, 0);
    block(SIGCHLD, 0);
    int ends[2];
    char byte;
    REQUIRE(pipe(ends) == 0);
    pid_t pid = CHILD(close(ends[1]); raise(SIGSTOP); _exit(read(ends[0], &byte, 1) == 0 ? 3 : 1));
    CHECK_EQ(sigwaitinfo(&set, &info), SIGCHLD);
    CHECK(info.si_code == CLD_STOPPED && info.si_status == SIGSTOP && info.si_pid == pid);
    kill(pid, SIGCONT);
    CHECK_EQ(sigwaitinfo(&set, &info), SIGCHLD);
    CHECK(info.si_code == CLD_CONTINUED && info.si_status == SIGCONT);
    close(ends[1]); /* only now: of two that are pending one would be lost */
    CHECK_EQ(sigwaitinfo(&set, &info), SIGCHLD);
    CHECK(info.si_code == CLD_EXITED && info.si_status == 3);
    CHECK_EXITED(status_of(pid), 3);
    install_info(SIGCHLD, SA_NOCLDSTOP);
    pid = CHILD(raise(SIGSTOP); _exit(4));
    int status;
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    kill(pid, SIGCONT);
    CHECK_EQ(sigwaitinfo(&set, &info), SIGCHLD);
    CHECK_EQ(info.si_code, CLD_EXITED);
    status_of(pid);
}

/* Whoever has waited for a child has its signal, and the signal says who it was. */
static void the_signal_comes_before_the_wait_ends(void)
{
    sigset_t set = set_of(SIGCHLD, 0);
    const struct timespec at_once = { 0 };
    siginfo_t info;
    install(SIGCHLD, count, 0);
    block(SIGCHLD, 0);
    REQUIRE(getuid() == 0);
    for (int round = 0; round < 300; round++) {
        pid_t pid = CHILD(REQUIRE(setuid(round + 1) == 0); _exit(7));
        CHECK_EXITED(status_of(pid), 7);
        CHECK_EQ(sigtimedwait(&set, &info, &at_once), SIGCHLD);
        CHECK(info.si_pid == pid && info.si_status == 7 && info.si_uid == (uid_t)round + 1);
    }
}

static void nobody_else_waits_for_one_that_leaves_no_zombie(void)
{
    signal(SIGCHLD, SIG_IGN);
    for (int round = 0; round < 300; round++) {
        CHILD(_exit(1));
        CHECK_ERR(waitpid(-1, NULL, 0), ECHILD);
    }
}

static void no_zombies_when_nobody_cares(void)
{
    signal(SIGCHLD, SIG_IGN);
    pid_t pid = CHILD(_exit(1));
    CHECK_ERR(waitpid(pid, NULL, 0), ECHILD); /* waits for its end all the same */
    CHECK_ERR(kill(pid, 0), ESRCH);
    install(SIGCHLD, count, SA_NOCLDWAIT);
    pid = CHILD(_exit(1));
    CHECK_ERR(waitpid(pid, NULL, 0), ECHILD);
    CHECK_EQ(came, 1); /* Linux still sends it */
    signal(SIGCHLD, SIG_DFL); /* "ignored by default" leaves zombies */
    pid = CHILD(_exit(1));
    CHECK_EXITED(status_of(pid), 1);
}

static void a_broken_pipe(void)
{
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    close(ends[0]);
    CHECK_KILLED(CHILD_STATUS(if (write(ends[1], "x", 1)) _exit(1)), SIGPIPE);
    install_info(SIGPIPE, 0);
    CHECK_ERR(write(ends[1], "x", 1), EPIPE);
    CHECK(came == 1 && seen.si_signo == SIGPIPE && seen.si_code == SI_USER && seen.si_pid == getpid());
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERR(write(ends[1], "x", 1), EPIPE);
}

static void everybody_at_once(void)
{
    /* Two processes signal each other; nothing is lost that must not be. */
    enum { COUNT = 200 };
    union sigval value = {0};
    block(SIGRTMIN, 0);
    pid_t self = getpid();
    pid_t pid = CHILD(for (int i = 0; i < COUNT; i++) {
        value.sival_int = i;
        if (sigqueue(self, SIGRTMIN, value) != 0) _exit(1);
    });
    sigset_t set = set_of(SIGRTMIN, 0);
    siginfo_t info;
    int good = 0;
    for (int i = 0; i < COUNT; i++) good += sigwaitinfo(&set, &info) == SIGRTMIN && info.si_value.sival_int == i;
    CHECK_EQ(good, COUNT);
    CHECK_EXITED(status_of(pid), 0);
}

CASES(CASE(a_handler_runs_before_kill_returns), CASE(actions_are_remembered), CASE(errors_of_sigaction), CASE(masks),
      CASE(kill_goes_where_it_should), CASE(what_the_handler_is_told), CASE(errors_of_sigqueue),
      CASE(real_time_signals_queue_in_order), CASE(handlers_of_several_signals), CASE(resethand_and_nodefer),
      CASE(a_signal_is_masked_in_its_handler), CASE(ignored_and_default), CASE(waiting_for_signals), CASE(an_ignored_signal_that_is_waited_for), CASE(suspending),
      CASE(stopping_discards_continuing), CASE(continuing_just_after_stopping), CASE(children_report),
      CASE(the_signal_comes_before_the_wait_ends), CASE(nobody_else_waits_for_one_that_leaves_no_zombie),
      CASE(no_zombies_when_nobody_cares), CASE(a_broken_pipe),
      CASE(everybody_at_once))
