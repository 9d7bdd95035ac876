/* Locks on files: fcntl(2)'s of processes and of open files, flock(2), /proc/locks. */
#include "check.h"

#include <sched.h>
#include <sys/file.h>
#include <sys/sysmacros.h>

static const char *const name = "file";

static struct flock range(short kind, long start, long length)
{
    return (struct flock){.l_type = kind, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
}

static int set_lock(int file, int command, short kind, long start, long length)
{
    struct flock lock = range(kind, start, length);
    return fcntl(file, command, &lock);
}

static int set(int file, short kind, long start, long length) { return set_lock(file, F_SETLK, kind, start, length); }

/* What keeps another process from a write lock: `first len kind` of the first lock in its way, or "none". */
static const char *seen_by_another(long start, long length)
{
    static char *text;
    if (!text) text = map_shared(1);
    pid_t pid = CHILD({
        int file = open(name, O_RDWR);
        struct flock lock = range(F_WRLCK, start, length);
        if (file < 0 || fcntl(file, F_GETLK, &lock) != 0) _exit(1);
        if (lock.l_type == F_UNLCK) strcpy(text, "none");
        else
            snprintf(text, 100, "%ld %ld %s%s", (long)lock.l_start, (long)lock.l_len,
                     lock.l_type == F_RDLCK ? "read" : "write", lock.l_pid == getppid() ? "" : " of another");
    });
    return status_of(pid) == 0 ? text : "failed";
}

#define CHECK_SEEN(start, length, expected)                                                               \
    do {                                                                                                  \
        const char *seen_ = seen_by_another(start, length);                                               \
        check_note(!strcmp(seen_, expected), CHECK_PLACE, "seen: %s, expected %s", seen_, expected);      \
    } while (0)

static int new_file(void) { return make_file(name, "0123456789", 10, 0666); }

static void one_writer_or_many_readers(void)
{
    int file = new_file();
    CHECK_OK(set(file, F_WRLCK, 2, 3));
    CHECK_SEEN(0, 0, "2 3 write");
    CHECK_SEEN(0, 2, "none");
    CHECK_SEEN(5, 0, "none");
    CHECK_EXITED(CHILD_STATUS({
        int other = open(name, O_RDWR);
        CHECK_ERR(set(other, F_RDLCK, 4, 1), EAGAIN);
        CHECK_ERR(set(other, F_WRLCK, 0, 0), EAGAIN);
        CHECK_OK(set(other, F_WRLCK, 5, 5));
        CHECK_OK(set(other, F_RDLCK, 0, 2));
    }), 0);
    CHECK_OK(set(file, F_RDLCK, 0, 0));
    CHECK_EXITED(CHILD_STATUS({
        int other = open(name, O_RDWR);
        CHECK_OK(set(other, F_RDLCK, 0, 0));
        CHECK_ERR(set(other, F_WRLCK, 100, 1), EAGAIN);
    }), 0);
    struct flock own = range(F_WRLCK, 0, 0);
    CHECK_OK(fcntl(file, F_GETLK, &own)); /* one's own are never in the way */
    CHECK_EQ(own.l_type, F_UNLCK);
    CHECK_EQ(own.l_start, 0);
}

static void ranges_split_and_join(void)
{
    int file = new_file();
    CHECK_OK(set(file, F_WRLCK, 0, 100));
    CHECK_OK(set(file, F_UNLCK, 40, 20));
    CHECK_SEEN(0, 0, "0 40 write");
    CHECK_SEEN(40, 20, "none");
    CHECK_SEEN(45, 0, "60 40 write");
    CHECK_OK(set(file, F_WRLCK, 40, 20));
    CHECK_SEEN(50, 1, "0 100 write");
    CHECK_OK(set(file, F_RDLCK, 50, 10));
    CHECK_SEEN(50, 1, "50 10 read");
    CHECK_SEEN(60, 1, "60 40 write");
    CHECK_OK(set(file, F_RDLCK, 60, 40));
    CHECK_SEEN(60, 1, "50 50 read");
    CHECK_OK(set(file, F_WRLCK, 90, 0)); /* to the end, wherever that will be */
    CHECK_SEEN(1000000, 1, "90 0 write");
    CHECK_SEEN(89, 1, "50 40 read");
    CHECK_OK(set(file, F_UNLCK, 0, 0));
    CHECK_SEEN(0, 0, "none");
    for (int i = 0; i < 200; i++) CHECK_OK(set(file, F_RDLCK, 2 * i, 1));
    CHECK_SEEN(398, 0, "398 1 read");
    CHECK_SEEN(399, 0, "none");
    CHECK_OK(set(file, F_RDLCK, 0, 399));
    CHECK_SEEN(398, 0, "0 399 read");
}

static void where_ranges_start(void)
{
    int file = new_file();
    CHECK_EQ(lseek(file, 4, SEEK_SET), 4);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_start = 1, .l_len = 2};
    CHECK_OK(fcntl(file, F_SETLK, &lock));
    CHECK_SEEN(0, 0, "5 2 write");
    lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = -1, .l_len = -2};
    CHECK_OK(fcntl(file, F_SETLK, &lock));
    CHECK_SEEN(0, 0, "5 4 write");
    lock = (struct flock){.l_type = F_UNLCK, .l_whence = SEEK_END};
    CHECK_OK(fcntl(file, F_SETLK, &lock));
    CHECK_SEEN(0, 0, "5 4 write");
    lock.l_whence = 3;
    CHECK_ERR(fcntl(file, F_SETLK, &lock), EINVAL);
    CHECK_ERR(set(file, F_WRLCK, -1, 1), EINVAL);
    CHECK_ERR(set(file, F_WRLCK, 3, -4), EINVAL);
    CHECK_OK(set(file, F_WRLCK, 3, -3));
    CHECK_ERR(set(file, F_WRLCK, INT64_MAX, 2), EOVERFLOW);
    CHECK_OK(set(file, F_WRLCK, INT64_MAX, 1));
    lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_start = INT64_MAX};
    CHECK_ERR(fcntl(file, F_SETLK, &lock), EOVERFLOW);
}

