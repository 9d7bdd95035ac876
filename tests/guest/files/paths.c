/* Names as path_resolution(7) has them, and the calls that start at a descriptor. */
#include "check.h"

#include <limits.h>

static char long_name[300], long_path[PATH_MAX + 100];

/* A name of so many bytes. */
static const char *name_of(size_t length)
{
    memset(long_name, 'n', length);
    long_name[length] = 0;
    return long_name;
}

/* "./././FILE", so many bytes with the NUL; two slashes where the number wants it. */
static const char *path_of(size_t size, const char *file)
{
    size_t dots = size - 1 - strlen(file);
    memset(long_path, '/', dots);
    for (size_t i = 0; i < dots; i += 2) long_path[i] = '.';
    long_path[dots - 1] = '/';
    strcpy(long_path + dots, file);
    return long_path;
}

static ino_t inode_of(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 ? facts.st_ino : 0;
}

static void dots_and_slashes(void)
{
    NEED(mkdir("a", 0755) == 0 && mkdir("a/b", 0755) == 0);
    write_file("a/file", "x", 0600);
    ino_t here = inode_of("."), inner = inode_of("a/b"), file = inode_of("a/file");
    CHECK_EQ(inode_of("a/.."), here);
    CHECK_EQ(inode_of("a/b/../.."), here);
    CHECK_EQ(inode_of("a/b/."), inner);
    CHECK_EQ(inode_of("a/b/./"), inner);
    CHECK_EQ(inode_of(".//a///b//"), inner);
    CHECK_EQ(inode_of("a/b/../file"), file);
    CHECK_EQ(inode_of("/.."), inode_of("/"));
    CHECK_EQ(inode_of("/../../"), inode_of("/"));
    CHECK_EQ(inode_of("//tmp"), inode_of("/tmp"));
    struct stat facts;
    CHECK_ERR(stat("a/missing/..", &facts), ENOENT); /* not shortened as text */
    CHECK_ERR(stat("a/file/..", &facts), ENOTDIR);
    CHECK_ERR(stat("a/file/.", &facts), ENOTDIR);
    CHECK_ERR(stat("a/file/", &facts), ENOTDIR);
    CHECK_ERR(stat("a/missing/", &facts), ENOENT);
    CHECK_OK(stat("a/b/../b/../b/../file", &facts));
}

static void trailing_slashes(void)
{
    struct stat facts;
    NEED(mkdir("d", 0755) == 0 && symlink("d", "to_d") == 0 && symlink("missing", "to_none") == 0);
    write_file("f", "x", 0600);
    NEED(symlink("f", "to_f") == 0);
    CHECK_OK(lstat("to_d", &facts));
    CHECK(S_ISLNK(facts.st_mode));
    CHECK_OK(lstat("to_d/", &facts)); /* a slash follows the link */
    CHECK(S_ISDIR(facts.st_mode));
    CHECK_ERR(lstat("to_f/", &facts), ENOTDIR);
    CHECK_ERR(lstat("to_none/", &facts), ENOENT);
    CHECK_ERR(open("f/", O_RDONLY), ENOTDIR);
    CHECK_ERR(open("new/", O_RDWR | O_CREAT, 0600), EISDIR);
    CHECK_ERR(open("d/", O_RDWR | O_CREAT, 0600), EISDIR);
    CHECK_ERR(mknod("new/", S_IFREG | 0600, 0), ENOENT);
    CHECK_ERR(mknod("new/", S_IFIFO | 0600, 0), ENOENT);
    CHECK_ERR(symlink("x", "new/"), ENOENT);
    CHECK_ERR(link("f", "new/"), ENOENT);
    CHECK_ERR(link("f/", "new"), ENOTDIR);
    CHECK_ERR(unlink("f/"), ENOTDIR);
    CHECK_ERR(unlink("d/"), EISDIR);
    CHECK_ERR(rmdir("to_d"), ENOTDIR);
    CHECK_ERR(unlink("missing/"), ENOENT);
    CHECK_ERR(rename("f/", "g"), ENOTDIR);
    CHECK_ERR(rename("f", "g/"), ENOTDIR);
    CHECK_ERR(readlink("to_d/", long_path, 10), EINVAL);
    CHECK_ERR(truncate("f/", 0), ENOTDIR);
    CHECK_ERR(chmod("f/", 0600), ENOTDIR);
    CHECK_OK(mkdir("made/", 0755));
    CHECK_OK(mkdir("made2///", 0755));
    CHECK_ERR(mkdir("f/", 0755), EEXIST);
    CHECK_OK(rename("made/", "made3/"));
    CHECK_OK(rmdir("made3/"));
    CHECK_OK(rmdir("made2//"));
}

