/* execve(2) and execveat(2): what a program is given, what survives, scripts, every errno. */
#include "check.h"

#include <elf.h>
#include <pthread.h>
#include <sys/statvfs.h>
#include <sys/time.h>

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif

static char output[256 * 1024];

/* Runs `body` in a child with descriptor 1 on a pipe and keeps what it wrote. */
#define CAPTURE(...)                                                                                      \
    ({                                                                                                    \
        int ends_[2];                                                                                     \
        REQUIRE(pipe2(ends_, O_CLOEXEC) == 0);                                                            \
        pid_t capture_ = CHILD(dup2(ends_[1], 1); __VA_ARGS__; _exit(100 + errno % 100));                 \
        close(ends_[1]);                                                                                  \
        drain(ends_[0]);                                                                                  \
        status_of(capture_);                                                                              \
    })

static void drain(int file)
{
    size_t length = 0;
    for (ssize_t count; (count = read(file, output + length, sizeof output - 1 - length)) > 0;) length += (size_t)count;
    output[length] = 0;
    close(file);
}

/* The output holds this line. */
static bool has_line(const char *line)
{
    size_t length = strlen(line);
    for (const char *found = output; (found = strstr(found, line)); found++) {
        if ((found == output || found[-1] == '\n') && (found[length] == '\n' || found[length] == 0)) return true;
    }
    return false;
}

#define CHECK_LINE(line) check_note(has_line(line), CHECK_PLACE, "no line `%s` in: %.400s", line, output)

static unsigned long auxv(unsigned long type)
{
    char start[32];
    snprintf(start, sizeof start, "\nauxv %lu ", type);
    const char *found = strstr(output, start);
    return found ? strtoul(found + strlen(start), NULL, 16) : 0xdead;
}

static unsigned long value(const char *name)
{
    char start[32];
    snprintf(start, sizeof start, "\n%s ", name);
    const char *found = strstr(output, start);
    return found ? strtoul(found + strlen(start), NULL, 16) : 0xdead;
}

static char *const no_words[] = {NULL};

static void copy_file(const char *from, const char *to, mode_t mode)
{
    static char bytes[4 << 20];
    int file = open(from, O_RDONLY | O_CLOEXEC);
    REQUIRE(file >= 0);
    ssize_t length = read(file, bytes, sizeof bytes);
    REQUIRE(length > 0 && length < (ssize_t)sizeof bytes);
    close(file);
    close(make_file(to, bytes, (size_t)length, mode));
}

static void arguments_and_environment_arrive(void)
{
    char *words[] = {"zero", "", "two words", "\xff\x01", NULL}, *environment[] = {"A=1", "EMPTY=", "odd", NULL};
    CHECK_EXITED(CAPTURE(execve(beside("show"), words, environment)), 0);
    CHECK_LINE("argc 4");
    CHECK_LINE("argv zero");
    CHECK_LINE("argv ");
    CHECK_LINE("argv two words");
    CHECK_LINE("argv \xff\x01");
    CHECK_LINE("envp A=1");
    CHECK_LINE("envp EMPTY=");
    CHECK_LINE("envp odd");
}

static void null_lists_are_empty(void)
{
    char *words[] = {"x", NULL};
    CHECK_EXITED(CAPTURE(syscall(SYS_execve, beside("show"), words, NULL)), 0);
    CHECK_LINE("argc 1");
    CHECK(strstr(output, "envp") == NULL);
    /* Linux gives a program at least an empty name. */
    CHECK_EXITED(CAPTURE(syscall(SYS_execve, beside("show"), NULL, NULL)), 0);
    CHECK_LINE("argc 1");
    CHECK_LINE("argv ");
    CHECK_EXITED(CAPTURE(execve(beside("show"), no_words, no_words)), 0);
    CHECK_LINE("argc 1");
}

