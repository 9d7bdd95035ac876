/* What a bad access or instruction does: the signal, its si_code and si_addr; growing stacks; ASLR; /proc/self/maps. */
#include "check.h"

#include <cpuid.h>
#include <sys/personality.h>
#include <ucontext.h>

#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

/* What the handler saw, for the parent. */
struct report {
    volatile int signal, code;
    void *volatile address;
    volatile long trap, error;
};

static struct report *report;

static void tell(int signal, siginfo_t *info, void *context)
{
    ucontext_t *registers = context;
    report->signal = signal;
    report->code = info->si_code;
    report->address = info->si_addr;
    report->trap = registers->uc_mcontext.gregs[REG_TRAPNO];
    report->error = registers->uc_mcontext.gregs[REG_ERR];
    _exit(1);
}

/* In a child: handlers for all faults, on a stack of their own. */
static void catch_faults(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    struct sigaction action = {.sa_sigaction = tell, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    static char room[16 * PAGE];
    stack_t stack = {.ss_sp = room, .ss_size = sizeof room};
    sigaltstack(&stack, NULL);
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) sigaction(signals[i], &action, NULL);
}

#define FAULT(number, si, where, ...)                                                                     \
    do {                                                                                                  \
        memset((void *)report, 0, sizeof *report);                                                        \
        CHECK_EXITED(CHILD_STATUS(catch_faults(); __VA_ARGS__), 1);                                       \
        CHECK_EQ(report->signal, number);                                                                 \
        CHECK_EQ(report->code, si);                                                                       \
        CHECK_EQ(report->address, where);                                                                 \
    } while (0)

static void touch(volatile char *address) { (void)*address; }
static void change(volatile char *address) { *address = 1; }

static void unmapped_is_maperr(void)
{
    report = map_shared(1);
    char *memory = map_pages(1, RW);
    FAULT(SIGSEGV, SEGV_MAPERR, 0x10, touch(UNMAPPED_ADDRESS));
    CHECK_EQ(report->trap, 14);
    CHECK_EQ(report->error, 4); /* user, read, not present */
    FAULT(SIGSEGV, SEGV_MAPERR, 0, change(NULL));
    CHECK_EQ(report->error, 6);
    CHECK_OK(munmap(memory, PAGE));
    FAULT(SIGSEGV, SEGV_MAPERR, memory + 77, touch(memory + 77));
    FAULT(SIGSEGV, SEGV_MAPERR, 0x20, ((void (*)(void))0x20)());
    CHECK_EQ(report->error & ~16L, 4);
}

static void forbidden_is_accerr(void)
{
    report = map_shared(1);
    char *memory = map_pages(3, PROT_READ);
    touch(memory);
    FAULT(SIGSEGV, SEGV_ACCERR, memory + 5, change(memory + 5));
    FAULT(SIGSEGV, SEGV_ACCERR, memory + PAGE, change(memory + PAGE)); /* never touched */
    CHECK_OK(mprotect(memory, PAGE, PROT_NONE));
    FAULT(SIGSEGV, SEGV_ACCERR, memory, touch(memory));
    FAULT(SIGSEGV, SEGV_ACCERR, memory + PAGE, ((void (*)(void))(uintptr_t)(memory + PAGE))());
}

static void kernel_half_and_wild_pointers(void)
{
    report = map_shared(1);
    FAULT(SIGSEGV, SEGV_MAPERR, KERNEL_ADDRESS, touch(KERNEL_ADDRESS));
    FAULT(SIGSEGV, SI_KERNEL, 0, touch(WILD_ADDRESS)); /* general protection has no address */
    CHECK_EQ(report->trap, 13);
    FAULT(SIGSEGV, SI_KERNEL, 0, __asm__ volatile("hlt"));
    FAULT(SIGSEGV, SI_KERNEL, 0, __asm__ volatile("cli"));
}