/* Calls that make, remove or move a name take the link itself, slash or not. */
static void slashes_behind_links(void)
{
    struct stat facts;
    NEED(mkdir("d", 0755) == 0 && symlink("d", "to_d") == 0 && symlink("missing", "to_none") == 0);
    write_file("f", "x", 0600);
    CHECK_ERR(open("f/", O_RDWR | O_CREAT, 0600), EISDIR);
    CHECK_ERR(unlink("to_d/"), ENOTDIR);
    CHECK_ERR(rmdir("to_d/"), ENOTDIR);
    CHECK_ERR(rename("to_d/", "g"), ENOTDIR);
    CHECK_ERR(mkdir("to_d/", 0755), EEXIST);
    CHECK_ERR(mkdir("to_none/", 0755), EEXIST);
    CHECK_ERR(stat("missing", &facts), ENOENT);
    CHECK_OK(stat("d", &facts));
}

static void last_names_of_dots(void)
{
    NEED(mkdir("d", 0755) == 0 && mkdir("d/e", 0755) == 0);
    CHECK_ERR(rmdir("d/e/."), EINVAL);
    CHECK_ERR(rmdir("d/e/.."), ENOTEMPTY);
    CHECK_ERR(rmdir("."), EINVAL);
    CHECK_ERR(rmdir(".."), ENOTEMPTY);
    CHECK_ERR(rmdir("/"), EBUSY);
    CHECK_ERR(unlink("d/."), EISDIR);
    CHECK_ERR(unlink(".."), EISDIR);
    CHECK_ERR(unlink("/"), EISDIR);
    CHECK_ERR(mkdir("d/.", 0755), EEXIST);
    CHECK_ERR(mkdir("d/..", 0755), EEXIST);
    CHECK_ERR(mkdir("/", 0755), EEXIST);
    CHECK_ERR(mkdir("d/new/.", 0755), ENOENT);
    CHECK_ERR(symlink("x", "."), EEXIST);
    CHECK_ERR(symlink("x", "/"), EEXIST);
    CHECK_ERR(mknod("..", S_IFREG | 0600, 0), EEXIST);
    CHECK_ERR(rename("d/.", "x"), EBUSY);
    CHECK_ERR(rename("d/e/..", "x"), EBUSY);
    CHECK_ERR(rename("d", "d/e/."), EBUSY);
    CHECK_ERR(rename("d", "."), EBUSY);
    CHECK_ERR(rename("/", "/x"), EBUSY);
    CHECK_ERR(open(".", O_RDWR), EISDIR);
    CHECK_ERR(open("d", O_WRONLY), EISDIR);
    CHECK_ERR(open("d", O_RDONLY | O_CREAT, 0600), EISDIR);
    CHECK_ERR(open("d", O_RDONLY | O_TRUNC), EISDIR);
    CHECK_ERR(open(".", O_RDONLY | O_CREAT | O_EXCL, 0600), EEXIST);
    CHECK_ERR(open("d", O_RDONLY | O_CREAT | O_EXCL, 0600), EEXIST);
}

