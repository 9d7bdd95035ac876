//! getty: prepares a terminal, shows `/etc/issue`, asks who is there, and runs login.
//!
//! `getty [-l LOGIN] [-i] LINE [SPEED] [TERM]`. It starts a session with the terminal and ends when login does: init
//! starts the next. The terminal belongs to root until somebody is logged in.

use abi::file::{O_NONBLOCK, O_RDWR, S_IFCHR};
use abi::signal::{SIGHUP, SIGINT, SIGQUIT, SIGTSTP};
use accounts::database::Database;
use accounts::issue::{self, Facts};
use accounts::prompt::{self, Answer};
use accounts::records::{self, Kind, Record};
use alloc::vec::Vec;
use core::ffi::CStr;

use nrlib::file::{self, File, STDERR, STDIN, STDOUT};
use nrlib::io::Text;
use nrlib::options::{Known, Options, Value};
use nrlib::signal::{self, Reaction, Set};
use nrlib::terminal::{self, Modes, Taking, When};
use nrlib::{Result, env, process, system, time, users};

use crate::say::{self, Exit, Outcome, fail};

const OPTIONS: &[Known] = &[
    Known { letter: b'l', name: "login-program", value: Value::Needed },
    Known { letter: b'i', name: "noissue", value: Value::None },
];
const DEFAULT_SPEED: u32 = 115_200;
/// Bytes of a name; no user has a longer one.
const NAME_BYTES: usize = 64;

struct Plan {
    login: &'static [u8],
    shows_issue: bool,
    line: &'static [u8],
    speed: u32,
    kind: &'static [u8],
}

/// The program.
pub fn main() -> i32 {
    say::code(run())
}

fn run() -> Outcome<()> {
    let plan = plan()?;
    let path = file::path(&[b"/dev/", plan.line]).map_err(|error| fail(1, error))?;
    let problem = |error| fail(1, format_args!("cannot use the terminal {}: {error}", Text(path.to_bytes())));
    open(&path).map_err(problem)?;
    let modes = prepare(plan.speed).map_err(problem)?;
    let record = Record::new(Kind::Login, process::id(), plan.line, b"LOGIN");
    let _ = records::set(&record).and_then(|()| records::append(&record));
    loop {
        if plan.shows_issue {
            let _ = show_issue(&plan);
        }
        if let Some(name) = ask_name()? {
            terminal::set_modes(STDIN, &modes, When::Drained).map_err(problem)?;
            return Err(run_login(&plan, &name));
        }
    }
}

fn plan() -> Outcome<Plan> {
    let words = say::arguments();
    let mut options = Options::new(OPTIONS, &words);
    let mut plan =
        Plan { login: b"/bin/login", shows_issue: true, line: b"", speed: DEFAULT_SPEED, kind: b"vt220" };
    for given in options.by_ref() {
        let given = given.map_err(|problem| fail(1, problem))?;
        match given.letter {
            b'l' => plan.login = given.value,
            _ => plan.shows_issue = false,
        }
    }
    let usage = || fail(1, "usage: getty [-i] [-l LOGIN] LINE [SPEED] [TERM]");
    let (line, rest) = options.operands().split_first().ok_or_else(usage)?;
    plan.line = line.strip_prefix(b"/dev/").unwrap_or(line);
    for word in rest {
        match core::str::from_utf8(word).ok().and_then(|word| word.parse().ok()) {
            Some(speed) => plan.speed = speed,
            None => plan.kind = word,
        }
    }
    Ok(plan)
}

