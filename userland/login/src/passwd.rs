//! passwd: changes a password.
//!
//! `passwd [-l | -u | -d | -e | -S] [NAME]`, setuid root. A user changes his own, after the old one and by the rules; root
//! changes anybody's, and locks, unlocks, deletes and expires.

use abi::signal::{SIGHUP, SIGTERM, SIGXFSZ};
use accounts::database::{self, Change, Database};
use accounts::{hash, standing};

use nrlib::io::Text;
use nrlib::options::{Known, Options, Value};
use nrlib::signal::{self, Reaction};
use nrlib::time::{DAY, Date};
use nrlib::users::User;
use nrlib::{file, println, process};

use crate::renewal::{self, Rules};
use crate::say::{self, Outcome, fail};

const OPTIONS: &[Known] = &[
    Known { letter: b'l', name: "lock", value: Value::None },
    Known { letter: b'u', name: "unlock", value: Value::None },
    Known { letter: b'd', name: "delete", value: Value::None },
    Known { letter: b'e', name: "expire", value: Value::None },
    Known { letter: b'S', name: "status", value: Value::None },
];

/// The program.
pub fn main() -> i32 {
    say::code(run())
}

fn run() -> Outcome<()> {
    let words = say::arguments();
    let mut options = Options::new(OPTIONS, &words);
    let mut action = None;
    for given in options.by_ref() {
        action = Some(given.map_err(|problem| fail(2, problem))?.letter);
    }
    if process::effective_user() != 0 {
        return Err(fail(1, "passwd must be setuid root; its file is not"));
    }
    // Who called may not end the writing half-way, nor by a limit on the size of files.
    for signal in [SIGHUP, SIGTERM, SIGXFSZ] {
        signal::react(signal, Reaction::Ignore).map_err(|error| fail(1, error))?;
    }
    file::set_umask(0o077);
    let database =
        Database::read().map_err(|error| fail(1, format_args!("cannot read who there is: {error}")))?;
    let caller = process::user();
    let own = database.user_by_id(caller);
    let user = match options.operands() {
        [] => own.ok_or_else(|| fail(1, format_args!("there is no user {caller}"))),
        [name] => database.user(name).ok_or_else(|| fail(1, format_args!("there is no user {}", Text(name)))),
        _ => Err(fail(2, "usage: passwd [-l | -u | -d | -e | -S] [NAME]")),
    }?;
    let is_own = own.is_some_and(|own| own.name == user.name);
    match action {
        Some(b'S') if caller == 0 || is_own => status(&database, &user),
        Some(action) if caller == 0 => administer(&user, action),
        Some(_) => Err(fail(1, "only root may do that")),
        None if caller == 0 => renewal::renew(user.name, None, Rules::Few).map(|()| done(&user)),
        None if is_own => change_own(&database, &user),
        None => Err(fail(1, format_args!("you may not change the password of {}", Text(user.name)))),
    }
}

fn done(user: &User<'_>) {
    let _ = println!("The password of {} is changed.", Text(user.name));
}

fn administer(user: &User<'_>, action: u8) -> Outcome<()> {
    let change = match action {
        b'l' => Change::Lock,
        b'u' => Change::Unlock,
        b'e' => Change::Expire,
        _ => Change::Delete,
    };
    renewal::set(user.name, &change)
}

fn change_own(database: &Database, user: &User<'_>) -> Outcome<()> {
    let hash = database.hash_of(user);
    if hash::is_locked(hash) {
        return Err(fail(1, "the account is locked; ask your administrator"));
    }
    let days =
        database.shadow_of(user).map_or(0, |shadow| standing::days_to_wait(&shadow, database::today()));
    if days > 0 {
        return Err(fail(1, format_args!("it is too early: wait {days} days")));
    }
    let _ = println!("Changing the password of {}.", Text(user.name));
    let mut old = None;
    if !hash.is_empty() {
        let secret = renewal::ask(b"Current password: ")?;
        if !database.is_password(user.name, &secret) {
            say::pause();
            return Err(fail(1, "Authentication failure"));
        }
        old = Some(secret);
    }
    renewal::renew(user.name, old.as_ref(), Rules::All).map(|()| done(user))
}

/// As passwd(1) of the shadow suite shows it: name, L, NP or P, day of the change, numbers.
fn status(database: &Database, user: &User<'_>) -> Outcome<()> {
    let hash = database.hash_of(user);
    let state = match hash {
        [] => "NP",
        hash if hash::is_locked(hash) => "L",
        _ => "P",
    };
    let shadow = database.shadow_of(user);
    let shadow =
        shadow.ok_or_else(|| fail(1, format_args!("{} has no line in /etc/shadow", Text(user.name))))?;
    let Date { year, month, day, .. } = Date::from_unix(shadow.changed.unwrap_or(0).saturating_mul(DAY));
    let [least, most, warn, grace] =
        [shadow.least_days, shadow.most_days, shadow.warn_days, shadow.grace_days]
            .map(|days| days.unwrap_or(-1));
    println!("{} {state} {year:04}-{month:02}-{day:02} {least} {most} {warn} {grace}", Text(user.name))
        .map_err(|error| fail(1, error))
}
