/* Groups and sessions, prctl, identity, uname, sysinfo, umask. */
#include "check.h"

#include <grp.h>
#include <sys/fsuid.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

static void a_new_session(void)
{
    pid_t pid = CHILD({
        CHECK_EQ(setsid(), getpid());
        CHECK_EQ(getsid(0), getpid());
        CHECK_EQ(getpgid(0), getpid());
        CHECK_EQ(getpgrp(), getpid());
        CHECK_ERR(setsid(), EPERM);     /* a leader already */
        CHECK_ERR(setpgid(0, 0), EPERM); /* a session leader cannot move */
        CHECK_ERR(open("/dev/tty", O_RDWR), ENXIO);
    });
    CHECK_EXITED(status_of(pid), 0);
    CHECK_ERR(setsid(), EPERM); /* a group leader may not; the case is one */
    pid = CHILD(setsid(); _exit(CHILD_STATUS(_exit(getsid(0) == getppid() && getpgid(0) == getppid() ? 0 : 1)) == 0 ? 0 : 1));
    CHECK_EXITED(status_of(pid), 0);
}

static void process_groups(void)
{
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    CHECK_EQ(getpgid(0), getpid());
    pid_t first = CHILD(char byte; close(ends[1]); _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1));
    pid_t second = CHILD(char byte; close(ends[1]); _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1));
    CHECK_EQ(getpgid(first), getpid());
    CHECK_OK(setpgid(first, 0));
    CHECK_EQ(getpgid(first), first);
    CHECK_OK(setpgid(second, first));
    CHECK_EQ(getpgid(second), first);
    CHECK_OK(setpgid(second, getpid())); /* back to mine */
    CHECK_OK(setpgid(second, second));
    CHECK_OK(setpgid(second, second));
    CHECK_ERR(setpgid(second, 0x3ffffff), EPERM); /* no such group in this session */
    CHECK_ERR(setpgid(0x3ffffff, 0), ESRCH);
    CHECK_ERR(setpgid(first, -1), EINVAL);
    CHECK_ERR(setpgid(-1, 0), EINVAL);
    CHECK_ERR(setpgid(1, 0), ESRCH); /* not a child */
    CHECK_ERR(getpgid(-1), ESRCH);
    CHECK_ERR(getpgid(0x3ffffff), ESRCH);
    CHECK_ERR(getsid(0x3ffffff), ESRCH);
    CHECK_ERR(getsid(-1), ESRCH);
    CHECK_EQ(getsid(first), getsid(0));
    close(ends[1]);
    CHECK_EXITED(status_of(first), 0);
    CHECK_EXITED(status_of(second), 0);
}

static void a_child_that_executed_cannot_be_moved(void)
{
    int ends[2], input[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0 && pipe(input) == 0);
    pid_t pid = CHILD({
        char *words[] = {(char *)own_path(), "@wait", NULL};
        dup2(input[0], 0);
        close(input[1]);
        execve(words[0], words, words + 2);
    });
    close(ends[1]);
    char byte;
    CHECK_EQ(read(ends[0], &byte, 1), 0); /* closed by exec */
    CHECK_ERR(setpgid(pid, pid), EACCES);
    close(input[1]);
    CHECK_EXITED(status_of(pid), 0);
    /* Nor one in another session. */
    REQUIRE(pipe(ends) == 0);
    pid = CHILD(setsid(); if (write(ends[1], "x", 1) < 0) _exit(1); for (;;) pause());
    CHECK_EQ(read(ends[0], &byte, 1), 1);
    CHECK_ERR(setpgid(pid, pid), EPERM);
    CHECK_ERR(setpgid(pid, getpid()), EPERM);
    CHECK_ERR(setpgid(0, pid), EPERM);
    kill(pid, SIGKILL);
    status_of(pid);
}

static void signals_to_groups(void)
{
    enum { COUNT = 3 };
    pid_t pids[COUNT];
    for (int i = 0; i < COUNT; i++) {
        pids[i] = CHILD(for (;;) pause());
        CHECK_OK(setpgid(pids[i], pids[0]));
    }
    pid_t other = CHILD(for (;;) pause());
    CHECK_OK(kill(-pids[0], 0));
    CHECK_OK(kill(-pids[0], SIGTERM));
    for (int i = 0; i < COUNT; i++) CHECK_KILLED(status_of(pids[i]), SIGTERM);
    CHECK_ERR(kill(-pids[0], 0), ESRCH);
    CHECK_OK(kill(other, 0));
    kill(other, SIGKILL);
    CHECK_KILLED(status_of(other), SIGKILL);
    pid_t pid = CHILD(setpgid(0, 0); signal(SIGTERM, SIG_IGN); kill(0, SIGTERM); kill(0, SIGUSR1)); /* 0: my group */
    CHECK_KILLED(status_of(pid), SIGUSR1);
}

