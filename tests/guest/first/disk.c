/* Reads and writes a disk through /dev, as the first program. What the disk must hold, and holds afterwards, tests/system/
 * disks.rs knows: sector n begins with the number n and goes on with its low byte. Arguments: what to do, the device's name,
 * a number. */
#include "raw.h"

enum {
    SYS_READ = 0,
    SYS_OPEN = 2,
    SYS_CLOSE = 3,
    SYS_LSEEK = 8,
    SYS_IOCTL = 16,
    SYS_PREAD = 17,
    SYS_PWRITE = 18,
    SYS_FORK = 57,
    SYS_WAIT4 = 61,
    SYS_FSYNC = 74,
    SYS_MKDIR = 83,
    SYS_MOUNT = 165,
};
enum { O_RDWR = 2, O_DIRECT = 040000, ENXIO = 6, EIO = 5, EPERM = 1, EBUSY = 16, EINVAL = 22, ENOTTY = 25, ENOSPC = 28, EOPNOTSUPP = 95 };
enum { SECTOR = 512, SEEK_END = 2 };

#define BLKGETSIZE64 0x80081272
#define BLKGETSIZE 0x1260
#define BLKSSZGET 0x1268
#define BLKPBSZGET 0x127b
#define BLKROGET 0x125e
#define BLKROSET 0x125d
#define BLKRRPART 0x125f
#define BLKFLSBUF 0x1261
#define BLKRASET 0x1262
#define BLKRAGET 0x1263
#define BLKZEROOUT 0x127f
#define BLKDISCARD 0x1277
#define HDIO_GETGEO 0x301

typedef unsigned char byte;
static byte buffer[1 << 20] __attribute__((aligned(4096)));
static byte other[1 << 20] __attribute__((aligned(4096)));
static char path[64] = "/dev/";
static char *argument_name, *argument_what;
static long argument_number;

static long pread64_(int fd, void *to, long len, long at) { return raw6(SYS_PREAD, fd, (long)to, len, at, 0, 0); }
static long pwrite64_(int fd, const void *from, long len, long at) {
    return raw6(SYS_PWRITE, fd, (long)from, len, at, 0, 0);
}
static long control(int fd, long request, void *argument) { return raw3(SYS_IOCTL, fd, request, argument); }

static byte expected(long at) {
    long sector = at / SECTOR, offset = at % SECTOR;
    return offset < 8 ? (byte)(sector >> offset * 8) : (byte)sector;
}

/* What the disk holds from the start. */
static int is_pattern(const byte *bytes, long len, long at) {
    for (long i = 0; i < len; i++)
        if (bytes[i] != expected(at + i)) return 0;
    return 1;
}

static int open_disk(int flags) {
    long fd = raw3(SYS_OPEN, path, flags, 0);
    expect(fd >= 0, "the disk opens");
    return (int)fd;
}

static long check_sizes(int fd) {
    unsigned long bytes = 0, sectors = 0, ahead = 0;
    unsigned block = 0, physical = 0;
    int is_read_only = -1;
    expect(control(fd, BLKGETSIZE64, &bytes) == 0, "BLKGETSIZE64");
    expect(control(fd, BLKGETSIZE, &sectors) == 0 && sectors * SECTOR == bytes, "BLKGETSIZE");
    expect((unsigned long)raw3(SYS_LSEEK, fd, 0, SEEK_END) == bytes, "the end is the size");
    expect(control(fd, BLKSSZGET, &block) == 0 && block >= 512 && block <= 4096, "BLKSSZGET");
    expect(control(fd, BLKPBSZGET, &physical) == 0 && physical >= block, "BLKPBSZGET");
    expect(control(fd, BLKROGET, &is_read_only) == 0 && (is_read_only == 0 || is_read_only == 1), "BLKROGET");
    expect(control(fd, BLKRASET, (void *)64) == 0 && control(fd, BLKRAGET, &ahead) == 0 && ahead == 64, "BLKRAGET");
    expect(control(fd, 0x5401, buffer) == -ENOTTY, "a terminal's request");
    expect(control(fd, BLKGETSIZE64, (void *)8) == -EFAULT, "a bad address");
    byte geometry[16];
    expect(control(fd, HDIO_GETGEO, geometry) == 0 && geometry[0] && geometry[1], "HDIO_GETGEO");
    return (long)bytes;
}