static void errors(void)
{
    int file = new_file();
    int reader = open(name, O_RDONLY), writer = open(name, O_WRONLY), path = open(name, O_PATH);
    CHECK_ERR(set(reader, F_WRLCK, 0, 0), EBADF);
    CHECK_OK(set(reader, F_RDLCK, 0, 0));
    CHECK_ERR(set(writer, F_RDLCK, 0, 0), EBADF);
    CHECK_OK(set(writer, F_WRLCK, 0, 0));
    CHECK_OK(set(reader, F_UNLCK, 0, 0));
    CHECK_ERR(set(path, F_WRLCK, 0, 0), EBADF);
    CHECK_ERR(set(777, F_WRLCK, 0, 0), EBADF);
    CHECK_ERR(set(file, 3, 0, 0), EINVAL);
    CHECK_ERR(set(file, -1, 0, 0), EINVAL);
    CHECK_ERR(fcntl(file, F_SETLK, UNMAPPED_ADDRESS), EFAULT);
    CHECK_ERR(fcntl(file, F_SETLKW, KERNEL_ADDRESS), EFAULT);
    CHECK_ERR(fcntl(file, F_GETLK, UNMAPPED_ADDRESS), EFAULT);
    struct flock lock = range(F_UNLCK, 0, 0);
    CHECK_ERR(fcntl(file, F_GETLK, &lock), EINVAL);
    lock = range(9, 0, 0);
    CHECK_ERR(fcntl(file, F_GETLK, &lock), EINVAL);
    lock = range(F_RDLCK, -1, 0);
    CHECK_ERR(fcntl(file, F_GETLK, &lock), EINVAL);
    lock = range(F_WRLCK, 0, 0);
    lock.l_pid = 1;
    CHECK_OK(fcntl(file, F_SETLK, &lock)); /* an input only where open files own locks */
    CHECK_ERR(fcntl(file, F_OFD_SETLK, &lock), EINVAL);
    CHECK_ERR(fcntl(file, F_OFD_GETLK, &lock), EINVAL);
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    CHECK_OK(set(ends[1], F_WRLCK, 0, 0)); /* a pipe has an inode too */
}

