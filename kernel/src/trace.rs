//! The trace of system calls: a line each, with arguments and result, in the kernel log.
//!
//! On for every process with the boot word `trace`, or for one by writing 1 to `/proc/PID/trace`.

use alloc::string::String;
use core::fmt::Write;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::{Errno, Result};

use crate::process::Cx;

static EVERYBODY: AtomicBool = AtomicBool::new(false);

/// Traces every process.
pub(crate) fn trace_all() {
    EVERYBODY.store(true, Ordering::Relaxed);
}

/// Whether calls of the running task are traced.
#[inline]
pub(crate) fn is_on(cx: &Cx) -> bool {
    EVERYBODY.load(Ordering::Relaxed) || cx.process().is_traced.load(Ordering::Relaxed)
}

/// One line.
pub(crate) struct Line {
    text: String,
    has_argument: bool,
}

impl Line {
    /// Starts with who calls.
    pub(crate) fn begin(cx: &Cx) -> Self {
        let mut text = String::new();
        let name = cx.task.name();
        let _ = write!(text, "trace: {} {}: ", name.as_str(), cx.task.tid());
        Line { text, has_argument: false }
    }

    /// The call's name.
    pub(crate) fn name(&mut self, name: &str) {
        self.text.push_str(&name.to_ascii_lowercase());
        self.text.push('(');
    }

    /// Where the next argument goes.
    pub(crate) fn argument(&mut self) -> &mut dyn Write {
        if core::mem::replace(&mut self.has_argument, true) {
            self.text.push_str(", ");
        }
        &mut self.text
    }

    /// A call that is not in the table.
    pub(crate) fn unknown(&mut self, number: usize, arguments: [u64; 6]) {
        let _ = write!(self.text, "call_{number}({arguments:x?}");
    }

    /// Prints the line with the result.
    pub(crate) fn end(mut self, result: Result<u64>) {
        let _ = match result {
            Ok(value) if value > u64::from(u32::MAX) => write!(self.text, ") = {value:#x}"),
            Ok(value) => write!(self.text, ") = {value}"),
            Err(error) if error.is_restart() => write!(self.text, ") = ? (interrupted)"),
            Err(Errno::ENOSYS) => write!(self.text, ") = ENOSYS (not implemented)"),
            Err(error) => write!(self.text, ") = {error:?} ({error})"),
        };
        nucleus::info!("{}", self.text);
    }
}
