/* Damaged ELF files: each is refused with Linux's errno, or its process dies by a signal; nothing else happens. */
#include "check.h"

#include <elf.h>

enum { BASE = 0x400000, CODE_AT = 0x200, SIZE = 2 * PAGE, GOOD = 42 };

/* A whole program in two pages: exits with GOOD. */
struct image {
    Elf64_Ehdr header;
    Elf64_Phdr parts[3];
    unsigned char rest[SIZE - sizeof(Elf64_Ehdr) - 3 * sizeof(Elf64_Phdr)];
};

static struct image image;

static void reset(void)
{
    static const unsigned char code[] = {0xbf, GOOD, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05}; /* exit(GOOD) */
    memset(&image, 0, sizeof image);
    memcpy(image.header.e_ident, ELFMAG, SELFMAG);
    image.header.e_ident[EI_CLASS] = ELFCLASS64;
    image.header.e_ident[EI_DATA] = ELFDATA2LSB;
    image.header.e_ident[EI_VERSION] = EV_CURRENT;
    image.header.e_type = ET_EXEC;
    image.header.e_machine = EM_X86_64;
    image.header.e_version = EV_CURRENT;
    image.header.e_entry = BASE + CODE_AT;
    image.header.e_phoff = sizeof(Elf64_Ehdr);
    image.header.e_ehsize = sizeof(Elf64_Ehdr);
    image.header.e_phentsize = sizeof(Elf64_Phdr);
    image.header.e_phnum = 2;
    image.parts[0] = (Elf64_Phdr){PT_LOAD, PF_R | PF_X, 0, BASE, BASE, PAGE, PAGE, PAGE};
    image.parts[1] = (Elf64_Phdr){PT_LOAD, PF_R | PF_W, PAGE, BASE + PAGE, BASE + PAGE, PAGE, 4 * PAGE, PAGE};
    memcpy((char *)&image + CODE_AT, code, sizeof code);
}

/* Writes the first `length` bytes and executes them. 128 + errno when exec failed. */
static int execute(size_t length)
{
    char *words[] = {"x", NULL};
    close(make_file("program", &image, length, 0755));
    return CHILD_STATUS(alarm(10); execve("program", words, words + 1); _exit(128 + errno));
}

#define CHECK_REFUSED(code) CHECK_EXITED(execute(SIZE), 128 + (code))
/* After the point of no return there is nobody to give an errno to. */
#define CHECK_DIES() CHECK_KILLED(execute(SIZE), SIGSEGV)

static void the_undamaged_one_runs(void)
{
    reset();
    CHECK_EXITED(execute(SIZE), GOOD);
    image.parts[1].p_memsz = PAGE;
    CHECK_EXITED(execute(SIZE), GOOD);
    image.header.e_phnum = 1;
    CHECK_EXITED(execute(PAGE), GOOD);
    reset();
    image.header.e_type = ET_DYN;
    CHECK_EXITED(execute(SIZE), GOOD);
    reset();
    memset(&image.header.e_shoff, 0xff, 8); /* sections do not matter */
    image.header.e_shnum = image.header.e_shstrndx = 0xffff;
    CHECK_EXITED(execute(SIZE), GOOD);
    reset();
    image.header.e_ident[EI_CLASS] = 77; /* nor does what Linux does not look at */
    image.header.e_ident[EI_VERSION] = 99;
    image.header.e_version = 99;
    image.header.e_ehsize = 1;
    CHECK_EXITED(execute(SIZE), GOOD);
}

