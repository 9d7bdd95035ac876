/* What goes to the disk and comes back. */
#define _GNU_SOURCE
#include "place.h"
#include "tables.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MIB = 8, FILE_BYTES = FILE_MIB * MIB, BLOCK = 64 * KIB };

static int file;
static char block[BLOCK];

/* A round is a MiB, and the file is always written and synchronised as a whole. */
static u64 write_batch(u64 rounds)
{
    u64 time = 0;

    for (; rounds >= FILE_MIB; rounds -= FILE_MIB) {
        u64 start = work_now();
        check("lseek", lseek(file, 0, SEEK_SET));
        for (int done = 0; done < FILE_BYTES; done += BLOCK)
            expect("write", write(file, block, BLOCK), BLOCK);
        check("fsync", fsync(file));
        time += work_since(start);
    }
    return time;
}

/* New blocks each time. */
static u64 write_new_batch(u64 rounds)
{
    check("ftruncate", ftruncate(file, 0));
    check("fsync", fsync(file));
    return write_batch(rounds);
}

static u64 read_batch(u64 rounds)
{
    u64 time = 0;

    for (; rounds >= FILE_MIB; rounds -= FILE_MIB) {
        drop_caches();
        check("lseek", lseek(file, 0, SEEK_SET));
        u64 start = work_now();
        for (int done = 0; done < FILE_BYTES; done += BLOCK)
            expect("read", read(file, block, BLOCK), BLOCK);
        time += work_since(start);
    }
    return time;
}

static u64 append_batch(u64 rounds)
{
    u64 start = work_now();

    while (rounds--) {
        expect("write", write(file, block, PAGE), PAGE);
        check("fsync", fsync(file));
    }
    return work_since(start);
}

static void prepare(const char *name)
{
    enter_folder(name);
    keep_busy();
    file = make_file("file", FILE_BYTES);
    check("fsync", fsync(file));
}

static void write_disk(const char *name)
{
    prepare(name);
    measure_row(name, write_batch, FILE_MIB);
}

static void write_new(const char *name)
{
    prepare(name);
    measure_row(name, write_new_batch, FILE_MIB);
}

static void read_disk(const char *name)
{
    prepare(name);
    measure_row(name, read_batch, FILE_MIB);
}

static void append(const char *name)
{
    prepare(name);
    measure_row(name, append_batch, 20);
}

const struct row disk_rows[] = {
    { "disk-write-ext2", write_disk },
    { "disk-write-new-ext2", write_new },
    { "disk-append-ext2", append },
    { "disk-read-ext2", read_disk },
    { 0 },
};
