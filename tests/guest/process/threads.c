/* Threads: identity, TLS, exit, robust lists, arch_prctl, pthread's own synchronisation. */
#include "check.h"

#include <asm/prctl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>

static pid_t gettid_(void) { return (pid_t)syscall(SYS_gettid); }

static __thread int local = 11;
static __thread char local_zero[5000];

struct view {
    pid_t pid, tid, parent;
    int local_before;
    void *local_address;
    int error;
};

static void *look(void *view)
{
    struct view *mine = view;
    mine->pid = getpid();
    mine->tid = gettid_();
    mine->parent = getppid();
    mine->local_before = local + local_zero[4999];
    mine->local_address = &local;
    local = mine->tid;
    errno = 77;
    sched_yield();
    mine->error = errno;
    return (void *)(long)(local == mine->tid);
}

static void threads_share_the_process_and_not_themselves(void)
{
    enum { COUNT = 32 };
    pthread_t threads[COUNT];
    static struct view views[COUNT];
    int good = 0, distinct = 0;
    for (int i = 0; i < COUNT; i++) REQUIRE(pthread_create(&threads[i], NULL, look, &views[i]) == 0);
    for (int i = 0; i < COUNT; i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        good += result == (void *)1 && views[i].pid == getpid() && views[i].parent == getppid() && views[i].local_before == 11 &&
                views[i].error == 77 && views[i].local_address != &local;
        distinct += views[i].tid != getpid();
    }
    CHECK_EQ(good, COUNT);
    CHECK_EQ(distinct, COUNT);
    CHECK_EQ(local, 11);
    CHECK_EQ(gettid_(), getpid());
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static long counter;

static void *count_up(void *unused)
{
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
    }
    return unused;
}

static void a_mutex_excludes(void)
{
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) REQUIRE(pthread_create(&threads[i], NULL, count_up, NULL) == 0);
    for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
    CHECK_EQ(counter, 16000);
}

static int turn;

