/* futex(2): all operations, their races and their errors. */
#include "check.h"

#include <linux/futex.h>
#include <pthread.h>

static long futex(void *word, int operation, unsigned value, const void *timeout, void *second, unsigned third)
{
    return syscall(SYS_futex, word, operation, value, timeout, second, third);
}

/* A child that waits on `word` while it holds `value` and exits with 0 when woken, else with errno. */
static pid_t waiter(int *word, int operation, unsigned value, unsigned bits)
{
    pid_t pid = CHILD(_exit(futex(word, operation, value, NULL, NULL, bits) == 0 ? 0 : errno));
    wait_for_state(pid, 'S');
    return pid;
}

static const struct timespec little = {0, 10000000};

static void wait_and_wake(void)
{
    int *word = map_shared(1);
    *word = 5;
    CHECK_ERR(futex(word, FUTEX_WAIT, 6, NULL, NULL, 0), EAGAIN);
    long long start = now_ns();
    CHECK_ERR(futex(word, FUTEX_WAIT, 5, &little, NULL, 0), ETIMEDOUT);
    CHECK(now_ns() - start >= 10000000);
    CHECK_EQ(futex(word, FUTEX_WAKE, 10, NULL, NULL, 0), 0); /* nobody there */
    pid_t pids[5];
    for (int i = 0; i < 5; i++) pids[i] = waiter(word, FUTEX_WAIT, 5, 0);
    CHECK_EQ(futex(word, FUTEX_WAKE, 2, NULL, NULL, 0), 2);
    CHECK_EQ(futex(word, FUTEX_WAKE, 0x7fffffff, NULL, NULL, 0), 3);
    for (int i = 0; i < 5; i++) CHECK_EXITED(status_of(pids[i]), 0);
}

