//! su: becomes another user, by the other's password.
//!
//! `su [-] [-l] [-m] [-c COMMAND] [-s SHELL] [NAME [ARGUMENT...]]`, setuid root. Root is not asked. A user whose shell is
//! not in `/etc/shells` is restricted: others cannot choose his shell or keep their environment. The shell takes su's place.

use accounts::database::{self, Database};
use accounts::environment::Environment;
use accounts::standing::{self, Standing};
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;

use nrlib::io::Text;
use nrlib::options::{Known, Options, Value};
use nrlib::users::User;
use nrlib::{env, file, process};

use crate::entry::{self, IsLogin};
use crate::renewal;
use crate::say::{self, Exit, Outcome, fail};

const OPTIONS: &[Known] = &[
    Known { letter: b'l', name: "login", value: Value::None },
    Known { letter: b'm', name: "preserve-environment", value: Value::None },
    Known { letter: b'p', name: "", value: Value::None },
    Known { letter: b'c', name: "command", value: Value::Needed },
    Known { letter: b's', name: "shell", value: Value::Needed },
];

/// Variables that make a program of another user do what the caller wants.
const DANGEROUS: [&[u8]; 6] = [b"IFS=", b"ENV=", b"BASH_ENV=", b"CDPATH=", b"SHELLOPTS=", b"PS4="];

#[derive(Debug)]
struct Plan {
    is_login: IsLogin,
    keeps_environment: bool,
    command: Option<&'static [u8]>,
    shell: Option<&'static [u8]>,
    name: &'static [u8],
    arguments: Vec<&'static [u8]>,
}

/// The program.
pub fn main() -> i32 {
    match run() {
        Ok(never) => match never {},
        Err(Exit(code)) => code,
    }
}

fn run() -> Outcome<core::convert::Infallible> {
    let plan = plan(&say::arguments())?;
    if process::effective_user() != 0 {
        return Err(fail(1, "su must be setuid root; its file is not"));
    }
    let database =
        Database::read().map_err(|error| fail(1, format_args!("cannot read who there is: {error}")))?;
    let is_root = process::user() == 0;
    let user = database.user(plan.name);
    if !is_root {
        prove(&database, plan.name)?;
    }
    let user = user.ok_or_else(|| fail(1, format_args!("there is no user {}", Text(plan.name))))?;
    if !is_root {
        admit(&database, &user)?;
    }
    let is_restricted = !is_root && !is_listed(user.login_shell());
    Err(enter(&database, &user, &plan, is_restricted)?)
}

