//! Limits on what execve(2) takes.
//!
//! From `linux/limits.h` and `linux/binfmts.h`.

use crate::constants::constants;

constants! { usize;
    ARG_MAX = 131_072, "What arguments and environment may always take, however small the stack.";
    MAX_ARG_STRLEN = 131_072, "Bytes of one argument, with its NUL.";
    BINPRM_BUF_SIZE = 256, "Bytes at the start of a program that say what it is.";
}