static void past_the_end_of_a_file_is_sigbus(void)
{
    report = map_shared(1);
    int file = make_file("data", "x", 1, 0600);
    char *memory = mmap(NULL, 3 * PAGE, RW, MAP_SHARED, file, 0);
    char *private = mmap(NULL, 3 * PAGE, RW, MAP_PRIVATE, file, 0);
    REQUIRE(memory != MAP_FAILED && private != MAP_FAILED);
    FAULT(SIGBUS, BUS_ADRERR, memory + PAGE + 3, touch(memory + PAGE + 3));
    FAULT(SIGBUS, BUS_ADRERR, memory + 2 * PAGE, change(memory + 2 * PAGE));
    FAULT(SIGBUS, BUS_ADRERR, private + PAGE, change(private + PAGE));
    CHECK_OK(ftruncate(file, 2 * PAGE));
    touch(memory + PAGE);
    private[0] = 'p';
    CHECK_OK(ftruncate(file, 0));
    FAULT(SIGBUS, BUS_ADRERR, memory, touch(memory));
    FAULT(SIGBUS, BUS_ADRERR, private, touch(private)); /* truncation takes private copies too */
}

static void a_system_call_past_the_end_is_efault(void)
{
    int file = make_file("data", "x", 1, 0600), ends[2];
    char *memory = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, file, 0);
    REQUIRE(memory != MAP_FAILED && pipe(ends) == 0);
    CHECK_ERR(write(ends[1], memory + PAGE, 1), EFAULT);
    CHECK_EQ(write(ends[1], "ab", 2), 2);
    CHECK_ERR(read(ends[0], memory + PAGE, 1), EFAULT);
}

static int divide(int left, int right)
{
    int rest;
    __asm__ volatile("cltd; idivl %2" : "+a"(left), "=&d"(rest) : "r"(right));
    return left;
}

static bool is_emulated(void)
{
    unsigned leaf, name[3];
    __cpuid(0x40000000, leaf, name[0], name[1], name[2]);
    return memcmp(name, "TCGTCGTCGTCG", 12) == 0;
}

static void arithmetic(void)
{
    report = map_shared(1);
    memset((void *)report, 0, sizeof *report);
    CHECK_EXITED(CHILD_STATUS(catch_faults(); _exit(divide(1, 0))), 1);
    CHECK_EQ(report->signal, SIGFPE);
    CHECK_EQ(report->code, FPE_INTDIV);
    CHECK(report->address != NULL); /* the instruction */
    CHECK_EQ(report->trap, 0);
    CHECK_EXITED(CHILD_STATUS(catch_faults(); _exit(divide(INT32_MIN, -1))), 1);
    CHECK_EQ(report->code, FPE_INTDIV);
    CHECK_KILLED(CHILD_STATUS(_exit(divide(1, 0))), SIGFPE);
    if (!is_emulated()) { /* SSE with the exception unmasked; QEMU's emulation never raises it */
        memset((void *)report, 0, sizeof *report);
        CHECK_EXITED(CHILD_STATUS(catch_faults(); unsigned control = 0x1f80 & ~(1u << 9); volatile double zero = 0;
                                  __asm__ volatile("ldmxcsr %0" : : "m"(control)); zero = 1 / zero),
                     1);
        CHECK_EQ(report->signal, SIGFPE);
        CHECK_EQ(report->code, FPE_FLTDIV);
        CHECK_EQ(report->trap, 19);
    }
    /* x87, which reports at the next instruction. */
    CHECK_EXITED(CHILD_STATUS(catch_faults(); unsigned short control = 0x37f & ~4;
                              __asm__ volatile("fldcw %0; fldz; fld1; fdivp; fwait" : : "m"(control))),
                 1);
    CHECK_EQ(report->code, FPE_FLTDIV);
    CHECK_EQ(report->trap, 16);
}

