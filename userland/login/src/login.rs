//! login: asks for the password, and runs the user's shell.
//!
//! `login [-p] [-f] [-h HOST] [--] [NAME]`, for root only. Whatever is wrong with name or password, the answer is the same
//! sentence after the same time. After [`TRIES`] of them, and after [`TIMEOUT_SECONDS`], it ends; init starts the next getty.
//! The shell takes login's place, so that it leads the session; init notes the end.

use abi::signal::{SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTSTP};
use accounts::database::{self, Database};
use accounts::environment::Environment;
use accounts::hash;
use accounts::prompt::{self, Answer};
use accounts::records::{self, Kind, Record};
use accounts::secret::Secret;
use accounts::standing::{self, Standing};
use alloc::vec::Vec;

use nrlib::file::{self, STDIN, STDOUT};
use nrlib::io::Text;
use nrlib::options::{Known, Options, Value};
use nrlib::signal::{self, Reaction, Set};
use nrlib::users::{self, User};
use nrlib::{Errno, env, println, process, system, terminal, time};

use crate::entry::{self, IsLogin};
use crate::renewal::{self, Rules};
use crate::say::{self, Exit, Outcome, fail};

const OPTIONS: &[Known] = &[
    Known { letter: b'p', name: "", value: Value::None },
    Known { letter: b'f', name: "", value: Value::None },
    Known { letter: b'h', name: "", value: Value::Needed },
];

/// How often one may be wrong.
pub const TRIES: usize = 3;
/// How long one may think.
pub const TIMEOUT_SECONDS: u32 = 60;

struct Plan {
    keeps_environment: bool,
    is_trusted: bool,
    host: &'static [u8],
    name: Option<&'static [u8]>,
}

/// The program.
pub fn main() -> i32 {
    match run() {
        Ok(never) => match never {},
        Err(Exit(code)) => code,
    }
}

fn run() -> Outcome<core::convert::Infallible> {
    let plan = plan()?;
    if process::effective_user() != 0 {
        return Err(fail(1, "only root can let somebody in; use su to become somebody else"));
    }
    let line = terminal::name(STDIN)
        .map_err(|error| fail(1, format_args!("standard input must be a terminal: {error}")))?;
    signal::react(SIGALRM, Reaction::Note).map_err(|error| fail(1, error))?;
    time::alarm(TIMEOUT_SECONDS);
    let database = read()?;
    let (user, secret) = identify(&database, &plan)?;
    admit(&database, &user, secret.as_ref())?;
    time::alarm(0);
    signal::react(SIGALRM, Reaction::Default).map_err(|error| fail(1, error))?;
    Err(enter(&database, &user, &plan, &line)?)
}

fn plan() -> Outcome<Plan> {
    let words = say::arguments();
    let mut options = Options::new(OPTIONS, &words);
    let mut plan = Plan { keeps_environment: false, is_trusted: false, host: b"", name: None };
    for given in options.by_ref() {
        let given = given.map_err(|problem| fail(1, problem))?;
        match given.letter {
            b'p' => plan.keeps_environment = true,
            b'f' => plan.is_trusted = true,
            _ => plan.host = given.value,
        }
    }
    plan.name = options.operands().first().copied();
    if plan.is_trusted && plan.name.is_none() {
        return Err(fail(1, "-f needs a name"));
    }
    Ok(plan)
}

fn read() -> Outcome<Database> {
    Database::read().map_err(|error| fail(1, format_args!("cannot read who may log in: {error}")))
}

/// Who it is, proved by a password unless none is needed.
fn identify<'a>(database: &'a Database, plan: &Plan) -> Outcome<(User<'a>, Option<Secret>)> {
    let mut name = plan.name.map(<[u8]>::to_vec);
    for _ in 0..TRIES {
        let Some(name) =
            name.take().filter(|name| !name.is_empty()).map_or_else(ask_name, |name| Ok(Some(name)))?
        else {
            continue;
        };
        let user = database.user(&name);
        if let Some(user) = user {
            let needs_none = database.hash_of(&user).is_empty();
            if plan.is_trusted || needs_none {
                return Ok((user, None));
            }
        }
        let secret = ask_password()?;
        let is_right = database.is_password(&name, &secret);
        if let Some(user) = user.filter(|_| is_right) {
            return Ok((user, Some(secret)));
        }
        say::pause();
        let _ = println!("\nLogin incorrect");
    }
    Err(fail(1, format_args!("wrong {TRIES} times")))
}

/// What to say when the alarm ended a question, and when the input did.
fn broken_off(error: Errno) -> Exit {
    if error == Errno::EINTR && signal::take_noted(SIGALRM) {
        let _ = println!("\nLogin timed out after {TIMEOUT_SECONDS} seconds.");
    } else if error != Errno::EINTR {
        return fail(1, format_args!("cannot read from the terminal: {error}"));
    }
    Exit(1)
}

