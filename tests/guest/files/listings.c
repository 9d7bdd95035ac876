/* getdents64(2): each name exactly once, whatever else happens to the directory; cookies; many names. */
#include "check.h"

struct record {
    uint64_t inode;
    int64_t next;
    uint16_t length;
    uint8_t type;
    char name[];
};

enum { MANY = 10000 };

static unsigned char seen[MANY];

/* Reads once; counts `fN` in `seen`. Returns how many records there were, 0 at the end. */
static int read_some(int folder, size_t room)
{
    static char buffer[65536] __attribute__((aligned(8)));
    long length = syscall(SYS_getdents64, folder, buffer, room);
    int records = 0;
    NEED(length >= 0);
    for (long at = 0; at < length;) {
        struct record *record = (struct record *)(buffer + at);
        if (record->name[0] == 'f') {
            unsigned number = (unsigned)atoi(record->name + 1);
            if (number < MANY) seen[number]++;
        }
        records++;
        at += record->length;
    }
    return records;
}

static void name_of(char *name, const char *folder, int number)
{
    sprintf(name, "%s/f%d", folder, number);
}

static void make(const char *folder, int from, int to)
{
    char name[64];
    for (int i = from; i < to; i++) {
        name_of(name, folder, i);
        int file = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
        NEED(file >= 0);
        close(file);
    }
}

static bool all_are(int from, int to, int step, int count)
{
    for (int i = from; i < to; i += step) {
        if (seen[i] != count) {
            say("f%d was listed %d times instead of %d\n", i, seen[i], count);
            return false;
        }
    }
    return true;
}

static void many_names_each_once(void)
{
    char name[64];
    NEED(mkdir("d", 0755) == 0);
    make("d", 0, MANY);
    int folder = open("d", O_RDONLY | O_DIRECTORY), records = 0;
    for (int some; (some = read_some(folder, 4096)) > 0;) records += some;
    CHECK_EQ(records, MANY + 2);
    CHECK(all_are(0, MANY, 1, 1));
    memset(seen, 0, sizeof seen);
    CHECK_EQ(lseek(folder, 0, SEEK_SET), 0);
    while (read_some(folder, 65536) > 0) continue;
    CHECK(all_are(0, MANY, 1, 1));
    for (int i = 0; i < MANY; i++) {
        name_of(name, "d", i);
        NEED(unlink(name) == 0);
    }
    CHECK_EQ(lseek(folder, 0, SEEK_SET), 0);
    CHECK_EQ(read_some(folder, 4096), 2);
    CHECK_OK(rmdir("d"));
}

/* Names that are there all the time come once while others come and go between the calls. */
static void under_change(void)
{
    char name[64], other[64];
    int made = 0, removed = 0;
    NEED(mkdir("d", 0755) == 0);
    make("d", 0, 2000);
    int folder = open("d", O_RDONLY | O_DIRECTORY);
    while (read_some(folder, 1024) > 0) {
        for (int i = 0; i < 8; i++) { /* odd ones go, others are made with longer and shorter names */
            sprintf(name, "d/%s%d", i % 2 ? "x-with-a-much-longer-name-than-the-one-that-goes-" : "g", made++);
            close(open(name, O_WRONLY | O_CREAT, 0600));
            name_of(name, "d", removed * 2 + 1);
            if (removed < 1000) CHECK_OK(unlink(name));
            removed++;
        }
        sprintf(name, "d/g%d", made - 8);
        sprintf(other, "d/h%d", made);
        CHECK_OK(rename(name, other));
        CHECK(made < 100000);
    }
    CHECK(all_are(0, 2000, 2, 1));
    for (int i = 1; i < 2000; i += 2) {
        if (seen[i] > 1) CHECK_EQ(seen[i], 1);
    }
}

/* The same with a process that does it meanwhile. */
static void beside_a_writer(void)
{
    char name[64];
    NEED(mkdir("d", 0755) == 0);
    make("d", 0, 1000);
    pid_t writer = CHILD(for (int round = 0;; round++) {
        sprintf(name, "d/w%d", round % 300);
        if (round / 300 % 2) unlink(name);
        else close(open(name, O_WRONLY | O_CREAT, 0600));
    });
    for (int round = 0; round < 10; round++) {
        memset(seen, 0, sizeof seen);
        int folder = open("d", O_RDONLY | O_DIRECTORY);
        while (read_some(folder, 512) > 0) continue;
        if (!CHECK(all_are(0, 1000, 1, 1))) break;
        close(folder);
    }
    kill(writer, SIGKILL);
    status_of(writer);
}

/* A tree is removed as rm -r does: by listing and removing in turns. */
static void removed_while_listed(void)
{
    char name[300];
    static char buffer[1024] __attribute__((aligned(8)));
    NEED(mkdir("d", 0755) == 0);
    make("d", 0, 3000);
    int folder = open("d", O_RDONLY | O_DIRECTORY), removed = 0;
    for (long length; (length = syscall(SYS_getdents64, folder, buffer, sizeof buffer)) > 0;) {
        for (long at = 0; at < length;) {
            struct record *record = (struct record *)(buffer + at);
            if (record->name[0] == 'f') {
                snprintf(name, sizeof name, "d/%s", record->name);
                removed += unlink(name) == 0;
            }
            at += record->length;
        }
    }
    CHECK_EQ(removed, 3000);
    CHECK_OK(rmdir("d"));
}

