/* Registers across system calls and interrupts: all but RAX, RCX and R11 survive, vectors too. */
#include "raw.h"

void program(void) {
    for (long round = 0; round < 2000; round++) {
        long kept = 1;
        double lane = (double)round + 0.5, back;
        register long r12 __asm__("r12") = round ^ 0x5555;
        register long r15 __asm__("r15") = ~round;
        __asm__ volatile("movsd %[in], %%xmm7\n mov $100000, %%eax\n syscall\n movsd %%xmm7, %[out]"
                         : [out] "=m"(back), "+r"(r12), "+r"(r15)
                         : [in] "m"(lane)
                         : "rax", "rcx", "r11", "xmm7", "memory");
        kept &= back == lane && r12 == (round ^ 0x5555) && r15 == ~round;
        expect(kept, "registers survive a system call");
    }
    /* Long enough for timer interrupts to come in between. */
    double sum = 0;
    for (long i = 1; i < 20000000; i++) sum += 1.0 / (double)i;
    expect(sum > 17.3 && sum < 17.4, "floating point survives interrupts");
    /* Direction and alignment-check flags set, through interrupts and a system call: they are the program's, and the
       kernel must not run with them. */
    unsigned long flags;
    __asm__ volatile("pushf\n orq $0x40400, (%%rsp)\n popf\n mov $50000000, %%ebx\n 1: dec %%ebx\n jnz 1b\n"
                     "mov $100000, %%eax\n syscall\n pushf\n pop %0\n cld\n"
                     "pushf\n andq $~0x40000, (%%rsp)\n popf"
                     : "=r"(flags)
                     :
                     : "rax", "rbx", "rcx", "r11", "cc", "memory");
    expect((flags & 0x40400) == 0x40400, "flags survive interrupts and a system call");
    say("registers: ok\n");
    finish(0);
}
