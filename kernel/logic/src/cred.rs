//! Who a thread is to others, and what it may do: the one place where a permission is decided.
//!
//! Follows credentials(7), capabilities(7) and path_resolution(7).

use alloc::sync::Arc;
use alloc::vec::Vec;

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
    SysChroot = 18,
    SysPtrace = 19,
    SysAdmin = 21,
    SysBoot = 22,
    SysNice = 23,
    SysResource = 24,
    SysTime = 25,
    SysTtyConfig = 26,
    Mknod = 27,
}

/// All capabilities there are (Linux 6.1: 41 of them).
pub const ALL_CAPABILITIES: u64 = (1 << 41) - 1;

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
        Cred { user: Ids::all(0), group: Ids::all(0), groups: Arc::new(Vec::new()), capabilities }
    }

    /// Who a new program is; `user` and `group` are those of a setuid or setgid file (capabilities(7), "Capabilities and
    /// execution of programs by root", without file capabilities).
    #[must_use]
    pub fn after_exec(&self, user: Option<u32>, group: Option<u32>) -> Self {
        let mut cred = self.clone();
        if let Some(user) = user {
            (cred.user.effective, cred.user.file) = (user, user);
        }
        if let Some(group) = group {
            (cred.group.effective, cred.group.file) = (group, group);
        }
        (cred.user.saved, cred.group.saved) = (cred.user.effective, cred.group.effective);
        let old = self.capabilities;
        let permitted = if cred.user.effective == 0 || cred.user.real == 0 {
            old.bounding | old.inheritable
        } else {
            old.ambient
        };
        let effective = if cred.user.effective == 0 { permitted } else { old.ambient };
        cred.capabilities = Capabilities { permitted, effective, ..old };
        cred
    }

    /// Becomes another user, and loses or regains what root has with it (capabilities(7), "Effect of user ID changes").
    pub fn change_user(&mut self, user: Ids) {
        let is_root = |ids: &Ids| ids.real == 0 || ids.effective == 0 || ids.saved == 0;
        let old = core::mem::replace(&mut self.user, user);
        if is_root(&old) && !is_root(&user) {
            (self.capabilities.permitted, self.capabilities.effective, self.capabilities.ambient) = (0, 0, 0);
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
mod tests {
    use super::*;

    fn user(id: u32, group: u32) -> Cred {
        let none = Capabilities { effective: 0, permitted: 0, ..Cred::root().capabilities };
        Cred { user: Ids::all(id), group: Ids::all(group), capabilities: none, ..Cred::root() }
    }

    fn file(mode: u32) -> Owner {
        Owner { user: 1000, group: 100, mode: abi::file::S_IFREG | mode }
    }

    #[test]
    fn the_first_class_that_fits_decides() {
        let read = Access::READ;
        assert!(user(1000, 1).may(read, file(0o400)));
        // The owner is not helped by what others may.
        assert!(!user(1000, 100).may(read, file(0o077)));
        assert!(user(1, 100).may(read, file(0o040)));
        assert!(!user(1, 100).may(read, file(0o404)));
        assert!(user(1, 1).may(read, file(0o004)));
        let mut member = user(1, 1);
        member.groups = Arc::new(std::vec![7, 100]);
        assert!(member.may(read, file(0o040)));
        assert!(!user(1, 1).may(Access::READ.and(Access::WRITE), file(0o004)));
    }

    #[test]
    fn root_may_all_but_run_what_nobody_runs() {
        let root = Cred::root();
        assert!(root.may(Access::READ.and(Access::WRITE), file(0)));
        assert!(!root.may(Access::EXECUTE, file(0o666)));
        assert!(root.may(Access::EXECUTE, file(0o001)));
        let directory = Owner { mode: abi::file::S_IFDIR, ..file(0) };
        assert!(root.may(Access::EXECUTE, directory));
    }

    #[test]
    fn sticky_directories_protect_files() {
        let directory = Owner { user: 0, group: 0, mode: abi::file::S_IFDIR | 0o1777 };
        assert!(user(1000, 1).may_remove(directory, file(0o600)));
        assert!(!user(1001, 1).may_remove(directory, file(0o666)));
        assert!(Cred::root().may_remove(directory, file(0)));
        assert!(user(1001, 1).may_remove(Owner { mode: 0o777, ..directory }, file(0)));
    }

    #[test]
    fn signals_go_to_the_own_user() {
        let (a, b) = (user(1, 1), user(2, 2));
        assert!(a.may_signal(&a) && !a.may_signal(&b) && Cred::root().may_signal(&a));
        let mut changed = user(2, 2);
        changed.user.saved = 1;
        assert!(a.may_signal(&changed));
    }
}
