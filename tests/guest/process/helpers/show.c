/*
 * What the exec tests execute: writes what it was given to descriptor 1.
 *
 *   argc N / argv TEXT / envp TEXT      as delivered, one a line
 *   auxv TYPE VALUE                     all of it, in hexadecimal
 *   entry ADDRESS, phdr ADDRESS         where this program's own parts are
 *   ids RUID EUID SUID RGID EGID SGID, secure N, fd N (each open one), comm NAME, blocked HEX, ignored HEX
 */
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <unistd.h>

extern char **environ;
extern const ElfW(Ehdr) __ehdr_start;
extern void _start(void);

static void show_auxv(void)
{
    char **end = environ;
    while (*end) end++;
    for (const ElfW(auxv_t) *entry = (const ElfW(auxv_t) *)(end + 1);; entry++) {
        printf("auxv %lu %#lx\n", (unsigned long)entry->a_type, (unsigned long)entry->a_un.a_val);
        if (entry->a_type == AT_NULL) break;
    }
}

static void show_strings(unsigned long type, const char *name)
{
    const char *text = (const char *)getauxval(type);
    printf("%s %s\n", name, text ? text : "(none)");
}

int main(int argc, char **argv)
{
    uid_t real, effective, saved;
    gid_t real_group, effective_group, saved_group;
    char name[17] = "";
    sigset_t set;
    unsigned long blocked = 0, ignored = 0;

    printf("argc %d\n", argc);
    for (int i = 0; i < argc; i++) printf("argv %s\n", argv[i]);
    for (char **entry = environ; *entry; entry++) printf("envp %s\n", *entry);
    show_auxv();
    show_strings(AT_EXECFN, "execfn");
    show_strings(AT_PLATFORM, "platform");
    printf("entry %p\n", (void *)_start);
    printf("phdr %p\n", (void *)((const char *)&__ehdr_start + __ehdr_start.e_phoff));
    printf("stack %p\n", (void *)argv);
    getresuid(&real, &effective, &saved);
    getresgid(&real_group, &effective_group, &saved_group);
    printf("ids %u %u %u %u %u %u\n", real, effective, saved, real_group, effective_group, saved_group);
    for (int file = 0; file < 64; file++) {
        if (fcntl(file, F_GETFD) != -1) printf("fd %d\n", file);
    }
    prctl(PR_GET_NAME, name);
    printf("comm %s\n", name);
    sigprocmask(SIG_SETMASK, NULL, &set);
    for (int number = 1; number < 64; number++) {
        struct sigaction action;
        if (sigismember(&set, number) == 1) blocked |= 1UL << (number - 1);
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN) ignored |= 1UL << (number - 1);
    }
    printf("blocked %#lx\nignored %#lx\n", blocked, ignored);
    return 0;
}
