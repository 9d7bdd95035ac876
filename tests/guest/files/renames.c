/* rename(2), renameat2(2), hard links and what unlinking leaves. */
#include "check.h"

#include <sys/statfs.h>

enum { NOREPLACE = 1, EXCHANGE = 2, WHITEOUT = 4 };

static long renameat2_(int from, const char *old, int to, const char *new, unsigned flags)
{
    return syscall(SYS_renameat2, from, old, to, new, flags);
}

static long rename2(const char *old, const char *new, unsigned flags)
{
    return renameat2_(AT_FDCWD, old, AT_FDCWD, new, flags);
}

static struct stat facts_of(const char *path)
{
    struct stat facts;
    memset(&facts, 0, sizeof facts);
    if (lstat(path, &facts) != 0) facts.st_nlink = 0;
    return facts;
}

static bool is_there(const char *path)
{
    return facts_of(path).st_nlink != 0;
}

static char first_byte(const char *path)
{
    char byte = 0;
    int file = open(path, O_RDONLY);
    if (file < 0 || read(file, &byte, 1) != 1) byte = 0;
    close(file);
    return byte;
}

static void files(void)
{
    write_file("a", "A", 0600);
    write_file("b", "B", 0600);
    struct stat a = facts_of("a");
    CHECK_OK(rename("a", "a")); /* itself: nothing happens */
    CHECK_EQ(first_byte("a"), 'A');
    CHECK_OK(rename("a", "b"));
    CHECK(!is_there("a") && first_byte("b") == 'A');
    CHECK_EQ(facts_of("b").st_ino, a.st_ino);
    CHECK_OK(link("b", "c"));
    CHECK_OK(rename("b", "c")); /* two names of one file: both stay */
    CHECK(is_there("b") && is_there("c"));
    CHECK_EQ(facts_of("b").st_nlink, 2);
    NEED(symlink("b", "l") == 0);
    CHECK_OK(rename("l", "m")); /* the link, not the file */
    CHECK(S_ISLNK(facts_of("m").st_mode) && first_byte("b") == 'A');
    write_file("n", "N", 0600);
    CHECK_OK(rename("n", "m")); /* over the link, not where it leads */
    CHECK(S_ISREG(facts_of("m").st_mode) && first_byte("b") == 'A' && first_byte("m") == 'N');
    CHECK_ERR(rename("missing", "x"), ENOENT);
    CHECK_ERR(rename("b", "missing/x"), ENOENT);
    CHECK_ERR(rename("b", "c/x"), ENOTDIR);
    CHECK_ERR(rename("b/x", "y"), ENOTDIR);
    CHECK_ERR(rename("b", "/dev/shm/x"), EXDEV);
    int open_one = open("c", O_RDONLY);
    write_file("d", "D", 0600);
    CHECK_OK(rename("d", "c"));
    CHECK_OK(rename("c", "b"));
    struct stat left;
    char byte = 0;
    CHECK_OK(fstat(open_one, &left)); /* replaced twice, still open */
    CHECK_EQ(left.st_nlink, 0);
    CHECK(pread(open_one, &byte, 1, 0) == 1 && byte == 'A');
}

