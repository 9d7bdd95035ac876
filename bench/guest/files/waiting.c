/* Waiting for many descriptors, of which the last is ready. */
#define _GNU_SOURCE
#include "tables.h"

#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <unistd.h>

enum { ROUNDS = 1000, MANY = 500, FEW = 10 };

static int files[MANY], count, instance;

static void make_files(int wanted)
{
    count = wanted;
    for (int i = 0; i < count; i++)
        files[i] = check("eventfd", eventfd(i == count - 1, EFD_NONBLOCK));
}

static u64 select_batch(u64 rounds)
{
    fd_set all, ready;
    int last = files[count - 1];
    struct timeval none = { 0 };

    FD_ZERO(&all);
    for (int i = 0; i < count; i++)
        FD_SET(files[i], &all);
    u64 start = now();
    while (rounds--) {
        ready = all;
        expect("select", select(last + 1, &ready, NULL, NULL, &none), 1);
    }
    return since(start);
}

static u64 poll_batch(u64 rounds)
{
    struct pollfd all[MANY];

    for (int i = 0; i < count; i++)
        all[i] = (struct pollfd){ .fd = files[i], .events = POLLIN };
    u64 start = now();
    while (rounds--)
        expect("poll", poll(all, count, 0), 1);
    return since(start);
}

static u64 epoll_batch(u64 rounds)
{
    struct epoll_event ready[8];
    u64 start = now();

    while (rounds--)
        expect("epoll_wait", epoll_wait(instance, ready, 8, 0), 1);
    return since(start);
}

static void measure_epoll(const char *name, int wanted)
{
    make_files(wanted);
    instance = check("epoll_create1", epoll_create1(0));
    for (int i = 0; i < count; i++) {
        struct epoll_event event = { .events = EPOLLIN, .data.fd = files[i] };
        check("epoll_ctl", epoll_ctl(instance, EPOLL_CTL_ADD, files[i], &event));
    }
    measure_row(name, epoll_batch, ROUNDS);
}

static void select_few(const char *name)
{
    make_files(FEW);
    measure_row(name, select_batch, ROUNDS);
}

static void select_many(const char *name)
{
    make_files(MANY);
    measure_row(name, select_batch, ROUNDS);
}

static void poll_few(const char *name)
{
    make_files(FEW);
    measure_row(name, poll_batch, ROUNDS);
}

static void poll_many(const char *name)
{
    make_files(MANY);
    measure_row(name, poll_batch, ROUNDS);
}

static void epoll_few(const char *name)
{
    measure_epoll(name, FEW);
}

static void epoll_many(const char *name)
{
    measure_epoll(name, MANY);
}

const struct row waiting_rows[] = {
    { "select-10", select_few }, { "select-500", select_many }, { "poll-10", poll_few },
    { "poll-500", poll_many },   { "epoll-10", epoll_few },     { "epoll-500", epoll_many },
    { 0 },
};
