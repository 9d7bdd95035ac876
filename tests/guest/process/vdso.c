/* The vDSO: in the auxiliary vector, a proper shared object, and its functions agree with the system calls. */
#include "check.h"

#include <elf.h>
#include <sys/auxv.h>
#include <sys/time.h>

static const Elf64_Ehdr *vdso(void) { return (const Elf64_Ehdr *)getauxval(AT_SYSINFO_EHDR); }

/* What a libc does: dynamic section, symbols, strings; addresses are offsets from where it is loaded. */
static void *find(const char *name)
{
    const char *base = (const char *)vdso();
    const Elf64_Phdr *parts = (const Elf64_Phdr *)(base + vdso()->e_phoff);
    const Elf64_Dyn *dynamic = NULL;
    const Elf64_Sym *symbols = NULL;
    const char *strings = NULL;
    const Elf64_Word *hash = NULL, *gnu_hash = NULL;
    long slide = 0;
    for (int i = 0; i < vdso()->e_phnum; i++) {
        if (parts[i].p_type == PT_DYNAMIC) dynamic = (const Elf64_Dyn *)(base + parts[i].p_offset);
        if (parts[i].p_type == PT_LOAD) slide = base + parts[i].p_offset - (const char *)parts[i].p_vaddr;
    }
    if (!dynamic) return NULL;
    for (; dynamic->d_tag != DT_NULL; dynamic++) {
        const void *where = (const void *)(dynamic->d_un.d_ptr + (unsigned long)slide);
        if (dynamic->d_tag == DT_SYMTAB) symbols = where;
        if (dynamic->d_tag == DT_STRTAB) strings = where;
        if (dynamic->d_tag == DT_HASH) hash = where;
        if (dynamic->d_tag == DT_GNU_HASH) gnu_hash = where;
    }
    if (!symbols || !strings || (!hash && !gnu_hash)) return NULL;
    /* The symbols end where the strings begin, in every vDSO there is. */
    long count = hash ? (long)hash[1] : (strings - (const char *)symbols) / (long)sizeof *symbols;
    for (long i = 0; i < count; i++) {
        if (symbols[i].st_shndx != SHN_UNDEF && !strcmp(strings + symbols[i].st_name, name))
            return (void *)(symbols[i].st_value + (unsigned long)slide);
    }
    return NULL;
}

static void it_is_a_shared_object(void)
{
    REQUIRE(vdso() != NULL);
    CHECK_OK(memcmp(vdso()->e_ident, ELFMAG, SELFMAG));
    CHECK_EQ(vdso()->e_type, ET_DYN);
    CHECK_EQ(vdso()->e_machine, EM_X86_64);
    CHECK_EQ((uintptr_t)vdso() % PAGE, 0);
    CHECK(find("__vdso_clock_gettime") != NULL);
    CHECK(find("__vdso_gettimeofday") != NULL);
    CHECK(find("__vdso_time") != NULL);
    CHECK(find("__vdso_getcpu") != NULL);
    CHECK(find("clock_gettime") != NULL);
    CHECK(find("no_such_function") == NULL);
}

static long long nanoseconds(const struct timespec *time) { return time->tv_sec * 1000000000LL + time->tv_nsec; }

static void clocks_agree_with_the_kernel(void)
{
    int (*gettime)(clockid_t, struct timespec *) = (int (*)(clockid_t, struct timespec *))find("__vdso_clock_gettime");
    static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_BOOTTIME, CLOCK_TAI,
                                       CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
    REQUIRE(gettime != NULL);
    for (unsigned i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        struct timespec before, middle, after;
        int good = 0;
        for (int round = 0; round < 100; round++) {
            syscall(SYS_clock_gettime, clocks[i], &before);
            if (gettime(clocks[i], &middle) != 0) break;
            syscall(SYS_clock_gettime, clocks[i], &after);
            good += nanoseconds(&before) <= nanoseconds(&middle) && nanoseconds(&middle) <= nanoseconds(&after);
        }
        CHECK_EQ(good, 100);
    }
    struct timespec time;
    CHECK_EQ(gettime(CLOCK_REALTIME_COARSE, &time), 0);
    CHECK_EQ(gettime(CLOCK_MONOTONIC_COARSE, &time), 0);
    CHECK_EQ(gettime(9999, &time), -EINVAL);
}

static void time_of_day_agrees(void)
{
    int (*gettimeofday_)(struct timeval *, void *) = (int (*)(struct timeval *, void *))find("__vdso_gettimeofday");
    time_t (*time_)(time_t *) = (time_t(*)(time_t *))find("__vdso_time");
    REQUIRE(gettimeofday_ != NULL && time_ != NULL);
    struct timeval before, middle;
    CHECK_OK(syscall(SYS_gettimeofday, &before, NULL));
    CHECK_OK(gettimeofday_(&middle, NULL));
    CHECK(timercmp(&before, &middle, <=));
    CHECK(middle.tv_usec >= 0 && middle.tv_usec < 1000000);
    time_t stored = 0, returned = time_(&stored);
    CHECK_EQ(stored, returned);
    CHECK(returned >= middle.tv_sec - 1 && returned <= middle.tv_sec + 5);
    CHECK(time_(NULL) >= returned);
}

static void the_cpu_is_one_of_ours(void)
{
    int (*getcpu_)(unsigned *, unsigned *, void *) = (int (*)(unsigned *, unsigned *, void *))find("__vdso_getcpu");
    unsigned cpu = 9999, node = 9999;
    REQUIRE(getcpu_ != NULL);
    CHECK_OK(getcpu_(&cpu, &node, NULL));
    CHECK(cpu < 4096 && node < 1024);
    CHECK_OK(getcpu_(NULL, NULL, NULL));
}

static void it_survives_fork(void)
{
    CHECK_EXITED(CHILD_STATUS(int (*gettime)(clockid_t, struct timespec *) =
                                  (int (*)(clockid_t, struct timespec *))find("__vdso_clock_gettime");
                              struct timespec time; _exit(gettime(CLOCK_MONOTONIC, &time))),
                 0);
}

static void it_cannot_be_written(void)
{
    CHECK_KILLED(CHILD_STATUS(*(volatile char *)vdso() = 1), SIGSEGV);
}

CASES(CASE(it_is_a_shared_object), CASE(clocks_agree_with_the_kernel), CASE(time_of_day_agrees),
      CASE(the_cpu_is_one_of_ours), CASE(it_survives_fork), CASE(it_cannot_be_written))
