/* The tables of rows, each in a file of its own. */
#ifndef TABLES_H
#define TABLES_H

#include "measure.h"

extern const struct row path_rows[], byte_rows[], disk_rows[], waiting_rows[], tree_rows[];

#endif