static void *take_turns(void *mine)
{
    for (int i = 0; i < 200; i++) {
        pthread_mutex_lock(&mutex);
        while (turn != (int)(long)mine) pthread_cond_wait(&condition, &mutex);
        turn = (turn + 1) % 4;
        pthread_cond_broadcast(&condition);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void a_condition_wakes(void)
{
    pthread_t threads[4];
    for (long i = 0; i < 4; i++) REQUIRE(pthread_create(&threads[i], NULL, take_turns, (void *)i) == 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    CHECK_EQ(turn, 0);
    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += 10000000;
    if (soon.tv_nsec >= 1000000000) soon.tv_nsec -= 1000000000, soon.tv_sec++;
    pthread_mutex_lock(&mutex);
    CHECK_EQ(pthread_cond_timedwait(&condition, &mutex, &soon), ETIMEDOUT);
    pthread_mutex_unlock(&mutex);
}

static void *lock_and_die(void *robust)
{
    pthread_mutex_lock(robust);
    return NULL;
}

static void robust_mutexes(void)
{
    pthread_mutexattr_t kind;
    pthread_mutex_t *robust = map_shared(1);
    pthread_t thread;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
    REQUIRE(pthread_mutex_init(robust, &kind) == 0);
    REQUIRE(pthread_create(&thread, NULL, lock_and_die, robust) == 0);
    pthread_join(thread, NULL);
    CHECK_EQ(pthread_mutex_lock(robust), EOWNERDEAD);
    CHECK_EQ(pthread_mutex_consistent(robust), 0);
    CHECK_EQ(pthread_mutex_unlock(robust), 0);
    CHECK_KILLED(CHILD_STATUS(pthread_mutex_lock(robust); raise(SIGKILL)), SIGKILL); /* of another process, killed */
    CHECK_EQ(pthread_mutex_lock(robust), EOWNERDEAD);
    CHECK_EQ(pthread_mutex_unlock(robust), 0); /* without making it consistent */
    CHECK_EQ(pthread_mutex_lock(robust), ENOTRECOVERABLE);
    /* One that waits is woken by the death. */
    REQUIRE(pthread_mutex_init(robust, &kind) == 0);
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    pid_t pid = CHILD({
        pthread_mutex_lock(robust);
        if (write(ends[1], "x", 1) < 0) _exit(1);
        sleep_ms(30);
    });
    char byte;
    CHECK_EQ(read(ends[0], &byte, 1), 1);
    CHECK_EQ(pthread_mutex_lock(robust), EOWNERDEAD);
    CHECK_EXITED(status_of(pid), 0);
}

/* The kernel's side of it, without pthread. */
struct robust_list_head_ {
    void *next;
    long offset;
    void *pending;
};

struct robust_lock {
    void *next;
    unsigned word;
};

static void raw_robust_lists(void)
{
    struct robust_lock *locks = map_shared(1);
    struct robust_list_head_ *head = map_shared(1), *found = NULL;
    size_t length = 0;
    pid_t pid = CHILD({
        pid_t tid = gettid_();
        head->next = &locks[0];
        head->offset = offsetof(struct robust_lock, word);
        head->pending = &locks[3];
        locks[0].next = &locks[1];
        locks[1].next = &locks[2];
        locks[2].next = head;
        locks[0].word = (unsigned)tid;
        locks[1].word = (unsigned)tid | 0x80000000; /* with waiters */
        locks[2].word = 0x3ffffff;                  /* somebody else's */
        locks[3].word = (unsigned)tid;              /* being taken just now */
        CHECK_OK(syscall(SYS_set_robust_list, head, sizeof *head));
        CHECK_OK(syscall(SYS_get_robust_list, 0, &found, &length));
        CHECK(found == head && length == sizeof *head);
    });
    CHECK_EXITED(status_of(pid), 0);
    CHECK_EQ(locks[0].word, 0x40000000); /* FUTEX_OWNER_DIED */
    CHECK_EQ(locks[1].word, 0xc0000000);
    CHECK_EQ(locks[2].word, 0x3ffffff);
    CHECK_EQ(locks[3].word, 0x40000000);
    CHECK_ERR(syscall(SYS_set_robust_list, head, 8), EINVAL);
    CHECK_ERR(syscall(SYS_get_robust_list, 0x3fffffff, &found, &length), ESRCH);
    CHECK_ERR(syscall(SYS_get_robust_list, 0, UNMAPPED_ADDRESS, &length), EFAULT);
    /* A list in a circle or in nowhere must not hang the exit. */
    CHECK_EXITED(CHILD_STATUS(head->next = &locks[0]; locks[0].next = &locks[0]; locks[0].word = 5; head->pending = NULL;
                              syscall(SYS_set_robust_list, head, sizeof *head)),
                 0);
    CHECK_EXITED(CHILD_STATUS(head->next = KERNEL_ADDRESS; syscall(SYS_set_robust_list, head, sizeof *head)), 0);
    CHECK_EXITED(CHILD_STATUS(syscall(SYS_set_robust_list, WILD_ADDRESS, sizeof *head)), 0);
}

static void *exit_process(void *unused)
{
    (void)unused;
    exit(31);
}

static void *exit_thread_only(void *place)
{
    __atomic_store_n((pid_t *)place, gettid_(), __ATOMIC_SEQ_CST);
    syscall(SYS_exit, 5);
    return NULL;
}

/* Starts a thread that leaves by the bare system call, and waits until it has. */
static void start_and_lose_a_thread(void)
{
    pthread_t thread;
    pid_t tid = 0, found;
    if (pthread_create(&thread, NULL, exit_thread_only, &tid) != 0) _exit(96);
    while (!(found = __atomic_load_n(&tid, __ATOMIC_SEQ_CST))) sleep_ms(1);
    while (syscall(SYS_tgkill, getpid(), found, 0) == 0) sleep_ms(1);
}

static void *sleep_then_exit(void *unused)
{
    (void)unused;
    sleep_ms(20);
    _exit(32);
}

static void *wait_forever(void *unused)
{
    for (;;) pause();
    return unused;
}

static void exit_of_one_and_of_all(void)
{
    pthread_t thread;
    pid_t pid = CHILD(pthread_create(&thread, NULL, exit_process, NULL); wait_forever(NULL));
    CHECK_EXITED(status_of(pid), 31);
    /* The first thread may end; the process lives on, a zombie leader, until the last one ends. */
    pid = CHILD(pthread_create(&thread, NULL, sleep_then_exit, NULL); syscall(SYS_exit, 3));
    CHECK_EXITED(status_of(pid), 32);
    pid = CHILD(start_and_lose_a_thread(); _exit(33));
    CHECK_EXITED(status_of(pid), 33);
    pid = CHILD(for (int i = 0; i < 8; i++) pthread_create(&thread, NULL, wait_forever, NULL); _exit(34));
    CHECK_EXITED(status_of(pid), 34);
    /* The code of a process whose threads all left one by one is that of its first thread. */
    pid = CHILD(start_and_lose_a_thread(); syscall(SYS_exit, 35));
    CHECK_EXITED(status_of(pid), 35);
}

static void a_fatal_signal_ends_all(void)
{
    pthread_t thread;
    pid_t pid = CHILD({
        for (int i = 0; i < 8; i++) pthread_create(&thread, NULL, wait_forever, NULL);
        pthread_kill(thread, SIGTERM);
        wait_forever(NULL);
    });
    CHECK_KILLED(status_of(pid), SIGTERM);
    pid = CHILD(for (int i = 0; i < 8; i++) pthread_create(&thread, NULL, wait_forever, NULL); wait_forever(NULL));
    sleep_ms(5);
    kill(pid, SIGKILL);
    CHECK_KILLED(status_of(pid), SIGKILL);
}

static void *fork_inside(void *unused)
{
    (void)unused;
    return (void *)(long)CHILD_STATUS(_exit(gettid_() == getpid() ? 36 : 1));
}

static void fork_copies_one_thread(void)
{
    pthread_t sleeper, thread;
    void *status;
    REQUIRE(pthread_create(&sleeper, NULL, wait_forever, NULL) == 0);
    REQUIRE(pthread_create(&thread, NULL, fork_inside, NULL) == 0);
    pthread_join(thread, &status);
    CHECK_EXITED((int)(long)status, 36);
    pthread_cancel(sleeper);
    CHECK_EQ(pthread_join(sleeper, &status), 0);
    CHECK(status == PTHREAD_CANCELED);
}

static void many_threads(void)
{
    enum { COUNT = 300 };
    static pthread_t threads[COUNT];
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 * 1024);
    counter = 0;
    int good = 0;
    for (int i = 0; i < COUNT; i++) good += pthread_create(&threads[i], &attributes, (void *(*)(void *))look, calloc(1, sizeof(struct view))) == 0;
    CHECK_EQ(good, COUNT);
    for (int i = 0; i < COUNT; i++) pthread_join(threads[i], NULL);
    /* Again and again: nothing of a thread is left. */
    good = 0;
    struct view view;
    for (int i = 0; i < COUNT; i++) {
        good += pthread_create(&threads[0], &attributes, look, &view) == 0;
        pthread_join(threads[0], NULL);
    }
    CHECK_EQ(good, COUNT);
}

static void the_address_for_clearing(void)
{
    int word;
    CHECK_EQ(syscall(SYS_set_tid_address, &word), gettid_());
    CHECK_EXITED(CHILD_STATUS(syscall(SYS_set_tid_address, UNMAPPED_ADDRESS)), 0); /* nobody minds */
}

static void segment_bases(void)
{
    unsigned long fs = 0, gs = 1, own;
    __asm__("mov %%fs:0, %0" : "=r"(own));
    CHECK_OK(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs));
    CHECK_EQ(fs, own);
    CHECK_OK(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs));
    CHECK_EQ(gs, 0);
    unsigned long target = 0x1122334455667788;
    CHECK_OK(syscall(SYS_arch_prctl, ARCH_SET_GS, &target));
    unsigned long through;
    __asm__ volatile("mov %%gs:0, %0" : "=r"(through));
    CHECK_EQ(through, 0x1122334455667788);
    sched_yield();
    __asm__ volatile("mov %%gs:0, %0" : "=r"(through));
    CHECK_EQ(through, 0x1122334455667788);
    CHECK_EXITED(CHILD_STATUS(__asm__ volatile("mov %%gs:0, %0" : "=r"(through)); _exit(through == target ? 0 : 1)), 0);
    CHECK_OK(syscall(SYS_arch_prctl, ARCH_SET_GS, 0));
    CHECK_OK(syscall(SYS_arch_prctl, ARCH_SET_FS, own));
    CHECK_ERR(syscall(SYS_arch_prctl, ARCH_SET_FS, KERNEL_ADDRESS), EPERM);
    CHECK_ERR(syscall(SYS_arch_prctl, ARCH_SET_GS, WILD_ADDRESS), EPERM);
    CHECK_ERR(syscall(SYS_arch_prctl, ARCH_GET_FS, UNMAPPED_ADDRESS), EFAULT);
    CHECK_ERR(syscall(SYS_arch_prctl, 0x7777, 0), EINVAL);
}