static void check_auxv(const char *path)
{
    CHECK_EQ(auxv(AT_PAGESZ), PAGE);
    CHECK_EQ(auxv(AT_CLKTCK), 100);
    CHECK_EQ(auxv(AT_PHENT), sizeof(Elf64_Phdr));
    CHECK(auxv(AT_PHNUM) >= 3 && auxv(AT_PHNUM) < 30);
    CHECK_EQ(auxv(AT_PHDR), value("phdr"));
    CHECK_EQ(auxv(AT_ENTRY), value("entry"));
    CHECK_EQ(auxv(AT_BASE), 0);
    CHECK_EQ(auxv(AT_FLAGS), 0);
    CHECK_EQ(auxv(AT_UID), 0);
    CHECK_EQ(auxv(AT_EUID), 0);
    CHECK_EQ(auxv(AT_GID), getgid());
    CHECK_EQ(auxv(AT_EGID), getegid());
    CHECK_EQ(auxv(AT_SECURE), 0);
    CHECK(auxv(AT_HWCAP) != 0xdead && auxv(AT_HWCAP) != 0);
    CHECK(auxv(AT_HWCAP2) != 0xdead);
    CHECK(auxv(AT_RANDOM) > PAGE && auxv(AT_RANDOM) != 0xdead);
    CHECK(auxv(AT_SYSINFO_EHDR) % PAGE == 0 && auxv(AT_SYSINFO_EHDR) != 0xdead);
    CHECK(auxv(51 /* AT_MINSIGSTKSZ */) >= 1024 && auxv(51) < 0x10000);
    CHECK_EQ((value("stack") - 8) % 16, 0); /* argc, where the stack pointer was */
    CHECK_LINE("platform x86_64");
    char line[700];
    snprintf(line, sizeof line, "execfn %s", path);
    CHECK_LINE(line);
}

static void the_auxiliary_vector_is_complete(void)
{
    char *words[] = {"x", NULL};
    CHECK_EXITED(CAPTURE(execve(beside("show"), words, no_words)), 0);
    check_auxv(beside("show"));
    CHECK(value("entry") < 1UL << 32);
    CHECK_LINE("comm show");
}

static void a_static_pie_is_moved(void)
{
    char *words[] = {"x", NULL};
    unsigned long first, differs = 0;
    CHECK_EXITED(CAPTURE(execve(beside("show-pie"), words, no_words)), 0);
    check_auxv(beside("show-pie"));
    first = value("entry");
    CHECK(first > 1UL << 32);
    for (int i = 0; i < 4; i++) {
        CHECK_EXITED(CAPTURE(execve(beside("show-pie"), words, no_words)), 0);
        differs |= value("entry") ^ first;
    }
    CHECK(differs != 0);
    CHECK_EQ(differs % PAGE, 0);
}

static void the_name_is_the_files(void)
{
    char *words[] = {"something else", NULL};
    REQUIRE(symlink(beside("show"), "a-very-long-name-of-a-link") == 0);
    CHECK_EXITED(CAPTURE(execve("a-very-long-name-of-a-link", words, no_words)), 0);
    CHECK_LINE("comm a-very-long-nam");
    CHECK_LINE("argv something else");
    CHECK_LINE("execfn a-very-long-name-of-a-link");
}

static void close_on_exec(void)
{
    char *words[] = {"x", NULL};
    pid_t pid;
    int kept = open("/dev/null", O_RDONLY), closed = open("/dev/null", O_RDONLY | O_CLOEXEC), late = dup(kept);
    REQUIRE(kept >= 0 && closed >= 0 && late >= 0);
    CHECK_OK(fcntl(late, F_SETFD, FD_CLOEXEC));
    CHECK_EXITED(CAPTURE(execve(beside("show"), words, no_words)), 0);
    char line[16];
    snprintf(line, sizeof line, "fd %d", kept);
    CHECK_LINE(line);
    snprintf(line, sizeof line, "fd %d", closed);
    CHECK(!has_line(line));
    snprintf(line, sizeof line, "fd %d", late);
    CHECK(!has_line(line));
    /* A failed exec closes nothing. */
    pid = CHILD({
        CHECK_ERR(execve("missing", words, no_words), ENOENT);
        CHECK(fcntl(closed, F_GETFD) == FD_CLOEXEC);
    });
    CHECK_EXITED(status_of(pid), 0);
}

