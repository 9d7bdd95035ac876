//! Who a thread is to others, and what it may do: the one place where a permission is decided.
//!
//! Follows credentials(7), capabilities(7) and path_resolution(7). Modules: `program` (who a new program is).

mod program;

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::{Errno, Result};

pub use self::program::{FileCapabilities, Gaining, Gains, Newcomer};

/// The four user or group ids of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// Who started it.
    pub real: u32,
    /// Whose rights it has.
    pub effective: u32,
    /// Whose rights it may take back.
    pub saved: u32,
    /// Whose rights it has on files.
    pub file: u32,
}

impl Ids {
    /// All the same.
    pub const fn all(id: u32) -> Self {
        Ids { real: id, effective: id, saved: id, file: id }
    }

    /// Whether `id` is one of the first three.
    pub const fn has(&self, id: u32) -> bool {
        self.real == id || self.effective == id || self.saved == id
    }
}

/// A right that root has and that can be given away on its own; numbers as in capabilities(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "capabilities are known by their names")]
pub enum Capability {
    Chown = 0,
    DacOverride = 1,
    DacReadSearch = 2,
    Fowner = 3,
    Fsetid = 4,
    Kill = 5,
    Setgid = 6,
    Setuid = 7,
    Setpcap = 8,
    IpcLock = 14,
    IpcOwner = 15,
    SysChroot = 18,
    SysPtrace = 19,
    SysAdmin = 21,
    SysBoot = 22,
    SysNice = 23,
    SysResource = 24,
    SysTime = 25,
    SysTtyConfig = 26,
    Mknod = 27,
    Lease = 28,
    Setfcap = 31,
    WakeAlarm = 35,
}

/// All capabilities there are (Linux 6.1: 41 of them).
pub const ALL_CAPABILITIES: u64 = (1 << 41) - 1;

/// The bit of a capability in a set, by its number.
///
/// # Errors
/// EINVAL if there is none.
pub fn capability_bit(number: u64) -> Result<u64> {
    let bit = u32::try_from(number).ok().and_then(|number| 1_u64.checked_shl(number));
    bit.filter(|bit| bit & ALL_CAPABILITIES != 0).ok_or(Errno::EINVAL)
}

/// Sets of capabilities of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Those in force.
    pub effective: u64,
    /// Those it may put in force.
    pub permitted: u64,
    /// Those it keeps across exec if the file agrees.
    pub inheritable: u64,
    /// Those it can ever get.
    pub bounding: u64,
    /// Those it keeps across exec.
    pub ambient: u64,
}

/// How root and capabilities go together (capabilities(7), "The securebits flags"); each flag has a lock above it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SecureBits(u32);

impl SecureBits {
    const NO_ROOT: u32 = 1;
    const NO_SETUID_FIXUP: u32 = 1 << 2;
    const KEEP_CAPS: u32 = 1 << 4;
    const NO_CAP_AMBIENT_RAISE: u32 = 1 << 6;
    const FLAGS: u32 = Self::NO_ROOT | Self::NO_SETUID_FIXUP | Self::KEEP_CAPS | Self::NO_CAP_AMBIENT_RAISE;
    const LOCKS: u32 = Self::FLAGS << 1;

    /// As prctl(2) shows them.
    pub const fn bits(self) -> u32 {
        self.0
    }

    const fn has(self, flag: u32) -> bool {
        self.0 & flag != 0
    }

    /// Whether capabilities outlive the change from root to another user.
    pub const fn keeps_capabilities(self) -> bool {
        self.has(Self::KEEP_CAPS)
    }

    /// What is locked stays as it is, and locked; bits that mean nothing cannot be set.
    const fn may_become(self, bits: u32) -> bool {
        let locked = (self.0 & Self::LOCKS) >> 1;
        locked & (self.0 ^ bits) == 0
            && self.0 & Self::LOCKS & !bits == 0
            && bits & !(Self::FLAGS | Self::LOCKS) == 0
    }
}

/// Who a thread is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cred {
    /// User ids.
    pub user: Ids,
    /// Group ids.
    pub group: Ids,
    /// Further groups.
    pub groups: Arc<Vec<u32>>,
    /// What it may do besides.
    pub capabilities: Capabilities,
    /// How that goes with being root.
    pub secure: SecureBits,
}

/// What somebody wants to do with a file; a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access(u32);

impl Access {
    /// Only that it exists.
    pub const EXISTS: Access = Access(0);
    /// Run it, or go through a directory.
    pub const EXECUTE: Access = Access(1);
    /// Write it.
    pub const WRITE: Access = Access(2);
    /// Read it.
    pub const READ: Access = Access(4);

    /// Both.
    #[must_use]
    pub const fn and(self, other: Access) -> Access {
        Access(self.0 | other.0)
    }

    /// From the bits of access(2).
    pub const fn from_bits(bits: u32) -> Option<Access> {
        if bits <= 7 { Some(Access(bits)) } else { None }
    }

    const fn has(self, other: Access) -> bool {
        self.0 & other.0 != 0
    }
}

/// Whose a file is, and its mode with the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// User.
    pub user: u32,
    /// Group.
    pub group: u32,
    /// `st_mode`.
    pub mode: u32,
}

impl Cred {
    /// What the first program is.
    pub fn root() -> Self {
        let capabilities = Capabilities {
            effective: ALL_CAPABILITIES,
            permitted: ALL_CAPABILITIES,
            inheritable: 0,
            bounding: ALL_CAPABILITIES,
            ambient: 0,
        };
        let groups = Arc::new(Vec::new());
        Cred { user: Ids::all(0), group: Ids::all(0), groups, capabilities, secure: SecureBits::default() }
    }

