/* mmap(2) and munmap(2): anonymous and file memory, placement, errors. */
#include "check.h"

#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
/* The last page, with five levels of page tables; with four it is far beyond the last. */
#define END_OF_USERS ((void *)0xfffffffffff000)
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

static bool is_mapped(void *address) { return msync(address, PAGE, MS_ASYNC) == 0; }

static void anonymous_memory_is_zero(void)
{
    unsigned char *memory = mmap(NULL, 64 * PAGE, RW, ANON, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    CHECK_EQ((uintptr_t)memory % PAGE, 0);
    int sum = 0;
    for (int i = 0; i < 64 * PAGE; i++) sum |= memory[i];
    CHECK_EQ(sum, 0);
    memset(memory, 0xa5, 64 * PAGE);
    CHECK(memory[0] == 0xa5 && memory[64 * PAGE - 1] == 0xa5);
    CHECK_OK(munmap(memory, 64 * PAGE));
    memory = mmap(NULL, 64 * PAGE, RW, ANON, -1, 0);
    CHECK_EQ(memory[5000], 0);
    CHECK_OK(munmap(memory, 64 * PAGE));
}

static void length_is_rounded_up(void)
{
    char *memory = mmap(NULL, 1, RW, ANON, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    memory[PAGE - 1] = 1;
    CHECK_OK(munmap(memory, 1));
    CHECK(!is_mapped(memory));
}

static void a_hint_is_followed_when_free(void)
{
    char *memory = map_pages(8, RW);
    CHECK_OK(munmap(memory, 8 * PAGE));
    CHECK(mmap(memory, PAGE, RW, ANON, -1, 0) == (void *)memory);
    void *second = mmap(memory, PAGE, RW, ANON, -1, 0);
    CHECK(second != MAP_FAILED && second != (void *)memory);
    void *odd = mmap(memory + 2 * PAGE + 123, PAGE, RW, ANON, -1, 0);
    CHECK(odd != MAP_FAILED && (uintptr_t)odd % PAGE == 0);
}

static void fixed_replaces(void)
{
    char *memory = map_pages(4, RW);
    memset(memory, 7, 4 * PAGE);
    CHECK(mmap(memory + PAGE, 2 * PAGE, RW, ANON | MAP_FIXED, -1, 0) == memory + PAGE);
    CHECK_EQ(memory[0], 7);
    CHECK_EQ(memory[PAGE], 0);
    CHECK_EQ(memory[3 * PAGE - 1], 0);
    CHECK_EQ(memory[3 * PAGE], 7);
    CHECK_ERR(mmap(memory + 1, PAGE, RW, ANON | MAP_FIXED, -1, 0), EINVAL);
    CHECK_ERR(mmap(END_OF_USERS, 2 * PAGE, RW, ANON | MAP_FIXED, -1, 0), ENOMEM);
    CHECK_ERR(mmap(KERNEL_ADDRESS, PAGE, RW, ANON | MAP_FIXED, -1, 0), ENOMEM);
}

static void noreplace_refuses_what_is_taken(void)
{
    char *memory = map_pages(4, RW);
    CHECK_ERR(mmap(memory + PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
    CHECK_ERR(mmap(memory - PAGE, 2 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
    CHECK_OK(munmap(memory + PAGE, PAGE));
    CHECK(mmap(memory + PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == memory + PAGE);
}

static void errors_of_mmap(void)
{
    int file = make_file("data", "x", 1, 0600);
    CHECK_ERR(mmap(NULL, 0, RW, ANON, -1, 0), EINVAL);
    CHECK_ERR(mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0), EINVAL);
    CHECK_ERR(mmap(NULL, PAGE, RW, 0, file, 0), EINVAL);
    CHECK_ERR(syscall(SYS_mmap, NULL, PAGE, RW, MAP_PRIVATE, file, 123), EINVAL);
    CHECK_ERR(mmap(NULL, PAGE, RW, MAP_PRIVATE, -1, 0), EBADF);
    CHECK_ERR(mmap(NULL, PAGE, RW, MAP_PRIVATE, 777, 0), EBADF);
    CHECK_ERR(mmap(NULL, ~0UL, RW, ANON, -1, 0), ENOMEM);
    CHECK_ERR(mmap(NULL, 1UL << 47, RW, ANON, -1, 0), ENOMEM);
    CHECK_ERR(mmap(NULL, ~0UL - 2 * PAGE, RW, MAP_PRIVATE, file, 0), ENOMEM);
    CHECK_ERR(syscall(SYS_mmap, NULL, 4 * PAGE, RW, MAP_PRIVATE, file, 0x7ffffffffffff000UL), EOVERFLOW);
    int read_only = open("data", O_RDONLY), write_only = open("data", O_WRONLY);
    CHECK_ERR(mmap(NULL, PAGE, RW, MAP_SHARED, read_only, 0), EACCES);
    CHECK(mmap(NULL, PAGE, RW, MAP_PRIVATE, read_only, 0) != MAP_FAILED);
    CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, read_only, 0) != MAP_FAILED);
    CHECK_ERR(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, write_only, 0), EACCES);
    CHECK_ERR(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, write_only, 0), EACCES);
    CHECK_ERR(mmap(NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE | 0x800000, file, 0), EOPNOTSUPP);
    int folder = open(".", O_RDONLY), ends[2];
    CHECK_ERR(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, folder, 0), ENODEV);
    REQUIRE(pipe(ends) == 0);
    CHECK_ERR(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, ends[0], 0), ENODEV);
    int path_only = open("data", O_PATH);
    CHECK_ERR(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, path_only, 0), EBADF);
}

