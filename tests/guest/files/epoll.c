/* epoll(7): levels, edges, one shot, nesting, and what eventfd(2) and pipes report. */
#include "check.h"

#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static int instance(void)
{
    int events = epoll_create1(EPOLL_CLOEXEC);
    NEED(events >= 0);
    return events;
}

static int control(int events, int operation, int file, unsigned wanted)
{
    struct epoll_event event = {wanted, {.u64 = (uint64_t)file}};
    return epoll_ctl(events, operation, file, &event);
}

static int add(int events, int file, unsigned wanted) { return control(events, EPOLL_CTL_ADD, file, wanted); }

/* The events that are there now of the one file that is watched; 0 for none. */
static unsigned now(int events)
{
    struct epoll_event got[4];
    int count = epoll_wait(events, got, 4, 0);
    if (count < 0) return 0xffffffff;
    return count == 0 ? 0 : got[0].events;
}

static void new_pipe(int *ends)
{
    NEED(pipe2(ends, O_NONBLOCK) == 0);
}

static void put(int file, const char *text) { NEED(write(file, text, strlen(text)) == (ssize_t)strlen(text)); }

static void get(int file, size_t count)
{
    char bytes[1 << 16];
    NEED(read(file, bytes, count) == (ssize_t)count);
}

static void levels(void)
{
    int events = instance(), ends[2];
    new_pipe(ends);
    CHECK_OK(add(events, ends[0], EPOLLIN));
    CHECK_EQ(now(events), 0);
    put(ends[1], "ab");
    CHECK_EQ(now(events), EPOLLIN);
    CHECK_EQ(now(events), EPOLLIN); /* as long as it is so */
    get(ends[0], 1);
    CHECK_EQ(now(events), EPOLLIN);
    get(ends[0], 1);
    CHECK_EQ(now(events), 0);
    put(ends[1], "c");
    CHECK_OK(control(events, EPOLL_CTL_MOD, ends[0], 0));
    CHECK_EQ(now(events), 0);
    CHECK_OK(control(events, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLRDNORM));
    CHECK_EQ(now(events), EPOLLIN | EPOLLRDNORM);
    close(ends[1]);
    CHECK_EQ(now(events), EPOLLIN | EPOLLRDNORM | EPOLLHUP); /* asked for or not */
    CHECK_OK(control(events, EPOLL_CTL_DEL, ends[0], 0));
    CHECK_EQ(now(events), 0);
}

static void edges_of_a_pipe(void)
{
    int events = instance(), ends[2];
    new_pipe(ends);
    CHECK_OK(add(events, ends[0], EPOLLIN | EPOLLET));
    put(ends[1], "ab");
    CHECK_EQ(now(events), EPOLLIN);
    CHECK_EQ(now(events), 0);
    get(ends[0], 1);
    CHECK_EQ(now(events), 0); /* taking some is no news */
    put(ends[1], "c");
    CHECK_EQ(now(events), EPOLLIN); /* more is, though it was not empty */
    put(ends[1], "d");
    put(ends[1], "e");
    CHECK_EQ(now(events), EPOLLIN); /* once for both */
    CHECK_EQ(now(events), 0);
    get(ends[0], 4);
    CHECK_EQ(now(events), 0);
    put(ends[1], "f");
    get(ends[0], 1);
    CHECK_EQ(now(events), 0); /* gone before anybody looked */
    put(ends[1], "g");
    CHECK_EQ(now(events), EPOLLIN);
    CHECK_OK(control(events, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLET));
    CHECK_EQ(now(events), EPOLLIN); /* asking anew tells anew */
    CHECK_EQ(now(events), 0);
    close(ends[1]);
    CHECK_EQ(now(events), EPOLLIN | EPOLLHUP);
    CHECK_EQ(now(events), 0);
    /* Added when it is ready already. */
    new_pipe(ends);
    put(ends[1], "x");
    CHECK_OK(add(events, ends[0], EPOLLIN | EPOLLET));
    CHECK_EQ(now(events), EPOLLIN);
    CHECK_EQ(now(events), 0);
}