static void handler(int number) { (void)number; }

static void signals_over_exec(void)
{
    char *words[] = {"x", NULL};
    int status = CAPTURE({
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        sigaddset(&set, SIGTERM);
        sigprocmask(SIG_SETMASK, &set, NULL);
        signal(SIGUSR2, SIG_IGN);
        signal(SIGINT, handler);
        raise(SIGUSR1); /* stays pending */
        execve(beside("show"), words, no_words);
    });
    CHECK_EXITED(status, 0);
    CHECK_LINE("blocked 0x4200"); /* USR1 and TERM */
    CHECK_LINE("ignored 0x800");  /* USR2; the handler of INT is gone */
}

static void pids_alarms_and_folders_stay(void)
{
    char *words[] = {(char *)own_path(), "@state", NULL};
    char expected[64];
    int status;
    REQUIRE(mkdir("folder", 0755) == 0);
    status = CAPTURE({
        struct itimerval timer = {{0, 0}, {1000, 0}};
        setitimer(ITIMER_REAL, &timer, NULL);
        timer_t other;
        timer_create(CLOCK_MONOTONIC, NULL, &other);
        umask(027);
        nice(3);
        REQUIRE(chdir("folder") == 0);
        snprintf(expected, sizeof expected, "pid %d\n", getpid());
        REQUIRE(write(1, expected, strlen(expected)) > 0);
        execve(own_path(), words, no_words);
    });
    CHECK_EXITED(status, 0);
    int before, after;
    REQUIRE(sscanf(output, "pid %d\npid %d\n", &before, &after) == 2);
    CHECK_EQ(before, after);
    CHECK_LINE("alarm yes");
    CHECK_LINE("umask 027");
    CHECK_LINE("nice 3");
    CHECK_LINE("altstack 2"); /* SS_DISABLE */
    CHECK(strstr(output, "/folder\n") != NULL);
}

static int helper(int count, char **words)
{
    char folder[256] = "";
    struct itimerval timer;
    stack_t stack;
    (void)count;
    if (strcmp(words[0], "@state") != 0) return 2;
    getitimer(ITIMER_REAL, &timer);
    sigaltstack(NULL, &stack);
    dprintf(1, "pid %d\nalarm %s\numask %03o\nnice %d\naltstack %d\ncwd %s\n", getpid(),
            timer.it_value.tv_sec > 500 ? "yes" : "no", umask(0), getpriority(PRIO_PROCESS, 0), stack.ss_flags,
            getcwd(folder, sizeof folder));
    return 0;
}

static void scripts(void)
{
    char text[800], *words[] = {"ignored", "first", "second", NULL};
    snprintf(text, sizeof text, "#!%s\nrest\n", beside("show"));
    write_file("plain", text, 0755);
    CHECK_EXITED(CAPTURE(execve("./plain", words, no_words)), 0);
    CHECK_LINE("argc 4");
    snprintf(text, sizeof text, "argv %s\nargv ./plain\nargv first\nargv second\n", beside("show"));
    CHECK(strstr(output, text) != NULL);
    CHECK_LINE("comm plain");
    CHECK_LINE("execfn ./plain");
    /* All words after the interpreter are one argument; blanks at both ends go. */
    snprintf(text, sizeof text, "#! \t %s  one  two \t \nrest\n", beside("show"));
    write_file("spaced", text, 0755);
    CHECK_EXITED(CAPTURE(execve("spaced", words, no_words)), 0);
    CHECK_LINE("argc 5");
    CHECK_LINE("argv one  two");
    CHECK_LINE("argv spaced");
    snprintf(text, sizeof text, "#!%s", beside("show")); /* no newline at the end of the file */
    write_file("short", text, 0755);
    CHECK_EXITED(CAPTURE(execve("short", words, no_words)), 0);
    CHECK_LINE("argv short");
}

