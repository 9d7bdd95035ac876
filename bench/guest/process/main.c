/* The benchmarks of processes. */
#include "rows.h"
#include "tables.h"

#include <stddef.h>

static const struct row *const tables[] = {
    call_rows, process_rows, switch_rows, signal_rows, memory_rows, pipe_rows, pty_rows, NULL,
};

int main(int count, char **arguments)
{
    static const struct program program = { .tables = tables, .row_seconds = 10 };

    (void)count;
    run_as_program(&program, arguments);
    return 0;
}
