/* A hog against a limit, and against all the memory there is: the hog dies, the others go on. */
#include "../check.h"

#include <sys/sysinfo.h>

#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static void a_hog_against_a_limit(void)
{
    for (int round = 0; round < 5; round++) {
        pid_t pid = CHILD({
            struct rlimit limit = {128 << 20, 128 << 20};
            setrlimit(RLIMIT_AS, &limit);
            for (;;) {
                char *memory = mmap(NULL, 1 << 20, RW, ANON, -1, 0);
                if (memory == MAP_FAILED) _exit(errno == ENOMEM ? 4 : 1);
                memset(memory, 1, 1 << 20);
            }
        });
        CHECK_EXITED(status_of(pid), 4);
    }
}

/* Only in a small machine: on a host it would take the host's memory. */
static void a_hog_against_everybody(void)
{
    struct sysinfo info;
    if (sysinfo(&info) != 0 || info.totalram * info.mem_unit > 2UL << 30) return;
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    pid_t bystander = CHILD(char byte; close(ends[1]); _exit(read(ends[0], &byte, 1) == 0 ? 5 : 1));
    pid_t pid = CHILD({
        int file = open("/proc/self/oom_score_adj", O_WRONLY);
        if (file >= 0 && write(file, "1000", 4) == 4) close(file);
        for (;;) {
            char *memory = mmap(NULL, 1 << 20, RW, ANON | MAP_NORESERVE, -1, 0);
            if (memory == MAP_FAILED) _exit(4);
            memset(memory, 1, 1 << 20);
        }
    });
    int status = status_of(pid);
    CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) || (WIFEXITED(status) && WEXITSTATUS(status) == 4));
    close(ends[1]);
    CHECK_EXITED(status_of(bystander), 5);
    char *memory = mmap(NULL, 8 << 20, RW, ANON, -1, 0); /* its memory is back */
    REQUIRE(memory != MAP_FAILED);
    memset(memory, 1, 8 << 20);
    CHECK_EXITED(CHILD_STATUS(_exit(3)), 3);
}

static void mapping_and_unmapping_at_random(void)
{
    enum { SLOTS = 64, ROUNDS = 20000 };
    struct {
        unsigned char *memory;
        size_t length;
        unsigned char mark;
    } slots[SLOTS];
    unsigned seed = 4711;
    int wrong = 0;
    memset(slots, 0, sizeof slots);
    for (int round = 0; round < ROUNDS; round++) {
        seed = seed * 1103515245 + 12345;
        int i = (seed >> 16) % SLOTS;
        if (slots[i].memory) {
            for (size_t at = 0; at < slots[i].length; at += PAGE) wrong += slots[i].memory[at] != slots[i].mark;
            wrong += munmap(slots[i].memory, slots[i].length) != 0;
            slots[i].memory = NULL;
            continue;
        }
        slots[i].length = (1 + (seed >> 8) % 16) * PAGE;
        slots[i].mark = (unsigned char)(round | 1);
        slots[i].memory = mmap(NULL, slots[i].length, RW, ANON, -1, 0);
        if (slots[i].memory == MAP_FAILED) {
            wrong++;
            slots[i].memory = NULL;
            continue;
        }
        for (size_t at = 0; at < slots[i].length; at += PAGE) slots[i].memory[at] = slots[i].mark;
    }
    CHECK_EQ(wrong, 0);
}

static void forks_of_a_large_process(void)
{
    size_t length = 64 << 20;
    char *memory = mmap(NULL, length, RW, ANON, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    memset(memory, 1, length);
    int good = 0;
    for (int i = 0; i < 100; i++) good += CHILD_STATUS(memory[(size_t)i * PAGE] = 2; _exit(memory[length - 1])) == 0x100;
    CHECK_EQ(good, 100);
}

CASES(CASE(a_hog_against_a_limit), CASE(a_hog_against_everybody), CASE(mapping_and_unmapping_at_random), CASE(forks_of_a_large_process))