static void edges_of_room(void)
{
    static char much[1 << 16];
    int events = instance(), ends[2];
    new_pipe(ends);
    CHECK_OK(add(events, ends[1], EPOLLOUT | EPOLLET));
    CHECK_EQ(now(events), EPOLLOUT);
    CHECK_EQ(now(events), 0);
    CHECK_EQ(write(ends[1], much, sizeof much), sizeof much);
    CHECK_EQ(now(events), 0);
    get(ends[0], 100);
    CHECK_EQ(now(events), 0); /* not a page yet */
    get(ends[0], PAGE);
    CHECK_EQ(now(events), EPOLLOUT);
    get(ends[0], PAGE);
    CHECK_EQ(now(events), 0); /* it was not full */
    close(ends[0]);
    CHECK_EQ(now(events), EPOLLOUT | EPOLLERR);
}

static void edges_of_an_eventfd(void)
{
    uint64_t count;
    int events = instance(), file = eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE);
    CHECK_OK(add(events, file, EPOLLIN | EPOLLET));
    CHECK_OK(eventfd_write(file, 3));
    CHECK_EQ(now(events), EPOLLIN);
    CHECK_EQ(now(events), 0);
    CHECK_OK(eventfd_read(file, &count));
    CHECK_EQ(now(events), 0); /* taking is no news */
    CHECK_OK(eventfd_write(file, 1));
    CHECK_EQ(now(events), EPOLLIN);
    CHECK_EQ(now(events), 0);
    int other = instance();
    CHECK_OK(add(other, file, EPOLLIN | EPOLLOUT | EPOLLET));
    CHECK_EQ(now(other), EPOLLIN | EPOLLOUT);
    CHECK_EQ(now(other), 0);
    CHECK_OK(eventfd_write(file, 1));
    CHECK_EQ(now(other), EPOLLIN | EPOLLOUT); /* all that is true is told */
}

static void one_shot(void)
{
    int events = instance(), ends[2];
    new_pipe(ends);
    CHECK_OK(add(events, ends[0], EPOLLIN | EPOLLONESHOT));
    put(ends[1], "a");
    CHECK_EQ(now(events), EPOLLIN);
    put(ends[1], "b");
    CHECK_EQ(now(events), 0);
    close(ends[1]);
    CHECK_EQ(now(events), 0); /* not even that */
    CHECK_OK(control(events, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLONESHOT));
    CHECK_EQ(now(events), EPOLLIN | EPOLLHUP);
    CHECK_EQ(now(events), 0);
}

static void exclusive(void)
{
    int events = instance(), ends[2];
    new_pipe(ends);
    CHECK_ERR(add(events, ends[0], EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT), EINVAL);
    CHECK_ERR(add(events, ends[0], EPOLLPRI | EPOLLEXCLUSIVE), EINVAL);
    CHECK_OK(add(events, ends[0], EPOLLIN | EPOLLEXCLUSIVE));
    CHECK_ERR(control(events, EPOLL_CTL_MOD, ends[0], EPOLLIN), EINVAL);
    put(ends[1], "a");
    CHECK_EQ(now(events), EPOLLIN);
    CHECK_OK(control(events, EPOLL_CTL_DEL, ends[0], 0));
    CHECK_OK(add(events, ends[0], EPOLLIN));
    CHECK_ERR(control(events, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLEXCLUSIVE), EINVAL);
    CHECK_ERR(add(events, instance(), EPOLLIN | EPOLLEXCLUSIVE), EINVAL);
}

static void closing(void)
{
    int events = instance(), ends[2];
    new_pipe(ends);
    put(ends[1], "a");
    CHECK_OK(add(events, ends[0], EPOLLIN));
    int copy = dup(ends[0]);
    close(ends[0]);
    CHECK_EQ(now(events), EPOLLIN); /* the open file lives on */
    CHECK_ERR(control(events, EPOLL_CTL_DEL, ends[0], 0), EBADF);
    CHECK_OK(add(events, copy, EPOLLIN)); /* another number is another watch */
    struct epoll_event got[4];
    CHECK_EQ(epoll_wait(events, got, 4, 0), 2);
    close(copy);
    CHECK_EQ(now(events), 0);
}