static void errors_of_munmap(void)
{
    char *memory = map_pages(4, RW);
    CHECK_ERR(munmap(memory, 0), EINVAL);
    CHECK_ERR(munmap(memory + 1, PAGE), EINVAL);
    CHECK_ERR(munmap(KERNEL_ADDRESS, PAGE), EINVAL);
    CHECK_ERR(munmap(memory, ~0UL), EINVAL);
    CHECK_ERR(munmap(END_OF_USERS, 2 * PAGE), EINVAL);
    CHECK_OK(munmap(memory, 4 * PAGE));
    CHECK_OK(munmap(memory, 4 * PAGE)); /* nothing there is no error */
}

static void munmap_makes_holes(void)
{
    char *memory = (char *)map_pages(7, RW) + PAGE;
    CHECK_OK(munmap(memory - PAGE, PAGE));
    CHECK_OK(munmap(memory + 5 * PAGE, PAGE));
    memset(memory, 3, 5 * PAGE);
    CHECK_OK(munmap(memory + PAGE, PAGE));
    CHECK_OK(munmap(memory + 3 * PAGE, PAGE));
    CHECK(is_mapped(memory) && !is_mapped(memory + PAGE) && is_mapped(memory + 2 * PAGE));
    CHECK(!is_mapped(memory + 3 * PAGE) && is_mapped(memory + 4 * PAGE));
    CHECK_EQ(memory[0] + memory[2 * PAGE] + memory[4 * PAGE], 9);
    CHECK_OK(munmap(memory - PAGE, 7 * PAGE)); /* over mapped and unmapped */
    CHECK(!is_mapped(memory) && !is_mapped(memory + 4 * PAGE));
}

static void private_file_memory_is_a_copy(void)
{
    char bytes[2 * PAGE];
    memset(bytes, 'a', sizeof bytes);
    int file = make_file("data", bytes, sizeof bytes, 0600);
    char *memory = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, file, 0);
    REQUIRE(memory != MAP_FAILED);
    CHECK_EQ(memory[PAGE], 'a');
    memory[0] = 'b';
    char read_back = 0;
    CHECK_EQ(pread(file, &read_back, 1, 0), 1);
    CHECK_EQ(read_back, 'a');
    /* A page that has not been written follows the file. */
    CHECK_EQ(pwrite(file, "c", 1, PAGE + 1), 1);
    CHECK_EQ(memory[PAGE + 1], 'c');
    CHECK_OK(close(file)); /* the mapping stays */
    CHECK_OK(unlink("data"));
    CHECK_EQ(memory[PAGE], 'a');
}