static void illegal_and_breakpoint(void)
{
    report = map_shared(1);
    memset((void *)report, 0, sizeof *report);
    CHECK_EXITED(CHILD_STATUS(catch_faults(); __asm__ volatile("ud2")), 1);
    CHECK_EQ(report->signal, SIGILL);
    CHECK_EQ(report->code, ILL_ILLOPN);
    CHECK_EQ(report->trap, 6);
    CHECK(report->address != NULL);
    CHECK_EXITED(CHILD_STATUS(catch_faults(); __asm__ volatile("int3")), 1);
    CHECK_EQ(report->signal, SIGTRAP);
    CHECK_EQ(report->code, SI_KERNEL);
    CHECK_EQ(report->trap, 3);
    /* The trap flag: single step. */
    CHECK_EXITED(CHILD_STATUS(catch_faults(); __asm__ volatile("pushf; orl $0x100, (%%rsp); popf; nop" : : : "cc", "memory")),
                 1);
    CHECK_EQ(report->signal, SIGTRAP);
    CHECK_EQ(report->code, TRAP_TRACE);
    FAULT(SIGSEGV, SI_KERNEL, 0, __asm__ volatile("int $0x42"));
    CHECK_KILLED(CHILD_STATUS(__asm__ volatile("ud2")), SIGILL);
    CHECK_KILLED(CHILD_STATUS(__asm__ volatile("int3")), SIGTRAP);
}

static void a_masked_or_ignored_fault_kills(void)
{
    pid_t pid = CHILD({
        sigset_t set;
        sigfillset(&set);
        sigprocmask(SIG_SETMASK, &set, NULL);
        change(NULL);
    });
    CHECK_KILLED(status_of(pid), SIGSEGV);
    CHECK_KILLED(CHILD_STATUS(signal(SIGSEGV, SIG_IGN); change(NULL)), SIGSEGV);
    report = map_shared(1);
    pid = CHILD({
        catch_faults(); /* a fault inside a handler whose signal is masked there */
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGSEGV);
        sigprocmask(SIG_BLOCK, &set, NULL);
        change(NULL);
    });
    CHECK_KILLED(status_of(pid), SIGSEGV);
}

static void no_stack_for_the_handler_kills(void)
{
    pid_t pid = CHILD({
        struct sigaction action = {.sa_sigaction = tell, .sa_flags = SA_SIGINFO};
        sigaction(SIGUSR1, &action, NULL);
        __asm__ volatile("mov %0, %%rsp; mov $39, %%eax; syscall; mov %%eax, %%edi; mov $10, %%esi; mov $62, %%eax; syscall"
                         : : "r"(0x1000L) : "memory");
    });
    CHECK_KILLED(status_of(pid), SIGSEGV);
}

static int use_stack(int kilobytes)
{
    volatile char room[1024];
    room[0] = (char)kilobytes;
    return kilobytes == 0 ? 0 : use_stack(kilobytes - 1) + room[0] * 0;
}

static void the_stack_grows_to_its_limit(void)
{
    CHECK_EXITED(CHILD_STATUS(_exit(use_stack(4 * 1024))), 0);
    pid_t pid = CHILD({
        struct rlimit limit = {1 << 20, RLIM_INFINITY};
        setrlimit(RLIMIT_STACK, &limit);
        _exit(use_stack(4 * 1024));
    });
    CHECK_KILLED(status_of(pid), SIGSEGV);
    report = map_shared(1);
    memset((void *)report, 0, sizeof *report);
    CHECK_EXITED(CHILD_STATUS(catch_faults(); use_stack(1 << 20)), 1);
    CHECK_EQ(report->signal, SIGSEGV);
    CHECK_EQ(report->code, SEGV_MAPERR);
}

