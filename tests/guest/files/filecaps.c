/* Capabilities that files give, and who may do what with them (capabilities(7)). */
#include "check.h"

#include <linux/capability.h>
#include <sys/xattr.h>

enum { SOMEBODY = 1234 };

static uint64_t bit(int capability) { return 1ULL << capability; }

/* Revision 2 of security.capability. */
static int give(const char *path, uint64_t permitted, uint64_t inheritable, int in_force)
{
    uint32_t words[5] = {0x02000000 | (in_force ? 1 : 0), (uint32_t)permitted, (uint32_t)inheritable, (uint32_t)(permitted >> 32),
                         (uint32_t)(inheritable >> 32)};
    return setxattr(path, "security.capability", words, sizeof words, 0);
}

static void sets_of(uint64_t *effective, uint64_t *permitted, uint64_t *inheritable)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    REQUIRE(syscall(SYS_capget, &header, data) == 0);
    *effective = data[0].effective | (uint64_t)data[1].effective << 32;
    *permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    *inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
}

static int set_sets(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
                                             {(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)}};
    return (int)syscall(SYS_capset, &header, data);
}

/* A copy of this program under another name, which everybody may run. */
static void make_program(const char *name)
{
    char buffer[1 << 16];
    int from = open(own_path(), O_RDONLY), to = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0755);
    REQUIRE(from >= 0 && to >= 0);
    for (ssize_t count; (count = read(from, buffer, sizeof buffer)) > 0;) REQUIRE(write(to, buffer, (size_t)count) == count);
    REQUIRE(fchmod(to, 0755) == 0);
    close(from);
    close(to);
    REQUIRE(chmod(".", 0755) == 0);
}

/* The program prints its sets and ids into the file `report`. */
struct report {
    uint64_t effective, permitted, inheritable;
    uint32_t user, effective_user, is_secure, ambient;
};

#include <sys/auxv.h>

static int helper(int argc, char **argv)
{
    struct report report = {0};
    (void)argc;
    sets_of(&report.effective, &report.permitted, &report.inheritable);
    report.user = getuid();
    report.effective_user = geteuid();
    report.is_secure = getauxval(AT_SECURE) != 0;
    report.ambient = prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_NET_RAW, 0, 0) == 1;
    int fd = atoi(argv[1]);
    return write(fd, &report, sizeof report) == sizeof report ? 0 : 1;
}

/* Runs the program as somebody, after `before`. Its exit status, or 1000 and the errno of execve. */
static int run_as(uid_t user, const char *name, void (*before)(void), struct report *report)
{
    int ends[2], status;
    REQUIRE(pipe(ends) == 0);
    memset(report, 0, sizeof *report);
    pid_t pid = fork();
    if (pid == 0) {
        char number[12];
        snprintf(number, sizeof number, "%d", ends[1]);
        if (user != 0 && setresuid(user, user, user) != 0) _exit(100);
        if (before) before();
        execl(name, name, "@report", number, (char *)NULL);
        uint32_t error = (uint32_t)errno;
        _exit(write(ends[1], &error, sizeof error) == sizeof error ? 101 : 102);
    }
    close(ends[1]);
    ssize_t count = read(ends[0], report, sizeof *report);
    close(ends[0]);
    REQUIRE(waitpid(pid, &status, 0) == pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 101 && count == 4) return 1000 + (int)*(uint32_t *)report;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 103;
}

static void a_file_gives_capabilities(void)
{
    struct report report;
    make_program("p");
    CHECK_EQ(run_as(SOMEBODY, "./p", NULL, &report), 0);
    CHECK(report.permitted == 0 && report.effective == 0 && !report.is_secure);
    CHECK_OK(give("p", bit(CAP_CHOWN) | bit(CAP_NET_RAW), 0, 0));
    CHECK_EQ(run_as(SOMEBODY, "./p", NULL, &report), 0);
    CHECK(report.permitted == (bit(CAP_CHOWN) | bit(CAP_NET_RAW)) && report.effective == 0);
    CHECK(report.is_secure && report.effective_user == SOMEBODY);
    CHECK_OK(give("p", bit(CAP_CHOWN), 0, 1));
    CHECK_EQ(run_as(SOMEBODY, "./p", NULL, &report), 0);
    CHECK(report.permitted == bit(CAP_CHOWN) && report.effective == bit(CAP_CHOWN));
    CHECK_OK(removexattr("p", "security.capability"));
    CHECK_EQ(run_as(SOMEBODY, "./p", NULL, &report), 0);
    CHECK(report.permitted == 0);
}