static void shared_file_memory_is_the_file(void)
{
    char bytes[PAGE] = "start";
    int file = make_file("data", bytes, sizeof bytes, 0600);
    char *first = mmap(NULL, PAGE, RW, MAP_SHARED, file, 0);
    char *second = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0);
    REQUIRE(first != MAP_FAILED && second != MAP_FAILED && first != second);
    memcpy(first, "mapped", 7);
    CHECK(strcmp(second, "mapped") == 0);
    char read_back[7] = "";
    CHECK_EQ(pread(file, read_back, 7, 0), 7);
    CHECK(strcmp(read_back, "mapped") == 0);
    CHECK_EQ(pwrite(file, "written", 8, 0), 8);
    CHECK(strcmp(first, "written") == 0);
    CHECK_EXITED(CHILD_STATUS(memcpy(first, "by child", 9)), 0);
    CHECK(strcmp(second, "by child") == 0);
}

static void an_offset_selects_pages(void)
{
    char bytes[4 * PAGE];
    for (int i = 0; i < 4 * PAGE; i++) bytes[i] = (char)('0' + i / PAGE);
    int file = make_file("data", bytes, sizeof bytes, 0600);
    char *memory = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, file, 2 * PAGE);
    REQUIRE(memory != MAP_FAILED);
    CHECK(memory[0] == '2' && memory[PAGE - 1] == '2');
    memory = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, file, PAGE);
    CHECK(memory[0] == '1' && memory[PAGE] == '2');
}

static void the_tail_of_the_last_page_is_zero(void)
{
    int file = make_file("data", "tail", 4, 0600);
    char *memory = mmap(NULL, PAGE, RW, MAP_SHARED, file, 0);
    REQUIRE(memory != MAP_FAILED);
    CHECK(memory[3] == 'l' && memory[4] == 0 && memory[PAGE - 1] == 0);
    memory[100] = 'x'; /* is not part of the file */
    struct stat facts;
    CHECK_OK(fstat(file, &facts));
    CHECK_EQ(facts.st_size, 4);
}

static void a_file_that_grows_is_seen(void)
{
    int file = make_file("data", "x", 1, 0600);
    char *memory = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, file, 0);
    REQUIRE(memory != MAP_FAILED);
    CHECK_OK(ftruncate(file, 2 * PAGE));
    CHECK_EQ(memory[PAGE], 0);
    CHECK_EQ(pwrite(file, "y", 1, PAGE), 1);
    CHECK_EQ(memory[PAGE], 'y');
}

static void dev_zero_is_anonymous(void)
{
    int zero = open("/dev/zero", O_RDWR);
    REQUIRE(zero >= 0);
    char *memory = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE, zero, 0);
    REQUIRE(memory != MAP_FAILED);
    CHECK_EQ(memory[PAGE], 0);
    memory[PAGE] = 1;
    char *shared = mmap(NULL, PAGE, RW, MAP_SHARED, zero, 0);
    REQUIRE(shared != MAP_FAILED);
    CHECK_EXITED(CHILD_STATUS(shared[0] = 'z'), 0);
    CHECK_EQ(shared[0], 'z');
}

