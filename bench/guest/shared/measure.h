/*
 * What the rows share: the clock, batches, and how a row reports or fails.
 *
 * Time is CLOCK_MONOTONIC: under QEMU's -icount a nanosecond is an instruction.
 */
#ifndef MEASURE_H
#define MEASURE_H

typedef unsigned long u64;

enum { KIB = 1024, MIB = 1024 * KIB, PAGE = 4096 };

/* A row: `run` measures and prints, in a process of its own, which ends when it returns. */
struct row {
    const char *name;
    void (*run)(const char *name);
};

/* The row that is running, for messages. */
extern const char *row_name;

/* Nanoseconds since some moment. */
u64 now(void);

/* Measures what now() itself takes; to be called once, before any row runs. */
void calibrate(void);

/* Nanoseconds for a loop of twice as many instructions as `rounds`. */
u64 time_loop(u64 rounds);

/* Whether a nanosecond is an instruction. */
int is_counting(void);

/* The time since `start`, less what reading the clock takes. */
u64 since(u64 start);

/* Does something `rounds` times and returns how long that took. */
typedef u64 batch(u64 rounds);

/*
 * Thousandths of a nanosecond that one round takes: the median of several batches, after one that does not
 * count. A batch includes the timer interrupts that fall into it, as a program's life does.
 */
u64 measure(batch *run, u64 rounds);

/* The same, reported as `name`. */
void measure_row(const char *name, batch *run, u64 rounds);

/* Prints `ROW name value`; the value is in thousandths. */
void print_row(const char *name, u64 thousandths);

/* Prints `FAIL name why` and ends the process. */
__attribute__((noreturn)) void fail(const char *why);

/* Ends the row if `result` is negative, with the name of the call and errno; otherwise returns it. */
long check(const char *call, long result);

/* Ends the row unless `result`, what `call` came to, is `wanted`. */
void expect(const char *call, long result, long wanted);

/* Waits for the process `child` and ends the row if it did not end with status 0. */
void reap(long child);

/* A system call without libc's wrapper, which returns -errno. */
static inline long raw_call(long number, u64 first, u64 second, u64 third, u64 fourth)
{
    long result;
    register u64 r10 __asm__("r10") = fourth;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(first), "S"(second), "d"(third), "r"(r10)
                     : "rcx", "r11", "memory");
    return result;
}

#endif
