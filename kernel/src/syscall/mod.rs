//! The table of system calls: number, handler, how complete it is.
//!
//! One macro declares it and generates dispatch and names. Handlers get typed arguments (`FromArg`) and return
//! `Result`; the sign of an error flips here and nowhere else.

mod basic;

use abi::{Errno, Result, sysno};

use crate::process::Process;

/// What a handler gets besides its arguments.
pub(crate) struct Cx<'a> {
    pub(crate) process: &'a Process,
}

/// A type that a system call takes.
trait FromArg: Sized {
    fn from_arg(raw: u64) -> Result<Self>;
}

/// A file descriptor's number, as yet unchecked.
#[derive(Clone, Copy)]
struct Fd(i32);

impl FromArg for Fd {
    fn from_arg(raw: u64) -> Result<Self> {
        Ok(Fd(low_half(raw).cast_signed()))
    }
}

/// What Linux takes of a register for a 32-bit argument, whatever is above.
#[expect(clippy::cast_possible_truncation, reason = "the upper half is meant to go")]
const fn low_half(raw: u64) -> u32 {
    raw as u32
}

/// A range of user memory. Decoding touches nothing.
#[derive(Clone, Copy)]
struct UserAddress(u64);

impl FromArg for UserAddress {
    fn from_arg(raw: u64) -> Result<Self> {
        Ok(UserAddress(raw))
    }
}

impl FromArg for usize {
    fn from_arg(raw: u64) -> Result<Self> {
        usize::try_from(raw).map_err(|_| Errno::EINVAL)
    }
}

impl FromArg for i32 {
    fn from_arg(raw: u64) -> Result<Self> {
        Ok(low_half(raw).cast_signed())
    }
}

/// What a handler may return.
trait IntoResult {
    fn into_result(self) -> u64;
}

impl IntoResult for usize {
    fn into_result(self) -> u64 {
        self as u64
    }
}

impl IntoResult for () {
    fn into_result(self) -> u64 {
        0
    }
}

macro_rules! syscalls {
    ($($number:path = $module:ident :: $handler:ident ( $($argument:ty),* );)*) => {
        /// Runs the call `number`; the result as programs see it.
        #[inline]
        pub(crate) fn dispatch(process: &Process, number: u64, arguments: [u64; 6]) -> u64 {
            let cx = Cx { process };
            let result = match low_half(number) as usize {
                $($number => call!(cx, arguments, $module::$handler, $($argument),*),)*
                _ => Err(Errno::ENOSYS),
            };
            match result {
                Ok(value) => value,
                Err(error) => i64::from(-error.number()) as u64,
            }
        }
    };
}

macro_rules! call {
    ($cx:ident, $arguments:ident, $handler:path, $($argument:ty),*) => {{
        #[allow(unused_mut, unused_variables, reason = "a call without arguments takes none")]
        let mut raw = $arguments.into_iter();
        #[allow(unused_mut, reason = "as above")]
        let mut run = || Ok(IntoResult::into_result($handler(
            &$cx,
            $(<$argument as FromArg>::from_arg(raw.next().unwrap_or(0))?),*
        )?));
        run()
    }};
}

syscalls! {
    sysno::WRITE = basic::write(Fd, UserAddress, usize);
    sysno::GETPID = basic::getpid();
    sysno::GETPPID = basic::getppid();
    sysno::EXIT = basic::exit(i32);
    sysno::EXIT_GROUP = basic::exit(i32);
}
