/*
 * Where a row works, and a clock that leaves out waiting.
 *
 * The name of a row tells its file system: `…-ext2` is the disk, which is mounted on /disk, all else /tmp.
 */
#ifndef PLACE_H
#define PLACE_H

#include "measure.h"

/* Loads drivers from the archive and mounts the disk, where there is one; for process 1. */
void mount_disk(void);

/* Whether the row `name` is about the disk. */
int is_on_disk(const char *name);

/* Makes a new folder for the row `name` and enters it. */
void enter_folder(const char *name);

/* Makes a file of `bytes` bytes and returns it, open for reading and writing. */
int make_file(const char *path, u64 bytes);

/* All that was written is on the disk, and nothing of it in memory. */
void drop_caches(void);

/*
 * When QEMU counts instructions, the clock of a CPU with nothing to do jumps to the next timer, far beyond the
 * moment a disk answers. So a child of the lowest class keeps the CPU busy and counts its turns, which
 * work_since() takes off again: what remains is all that the CPU did, interrupts and kernel threads included.
 * By wall time there is no such child, and waiting counts.
 */
void keep_busy(void);
u64 work_now(void);
u64 work_since(u64 start);

#endif
