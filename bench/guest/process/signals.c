/* Signals: installing a handler, and getting there and back. */
#define _GNU_SOURCE
#include "measure.h"
#include "tables.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { KERNEL_SET_BYTES = 8, ROUNDS = 1000 };

/* As the kernel has it; libc's wrapper would copy. */
struct kernel_sigaction {
    void (*handler)(int);
    u64 flags;
    void (*restorer)(void);
    u64 mask;
};

static volatile u64 deliveries;

static void count_delivery(int number)
{
    (void)number;
    deliveries++;
}

static u64 install_batch(u64 rounds)
{
    struct kernel_sigaction action = { .handler = SIG_IGN };
    u64 start = now();

    while (rounds--)
        if (raw_call(SYS_rt_sigaction, SIGUSR1, (u64)&action, 0, KERNEL_SET_BYTES))
            fail("rt_sigaction failed");
    return since(start);
}

static void signal_install(const char *name)
{
    measure_row(name, install_batch, ROUNDS);
}

static u64 deliver_batch(u64 rounds)
{
    u64 pid = getpid(), expected = deliveries + rounds, start = now();

    while (rounds--)
        raw_call(SYS_kill, pid, SIGUSR1, 0, 0);
    u64 time = since(start);
    if (deliveries != expected)
        fail("a signal was not delivered");
    return time;
}

static void signal_deliver(const char *name)
{
    struct sigaction action = { .sa_handler = count_delivery };

    check("sigaction", sigaction(SIGUSR1, &action, NULL));
    measure_row(name, deliver_batch, ROUNDS);
}

enum { STORE_BYTES = 3 };

static void skip_store(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    deliveries++;
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] += STORE_BYTES;
}

static char *read_only;

static u64 protection_batch(u64 rounds)
{
    u64 expected = deliveries + rounds, start = now();

    while (rounds--)
        __asm__ volatile("movb $1, (%0)" : : "a"(read_only) : "memory"); /* c6 00 01 */
    u64 time = since(start);
    if (deliveries != expected)
        fail("a fault was not reported");
    return time;
}

static void fault_protection(const char *name)
{
    struct sigaction action = { .sa_sigaction = skip_store, .sa_flags = SA_SIGINFO };

    read_only = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (read_only == MAP_FAILED)
        check("mmap", -1);
    check("sigaction", sigaction(SIGSEGV, &action, NULL));
    measure_row(name, protection_batch, ROUNDS);
}

const struct row signal_rows[] = {
    { "signal-install", signal_install },
    { "signal-deliver", signal_deliver },
    { "fault-protection", fault_protection },
    { 0 },
};