    /// PR_SET_SECUREBITS.
    ///
    /// # Errors
    /// EPERM without the capability, for what is locked and for what means nothing.
    pub fn set_secure_bits(&mut self, bits: u32) -> Result<()> {
        if !self.secure.may_become(bits) || !self.has(Capability::Setpcap) {
            return Err(Errno::EPERM);
        }
        self.secure = SecureBits(bits);
        Ok(())
    }

    /// PR_SET_KEEPCAPS.
    ///
    /// # Errors
    /// EPERM if that is locked.
    pub fn set_keeps_capabilities(&mut self, keeps: bool) -> Result<()> {
        if self.secure.has(SecureBits::KEEP_CAPS << 1) {
            return Err(Errno::EPERM);
        }
        self.secure.0 = if keeps {
            self.secure.0 | SecureBits::KEEP_CAPS
        } else {
            self.secure.0 & !SecureBits::KEEP_CAPS
        };
        Ok(())
    }

    /// PR_CAPBSET_DROP of a capability, by number.
    ///
    /// # Errors
    /// EPERM without the capability to, EINVAL if there is no such capability.
    pub fn drop_bounding(&mut self, number: u64) -> Result<()> {
        if !self.has(Capability::Setpcap) {
            return Err(Errno::EPERM);
        }
        self.capabilities.bounding &= !capability_bit(number)?;
        Ok(())
    }

    /// PR_CAP_AMBIENT_RAISE of a capability, by number.
    ///
    /// # Errors
    /// EPERM unless it is permitted and inheritable and the secure bits agree; EINVAL if there is no such capability.
    pub fn raise_ambient(&mut self, number: u64) -> Result<()> {
        let bit = capability_bit(number)?;
        let may = self.capabilities.permitted & self.capabilities.inheritable & bit != 0
            && !self.secure.has(SecureBits::NO_CAP_AMBIENT_RAISE);
        if !may {
            return Err(Errno::EPERM);
        }
        self.capabilities.ambient |= bit;
        Ok(())
    }

    /// capset(2).
    ///
    /// # Errors
    /// EPERM for what it may not have.
    pub fn set_capabilities(&mut self, effective: u64, permitted: u64, inheritable: u64) -> Result<()> {
        let old = self.capabilities;
        let may_inherit =
            if self.has(Capability::Setpcap) { u64::MAX } else { old.inheritable | old.permitted };
        let is_too_much = permitted & !old.permitted
            | effective & !permitted
            | inheritable & !(may_inherit & (old.inheritable | old.bounding));
        if is_too_much & ALL_CAPABILITIES != 0 {
            return Err(Errno::EPERM);
        }
        let ambient = old.ambient & permitted & inheritable;
        let all = |set: u64| set & ALL_CAPABILITIES;
        let (effective, permitted, inheritable) = (all(effective), all(permitted), all(inheritable));
        self.capabilities = Capabilities { effective, permitted, inheritable, ambient, ..old };
        Ok(())
    }

    /// Becomes another user, and loses or regains what root has with it (capabilities(7), "Effect of user ID changes").
    pub fn change_user(&mut self, user: Ids) {
        let is_root = |ids: &Ids| ids.real == 0 || ids.effective == 0 || ids.saved == 0;
        let old = core::mem::replace(&mut self.user, user);
        if self.secure.has(SecureBits::NO_SETUID_FIXUP) {
            return;
        }
        if is_root(&old) && !is_root(&user) {
            if !self.secure.keeps_capabilities() {
                (self.capabilities.permitted, self.capabilities.effective) = (0, 0);
            }
            self.capabilities.ambient = 0;
        }
        match (old.effective == 0, user.effective == 0) {
            (true, false) => self.capabilities.effective = 0,
            (false, true) => self.capabilities.effective = self.capabilities.permitted,
            _ => {}
        }
    }

    /// Whether a capability is in force.
    pub const fn has(&self, capability: Capability) -> bool {
        self.capabilities.effective & 1 << capability as u8 != 0
    }

    /// Whether it belongs to a group, as far as files are concerned.
    pub fn is_in_group(&self, group: u32) -> bool {
        self.group.file == group || self.groups.contains(&group)
    }

    /// Whether it may do `wanted` with a file.
    pub fn may(&self, wanted: Access, file: Owner) -> bool {
        let shift = if self.user.file == file.user {
            6
        } else if self.is_in_group(file.group) {
            3
        } else {
            0
        };
        if wanted.0 & !(file.mode >> shift & 7) == 0 {
            return true;
        }
        let is_directory = file.mode & abi::file::S_IFMT == abi::file::S_IFDIR;
        // Nobody runs a file that nobody may run.
        if self.has(Capability::DacOverride)
            && (is_directory || !wanted.has(Access::EXECUTE) || file.mode & 0o111 != 0)
        {
            return true;
        }
        self.has(Capability::DacReadSearch)
            && !wanted.has(Access::WRITE)
            && (is_directory || !wanted.has(Access::EXECUTE))
    }

    /// Whether it counts as the owner of a file: may change mode and times.
    pub const fn owns(&self, user: u32) -> bool {
        self.user.file == user || self.has(Capability::Fowner)
    }

    /// Whether it may remove `file` from `directory`, which it may write: the sticky bit's rule.
    pub const fn may_remove(&self, directory: Owner, file: Owner) -> bool {
        directory.mode & abi::file::S_ISVTX == 0
            || self.user.file == file.user
            || self.user.file == directory.user
            || self.has(Capability::Fowner)
    }

    /// Whether it may send a signal to `target` (kill(2)).
    pub const fn may_signal(&self, target: &Cred) -> bool {
        let (me, other) = (&self.user, &target.user);
        self.has(Capability::Kill)
            || me.effective == other.real
            || me.effective == other.saved
            || me.real == other.real
            || me.real == other.saved
    }
}

#[cfg(test)]
mod tests;
