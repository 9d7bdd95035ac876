/*
 * A benchmark program: the same static binary is /init on Linux and on Nacre.
 *
 * Prints `ROW name value` for each row, nanoseconds an operation (instructions, under QEMU's -icount), or
 * `FAIL name why`; then `bench: end done 0`, and powers off. Each row runs in a process of its own, with an
 * alarm, so that one which crashes or hangs takes no other with it. On a normal system it runs as any program
 * does; arguments choose rows.
 */
#ifndef ROWS_H
#define ROWS_H

#include "measure.h"

struct program {
    /* Tables of rows, the last a null pointer. Each ends in a row without a name. */
    const struct row *const *tables;
    /* What process 1 does when /proc and /tmp are mounted; may be null. */
    void (*prepare_init)(void);
    /* A row that takes longer is ended. */
    unsigned row_seconds;
};

/* All that main() does. */
void run_as_program(const struct program *program, char **arguments);

#endif