static void directories(void)
{
    NEED(mkdir("a", 0755) == 0 && mkdir("a/in", 0755) == 0 && mkdir("empty", 0755) == 0 && mkdir("full", 0755) == 0);
    write_file("full/f", "x", 0600);
    write_file("file", "f", 0600);
    CHECK_ERR(rename("a", "a/in/x"), EINVAL);
    CHECK_ERR(rename("a", "a/x"), EINVAL);
    CHECK_ERR(rename("a", "a/in"), EINVAL);
    CHECK_ERR(rename("a/in", "a"), ENOTEMPTY); /* the new one is above the old one */
    CHECK_ERR(rename("a", "full"), ENOTEMPTY);
    CHECK_ERR(rename("a", "file"), ENOTDIR);
    CHECK_ERR(rename("file", "empty"), EISDIR);
    CHECK_ERR(rename("file", "full"), EISDIR);
    CHECK_ERR(rename("a", "missing/x"), ENOENT);
    struct stat a = facts_of("a"), here = facts_of(".");
    CHECK_OK(rename("a", "empty"));
    CHECK_EQ(facts_of("empty").st_ino, a.st_ino);
    CHECK_EQ(facts_of(".").st_nlink, here.st_nlink - 1);
    CHECK_EQ(facts_of("empty/in/..").st_ino, a.st_ino);
    CHECK_EQ(facts_of("full").st_nlink, 2);
    CHECK_OK(rename("empty/in", "full/in"));
    CHECK_EQ(facts_of("full").st_nlink, 3);
    CHECK_EQ(facts_of("empty").st_nlink, 2);
    CHECK_EQ(facts_of("full/in/..").st_ino, facts_of("full").st_ino);
    CHECK_OK(rename("full/in", "full/out"));
    CHECK_EQ(facts_of("full").st_nlink, 3);
    NEED(mkdir("empty/x", 0755) == 0);
    CHECK_OK(rename("full/out", "empty/x"));
    CHECK_EQ(facts_of("full").st_nlink, 2);
    CHECK_EQ(facts_of("empty").st_nlink, 3);
    CHECK_OK(rmdir("empty/x"));
    CHECK_OK(rmdir("empty"));
    CHECK_ERR(rmdir("full"), ENOTEMPTY);
    CHECK_ERR(rmdir("file"), ENOTDIR);
    CHECK_ERR(rmdir("missing"), ENOENT);
    CHECK_ERR(unlink("full"), EISDIR);
    /* Under our feet. */
    NEED(mkdir("p", 0755) == 0 && mkdir("p/q", 0755) == 0 && mkdir("r", 0755) == 0 && chdir("p/q") == 0);
    CHECK_OK(rename("../../p/q", "../../r/q"));
    CHECK_EQ(facts_of("..").st_ino, facts_of("../../r").st_ino);
    char where[512];
    CHECK(getcwd(where, sizeof where) && strstr(where, "/r/q"));
}

static void not_replacing(void)
{
    NEED(mkdir("d", 0755) == 0);
    write_file("a", "A", 0600);
    write_file("b", "B", 0600);
    CHECK_ERR(rename2("a", "b", NOREPLACE), EEXIST);
    CHECK_ERR(rename2("a", "a", NOREPLACE), EEXIST);
    CHECK_ERR(rename2("a", "d", NOREPLACE), EEXIST);
    CHECK_ERR(rename2("d", "a", NOREPLACE), EEXIST);
    CHECK_ERR(rename2("a", ".", NOREPLACE), EEXIST);
    CHECK_ERR(rename2("missing", "b", NOREPLACE), ENOENT);
    NEED(symlink("nowhere", "l") == 0);
    CHECK_ERR(rename2("a", "l", NOREPLACE), EEXIST);
    CHECK_OK(rename2("a", "c", NOREPLACE));
    CHECK_OK(rename2("d", "e", NOREPLACE));
    CHECK_OK(rename2("c", "e/c", NOREPLACE));
    CHECK_EQ(first_byte("e/c"), 'A');
    CHECK_ERR(rename2("b", "x", NOREPLACE | EXCHANGE), EINVAL);
    CHECK_ERR(rename2("b", "x", WHITEOUT | EXCHANGE), EINVAL);
    CHECK_ERR(rename2("b", "x", 8), EINVAL);
    CHECK_ERR(rename2("b", "x", 0x80000000), EINVAL);
    CHECK_ERR(renameat2_(777, "b", AT_FDCWD, "x", 0), EBADF);
    CHECK_ERR(renameat2_(AT_FDCWD, "b", 777, "x", NOREPLACE), EBADF);
    CHECK_ERR(renameat2_(AT_FDCWD, UNMAPPED_ADDRESS, AT_FDCWD, "x", 0), EFAULT);
}

