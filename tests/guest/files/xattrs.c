/* Extended attributes (xattr(7)): who may touch which, sizes, lists. */
#include "check.h"

#include <sys/statfs.h>
#include <sys/xattr.h>

static char value[70000], names[70000];

/* tmpfs of before Linux 6.6 has none of the user's own. */
static bool has_user_attributes(void)
{
    write_file("probe", "x", 0600);
    return setxattr("probe", "user.probe", "x", 1, 0) == 0 || errno != EOPNOTSUPP;
}

static bool lists(const char *path, const char *wanted)
{
    ssize_t length = listxattr(path, names, sizeof names);
    for (ssize_t at = 0; at < length; at += (ssize_t)strlen(names + at) + 1) {
        if (!strcmp(names + at, wanted)) return true;
    }
    return false;
}

static void set_get_remove(void)
{
    if (!has_user_attributes()) {
        CHECK_ERR(setxattr("probe", "user.probe", "x", 1, 0), EOPNOTSUPP);
        return;
    }
    int file = make_file("f", "x", 1, 0600);
    NEED(symlink("f", "l") == 0);
    CHECK_EQ(listxattr("f", names, 0) >= 0, 1);
    CHECK_OK(setxattr("f", "user.one", "value", 5, 0));
    CHECK_EQ(getxattr("f", "user.one", value, sizeof value), 5);
    CHECK(memcmp(value, "value", 5) == 0);
    CHECK_EQ(getxattr("f", "user.one", NULL, 0), 5); /* how long is it? */
    CHECK_ERR(getxattr("f", "user.one", value, 4), ERANGE);
    CHECK_OK(setxattr("l", "user.two", "", 0, XATTR_CREATE)); /* links are followed */
    CHECK_EQ(fgetxattr(file, "user.two", value, sizeof value), 0);
    CHECK_ERR(setxattr("f", "user.two", "x", 1, XATTR_CREATE), EEXIST);
    CHECK_ERR(setxattr("f", "user.three", "x", 1, XATTR_REPLACE), ENODATA);
    CHECK_OK(setxattr("f", "user.one", "longer than before", 18, XATTR_REPLACE));
    CHECK_EQ(getxattr("f", "user.one", value, sizeof value), 18);
    CHECK_OK(fsetxattr(file, "user.one", "s", 1, 0));
    CHECK_EQ(getxattr("f", "user.one", value, sizeof value), 1);
    CHECK(lists("f", "user.one") && lists("f", "user.two") && !lists("f", "user.three"));
    ssize_t length = listxattr("f", NULL, 0);
    CHECK_EQ(length, listxattr("f", names, sizeof names));
    CHECK_ERR(listxattr("f", names, (size_t)length - 1), ERANGE);
    CHECK_EQ(flistxattr(file, names, sizeof names), length);
    CHECK_OK(removexattr("f", "user.one"));
    CHECK_ERR(getxattr("f", "user.one", value, sizeof value), ENODATA);
    CHECK_ERR(removexattr("f", "user.one"), ENODATA);
    CHECK_OK(fremovexattr(file, "user.two"));
    CHECK(!lists("f", "user.two"));
    NEED(mkdir("d", 0755) == 0);
    CHECK_OK(setxattr("d", "user.dir", "d", 1, 0));
    CHECK_EQ(getxattr("d", "user.dir", value, 10), 1);
}

static void errors(void)
{
    int file = make_file("f", "x", 1, 0600), path = open("f", O_PATH);
    char long_name[300] = "user.";
    memset(long_name + 5, 'n', 251);
    CHECK_ERR(setxattr("f", long_name, "x", 1, 0), ERANGE); /* 256 bytes */
    CHECK_ERR(getxattr("f", long_name, value, 1), ERANGE);
    CHECK_ERR(setxattr("f", "", "x", 1, 0), ERANGE);
    CHECK_ERR(setxattr("f", "user.big", value, 65537, 0), E2BIG);
    CHECK_ERR(setxattr("f", "user.x", "x", 1, 4), EINVAL);
    CHECK_ERR(setxattr("f", "nothing.known", "x", 1, 0), EOPNOTSUPP);
    CHECK_ERR(setxattr("f", "plain", "x", 1, 0), EOPNOTSUPP);
    CHECK_ERR(getxattr("f", "nothing.known", value, 1), EOPNOTSUPP);
    CHECK_ERR(setxattr("missing", "user.x", "x", 1, 0), ENOENT);
    CHECK_ERR(getxattr("missing", "user.x", value, 1), ENOENT);
    CHECK_ERR(listxattr("missing", names, 1), ENOENT);
    CHECK_ERR(removexattr("f/x", "user.x"), ENOTDIR);
    CHECK_ERR(fsetxattr(777, "user.x", "x", 1, 0), EBADF);
    CHECK_ERR(fgetxattr(777, "user.x", value, 1), EBADF);
    CHECK_ERR(flistxattr(777, names, 1), EBADF);
    CHECK_ERR(fremovexattr(777, "user.x"), EBADF);
    CHECK_ERR(fsetxattr(path, "user.x", "x", 1, 0), EBADF);
    CHECK_ERR(flistxattr(path, names, 1), EBADF);
    CHECK_ERR(syscall(SYS_setxattr, "f", UNMAPPED_ADDRESS, "x", 1, 0), EFAULT);
    CHECK_ERR(syscall(SYS_setxattr, "f", "user.x", UNMAPPED_ADDRESS, 1, 0), EFAULT);
    CHECK_ERR(syscall(SYS_setxattr, UNMAPPED_ADDRESS, "user.x", "x", 1, 0), EFAULT);
    CHECK_ERR(syscall(SYS_getxattr, "f", UNMAPPED_ADDRESS, value, 1), EFAULT);
    if (has_user_attributes()) {
        CHECK_ERR(getxattr("f", "user.none", value, 1), ENODATA);
        CHECK_OK(fsetxattr(file, "user.x", "xyz", 3, 0));
        CHECK_ERR(syscall(SYS_getxattr, "f", "user.x", UNMAPPED_ADDRESS, 10), EFAULT);
        CHECK_ERR(syscall(SYS_listxattr, "f", UNMAPPED_ADDRESS, 100), EFAULT);
    }
}