static void cookies(void)
{
    enum { COUNT = 500 };
    static struct {
        long cookie;
        char name[256];
    } found[COUNT + 2];
    int count = 0;
    NEED(mkdir("d", 0755) == 0);
    make("d", 0, COUNT);
    DIR *folder = opendir("d");
    NEED(folder != NULL);
    for (;;) {
        long cookie = telldir(folder);
        struct dirent *entry = readdir(folder);
        if (!entry || count == COUNT + 2) break;
        found[count].cookie = cookie;
        snprintf(found[count++].name, sizeof found->name, "%s", entry->d_name);
    }
    CHECK_EQ(count, COUNT + 2);
    bool is_same = true;
    for (int i = count - 1; i >= 0; i -= 7) { /* backwards, each leads to its name again */
        seekdir(folder, found[i].cookie);
        struct dirent *entry = readdir(folder);
        is_same &= entry && !strcmp(entry->d_name, found[i].name);
    }
    CHECK(is_same);
    /* A place whose name has gone leads to the next. */
    char name[300];
    int at = 200;
    while (found[at].name[0] != 'f' || found[at + 1].name[0] != 'f') at++;
    snprintf(name, sizeof name, "d/%s", found[at].name);
    NEED(unlink(name) == 0);
    seekdir(folder, found[at].cookie);
    struct dirent *entry = readdir(folder);
    CHECK(entry && !strcmp(entry->d_name, found[at + 1].name));
    rewinddir(folder);
    int again = 0;
    while (readdir(folder)) again++;
    CHECK_EQ(again, COUNT + 1);
    closedir(folder);
}

static void what_is_told(void)
{
    char buffer[4096] __attribute__((aligned(8)));
    struct stat facts;
    int kinds = 0;
    NEED(mkdir("d", 0755) == 0 && mkdir("d/dir", 0755) == 0 && symlink("x", "d/link") == 0 && mkfifo("d/fifo", 0600) == 0);
    NEED(mknod("d/null", S_IFCHR | 0600, 0x103) == 0 && mknod("d/sock", S_IFSOCK | 0600, 0) == 0);
    write_file("d/file", "x", 0600);
    char longest[256];
    memset(longest, 'L', 255);
    longest[255] = 0;
    char path[300];
    snprintf(path, sizeof path, "d/%s", longest);
    write_file(path, "x", 0600);
    int folder = open("d", O_RDONLY | O_DIRECTORY);
    long length = syscall(SYS_getdents64, folder, buffer, sizeof buffer);
    for (long at = 0; at < length;) {
        struct record *record = (struct record *)(buffer + at);
        snprintf(path, sizeof path, "d/%.256s", record->name);
        NEED(lstat(path, &facts) == 0);
        bool is_same = record->inode == facts.st_ino && record->type == (facts.st_mode & S_IFMT) >> 12;
        CHECK(is_same || !strcmp(record->name, "..")); /* .. may be another's on a mount point */
        CHECK_EQ(record->length % 8, 0);
        CHECK(record->length >= 20 + strlen(record->name));
        kinds++;
        at += record->length;
    }
    CHECK_EQ(kinds, 9);
    CHECK_EQ(lseek(folder, 0, SEEK_SET), 0);
    int calls = 0;
    while ((length = syscall(SYS_getdents64, folder, buffer, 280)) > 0) calls++; /* the longest fits just so */
    CHECK(length == 0 && calls >= 2);
    CHECK_EQ(lseek(folder, 0, SEEK_SET), 0);
    while ((length = syscall(SYS_getdents64, folder, buffer, 279)) > 0) continue;
    CHECK_ERR(syscall(SYS_getdents64, folder, buffer, 279), EINVAL);
    CHECK_ERR(lseek(folder, -1, SEEK_SET), EINVAL);
    CHECK_ERR(read(folder, buffer, 10), EISDIR);
    CHECK_ERR(pread(folder, buffer, 10, 0), EISDIR);
    CHECK_ERR(write(folder, buffer, 10), EBADF);
    CHECK_ERR(ftruncate(folder, 0), EINVAL);
    CHECK_ERR(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, folder, 0), ENODEV);
    CHECK_OK(fsync(folder));
    CHECK_OK(fstat(folder, &facts));
    CHECK_EQ(facts.st_nlink, 3);
}

static void links_of_directories(void)
{
    struct stat facts;
    char name[64];
    NEED(mkdir("d", 0755) == 0);
    for (int i = 0; i < 300; i++) {
        sprintf(name, "d/sub%d", i);
        NEED(mkdir(name, 0755) == 0);
    }
    CHECK_OK(stat("d", &facts));
    CHECK_EQ(facts.st_nlink, 302);
    for (int i = 0; i < 300; i += 2) {
        sprintf(name, "d/sub%d", i);
        NEED(rmdir(name) == 0);
    }
    CHECK_OK(stat("d", &facts));
    CHECK_EQ(facts.st_nlink, 152);
}

CASES(CASE(many_names_each_once), CASE(under_change), CASE(beside_a_writer), CASE(removed_while_listed), CASE(cookies),
      CASE(what_is_told), CASE(links_of_directories))