/* Reads all, writes in whole and odd pieces, and looks again. */
static void use(void) {
    int fd = open_disk(O_RDWR);
    long size = check_sizes(fd);
    for (long at = 0; at < size; at += sizeof buffer) {
        long want = size - at < (long)sizeof buffer ? size - at : (long)sizeof buffer;
        expect(pread64_(fd, buffer, want, at) == want, "a large read");
        expect(is_pattern(buffer, want, at), "the pattern");
    }
    long places[] = {0, 1, 511, 513, 4095, 4097, 100003, size - 1000};
    for (unsigned i = 0; i < sizeof places / sizeof *places; i++)
        expect(pread64_(fd, buffer, 999, places[i]) == 999 && is_pattern(buffer, 999, places[i]), "an odd read");
    expect(pread64_(fd, buffer, 100, size) == 0, "a read at the end");
    expect(pread64_(fd, buffer, 4096, size - 10) == 10, "a read across the end");
    expect(pwrite64_(fd, buffer, 1, size) == -ENOSPC, "a write at the end");
    expect(pread64_(fd, (void *)8, 512, 0) == -EFAULT, "a read to nowhere");
    /* 256 KiB from 1 MiB on; 1000 bytes from 2 MiB + 7 on; the last 100. */
    for (long i = 0; i < 256 << 10; i++) buffer[i] = (byte)(i * 7 + 3);
    expect(pwrite64_(fd, buffer, 256 << 10, 1 << 20) == 256 << 10, "a large write");
    expect(pwrite64_(fd, buffer, 1000, (2 << 20) + 7) == 1000, "an odd write");
    expect(pwrite64_(fd, buffer, 200, size - 100) == 100, "a write across the end");
    expect(raw3(SYS_FSYNC, fd, 0, 0) == 0, "fsync");
    expect(control(fd, BLKFLSBUF, 0) == 0, "BLKFLSBUF");
    expect(pread64_(fd, other, 256 << 10, 1 << 20) == 256 << 10, "reading it back");
    for (long i = 0; i < 256 << 10; i++) expect(other[i] == buffer[i], "what was written");
    expect(pread64_(fd, other, 1100, 2 << 20) == 1100, "reading the odd piece back");
    expect(is_pattern(other, 7, 2 << 20) && is_pattern(other + 1007, 93, (2 << 20) + 1007), "around the odd piece");
    for (long i = 0; i < 1000; i++) expect(other[i + 7] == buffer[i], "the odd piece");
    unsigned long zeroed[2] = {3 << 20, 64 << 10};
    expect(control(fd, BLKZEROOUT, zeroed) == 0, "BLKZEROOUT");
    expect(pread64_(fd, other, 65 << 10, 3 << 20) == 65 << 10, "reading zeros");
    for (long i = 0; i < 64 << 10; i++) expect(other[i] == 0, "zeros");
    expect(is_pattern(other + (64 << 10), 1 << 10, (3 << 20) + (64 << 10)), "behind the zeros");
    long discarded = control(fd, BLKDISCARD, zeroed);
    expect(discarded == 0 || discarded == -EOPNOTSUPP, "BLKDISCARD");
    zeroed[1] = 100;
    expect(control(fd, BLKZEROOUT, zeroed) == -EINVAL, "zeroing half a sector");
    int direct = open_disk(O_RDWR | O_DIRECT);
    expect(pread64_(direct, other, 4096, 8192) == 4096 && is_pattern(other, 4096, 8192), "a direct read");
    expect(pread64_(direct, other, 4096, 100) == -EINVAL, "an odd direct read");
    say("disk: ok\n");
}

