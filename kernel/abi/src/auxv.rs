//! The auxiliary vector: what a new program is told besides its arguments.
//!
//! From `linux/auxvec.h` and `asm/auxvec.h` of Linux for x86-64.

use crate::constants::constants;

constants! { u64;
    AT_NULL = 0, "The end of the vector.";
    AT_IGNORE = 1, "To be skipped.";
    AT_EXECFD = 2, "A descriptor of the program.";
    AT_PHDR = 3, "Where its program headers are.";
    AT_PHENT = 4, "The size of one.";
    AT_PHNUM = 5, "How many there are.";
    AT_PAGESZ = 6, "The size of a page.";
    AT_BASE = 7, "Where the interpreter is.";
    AT_FLAGS = 8, "Flags: zero.";
    AT_ENTRY = 9, "Where the program starts.";
    AT_UID = 11, "The real user.";
    AT_EUID = 12, "The effective user.";
    AT_GID = 13, "The real group.";
    AT_EGID = 14, "The effective group.";
    AT_PLATFORM = 15, "Address of the processor's name.";
    AT_HWCAP = 16, "Processor features: EDX of CPUID leaf 1.";
    AT_CLKTCK = 17, "Ticks a second of times(2).";
    AT_SECURE = 23, "Whether privileges were gained.";
    AT_RANDOM = 25, "Address of 16 random bytes.";
    AT_HWCAP2 = 26, "More processor features.";
    AT_RSEQ_FEATURE_SIZE = 27, "The used size of `struct rseq`.";
    AT_RSEQ_ALIGN = 28, "The alignment of `struct rseq`.";
    AT_EXECFN = 31, "Address of the program's file name.";
    AT_SYSINFO_EHDR = 33, "Where the vDSO is.";
    AT_MINSIGSTKSZ = 51, "The least stack a signal takes.";
}
