//! Asking: for a name, and for a password that is not shown.
//!
//! While a password is typed, keys that would end or stop the program are noted instead, so that the terminal is never
//! left without echo. A program that ends by alarm notes SIGALRM itself; each such signal ends the question with EINTR.

use abi::signal::{SIGALRM, SIGINT, SIGQUIT, SIGTSTP};
use nrlib::file::{STDERR, STDIN, STDOUT};
use nrlib::signal::{self, Reaction, Set};
use nrlib::terminal::Silence;
use nrlib::{Errno, Result};

use crate::secret::Secret;

/// What was answered.
pub enum Answer<T> {
    /// This.
    Line(T),
    /// The input is at its end.
    End,
}

/// Asks for a password.
///
/// # Errors
/// EINTR when a key or an alarm ended it; those of read(2).
pub fn password(text: &[u8]) -> Result<Answer<Secret>> {
    let noted = [SIGINT, SIGQUIT];
    for signal in noted {
        signal::react(signal, Reaction::Note)?;
        signal::take_noted(signal);
    }
    signal::react(SIGTSTP, Reaction::Ignore)?;
    // Blocked but while it waits: one that came just before would be noted, and the wait begin all the same.
    let before = signal::block_only(ENDING)?;
    // What is no terminal shows nothing anyway.
    let silence = Silence::start(STDIN);
    let _ = STDERR.write_all(text);
    let answer = read_secret(before);
    drop(silence);
    signal::block_only(before)?;
    for signal in [SIGINT, SIGQUIT, SIGTSTP] {
        signal::react(signal, Reaction::Default)?;
    }
    if matches!(answer, Err(Errno::EINTR)) {
        let _ = STDERR.write_all(b"\n");
    }
    answer
}

/// Signals that end a question.
const ENDING: Set = Set::of(&[SIGINT, SIGQUIT, SIGALRM]);

/// Whether one of them came, also while it was blocked: what was typed after it is no answer.
fn is_ended(mask: Set) -> Result<bool> {
    signal::block_only(mask)?;
    signal::block_only(ENDING)?;
    Ok([SIGINT, SIGQUIT, SIGALRM].into_iter().any(signal::is_noted))
}

/// Byte by byte: what follows the line in a pipe is not ours.
fn read_secret(mask: Set) -> Result<Answer<Secret>> {
    let mut secret = Secret::new();
    let mut byte = [0];
    loop {
        signal::wait_readable(STDIN, mask)?;
        if is_ended(mask)? {
            return Err(Errno::EINTR);
        }
        if STDIN.read(&mut byte)? == 0 {
            let is_empty = secret.reveal().is_empty();
            return Ok(if is_empty { Answer::End } else { Answer::Line(secret) });
        }
        match byte {
            [b'\n' | b'\r'] => {
                byte = [0];
                core::hint::black_box(&byte);
                return Ok(Answer::Line(secret));
            }
            [letter] => secret.push(letter),
        }
    }
}

/// Asks for a line that is shown, at most `N` bytes; what is longer is cut.
///
/// # Errors
/// EINTR when an alarm ended it; those of read(2).
pub fn line<const N: usize>(text: &[u8]) -> Result<Answer<alloc::vec::Vec<u8>>> {
    STDOUT.write_all(text)?;
    let mut line = alloc::vec::Vec::new();
    let mut byte = [0];
    loop {
        if STDIN.read(&mut byte)? == 0 {
            return Ok(if line.is_empty() { Answer::End } else { Answer::Line(line) });
        }
        match byte {
            [b'\n' | b'\r'] => return Ok(Answer::Line(line)),
            [letter] if line.len() < N => line.push(letter),
            _ => {}
        }
    }
}
