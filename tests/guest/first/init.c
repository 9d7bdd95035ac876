/* The first program of the tests: says hello and leaves. */
#include "raw.h"

void program(void) {
    say("init: hello from user mode\n");
    finish(0);
}