static void nesting(void)
{
    int inner = instance(), outer = instance(), ends[2];
    new_pipe(ends);
    CHECK_OK(add(inner, ends[0], EPOLLIN));
    CHECK_OK(add(outer, inner, EPOLLIN));
    CHECK_EQ(now(outer), 0);
    put(ends[1], "a");
    CHECK_EQ(now(outer), EPOLLIN);
    struct pollfd poller = {inner, POLLIN, 0};
    CHECK(poll(&poller, 1, 0) == 1 && poller.revents == POLLIN);
    CHECK_EQ(now(inner), EPOLLIN);
    get(ends[0], 1);
    CHECK_EQ(now(outer), 0);
    CHECK_ERR(add(inner, outer, EPOLLIN), ELOOP);
    CHECK_ERR(add(inner, inner, EPOLLIN), EINVAL);
    pid_t pid = CHILD(sleep_ms(20); put(ends[1], "b"));
    struct epoll_event got;
    CHECK_EQ(epoll_wait(outer, &got, 1, 20000), 1);
    CHECK_EXITED(status_of(pid), 0);
    /* A chain may be so long and no longer. */
    int chain[8], most = 0;
    for (int i = 0; i < 8; i++) chain[i] = instance();
    for (int i = 1; i < 8; i++) {
        if (add(chain[i], chain[i - 1], EPOLLIN) != 0) break;
        most = i;
    }
    CHECK_ERR(add(chain[most + 1], chain[most], EPOLLIN), ELOOP);
    CHECK_EQ(most, 4);
}

static void waiting(void)
{
    int events = instance(), ends[2];
    struct epoll_event got[2];
    new_pipe(ends);
    long long before = now_ns();
    CHECK_EQ(epoll_wait(events, got, 2, 20), 0);
    CHECK(now_ns() - before >= 20000000);
    before = now_ns();
    CHECK_EQ(syscall(SYS_epoll_pwait2, events, got, 2, &(struct timespec){0, 3000000}, NULL, 8), 0);
    CHECK(now_ns() - before >= 3000000);
    pid_t pid = CHILD(sleep_ms(20); put(ends[1], "a"));
    CHECK_OK(add(events, ends[0], EPOLLIN));
    CHECK_EQ(epoll_wait(events, got, 2, -1), 1);
    CHECK_EQ(got[0].data.u64, ends[0]);
    CHECK_EXITED(status_of(pid), 0);
    get(ends[0], 1);
    /* What is added while somebody waits counts. */
    int other[2];
    new_pipe(other);
    put(other[1], "x");
    pid = CHILD(CHECK_EQ(epoll_wait(events, got, 2, 20000), 1); CHECK_EQ(got[0].data.u64, other[0]));
    wait_for_state(pid, 'S');
    CHECK_OK(add(events, other[0], EPOLLIN));
    CHECK_EXITED(status_of(pid), 0);
    /* Each has its turn. */
    put(ends[1], "y");
    bool seen[2] = {false, false};
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(epoll_wait(events, got, 1, 0), 1);
        seen[got[0].data.u64 == (uint64_t)other[0]] = true;
    }
    CHECK(seen[0] && seen[1]);
}