/// Makes the terminal this session's, and standard input, output and error.
fn open(path: &CStr) -> Result<()> {
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTSTP] {
        signal::react(signal, Reaction::Ignore)?;
    }
    signal::block_only(Set::EMPTY)?;
    // Fails for who leads a session already, which is as good.
    let _ = process::start_session();
    // Without waiting for the modem to answer.
    let terminal = File::open(path, O_RDWR | O_NONBLOCK, 0)?;
    if !terminal.status()?.is(S_IFCHR) {
        return Err(nrlib::Errno::ENOTTY);
    }
    // Opening may have made it ours; taking it again does no harm.
    terminal::take(*terminal, Taking::FromOthers)?;
    terminal.set_owner(0, tty_group())?;
    terminal.set_mode(0o620)?;
    for standard in [STDIN, STDOUT, STDERR] {
        terminal.duplicate_to(standard)?;
    }
    STDIN.set_flags(0)?;
    let _ = terminal::set_foreground(STDIN, process::id());
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTSTP] {
        signal::react(signal, Reaction::Default)?;
    }
    // A key must not end who asks for the name.
    signal::react(SIGINT, Reaction::Ignore)?;
    signal::react(SIGQUIT, Reaction::Ignore)?;
    Ok(())
}

/// The group that may write to terminals.
fn tty_group() -> u32 {
    Database::read()
        .ok()
        .and_then(|files| users::group_by_name(&files.group, b"tty").map(|group| group.id))
        .unwrap_or(0)
}

fn prepare(speed: u32) -> Result<Modes> {
    let now = terminal::modes(STDIN)?;
    let modes = Modes::sane(now.control);
    let modes = modes.with_speed(speed).unwrap_or(modes);
    terminal::set_modes(STDIN, &modes, When::Flushed)?;
    Ok(modes)
}

fn show_issue(plan: &Plan) -> Result<()> {
    let text = file::read(c"/etc/issue", 64 << 10)?;
    let release = file::read(c"/etc/os-release", 64 << 10).unwrap_or_default();
    let mut users = 0;
    let _ = records::for_each(records::UTMP, |record| users += usize::from(record.kind() == Kind::User));
    let names = system::names()?;
    let facts = Facts {
        names: &names,
        line: plan.line,
        speed: plan.speed,
        date: time::Date::from_unix(time::now()),
        users,
        system: issue::release_field(&release, b"PRETTY_NAME").unwrap_or(&names.system),
    };
    STDOUT.write_all(b"\n")?;
    STDOUT.write_all(&issue::expand(&text, &facts))
}

/// A name that was typed; `None` for one that no user has, after a line of explanation.
fn ask_name() -> Outcome<Option<Vec<u8>>> {
    let host = system::names().map(|names| names.host).unwrap_or_default();
    let prompt = [&host[..], b" login: "].concat();
    match prompt::line::<NAME_BYTES>(&prompt) {
        Ok(Answer::Line(name)) if name.is_empty() => Ok(None),
        // A dash would be an option of login's.
        Ok(Answer::Line(name)) if name.starts_with(b"-") => {
            let _ = STDOUT.write_all(b"A name does not begin with a dash.\n");
            Ok(None)
        }
        Ok(Answer::Line(name)) => Ok(Some(name)),
        Ok(Answer::End) => Err(Exit(0)),
        Err(error) => Err(fail(1, format_args!("cannot read the name: {error}"))),
    }
}

fn run_login(plan: &Plan, name: &[u8]) -> Exit {
    let reset = [SIGINT, SIGQUIT].into_iter().try_for_each(|signal| signal::react(signal, Reaction::Default));
    let texts = reset.and_then(|()| {
        Ok((file::path(&[plan.login])?, file::path(&[name])?, file::path(&[b"TERM=", plan.kind])?))
    });
    let (login, name, kind) = match texts {
        Ok(texts) => texts,
        Err(error) => return fail(1, error),
    };
    let others = env::environment().filter(|text| !text.to_bytes().starts_with(b"TERM="));
    let mut environment: Vec<&CStr> = others.collect();
    environment.push(&kind);
    let error = process::execute(&login, &[&login, c"--", &name], &environment);
    fail(1, format_args!("cannot run {}: {error}", Text(plan.login)))
}
