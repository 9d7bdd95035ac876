/* Busybox unpacks an archive of 2,000 files, and looks for files in what it unpacked. */
#define _GNU_SOURCE
#include "place.h"
#include "tables.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDERS = 40, FILES = 50, RECORD = 512, SIZES = 17, SIZE_STEP = 499, TREE_BATCHES = 3 };

#define ARCHIVE "/tmp/archive.tar"

/* A header of POSIX's ustar; only what tar(1) needs is filled in. */
struct header {
    char name[100], mode[8], user[8], group[8], size[12], time[12], sum[8], kind;
    char link[100], magic[8], owner[32], owning_group[32], device[16], prefix[155], rest[12];
};

_Static_assert(sizeof(struct header) == RECORD, "a header is a record");

static void write_header(int archive, const char *name, char kind, unsigned size)
{
    struct header header;
    unsigned sum = 0;

    memset(&header, 0, sizeof header);
    snprintf(header.name, sizeof header.name, "%s", name);
    strcpy(header.mode, kind == '5' ? "0000755" : "0000644");
    strcpy(header.user, "0000000");
    strcpy(header.group, "0000000");
    snprintf(header.size, sizeof header.size, "%011o", size);
    strcpy(header.time, "14000000000");
    memcpy(header.magic, "ustar\00000", 8);
    memset(header.sum, ' ', sizeof header.sum);
    header.kind = kind;
    for (unsigned i = 0; i < sizeof header; i++)
        sum += ((unsigned char *)&header)[i];
    snprintf(header.sum, sizeof header.sum, "%06o", sum);
    expect("write of the archive", write(archive, &header, sizeof header), sizeof header);
}

/* Files of 0 to 8 KiB, in steps. */
static void write_archive(void)
{
    static char bytes[SIZES * SIZE_STEP + RECORD];
    char name[32];
    int archive = check("open of the archive", open(ARCHIVE, O_WRONLY | O_CREAT | O_TRUNC, 0644));

    memset(bytes, 't', sizeof bytes);
    for (int folder = 0; folder < FOLDERS; folder++) {
        snprintf(name, sizeof name, "tree/folder-%02d/", folder);
        write_header(archive, name, '5', 0);
        for (int file = 0; file < FILES; file++) {
            unsigned size = (folder + file) % SIZES * SIZE_STEP;
            unsigned records = (size + RECORD - 1) / RECORD * RECORD;
            snprintf(name, sizeof name, "tree/folder-%02d/file-%02d", folder, file);
            write_header(archive, name, '0', size);
            expect("write of the archive", write(archive, bytes, records), records);
        }
    }
    memset(bytes, 0, sizeof bytes);
    expect("write of the archive", write(archive, bytes, 2 * RECORD), 2 * RECORD);
    close(archive);
}

static void run_busybox(char *const *arguments)
{
    static char *const no_environment[] = { NULL };
    long child = check("fork", fork());

    if (child == 0) {
        int nothing = open("/dev/null", O_WRONLY);
        dup2(nothing, STDOUT_FILENO);
        execve("/bin/busybox", arguments, no_environment);
        _exit(127);
    }
    reap(child);
}

static void unpack(void)
{
    static char *const arguments[] = { "tar", "-xf", ARCHIVE, NULL };

    run_busybox(arguments);
}

static void remove_tree(void)
{
    static char *const arguments[] = { "rm", "-r", "tree", NULL };

    run_busybox(arguments);
}

static void find(void)
{
    static char *const arguments[] = { "find", "tree", "-type", "f", "-size", "+8", NULL };

    run_busybox(arguments);
}

static void check_tree(void)
{
    struct stat status;

    check("stat of an unpacked file", stat("tree/folder-39/file-49", &status));
    expect("size of an unpacked file", status.st_size, (FOLDERS - 1 + FILES - 1) % SIZES * SIZE_STEP);
}

/* The fastest of a few: what takes this long meets write-back now and then. */
static void measure_tree(const char *name, void (*prepare)(void), void (*run)(void))
{
    u64 best = ~0UL;

    for (int i = 0; i <= TREE_BATCHES; i++) {
        if (prepare && i > 0)
            prepare();
        u64 start = work_now();
        run();
        u64 time = work_since(start);
        if (i > 0 && time < best)
            best = time;
    }
    check_tree();
    print_row(name, best * 1000);
}

static void untar(const char *name)
{
    enter_folder(name);
    keep_busy();
    if (access(ARCHIVE, F_OK))
        write_archive();
    measure_tree(name, remove_tree, unpack);
}

static void find_files(const char *name)
{
    enter_folder(name);
    keep_busy();
    if (access(ARCHIVE, F_OK))
        write_archive();
    unpack();
    measure_tree(name, NULL, find);
}

const struct row tree_rows[] = {
    { "untar-tmpfs", untar },
    { "untar-ext2", untar },
    { "find-tmpfs", find_files },
    { "find-ext2", find_files },
    { 0 },
};