static volatile pid_t handled_by;
static void remember_tid(int number)
{
    (void)number;
    handled_by = gettid_();
}

static void *send_tid_and_wait(void *place)
{
    __atomic_store_n((pid_t *)place, gettid_(), __ATOMIC_SEQ_CST);
    while (!handled_by) sleep_ms(1);
    return NULL;
}

static void signals_to_one_thread(void)
{
    pthread_t thread;
    pid_t tid = 0;
    signal(SIGUSR1, remember_tid);
    REQUIRE(pthread_create(&thread, NULL, send_tid_and_wait, &tid) == 0);
    while (!__atomic_load_n(&tid, __ATOMIC_SEQ_CST)) sleep_ms(1);
    CHECK_OK(syscall(SYS_tgkill, getpid(), tid, SIGUSR1));
    pthread_join(thread, NULL);
    CHECK_EQ(handled_by, tid);
}

static void process_signals_go_to_a_willing_thread(void)
{
    pthread_t thread;
    pid_t tid = 0;
    sigset_t set;
    handled_by = 0;
    signal(SIGUSR1, remember_tid);
    REQUIRE(pthread_create(&thread, NULL, send_tid_and_wait, &tid) == 0);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* I will not, the other will */
    while (!__atomic_load_n(&tid, __ATOMIC_SEQ_CST)) sleep_ms(1);
    CHECK_OK(kill(getpid(), SIGUSR1));
    pthread_join(thread, NULL);
    CHECK_EQ(handled_by, tid);
}

