/* A wild pointer ends the program, by SIGSEGV, and nothing else. */
#include "raw.h"

void program(void) {
    say("wild: about to write to address 16\n");
    volatile unsigned long wild = 16;
    *(volatile int *)wild = 1;
    say("wild: still here\n");
    finish(0);
}