fn ask_name() -> Outcome<Option<Vec<u8>>> {
    let host = system::names().map(|names| names.host).unwrap_or_default();
    match prompt::line::<64>(&[&host[..], b" login: "].concat()) {
        Ok(Answer::Line(name)) => Ok(Some(name).filter(|name| !name.is_empty())),
        Ok(Answer::End) => Err(Exit(1)),
        Err(error) => Err(broken_off(error)),
    }
}

fn ask_password() -> Outcome<Secret> {
    match prompt::password(b"Password: ") {
        Ok(Answer::Line(secret)) => Ok(secret),
        Ok(Answer::End) => Err(Exit(1)),
        Err(error) => Err(broken_off(error)),
    }
}

/// Whether the account may be used today; an expired password is changed first.
fn admit(database: &Database, user: &User<'_>, secret: Option<&Secret>) -> Outcome<()> {
    if user.id != 0
        && let Ok(text) = file::read(c"/etc/nologin", 64 << 10)
    {
        let _ = STDOUT.write_all(if text.is_empty() { b"Nobody can log in now.\n" } else { &text });
        return Err(refuse("logging in is off: /etc/nologin exists"));
    }
    let Some(shadow) = database.shadow_of(user) else { return Ok(()) };
    // With -f or an empty hash nobody was asked, and a lock in front of the hash still counts.
    if secret.is_none() && hash::is_locked(shadow.hash) && user.password == b"x" {
        return Err(refuse("the account is locked"));
    }
    match standing::of(&shadow, database::today()) {
        Standing::Good => Ok(()),
        Standing::Warn(0) => {
            let _ = println!("Warning: your password will expire today.");
            Ok(())
        }
        Standing::Warn(days) => {
            let _ = println!("Warning: your password will expire in {days} days.");
            Ok(())
        }
        Standing::Closed => Err(refuse("your account has expired; ask your administrator")),
        Standing::TooLate => Err(refuse("your password expired too long ago; ask your administrator")),
        Standing::MustChange => {
            let _ = println!("You must change your password now.");
            renewal::renew(user.name, secret, Rules::All)
        }
    }
}

/// A sentence, and time to read it: the next getty may clear the screen.
fn refuse(reason: &str) -> Exit {
    let exit = fail(1, reason);
    say::pause();
    exit
}

/// Becomes the user and runs the shell.
fn enter(database: &Database, user: &User<'_>, plan: &Plan, line: &[u8]) -> Outcome<Exit> {
    own_terminal(database, user);
    let last = note(user, plan, line);
    let mut environment = if plan.keeps_environment {
        Environment::copied(env::environment())
    } else {
        let mut environment = Environment::empty();
        let kind = env::variable(b"TERM").unwrap_or(b"dumb");
        environment.set(b"TERM", kind).map_err(|error| fail(1, error))?;
        environment
    };
    let shell = user.login_shell();
    environment
        .set_user(user, shell)
        .and_then(|()| environment.set_path(user))
        .and_then(|()| environment.set(b"MAIL", &[b"/var/mail/", user.name].concat()))
        .map_err(|error| fail(1, error))?;
    entry::become_user(database, user)?;
    file::set_umask(0o022);
    entry::go_home(user, &mut environment)?;
    if !file::exists(c".hushlogin") {
        greet(last);
    }
    for signal in [SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTSTP] {
        signal::react(signal, Reaction::Default).map_err(|error| fail(1, error))?;
    }
    signal::block_only(Set::EMPTY).map_err(|error| fail(1, error))?;
    let name = entry::shell_name(shell, IsLogin::Yes)?;
    let exit = entry::run_shell(shell, &[&name], &environment);
    say::pause();
    Ok(exit)
}

/// The terminal belongs to who is logged in, and the group `tty` may write to it.
fn own_terminal(database: &Database, user: &User<'_>) {
    let group = users::group_by_name(&database.group, b"tty").map_or(user.group, |group| group.id);
    if let Err(error) = STDIN.set_owner(user.id, group).and_then(|()| STDIN.set_mode(0o620)) {
        let _ = fail(1, format_args!("the terminal stays root's: {error}"));
    }
}

/// Writes the records, as far as somebody wants them; when the user came last.
fn note(user: &User<'_>, plan: &Plan, line: &[u8]) -> Option<records::Last> {
    let record = Record::new(Kind::User, process::id(), line, user.name).with_host(plan.host);
    let _ = records::set(&record).and_then(|()| records::append(&record));
    records::last_login(user.id, line).ok().flatten()
}

fn greet(last: Option<records::Last>) {
    if let Some(last) = last {
        let _ = println!("Last login: {} on {}", time::Date::from_unix(last.seconds), Text(last.line()));
    }
    if let Ok(text) = file::read(c"/etc/motd", 64 << 10) {
        let _ = STDOUT.write_all(&text);
    }
}
