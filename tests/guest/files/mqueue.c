/* POSIX message queues; shm_open(3) beside them. */
#include "check.h"

#include <mqueue.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mount.h>

static const char *name(void)
{
    static char text[40];
    if (!text[0]) snprintf(text, sizeof text, "/nacre-%d", getpid()); /* a child has its parent's */
    return text;
}

static mqd_t make(long messages, long bytes, int flags)
{
    struct mq_attr attr = {.mq_maxmsg = messages, .mq_msgsize = bytes};
    mqd_t queue = mq_open(name(), O_CREAT | O_EXCL | O_RDWR | flags, 0600, &attr);
    NEED(queue >= 0);
    return queue;
}

static const char *receive(mqd_t queue)
{
    static char text[200];
    char buffer[128];
    unsigned priority;
    ssize_t length = mq_receive(queue, buffer, sizeof buffer, &priority);
    if (length < 0) return "none";
    snprintf(text, sizeof text, "%.*s:%u", (int)length, buffer, priority);
    return text;
}

static void the_highest_priority_first(void)
{
    mqd_t queue = make(5, 128, O_NONBLOCK);
    CHECK_OK(mq_send(queue, "low", 3, 1));
    CHECK_OK(mq_send(queue, "high", 4, 9));
    CHECK_OK(mq_send(queue, "low2", 4, 1));
    CHECK_OK(mq_send(queue, "", 0, 32767));
    struct mq_attr attr;
    CHECK_OK(mq_getattr(queue, &attr));
    CHECK(attr.mq_maxmsg == 5 && attr.mq_msgsize == 128 && attr.mq_curmsgs == 4 && attr.mq_flags == O_NONBLOCK);
    CHECK(!strcmp(receive(queue), ":32767"));
    CHECK(!strcmp(receive(queue), "high:9"));
    CHECK(!strcmp(receive(queue), "low:1"));
    CHECK(!strcmp(receive(queue), "low2:1"));
    CHECK_ERR(mq_receive(queue, (char[128]){0}, 128, NULL), EAGAIN);
    for (int i = 0; i < 5; i++) CHECK_OK(mq_send(queue, "x", 1, 0));
    CHECK_ERR(mq_send(queue, "x", 1, 0), EAGAIN);
    CHECK_OK(mq_unlink(name()));
    CHECK_ERR(mq_unlink(name()), ENOENT);
    CHECK(!strcmp(receive(queue), "x:0")); /* it is still open */
    CHECK_EQ(fcntl(queue, F_GETFD), FD_CLOEXEC);
}

static void nothing(int number) { (void)number; }

static void waiting(void)
{
    mqd_t queue = make(1, 128, 0);
    pid_t pid = CHILD(CHECK(!strcmp(receive(queue), "hello:3")));
    wait_for_state(pid, 'S');
    CHECK_OK(mq_send(queue, "hello", 5, 3));
    CHECK_EXITED(status_of(pid), 0);
    CHECK_OK(mq_send(queue, "one", 3, 0));
    pid = CHILD(CHECK_OK(mq_send(queue, "two", 3, 0)));
    wait_for_state(pid, 'S');
    CHECK(!strcmp(receive(queue), "one:0"));
    CHECK_EXITED(status_of(pid), 0);
    CHECK(!strcmp(receive(queue), "two:0"));
    char buffer[128];
    long long when = clock_ns(CLOCK_REALTIME) + 20000000;
    struct timespec end = {when / 1000000000, when % 1000000000};
    CHECK_ERR(mq_timedreceive(queue, buffer, sizeof buffer, NULL, &end), ETIMEDOUT);
    CHECK(clock_ns(CLOCK_REALTIME) >= when);
    CHECK_OK(mq_timedsend(queue, "x", 1, 0, &end)); /* there is room: the time does not matter */
    CHECK_ERR(mq_timedsend(queue, "x", 1, 0, &end), ETIMEDOUT);
    CHECK(!strcmp(receive(queue), "x:0"));
    pid = CHILD({
        sigaction(SIGUSR1, &(struct sigaction){.sa_handler = nothing}, NULL);
        CHECK_ERR(mq_receive(queue, buffer, sizeof buffer, NULL), EINTR);
    });
    wait_for_state(pid, 'S');
    sleep_ms(10);
    kill(pid, SIGUSR1);
    CHECK_EXITED(status_of(pid), 0);
    CHECK_OK(mq_unlink(name()));
}

static void polling(void)
{
    mqd_t queue = make(1, 128, O_NONBLOCK);
    struct pollfd poller = {queue, POLLIN | POLLOUT, 0};
    CHECK(poll(&poller, 1, 0) == 1 && poller.revents == POLLOUT);
    CHECK_OK(mq_send(queue, "x", 1, 0));
    CHECK(poll(&poller, 1, 0) == 1 && poller.revents == POLLIN);
    int events = epoll_create1(0);
    struct epoll_event wanted = {EPOLLIN, {.u64 = 1}}, got;
    CHECK_OK(epoll_ctl(events, EPOLL_CTL_ADD, queue, &wanted));
    CHECK_EQ(epoll_wait(events, &got, 1, 0), 1);
    CHECK(!strcmp(receive(queue), "x:0"));
    CHECK_EQ(epoll_wait(events, &got, 1, 0), 0);
    pid_t pid = CHILD(sleep_ms(10); CHECK_OK(mq_send(queue, "y", 1, 0)));
    CHECK_EQ(epoll_wait(events, &got, 1, 20000), 1);
    CHECK_EXITED(status_of(pid), 0);
    CHECK_OK(mq_unlink(name()));
}