static void scripts_of_scripts(void)
{
    char text[800], *words[] = {"x", "last", NULL};
    snprintf(text, sizeof text, "#!%s inner\n", beside("show"));
    write_file("level0", text, 0755);
    for (int level = 1; level <= 6; level++) {
        char name[16];
        snprintf(text, sizeof text, "#!./level%d\n", level - 1);
        snprintf(name, sizeof name, "level%d", level);
        write_file(name, text, 0755);
    }
    CHECK_EXITED(CAPTURE(execve("./level1", words, no_words)), 0);
    snprintf(text, sizeof text, "argv %s\nargv inner\nargv ./level0\nargv ./level1\nargv last\n", beside("show"));
    CHECK(strstr(output, text) != NULL);
    CHECK_EXITED(CAPTURE(execve("./level4", words, no_words)), 0);
    CHECK_ERR(execve("./level5", words, no_words), ELOOP);
    CHECK_ERR(execve("./level6", words, no_words), ELOOP);
}

static void bad_scripts(void)
{
    char text[800], *words[] = {"x", NULL};
    write_file("missing", "#!/no/such/interpreter\n", 0755);
    CHECK_ERR(execve("./missing", words, no_words), ENOENT);
    write_file("nothing", "#!\n", 0755);
    CHECK_ERR(execve("./nothing", words, no_words), ENOEXEC);
    write_file("blank", "#!   \t \n", 0755);
    CHECK_ERR(execve("./blank", words, no_words), ENOEXEC);
    write_file("data", "text\n", 0644);
    write_file("forbidden", "#!./data\n", 0755);
    CHECK_ERR(execve("./forbidden", words, no_words), EACCES);
    write_file("text", "text\n", 0755);
    write_file("not-a-program", "#!./text\n", 0755);
    CHECK_ERR(execve("./not-a-program", words, no_words), ENOEXEC);
    write_file("folder", "#!/tmp\n", 0755);
    CHECK_ERR(execve("./folder", words, no_words), EACCES);
    memset(text, 'a', sizeof text); /* the path of the interpreter does not end in the first 256 bytes */
    memcpy(text, "#!/", 3);
    close(make_file("long", text, 400, 0755));
    CHECK_ERR(execve("./long", words, no_words), ENOEXEC);
}

static void errors_of_paths(void)
{
    char *words[] = {"x", NULL}, name[5000];
    write_file("plain", "text", 0644);
    write_file("text", "text", 0755);
    write_file("empty", "", 0755);
    REQUIRE(symlink("self", "self") == 0);
    REQUIRE(mkdir("folder", 0755) == 0);
    CHECK_ERR(execve("nothing", words, no_words), ENOENT);
    CHECK_ERR(execve("", words, no_words), ENOENT);
    CHECK_ERR(execve("plain/x", words, no_words), ENOTDIR);
    CHECK_ERR(execve("plain", words, no_words), EACCES); /* not even for root */
    CHECK_ERR(execve("folder", words, no_words), EACCES);
    CHECK_ERR(execve("/dev/null", words, no_words), EACCES);
    CHECK_ERR(execve("self", words, no_words), ELOOP);
    CHECK_ERR(execve("text", words, no_words), ENOEXEC);
    CHECK_ERR(execve("empty", words, no_words), ENOEXEC);
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = 0;
    CHECK_ERR(execve(name, words, no_words), ENAMETOOLONG);
    name[256] = 0;
    CHECK_ERR(execve(name, words, no_words), ENAMETOOLONG);
    CHECK_ERR(syscall(SYS_execve, NULL, words, no_words), EFAULT);
    CHECK_ERR(syscall(SYS_execve, KERNEL_ADDRESS, words, no_words), EFAULT);
    CHECK_ERR(syscall(SYS_execve, beside("show"), UNMAPPED_ADDRESS, no_words), EFAULT);
    CHECK_ERR(syscall(SYS_execve, beside("show"), words, WILD_ADDRESS), EFAULT);
    char *bad[] = {"x", UNMAPPED_ADDRESS, NULL};
    CHECK_ERR(syscall(SYS_execve, beside("show"), bad, no_words), EFAULT);
    CHECK_ERR(syscall(SYS_execve, beside("show"), words, bad), EFAULT);
}

