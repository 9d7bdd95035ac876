//! The terminal's line discipline: what a typed byte does, what a read gets, what a write sends.
//!
//! The kernel's tty holds a [`LineDiscipline`] under its lock, feeds it what the device received, and gives it
//! an [`Output`] that leads to the device. Behaves as Linux's N_TTY (termios(3)), also where that is odd; a
//! test compares the two byte for byte through a pty. Modules, lowest first: `termios`, `window`, `latin1`
//! (which bytes are letters), `queue` (input not yet read), `screen` (columns, and echoes that wait),
//! `discipline`, `edit` (erasing), `receive` (what a byte does).

mod termios;
mod window;
mod latin1;
mod queue;
mod screen;
mod discipline;
mod edit;
mod receive;

pub use discipline::{LineDiscipline, ReadRule};
pub use receive::Damage;
pub use screen::Output;
pub use termios::Termios;
pub use window::WindowSize;

#[cfg(test)]
mod tests;