static volatile siginfo_t seen;
static volatile sig_atomic_t came;
static void note(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    seen = *info;
    came++;
}

static void being_told(void)
{
    mqd_t queue = make(5, 128, O_NONBLOCK), other = mq_open(name(), O_RDONLY);
    sigaction(SIGUSR1, &(struct sigaction){.sa_sigaction = note, .sa_flags = SA_SIGINFO}, NULL);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 77};
    CHECK_OK(mq_notify(queue, &event));
    CHECK_ERR(mq_notify(queue, &event), EBUSY);
    CHECK_EXITED(CHILD_STATUS(CHECK_ERR(mq_notify(queue, &event), EBUSY)), 0);
    pid_t pid = CHILD(CHECK_OK(mq_send(queue, "x", 1, 0)));
    CHECK_EXITED(status_of(pid), 0);
    CHECK_EQ(came, 1);
    CHECK(seen.si_code == SI_MESGQ && seen.si_value.sival_int == 77 && seen.si_pid == pid);
    CHECK_OK(mq_send(queue, "y", 1, 0));
    CHECK_EQ(came, 1); /* once */
    CHECK_OK(mq_notify(queue, &event));
    CHECK_OK(mq_send(queue, "z", 1, 0));
    CHECK_EQ(came, 1); /* it was not empty */
    while (strcmp(receive(queue), "none")) continue;
    CHECK_OK(mq_send(queue, "z", 1, 0));
    CHECK_EQ(came, 2);
    receive(queue);
    /* Taken back, by hand and by closing. */
    CHECK_OK(mq_notify(queue, &event));
    CHECK_OK(mq_notify(queue, NULL));
    CHECK_OK(mq_send(queue, "z", 1, 0));
    receive(queue);
    CHECK_OK(mq_notify(queue, &event));
    CHECK_OK(mq_close(other));
    CHECK_OK(mq_send(queue, "z", 1, 0));
    CHECK_EQ(came, 2);
    receive(queue);
    CHECK_OK(mq_notify(queue, &event)); /* nobody stands in the way */
    event.sigev_signo = 99;
    CHECK_ERR(mq_notify(queue, &event), EINVAL);
    CHECK_ERR(mq_notify(0, NULL), EBADF);
    CHECK_ERR(syscall(SYS_mq_notify, queue, UNMAPPED_ADDRESS), EFAULT);
    CHECK_OK(mq_unlink(name()));
}