static void a_close_gives_all_up(void)
{
    int file = new_file(), again = open(name, O_RDWR);
    CHECK_OK(set(file, F_WRLCK, 0, 10));
    int copy = dup(file);
    CHECK_SEEN(0, 0, "0 10 write");
    close(again); /* another open file of the same file */
    CHECK_SEEN(0, 0, "none");
    CHECK_OK(set(file, F_WRLCK, 0, 10));
    close(copy);
    CHECK_SEEN(0, 0, "none");
    CHECK_OK(set(file, F_WRLCK, 0, 10));
    again = open(name, O_RDONLY);
    CHECK_EQ(dup2(0, again), again); /* closes it too */
    CHECK_SEEN(0, 0, "none");
    CHECK_OK(set(file, F_WRLCK, 0, 10));
    again = open(name, O_RDONLY);
    CHECK_OK(close_range((unsigned)again, (unsigned)again, 0));
    CHECK_SEEN(0, 0, "none");
    CHECK_OK(set(file, F_WRLCK, 0, 10));
    CHECK_EXITED(CHILD_STATUS(close(file)), 0); /* a child's close is not ours */
    CHECK_SEEN(0, 0, "0 10 write");
    CHECK_EXITED(CHILD_STATUS({
        int other = open(name, O_RDWR);
        CHECK_OK(set(other, F_WRLCK, 100, 1));
    }), 0);
    CHECK_SEEN(100, 1, "none"); /* the end of a process closes */
}

static void children_do_not_inherit(void)
{
    int file = new_file();
    CHECK_OK(set(file, F_WRLCK, 0, 10));
    CHECK_EXITED(CHILD_STATUS({
        CHECK_ERR(set(file, F_WRLCK, 0, 1), EAGAIN);
        CHECK_OK(set(file, F_UNLCK, 0, 0)); /* there is nothing of its own */
    }), 0);
    CHECK_SEEN(0, 0, "0 10 write");
}

static volatile sig_atomic_t came;
static void count(int number) { came += number != 0; }

static void waiting_for_a_lock(void)
{
    int file = new_file();
    int *step = map_shared(1);
    CHECK_OK(set(file, F_WRLCK, 0, 10));
    pid_t pid = CHILD({
        int other = open(name, O_RDWR);
        CHECK_OK(set_lock(other, F_SETLKW, F_WRLCK, 5, 1));
        CHECK_EQ(__atomic_load_n(step, __ATOMIC_SEQ_CST), 2);
    });
    wait_for_state(pid, 'S');
    __atomic_store_n(step, 1, __ATOMIC_SEQ_CST);
    CHECK_OK(set(file, F_UNLCK, 0, 5)); /* not what is waited for */
    sleep_ms(20);
    CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
    __atomic_store_n(step, 2, __ATOMIC_SEQ_CST);
    CHECK_OK(set(file, F_UNLCK, 5, 1));
    CHECK_EXITED(status_of(pid), 0);
    /* From writing to reading lets a reader in. */
    CHECK_OK(set(file, F_WRLCK, 0, 10));
    pid = CHILD({
        int other = open(name, O_RDWR);
        CHECK_OK(set_lock(other, F_SETLKW, F_RDLCK, 5, 1));
    });
    wait_for_state(pid, 'S');
    CHECK_OK(set(file, F_RDLCK, 0, 10));
    CHECK_EXITED(status_of(pid), 0);
}

