//! The three files, and changing a password in them.
//!
//! `/etc/.pwd.lock` is held while `/etc/shadow` changes, as lckpwdf(3) of other libraries does; the new text gets to the
//! disk under another name and then takes the old one's place, so that a reader or a power cut sees one of both, whole.

use alloc::vec::Vec;
use core::ffi::CStr;

use abi::file::{O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY};
use nrlib::file::{self, File};
use nrlib::users::{self, Shadow, User};
use nrlib::{Errno, Result, process, time};

use crate::hash;
use crate::secret::Secret;

const PASSWD: &CStr = c"/etc/passwd";
const GROUP: &CStr = c"/etc/group";
const SHADOW: &CStr = c"/etc/shadow";
const NEW_SHADOW: &CStr = c"/etc/shadow.new";
const LOCK: &CStr = c"/etc/.pwd.lock";
const MOST_BYTES: usize = 4 << 20;

/// The texts of the files.
pub struct Database {
    /// `/etc/passwd`.
    pub passwd: Vec<u8>,
    /// `/etc/group`.
    pub group: Vec<u8>,
    /// `/etc/shadow`; empty for those who may not read it.
    pub shadow: Vec<u8>,
}

impl Database {
    /// Reads them. A file that is missing is empty.
    ///
    /// # Errors
    /// Those of reading.
    pub fn read() -> Result<Self> {
        let text = |path| match file::read(path, MOST_BYTES) {
            Err(Errno::ENOENT | Errno::EACCES) => Ok(Vec::new()),
            result => result,
        };
        Ok(Self { passwd: text(PASSWD)?, group: text(GROUP)?, shadow: text(SHADOW)? })
    }

    /// A user by name.
    pub fn user(&self, name: &[u8]) -> Option<User<'_>> {
        users::user_by_name(&self.passwd, name)
    }

    /// A user by number.
    pub fn user_by_id(&self, id: u32) -> Option<User<'_>> {
        users::user_by_id(&self.passwd, id)
    }

    /// The user's line in `/etc/shadow`.
    pub fn shadow_of(&self, user: &User<'_>) -> Option<Shadow<'_>> {
        users::shadow_by_name(&self.shadow, user.name)
    }

    /// The hash of a user's password: in `/etc/shadow`, or in `/etc/passwd` if that has one.
    pub fn hash_of<'a>(&'a self, user: &User<'a>) -> &'a [u8] {
        match user.password {
            b"x" => self.shadow_of(user).map_or(b"!", |shadow| shadow.hash),
            hash => hash,
        }
    }

    /// Whether `secret` is the password of `name`. Takes as long for a name that does not exist.
    pub fn is_password(&self, name: &[u8], secret: &Secret) -> bool {
        match self.user(name) {
            Some(user) => hash::matches(self.hash_of(&user), secret),
            None => {
                hash::waste(secret);
                false
            }
        }
    }
}

/// Today as shadow(5) counts it.
pub fn today() -> i64 {
    time::now().div_euclid(time::DAY)
}

/// What is to become of a line of `/etc/shadow`.
pub enum Change<'a> {
    /// A new password.
    Password(&'a Secret),
    /// Nobody can log in with the password.
    Lock,
    /// One can again.
    Unlock,
    /// The password must be changed at the next login.
    Expire,
    /// No password is asked for.
    Delete,
}

/// Changes the line of `name`.
///
/// # Errors
/// ESRCH if there is none; EINVAL if the change makes no sense; those of files.
pub fn change(name: &[u8], change: &Change<'_>) -> Result<()> {
    let lock = File::open(LOCK, O_CREAT | O_WRONLY | O_NOFOLLOW, 0o600)?;
    lock.lock()?;
    // Read under the lock: the last reader may have been before somebody else's change.
    let text = file::read(SHADOW, MOST_BYTES)?;
    let mut entry = users::shadow_by_name(&text, name).ok_or(Errno::ESRCH)?;
    let mut fresh = Vec::new();
    match change {
        Change::Password(secret) => {
            let mut salt = [0; hash::SALT_BYTES];
            process::random(&mut salt)?;
            fresh = hash::make(secret, &salt)?;
            entry.changed = Some(today());
        }
        Change::Lock => {
            if !entry.hash.starts_with(b"!") {
                fresh.push(b'!');
            }
            fresh.extend_from_slice(entry.hash);
        }
        Change::Unlock => {
            // What is empty behind the lock would let anybody in.
            let bare = entry.hash.strip_prefix(b"!").unwrap_or(entry.hash);
            if bare.is_empty() {
                return Err(Errno::EINVAL);
            }
            fresh.extend_from_slice(bare);
        }
        Change::Expire => {
            entry.changed = Some(0);
            fresh.extend_from_slice(entry.hash);
        }
        Change::Delete => {}
    }
    entry.hash = &fresh;
    replace(&users::replace_shadow(&text, &entry)?)
}

/// Puts a new text in the place of `/etc/shadow`.
fn replace(text: &[u8]) -> Result<()> {
    let old = file::status(SHADOW)?;
    // What is there is left of somebody who was killed: nobody else is here while the lock is held.
    let _ = file::remove(NEW_SHADOW);
    let new = File::open(NEW_SHADOW, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0o600)?;
    let result = fill(&new, text, old).and_then(|()| file::rename(NEW_SHADOW, SHADOW));
    if result.is_err() {
        let _ = file::remove(NEW_SHADOW);
        return result;
    }
    // The name gets to the disk with its folder; a file system without disks knows no such thing.
    let _ = File::open(c"/etc", O_RDONLY | O_DIRECTORY, 0).and_then(|folder| folder.sync());
    Ok(())
}

fn fill(new: &File, text: &[u8], old: file::Status) -> Result<()> {
    new.set_owner(old.user(), old.group())?;
    new.set_mode(old.mode() & 0o7777)?;
    new.write_all(text)?;
    new.sync()
}