/* Several programs at once, each in its own part, checking what it wrote. */
static void storm(void) {
    enum { WORKERS = 6, PART = 1 << 20 };
    int fd = open_disk(O_RDWR);
    for (int worker = 0; worker < WORKERS; worker++) {
        if (raw3(SYS_FORK, 0, 0, 0) != 0) continue;
        unsigned seed = 12345 + worker;
        long base = (long)worker * PART;
        for (int round = 0; round < (int)argument_number; round++) {
            seed = seed * 1103515245 + 12345;
            long at = base + seed / 65536 % (PART / 512 - 64) * 512, len = (1 + seed / 1024 % 64) * 512;
            for (long i = 0; i < len; i++) buffer[i] = (byte)(i + round * 31 + worker);
            expect(pwrite64_(fd, buffer, len, at) == len, "a write of the storm");
            expect(pread64_(fd, other, len, at) == len, "a read of the storm");
            for (long i = 0; i < len; i++) expect(other[i] == buffer[i], "what the storm wrote");
        }
        /* As it was. */
        for (long at = base; at < base + PART; at += 65536) {
            for (long i = 0; i < 65536; i++) buffer[i] = expected(at + i);
            expect(pwrite64_(fd, buffer, 65536, at) == 65536, "the last write");
        }
        finish(0);
    }
    for (int worker = 0; worker < WORKERS; worker++) {
        int status = -1;
        expect(raw6(SYS_WAIT4, -1, (long)&status, 0, 0, 0, 0) > 0 && status == 0, "a worker");
    }
    expect(raw3(SYS_FSYNC, fd, 0, 0) == 0, "fsync");
    say("disk: ok\n");
}

/* Sector argument_number fails, and nothing else: to see that, one goes past the page cache. Through it, a page fails. */
static void bad(void) {
    int fd = open_disk(O_RDWR | O_DIRECT), cached = open_disk(O_RDWR);
    long at = argument_number * SECTOR, page = at & -4096;
    expect(pread64_(cached, buffer, SECTOR, at) == -EIO, "the bad sector's page");
    expect(pread64_(cached, buffer, 4096, page + 4096) == 4096 && is_pattern(buffer, 4096, page + 4096), "the page behind it");
    expect(pread64_(cached, buffer, 8192, page - 4096) == 4096 && is_pattern(buffer, 4096, page - 4096), "up to the bad page");
    expect(pread64_(fd, buffer, SECTOR, at) == -EIO, "the bad sector");
    expect(pread64_(fd, buffer, SECTOR, at - SECTOR) == SECTOR && is_pattern(buffer, SECTOR, at - SECTOR), "the one before");
    expect(pread64_(fd, buffer, SECTOR, at + SECTOR) == SECTOR && is_pattern(buffer, SECTOR, at + SECTOR), "the one after");
    /* At once: those who read good sectors get them. */
    for (int worker = 0; worker < 6; worker++) {
        if (raw3(SYS_FORK, 0, 0, 0) != 0) continue;
        for (int round = 0; round < 20; round++) {
            long place = at + (worker - 2) * SECTOR;
            long got = pread64_(fd, buffer, SECTOR, place);
            if (worker == 2) expect(got == -EIO, "the bad sector, again");
            else expect(got == SECTOR && is_pattern(buffer, SECTOR, place), "a good sector beside it");
        }
        finish(0);
    }
    for (int worker = 0; worker < 6; worker++) {
        int status = -1;
        expect(raw6(SYS_WAIT4, -1, (long)&status, 0, 0, 0, 0) > 0 && status == 0, "a reader");
    }
    expect(pwrite64_(fd, buffer, SECTOR, 0) == SECTOR && raw3(SYS_FSYNC, fd, 0, 0) == 0, "a write elsewhere");
    say("disk: ok\n");
}

/* A line of /proc/meminfo, in KiB. */
static long buffers(void) {
    long fd = raw3(SYS_OPEN, "/proc/meminfo", 0, 0), value = 0;
    long got = raw3(SYS_READ, fd, other, 4096);
    raw3(SYS_CLOSE, fd, 0, 0);
    for (long i = 0; i + 8 < got; i++) {
        const char *name = "Buffers:";
        int same = 1;
        for (int k = 0; k < 8; k++) same &= other[i + k] == (byte)name[k];
        if (!same) continue;
        for (i += 8; other[i] == ' '; i++) {}
        for (; other[i] >= '0' && other[i] <= '9'; i++) value = value * 10 + other[i] - '0';
        return value;
    }
    return -1;
}

static void put(int fd, long at, long len, int value) {
    for (long i = 0; i < len; i++) buffer[i] = (byte)(i + value);
    expect(pwrite64_(fd, buffer, len, at) == len, "a write");
}