static void a_signal_ends_the_wait(void)
{
    int file = new_file();
    CHECK_OK(set(file, F_WRLCK, 0, 10));
    pid_t pid = CHILD({
        int other = open(name, O_RDWR);
        sigaction(SIGUSR1, &(struct sigaction){.sa_handler = count}, NULL);
        CHECK_ERR(set_lock(other, F_SETLKW, F_WRLCK, 5, 1), EINTR);
        CHECK_ERR(flock(other, LOCK_SH | LOCK_NB), EWOULDBLOCK);
        CHECK_ERR(flock(other, LOCK_EX), EINTR);
        CHECK_EQ(came, 2);
    });
    CHECK_OK(flock(file, LOCK_EX));
    for (int i = 0; i < 2; i++) {
        wait_for_state(pid, 'S');
        sleep_ms(20);
        kill(pid, SIGUSR1);
        sleep_ms(20);
    }
    CHECK_EXITED(status_of(pid), 0);
    /* With SA_RESTART it goes on waiting. */
    pid = CHILD({
        int other = open(name, O_RDWR);
        sigaction(SIGUSR1, &(struct sigaction){.sa_handler = count, .sa_flags = SA_RESTART}, NULL);
        CHECK_OK(set_lock(other, F_SETLKW, F_WRLCK, 5, 1));
        CHECK_EQ(came, 1);
    });
    wait_for_state(pid, 'S');
    kill(pid, SIGUSR1);
    sleep_ms(20);
    CHECK_OK(set(file, F_UNLCK, 0, 0));
    CHECK_EXITED(status_of(pid), 0);
}

static void circles_are_refused(void)
{
    int file = new_file();
    CHECK_OK(set(file, F_WRLCK, 0, 1));
    pid_t pid = CHILD({
        int other = open(name, O_RDWR);
        CHECK_OK(set(other, F_WRLCK, 1, 1));
        pid_t third = CHILD({
            int last = open(name, O_RDWR);
            CHECK_OK(set(last, F_WRLCK, 2, 1));
            CHECK_OK(set_lock(last, F_SETLKW, F_WRLCK, 0, 1)); /* waits for the first */
        });
        wait_for_state(third, 'S');
        CHECK_OK(set_lock(other, F_SETLKW, F_WRLCK, 2, 1)); /* waits for the third */
        CHECK_OK(set(other, F_UNLCK, 0, 0));
        CHECK_EXITED(status_of(third), 0);
    });
    struct flock lock;
    for (int tries = 0; tries < 2000; tries++) {
        lock = range(F_WRLCK, 2, 1);
        if (fcntl(file, F_GETLK, &lock) == 0 && lock.l_type == F_WRLCK) break;
        sleep_ms(1);
    }
    wait_for_state(pid, 'S');
    sleep_ms(50);
    CHECK_ERR(set_lock(file, F_SETLKW, F_WRLCK, 1, 1), EDEADLK);
    CHECK_OK(set(file, F_UNLCK, 0, 0));
    CHECK_EXITED(status_of(pid), 0);
}

static void locks_of_open_files(void)
{
    int file = new_file(), other = open(name, O_RDWR), same = dup(file);
    CHECK_OK(set_lock(file, F_OFD_SETLK, F_WRLCK, 0, 10));
    CHECK_OK(set_lock(same, F_OFD_SETLK, F_WRLCK, 0, 10));
    CHECK_ERR(set_lock(other, F_OFD_SETLK, F_RDLCK, 9, 1), EAGAIN);
    CHECK_ERR(set(other, F_RDLCK, 9, 1), EAGAIN); /* the process is somebody else */
    struct flock lock = range(F_RDLCK, 0, 0);
    CHECK_OK(fcntl(other, F_OFD_GETLK, &lock));
    CHECK(lock.l_type == F_WRLCK && lock.l_pid == -1 && lock.l_len == 10);
    close(other); /* gives up nothing of others */
    CHECK_SEEN(0, 0, "0 10 write of another");
    close(file);
    CHECK_SEEN(0, 0, "0 10 write of another");
    CHECK_EXITED(CHILD_STATUS({
        CHECK_OK(set_lock(same, F_OFD_SETLK, F_RDLCK, 0, 10)); /* a child shares the open file */
    }), 0);
    CHECK_SEEN(0, 0, "0 10 read of another");
    close(same);
    CHECK_SEEN(0, 0, "none");
    /* Waiting. */
    file = open(name, O_RDWR);
    other = open(name, O_RDWR);
    CHECK_OK(set_lock(file, F_OFD_SETLK, F_WRLCK, 0, 0));
    pid_t pid = CHILD({
        close(file);
        CHECK_OK(set_lock(other, F_OFD_SETLKW, F_WRLCK, 0, 0));
    });
    wait_for_state(pid, 'S');
    CHECK_OK(set_lock(file, F_OFD_SETLK, F_UNLCK, 0, 0));
    CHECK_EXITED(status_of(pid), 0);
}

