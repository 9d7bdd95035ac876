//! The kernel's command line in Linux's language.
//!
//! Words are split as `next_arg` of Linux's lib/cmdline.c does it; which words mean what follows
//! Documentation/admin-guide/kernel-parameters.rst, and what becomes of the others follows
//! `unknown_bootoption` of init/main.c. Nothing is copied: all results borrow from the line. The boot code is
//! the only caller.
//!
//! In dependency order:
//! - [`mod@words`]: splitting the line.
//! - [`mod@settings`]: the meaning of each word.
//! - [`options`]: all settings together, and what init gets.

pub mod words;

pub mod settings;

pub mod options;

pub use options::{BootOptions, Remark, init_arguments, init_environment, remarks};
pub use settings::{Console, Mitigations, RootAccess, Setting, settings};
pub use words::{Word, words};