static void bad_headers_are_no_programs(void)
{
    for (int i = 0; i < SELFMAG; i++) {
        reset();
        image.header.e_ident[i] ^= 1;
        CHECK_REFUSED(ENOEXEC);
    }
    static const int types[] = {ET_NONE, ET_REL, ET_CORE, 5, 0xfeff};
    for (unsigned i = 0; i < sizeof types / sizeof *types; i++) {
        reset();
        image.header.e_type = (Elf64_Half)types[i];
        CHECK_REFUSED(ENOEXEC);
    }
    static const int machines[] = {EM_NONE, EM_AARCH64, EM_RISCV, 0xffff};
    for (unsigned i = 0; i < sizeof machines / sizeof *machines; i++) {
        reset();
        image.header.e_machine = (Elf64_Half)machines[i];
        CHECK_REFUSED(ENOEXEC);
    }
    static const int sizes[] = {0, 1, 32, 55, 57, 0xffff};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        reset();
        image.header.e_phentsize = (Elf64_Half)sizes[i];
        CHECK_REFUSED(ENOEXEC);
    }
    static const int counts[] = {0, 1171, 0xffff};
    for (unsigned i = 0; i < sizeof counts / sizeof *counts; i++) {
        reset();
        image.header.e_phnum = (Elf64_Half)counts[i];
        CHECK_REFUSED(ENOEXEC);
    }
    static const unsigned long offsets[] = {SIZE, SIZE - 8, 1UL << 40};
    for (unsigned i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        reset();
        image.header.e_phoff = offsets[i];
        CHECK_REFUSED(ENOEXEC);
    }
    reset();
    image.header.e_phoff = ~0UL; /* negative for a file */
    int status = execute(SIZE);
    CHECK(WIFEXITED(status) && (WEXITSTATUS(status) == 128 + ENOEXEC || WEXITSTATUS(status) == 128 + EINVAL));
}

static void a_file_that_ends_early(void)
{
    reset();
    static const size_t headers[] = {0, 1, 3, 4, 16, 18, 19, 54, 56, 63, 64, 100, 175};
    for (unsigned i = 0; i < sizeof headers / sizeof *headers; i++) CHECK_EXITED(execute(headers[i]), 128 + ENOEXEC);
    /* Code that is not in the file: pages past its end are SIGBUS, zeros in its last page are instructions. */
    int status = execute(CODE_AT);
    CHECK(WIFSIGNALED(status) && (WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGBUS));
    /* The second segment's page is missing; it is never touched, but its zero tail must be cleared. */
    status = execute(PAGE);
    CHECK(WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) == GOOD));
}

static void entry_points(void)
{
    static const unsigned long entries[] = {0, 0x10, BASE - 1, BASE + 100 * PAGE, 0xffffffff80200000UL, 0x8000000000000000UL,
                                            0x7ffffffff000UL, ~0UL};
    for (unsigned i = 0; i < sizeof entries / sizeof *entries; i++) {
        reset();
        image.header.e_entry = entries[i];
        CHECK_DIES();
    }
    reset();
    image.header.e_entry = BASE + PAGE; /* in memory that is not executable */
    CHECK_DIES();
}

static void segments_that_cannot_be(void)
{
    reset();
    image.parts[0].p_filesz = 2 * PAGE; /* more file than memory */
    image.parts[0].p_memsz = PAGE;
    CHECK_DIES();
    reset();
    image.parts[0].p_offset = 1; /* address and offset disagree */
    CHECK_DIES();
    static const unsigned long addresses[] = {0xffffffff80000000UL, 0x8000000000000000UL, 0x7ffffffff000UL, ~0UL & ~0xfffUL};
    for (unsigned i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        reset();
        image.parts[0].p_vaddr = addresses[i];
        int status = execute(SIZE);
        CHECK(WIFSIGNALED(status) && (WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGKILL));
    }
    static const unsigned long sizes[] = {1UL << 47, 1UL << 62, ~0UL, ~0UL - PAGE};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        reset();
        image.parts[0].p_memsz = sizes[i];
        int status = execute(SIZE);
        CHECK(WIFSIGNALED(status) && (WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGKILL));
    }
    reset();
    image.parts[0].p_type = image.parts[1].p_type = PT_NOTE; /* nothing to load at all */
    CHECK_DIES();
}

