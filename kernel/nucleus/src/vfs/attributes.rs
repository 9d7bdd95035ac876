//! Who may touch which extended attribute (xattr(7)).
//!
//! `user.` is for everybody who may read or write the file, `trusted.` for CAP_SYS_ADMIN, `security.` is read by all and set
//! by CAP_SYS_ADMIN, but `security.capability` by CAP_SETFCAP. `system.`, which has access control lists, is nobody's: a list that is kept and not obeyed would be
//! worse than none.

use alloc::vec::Vec;

use abi::file::S_ISVTX;
use abi::{Errno, Result};
use logic::cred::{Access, Capability, Cred, FileCapabilities};

use super::extended::{CAPABILITY, Extended, Placing};
use super::inode::FileKind;
use super::mount::Place;

/// What is to be done with an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Intent {
    Look,
    Change,
}

impl Place {
    /// getxattr(2).
    ///
    /// # Errors
    /// Those of the manual page.
    pub fn extended_attribute(&self, cred: &Cred, name: &[u8]) -> Result<Vec<u8>> {
        self.check_extended(cred, name, Intent::Look)?;
        self.extended()?.get(name)
    }

    /// setxattr(2).
    ///
    /// # Errors
    /// Those of the manual page.
    pub fn set_extended_attribute(&self, cred: &Cred, name: &[u8], value: &[u8], how: Placing) -> Result<()> {
        self.check_extended(cred, name, Intent::Change)?;
        if name == CAPABILITY {
            FileCapabilities::parse(value)?;
        }
        self.extended()?.set(name, value, how)
    }

    /// removexattr(2).
    ///
    /// # Errors
    /// Those of the manual page.
    pub fn remove_extended_attribute(&self, cred: &Cred, name: &[u8]) -> Result<()> {
        self.check_extended(cred, name, Intent::Change)?;
        self.extended()?.remove(name)
    }

    /// listxattr(2): each name with a NUL behind it.
    ///
    /// # Errors
    /// EIO, ENOMEM.
    pub fn extended_names(&self, cred: &Cred) -> Result<Vec<u8>> {
        let mut names = Vec::new();
        let Some(extended) = self.inode().extended() else { return Ok(names) };
        let mut outcome = Ok(());
        extended.list(&mut |name| {
            if name.starts_with(b"trusted.") && !cred.has(Capability::SysAdmin) {
                return;
            }
            match names.try_reserve(name.len() + 1) {
                Ok(()) => {
                    names.extend_from_slice(name);
                    names.push(0);
                }
                Err(_) => outcome = Err(Errno::ENOMEM),
            }
        })?;
        outcome.map(|()| names)
    }

    /// Takes away the capabilities that a file gives, since somebody changes it or gives it away.
    ///
    /// # Errors
    /// EIO.
    pub fn drop_capabilities(&self) -> Result<()> {
        match self.inode().extended() {
            Some(extended) if extended.gives_capabilities() => extended.remove(CAPABILITY),
            _ => Ok(()),
        }
    }

    fn extended(&self) -> Result<&dyn Extended> {
        self.inode().extended().ok_or(Errno::EOPNOTSUPP)
    }

    /// As Linux's xattr_permission().
    fn check_extended(&self, cred: &Cred, name: &[u8], intent: Intent) -> Result<()> {
        if intent == Intent::Change {
            self.check_writable_mount()?;
        }
        let refusal = if intent == Intent::Change { Errno::EPERM } else { Errno::ENODATA };
        if name.starts_with(b"system.") {
            return Err(Errno::EOPNOTSUPP);
        }
        if name.starts_with(b"trusted.") {
            return if cred.has(Capability::SysAdmin) { Ok(()) } else { Err(refusal) };
        }
        if name == CAPABILITY && intent == Intent::Change {
            return if cred.has(Capability::Setfcap) { Ok(()) } else { Err(Errno::EPERM) };
        }
        if name.starts_with(b"security.") {
            let may = intent == Intent::Look || cred.has(Capability::SysAdmin);
            return if may { Ok(()) } else { Err(Errno::EPERM) };
        }
        let attributes = self.inode().attributes();
        if name.starts_with(b"user.") {
            if !matches!(attributes.kind, FileKind::Regular | FileKind::Directory) {
                return Err(refusal);
            }
            let is_shared = attributes.kind == FileKind::Directory && attributes.permissions & S_ISVTX != 0;
            if is_shared && intent == Intent::Change && !cred.owns(attributes.user) {
                return Err(Errno::EPERM);
            }
        }
        let wanted = if intent == Intent::Change { Access::WRITE } else { Access::READ };
        if cred.may(wanted, attributes.owner()) { Ok(()) } else { Err(Errno::EACCES) }
    }
}