static void drop_chown(void) { REQUIRE(prctl(PR_CAPBSET_DROP, CAP_CHOWN, 0, 0, 0) == 0); }

static void out_of_bounds_is_not_given(void)
{
    struct report report;
    make_program("p");
    CHECK_OK(give("p", bit(CAP_CHOWN) | bit(CAP_KILL), 0, 0));
    drop_chown();
    CHECK_EQ(run_as(SOMEBODY, "./p", NULL, &report), 0);
    CHECK_EQ(report.permitted, bit(CAP_KILL));
    CHECK_OK(give("p", bit(CAP_CHOWN) | bit(CAP_KILL), 0, 1));
    CHECK_EQ(run_as(SOMEBODY, "./p", NULL, &report), 1000 + EPERM);
}

static void forbid_gains(void) { REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0); }

static void who_may_gain_nothing_gains_nothing(void)
{
    struct report report;
    make_program("p");
    CHECK_OK(give("p", bit(CAP_CHOWN), 0, 1));
    CHECK_EQ(run_as(SOMEBODY, "./p", forbid_gains, &report), 0);
    CHECK(report.permitted == 0 && report.effective == 0);
    CHECK_OK(chmod("p", 04755));
    CHECK_EQ(run_as(SOMEBODY, "./p", forbid_gains, &report), 0);
    CHECK(report.effective_user == SOMEBODY && report.permitted == 0);
}

static void setuid_root_with_capabilities(void)
{
    struct report report;
    make_program("p");
    CHECK_OK(chmod("p", 04755));
    CHECK_EQ(run_as(SOMEBODY, "./p", NULL, &report), 0);
    CHECK(report.user == SOMEBODY && report.effective_user == 0 && report.is_secure);
    CHECK(report.effective & bit(CAP_SYS_ADMIN) && report.effective & bit(CAP_CHOWN));
    CHECK_OK(give("p", bit(CAP_CHOWN), 0, 1));
    CHECK_EQ(run_as(SOMEBODY, "./p", NULL, &report), 0);
    CHECK(report.effective_user == 0 && report.effective == bit(CAP_CHOWN));
    /* Root is root all the same. */
    CHECK_EQ(run_as(0, "./p", NULL, &report), 0);
    CHECK(report.effective & bit(CAP_SYS_ADMIN));
}

static void inherit_raw(void)
{
    uint64_t effective, permitted, inheritable;
    sets_of(&effective, &permitted, &inheritable);
    REQUIRE(set_sets(effective, permitted, inheritable | bit(CAP_NET_RAW)) == 0);
    REQUIRE(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0);
    REQUIRE(setresuid(SOMEBODY, SOMEBODY, SOMEBODY) == 0);
}

static void raise_raw(void)
{
    inherit_raw();
    REQUIRE(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0) == 0);
}

static void inherited_and_ambient(void)
{
    struct report report;
    make_program("p");
    CHECK_EQ(run_as(0, "./p", inherit_raw, &report), 0);
    CHECK(report.user == SOMEBODY && report.permitted == 0 && report.inheritable == bit(CAP_NET_RAW));
    CHECK_EQ(run_as(0, "./p", raise_raw, &report), 0);
    CHECK(report.permitted == bit(CAP_NET_RAW) && report.effective == bit(CAP_NET_RAW) && report.ambient && !report.is_secure);
    CHECK_OK(give("p", bit(CAP_KILL), bit(CAP_NET_RAW) | bit(CAP_CHOWN), 0));
    CHECK_EQ(run_as(0, "./p", inherit_raw, &report), 0);
    CHECK(report.permitted == (bit(CAP_KILL) | bit(CAP_NET_RAW)) && report.effective == 0);
    CHECK_EQ(run_as(0, "./p", raise_raw, &report), 0);
    CHECK(report.permitted == (bit(CAP_KILL) | bit(CAP_NET_RAW)) && report.effective == 0 && !report.ambient);
}