static void names_and_rights(void)
{
    struct mq_attr attr = {.mq_maxmsg = 2, .mq_msgsize = 8}, bad = {.mq_maxmsg = 0, .mq_msgsize = 8};
    char long_name[300] = "/";
    memset(long_name + 1, 'x', 256);
    CHECK_ERR(mq_open(name(), O_RDWR), ENOENT);
    CHECK_ERR(mq_open("noslash", O_RDWR), EINVAL);
    CHECK_ERR(mq_open("/", O_RDWR), ENOENT);
    CHECK_ERR(mq_open("/a/b", O_CREAT | O_RDWR, 0600, NULL), EACCES);
    CHECK_ERR(mq_open(long_name, O_RDWR), ENAMETOOLONG);
    CHECK_ERR(mq_open(name(), O_CREAT | O_RDWR, 0600, &bad), EINVAL);
    bad = (struct mq_attr){.mq_maxmsg = 2, .mq_msgsize = -1};
    CHECK_ERR(mq_open(name(), O_CREAT | O_RDWR, 0600, &bad), EINVAL);
    bad = (struct mq_attr){.mq_maxmsg = 1 << 20, .mq_msgsize = 1};
    CHECK_ERR(mq_open(name(), O_CREAT | O_RDWR, 0600, &bad), EINVAL);
    mqd_t queue = mq_open(name(), O_CREAT | O_WRONLY, 0602, &attr);
    REQUIRE(queue >= 0);
    CHECK_OK(fchmod(queue, 0602)); /* the mask took that away */
    CHECK_ERR(mq_open(name(), O_CREAT | O_EXCL | O_RDWR, 0600, &attr), EEXIST);
    mqd_t again = mq_open(name(), O_CREAT | O_RDONLY, 0600, &bad); /* what it is to be does not matter any more */
    CHECK(again >= 0);
    char buffer[8];
    CHECK_ERR(mq_receive(queue, buffer, 8, NULL), EBADF);
    CHECK_ERR(mq_send(again, "x", 1, 0), EBADF);
    CHECK_ERR(mq_send(777, "x", 1, 0), EBADF);
    CHECK_ERR(mq_send(0, "x", 1, 0), EBADF);
    CHECK_ERR(mq_send(queue, "123456789", 9, 0), EMSGSIZE);
    CHECK_ERR(mq_send(queue, "x", 1, 32768), EINVAL);
    CHECK_ERR(mq_receive(again, buffer, 7, NULL), EMSGSIZE);
    CHECK_ERR(mq_timedsend(queue, "x", 1, 0, &(struct timespec){0, 1000000000}), EINVAL);
    CHECK_ERR(mq_timedsend(queue, "x", 1, 0, &(struct timespec){-1, 0}), EINVAL);
    CHECK_ERR(mq_send(queue, UNMAPPED_ADDRESS, 1, 0), EFAULT);
    CHECK_OK(mq_send(queue, "x", 1, 0));
    CHECK_ERR(mq_receive(again, UNMAPPED_ADDRESS, 8, NULL), EFAULT);
    CHECK_ERR(mq_getattr(0, &attr), EBADF);
    struct mq_attr flags = {.mq_flags = O_NONBLOCK | O_APPEND}, old;
    CHECK_ERR(mq_setattr(queue, &flags, NULL), EINVAL);
    flags.mq_flags = O_NONBLOCK;
    CHECK_OK(mq_setattr(queue, &flags, &old));
    CHECK_EQ(old.mq_flags, 0);
    CHECK_EQ(fcntl(queue, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    CHECK_EXITED(CHILD_STATUS({
        CHECK_OK(setgid(1234));
        CHECK_OK(setuid(1234));
        CHECK_ERR(mq_open(name(), O_RDONLY), EACCES);
        CHECK_ERR(mq_open(name(), O_RDWR), EACCES);
        CHECK(mq_open(name(), O_WRONLY) >= 0);
        CHECK_ERR(mq_unlink(name()), EACCES);
        attr.mq_maxmsg = 11; /* more than /proc/sys/fs/mqueue/msg_max */
        CHECK_ERR(mq_open("/nacre-too-many", O_CREAT | O_RDWR, 0600, &attr), EINVAL);
        attr.mq_maxmsg = 2;
        attr.mq_msgsize = 8193;
        CHECK_ERR(mq_open("/nacre-too-many", O_CREAT | O_RDWR, 0600, &attr), EINVAL);
        CHECK_OK(setrlimit(RLIMIT_MSGQUEUE, &(struct rlimit){1000, 1000}));
        attr.mq_msgsize = 8000;
        CHECK_ERR(mq_open("/nacre-too-many", O_CREAT | O_RDWR, 0600, &attr), EMFILE);
    }), 0);
    CHECK_OK(mq_unlink(name()));
}

static void the_file_system(void)
{
    CHECK_OK(mkdir("m", 0755));
    if (mount("none", "m", "mqueue", 0, NULL) != 0) return; /* a container */
    mqd_t queue = make(2, 8, 0);
    CHECK_OK(mq_send(queue, "abc", 3, 0));
    char path[80], text[100] = "";
    snprintf(path, sizeof path, "m%s", name());
    int file = open(path, O_RDONLY);
    REQUIRE(file >= 0);
    CHECK(read(file, text, sizeof text) > 50);
    CHECK(!strcmp(text, "QSIZE:3          NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n"));
    struct stat facts;
    CHECK_OK(fstat(queue, &facts));
    CHECK(S_ISREG(facts.st_mode) && (facts.st_mode & 0777) == 0600 && facts.st_size == 80);
    int found = 0;
    DIR *folder = opendir("m");
    REQUIRE(folder != NULL);
    for (struct dirent *entry; (entry = readdir(folder));) found += !strcmp(entry->d_name, name() + 1);
    closedir(folder);
    CHECK_EQ(found, 1);
    CHECK_OK(unlink(path));
    CHECK_ERR(mq_unlink(name()), ENOENT);
    close(file);
    CHECK_OK(umount("m"));
}

static void shared_memory_by_name(void)
{
    shm_unlink(name());
    int file = shm_open(name(), O_CREAT | O_EXCL | O_RDWR, 0600);
    REQUIRE(file >= 0);
    CHECK_ERR(shm_open(name(), O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
    CHECK_OK(ftruncate(file, 2 * PAGE));
    char *one = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    REQUIRE(one != MAP_FAILED);
    strcpy(one + PAGE, "by name");
    CHECK_EXITED(CHILD_STATUS({
        int own = shm_open(name(), O_RDONLY, 0);
        char *two = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, own, 0);
        CHECK(two != MAP_FAILED && !strcmp(two + PAGE, "by name"));
    }), 0);
    CHECK_OK(shm_unlink(name()));
    CHECK_ERR(shm_open(name(), O_RDWR, 0), ENOENT);
}

CASES(CASE(the_highest_priority_first), CASE(waiting), CASE(polling), CASE(being_told), CASE(names_and_rights), CASE(the_file_system),
      CASE(shared_memory_by_name))
