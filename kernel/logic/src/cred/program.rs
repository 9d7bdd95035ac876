//! Who a new program is: setuid and setgid files, and capabilities that a file gives (capabilities(7), "Transformation of
//! capabilities during execve()").

use abi::{Errno, Result};

use super::{ALL_CAPABILITIES, Cred, SecureBits};

/// What a file gives whoever runs it: its attribute `security.capability`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileCapabilities {
    permitted: u64,
    inheritable: u64,
    /// They are in force from the start; whoever cannot have all of them cannot run the file.
    are_in_force: bool,
    /// Root of the user namespace in which they count.
    root: u32,
}

impl FileCapabilities {
    const REVISION: u32 = 0xff00_0000;
    const IN_FORCE: u32 = 1;

    /// Reads the attribute, as Linux's `struct vfs_ns_cap_data` has it in three revisions.
    ///
    /// # Errors
    /// EINVAL for anything else.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let (words, rest) = bytes.as_chunks::<4>();
        let word = |at: usize| words.get(at).copied().map_or(0, u32::from_le_bytes);
        let pairs = match (word(0) & Self::REVISION, words.len(), rest) {
            (0x0100_0000, 3, []) => 1,
            (0x0200_0000, 5, []) | (0x0300_0000, 6, []) => 2,
            _ => return Err(Errno::EINVAL),
        };
        let set = |first: usize| {
            let high = if pairs == 2 { word(first + 2) } else { 0 };
            (u64::from(high) << 32 | u64::from(word(first))) & ALL_CAPABILITIES
        };
        let are_in_force = word(0) & Self::IN_FORCE != 0;
        Ok(FileCapabilities { permitted: set(1), inheritable: set(2), are_in_force, root: word(5) })
    }

    /// Whether they count here, where nobody but root is root.
    const fn count(&self) -> bool {
        self.root == 0
    }
}

/// Whether a program may gain rights (prctl(2): PR_SET_NO_NEW_PRIVS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gaining {
    /// It may.
    Allowed,
    /// It may not.
    Forbidden,
}

/// What a file would give whoever runs it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gains {
    /// The owner of a setuid file.
    pub user: Option<u32>,
    /// The group of a setgid file.
    pub group: Option<u32>,
    /// Its capabilities.
    pub capabilities: Option<FileCapabilities>,
}

/// A program that begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newcomer {
    /// Who it is.
    pub cred: Cred,
    /// It has rights that whoever started it may not have: libraries must not trust the environment (`AT_SECURE`).
    pub is_secure: bool,
}

impl Cred {
    /// Who a program is that this one runs.
    ///
    /// # Errors
    /// EPERM if it may not have all that the file puts in force.
    pub fn after_exec(&self, gains: Gains, gaining: Gaining) -> Result<Newcomer> {
        let old = self.capabilities;
        let mut cred = self.clone();
        if gaining == Gaining::Allowed {
            cred.user.effective = gains.user.unwrap_or(cred.user.effective);
            cred.group.effective = gains.group.unwrap_or(cred.group.effective);
        }
        let given = gains.capabilities.filter(FileCapabilities::count);
        let mut permitted = 0;
        let mut is_in_force = false;
        if let Some(file) = given {
            permitted = old.bounding & file.permitted | old.inheritable & file.inheritable;
            is_in_force = file.are_in_force;
            if is_in_force && file.permitted & !permitted != 0 {
                return Err(Errno::EPERM);
            }
        }
        let became_root = cred.user.effective == 0 && cred.user.real != 0;
        // A setuid-root file that names its capabilities means these and no more.
        let names_them = given.is_some() && became_root;
        if !names_them && !self.secure.has(SecureBits::NO_ROOT) {
            if cred.user.effective == 0 || cred.user.real == 0 {
                permitted = old.bounding | old.inheritable;
            }
            is_in_force |= cred.user.effective == 0;
        }
        let is_changed = cred.user.effective != self.user.real || cred.group.effective != self.group.real;
        if gaining == Gaining::Forbidden && (is_changed || permitted & !old.permitted != 0) {
            (cred.user.effective, cred.group.effective) = (cred.user.real, cred.group.real);
            permitted &= old.permitted;
        }
        (cred.user.saved, cred.user.file) = (cred.user.effective, cred.user.effective);
        (cred.group.saved, cred.group.file) = (cred.group.effective, cred.group.effective);
        let ambient = if given.is_some() || is_changed { 0 } else { old.ambient };
        permitted |= ambient;
        let effective = if is_in_force { permitted } else { ambient };
        cred.capabilities.ambient = ambient;
        (cred.capabilities.permitted, cred.capabilities.effective) = (permitted, effective);
        cred.secure.0 &= !SecureBits::KEEP_CAPS;
        let is_secure = is_changed || cred.user.real != 0 && (is_in_force || permitted & !ambient != 0);
        Ok(Newcomer { cred, is_secure })
    }
}