static void exchanging(void)
{
    NEED(mkdir("d", 0755) == 0 && mkdir("d/in", 0755) == 0 && mkdir("e", 0755) == 0);
    write_file("a", "A", 0600);
    write_file("b", "B", 0600);
    CHECK_OK(rename2("a", "b", EXCHANGE));
    CHECK(first_byte("a") == 'B' && first_byte("b") == 'A');
    CHECK_OK(rename2("a", "a", EXCHANGE));
    CHECK_EQ(first_byte("a"), 'B');
    CHECK_ERR(rename2("a", "missing", EXCHANGE), ENOENT);
    CHECK_ERR(rename2("missing", "a", EXCHANGE), ENOENT);
    CHECK_ERR(rename2("d", "d/in", EXCHANGE), EINVAL);
    CHECK_ERR(rename2("d/in", "d", EXCHANGE), EINVAL);
    CHECK_ERR(rename2("a", ".", EXCHANGE), EBUSY);
    /* A file with a directory, over two directories: the counts of both change. */
    write_file("e/f", "F", 0600);
    CHECK_EQ(facts_of("d").st_nlink, 3);
    CHECK_EQ(facts_of("e").st_nlink, 2);
    CHECK_OK(rename2("d/in", "e/f", EXCHANGE));
    CHECK_EQ(facts_of("d").st_nlink, 2);
    CHECK_EQ(facts_of("e").st_nlink, 3);
    CHECK(S_ISDIR(facts_of("e/f").st_mode) && first_byte("d/in") == 'F');
    CHECK_EQ(facts_of("e/f/..").st_ino, facts_of("e").st_ino);
    /* Two directories. */
    NEED(mkdir("d/x", 0755) == 0);
    write_file("d/x/mark", "X", 0600);
    CHECK_OK(rename2("d/x", "e/f", EXCHANGE));
    CHECK_EQ(first_byte("e/f/mark"), 'X');
    CHECK_EQ(facts_of("d/x/..").st_ino, facts_of("d").st_ino);
    CHECK_EQ(facts_of("e/f/..").st_ino, facts_of("e").st_ino);
    CHECK_OK(rename2("a", "d", EXCHANGE));
    CHECK(S_ISDIR(facts_of("a").st_mode) && first_byte("d") == 'B');
    CHECK_EQ(first_byte("a/in"), 'F');
    NEED(symlink("nowhere", "l") == 0);
    CHECK_OK(rename2("l", "d", EXCHANGE));
    CHECK(S_ISLNK(facts_of("d").st_mode) && first_byte("l") == 'B');
}

static void hard_links(void)
{
    struct stat facts;
    write_file("a", "A", 0600);
    NEED(mkdir("d", 0755) == 0);
    CHECK_OK(link("a", "d/b"));
    CHECK_EQ(facts_of("a").st_nlink, 2);
    CHECK_EQ(facts_of("d/b").st_ino, facts_of("a").st_ino);
    CHECK_ERR(link("a", "d/b"), EEXIST);
    CHECK_ERR(link("a", "d"), EEXIST);
    CHECK_ERR(link("a", "a"), EEXIST);
    CHECK_ERR(link("missing", "x"), ENOENT);
    CHECK_ERR(link("missing", "a"), ENOENT);
    CHECK_ERR(link("d", "x"), EPERM);
    CHECK_ERR(link("d", "a"), EEXIST);
    CHECK_ERR(link("a/x", "y"), ENOTDIR);
    CHECK_ERR(link("a", "/dev/shm/x"), EXDEV);
    CHECK_ERR(link("a", "nowhere/x"), ENOENT);
    long long before = facts_of("a").st_ctim.tv_sec * 1000000000LL + facts_of("a").st_ctim.tv_nsec;
    sleep_ms(20);
    CHECK_OK(link("a", "c"));
    CHECK(facts_of("a").st_ctim.tv_sec * 1000000000LL + facts_of("a").st_ctim.tv_nsec > before);
    CHECK_OK(unlink("a"));
    CHECK_EQ(first_byte("c"), 'A');
    CHECK_EQ(facts_of("c").st_nlink, 2);
    /* A file without a name takes one again only through its descriptor as O_TMPFILE made it. */
    int file = open("c", O_RDONLY);
    CHECK_OK(unlink("c"));
    CHECK_OK(unlink("d/b"));
    CHECK_OK(fstat(file, &facts));
    CHECK_EQ(facts.st_nlink, 0);
    CHECK_ERR(linkat(file, "", AT_FDCWD, "again", AT_EMPTY_PATH), ENOENT);
    /* Fifos, links and devices have several names too. */
    NEED(mkfifo("fifo", 0600) == 0 && symlink("x", "sym") == 0);
    CHECK_OK(link("fifo", "fifo2"));
    CHECK_OK(link("sym", "sym2"));
    CHECK(S_ISLNK(facts_of("sym2").st_mode));
    CHECK_EQ(facts_of("sym2").st_nlink, 2);
}

/* Names of one file, until the file system refuses; tmpfs counts to where its inodes end. */
static void as_many_links_as_allowed(void)
{
    struct statfs system;
    NEED(statfs(".", &system) == 0);
    long most = system.f_type == 0xef53 ? 70000 : 3000;
    char name[32];
    write_file("l0", "x", 0600);
    long made = 1;
    for (; made < most; made++) {
        snprintf(name, sizeof name, "l%ld", made);
        if (link("l0", name) != 0) break;
    }
    struct stat facts = facts_of("l0");
    CHECK_EQ((long)facts.st_nlink, made);
    if (system.f_type == 0xef53) {
        CHECK_ERR(link("l0", "more"), EMLINK);
        CHECK(made == 32000 || made == 65000); /* ext2, ext4 */
        CHECK_OK(unlink("l1"));
        CHECK_OK(link("l0", "more"));
    }
    for (long i = 2; i < made; i++) {
        snprintf(name, sizeof name, "l%ld", i);
        if (unlink(name) != 0) break;
    }
    CHECK(facts_of("l0").st_nlink <= 2);
}

