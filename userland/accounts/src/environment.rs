//! The environment of a login.

use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;

use nrlib::users::User;
use nrlib::{Result, file};

/// Where users' programs are.
pub const USER_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";
/// Where root's are.
pub const ROOT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A list of `NAME=VALUE`, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment(Vec<CString>);

impl Environment {
    /// Nothing.
    pub const fn empty() -> Self {
        Self(Vec::new())
    }

    /// A copy of what a program was given.
    pub fn copied(from: impl Iterator<Item = &'static CStr>) -> Self {
        Self(from.map(CString::from).collect())
    }

    fn is_of(text: &CStr, name: &[u8]) -> bool {
        text.to_bytes().strip_prefix(name).is_some_and(|rest| rest.starts_with(b"="))
    }

    /// Sets a variable.
    ///
    /// # Errors
    /// EINVAL for a NUL; ENOMEM.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<()> {
        let text = file::path(&[name, b"=", value])?;
        self.0.retain(|old| !Self::is_of(old, name));
        self.0.push(text);
        Ok(())
    }

    /// What a login sets for its user.
    ///
    /// # Errors
    /// As [`Environment::set`].
    pub fn set_user(&mut self, user: &User<'_>, shell: &[u8]) -> Result<()> {
        self.set(b"HOME", user.home)?;
        self.set(b"SHELL", shell)?;
        self.set(b"USER", user.name)?;
        self.set(b"LOGNAME", user.name)
    }

    /// The search path that belongs to a user.
    ///
    /// # Errors
    /// As [`Environment::set`].
    pub fn set_path(&mut self, user: &User<'_>) -> Result<()> {
        self.set(b"PATH", if user.id == 0 { ROOT_PATH } else { USER_PATH })
    }

    /// As execve(2) wants it.
    pub fn list(&self) -> Vec<&CStr> {
        self.0.iter().map(CString::as_c_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_stands_once() {
        let mut environment = Environment::copied([c"TERM=vt100", c"HOMEX=1", c"HOME=/old"].into_iter());
        let user = User {
            name: b"user",
            password: b"x",
            id: 1000,
            group: 1000,
            comment: b"",
            home: b"/home/user",
            shell: b"",
        };
        environment.set_user(&user, b"/bin/sh").unwrap();
        environment.set_path(&user).unwrap();
        environment.set(b"TERM", b"linux").unwrap();
        let expected = [
            c"HOMEX=1",
            c"HOME=/home/user",
            c"SHELL=/bin/sh",
            c"USER=user",
            c"LOGNAME=user",
            c"PATH=/usr/local/bin:/usr/bin:/bin",
            c"TERM=linux",
        ];
        assert_eq!(environment.list(), expected);
        assert!(environment.set(b"A", b"\0").is_err());
    }
}
