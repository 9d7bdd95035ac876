/*
 * Ptys: making them, their two ends, packets, limits (pty(7), ioctl_tty(2), pts(4)).
 */
#include "check.h"
#include "terminal.h"

#include <pty.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

static void a_new_pty_has_a_number_and_a_node(void)
{
    struct stat facts;
    int first = new_master(), second = new_master(), is_locked = 5;
    CHECK(pty_number(first) != pty_number(second));
    CHECK_OK(stat(pty_path(pty_number(first)), &facts));
    CHECK(S_ISCHR(facts.st_mode));
    CHECK_EQ(major(facts.st_rdev), 136);
    CHECK_EQ(minor(facts.st_rdev), pty_number(first));
    CHECK_EQ(facts.st_uid, geteuid());
    CHECK_OK(stat("/dev/ptmx", &facts));
    CHECK_EQ(facts.st_rdev, makedev(5, 2));
    CHECK_OK(ioctl(first, TIOCGPTLCK, &is_locked));
    CHECK_EQ(is_locked, 0);
    unsigned number = 0;
    struct pty pty = new_pty();
    CHECK_OK(ioctl(pty.slave, TIOCGDEV, &number));
    CHECK_EQ(number, makedev(136, pty.number));
    CHECK_OK(ioctl(pty.master, TIOCGDEV, &number));
    CHECK_EQ(number, makedev(136, pty_number(pty.master)));
}

static void the_number_is_free_again_when_both_ends_are_closed(void)
{
    struct pty pty = new_pty();
    CHECK_OK(close(pty.master));
    CHECK_ERR(open(pty_path(pty.number), O_RDWR | O_NOCTTY), ENOENT);
    int other = new_master();
    CHECK(pty_number(other) != pty.number);
    CHECK_OK(close(pty.slave));
    int again = new_master();
    CHECK_EQ(pty_number(again), pty.number);
}

static void a_locked_slave_cannot_be_opened(void)
{
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY), value = -1;
    REQUIRE(master >= 0);
    CHECK_OK(ioctl(master, TIOCGPTLCK, &value));
    CHECK_EQ(value, 1);
    CHECK_ERR(open_slave(master, O_RDWR | O_NOCTTY), EIO);
    CHECK_ERR(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY), EIO);
    value = 0;
    CHECK_OK(ioctl(master, TIOCSPTLCK, &value));
    int slave = open_slave(master, O_RDWR | O_NOCTTY);
    CHECK(slave >= 0);
    value = 1;
    CHECK_OK(ioctl(master, TIOCSPTLCK, &value));
    CHECK_ERR(open_slave(master, O_RDWR | O_NOCTTY), EIO);
    CHECK_ERR(ioctl(slave, TIOCSPTLCK, &value), ENOTTY);
    CHECK_ERR(ioctl(master, TIOCSPTLCK, UNMAPPED_ADDRESS), EFAULT);
}