static void permissions_of_users(void)
{
    char *words[] = {"x", NULL};
    copy_file(beside("show"), "mine", 0700);
    REQUIRE(mkdir("closed", 0700) == 0);
    copy_file(beside("show"), "closed/show", 0755);
    copy_file(beside("show"), "unreadable", 0711);
    pid_t pid = CHILD({
        REQUIRE(setgid(12345) == 0 && setuid(12345) == 0);
        CHECK_ERR(execve("mine", words, no_words), EACCES);
        CHECK_ERR(execve("closed/show", words, no_words), EACCES);
        dup2(open("/dev/null", O_WRONLY), 1);
        execve("unreadable", words, no_words); /* execute needs no read */
        _exit(9);
    });
    CHECK_EXITED(status_of(pid), 0);
}

static void a_file_being_written_is_busy(void)
{
    char *words[] = {"x", NULL};
    copy_file(beside("show"), "program", 0755);
    int file = open("program", O_WRONLY | O_CLOEXEC);
    REQUIRE(file >= 0);
    CHECK_ERR(execve("./program", words, no_words), ETXTBSY);
    close(file);
    file = open("program", O_RDONLY | O_CLOEXEC);
    CHECK_EXITED(CAPTURE(execve("./program", words, no_words)), 0);
    close(file);
    /* And the other way round: a running program cannot be written. */
    CHECK_ERR(open(own_path(), O_WRONLY), ETXTBSY);
    CHECK_ERR(open(own_path(), O_RDWR), ETXTBSY);
}

static void too_long_arguments(void)
{
    enum { ONE = 131072 };
    static char text[ONE + 1];
    char *words[] = {"x", text, text, text, NULL}, *one[] = {"x", text, NULL};
    memset(text, 'a', ONE);
    CHECK_ERR(execve(beside("show"), one, no_words), E2BIG); /* 131072 and the zero behind it */
    CHECK_ERR(execve(beside("show"), no_words, one), E2BIG);
    text[ONE - 1] = 0;
    CHECK_EXITED(CAPTURE(execve(beside("show"), one, no_words)), 0);
    CHECK_LINE("argc 2");
    pid_t pid = CHILD({
        struct rlimit limit = {1 << 20, 1 << 20}; /* a quarter of the stack for arguments */
        REQUIRE(setrlimit(RLIMIT_STACK, &limit) == 0);
        CHECK_ERR(execve(beside("show"), words, no_words), E2BIG);
    });
    CHECK_EXITED(status_of(pid), 0);
    static char *many[300001];
    for (int i = 0; i < 300000; i++) many[i] = "";
    CHECK_ERR(execve(beside("show"), many, no_words), E2BIG); /* the pointers count too */
    many[20000] = NULL;
    CHECK_EXITED(CAPTURE(execve(beside("show"), many, no_words)), 0);
    CHECK_LINE("argc 20000");
}

#define EXECVEAT(folder, path, flags) syscall(SYS_execveat, folder, path, words, no_words, flags)

