/* A privileged instruction ends the program, by SIGSEGV. */
#include "raw.h"

void program(void) {
    say("privileged: about to halt the CPU\n");
    __asm__ volatile("hlt");
    say("privileged: still here\n");
    finish(0);
}