static void the_peer_is_opened_without_a_path(void)
{
    int master = new_master();
    int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    REQUIRE(slave >= 0);
    CHECK_EQ(fcntl(slave, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(slave, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDWR);
    set_raw(slave);
    CHECK_WRITES(slave, "peer");
    CHECK_READS(master, "peer");
    CHECK_ERR(ioctl(slave, TIOCGPTPEER, O_RDWR | O_NOCTTY), EIO);
    char name[64] = "", link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", slave);
    CHECK(readlink(link, name, sizeof name - 1) > 0);
    CHECK(!strcmp(name, pty_path(pty_number(master))));
}

static void libc_opens_a_pty(void)
{
    int master, slave;
    char name[64] = "";
    REQUIRE(openpty(&master, &slave, name, NULL, &(struct winsize){.ws_row = 3, .ws_col = 4}) == 0);
    CHECK(isatty(master) && isatty(slave));
    CHECK(!strncmp(name, "/dev/pts/", 9));
    struct winsize size;
    CHECK_OK(ioctl(slave, TIOCGWINSZ, &size));
    CHECK_EQ(size.ws_row * 100 + size.ws_col, 304);
    CHECK(!strcmp(ttyname(slave), name));
}

static void a_new_slave_has_linux_s_settings(void)
{
    struct pty pty = new_pty();
    struct termios settings = settings_of(pty.slave), of_master = settings_of(pty.master);
    CHECK_EQ(settings.c_iflag, ICRNL | IXON);
    CHECK_EQ(settings.c_oflag, OPOST | ONLCR);
    CHECK_EQ(settings.c_cflag, B38400 | CS8 | CREAD);
    CHECK_EQ(settings.c_lflag, ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN);
    CHECK_EQ(settings.c_cc[VERASE], 0x7f);
    CHECK(!memcmp(settings.c_cc, of_master.c_cc, 17));
    CHECK_EQ(of_master.c_lflag, settings.c_lflag);
    /* Bits of a line that it is not. */
    settings.c_cflag = B9600 | CS7 | PARENB | CSTOPB;
    CHECK_OK(tcsetattr(pty.slave, TCSANOW, &settings));
    CHECK_EQ(settings_of(pty.slave).c_cflag, B9600 | CS8 | CREAD | CSTOPB);
}

static void bytes_go_both_ways(void)
{
    struct pty pty = new_pty();
    CHECK_WRITES(pty.master, "hello\n");
    CHECK_READS(pty.slave, "hello\n");
    CHECK_READS(pty.master, "hello\r\n");
    CHECK_WRITES(pty.slave, "a\nb");
    CHECK_READS(pty.master, "a\r\nb");
    CHECK_SILENT(pty.master);
    CHECK_SILENT(pty.slave);
}

static void what_is_typed_before_the_slave_is_open_waits(void)
{
    int master = new_master();
    CHECK_WRITES(master, "early\n");
    CHECK_READS(master, "early\r\n");
    int slave = open_slave(master, O_RDWR | O_NOCTTY);
    CHECK_READS(slave, "early\n");
}

static void counts_tell_what_waits(void)
{
    struct pty pty = new_pty();
    int count = -1;
    CHECK_WRITES(pty.master, "12\n345");
    REQUIRE(wait_readable(pty.slave));
    CHECK_OK(ioctl(pty.slave, FIONREAD, &count));
    CHECK_EQ(count, 3);
    CHECK_OK(ioctl(pty.slave, TIOCOUTQ, &count));
    CHECK_EQ(count, 0);
    CHECK_READS(pty.master, "12\r\n345");
    CHECK_WRITES(pty.slave, "more");
    REQUIRE(wait_readable(pty.master));
    CHECK_OK(ioctl(pty.master, FIONREAD, &count));
    CHECK_EQ(count, 4);
    CHECK_OK(ioctl(pty.slave, TIOCGETD, &count));
    CHECK_EQ(count, 0);
    CHECK_ERR(ioctl(pty.slave, FIONREAD, UNMAPPED_ADDRESS), EFAULT);
}

static void the_master_fails_while_no_slave_is_open_any_more(void)
{
    struct pty pty = new_pty();
    char byte;
    CHECK_EQ(events_of(pty.master, 0), POLLOUT);
    CHECK_WRITES(pty.slave, "last");
    CHECK_OK(close(pty.slave));
    CHECK_EQ(events_of(pty.master, 1000) & (POLLIN | POLLHUP | POLLERR), POLLIN | POLLHUP);
    CHECK_READS(pty.master, "last");
    CHECK_ERR(read(pty.master, &byte, 1), EIO);
    CHECK_EQ(events_of(pty.master, 0) & (POLLIN | POLLHUP | POLLERR), POLLHUP);
    /* One that opens it again heals it. */
    pty.slave = open_slave(pty.master, O_RDWR | O_NOCTTY);
    CHECK_EQ(events_of(pty.master, 0), POLLOUT);
    CHECK_OK(fcntl(pty.master, F_SETFL, O_RDWR | O_NONBLOCK));
    CHECK_ERR(read(pty.master, &byte, 1), EAGAIN);
}

static void a_master_that_waits_is_woken_by_the_last_close(void)
{
    struct pty pty = new_pty();
    int second = dup(pty.slave);
    pid_t reader = CHILD({
        close(pty.slave);
        close(second);
        char byte;
        _exit(read(pty.master, &byte, 1) == -1 && errno == EIO ? 7 : 8);
    });
    wait_for_state(reader, 'S');
    close(pty.slave);
    sleep_ms(20);
    CHECK_EQ(state_of(reader), 'S');
    close(second);
    CHECK_EXITED(status_of(reader), 7);
}

static void the_slave_is_dead_after_the_master(void)
{
    struct pty pty = new_pty();
    struct termios settings;
    char byte;
    int value;
    CHECK_WRITES(pty.master, "never read\n");
    CHECK_OK(close(pty.master));
    CHECK_EQ(read(pty.slave, &byte, 1), 0);
    CHECK_ERR(write(pty.slave, "x", 1), EIO);
    CHECK_ERR(tcgetattr(pty.slave, &settings), EIO);
    CHECK_ERR(ioctl(pty.slave, FIONREAD, &value), EIO);
    CHECK_ERR(ioctl(pty.slave, TIOCSPGRP, &value), ENOTTY);
    CHECK_EQ(events_of(pty.slave, 0), POLLIN | POLLOUT | POLLERR | POLLHUP);
}

static void a_slave_that_waits_is_woken_by_the_master_s_end(void)
{
    struct pty pty = new_pty();
    pid_t reader = CHILD({
        close(pty.master);
        char byte;
        ssize_t count = read(pty.slave, &byte, 1);
        _exit(count == 0 || (count == -1 && errno == EIO) ? 7 : 8);
    });
    wait_for_state(reader, 'S');
    close(pty.master);
    CHECK_EXITED(status_of(reader), 7);

    pty = new_pty();
    set_raw(pty.slave);
    pid_t writer = CHILD({
        close(pty.master);
        char many[4096];
        memset(many, 'x', sizeof many);
        ssize_t count = 1;
        while (count > 0) count = write(pty.slave, many, sizeof many);
        _exit(errno == EIO ? 7 : 8);
    });
    wait_for_state(writer, 'S');
    close(pty.master);
    CHECK_EXITED(status_of(writer), 7);
}

static void files_that_may_not_wait_say_so(void)
{
    struct pty pty = new_pty();
    char buffer[4096];
    long out = 0, in = 0;
    ssize_t count;
    memset(buffer, 'x', sizeof buffer);
    set_raw(pty.slave);
    NEED(fcntl(pty.master, F_SETFL, O_RDWR | O_NONBLOCK) == 0);
    NEED(fcntl(pty.slave, F_SETFL, O_RDWR | O_NONBLOCK) == 0);
    CHECK_ERR(read(pty.master, buffer, 1), EAGAIN);
    CHECK_ERR(read(pty.slave, buffer, 1), EAGAIN);
    for (int tries = 0; tries < 200; tries++) {
        while ((count = write(pty.slave, buffer, sizeof buffer)) > 0) out += count;
        int why_out = errno;
        while ((count = write(pty.master, buffer, sizeof buffer)) > 0) in += count;
        int why_in = errno;
        CHECK(why_out == EAGAIN && why_in == EAGAIN);
        if (!(events_of(pty.slave, 0) & POLLOUT) && !(events_of(pty.master, 0) & POLLOUT)) break;
        sleep_ms(5);
    }
    CHECK(out >= 4096 && out < 1 << 20);
    CHECK(in >= 4095 && in < 1 << 20);
    CHECK_EQ(events_of(pty.slave, 0), POLLIN);
    CHECK_EQ(events_of(pty.master, 0), POLLIN);
    long got = 0;
    while (wait_readable(pty.master) && got < out) {
        while ((count = read(pty.master, buffer, sizeof buffer)) > 0) got += count;
    }
    CHECK_EQ(got, out);
    CHECK(events_of(pty.slave, 1000) & POLLOUT);
    got = 0;
    while (got < in && wait_readable(pty.slave)) {
        while ((count = read(pty.slave, buffer, sizeof buffer)) > 0) got += count;
    }
    CHECK_EQ(got, in);
    CHECK(events_of(pty.master, 1000) & POLLOUT);
}

/* Numbers, so that a byte that is lost or doubled shows. */
static void fill(unsigned *words, size_t count, unsigned first)
{
    for (size_t i = 0; i < count; i++) words[i] = first + (unsigned)i;
}

enum { PASTED = 1 << 20, PIECE = 4096 };

static void paste(int from, int to)
{
    unsigned words[PIECE / 4];
    pid_t writer = CHILD({
        for (unsigned i = 0; i < PASTED / PIECE; i++) {
            fill(words, PIECE / 4, i * PIECE / 4);
            size_t done = 0;
            while (done < PIECE) {
                ssize_t count = write(from, (char *)words + done, PIECE - done);
                if (count <= 0) _exit(1);
                done += (size_t)count;
            }
        }
    });
    bool is_same = true;
    unsigned got[PIECE / 4];
    size_t total = 0;
    for (unsigned i = 0; i < PASTED / PIECE; i++) {
        total += read_fully(to, got, PIECE);
        fill(words, PIECE / 4, i * PIECE / 4);
        is_same &= !memcmp(words, got, PIECE);
    }
    CHECK_EQ(total, PASTED);
    CHECK(is_same);
    CHECK_EXITED(status_of(writer), 0);
}

static void a_mebibyte_arrives_whole(void)
{
    struct pty pty = new_pty();
    set_raw(pty.slave);
    paste(pty.master, pty.slave);
    paste(pty.slave, pty.master);
}

static void lines_of_a_mebibyte_arrive_whole(void)
{
    struct pty pty = new_pty();
    set_flags(pty.slave, ECHO, 0);
    enum { LINES = 8192 };
    pid_t writer = CHILD({
        for (int i = 0; i < LINES; i++) {
            char line[160];
            int length = sprintf(line, "%d %.*s\n", i, i % 120, "this is one of many lines that go through a terminal, "
                                 "and each is a little longer than the line before it, up to here or there");
            if (write(pty.master, line, (size_t)length) != length) _exit(1);
        }
    });
    int wrong = 0;
    for (int i = 0; i < LINES && wait_readable(pty.slave); i++) {
        char line[4096];
        ssize_t count = read(pty.slave, line, sizeof line);
        wrong += count <= 0 || atoi(line) != i || line[count - 1] != '\n';
    }
    CHECK_EQ(wrong, 0);
    CHECK_EXITED(status_of(writer), 0);
}

static void packets_tell_what_happens(void)
{
    struct pty pty = new_pty();
    int on = 1, off = 0, value = -1;
    unsigned char buffer[64];
    struct termios settings = settings_of(pty.slave);
    CHECK_ERR(ioctl(pty.slave, TIOCPKT, &on), ENOTTY);
    CHECK_ERR(ioctl(pty.master, TIOCPKT, UNMAPPED_ADDRESS), EFAULT);
    CHECK_OK(ioctl(pty.master, TIOCGPKT, &value));
    CHECK_EQ(value, 0);
    CHECK_OK(ioctl(pty.master, TIOCPKT, &on));
    CHECK_OK(ioctl(pty.master, TIOCGPKT, &value));
    CHECK_EQ(value, 1);
    CHECK_WRITES(pty.slave, "data");
    REQUIRE(wait_readable(pty.master));
    CHECK_EQ(events_of(pty.master, 0) & (POLLIN | POLLPRI), POLLIN);
    CHECK_EQ(read(pty.master, buffer, sizeof buffer), 5);
    CHECK(!memcmp(buffer, "\0data", 5));

    CHECK_OK(tcflow(pty.slave, TCOOFF));
    CHECK_EQ(events_of(pty.master, 1000) & (POLLIN | POLLPRI), POLLIN | POLLPRI);
    CHECK_EQ(read(pty.master, buffer, sizeof buffer), 1);
    CHECK_EQ(buffer[0], TIOCPKT_STOP);
    CHECK_OK(tcflow(pty.slave, TCOON));
    CHECK_EQ(read(pty.master, buffer, sizeof buffer), 1);
    CHECK_EQ(buffer[0], TIOCPKT_START);

    CHECK_OK(tcflush(pty.slave, TCIFLUSH));
    CHECK_EQ(read(pty.master, buffer, sizeof buffer), 1);
    CHECK_EQ(buffer[0], TIOCPKT_FLUSHREAD);
    CHECK_OK(tcflush(pty.slave, TCOFLUSH));
    CHECK_EQ(read(pty.master, buffer, sizeof buffer), 1);
    CHECK_EQ(buffer[0], TIOCPKT_FLUSHWRITE);
    CHECK_OK(tcflush(pty.slave, TCIOFLUSH));
    CHECK_EQ(read(pty.master, buffer, sizeof buffer), 1);
    CHECK_EQ(buffer[0], TIOCPKT_FLUSHREAD | TIOCPKT_FLUSHWRITE);

    settings.c_iflag &= ~(tcflag_t)IXON;
    CHECK_OK(tcsetattr(pty.slave, TCSANOW, &settings));
    CHECK_EQ(read(pty.master, buffer, sizeof buffer), 1);
    CHECK_EQ(buffer[0], TIOCPKT_NOSTOP);
    settings.c_iflag |= IXON;
    CHECK_OK(tcsetattr(pty.slave, TCSANOW, &settings));
    CHECK_EQ(read(pty.master, buffer, sizeof buffer), 1);
    CHECK_EQ(buffer[0], TIOCPKT_DOSTOP);
    settings.c_lflag |= EXTPROC;
    CHECK_OK(tcsetattr(pty.slave, TCSANOW, &settings));
    CHECK_EQ(read(pty.master, buffer, sizeof buffer), 1);
    CHECK_EQ(buffer[0], TIOCPKT_IOCTL);

    CHECK_OK(ioctl(pty.master, TIOCPKT, &off));
    CHECK_WRITES(pty.slave, "plain");
    CHECK_READS(pty.master, "plain");
    NEED(fcntl(pty.master, F_SETFL, O_RDWR | O_NONBLOCK) == 0);
    CHECK_OK(tcflow(pty.slave, TCOOFF));
    CHECK_ERR(read(pty.master, buffer, sizeof buffer), EAGAIN);
}

static void with_extproc_the_master_edits(void)
{
    struct pty pty = new_pty();
    set_flags(pty.slave, 0, EXTPROC);
    CHECK_WRITES(pty.master, "a\x7f\x03\x04z");
    CHECK_READS(pty.slave, "a\x7f\x03\x04z");
    CHECK_SILENT(pty.master);
}

static void stopped_output_waits(void)
{
    struct pty pty = new_pty();
    CHECK_OK(tcflow(pty.slave, TCOOFF));
    CHECK_EQ(events_of(pty.slave, 0), 0);
    NEED(fcntl(pty.slave, F_SETFL, O_RDWR | O_NONBLOCK) == 0);
    CHECK_ERR(write(pty.slave, "x", 1), EAGAIN);
    NEED(fcntl(pty.slave, F_SETFL, O_RDWR) == 0);
    pid_t writer = CHILD(_exit(write(pty.slave, "later", 5) == 5 ? 0 : 1));
    wait_for_state(writer, 'S');
    CHECK_SILENT(pty.master);
    CHECK_OK(tcflow(pty.slave, TCOON));
    CHECK_READS(pty.master, "later");
    CHECK_EXITED(status_of(writer), 0);
    /* By keys. */
    CHECK_WRITES(pty.master, "\x13");
    for (int tries = 0; tries < 100 && events_of(pty.slave, 0) & POLLOUT; tries++) sleep_ms(1);
    writer = CHILD(_exit(write(pty.slave, "again", 5) == 5 ? 0 : 1));
    wait_for_state(writer, 'S');
    CHECK_SILENT(pty.master);
    CHECK_WRITES(pty.master, "\x11");
    CHECK_READS(pty.master, "again");
    CHECK_EXITED(status_of(writer), 0);
    /* The keys themselves for the other side. */
    set_raw(pty.slave);
    CHECK_OK(tcflow(pty.slave, TCIOFF));
    CHECK_OK(tcflow(pty.slave, TCION));
    CHECK_READS(pty.master, "\x13\x11");
    CHECK_ERR(tcflow(pty.slave, 9), EINVAL);
}

static void the_master_can_flush_too(void)
{
    struct pty pty = new_pty();
    set_raw(pty.slave);
    CHECK_WRITES(pty.slave, "gone");
    REQUIRE(wait_readable(pty.master));
    CHECK_OK(tcflush(pty.master, TCIFLUSH));
    CHECK_SILENT(pty.master);
    CHECK_WRITES(pty.master, "gone too");
    REQUIRE(wait_readable(pty.slave));
    CHECK_OK(tcflush(pty.slave, TCIFLUSH));
    CHECK_SILENT(pty.slave);
    CHECK_ERR(tcflush(pty.slave, 9), EINVAL);
    CHECK_ERR(tcflush(pty.master, 9), EINVAL);
}

static void edge_triggered_watchers_hear_of_each_piece(void)
{
    struct pty pty = new_pty();
    set_raw(pty.slave);
    int watcher = epoll_create1(0);
    struct epoll_event wanted = {.events = EPOLLIN | EPOLLET}, found;
    NEED(epoll_ctl(watcher, EPOLL_CTL_ADD, pty.master, &wanted) == 0);
    for (int i = 0; i < 3; i++) {
        CHECK_WRITES(pty.slave, "x");
        CHECK_EQ(epoll_wait(watcher, &found, 1, 1000), 1);
        CHECK_EQ(epoll_wait(watcher, &found, 1, 0), 0);
    }
    CHECK_READS(pty.master, "xxx");
}

static void an_instance_is_a_mount_of_its_own(void)
{
    struct stat facts;
    struct statfs kind;
    NEED(mkdir("pts", 0755) == 0);
    if (mount("devpts", "pts", "devpts", 0, "newinstance,mode=620,gid=5,ptmxmode=666,max=2") != 0) {
        CHECK(errno == EPERM);
        return;
    }
    CHECK_OK(statfs("pts", &kind));
    CHECK_EQ(kind.f_type, 0x1cd1);
    CHECK_OK(stat("pts/ptmx", &facts));
    CHECK_EQ(facts.st_mode, S_IFCHR | 0666);
    CHECK_EQ(facts.st_rdev, makedev(5, 2));
    int master = open("pts/ptmx", O_RDWR | O_NOCTTY);
    REQUIRE(master >= 0);
    CHECK_EQ(pty_number(master), 0);
    CHECK_OK(stat("pts/0", &facts));
    CHECK_EQ(facts.st_mode, S_IFCHR | 0620);
    CHECK_EQ(facts.st_gid, 5);
    int unlocked = 0;
    CHECK_OK(ioctl(master, TIOCSPTLCK, &unlocked));
    int slave = open("pts/0", O_RDWR | O_NOCTTY);
    CHECK(slave >= 0);
    CHECK_WRITES(slave, "here");
    CHECK_READS(master, "here");
    int peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
    CHECK(peer >= 0);
    /* ptmx beside a directory pts makes ptys there. */
    NEED(mknod("ptmx", S_IFCHR | 0666, makedev(5, 2)) == 0);
    int second = open("ptmx", O_RDWR | O_NOCTTY);
    CHECK_EQ(pty_number(second), 1);
    CHECK_ERR(open("pts/ptmx", O_RDWR | O_NOCTTY), ENOSPC);
    NEED(mkdir("alone", 0755) == 0 && mknod("alone/ptmx", S_IFCHR | 0666, makedev(5, 2)) == 0);
    CHECK_ERR(open("alone/ptmx", O_RDWR | O_NOCTTY), ENOENT);
    NEED(mkdir("alone/pts", 0755) == 0);
    CHECK_ERR(open("alone/ptmx", O_RDWR | O_NOCTTY), ENODEV);
    NEED(mknod("alone/0", S_IFCHR | 0666, makedev(136, 0)) == 0);
    CHECK_ERR(open("alone/0", O_RDWR | O_NOCTTY), EIO);
    CHECK_ERR(open("pts/file", O_CREAT | O_RDWR, 0600), EACCES);
    CHECK_ERR(mkdir("pts/folder", 0755), EPERM);
    CHECK_ERR(unlink("pts/0"), EPERM);
    CHECK_ERR(stat("pts/00", &facts), ENOENT);
    CHECK_OK(chmod("pts/0", 0600));
    CHECK_OK(stat("pts/0", &facts));
    CHECK_EQ(facts.st_mode, S_IFCHR | 0600);
    DIR *folder = opendir("pts");
    int names = 0;
    while (readdir(folder)) names++;
    closedir(folder);
    CHECK_EQ(names, 5);
    close(master);
    close(slave);
    close(peer);
    close(second);
    CHECK_OK(umount("pts"));
    CHECK_ERR(mount("devpts", "pts", "devpts", 0, "size=3"), EINVAL);
}

static void a_signal_can_be_sent_to_the_foreground(void)
{
    struct pty pty = new_pty();
    CHECK_ERR(ioctl(pty.master, TIOCSIG, SIGKILL), EINVAL);
    CHECK_ERR(ioctl(pty.slave, TIOCSIG, SIGINT), ENOTTY);
    pid_t child = CHILD({
        setsid();
        if (ioctl(pty.slave, TIOCSCTTY, 0) != 0) _exit(1);
        if (write(pty.slave, "r", 1) != 1) _exit(2);
        for (;;) pause();
    });
    CHECK_READS(pty.master, "r");
    CHECK_OK(ioctl(pty.master, TIOCSIG, SIGINT));
    CHECK_KILLED(status_of(child), SIGINT);
}

static void writes_of_several_do_not_mix(void)
{
    struct pty pty = new_pty();
    set_raw(pty.slave);
    enum { WRITERS = 3, TIMES = 40, LENGTH = 1500 };
    pid_t writers[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = CHILD({
            char piece[LENGTH];
            memset(piece, 'a' + i, sizeof piece);
            for (int j = 0; j < TIMES; j++) {
                if (write(pty.slave, piece, sizeof piece) != sizeof piece) _exit(1);
            }
        });
    }
    int mixed = 0;
    for (int j = 0; j < WRITERS * TIMES; j++) {
        char piece[LENGTH];
        if (read_fully(pty.master, piece, LENGTH) != LENGTH) mixed = 1000;
        for (int k = 1; k < LENGTH; k++) mixed += piece[k] != piece[0];
    }
    CHECK_EQ(mixed, 0);
    for (int i = 0; i < WRITERS; i++) CHECK_EXITED(status_of(writers[i]), 0);
}

CASES(CASE(a_new_pty_has_a_number_and_a_node), CASE(the_number_is_free_again_when_both_ends_are_closed),
      CASE(a_locked_slave_cannot_be_opened), CASE(the_peer_is_opened_without_a_path), CASE(libc_opens_a_pty),
      CASE(a_new_slave_has_linux_s_settings), CASE(bytes_go_both_ways),
      CASE(what_is_typed_before_the_slave_is_open_waits), CASE(counts_tell_what_waits),
      CASE(the_master_fails_while_no_slave_is_open_any_more),
      CASE(a_master_that_waits_is_woken_by_the_last_close), CASE(the_slave_is_dead_after_the_master),
      CASE(a_slave_that_waits_is_woken_by_the_master_s_end), CASE(files_that_may_not_wait_say_so),
      CASE(a_mebibyte_arrives_whole), CASE(lines_of_a_mebibyte_arrive_whole), CASE(packets_tell_what_happens),
      CASE(with_extproc_the_master_edits), CASE(stopped_output_waits), CASE(the_master_can_flush_too),
      CASE(edge_triggered_watchers_hear_of_each_piece), CASE(an_instance_is_a_mount_of_its_own),
      CASE(a_signal_can_be_sent_to_the_foreground), CASE(writes_of_several_do_not_mix))
