/*
 * What the tests of terminals share: ptys, settings, sessions.
 */
#ifndef TERMINAL_H
#define TERMINAL_H

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441
#endif
#ifndef TIOCGPKT
#define TIOCGPKT 0x80045438
#define TIOCGPTLCK 0x80045439
#define TIOCGEXCL 0x80045440
#endif
#ifndef EXTPROC
#define EXTPROC 0200000
#endif

struct pty {
    int master, slave, number;
};

/* A master; its slave is not locked. */
SHARED_HELPER int new_master(void)
{
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC), unlocked = 0;
    NEED(master >= 0);
    NEED(ioctl(master, TIOCSPTLCK, &unlocked) == 0);
    return master;
}

SHARED_HELPER int pty_number(int master)
{
    int number = -1;
    NEED(ioctl(master, TIOCGPTN, &number) == 0);
    return number;
}

SHARED_HELPER const char *pty_path(int number)
{
    static char path[32];
    snprintf(path, sizeof path, "/dev/pts/%d", number);
    return path;
}

SHARED_HELPER int open_slave(int master, int flags) { return open(pty_path(pty_number(master)), flags); }

SHARED_HELPER struct pty new_pty(void)
{
    struct pty pty = {.master = new_master()};
    pty.number = pty_number(pty.master);
    pty.slave = open(pty_path(pty.number), O_RDWR | O_NOCTTY);
    NEED(pty.slave >= 0);
    return pty;
}

SHARED_HELPER struct termios settings_of(int file)
{
    struct termios settings;
    NEED(tcgetattr(file, &settings) == 0);
    return settings;
}

SHARED_HELPER void set_flags(int file, tcflag_t clear, tcflag_t set)
{
    struct termios settings = settings_of(file);
    settings.c_lflag = (settings.c_lflag & ~clear) | set;
    NEED(tcsetattr(file, TCSANOW, &settings) == 0);
}

/* No echo, no lines, no keys, no changes. */
SHARED_HELPER void set_raw(int file)
{
    struct termios settings = settings_of(file);
    cfmakeraw(&settings);
    NEED(tcsetattr(file, TCSANOW, &settings) == 0);
}

/* What poll(2) says of a file within some milliseconds; POLLHUP and POLLERR come anyway. */
SHARED_HELPER int events_of(int file, int milliseconds)
{
    struct pollfd watched = {.fd = file, .events = POLLIN | POLLOUT | POLLPRI};
    return poll(&watched, 1, milliseconds) < 0 ? -1 : watched.revents;
}

/* Waits until there is something to read. */
SHARED_HELPER bool wait_readable(int file)
{
    struct pollfd watched = {.fd = file, .events = POLLIN};
    return poll(&watched, 1, 10000) == 1;
}

/* Reads until so many bytes came or nothing more comes. */
SHARED_HELPER size_t read_fully(int file, void *to, size_t wanted)
{
    size_t done = 0;
    while (done < wanted) {
        struct pollfd watched = {.fd = file, .events = POLLIN};
        if (poll(&watched, 1, 5000) != 1) break;
        ssize_t count = read(file, (char *)to + done, wanted - done);
        if (count <= 0) break;
        done += (size_t)count;
    }
    return done;
}

/* The next bytes from a file are these. */
#define CHECK_READS(file, text)                                                                           \
    do {                                                                                                  \
        char got_[sizeof(text) + 64] = "";                                                                \
        size_t count_ = read_fully(file, got_, sizeof(text) - 1);                                         \
        check_note(count_ == sizeof(text) - 1 && !memcmp(got_, text, sizeof(text) - 1), CHECK_PLACE,      \
                   "read %zu bytes \"%s\" instead of %s", count_, got_, #text);                           \
    } while (0)

/* There is nothing to read, and soon there is not either. */
#define CHECK_SILENT(file)                                                                                \
    do {                                                                                                  \
        struct pollfd watched_ = {.fd = file, .events = POLLIN};                                          \
        int count_ = poll(&watched_, 1, 60);                                                              \
        check_note(count_ == 0, CHECK_PLACE, "poll of " #file " gives %d, events %#x", count_, watched_.revents); \
    } while (0)

#define CHECK_WRITES(file, text) CHECK_EQ(write(file, text, sizeof(text) - 1), sizeof(text) - 1)

/* Runs the statements in a child that leads a new session, its terminal the slave. Gives its status. */
#define IN_SESSION(slave_, ...)                                                                           \
    CHILD_STATUS({                                                                                        \
        setsid();                                                                                         \
        if (ioctl(slave_, TIOCSCTTY, 0) != 0) _exit(96);                                                  \
        __VA_ARGS__;                                                                                      \
    })

#endif