static void relative_to_a_descriptor(void)
{
    char *words[] = {"x", NULL}, line[64];
    REQUIRE(mkdir("folder", 0755) == 0);
    copy_file(beside("show"), "folder/inner", 0755);
    REQUIRE(symlink("inner", "folder/link") == 0);
    int folder = open("folder", O_RDONLY | O_DIRECTORY), file = open("folder/inner", O_RDONLY), path = open("folder/inner", O_PATH);
    CHECK_EXITED(CAPTURE(EXECVEAT(folder, "inner", 0)), 0);
    CHECK_LINE("comm inner");
    snprintf(line, sizeof line, "execfn /dev/fd/%d/inner", folder);
    CHECK_LINE(line);
    CHECK_EXITED(CAPTURE(EXECVEAT(file, "", AT_EMPTY_PATH)), 0);
    snprintf(line, sizeof line, "execfn /dev/fd/%d", file);
    CHECK_LINE(line);
    CHECK_EXITED(CAPTURE(EXECVEAT(path, "", AT_EMPTY_PATH)), 0);
    CHECK_EXITED(CAPTURE(EXECVEAT(AT_FDCWD, "folder/link", 0)), 0);
    CHECK_EXITED(CAPTURE(EXECVEAT(-1, beside("show"), 0)), 0); /* an absolute path needs no folder */
    CHECK_ERR(EXECVEAT(folder, "link", AT_SYMLINK_NOFOLLOW), ELOOP);
    CHECK_ERR(EXECVEAT(-1, "inner", 0), EBADF);
    CHECK_ERR(EXECVEAT(-1, "", AT_EMPTY_PATH), EBADF);
    CHECK_ERR(EXECVEAT(file, "inner", 0), ENOTDIR);
    CHECK_ERR(EXECVEAT(file, "", 0), ENOENT);
    CHECK_ERR(EXECVEAT(folder, "", AT_EMPTY_PATH), EACCES);
    CHECK_ERR(EXECVEAT(folder, "inner", 0x400000), EINVAL);
    CHECK_ERR(EXECVEAT(folder, NULL, 0), EFAULT);
}

static void scripts_by_descriptor(void)
{
    char text[800], *words[] = {"x", NULL}, line[64];
    snprintf(text, sizeof text, "#!%s\n", beside("show"));
    write_file("script", text, 0755);
    int open_one = open("script", O_RDONLY), closing_one = open("script", O_RDONLY | O_CLOEXEC);
    CHECK_EXITED(CAPTURE(EXECVEAT(open_one, "", AT_EMPTY_PATH)), 0);
    snprintf(line, sizeof line, "argv /dev/fd/%d", open_one);
    CHECK_LINE(line);
    /* The interpreter could not open what exec closes. */
    CHECK_ERR(EXECVEAT(closing_one, "", AT_EMPTY_PATH), ENOENT);
}

static void from_memory(void)
{
    static char bytes[4 << 20];
    char *words[] = {"x", NULL};
    int source = open(beside("show"), O_RDONLY), file = (int)syscall(SYS_memfd_create, "program", 1);
    ssize_t length = read(source, bytes, sizeof bytes);
    REQUIRE(file >= 0 && length > 0 && write(file, bytes, (size_t)length) == length);
    CHECK_EXITED(CAPTURE(EXECVEAT(file, "", AT_EMPTY_PATH)), 0);
    CHECK_LINE("argv x");
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    CHECK_EXITED(CAPTURE(execve(path, words, no_words)), 0);
    CHECK_LINE("argc 1");
}

static bool can_setuid(void)
{
    struct statvfs facts;
    return statvfs(".", &facts) != 0 || !(facts.f_flag & ST_NOSUID);
}