/* Moving in loops from two sides never makes a circle or loses a directory. */
static void two_movers(void)
{
    NEED(mkdir("a", 0755) == 0 && mkdir("b", 0755) == 0);
    pid_t movers[2];
    for (int which = 0; which < 2; which++) {
        movers[which] = CHILD(for (int i = 0; i < 1000; i++) {
            if (which) rename("a", "b/a"), rename("b/a", "a");
            else rename("b", "a/b"), rename("a/b", "b");
        });
    }
    CHECK_EXITED(status_of(movers[0]), 0);
    CHECK_EXITED(status_of(movers[1]), 0);
    CHECK(is_there("a") && is_there("b"));
    CHECK_OK(rmdir("a"));
    CHECK_OK(rmdir("b"));
}

/* Somebody who looks while a file is replaced finds the old or the new one. */
static void replacing_is_atomic(void)
{
    write_file("live", "0", 0600);
    pid_t writer = CHILD(for (int i = 0; i < 500; i++) {
        write_file("next", i % 2 ? "1" : "0", 0600);
        if (rename("next", "live") != 0) _exit(1);
    });
    int status = 0;
    long looked = 0;
    while (waitpid(writer, &status, WNOHANG) == 0) {
        char byte = first_byte("live");
        looked++;
        if (byte != '0' && byte != '1') {
            CHECK_EQ(byte, '0');
            break;
        }
    }
    CHECK(looked > 0);
    CHECK_EXITED(status, 0);
}

static void permissions_to_move(void)
{
    struct stat facts;
    NEED(mkdir("sticky", 0777) == 0 && chmod("sticky", 01777) == 0 && mkdir("open", 0777) == 0 && chmod("open", 0777) == 0);
    NEED(mkdir("closed", 0755) == 0);
    write_file("sticky/theirs", "x", 0666);
    write_file("open/theirs", "x", 0666);
    write_file("closed/theirs", "x", 0666);
    NEED(mkdir("sticky/dir", 0777) == 0 && mkdir("open/dir", 0755) == 0);
    CHECK_EXITED(CHILD_STATUS(
                     NEED(setresgid(5000, 5000, 5000) == 0 && setresuid(5000, 5000, 5000) == 0);
                     write_file("sticky/mine", "m", 0600); write_file("open/mine", "m", 0600);
                     CHECK_ERR(unlink("sticky/theirs"), EPERM); CHECK_ERR(rename("sticky/theirs", "open/x"), EPERM);
                     CHECK_ERR(rename("sticky/mine", "sticky/theirs"), EPERM); CHECK_ERR(rmdir("sticky/dir"), EPERM);
                     CHECK_ERR(unlink("closed/theirs"), EACCES); CHECK_ERR(rename("closed/theirs", "open/x"), EACCES);
                     CHECK_ERR(rename("open/mine", "closed/x"), EACCES); CHECK_ERR(link("open/mine", "closed/x"), EACCES);
                     /* A directory's .. changes when it moves, which needs writing to it. */
                     CHECK_ERR(rename("open/dir", "sticky/dir2"), EACCES); CHECK_OK(rename("open/dir", "open/dir2"));
                     CHECK_ERR(rename2("sticky/mine", "sticky/theirs", EXCHANGE), EPERM);
                     CHECK_OK(rename("sticky/mine", "open/mine2")); CHECK_OK(unlink("open/theirs"));
                     CHECK_ERR(stat("open/theirs", &facts), ENOENT)),
                 0);
    NEED(chown("sticky", 5000, 5000) == 0);
    CHECK_EXITED(CHILD_STATUS(NEED(setresgid(5000, 5000, 5000) == 0 && setresuid(5000, 5000, 5000) == 0);
                              CHECK_OK(unlink("sticky/theirs")); /* the directory is theirs */
                              CHECK_OK(rmdir("sticky/dir"))),
                 0);
}

CASES(CASE(files), CASE(directories), CASE(not_replacing), CASE(exchanging), CASE(hard_links), CASE(as_many_links_as_allowed),
      CASE(two_movers), CASE(replacing_is_atomic), CASE(permissions_to_move))
