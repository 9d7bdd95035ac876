/* Calls by name: open, stat, create and delete, and lists of names. */
#define _GNU_SOURCE
#include "place.h"
#include "tables.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ROUNDS = 1000, CHANGE_ROUNDS = 200, LIST_ROUNDS = 4, NAMES = 10000, LIST_BUFFER = 32 * KIB };

/* Eight directories deep. */
#define DEEP_FOLDERS "a/b/c/d/e/f/g/h"

static const char *path = "file";

static u64 open_close_batch(u64 rounds)
{
    u64 start = now();

    while (rounds--)
        check("close", close(check("open", open(path, O_RDONLY))));
    return since(start);
}

static void open_close(const char *name)
{
    enter_folder(name);
    close(make_file(path, 1));
    measure_row(name, open_close_batch, ROUNDS);
}

static u64 stat_batch(u64 rounds)
{
    struct stat status;
    u64 start = now();

    while (rounds--)
        check("stat", stat(path, &status));
    return since(start);
}

static void stat_short(const char *name)
{
    enter_folder(name);
    close(make_file(path, 1));
    measure_row(name, stat_batch, ROUNDS);
}

static void stat_deep(const char *name)
{
    char folder[] = DEEP_FOLDERS;

    enter_folder(name);
    for (char *letter = folder; letter < folder + sizeof folder; letter += 2) {
        letter[1] = 0;
        check("mkdir", mkdir(folder, 0755));
        letter[1] = '/';
    }
    path = DEEP_FOLDERS "/file";
    close(make_file(path, 1));
    measure_row(name, stat_batch, ROUNDS);
}

static int file;

static u64 fstat_batch(u64 rounds)
{
    struct stat status;
    u64 start = now();

    while (rounds--)
        check("fstat", fstat(file, &status));
    return since(start);
}

static void fstat_open(const char *name)
{
    enter_folder(name);
    file = make_file(path, 1);
    measure_row(name, fstat_batch, ROUNDS);
}

static const char bytes[10 * KIB] = { 1 };
static unsigned length;

static u64 create_delete_batch(u64 rounds)
{
    u64 start = work_now();

    while (rounds--) {
        int new = check("open", open("new", O_WRONLY | O_CREAT | O_EXCL, 0644));
        if (length)
            expect("write", write(new, bytes, length), length);
        close(new);
        check("unlink", unlink("new"));
    }
    return work_since(start);
}

static void create_delete_0(const char *name)
{
    enter_folder(name);
    /* The disk may want to be written in between. */
    if (is_on_disk(name))
        keep_busy();
    measure_row(name, create_delete_batch, CHANGE_ROUNDS);
}

static void create_delete_10k(const char *name)
{
    length = sizeof bytes;
    create_delete_0(name);
}

/* linux_dirent64 without its name. */
struct listed {
    u64 inode, offset;
    unsigned short length;
    unsigned char kind;
} __attribute__((packed));

static u64 list_batch(u64 rounds)
{
    static char buffer[LIST_BUFFER];
    u64 start = work_now();

    while (rounds--) {
        long found, names = 0;
        check("lseek", lseek(file, 0, SEEK_SET));
        while ((found = check("getdents64", syscall(SYS_getdents64, file, buffer, sizeof buffer))) > 0)
            for (long at = 0; at < found; at += ((struct listed *)(buffer + at))->length)
                names++;
        expect("names of the directory", names, NAMES + 2);
    }
    return work_since(start);
}

static void list(const char *name)
{
    char new[16];

    enter_folder(name);
    /* So many new files may have to wait for the disk. */
    if (is_on_disk(name))
        keep_busy();
    for (int i = 0; i < NAMES; i++) {
        snprintf(new, sizeof new, "name-%05d", i);
        close(make_file(new, 0));
    }
    file = check("open", open(".", O_RDONLY | O_DIRECTORY));
    measure_row(name, list_batch, LIST_ROUNDS);
}

const struct row path_rows[] = {
    { "open-close-tmpfs", open_close },
    { "open-close-ext2", open_close },
    { "stat-tmpfs", stat_short },
    { "stat-ext2", stat_short },
    { "stat-deep-tmpfs", stat_deep },
    { "stat-deep-ext2", stat_deep },
    { "fstat-tmpfs", fstat_open },
    { "fstat-ext2", fstat_open },
    { "create-delete-0-tmpfs", create_delete_0 },
    { "create-delete-0-ext2", create_delete_0 },
    { "create-delete-10k-tmpfs", create_delete_10k },
    { "create-delete-10k-ext2", create_delete_10k },
    { "getdents-tmpfs", list },
    { "getdents-ext2", list },
    { 0 },
};