static void look(int fd, long at, long len, int value) {
    expect(pread64_(fd, other, len, at) == len, "a read");
    for (long i = 0; i < len; i++) expect(other[i] == (byte)(i + value), "what was written");
}

/* The page cache of a disk: shared by all who open it, by mappings, and by who goes past it. */
static void cache(void) {
    expect(buffers() == 0, "nothing is cached of a disk that nobody has open");
    int one = open_disk(O_RDWR), two = open_disk(O_RDWR), direct = open_disk(O_RDWR | O_DIRECT);
    put(one, 1000, 10000, 1);
    look(two, 1000, 10000, 1);
    expect(buffers() >= 12, "Buffers counts it");
    put(one, 65536, 8192, 2);
    look(direct, 65536, 8192, 2);
    put(direct, 65536, 4096, 3);
    look(one, 65536, 4096, 3);
    /* Through memory. */
    enum { SYS_MMAP = 9, SYS_MSYNC = 26, SYS_MUNMAP = 11, MS_SYNC = 4 };
    long at = raw6(SYS_MMAP, 0, 16384, 3, 1, two, 1 << 20);
    expect(at > 0, "mmap of a disk");
    volatile byte *memory = (byte *)at;
    expect(is_pattern((byte *)at, 16384, 1 << 20), "what is mapped");
    memory[5] = 77;
    expect(pread64_(one, other, 8, 1 << 20) == 8 && other[5] == 77, "read sees the mapping");
    put(one, (1 << 20) + 4096, 4096, 4);
    expect(memory[4096] == 4 && memory[4097] == 5, "the mapping sees write");
    put(direct, (1 << 20) + 8192, 4096, 6);
    expect(memory[8192] == 6, "the mapping sees who goes past the cache");
    expect(raw3(SYS_MSYNC, at, 16384, MS_SYNC) == 0, "msync");
    memory[6] = 78;
    unsigned long zeroed[2] = {2 << 20, 512};
    put(one, 2 << 20, 4096, 7);
    expect(control(one, BLKZEROOUT, zeroed) == 0, "BLKZEROOUT");
    expect(pread64_(one, other, 4096, 2 << 20) == 4096 && other[0] == 0 && other[511] == 0 && other[512] == 7, "half a page");
    raw3(SYS_CLOSE, one, 0, 0);
    raw3(SYS_CLOSE, two, 0, 0);
    raw3(SYS_CLOSE, direct, 0, 0);
    expect(raw3(SYS_MUNMAP, at, 16384, 0) == 0, "munmap");
    one = open_disk(O_RDWR);
    expect(pread64_(one, other, 8, 1 << 20) == 8 && other[5] == 77 && other[6] == 78, "what the mapping left");
    put(one, 3 << 20, 100, 9);
    /* No fsync: the last to close it writes back. */
    raw3(SYS_CLOSE, one, 0, 0);
    expect(buffers() == 0, "nothing is kept");
    say("disk: ok\n");
}

/* Nothing can be written. */
static void read_only(void) {
    int fd = open_disk(O_RDWR), is_read_only = 0;
    expect(control(fd, BLKROGET, &is_read_only) == 0 && is_read_only == 1, "BLKROGET");
    expect(pread64_(fd, buffer, 4096, 0) == 4096 && is_pattern(buffer, 4096, 0), "a read");
    expect(pwrite64_(fd, buffer, 4096, 0) == -EPERM, "a write");
    say("disk: ok\n");
}

static void show(const char *file) {
    long fd = raw3(SYS_OPEN, file, 0, 0), got;
    expect(fd >= 0, "a file of /proc");
    while ((got = raw3(SYS_READ, fd, buffer, sizeof buffer - 1)) > 0) {
        buffer[got] = 0;
        say((char *)buffer);
    }
    raw3(SYS_CLOSE, fd, 0, 0);
}

/* Thirty seconds without an answer, and the disk is started anew. */
static void late(void) {
    int fd = open_disk(O_RDWR | O_DIRECT);
    expect(pread64_(fd, buffer, 65536, 0) == 65536, "a read that is soon done");
    long got = pread64_(fd, buffer, 4096, 65536);
    /* A device may come to its senses while it is reset; but nothing else may be taken for the data. */
    if (got == -EIO) say("disk: late\n");
    else expect(got == 4096 && is_pattern(buffer, 4096, 65536), "a read that takes too long");
    expect(pread64_(fd, buffer, 512, 0) == 512 && is_pattern(buffer, 512, 0), "a read afterwards");
    say("disk: ok\n");
}