fn plan(words: &[&'static [u8]]) -> Outcome<Plan> {
    let mut plan = Plan {
        is_login: IsLogin::No,
        keeps_environment: false,
        command: None,
        shell: None,
        name: b"root",
        arguments: Vec::new(),
    };
    let mut rest = words;
    // A dash alone may stand among the options; behind the name it is the shell's.
    loop {
        let mut options = Options::new(OPTIONS, rest);
        for given in options.by_ref() {
            let given = given.map_err(|problem| fail(1, problem))?;
            match given.letter {
                b'l' => plan.is_login = IsLogin::Yes,
                b'c' => plan.command = Some(given.value),
                b's' => plan.shell = Some(given.value),
                _ => plan.keeps_environment = true,
            }
        }
        rest = options.operands();
        match rest.split_first() {
            Some((&[b'-'], after)) => {
                plan.is_login = IsLogin::Yes;
                rest = after;
            }
            _ => break,
        }
    }
    if let Some((name, arguments)) = rest.split_first() {
        plan.name = name;
        plan.arguments = arguments.to_vec();
    }
    Ok(plan)
}

/// Asks for the password of who one wants to be.
fn prove(database: &Database, name: &[u8]) -> Outcome<()> {
    let needs_none = database.user(name).is_some_and(|user| database.hash_of(&user).is_empty());
    if needs_none {
        return Ok(());
    }
    let secret = renewal::ask(b"Password: ")?;
    if database.is_password(name, &secret) {
        return Ok(());
    }
    say::pause();
    Err(fail(1, "Authentication failure"))
}

fn admit(database: &Database, user: &User<'_>) -> Outcome<()> {
    let Some(shadow) = database.shadow_of(user) else { return Ok(()) };
    match standing::of(&shadow, database::today()) {
        Standing::Good | Standing::Warn(_) => Ok(()),
        Standing::Closed => Err(fail(1, "the account has expired")),
        Standing::MustChange | Standing::TooLate => {
            Err(fail(1, "the password has expired; log in as that user to change it"))
        }
    }
}

/// Whether a shell is one that users may choose.
fn is_listed(shell: &[u8]) -> bool {
    let text = file::read(c"/etc/shells", 64 << 10).unwrap_or_default();
    text.split(|&byte| byte == b'\n').any(|line| !line.starts_with(b"#") && line == shell)
}

fn is_dangerous(text: &CStr) -> bool {
    let text = text.to_bytes();
    text.starts_with(b"LD_")
        || text.starts_with(b"BASH_FUNC_")
        || DANGEROUS.iter().any(|name| text.starts_with(name))
}

fn enter(database: &Database, user: &User<'_>, plan: &Plan, is_restricted: bool) -> Outcome<Exit> {
    let own = user.login_shell();
    let keeps = plan.keeps_environment && !is_restricted && plan.is_login == IsLogin::No;
    let inherited = env::variable(b"SHELL").filter(|_| keeps);
    let shell = plan.shell.filter(|_| !is_restricted).or(inherited).unwrap_or(own);
    let mut environment = match plan.is_login {
        IsLogin::Yes => {
            Environment::copied(env::environment().filter(|text| text.to_bytes().starts_with(b"TERM=")))
        }
        IsLogin::No => Environment::copied(env::environment().filter(|text| !is_dangerous(text))),
    };
    let set = |environment: &mut Environment| {
        if keeps {
            return Ok(());
        }
        environment.set(b"HOME", user.home)?;
        environment.set(b"SHELL", shell)?;
        environment.set_path(user)?;
        // Without -l, root stays who he was in name, as with other su.
        if plan.is_login == IsLogin::Yes || user.id != 0 {
            environment.set(b"USER", user.name)?;
            environment.set(b"LOGNAME", user.name)?;
        }
        Ok(())
    };
    set(&mut environment).map_err(|error: nrlib::Errno| fail(1, error))?;
    entry::become_user(database, user)?;
    if plan.is_login == IsLogin::Yes {
        entry::go_home(user, &mut environment)?;
    }
    let texts = shell_arguments(shell, plan)?;
    let arguments: Vec<&CStr> = texts.iter().map(CString::as_c_str).collect();
    Ok(entry::run_shell(shell, &arguments, &environment))
}

fn shell_arguments(shell: &[u8], plan: &Plan) -> Outcome<Vec<CString>> {
    let mut texts = Vec::from([entry::shell_name(shell, plan.is_login)?]);
    if let Some(command) = plan.command {
        texts.push(entry::path(b"-c")?);
        texts.push(entry::path(command)?);
    }
    for argument in &plan.arguments {
        texts.push(entry::path(argument)?);
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dash_among_the_options_means_login() {
        let words: [&[u8]; 5] = [b"-s", b"/bin/ash", b"-", b"-c", b"ls -l"];
        let found = plan(&words).unwrap();
        assert_eq!(
            (found.is_login, found.name, found.command),
            (IsLogin::Yes, &b"root"[..], Some(&b"ls -l"[..]))
        );
        let words: [&[u8]; 4] = [b"-", b"user", b"-c", b"x"];
        let found = plan(&words).unwrap();
        assert_eq!((found.name, found.command, found.arguments.len()), (&b"user"[..], None, 2));
    }

    #[test]
    fn what_steers_other_programs_is_not_kept() {
        for text in [c"LD_PRELOAD=x", c"IFS=/", c"ENV=/tmp/x", c"BASH_FUNC_ls%%=() {"] {
            assert!(is_dangerous(text), "{text:?}");
        }
        assert!(!is_dangerous(c"LANG=C") && !is_dangerous(c"IFSX=1"));
    }
}