static void locking_whole_files(void)
{
    int file = new_file(), other = open(name, O_RDONLY), same = dup(file);
    CHECK_OK(flock(file, LOCK_EX));
    CHECK_OK(flock(same, LOCK_EX | LOCK_NB));
    CHECK_ERR(flock(other, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    CHECK_OK(set(file, F_WRLCK, 0, 0)); /* the two kinds know nothing of each other */
    CHECK_OK(flock(same, LOCK_SH));
    CHECK_OK(flock(other, LOCK_SH));
    CHECK_ERR(flock(file, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    CHECK_OK(flock(other, LOCK_UN));
    CHECK_OK(flock(other, LOCK_EX | LOCK_NB)); /* the failed one gave up what it had */
    CHECK_ERR(flock(file, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    CHECK_OK(flock(other, LOCK_UN));
    CHECK_OK(flock(file, LOCK_UN)); /* nothing there */
    CHECK_OK(flock(file, LOCK_EX));
    close(file);
    CHECK_ERR(flock(other, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    pid_t pid = CHILD({
        close(same);
        CHECK_OK(flock(other, LOCK_EX));
    });
    wait_for_state(pid, 'S');
    close(same); /* the last descriptor */
    CHECK_EXITED(status_of(pid), 0);
    CHECK_ERR(flock(other, 0), EINVAL);
    CHECK_ERR(flock(other, LOCK_NB), EINVAL);
    CHECK_ERR(flock(other, LOCK_SH | LOCK_EX), EINVAL);
    CHECK_ERR(flock(other, 64), EINVAL);
    CHECK_ERR(flock(777, LOCK_SH), EBADF);
    CHECK_ERR(flock(open(name, O_PATH), LOCK_SH), EBADF);
    int folder = open(".", O_RDONLY | O_DIRECTORY);
    CHECK_OK(flock(folder, LOCK_EX));
}

static void exec_keeps_locks(void)
{
    int file = new_file();
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (fcntl(file, F_SETFD, 0) != 0 || set(file, F_WRLCK, 0, 7) != 0) _exit(1);
        execl(own_path(), own_path(), "@sleep", NULL);
        _exit(2);
    }
    char byte;
    close(ends[1]);
    CHECK_EQ(read(ends[0], &byte, 1), 0); /* it has been executed */
    struct flock lock = range(F_WRLCK, 0, 0);
    CHECK_OK(fcntl(file, F_GETLK, &lock));
    CHECK(lock.l_type == F_WRLCK && lock.l_pid == pid && lock.l_len == 7);
    kill(pid, SIGKILL);
    status_of(pid);
    CHECK_SEEN(0, 0, "none");
}

static void what_proc_shows(void)
{
    static char text[1 << 16];
    char expected[3][120];
    int file = new_file(), other = open(name, O_RDWR);
    struct stat facts;
    REQUIRE(fstat(file, &facts) == 0);
    CHECK_OK(set(file, F_WRLCK, 3, 4));
    CHECK_OK(set_lock(other, F_OFD_SETLK, F_RDLCK, 20, 0));
    CHECK_OK(flock(other, LOCK_SH));
    char id[60];
    snprintf(id, sizeof id, "%02x:%02x:%lu", major(facts.st_dev), minor(facts.st_dev), (unsigned long)facts.st_ino);
    snprintf(expected[0], 120, ": POSIX  ADVISORY  WRITE %d %s 3 6\n", getpid(), id);
    snprintf(expected[1], 120, ": OFDLCK ADVISORY  READ -1 %s 20 EOF\n", id);
    snprintf(expected[2], 120, ": FLOCK  ADVISORY  READ %d %s 0 EOF\n", getpid(), id);
    int proc = open("/proc/locks", O_RDONLY);
    REQUIRE(proc >= 0);
    CHECK(read(proc, text, sizeof text - 1) > 0);
    for (int i = 0; i < 3; i++) check_note(strstr(text, expected[i]) != NULL, CHECK_PLACE, "no %s in %s", expected[i], text);
    pid_t pid = CHILD({
        int last = open(name, O_RDWR);
        CHECK_OK(set_lock(last, F_SETLKW, F_WRLCK, 5, 1));
    });
    wait_for_state(pid, 'S');
    sleep_ms(20);
    memset(text, 0, sizeof text);
    CHECK(pread(proc, text, sizeof text - 1, 0) > 0);
    snprintf(expected[0], 120, ": -> POSIX  ADVISORY  WRITE %d %s 5 5\n", pid, id);
    check_note(strstr(text, expected[0]) != NULL, CHECK_PLACE, "no %s in %s", expected[0], text);
    CHECK_OK(set(file, F_UNLCK, 0, 0));
    CHECK_EXITED(status_of(pid), 0);
}

static void many_take_turns(void)
{
    enum { PROCESSES = 6, ROUNDS = 200 };
    int file = new_file();
    long *counter = map_shared(1);
    for (int i = 0; i < PROCESSES; i++) {
        CHILD({
            int own = open(name, O_RDWR);
            for (int round = 0; round < ROUNDS; round++) {
                if (set_lock(own, F_SETLKW, F_WRLCK, 0, 1) != 0) _exit(1);
                long seen = *(volatile long *)counter;
                if (round % 16 == 0) sched_yield();
                *(volatile long *)counter = seen + 1;
                if (set(own, F_UNLCK, 0, 1) != 0) _exit(2);
            }
        });
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        CHECK(wait(&status) > 0);
        CHECK_EXITED(status, 0);
    }
    CHECK_EQ(*counter, PROCESSES * ROUNDS);
    close(file);
}

static void leases_that_cannot_be_had(void)
{
    int file = new_file(), folder = open(".", O_RDONLY);
    CHECK_EQ(fcntl(file, F_GETLEASE), F_UNLCK);
    CHECK_ERR(fcntl(file, F_SETLEASE, F_RDLCK), EAGAIN); /* it is open for writing */
    CHECK_ERR(fcntl(file, F_SETLEASE, F_UNLCK), EAGAIN); /* there is none */
    CHECK_ERR(fcntl(file, F_SETLEASE, 7), EINVAL);
    CHECK_ERR(fcntl(folder, F_SETLEASE, F_RDLCK), EINVAL);
    CHECK_ERR(fcntl(777, F_SETLEASE, F_RDLCK), EBADF);
    CHECK_EXITED(CHILD_STATUS({
        CHECK_OK(setgid(1000));
        CHECK_OK(setuid(1000));
        int own = open(name, O_RDONLY);
        CHECK_ERR(fcntl(own, F_SETLEASE, F_RDLCK), EACCES);
    }), 0);
}

static int helper(int argc, char **argv)
{
    (void)argc, (void)argv;
    sleep_ms(20000);
    return 0;
}

CASES_WITH_HELPER(helper, CASE(one_writer_or_many_readers), CASE(ranges_split_and_join), CASE(where_ranges_start), CASE(errors),
                  CASE(a_close_gives_all_up), CASE(children_do_not_inherit), CASE(waiting_for_a_lock),
                  CASE(a_signal_ends_the_wait), CASE(circles_are_refused), CASE(locks_of_open_files),
                  CASE(locking_whole_files), CASE(exec_keeps_locks), CASE(what_proc_shows), CASE(many_take_turns),
                  CASE(leases_that_cannot_be_had))