static void no_root(void) { REQUIRE(prctl(PR_SET_SECUREBITS, 1, 0, 0, 0) == 0); }

static void root_without_rights(void)
{
    struct report report;
    make_program("p");
    CHECK_EQ(run_as(0, "./p", no_root, &report), 0);
    CHECK(report.effective_user == 0 && report.permitted == 0 && report.effective == 0);
}

static void changes_take_them_away(void)
{
    char value[32];
    make_program("p");
    CHECK_OK(give("p", bit(CAP_CHOWN), 0, 1));
    CHECK_EQ(getxattr("p", "security.capability", value, sizeof value), 20);
    int file = open("p", O_WRONLY | O_APPEND);
    CHECK_EQ(write(file, "x", 1), 1); /* root's too */
    close(file);
    CHECK_ERR(getxattr("p", "security.capability", value, sizeof value), ENODATA);
    CHECK_OK(give("p", bit(CAP_CHOWN), 0, 1));
    CHECK_OK(chown("p", SOMEBODY, (gid_t)-1));
    CHECK_ERR(getxattr("p", "security.capability", value, sizeof value), ENODATA);
    CHECK_OK(give("p", bit(CAP_CHOWN), 0, 1));
    CHECK_OK(truncate("p", 10));
    CHECK_ERR(getxattr("p", "security.capability", value, sizeof value), ENODATA);
    CHECK_OK(give("p", bit(CAP_CHOWN), 0, 1));
    CHECK_OK(chmod("p", 0755));
    CHECK_EQ(getxattr("p", "security.capability", value, sizeof value), 20);
}

static void damaged_attributes_cannot_be_set(void)
{
    uint32_t words[6] = {0x02000000};
    make_program("p");
    CHECK_ERR(setxattr("p", "security.capability", words, 19, 0), EINVAL);
    CHECK_ERR(setxattr("p", "security.capability", words, 24, 0), EINVAL);
    words[0] = 0x05000000;
    CHECK_ERR(setxattr("p", "security.capability", words, 20, 0), EINVAL);
    pid_t pid = CHILD({
        REQUIRE(setresuid(SOMEBODY, SOMEBODY, SOMEBODY) == 0);
        CHECK_ERR(give("p", bit(CAP_CHOWN), 0, 1), EPERM);
    });
    CHECK_EXITED(status_of(pid), 0);
}

static void sets_only_shrink(void)
{
    uint64_t effective, permitted, inheritable;
    sets_of(&effective, &permitted, &inheritable);
    CHECK_OK(set_sets(bit(CAP_CHOWN), bit(CAP_CHOWN) | bit(CAP_KILL), 0));
    CHECK_ERR(set_sets(bit(CAP_SYS_ADMIN), bit(CAP_CHOWN), 0), EPERM);
    CHECK_ERR(set_sets(0, bit(CAP_SYS_ADMIN), 0), EPERM);
    CHECK_ERR(set_sets(0, bit(CAP_CHOWN), bit(CAP_SYS_ADMIN)), EPERM);
    CHECK_OK(set_sets(bit(CAP_KILL), bit(CAP_CHOWN) | bit(CAP_KILL), bit(CAP_KILL)));
    sets_of(&effective, &permitted, &inheritable);
    CHECK(effective == bit(CAP_KILL) && permitted == (bit(CAP_CHOWN) | bit(CAP_KILL)) && inheritable == bit(CAP_KILL));
}

CASES_WITH_HELPER(helper, CASE(a_file_gives_capabilities), CASE(out_of_bounds_is_not_given), CASE(who_may_gain_nothing_gains_nothing),
                  CASE(setuid_root_with_capabilities), CASE(inherited_and_ambient), CASE(root_without_rights),
                  CASE(changes_take_them_away), CASE(damaged_attributes_cannot_be_set), CASE(sets_only_shrink))
