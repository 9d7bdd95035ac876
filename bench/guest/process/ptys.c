/* Bytes between a program on a terminal and the program behind it. */
#define _GNU_SOURCE
#include "measure.h"
#include "tables.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <termios.h>
#include <unistd.h>

enum { BLOCK = 64 * KIB, LINE = 64 };

static int master, slave;
static char block[BLOCK], got[BLOCK];

/* In an archive nothing is mounted there. */
static void open_pty(void)
{
    char path[32];
    int unlocked = 0, number;

    if (access("/dev/pts/ptmx", F_OK) != 0)
        check("mount", mount("devpts", "/dev/pts", "devpts", 0, NULL));
    master = check("ptmx", open("/dev/ptmx", O_RDWR | O_NOCTTY));
    check("TIOCSPTLCK", ioctl(master, TIOCSPTLCK, &unlocked));
    check("TIOCGPTN", ioctl(master, TIOCGPTN, &number));
    snprintf(path, sizeof path, "/dev/pts/%d", number);
    slave = check("slave", open(path, O_RDWR | O_NOCTTY));
}

static void make_raw(void)
{
    struct termios settings;

    check("tcgetattr", tcgetattr(slave, &settings));
    cfmakeraw(&settings);
    check("tcsetattr", tcsetattr(slave, TCSANOW, &settings));
}

static void start_partner(void (*serve)(void))
{
    if (check("fork", fork()) == 0) {
        close(master);
        serve();
        _exit(0);
    }
    close(slave);
}

static void echo(void)
{
    char byte;

    while (read(slave, &byte, 1) == 1)
        if (write(slave, &byte, 1) != 1)
            _exit(1);
}

static u64 round_trip_batch(u64 rounds)
{
    char byte = 1;
    u64 start = now();

    while (rounds--)
        if (write(master, &byte, 1) != 1 || read(master, &byte, 1) != 1)
            fail("the pty is broken");
    return since(start);
}

static void pty_latency(const char *name)
{
    open_pty();
    make_raw();
    start_partner(echo);
    measure_row(name, round_trip_batch, 200);
}

/* Writes what there is in `block`, for ever. */
static void pour(void)
{
    while (write(slave, block, BLOCK) == BLOCK)
        continue;
}

/* As much as comes of so many MiB that were written. */
static u64 length_of_mib;

static u64 mib_batch(u64 rounds)
{
    u64 start = now();

    while (rounds--) {
        for (u64 left = length_of_mib; left > 0;) {
            long count = read(master, got, left < BLOCK ? left : BLOCK);
            if (count <= 0)
                fail("the pty is broken");
            left -= count;
        }
    }
    return since(start);
}

static void pty_bandwidth(const char *name)
{
    open_pty();
    make_raw();
    memset(block, 'x', BLOCK);
    length_of_mib = MIB;
    start_partner(pour);
    measure_row(name, mib_batch, 2);
}

/* What cat does with a text, line ends and all. */
static void pty_text(const char *name)
{
    open_pty();
    memset(block, 'x', BLOCK);
    for (int end = LINE - 1; end < BLOCK; end += LINE)
        block[end] = '\n';
    length_of_mib = MIB + MIB / LINE;
    start_partner(pour);
    measure_row(name, mib_batch, 2);
}

const struct row pty_rows[] = {
    { "pty-latency", pty_latency }, { "pty-bandwidth", pty_bandwidth }, { "pty-text", pty_text }, { 0 },
};
