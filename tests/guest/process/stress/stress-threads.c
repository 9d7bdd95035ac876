/* 500 threads on one futex, signal storms, exec in the middle of many threads. */
#include "../check.h"

#include <linux/futex.h>
#include <pthread.h>

enum { THREADS = 500 };

static int word, arrived, woken;

static void *wait_on_word(void *unused)
{
    __atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&word, __ATOMIC_SEQ_CST) == 0) syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    __atomic_fetch_add(&woken, 1, __ATOMIC_SEQ_CST);
    return unused;
}

static pthread_t threads[THREADS];

static int start(int count, void *(*function)(void *), void *argument)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 * 1024);
    int made = 0;
    while (made < count && pthread_create(&threads[made], &attributes, function, argument) == 0) made++;
    return made;
}

static void five_hundred_threads_on_one_futex(void)
{
    for (int round = 0; round < 3; round++) {
        word = arrived = woken = 0;
        CHECK_EQ(start(THREADS, wait_on_word, NULL), THREADS);
        while (__atomic_load_n(&arrived, __ATOMIC_SEQ_CST) < THREADS) sleep_ms(1);
        __atomic_store_n(&word, 1, __ATOMIC_SEQ_CST);
        syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
        for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
        CHECK_EQ(woken, THREADS);
    }
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long total;

static void *add_under_lock(void *unused)
{
    for (int i = 0; i < 100; i++) {
        pthread_mutex_lock(&mutex);
        total++;
        pthread_mutex_unlock(&mutex);
    }
    return unused;
}

static void five_hundred_threads_on_one_mutex(void)
{
    int made = start(THREADS, add_under_lock, NULL);
    CHECK_EQ(made, THREADS);
    for (int i = 0; i < made; i++) pthread_join(threads[i], NULL);
    CHECK_EQ(total, THREADS * 100L);
}

static volatile sig_atomic_t handled;
static void count(int number) { handled += number != 0; }

static void a_storm_of_signals(void)
{
    int *sent = map_shared(1);
    signal(SIGUSR1, count);
    signal(SIGUSR2, count);
    pid_t self = getpid(), pids[4];
    for (int i = 0; i < 4; i++) {
        pids[i] = CHILD(for (int j = 0; j < 2000; j++) __atomic_fetch_add(sent, kill(self, i % 2 ? SIGUSR1 : SIGUSR2) == 0, __ATOMIC_SEQ_CST));
    }
    for (int i = 0; i < 4; i++) CHECK_EXITED(status_of(pids[i]), 0);
    CHECK_EQ(*sent, 8000);
    CHECK(handled >= 2 && handled <= 8000);
}

static volatile bool stop_storm;

static void *signal_the_others(void *unused)
{
    while (!stop_storm) {
        for (int i = 0; i < 8; i++) pthread_kill(threads[i], SIGUSR1);
    }
    return unused;
}

static void *compute(void *result)
{
    unsigned long value = 1;
    double fraction = 1;
    for (int i = 0; i < 2000000; i++) {
        value = value * 6364136223846793005UL + 1442695040888963407UL;
        fraction = fraction * 1.0000001 + 1e-9;
    }
    *(unsigned long *)result = value ^ (unsigned long)(fraction * 1e6);
    return NULL;
}

/* Threads that compute come to the same result however often they are interrupted. */
static void signals_do_not_change_results(void)
{
    unsigned long expected, results[8];
    pthread_t storm;
    compute(&expected);
    signal(SIGUSR1, count);
    for (int i = 0; i < 8; i++) REQUIRE(pthread_create(&threads[i], NULL, compute, &results[i]) == 0);
    REQUIRE(pthread_create(&storm, NULL, signal_the_others, NULL) == 0);
    sleep_ms(50);
    stop_storm = true; /* before the threads may be gone */
    pthread_join(storm, NULL);
    int good = 0;
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        good += results[i] == expected;
    }
    CHECK_EQ(good, 8);
    CHECK(handled > 0);
}

static void *spin(void *unused)
{
    for (;;) __asm__ volatile("pause");
    return unused;
}

static void *execute(void *unused)
{
    char *words[] = {(char *)own_path(), "@done", NULL};
    execv(words[0], words);
    return unused;
}

static void exec_among_busy_threads(void)
{
    for (int round = 0; round < 20; round++) {
        pid_t pid = CHILD({
            start(16, round % 2 ? spin : wait_on_word, NULL);
            pthread_t thread;
            if (pthread_create(&thread, NULL, execute, NULL) != 0) _exit(1);
            if (round % 3 == 0) pthread_create(&thread, NULL, execute, NULL); /* two at once: one wins */
            spin(NULL);
        });
        CHECK_EXITED(status_of(pid), 9);
    }
}

static void exits_among_busy_threads(void)
{
    for (int round = 0; round < 30; round++) {
        pid_t pid = CHILD(start(16, round % 2 ? spin : wait_on_word, NULL); if (round % 3) _exit(8); spin(NULL));
        if (round % 3 == 0) kill(pid, SIGKILL);
        int status = status_of(pid);
        if (round % 3) CHECK_EXITED(status, 8);
        else CHECK_KILLED(status, SIGKILL);
    }
}

static int helper(int count_, char **words)
{
    (void)count_;
    return strcmp(words[0], "@done") == 0 ? 9 : 2;
}

CASES_WITH_HELPER(helper, CASE(five_hundred_threads_on_one_futex), CASE(five_hundred_threads_on_one_mutex), CASE(a_storm_of_signals),
                  CASE(signals_do_not_change_results), CASE(exec_among_busy_threads), CASE(exits_among_busy_threads))
