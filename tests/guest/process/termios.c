/*
 * The line discipline as programs see it: lines, keys, echoes, raw reads, settings (termios(3), ioctl_tty(2)).
 */
#include "check.h"
#include "terminal.h"

/* Linux's own structures, which libc hides. */
struct kernel_termios2 {
    unsigned iflag, oflag, cflag, lflag;
    unsigned char line, cc[19];
    unsigned ispeed, ospeed;
};
struct old_termio {
    unsigned short iflag, oflag, cflag, lflag;
    unsigned char line, cc[8];
};
#define KERNEL_TCGETS2 0x802c542aUL
#define KERNEL_TCSETS2 0x402c542bUL
#define KERNEL_TCSETSF2 0x402c542dUL
#define KERNEL_BOTHER 0x1000u
#define KERNEL_CBAUD 0x100fu

/* Typed, shown and read: with the usual settings and these changes. */
struct editing {
    tcflag_t input, local_clear, local_set;
    const char *typed, *shown, *line;
};

static void keys_edit_a_line(void)
{
    static const struct editing cases[] = {
        {0, 0, 0, "lx\x7fs\n", "lx\b \bs\r\n", "ls\n"},
        {0, 0, 0, "one two\x17up\n", "one two\b \b\b \b\b \bup\r\n", "one up\n"},
        {0, 0, 0, "gone\x15new\n", "gone\b \b\b \b\b \b\b \bnew\r\n", "new\n"},
        {0, ECHOKE, 0, "gone\x15new\n", "gone^U\r\nnew\r\n", "new\n"},
        {0, ECHOKE | ECHOK, 0, "gone\x15new\n", "gone^Unew\r\n", "new\n"},
        {0, ECHOE, 0, "ab\x7f\n", "ab^?\r\n", "a\n"},
        {0, 0, ECHOPRT, "abc\x7f\x7f" "d\n", "abc\\cb/d\r\n", "ad\n"},
        {0, 0, 0, "a\tb\x7f\x7f" "c\n", "a\tb\b \b\b\b\b\b\b\b\bc\r\n", "ac\n"},
        {0, 0, 0, "\x01\x1b[A\n", "^A^[[A\r\n", "\x01\x1b[A\n"},
        {0, ECHOCTL, 0, "\x01\n", "\x01\r\n", "\x01\n"},
        {0, 0, 0, "a\x16\x03" "b\n", "a^\b^Cb\r\n", "a\x03" "b\n"},
        {0, 0, 0, "re\x12\n", "re^R\r\nre\r\n", "re\n"},
        {0, ECHO, 0, "quiet\n", "", "quiet\n"},
        {0, ECHO, ECHONL, "quiet\n", "\r\n", "quiet\n"},
        {IUTF8, 0, 0, "\xc3\xa9\xe2\x82\xac\x7f\n", "\xc3\xa9\xe2\x82\xac\b \b\r\n", "\xc3\xa9\n"},
        {IUTF8, 0, 0, "a\xe2\x82\xac" "b\x15x\n", "a\xe2\x82\xac" "b\b \b\b \b\b \bx\r\n", "x\n"},
        {0, 0, 0, "\xc3\xa9\x7f\n", "\xc3\xa9\b \b\r\n", "\xc3\n"},
        {INLCR, 0, 0, "a\nb\r", "a^Mb\r\n", "a\rb\n"},
        {IGNCR, 0, 0, "a\rb\n", "ab\r\n", "ab\n"},
        {IUCLC, 0, 0, "ABC\n", "abc\r\n", "abc\n"},
        {ISTRIP, 0, 0, "\xe1\xe2\n", "ab\r\n", "ab\n"},
        {0, IEXTEN, 0, "a\x17\x16\n", "a^W^V\r\n", "a\x17\x16\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct editing *one = &cases[i];
        struct pty pty = new_pty();
        struct termios settings = settings_of(pty.slave);
        char shown[256] = "", line[256] = "";
        settings.c_iflag |= one->input;
        settings.c_lflag = (settings.c_lflag & ~one->local_clear) | one->local_set;
        NEED(tcsetattr(pty.slave, TCSANOW, &settings) == 0);
        /* Byte by byte: echoes that wait would be shown together. */
        for (const char *byte = one->typed; *byte; byte++) {
            NEED(write(pty.master, byte, 1) == 1);
        }
        size_t length = strlen(one->line);
        size_t count = read_fully(pty.slave, line, length);
        check_note(count == length && !memcmp(line, one->line, length), CHECK_PLACE, "case %zu: line \"%s\"", i,
                   line);
        length = strlen(one->shown);
        count = read_fully(pty.master, shown, length);
        check_note(count == length && !memcmp(shown, one->shown, length), CHECK_PLACE, "case %zu: shown \"%s\"",
                   i, shown);
        CHECK_SILENT(pty.master);
        close(pty.master);
        close(pty.slave);
    }
}

static void output_is_processed(void)
{
    static const struct {
        tcflag_t flags;
        const char *written, *sent;
    } cases[] = {
        {OPOST | ONLCR, "a\nb", "a\r\nb"},       {OPOST, "a\nb\n", "a\nb\n"},
        {0, "a\nb\t\n", "a\nb\t\n"},             {OPOST | OCRNL, "a\rb", "a\nb"},
        {OPOST | ONOCR, "\r\ra\r", "a\r"},       {OPOST | OLCUC, "abC1", "ABC1"},
        {OPOST | XTABS, "a\tb\t", "a       b       "}, {OPOST | ONLRET | ONLCR, "\n", "\r\n"},
        {OPOST | ONLCR | XTABS, "ab\n\tc", "ab\r\n        c"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pty pty = new_pty();
        struct termios settings = settings_of(pty.slave);
        char sent[64] = "";
        settings.c_oflag = cases[i].flags;
        NEED(tcsetattr(pty.slave, TCSANOW, &settings) == 0);
        size_t length = strlen(cases[i].written);
        CHECK_EQ(write(pty.slave, cases[i].written, length), length);
        length = strlen(cases[i].sent);
        size_t count = read_fully(pty.master, sent, length);
        check_note(count == length && !memcmp(sent, cases[i].sent, length), CHECK_PLACE, "case %zu: sent \"%s\"", i,
                   sent);
        CHECK_SILENT(pty.master);
        close(pty.master);
        close(pty.slave);
    }
}

static void a_read_takes_a_line_or_a_part_of_it(void)
{
    struct pty pty = new_pty();
    char line[64];
    CHECK_WRITES(pty.master, "one\ntwo\nthree");
    REQUIRE(wait_readable(pty.slave));
    CHECK_EQ(read(pty.slave, line, 0), 0);
    CHECK_EQ(read(pty.slave, line, 2), 2);
    CHECK_EQ(read(pty.slave, line, sizeof line), 2);
    CHECK_EQ(read(pty.slave, line, sizeof line), 4);
    CHECK_SILENT(pty.slave);
    /* The end of the input ends a line without a newline; an empty line is the end. */
    CHECK_WRITES(pty.master, "\x04");
    REQUIRE(wait_readable(pty.slave));
    CHECK_EQ(read(pty.slave, line, sizeof line), 5);
    CHECK_WRITES(pty.master, "\x04");
    REQUIRE(wait_readable(pty.slave));
    CHECK_EQ(read(pty.slave, line, sizeof line), 0);
}

static void a_long_line_is_read_at_once(void)
{
    struct pty pty = new_pty();
    static char text[4200], got[4200];
    set_flags(pty.slave, ECHO, 0);
    memset(text, 'x', 3000);
    text[2999] = '\n';
    CHECK_EQ(write(pty.master, text, 3000), 3000);
    REQUIRE(wait_readable(pty.slave));
    CHECK_EQ(read(pty.slave, got, sizeof got), 3000);
    CHECK(!memcmp(text, got, 3000));
    /* Of a longer one than 4095 bytes the last byte changes until it ends. */
    memset(text, 'y', 4150);
    text[4149] = '\n';
    CHECK_EQ(write(pty.master, text, 4150), 4150);
    REQUIRE(wait_readable(pty.slave));
    CHECK_EQ(read(pty.slave, got, sizeof got), 4096);
    CHECK(got[4094] == 'y' && got[4095] == '\n');
}

static void set_minimum(int file, int minimum, int tenths)
{
    struct termios settings = settings_of(file);
    cfmakeraw(&settings);
    settings.c_cc[VMIN] = (cc_t)minimum;
    settings.c_cc[VTIME] = (cc_t)tenths;
    NEED(tcsetattr(file, TCSANOW, &settings) == 0);
}

static void raw_reads_wait_as_vmin_and_vtime_say(void)
{
    struct pty pty = new_pty();
    char bytes[64];
    set_minimum(pty.slave, 0, 0);
    CHECK_EQ(read(pty.slave, bytes, sizeof bytes), 0);
    CHECK_EQ(fcntl(pty.slave, F_SETFL, O_RDWR | O_NONBLOCK), 0);
    CHECK_EQ(read(pty.slave, bytes, sizeof bytes), 0);
    set_minimum(pty.slave, 0, 2);
    CHECK_ERR(read(pty.slave, bytes, sizeof bytes), EAGAIN);
    CHECK_EQ(fcntl(pty.slave, F_SETFL, O_RDWR), 0);
    long long start = now_ns();
    CHECK_EQ(read(pty.slave, bytes, sizeof bytes), 0);
    CHECK(now_ns() - start >= 190000000);
    CHECK_WRITES(pty.master, "ab");
    CHECK_EQ(read(pty.slave, bytes, sizeof bytes), 2);

    /* VMIN: so many bytes, however long it takes; poll waits for as many. */
    set_minimum(pty.slave, 3, 0);
    CHECK_WRITES(pty.master, "ab");
    CHECK_SILENT(pty.slave);
    pid_t writer = CHILD({
        sleep_ms(100);
        if (write(pty.master, "cd", 2) != 2) _exit(1);
    });
    CHECK_EQ(read(pty.slave, bytes, sizeof bytes), 4);
    CHECK_EXITED(status_of(writer), 0);
    /* A smaller buffer is enough. */
    CHECK_WRITES(pty.master, "e");
    CHECK_EQ(read(pty.slave, bytes, 1), 1);

    /* Both: the time runs between bytes, from the first on. */
    set_minimum(pty.slave, 5, 2);
    CHECK_WRITES(pty.master, "fg");
    start = now_ns();
    CHECK_EQ(read(pty.slave, bytes, sizeof bytes), 2);
    CHECK(now_ns() - start >= 190000000);
    CHECK_WRITES(pty.master, "01234567");
    CHECK_EQ(read(pty.slave, bytes, sizeof bytes), 8);
}

static void note_signal(int number) { (void)number; }

static void a_signal_ends_a_wait(void)
{
    struct pty pty = new_pty();
    pid_t reader = CHILD({
        /* Without SA_RESTART. */
        struct sigaction noted = {.sa_handler = note_signal};
        sigaction(SIGUSR1, &noted, NULL);
        char byte;
        ssize_t count = read(pty.slave, &byte, 1);
        _exit(count == -1 && errno == EINTR ? 7 : 8);
    });
    wait_for_state(reader, 'S');
    CHECK_OK(kill(reader, SIGUSR1));
    CHECK_EXITED(status_of(reader), 7);
}

static void settings_in_all_their_forms(void)
{
    struct pty pty = new_pty();
    struct kernel_termios2 now, changed;
    struct old_termio old;
    CHECK_OK(ioctl(pty.slave, KERNEL_TCGETS2, &now));
    CHECK_EQ(now.ispeed, 38400);
    CHECK_EQ(now.ospeed, 38400);
    changed = now;
    changed.cflag = (changed.cflag & ~KERNEL_CBAUD) | KERNEL_BOTHER;
    changed.ispeed = changed.ospeed = 31250;
    changed.cc[VMIN] = 7;
    CHECK_OK(ioctl(pty.slave, KERNEL_TCSETS2, &changed));
    CHECK_OK(ioctl(pty.master, KERNEL_TCGETS2, &now));
    CHECK_EQ(now.ospeed, 31250);
    CHECK_EQ(now.cc[VMIN], 7);
    CHECK_OK(ioctl(pty.slave, TCGETA, &old));
    CHECK_EQ(old.lflag, now.lflag & 0xffff);
    CHECK_EQ(old.cc[VERASE], 0x7f);
    old.lflag &= (unsigned short)~ECHO;
    old.cc[VERASE] = 8;
    CHECK_OK(ioctl(pty.slave, TCSETA, &old));
    struct termios settings = settings_of(pty.slave);
    CHECK_EQ(settings.c_lflag & ECHO, 0);
    CHECK_EQ(settings.c_cc[VERASE], 8);
    /* The master's settings are the slave's. */
    settings.c_lflag |= ECHO;
    CHECK_OK(tcsetattr(pty.master, TCSANOW, &settings));
    CHECK(settings_of(pty.slave).c_lflag & ECHO);
    CHECK_ERR(ioctl(pty.slave, TCGETS, UNMAPPED_ADDRESS), EFAULT);
    CHECK_ERR(ioctl(pty.slave, TCSETS, UNMAPPED_ADDRESS), EFAULT);
    CHECK_ERR(ioctl(pty.slave, KERNEL_TCSETS2, UNMAPPED_ADDRESS), EFAULT);
    int value = 1;
    CHECK_OK(ioctl(pty.slave, TIOCSSOFTCAR, &value));
    CHECK(settings_of(pty.slave).c_cflag & CLOCAL);
    CHECK_OK(ioctl(pty.slave, TIOCGSOFTCAR, &value));
    CHECK_EQ(value, 1);
}

static void setting_can_flush(void)
{
    struct pty pty = new_pty();
    set_raw(pty.slave);
    struct termios settings = settings_of(pty.slave);
    CHECK_WRITES(pty.master, "old");
    REQUIRE(wait_readable(pty.slave));
    CHECK_OK(tcsetattr(pty.slave, TCSADRAIN, &settings));
    CHECK_READS(pty.slave, "old");
    CHECK_WRITES(pty.master, "older");
    REQUIRE(wait_readable(pty.slave));
    CHECK_OK(tcsetattr(pty.slave, TCSAFLUSH, &settings));
    CHECK_SILENT(pty.slave);
}

static void requests_that_a_pty_does_not_know(void)
{
    struct pty pty = new_pty();
    int value = 0;
    CHECK_ERR(ioctl(pty.slave, TIOCMGET, &value), ENOTTY);
    CHECK_ERR(ioctl(pty.slave, TIOCMSET, &value), ENOTTY);
    CHECK_ERR(ioctl(pty.slave, 0x541c, &value), ENOTTY); /* TIOCLINUX */
    CHECK_ERR(ioctl(pty.slave, TIOCGPTN, &value), ENOTTY);
    CHECK_ERR(ioctl(pty.slave, 0x12345678, &value), ENOTTY);
    CHECK_ERR(ioctl(pty.master, 0x12345678, &value), ENOTTY);
    CHECK_OK(tcsendbreak(pty.slave, 0));
    CHECK_OK(tcdrain(pty.slave));
    CHECK_OK(ioctl(pty.slave, TIOCSBRK));
    CHECK_OK(ioctl(pty.slave, TIOCCBRK));
    CHECK_OK(ioctl(pty.slave, TCSBRKP, 1));
    value = 0;
    CHECK_OK(ioctl(pty.slave, TIOCSETD, &value));
    value = 1000;
    CHECK_ERR(ioctl(pty.slave, TIOCSETD, &value), EINVAL);
    CHECK_ERR(lseek(pty.slave, 0, SEEK_SET), ESPIPE);
    CHECK_ERR(pread(pty.slave, &value, 1, 0), ESPIPE);
    int file = open("/dev/null", O_RDWR);
    CHECK_ERR(ioctl(file, TCGETS, &value), ENOTTY);
}

static void a_signal_key_flushes_unless_noflsh(void)
{
    struct pty pty = new_pty();
    char line[64];
    CHECK_WRITES(pty.master, "gone\x03kept\n");
    REQUIRE(wait_readable(pty.slave));
    CHECK_EQ(read(pty.slave, line, sizeof line), 5);
    set_flags(pty.slave, 0, NOFLSH);
    CHECK_WRITES(pty.master, "stays\x03 too\n");
    REQUIRE(wait_readable(pty.slave));
    CHECK_EQ(read(pty.slave, line, sizeof line), 10);
}

static void a_change_to_raw_mode_keeps_what_was_typed(void)
{
    struct pty pty = new_pty();
    char bytes[64];
    CHECK_WRITES(pty.master, "half");
    CHECK_READS(pty.master, "half");
    CHECK_SILENT(pty.slave);
    set_minimum(pty.slave, 1, 0);
    CHECK_EQ(read(pty.slave, bytes, sizeof bytes), 4);
    CHECK_WRITES(pty.master, "abc");
    REQUIRE(wait_readable(pty.slave));
    set_flags(pty.slave, 0, ICANON);
    CHECK_EQ(read(pty.slave, bytes, sizeof bytes), 3);
}

static void any_key_starts_output_with_ixany(void)
{
    struct pty pty = new_pty();
    struct termios settings = settings_of(pty.slave);
    settings.c_iflag |= IXANY;
    settings.c_lflag &= ~(tcflag_t)ECHO;
    NEED(tcsetattr(pty.slave, TCSANOW, &settings) == 0);
    CHECK_WRITES(pty.master, "\x13");
    for (int tries = 0; tries < 100 && events_of(pty.slave, 0) & POLLOUT; tries++) sleep_ms(1);
    CHECK_EQ(events_of(pty.slave, 0) & POLLOUT, 0);
    CHECK_WRITES(pty.master, "k");
    CHECK_EQ(events_of(pty.slave, 1000) & POLLOUT, POLLOUT);
    CHECK_WRITES(pty.slave, "goes");
    CHECK_READS(pty.master, "goes");
}

static void a_bad_address_loses_nothing(void)
{
    struct pty pty = new_pty();
    set_raw(pty.slave);
    CHECK_WRITES(pty.master, "kept");
    REQUIRE(wait_readable(pty.slave));
    CHECK_ERR(write(pty.slave, UNMAPPED_ADDRESS, 4), EFAULT);
    CHECK_ERR(write(pty.master, UNMAPPED_ADDRESS, 4), EFAULT);
    CHECK_WRITES(pty.slave, "ours");
    CHECK_READS(pty.master, "ours");
}

CASES(CASE(keys_edit_a_line), CASE(output_is_processed), CASE(a_read_takes_a_line_or_a_part_of_it),
      CASE(a_long_line_is_read_at_once), CASE(raw_reads_wait_as_vmin_and_vtime_say), CASE(a_signal_ends_a_wait),
      CASE(settings_in_all_their_forms), CASE(setting_can_flush), CASE(requests_that_a_pty_does_not_know),
      CASE(a_signal_key_flushes_unless_noflsh), CASE(a_change_to_raw_mode_keeps_what_was_typed),
      CASE(any_key_starts_output_with_ixany), CASE(a_bad_address_loses_nothing))
