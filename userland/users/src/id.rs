//! id: the numbers and names of a user and his groups, as POSIX and GNU's id(1) write them.
//!
//! `id [-u | -g | -G] [-n] [-r] [USER]`.

use accounts::database::Database;
use alloc::vec::Vec;
use core::ffi::CStr;

use nrlib::file::STDOUT;
use nrlib::io::{Text, Writer};
use nrlib::options::{Known, Options, Value};
use nrlib::{Result, env, eprintln, process, users};

const OPTIONS: &[Known] = &[
    Known { letter: b'u', name: "user", value: Value::None },
    Known { letter: b'g', name: "group", value: Value::None },
    Known { letter: b'G', name: "groups", value: Value::None },
    Known { letter: b'n', name: "name", value: Value::None },
    Known { letter: b'r', name: "real", value: Value::None },
];

/// Whose numbers are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Real and effective user.
    pub user: [u32; 2],
    /// Real and effective group.
    pub group: [u32; 2],
    /// All groups, one's own first.
    pub groups: Vec<u32>,
}

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// All, with names.
    All,
    /// The user.
    User,
    /// The group.
    Group,
    /// All groups.
    Groups,
}

/// Numbers or names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Numbers.
    Numbers,
    /// Names, or numbers that have none.
    Names,
}

/// The program.
pub fn main() -> i32 {
    match run() {
        Ok(code) => code,
        Err(error) => {
            let _ = eprintln!("{}: {error}", Text(env::program_name()));
            1
        }
    }
}

fn run() -> Result<i32> {
    let words: Vec<&[u8]> = env::arguments().skip(1).map(CStr::to_bytes).collect();
    let mut options = Options::new(OPTIONS, &words);
    let (mut what, mut form, mut is_real) = (What::All, Form::Numbers, false);
    for given in options.by_ref() {
        match given.map(|given| given.letter) {
            Ok(b'u') => what = What::User,
            Ok(b'g') => what = What::Group,
            Ok(b'G') => what = What::Groups,
            Ok(b'n') => form = Form::Names,
            Ok(_) => is_real = true,
            Err(problem) => {
                eprintln!("id: {problem}")?;
                return Ok(1);
            }
        }
    }
    if what == What::All && (form == Form::Names || is_real) {
        eprintln!("id: names and real numbers can only be shown with -u, -g or -G")?;
        return Ok(1);
    }
    let database = Database::read()?;
    let identity = match options.operands() {
        [] => own()?,
        [name] => match of(&database, name)? {
            Some(identity) => identity,
            None => {
                eprintln!("id: '{}': no such user", Text(name))?;
                return Ok(1);
            }
        },
        _ => {
            eprintln!("usage: id [-u | -g | -G] [-n] [-r] [USER]")?;
            return Ok(1);
        }
    };
    let mut out = Writer::<512>::new(STDOUT);
    show(&mut out, &database, &identity, what, form, usize::from(!is_real))?;
    out.flush()?;
    Ok(0)
}

fn own() -> Result<Identity> {
    let mut groups = Vec::from([process::effective_group()]);
    for group in core::iter::once(process::group()).chain(process::groups()?) {
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    Ok(Identity {
        user: [process::user(), process::effective_user()],
        group: [process::group(), process::effective_group()],
        groups,
    })
}

fn of(database: &Database, name: &[u8]) -> Result<Option<Identity>> {
    let number = core::str::from_utf8(name).ok().and_then(|name| name.parse().ok());
    let by_number = || number.and_then(|number| database.user_by_id(number));
    let Some(user) = database.user(name).or_else(by_number) else { return Ok(None) };
    let groups = users::groups_of(&database.group, user.name, user.group)?;
    Ok(Some(Identity { user: [user.id; 2], group: [user.group; 2], groups }))
}

/// `which` is 0 for the real numbers and 1 for the effective ones.
fn show<const SIZE: usize>(
    out: &mut Writer<SIZE>,
    database: &Database,
    identity: &Identity,
    what: What,
    form: Form,
    which: usize,
) -> Result<()> {
    let user_name = |id| database.user_by_id(id).map(|user| user.name);
    let group_name = |id| users::group_by_id(&database.group, id).map(|group| group.name);
    let mut one = |id: u32, name: Option<&[u8]>, end: &str| match name.filter(|_| form == Form::Names) {
        Some(name) => write!(out, "{}{end}", Text(name)),
        None => write!(out, "{id}{end}"),
    };
    match what {
        What::User => one(identity.user[which], user_name(identity.user[which]), "\n"),
        What::Group => one(identity.group[which], group_name(identity.group[which]), "\n"),
        What::Groups => {
            for (index, &id) in (1..).zip(&identity.groups) {
                one(id, group_name(id), if index == identity.groups.len() { "\n" } else { " " })?;
            }
            Ok(())
        }
        What::All => {
            let mut both = |label: &str, id: u32, name: Option<&[u8]>| match name {
                Some(name) => write!(out, "{label}{id}({})", Text(name)),
                None => write!(out, "{label}{id}"),
            };
            let ([real_user, user], [real_group, group]) = (identity.user, identity.group);
            both("uid=", real_user, user_name(real_user))?;
            both(" gid=", real_group, group_name(real_group))?;
            if user != real_user {
                both(" euid=", user, user_name(user))?;
            }
            if group != real_group {
                both(" egid=", group, group_name(group))?;
            }
            for (index, &id) in identity.groups.iter().enumerate() {
                both(if index == 0 { " groups=" } else { "," }, id, group_name(id))?;
            }
            writeln!(out)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nrlib::file;
    use std::string::String;
    use std::vec;

    fn text(identity: &Identity, what: What, form: Form) -> String {
        let database = Database {
            passwd: b"user:x:1000:1000::/:\nroot:x:0:0::/:\n".to_vec(),
            group: b"user:x:1000:\ntty:x:5:user\n".to_vec(),
            shadow: Vec::new(),
        };
        let (from, to) = file::pipe().unwrap();
        let mut out = Writer::<64>::new(*to);
        show(&mut out, &database, identity, what, form, 1).unwrap();
        out.flush().unwrap();
        drop(to);
        String::from_utf8(from.read_all(1000).unwrap()).unwrap()
    }

    #[test]
    fn identities_are_written_as_gnu_writes_them() {
        let user = Identity { user: [1000, 1000], group: [1000, 1000], groups: vec![1000, 5, 77] };
        assert_eq!(
            text(&user, What::All, Form::Numbers),
            "uid=1000(user) gid=1000(user) groups=1000(user),5(tty),77\n"
        );
        let setuid = Identity { user: [1000, 0], ..user.clone() };
        assert_eq!(
            text(&setuid, What::All, Form::Numbers),
            "uid=1000(user) gid=1000(user) euid=0(root) groups=1000(user),5(tty),77\n"
        );
        assert_eq!(text(&user, What::Groups, Form::Names), "user tty 77\n");
        assert_eq!(text(&user, What::Groups, Form::Numbers), "1000 5 77\n");
        assert_eq!(text(&setuid, What::User, Form::Names), "root\n");
        assert_eq!(text(&user, What::Group, Form::Numbers), "1000\n");
    }
}