static void errors(void)
{
    int events = instance(), ends[2], null = open("/dev/null", O_RDWR), folder = open(".", O_RDONLY);
    int file = open("f", O_CREAT | O_RDWR, 0600);
    struct epoll_event got;
    new_pipe(ends);
    CHECK_ERR(epoll_create(0), EINVAL);
    CHECK_ERR(epoll_create1(1), EINVAL);
    CHECK_ERR(add(events, file, EPOLLIN), EPERM);
    CHECK_ERR(add(events, folder, EPOLLIN), EPERM);
    CHECK_ERR(add(events, 777, EPOLLIN), EBADF);
    CHECK_ERR(add(777, ends[0], EPOLLIN), EBADF);
    CHECK_ERR(add(null, ends[0], EPOLLIN), EINVAL);
    CHECK_ERR(control(events, EPOLL_CTL_MOD, ends[0], EPOLLIN), ENOENT);
    CHECK_ERR(control(events, EPOLL_CTL_DEL, ends[0], 0), ENOENT);
    CHECK_ERR(control(events, 9, ends[0], 0), EINVAL);
    CHECK_OK(add(events, ends[0], EPOLLIN));
    CHECK_ERR(add(events, ends[0], EPOLLIN), EEXIST);
    CHECK_ERR(epoll_ctl(events, EPOLL_CTL_MOD, ends[0], UNMAPPED_ADDRESS), EFAULT);
    CHECK_OK(epoll_ctl(events, EPOLL_CTL_DEL, ends[0], NULL));
    CHECK_ERR(epoll_wait(events, &got, 0, 0), EINVAL);
    CHECK_ERR(epoll_wait(events, &got, -1, 0), EINVAL);
    CHECK_ERR(epoll_wait(events, &got, INT_MAX, 0), EINVAL);
    CHECK_ERR(epoll_wait(null, &got, 1, 0), EINVAL);
    CHECK_ERR(epoll_wait(777, &got, 1, 0), EBADF);
    CHECK_ERR(epoll_wait(events, KERNEL_ADDRESS, 1, 0), EFAULT);
    put(ends[1], "a");
    CHECK_OK(add(events, ends[0], EPOLLIN));
    CHECK_ERR(epoll_wait(events, UNMAPPED_ADDRESS, 1, 0), EFAULT);
    CHECK_EQ(now(events), EPOLLIN); /* and nothing is lost */
    CHECK_ERR(syscall(SYS_epoll_pwait2, events, &got, 1, &(struct timespec){0, 1000000000}, NULL, 8), EINVAL);
    CHECK_ERR(syscall(SYS_epoll_pwait, events, &got, 1, 0, UNMAPPED_ADDRESS, 8), EFAULT);
    CHECK_ERR(syscall(SYS_epoll_pwait, events, &got, 1, 0, &got, 4), EINVAL);
    char path[40], text[60] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", events);
    CHECK(readlink(path, text, sizeof text - 1) > 0);
    CHECK(!strcmp(text, "anon_inode:[eventpoll]"));
}

static void eventfds(void)
{
    uint64_t value;
    int file = eventfd(5, EFD_NONBLOCK), one = eventfd(2, EFD_NONBLOCK | EFD_SEMAPHORE | EFD_CLOEXEC);
    CHECK(eventfd_read(file, &value) == 0 && value == 5);
    CHECK_ERR(eventfd_read(file, &value), EAGAIN);
    CHECK(eventfd_read(one, &value) == 0 && value == 1);
    CHECK(eventfd_read(one, &value) == 0 && value == 1);
    CHECK_ERR(eventfd_read(one, &value), EAGAIN);
    CHECK_EQ(fcntl(one, F_GETFD), FD_CLOEXEC);
    CHECK_OK(eventfd_write(file, UINT64_MAX - 1));
    CHECK_ERR(eventfd_write(file, 1), EAGAIN);
    struct pollfd poller = {file, POLLIN | POLLOUT, 0};
    CHECK(poll(&poller, 1, 0) == 1 && poller.revents == POLLIN);
    CHECK_OK(eventfd_write(file, 0));
    value = UINT64_MAX;
    CHECK_ERR(write(file, &value, 8), EINVAL);
    CHECK_ERR(write(file, &value, 7), EINVAL);
    CHECK_ERR(read(file, &value, 7), EINVAL);
    CHECK_ERR(write(file, UNMAPPED_ADDRESS, 8), EFAULT);
    CHECK_ERR(eventfd(0, 4), EINVAL);
    CHECK(eventfd_read(file, &value) == 0 && value == UINT64_MAX - 1);
    CHECK_OK(fcntl(file, F_SETFL, 0));
    pid_t pid = CHILD(sleep_ms(10); eventfd_write(file, 7));
    CHECK(eventfd_read(file, &value) == 0 && value == 7);
    CHECK_EXITED(status_of(pid), 0);
    CHECK_OK(eventfd_write(file, UINT64_MAX - 1));
    pid = CHILD(CHECK_OK(eventfd_write(file, 9)));
    wait_for_state(pid, 'S');
    CHECK(eventfd_read(file, &value) == 0 && value == UINT64_MAX - 1);
    CHECK_EXITED(status_of(pid), 0);
    CHECK(eventfd_read(file, &value) == 0 && value == 9);
}

CASES(CASE(levels), CASE(edges_of_a_pipe), CASE(edges_of_room), CASE(edges_of_an_eventfd), CASE(one_shot), CASE(exclusive), CASE(closing),
      CASE(nesting), CASE(waiting), CASE(errors), CASE(eventfds))
