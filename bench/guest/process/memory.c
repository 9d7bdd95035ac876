/* Page faults and mappings. */
#define _GNU_SOURCE
#include "measure.h"
#include "tables.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Too small to hold an aligned 2 MiB, so that these rows count faults of 4 KiB. */
enum { AREA = MIB, AREA_PAGES = AREA / PAGE, AREA_ROUNDS = 4 * AREA_PAGES };

static void *map(void *at, u64 bytes, int protection, int flags, int fd)
{
    void *area = mmap(at, bytes, protection, flags, fd, 0);

    if (area == MAP_FAILED)
        check("mmap", -1);
    return area;
}

static void unmap(void *area, u64 bytes)
{
    check("munmap", munmap(area, bytes));
}

/* Room for the area, with a page at each end that keeps it apart from its neighbours. */
static char *reserve(void)
{
    char *room = map(NULL, AREA + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

    return room + PAGE;
}

static u64 write_pages(char *area)
{
    u64 start = now();

    for (u64 at = 0; at < AREA; at += PAGE)
        *(volatile char *)(area + at) = 1;
    return since(start);
}

static u64 read_pages(const char *area)
{
    u64 start = now();

    for (u64 at = 0; at < AREA; at += PAGE)
        (void)*(volatile const char *)(area + at);
    return since(start);
}

static u64 anonymous_batch(u64 rounds)
{
    char *room = reserve();
    u64 time = 0;

    for (; rounds >= AREA_PAGES; rounds -= AREA_PAGES) {
        map(room, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1);
        time += write_pages(room);
        unmap(room, AREA);
    }
    unmap(room - PAGE, AREA + 2 * PAGE);
    return time;
}

static void fault_anonymous(const char *name)
{
    measure_row(name, anonymous_batch, AREA_ROUNDS);
}

static int file;

/* A page of the file that some fault maps along with its neighbours is a page without a fault of its own. */
static u64 file_batch(u64 rounds)
{
    u64 time = 0;

    for (; rounds >= AREA_PAGES; rounds -= AREA_PAGES) {
        char *area = map(NULL, AREA, PROT_READ, MAP_PRIVATE, file);
        time += read_pages(area);
        unmap(area, AREA);
    }
    return time;
}

static void fault_file(const char *name)
{
    static char page[PAGE];

    file = check("open", open("/tmp/fault-file", O_RDWR | O_CREAT | O_TRUNC, 0600));
    memset(page, 1, PAGE);
    for (int i = 0; i < AREA_PAGES; i++)
        if (check("write", write(file, page, PAGE)) != PAGE)
            fail("a short write");
    measure_row(name, file_batch, AREA_ROUNDS);
    unlink("/tmp/fault-file");
}

/* Says that it is there, then waits for the end of `hold`. */
static void keep_sharing(int said, int hold)
{
    char byte = 0;

    if (write(said, &byte, 1) != 1 || read(hold, &byte, 1) != 0)
        _exit(1);
    _exit(0);
}

static u64 copy_batch(u64 rounds)
{
    enum { READ_END, WRITE_END };
    char *room = reserve(), byte;
    u64 time = 0;

    map(room, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1);
    write_pages(room);
    for (; rounds >= AREA_PAGES; rounds -= AREA_PAGES) {
        int said[2], hold[2];
        check("pipe", pipe(said));
        check("pipe", pipe(hold));
        long child = check("fork", fork());
        if (child == 0) {
            close(hold[WRITE_END]);
            keep_sharing(said[WRITE_END], hold[READ_END]);
        }
        if (read(said[READ_END], &byte, 1) != 1)
            fail("the child did not start");
        time += write_pages(room);
        for (int end = READ_END; end <= WRITE_END; end++) {
            close(said[end]);
            close(hold[end]);
        }
        reap(child);
    }
    unmap(room - PAGE, AREA + 2 * PAGE);
    return time;
}

static void fault_cow(const char *name)
{
    measure_row(name, copy_batch, AREA_ROUNDS);
}

static u64 map_bytes;
static int is_touched;

static u64 map_batch(u64 rounds)
{
    u64 start = now();

    while (rounds--) {
        char *area = map(NULL, map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
        if (is_touched)
            for (u64 at = 0; at < map_bytes; at += PAGE)
                *(volatile char *)(area + at) = 1;
        unmap(area, map_bytes);
    }
    return since(start);
}

static void measure_map(const char *name, u64 bytes, int touched, u64 rounds)
{
    map_bytes = bytes;
    is_touched = touched;
    measure_row(name, map_batch, rounds);
}

static void mmap_4k(const char *name)
{
    measure_map(name, 4 * KIB, 0, 1000);
}

static void mmap_4k_touched(const char *name)
{
    measure_map(name, 4 * KIB, 1, 1000);
}

static void mmap_4m(const char *name)
{
    measure_map(name, 4 * MIB, 0, 1000);
}

/* Huge pages are left to the kernel. */
static void mmap_4m_touched(const char *name)
{
    measure_map(name, 4 * MIB, 1, 10);
}

const struct row memory_rows[] = {
    { "fault-anonymous", fault_anonymous },
    { "fault-file", fault_file },
    { "fault-cow", fault_cow },
    { "mmap-4k", mmap_4k },
    { "mmap-4k-touched", mmap_4k_touched },
    { "mmap-4m", mmap_4m },
    { "mmap-4m-touched", mmap_4m_touched },
    { 0 },
};