/* A mapping just below a growing one is kept away from it by the guard gap of 256 pages. */
static void growing_memory_has_a_guard_gap(void)
{
    char *area = mmap(NULL, 1024 * PAGE, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
    REQUIRE(area != MAP_FAILED);
    CHECK_OK(munmap(area, 1024 * PAGE));
    char *top = mmap(area + 1000 * PAGE, 2 * PAGE, RW, ANON | MAP_FIXED | MAP_GROWSDOWN, -1, 0);
    REQUIRE(top == area + 1000 * PAGE);
    top[0] = 1;
    CHECK_EXITED(CHILD_STATUS(change(top - PAGE); change(top - 2 * PAGE)), 0);
    CHECK_EXITED(CHILD_STATUS(for (int i = 1; i < 500; i++) change(top - i * PAGE)), 0);
    char *below = mmap(area + 700 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0);
    REQUIRE(below == area + 700 * PAGE);
    /* It grows while 256 pages remain free, no further. */
    CHECK_EXITED(CHILD_STATUS(for (int i = 1; i <= 40; i++) change(top - i * PAGE)), 0);
    CHECK_KILLED(CHILD_STATUS(for (int i = 1; i <= 50; i++) change(top - i * PAGE)), SIGSEGV);
}

static const char *next_line(FILE *file)
{
    static char line[512];
    return fgets(line, sizeof line, file);
}

static void maps_show_what_is_there(void)
{
    char bytes[3 * PAGE] = "";
    int file = make_file("mapped", bytes, sizeof bytes, 0600);
    char *memory = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, file, PAGE);
    char *none = mmap(NULL, PAGE, PROT_NONE, ANON, -1, 0), *code = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, ANON, -1, 0);
    REQUIRE(memory != MAP_FAILED && none != MAP_FAILED && code != MAP_FAILED);
    FILE *maps = fopen("/proc/self/maps", "re");
    REQUIRE(maps != NULL);
    bool has_stack = false, has_file = false, has_program = false, has_none = false, has_code = false, is_ordered = true;
    bool has_vdso = false;
    unsigned long last = 0;
    for (const char *line; (line = next_line(maps));) {
        unsigned long start, end, offset, node;
        char rights[8], device[16], name[256] = "";
        int fields = sscanf(line, "%lx-%lx %7s %lx %15s %lu %255s", &start, &end, rights, &offset, device, &node, name);
        if (!CHECK(fields >= 6)) break;
        is_ordered &= start >= last && end > start;
        last = end;
        if (!strcmp(name, "[stack]")) has_stack = !strcmp(rights, "rw-p") && start <= (uintptr_t)&maps && (uintptr_t)&maps < end;
        if (!strcmp(name, "[vdso]")) has_vdso = !strcmp(rights, "r-xp");
        if (!strcmp(name, own_path()) && !strcmp(rights, "r-xp")) has_program = true;
        if (start == (uintptr_t)memory)
            has_file = end == start + 2 * PAGE && !strcmp(rights, "r--s") && offset == PAGE && node != 0 && strstr(name, "/mapped");
        if (start <= (uintptr_t)none && (uintptr_t)none < end) has_none = !strcmp(rights, "---p") && node == 0;
        if (start <= (uintptr_t)code && (uintptr_t)code < end) has_code = !strcmp(rights, "r-xp");
    }
    fclose(maps);
    CHECK(has_stack);
    CHECK(has_vdso);
    CHECK(has_program);
    CHECK(has_file);
    CHECK(has_none);
    CHECK(has_code);
    CHECK(is_ordered);
    unlink("mapped");
    maps = fopen("/proc/self/maps", "re");
    bool has_deleted = false;
    for (const char *line; (line = next_line(maps));) has_deleted |= strstr(line, "/mapped (deleted)") != NULL;
    fclose(maps);
    CHECK(has_deleted);
}

static void neighbours_of_one_kind_are_one_line(void)
{
    char *memory = map_pages(8, PROT_NONE);
    unsigned long start = (uintptr_t)memory;
    for (int i = 2; i < 6; i++) CHECK_OK(mprotect(memory + i * PAGE, PAGE, RW));
    CHECK_OK(mprotect(memory + 3 * PAGE, PAGE, PROT_READ));
    CHECK_OK(mprotect(memory + 3 * PAGE, PAGE, RW));
    FILE *maps = fopen("/proc/self/maps", "re");
    REQUIRE(maps != NULL);
    bool found = false;
    for (const char *line; (line = next_line(maps));) {
        unsigned long from, to;
        char rights[8];
        if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) == 3 && from == start + 2 * PAGE)
            found = to == start + 6 * PAGE && !strcmp(rights, "rw-p");
    }
    fclose(maps);
    CHECK(found);
}