static void setuid_files(void)
{
    char *words[] = {"x", NULL};
    if (!can_setuid()) {
        say("skip setuid files: /tmp is mounted nosuid\n");
        return;
    }
    copy_file(beside("show"), "special", 0755);
    REQUIRE(chown("special", 1111, 2222) == 0 && chmod("special", 06755) == 0);
    CHECK_EXITED(CAPTURE(setgid(444); setuid(333); execve("special", words, no_words)), 0);
    CHECK_LINE("ids 333 1111 1111 444 2222 2222");
    CHECK_EQ(auxv(AT_UID), 333);
    CHECK_EQ(auxv(AT_EUID), 1111);
    CHECK_EQ(auxv(AT_SECURE), 1);
    /* The same owner is no gain, so not secure. */
    CHECK_EXITED(CAPTURE(setgid(2222); setuid(1111); execve("special", words, no_words)), 0);
    CHECK_LINE("ids 1111 1111 1111 2222 2222 2222");
    CHECK_EQ(auxv(AT_SECURE), 0);
    CHECK_EXITED(CAPTURE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); setgid(444); setuid(333); execve("special", words, no_words)), 0);
    CHECK_LINE("ids 333 333 333 444 444 444");
    REQUIRE(chmod("special", 02745) == 0); /* set-group-ID without group execute means something else */
    CHECK_EXITED(CAPTURE(setgid(444); setuid(333); execve("special", words, no_words)), 0);
    CHECK_LINE("ids 333 333 333 444 444 444");
    /* A script's bits do not count. */
    char text[800];
    snprintf(text, sizeof text, "#!%s\n", beside("show"));
    write_file("script", text, 0755);
    REQUIRE(chown("script", 1111, 2222) == 0 && chmod("script", 06755) == 0);
    CHECK_EXITED(CAPTURE(setgid(444); setuid(333); execve("script", words, no_words)), 0);
    CHECK_LINE("ids 333 333 333 444 444 444");
}

static void saved_ids_follow_effective(void)
{
    char *words[] = {"x", NULL};
    CHECK_EXITED(CAPTURE(setresgid(4, 5, 6); setresuid(1, 2, 3); execve(beside("show"), words, no_words)), 0);
    CHECK_LINE("ids 1 2 2 4 5 5");
    CHECK_EQ(auxv(AT_SECURE), 1);
}

static void *execute(void *unused)
{
    char *words[] = {"x", NULL};
    (void)unused;
    execve(beside("show"), words, no_words);
    _exit(77);
}

static void *wait_forever(void *unused)
{
    for (;;) pause();
    return unused;
}

static void exec_from_a_thread_ends_the_others(void)
{
    for (int round = 0; round < 10; round++) {
        int status = CAPTURE({
            pthread_t threads[8];
            for (int i = 0; i < 7; i++) REQUIRE(pthread_create(&threads[i], NULL, wait_forever, NULL) == 0);
            REQUIRE(pthread_create(&threads[7], NULL, execute, NULL) == 0);
            wait_forever(NULL);
        });
        CHECK_EXITED(status, 0);
        CHECK_LINE("argc 1");
        CHECK_ERR(waitpid(-1, NULL, WNOHANG), ECHILD);
    }
}

static void a_failed_exec_leaves_threads_alone(void)
{
    pthread_t thread;
    char *words[] = {"x", NULL};
    REQUIRE(pthread_create(&thread, NULL, wait_forever, NULL) == 0);
    CHECK_ERR(execve("/nothing", words, no_words), ENOENT);
    CHECK_OK(pthread_kill(thread, 0));
    CHECK_OK(pthread_cancel(thread));
    CHECK_OK(pthread_join(thread, NULL));
}

CASES_WITH_HELPER(helper, CASE(arguments_and_environment_arrive), CASE(null_lists_are_empty),
                  CASE(the_auxiliary_vector_is_complete), CASE(a_static_pie_is_moved), CASE(the_name_is_the_files),
                  CASE(close_on_exec), CASE(signals_over_exec), CASE(pids_alarms_and_folders_stay), CASE(scripts),
                  CASE(scripts_of_scripts), CASE(bad_scripts), CASE(errors_of_paths), CASE(permissions_of_users),
                  CASE(a_file_being_written_is_busy), CASE(too_long_arguments), CASE(relative_to_a_descriptor),
                  CASE(scripts_by_descriptor), CASE(from_memory), CASE(setuid_files), CASE(saved_ids_follow_effective),
                  CASE(exec_from_a_thread_ends_the_others), CASE(a_failed_exec_leaves_threads_alone))