/* When the last link between a stopped group and its session breaks, it gets SIGHUP and SIGCONT. */
static void an_orphaned_stopped_group_is_hung_up(void)
{
    int ends[2];
    pid_t grandchild = 0;
    REQUIRE(pipe(ends) == 0);
    CHECK_OK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    pid_t pid = CHILD({
        setsid();
        pid_t inner = CHILD(setpgid(0, 0); raise(SIGSTOP); for (;;) pause());
        int status;
        waitpid(inner, &status, WUNTRACED);
        if (write(ends[1], &inner, sizeof inner) < 0) _exit(1);
    });
    CHECK_EQ(read(ends[0], &grandchild, sizeof grandchild), (long)sizeof grandchild);
    CHECK_EXITED(status_of(pid), 0);
    CHECK_KILLED(status_of(grandchild), SIGHUP);
    /* In an orphaned group the terminal's stop signals do nothing. */
    pid = CHILD(setsid(); raise(SIGTSTP); raise(SIGTTIN); raise(SIGTTOU); _exit(3));
    CHECK_EXITED(status_of(pid), 3);
}

static void names(void)
{
    char name[17] = "", text[32] = "";
    CHECK_OK(prctl(PR_GET_NAME, name));
    CHECK_OK(strncmp(name, check_program, 15));
    CHECK_OK(prctl(PR_SET_NAME, "a name far too long to keep"));
    CHECK_OK(prctl(PR_GET_NAME, name));
    CHECK_OK(strcmp(name, "a name far too "));
    int file = open("/proc/self/comm", O_RDONLY);
    CHECK_EQ(read(file, text, sizeof text), 16);
    CHECK_OK(strcmp(text, "a name far too \n"));
    CHECK_EXITED(CHILD_STATUS(prctl(PR_GET_NAME, name); _exit(strcmp(name, "a name far too "))), 0);
    CHECK_ERR(prctl(PR_SET_NAME, UNMAPPED_ADDRESS), EFAULT);
    CHECK_ERR(prctl(PR_GET_NAME, KERNEL_ADDRESS), EFAULT);
}

static void a_signal_for_the_parents_death(void)
{
    int number = -1, ends[2];
    pid_t inner = 0;
    CHECK_OK(prctl(PR_GET_PDEATHSIG, &number));
    CHECK_EQ(number, 0);
    CHECK_OK(prctl(PR_SET_PDEATHSIG, SIGUSR1));
    CHECK_OK(prctl(PR_GET_PDEATHSIG, &number));
    CHECK_EQ(number, SIGUSR1);
    CHECK_EXITED(CHILD_STATUS(prctl(PR_GET_PDEATHSIG, &number); _exit(number)), 0); /* is not inherited */
    CHECK_OK(prctl(PR_SET_PDEATHSIG, 0));
    CHECK_ERR(prctl(PR_SET_PDEATHSIG, 65), EINVAL);
    CHECK_ERR(prctl(PR_SET_PDEATHSIG, -1), EINVAL);
    CHECK_ERR(prctl(PR_GET_PDEATHSIG, UNMAPPED_ADDRESS), EFAULT);
    REQUIRE(pipe(ends) == 0);
    CHECK_OK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
    pid_t pid = CHILD({
        inner = CHILD(prctl(PR_SET_PDEATHSIG, SIGUSR2); if (write(ends[1], &inner, 1) < 0) _exit(1); for (;;) pause());
        char byte;
        if (read(ends[0], &byte, 1) != 1 || write(ends[1], &inner, sizeof inner) < 0) _exit(1);
    });
    CHECK_EXITED(status_of(pid), 0);
    CHECK_EQ(read(ends[0], &inner, sizeof inner), (long)sizeof inner);
    CHECK_KILLED(status_of(inner), SIGUSR2);
}

