/* A program that sets the trap flag is ended by SIGTRAP, also when a system call is what it steps over. */
#include "raw.h"

void program(void) {
    say("step: about to set the trap flag\n");
    __asm__ volatile("mov $100000, %%eax\n pushf\n orq $0x100, (%%rsp)\n popf\n syscall\n nop"
                     :
                     :
                     : "rax", "rcx", "r11", "cc", "memory");
    say("step: still here\n");
    finish(0);
}
