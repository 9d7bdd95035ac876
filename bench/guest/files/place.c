#define _GNU_SOURCE
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DISK "/dev/vda"
#define DISK_FOLDER "/disk"

enum { TURN_INSTRUCTIONS = 2, DISK_WAITS = 50, DISK_WAIT_MICROSECONDS = 100000 };

/* Debian's cloud kernel has these as modules, in the order they need each other. */
static const char *const modules[] = {
    "virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk",
};

static void load_modules(void)
{
    char path[64];

    for (unsigned i = 0; i < sizeof modules / sizeof *modules; i++) {
        snprintf(path, sizeof path, "/modules/%s.ko", modules[i]);
        int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file < 0)
            continue;
        /* A kernel without modules has its drivers built in. */
        if (syscall(SYS_finit_module, file, "", 0) && errno != ENOSYS)
            perror(path);
        close(file);
    }
}

void mount_disk(void)
{
    mkdir(DISK_FOLDER, 0755);
    mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
    load_modules();
    for (int i = 0; access(DISK, F_OK) && i < DISK_WAITS; i++)
        usleep(DISK_WAIT_MICROSECONDS);
    if (mount(DISK, DISK_FOLDER, "ext2", 0, NULL) && mount(DISK, DISK_FOLDER, "ext4", 0, NULL))
        perror("mount of the disk");
}

int is_on_disk(const char *name)
{
    const char *end = strrchr(name, '-');

    return end && !strcmp(end, "-ext2");
}

static void need_disk(void)
{
    struct stat root, disk;

    check("stat of /", stat("/", &root));
    check("stat of " DISK_FOLDER, stat(DISK_FOLDER, &disk));
    if (root.st_dev == disk.st_dev)
        fail("there is no disk on " DISK_FOLDER);
}

void enter_folder(const char *name)
{
    char path[64];

    if (is_on_disk(name))
        need_disk();
    snprintf(path, sizeof path, "%s/%s", is_on_disk(name) ? DISK_FOLDER : "/tmp", name);
    check("mkdir", mkdir(path, 0755));
    check("chdir", chdir(path));
}

int make_file(const char *path, u64 bytes)
{
    static char block[64 * KIB];
    int file = check("open of a new file", open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));

    memset(block, 'n', sizeof block);
    while (bytes > 0) {
        u64 part = bytes < sizeof block ? bytes : sizeof block;
        expect("write of a new file", write(file, block, part), part);
        bytes -= part;
    }
    return file;
}

void drop_caches(void)
{
    sync();
    int file = check("open of drop_caches", open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC));
    expect("write to drop_caches", write(file, "3\n", 2), 2);
    close(file);
}

/* Shared with the child that is busy; null by wall time. */
static volatile u64 *turns;

__attribute__((noreturn)) static void be_busy(int started)
{
    static const struct sched_param none;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (sched_setscheduler(0, SCHED_IDLE, &none))
        _exit(3);
    if (write(started, "", 1) != 1)
        _exit(3);
    for (;;)
        __asm__ volatile("1: incq (%0)\n\tjmp 1b" : : "r"(turns) : "memory", "cc");
}

void keep_busy(void)
{
    if (!is_counting())
        return;
    int started[2];
    char byte;
    check("pipe", pipe2(started, O_CLOEXEC));
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        check("mmap", -1);
    turns = page;
    if (check("fork", fork()) == 0)
        be_busy(started[1]);
    expect("read of the busy child's word", read(started[0], &byte, 1), 1);
    close(started[0]);
    close(started[1]);
}

u64 work_now(void)
{
    return now() - (turns ? *turns * TURN_INSTRUCTIONS : 0);
}

u64 work_since(u64 start)
{
    return work_now() - start;
}