static void populate_and_noreserve(void)
{
    unsigned char resident[16];
    char *memory = mmap(NULL, 16 * PAGE, RW, ANON | MAP_POPULATE, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    CHECK_OK(mincore(memory, 16 * PAGE, resident));
    int count = 0;
    for (int i = 0; i < 16; i++) count += resident[i] & 1;
    CHECK_EQ(count, 16);
    /* Far more than there is memory: only what is touched counts. */
    memory = mmap(NULL, 1UL << 40, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    CHECK_OK(mprotect(memory + (1UL << 39), PAGE, RW));
    memory[1UL << 39] = 1;
    CHECK_OK(munmap(memory, 1UL << 40));
}

static void fork_copies_private_and_shares_shared(void)
{
    int *private = map_pages(2, RW), *shared = map_shared(2);
    private[0] = shared[0] = 1;
    pid_t pid = CHILD({
        CHECK_EQ(private[0], 1);
        private[0] = 2;
        shared[0] = 2;
        private[PAGE / 4] = 5;
        shared[PAGE / 4] = 5;
    });
    CHECK_EXITED(status_of(pid), 0);
    CHECK_EQ(private[0], 1);
    CHECK_EQ(shared[0], 2);
    CHECK_EQ(private[PAGE / 4], 0);
    CHECK_EQ(shared[PAGE / 4], 5);
}

static void copy_on_write_through_generations(void)
{
    enum { PAGES = 64, GENERATIONS = 8 };
    unsigned char *memory = map_pages(PAGES, RW);
    for (int i = 0; i < PAGES; i++) memory[i * PAGE] = (unsigned char)i;
    for (int generation = 1; generation <= GENERATIONS; generation++) {
        pid_t pid = fork();
        REQUIRE(pid >= 0);
        if (pid > 0) {
            int status = status_of(pid);
            CHECK_EXITED(status, 0);
            int good = 0; /* mine are untouched, whatever the descendants did */
            for (int i = 0; i < PAGES; i++) good += memory[i * PAGE] == (unsigned char)(i + generation - 1);
            CHECK_EQ(good, PAGES);
            if (generation > 1) _exit(0);
            return;
        }
        for (int i = 0; i < PAGES; i++) memory[i * PAGE]++;
    }
    _exit(0);
}

static void a_kernel_write_breaks_copy_on_write(void)
{
    char *memory = map_pages(1, RW);
    strcpy(memory, "mine");
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    pid_t pid = CHILD({
        REQUIRE(write(ends[1], "theirs", 7) == 7);
        REQUIRE(read(ends[0], memory, 7) == 7);
        CHECK(strcmp(memory, "theirs") == 0);
    });
    CHECK_EXITED(status_of(pid), 0);
    CHECK(strcmp(memory, "mine") == 0);
}

static void unwritten_pages_are_read_from_a_zero_page(void)
{
    char *memory = map_pages(2, RW);
    CHECK_EQ(memory[0], 0);
    memory[0] = 1;
    CHECK_EQ(memory[PAGE], 0);
    CHECK_EQ(memory[0], 1);
}

static void large_memory_works(void)
{
    size_t length = 16 << 20;
    char *memory = mmap(NULL, length, RW, ANON, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    for (size_t i = 0; i < length; i += PAGE) memory[i] = (char)(i / PAGE);
    /* Cut a page out of the middle of what may be a large page, and protect another. */
    CHECK_OK(munmap(memory + (7 << 20) + 3 * PAGE, PAGE));
    CHECK_OK(mprotect(memory + (9 << 20) + 5 * PAGE, PAGE, PROT_READ));
    size_t good = 0;
    for (size_t i = 0; i < length; i += PAGE) {
        if (i == (7 << 20) + 3 * PAGE) continue;
        good += memory[i] == (char)(i / PAGE);
    }
    CHECK_EQ(good, length / PAGE - 1);
    pid_t pid = CHILD({
        for (size_t i = 0; i < 2 << 20; i += PAGE) memory[i] = 99;
    });
    CHECK_EXITED(status_of(pid), 0);
    CHECK_EQ(memory[PAGE], 1);
    CHECK_OK(munmap(memory, length));
}

static void many_mappings(void)
{
    enum { COUNT = 2000 };
    static char *list[COUNT];
    for (int i = 0; i < COUNT; i++) {
        list[i] = mmap(NULL, PAGE, i % 2 ? PROT_READ : RW, ANON, -1, 0);
        if (list[i] == MAP_FAILED) break;
        if (i % 2 == 0) list[i][0] = (char)i;
    }
    int good = 0;
    for (int i = 0; i < COUNT; i++) good += list[i] != MAP_FAILED && list[i][0] == (i % 2 ? 0 : (char)i);
    CHECK_EQ(good, COUNT);
    good = 0;
    for (int i = 0; i < COUNT; i++) good += munmap(list[(i * 7) % COUNT], PAGE) == 0;
    CHECK_EQ(good, COUNT);
}

static void below_mmap_min_addr_only_root(void)
{
    /* With 0 as a hint the kernel chooses; with MAP_FIXED an ordinary user is refused. */
    pid_t pid = CHILD({
        REQUIRE(setuid(12345) == 0);
        CHECK_ERR(mmap(NULL, PAGE, RW, ANON | MAP_FIXED, -1, 0), EPERM);
    });
    CHECK_EXITED(status_of(pid), 0);
}

static void memfd(void)
{
    int file = (int)syscall(SYS_memfd_create, "a name", 1 /* MFD_CLOEXEC */);
    REQUIRE(file >= 0);
    CHECK_EQ(fcntl(file, F_GETFD), FD_CLOEXEC);
    CHECK_OK(ftruncate(file, 3 * PAGE));
    char *first = mmap(NULL, 3 * PAGE, RW, MAP_SHARED, file, 0);
    char *second = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 2 * PAGE);
    REQUIRE(first != MAP_FAILED && second != MAP_FAILED);
    first[2 * PAGE] = 'm';
    CHECK_EQ(second[0], 'm');
    struct stat facts;
    CHECK_OK(fstat(file, &facts));
    CHECK(S_ISREG(facts.st_mode));
    CHECK_EQ(facts.st_size, 3 * PAGE);
    CHECK_EQ(facts.st_nlink, 0);
    CHECK_ERR(syscall(SYS_memfd_create, "x", 0x8000), EINVAL);
    CHECK_ERR(syscall(SYS_memfd_create, UNMAPPED_ADDRESS, 0), EFAULT);
    char long_name[300];
    memset(long_name, 'n', sizeof long_name);
    long_name[250] = 0;
    CHECK_ERR(syscall(SYS_memfd_create, long_name, 0), EINVAL);
    long_name[249] = 0;
    CHECK(syscall(SYS_memfd_create, long_name, 0) >= 0);
}

static void memfd_seals(void)
{
    int plain = (int)syscall(SYS_memfd_create, "x", 0), file = (int)syscall(SYS_memfd_create, "y", 2 /* SEALING */);
    REQUIRE(plain >= 0 && file >= 0);
    CHECK_EQ(fcntl(plain, F_GET_SEALS), F_SEAL_SEAL);
    CHECK_ERR(fcntl(plain, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
    CHECK_EQ(fcntl(file, F_GET_SEALS), 0);
    CHECK_OK(ftruncate(file, PAGE));
    CHECK_OK(fcntl(file, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK));
    CHECK_ERR(ftruncate(file, 2 * PAGE), EPERM);
    CHECK_ERR(ftruncate(file, 0), EPERM);
    void *memory = mmap(NULL, PAGE, RW, MAP_SHARED, file, 0);
    REQUIRE(memory != MAP_FAILED);
    CHECK_ERR(fcntl(file, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
    CHECK_OK(munmap(memory, PAGE));
    CHECK_OK(fcntl(file, F_ADD_SEALS, F_SEAL_WRITE));
    CHECK_ERR(write(file, "x", 1), EPERM);
    CHECK_ERR(mmap(NULL, PAGE, RW, MAP_SHARED, file, 0), EPERM);
    CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0) != MAP_FAILED);
    CHECK_ERR(fcntl(file, F_ADD_SEALS, 0x1000), EINVAL);
    CHECK_ERR(fcntl(0, F_GET_SEALS), EINVAL);
}

CASES(CASE(anonymous_memory_is_zero), CASE(length_is_rounded_up), CASE(a_hint_is_followed_when_free),
      CASE(fixed_replaces), CASE(noreplace_refuses_what_is_taken), CASE(errors_of_mmap), CASE(errors_of_munmap),
      CASE(munmap_makes_holes), CASE(private_file_memory_is_a_copy), CASE(shared_file_memory_is_the_file),
      CASE(an_offset_selects_pages), CASE(the_tail_of_the_last_page_is_zero), CASE(a_file_that_grows_is_seen),
      CASE(dev_zero_is_anonymous), CASE(populate_and_noreserve), CASE(fork_copies_private_and_shares_shared),
      CASE(copy_on_write_through_generations), CASE(a_kernel_write_breaks_copy_on_write),
      CASE(unwritten_pages_are_read_from_a_zero_page), CASE(large_memory_works), CASE(many_mappings),
      CASE(below_mmap_min_addr_only_root), CASE(memfd), CASE(memfd_seals))
