/* mprotect, mremap, madvise, msync, mincore, mlock and brk. */
#include "check.h"

#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static bool is_mapped(void *address) { return msync(address, PAGE, MS_ASYNC) == 0; }

static int touch(volatile char *address, bool writes)
{
    return CHILD_STATUS(if (writes) *address = 1; else (void)*address;);
}

static void protection_is_enforced(void)
{
    char *memory = map_pages(3, RW);
    memset(memory, 1, 3 * PAGE);
    CHECK_OK(mprotect(memory + PAGE, PAGE, PROT_READ));
    CHECK_EXITED(touch(memory + PAGE, false), 0);
    CHECK_KILLED(touch(memory + PAGE, true), SIGSEGV);
    CHECK_EXITED(touch(memory, true), 0);
    CHECK_EXITED(touch(memory + 2 * PAGE, true), 0);
    CHECK_OK(mprotect(memory + PAGE, PAGE, PROT_NONE));
    CHECK_KILLED(touch(memory + PAGE, false), SIGSEGV);
    CHECK_OK(mprotect(memory, 3 * PAGE, RW));
    CHECK_EQ(memory[PAGE], 1);
    CHECK_EXITED(touch(memory + PAGE, true), 0);
}

static void code_needs_execute(void)
{
    static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3}; /* mov $42, %eax; ret */
    unsigned char *memory = map_pages(1, RW);
    memcpy(memory, code, sizeof code);
    int (*function)(void) = (int (*)(void))(uintptr_t)memory;
    CHECK_KILLED(CHILD_STATUS(_exit(function())), SIGSEGV);
    CHECK_OK(mprotect(memory, PAGE, PROT_READ | PROT_EXEC));
    CHECK_EXITED(CHILD_STATUS(_exit(function())), 42);
    CHECK_KILLED(touch((char *)memory, true), SIGSEGV);
    CHECK_KILLED(CHILD_STATUS(((void (*)(void))(uintptr_t)"\xc3")()), SIGSEGV); /* read-only data */
}

static void errors_of_mprotect(void)
{
    char *memory = map_pages(4, RW);
    CHECK_ERR(syscall(SYS_mprotect, memory + 1, PAGE, PROT_READ), EINVAL); /* musl would round */
    CHECK_ERR(mprotect(memory, PAGE, 0x40), EINVAL);
    CHECK_ERR(mprotect(memory, PAGE, PROT_READ | PROT_GROWSDOWN), EINVAL); /* not a stack */
    CHECK_ERR(mprotect(memory, PAGE, PROT_READ | PROT_GROWSDOWN | PROT_GROWSUP), EINVAL);
    CHECK_ERR(mprotect(memory, ~0UL - PAGE, PROT_READ), ENOMEM);
    CHECK_OK(mprotect(memory, 0, PROT_READ));
    CHECK_OK(munmap(memory + 2 * PAGE, PAGE));
    CHECK_ERR(mprotect(memory + 2 * PAGE, PAGE, PROT_READ), ENOMEM);
    /* What comes before the hole has been changed all the same. */
    CHECK_ERR(mprotect(memory, 4 * PAGE, PROT_READ), ENOMEM);
    CHECK_KILLED(touch(memory + PAGE, true), SIGSEGV);
    CHECK_EXITED(touch(memory + 3 * PAGE, true), 0);
    write_file("data", "text", 0600);
    int file = open("data", O_RDONLY);
    char *shared = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0);
    CHECK_ERR(mprotect(shared, PAGE, RW), EACCES);
    char *private = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 0);
    CHECK_OK(mprotect(private, PAGE, RW));
    private[0] = 'T';
}