static void other_process_settings(void)
{
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
    CHECK_OK(prctl(PR_SET_DUMPABLE, 0));
    CHECK_EQ(prctl(PR_GET_DUMPABLE), 0);
    CHECK_OK(prctl(PR_SET_DUMPABLE, 1));
    CHECK_ERR(prctl(PR_SET_DUMPABLE, 2), EINVAL);
    CHECK_ERR(prctl(PR_SET_DUMPABLE, 9), EINVAL);
    CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
    CHECK_ERR(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL); /* there is no way back */
    CHECK_ERR(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0), EINVAL);
    CHECK_ERR(prctl(PR_GET_NO_NEW_PRIVS, 1, 0, 0, 0), EINVAL);
    CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
    CHECK_EXITED(CHILD_STATUS(_exit(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0))), 1);
    CHECK_EQ(prctl(PR_GET_KEEPCAPS), 0);
    CHECK_OK(prctl(PR_SET_KEEPCAPS, 1));
    CHECK_EQ(prctl(PR_GET_KEEPCAPS), 1);
    CHECK_ERR(prctl(PR_SET_KEEPCAPS, 2), EINVAL);
    CHECK_OK(prctl(PR_SET_TIMERSLACK, 12345));
    CHECK_EQ(prctl(PR_GET_TIMERSLACK), 12345);
    CHECK_OK(prctl(PR_SET_TIMERSLACK, 0)); /* back to the default */
    CHECK_EQ(prctl(PR_GET_TIMERSLACK), 50000);
    CHECK_EQ(prctl(PR_GET_SECCOMP), 0);
    CHECK_EQ(prctl(PR_CAPBSET_READ, 0), 1);
    CHECK_ERR(prctl(PR_CAPBSET_READ, 200), EINVAL);
    CHECK_ERR(prctl(123456), EINVAL);
    CHECK_ERR(prctl(-1), EINVAL);
    int tsc = 0;
    CHECK_OK(prctl(PR_GET_TSC, &tsc));
    CHECK_EQ(tsc, PR_TSC_ENABLE);
}

static bool ids_are(uid_t real, uid_t effective, uid_t saved)
{
    uid_t found[3];
    return getresuid(&found[0], &found[1], &found[2]) == 0 && found[0] == real && found[1] == effective && found[2] == saved &&
           getuid() == real && geteuid() == effective;
}

static void root_becomes_anybody(void)
{
    CHECK_EXITED(CHILD_STATUS(CHECK_OK(setuid(7)); CHECK(ids_are(7, 7, 7)); CHECK_ERR(setuid(0), EPERM);
                              CHECK_ERR(setuid(8), EPERM); CHECK_OK(setuid(7))),
                 0);
    CHECK_EXITED(CHILD_STATUS(CHECK_OK(seteuid(7)); CHECK(ids_are(0, 7, 0)); CHECK_ERR(setuid(8), EPERM);
                              CHECK_OK(seteuid(0)); CHECK(ids_are(0, 0, 0))),
                 0);
    CHECK_EXITED(CHILD_STATUS(CHECK_OK(setreuid(7, 8)); CHECK(ids_are(7, 8, 8)); CHECK_OK(setreuid(8, 7));
                              CHECK(ids_are(8, 7, 7)); CHECK_ERR(setreuid(9, (uid_t)-1), EPERM)),
                 0);
    CHECK_EXITED(CHILD_STATUS(CHECK_OK(setresuid(1, 2, 3)); CHECK(ids_are(1, 2, 3)); CHECK_OK(setresuid(3, 1, 2));
                              CHECK(ids_are(3, 1, 2)); CHECK_ERR(setresuid(4, (uid_t)-1, (uid_t)-1), EPERM);
                              CHECK_OK(setresuid((uid_t)-1, (uid_t)-1, (uid_t)-1)); CHECK(ids_are(3, 1, 2))),
                 0);
    CHECK_ERR(syscall(SYS_setuid, -1), EINVAL);
    CHECK_ERR(syscall(SYS_getresuid, UNMAPPED_ADDRESS, NULL, NULL), EFAULT);
}

static void groups(void)
{
    gid_t list[70000 / sizeof(gid_t)], three[3] = {30, 10, 20};
    CHECK_OK(setgroups(3, three));
    CHECK_EQ(getgroups(0, NULL), 3);
    CHECK_EQ(getgroups(10, list), 3);
    CHECK(list[0] + list[1] + list[2] == 60);
    CHECK_ERR(getgroups(2, list), EINVAL);
    CHECK_ERR(syscall(SYS_getgroups, -1, list), EINVAL);
    CHECK_ERR(syscall(SYS_setgroups, 65537, list), EINVAL);
    CHECK_ERR(syscall(SYS_setgroups, 3, UNMAPPED_ADDRESS), EFAULT);
    CHECK_ERR(syscall(SYS_getgroups, 10, UNMAPPED_ADDRESS), EFAULT);
    CHECK_EXITED(CHILD_STATUS(CHECK_OK(setregid(5, 6)); CHECK_EQ(getgid(), 5); CHECK_EQ(getegid(), 6);
                              CHECK_OK(setresgid(1, 2, 3)); CHECK_OK(setgid(9)); gid_t r = 0; gid_t e = 0; gid_t s = 0; getresgid(&r, &e, &s);
                              CHECK(r == 9 && e == 9 && s == 9); setuid(1); CHECK_ERR(setgid(10), EPERM);
                              CHECK_ERR(setgroups(0, NULL), EPERM)),
                 0);
    CHECK_OK(setgroups(0, NULL));
    CHECK_EQ(getgroups(0, NULL), 0);
}