static void barriers_and_rwlocks(void)
{
    static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
    CHECK_EQ(pthread_rwlock_rdlock(&lock), 0);
    CHECK_EQ(pthread_rwlock_trywrlock(&lock), EBUSY);
    CHECK_EQ(pthread_rwlock_unlock(&lock), 0);
    CHECK_EQ(pthread_rwlock_wrlock(&lock), 0);
    CHECK_EQ(pthread_rwlock_tryrdlock(&lock), EBUSY);
    CHECK_EQ(pthread_rwlock_unlock(&lock), 0);
}

static void *overrun(void *unused)
{
    volatile char room[256];
    room[0] = 1;
    return room[0] ? overrun(unused) + room[0] : NULL;
}

static void a_threads_stack_has_a_guard(void)
{
    pthread_t thread;
    pid_t pid = CHILD(pthread_create(&thread, NULL, overrun, NULL); pthread_join(thread, NULL));
    CHECK_KILLED(status_of(pid), SIGSEGV);
}

static void the_threads_are_in_proc(void)
{
    pthread_t threads[3];
    int count = 0;
    for (int i = 0; i < 3; i++) REQUIRE(pthread_create(&threads[i], NULL, wait_forever, NULL) == 0);
    DIR *folder = opendir("/proc/self/task");
    REQUIRE(folder != NULL);
    for (struct dirent *entry; (entry = readdir(folder));) count += entry->d_name[0] != '.';
    closedir(folder);
    CHECK_EQ(count, 4);
}

CASES(CASE(threads_share_the_process_and_not_themselves), CASE(a_mutex_excludes), CASE(a_condition_wakes),
      CASE(robust_mutexes), CASE(raw_robust_lists), CASE(exit_of_one_and_of_all), CASE(a_fatal_signal_ends_all),
      CASE(fork_copies_one_thread), CASE(many_threads), CASE(the_address_for_clearing), CASE(segment_bases),
      CASE(signals_to_one_thread), CASE(process_signals_go_to_a_willing_thread), CASE(barriers_and_rwlocks),
      CASE(a_threads_stack_has_a_guard), CASE(the_threads_are_in_proc))