static void overlapping_and_odd_segments_load(void)
{
    reset();
    image.parts[1].p_align = 3; /* not a power of two: ignored for ET_EXEC */
    CHECK_EXITED(execute(SIZE), GOOD);
    reset();
    image.parts[1].p_filesz = 0; /* only zeros */
    CHECK_EXITED(execute(SIZE), GOOD);
    reset();
    image.header.e_phnum = 3;
    image.parts[2] = (Elf64_Phdr){0x12345678, 7, ~0UL, ~0UL, ~0UL, ~0UL, ~0UL, ~0UL}; /* unknown: skipped */
    CHECK_EXITED(execute(SIZE), GOOD);
    image.parts[2] = (Elf64_Phdr){PT_GNU_STACK, PF_R | PF_W, 0, 0, 0, 0, 0, 16};
    CHECK_EXITED(execute(SIZE), GOOD);
}

static void set_interpreter(const char *path, size_t length)
{
    reset();
    image.header.e_phnum = 3;
    image.parts[2] = image.parts[1];
    image.parts[1] = image.parts[0];
    image.parts[0] = (Elf64_Phdr){PT_INTERP, PF_R, 0x300, BASE + 0x300, BASE + 0x300, length, length, 1};
    snprintf((char *)&image + 0x300, 256, "%s", path);
}

static void interpreters(void)
{
    set_interpreter("/no/such/file", 14);
    CHECK_REFUSED(ENOENT);
    set_interpreter("/no/such/file", 13); /* the zero at its end is not part of it */
    CHECK_REFUSED(ENOEXEC);
    set_interpreter("", 1);
    CHECK_REFUSED(ENOEXEC);
    set_interpreter("", 0);
    CHECK_REFUSED(ENOEXEC);
    set_interpreter("/x", PAGE + 1); /* longer than a path */
    CHECK_REFUSED(ENOEXEC);
    set_interpreter("/no", 4);
    image.parts[0].p_offset = SIZE + 100; /* behind the file */
    int status = execute(SIZE);
    CHECK(WIFEXITED(status) && (WEXITSTATUS(status) == 128 + EIO || WEXITSTATUS(status) == 128 + ENOEXEC));
    char path[200];
    REQUIRE(getcwd(path, 150) != NULL);
    strcat(path, "/interp");
    write_file("interp", "x", 0755);
    set_interpreter(path, strlen(path) + 1);
    CHECK_REFUSED(EIO); /* too short for a header */
    char text[200];
    memset(text, 'x', sizeof text);
    close(make_file("interp", text, sizeof text, 0755));
    CHECK_REFUSED(ELIBBAD);
    chmod("interp", 0644);
    CHECK_REFUSED(EACCES);
    /* A good one gets control instead of the program. */
    reset();
    image.header.e_type = ET_DYN;
    image.parts[0].p_vaddr = 0;
    image.parts[1].p_vaddr = PAGE;
    image.header.e_entry = CODE_AT;
    ((unsigned char *)&image)[CODE_AT + 1] = GOOD + 1;
    close(make_file("interp", &image, SIZE, 0755));
    set_interpreter(path, strlen(path) + 1);
    CHECK_EXITED(execute(SIZE), GOOD + 1);
}

/* Any bits of the headers changed: the caller survives, and there is no process left. */
static void random_damage(void)
{
    enum { ROUNDS = 300 };
    unsigned seed = 20240607, survived = 0;
    char *words[] = {"x", NULL};
    for (int round = 0; round < ROUNDS; round++) {
        reset();
        for (int changes = 0; changes < 3; changes++) {
            seed = seed * 1103515245 + 12345;
            unsigned at = (seed >> 8) % (sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr));
            seed = seed * 1103515245 + 12345;
            ((unsigned char *)&image)[at] ^= (unsigned char)(1 << (seed >> 16) % 8);
        }
        close(make_file("program", &image, SIZE, 0755));
        pid_t pid = fork();
        if (pid == 0) {
            alarm(10);
            if (setuid(12345) != 0) _exit(1);
            execve("program", words, words + 1);
            _exit(128);
        }
        survived += status_of(pid) != -1;
    }
    CHECK_EQ(survived, ROUNDS);
}

CASES(CASE(the_undamaged_one_runs), CASE(bad_headers_are_no_programs), CASE(a_file_that_ends_early), CASE(entry_points),
      CASE(segments_that_cannot_be), CASE(overlapping_and_odd_segments_load), CASE(interpreters), CASE(random_damage))