/* What the kernel knows of disks and partitions. */
static void list(void) {
    show("/proc/partitions");
    show("/proc/diskstats");
    say("disk: ok\n");
}

#define LOOP_SET_FD 0x4c00
#define LOOP_CLR_FD 0x4c01
#define LOOP_SET_STATUS64 0x4c04
#define LOOP_GET_STATUS64 0x4c05
#define LOOP_CONFIGURE 0x4c0a
#define LOOP_CTL_GET_FREE 0x4c82
enum { LO_FLAGS_READ_ONLY = 1, LO_FLAGS_AUTOCLEAR = 4, O_CREAT = 0100, SYS_FTRUNCATE = 77 };

struct status {
    unsigned long device, inode, rdevice, offset, size_limit;
    unsigned number, encryption, key_len, flags;
    char name[64], encryption_name[64];
    byte key[32];
    unsigned long init[2];
};
struct configuration {
    unsigned fd, block_size;
    struct status status;
    unsigned long reserved[8];
};

static int loop_device(void) {
    long all = raw3(SYS_OPEN, "/dev/loop-control", O_RDWR, 0);
    expect(all >= 0, "/dev/loop-control");
    long number = control((int)all, LOOP_CTL_GET_FREE, 0);
    expect(number == 0, "LOOP_CTL_GET_FREE");
    raw3(SYS_CLOSE, all, 0, 0);
    long fd = raw3(SYS_OPEN, "/dev/loop0", O_RDWR, 0);
    expect(fd >= 0, "/dev/loop0");
    return (int)fd;
}

/* A file as a disk, and 64 KiB of the disk from 2 MiB on as another. */
static void loop(void) {
    struct status status;
    unsigned long bytes = 1;
    long file = raw3(SYS_OPEN, "/image", O_RDWR | O_CREAT, 0600);
    expect(file >= 0 && raw3(SYS_FTRUNCATE, file, (1 << 20) + 100, 0) == 0, "an image");
    int fd = loop_device();
    expect(control(fd, BLKGETSIZE64, &bytes) == 0 && bytes == 0, "a loop without a file has no size");
    expect(control(fd, LOOP_GET_STATUS64, &status) == -ENXIO, "LOOP_GET_STATUS64 without a file");
    expect(control(fd, LOOP_CLR_FD, 0) == -ENXIO, "LOOP_CLR_FD without a file");
    expect(control(fd, LOOP_SET_FD, (void *)99) == -EBADF, "a bad descriptor");
    expect(control(fd, LOOP_SET_FD, (void *)file) == 0, "LOOP_SET_FD");
    expect(control(fd, LOOP_SET_FD, (void *)file) == -EBUSY, "LOOP_SET_FD, again");
    expect(control(fd, BLKGETSIZE64, &bytes) == 0 && bytes == 1 << 20, "its size, in whole sectors");
    for (long i = 0; i < 100000; i++) buffer[i] = (byte)(i * 5 + 1);
    expect(pwrite64_(fd, buffer, 100000, 333) == 100000 && raw3(SYS_FSYNC, fd, 0, 0) == 0, "a write");
    expect(pread64_((int)file, other, 100000, 333) == 100000, "the file");
    for (long i = 0; i < 100000; i++) expect(other[i] == buffer[i], "what the file holds");
    /* As on Linux, the disk's pages do not follow the file behind them. */
    expect(pwrite64_((int)file, buffer, 10, 7) == 10 && control(fd, BLKFLSBUF, 0) == 0 && pread64_(fd, other, 100, 0) == 100, "the other way");
    for (long i = 0; i < 10; i++) expect(other[i + 7] == buffer[i], "what the disk holds");
    expect(control(fd, LOOP_GET_STATUS64, &status) == 0 && status.number == 0 && status.flags == 0, "LOOP_GET_STATUS64");
    status.offset = 512, status.size_limit = 4096, status.flags = LO_FLAGS_AUTOCLEAR;
    expect(control(fd, LOOP_SET_STATUS64, &status) == 0, "LOOP_SET_STATUS64");
    expect(control(fd, BLKGETSIZE64, &bytes) == 0 && bytes == 4096, "the size by the limit");
    expect(pread64_(fd, other, 4096, 0) == 4096, "a read by the offset");
    for (long i = 0; i < 4096; i++) expect(other[i] == buffer[512 - 333 + i], "what is at the offset");
    raw3(SYS_CLOSE, fd, 0, 0);
    fd = loop_device();
    expect(control(fd, LOOP_GET_STATUS64, &status) == -ENXIO, "closing took the file away");
    static struct configuration configuration;
    configuration.fd = (unsigned)open_disk(O_RDWR);
    configuration.status.offset = 2 << 20, configuration.status.size_limit = 64 << 10;
    expect(control(fd, LOOP_CONFIGURE, &configuration) == 0, "LOOP_CONFIGURE");
    expect(pread64_(fd, other, 64 << 10, 0) == 64 << 10 && is_pattern(other, 64 << 10, 2 << 20), "a disk's part");
    expect(pwrite64_(fd, buffer, 1000, 7) == 1000 && raw3(SYS_FSYNC, fd, 0, 0) == 0, "writing to it");
    expect(control(fd, LOOP_CLR_FD, 0) == 0, "LOOP_CLR_FD");
    expect(pread64_(fd, other, 512, 0) == 0, "nothing there any more");
    file = raw3(SYS_OPEN, "/image", 0, 0);
    expect(control(fd, LOOP_SET_FD, (void *)file) == 0, "a file that cannot be written");
    expect(control(fd, LOOP_GET_STATUS64, &status) == 0 && status.flags == LO_FLAGS_READ_ONLY, "read-only");
    expect(pwrite64_(fd, buffer, 512, 0) == -EPERM, "writing to it, read-only");
    say("disk: ok\n");
}

