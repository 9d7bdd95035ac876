/* The first program: says hello and leaves. Real init comes with the userland. */
#include "raw.h"

void program(void) {
    say("init: hello from user mode\n");
    finish(0);
}