static void mremap_grows_and_shrinks(void)
{
    char *memory = map_pages(8, RW);
    memset(memory, 5, 8 * PAGE);
    CHECK(mremap(memory, 8 * PAGE, 2 * PAGE, 0) == (void *)memory);
    CHECK(!is_mapped(memory + 2 * PAGE));
    CHECK(mremap(memory, 2 * PAGE, 4 * PAGE, 0) == (void *)memory); /* the room is free again */
    CHECK_EQ(memory[2 * PAGE], 0);
    CHECK_EQ(memory[PAGE], 5);
    CHECK(mmap(memory + 4 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0) != MAP_FAILED);
    CHECK_OK(mprotect(memory + 4 * PAGE, PAGE, PROT_READ));
    CHECK_ERR(mremap(memory, 4 * PAGE, 8 * PAGE, 0), ENOMEM);
    char *moved = mremap(memory, 4 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
    REQUIRE(moved != MAP_FAILED);
    CHECK(moved != memory && moved[PAGE] == 5 && moved[63 * PAGE] == 0);
    CHECK(!is_mapped(memory));
    CHECK(is_mapped(memory + 4 * PAGE));
}

static void mremap_fixed_moves(void)
{
    char *memory = map_pages(2, RW), *target = map_pages(4, RW);
    memset(memory, 6, 2 * PAGE);
    CHECK_ERR(mremap(memory, 2 * PAGE, 2 * PAGE, MREMAP_FIXED, target), EINVAL); /* without MAYMOVE */
    CHECK_ERR(mremap(memory, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target + 1), EINVAL);
    CHECK_ERR(mremap(memory, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, memory + PAGE), EINVAL);
    CHECK_ERR(mremap(memory, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, KERNEL_ADDRESS), EINVAL);
    CHECK(mremap(memory, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target + PAGE) == target + PAGE);
    CHECK(target[0] == 0 && target[PAGE] == 6 && target[2 * PAGE] == 6 && target[3 * PAGE] == 0);
    CHECK(!is_mapped(memory));
}

static void mremap_duplicates_shared(void)
{
    char *memory = map_shared(2);
    strcpy(memory, "twice");
    char *second = mremap(memory, 0, 2 * PAGE, MREMAP_MAYMOVE);
    REQUIRE(second != MAP_FAILED);
    CHECK(second != memory && strcmp(second, "twice") == 0);
    second[0] = 'T';
    CHECK_EQ(memory[0], 'T');
    char *private = map_pages(2, RW);
    CHECK_ERR(mremap(private, 0, 2 * PAGE, MREMAP_MAYMOVE), EINVAL);
}

static void errors_of_mremap(void)
{
    char *memory = map_pages(4, RW);
    CHECK_ERR(mremap(memory + 1, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EINVAL);
    CHECK_ERR(mremap(memory, PAGE, 0, MREMAP_MAYMOVE), EINVAL);
    CHECK_ERR(mremap(memory, PAGE, PAGE, 0x80), EINVAL);
    CHECK_OK(munmap(memory + 2 * PAGE, PAGE));
    CHECK_ERR(mremap(memory + 2 * PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
    CHECK_ERR(mremap(memory, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE), EFAULT); /* over a hole */
    CHECK_ERR(mremap(memory, PAGE, 1UL << 46, MREMAP_MAYMOVE), ENOMEM);
    CHECK_ERR(mremap(KERNEL_ADDRESS, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
}

static void mremap_moves_file_memory(void)
{
    char bytes[4 * PAGE];
    for (int i = 0; i < 4 * PAGE; i++) bytes[i] = (char)('0' + i / PAGE);
    int file = make_file("data", bytes, sizeof bytes, 0600);
    char *memory = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, file, PAGE);
    REQUIRE(memory != MAP_FAILED);
    char *moved = mremap(memory, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE);
    REQUIRE(moved != MAP_FAILED);
    CHECK(moved[0] == '1' && moved[PAGE] == '2' && moved[2 * PAGE] == '3');
}

static void dontneed_drops_pages(void)
{
    char *memory = map_pages(4, RW);
    memset(memory, 9, 4 * PAGE);
    CHECK_OK(madvise(memory + PAGE, 2 * PAGE, MADV_DONTNEED));
    CHECK(memory[0] == 9 && memory[PAGE] == 0 && memory[3 * PAGE - 1] == 0 && memory[3 * PAGE] == 9);
    int file = make_file("data", "file", 4, 0600);
    char *private = mmap(NULL, PAGE, RW, MAP_PRIVATE, file, 0);
    private[0] = 'F';
    CHECK_OK(madvise(private, PAGE, MADV_DONTNEED));
    CHECK_EQ(private[0], 'f'); /* the file's byte is back */
    char *shared = map_shared(1);
    shared[0] = 's';
    CHECK_OK(madvise(shared, PAGE, MADV_DONTNEED));
    CHECK_EQ(shared[0], 's');
}

static void advice_is_checked(void)
{
    char *memory = map_pages(4, RW);
    static const int harmless[] = {MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_FREE,
                                   MADV_DONTFORK, MADV_DOFORK, MADV_DONTDUMP, MADV_DODUMP};
    for (unsigned i = 0; i < sizeof harmless / sizeof *harmless; i++) CHECK_OK(madvise(memory, PAGE, harmless[i]));
    CHECK_ERR(madvise(memory, PAGE, 12345), EINVAL);
    CHECK_ERR(madvise(memory + 1, PAGE, MADV_NORMAL), EINVAL);
    CHECK_ERR(madvise(memory, (size_t)-PAGE, MADV_NORMAL), EINVAL);
    CHECK_OK(madvise(memory, 0, MADV_NORMAL));
    CHECK_OK(munmap(memory + PAGE, PAGE));
    CHECK_ERR(madvise(memory, 3 * PAGE, MADV_DONTNEED), ENOMEM);
    CHECK_ERR(madvise(memory + PAGE, PAGE, MADV_NORMAL), ENOMEM);
}

static void dontfork_and_wipeonfork(void)
{
    char *gone = map_pages(1, RW), *wiped = map_pages(1, RW);
    gone[0] = wiped[0] = 1;
    CHECK_OK(madvise(gone, PAGE, MADV_DONTFORK));
    CHECK_OK(madvise(wiped, PAGE, 18 /* MADV_WIPEONFORK */));
    CHECK_KILLED(touch(gone, false), SIGSEGV);
    CHECK_EXITED(CHILD_STATUS(_exit(wiped[0])), 0);
    CHECK_EQ(wiped[0], 1);
    CHECK_OK(madvise(gone, PAGE, MADV_DOFORK));
    CHECK_OK(madvise(wiped, PAGE, 19 /* MADV_KEEPONFORK */));
    CHECK_EXITED(CHILD_STATUS(_exit(gone[0])), 1);
    CHECK_EXITED(CHILD_STATUS(_exit(wiped[0])), 1);
    CHECK_ERR(madvise(map_shared(1), PAGE, 18), EINVAL);
}

static void msync_checks(void)
{
    int file = make_file("data", "0123", 4, 0600);
    char *memory = mmap(NULL, PAGE, RW, MAP_SHARED, file, 0);
    memory[0] = 'x';
    CHECK_OK(msync(memory, PAGE, MS_SYNC));
    CHECK_OK(msync(memory, PAGE, MS_ASYNC));
    CHECK_OK(msync(memory, 1, MS_SYNC | MS_INVALIDATE));
    CHECK_OK(msync(memory, PAGE, 0));
    CHECK_ERR(msync(memory, PAGE, MS_SYNC | MS_ASYNC), EINVAL);
    CHECK_ERR(msync(memory, PAGE, 0x10), EINVAL);
    CHECK_ERR(msync(memory + 1, PAGE, MS_SYNC), EINVAL);
    CHECK_OK(munmap(memory, PAGE));
    CHECK_ERR(msync(memory, PAGE, MS_SYNC), ENOMEM);
}

static void mincore_tells_what_is_resident(void)
{
    unsigned char list[8];
    char *memory = map_pages(8, RW);
    memory[0] = memory[3 * PAGE] = 1;
    CHECK_OK(mincore(memory, 8 * PAGE, list));
    CHECK((list[0] & 1) && (list[3] & 1));
    CHECK(!(list[1] & 1) && !(list[2] & 1) && !(list[7] & 1));
    CHECK_ERR(mincore(memory + 1, PAGE, list), EINVAL);
    CHECK_ERR(mincore(memory, PAGE, UNMAPPED_ADDRESS), EFAULT);
    CHECK_ERR(mincore(KERNEL_ADDRESS, PAGE, list), ENOMEM);
    CHECK_OK(mincore(memory, 0, list));
    CHECK_OK(munmap(memory + PAGE, PAGE));
    CHECK_ERR(mincore(memory, 3 * PAGE, list), ENOMEM);
}

static void locking(void)
{
    unsigned char list[4];
    char *memory = map_pages(4, RW);
    CHECK_OK(mlock(memory, 2 * PAGE));
    CHECK_OK(mincore(memory, 4 * PAGE, list));
    CHECK((list[0] & 1) && (list[1] & 1));
    CHECK_OK(mlock(memory + 5, 10)); /* rounded to pages */
    CHECK_OK(munlock(memory, 2 * PAGE));
    CHECK_OK(munlock(memory, 4 * PAGE));
    CHECK_OK(syscall(SYS_mlock2, memory, PAGE, 1 /* ONFAULT */));
    CHECK_ERR(syscall(SYS_mlock2, memory, PAGE, 2), EINVAL);
    CHECK_ERR(madvise(memory, PAGE, MADV_DONTNEED), EINVAL); /* locked */
    CHECK_OK(munlock(memory, PAGE));
    CHECK_OK(munmap(memory + PAGE, PAGE));
    CHECK_ERR(mlock(memory, 3 * PAGE), ENOMEM);
    CHECK_ERR(munlock(memory + PAGE, PAGE), ENOMEM);
    CHECK_ERR(mlockall(0), EINVAL);
    CHECK_ERR(mlockall(64), EINVAL);
    CHECK_ERR(mlockall(4 /* ONFAULT alone */), EINVAL);
    CHECK_OK(munlockall());
}

static void locking_has_a_limit_for_users(void)
{
    pid_t pid = CHILD({
        struct rlimit limit = {2 * PAGE, 2 * PAGE};
        REQUIRE(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
        REQUIRE(setuid(12345) == 0);
        char *memory = map_pages(8, RW);
        CHECK_OK(mlock(memory, 2 * PAGE));
        CHECK_ERR(mlock(memory + 4 * PAGE, PAGE), ENOMEM);
        CHECK_OK(munlock(memory, PAGE));
        CHECK_OK(mlock(memory + 4 * PAGE, PAGE));
        limit.rlim_cur = 0;
        CHECK_OK(setrlimit(RLIMIT_MEMLOCK, &limit));
        CHECK_ERR(mlock(memory + 5 * PAGE, PAGE), EPERM);
        CHECK_ERR(mlockall(MCL_FUTURE), EPERM);
    });
    CHECK_EXITED(status_of(pid), 0);
}

static char *set_break(void *end) { return (char *)syscall(SYS_brk, end); }

static void the_break_moves(void)
{
    char *start = set_break(NULL);
    CHECK(start != NULL);
    CHECK(set_break(start + 10 * PAGE) == start + 10 * PAGE);
    memset(start, 8, 10 * PAGE);
    CHECK(set_break(start + 2 * PAGE) == start + 2 * PAGE);
    CHECK(set_break(start + 3 * PAGE) == start + 3 * PAGE);
    CHECK_EQ(start[2 * PAGE + PAGE / 2 + 64], 0); /* what was given back comes back empty */
    /* A refusal returns the old break, never an errno. */
    CHECK(set_break((void *)1) == start + 3 * PAGE);
    CHECK(set_break(KERNEL_ADDRESS) == start + 3 * PAGE);
    CHECK(set_break((void *)0x7ffffffff000) == start + 3 * PAGE);
    CHECK(set_break(start) == start);
}

static void the_break_stops_at_a_mapping(void)
{
    char *start = set_break(NULL);
    char *next = (char *)(((uintptr_t)start + 64 * PAGE) & ~(uintptr_t)(PAGE - 1));
    REQUIRE(mmap(next, PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0) == next);
    CHECK(set_break(next + 8 * PAGE) == start);
    CHECK(set_break(start + 16 * PAGE) == start + 16 * PAGE);
    CHECK_OK(munmap(next, PAGE));
    CHECK(set_break(next + 8 * PAGE) == next + 8 * PAGE);
    CHECK(set_break(start) == start);
}

static void the_break_has_a_limit(void)
{
    struct rlimit limit = {0, RLIM_INFINITY};
    char *start = set_break(NULL);
    CHECK_OK(setrlimit(RLIMIT_DATA, &limit));
    CHECK(set_break(start + 64 * PAGE) == start);
}

CASES(CASE(protection_is_enforced), CASE(code_needs_execute), CASE(errors_of_mprotect), CASE(mremap_grows_and_shrinks),
      CASE(mremap_fixed_moves), CASE(mremap_duplicates_shared), CASE(errors_of_mremap), CASE(mremap_moves_file_memory),
      CASE(dontneed_drops_pages), CASE(advice_is_checked), CASE(dontfork_and_wipeonfork), CASE(msync_checks),
      CASE(mincore_tells_what_is_resident), CASE(locking), CASE(locking_has_a_limit_for_users), CASE(the_break_moves),
      CASE(the_break_stops_at_a_mapping), CASE(the_break_has_a_limit))
