/*
 * Whose terminal it is: sessions, controlling terminals, foreground groups, hang-ups (credentials(7), tty_ioctl(4)).
 */
#include "check.h"
#include "terminal.h"

#define SESSION(slave_, ...) CHECK_EXITED(IN_SESSION(slave_, __VA_ARGS__), 0)

/* In a child: says which condition failed by its exit code, the line. */
#define MUST(condition)                                                                                   \
    do {                                                                                                  \
        if (!(condition)) {                                                                               \
            say("  line %d: %s (errno %d)\n", __LINE__, #condition, errno);                               \
            _exit(95);                                                                                    \
        }                                                                                                 \
    } while (0)

#define FAILS(call, code) ({ errno = 0; (call) == -1 && errno == (code); })

static volatile sig_atomic_t last_signal, signals_seen;

static void note_signal(int number)
{
    last_signal = number;
    signals_seen++;
}

static void catch_signal(int number)
{
    struct sigaction action = {.sa_handler = note_signal};
    sigaction(number, &action, NULL);
}

static void a_leader_that_opens_a_terminal_gets_it(void)
{
    int master = new_master();
    const char *path = pty_path(pty_number(master));
    CHECK_EXITED(CHILD_STATUS({
        MUST(setsid() > 0);
        MUST(FAILS(open("/dev/tty", O_RDWR), ENXIO));
        int other = open(path, O_RDWR | O_NOCTTY);
        MUST(other >= 0 && FAILS(open("/dev/tty", O_RDWR), ENXIO));
        pid_t id = 5;
        MUST(FAILS(ioctl(other, TIOCGSID, &id), ENOTTY));
        MUST(FAILS(tcgetpgrp(other), ENOTTY));
        int slave = open(path, O_RDWR);
        MUST(slave >= 0);
        MUST(tcgetsid(slave) == getpid() && tcgetpgrp(slave) == getpid());
        int own = open("/dev/tty", O_RDWR);
        MUST(own >= 0 && tcgetpgrp(own) == getpid());
        MUST(write(own, "mine", 4) == 4);
        struct stat facts, of_slave;
        MUST(fstat(own, &facts) == 0 && fstat(slave, &of_slave) == 0);
        MUST(facts.st_rdev == 0x500 && of_slave.st_rdev >> 8 == 136);
    }), 0);
    CHECK_READS(master, "mine");
}

static void only_a_leader_without_one_may_take_a_terminal(void)
{
    struct pty first = new_pty(), second = new_pty();
    CHECK_ERR(ioctl(first.slave, TIOCSCTTY, 0), EPERM);
    CHECK_EXITED(CHILD_STATUS({
        MUST(setsid() > 0);
        MUST(ioctl(first.slave, TIOCSCTTY, 0) == 0);
        MUST(ioctl(first.slave, TIOCSCTTY, 0) == 0);
        MUST(FAILS(ioctl(second.slave, TIOCSCTTY, 0), EPERM));
        MUST(open(pty_path(second.number), O_RDWR) >= 0 && tcgetsid(first.slave) == getpid());
        MUST(FAILS(tcgetsid(second.slave), ENOTTY));
        /* Another session cannot have it, but who may do everything takes it away. */
        MUST(WEXITSTATUS(CHILD_STATUS({
            MUST(setsid() > 0);
            MUST(FAILS(ioctl(first.slave, TIOCSCTTY, 0), EPERM));
            MUST(ioctl(first.slave, TIOCSCTTY, 1) == 0);
            MUST(tcgetsid(first.slave) == getpid());
        })) == 0);
        MUST(FAILS(open("/dev/tty", O_RDWR), ENXIO));
    }), 0);
    CHECK_EXITED(CHILD_STATUS({
        MUST(setsid() > 0);
        int writer = open(pty_path(second.number), O_WRONLY);
        MUST(writer >= 0 && FAILS(open("/dev/tty", O_RDWR), ENXIO));
        if (geteuid() == 0) MUST(setuid(1000) == 0);
        MUST(FAILS(ioctl(writer, TIOCSCTTY, 0), EPERM));
    }), 0);
}

static void the_foreground_is_set_by_its_session(void)
{
    struct pty pty = new_pty();
    CHECK_ERR(tcsetpgrp(pty.slave, getpgrp()), ENOTTY);
    SESSION(pty.slave, {
        pid_t child = CHILD(for (;;) pause());
        MUST(setpgid(child, child) == 0);
        MUST(tcgetpgrp(pty.slave) == getpid());
        MUST(tcsetpgrp(pty.slave, child) == 0);
        MUST(tcgetpgrp(pty.slave) == child);
        pid_t group = -1;
        MUST(ioctl(pty.master, TIOCGPGRP, &group) == 0 && group == child);
        MUST(ioctl(pty.master, TIOCGSID, &group) == 0 && group == getpid());
        signal(SIGTTOU, SIG_IGN);
        MUST(FAILS(tcsetpgrp(pty.slave, -1), EINVAL));
        MUST(FAILS(tcsetpgrp(pty.slave, 999999), ESRCH));
        MUST(FAILS(tcsetpgrp(pty.slave, getppid() ? getpgid(getppid()) : 1), EPERM));
        MUST(tcsetpgrp(pty.slave, getpid()) == 0);
        kill(child, SIGKILL);
        status_of(child);
    });
}

static void keys_send_signals_to_the_foreground(void)
{
    struct pty pty = new_pty();
    static const struct { char key; int number; } keys[] = {{3, SIGINT}, {0x1c, SIGQUIT}, {0x1a, SIGTSTP}};
    for (int i = 0; i < 3; i++) {
        pid_t leader = CHILD({
            setsid();
            MUST(ioctl(pty.slave, TIOCSCTTY, 1) == 0);
            signal(SIGINT, SIG_IGN);
            signal(SIGQUIT, SIG_IGN);
            signal(SIGTSTP, SIG_IGN);
            pid_t job = CHILD({
                setpgid(0, 0);
                signal(SIGINT, SIG_DFL);
                signal(SIGQUIT, SIG_DFL);
                signal(SIGTSTP, SIG_DFL);
                while (tcgetpgrp(pty.slave) != getpid()) sleep_ms(1);
                MUST(write(pty.slave, "r", 1) == 1);
                for (;;) pause();
            });
            setpgid(job, job);
            MUST(tcsetpgrp(pty.slave, job) == 0);
            int status;
            MUST(waitpid(job, &status, WUNTRACED) == job);
            if (WIFSTOPPED(status)) {
                MUST(WSTOPSIG(status) == keys[i].number);
                kill(-job, SIGKILL);
                kill(-job, SIGCONT);
                status_of(job);
            } else {
                MUST(WTERMSIG(status) == keys[i].number);
            }
        });
        CHECK_READS(pty.master, "r");
        CHECK_EQ(write(pty.master, &keys[i].key, 1), 1);
        CHECK_EXITED(status_of(leader), 0);
        tcflush(pty.master, TCIFLUSH);
    }
}

static void the_background_stops_when_it_reads(void)
{
    struct pty pty = new_pty();
    SESSION(pty.slave, {
        int pipes[2];
        MUST(pipe(pipes) == 0);
        pid_t job = CHILD({
            char byte;
            MUST(read(pipes[0], &byte, 1) == 1);
            char line[16];
            MUST(read(pty.slave, line, sizeof line) == 3);
        });
        MUST(setpgid(job, job) == 0);
        MUST(write(pipes[1], "g", 1) == 1);
        int status;
        MUST(waitpid(job, &status, WUNTRACED) == job && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTIN);
        MUST(tcsetpgrp(pty.slave, job) == 0);
        MUST(kill(-job, SIGCONT) == 0);
        MUST(write(pty.master, "ok\n", 3) == 3);
        MUST(waitpid(job, &status, 0) == job && WIFEXITED(status) && WEXITSTATUS(status) == 0);
        /* Ignored, blocked or an orphan: an error instead. */
        for (int way = 0; way < 3; way++) {
            job = CHILD({
                sigset_t set;
                sigemptyset(&set);
                sigaddset(&set, SIGTTIN);
                MUST(setpgid(0, 0) == 0);
                if (way == 0) signal(SIGTTIN, SIG_IGN);
                if (way == 1) sigprocmask(SIG_BLOCK, &set, NULL);
                if (way == 2) {
                    /* A grandchild whose parent ends. */
                    pid_t middle = getpid();
                    int ends[2];
                    MUST(pipe(ends) == 0);
                    if (fork() == 0) {
                        while (getppid() == middle) sleep_ms(1);
                        char result = FAILS(read(pty.slave, &result, 1), EIO) ? 'y' : 'n';
                        MUST(write(pipes[1], &result, 1) == 1);
                    }
                    _exit(0);
                }
                char byte;
                MUST(FAILS(read(pty.slave, &byte, 1), EIO));
            });
            MUST(waitpid(job, &status, WUNTRACED) == job && WIFEXITED(status) && WEXITSTATUS(status) == 0);
            char result = 'y';
            if (way == 2) MUST(read(pipes[0], &result, 1) == 1);
            MUST(result == 'y');
        }
    });
}

static void the_background_may_write_unless_tostop(void)
{
    struct pty pty = new_pty();
    SESSION(pty.slave, {
        int status;
        pid_t job = CHILD({
            MUST(setpgid(0, 0) == 0);
            MUST(write(pty.slave, "a", 1) == 1);
        });
        MUST(waitpid(job, &status, WUNTRACED) == job && WIFEXITED(status) && WEXITSTATUS(status) == 0);
        set_flags(pty.slave, 0, TOSTOP);
        job = CHILD({
            MUST(setpgid(0, 0) == 0);
            MUST(write(pty.slave, "b", 1) == 1);
        });
        MUST(waitpid(job, &status, WUNTRACED) == job && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTOU);
        MUST(tcsetpgrp(pty.slave, job) == 0 && kill(-job, SIGCONT) == 0);
        MUST(waitpid(job, &status, WUNTRACED) == job && WIFEXITED(status) && WEXITSTATUS(status) == 0);
        signal(SIGTTOU, SIG_IGN);
        MUST(tcsetpgrp(pty.slave, getpid()) == 0);
        /* Who ignores SIGTTOU writes all the same. */
        job = CHILD({
            MUST(setpgid(0, 0) == 0);
            MUST(write(pty.slave, "c", 1) == 1);
        });
        MUST(waitpid(job, &status, WUNTRACED) == job && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    });
    CHECK_READS(pty.master, "abc");
}

static void the_background_stops_when_it_changes_the_terminal(void)
{
    struct pty pty = new_pty();
    SESSION(pty.slave, {
        struct termios settings = settings_of(pty.slave);
        for (int way = 0; way < 6; way++) {
            pid_t job = CHILD({
                MUST(setpgid(0, 0) == 0);
                if (way == 0) MUST(tcsetattr(pty.slave, TCSANOW, &settings) == 0);
                if (way == 1) MUST(tcsetpgrp(pty.slave, getpid()) == 0);
                if (way == 2) MUST(tcflush(pty.slave, TCIFLUSH) == 0);
                if (way == 3) MUST(tcflow(pty.slave, TCOON) == 0);
                if (way == 4) MUST(tcsendbreak(pty.slave, 0) == 0);
                if (way == 5) MUST(tcdrain(pty.slave) == 0);
            });
            int status;
            MUST(waitpid(job, &status, WUNTRACED) == job && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTOU);
            MUST(kill(-job, SIGKILL) == 0 && waitpid(job, &status, 0) == job);
        }
        /* Looking and the window's size are free. */
        pid_t job = CHILD({
            MUST(setpgid(0, 0) == 0);
            MUST(tcgetattr(pty.slave, &settings) == 0);
            struct winsize size = {.ws_row = 9};
            MUST(ioctl(pty.slave, TIOCSWINSZ, &size) == 0);
        });
        int status;
        MUST(waitpid(job, &status, WUNTRACED) == job && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    });
}

static void a_new_size_is_told_to_the_foreground(void)
{
    struct pty pty = new_pty();
    SESSION(pty.slave, {
        struct winsize size = {.ws_row = 24, .ws_col = 80, .ws_xpixel = 7, .ws_ypixel = 9}, got;
        catch_signal(SIGWINCH);
        MUST(ioctl(pty.master, TIOCSWINSZ, &size) == 0);
        for (int i = 0; i < 1000 && signals_seen == 0; i++) sleep_ms(1);
        MUST(signals_seen == 1 && last_signal == SIGWINCH);
        MUST(ioctl(pty.slave, TIOCGWINSZ, &got) == 0 && !memcmp(&size, &got, sizeof got));
        /* The same again is no news. */
        MUST(ioctl(pty.slave, TIOCSWINSZ, &size) == 0);
        sleep_ms(20);
        MUST(signals_seen == 1);
        size.ws_col = 81;
        MUST(ioctl(pty.slave, TIOCSWINSZ, &size) == 0);
        for (int i = 0; i < 1000 && signals_seen == 1; i++) sleep_ms(1);
        MUST(signals_seen == 2);
        MUST(FAILS(ioctl(pty.slave, TIOCSWINSZ, UNMAPPED_ADDRESS), EFAULT));
        MUST(FAILS(ioctl(pty.slave, TIOCGWINSZ, UNMAPPED_ADDRESS), EFAULT));
    });
}

static void the_leader_hears_of_the_master_s_end(void)
{
    struct pty pty = new_pty();
    int pipes[2];
    NEED(pipe(pipes) == 0);
    pid_t leader = CHILD({
        close(pty.master);
        setsid();
        MUST(ioctl(pty.slave, TIOCSCTTY, 0) == 0);
        catch_signal(SIGHUP);
        MUST(write(pipes[1], "r", 1) == 1);
        while (signals_seen == 0) sleep_ms(1);
        MUST(last_signal == SIGHUP);
        char byte;
        MUST(read(pty.slave, &byte, 1) == 0);
        MUST(FAILS(write(pty.slave, "x", 1), EIO));
        MUST(FAILS(open("/dev/tty", O_RDWR), ENXIO));
    });
    CHECK_READS(pipes[0], "r");
    close(pty.slave);
    close(pty.master);
    CHECK_EXITED(status_of(leader), 0);
}

static void the_foreground_hears_when_the_leader_ends(void)
{
    NEED(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
    for (int master_first = 0; master_first < 2; master_first++) {
        struct pty pty = new_pty();
        int pipes[2];
        NEED(pipe(pipes) == 0);
        pid_t leader = CHILD({
            close(pty.master);
            setsid();
            MUST(ioctl(pty.slave, TIOCSCTTY, 0) == 0);
            catch_signal(SIGHUP);
            pid_t job = CHILD({
                setpgid(0, 0);
                signal(SIGHUP, SIG_DFL);
                MUST(write(pipes[1], "j", 1) == 1);
                for (;;) pause();
            });
            setpgid(job, job);
            MUST(tcsetpgrp(pty.slave, job) == 0);
            MUST(write(pipes[1], &job, sizeof job) == sizeof job);
            while (master_first && signals_seen == 0) sleep_ms(1);
            /* The job is not told before the leader ends. */
            sleep_ms(10);
            MUST(state_of(job) == 'S');
        });
        unsigned char told[1 + sizeof(pid_t)];
        CHECK_EQ(read_fully(pipes[0], told, sizeof told), sizeof told);
        close(pty.slave);
        if (master_first) close(pty.master);
        CHECK_EXITED(status_of(leader), 0);
        /* This program is its reaper now. */
        int status = -1;
        pid_t job = waitpid(-1, &status, 0);
        CHECK(job > 0);
        CHECK_KILLED(status, SIGHUP);
        close(pipes[0]);
        close(pipes[1]);
        if (!master_first) close(pty.master);
    }
}

static void a_terminal_is_free_after_its_session(void)
{
    struct pty pty = new_pty();
    SESSION(pty.slave, MUST(tcgetsid(pty.slave) == getpid()));
    SESSION(pty.slave, MUST(tcgetsid(pty.slave) == getpid()));
    SESSION(pty.slave, {
        signal(SIGHUP, SIG_IGN);
        MUST(ioctl(pty.slave, TIOCNOTTY) == 0);
        MUST(FAILS(open("/dev/tty", O_RDWR), ENXIO));
        MUST(FAILS(ioctl(pty.slave, TIOCNOTTY), ENOTTY));
        pid_t id;
        MUST(FAILS(ioctl(pty.slave, TIOCGPGRP, &id), ENOTTY));
        /* Still open, and of use. */
        MUST(write(pty.slave, "x", 1) == 1);
        MUST(ioctl(pty.slave, TIOCSCTTY, 0) == 0);
    });
    CHECK_READS(pty.master, "x");
}

static void giving_the_terminal_up_hangs_the_foreground_up(void)
{
    struct pty pty = new_pty();
    SESSION(pty.slave, {
        pid_t job = CHILD(for (;;) pause());
        setpgid(job, job);
        MUST(tcsetpgrp(pty.slave, job) == 0);
        MUST(ioctl(pty.slave, TIOCNOTTY) == 0);
        int status = status_of(job);
        MUST(WIFSIGNALED(status) && WTERMSIG(status) == SIGHUP);
    });
}

static void vhangup_makes_open_files_dead(void)
{
    struct pty pty = new_pty();
    CHECK_EXITED(CHILD_STATUS({
        if (geteuid() == 0) MUST(setuid(1000) == 0);
        MUST(FAILS(vhangup(), EPERM));
    }), 0);
    if (geteuid() != 0) return;
    set_raw(pty.slave);
    SESSION(pty.slave, {
        catch_signal(SIGHUP);
        MUST(vhangup() == 0);
        MUST(signals_seen == 1 && last_signal == SIGHUP);
        char byte;
        MUST(read(pty.slave, &byte, 1) == 0);
        MUST(FAILS(write(pty.slave, "x", 1), EIO));
        MUST(FAILS(open("/dev/tty", O_RDWR), ENXIO));
        /* Opened anew it works, with fresh settings. */
        int again = open(pty_path(pty.number), O_RDWR);
        MUST(again >= 0 && tcgetsid(again) == getpid());
        MUST(settings_of(again).c_lflag & ICANON);
        MUST(write(again, "new", 3) == 3);
    });
    CHECK_READS(pty.master, "new");
    CHECK_ERR(write(pty.slave, "x", 1), EIO);
    CHECK_OK(vhangup());
}

static void an_exclusive_terminal_is_opened_by_root_only(void)
{
    struct pty pty = new_pty();
    int value = -1;
    const char *path = pty_path(pty.number);
    NEED(chmod(path, 0666) == 0);
    CHECK_OK(ioctl(pty.slave, TIOCGEXCL, &value));
    CHECK_EQ(value, 0);
    CHECK_OK(ioctl(pty.slave, TIOCEXCL));
    CHECK_OK(ioctl(pty.slave, TIOCGEXCL, &value));
    CHECK_EQ(value, 1);
    int more = open(path, O_RDWR | O_NOCTTY);
    if (geteuid() == 0) CHECK(more >= 0);
    CHECK_EXITED(CHILD_STATUS({
        if (geteuid() == 0) MUST(setuid(1000) == 0);
        MUST(FAILS(open(path, O_RDWR | O_NOCTTY), EBUSY));
    }), 0);
    CHECK_OK(ioctl(pty.slave, TIOCNXCL));
    CHECK_EXITED(CHILD_STATUS({
        if (geteuid() == 0) MUST(setuid(1000) == 0);
        MUST(open(path, O_RDWR | O_NOCTTY) >= 0);
    }), 0);
}

static void typing_can_be_pretended(void)
{
    struct pty pty = new_pty();
    if (geteuid() != 0) return;
    CHECK_OK(ioctl(pty.slave, TIOCSTI, "a"));
    CHECK_OK(ioctl(pty.slave, TIOCSTI, "\n"));
    CHECK_READS(pty.slave, "a\n");
    CHECK_READS(pty.master, "a\r\n");
    CHECK_ERR(ioctl(pty.slave, TIOCSTI, UNMAPPED_ADDRESS), EFAULT);
    CHECK_EXITED(CHILD_STATUS({
        MUST(setuid(1000) == 0);
        errno = 0;
        /* EIO where the system forbids it altogether. */
        MUST(ioctl(pty.slave, TIOCSTI, "x") == -1 && (errno == EPERM || errno == EIO));
    }), 0);
}

static void a_session_keeps_a_pty_that_nobody_has_open(void)
{
    int master = new_master();
    const char *path = pty_path(pty_number(master));
    CHECK_EXITED(CHILD_STATUS({
        MUST(setsid() > 0);
        int slave = open(path, O_RDWR);
        MUST(slave >= 0 && tcgetsid(slave) == getpid());
        close(slave);
        int own = open("/dev/tty", O_RDWR);
        MUST(own >= 0 && tcgetsid(own) == getpid());
        MUST(WEXITSTATUS(CHILD_STATUS({
            MUST(setsid() > 0 && setuid(1000) == 0);
            MUST(FAILS(ioctl(own, TIOCSCTTY, 0), EPERM));
        })) == 0);
    }), 0);
}

static void proc_tells_the_terminal(void)
{
    struct pty pty = new_pty();
    SESSION(pty.slave, {
        char text[512] = "";
        int file = open("/proc/self/stat", O_RDONLY);
        MUST(file >= 0 && read(file, text, sizeof text - 1) > 0);
        int session, number, group;
        MUST(sscanf(strrchr(text, ')') + 1, " %*c %*d %*d %d %d %d", &session, &number, &group) == 3);
        MUST(session == getpid() && group == getpid());
        MUST(number == (136 << 8 | pty.number));
    });
}

CASES(CASE(a_leader_that_opens_a_terminal_gets_it), CASE(only_a_leader_without_one_may_take_a_terminal),
      CASE(the_foreground_is_set_by_its_session), CASE(keys_send_signals_to_the_foreground),
      CASE(the_background_stops_when_it_reads), CASE(the_background_may_write_unless_tostop),
      CASE(the_background_stops_when_it_changes_the_terminal), CASE(a_new_size_is_told_to_the_foreground),
      CASE(the_leader_hears_of_the_master_s_end), CASE(the_foreground_hears_when_the_leader_ends),
      CASE(a_terminal_is_free_after_its_session), CASE(giving_the_terminal_up_hangs_the_foreground_up),
      CASE(vhangup_makes_open_files_dead), CASE(an_exclusive_terminal_is_opened_by_root_only),
      CASE(typing_can_be_pretended), CASE(a_session_keeps_a_pty_that_nobody_has_open), CASE(proc_tells_the_terminal))
