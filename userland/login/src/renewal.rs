//! Asking for a new password, twice, and setting it: for passwd, and for login when the old one has expired.

use accounts::database::{self, Change};
use accounts::prompt::{self, Answer};
use accounts::secret::Secret;
use accounts::standing;
use nrlib::file::STDERR;
use nrlib::io::Text;
use nrlib::{Errno, eprintln};

use crate::say::{Exit, Outcome, fail};

/// Whether the rules for new passwords count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// Only those without which it would not work.
    Few,
    /// All.
    All,
}

/// How often a bad one may be chosen.
const TRIES: usize = 3;

/// Asks for a secret; the end of the input and keys end the program.
///
/// # Errors
/// The program is to end.
pub fn ask(text: &[u8]) -> Outcome<Secret> {
    match prompt::password(text) {
        Ok(Answer::Line(secret)) => Ok(secret),
        Ok(Answer::End) | Err(Errno::EINTR) => Err(Exit(1)),
        Err(error) => Err(fail(1, format_args!("cannot read the password: {error}"))),
    }
}

/// Asks for a new password and sets it.
///
/// # Errors
/// The program is to end; the old password still counts.
pub fn renew(name: &[u8], old: Option<&Secret>, rules: Rules) -> Outcome<()> {
    for _ in 0..TRIES {
        let new = ask(b"New password: ")?;
        let old = old.map_or(&b""[..], Secret::reveal);
        let objection = match rules {
            Rules::All => standing::objection(new.reveal(), old, name),
            Rules::Few if new.reveal().is_empty() => Some("it is empty; use passwd -d to have none"),
            Rules::Few => None,
        };
        if let Some(objection) = objection.or(new.is_too_long().then_some("it is too long")) {
            let _ = eprintln!("Bad password: {objection}.");
            continue;
        }
        let again = ask(b"Retype new password: ")?;
        if !new.is_same(&again) {
            let _ = STDERR.write_all(b"The two differ; try again.\n");
            continue;
        }
        return set(name, &Change::Password(&new));
    }
    Err(fail(1, format_args!("the password of {} is unchanged", Text(name))))
}

/// Changes the line of a user in `/etc/shadow`.
///
/// # Errors
/// The program is to end.
pub fn set(name: &[u8], change: &Change<'_>) -> Outcome<()> {
    database::change(name, change).map_err(|error| match error {
        Errno::ESRCH => fail(1, format_args!("{} has no line in /etc/shadow", Text(name))),
        Errno::EINVAL => fail(1, "there is no password behind the lock; set one instead"),
        error => fail(1, format_args!("cannot change /etc/shadow: {error}; nothing was changed")),
    })
}