static void lengths(void)
{
    struct stat facts;
    write_file("f", "x", 0600);
    CHECK_ERR(stat("", &facts), ENOENT);
    CHECK_ERR(open("", O_RDWR | O_CREAT, 0600), ENOENT);
    CHECK_ERR(mkdir("", 0755), ENOENT);
    CHECK_ERR(unlink(""), ENOENT);
    CHECK_ERR(symlink("", "empty"), ENOENT);
    CHECK_ERR(symlink("x", ""), ENOENT);
    CHECK_ERR(rename("", "x"), ENOENT);
    CHECK_ERR(rename("f", ""), ENOENT);
    CHECK_ERR(link("f", ""), ENOENT);
    CHECK_ERR(readlink("", long_path, 10), ENOENT);
    CHECK_ERR(open("f\0x", O_RDONLY | O_DIRECTORY), ENOTDIR); /* ends at the NUL */
    CHECK_OK(mkdir(name_of(255), 0755));
    CHECK_OK(stat(name_of(255), &facts));
    CHECK_ERR(mkdir(name_of(255), 0755), EEXIST);
    CHECK_OK(rmdir(name_of(255)));
    CHECK_ERR(mkdir(name_of(256), 0755), ENAMETOOLONG);
    CHECK_ERR(stat(name_of(256), &facts), ENAMETOOLONG);
    CHECK_ERR(open(name_of(256), O_RDWR | O_CREAT, 0600), ENAMETOOLONG);
    CHECK_ERR(unlink(name_of(256)), ENAMETOOLONG);
    CHECK_ERR(rmdir(name_of(256)), ENAMETOOLONG);
    CHECK_ERR(symlink("x", name_of(256)), ENAMETOOLONG);
    CHECK_ERR(link("f", name_of(256)), ENAMETOOLONG);
    CHECK_ERR(rename("f", name_of(256)), ENAMETOOLONG);
    CHECK_ERR(rename(name_of(256), "x"), ENAMETOOLONG);
    CHECK_ERR(stat(path_of(PATH_MAX + 1, "f"), &facts), ENAMETOOLONG);
    CHECK_ERR(stat(path_of(PATH_MAX + 2, "f"), &facts), ENAMETOOLONG);
    CHECK_OK(stat(path_of(PATH_MAX, "f"), &facts));
    CHECK_OK(stat(path_of(PATH_MAX - 1, "f"), &facts));
    CHECK_ERR(stat(path_of(PATH_MAX, "missing"), &facts), ENOENT);
    CHECK_ERR(symlink(path_of(PATH_MAX + 1, "f"), "long"), ENAMETOOLONG);
    CHECK_ERR(syscall(SYS_stat, UNMAPPED_ADDRESS, &facts), EFAULT);
    CHECK_ERR(syscall(SYS_open, KERNEL_ADDRESS, O_RDONLY), EFAULT);
    CHECK_ERR(syscall(SYS_symlink, UNMAPPED_ADDRESS, "x"), EFAULT);
    CHECK_ERR(syscall(SYS_symlink, "x", UNMAPPED_ADDRESS), EFAULT);
    CHECK_ERR(syscall(SYS_rename, "f", WILD_ADDRESS), EFAULT);
    /* A path may end at the last byte of a page. */
    char *pages = map_pages(2, PROT_READ | PROT_WRITE);
    NEED(munmap(pages + PAGE, PAGE) == 0);
    memcpy(pages + PAGE - 2, "f", 2);
    CHECK_OK(stat(pages + PAGE - 2, &facts));
    pages[PAGE - 1] = 'f';
    CHECK_ERR(stat(pages + PAGE - 2, &facts), EFAULT);
}

static void links_are_followed_forty_times(void)
{
    struct stat facts;
    char name[16], target[16];
    write_file("l0", "end", 0600);
    for (int i = 1; i <= 41; i++) {
        snprintf(name, sizeof name, "l%d", i);
        snprintf(target, sizeof target, "l%d", i - 1);
        NEED(symlink(target, name) == 0);
    }
    CHECK_OK(stat("l40", &facts));
    CHECK_ERR(stat("l41", &facts), ELOOP);
    CHECK_ERR(open("l41", O_RDWR | O_CREAT, 0600), ELOOP);
    CHECK_OK(lstat("l41", &facts));
    NEED(symlink("loop", "loop") == 0 && symlink("b", "a") == 0 && symlink("a", "b") == 0);
    CHECK_ERR(stat("loop", &facts), ELOOP);
    CHECK_ERR(open("a", O_RDONLY), ELOOP);
    CHECK_ERR(stat("a/x", &facts), ELOOP);
    CHECK_ERR(open("loop", O_RDWR | O_CREAT, 0600), ELOOP);
    CHECK_ERR(chmod("loop", 0600), ELOOP);
    CHECK_ERR(truncate("loop", 0), ELOOP);
    CHECK_ERR(chdir("loop"), ELOOP);
    CHECK_OK(unlink("loop"));
    /* Links in the middle count as well. */
    NEED(mkdir("d", 0755) == 0 && symlink(".", "d/s") == 0);
    strcpy(long_path, "d");
    for (int i = 0; i < 40; i++) strcat(long_path, "/s");
    CHECK_OK(stat(long_path, &facts));
    strcat(long_path, "/s");
    CHECK_ERR(stat(long_path, &facts), ELOOP);
    CHECK_OK(lstat(long_path, &facts)); /* the last is not followed */
}

