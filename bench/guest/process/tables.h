/* The tables of rows, each in a file of its own. */
#ifndef TABLES_H
#define TABLES_H

#include "measure.h"

extern const struct row call_rows[], process_rows[], switch_rows[], signal_rows[], memory_rows[], pipe_rows[],
    pty_rows[];

#endif
