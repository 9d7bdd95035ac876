/* Reads, writes and mappings of files in memory, and record locks. */
#define _GNU_SOURCE
#include "place.h"
#include "tables.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ROUNDS = 1000, MIB_ROUNDS = 4, FILE_MIB = 4, BLOCK = 64 * KIB, MAP_ROUNDS = 4 };

static int file;
static unsigned length;
static char block[BLOCK];

static u64 read_batch(u64 rounds)
{
    u64 start = now();

    while (rounds--)
        expect("pread", pread(file, block, length, 0), length);
    return since(start);
}

static u64 write_batch(u64 rounds)
{
    u64 start = now();

    while (rounds--)
        expect("pwrite", pwrite(file, block, length, 0), length);
    return since(start);
}

static void measure_small(const char *name, batch *run, unsigned bytes)
{
    enter_folder(name);
    file = make_file("file", PAGE);
    length = bytes;
    measure_row(name, run, ROUNDS);
}

static void read_1(const char *name)
{
    measure_small(name, read_batch, 1);
}

static void read_4k(const char *name)
{
    measure_small(name, read_batch, PAGE);
}

static void write_1(const char *name)
{
    measure_small(name, write_batch, 1);
}

static void write_4k(const char *name)
{
    measure_small(name, write_batch, PAGE);
}

typedef ssize_t transfer(int file, void *bytes, size_t length);

/* A MiB a round, from the start again when the file ends. */
static u64 move_mib(u64 rounds, transfer *move)
{
    u64 start = now();

    for (u64 round = 0; round < rounds; round++) {
        if (round % FILE_MIB == 0)
            check("lseek", lseek(file, 0, SEEK_SET));
        for (int done = 0; done < MIB; done += BLOCK)
            expect("a transfer", move(file, block, BLOCK), BLOCK);
    }
    return since(start);
}

static u64 read_mib_batch(u64 rounds)
{
    return move_mib(rounds, read);
}

static u64 write_mib_batch(u64 rounds)
{
    return move_mib(rounds, (transfer *)write);
}

static void read_mib(const char *name)
{
    enter_folder(name);
    file = make_file("file", FILE_MIB * MIB);
    measure_row(name, read_mib_batch, MIB_ROUNDS);
}

static void write_mib(const char *name)
{
    enter_folder(name);
    file = make_file("file", FILE_MIB * MIB);
    measure_row(name, write_mib_batch, MIB_ROUNDS);
}

/* As lmbench has it: map, read a word of each page, unmap. */
static u64 map_batch(u64 rounds)
{
    u64 start = now();

    while (rounds--) {
        const char *area = mmap(NULL, FILE_MIB * MIB, PROT_READ, MAP_SHARED, file, 0);
        if (area == MAP_FAILED)
            check("mmap", -1);
        for (u64 at = 0; at < FILE_MIB * MIB; at += PAGE)
            expect("a byte of the mapping", *(volatile const char *)(area + at), 'n');
        check("munmap", munmap((void *)area, FILE_MIB * MIB));
    }
    return since(start);
}

static void map_again(const char *name)
{
    enter_folder(name);
    file = make_file("file", FILE_MIB * MIB);
    measure_row(name, map_batch, MAP_ROUNDS);
}

static u64 lock_batch(u64 rounds)
{
    u64 start = now();

    while (rounds--) {
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1, .l_len = 1 };
        check("F_SETLK", fcntl(file, F_SETLK, &lock));
        lock.l_type = F_UNLCK;
        check("F_SETLK", fcntl(file, F_SETLK, &lock));
    }
    return since(start);
}

static void record_lock(const char *name)
{
    enter_folder(name);
    file = make_file("file", PAGE);
    measure_row(name, lock_batch, ROUNDS);
}

const struct row byte_rows[] = {
    { "read-1-tmpfs", read_1 },
    { "read-1-ext2", read_1 },
    { "read-4k-tmpfs", read_4k },
    { "read-4k-ext2", read_4k },
    { "write-1-tmpfs", write_1 },
    { "write-1-ext2", write_1 },
    { "write-4k-tmpfs", write_4k },
    { "write-4k-ext2", write_4k },
    { "read-mib-tmpfs", read_mib },
    { "read-mib-ext2", read_mib },
    { "write-mib-tmpfs", write_mib },
    { "write-mib-ext2", write_mib },
    { "mmap-again-tmpfs", map_again },
    { "mmap-again-ext2", map_again },
    { "record-lock", record_lock },
    { 0 },
};
