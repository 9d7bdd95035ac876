/* The benchmarks of files: on tmpfs, and on an ext2 disk. */
#include "place.h"
#include "rows.h"
#include "tables.h"

#include <stddef.h>

static const struct row *const tables[] = { path_rows, byte_rows, waiting_rows, disk_rows, tree_rows, NULL };

int main(int count, char **arguments)
{
    static const struct program program = {
        .tables = tables, .prepare_init = mount_disk, .row_seconds = 30,
    };

    (void)count;
    run_as_program(&program, arguments);
    return 0;
}
