//! Limits on names and arguments.
//!
//! From `linux/limits.h` and `linux/binfmts.h`.

use crate::constants::constants;

constants! { usize;
    PATH_MAX = 4096, "Bytes of a path, with its NUL.";
    NAME_MAX = 255, "Bytes of a name in a directory.";
    ARG_MAX = 131_072, "What arguments and environment may always take, however small the stack.";
    MAX_ARG_STRLEN = 131_072, "Bytes of one argument, with its NUL.";
    BINPRM_BUF_SIZE = 256, "Bytes at the start of a program that say what it is.";
}