static void where_links_lead(void)
{
    struct stat facts;
    char text[64], here[512], path[600];
    NEED(getcwd(here, sizeof here) != NULL);
    NEED(mkdir("d", 0755) == 0 && mkdir("d/inner", 0755) == 0);
    write_file("d/file", "abc", 0600);
    NEED(symlink("d", "rel") == 0 && symlink("../d/file", "d/up") == 0 && symlink("inner/../file", "d/through") == 0);
    snprintf(path, sizeof path, "%s/d/file", here);
    NEED(symlink(path, "abs") == 0 && symlink("d/", "slashed") == 0 && symlink("d/file/", "bad") == 0);
    CHECK_EQ(inode_of("rel/file"), inode_of("d/file"));
    CHECK_EQ(inode_of("d/up"), inode_of("d/file"));
    CHECK_EQ(inode_of("rel/up"), inode_of("d/file"));
    CHECK_EQ(inode_of("rel/through"), inode_of("d/file"));
    CHECK_EQ(inode_of("abs"), inode_of("d/file"));
    CHECK_EQ(inode_of("slashed"), inode_of("d"));
    CHECK_EQ(inode_of("rel/.."), inode_of("."));
    CHECK_ERR(stat("bad", &facts), ENOTDIR);
    CHECK_EQ(readlink("rel", text, sizeof text), 1);
    CHECK_EQ(readlink("d/up", text, 4), 4); /* cut without a sign */
    CHECK(memcmp(text, "../d", 4) == 0);
    CHECK_ERR(readlink("d/file", text, 10), EINVAL);
    CHECK_ERR(readlink("d", text, 10), EINVAL);
    CHECK_ERR(readlink("missing", text, 10), ENOENT);
    CHECK_ERR(syscall(SYS_readlink, "rel", text, 0), EINVAL);
    CHECK_ERR(syscall(SYS_readlink, "rel", text, -1), EINVAL);
    CHECK_ERR(syscall(SYS_readlink, "rel", UNMAPPED_ADDRESS, 10), EFAULT);
    CHECK_OK(lstat("rel", &facts));
    CHECK_EQ(facts.st_size, 1);
    CHECK_EQ(facts.st_mode & 07777, 0777);
    /* Making a file through a link that leads to nothing makes what it leads to. */
    NEED(symlink("d/made", "dangling") == 0);
    int file = open("dangling", O_RDWR | O_CREAT, 0600);
    CHECK(file >= 0);
    CHECK_OK(stat("d/made", &facts));
    CHECK_ERR(open("dangling", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
    NEED(symlink("nowhere", "dangling2") == 0);
    CHECK_ERR(open("dangling2", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
    CHECK_ERR(mkdir("dangling2", 0755), EEXIST);
    CHECK_ERR(mknod("dangling2", S_IFREG | 0600, 0), EEXIST);
    CHECK_ERR(stat("nowhere", &facts), ENOENT);
    CHECK_ERR(open("dangling2", O_RDONLY), ENOENT);
    NEED(symlink("no/where", "dangling3") == 0);
    CHECK_ERR(open("dangling3", O_RDWR | O_CREAT, 0600), ENOENT);
    NEED(symlink("nowhere/", "dangling4") == 0);
    CHECK_ERR(open("dangling4", O_RDWR | O_CREAT, 0600), EISDIR);
    /* Long texts take a block, short ones the inode. */
    for (unsigned length = 58; length <= 62; length++) {
        memset(path, 'q', length);
        path[length] = 0;
        CHECK_OK(symlink(path, "text"));
        CHECK_EQ(readlink("text", long_path, sizeof long_path), (long)length);
        CHECK(memcmp(long_path, path, length) == 0);
        CHECK_OK(unlink("text"));
    }
    memset(long_path, 'q', 1000);
    long_path[1000] = 0;
    CHECK_OK(symlink(long_path, "text"));
    CHECK_EQ(readlink("text", long_path, sizeof long_path), 1000);
    CHECK_ERR(stat("text", &facts), ENAMETOOLONG);
}

static void descriptors_as_starting_points(void)
{
    struct stat facts;
    char text[16];
    NEED(mkdir("d", 0755) == 0);
    int folder = open("d", O_RDONLY | O_DIRECTORY), path = open("d", O_PATH), file = make_file("f", "x", 1, 0600);
    NEED(folder >= 0 && path >= 0);
    CHECK_OK(mkdirat(folder, "made", 0755));
    CHECK_OK(mknodat(path, "fifo", S_IFIFO | 0600, 0));
    CHECK_OK(symlinkat("text", folder, "link"));
    CHECK_EQ(readlinkat(path, "link", text, sizeof text), 4);
    int inner = openat(folder, "file", O_RDWR | O_CREAT, 0600);
    CHECK(inner >= 0);
    CHECK_OK(linkat(folder, "file", path, "file2", 0));
    CHECK_OK(renameat(folder, "file2", AT_FDCWD, "file3"));
    CHECK_OK(fchmodat(folder, "file", 0640, 0));
    CHECK_OK(fchownat(folder, "link", 1, 2, AT_SYMLINK_NOFOLLOW));
    CHECK_OK(fstatat(folder, "link", &facts, AT_SYMLINK_NOFOLLOW));
    CHECK(facts.st_uid == 1 && facts.st_gid == 2);
    CHECK_OK(faccessat(folder, "file", R_OK | W_OK, 0));
    CHECK_OK(faccessat(777, "/tmp", X_OK, 0)); /* an absolute path needs no descriptor */
    CHECK_OK(unlinkat(folder, "made", AT_REMOVEDIR));
    CHECK_ERR(unlinkat(folder, "file", AT_REMOVEDIR), ENOTDIR);
    CHECK_ERR(unlinkat(folder, "file", 0x4000), EINVAL);
    CHECK_ERR(unlinkat(folder, "", 0), ENOENT);
    CHECK_ERR(mkdirat(file, "x", 0755), ENOTDIR);
    CHECK_ERR(mkdirat(777, "x", 0755), EBADF);
    CHECK_ERR(mkdirat(-1, "x", 0755), EBADF);
    CHECK_ERR(openat(file, "x", O_RDONLY), ENOTDIR);
    CHECK_ERR(openat(777, "x", O_RDONLY), EBADF);
    CHECK_ERR(symlinkat("x", file, "y"), ENOTDIR);
    CHECK_ERR(readlinkat(file, "x", text, 4), ENOTDIR);
    CHECK_ERR(readlinkat(file, "", text, 4), ENOENT);
    CHECK_ERR(linkat(file, "x", folder, "y", 0), ENOTDIR);
    CHECK_ERR(linkat(folder, "file", file, "y", 0), ENOTDIR);
    CHECK_ERR(linkat(folder, "file", folder, "y", 0x100), EINVAL);
    CHECK_ERR(linkat(777, "file", folder, "y", 0), EBADF);
    CHECK_ERR(renameat(file, "x", folder, "y"), ENOTDIR);
    CHECK_ERR(renameat(folder, "file", 777, "y"), EBADF);
    CHECK_ERR(fstatat(folder, "", &facts, 0), ENOENT);
    CHECK_ERR(syscall(SYS_fchmodat, folder, "missing", 0600), ENOENT);
    CHECK_ERR(fchownat(folder, "file", 1, 1, 0x8000), EINVAL);
    CHECK_ERR(syscall(SYS_faccessat, folder, "file", 8), EINVAL);
    CHECK_ERR(syscall(SYS_faccessat2, folder, "file", R_OK, 0x8000), EINVAL);
    CHECK_OK(syscall(SYS_faccessat2, inner, "", R_OK, AT_EMPTY_PATH));
    CHECK_OK(fstatat(AT_FDCWD, "", &facts, AT_EMPTY_PATH));
    CHECK(S_ISDIR(facts.st_mode));
    CHECK_OK(fchownat(inner, "", 3, 4, AT_EMPTY_PATH));
    CHECK_OK(fstat(inner, &facts));
    CHECK(facts.st_uid == 3 && facts.st_gid == 4);
    /* linkat does not follow a link unless told to. */
    write_file("d/text", "t", 0600);
    CHECK_OK(linkat(folder, "link", folder, "link2", 0));
    CHECK_OK(fstatat(folder, "link2", &facts, AT_SYMLINK_NOFOLLOW));
    CHECK(S_ISLNK(facts.st_mode) && facts.st_nlink == 2);
    CHECK_OK(linkat(folder, "link", folder, "text2", AT_SYMLINK_FOLLOW));
    CHECK_OK(fstatat(folder, "text2", &facts, AT_SYMLINK_NOFOLLOW));
    CHECK(S_ISREG(facts.st_mode) && facts.st_nlink == 2);
    /* A descriptor goes on where the directory was moved to. */
    NEED(mkdir("other", 0755) == 0 && rename("d", "other/moved") == 0);
    CHECK_OK(fstatat(folder, "text", &facts, 0));
    CHECK_OK(fstatat(folder, "../moved", &facts, 0));
    CHECK(S_ISDIR(facts.st_mode));
}

static void removed_directories(void)
{
    struct stat facts;
    NEED(mkdir("d", 0755) == 0);
    int folder = open("d", O_RDONLY | O_DIRECTORY);
    NEED(folder >= 0 && rmdir("d") == 0);
    CHECK_OK(fstat(folder, &facts));
    CHECK_EQ(facts.st_nlink, 0);
    CHECK_OK(fstatat(folder, ".", &facts, 0));
    CHECK_OK(fstatat(folder, "..", &facts, 0));
    CHECK_ERR(openat(folder, "x", O_RDWR | O_CREAT, 0600), ENOENT);
    CHECK_ERR(mkdirat(folder, "x", 0755), ENOENT);
    CHECK_ERR(symlinkat("x", folder, "x"), ENOENT);
    write_file("f", "x", 0600);
    CHECK_ERR(linkat(AT_FDCWD, "f", folder, "x", 0), ENOENT);
    CHECK_ERR(renameat(AT_FDCWD, "f", folder, "x"), ENOENT);
    CHECK_ERR(unlinkat(folder, "x", 0), ENOENT);
}

static void searching_needs_permission(void)
{
    struct stat facts;
    NEED(mkdir("closed", 0700) == 0 && mkdir("closed/in", 0777) == 0 && mkdir("listed", 0744) == 0 && mkdir("passed", 0711) == 0);
    write_file("listed/f", "x", 0666);
    write_file("passed/f", "x", 0666);
    int folder = open("closed", O_RDONLY | O_DIRECTORY);
    CHECK_EXITED(CHILD_STATUS(
                     NEED(setresgid(5000, 5000, 5000) == 0 && setresuid(5000, 5000, 5000) == 0);
                     CHECK_ERR(stat("closed/in", &facts), EACCES); CHECK_ERR(stat("closed/missing", &facts), EACCES);
                     CHECK_ERR(stat("closed/..", &facts), EACCES); CHECK_ERR(stat("closed/.", &facts), EACCES);
                     CHECK_OK(stat("closed", &facts)); CHECK_ERR(fstatat(folder, "in", &facts, 0), EACCES);
                     CHECK_ERR(stat("listed/f", &facts), EACCES); CHECK(open("listed", O_RDONLY) >= 0);
                     CHECK_OK(stat("passed/f", &facts)); CHECK_ERR(open("passed", O_RDONLY), EACCES);
                     CHECK(open("passed", O_PATH) >= 0); CHECK_ERR(open("passed/new", O_RDWR | O_CREAT, 0600), EACCES);
                     CHECK(open("passed/f", O_RDWR | O_CREAT, 0600) >= 0); CHECK_ERR(mkdir("passed/d", 0755), EACCES);
                     CHECK_ERR(mkdir("passed/f", 0755), EEXIST); CHECK_ERR(chdir("listed"), EACCES); CHECK_OK(chdir("passed"));
                     CHECK_ERR(fchdir(folder), EACCES)),
                 0);
}

CASES(CASE(dots_and_slashes), CASE(trailing_slashes), CASE(slashes_behind_links), CASE(last_names_of_dots), CASE(lengths), CASE(links_are_followed_forty_times),
      CASE(where_links_lead), CASE(descriptors_as_starting_points), CASE(removed_directories), CASE(searching_needs_permission))