static void who_may(void)
{
    NEED(mkfifo("fifo", 0666) == 0 && symlink("nowhere", "l") == 0 && mkdir("sticky", 0777) == 0 && chmod("sticky", 01777) == 0);
    bool has_user = has_user_attributes();
    write_file("f", "x", 0644);
    write_file("open", "x", 0666);
    write_file("closed", "x", 0600);
    NEED(chmod("open", 0666) == 0 && chmod(".", 0755) == 0);
    CHECK_ERR(setxattr("fifo", "user.x", "x", 1, 0), EPERM); /* files and directories only */
    CHECK_ERR(getxattr("fifo", "user.x", value, 1), ENODATA);
    CHECK_ERR(lsetxattr("l", "user.x", "x", 1, 0), EPERM);
    CHECK_OK(setxattr("f", "trusted.t", "tt", 2, 0));
    CHECK_EQ(getxattr("f", "trusted.t", value, 10), 2);
    CHECK_OK(lsetxattr("l", "trusted.t", "link", 4, 0)); /* root's own go on anything */
    CHECK_EQ(lgetxattr("l", "trusted.t", value, 10), 4);
    CHECK(lists("f", "trusted.t"));
    CHECK_OK(setxattr("f", "security.test", "s", 1, 0));
    CHECK_EQ(getxattr("f", "security.test", value, 10), 1);
    if (has_user) NEED(setxattr("open", "user.x", "x", 1, 0) == 0 && setxattr("closed", "user.x", "x", 1, 0) == 0);
    CHECK_EXITED(CHILD_STATUS(
                     NEED(setresgid(5000, 5000, 5000) == 0 && setresuid(5000, 5000, 5000) == 0);
                     CHECK_ERR(setxattr("f", "trusted.t", "x", 1, 0), EPERM); CHECK_ERR(getxattr("f", "trusted.t", value, 10), ENODATA);
                     CHECK_ERR(removexattr("f", "trusted.t"), EPERM); CHECK(!lists("f", "trusted.t"));
                     CHECK_EQ(getxattr("f", "security.test", value, 10), 1); CHECK_ERR(setxattr("f", "security.test", "x", 1, 0), EPERM);
                     if (has_user) {
                         CHECK_ERR(setxattr("f", "user.x", "x", 1, 0), EACCES); CHECK_ERR(getxattr("closed", "user.x", value, 10), EACCES);
                         CHECK_EQ(getxattr("open", "user.x", value, 10), 1); CHECK_OK(setxattr("open", "user.y", "y", 1, 0));
                         CHECK_ERR(removexattr("f", "user.x"), EACCES); CHECK_ERR(setxattr("sticky", "user.x", "x", 1, 0), EPERM);
                     }),
                 0);
}

static void many_and_large(void)
{
    if (!has_user_attributes()) {
        CHECK_ERR(setxattr("probe", "user.probe", "x", 1, 0), EOPNOTSUPP);
        return;
    }
    char name[64];
    write_file("f", "x", 0600);
    int made = 0, why = 0;
    for (; made < 1000; made++) { /* ext2 has one block for all */
        snprintf(name, sizeof name, "user.number-%d", made);
        if (setxattr("f", name, name, strlen(name), 0) != 0) break;
    }
    why = errno;
    CHECK(made == 1000 || (made > 15 && why == ENOSPC));
    int bad = 0;
    for (int i = 0; i < made; i++) {
        snprintf(name, sizeof name, "user.number-%d", i);
        ssize_t length = getxattr("f", name, value, sizeof value);
        bad += length != (ssize_t)strlen(name) || memcmp(value, name, (size_t)length) != 0;
    }
    CHECK_EQ(bad, 0);
    for (int i = 0; i < made; i += 2) {
        snprintf(name, sizeof name, "user.number-%d", i);
        bad += removexattr("f", name) != 0;
    }
    CHECK_EQ(bad, 0);
    CHECK_OK(setxattr("f", "user.number-0", "again", 5, XATTR_CREATE));
    memset(value, 'v', sizeof value);
    write_file("g", "x", 0600);
    CHECK_OK(setxattr("g", "user.medium", value, 600, 0));
    CHECK_EQ(getxattr("g", "user.medium", names, sizeof names), 600);
    if (setxattr("g", "user.large", value, 60000, 0) != 0) {
        why = errno;
        CHECK_EQ(why, ENOSPC);
        CHECK_EQ(getxattr("g", "user.medium", names, sizeof names), 600); /* nothing is lost */
    }
    CHECK_OK(unlink("f"));
    CHECK_OK(unlink("g"));
}

CASES(CASE(set_get_remove), CASE(errors), CASE(who_may), CASE(many_and_large))
