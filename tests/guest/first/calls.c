/* System calls at the edges: unknown numbers, bad descriptors, bad pointers, lengths of nothing. */
#include "raw.h"

static const char text[] = "calls: written\n";

void program(void) {
    expect(raw3(SYS_WRITE, 1, text, sizeof text - 1) == sizeof text - 1, "write says how much it wrote");
    expect(raw3(100000, 0, 0, 0) == -ENOSYS, "an unknown call is ENOSYS");
    expect(raw3(-1, 0, 0, 0) == -ENOSYS, "call -1 is ENOSYS");
    expect(raw3(1L << 40 | 100000, 0, 0, 0) == -ENOSYS, "the upper half of the number is ignored");
    expect(raw3(SYS_WRITE, 77, text, 1) == -EBADF, "descriptor 77 is not open");
    expect(raw3(SYS_WRITE, -1, text, 1) == -EBADF, "descriptor -1 is not open");
    expect(raw3(SYS_WRITE, 1, 0, 1) == -EFAULT, "null cannot be read");
    expect(raw3(SYS_WRITE, 1, 0xffffffff80200000UL, 1) == -EFAULT, "kernel text cannot be read");
    expect(raw3(SYS_WRITE, 1, 0x8000000000000000UL, 1) == -EFAULT, "a non-canonical address cannot be read");
    expect(raw3(SYS_WRITE, 1, 0x7fffffffffffUL, 4096) == -EFAULT, "nor can the end of user memory");
    expect(raw3(SYS_GETPID, 0, 0, 0) > 0, "a program has a number");
    expect(raw3(SYS_GETPPID, 0, 0, 0) >= 0, "and so has its parent, or 0");
    say("calls: ok\n");
    finish(0);
}
