//! Messages, and how a program ends.

use core::ffi::CStr;
use core::fmt::Display;

use abi::signal::{SIGINT, SIGQUIT, SIGTSTP};
use nrlib::io::Text;
use nrlib::signal::{self, Reaction};
use nrlib::{env, eprintln, time};

/// How a program ends before its time: with this code; what there is to say has been said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(pub i32);

/// What most functions here return.
pub type Outcome<T> = core::result::Result<T, Exit>;

/// Writes `PROGRAM: MESSAGE` and gives the code to end with. A message that cannot be written is lost.
pub fn fail(code: i32, message: impl Display) -> Exit {
    let _ = eprintln!("{}: {message}", Text(env::program_name()));
    Exit(code)
}

/// The pause after a wrong password. Keys cannot shorten it.
pub fn pause() {
    for signal in [SIGINT, SIGQUIT, SIGTSTP] {
        let _ = signal::react(signal, Reaction::Ignore);
    }
    time::sleep_through_ms(DELAY_MS);
}

/// How long it is.
pub const DELAY_MS: u64 = 3000;

/// The arguments without the program's name.
pub fn arguments() -> alloc::vec::Vec<&'static [u8]> {
    env::arguments().skip(1).map(CStr::to_bytes).collect()
}

/// The code of a program that ended either way.
pub const fn code(outcome: Outcome<()>) -> i32 {
    match outcome {
        Ok(()) => 0,
        Err(Exit(code)) => code,
    }
}