/* The partition table is read again, unless a partition is open. */
static void again(void) {
    int fd = open_disk(O_RDWR);
    path[length(path)] = '1';
    int part = open_disk(O_RDWR);
    expect(control(fd, BLKRRPART, 0) == -EBUSY, "BLKRRPART with an open partition");
    raw3(SYS_CLOSE, part, 0, 0);
    for (int i = 0; i < SECTOR; i++) buffer[i] = 0;
    expect(pwrite64_(fd, buffer, SECTOR, 0) == SECTOR, "the table is gone");
    expect(control(fd, BLKRRPART, 0) == 0, "BLKRRPART");
    expect(raw3(SYS_OPEN, path, O_RDWR, 0) == -ENXIO, "the partition is gone");
    say("disk: ok\n");
}

static int is(const char *a, const char *b) {
    while (*a && *a == *b) a++, b++;
    return *a == *b;
}

static __attribute__((noinline)) void run(long *stack) {
    long count = stack[0];
    char **arguments = (char **)(stack + 1);
    expect(count >= 3, "arguments: what to do, a disk");
    argument_what = arguments[1], argument_name = arguments[2];
    for (char *digit = count > 3 ? arguments[3] : ""; *digit; digit++) argument_number = argument_number * 10 + *digit - '0';
    unsigned long end = length(path);
    for (unsigned long i = 0; i < length(argument_name) && end + i + 2 < sizeof path; i++) path[end + i] = argument_name[i];
    raw3(SYS_MKDIR, "/proc", 0755, 0);
    raw6(SYS_MOUNT, (long)"devtmpfs", (long)"/dev", (long)"devtmpfs", 0, 0, 0);
    raw6(SYS_MOUNT, (long)"proc", (long)"/proc", (long)"proc", 0, 0, 0);
    if (is(argument_what, "use")) use();
    else if (is(argument_what, "storm")) storm();
    else if (is(argument_what, "bad")) bad();
    else if (is(argument_what, "cache")) cache();
    else if (is(argument_what, "read-only")) read_only();
    else if (is(argument_what, "list")) list();
    else if (is(argument_what, "late")) late();
    else if (is(argument_what, "again")) again();
    else if (is(argument_what, "loop")) loop();
    else expect(0, "something it can do");
    finish(0);
}

/* Above the frame lie the address of _start and what the kernel put on the stack. */
void program(void) { run((long *)__builtin_frame_address(0) + 2); }