static void smaps_count_pages(void)
{
    char *memory = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 5; i++) memory[i * PAGE] = 1;
    FILE *maps = fopen("/proc/self/smaps", "re");
    REQUIRE(maps != NULL);
    bool is_ours = false;
    long size = -1, resident = -1, value;
    for (const char *line; (line = next_line(maps));) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) is_ours = from == (uintptr_t)memory;
        if (is_ours && sscanf(line, "Size: %ld kB", &value) == 1) size = value;
        if (is_ours && sscanf(line, "Rss: %ld kB", &value) == 1) resident = value;
    }
    fclose(maps);
    CHECK_EQ(size, 64);
    CHECK_EQ(resident, 20);
}

/* The helper: prints addresses of stack, a mapping, the break and the code to the pipe. */
struct places {
    uintptr_t stack, mapping, heap, code;
};

static int helper(int count, char **words)
{
    if (count < 2) return 2;
    struct places places = {(uintptr_t)&count, (uintptr_t)map_pages(1, RW), (uintptr_t)syscall(SYS_brk, 0), (uintptr_t)&helper};
    return write(atoi(words[1]), &places, sizeof places) == sizeof places ? 0 : 3;
}

static struct places run_for_places(unsigned long persona)
{
    struct places places = {0, 0, 0, 0};
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    pid_t pid = CHILD({
        char number[16];
        snprintf(number, sizeof number, "%d", ends[1]);
        if (persona) personality(persona);
        execl(own_path(), own_path(), "@places", number, NULL);
        _exit(9);
    });
    CHECK_EXITED(status_of(pid), 0);
    CHECK_EQ(read(ends[0], &places, sizeof places), (long)sizeof places);
    close(ends[0]);
    close(ends[1]);
    return places;
}

static void addresses_differ_between_runs(void)
{
    struct places first = run_for_places(0);
    bool stack = false, mapping = false, heap = false;
    for (int i = 0; i < 4; i++) {
        struct places next = run_for_places(0);
        stack |= next.stack != first.stack;
        mapping |= next.mapping != first.mapping;
        heap |= next.heap != first.heap;
        CHECK_EQ(next.code, first.code); /* not position independent */
    }
    CHECK(stack);
    CHECK(mapping);
    CHECK(heap);
}

static void personality_turns_randomness_off(void)
{
    CHECK_EQ(personality(0xffffffff), 0);
    struct places first = run_for_places(ADDR_NO_RANDOMIZE), second = run_for_places(ADDR_NO_RANDOMIZE);
    CHECK_EQ(first.stack, second.stack);
    CHECK_EQ(first.mapping, second.mapping);
    CHECK_EQ(first.heap, second.heap);
    CHECK_EQ(personality(ADDR_NO_RANDOMIZE), 0);
    CHECK_EQ(personality(0xffffffff), ADDR_NO_RANDOMIZE);
    CHECK_EXITED(CHILD_STATUS(_exit(personality(0xffffffff) == ADDR_NO_RANDOMIZE ? 0 : 1)), 0); /* inherited */
    CHECK_EQ(personality(0), ADDR_NO_RANDOMIZE);
}

CASES_WITH_HELPER(helper, CASE(unmapped_is_maperr), CASE(forbidden_is_accerr), CASE(kernel_half_and_wild_pointers),
                  CASE(past_the_end_of_a_file_is_sigbus), CASE(a_system_call_past_the_end_is_efault), CASE(arithmetic),
                  CASE(illegal_and_breakpoint), CASE(a_masked_or_ignored_fault_kills),
                  CASE(no_stack_for_the_handler_kills), CASE(the_stack_grows_to_its_limit),
                  CASE(growing_memory_has_a_guard_gap), CASE(maps_show_what_is_there),
                  CASE(neighbours_of_one_kind_are_one_line), CASE(smaps_count_pages),
                  CASE(addresses_differ_between_runs), CASE(personality_turns_randomness_off))
