/*
 * The benchmark program: the same binary is /init on Linux and on Nacre.
 *
 * Prints a line `bench: NAME UNIT VALUE` for each operation, then `bench: end done 0`, and powers off.
 * bench/src/figures.rs reads the lines. Raw system calls and no libc, so nothing of the host's gets in, and
 * nothing runs before the first rdtsc. Time is rdtsc: under QEMU's -icount a tick is a nanosecond and an
 * instruction; without, a tick of the host's counter, which `clock` lets the runner convert.
 */

typedef unsigned long u64;

enum {
    SYS_WRITE = 1,
    SYS_GETPID = 39,
    SYS_SYSLOG = 103,
    SYS_GETPPID = 110,
    SYS_REBOOT = 169,
    SYS_EXIT_GROUP = 231,
    SYS_NONE = 1000, /* neither kernel implements it */
    ENOSYS = 38,
    SYSLOG_CONSOLE_OFF = 6,
};

/* An operation is timed in batches and the best batch counts, so a timer interrupt is in none that counts. */
enum { BATCHES = 200, CALLS = 1000 };

/* The length of the loop that proves what a tick is. */
enum { PROOF_INSTRUCTIONS = 10000 };

static long call3(long number, u64 first, u64 second, u64 third)
{
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(first), "S"(second), "d"(third)
                     : "rcx", "r8", "r9", "r10", "r11", "memory");
    return result;
}

static u64 ticks(void)
{
    u64 low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return high << 32 | low;
}

static char *append(char *end, const char *text)
{
    while (*text)
        *end++ = *text++;
    return end;
}

static void print(const char *name, const char *unit, u64 value)
{
    char line[128], digits[20];
    char *end = append(line, "bench: ");
    int count = 0;

    end = append(append(append(append(end, name), " "), unit), " ");
    do
        digits[count++] = '0' + value % 10;
    while (value /= 10);
    while (count)
        *end++ = digits[--count];
    *end++ = '\n';
    call3(SYS_WRITE, 1, (u64)line, end - line);
}

static u64 proof_loop(void)
{
    u64 rounds = PROOF_INSTRUCTIONS / 2, start = ticks();

    __asm__ volatile("1: decq %0\n\tjnz 1b" : "+r"(rounds) : : "cc");
    return ticks() - start;
}

/* All registers that a system call may read are set, so both kernels see the same. */
#define LOOP(body)                                                                                    \
    u64 rounds = CALLS, start = ticks();                                                              \
    __asm__ volatile("1: movq %1, %%rax\n\t" body "decq %0\n\tjnz 1b"                                 \
                     : "+b"(rounds)                                                                   \
                     : "r"(number), "D"(0UL), "S"(0UL), "d"(0UL)                                      \
                     : "rax", "rcx", "r8", "r9", "r10", "r11", "cc", "memory");                       \
    return ticks() - start

static u64 call_loop(u64 number)
{
    LOOP("syscall\n\t");
}

static u64 empty_loop(u64 number)
{
    LOOP("");
}

static u64 best(u64 (*loop)(u64), u64 number)
{
    u64 least = ~0UL;

    for (int batch = 0; batch < BATCHES; batch++) {
        u64 time = loop(number);
        if (time < least)
            least = time;
    }
    return least;
}

/* A system call without arguments and without effect. */
static void measure_call(const char *name, u64 number)
{
    if (number != SYS_NONE && call3(number, 0, 0, 0) == -ENOSYS) {
        print(name, "missing", 0);
        return;
    }
    u64 full = best(call_loop, number), empty = best(empty_loop, number);
    print(name, "ticks/1000", full > empty ? full - empty : 0);
}

static void power_off(void)
{
    /* Run by hand on a normal system, where it is not process 1, it must not switch the machine off. */
    if (call3(SYS_GETPID, 0, 0, 0) <= 1)
        call3(SYS_REBOOT, 0xfee1dead, 672274793, 0x4321fedc);
    for (;;)
        call3(SYS_EXIT_GROUP, 0, 0, 0);
}

static __attribute__((used)) void run(u64 first)
{
    u64 proof = ~0UL;

    /* Linux goes on logging, and a message would land in the middle of a line. */
    call3(SYS_SYSLOG, SYSLOG_CONSOLE_OFF, 0, 0);
    print("boot", "ticks", first);
    print("clock", "ticks", ticks());
    for (int again = 0; again < 10; again++) {
        u64 time = proof_loop();
        if (time < proof)
            proof = time;
    }
    print("proof-expected", "ticks", PROOF_INSTRUCTIONS);
    print("proof", "ticks", proof);

    measure_call("null-call", SYS_GETPPID);
    measure_call("enosys-call", SYS_NONE);

    print("clock", "ticks", ticks());
    print("end", "done", 0);
    power_off();
}

__asm__(".globl _start\n"
        "_start:\n\t"
        "rdtsc\n\t" /* the first user instruction */
        "shlq $32, %rdx\n\t"
        "leaq (%rdx, %rax), %rdi\n\t"
        "andq $-16, %rsp\n\t"
        "call run\n");
