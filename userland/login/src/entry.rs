//! Becoming a user and running a shell: the last steps of login and su.

use accounts::database::Database;
use accounts::environment::Environment;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;

use nrlib::io::Text;
use nrlib::users::{self, User};
use nrlib::{Errno, eprintln, file, process};

use crate::say::{Exit, Outcome, fail};

/// Takes the user's groups, group and number.
///
/// # Errors
/// The program is to end: it may be half of each.
pub fn become_user(database: &Database, user: &User<'_>) -> Outcome<()> {
    users::groups_of(&database.group, user.name, user.group)
        .and_then(|groups| process::become_user(user.id, user.group, &groups))
        .map_err(|error| fail(1, format_args!("cannot become {}: {error}", Text(user.name))))
}

/// Goes to the user's home; without one, to `/`, and HOME says so.
///
/// # Errors
/// The program is to end.
pub fn go_home(user: &User<'_>, environment: &mut Environment) -> Outcome<()> {
    if path(user.home).is_ok_and(|home| file::change_folder(&home).is_ok()) {
        return Ok(());
    }
    let _ = eprintln!("No directory {}, logging in with HOME=/", Text(user.home));
    file::change_folder(c"/").map_err(|error| fail(1, format_args!("cannot enter /: {error}")))?;
    environment.set(b"HOME", b"/").map_err(|error| fail(1, error))
}

/// A path from a file.
///
/// # Errors
/// The program is to end: there is a NUL in it.
pub fn path(bytes: &[u8]) -> Outcome<CString> {
    file::path(&[bytes]).map_err(|error| fail(1, format_args!("{}: {error}", Text(bytes))))
}

/// A shell's own name for itself: with a dash in front it is a login shell.
///
/// # Errors
/// As [`path`].
pub fn shell_name(shell: &[u8], is_login: IsLogin) -> Outcome<CString> {
    let last = shell.rsplit(|&byte| byte == b'/').next().unwrap_or(shell);
    let dash: &[u8] = if is_login == IsLogin::Yes { b"-" } else { b"" };
    file::path(&[dash, last]).map_err(|error| fail(1, error))
}

/// Whether a shell reads the files of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsLogin {
    /// Yes.
    Yes,
    /// No.
    No,
}

/// Runs a shell in place of this program. Code 127 if there is none, 126 if it cannot be run.
pub fn run_shell(shell: &[u8], arguments: &[&CStr], environment: &Environment) -> Exit {
    let path = match path(shell) {
        Ok(path) => path,
        Err(exit) => return exit,
    };
    let environment: Vec<&CStr> = environment.list();
    let error = process::execute(&path, arguments, &environment);
    let code = if error == Errno::ENOENT { 127 } else { 126 };
    fail(code, format_args!("cannot run the shell {}: {error}", Text(shell)))
}
