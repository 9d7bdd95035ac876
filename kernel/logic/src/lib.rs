//! Pure logic of the kernel: results follow from arguments.
//!
//! No statics, locks, clocks or I/O; callers bring memory, time and randomness. A module may use only
//! modules listed above it:
//! - [`addr`]: physical and virtual addresses, frame numbers, the page size.
//! - [`memmap`]: the firmware's memory map, sorted and made free of overlaps.
//! - [`buddy`]: frames of one zone in blocks of powers of two.
//! - [`zones`]: how RAM is divided into zones and in which order they are tried.
//! - [`frame_cache`]: the per-CPU list of single frames.
//! - [`slab`]: small objects cut from slabs, with per-CPU magazines.
//! - [`cpuset`]: sets of processors and their text form.
//! - `heap`: the indexed heap under `runq` and `timers`.
//! - [`runq`]: who runs next on a processor.
//! - [`timers`]: what is due when on a processor.
//! - [`interval`]: when a timer of a program is due, and how often it was.
//! - [`cpu_time`]: CPU time against its limits.
//! - [`cmdline`]: the kernel's command line in Linux's language.
//! - [`ranks`]: the order in which locks are taken.
//! - [`calibrate`]: counter frequencies and tick conversions.
//! - [`rate`]: a limit on repeated messages.
//! - [`ring`]: the kernel log.
//! - [`events`]: the last few events, for crash reports.
//! - [`symbols`]: functions and lines by address, for backtraces.
//! - [`cpio`]: reader of the initramfs's archive format.
//! - [`elf`]: what to map to run a program.
//! - [`calendar`]: dates and seconds.
//! - [`adjust`]: the quality of the clock, and changes to it.
//! - [`cred`]: who may do what.
//! - [`vma`]: the areas of a user address space.
//! - [`exec`]: scripts, arguments and the first stack of a program.
//! - [`signal`]: what is pending and what is done about it.
//! - [`fd_table`]: open files by number.
//! - [`read_ahead`]: which pages of a file to read early.
//! - [`locks`]: locks on bytes of a file.
//! - [`inotify`]: events that a watcher of files reads.
//! - [`sysv`]: System V semaphores, messages, numbers and permissions.
//! - [`mqueue`]: POSIX message queues.
//! - [`sparse`]: things by number where most numbers have nothing.
//! - [`pipe`]: the bytes between the ends of a pipe.
//! - [`random`]: random bytes from a seed.
//! - [`proc_text`]: the texts of `/proc`.
//! - [`tty`]: the terminal's line discipline.
//! - [`screen`]: the screen of a terminal.
//! - [`keymap`]: keys into bytes.
//! - [`elevator`]: what a disk does next.
//! - [`partition`]: partition tables.
//! - [`pci`]: configuration space.
//! - [`ata`]: what disks say of themselves.
//! - [`acpi`]: the firmware's tables of hardware.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(test)]
extern crate std;

pub mod addr;
pub mod memmap;

pub mod buddy;
pub mod zones;

pub mod calibrate;
pub mod cpu_time;
pub mod cpuset;
pub mod events;
pub mod frame_cache;
mod heap;
pub mod interval;
pub mod ranks;
pub mod rate;
pub mod ring;
pub mod runq;
pub mod slab;
pub mod symbols;
pub mod timers;

pub mod cmdline;
pub mod cpio;
pub mod elf;
pub mod calendar;
pub mod adjust;
pub mod cred;
pub mod vma;
pub mod exec;
pub mod signal;
pub mod fd_table;
pub mod read_ahead;
pub mod locks;
pub mod inotify;
pub mod sysv;
pub mod mqueue;
pub mod sparse;
pub mod pipe;
pub mod random;
pub mod proc_text;
pub mod tty;
pub mod screen;
pub mod keymap;

pub mod elevator;
pub mod partition;
pub mod pci;
pub mod ata;

pub mod acpi;