static void file_system_ids(void)
{
    CHECK_EQ(setfsuid(77), 0); /* returns the old one, always */
    CHECK_EQ(setfsuid((uid_t)-1), 77);
    CHECK_EQ(setfsgid(78), getegid());
    CHECK_EQ(setfsgid((gid_t)-1), 78);
    CHECK_OK(seteuid(0));
    CHECK_EQ(setfsuid((uid_t)-1), 0); /* follows the effective one */
}

static void a_user_may_not(void)
{
    pid_t root = CHILD(for (;;) pause());
    pid_t pid = CHILD({
        setgroups(0, NULL);
        REQUIRE(setgid(12345) == 0 && setuid(12345) == 0);
        CHECK_ERR(kill(root, SIGTERM), EPERM);
        CHECK_ERR(kill(root, 0), EPERM);
        CHECK_ERR(setpriority(PRIO_PROCESS, 0, -5), EACCES);
        CHECK_ERR(sethostname("x", 1), EPERM);
        CHECK_ERR(chroot("."), EPERM);
        CHECK_ERR(syscall(SYS_reboot, 0xfee1dead, 672274793, 0, 0), EPERM);
        CHECK_OK(kill(getpid(), 0));
    });
    CHECK_EXITED(status_of(pid), 0);
    kill(root, SIGKILL);
    status_of(root);
}

static void the_mask_of_modes(void)
{
    CHECK_EQ(umask(0), 022);
    CHECK_EQ(umask(07777), 0);
    CHECK_EQ(umask(022), 0777); /* only permission bits are kept */
}

static void the_systems_name(void)
{
    struct utsname name;
    char host[65] = "";
    CHECK_OK(uname(&name));
    CHECK_OK(strcmp(name.sysname, "Linux"));
    CHECK_OK(strcmp(name.machine, "x86_64"));
    int major = 0, minor = -1;
    CHECK_EQ(sscanf(name.release, "%d.%d", &major, &minor), 2);
    CHECK(major >= 5); /* a libc refuses older ones */
    CHECK(name.version[0] != 0);
    CHECK_ERR(syscall(SYS_uname, UNMAPPED_ADDRESS), EFAULT);
    CHECK_OK(gethostname(host, sizeof host));
    CHECK_OK(strcmp(host, name.nodename));
    CHECK_ERR(syscall(SYS_sethostname, host, 65), EINVAL);
    CHECK_ERR(syscall(SYS_sethostname, host, -1), EINVAL);
    CHECK_ERR(syscall(SYS_sethostname, UNMAPPED_ADDRESS, 5), EFAULT);
    CHECK_OK(sethostname(host, strlen(host)));
}

static void the_systems_figures(void)
{
    struct sysinfo info;
    memset(&info, 0xff, sizeof info);
    CHECK_OK(sysinfo(&info));
    CHECK(info.uptime > 0 && info.uptime < 1L << 32);
    CHECK(info.mem_unit >= 1);
    CHECK(info.totalram * info.mem_unit >= 16 << 20);
    CHECK(info.freeram <= info.totalram);
    CHECK(info.procs >= 2);
    CHECK_ERR(syscall(SYS_sysinfo, UNMAPPED_ADDRESS), EFAULT);
}

static int helper(int count, char **words)
{
    char byte;
    (void)count;
    return strcmp(words[0], "@wait") == 0 && read(0, &byte, 1) == 0 ? 0 : 1;
}

CASES_WITH_HELPER(helper, CASE(a_new_session), CASE(process_groups), CASE(a_child_that_executed_cannot_be_moved),
                  CASE(signals_to_groups), CASE(an_orphaned_stopped_group_is_hung_up), CASE(names),
                  CASE(a_signal_for_the_parents_death), CASE(other_process_settings), CASE(root_becomes_anybody), CASE(groups),
                  CASE(file_system_ids), CASE(a_user_may_not), CASE(the_mask_of_modes), CASE(the_systems_name),
                  CASE(the_systems_figures))