static void private_and_shared_do_not_meet(void)
{
    int *word = map_shared(1);
    pid_t pid = waiter(word, FUTEX_WAIT, 0, 0);
    CHECK_EQ(futex(word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0), 0);
    CHECK_EQ(futex(word, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
    CHECK_EXITED(status_of(pid), 0);
}

static void the_page_counts_not_the_address(void)
{
    int file = (int)syscall(SYS_memfd_create, "x", 0);
    REQUIRE(file >= 0 && ftruncate(file, 2 * PAGE) == 0);
    int *first = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    int *second = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, PAGE);
    REQUIRE(first != MAP_FAILED && second != MAP_FAILED);
    pid_t pid = waiter(first + PAGE / 4 + 3, FUTEX_WAIT, 0, 0);
    CHECK_EQ(futex(second + 3, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
    CHECK_EXITED(status_of(pid), 0);
    /* Private memory after fork is not the same memory. */
    int *own = map_pages(1, PROT_READ | PROT_WRITE);
    *own = 0;
    pid = CHILD(_exit(futex(own, FUTEX_WAIT, 0, &(struct timespec){0, 200000000}, NULL, 0) == 0 ? 0 : errno));
    wait_for_state(pid, 'S');
    CHECK_EQ(futex(own, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
    CHECK_EXITED(status_of(pid), ETIMEDOUT);
}

static void bitsets(void)
{
    int *word = map_shared(1);
    pid_t one = waiter(word, FUTEX_WAIT_BITSET, 0, 1), two = waiter(word, FUTEX_WAIT_BITSET, 0, 2);
    CHECK_EQ(futex(word, FUTEX_WAKE_BITSET, 10, NULL, NULL, 4), 0);
    CHECK_EQ(futex(word, FUTEX_WAKE_BITSET, 10, NULL, NULL, 2), 1);
    CHECK_EXITED(status_of(two), 0);
    CHECK_EQ(futex(word, FUTEX_WAKE, 10, NULL, NULL, 0), 1); /* fits everybody */
    CHECK_EXITED(status_of(one), 0);
    CHECK_ERR(futex(word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0), EINVAL);
    CHECK_ERR(futex(word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0), EINVAL);
    struct timespec end; /* its timeout is a point in time */
    clock_gettime(CLOCK_MONOTONIC, &end);
    CHECK_ERR(futex(word, FUTEX_WAIT_BITSET, 0, &end, NULL, 1), ETIMEDOUT);
    clock_gettime(CLOCK_REALTIME, &end);
    CHECK_ERR(futex(word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &end, NULL, 1), ETIMEDOUT);
}

static void requeue(void)
{
    int *word = map_shared(1);
    pid_t pids[4];
    for (int i = 0; i < 4; i++) pids[i] = waiter(word, FUTEX_WAIT, 0, 0);
    CHECK_ERR(futex(word, FUTEX_CMP_REQUEUE, 1, (void *)2L, word + 8, 77), EAGAIN);
    CHECK_EQ(futex(word, FUTEX_CMP_REQUEUE, 1, (void *)2L, word + 8, 0), 3); /* woken and moved */
    CHECK_EQ(futex(word + 8, FUTEX_WAKE, 10, NULL, NULL, 0), 2);
    CHECK_EQ(futex(word, FUTEX_REQUEUE, 0, (void *)1L, word + 8, 0), 1);
    CHECK_EQ(futex(word, FUTEX_WAKE, 10, NULL, NULL, 0), 0);
    CHECK_EQ(futex(word + 8, FUTEX_WAKE, 10, NULL, NULL, 0), 1);
    for (int i = 0; i < 4; i++) CHECK_EXITED(status_of(pids[i]), 0);
    CHECK_ERR(futex(word, FUTEX_CMP_REQUEUE, (unsigned)-1, (void *)1L, word + 8, 0), EINVAL);
    CHECK_ERR(futex(word, FUTEX_CMP_REQUEUE, 1, (void *)-1L, word + 8, 0), EINVAL);
}

static void wake_op(void)
{
    int *word = map_shared(1);
    static const struct {
        int operation, argument, before, after;
    } operations[] = {{FUTEX_OP_SET, 9, 3, 9}, {FUTEX_OP_ADD, 4, 3, 7}, {FUTEX_OP_OR, 4, 3, 7}, {FUTEX_OP_ANDN, 1, 3, 2}, {FUTEX_OP_XOR, 2, 3, 1},
                      {FUTEX_OP_ADD | FUTEX_OP_OPARG_SHIFT, 4, 3, 19}};
    for (unsigned i = 0; i < sizeof operations / sizeof *operations; i++) {
        word[8] = operations[i].before;
        CHECK_EQ(futex(word, FUTEX_WAKE_OP, 1, (void *)1L, word + 8,
                       (unsigned)FUTEX_OP(operations[i].operation, operations[i].argument, FUTEX_OP_CMP_EQ, 3)),
                 0);
        CHECK_EQ(word[8], operations[i].after);
    }
    word[8] = 0;
    pid_t first = waiter(word, FUTEX_WAIT, 0, 0), second = waiter(word + 8, FUTEX_WAIT, 0, 0);
    CHECK_EQ(futex(word, FUTEX_WAKE_OP, 1, (void *)1L, word + 8, FUTEX_OP(FUTEX_OP_SET, 1, FUTEX_OP_CMP_GT, 5)), 1);
    CHECK_EXITED(status_of(first), 0);
    CHECK_EQ(futex(word, FUTEX_WAKE_OP, 1, (void *)1L, word + 8, FUTEX_OP(FUTEX_OP_SET, 2, FUTEX_OP_CMP_LE, 5)), 1);
    CHECK_EXITED(status_of(second), 0);
    CHECK_EQ(word[8], 2);
    CHECK_ERR(futex(word, FUTEX_WAKE_OP, 1, (void *)1L, word + 8, 7u << 28), ENOSYS);
    CHECK_ERR(futex(word, FUTEX_WAKE_OP, 1, (void *)1L, UNMAPPED_ADDRESS, 0), EFAULT);
}

static void errors(void)
{
    int words[4] __attribute__((aligned(8))) = {0};
    struct timespec bad = {0, 1000000000}, negative = {-1, 0};
    CHECK_ERR(futex((char *)words + 1, FUTEX_WAIT, 0, &little, NULL, 0), EINVAL);
    CHECK_ERR(futex((char *)words + 2, FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL);
    CHECK_ERR(futex(NULL, FUTEX_WAIT, 0, &little, NULL, 0), EFAULT);
    CHECK_ERR(futex(UNMAPPED_ADDRESS, FUTEX_WAIT, 0, &little, NULL, 0), EFAULT);
    CHECK_ERR(futex(KERNEL_ADDRESS, FUTEX_WAIT, 0, &little, NULL, 0), EFAULT);
    CHECK_ERR(futex(WILD_ADDRESS, FUTEX_WAKE, 1, NULL, NULL, 0), EFAULT);
    CHECK_ERR(futex(words, FUTEX_WAIT, 0, &bad, NULL, 0), EINVAL);
    CHECK_ERR(futex(words, FUTEX_WAIT, 0, &negative, NULL, 0), EINVAL);
    CHECK_ERR(futex(words, FUTEX_WAIT, 0, UNMAPPED_ADDRESS, NULL, 0), EFAULT);
    CHECK_ERR(futex(words, 99, 0, NULL, NULL, 0), ENOSYS);
    CHECK_ERR(futex(words, FUTEX_FD, 0, NULL, NULL, 0), ENOSYS);
    CHECK_ERR(futex(words, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0), ENOSYS);
    int *read_only = map_pages(1, PROT_READ);
    CHECK_ERR(futex(read_only, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, &little, NULL, 0), ETIMEDOUT); /* reading is all it needs */
    CHECK_EQ(futex(read_only, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0), 0);
    CHECK_ERR(futex(words, FUTEX_WAIT, 0, &(struct timespec){0, 0}, NULL, 0), ETIMEDOUT);
}

static void priority_inheritance(void)
{
    int *word = map_shared(1);
    pid_t self = (pid_t)syscall(SYS_gettid);
    CHECK_OK(futex(word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    CHECK_EQ(*word & FUTEX_TID_MASK, self);
    CHECK_ERR(futex(word, FUTEX_LOCK_PI, 0, NULL, NULL, 0), EDEADLK);
    CHECK_EXITED(CHILD_STATUS(_exit(futex(word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0) == -1 ? errno : 0)), EAGAIN);
    CHECK_EXITED(CHILD_STATUS(_exit(futex(word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0) == -1 ? errno : 0)), EPERM);
    pid_t pid = CHILD(_exit(futex(word, FUTEX_LOCK_PI, 0, NULL, NULL, 0) == 0 && futex(word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0) == 0 ? 0 : errno));
    wait_for_state(pid, 'S');
    CHECK((unsigned)*word & FUTEX_WAITERS);
    CHECK_OK(futex(word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    CHECK_EXITED(status_of(pid), 0);
    CHECK_EQ(*word, 0);
    *word = 0x3ffffff; /* no such thread */
    CHECK_ERR(futex(word, FUTEX_LOCK_PI, 0, NULL, NULL, 0), ESRCH);
}

static void an_owner_that_ends_leaves_its_lock(void)
{
    int *word = map_shared(1);
    pid_t owner = CHILD(if (futex(word, FUTEX_LOCK_PI, 0, NULL, NULL, 0) != 0) _exit(1); for (;;) pause());
    wait_for_state(owner, 'S');
    CHECK_EQ(*word & FUTEX_TID_MASK, owner);
    pid_t heirs[2];
    for (int i = 0; i < 2; i++) {
        heirs[i] = CHILD({
            if (futex(word, FUTEX_LOCK_PI, 0, NULL, NULL, 0) != 0) _exit(errno);
            if ((*word & FUTEX_TID_MASK) != getpid() || (*word & FUTEX_OWNER_DIED) == 0) _exit(1);
        }); /* and ends as well, with the lock */
        wait_for_state(heirs[i], 'S');
        usleep(20000); /* it may have slept on its way there */
    }
    CHECK_ERR(futex(word, FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL); /* they wait for an owner */
    CHECK_ERR(futex(word, FUTEX_REQUEUE, 0, (void *)1L, word + 8, 0), EINVAL);
    CHECK_ERR(futex(word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), EAGAIN);
    kill(owner, SIGKILL);
    status_of(owner);
    for (int i = 0; i < 2; i++) CHECK_EXITED(status_of(heirs[i]), 0);
    CHECK_ERR(futex(word, FUTEX_LOCK_PI, 0, NULL, NULL, 0), ESRCH); /* nobody inherited from the last one */
}

static void circles_and_timeouts_of_locks(void)
{
    int *word = map_shared(1), *other = word + 8;
    struct timespec end;
    CHECK_OK(futex(word, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
    pid_t pid = CHILD({
        if (futex(other, FUTEX_LOCK_PI, 0, NULL, NULL, 0) != 0 || futex(word, FUTEX_LOCK_PI, 0, NULL, NULL, 0) != 0) _exit(1);
        if (futex(other, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0) != 0 || futex(word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0) != 0) _exit(2);
    });
    wait_for_state(pid, 'S');
    CHECK_ERR(futex(other, FUTEX_LOCK_PI, 0, NULL, NULL, 0), EDEADLK); /* it waits for me */
    CHECK_OK(futex(word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
    CHECK_EXITED(status_of(pid), 0);
    pid = CHILD(if (futex(word, FUTEX_LOCK_PI, 0, NULL, NULL, 0) != 0) _exit(1); for (;;) pause());
    wait_for_state(pid, 'S');
    clock_gettime(CLOCK_REALTIME, &end); /* always a time of day */
    end.tv_sec += end.tv_nsec >= 980000000;
    end.tv_nsec = (end.tv_nsec + 20000000) % 1000000000;
    CHECK_ERR(futex(word, FUTEX_LOCK_PI, 0, &end, NULL, 0), ETIMEDOUT);
    CHECK_ERR(futex(word, FUTEX_LOCK_PI | FUTEX_CLOCK_REALTIME, 0, &end, NULL, 0), ENOSYS);
    kill(pid, SIGKILL);
    status_of(pid);
}

static int *ping, rounds;

static void *answer(void *unused)
{
    for (int i = 0; i < rounds; i++) {
        while (__atomic_load_n(ping, __ATOMIC_ACQUIRE) != 1) futex(ping, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0);
        __atomic_store_n(ping, 0, __ATOMIC_RELEASE);
        futex(ping, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
    }
    return unused;
}

static void ping_pong_loses_no_wakeup(void)
{
    pthread_t thread;
    ping = map_pages(1, PROT_READ | PROT_WRITE);
    rounds = 3000;
    REQUIRE(pthread_create(&thread, NULL, answer, NULL) == 0);
    for (int i = 0; i < rounds; i++) {
        __atomic_store_n(ping, 1, __ATOMIC_RELEASE);
        futex(ping, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
        while (__atomic_load_n(ping, __ATOMIC_ACQUIRE) != 0) futex(ping, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
    }
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

CASES(CASE(wait_and_wake), CASE(private_and_shared_do_not_meet), CASE(the_page_counts_not_the_address), CASE(bitsets),
      CASE(requeue), CASE(wake_op), CASE(errors), CASE(priority_inheritance), CASE(an_owner_that_ends_leaves_its_lock),
      CASE(circles_and_timeouts_of_locks), CASE(ping_pong_loses_no_wakeup))
