/* 2,000 live processes, a fork bomb with and without a limit, and nothing left afterwards. */
#include "../check.h"

static int count_children(void)
{
    int count = 0, status;
    while (waitpid(-1, &status, 0) > 0 || errno == EINTR) count++;
    return count;
}

static void two_thousand_live_processes(void)
{
    enum { COUNT = 2000 };
    static pid_t pids[COUNT];
    int ends[2], made = 0;
    char byte;
    REQUIRE(pipe(ends) == 0);
    for (; made < COUNT; made++) {
        pids[made] = fork();
        if (pids[made] == 0) {
            close(ends[1]);
            _exit(read(ends[0], &byte, 1) == 0 ? 7 : 1);
        }
        if (pids[made] < 0) break;
    }
    CHECK_EQ(made, COUNT);
    int alive = 0, good = 0;
    for (int i = 0; i < made; i++) alive += kill(pids[i], 0) == 0;
    CHECK_EQ(alive, COUNT);
    close(ends[1]); /* all wake up together */
    for (int i = 0; i < made; i++) {
        int status = status_of(pids[i]);
        good += WIFEXITED(status) && WEXITSTATUS(status) == 7;
    }
    CHECK_EQ(good, COUNT);
    CHECK_ERR(waitpid(-1, NULL, 0), ECHILD);
}

/* Children that fork children, until nobody can. All belong to one group, and to a user of their own. */
static void bomb(int *made, int *refused, int most)
{
    for (;;) {
        if (__atomic_load_n(made, __ATOMIC_RELAXED) >= most) break;
        pid_t pid = fork();
        if (pid > 0) __atomic_fetch_add(made, 1, __ATOMIC_RELAXED);
        if (pid < 0) {
            __atomic_fetch_add(refused, 1, __ATOMIC_RELAXED);
            break;
        }
    }
    for (;;) pause();
}

static void a_fork_bomb_against_a_limit(void)
{
    int *counters = map_shared(1);
    CHECK_OK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    pid_t pid = CHILD({
        setpgid(0, 0);
        struct rlimit limit = {100, 100};
        setrlimit(RLIMIT_NPROC, &limit);
        if (setuid(45678) != 0) _exit(1);
        bomb(&counters[0], &counters[1], 1 << 30);
    });
    setpgid(pid, pid);
    for (int i = 0; i < 10000 && __atomic_load_n(&counters[1], __ATOMIC_RELAXED) < 100; i++) sleep_ms(2);
    CHECK_EQ(counters[0], 99); /* and the first one */
    CHECK_EQ(counters[1], 100);
    CHECK_OK(kill(-pid, SIGKILL));
    CHECK_EQ(count_children(), 100);
    CHECK_EXITED(CHILD_STATUS(_exit(3)), 3);
}

static void a_fork_bomb_without_a_limit(void)
{
    enum { MOST = 1500 };
    int *counters = map_shared(1);
    CHECK_OK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    pid_t pid = CHILD(setpgid(0, 0); bomb(&counters[0], &counters[1], MOST));
    setpgid(pid, pid);
    for (int i = 0; i < 15000 && __atomic_load_n(&counters[0], __ATOMIC_RELAXED) < MOST && !counters[1]; i++) sleep_ms(2);
    CHECK(counters[0] >= MOST || counters[1] > 0);
    /* Some may be in the middle of a fork while the others die: until there is nobody. */
    while (kill(-pid, SIGKILL) == 0) {
        while (waitpid(-1, NULL, WNOHANG) > 0) continue;
    }
    count_children();
    CHECK_ERR(kill(-pid, 0), ESRCH);
    CHECK_EXITED(CHILD_STATUS(_exit(3)), 3);
}

static void ten_thousand_short_lives(void)
{
    int good = 0;
    for (int i = 0; i < 10000; i++) {
        int status = CHILD_STATUS(_exit(i & 0x7f));
        good += WIFEXITED(status) && WEXITSTATUS(status) == (i & 0x7f);
    }
    CHECK_EQ(good, 10000);
}

CASES(CASE(two_thousand_live_processes), CASE(a_fork_bomb_against_a_limit), CASE(a_fork_bomb_without_a_limit),
      CASE(ten_thousand_short_lives))
